"""Training on data and with settings at the edge: what is trained on, refused, or not finite."""

import math
import re

import numpy as np
import pytest
from small import OPTIMIZERS, error_of, fit, network, problem, unchanged

import nnreg as nn

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


# --- Data that is trained on ----------------------------------------------------------------------

X, Y = problem(20)
LABELS = np.arange(20) % 2 * 9_000


def net(inputs=2, outputs=3, **options):
    layers = [nn.Dense(8), nn.ReLU(), nn.Dense(outputs)]
    return nn.Network(layers, inputs=inputs, seed=0, **options)


TRAINED = {  # the network, inputs, labels, and a fact about the network after training
    "a column of zeros": (
        net,
        X * [0, 1],
        Y,
        lambda n: (n.parameters.vector[:8] == net(dtype=n.dtype).parameters.vector[:8]).all(),
    ),
    "a constant column": (net, X * [0, 1] + [5, 0], Y, lambda n: n.steps == 6),
    "one row": (net, X[:1], Y[:1], lambda n: n.predict(X[:1]).argmax() == Y[0]),
    "one class of three": (net, X, 0 * Y, lambda n: not n.predict(X).argmax(axis=1).any()),
    "one class": (
        lambda **k: net(outputs=1, **k),
        X,
        0 * Y,
        lambda n: not nn.evaluate(n, X, 0 * Y, loss=nn.SoftmaxCrossEntropy())["data_loss"],
    ),
    "one feature": (lambda **k: net(1, **k), X[:, :1], Y, lambda n: n.steps == 6),
    "an odd last batch": (net, X[:17], Y[:17], lambda n: n.steps == 6),
    "labels with gaps, 10,000 classes": (
        lambda **k: net(outputs=10_000, **k),
        X,
        LABELS,
        lambda n: {*n.predict(X).argmax(axis=1).tolist()} <= {0, 9_000},
    ),
    "subnormal inputs": (net, X * 1e-42, Y, lambda n: n.steps == 6),
    "a penalty of 1e30": (
        lambda **k: net(penalty=nn.L1(1e30, method="proximal"), **k),
        X,
        Y,
        lambda n: not n.parameters.weights.any(),
    ),
    "every unit dropped": (
        lambda **k: nn.Network(
            [nn.Dense(8), nn.Dropout(keep_prob=1e-6), nn.Dense(3)], inputs=2, seed=0, **k
        ),
        X,
        Y,
        lambda n: n.parameters["dense_2.bias"].any(),
    ),
}


@pytest.mark.reliability(
    input="One row, one class, one feature, constant columns, an odd last batch, labels with gaps, "
    "10,000 classes, subnormal numbers, proximal strengths of 1e30, a keep_prob of 1e-6",
    sees="Training to the end, with finite parameters and figures",
)
@each_dtype
@pytest.mark.parametrize(("make", "x", "y", "fact"), TRAINED.values(), ids=TRAINED)
def test_unusual_data_is_trained_on(make, x, y, fact, dtype):
    trained = make(dtype=dtype)
    history = fit(trained, x, y, epochs=3, batch_size=16 if len(x) == 17 else 10)
    assert history.stopped == "epochs"
    assert np.isfinite(trained.parameters.vector).all()
    assert all(math.isfinite(v) for name in ("data_loss", "total") for v in history[name])
    assert fact(trained)


@pytest.mark.reliability(
    input="A learning rate of 0",
    sees="Epochs are counted and figures recorded; no parameter changes by a bit",
)
@each_dtype
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_a_learning_rate_of_zero_changes_no_parameter(rule, dtype):
    optimizer, still = OPTIMIZERS[rule](), network(penalty=nn.L1(0.1), dtype=dtype)
    optimizer.learning_rate = 0.0
    before = still.parameters.vector.tobytes()
    assert len(fit(still, optimizer=optimizer, epochs=2)) == still.epochs == 2
    assert still.parameters.vector.tobytes() == before


# --- Data that is refused, and losses that are not finite -----------------------------------------


@pytest.mark.reliability(
    input="Sample weights whose sum overflows or whose proportions are lost (1e-46 or "
    "1e38 in float32)",
    sees="`ValueError` with the largest weight, by which to divide; nothing has changed",
)
@pytest.mark.parametrize(
    ("dtype", "weight"),
    [("float32", w) for w in (1e-46, 1e-40, 1e38, 1e39, 1e307)]
    + [("float64", 1e307), ("float64", 1e-307)],
)
def test_weights_that_the_dtype_cannot_add_up_are_refused(dtype, weight):
    words = f"sample_weight must .*, got a largest weight of {re.escape(f'{weight:g}')}"
    with unchanged(refusing := net(dtype=dtype)):
        error_of(ValueError, refusing, X, Y, match=words, sample_weight=np.full(20, weight))


@each_dtype
@pytest.mark.parametrize("weight", [1e-28, 1.0, 1e36])
def test_only_the_proportions_of_weights_matter_over_the_whole_range(weight, dtype):
    figures = [
        fit(net(dtype=dtype), X, Y, sample_weight=w * (1.0 + Y))["data_loss"] for w in (1.0, weight)
    ]
    np.testing.assert_allclose(*figures, rtol=1e-6)


@pytest.mark.reliability(
    fault="A penalty that overflows during training",
    sees="`NonFiniteLossError` that names the penalty and advises a smaller strength; network and "
    "optimizer are those of the last whole epoch",
)
@pytest.mark.parametrize(
    ("penalty", "dtype"),
    [
        (nn.L2(1e30), "float32"),
        (nn.L1(1e38), "float32"),
        (nn.L2(1e30), "float64"),
        (nn.L2(1e300), "float64"),
    ],
    ids=str,
)
def test_a_penalty_that_overflows_is_named(penalty, dtype):
    diverging = net(penalty=penalty, dtype=dtype)
    error = error_of(
        nn.NonFiniteLossError, diverging, X, Y, epochs=9, match="penalty is .*smaller strength"
    )
    assert error.history.stopped == "non-finite loss"
    assert len(error.history) == diverging.epochs
    assert np.isfinite(diverging.parameters.vector).all()
