"""Regularization: the penalty and the constraint of each weight.

The data loss belongs to the outputs, the penalty to the weights. So the penalty is computed apart,
reported apart, and given nothing but weights. A constraint limits weights in the same way: each
layer inherits the network's, or has its own, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from nnreg._support import memory
from nnreg._support.hyperparameters import Checked
from nnreg._support.typing import Array
from nnreg.layers.base import Layer, check_rule
from nnreg.parameters import Parameters

# Weights that a penalty's value and proximal map are given at once, so temporaries stay small.
VALUE_BLOCK = 4096
PROXIMAL_BLOCK = 1024


class Segment(NamedTuple):
    """A stretch of the vector under one penalty or constraint, and the shape in which it is given.

    A weight array under a constraint, or under a penalty that is not elementwise, is one segment.
    Neighbours under one elementwise penalty are one flat segment.
    """

    rule: Any
    part: slice
    shape: tuple[int, ...]


class Segments(NamedTuple):
    """The segments that follow from the rules of all weights, for as long as those are the same."""

    rules: list[Any]
    penalties: list[Segment]
    constraints: list[Segment]
    cut: dict[tuple[Any, ...], list[Segment]]

    @property
    def has_proximal(self) -> bool:
        """Whether a penalty is proximal, or there is a constraint."""
        return bool(self.constraints) or "proximal" in [s.rule.method for s in self.penalties]


class Regularization(memory.Copyable):
    """The penalties and constraints of a network's weights.

    Parameters
    ----------
    layers : mapping of str to Layer
        By name.
    parameters : Parameters
    penalty, constraint : Penalty and Constraint, optional
        Of the weights of every layer that does not say otherwise; may be replaced at any time.

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
        self._segments = Segments([], [], [], {})

    # --- Which rule each weight has ---------------------------------------------------------------

    def penalty_of(self, name: str) -> Any:
        """Return the penalty on the parameter of this name; a bias has none."""
        return self._rule("penalty", name)

    def constraint_of(self, name: str) -> Any:
        """Return the constraint on the parameter of this name; a bias has none."""
        return self._rule("constraint", name)

    def _rule(self, kind: str, name: str) -> Any:
        rule = getattr(self._layers.get(name), kind, None)  # a bias is not among the weights
        return getattr(self, kind) if isinstance(rule, str) else rule

    @property
    def penalties(self) -> list[Segment]:
        """The segments under a penalty, in the order of the vector."""
        return self.resolve().penalties

    @property
    def constraints(self) -> list[Segment]:
        """The segments under a constraint, in the order of the vector."""
        return self.resolve().constraints

    def resolve(self) -> Segments:
        """Return the segments; where a penalty or constraint was replaced, make them again.

        They are complete before another thread can read them.
        """
        rules: list[Any] = [self.penalty, self.constraint]
        for layer in self._layers.values():
            rules += layer.penalty, layer.constraint
        segments = self._segments
        if len(rules) != len(segments.rules) or not all(map(is_, rules, segments.rules)):
            penalties = self._merge(self._list(self.penalty_of))
            constraints = list(self._list(self.constraint_of))
            segments = self._segments = Segments(rules, penalties, constraints, {})
        return segments

    def _list(self, rule_of: Callable[[str], Any]) -> Iterator[Segment]:
        for name in self._layers:
            if (rule := rule_of(name)) is not None:
                shape = self.parameters.declared[name].shape
                yield Segment(rule, self.parameters.slices[name], shape)

    def _merge(self, segments: Iterable[Segment]) -> list[Segment]:
        """Return the segments with neighbours under one elementwise penalty as one, flat."""
        merged: list[Segment] = []
        for penalty, part, shape in segments:
            if penalty.elementwise:
                if merged and merged[-1].rule is penalty and merged[-1].part.stop == part.start:
                    part = slice(merged.pop().part.start, part.stop)
                shape = (part.stop - part.start,)
            merged.append(Segment(penalty, part, shape))
        return merged

    def cut(self, block: slice | None, size: int | None = None) -> list[Segment]:
        """Return the penalties' segments within a block of the vector.

        Elementwise ones are cut into pieces of at most ``size`` values, or of the penalty's own
        ``block``. Others are not cut, and belong to the block that has their first value.
        """
        segments = self.resolve()
        low, high = (
            (0, self.parameters.weights.size) if block is None else (block.start, block.stop)
        )
        pieces = segments.cut.get((low, high, size))
        if pieces is None:
            pieces = []
            for penalty, part, shape in segments.penalties:
                if not penalty.elementwise:
                    if low <= part.start < high:
                        pieces.append(Segment(penalty, part, shape))
                    continue
                stop, length = min(part.stop, high), size or penalty.block
                for start in range(max(part.start, low), stop, length):
                    piece = slice(start, min(start + length, stop))
                    pieces.append(Segment(penalty, piece, (piece.stop - piece.start,)))
            segments.cut[low, high, size] = pieces
        return pieces

    @property
    def has_proximal(self) -> bool:
        """Whether :meth:`apply_proximal` does anything."""
        return self.resolve().has_proximal

    def needs_whole(self, part: slice) -> bool:
        """Return whether a weight array that begins in ``part`` must not be cut."""
        segments = [*(s for s in self.penalties if not s.rule.elementwise), *self.constraints]
        return any(part.start <= segment.part.start < part.stop for segment in segments)

    # --- Value, gradient and proximal map over the vector -----------------------------------------

    def value(self) -> Any:
        """Return ``R(w)``, the sum over all penalized weights, as a Python number."""
        total = 0.0
        for penalty, part, shape in self.cut(None, VALUE_BLOCK):
            total += np.asarray(penalty.value(self.parameters.vector[part].reshape(shape))).item()
        return total

    def add_gradient(self, gradients: Parameters, pieces: list[Segment] | None = None) -> None:
        """Add ``∂R/∂w`` to the weights' part of ``gradients``; a proximal penalty adds nothing.

        Parameters
        ----------
        gradients : Parameters
        pieces : list of Segment, optional
            Add those of a block of the vector only, as :meth:`cut` returned them.
        """
        for penalty, part, shape in self.cut(None) if pieces is None else pieces:
            if penalty.method != "proximal":
                flat = gradients.scratch(part.stop - part.start)
                out = flat.reshape(shape)
                answer = penalty.gradient(self.parameters.vector[part].reshape(shape), out)
                if answer is not None and answer is not out:
                    raise TypeError(
                        f"{type(penalty).__name__}.gradient must write into out and return "
                        f"nothing, got {type(answer).__name__}"
                    )
                gradients.vector[part] += flat

    def apply_proximal(self, step_size: float | Array, block: slice | None = None) -> None:
        """Apply the proximal maps after an optimizer's step, then the constraints.

        For L1 and max-norm the one after the other is the proximal map of both: to make a column
        shorter changes no sign in it (Yu, 2013, on sums of penalties whose maps may be composed).

        Parameters
        ----------
        step_size : float or ndarray of shape (P,)
            ``optimizer.step_size``; with ``block``, its values there.
        block : slice of the vector, optional
            Do it there only. A segment that is not cut must lie within it.
        """
        pieces = self.cut(block, PROXIMAL_BLOCK)
        self._map((s for s in pieces if s.rule.method == "proximal"), step_size, block)
        self.constrain(step_size, block)

    def constrain(self, step_size: float | Array = 1.0, block: slice | None = None) -> None:
        """Move the weights to the nearest values that their constraints allow.

        Parameters
        ----------
        step_size, block
            As for :meth:`apply_proximal`.
        """
        inside = (
            segment
            for segment in self.constraints
            if block is None or block.start <= segment.part.start < block.stop
        )
        self._map(inside, step_size, block)

    def _map(
        self, segments: Iterable[Segment], step_size: float | Array, block: slice | None
    ) -> None:
        """Replace each segment by its rule's proximal map of it."""
        first = 0 if block is None else block.start
        for rule, part, shape in segments:
            w, step = self.parameters.vector[part].reshape(shape), step_size
            if isinstance(step, np.ndarray):
                step = step[part.start - first : part.stop - first].reshape(shape)
            rule.proximal(w, step, w)
