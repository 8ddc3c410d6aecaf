"""Regularization: the penalty and the constraint of each weight.

The penalty is a function of the weights only; it is computed and reported separately from the data
loss. Each layer inherits the network's penalty and constraint, or has its own, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from nnreg._support import memory
from nnreg._support.hyperparameters import Checked
from nnreg._support.typing import Array
from nnreg.layers.base import Layer, check_rule
from nnreg.parameters import Parameters
from nnreg.penalties import Constraint, Penalty

# Weights per call of a penalty's value and proximal map, which limits temporary memory.
VALUE_BLOCK = 4096
PROXIMAL_BLOCK = 1536


class Segment(NamedTuple):
    """A slice of the vector with one penalty or constraint, and the shape passed to it.

    A weight array with a constraint, or with a penalty that is not elementwise, is one segment.
    Adjacent arrays with the same elementwise penalty form one flat segment.
    """

    rule: Any
    part: slice
    shape: tuple[int, ...]


class Segments(NamedTuple):
    """The segments of all weights; valid until a penalty or constraint is replaced."""

    rules: list[Any]
    all: list[Segment]
    cut: dict[tuple[Any, ...], list[Segment]]


class Regularization(memory.Copyable):
    """The penalties and constraints of a network's weights.

    Parameters
    ----------
    layers : mapping of str to Layer
        Layers by name.
    parameters : Parameters
    penalty, constraint : Penalty and Constraint, optional
        For the weights of every layer that inherits it; may be replaced at any time.

    Examples
    --------
    >>> import nnreg as nn
    >>> layers = [nn.Dense(2, initializer=nn.ones), nn.Dense(1, initializer=nn.ones, penalty=None)]
    >>> net = nn.Network(layers, inputs=3, penalty=nn.L2(0.5), constraint=nn.MaxNorm(1.0))
    >>> net.regularization.value()  # 0.5/2 times six ones
    1.5
    >>> [(segment.rule, segment.shape) for segment in net.regularization.penalties]
    [(L2(strength=0.5), (6,))]
    >>> [segment.shape for segment in net.regularization.constraints]
    [(3, 2), (2, 1)]
    """

    penalty = Checked(check_rule)
    constraint = Checked(check_rule)

    def __init__(
        self,
        layers: Mapping[str, Layer],
        parameters: Parameters,
        penalty: Any = None,
        constraint: Any = None,
    ) -> None:
        self.parameters = parameters
        self._layers = {
            name: layers[name.partition(".")[0]]
            for name, parameter in parameters.declared.items()
            if parameter.weight
        }
        self.penalty, self.constraint = penalty, constraint
        self._whole = slice(0, parameters.weights.size)
        self._segments = Segments([], [], {})

    # --- The rule of each weight ------------------------------------------------------------------

    def penalty_of(self, name: str) -> Any:
        """Return the penalty on the parameter of this name; a bias has none."""
        return self._rule("penalty", name)

    def constraint_of(self, name: str) -> Any:
        """Return the constraint on the parameter of this name; a bias has none."""
        return self._rule("constraint", name)

    def _rule(self, kind: str, name: str) -> Any:
        rule = getattr(self._layers.get(name), kind, None)  # None for a bias
        return getattr(self, kind) if isinstance(rule, str) else rule

    @property
    def penalties(self) -> list[Segment]:
        """The segments with a penalty, in the order of the vector."""
        return [segment for segment in self.resolve().all if isinstance(segment.rule, Penalty)]

    @property
    def constraints(self) -> list[Segment]:
        """The segments with a constraint, in the order of the vector."""
        return [segment for segment in self.resolve().all if isinstance(segment.rule, Constraint)]

    @property
    def has_proximal(self) -> bool:
        """Whether :meth:`apply_proximal` does anything."""
        return "proximal" in [segment.rule.method for segment in self.resolve().all]

    def resolve(self) -> Segments:
        """Return the segments, rebuilt if a penalty or constraint was replaced."""
        rules: list[Any] = [self.penalty, self.constraint]
        for layer in self._layers.values():
            rules += layer.penalty, layer.constraint
        resolved = self._segments
        if len(rules) != len(resolved.rules) or not all(map(is_, rules, resolved.rules)):
            segments = self._list(self.penalty_of) + self._list(self.constraint_of)
            # Assigned only when complete, for other threads.
            resolved = self._segments = Segments(rules, segments, {})
        return resolved

    def _list(self, rule_of: Callable[[str], Any]) -> list[Segment]:
        """Return the segments of one kind, with adjacent arrays of one elementwise rule merged."""
        segments: list[Segment] = []
        for name in self._layers:
            rule, part = rule_of(name), self.parameters.slices[name]
            shape = self.parameters.declared[name].shape
            if rule is None:
                continue
            if rule.elementwise:
                if segments and segments[-1].rule is rule and segments[-1].part.stop == part.start:
                    part = slice(segments.pop().part.start, part.stop)
                shape = (part.stop - part.start,)
            segments.append(Segment(rule, part, shape))
        return segments

    def cut(self, block: slice | None = None, size: int | None = None) -> list[Segment]:
        """Return the segments within a block of the vector, penalties before constraints.

        Segments of an elementwise penalty are split into pieces of at most ``size`` values, by
        default the penalty's ``block``. Others are not split; they belong to the block that
        contains their first value.
        """
        block, segments = block or self._whole, self.resolve()
        pieces = segments.cut.get((block.start, block.stop, size))
        if pieces is None:
            pieces = []
            for segment in segments.all:
                rule, part, _ = segment
                if rule.elementwise:
                    stop, length = min(part.stop, block.stop), size or rule.block
                    for start in range(max(part.start, block.start), stop, length):
                        piece = slice(start, min(start + length, stop))
                        pieces.append(Segment(rule, piece, (piece.stop - start,)))
                elif block.start <= part.start < block.stop:
                    pieces.append(segment)
            segments.cut[block.start, block.stop, size] = pieces
        return pieces

    def needs_whole(self, part: slice) -> bool:
        """Return whether a weight array that begins in ``part`` must not be split."""
        return not all(segment.rule.elementwise for segment in self.cut(part))

    # --- Value, gradient and proximal map over the vector -----------------------------------------

    def value(self) -> Any:
        """Return ``R(w)``, the sum over all penalized weights, as a Python number."""
        total = 0.0
        for penalty, part, shape in self.cut(size=VALUE_BLOCK):
            if isinstance(penalty, Penalty):
                value = penalty.value(self.parameters.vector[part].reshape(shape))
                total += np.asarray(value).item()
        return total

    def add_gradient(self, gradients: Parameters, pieces: list[Segment] | None = None) -> None:
        """Add ``∂R/∂w`` to the weights' part of ``gradients``; a proximal penalty adds nothing.

        Parameters
        ----------
        gradients : Parameters
        pieces : list of Segment, optional
            The segments of a block of the vector, from :meth:`cut`; by default all.
        """
        for penalty, part, shape in self.cut() if pieces is None else pieces:
            if penalty.method != "proximal":
                w, g = self.parameters.vector[part], gradients.vector[part]
                work = gradients.scratch(part.stop - part.start)
                if len(shape) != 1:
                    w, g, work = w.reshape(shape), g.reshape(shape), work.reshape(shape)
                penalty.add_gradient(w, g, work)

    def apply_proximal(self, step_size: float | Array, block: slice | None = None) -> None:
        """Apply the proximal maps after an optimizer's step, then the constraints.

        For L1 and max-norm, the composition is the proximal map of the sum, because scaling a
        column changes no sign (Yu, 2013).

        Parameters
        ----------
        step_size : float or ndarray of shape (P,)
            ``optimizer.step_size``; with ``block``, its values within the block.
        block : slice of the vector, optional
            Apply only within this slice. A segment that is not split must lie within it.
        """
        block = block or self._whole
        for rule, part, shape in self.cut(block, PROXIMAL_BLOCK):
            if rule.method == "proximal":
                w, step = self.parameters.vector[part].reshape(shape), step_size
                if isinstance(step, np.ndarray):
                    step = step[part.start - block.start : part.stop - block.start].reshape(shape)
                rule.proximal(w, step, w)

    def constrain(self) -> None:
        """Project the weights onto their constraints."""
        for constraint, part, shape in self.constraints:
            w = self.parameters.vector[part].reshape(shape)
            constraint.proximal(w, 1.0, w)
