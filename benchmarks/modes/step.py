"""One training step: six configurations, three optimizers, five regularizations.

The most important cells, dropout with L2, come first and are timed for longer; those skipped for
lack of time are listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.agreement import Agreement
from benchmarks.compare import compare
from benchmarks.frameworks import ENTRIES
from benchmarks.machine import load
from benchmarks.problem import CONFIGURATIONS, OPTIMIZERS, REGULARIZATIONS, Problem
from benchmarks.results import Results, Settings, begin
from benchmarks.rounds import FULL, SWEEP
from benchmarks.workers import Budget, WorkerPool

MAIN = "dropout+l2"
SLOW_TO_BUILD = ("torch_compile",)  # in the main cells only


def cells(quick: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yield (configuration, optimizer, regularization), the most important first."""
    for optimizer in ("adam", "sgd", "momentum"):
        for configuration in CONFIGURATIONS:
            yield configuration, optimizer, MAIN
        if quick:
            return
    others = [name for name in REGULARIZATIONS if name != MAIN]
    for optimizer in reversed(OPTIMIZERS):
        for regularization in others:
            for configuration in CONFIGURATIONS:
                yield configuration, optimizer, regularization


def problem_of(configuration: str, optimizer: str, regularization: str) -> Problem:
    """Return a cell's problem."""
    problem = replace(CONFIGURATIONS[configuration], optimizer=optimizer)
    return problem.regularized(regularization)


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Time the cells."""
    about = begin()
    names = settings.available()
    chosen = settings.names is not None
    budget = Budget(settings.seconds(26 * 60, 50))
    result: dict[str, Any] = {
        "cells": {},
        "left_out": [],
        "randomness": {
            name: ENTRIES[name].randomness for name in names if ENTRIES[name].randomness
        },
    }
    agreement = Agreement(pool)
    for cell in cells(settings.quick):
        if budget.spent:
            result["left_out"].append(" ".join(cell))
            continue
        slow = () if chosen or (cell[2] == MAIN and not settings.quick) else SLOW_TO_BUILD
        taking = [name for name in names if name not in slow]
        problem = problem_of(*cell)
        pace = settings.pace(FULL if cell[2] == MAIN else SWEEP)
        result["cells"][" ".join(cell)] = compare(pool, agreement, problem, taking, pace)
        results.store("step", result | {"failures": pool.failures}, about)
    result["load_after"] = load()
    result |= {"thread_pools": pool.thread_pools(), "failures": pool.failures}
    results.store("step", result, about)
    if result["left_out"]:
        print(f"skipped, since the budget is spent: {', '.join(result['left_out'])}\n")
