"""The losses: how wrong the outputs are, as one number.

Each takes raw outputs, so softmax and logarithm, sigmoid and logarithm meet in one stable formula.
A negative log-likelihood (cross-entropies, Poisson) adds up over the outputs of a row; an error
measure (squared, Huber) averages over them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import checks, kernels
from nnreg.kernels import Array
from nnreg.loss import ElementLoss, RowLoss


def softmax(z: Any) -> Array:
    """Return class probabilities for raw outputs ``z``: ``e^zₖ / Σⱼ e^zⱼ`` along the last axis.

    >>> softmax([[0, 0, 0, 0]])
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    return kernels.softmax(_real(z))


def sigmoid(z: Any) -> Array:
    """Return ``1/(1 + e⁻ᶻ)``.

    >>> sigmoid([0])
    array([0.5])
    """
    return kernels.sigmoid(_real(z))


def _real(z: Any) -> Array:
    array = checks.numeric("z", z)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


class SoftmaxCrossEntropy(RowLoss):
    """``mean over rows of -Σₖ tₖ log softmax(z)ₖ``, for one of K classes a row.

    Parameters
    ----------
    label_smoothing : float, default 0
        In [0, 1): targets become ``(1 - a)·t + a/K``.

    Notes
    -----
    Targets are class numbers, integers of shape (N,), or rows of probabilities of shape (N, K),
    one-hot ones included. The gradient is ``(softmax(z) - t)/N``. See
    :func:`nnreg.kernels.softmax_cross_entropy`.

    Examples
    --------
    >>> value, gradient = SoftmaxCrossEntropy()(np.zeros((2, 3)), [0, 2])  # log 3
    >>> float(value.round(4))
    1.0986
    >>> gradient.round(3)
    array([[-0.333,  0.167,  0.167],
           [ 0.167,  0.167, -0.333]])
    """

    label_smoothing = checks.bounded(0, 1, open_high=True)

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def check_targets(self, targets: Any, columns: int) -> Array:
        """Return labels as int64 (N,), or probabilities (N, K)."""
        t: Array = checks.numeric("targets", targets)
        if t.ndim == 1:
            if t.dtype.kind not in "iu":
                whole = t.dtype.kind == "f" and np.array_equal(t, np.rint(t))
                raise TypeError(
                    f"targets of shape (N,) must be integer class numbers, got dtype {t.dtype}"
                    f"{' (targets.astype(int) makes them so)' if whole else ''}"
                )
            bad = (t < 0) | (t >= columns)
            if bad.any():
                at = checks.first_index(bad)
                raise ValueError(
                    f"targets must be class numbers from 0 to {columns - 1}, "
                    f"got {t[at]} at index {list(at)}"
                )
            return t.astype(np.int64, copy=False)
        if t.ndim != 2 or t.shape[1] != columns:
            raise ValueError(
                "targets must be class numbers of shape (N,) or probabilities of shape "
                f"(N, {columns}), got shape {t.shape}"
            )
        t = t if t.dtype.kind == "f" else t.astype(np.float64)
        checks.finite("targets", t)
        bad = (t < 0).any(axis=1) | (abs(t.sum(axis=1) - 1) > 1e-3)
        if bad.any():
            at = checks.first_index(bad)
            raise ValueError(
                f"targets of shape (N, {columns}) must be probabilities that add up to 1 "
                f"in each row, got {t[at]} in row {at[0]}"
            )
        return t

    def rows(self, outputs: Array, targets: Array, out: Array | None) -> tuple[Array, Array]:
        """Return a value a row and its gradient."""
        return kernels.softmax_cross_entropy(outputs, targets, self.label_smoothing, out)

    def probabilities(self, outputs: Array) -> Array:
        """Return ``softmax(outputs)``."""
        return kernels.softmax(outputs)

    def classes(self, outputs: Array) -> Array:
        """Return the number of the largest output in each row, (N,)."""
        classes: Array = outputs.argmax(axis=1)
        return classes


class SigmoidCrossEntropy(ElementLoss):
    """``mean over rows of Σₖ (log(1 + e^zₖ) - yₖ zₖ)``: yes or no for each output on its own.

    Notes
    -----
    Targets lie in [0, 1], shape (N, K): one column for a binary problem, several for many labels at
    once. The gradient is ``(σ(z) - y)/N``. See :func:`nnreg.kernels.sigmoid_cross_entropy`.

    Examples
    --------
    >>> value, gradient = SigmoidCrossEntropy()(np.zeros((1, 1)), np.ones((1, 1)))  # log 2
    >>> float(value.round(4)), gradient
    (0.6931, array([[-0.5]]))
    """

    target_low, target_high = 0.0, 1.0

    def rows(self, outputs: Array, targets: Array, out: Array | None) -> tuple[Array, Array]:
        """Return a value a row and its gradient."""
        return kernels.sigmoid_cross_entropy(outputs, targets, out)

    def probabilities(self, outputs: Array) -> Array:
        """Return ``σ(outputs)``."""
        return kernels.sigmoid(outputs)

    def classes(self, outputs: Array) -> Array:
        """Return 1 where the output is positive, else 0, (N, K)."""
        return (outputs > 0).astype(np.int64)


class MeanSquaredError(ElementLoss):
    """``mean over rows and outputs of (z - y)²``; gradient ``2(z - y)/(N·M)``.

    Examples
    --------
    >>> MeanSquaredError()(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))  # (1 + 4)/2
    (np.float64(2.5), array([[1., 2.]]))
    """

    averages_outputs = True

    def rows(self, outputs: Array, targets: Array, out: Array | None) -> tuple[Array, Array]:
        """Return a value a row and its gradient."""
        return kernels.squared_error(outputs, targets, out)


class Huber(ElementLoss):
    """``mean over rows and outputs of r²/2``, but ``delta·|r| - delta²/2`` where ``|r| > delta``.

    Here ``r = z - y``. The gradient is ``r``, clipped to ``[-delta, delta]``, over ``N·M``.

    Parameters
    ----------
    delta : float, default 1
        Positive: from here on an outlier's pull no longer grows.

    Examples
    --------
    >>> Huber(1.0)(np.array([[3.0]]), np.array([[0.0]]))
    (np.float64(2.5), array([[1.]]))
    """

    averages_outputs = True
    delta = checks.bounded(0, open_low=True)

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def rows(self, outputs: Array, targets: Array, out: Array | None) -> tuple[Array, Array]:
        """Return a value a row and its gradient."""
        return kernels.huber(outputs, targets, self.delta, out)


class Poisson(ElementLoss):
    """``mean over rows of Σₘ (e^zₘ - yₘ zₘ)``: counts whose mean is ``e^z``.

    The constant ``log y!`` is left out. The gradient is ``(e^z - y)/N``.

    Examples
    --------
    >>> Poisson()(np.zeros((1, 1)), np.array([[3.0]]))
    (np.float64(1.0), array([[-2.]]))
    """

    target_low = 0.0

    def rows(self, outputs: Array, targets: Array, out: Array | None) -> tuple[Array, Array]:
        """Return a value a row and its gradient."""
        return kernels.poisson(outputs, targets, out)
