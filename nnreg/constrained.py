"""Which constraint each weight has, and putting the weights back to where it allows them.

As :mod:`nnreg.objective` is for penalties: the network's constraint holds for every layer that does
not say otherwise, so that a limit can stand beside any penalty and any dropout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nnreg.constraints import Constraint
from nnreg.kernels import Array
from nnreg.parameters import Parameters

if TYPE_CHECKING:
    from nnreg.layers import Layer

Limited: TypeAlias = tuple[Constraint, slice, tuple[int, ...]]  # by what, where, of what shape


class Constrained:
    """The constraints of whatever has layers and parameters.

    Attributes
    ----------
    layers : tuple of Layer
    parameters : Parameters

    Examples
    --------
    >>> import nnreg as nn
    >>> layers = [nn.Dense(2, initializer=nn.ones), nn.Dense(1, constraint=None)]
    >>> net = nn.Network(layers, inputs=4, constraint=nn.MaxNorm(1.0))
    >>> net.constrain()
    >>> net.parameters["dense_1.weight"].T
    array([[0.5, 0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5, 0.5]], dtype=float32)
    """

    layers: tuple[Layer, ...]
    parameters: Parameters
    _constraint: Constraint | None = None

    @property
    def constraint(self) -> Constraint | None:
        """What limits the weights of every layer that does not say otherwise."""
        return self._constraint

    @constraint.setter
    def constraint(self, constraint: Constraint | None) -> None:
        if constraint is not None and not isinstance(constraint, Constraint):
            raise TypeError(
                f"constraint must be a Constraint such as nn.MaxNorm(3.0), or None, "
                f"got {constraint!r}"
            )
        self._constraint = constraint

    def constraint_of(self, name: str) -> Constraint | None:
        """Return the constraint on the parameter of this name; a bias has none."""
        if not self.parameters.declared[name].weight:
            return None
        layer = next(layer for layer in self.layers if layer.name == name.partition(".")[0])
        own = layer.constraint
        return self._constraint if own == "inherit" else own  # type: ignore[return-value]  # "inherit" is the only str

    def constrained(self) -> Iterator[Limited]:
        """Yield ``(constraint, where in the vector, shape)`` for each limited weight array."""
        if self._constraint is None and not any(
            isinstance(layer.constraint, Constraint) for layer in self.layers
        ):
            return
        for name, parameter in self.parameters.declared.items():
            constraint = self.constraint_of(name)
            if constraint is not None:
                yield constraint, self.parameters.slices[name], parameter.shape

    def constrain(self, step_size: float | Array = 1.0, part: slice | None = None) -> None:
        """Put the weights back to where their constraints allow them.

        `apply_proximal` does it after every step; for one that is about to begin, it may be
        called alone.

        Parameters
        ----------
        step_size : float or ndarray of shape (P,), default 1
            ``optimizer.step_size``; with ``part``, its values there.
        part : slice of the vector, optional
            Do it there only. A limited weight array must not be cut.
        """
        low, high = (0, self.parameters.weights.size) if part is None else (part.start, part.stop)
        for constraint, where, shape in self.constrained():
            if low <= where.start < high:
                w = self.parameters.vector[where].reshape(shape)
                step = step_size
                if isinstance(step, np.ndarray):
                    step = step[where.start - low : where.stop - low].reshape(shape)
                constraint.proximal(w, step, w)
