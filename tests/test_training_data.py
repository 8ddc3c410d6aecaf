"""What fit does with validation data, metrics, sample weights and class weights."""

import numpy as np
import pytest
from small import everything, fit, network, problem

import nnreg as nn
from nnreg.training.data import prepare

SQUARED, ONE_HOT = nn.MeanSquaredError(), np.eye(3)


def linear(seed=0):
    return nn.Network([nn.Dense(1)], inputs=1, seed=seed, dtype="float64")


class Rows:
    """A metric that notes which rows it was shown, told apart by their targets."""

    def __init__(self):
        self.seen = []

    def __call__(self, outputs, targets):
        assert outputs.shape == targets.shape
        self.seen.append(frozenset(targets.ravel().tolist()))
        return 0.0


def rows_of_fit(net, **options):
    """Return the rows of training and of validation, epoch by epoch."""
    rows = Rows()
    y = np.arange(20.0).reshape(-1, 1)
    fit(net, y / 20, y, loss=nn.MeanSquaredError(), metrics=[rows], epochs=2, **options)
    return rows.seen[::2], rows.seen[1::2]


# --- Validation -----------------------------------------------------------------------------------


def test_a_split_holds_out_its_share_of_the_rows():
    training, validation = rows_of_fit(linear(), validation_split=0.3)
    assert len(validation[0]) == 6
    assert training[0] | validation[0] == set(range(20))
    assert not training[0] & validation[0]


def test_the_held_out_rows_are_the_same_in_every_epoch_and_fit():
    net = linear()
    first = rows_of_fit(net, validation_split=0.3)
    second = rows_of_fit(net, validation_split=0.3)
    assert len({*first[1], *second[1]}) == 1


def test_the_held_out_rows_depend_on_the_seed_and_are_not_the_first_or_last():
    splits = {rows_of_fit(linear(seed), validation_split=0.3)[1][0] for seed in range(5)}
    assert len(splits) == 5
    assert not splits & {frozenset(range(6)), frozenset(range(14, 20))}


def test_held_out_rows_are_not_trained_on():
    x, _ = problem()
    seen = []

    class Look(nn.Layer):
        def forward(self, x, cache):
            if cache.training:
                seen.extend(x[:, 0].tolist())
            return x

        def backward(self, dy, cache):
            return dy

    held, shown = Rows(), set(x[:, 0])
    net = nn.Network([Look(), nn.Dense(2)], inputs=2, dtype="float64")
    fit(net, x, x, loss=nn.MeanSquaredError(), metrics=[held], validation_split=0.2)
    assert len(seen) == len(set(seen)) == 40
    assert not set(seen) & held.seen[1]
    assert set(seen) < shown


def test_given_validation_data_are_measured_in_inference_mode_at_the_epochs_end():
    x, y = problem()
    net = network(penalty=nn.L2(0.1))
    history = fit(net, x, y, validation_data=problem(30, seed=1), metrics=["accuracy"], epochs=2)
    measured = nn.evaluate(net, *problem(30, seed=1), loss=nn.SoftmaxCrossEntropy())
    assert history.last["val_data_loss"] == measured["data_loss"]
    assert history.last["val_accuracy"] == measured["accuracy"]
    assert history.last["penalty"] == measured["penalty"]


def test_measuring_does_not_move_the_training():
    plain, watched = network(), network()
    fit(plain, epochs=2)
    fit(watched, epochs=2, validation_data=problem(30, seed=1), metrics=["accuracy"])
    assert everything(plain) == everything(watched)


# --- What is recorded -----------------------------------------------------------------------------


