"""The door for row weights and validation data: what cannot be meant is refused before training."""

import numpy as np
import pytest
from small import everything

import nnreg as nn

X = np.random.default_rng(0).normal(size=(6, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2])
REAL = np.ones((6, 3))
SOFTMAX, SQUARED = nn.SoftmaxCrossEntropy(), nn.MeanSquaredError()


def network():
    return nn.Network([nn.Dense(4), nn.ReLU(), nn.Dense(3)], inputs=2)


def train(net, y, loss, **options):
    return nn.fit(net, X, y, **({"loss": loss, "optimizer": nn.SGD(0.1), "epochs": 1} | options))


def refused(error, wanted, act, *parts):
    """Assert that ``act`` raises ``error`` with a message like ``wanted`` and changes nothing."""
    before = everything(*parts)
    with pytest.raises(error, match=wanted) as caught:
        act()
    assert type(caught.value) is error
    assert everything(*parts) == before


WEIGHTS = {
    "negative": ([1, 1, -1, 1, 1, 1], ValueError, r"must not be negative, got -1 at index \[2\]"),
    "all zero": (np.zeros(6), ValueError, "must not all be zero"),
    "too few": (np.ones(5), ValueError, r"must have shape \(6,\), one weight a row, got \(5,\)"),
    "a column": (np.ones((6, 1)), ValueError, r"must have shape \(6,\), .*got \(6, 1\)"),
    "one number": (2.0, ValueError, r"must have shape \(6,\), .*got \(\)"),
    "NaN": ([1, 1, 1, np.nan, 1, 1], ValueError, r"must be finite, got nan at index \[3\]"),
    "text": (["1"] * 6, TypeError, "must hold real numbers, got dtype <U1"),
    "complex": (np.ones(6) + 0j, TypeError, "must hold real numbers, got dtype complex128"),
    "a dict": ({0: 1.0}, TypeError, "must hold real numbers, got dtype object"),
}


@pytest.mark.parametrize(("weights", "error", "wanted"), WEIGHTS.values(), ids=WEIGHTS)
def test_sample_weights_that_are_none_are_named(weights, error, wanted):
    net = network()
    act = lambda: train(net, LABELS, SOFTMAX, sample_weight=weights)  # noqa: E731
    refused(error, f"^sample_weight {wanted}", act, net)
    with pytest.raises(error, match=f"^weights {wanted}"):
        SOFTMAX(net.predict(X), LABELS, weights=weights)


def test_sample_weights_beyond_float32_are_named():
    net = network()
    wanted = r"^sample_weight must fit into float32, got 1e\+300 at index \[0\]"
    refused(
        ValueError,
        wanted,
        lambda: train(net, LABELS, SOFTMAX, sample_weight=np.full(6, 1e300)),
        net,
    )


def test_weights_that_a_split_leaves_all_zero_are_named():
    net, held = network(), []
    look = lambda outputs, targets: held.append(targets.ravel().tolist()) or 0.0  # noqa: E731
    numbers, options = np.arange(6.0)[:, np.newaxis] * np.ones(3), {"validation_split": 0.5}
    train(network(), numbers, SQUARED, metrics=look, **options)
    weights = np.isin(np.arange(6), held[-1]) * 1.0
    wanted = "^sample_weight of the rows kept must not all be zero"
    act = lambda: train(net, LABELS, SOFTMAX, sample_weight=weights, **options)  # noqa: E731
    refused(ValueError, wanted, act, net)


CLASS_WEIGHTS = {
    "list": ([1.0, 2.0, 3.0], TypeError, r'must be a dict or "balanced", got \[1'),
    "misspelt": (
        "balance",
        ValueError,
        r"must be one of 'balanced', got 'balance' \(did you mean 'balanced'",
    ),
    "class not there": ({3: 1.0}, ValueError, r"must name classes that y has, \[0, 1, 2\], got 3"),
    "class as text": ({"1": 1.0}, ValueError, r"must name classes that y has, .*got '1'"),
    "negative": ({1: -1.0}, ValueError, r"\[1\] must be a number in \[0, inf.*got -1.0"),
    "NaN": ({1: np.nan}, ValueError, r"\[1\] must be a number in \[0, inf.*got nan"),
    "text": ({1: "2"}, TypeError, r"\[1\] must be a number in \[0, inf.*got '2'"),
}


