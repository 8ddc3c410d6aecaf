"""The objective's second half: which penalty each weight has, what it costs, and what it adds.

The data loss belongs to the outputs, the penalty to the weights. So it is computed apart, reported
apart, and handed nothing but weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.parameters import Parameters
from nnreg.penalties import Constraint, Penalty

if TYPE_CHECKING:
    from nnreg.layers.base import Layer


# MERGED DOCSTRING: Which constraint each weight has, and putting the weights back to where it
# allows them.
#
# As :mod:`nnreg.regularization` is for penalties: the network's constraint holds for every layer
# that does
# not say otherwise, so that a limit can stand beside any penalty and any dropout.
#


# Weights that a penalty's value and proximal map are handed at once, so temporaries stay small.
VALUE_BLOCK = 4096
PROXIMAL_BLOCK = 2048

Piece: TypeAlias = tuple[Penalty, slice, tuple[int, ...]]  # on what, where in the vector, shape


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


class Objective(Constrained):
    """The penalty half of the objective of whatever has layers and parameters.

    Attributes
    ----------
    layers : tuple of Layer
    parameters : Parameters

    Examples
    --------
    >>> import nnreg as nn
    >>> layers = [nn.Dense(2, initializer=nn.ones), nn.Dense(1, initializer=nn.ones, penalty=None)]
    >>> net = nn.Network(layers, inputs=3, penalty=nn.L2(0.5))
    >>> net.penalty_value()  # 0.5/2 times six ones
    1.5
    >>> gradients = net.parameters.like()
    >>> net.add_penalty_gradient(gradients)
    >>> gradients.vector
    array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0. , 0. , 0. , 0. , 0. ], dtype=float32)
    """

    layers: tuple[Layer, ...]
    parameters: Parameters
    _penalty: Penalty | None
    _runs_for: list[Penalty | str | None] | None = None
    _runs: list[Piece]
    _cut: dict[tuple[int, int, int | None], list[Piece]]

    @property
    def penalty(self) -> Penalty | None:
        """What applies to the weights of every layer that does not say otherwise."""
        return self._penalty

    @penalty.setter
    def penalty(self, penalty: Penalty | None) -> None:
        if penalty is not None:
            validation.instance(
                "penalty", penalty, Penalty, "a Penalty such as nn.L2(1e-4), or None"
            )
        self._penalty = penalty

    def penalty_of(self, name: str) -> Penalty | None:
        """Return the penalty on the parameter of this name; a bias has none."""
        if not self.parameters.declared[name].weight:
            return None
        own = next(layer for layer in self.layers if layer.name == name.partition(".")[0]).penalty
        return self._penalty if own == "inherit" else own  # type: ignore[return-value]  # "inherit" is the only str

    def penalized(self) -> list[Piece]:
        """Return ``(penalty, where in the vector, shape)``.

        Weights that are neighbours in the vector, under one elementwise penalty, are one flat run.
        """
        now = [layer.penalty for layer in self.layers]
        now.append(self._penalty)
        if now != self._runs_for:
            self._runs_for, self._runs, self._cut = now, list(self._merged()), {}
        return self._runs

    def _merged(self) -> Iterator[Piece]:
        run: Piece | None = None
        for name, parameter in self.parameters.declared.items():
            penalty = self.penalty_of(name)
            if penalty is None:
                continue
            where = self.parameters.slices[name]
            if run and run[0] is penalty and penalty.elementwise and run[1].stop == where.start:
                where = slice(run[1].start, where.stop)
            elif run:
                yield run
            size = where.stop - where.start
            run = (penalty, where, (size,) if penalty.elementwise else parameter.shape)
        if run:
            yield run

    def _pieces(self, part: slice | None = None, block: int | None = None) -> list[Piece]:
        """Cut the elementwise runs into blocks, and leave out what is not in ``part``."""
        runs = self.penalized()
        low, high = (0, self.parameters.weights.size) if part is None else (part.start, part.stop)
        wanted = (low, high, block)
        if wanted not in self._cut:
            pieces = self._cut[wanted] = []
            for penalty, where, shape in runs:
                if not penalty.elementwise:
                    if low <= where.start < high:
                        pieces.append((penalty, where, shape))
                    continue
                end, size = min(where.stop, high), penalty.block if block is None else block
                for start in range(max(where.start, low), end, size):
                    stop = min(start + size, end)
                    pieces.append((penalty, slice(start, stop), (stop - start,)))
        return self._cut[wanted]

    def penalty_value(self) -> Any:
        """Return ``R(w)``, the sum over all penalized weights, as a Python number."""
        total = 0.0
        for penalty, where, shape in self._pieces(block=VALUE_BLOCK):
            total += np.asarray(penalty.value(self.parameters.vector[where].reshape(shape))).item()
        return total

    def add_penalty_gradient(
        self, gradients: Parameters, part: slice | None = None, work: Array | None = None
    ) -> None:
        """Add ``∂R/∂w`` to the weights' part of ``gradients``; a proximal penalty adds nothing.

        Parameters
        ----------
        gradients : Parameters
        part : slice of the vector, optional
            Do it there only. A weight array under a penalty that is not elementwise must not be
            cut.
        work : ndarray, optional
            Memory for it.
        """
        if gradients.vector.size != self.parameters.vector.size:
            raise ValueError(f"gradients must be those of this network, got {gradients!r}")
        for penalty, where, shape in self._pieces(part):
            if penalty.method != "proximal":
                size = where.stop - where.start
                own = gradients.scratch(size) if work is None or len(work) < size else work[:size]
                out = own.reshape(shape)
                answer = penalty.gradient(self.parameters.vector[where].reshape(shape), out)
                if answer is not None and answer is not out:
                    raise TypeError(
                        f"{type(penalty).__name__}.gradient must write into out and return "
                        f"nothing, got {type(answer).__name__}"
                    )
                gradients.vector[where] += own

    def apply_proximal(self, step_size: float | Array, part: slice | None = None) -> None:
        """Apply the proximal maps after an optimizer's step, then the constraints.

        Nothing happens unless a penalty is proximal or there is a constraint. For L1 and max-norm
        the one after the other is the proximal map of both: to make a column shorter changes no
        sign in it (Yu, 2013, on sums of penalties whose maps may be composed).

        Parameters
        ----------
        step_size : float or ndarray of shape (P,)
            ``optimizer.step_size``; with ``part``, its values there.
        part : slice of the vector, optional
            As for :meth:`add_penalty_gradient`.
        """
        if not isinstance(step_size, np.ndarray):
            step_size = validation.number("step_size", step_size, 0)
        offset = 0 if part is None else part.start
        for penalty, where, shape in self._pieces(part, PROXIMAL_BLOCK):
            if penalty.method == "proximal":
                w = self.parameters.vector[where].reshape(shape)
                step = step_size
                if isinstance(step, np.ndarray):
                    step = step[where.start - offset : where.stop - offset].reshape(shape)
                penalty.proximal(w, step, w)
        self.constrain(step_size, part)

    @property
    def has_proximal(self) -> bool:
        """Whether :meth:`apply_proximal` does anything."""
        proximal = any(penalty.method == "proximal" for penalty, _, _ in self.penalized())
        return proximal or any(True for _ in self.constrained())

    def whole_arrays(self) -> list[slice]:
        """Return where the weight arrays are that a penalty or constraint must see uncut."""
        wholes = [where for penalty, where, _ in self.penalized() if not penalty.elementwise]
        return wholes + [where for _, where, _ in self.constrained()]