def test_the_training_loss_weighs_batches_by_their_rows():
    losses = []

    class Noted(nn.MeanSquaredError):
        def compute(self, outputs, targets, *options, **others):
            value, gradient = super().compute(outputs, targets, *options, **others)
            losses.append((len(outputs), float(value)))
            return value, gradient

    net = linear()
    x = np.arange(10.0).reshape(-1, 1)
    history = fit(net, x, x**2, loss=Noted(), optimizer=nn.SGD(1e-3), batch_size=4, shuffle=False)
    assert [rows for rows, _ in losses] == [4, 4, 2]
    mean = sum(rows * value for rows, value in losses) / 10
    assert history["data_loss"] == [pytest.approx(mean, rel=1e-15)]
    plain = sum(value for _, value in losses) / 3
    assert abs(mean - plain) > 1


def test_the_training_loss_is_taken_with_dropout_on():
    def loss_of_fit(keep_prob):
        net = nn.Network([nn.Dropout(keep_prob=keep_prob), nn.Dense(3)], inputs=2, dtype="float64")
        return fit(net, optimizer=nn.SGD(0.0)).last["data_loss"], net

    (with_dropout, net), (without, _) = loss_of_fit(0.5), loss_of_fit(1.0)
    inference = nn.evaluate(net, *problem(), loss=nn.SoftmaxCrossEntropy())["data_loss"]
    assert without == pytest.approx(inference, rel=1e-14)
    assert with_dropout != pytest.approx(inference, rel=1e-3)


def test_the_training_loss_weighs_rows_by_their_weights():
    x, y = problem()
    weights = np.arange(len(x)) % 3
    net = network()
    net.layers[2].keep_prob = 1.0
    history = fit(net, x, y, optimizer=nn.SGD(0.0), sample_weight=weights)
    repeated = np.repeat(np.arange(len(x)), weights)
    wanted = nn.evaluate(net, x[repeated], y[repeated], loss=nn.SoftmaxCrossEntropy())
    assert history["data_loss"] == [pytest.approx(wanted["data_loss"], rel=1e-13)]


def test_penalty_and_total_are_those_of_the_epochs_end():
    net = network(penalty=nn.L2(0.1))
    history = fit(net, epochs=3)
    assert history.last["penalty"] == net.penalty_value()
    assert history["total"] == [
        a + b for a, b in zip(history["data_loss"], history["penalty"], strict=True)
    ]


def test_columns_come_in_a_fixed_order():
    history = fit(network(), metrics=["accuracy"], validation_split=0.2)
    wanted = "epoch data_loss penalty total accuracy val_data_loss val_accuracy seconds"
    assert list(history.to_dict()) == wanted.split()


def test_the_epoch_column_goes_on_counting():
    net = network()
    fit(net, epochs=2)
    assert fit(net, epochs=2)["epoch"] == [3, 4]


# --- Sample weights -------------------------------------------------------------------------------


def gradient(x, y, weights=None):
    net = network()
    net.layers[2].keep_prob = 1.0
    outputs, cache = net.forward(x, training=True)
    return net.backward(nn.SoftmaxCrossEntropy()(outputs, y, weights=weights)[1], cache).vector


def trained(x, y, **options):
    """Return the parameters after two steps, each on all rows."""
    net = network()
    net.layers[2].keep_prob = 1.0
    fit(net, x, y, epochs=2, batch_size=1000, **options)
    return net.parameters.vector


@pytest.mark.parametrize("after", [gradient, trained])
def test_a_weight_of_zero_is_a_removed_row(after):
    x, y = problem()
    weights = (np.arange(len(x)) % 4 > 0).astype(float)
    options = {"weights" if after is gradient else "sample_weight": weights}
    np.testing.assert_allclose(
        after(x, y, **options), after(x[weights > 0], y[weights > 0]), atol=1e-14
    )


@pytest.mark.parametrize("after", [gradient, trained])
def test_whole_weights_are_repeated_rows(after):
    x, y = problem()
    weights = np.arange(len(x)) % 4
    rows = np.repeat(np.arange(len(x)), weights)
    options = {"weights" if after is gradient else "sample_weight": weights}
    np.testing.assert_allclose(after(x, y, **options), after(x[rows], y[rows]), atol=1e-14)


