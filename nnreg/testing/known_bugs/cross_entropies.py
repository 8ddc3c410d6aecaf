"""Known bugs of the softmax and the sigmoid cross-entropy: the right gradient is ``(p - t)/N``.

Most bugs come from differentiating softmax or sigmoid and the logarithm one after the other.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from nnreg.testing.known_bugs.base import FormulaInputs
from nnreg.testing.known_bugs.losses import loss_bug

_softmax = partial(loss_bug, "softmax cross-entropy", SoftmaxCrossEntropy)
_sigmoid = partial(loss_bug, "sigmoid cross-entropy", SigmoidCrossEntropy)


def _labels(p: FormulaInputs) -> Array:
    labels: Array = p.t.argmax(axis=1)
    return labels


def _softmax_twice(p: FormulaInputs) -> Array:
    """Return the Jacobian of softmax, ``diag(p) - p pᵀ``, times the right gradient."""
    carried = p.p * p.right
    twice: Array = carried - p.p * carried.sum(axis=1, keepdims=True)
    return twice


def _softmax_by_columns(p: FormulaInputs) -> Array:
    return (kernels.softmax(p.x.T).T - p.t) / p.N


def _logistic(p: FormulaInputs) -> Array:
    s = kernels.sigmoid(p.x)
    slope: Array = s * (1 - s)
    return slope


TWICE = "dz = p - t is the derivative by z already: the softmax's derivative is in it."

CROSS_ENTROPIES = (
    _softmax(
        "diagonal only",
        "Only the entries of the true classes are right; the others are zero.",
        "Every output moves every probability: the Jacobian of softmax is not its diagonal.",
        lambda p: p.t * (p.p - 1) / p.N,
    ),
    _softmax(
        "label number subtracted",
        "The class number is subtracted from every probability; a one-hot row should be.",
        "p - t needs t as a row of zeros with a single 1: p[range(N), y] -= 1.",
        lambda p: (p.p - _labels(p)[:, np.newaxis]) / p.N,
    ),
    _softmax(
        "labels counted from one",
        "The 1 is subtracted one class too low: labels are counted from 1.",
        "Classes are numbered from 0 here. y - 1 also turns class 0 into the last, silently.",
        lambda p: (p.p - np.roll(p.t, -1, axis=1)) / p.N,
    ),
    _softmax(
        "targets missing",
        "The gradient is p/N: the targets were never subtracted.",
        "dz = (p - t)/N. Without t nothing tells the classes apart.",
        lambda p: p.p / p.N,
    ),
    _softmax(
        "by the probabilities",
        "The gradient is -t/p, by the probabilities; it should be by the outputs z.",
        "Carry it on through the softmax. All but p - t cancels.",
        lambda p: -p.t / p.p / p.N,
    ),
    _softmax(
        "softmax differentiated twice",
        "p - t was sent through the derivative of softmax again.",
        TWICE,
        _softmax_twice,
    ),
    _softmax(
        "extra p(1 - p)",
        "p - t was multiplied by p(1 - p).",
        f"{TWICE} (And softmax has no elementwise derivative.)",
        lambda p: p.right * p.p * (1 - p.p),
    ),
    _softmax(
        "softmax over the batch",
        "The softmax was taken down the columns: over the batch, where it should be each row's.",
        "Every example has its own distribution: max and sum go over axis=1, with keepdims.",
        _softmax_by_columns,
    ),
    _softmax(
        "value summed, gradient averaged",
        "The value is the sum over the rows, the gradient that of the mean.",
        "Divide both by N or neither; here losses are means.",
        lambda p: (p.p - p.t) / p.N,
        summed=True,
    ),
    _sigmoid(
        "extra p(1 - p)",
        "p - t was multiplied by p(1 - p), which belongs to the squared error.",
        "With the cross-entropy p(1 - p) cancels: that is why it is used.",
        lambda p: p.right * _logistic(p),
    ),
    _sigmoid(
        "by the probabilities",
        "The gradient is by the probabilities; it should be by the outputs z.",
        "Multiply by p(1 - p), the derivative of the sigmoid: p - t is left.",
        lambda p: p.right / _logistic(p),
    ),
    _sigmoid(
        "sigmoid missing",
        "The gradient is (z - t)/N: the sigmoid is missing.",
        "z is a raw output. p = σ(z), and dz = (p - t)/N.",
        lambda p: (p.x - p.t) / p.N,
    ),
    _sigmoid(
        "targets missing",
        "The gradient is p/N: the targets were never subtracted.",
        "dz = (p - t)/N. Without t all outputs would be pushed down.",
        lambda p: kernels.sigmoid(p.x) / p.N,
    ),
)
