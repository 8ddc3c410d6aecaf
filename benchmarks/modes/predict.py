"""Outputs for 1, 128 and 10,000 rows that lie in NumPy; two networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.frameworks import PREDICTORS
from benchmarks.problem import CONFIGURATIONS, Problem
from benchmarks.results import Results, Settings, begin, microseconds, spread, table
from benchmarks.rounds import interleave, ratios
from benchmarks.workers import Budget, Runner, WorkerPool

ROWS = (1, 128, 10_000)
NETWORKS = ("class", "seed")
TOLERANCE = 1e-4


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Compare the outputs, then time."""
    about = begin()
    names = []
    for name, entry in PREDICTORS.items():
        missing = entry.missing()
        if missing:
            print(f"left out: {name}, since {', '.join(missing)} is not installed")
        else:
            names.append(f"predict:{name}")
    budget = Budget(settings.seconds(3 * 60, 16))
    cells: dict[str, Any] = {}
    for rows in ROWS:
        for network in NETWORKS[:1] if settings.quick or settings.smoke else NETWORKS:
            if settings.smoke and rows > 128:
                continue
            if budget.spent:
                print(f"skipped, since the budget is spent: {network}, {rows} rows")
                continue
            problem = replace(CONFIGURATIONS[network], batch=rows, keep=1.0)
            runners = select_agreeing(pool, pool.build([(name, problem) for name in names]))
            times = interleave(runners, settings.pace())
            pool.drop(runners)
            cell = ratios(times, "predict:nnreg")
            cells[f"{network} {rows}"] = cell
            show(problem, cell)
            results.store("predict", {"cells": cells, "failures": pool.failures}, about)


def select_agreeing(pool: WorkerPool, runners: list[Runner]) -> list[Runner]:
    """Return those whose outputs are nnreg's to 1e-4, relative to the largest."""
    outputs = {
        runner.label: (runner, result[1][0])
        for runner, result in pool.together(runners, "follow", lambda r: (r.number, 1))
    }
    _, ours = outputs["predict:nnreg"]
    fine = []
    for runner, theirs in outputs.values():
        difference = float(np.abs(theirs - ours).max() / np.abs(ours).max())
        if difference <= TOLERANCE:
            fine.append(runner)
        else:
            print(f"  {runner.label} is not timed: its outputs differ by {difference:.1e}")
    return fine


def show(problem: Problem, cell: dict[str, Any]) -> None:
    """Print one table."""
    print("-".join(map(str, problem.widths)), f"{problem.batch:,} rows", sep=", ")
    rows = [
        (
            PREDICTORS[label.partition(":")[2]].title,
            microseconds(entry["microseconds"]),
            spread(entry["ratio"]),
        )
        for label, entry in sorted(cell.items(), key=lambda item: item[1]["microseconds"])
    ]
    table(("", "µs per call", "times nnreg (quartiles)"), rows)
