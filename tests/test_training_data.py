"""Validation data, metrics, sample weights and class weights in `fit`."""

import copy
import pickle

import numpy as np
import pytest
from small import Watch, everything, fit, linear, network, problem, unchanged

import nnreg as nn
from nnreg.lab import regularization_path
from nnreg.testing import diagnose
from nnreg.training.data import prepare

SQUARED, SOFTMAX, ONE_HOT = nn.MeanSquaredError(), nn.SoftmaxCrossEntropy(), np.eye(3)


class Rows:
    """A metric that notes which rows it was given, by their targets."""

    def __init__(self):
        self.seen = []

    def __call__(self, outputs, targets):
        assert outputs.shape == targets.shape
        self.seen.append(frozenset(targets.ravel().tolist()))
        return 0.0


class Noted(nn.MeanSquaredError):
    """A loss that notes the targets, the weights and the value of each batch."""

    def __init__(self):
        self.batches = []

    def compute(self, outputs, targets, weights=None, *options, **others):
        value, gradient = super().compute(outputs, targets, weights, *options, **others)
        self.batches.append((targets.ravel().tolist(), weights, float(value)))
        return value, gradient


def rows_of_fit(seed=0, **options):
    """Return the rows of training and of validation, epoch by epoch, of two fits."""
    rows, net = Rows(), nn.Network([nn.Dense(1)], inputs=1, seed=seed)
    y = np.arange(20.0).reshape(-1, 1)
    for _ in range(2):
        fit(net, y / 20, y, loss=SQUARED, metrics=[rows], epochs=2, **options)
    return rows.seen[::2], rows.seen[1::2]


# --- Validation -----------------------------------------------------------------------------------


def test_a_split_holds_out_its_share_of_the_rows_in_every_epoch_and_fit():
    training, validation = rows_of_fit(validation_split=0.3)
    assert ([len(rows) for rows in training], len({*validation})) == ([14] * 4, 1)
    assert training[0] | validation[0] == set(range(20))


def test_the_held_out_rows_depend_on_the_seed_and_are_not_the_first_or_last():
    splits = {rows_of_fit(seed, validation_split=0.3)[1][0] for seed in range(5)}
    assert len(splits) == 5
    assert not splits & {frozenset(range(6)), frozenset(range(14, 20))}


def test_held_out_rows_are_not_trained_on():
    (x, _), trained, rows = problem(), [], Rows()
    look = Watch(lambda x, cache: trained.extend(x[:, 0].tolist()))
    net = nn.Network([look, nn.Dense(2)], inputs=2, dtype="float64")
    fit(net, x, x, loss=SQUARED, metrics=[rows], validation_split=0.2)
    assert len(trained) == len(set(trained)) == 40
    assert not set(trained) & rows.seen[1]
    assert set(trained) < set(x[:, 0])


def test_given_validation_data_are_measured_in_inference_mode_at_the_epochs_end():
    net, plain = network(penalty=nn.L2(0.1)), network(penalty=nn.L2(0.1))
    history = fit(net, validation_data=problem(30, seed=1), metrics=["accuracy"], epochs=2)
    fit(plain, epochs=2)
    assert everything(net) == everything(plain), "measuring moves nothing"
    measured = nn.evaluate(net, *problem(30, seed=1), loss=SOFTMAX)
    assert history.last["val_data_loss"] == measured["data_loss"]
    assert history.last["val_accuracy"] == measured["accuracy"]
    assert history.last["penalty"] == measured["penalty"] == net.penalty_value()
    assert history.last["total"] == history.last["data_loss"] + measured["penalty"]


# --- What is recorded -----------------------------------------------------------------------------


def test_the_training_loss_weighs_batches_by_their_rows():
    loss, x = Noted(), np.arange(10.0).reshape(-1, 1)
    options = {"optimizer": nn.SGD(1e-3), "batch_size": 4, "shuffle": False}
    history = fit(linear(1), x, x**2, loss=loss, **options)
    sizes = [len(targets) for targets, _, _ in loss.batches]
    values = [value for _, _, value in loss.batches]
    assert sizes == [4, 4, 2]
    assert history["data_loss"] == [pytest.approx(np.dot(sizes, values) / 10, rel=1e-15)]
    assert abs(history["data_loss"][0] - np.mean(values)) > 1


