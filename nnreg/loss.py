"""What a loss is: a value and its gradient by the outputs, both from one call.

A loss takes the network's raw outputs (logits, where they mean classes) and owns the link from them
to probabilities. It alone divides: by the number of rows N, or by the sum of their weights; every
other derivative in the package is a plain sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import checks
from nnreg.kernels import Array


class Loss:
    """What training makes small; to write one, give ``__call__``.

    ``loss(outputs, targets)`` returns ``(value, gradient)``: a scalar, and its derivative by
    ``outputs``, of their shape. A loss that can weigh rows also takes ``weights`` (N,) and divides
    by their sum, or by ``normalizer`` when that is given, which tells a part of a batch the whole's
    divisor.

    Attributes
    ----------
    splits_rows : bool, default False
        Whether the values of two parts of a batch, each with the whole's ``normalizer``, add up to
        the whole's.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Quartic(nn.Loss):
    ...     def __call__(self, outputs, targets):
    ...         r = outputs - targets
    ...         return (r**4).sum() / len(r), 4 * r**3 / len(r)
    >>> Quartic()(np.ones((2, 1)), np.zeros((2, 1)))[0]
    np.float64(1.0)
    """

    splits_rows = False

    def __call__(
        self,
        outputs: Array,
        targets: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Return ``(value, gradient)``."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(outputs, targets)")

    def check_targets(self, targets: Any, columns: int) -> Array:
        """Return ``targets``, looked at once, for outputs of ``columns`` columns."""
        checked: Array = checks.numeric("targets", targets)
        checks.finite("targets", checked)
        return checked

    def compute(
        self,
        outputs: Array,
        targets: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Do what calling does, inside the door: nothing is checked.

        A loss may write the gradient into ``out``; what it returns counts.
        """
        options: dict[str, Any] = {"weights": weights, "normalizer": normalizer}
        found: Any = self(outputs, targets, **{k: v for k, v in options.items() if v is not None})
        pair = isinstance(found, tuple) and len(found) == 2
        if not pair or np.ndim(found[0]) or np.shape(found[1]) != outputs.shape:
            raise ValueError(
                f"{type(self).__name__} must return (value, gradient): a number and an array of "
                f"shape {outputs.shape}, got {_shapes(found)}"
            )
        return found[0], np.asarray(found[1])

    def probabilities(self, outputs: Array) -> Array:
        """Return the probabilities that raw outputs stand for, of the same shape."""
        raise TypeError(f"{type(self).__name__} predicts no probabilities")

    def classes(self, outputs: Array) -> Array:
        """Return the most probable classes."""
        raise TypeError(f"{type(self).__name__} predicts no classes")

    def __repr__(self) -> str:
        return checks.described(self)


def _shapes(found: Any) -> str:
    """Return what a loss gave back, in words."""
    if isinstance(found, tuple):
        return f"({', '.join(_shapes(part) for part in found)})"
    return f"an array of shape {found.shape}" if np.ndim(found) else repr(found)


class RowLoss(Loss):
    """A loss that is a (weighted) mean of one value a row, given by a kernel."""

    splits_rows = True
    averages_outputs = False

    def rows(self, outputs: Array, targets: Array, out: Array | None) -> tuple[Array, Array]:
        """Return a value a row and its gradient."""
        raise NotImplementedError

    def __call__(
        self,
        outputs: Array,
        targets: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Return the mean of the rows' values and its gradient, after a look at the arguments."""
        given: Any = outputs
        if isinstance(given, tuple):
            raise TypeError(
                "outputs must be an array, got a tuple: net.forward returns (outputs, cache)"
            )
        outputs = checks.matrix("outputs", outputs)
        if outputs.dtype.kind != "f":
            outputs = outputs.astype(np.float64)
        checks.finite("outputs", outputs)
        targets = self.check_targets(targets, outputs.shape[1])
        checks.same_rows("targets", targets, "outputs", len(outputs))
        if targets.dtype.kind != "i":
            targets = checks.cast("targets", targets, outputs.dtype)
        if weights is not None:
            weights = checks.sample_weights("weights", weights, len(outputs))
            weights = checks.cast("weights", weights, outputs.dtype)
        if normalizer is not None:
            normalizer = checks.number("normalizer", normalizer, 0, open_low=True)
        if out is not None and (out.shape != outputs.shape or out.dtype != outputs.dtype):
            raise ValueError(
                f"out must have shape {outputs.shape} and dtype {outputs.dtype}, "
                f"got {out.shape} and {out.dtype}"
            )
        return self.compute(outputs, targets, weights, normalizer, out)

    def compute(
        self,
        outputs: Array,
        targets: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Return the mean of the rows' values and its gradient; inside the door."""
        values, gradient = self.rows(outputs, targets, out)
        columns = outputs.shape[1] if self.averages_outputs else 1
        if weights is None:
            scale = 1.0 / ((len(outputs) if normalizer is None else normalizer) * columns)
            gradient *= scale
            return np.add.reduce(values) * scale, gradient
        # Where every weight is zero there is nothing to average: value and gradient are zero.
        total = (float(weights.sum()) or 1.0) if normalizer is None else normalizer
        share = weights * (1.0 / (total * columns))
        gradient *= share[:, np.newaxis]
        return np.dot(share, values), gradient


class ElementLoss(RowLoss):
    """A loss whose targets have exactly the outputs' shape."""

    target_low = -np.inf
    target_high = np.inf

    def check_targets(self, targets: Any, columns: int) -> Array:
        """Return targets of shape (N, columns) within the loss's bounds."""
        y: Array = checks.numeric("targets", targets)
        if y.ndim != 2 or y.shape[1] != columns:
            column = y.ndim == 1 and columns == 1
            hint = " (targets.reshape(-1, 1) makes a column)" if column else ""
            raise ValueError(
                f"targets must have exactly the outputs' shape, (N, {columns}), "
                f"got shape {y.shape}{hint}"
            )
        y = y if y.dtype.kind == "f" else y.astype(np.float64)
        checks.finite("targets", y)
        bad = (y < self.target_low) | (y > self.target_high)
        if bad.any():
            at = checks.first_index(bad)
            raise ValueError(
                f"targets of {type(self).__name__} must lie in "
                f"[{self.target_low:g}, {self.target_high:g}], got {y[at]} at index {list(at)}"
            )
        return y
