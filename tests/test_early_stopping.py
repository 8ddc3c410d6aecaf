"""Early stopping waits, then stops; the best epoch's parameters stay, however training ends."""

import math

import pytest
from small import fit, network, problem

import nnreg as nn


class Script:
    """A metric whose values are written beforehand, one an epoch, noting the parameters of each."""

    def __init__(self, net, values):
        self.net, self.values, self.vectors = net, values, []

    def figure(self, outputs, targets):
        self.vectors.append(self.net.parameters.vector.copy())
        return self.values[len(self.vectors) - 1]


def scripted(values, *, mode="min", callbacks=(), net=None, **options):
    """Return how to train while the figure takes these values, the callback, and what it kept."""
    net = network() if net is None else net
    script = Script(net, values)
    stop = nn.EarlyStopping("figure", mode=mode, **options)

    def run():
        return fit(net, metrics=[script.figure], epochs=len(values), callbacks=[stop, *callbacks])

    def kept():
        """Return which epoch's parameters the network has."""
        same = [(v == net.parameters.vector).all() for v in script.vectors]
        return same.index(True) + 1 if any(same) else None

    return run, stop, kept


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 6), (3, 8)])
def test_it_stops_when_patience_is_at_its_end(patience, epochs):
    run, stop, kept = scripted([5, 4, 6, 3, 7, 8, 2.9, 9], patience=patience)
    history = run()
    assert len(history) == epochs
    best = {1: 2, 2: 4, 3: 7}[patience]
    assert (stop.best_epoch, stop.best, kept()) == (best, history["figure"][best - 1], best)


def test_its_reason_is_in_the_history():
    history = scripted([3, 1, 2], patience=1)[0]()
    assert history.stopped == "no better figure than 1 of epoch 2"


def test_the_best_parameters_are_restored_when_all_epochs_are_used():
    run, stop, kept = scripted([3, 1, 2, 2.5], patience=10)
    assert run().stopped == "epochs"
    assert (stop.best_epoch, kept()) == (2, 2)


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 3)])
def test_either_way_may_be_better(mode, best):
    run, stop, kept = scripted([3, 1, 7, 5], mode=mode)
    run()
    assert (stop.best_epoch, kept()) == (best, best)


def test_an_equal_value_is_no_improvement():
    run, stop, kept = scripted([1, 1, 1, 1], patience=2)
    assert len(run()) == 3
    assert (stop.best_epoch, kept()) == (1, 1)


def test_an_improvement_must_exceed_min_delta():
    run, stop, kept = scripted([1.0, 0.9, 0.8, 0.4], patience=2, min_delta=0.25)
    assert len(run()) == 3
    assert (stop.best_epoch, stop.best, kept()) == (1, 1.0, 1)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_never_the_best(mode, bad):
    run, stop, kept = scripted([bad, 2, bad, 2], mode=mode)
    run()
    assert (stop.best_epoch, stop.best, kept()) == (2, 2.0, 2)


def act_after(epoch, act):
    def callback(run):
        if len(run.history) == epoch:
            act()

    return callback


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise RuntimeError("of another callback")


def test_the_best_parameters_are_restored_after_an_interruption():
    run, stop, kept = scripted([3, 1, 2, 2, 2], callbacks=[act_after(4, interrupt)])
    with pytest.raises(KeyboardInterrupt) as caught:
        run()
    assert caught.value.history.stopped == "interrupted"
    assert (stop.best_epoch, kept()) == (2, 2)


def test_the_best_parameters_are_restored_after_another_callbacks_error():
    run, _, kept = scripted([3, 1, 2, 2, 2], callbacks=[act_after(4, fail)])
    with pytest.raises(RuntimeError, match="of another callback"):
        run()
    assert kept() == 2


def test_the_best_parameters_are_restored_after_a_non_finite_loss():
    class Spoil(nn.Layer):
        def forward(self, x, cache):
            return x * math.inf if cache.training and cache.step == 13 else x

        def backward(self, dy, cache):
            return dy

    net = nn.Network([nn.Dense(8), nn.ReLU(), Spoil(), nn.Dense(3)], inputs=2, dtype="float64")
    run, _, kept = scripted([3, 1, 2, 2, 2], net=net)
    with pytest.raises(nn.NonFiniteLossError, match=r"The parameters are those of .* epoch 3"):
        run()
    assert kept() == 2