def test_the_training_loss_is_taken_with_dropout_on():
    data_loss = {}
    for keep_prob in (0.5, 1.0):
        net = nn.Network([nn.Dropout(keep_prob=keep_prob), nn.Dense(3)], inputs=2, dtype="float64")
        data_loss[keep_prob] = fit(net, optimizer=nn.SGD(0.0)).last["data_loss"]
    inference = nn.evaluate(net, *problem(), loss=SOFTMAX)["data_loss"]
    assert data_loss[1.0] == pytest.approx(inference, rel=1e-14)
    assert data_loss[0.5] != pytest.approx(inference, rel=1e-3)


def test_the_training_loss_weighs_rows_by_their_weights():
    x, y = problem()
    weights = np.arange(len(x)) % 3
    net = without_dropout()
    history = fit(net, x, y, optimizer=nn.SGD(0.0), sample_weight=weights)
    repeated = np.repeat(np.arange(len(x)), weights)
    expected = nn.evaluate(net, x[repeated], y[repeated], loss=SOFTMAX)["data_loss"]
    assert history["data_loss"] == [pytest.approx(expected, rel=1e-13)]


def test_columns_come_in_a_fixed_order_and_epochs_go_on_counting():
    net, options = network(), {"metrics": ["accuracy"], "validation_split": 0.2, "epochs": 2}
    columns = "epoch data_loss penalty total accuracy val_data_loss val_accuracy seconds"
    assert list(fit(net, **options).to_dict()) == columns.split()
    assert fit(net, **options)["epoch"] == [3, 4]


# --- Sample weights -------------------------------------------------------------------------------


def without_dropout():
    net = network()
    net.layers[2].keep_prob = 1.0
    return net


def trained(x, y, **options):
    """Return the parameters after two steps, each on all rows."""
    net = without_dropout()
    fit(net, x, y, epochs=2, batch_size=1000, **options)
    return net.parameters.vector


@pytest.mark.parametrize("most", [1, 3])
def test_a_weight_of_zero_is_a_removed_row_and_whole_weights_repeat_rows(most):
    x, y = problem()
    weights = np.minimum(np.arange(len(x)) % 4, most)
    rows = np.repeat(np.arange(len(x)), weights)
    expected = trained(x[rows], y[rows])
    np.testing.assert_allclose(trained(x, y, sample_weight=weights), expected, atol=1e-14)


def test_a_batch_of_zero_weights_moves_nothing_but_the_counter():
    (x, y), net, only = problem(32), network(), network()
    fit(net, x, y, sample_weight=np.repeat([1.0, 0.0], 16), shuffle=False)
    fit(only, x[:16], y[:16], shuffle=False)
    assert (net.parameters.vector == only.parameters.vector).all()
    assert net.steps == 2


def test_weights_stay_with_their_rows_when_a_validation_part_is_split_off():
    loss, x = Noted(), np.arange(20.0).reshape(-1, 1)
    weights = x.ravel() + 100
    fit(linear(1), x / 20, x, loss=loss, sample_weight=weights, validation_split=0.5)
    pairs = [pair for y, w, _ in loss.batches if w is not None for pair in zip(y, w, strict=True)]
    assert len(pairs) == 20, "ten rows in training, and ten in validation"
    assert all(weight == target + 100 for target, weight in pairs)


# --- Class weights --------------------------------------------------------------------------------


LABELS = problem()[1]
BALANCED = (50 / (3 * np.bincount(LABELS)))[LABELS]
ROWS = np.linspace(0, 2, 50)


@pytest.mark.parametrize(
    ("options", "by_row"),
    [
        ({"class_weight": {0: 0.5, np.int64(2): 3.0}}, np.array([0.5, 1.0, 3.0])[LABELS]),
        ({"class_weight": "balanced"}, BALANCED),
        (
            {"sample_weight": ROWS, "class_weight": {1: 4.0}},
            ROWS * np.where(LABELS == 1, 4.0, 1.0),
        ),
    ],
    ids=["by class", "balanced", "multiplied"],
)
def test_class_weights_are_row_weights(options, by_row):
    x, y = problem()
    assert (trained(x, y, **options) == trained(x, y, sample_weight=by_row)).all()


def test_balanced_gives_every_class_that_has_rows_the_same_sum():
    x, y = problem()
    x, y = x[y != 1], y[y != 1]
    by_row = len(y) / (2 * np.bincount(y)[y])
    balanced = trained(x, y, class_weight="balanced")
    np.testing.assert_allclose(balanced, trained(x, y, sample_weight=by_row), atol=1e-15)