def test_a_batch_of_zero_weights_moves_nothing_but_the_counter():
    x, y = problem(32)
    net = network()
    weights = np.repeat([1.0, 0.0], 16)
    fit(net, x, y, sample_weight=weights, shuffle=False)
    only = network()
    fit(only, x[:16], y[:16], shuffle=False)
    assert (net.parameters.vector == only.parameters.vector).all()
    assert net.steps == 2


def test_equal_weights_are_no_weights():
    x, y = problem()
    np.testing.assert_allclose(
        trained(x, y, sample_weight=np.full(50, 7.0)), trained(x, y), atol=1e-14
    )


def test_weights_stay_with_their_rows_when_a_validation_part_is_split_off():
    x = np.arange(20.0).reshape(-1, 1)
    order = []

    class Noted(nn.MeanSquaredError):
        def compute(self, outputs, targets, weights=None, *options, **others):
            if weights is not None:
                order.extend(zip(targets.ravel(), weights, strict=True))
            return super().compute(outputs, targets, weights, *options, **others)

    fit(linear(), x / 20, x, loss=Noted(), sample_weight=x.ravel() + 100, validation_split=0.5)
    assert len(order) == 20, "ten rows in training, and ten in validation"
    assert all(weight == target + 100 for target, weight in order)


# --- Class weights --------------------------------------------------------------------------------


def test_class_weights_are_row_weights_by_class():
    x, y = problem()
    by_row = np.array([0.5, 1.0, 3.0])[y]
    weighted = trained(x, y, class_weight={0: 0.5, np.int64(2): 3.0})
    assert (weighted == trained(x, y, sample_weight=by_row)).all()


def test_balanced_gives_every_class_the_same_sum():
    x, y = problem()
    counts = np.bincount(y)
    by_row = (len(y) / (3 * counts))[y]
    assert [by_row[y == k].sum() for k in range(3)] == pytest.approx([50 / 3] * 3)
    assert (trained(x, y, class_weight="balanced") == trained(x, y, sample_weight=by_row)).all()


def test_balanced_looks_past_a_class_without_rows():
    x, y = problem()
    kept = y != 1
    by_row = np.array([1 / (2 * (y == 0).sum()), 0.0, 1 / (2 * (y == 2).sum())])[y] * kept.sum()
    balanced = trained(x[kept], y[kept], class_weight="balanced")
    np.testing.assert_allclose(
        balanced, trained(x[kept], y[kept], sample_weight=by_row[kept]), atol=1e-15
    )


def test_class_and_sample_weights_multiply():
    x, y = problem()
    rows = np.linspace(0, 2, len(x))
    both = trained(x, y, sample_weight=rows, class_weight={1: 4.0})
    assert (both == trained(x, y, sample_weight=rows * np.where(y == 1, 4.0, 1.0))).all()


@pytest.mark.parametrize("key", [1, True, np.True_, 1.0], ids=repr)
def test_class_weights_serve_yes_or_no_targets(key):
    x, y = problem()
    y = (y > 0).astype(bool).reshape(-1, 1)

    def parameters(**options):
        net = nn.Network([nn.Dense(1)], inputs=2, dtype="float64")
        fit(net, x, y, loss=nn.SigmoidCrossEntropy(), **options)
        return net.parameters.vector

    by_row = np.where(y.ravel(), 5.0, 1.0)
    assert (parameters(class_weight={key: 5.0}) == parameters(sample_weight=by_row)).all()


# --- evaluate and predict -------------------------------------------------------------------------


def test_evaluate_reports_loss_penalty_total_and_metrics():
    x, y = problem()
    net = network(penalty=nn.L2(0.1))
    found = nn.evaluate(net, x, y, loss=nn.SoftmaxCrossEntropy())
    assert list(found) == ["data_loss", "penalty", "total", "accuracy"]
    outputs = net.predict(x)
    assert found["data_loss"] == nn.SoftmaxCrossEntropy()(outputs, y)[0]
    assert found["accuracy"] == (outputs.argmax(axis=1) == y).mean()
    assert found["total"] == found["data_loss"] + found["penalty"]


