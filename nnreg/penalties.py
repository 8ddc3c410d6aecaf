"""Penalties and constraints on weights: value, gradient, proximal map, projection.

The training objective is ``data_loss + R(w)``. A penalty ``R`` increases with the weights; a
constraint limits them. Both apply to weights only, never to a bias. A penalty is not divided: not
by the number of rows, nor by the size of the batch or the layer.

A kink (L1 at 0) can be treated in two ways. The *subgradient* adds ``sign(w)`` to the gradient;
weights then oscillate around zero. The *proximal* map is applied after the
optimizer's step and minimizes the penalty exactly, in the metric of that step:
``prox(w) = argmin_u Σ ½(u - w)²/s + R(u)`` with the step size ``s``. It gives exact zeros; a
zero weight can become nonzero again.

L1 makes single weights zero. To remove an input or a unit, all of its weights must be zero at once:
the *group lasso* penalizes the norm of the group, whose only kink is where all are zero.

A *constraint* is applied after every step and after the proximal map of a penalty. The *projection*
is the nearest allowed ``u``, ``project(w) = argmin_u Σ (u - w)²``. It is the proximal map of a
function that is 0 in the allowed set and infinite outside, and like every proximal map it must use
the metric of the optimizer. If each weight has a different step size ``s`` (RMSprop, Adam),
training converges to a minimum only with ``argmin_u Σ (u - w)²/s``; with one step size for all
weights, the two are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg import kernels, proximal
from nnreg._support.hyperparameters import Checked, Configurable
from nnreg._support.typing import Array
from nnreg._support.validation import number, one_of

METHODS = ("subgradient", "proximal")


class Penalty(Configurable):
    """Base class of penalties; a subclass defines ``value`` and ``gradient``.

    Attributes
    ----------
    elementwise : bool, default False
        Whether the value is a sum over single weights. If True, the penalty is computed for flat
        pieces of the network's weights, which is faster; otherwise for one shaped weight array at a
        time.
    block : int, default 4096
        Number of weights per call of ``gradient``, if the penalty is elementwise. It may be larger
        for a penalty that allocates no memory.
    method : {"subgradient", "proximal"}
        Whether training uses ``gradient``, or ``proximal`` after the step.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Quartic(nn.Penalty):
    ...     def value(self, w):
    ...         return (w**4).sum()
    ...
    ...     def gradient(self, w, out):
    ...         out[...] = 4 * w**3
    >>> net = nn.Network([nn.Dense(1)], inputs=2, penalty=Quartic())
    >>> net.parameters.weights[:] = 1, 2
    >>> net.penalty_value()
    17.0
    """

    elementwise = False
    method: Any = "subgradient"
    block = 4096

    def value(self, w: Array) -> Any:
        """Return ``R(w)``, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define value(w)")

    def gradient(self, w: Array, out: Array) -> Any:
        """Write ``∂R/∂w`` into ``out``, of the shape of ``w``."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(w, out)")

    def add_gradient(self, w: Array, g: Array, work: Array) -> None:
        """Add ``∂R/∂w`` to ``g``; ``work`` is an array of its shape, for :meth:`gradient`."""
        result = self.gradient(w, work)
        if result is not None and result is not work:
            raise TypeError(
                f"{type(self).__name__}.gradient must write into out and return "
                f"nothing, got {type(result).__name__}"
            )
        g += work

    def __init_subclass__(cls, **options: Any) -> None:
        """Where a subclass defines another gradient, this gradient is the one that is added."""
        super().__init_subclass__(**options)
        if "gradient" in vars(cls) and "add_gradient" not in vars(cls):
            setattr(cls, "add_gradient", Penalty.add_gradient)  # noqa: B010  # for mypy

    def proximal(self, w: Array, step: float | Array, out: Array) -> Any:
        """Write ``argmin_u Σ ½(u - w)²/step + R(u)`` into ``out``, which may be ``w`` itself."""
        raise NotImplementedError(f"{type(self).__name__} has no proximal map")

    def residual(self, w: Array, dw: Array, out: Array) -> Any:
        """Write the smallest element of ``dw + ∂R/∂w``, which is zero where ``w`` is stationary.

        ``dw`` is the derivative of the data loss. By default the residual of a differentiable
        penalty.
        """
        slope = np.empty_like(w)
        self.gradient(w, slope)
        np.add(slope, dw, out=out)


class L2(Penalty):
    """``strength/2 · Σ w²``: every weight becomes small, none becomes zero (ridge, weight decay).

    Parameters
    ----------
    strength : float
        At least 0; may be changed at any time.

    Examples
    --------
    >>> L2(0.1).value(np.array([1.0, 2.0]))  # 0.05 * (1 + 4)
    np.float64(0.25)
    """

    elementwise = True
    block = 131_072
    strength = Checked(number, 0)

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def value(self, w: Array) -> Any:
        """Return ``strength/2 · Σ w²``."""
        return self.strength * kernels.l2(w)

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``strength · w``."""
        np.multiply(w, self.strength, out=out)

    def add_gradient(self, w: Array, g: Array, work: Array) -> None:
        """Add ``strength · w`` to ``g``, in one pass."""
        kernels.axpby(self.strength, w, 1.0, g, work)


