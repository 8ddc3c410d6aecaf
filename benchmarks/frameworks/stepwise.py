"""Base classes: for frameworks whose step is one call, and for those that only have a ``fit``."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.problem import Problem


class Stepwise:
    """One step is one call: give ``step()``, which returns the data loss, and ``parameters()``."""

    def step(self) -> Any:
        """Train on the next batch; the returned loss need not be known yet."""
        raise NotImplementedError

    def wait(self, loss: Any) -> None:
        """Return when the step that this loss is of has ended."""
        float(loss)

    def follow(self, steps: int) -> list[float]:
        """Take some steps and return the data loss of each."""
        return [float(self.step()) for _ in range(steps)]

    def chunk(self, steps: int, warm: int) -> float:
        """Return the seconds that one of these steps takes, after some that are not timed."""
        step = self.step
        for _ in range(max(1, warm)):
            loss = step()
        self.wait(loss)
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        self.wait(loss)
        return (time.perf_counter() - start) / steps


class Stamps:
    """The times at which step ``first`` and step ``last`` of a ``fit`` begin."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.count = first, last, 0
        self.begun = self.ended = 0.0

    def __call__(self) -> None:
        """Note the time, if this is one of the two steps."""
        if self.count == self.first:
            self.begun = time.perf_counter()
        elif self.count == self.last:
            self.ended = time.perf_counter()
        self.count += 1

    @property
    def seconds(self) -> float:
        """Seconds a step between the two."""
        return (self.ended - self.begun) / (self.last - self.first)


def plan(problem: Problem, steps: int) -> tuple[int, int]:
    """Return ``(rows, epochs)`` of a ``fit`` that takes at least so many steps.

    An epoch is all the data, unless fewer steps are needed.
    """
    batches = min(steps, problem.batches)
    return batches * problem.batch, -(-steps // batches)