@pytest.mark.parametrize("key", [1, True, np.True_, 1.0], ids=repr)
def test_class_weights_serve_yes_or_no_targets(key):
    x, y = problem()
    y = (y > 0).astype(bool).reshape(-1, 1)

    def parameters(**options):
        net = linear(2)
        fit(net, x, y, loss=nn.SigmoidCrossEntropy(), **options)
        return net.parameters.vector

    by_row = np.where(y.ravel(), 5.0, 1.0)
    assert (parameters(class_weight={key: 5.0}) == parameters(sample_weight=by_row)).all()


# --- evaluate and predict -------------------------------------------------------------------------


def test_evaluate_reports_loss_penalty_total_and_metrics_and_changes_nothing():
    (x, y), net = problem(), network(penalty=nn.L2(0.1))
    with unchanged(net):
        result = nn.evaluate(net, x, y, loss=SOFTMAX)
    assert list(result) == ["data_loss", "penalty", "total", "accuracy"]
    outputs = net.predict(x)
    assert result["data_loss"] == SOFTMAX(outputs, y)[0]
    assert result["accuracy"] == (outputs.argmax(axis=1) == y).mean()
    assert result["total"] == result["data_loss"] + result["penalty"]
    result = nn.evaluate(net, x, np.zeros((50, 3)), loss=SQUARED)
    assert (list(result), result["loss"]) == (["data_loss", "penalty", "total"], result["total"])


# --- Split, then weighted -------------------------------------------------------------------------


def test_a_whole_weight_repeats_a_validation_row_and_zero_removes_it():
    (x, y), weights, net = problem(), np.arange(50) % 3, network()
    data, held_out, _ = prepare(net, SOFTMAX, x, y, weights, validation_split=0.4)
    assert len(held_out.x) < 20
    assert sorted([*data.weights[data.weights > 0], *held_out.weights]) == sorted(weights)[17:]
    options = {"sample_weight": weights, "validation_split": 0.4, "metrics": ["accuracy"]}
    history = fit(net, x, y, **options)
    rows = np.repeat(np.arange(len(held_out.x)), held_out.weights.astype(int))
    expected = nn.evaluate(net, held_out.x[rows], held_out.y[rows], loss=SOFTMAX)
    assert history.last["val_data_loss"] == pytest.approx(expected["data_loss"], rel=1e-12)
    measured = nn.evaluate(net, held_out.x[:], held_out.y, loss=SOFTMAX)
    assert history.last["val_accuracy"] == measured["accuracy"]


@pytest.mark.parametrize("weights", [None, np.arange(50.0)])
def test_balanced_is_computed_on_the_training_rows(weights):
    x, y = problem()
    options = {"validation_split": 0.4, "class_weight": "balanced"}
    data, held_out, _ = prepare(network(), SOFTMAX, x, y, weights, **options)
    sums = np.bincount(data.y, data.weights)
    np.testing.assert_allclose(sums, sums.mean())
    assert (held_out.weights is None) == (weights is None)


def test_a_class_that_the_split_removes_from_training_is_named():
    x, y = problem()
    y = np.where(y == 2, 0, y)
    _, held_out, _ = prepare(network(), SOFTMAX, x, y, validation_split=0.4)
    y[x[:, 0] == held_out.x[:1][0, 0]] = 2
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


# --- Batches of an iterable -----------------------------------------------------------------------


class Shuffled:
    """Batches that are drawn as `fit` draws them."""

    def __init__(self, net, x, y, *weights, size=16):
        self.net, self.arrays, self.size, self.read = net, (x, y, *weights), size, 0

    def __iter__(self):
        self.read += 1
        for rows in nn.batches(len(self.arrays[0]), self.size, self.net):
            yield tuple(array[rows] for array in self.arrays)


def cut(*arrays, size=16):
    starts = range(0, len(arrays[0]), size)
    return [tuple(array[start : start + size] for array in arrays) for start in starts]


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_train_to_the_bit_as_the_rows_that_they_have(weighted):
    (x, y), nets = problem(), [network(), network()]
    weights = [np.arange(1.0, 51.0)] * weighted
    named = {"sample_weight": weights[0]} if weighted else {}
    options = {"epochs": 3, "metrics": ["accuracy"], "batch_size": 16}
    histories = [
        fit(nets[0], x, y, **named, **options),
        fit(nets[1], Shuffled(nets[1], x, y, *weights), None, **options),
    ]
    assert everything(nets[0]) == everything(nets[1])
    for name in ("epoch", "data_loss", "accuracy"):
        assert histories[0][name] == pytest.approx(histories[1][name], rel=1e-13)