def test_without_a_finished_epoch_nothing_is_restored():
    net = network()
    before = net.parameters.vector.copy()
    fit(net, epochs=0, callbacks=[nn.EarlyStopping("data_loss")])
    assert (net.parameters.vector == before).all()


def test_each_fit_begins_anew():
    stop = nn.EarlyStopping("data_loss", patience=3)
    first = fit(network(), epochs=5, optimizer=nn.SGD(0.1), callbacks=[stop])
    best = stop.best
    second = fit(network(), epochs=5, optimizer=nn.SGD(1e-6), callbacks=[stop])
    assert best == min(first["data_loss"])
    assert stop.best == min(second["data_loss"]) > best


@pytest.mark.parametrize(
    ("monitor", "best_of"),
    [
        ("data_loss", min),
        ("val_data_loss", min),
        ("total", min),
        ("penalty", min),
        ("accuracy", max),
        ("val_accuracy", max),
    ],
)
def test_known_columns_know_which_way_is_better(monitor, best_of):
    stop = nn.EarlyStopping(monitor, patience=50)
    history = fit(
        network(penalty=nn.L2(0.1)),
        epochs=8,
        optimizer=nn.Adam(0.05),
        validation_data=problem(30, seed=1),
        metrics=["accuracy"],
        callbacks=[stop],
    )
    assert stop.best == best_of(history[monitor])
    assert history[monitor][stop.best_epoch - 1] == stop.best


def test_errors_are_to_be_small():
    stop = nn.EarlyStopping("val_mean_absolute_error", patience=50)
    x, _ = problem()
    net = nn.Network([nn.Dense(1)], inputs=2)
    options = {"loss": nn.MeanSquaredError(), "validation_split": 0.2, "epochs": 4}
    history = fit(net, x, x[:, :1], metrics="mean_absolute_error", callbacks=[stop], **options)
    assert stop.best == min(history["val_mean_absolute_error"])


def test_a_measure_of_ones_own_needs_to_be_told():
    with pytest.raises(ValueError, match=r'mode must be "min" or "max" for \'figure\''):
        nn.EarlyStopping("figure")


@pytest.mark.parametrize(
    ("monitor", "wanted"),
    [
        ("val_loss", r"monitor='val_loss' needs validation data"),
        ("val_accuracy", r"monitor='val_accuracy' needs validation data"),
        ("accuracy", r"monitor must be one of .*got 'accuracy'"),
    ],
)
def test_an_unknown_column_is_refused_before_training(monitor, wanted):
    net = network()
    with pytest.raises(ValueError, match=wanted):
        fit(net, callbacks=[nn.EarlyStopping(monitor)])
    assert net.steps == 0


def test_the_last_parameters_may_be_kept_instead():
    run, stop, kept = scripted([3, 1, 2], restore_best_weights=False)
    run()
    assert (stop.best_epoch, kept()) == (2, 3)


def test_the_monitor_may_be_the_loss_with_its_penalty():
    for monitor in ("loss", "val_loss"):
        stop = nn.EarlyStopping(monitor, patience=99)
        history = fit(network(penalty=nn.L2(1.0)), epochs=6, validation_split=0.2, callbacks=stop)
        assert stop.best == min(history[monitor])


# --- ReduceLROnPlateau ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "exponents"),
    [
        ({"patience": 1}, [0, 0, 0, 1, 2, 3, 3, 4]),
        ({"patience": 2}, [0, 0, 0, 0, 1, 1, 1, 1]),
        ({"patience": 1, "cooldown": 2}, [0, 0, 0, 1, 1, 2, 2, 3]),
        ({"patience": 1, "min_delta": 1.5}, [0, 1, 2, 3, 4, 5, 5, 6]),
        ({"patience": 1, "min_learning_rate": 0.25}, [0, 0, 0, 1, 2, 2, 2, 2]),
    ],
    ids=str,
)
def test_the_learning_rate_falls_when_a_figure_stays(options, exponents):
    net, optimizer, rates = network(), nn.SGD(1.0), []
    figure = Script(net, [5, 3.6, 3.5, 4, 4, 4, 3, 3]).figure
    plateau = nn.ReduceLROnPlateau("figure", mode="min", factor=0.5, **options)
    note = lambda state: rates.append(optimizer.learning_rate)  # noqa: E731
    fit(net, optimizer=optimizer, metrics=[figure], epochs=8, callbacks=[plateau, note])
    assert [-math.log2(rate) for rate in rates] == exponents
