"""The floor: the matrix products of a step and nothing else, into arrays that exist already.

Forward ``x w``, backward ``dy wᵀ`` but for the first layer, and ``xᵀ dy``. A step that forms these
products with this BLAS cannot take less time; whatever is above it is everything else.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.contestants.stepwise import Stepwise
from benchmarks.problem import Problem


class Floor(Stepwise):
    """The products by BLAS with so many threads of its own."""

    def __init__(self, problem: Problem, threads: int = 1) -> None:
        self.threads = threads
        rng = np.random.default_rng(0)
        n, dtype = problem.batch, problem.dtype
        self.w = [w for w, _ in problem.weights()]
        self.dw = [np.empty_like(w) for w in self.w]
        self.x = [rng.normal(size=(n, width)).astype(dtype) for width in problem.widths]
        self.dy = [rng.normal(size=(n, width)).astype(dtype) for width in problem.widths]
        self.y = [np.empty_like(x) for x in self.x]
        self.dx = [np.empty_like(x) for x in self.x]

    def by_rows(self, rows: slice) -> None:
        """Form the products that a row of the batch has for itself: up and down."""
        for i, w in enumerate(self.w):
            np.matmul(self.x[i][rows], w, out=self.y[i + 1][rows])
        for i in range(len(self.w) - 1, 0, -1):
            np.matmul(self.dy[i + 1][rows], self.w[i].T, out=self.dx[i][rows])

    def gradients(self, part: int, parts: int) -> None:
        """Form this part of each weight's gradient."""
        for i, dw in enumerate(self.dw):
            here = slice(len(dw) * part // parts, len(dw) * (part + 1) // parts)
            np.matmul(self.x[i][:, here].T, self.dy[i + 1], out=dw[here])

    def step(self) -> float:
        """Form all of them."""
        self.by_rows(slice(None))
        self.gradients(0, 1)
        return 0.0

    def chunk(self, steps: int, warm: int) -> float:
        """As for any other contestant, with BLAS limited."""
        with threadpool_limits(self.threads, user_api="blas"):
            return super().chunk(steps, warm)


class Lanes(Floor):
    """Two Python threads with half the rows each, then half of each gradient; BLAS has one."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, threads=1)
        half = problem.batch // 2
        self.halves = (slice(0, half), slice(half, problem.batch))
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.done: SimpleQueue[None] = SimpleQueue()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        """Do what the other thread asks for."""
        while (task := self.tasks.get()) is not None:
            task(1)
            self.done.put(None)

    def both(self, task: Any) -> None:
        """Do a task in both threads."""
        self.tasks.put(task)
        task(0)
        self.done.get()

    def step(self) -> float:
        """Form all of them, with one meeting between rows and gradients."""
        self.both(lambda lane: self.by_rows(self.halves[lane]))
        self.both(lambda lane: self.gradients(lane, 2))
        return 0.0

    def __del__(self) -> None:
        self.tasks.put(None)