def test_a_metric_that_needs_every_class_sees_all_batches_at_once():
    def roc_auc_score(y, score):
        assert len(np.unique(y)) == 2
        return float(score.mean())

    roc_auc_score.__module__ = "sklearn.metrics"
    (x, y), net = problem(), linear(2, 2)
    order = np.argsort(y > 0, kind="stable")
    options = {"loss": SOFTMAX, "metrics": [roc_auc_score]}
    figures = nn.evaluate(net, cut(x[order], (y > 0)[order].astype(int)), **options)
    assert figures == nn.evaluate(net, x[order], (y > 0)[order].astype(int), **options)


def test_a_run_of_batches_is_resumed_in_the_middle_of_an_epoch(tmp_path):
    def run(folder, stop=None):
        net = network()
        data = Shuffled(net, *problem(), size=8)
        checkpoint = folder and nn.Checkpoint(folder, every_steps=1)
        fit(net, data, None, epochs=3, optimizer=nn.Adam(0.01), checkpoint=checkpoint, **stop or {})
        return everything(net)

    class Stop(nn.Callback):
        def on_batch_end(self, state):
            if state.net.steps == 10:
                raise InterruptedError

    class Go(nn.Callback):
        pass

    Go.__name__ = "Stop"
    with pytest.raises(InterruptedError):
        run(tmp_path, {"callbacks": [Stop()]})
    assert run(tmp_path, {"callbacks": [Go()]}) == run(None)


def test_batches_are_validation_data_and_are_evaluated_and_predicted():
    (x, y), net = problem(), network()
    batches = cut(x, y)
    history = fit(net, x, y, validation_data=batches, metrics=["accuracy"], epochs=2)
    figures = nn.evaluate(net, x, y, loss=SOFTMAX)
    assert history.last["val_data_loss"] == figures["data_loss"]
    assert nn.evaluate(net, batches, loss=SOFTMAX) == figures
    assert nn.evaluate(net, iter(batches), loss=SOFTMAX) == figures
    outputs = net.predict(x)
    for given in (iter(batches), (x for x, _ in batches), ([x, y] for x, y in batches)):
        assert (net.predict(given) == outputs).all()
    removed = nn.evaluate(net, cut(x, y, np.arange(50) % 2), loss=SOFTMAX)
    kept = nn.evaluate(net, x[1::2], y[1::2], loss=SOFTMAX)
    assert removed == pytest.approx(kept, rel=1e-14)


def test_an_iterator_serves_for_one_epoch():
    (x, y), nets = problem(), [network(), network()]
    fit(nets[0], iter(cut(x, y)), None, epochs=1)
    fit(nets[1], x, y, epochs=1, batch_size=16, shuffle=False)
    assert everything(nets[0]) == everything(nets[1])


class Once:
    """An iterable that returns the same iterator again, which only shows in the second epoch."""

    def __init__(self, batches):
        self.iterator = iter(batches)

    def __iter__(self):
        return self.iterator


def read_files():
    yield from cut(*problem())


STREAM = cut(*problem())
REFUSED = {
    "its function": (read_files, {}, r"got <function.*; give Data\(\).* lambda self: read_files\("),
    "a generator": (read_files(), {}, r"generator, which can be read once.*2 times.*read_files\("),
    "metrics": (iter(STREAM), {"epochs": 1, "metrics": ["accuracy"]}, "read once.*2 times"),
    "validation": (
        STREAM,
        {"validation_data": iter(STREAM)},
        "^validation_data is a list_iterator",
    ),
    "no batch": ([], {}, "^x must have a batch, got none"),
    "the same iterator": (Once(STREAM), {}, "^x has no more batches"),
    "all rows": (problem()[0], {}, "^x without y must be an iterable.*give y, too"),
    "a list of rows": (problem()[0].tolist(), {}, r"^batch 0 of x must be \(x, y\).*give y, too"),
    "a number": (3, {}, "^x without y must be an iterable"),
    "a dict": ([{"x": 1}], {}, r"^batch 0 of x must be \(x, y\) or \(x, y, weights\), got {'x'"),
    "columns": ([(np.ones((2, 3)), [0, 1])], {}, r"^batch 0 of x: x must have shape \(N, 2\)"),
    "a later batch": ([*STREAM, (np.ones((2, 2)), [0, 3])], {}, "^batch 4 of x: y: .*got 3"),
    "weights": (
        [(np.ones((2, 2)), [0, 1], [1.0, -1])],
        {},
        "^batch 0 of x: weights must not be neg",
    ),
    "sample_weight": (STREAM, {"sample_weight": np.ones(50)}, r"with each batch: \(x, y, weights"),
    "class_weight": (STREAM, {"class_weight": "balanced"}, "^class_weight needs all rows at once"),
    "validation_split": (STREAM, {"validation_split": 0.2}, "all rows.*; give validation_data"),
    "shuffle": (STREAM, {"shuffle": "blocks"}, "shuffle='blocks' needs all rows.*nn.batches"),
    "classes": (STREAM, {"classes": True}, r"all labels at once.*classes=\[...\]"),
}