class L1(Penalty):
    """``strength · Σ |w|``: irrelevant weights become zero (Tibshirani, 1996).

    Parameters
    ----------
    strength : float
        At least 0; may be changed at any time.
    method : {"subgradient", "proximal"}, default "subgradient"
        ``"proximal"`` gives exact zeros. Descent is proven for it with plain SGD; with momentum and
        Adam the map uses the optimizer's ``step_size``, so the fixed points are correct.

    Notes
    -----
    L1 limits the growth of weights, contrary to a common statement. While the total decreases,
    ``strength · Σ |w|`` cannot exceed the initial total. For two linearly separable classes the
    weights grow without bound if there is no penalty; with any strength above 0 they converge. But
    the gradient of L1 does not grow with the weight: it reduces large and small weights by the same
    amount, L2 in proportion. So with L1 large weights remain larger than with L2, and small ones
    become zero.

    Examples
    --------
    >>> w = np.array([-2.0, 0.0, 0.3])
    >>> float(L1(0.5).value(w).round(9))  # 0.5 * 2.3
    1.15
    >>> g = np.empty(3)
    >>> L1(0.5).gradient(w, g)
    >>> g  # the subgradient at 0 is 0
    array([-0.5,  0. ,  0.5])
    >>> L1(0.5, method="proximal").proximal(w, 1.0, g)
    >>> g
    array([-1.5,  0. ,  0. ])
    """

    elementwise = True
    block = 131_072
    strength = Checked(number, 0)
    method = Checked(one_of, METHODS)

    def __init__(self, strength: float, *, method: str = "subgradient") -> None:
        self.strength, self.method = strength, method

    def value(self, w: Array) -> Any:
        """Return ``strength · Σ |w|``."""
        return self.strength * kernels.l1(w)

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``strength · sign(w)``, with ``sign(0) = 0``."""
        np.sign(w, out=out)
        out *= self.strength

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``sign(w) · max(|w| - step·strength, 0)``."""
        proximal.soft_threshold(w, step * self.strength, out)

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write ``dw + strength·sign(w)``, or where ``w`` is zero the excess of ``dw``."""
        out[...] = proximal.lasso_residual(w, dw, self.strength)


class ElasticNet(Penalty):
    """``l1 · Σ |w| + l2/2 · Σ w²`` (Zou & Hastie, 2005): sparse, similar for correlated inputs.

    Parameters
    ----------
    l1, l2 : float
        At least 0; may be changed at any time.
    method : {"subgradient", "proximal"}, default "subgradient"

    Examples
    --------
    >>> w = np.array([-2.0, 0.5])
    >>> penalty = ElasticNet(1.0, 1.0, method="proximal")
    >>> penalty.value(w)  # 2.5 + 4.25/2
    np.float64(4.625)
    >>> penalty.proximal(w, 1.0, w)
    >>> w  # soft threshold, then 1/(1 + 1)
    array([-0.5,  0. ])
    """

    elementwise = True
    l1 = Checked(number, 0)
    l2 = Checked(number, 0)
    method = Checked(one_of, METHODS)

    def __init__(self, l1: float, l2: float, *, method: str = "subgradient") -> None:
        self.l1, self.l2, self.method = l1, l2, method

    def value(self, w: Array) -> Any:
        """Return ``l1 · Σ |w| + l2/2 · Σ w²``."""
        return self.l1 * kernels.l1(w) + self.l2 * kernels.l2(w)

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``l1 · sign(w) + l2 · w``."""
        ridge = self.l2 * w
        np.sign(w, out=out)
        out *= self.l1
        out += ridge

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``soft_threshold(w, step·l1) / (1 + step·l2)``."""
        divisor = 1.0 + step * self.l2
        proximal.soft_threshold(w, step * self.l1, out)
        out /= divisor

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write the residual of L1, with ``dw + l2·w`` instead of ``dw``."""
        out[...] = proximal.lasso_residual(w, dw + self.l2 * w, self.l1)