def test_evaluate_changes_nothing():
    net = network(penalty=nn.L2(0.1))
    before = everything(net)
    nn.evaluate(net, *problem(), loss=nn.SoftmaxCrossEntropy())
    assert everything(net) == before


def test_evaluate_measures_by_default_what_the_loss_defines():
    x = problem()[0]
    found = nn.evaluate(network(), x, np.zeros((50, 3)), loss=nn.MeanSquaredError())
    assert (list(found), found["loss"]) == (["data_loss", "penalty", "total"], found["total"])


# --- Split, then weighted -------------------------------------------------------------------------


def test_a_row_of_weight_zero_is_no_validation_row():
    x, y = problem()
    _, held_out = prepare(network(), nn.SoftmaxCrossEntropy(), x, y, validation_split=0.4)
    outliers = np.isin(x[:, 0], held_out.x[:5, 0])
    weights = np.where(outliers, 0.0, 1.0)
    net = network()
    history = fit(net, x, y, sample_weight=weights, validation_split=0.4, metrics=["accuracy"])
    expected = nn.evaluate(net, held_out.x[5:], held_out.y[5:], loss=nn.SoftmaxCrossEntropy())
    assert history.last["val_data_loss"] == pytest.approx(expected["data_loss"], rel=1e-12)
    assert history.last["val_accuracy"] == expected["accuracy"]


def test_a_whole_weight_repeats_a_validation_row():
    x, y = problem()
    weights = 1.0 + np.arange(50) % 3
    data, held_out = prepare(network(), SQUARED, x, ONE_HOT[y], weights, validation_split=0.4)
    net = network()
    history = fit(net, x, ONE_HOT[y], loss=SQUARED, sample_weight=weights, validation_split=0.4)
    rows = np.repeat(np.arange(20), held_out.weights.astype(int))
    expected = nn.evaluate(net, held_out.x[rows], held_out.y[rows], loss=SQUARED)
    assert history.last["val_data_loss"] == pytest.approx(expected["data_loss"], rel=1e-12)
    assert sorted([*data.weights, *held_out.weights]) == sorted(weights)


@pytest.mark.parametrize("weights", [None, np.arange(50.0)])
def test_balanced_is_computed_on_the_training_rows(weights):
    x, y = problem()
    options = {"validation_split": 0.4, "class_weight": "balanced"}
    data, held_out = prepare(network(), nn.SoftmaxCrossEntropy(), x, y, weights, **options)
    sums = np.bincount(data.y, data.weights)
    np.testing.assert_allclose(sums, sums.mean())
    assert (held_out.weights is None) == (weights is None)


def test_a_class_that_the_split_removes_from_training_is_named():
    x, y = problem()
    y = np.where(y == 2, 0, y)
    _, held_out = prepare(network(), nn.SoftmaxCrossEntropy(), x, y, validation_split=0.4)
    y[x[:, 0] == held_out.x[0, 0]] = 2
    for class_weight in ("balanced", {2: 3.0}):
        with pytest.raises(ValueError, match=r"validation_split=0\.4 leaves no row of class 2"):
            fit(network(), x, y, validation_split=0.4, class_weight=class_weight)


def test_a_weight_too_small_for_the_dtype_counts_as_zero():
    x, y = problem()
    weights = np.where(np.arange(50) < 10, 1e-40, 1.0)
    nets = [network(dtype="float32"), network(dtype="float32")]
    for net, w in zip(nets, (weights, np.where(weights < 1, 0.0, 1.0)), strict=True):
        fit(net, x, y, sample_weight=w, batch_size=5, shuffle=False)
    assert everything(nets[0]) == everything(nets[1])
