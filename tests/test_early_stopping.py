"""Early stopping: patience, and the best epoch's parameters, however training ends."""

import math

import pytest
from small import error_of, fit, network, problem, unchanged, watched

import nnreg as nn


class Script:
    """A metric whose values are written beforehand, one an epoch, noting the parameters of each."""

    def __init__(self, net, values):
        self.net, self.values, self.vectors = net, values, []

    def figure(self, outputs, targets):
        self.vectors.append(self.net.parameters.vector.copy())
        return self.values[len(self.vectors) - 1]


def scripted(values, *, mode="min", callbacks=(), net=None, **options):
    """Return functions that train with these values and say what was restored, and the callback."""
    net = network() if net is None else net
    script = Script(net, values)
    stop = nn.EarlyStopping("figure", mode=mode, **options)

    def run():
        return fit(net, metrics=[script.figure], epochs=len(values), callbacks=[stop, *callbacks])

    def restored():
        """Return which epoch's parameters the network has."""
        same = [(v == net.parameters.vector).all() for v in script.vectors]
        return same.index(True) + 1 if any(same) else None

    return run, stop, restored


FALLING = [5, 4, 6, 3, 7, 8, 2.9, 9]


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        (FALLING, {"patience": 1}, 3, 2),
        (FALLING, {"patience": 2}, 6, 4),
        (FALLING, {"patience": 3}, 8, 7),
        ([3, 1, 2, 2.5], {"patience": 10}, 4, 2),
        ([3, 1, 7, 5], {"mode": "min"}, 4, 2),
        ([3, 1, 7, 5], {"mode": "max"}, 4, 3),
        ([1, 1, 1, 1], {"patience": 2}, 3, 1),  # an equal value is no improvement
        ([1.0, 0.9, 0.8, 0.4], {"patience": 2, "min_delta": 0.25}, 3, 1),
    ],
    ids=str,
)
def test_it_stops_when_patience_ends_and_restores_the_best_epoch(values, options, epochs, best):
    run, stop, restored = scripted(values, **options)
    history = run()
    assert (len(history), stop.best_epoch, stop.best, restored()) == (
        *(epochs, best),
        *(values[best - 1], best),
    )
    reason = f"no better figure than {stop.best:g} of epoch {best}"
    assert history.stopped == ("epochs" if stop.waited < stop.patience else reason)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_never_the_best(mode, bad):
    run, stop, restored = scripted([bad, 2, bad, 2], mode=mode)
    run()
    assert (stop.best_epoch, stop.best, restored()) == (2, 2.0, 2)


def after_four(act):
    return {"callbacks": [lambda state: act() if len(state.history) == 4 else None]}


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise RuntimeError("of another callback")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (after_four(interrupt), KeyboardInterrupt, None),
        (after_four(fail), RuntimeError, "of another callback"),
        (
            {"net": watched(lambda x: x * math.inf, 13)},  # in the fourth epoch
            *(nn.NonFiniteLossError, "The parameters are those of .* epoch 3"),
        ),
    ],
    ids=["interruption", "another callback's error", "loss that is not finite"],
)
def test_the_best_parameters_are_restored_however_training_ends(options, error, words):
    run, stop, restored = scripted([3, 1, 2, 2, 2], **options)
    with pytest.raises(error, match=words) as caught:
        run()
    assert (stop.best_epoch, restored()) == (2, 2)
    assert error is RuntimeError or caught.value.history.stopped in (
        "interrupted",
        "non-finite loss",
    )


def test_without_a_finished_epoch_nothing_is_restored():
    net = network()
    with unchanged(net):
        fit(net, epochs=0, callbacks=[nn.EarlyStopping("data_loss")])


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
        *[("data_loss", min), ("val_data_loss", min), ("total", min), ("penalty", min)],
        *[("loss", min), ("val_loss", min), ("accuracy", max), ("val_accuracy", max)],
    ],
)
def test_the_direction_of_a_known_column_is_right(monitor, best_of):
    stop = nn.EarlyStopping(monitor, patience=50)
    options = {"validation_data": problem(30, seed=1), "metrics": ["accuracy"], "epochs": 8}
    net, optimizer = network(penalty=nn.L2(0.1)), nn.Adam(0.05)
    history = fit(net, optimizer=optimizer, callbacks=[stop], **options)
    assert stop.best == best_of(history[monitor])
    assert history[monitor][stop.best_epoch - 1] == stop.best


def test_errors_should_fall_and_the_direction_of_another_figure_must_be_given():
    errors = ("mean_absolute_error", "mean_squared_error", "mae", "mse")
    assert {nn.EarlyStopping(f"val_{name}").mode for name in errors} == {"min"}
    with pytest.raises(ValueError, match=r'mode must be "min" or "max" for \'figure\''):
        nn.EarlyStopping("figure")


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ("val_loss", r"monitor='val_loss' needs validation data"),
        ("val_accuracy", r"monitor='val_accuracy' needs validation data"),
        ("accuracy", r"monitor must be one of .*got 'accuracy'"),
    ],
)
def test_an_unknown_column_is_refused_before_training(monitor, message):
    net = network()
    with unchanged(net):
        error_of(ValueError, net, match=message, callbacks=[nn.EarlyStopping(monitor)])


def test_the_last_parameters_may_be_kept_instead():
    run, stop, restored = scripted([3, 1, 2], restore_best_weights=False)
    run()
    assert (stop.best_epoch, restored()) == (2, 3)


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
    note = lambda state: rates.append(optimizer.learning_rate)
    fit(net, optimizer=optimizer, metrics=[figure], epochs=8, callbacks=[plateau, note])
    assert [-math.log2(rate) for rate in rates] == exponents