@pytest.mark.reliability(
    input="Batches that cannot be used: a generator for several epochs, an iterator that was read, "
    "rows without targets, options that need all rows, a batch that does not fit",
    sees="The reason, and how to make the batches readable again; the number of the batch",
)
@pytest.mark.parametrize("name", REFUSED)
def test_batches_that_cannot_be_used_are_refused_with_the_reason(name):
    batches, options, words = REFUSED[name]
    net = network()
    before = everything(net)
    with pytest.raises((TypeError, ValueError), match=words):
        fit(net, batches, None, **{"epochs": 2} | options)
    if name not in ("the same iterator", "a later batch"):  # the others are seen before training
        assert everything(net) == before


def test_batches_beside_targets_are_refused():
    with pytest.raises(TypeError, match=r"x is a generator; batches come with.*omit y"):
        fit(network(), read_files(), problem()[1])


# --- Labels ---------------------------------------------------------------------------------------


def labels_of(y, kind):
    return np.array({"text": ["a", "b", "c"], "1..K": [1, 2, 3], "gaps": [-5, 0, 7]}[kind])[y]


@pytest.mark.parametrize("kind", ["text", "1..K", "gaps"])
def test_labels_train_as_their_numbers_and_come_back(kind):
    x, y = problem()
    labels, nets = labels_of(y, kind), [network(), network()]
    half = {"validation_data": (x, y), "metrics": ["accuracy"], "class_weight": {2: 3.0}}
    fit(nets[0], x, y, **half)
    half |= {"validation_data": (x, labels), "class_weight": {labels[y == 2][0].item(): 3.0}}
    fit(nets[1], x, labels, classes=True, **half)
    assert nets[1].classes == tuple(sorted(set(labels.tolist())))
    assert (nets[0].parameters.vector == nets[1].parameters.vector).all()
    figures = [nn.evaluate(n, x, t, loss=SOFTMAX) for n, t in zip(nets, (y, labels), strict=True)]
    assert figures[0] == figures[1]
    expected = np.array(nets[1].classes)[nets[1].predict(x).argmax(axis=1)]
    assert (nets[1].predict(x, classes=True) == expected).all()
    assert nn.check_gradients(nets[1], x, labels, SOFTMAX).passed
    assert nn.explain(nets[1], x, labels, SOFTMAX).report.passed
    assert diagnose(nets[1], x, labels, SOFTMAX).right


@pytest.mark.parametrize("container", ["list", "object", "bytes", "column", "Series", "category"])
def test_labels_come_in_every_container(container):
    x, y = problem()
    text = labels_of(y, "text")
    pandas = pytest.importorskip("pandas")
    given = {
        "list": text.tolist(),
        "object": text.astype(object),
        "bytes": text.astype("S"),
        "column": text[:, np.newaxis],
        "Series": pandas.Series(text, index=np.arange(50)[::-1]),
        "category": pandas.Series(text, dtype="category"),
    }[container]
    net = network()
    fit(net, x, given, classes=["b", "c", "a"])
    assert net.classes == ("b", "c", "a")
    plain = network()
    fit(plain, x, (y + 2) % 3)
    assert (plain.parameters.vector == net.parameters.vector).all()


def test_a_single_output_has_two_classes():
    (x, y), net = problem(), linear(2)
    labels = np.where(y > 0, "yes", "no")
    fit(net, x, labels, loss=nn.SigmoidCrossEntropy(), classes=True)
    other = linear(2)
    fit(other, x, (y > 0).reshape(-1, 1), loss=nn.SigmoidCrossEntropy())
    assert (net.parameters.vector == other.parameters.vector).all()
    expected = np.where(net.predict(x)[:, 0] > 0, "yes", "no")
    assert (net.predict(x, classes=True) == expected).all()