class GroupLasso(Penalty):
    """``strength · Σ ‖w_g‖``: groups of weights are zero together (Yuan & Lin, 2006).

    Parameters
    ----------
    strength : float
        At least 0; may be changed at any time. It is not multiplied by the root of a group's size,
        as Yuan & Lin do: their ``λ`` is ``strength/√size``.
    groups : {"inputs", "units"}
        The weights that become zero together: those of an *input* of the layer, a row of the weight
        matrix, or those of a *unit*, a column.
    method : {"subgradient", "proximal"}, default "subgradient"
        As for :class:`nnreg.L1`.

    Notes
    -----
    A unit whose incoming weights are zero still has its bias, so it is a constant. For hidden
    layers, both the ``"units"`` of one layer and the ``"inputs"`` of the next remove whole neurons.

    Examples
    --------
    >>> w = np.array([[3.0, 4.0], [0.3, 0.4]])  # the norms of the rows are 5 and 0.5
    >>> GroupLasso(1.0, groups="inputs").value(w)
    np.float64(5.5)
    >>> GroupLasso(1.0, groups="inputs", method="proximal").proximal(w, 1.0, w)
    >>> w
    array([[2.4, 3.2],
           [0. , 0. ]])
    """

    strength = Checked(number, 0)
    groups = Checked(one_of, ["inputs", "units"])
    method = Checked(one_of, METHODS)

    def __init__(self, strength: float, *, groups: str, method: str = "subgradient") -> None:
        self.strength, self.groups, self.method = strength, groups, method

    def value(self, w: Array) -> Any:
        """Return ``strength · Σ ‖w_g‖``."""
        return self.strength * proximal.column_norms(_columns(w, self.groups)).sum()

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``strength · w_g/‖w_g‖``, and 0 for a group of zeros."""
        _write_columns(out, self.groups, proximal.group_gradient, w, self.strength)

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``w_g · max(1 - step·strength/‖w_g‖, 0)``, and its form for different steps."""
        _write_columns(out, self.groups, proximal.group_threshold, w, step * self.strength)

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write ``dw_g + strength·w_g/‖w_g‖``, or where ``w_g`` is zero the excess of ``dw_g``."""
        _write_columns(out, self.groups, proximal.group_residual, w, dw, self.strength)


def _columns(w: Any, groups: str) -> Any:
    """Return weights of any shape as a matrix with one column per group; a number is unchanged."""
    if not isinstance(w, np.ndarray):
        return w
    shape = w.shape or (1,)  # a single number is one column of one weight
    return w.reshape(-1, shape[-1]) if groups == "units" else w.reshape(shape[0], -1).T


def _write_columns(out: Array, groups: str, formula: Callable[..., Array], *arguments: Any) -> None:
    """Write a formula for columns into ``out``, of any shape and memory order."""
    arguments = tuple(_columns(argument, groups) for argument in arguments)
    if out.ndim <= 2:  # these columns are always a view
        formula(*arguments, out=_columns(out, groups))
    else:
        columns = formula(*arguments)
        out[...] = (columns if groups == "units" else columns.T).reshape(out.shape)


class Constraint(Configurable):
    """Base class of constraints; a subclass defines ``project``.

    It is applied to one shaped weight array at a time.

    Examples
    --------
    >>> import nnreg as nn
    >>> class NonNegative(nn.Constraint):
    ...     def project(self, w, out):
    ...         np.maximum(w, 0, out=out)
    >>> net = nn.Network([nn.Dense(1)], inputs=2, constraint=NonNegative())
    >>> net.parameters.weights[:] = 1, -2
    >>> net.apply_proximal(0.1)
    >>> net.parameters.weights
    array([1., 0.], dtype=float32)
    """

    elementwise = False
    method = "proximal"

    def project(self, w: Array, out: Array) -> Any:
        """Write the allowed ``u`` nearest to ``w`` into ``out``, which may be ``w`` itself."""
        raise NotImplementedError(f"{type(self).__name__} must define project(w, out)")

    def proximal(self, w: Array, step: float | Array, out: Array) -> Any:
        """Write the allowed ``u`` with the least ``Σ (u - w)²/step``, as in training.

        By default the projection, which is correct for one step size for all weights, and for
        constraints on single weights.
        """
        return self.project(w, out)

    def residual(self, w: Array, dw: Array, out: Array) -> Any:
        """Write the part of ``dw`` that the constraint allows; zero where ``w`` is stationary.

        ``dw`` is the residual without the constraint. Where ``w`` is on the boundary of the allowed
        set, the part of ``dw`` that would move it outwards is removed.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define residual(w, dw, out)")


class MaxNorm(Constraint):
    """``‖w_j‖ <= limit`` for the incoming weights of each unit, a column of the weight matrix.

    It was introduced with dropout (Hinton et al., 2012; Srivastava et al., 2014, section 5.1),
    where it limits the weights at high learning rates.

    Parameters
    ----------
    limit : float
        Positive; may be changed at any time.

    Examples
    --------
    >>> w = np.array([[3.0, 0.3], [4.0, 0.4]])  # the norms of the columns are 5 and 0.5
    >>> MaxNorm(1.0).project(w, w)
    >>> w
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    limit = Checked(number, 0, open_low=True)

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def project(self, w: Array, out: Array) -> None:
        """Write ``w_j · limit/max(limit, ‖w_j‖)`` for each column ``j``."""
        _write_columns(out, "units", proximal.clip_norms, w, self.limit)

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``w_j``, or if its norm exceeds ``limit``, ``w_j/(1 + μ·step)`` of that norm."""
        _write_columns(out, "units", proximal.clip_norms, w, self.limit, step)

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write ``dw_j``, or at the limit the smallest ``dw_j + μw_j`` with ``μ >= 0``."""
        _write_columns(out, "units", proximal.clip_residual, w, dw, self.limit)