@pytest.mark.parametrize(("given", "error", "wanted"), CLASS_WEIGHTS.values(), ids=CLASS_WEIGHTS)
def test_class_weights_that_are_none_are_named(given, error, wanted):
    net = network()
    act = lambda: train(net, LABELS, SOFTMAX, class_weight=given)  # noqa: E731
    refused(error, f"^class_weight ?{wanted}", act, net)


def test_class_weights_of_zero_for_all_are_named():
    net = network()
    act = lambda: train(net, LABELS, SOFTMAX, class_weight=dict.fromkeys(range(3), 0.0))  # noqa: E731
    refused(ValueError, "^sample_weight times class_weight must not all be zero", act, net)


@pytest.mark.parametrize(
    ("loss", "y", "wanted"),
    [
        (SOFTMAX, np.eye(3)[LABELS], r"one class number a row, .*got shape \(6, 3\)"),
        (SQUARED, REAL, r"one class number a row, .*got shape \(6, 3\)"),
        (SQUARED, np.full((6, 1), 0.5), r"class numbers, got 0.5 at index \[0\]"),
    ],
    ids=["one-hot", "many outputs", "real"],
)
@pytest.mark.parametrize("given", ["balanced", {0: 1.0}], ids=str)
def test_class_weights_need_classes(loss, y, wanted, given):
    net = nn.Network([nn.Dense(y.shape[1])], inputs=2)
    act = lambda: train(net, y, loss, class_weight=given)  # noqa: E731
    refused(ValueError, f"^class_weight needs targets that are {wanted}", act, net)


@pytest.mark.parametrize(
    "option", [{"sample_weight": np.ones(6)}, {"class_weight": "balanced"}], ids=str
)
def test_weights_need_a_loss_that_takes_them(option):
    class Own(nn.Loss):
        def __call__(self, outputs, targets):
            return outputs.sum(), np.ones_like(outputs)

    net = network()
    wanted = "sample_weight and class_weight need a loss whose __call__ takes weights, Own does not"
    refused(TypeError, wanted, lambda: train(net, LABELS, Own(), **option), net)


# --- Validation data ------------------------------------------------------------------------------

VALIDATION = {
    "one array": (
        {"validation_data": X},
        TypeError,
        r"validation_data must be a pair .*, got ndarray",
    ),
    "a number": (
        {"validation_data": 0.2},
        TypeError,
        r"validation_data must be a pair .*, got float",
    ),
    "three things": (
        {"validation_data": (X, LABELS, LABELS)},
        TypeError,
        "validation_data must be a pair .*, got 3 things",
    ),
    "both": (
        {"validation_data": (X, LABELS), "validation_split": 0.2},
        ValueError,
        "validation_data and validation_split exclude each other",
    ),
    "all rows": (
        {"validation_split": 1.0},
        ValueError,
        r"validation_split must be a number in \[0, 1\)",
    ),
    "a percentage": ({"validation_split": 20}, ValueError, r"validation_split must be .*, got 20"),
    "negative": ({"validation_split": -0.1}, ValueError, r"validation_split must be .*, got -0.1"),
    "text": ({"validation_split": "0.2"}, TypeError, r"validation_split must be .*, got '0.2'"),
    "bool": ({"validation_split": True}, TypeError, r"validation_split must be .*, got True"),
    "none held out": (
        {"validation_split": 0.01},
        ValueError,
        r"validation_split=0.01 leaves none of 6 rows for validation",
    ),
    "all held out": (
        {"validation_split": 0.99},
        ValueError,
        r"validation_split=0.99 leaves none of 6 rows for training",
    ),
}


@pytest.mark.parametrize(("options", "error", "wanted"), VALIDATION.values(), ids=VALIDATION)
def test_validation_data_that_are_none_are_named(options, error, wanted):
    net = network()
    refused(error, wanted, lambda: train(net, LABELS, SOFTMAX, **options), net)