def test_classes_stay_with_the_network_through_every_copy_and_file(tmp_path):
    net = nn.Network([nn.Dense(3)], inputs=2, classes=["a", "b", "c"])
    nn.save(net, tmp_path / "net.npz")
    for copied in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copied.classes == ("a", "b", "c")
    loaded = nn.load(tmp_path / "net.npz")
    x, y = problem()
    assert (loaded.predict(x, classes=True) == net.predict(x, classes=True)).all()
    assert "classes=('a', 'b', 'c')" in repr(loaded)
    fit(loaded, x, labels_of(y, "text"))
    fit(loaded, x, labels_of(y, "text"), classes=True)
    fit(loaded, x, np.eye(3)[y])  # probabilities
    fit(loaded, cut(x, labels_of(y, "text")), None)


WORDS = labels_of(problem()[1], "text")
FLOATS = np.linspace(0, 1, 50)
WRONG = {
    "text without classes": (WORDS, {}, r"classes=True\) numbers the labels \['a', 'b', 'c'\]"),
    "1..K": (problem()[1] + 1, {}, r"from 0 to 2, got 3 .*classes=True\) numbers .* \[1, 2, 3\]"),
    "1.0, 2.0": (problem()[1] + 1.0, {}, r"got dtype float64.*classes=True.*\[1, 2, 3\]"),
    "too many": (np.arange(50) % 4, {"classes": True}, r"3 labels, one for each output.*got 4"),
    "numbers": (FLOATS, {"classes": True}, r"texts or whole numbers, got 0.0204.* at index \[1\]"),
    "missing": ([*WORDS[:-1], None], {"classes": True}, r"a label in each row, got None at \[49\]"),
    "mixed": ([*WORDS[:-1], 1], {"classes": True}, "all text or all numbers"),
    "classes of text and numbers": (WORDS, {"classes": ["a", "b", 1]}, "all text or all whole num"),
    "masked": (np.ma.masked_equal(problem()[1], 0), {"classes": True}, r"masked values: y\.filled"),
    "unknown": (WORDS, {"classes": ["a", "b", "d"]}, r"labels of net.classes.*got 'c' at index"),
    "numbers for texts": (
        problem()[1],
        {"classes": ["a", "b", "c"]},
        r"np.array\(net.classes\)\[y",
    ),
    "twice": (WORDS, {"classes": ["a", "b", "b"]}, "must be different, got 'b' more than once"),
    "a text": (WORDS, {"classes": "abc"}, "must be a sequence of labels .*, got 'abc'"),
    "a set": (WORDS, {"classes": {"a"}}, "must be a sequence of labels in their order.*, got {'a'"),
    "two texts": (
        np.stack([WORDS, WORDS], 1),
        {"classes": True},
        r"one label per row, got \(50, 2",
    ),
    "weights": (WORDS, {"classes": True, "class_weight": {"d": 1.0}}, r"in y, \['a', 'b', 'c'\]"),
    "a regression": (
        WORDS,
        {"classes": True, "loss": SQUARED},
        "needs a loss that predicts classes",
    ),
}


@pytest.mark.reliability(
    input="Labels that are text or 1 to K without `classes=`, unknown, missing, mixed or too many",
    sees="`...; fit(..., classes=True) numbers the labels ['a', 'b', 'c']`, or the first wrong "
    "label and its index; nothing has changed",
)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_labels_are_refused_and_change_nothing(name):
    y, options, words = WRONG[name]
    net = network()
    before = everything(net)
    with pytest.raises((TypeError, ValueError), match=words):
        fit(net, problem()[0], y, **options)
    assert everything(net) == before
    assert net.classes is None


def test_a_regularization_path_takes_labels():
    x, y = problem()
    nets = [linear(2, 3), linear(2, 3)]
    nets[1].classes = ["a", "b", "c"]
    paths = [
        regularization_path(net, x, t, loss=SOFTMAX, points=3, test_data=(x, t))
        for net, t in zip(nets, (y, WORDS), strict=True)
    ]
    assert (paths[0].weights == paths[1].weights).all()


def test_the_classes_of_a_network_are_not_replaced_by_others():
    net = nn.Network([nn.Dense(3)], inputs=2, classes=["a", "b", "c"])
    with pytest.raises(ValueError, match="must be those of the network"):
        fit(net, problem()[0], WORDS, classes=["c", "b", "a"])
    with pytest.raises(ValueError, match=r"classes=True needs a network with classes: fit\("):
        network().predict(problem()[0], classes=True)
