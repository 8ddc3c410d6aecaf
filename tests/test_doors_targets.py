"""The door for targets: what a loss cannot mean is refused at once, wherever it comes in."""

import numpy as np
import pytest
from small import everything

import nnreg as nn

X = np.random.default_rng(0).normal(size=(6, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2])
REAL = np.ones((6, 3))


def network(outputs=3):
    return nn.Network([nn.Dense(4), nn.ReLU(), nn.Dense(outputs)], inputs=2)


def train(net, y, loss, **options):
    return nn.fit(net, X, y, **({"loss": loss, "optimizer": nn.SGD(0.1), "epochs": 1} | options))


def good(loss, net):
    """Return targets that are right."""
    outputs = net.widths[-1]
    return LABELS % outputs if isinstance(loss, nn.SoftmaxCrossEntropy) else np.ones((6, outputs))


ENTRIES = {  # where targets come in, and what the message begins with
    "fit": ("y: targets", lambda net, y, loss: train(net, y, loss)),
    "fit, validation": (
        "validation y: targets",
        lambda net, y, loss: train(net, good(loss, net), loss, validation_data=(X, y)),
    ),
    "evaluate": ("y: targets", lambda net, y, loss: nn.evaluate(net, X, y, loss=loss, metrics=())),
    "the loss": ("targets", lambda net, y, loss: loss(net.predict(X), y)),
}
each_entry = pytest.mark.parametrize(("name", "entry"), ENTRIES.values(), ids=ENTRIES)


def refused(error, wanted, act, *parts):
    """Assert that ``act`` raises ``error`` with a message like ``wanted`` and changes nothing."""
    before = everything(*parts)
    with pytest.raises(error, match=wanted) as caught:
        act()
    assert type(caught.value) is error
    assert everything(*parts) == before


