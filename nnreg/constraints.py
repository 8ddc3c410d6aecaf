"""Constraints: where weights may be at all. A penalty makes large weights dear, this forbids them.

After every step of the optimizer, and after the proximal map of a penalty if there is one, the
weights are put back to where they may be. Like a penalty, a constraint sees weights only, never a
bias.

"Put back" is the *projection*: of all ``u`` that are allowed the nearest,
``project(w) = argmin_u Σ (u - w)²``. It is the proximal map of a cost that is 0 inside and infinite
outside, and like every proximal map it has to measure distance as the optimizer does. Where each
weight has a step size ``s`` of its own (RMSprop, Adam), training ends at a minimum only with
``argmin_u Σ (u - w)²/s``; for one step size for all, the two are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import checks, kernels
from nnreg.kernels import Array


class Constraint:
    """A set that weights must stay in; to write one, give ``project``.

    It is handed one shaped weight array at a time.

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

    def project(self, w: Array, out: Array) -> Any:
        """Write the allowed ``u`` nearest to ``w`` into ``out``, which may be ``w`` itself."""
        raise NotImplementedError(f"{type(self).__name__} must define project(w, out)")

    def proximal(self, w: Array, step: float | Array, out: Array) -> Any:
        """Write the allowed ``u`` with the least ``Σ (u - w)²/step``; it is what training calls.

        Unless redefined, the projection: right for one step for all weights, and for whatever
        constrains each weight by itself.
        """
        return self.project(w, out)

    def residual(self, w: Array, dw: Array, out: Array) -> Any:
        """Write what of ``dw`` the constraint does not hold; zero where ``w`` is stationary.

        ``dw`` is the residual without the constraint, and ``out`` another array. Where ``w`` is at
        the edge of what is allowed, moving on is forbidden, and what of ``dw`` wants it does not
        count.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define residual(w, dw, out)")

    def __repr__(self) -> str:
        return checks.described(self)


class MaxNorm(Constraint):
    """``‖w_j‖ <= limit`` for the incoming weights of each unit, a column of the weight matrix.

    It came with dropout (Hinton et al., 2012; Srivastava et al., 2014, section 5.1): high learning
    rates explore, and no weight can run away.

    Parameters
    ----------
    limit : float
        Positive; may be changed at any time.

    Examples
    --------
    >>> w = np.array([[3.0, 0.3], [4.0, 0.4]])  # the columns are 5 and 0.5 long
    >>> MaxNorm(1.0).project(w, w)
    >>> w
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    limit = checks.bounded(0, open_low=True)

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def project(self, w: Array, out: Array) -> None:
        """Write ``w_j · limit/max(limit, ‖w_j‖)`` for each column ``j``."""
        kernels.clip_norms(_columns(w), self.limit, out=_columns(out))

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``w_j``, or where that is too long the ``w_j/(1 + μ·step)`` of length ``limit``."""
        if isinstance(step, np.ndarray):
            step = _columns(step)
        kernels.clip_norms(_columns(w), self.limit, step, out=_columns(out))

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write ``dw_j``, or at the limit the smallest ``dw_j + μw_j`` with ``μ >= 0``."""
        kernels.clip_residual(_columns(w), _columns(dw), self.limit, out=_columns(out))


def _columns(w: Array) -> Array:
    """Return weights of any shape as a matrix, a column for each unit."""
    return w.reshape(-1, w.shape[-1])
