"""One step of training with a penalty: the strength, converted, must do here what it does there.

A source of ``nnreg.conventions`` takes part with a function ``step(strength)`` that starts from
``WEIGHT`` and ``BIAS``, takes one step of plain gradient descent on the mean softmax cross-entropy
of a linear layer, in float64, and returns the new weight and bias.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import nnreg as nn
from nnreg.conventions import CONVENTIONS, Convention, convert_penalty

Array = NDArray[np.float64]
Step = Callable[[float], tuple[Array, Array]]

ROWS, INPUTS, CLASSES = 9, 4, 3
N = 1_000  # rows of the training set, where a source divides by them
RATE, STRENGTH = 2.0**-3, 2.0**-2

_rng = np.random.default_rng(5)
X, LABELS = _rng.normal(size=(ROWS, INPUTS)), _rng.integers(0, CLASSES, ROWS)
WEIGHT, BIAS = _rng.normal(size=(INPUTS, CLASSES)), _rng.normal(size=CLASSES)
WEIGHT[1, 2] = 0.0  # where the subgradient of L1 is a choice


def conventions(library: str) -> pytest.MarkDecorator:
    """Return the test parameter ``convention``: every row that says it is held by this library."""
    rows = [c for c in CONVENTIONS if c.verified_with == library]
    assert rows
    return pytest.mark.parametrize("convention", rows, ids=lambda c: f"{c.source}-{c.kind}")


def converted(convention: Convention, strength: float = STRENGTH) -> float:
    """Return what a source's strength is in nnreg."""
    return convert_penalty(
        strength,
        source=convention.source,
        target="nnreg",
        kind=convention.kind,
        n=N,
        batch=ROWS,
        plain_sgd=True,
    )


def here(penalty: nn.Penalty | None) -> tuple[Array, Array]:
    """Return weight and bias after the step of nnreg."""
    net = nn.Network([nn.Dense(CLASSES)], inputs=INPUTS, penalty=penalty, dtype="float64")
    weight, bias = net.parameters["dense_1.weight"], net.parameters["dense_1.bias"]
    weight[...], bias[...] = WEIGHT, BIAS
    loss, optimizer = nn.SoftmaxCrossEntropy(), nn.SGD(RATE)
    nn.fit(net, X, LABELS, loss=loss, optimizer=optimizer, epochs=1, batch_size=ROWS)
    return weight, bias


def assert_same_step(convention: Convention, step: Step, tolerance: float = 1e-13) -> None:
    """Hold one step there equal to one step here, and see that it would not be without penalty."""
    strength = converted(convention)
    weight, bias = here({"l2": nn.L2, "l1": nn.L1}[convention.kind](strength))
    if convention.biases == "yes":
        bias = bias - RATE * strength * BIAS
    their_weight, their_bias = step(STRENGTH)
    np.testing.assert_allclose(their_weight, weight, rtol=0, atol=tolerance)
    np.testing.assert_allclose(their_bias, bias, rtol=0, atol=tolerance)
    assert abs(their_weight - here(None)[0]).max() > 1e4 * tolerance


def assert_same_effect(convention: Convention, step: Step) -> None:
    """Hold equal what a decoupled decay takes off, where the rest of the step is something else."""
    assert convention.decoupled
    decay = RATE * converted(convention)
    for with_it, without, value in zip(step(STRENGTH), step(0.0), (WEIGHT, BIAS), strict=True):
        np.testing.assert_allclose(with_it - without, -decay * value, rtol=0, atol=1e-13)