def swapped(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


SOFTMAX, SIGMOID, SQUARED = (
    nn.SoftmaxCrossEntropy(),
    nn.SigmoidCrossEntropy(),
    nn.MeanSquaredError(),
)

WRONG = {  # loss, outputs, targets, error, what it says besides the argument's name
    "label too large": (
        SOFTMAX,
        3,
        swapped(LABELS, 4, 3),
        ValueError,
        r"must be class numbers from 0 to 2, got 3 at index \[4\]",
    ),
    "labels that begin with 1": (
        SOFTMAX,
        3,
        LABELS + 1,
        ValueError,
        r"must be class numbers from 0 to 2, got 3 at index \[2\]",
    ),
    "negative label": (
        SOFTMAX,
        3,
        swapped(LABELS, 1, -1),
        ValueError,
        r"must be class numbers .*got -1 at index \[1\]",
    ),
    "uint64 label": (
        SOFTMAX,
        3,
        np.full(6, 2**64 - 1, "uint64"),
        ValueError,
        r"got 18446744073709551615 at index",
    ),
    "float labels": (
        SOFTMAX,
        3,
        LABELS * 1.0,
        TypeError,
        r"must be integer class numbers, got dtype float64",
    ),
    "bool labels": (
        SOFTMAX,
        3,
        LABELS > 1,
        TypeError,
        "must be integer class numbers, got dtype bool",
    ),
    "labels as text": (
        SOFTMAX,
        3,
        list("abcabc"),
        TypeError,
        "must hold real numbers, got dtype <U1",
    ),
    "labels as objects": (
        SOFTMAX,
        3,
        LABELS.astype(object),
        TypeError,
        "real numbers, got dtype object",
    ),
    "complex labels": (
        SOFTMAX,
        3,
        LABELS + 0j,
        TypeError,
        "must hold real numbers, got dtype complex",
    ),
    "None": (SOFTMAX, 3, None, TypeError, "must hold real numbers, got dtype object"),
    "a column of labels": (
        SOFTMAX,
        3,
        LABELS[:, np.newaxis],
        ValueError,
        r"shape \(N,\) or .* \(N, 3\), got shape \(6, 1\)",
    ),
    "one-hot, too narrow": (
        SOFTMAX,
        3,
        np.eye(2)[LABELS % 2],
        ValueError,
        r"\(N, 3\), got shape \(6, 2\)",
    ),
    "one label": (SOFTMAX, 3, 1, ValueError, r"got shape \(\)"),
    "ragged": (SOFTMAX, 3, [[1, 0, 0], [1]], ValueError, "got rows of different lengths"),
    "no distribution": (
        SOFTMAX,
        3,
        np.ones((6, 3)),
        ValueError,
        r"add up to 1 in each row, got \[1. 1. 1.\] in row 0",
    ),
    "negative probability": (
        SOFTMAX,
        3,
        swapped(np.eye(3)[LABELS], 2, [-1, 1, 1]),
        ValueError,
        "in each row, got .* in row 2",
    ),
    "NaN probability": (
        SOFTMAX,
        3,
        swapped(np.eye(3)[LABELS], (5, 1), np.nan),
        ValueError,
        r"must be finite, got nan at index \[5, 1\]",
    ),
    "one-hot to one yes or no": (
        SIGMOID,
        1,
        np.eye(2)[LABELS % 2],
        ValueError,
        r"must have exactly the outputs' shape, \(N, 1\), got shape \(6, 2\)",
    ),
    "flat yes or no": (
        SIGMOID,
        1,
        LABELS % 2,
        ValueError,
        r"\(N, 1\), got shape \(6,\) \(targets.reshape\(-1, 1\)",
    ),
    "class numbers for yes or no": (
        SIGMOID,
        1,
        LABELS[:, np.newaxis],
        ValueError,
        r"must lie in \[0, 1\], got 2.0 at index \[2, 0\]",
    ),
    "-1 and 1": (
        SIGMOID,
        3,
        -REAL,
        ValueError,
        r"must lie in \[0, 1\], got -1.0 at index \[0, 0\]",
    ),
    "flat real targets": (
        SQUARED,
        1,
        LABELS * 1.0,
        ValueError,
        r"\(N, 1\), got shape \(6,\) \(targets.reshape\(-1, 1\)",
    ),
    "flat for many outputs": (SQUARED, 3, LABELS * 1.0, ValueError, r"\(N, 3\), got shape \(6,\)$"),
    "a row that could broadcast": (
        SQUARED,
        3,
        REAL[:1],
        ValueError,
        "must agree in rows, got 1 and 6",
    ),
    "a column that could broadcast": (SQUARED, 3, REAL[:, :1], ValueError, r"got shape \(6, 1\)"),
    "real NaN": (
        SQUARED,
        3,
        swapped(REAL, (3, 2), np.nan),
        ValueError,
        r"be finite, got nan at index \[3, 2\]",
    ),
    "real inf": (nn.Huber(), 3, swapped(REAL, (3, 2), -np.inf), ValueError, "got -inf at index"),
    "complex": (SQUARED, 3, REAL + 0j, TypeError, "must hold real numbers, got dtype complex128"),
    "negative counts": (
        nn.Poisson(),
        3,
        swapped(REAL, (1, 1), -2),
        ValueError,
        r"must lie in \[0, inf\], got -2.0 at index \[1, 1\]",
    ),
    "empty": (SQUARED, 3, np.ones((0, 3)), ValueError, "must agree in rows, got 0 and 6"),
}


@each_entry
@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "error", "wanted"), WRONG.values(), ids=WRONG
)
def test_targets_that_a_loss_cannot_mean_are_named(
    name, entry, loss, outputs, targets, error, wanted
):
    net = network(outputs)
    name = name.removesuffix(": targets") if "agree in rows" in wanted else name
    refused(error, f"^{name}.* ?{wanted}", lambda: entry(net, targets, loss), net)


@each_entry
def test_targets_beyond_float32_are_named(name, entry):
    net = network()
    if name == "targets":
        pytest.skip("a loss computes in the dtype of its outputs")
    wanted = rf"^{name} must fit into float32, got 1e\+300 at index \[2, 1\]"
    refused(ValueError, wanted, lambda: entry(net, swapped(REAL, (2, 1), 1e300), SQUARED), net)


@pytest.mark.parametrize("targets", [1.5, None, "abc", np.ones((5, 1)), [[np.nan]] * 6], ids=str)
@pytest.mark.parametrize("entry", ["fit", "fit, validation", "evaluate"])
def test_a_loss_of_ones_own_gets_checked_targets(entry, targets):
    class Own(nn.Loss):
        def __call__(self, outputs, targets):
            return ((outputs - targets) ** 2).mean(), 2 * (outputs - targets) / outputs.size

    net, (_, act) = network(1), ENTRIES[entry]
    before = everything(net)
    with pytest.raises((TypeError, ValueError), match=r"^(validation )?y"):
        act(net, targets, Own())
    assert everything(net) == before


def test_rows_of_probabilities_may_be_a_little_off():
    net = network()
    train(net, np.full((6, 3), 1 / 3, "float32"), SOFTMAX)
    train(net, np.array([[1, 0, 0]] * 6), SOFTMAX)
