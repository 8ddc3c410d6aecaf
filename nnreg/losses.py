"""Losses: a value and its gradient with respect to the outputs, both from one call.

A loss takes the network's raw outputs (logits in classification) and includes the inverse link
(softmax, sigmoid), so the logarithm can be computed stably. A negative log-likelihood
(cross-entropies, Poisson) is a sum over the outputs of a row, an error measure (squared, Huber,
quantile) a mean. Only the loss divides: by the number of rows N, or by the sum of their weights;
every other derivative in the package is a sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import kernels
from nnreg._support import validation
from nnreg._support.hyperparameters import Checked, Configurable
from nnreg._support.typing import Array


def _real(name: str, value: Any) -> Array:
    """Return numbers as an array of float64; float16 and float32 are kept."""
    array = validation.numeric(name, value)
    return array if array.dtype.char in "efd" else array.astype(np.float64)


class Loss(Configurable):
    """Base class of losses; a subclass defines ``__call__``.

    ``loss(outputs, targets)`` returns ``(value, gradient)``: a scalar, and its derivative with
    respect to ``outputs``, of the same shape. A loss that supports row weights also takes
    ``weights`` (N,) and divides by their sum. For a part of a batch, ``normalizer`` is the divisor
    of the whole batch; values and gradients of the parts then add up to those of the batch.

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
        """Return ``targets`` as an array, checked for outputs of ``columns`` columns."""
        checked: Array = validation.numeric("targets", targets)
        validation.finite("targets", checked)
        return checked

    def compute(
        self,
        outputs: Array,
        targets: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Return ``(value, gradient)`` without checking the arguments.

        A loss may write the gradient into ``out``. Only the returned array is used.
        """
        options: dict[str, Any] = {"weights": weights, "normalizer": normalizer}
        result: Any = self(outputs, targets, **{k: v for k, v in options.items() if v is not None})
        shapes = [np.shape(part) for part in result] if isinstance(result, tuple) else []
        if shapes != [(), outputs.shape]:
            got = f"shapes {shapes}" if shapes else f"shape {np.shape(result)}"
            raise ValueError(
                f"{type(self).__name__} must return (value, gradient): a number and an array of "
                f"shape {outputs.shape}, got a {type(result).__name__} of {got}"
            )
        return result[0], np.asarray(result[1])

    def probabilities(self, outputs: Array) -> Array:
        """Return the probabilities for raw outputs, of the same shape."""
        raise TypeError(f"{type(self).__name__} predicts no probabilities")

    def classes(self, outputs: Array) -> Array:
        """Return the most probable classes."""
        raise TypeError(f"{type(self).__name__} predicts no classes")


def predicts_classes(loss: Loss) -> bool:
    """Return whether a loss defines classes.

    >>> predicts_classes(SoftmaxCrossEntropy()), predicts_classes(Huber())
    (True, False)
    """
    return type(loss).classes is not Loss.classes


class RowLoss(Loss):
    """A loss that is the (weighted) mean of one value per row, computed by a kernel."""

    averages_outputs = False

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row, (N,), and its gradient, (N, M)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define compute_rows(outputs, targets, out)"
        )

    def __call__(
        self,
        outputs: Any,
        targets: Any,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Return the mean of the rows' values and its gradient.

        Parameters
        ----------
        outputs : ndarray of shape (N, M)
            Raw outputs.
        targets : ndarray of shape (N,) or (N, M)
        weights : ndarray of shape (N,), optional
            Non-negative. A weight of zero removes its row.
        normalizer : float, optional
            The divisor, instead of N or the sum of the weights.
        out : ndarray of shape (N, M), optional
            Output array for the gradient; must not overlap other arguments.
        """
        if isinstance(outputs, tuple):
            raise TypeError(
                "outputs must be an array, got a tuple: net.forward returns (outputs, cache)"
            )
        outputs = validation.matrix("outputs", _real("outputs", outputs))
        validation.finite("outputs", outputs)
        targets = self.check_targets(targets, outputs.shape[1])
        validation.same_rows("targets", targets, "outputs", len(outputs))
        if targets.dtype.kind != "i":
            targets = validation.cast("targets", targets, outputs.dtype)
        if weights is not None:
            weights = validation.sample_weights("weights", weights, len(outputs), outputs.dtype)
            weights = validation.cast("weights", weights, outputs.dtype)
        if normalizer is not None:
            normalizer = validation.number("normalizer", normalizer, 0, open_low=True)
        if out is not None:
            validation.output("out", out, outputs, targets, weights)
        with np.errstate(over="ignore"):
            return self.compute(outputs, targets, weights, normalizer, out)

    def compute(
        self,
        outputs: Array,
        targets: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        out: Array | None = None,
    ) -> tuple[Any, Array]:
        """Return the mean of the rows' values and its gradient, without checks."""
        values, gradient = self.compute_rows(outputs, targets, out)
        columns = outputs.shape[1] if self.averages_outputs else 1
        if weights is None:
            scale = 1.0 / ((len(outputs) if normalizer is None else normalizer) * columns)
            gradient *= scale
            return np.add.reduce(values) * scale, gradient
        # If every weight is zero, the value and the gradient are zero.
        smallest = float(np.finfo(weights.dtype).tiny)
        total = max(float(weights.sum()), smallest) if normalizer is None else normalizer
        scales = weights * (1.0 / (total * columns))
        gradient *= scales[:, np.newaxis]
        return np.dot(scales, values), gradient


class ElementLoss(RowLoss):
    """A loss whose targets have exactly the outputs' shape."""

    target_low = -np.inf
    target_high = np.inf

    def check_targets(self, targets: Any, columns: int) -> Array:
        """Return targets of shape (N, columns) within the loss's bounds."""
        y = _real("targets", targets)
        if y.ndim != 2 or y.shape[1] != columns:
            hint = " (np.reshape(y, (-1, 1)) is a column)" if y.ndim == columns == 1 else ""
            raise ValueError(
                f"targets must have exactly the outputs' shape, (N, {columns}), "
                f"got shape {y.shape}{hint}"
            )
        validation.finite("targets", y)
        low, high = self.target_low, self.target_high
        wrong = (y < low) | (y > high)
        name, expected = f"targets of {type(self).__name__}", f"lie in [{low:g}, {high:g}]"
        validation.reject(name, y, wrong, expected)
        return y


def softmax(z: Any) -> Array:
    """Return class probabilities for raw outputs ``z``: ``e^zₖ / Σⱼ e^zⱼ`` along the last axis.

    >>> softmax([[0, 0, 0, 0]])
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    z = _real("z", z)
    if not z.ndim or not z.shape[-1]:
        raise ValueError(f"z must have at least one class along its last axis, got shape {z.shape}")
    return kernels.softmax(z)


def sigmoid(z: Any) -> Array:
    """Return ``1/(1 + e⁻ᶻ)``.

    >>> sigmoid([0])
    array([0.5])
    """
    z = _real("z", z)
    flat = np.atleast_1d(z)
    result = kernels.sigmoid(flat)
    np.exp(flat, out=result, where=flat < -40)  # where both are equal in float64
    return result.reshape(z.shape)[()]


ONE_OUTPUT = (
    ". There is only one output: for two classes use SigmoidCrossEntropy with targets of shape "
    "(N, 1), or two units"
)


class SoftmaxCrossEntropy(RowLoss):
    """``mean over rows of -Σₖ tₖ log softmax(z)ₖ``, for classification with K classes.

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

    label_smoothing = Checked(validation.number, 0, 1, open_high=True)

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def check_targets(self, targets: Any, columns: int) -> Array:
        """Return labels as int64 (N,), or probabilities (N, K)."""
        t: Array = validation.numeric("targets", targets)
        hint = ONE_OUTPUT if columns == 1 else ""
        if t.ndim == 1:
            if t.dtype.kind not in "iu":
                whole = t.dtype.kind == "f" and np.array_equal(t, np.rint(t))
                raise TypeError(
                    f"targets of shape (N,) must be integer class numbers, got dtype {t.dtype}"
                    f"{' (np.asarray(y, int) converts them)' if whole else ''}{hint}"
                )
            expected = f"be class numbers from 0 to {columns - 1}" if columns > 1 else "be 0"
            validation.reject("targets", t, (t < 0) | (t >= columns), expected, hint)
            return t.astype(np.int64, copy=False)
        if t.ndim != 2 or t.shape[1] != columns:
            raise ValueError(
                "targets must be class numbers of shape (N,) or probabilities of shape "
                f"(N, {columns}), got shape {t.shape}{hint}"
            )
        t = _real("targets", t)
        validation.finite("targets", t)
        wrong = (t < 0).any(axis=1) | (abs(t.sum(axis=1) - 1) > 1e-3)
        expected = "be probabilities that add up to 1 in each row"
        validation.reject(f"targets of shape (N, {columns})", t, wrong, expected, hint)
        return t

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        a, classes = self.label_smoothing, outputs.shape[1]
        if targets.ndim == 1 and not a:
            return kernels.softmax_cross_entropy(outputs, targets, out)
        if targets.ndim == 1:
            labels, targets = targets, np.zeros(outputs.shape, outputs.real.dtype)
            targets[np.arange(len(labels)), labels] = 1.0 - a
        elif a:
            targets = targets * (1.0 - a)
        if a:
            targets += a / classes  # in place, to save memory
        return kernels.soft_cross_entropy(outputs, targets, out)

    def probabilities(self, outputs: Array) -> Array:
        """Return ``softmax(outputs)``."""
        return kernels.softmax(np.atleast_1d(_real("outputs", outputs)))

    def classes(self, outputs: Array) -> Array:
        """Return the index of the largest output in each row, (N,)."""
        return np.asarray(validation.matrix("outputs", outputs).argmax(axis=1))


class SigmoidCrossEntropy(ElementLoss):
    """``mean over rows of Σₖ (log(1 + e^zₖ) - yₖ zₖ)``: independent binary outputs.

    Notes
    -----
    Targets lie in [0, 1], shape (N, K): one column for a binary problem, several for multi-label
    classification. The gradient is ``(σ(z) - y)/N``. See
    :func:`nnreg.kernels.sigmoid_cross_entropy`.

    Examples
    --------
    >>> value, gradient = SigmoidCrossEntropy()(np.zeros((1, 1)), np.ones((1, 1)))  # log 2
    >>> float(value.round(4)), gradient
    (0.6931, array([[-0.5]]))
    """

    target_low, target_high = 0.0, 1.0

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        return kernels.sigmoid_cross_entropy(outputs, targets, out)

    def probabilities(self, outputs: Array) -> Array:
        """Return ``σ(outputs)``."""
        return kernels.sigmoid(np.atleast_1d(_real("outputs", outputs)))

    def classes(self, outputs: Array) -> Array:
        """Return 1 where the output is positive, else 0, (N, K)."""
        return (validation.numeric("outputs", outputs) > 0).astype(np.int64)


class MeanSquaredError(ElementLoss):
    """``mean over rows and outputs of (z - y)²``; gradient ``2(z - y)/(N·M)``.

    Examples
    --------
    >>> MeanSquaredError()(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))  # (1 + 4)/2
    (np.float64(2.5), array([[1., 2.]]))
    """

    averages_outputs = True

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        return kernels.squared_error(outputs, targets, out)


class Huber(ElementLoss):
    """``mean over rows and outputs of r²/2``, but ``delta·|r| - delta²/2`` where ``|r| > delta``.

    Here ``r = z - y``. The gradient is ``r``, clipped to ``[-delta, delta]``, over ``N·M``.

    Parameters
    ----------
    delta : float, default 1
        Positive; the gradient is constant where the error exceeds it.

    Examples
    --------
    >>> Huber(1.0)(np.array([[3.0]]), np.array([[0.0]]))
    (np.float64(2.5), array([[1.]]))
    """

    averages_outputs = True
    delta = Checked(validation.number, 0, open_low=True)

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        return kernels.huber(outputs, targets, self.delta, out)


class Quantile(ElementLoss):
    """``mean over rows and outputs of (1 - q)·r`` where ``r > 0``, and ``q·|r|`` where ``r < 0``.

    Here ``r = z - y``. Trained with it, a network predicts the value below which a share ``q`` of
    the targets lies: ``q=0.5`` the median, for which the loss is half the mean absolute error. The
    gradient is ``1 - q`` or ``-q``, over ``N·M``. It is also called the pinball loss.

    Parameters
    ----------
    q : float, default 0.5
        In (0, 1).

    Examples
    --------
    >>> Quantile(0.75)(np.array([[1.0], [-2.0]]), np.array([[0.0], [0.0]]))  # (0.25 + 1.5)/2
    (np.float64(0.875), array([[ 0.125],
           [-0.375]]))
    """

    averages_outputs = True
    q = Checked(validation.number, 0, 1, open_low=True, open_high=True)

    def __init__(self, q: float = 0.5) -> None:
        self.q = q

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        return kernels.quantile(outputs, targets, self.q, out)


class Poisson(ElementLoss):
    """``mean over rows of Σₘ (e^zₘ - yₘ zₘ)``: for counts with mean ``e^z``.

    The constant ``log y!`` is omitted. The gradient is ``(e^z - y)/N``.

    Examples
    --------
    >>> Poisson()(np.zeros((1, 1)), np.array([[3.0]]))
    (np.float64(1.0), array([[-2.]]))
    """

    target_low = 0.0

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        return kernels.poisson(outputs, targets, out)
