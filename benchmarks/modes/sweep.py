"""One training step against one size at a time: batch, width, depth; dropout with L2, Adam."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.agreement import Agreement
from benchmarks.compare import compare
from benchmarks.frameworks import FLOORS
from benchmarks.problem import Problem
from benchmarks.results import Results, Settings, begin
from benchmarks.rounds import SWEEP
from benchmarks.workers import Budget, WorkerPool

NAMES = ("nnreg", *FLOORS, "xla", "torch", "jax")
BASE = Problem(128, (784, 512, 512, 10), 0.8).regularized("dropout+l2")


def of_batch(size: int) -> Problem:
    """Return the problem with this batch."""
    return replace(BASE, batch=size)


def of_width(size: int) -> Problem:
    """Return the problem with two hidden layers of this width."""
    return replace(BASE, widths=(784, size, size, 10))


def of_depth(size: int) -> Problem:
    """Return the problem with so many hidden layers, 256 wide."""
    return replace(BASE, widths=(784, *[256] * size, 10))


SWEEPS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "batch": (of_batch, (1, 4, 16, 64, 256, 1024, 4096)),
    "width": (of_width, (16, 64, 256, 1024, 4096)),
    "depth": (of_depth, (1, 2, 4, 8, 16)),
}


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Time every size, the ends of each row first."""
    about = begin()
    names = settings.available(NAMES)
    budget = Budget(settings.seconds(10 * 60, 12))
    result: dict[str, Any] = {"sweeps": {name: {} for name in SWEEPS}, "left_out": []}
    agreement = Agreement(pool)
    for sweep, size in order(settings.quick):
        if budget.spent:
            result["left_out"].append(f"{sweep} {size}")
            continue
        print(f"{sweep} {size}:", end=" ")
        problem = SWEEPS[sweep][0](size)
        result["sweeps"][sweep][size] = compare(
            pool, agreement, problem, names, settings.pace(SWEEP)
        )
        results.store("sweep", result | {"failures": pool.failures}, about)
    if result["left_out"]:
        print(f"skipped, since the budget is spent: {', '.join(result['left_out'])}\n")


def order(quick: bool) -> list[tuple[str, int]]:
    """Return (sweep, size), ends and middles first: the budget may not suffice for all."""
    rows = []
    for sweep, (_, sizes) in SWEEPS.items():
        positions = [0, len(sizes) - 1, len(sizes) // 2]
        positions += [] if quick else [i for i in range(len(sizes)) if i not in positions]
        limit = 1024 if quick else sizes[-1]
        rows += [(rank, sweep, sizes[i]) for rank, i in enumerate(positions) if sizes[i] <= limit]
    return [(sweep, size) for _, sweep, size in sorted(rows, key=lambda row: row[0])]
