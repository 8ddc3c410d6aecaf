"""Known bugs of losses: a gradient that is not the derivative of the returned value.

Right, for N rows, M outputs ``z`` and targets ``t``: softmax and sigmoid cross-entropy
``(p - t)/N``, where most bugs come from differentiating softmax or sigmoid and the logarithm one
after the other; squared error ``2(z - t)/(N·M)``, Huber
``clip(z - t, ±δ)/(N·M)``, quantile ``1 - q`` above the target and ``-q`` below it, over ``N·M``,
Poisson ``(eᶻ - t)/N``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.losses import (
    Huber,
    Loss,
    MeanSquaredError,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, bugs


class WrongLoss(Loss):
    """A loss with the right value, or ``N`` times that, and another gradient."""

    def __init__(
        self,
        right: Callable[[], Loss],
        wrong: Formula,
        *,
        summed: bool = False,
        constant: float = 1.0,
    ) -> None:
        self.right, self.wrong, self.summed, self.constant = right(), wrong, summed, constant

    def check_targets(self, targets: Any, columns: int) -> Array:
        """Return the targets as the right loss does."""
        return self.right.check_targets(targets, columns)

    def __call__(self, outputs: Array, targets: Array, *_: Any, **__: Any) -> tuple[Any, Array]:
        """Return the value and the wrong gradient."""
        value, gradient = self.right.compute(outputs, targets)
        if self.summed:
            value, gradient = value * len(outputs), gradient * len(outputs)
        if outputs.dtype.kind == "f":
            t = one_hot(targets, outputs.shape[1])
            gradient = self.wrong(FormulaInputs(gradient, x=outputs, t=t, constant=self.constant))
        return value, gradient


def one_hot(targets: Array, columns: int) -> Array:
    """Return class numbers (N,) as rows (N, K); other targets as they are.

    >>> one_hot(np.array([1, 0]), 2)
    array([[0., 1.],
           [1., 0.]])
    """
    return np.eye(columns)[targets] if targets.dtype.kind in "iu" else targets


def _logistic_slope(p: FormulaInputs) -> Array:
    s = kernels.sigmoid(p.x)
    slope: Array = s * (1 - s)
    return slope


def _branches(p: FormulaInputs, *, beyond: Array, middle: Array) -> Array:
    return np.where(np.abs(p.x - p.t) <= p.constant, middle, beyond) / (p.N * p.M)


def _slopes(p: FormulaInputs, *, above: float, below: float) -> Array:
    return np.where(p.x > p.t, above, below) / (p.N * p.M)


TWICE = "dz = p - t is the derivative with respect to z: it contains the derivative of the softmax."

LOSSES = (
    *bugs(
        "softmax cross-entropy",
        partial(WrongLoss, SoftmaxCrossEntropy),
        None,
        (
            "diagonal only",
            "Only the entries of the true classes are right; the others are zero.",
            "Every probability depends on every output: the Jacobian of softmax is not diagonal.",
            lambda p: p.t * (p.p - 1) / p.N,
        ),
        (
            "label number subtracted",
            "The class number is subtracted from every probability; a one-hot row should be.",
            "In p - t, t is a one-hot row: p[range(N), y] -= 1.",
            lambda p: (p.p - p.t.argmax(axis=1, keepdims=True)) / p.N,
        ),
        (
            "labels counted from one",
            "The 1 is subtracted one class too low: labels are counted from 1.",
            "Classes are numbered from 0 here. With y - 1, class 0 becomes the last, without an "
            "error.",
            lambda p: (p.p - np.roll(p.t, -1, axis=1)) / p.N,
        ),
        (
            "targets missing",
            "The gradient is p/N: the targets are not subtracted.",
            "dz = (p - t)/N. Without t the gradient does not depend on the labels.",
            lambda p: p.p / p.N,
        ),
        (
            "by the probabilities",
            "The gradient is -t/p, with respect to the probabilities; it should be with respect to "
            "the outputs z.",
            "Multiply by the Jacobian of the softmax. The result is p - t.",
            lambda p: -p.t / p.p / p.N,
        ),
        (
            "softmax differentiated twice",
            "p - t was multiplied by the derivative of softmax again.",
            TWICE,
            lambda p: p.p * (p.right - (p.p * p.right).sum(axis=1, keepdims=True)),
        ),
        (
            "extra p(1 - p)",
            "p - t was multiplied by p(1 - p).",
            f"{TWICE} (And softmax has no elementwise derivative.)",
            lambda p: p.right * p.p * (1 - p.p),
        ),
        (
            "softmax over the batch",
            "The softmax is computed over the batch, down the columns; it should be over each row.",
            "Each row is a distribution: compute max and sum over axis=1, with keepdims.",
            lambda p: (kernels.softmax(p.x.T).T - p.t) / p.N,
        ),
    ),
    *bugs(
        "softmax cross-entropy",
        partial(WrongLoss, SoftmaxCrossEntropy, summed=True),
        None,
        (
            "value summed, gradient averaged",
            "The value is the sum over the rows, the gradient that of the mean.",
            "Divide both by N or neither; here losses are means.",
            lambda p: (p.p - p.t) / p.N,
        ),
    ),
    *bugs(
        "sigmoid cross-entropy",
        partial(WrongLoss, SigmoidCrossEntropy),
        None,
        (
            "extra p(1 - p)",
            "p - t was multiplied by p(1 - p), which belongs to the squared error.",
            "With the cross-entropy p(1 - p) cancels: that is why it is used.",
            lambda p: p.right * _logistic_slope(p),
        ),
        (
            "by the probabilities",
            "The gradient is with respect to the probabilities; it should be with respect to the "
            "outputs z.",
            "Multiply by p(1 - p), the derivative of the sigmoid: the result is p - t.",
            lambda p: p.right / _logistic_slope(p),
        ),
        (
            "sigmoid missing",
            "The gradient is (z - t)/N: the sigmoid is missing.",
            "z is a raw output. p = σ(z), and dz = (p - t)/N.",
            lambda p: (p.x - p.t) / p.N,
        ),
        (
            "targets missing",
            "The gradient is p/N: the targets are not subtracted.",
            "dz = (p - t)/N. Without t every step decreases all outputs.",
            lambda p: kernels.sigmoid(p.x) / p.N,
        ),
    ),
    *bugs(
        "squared error",
        partial(WrongLoss, MeanSquaredError),
        None,
        (
            "2 missing",
            "The gradient is half the right one: the 2 of the square is missing.",
            "Either the value has a 1/2 or the gradient has a 2. Here the value has none.",
            lambda p: (p.x - p.t) / (p.N * p.M),
        ),
        (
            "divided by N alone",
            "The gradient is divided by N, the value by N·M.",
            "np.mean of a matrix divides by all its entries, rows times columns.",
            lambda p: 2 * (p.x - p.t) / p.N,
        ),
        (
            "neither divided nor doubled",
            "The gradient is z - t: it belongs to half the sum of squares.",
            "Differentiate the value you return: here the mean over N·M entries, without 1/2.",
            lambda p: (p.x - p.t) * 1.0,
        ),
        (
            "targets missing",
            "The gradient is that of the mean of z²: the targets are missing.",
            "d(z - t)² = 2(z - t) dz.",
            lambda p: 2 * p.x / (p.N * p.M),
        ),
        (
            "sign of the residual",
            "The gradient is the sign of z - t: it belongs to the absolute error.",
            "|r| has the derivative sign(r), r² has 2r.",
            lambda p: np.sign(p.x - p.t) / (p.N * p.M),
        ),
    ),
    *bugs(
        "Huber",
        partial(WrongLoss, partial(Huber, 0.7), constant=0.7),
        None,
        (
            "branches swapped",
            "The two branches are swapped: ±delta for small residuals, the residual beyond.",
            "The loss is quadratic for |r| <= delta and linear beyond.",
            lambda p: _branches(p, beyond=p.x - p.t, middle=p.constant * np.sign(p.x - p.t)),
        ),
        (
            "sign missing",
            "Beyond delta the gradient is +delta on both sides.",
            "The derivative of delta·|r| is delta·sign(r).",
            lambda p: _branches(p, beyond=np.full_like(p.x, p.constant), middle=p.x - p.t),
        ),
        (
            "delta missing",
            "Beyond delta the gradient is sign(r); it should be delta·sign(r).",
            "With delta = 1 both are equal: check with another value.",
            lambda p: _branches(p, beyond=np.sign(p.x - p.t), middle=p.x - p.t),
        ),
        (
            "not clipped",
            "The residual is not clipped at ±delta: the gradient belongs to the squared error.",
            "In Huber's loss the gradient of an outlier is at most delta.",
            lambda p: (p.x - p.t) / (p.N * p.M),
        ),
    ),
    *bugs(
        "quantile",
        partial(WrongLoss, partial(Quantile, 0.2), constant=0.2),
        None,
        (
            "q and 1 - q swapped",
            "The gradient is that of the quantile 1 - q: q and 1 - q are swapped.",
            "A prediction above the target costs 1 - q, one below q; with q = 0.5 both are equal.",
            lambda p: _slopes(p, above=p.constant, below=p.constant - 1),
        ),
        (
            "sign missing",
            "Below the target the gradient is +q; it should be -q.",
            "The derivative of q·|r| is -q where r < 0.",
            lambda p: _slopes(p, above=1 - p.constant, below=p.constant),
        ),
        (
            "q missing",
            "The gradient is the sign of z - t: it belongs to the absolute error.",
            "It is 1 - q above the target and -q below it.",
            lambda p: _slopes(p, above=1.0, below=-1.0),
        ),
    ),
    *bugs(
        "Poisson",
        partial(WrongLoss, Poisson),
        None,
        (
            "targets missing",
            "The gradient is e^z/N: the term -t is missing.",
            "The value is e^z - t·z, so its derivative is e^z - t.",
            lambda p: np.exp(p.x) / p.N,
        ),
        (
            "exponential missing",
            "The gradient is (z - t)/N; it should be (e^z - t)/N.",
            "z is the logarithm of the mean. The mean itself is e^z.",
            lambda p: (p.x - p.t) / p.N,
        ),
    ),
    *bugs(
        "any loss",
        partial(WrongLoss, partial(Huber, 0.7)),
        None,
        (
            "gradient missing",
            "The gradient is zero everywhere.",
            "Is the returned array ever written?",
            lambda p: 0.0 * p.right,
        ),
        (
            "sign",
            "The gradient has the wrong sign.",
            "The gradient is prediction minus target, for a loss that increases with the distance.",
            lambda p: -p.right,
        ),
        (
            "1/N missing",
            "The gradient is N times the right one: the value is a mean, so 1/N is missing.",
            "Divide the gradient by the number of rows once, like the value.",
            lambda p: p.right * p.N,
        ),
        (
            "N twice",
            "The gradient is divided by N twice.",
            "Divide in one place: in the loss. Look for a mean() and a / N.",
            lambda p: p.right / p.N,
        ),
        (
            "M missing",
            "The gradient is M times the right one: the value averages over the M outputs too.",
            "np.mean of a matrix divides by all its entries, rows times columns.",
            lambda p: p.right * p.M,
        ),
        (
            "divided by M",
            "The gradient is divided by the number of outputs, M, but the value is not.",
            "A mean over rows divides by N alone: np.mean of a matrix divides by N·M.",
            lambda p: p.right / p.M,
        ),
        (
            "divided by N·N·M",
            "The gradient is divided by N·M once more than the value.",
            "Value and gradient must be divided by the same number, once.",
            lambda p: p.right / (p.N * p.M),
        ),
        (
            "sum for mean",
            "The gradient is N·M times the right one: it belongs to the sum, the value is a mean.",
            "Divide the gradient by the same numbers as the value.",
            lambda p: p.right * (p.N * p.M),
        ),
        (
            "twice",
            "The gradient is twice the right one.",
            "Does the value have a 1/2 that the gradient lacks?",
            lambda p: 2.0 * p.right,
        ),
        (
            "half",
            "The gradient is half the right one.",
            "Does the gradient have a 1/2 that the value lacks, or lack the 2 of a square?",
            lambda p: 0.5 * p.right,
        ),
    ),
)
