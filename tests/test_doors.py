"""The door for data: whatever comes in, every entry point names it, and nothing has changed."""

import numpy as np
import pytest
from small import everything

import nnreg as nn

X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.array([0, 1, 0, 1, 0, 1])
SOFTMAX = nn.SoftmaxCrossEntropy()


def network():
    """Return a network as wide at its end as at its beginning, so that X fits at both."""
    return nn.Network([nn.Dense(3), nn.Tanh(), nn.Dense(2)], inputs=2, penalty=nn.L2(0.1))


def train(net, x=X, y=Y, **options):
    return nn.fit(net, x, y, **({"loss": SOFTMAX, "optimizer": nn.SGD(0.1), "epochs": 1} | options))


def backward(net, doutputs):
    _, cache = net.forward(X, training=True)
    net.steps = 0
    net.backward(doutputs, cache)


ENTRIES = {  # where an array of rows comes in, and what its argument is called
    "forward": ("x", lambda net, x: net.forward(x)),
    "forward in training": ("x", lambda net, x: net.forward(x, training=True)),
    "predict": ("x", lambda net, x: net.predict(x)),
    "backward": ("doutputs", backward),
    "fit": ("x", lambda net, x: train(net, x)),
    "fit, validation": ("validation x", lambda net, x: train(net, validation_data=(x, Y))),
    "evaluate": ("x", lambda net, x: nn.evaluate(net, x, Y, loss=SOFTMAX)),
    "a loss": ("outputs", lambda net, x: SOFTMAX(x, Y)),
}
each_entry = pytest.mark.parametrize(("name", "entry"), ENTRIES.values(), ids=ENTRIES)


def spoiled(value, dtype="float64"):
    array = X.astype(dtype)
    array[4, 1] = value
    return array


SHAPED = {  # what came, which error, what it says besides the argument's name
    "one row": (X[0], r"must have shape \(N, .*got shape \(2,\)"),
    "one number": (1.5, r"must have shape \(N, .*got shape \(\)"),
    "rank 3": (X[np.newaxis], r"must have shape \(N, .*got shape \(1, 6, 2\)"),
    "no rows": (X[:0], r"must not be empty, got shape \(0, 2\)"),
    "masked": (np.ma.masked_less(X, 0), "must not have masked values"),
    "no list": ([], r"must have shape \(N, .*got shape \(0,\)"),
    "ragged rows": ([[1.0, 2.0], [3.0]], "must be an array of numbers, got rows of different len"),
}

KINDS = {
    "complex": (X + 0j, "must hold real numbers, got dtype complex128"),
    "words": ([["a", "b"]] * 6, r"must hold real numbers, got dtype <U1"),
    "numbers as words": (X.astype(str), r"must hold real numbers, got dtype <U"),
    "objects": (X.astype(object), "must hold real numbers, got dtype object"),
    "None": (None, "must hold real numbers, got dtype object"),
    "a dict": ({"x": 1}, "must hold real numbers, got dtype object"),
    "a generator": ((row for row in X), "must hold real numbers, got dtype object"),
    "dates": (np.zeros((6, 2), "datetime64[s]"), r"must hold real numbers, got dtype datetime64"),
    "records": (np.zeros(6, [("a", "f8"), ("b", "f8")]), "must hold real numbers, got dtype"),
    "bytes": (X.astype("S"), r"must hold real numbers, got dtype \|S"),
}

VALUES = {
    "NaN": (spoiled(np.nan), r"must be finite, got nan at index \[4, 1\]"),
    "inf": (spoiled(np.inf), r"must be finite, got inf at index \[4, 1\]"),
    "-inf": (spoiled(-np.inf), r"must be finite, got -inf at index \[4, 1\]"),
    "NaN in float32": (spoiled(np.nan, "float32"), r"must be finite, got nan at index \[4, 1\]"),
    "NaN in float16": (spoiled(np.nan, "float16"), r"must be finite, got nan at index \[4, 1\]"),
}


def refused(error, wanted, act, net, *optimizers):
    """Assert that ``act`` raises ``error`` with a message like ``wanted`` and changes nothing."""
    before = everything(net, *optimizers)
    with pytest.raises(error, match=wanted) as caught:
        act()
    assert type(caught.value) is error
    assert everything(net, *optimizers) == before


@each_entry
@pytest.mark.parametrize(("given", "wanted"), SHAPED.values(), ids=SHAPED)
def test_the_wrong_shape_is_named(name, entry, given, wanted):
    net = network()
    refused(ValueError, f"^{name} {wanted}", lambda: entry(net, given), net)


@each_entry
@pytest.mark.parametrize(("given", "wanted"), KINDS.values(), ids=KINDS)
def test_what_is_no_array_of_real_numbers_is_named(name, entry, given, wanted):
    net = network()
    refused(TypeError, f"^{name} {wanted}", lambda: entry(net, given), net)


@each_entry
@pytest.mark.parametrize(("given", "wanted"), VALUES.values(), ids=VALUES)
def test_the_first_value_that_is_not_finite_is_named(name, entry, given, wanted):
    net = network()
    refused(ValueError, rf"^{name}( \(as float32\))? {wanted}", lambda: entry(net, given), net)


@each_entry
@pytest.mark.parametrize("columns", [1, 3])
def test_the_wrong_width_is_named(name, entry, columns):
    net = network()
    wanted = rf"^{name} must have shape \(N, 2\), .*got shape \(6, {columns}\)"
    if name == "outputs":  # a loss has no width of its own; the targets tell
        wanted = r"^targets must have exactly the outputs' shape"
        entry = lambda net, x: nn.MeanSquaredError()(x, X)  # noqa: E731
    refused(ValueError, wanted, lambda: entry(net, np.ones((6, columns))), net)


