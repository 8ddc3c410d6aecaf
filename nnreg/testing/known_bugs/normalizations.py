"""Known bugs of softmax, log-softmax and batch normalization as layers.

Right, with ``p = softmax(x)``: softmax ``dx = p·(dy - Σₖ pₖ dyₖ)``; log-softmax
``dx = dy - p Σₖ dyₖ``; batch normalization, ``y = a·(x - mean) + const`` with a slope ``a`` that
depends on the batch, ``dx = a·(dy - mean(dy) - x̂·mean(dy·x̂))``. The sums of the first two are over
the columns, the means of the third over the rows.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.testing.known_bugs.base import FormulaInputs, bugs, make_wrong


class Softmax(Layer):
    """``softmax(x)``, row by row."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``p``."""
        cache.p = kernels.softmax(x)
        return np.array(cache.p)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``p·(dy - Σₖ pₖ dyₖ)``."""
        dx: Array = cache.p * (dy - (cache.p * dy).sum(axis=1, keepdims=True))
        return dx


class LogSoftmax(Softmax):
    """``log softmax(x)``, row by row."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``log p``."""
        return np.log(super().forward(x, cache))

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy - p Σₖ dyₖ``."""
        dx: Array = dy - cache.p * dy.sum(axis=1, keepdims=True)
        return dx


class BatchNormalization(Layer):
    """``(x - mean)/√(variance + ε)`` by columns."""

    independent_rows = False

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return the standardized columns."""
        centered = x - x.mean(axis=0)
        cache.deviation = np.sqrt((centered**2).mean(axis=0) + 1e-5)
        cache.y = centered / cache.deviation
        return np.array(cache.y)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``a·(dy - mean(dy) - x̂·mean(dy·x̂))``."""
        spread = cache.y * (dy * cache.y).mean(axis=0)
        dx: Array = (dy - dy.mean(axis=0) - spread) / cache.deviation
        return dx


def slope(p: FormulaInputs) -> Array:
    """Return the slope ``a`` of each column of a batch normalization."""
    x, y = p.x - p.x.mean(axis=0), p.y - p.y.mean(axis=0)
    result: Array = (x * y).sum(axis=0) / (x * x).sum(axis=0)
    return result


JACOBIAN = "The Jacobian of softmax is diag(p) - p pᵀ: dx = p·(dy - Σₖ pₖ dyₖ), row by row."

NORMALIZATIONS = (
    *bugs(
        "softmax",
        partial(make_wrong, Softmax, ()),
        "inputs",
        (
            "diagonal only",
            "dx is dy·p(1 - p): only the diagonal of the Jacobian.",
            f"Every probability depends on every input. {JACOBIAN}",
            lambda p: p.dy * p.y * (1 - p.y),
        ),
        (
            "sum term missing",
            "dx is dy·p: the term with the sum over the classes is missing.",
            JACOBIAN,
            lambda p: p.dy * p.y,
        ),
        (
            "sum over the batch",
            "The sum in dx is over the rows of the batch; it should be over each row's columns.",
            f"{JACOBIAN} In NumPy: (dy * p).sum(axis=1, keepdims=True).",
            lambda p: p.y * (p.dy - (p.dy * p.y).sum(axis=0)),
        ),
    ),
    *bugs(
        "log-softmax",
        partial(make_wrong, LogSoftmax, ()),
        "inputs",
        (
            "sum term missing",
            "dx is dy: the term p·Σₖ dyₖ is missing.",
            "log softmax(x) = x - log Σ eˣ: the second term has the derivative p. dx = dy - p Σₖ "
            "dyₖ.",
            lambda p: p.dy * 1.0,
        ),
        (
            "dy in the second term",
            "dx is dy - p·dy: in the second term dy should be summed over the classes.",
            "dx = dy - p Σₖ dyₖ: every output contains the same log Σ eˣ.",
            lambda p: p.dy - np.exp(p.y) * p.dy,
        ),
        (
            "sum over the batch",
            "The sum in dx is over the rows of the batch; it should be over each row's columns.",
            "dx = dy - p * dy.sum(axis=1, keepdims=True).",
            lambda p: p.dy - np.exp(p.y) * p.dy.sum(axis=0),
        ),
    ),
    *bugs(
        "batch normalization",
        partial(make_wrong, BatchNormalization, ()),
        "inputs",
        (
            "statistics as constants",
            "dx is dy times the slope: mean and variance are treated as constants.",
            "Both depend on x: dx = a·(dy - mean(dy) - x̂·mean(dy·x̂)), means over the batch.",
            lambda p: p.dy * slope(p),
        ),
        (
            "variance term missing",
            "dx lacks the term of the variance, x̂·mean(dy·x̂).",
            "The variance depends on x too: dx = a·(dy - mean(dy) - x̂·mean(dy·x̂)).",
            lambda p: (p.dy - p.dy.mean(axis=0)) * slope(p),
        ),
        (
            "mean term missing",
            "dx lacks the term of the mean, mean(dy).",
            "The mean depends on x too: dx = a·(dy - mean(dy) - x̂·mean(dy·x̂)).",
            lambda p: p.right + p.dy.mean(axis=0) * slope(p),
        ),
    ),
)
