"""The floor: the matrix products of a step and nothing else, into arrays that exist already.

Forward ``x w``, backward ``dy wᵀ`` but for the first layer, and ``xᵀ dy``. A step that forms these
products with this BLAS cannot take less time; whatever is above it is everything else.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.frameworks.stepwise import Stepwise
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

    def step(self) -> float:
        """Form all of them."""
        for i, w in enumerate(self.w):
            np.matmul(self.x[i], w, out=self.y[i + 1])
        for i in range(len(self.w) - 1, 0, -1):
            np.matmul(self.dy[i + 1], self.w[i].T, out=self.dx[i])
        for i, dw in enumerate(self.dw):
            np.matmul(self.x[i].T, self.dy[i + 1], out=dw)
        return 0.0

    def chunk(self, steps: int, warm: int) -> float:
        """As for any other framework, with BLAS limited."""
        with threadpool_limits(self.threads, user_api="blas"):
            return super().chunk(steps, warm)
