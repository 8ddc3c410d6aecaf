"""Growth of nnreg's time with batch, width and depth: slopes in log-log coordinates.

The slope is fitted over all sizes and over the larger half. There the matrix products dominate, and
it should be 1 for the batch, 2 for the width, 1 for the depth.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.frameworks import FLOORS
from benchmarks.modes.sweep import SWEEPS
from benchmarks.results import Results, Settings, begin, microseconds, table
from benchmarks.rounds import SWEEP, exponent, interleave
from benchmarks.workers import Budget, WorkerPool

SIZES = {
    "batch": [2**i for i in range(13)],
    "width": [2**i for i in range(4, 13)],
    "depth": [1, 2, 3, 4, 6, 8, 12, 16],
}
QUICK = {"batch": [1, 16, 256, 1024], "width": [16, 128, 1024], "depth": [1, 4, 16]}


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Time nnreg and the bare products, and fit."""
    about = begin()
    budget = Budget(settings.seconds(4 * 60, 14))
    seconds: dict[str, dict[int, dict[str, float]]] = {sweep: {} for sweep in SIZES}
    for sweep, size in interleave_sizes(QUICK if settings.quick else SIZES):
        if budget.spent:
            print(f"skipped, since the budget is spent: {sweep} {size}")
            continue
        problem = SWEEPS[sweep][0](size)
        runners = pool.build([(name, problem) for name in ("nnreg", *FLOORS)])
        times = interleave(runners, settings.pace(SWEEP))
        pool.drop(runners)
        seconds[sweep][size] = {
            "nnreg": statistics.median(times["nnreg"]),
            "floor": min(statistics.median(times[floor]) for floor in FLOORS),
        }
    curves = {sweep: fit_exponents(points) for sweep, points in seconds.items() if points}
    for sweep, points in curves.items():
        show(sweep, points)
    results.store("growth", {"growth": curves}, about)


def interleave_sizes(sizes: dict[str, list[int]]) -> list[tuple[str, int]]:
    """Return (sweep, size), one size of each sweep in turn."""
    rows = [
        (index, sweep, size) for sweep, some in sizes.items() for index, size in enumerate(some)
    ]
    return [(sweep, size) for _, sweep, size in sorted(rows, key=lambda row: row[0])]


def fit_exponents(seconds: dict[int, dict[str, float]]) -> dict[str, Any]:
    """Return the points with the exponents of all, and of the larger half."""
    sizes = list(seconds)
    exponents = {}
    for name in ("nnreg", "floor"):
        values = [seconds[size][name] for size in sizes]
        half = len(sizes) // 2
        exponents[name] = {
            part: exponent(some, several) if len(some) > 1 else None
            for part, some, several in (
                ("all", sizes, values),
                ("larger half", sizes[half:], values[half:]),
            )
        }
    return {
        "sizes": sizes,
        "nnreg": [seconds[size]["nnreg"] for size in sizes],
        "floor": [seconds[size]["floor"] for size in sizes],
        "exponents": exponents,
    }


def show(sweep: str, curve: dict[str, Any]) -> None:
    """Print one table."""
    rows = [
        (size, microseconds(1e6 * ours), microseconds(1e6 * floor), f"{ours / floor:.2f}")
        for size, ours, floor in zip(curve["sizes"], curve["nnreg"], curve["floor"], strict=True)
    ]
    table((sweep, "nnreg, µs", "products, µs", "ratio"), rows)
    for name, exponents in curve["exponents"].items():
        parts = [f"{value:.2f} ({part})" for part, value in exponents.items() if value is not None]
        if parts:
            print(f"{name} grows with the {sweep} to the power {', '.join(parts)}")
    print(flush=True)
