r"""Penalties: what large weights cost. Value, gradient and proximal map stand together.

The training objective is ``data_loss + R(w)``. A penalty sees weights only, never a bias, and is
divided by nothing: not by the number of rows, nor by the batch, nor by the layer.

A kink (L1 at 0) can be treated in two ways. The *subgradient* adds ``sign(w)`` to the gradient;
weights then jump around zero and never reach it. The *proximal* map is applied after the
optimizer's step and minimizes the penalty exactly, in the metric of that step:
``prox(w) = argmin_u Σ ½(u - w)²/s + R(u)`` with the step size ``s``. It yields exact zeros, which
can come back to life.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import checks, kernels
from nnreg.kernels import Array

METHODS = ("subgradient", "proximal")


class Penalty:
    """A cost of weights; to write one, give ``value`` and ``gradient``.

    Attributes
    ----------
    elementwise : bool, default False
        Whether the value is a sum over single weights. Then the penalty may be handed any run of a
        network's weights, flat, which is faster; otherwise it gets one shaped weight array at a
        time.
    block : int, default 4096
        How many weights ``gradient`` is handed at once, if the penalty is elementwise. One that
        allocates nothing may take more.
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
    method = "subgradient"
    block = 4096

    def value(self, w: Array) -> Any:
        """Return ``R(w)``, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define value(w)")

    def gradient(self, w: Array, out: Array) -> Any:
        """Write ``∂R/∂w`` into ``out``, of the shape of ``w``."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(w, out)")

    def proximal(self, w: Array, step: float | Array, out: Array) -> Any:
        """Write ``argmin_u Σ ½(u - w)²/step + R(u)`` into ``out``, which may be ``w`` itself."""
        raise NotImplementedError(f"{type(self).__name__} has no proximal map")

    def residual(self, w: Array, dw: Array, out: Array) -> Any:
        """Write the smallest element of ``dw + ∂R/∂w``, which is zero where ``w`` is stationary.

        ``dw`` is the derivative of the data loss, and ``out`` another array. Unless redefined, that
        of a penalty without kinks.
        """
        self.gradient(w, out)
        out += dw

    def __repr__(self) -> str:
        return checks.described(self)


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
    strength = checks.bounded(0)

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def value(self, w: Array) -> Any:
        """Return ``strength/2 · Σ w²``."""
        return self.strength * kernels.l2(w)

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``strength · w``."""
        np.multiply(w, self.strength, out=out)


class L1(Penalty):
    """``strength · Σ |w|``: weights that the data do not need become zero (Tibshirani, 1996).

    Parameters
    ----------
    strength : float
        At least 0; may be changed at any time.
    method : {"subgradient", "proximal"}, default "subgradient"
        ``"proximal"`` gives exact zeros. Descent is proven for it with plain SGD; with momentum and
        Adam the map uses the optimizer's own ``step_size``, which makes the fixed points the right
        ones.

    Notes
    -----
    L1 limits the growth of weights, though it is often said not to. While the total only falls,
    ``strength · Σ |w|`` cannot exceed the total at the start; two classes that a plane tells apart,
    which without a penalty drive the weights up for ever, bring them to rest under any strength
    above 0. What is true is that its pull does not grow with the weight: it takes the same from a
    large one as from a small one, where L2 takes a share. So under L1 large weights stay larger
    than under L2, and small ones go to zero.

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
    strength = checks.bounded(0)

    def __init__(self, strength: float, *, method: str = "subgradient") -> None:
        self.strength = strength
        self.method = checks.one_of("method", method, METHODS)

    def value(self, w: Array) -> Any:
        """Return ``strength · Σ |w|``."""
        return self.strength * kernels.l1(w)

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``strength · sign(w)``, with ``sign(0) = 0``."""
        np.sign(w, out=out)
        out *= self.strength

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``sign(w) · max(|w| - step·strength, 0)``."""
        kernels.soft_threshold(w, step * self.strength, out)

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write ``dw + strength·sign(w)``, or where ``w`` is zero what the strength cannot hold."""
        kernels.lasso_residual(w, dw, self.strength, out)


class ElasticNet(Penalty):
    """``l1 · Σ |w| + l2/2 · Σ w²`` (Zou & Hastie, 2005): sparse, correlated inputs stay together.

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
    l1 = checks.bounded(0)
    l2 = checks.bounded(0)

    def __init__(self, l1: float, l2: float, *, method: str = "subgradient") -> None:
        self.l1, self.l2 = l1, l2
        self.method = checks.one_of("method", method, METHODS)

    def value(self, w: Array) -> Any:
        """Return ``l1 · Σ |w| + l2/2 · Σ w²``."""
        return self.l1 * kernels.l1(w) + self.l2 * kernels.l2(w)

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``l1 · sign(w) + l2 · w``."""
        np.sign(w, out=out)
        out *= self.l1
        out += self.l2 * w

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``soft_threshold(w, step·l1) / (1 + step·l2)``."""
        kernels.soft_threshold(w, step * self.l1, out)
        out /= 1.0 + step * self.l2

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write that of L1, with ``dw + l2·w`` in the place of ``dw``."""
        kernels.lasso_residual(w, dw + self.l2 * w, self.l1, out)