@each_entry
def test_float64_data_beyond_float32_are_named(name, entry):
    if name == "outputs":
        pytest.skip("a loss computes in the dtype of its outputs")
    net = network()
    wanted = (
        rf"^{name} (must fit into float32|\(as float32\) must be finite), got .* at index \[4, 1\]"
    )
    refused(ValueError, wanted, lambda: entry(net, spoiled(1e300)), net)
    assert np.isfinite(net.copy("float64").predict(spoiled(1e300))).all()


def test_a_bad_value_in_a_later_part_is_named_by_its_own_row():
    many = np.zeros((5000, 2))
    many[4000, 1] = np.nan
    with pytest.raises(ValueError, match=r"x .*must be finite, got nan at index \[4000, 1\]"):
        network().predict(many)


@pytest.mark.parametrize("rows", [5, 7])
@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (lambda net, y: train(net, y=y), "y and x"),
        (lambda net, y: train(net, validation_data=(X, y)), "validation y and validation x"),
        (lambda net, y: nn.evaluate(net, X, y, loss=SOFTMAX), "y and x"),
        (lambda net, y: SOFTMAX(X, y), "targets and outputs"),
        (lambda net, y: backward(net, np.ones((len(y), 2))), "doutputs and the outputs"),
    ],
    ids=["fit", "fit, validation", "evaluate", "a loss", "backward"],
)
def test_rows_that_disagree_are_counted(entry, wanted, rows):
    net = network()
    wanted = rf"^{wanted} must agree in rows, got {rows} and 6"
    refused(ValueError, wanted, lambda: entry(net, np.zeros(rows, int)), net)


# --- What is welcome ------------------------------------------------------------------------------


class Frame:
    """As much of a data frame as an array is made from."""

    def __array__(self, dtype=None, copy=None):
        return np.array(np.arange(12.0).reshape(6, 2), dtype)


def memory_mapped(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(12.0).reshape(6, 2))
    return np.load(path, mmap_mode="r")


def read_only(_):
    x = np.arange(12.0).reshape(6, 2)
    x.flags.writeable = False
    return x


WELCOME = {
    "list": lambda _: np.arange(12.0).reshape(6, 2).tolist(),
    "tuple of rows": lambda _: tuple(map(tuple, np.arange(12).reshape(6, 2).tolist())),
    "list of arrays": lambda _: list(np.arange(12.0).reshape(6, 2)),
    "data frame": lambda _: Frame(),
    "Fortran order": lambda _: np.asfortranarray(np.arange(12.0).reshape(6, 2)),
    "every other column": lambda _: np.arange(24.0).reshape(6, 4)[:, ::2] / 2,
    "masked nowhere": lambda _: np.ma.masked_less(np.arange(12.0).reshape(6, 2), 0),
    "backward rows": lambda _: np.arange(12.0).reshape(6, 2)[::-1].copy()[::-1],
    "broadcast": lambda _: np.arange(12.0).reshape(6, 2) + np.broadcast_to(0.0, (6, 2)),
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "uint8": lambda _: np.arange(12, dtype=np.uint8).reshape(6, 2),
    "int64": lambda _: np.arange(12).reshape(6, 2),
    "float16": lambda _: np.arange(12, dtype=np.float16).reshape(6, 2),
    "float32": lambda _: np.arange(12, dtype=np.float32).reshape(6, 2),
    "other byte order": lambda _: np.arange(12, dtype=">f4").reshape(6, 2),
    "longdouble": lambda _: np.arange(12, dtype=np.longdouble).reshape(6, 2),
}
each_welcome = pytest.mark.parametrize("make", WELCOME.values(), ids=WELCOME)


@each_welcome
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_numbers_are_the_same_data_however_they_come(make, dtype, tmp_path):
    def outcome(x):
        net = network().copy(dtype)
        history = train(net, x, epochs=2, batch_size=4, validation_data=(x, Y), shuffle=False)
        outputs, _ = net.forward(x)
        assert outputs.dtype == net.parameters.vector.dtype == dtype
        assert (outputs == net.predict(x)).all()
        return outputs.tobytes(), history["val_data_loss"], everything(net)

    assert outcome(make(tmp_path)) == outcome(np.arange(12.0).reshape(6, 2))


def test_bools_are_zeros_and_ones():
    bits = X > 0

    def outcome(x):
        net = network()
        return train(net, x)["data_loss"], net.predict(x).tobytes(), everything(net)

    assert outcome(bits) == outcome(bits.astype(float))


@each_welcome
def test_data_are_never_written_to(make, tmp_path):
    x = make(tmp_path)
    if not isinstance(x, np.ndarray) or not x.flags.writeable:
        pytest.skip("nobody could")
    x.flags.writeable = False
    net = network()
    train(net, x, epochs=2, validation_split=0.5)
    net.predict(x)
    _, cache = net.forward(x, training=True)
    doutputs = np.ones((6, 2), "float32")
    doutputs.flags.writeable = False
    net.backward(doutputs, cache)


def test_labels_may_be_any_integers():
    outcomes = set()
    for kind in ("int8", "uint8", "int64", "uint64", ">i4", list, tuple):
        net = network()
        train(net, y=kind(Y.tolist()) if isinstance(kind, type) else Y.astype(kind))
        outcomes.add(net.parameters.vector.tobytes())
    assert len(outcomes) == 1
