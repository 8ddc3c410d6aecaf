"""BLAS threads of ``nn.fit``: the default against one thread, two, and one for each core.

The default should be near the better of one thread and all. On a machine where other programs run,
``--busy SHARE`` shows what it costs.
"""

from __future__ import annotations

from typing import Any

from benchmarks.frameworks import ENTRIES, THREADS
from benchmarks.machine import cores
from benchmarks.problem import CONFIGURATIONS, Problem
from benchmarks.results import Results, Settings, begin, microseconds, table
from benchmarks.rounds import SWEEP, interleave, quartiles
from benchmarks.workers import Budget, WorkerPool

SHAPES = (
    *CONFIGURATIONS.values(),
    *(Problem(batch, (784, 128, 10)) for batch in (8, 128, 512)),
    *(Problem(batch, (784, 32, 10)) for batch in (32, 256)),
    *(Problem(batch, (784, 512, 10)) for batch in (16, 64, 256)),
    *(Problem(batch, (64, 128, 10)) for batch in (32, 256)),
    *(Problem(batch, (256, 256, 256, 256, 10)) for batch in (16, 64, 256)),
    *(Problem(batch, (30, 64, 64, 1 + 1)) for batch in (32, 512)),
    *(Problem(batch, (784, 1024, 10)) for batch in (8, 32)),
    Problem(512, (784, 512, 512, 10)),
)


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Time every shape, Adam with dropout where the shape has it, and L2."""
    about = begin()
    names = ["nnreg", *THREADS] if cores() > 2 else ["nnreg", "nnreg_1", "nnreg_all"]
    budget = Budget(settings.seconds(4 * 60, 20))
    cells: dict[str, Any] = {}
    rows = []
    for shape in SHAPES:
        if budget.spent:
            break
        problem = shape.regularized("dropout+l2")
        runners = pool.build([(name, problem) for name in names])
        times = interleave(runners, settings.pace(SWEEP))
        pool.drop(runners)
        pairs = zip(times["nnreg"], times["nnreg_1"], times["nnreg_all"], strict=True)
        against_best = [default / min(one, every) for default, one, every in pairs]
        middle = {name: 1e6 * quartiles(values)[1] for name, values in times.items()}
        cells[str(problem)] = {"microseconds": middle, "against_best": quartiles(against_best)}
        rows.append((str(problem), *map(microseconds, middle.values()), cell(against_best)))
        results.store("threads", {"cells": cells}, about)
    titles = [ENTRIES[name].title.removeprefix("nnreg fit, ") for name in names]
    table(("µs per step", *titles, "default / better of 1 and all"), rows)


def cell(ratios: list[float]) -> str:
    """Return a median."""
    return f"{quartiles(ratios)[1]:.2f}"
