"""The group lasso: a penalty under which whole inputs or units go to zero, not single weights.

L1 thins a weight matrix out, wherever it likes; to leave an input or a unit away, all of its
weights must be zero at once. So they are made a group, and the group's length is penalized: the
only kink is where all are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import checks, kernels
from nnreg.kernels import Array
from nnreg.penalties import METHODS, Penalty

GROUPS = ("inputs", "units")


class GroupLasso(Penalty):
    """``strength · Σ ‖w_g‖``: groups of weights are zero together (Yuan & Lin, 2006).

    Parameters
    ----------
    strength : float
        At least 0; may be changed at any time. It is not multiplied by the root of a group's size,
        as Yuan & Lin do: their ``λ`` is ``strength/√size``.
    groups : {"inputs", "units"}
        What goes to zero as a whole: an *input* of the layer with all its outgoing weights, a row
        of the weight matrix; or a *unit* with all its incoming weights, a column.
    method : {"subgradient", "proximal"}, default "subgradient"
        As for :class:`nnreg.L1`.

    Notes
    -----
    A unit whose incoming weights are zero still has its bias, so it is a constant. In a hidden
    layer, both the ``"units"`` of one layer and the ``"inputs"`` of the next take whole neurons
    away.

    Examples
    --------
    >>> w = np.array([[3.0, 4.0], [0.3, 0.4]])  # the rows are 5 and 0.5 long
    >>> GroupLasso(1.0, groups="inputs").value(w)
    np.float64(5.5)
    >>> GroupLasso(1.0, groups="inputs", method="proximal").proximal(w, 1.0, w)
    >>> w
    array([[2.4, 3.2],
           [0. , 0. ]])
    """

    strength = checks.bounded(0)

    def __init__(self, strength: float, *, groups: str, method: str = "subgradient") -> None:
        self.strength = strength
        self.groups = checks.one_of("groups", groups, GROUPS)
        self.method = checks.one_of("method", method, METHODS)

    def value(self, w: Array) -> Any:
        """Return ``strength · Σ ‖w_g‖``."""
        return self.strength * kernels.norms(self._columns(w)).sum()

    def gradient(self, w: Array, out: Array) -> None:
        """Write ``strength · w_g/‖w_g‖``, and 0 for a group of zeros."""
        columns = self._columns(w)
        length = kernels.norms(columns)
        length[length == 0] = 1.0
        np.multiply(columns, self.strength / length, out=self._columns(out))

    def proximal(self, w: Array, step: float | Array, out: Array) -> None:
        """Write ``w_g · max(1 - step·strength/‖w_g‖, 0)``, and for steps that differ its like."""
        threshold = step * self.strength
        if isinstance(threshold, np.ndarray):
            threshold = self._columns(threshold)
        kernels.group_threshold(self._columns(w), threshold, out=self._columns(out))

    def residual(self, w: Array, dw: Array, out: Array) -> None:
        """Write ``dw_g + strength·w_g/‖w_g‖``, or for zeros what the strength cannot hold."""
        columns = self._columns(w), self._columns(dw)
        kernels.group_residual(*columns, self.strength, out=self._columns(out))

    def _columns(self, w: Array) -> Array:
        """Return a view of weights of any shape as a matrix, a column for each group."""
        if self.groups == "units":
            return w.reshape(-1, w.shape[-1])
        return w.reshape(w.shape[0], -1).T
