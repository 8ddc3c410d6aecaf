"""Gain of each optimization of the training step, timed with and without it in turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.ablations import ABLATIONS, Ablation
from benchmarks.modes.step import MAIN, problem_of
from benchmarks.problem import Problem
from benchmarks.results import Results, Settings, begin, microseconds, spread, table
from benchmarks.rounds import Pace, interleave, ratios
from benchmarks.workers import Budget, WorkerPool

PACE = Pace(9, 0.2)
TOLERANCE = 1e-10


@dataclass
class Way:
    """nnreg in a context, with the methods that the rounds need."""

    label: str
    framework: Any
    context: Callable[[], AbstractContextManager[Any]]
    steps: int = 1

    def chunk(self, steps: int, warm: int) -> float:
        """Return the seconds of a step."""
        with self.context():
            return self.framework.chunk(steps, warm)

    def follow(self, steps: int) -> list[Any]:
        """Return the parameters after some steps."""
        with self.context():
            self.framework.follow(steps)
        return self.framework.parameters()


def ways(ablation: Ablation, problem: Problem) -> tuple[Way, Way]:
    """Return both ways to train the problem."""
    from benchmarks.frameworks.nnreg_fit import NnregFit

    return (
        Way("with", NnregFit(problem, ablation.threads), ablation.on),
        Way("without", NnregFit(problem, ablation.threads), ablation.off),
    )


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Time every ablation that applies to nnreg as it is."""
    about = begin()
    budget = Budget(settings.seconds(6 * 60, 12))
    cells: dict[str, Any] = {}
    rows = []
    for ablation in ABLATIONS:
        for optimizer in ablation.optimizers:
            for configuration in ablation.configurations:
                if budget.spent or (settings.quick and configuration not in ("class", "seed")):
                    continue
                problem = problem_of(configuration, optimizer, MAIN)
                try:
                    agree(ablation, problem)
                    times = interleave(list(ways(ablation, problem)), settings.pace(PACE))
                except AttributeError as error:
                    print(f"{ablation.name} does not apply: {error}")
                    break
                cell = ratios(times, "with")
                cells[f"{ablation.name}, {configuration}, {optimizer}"] = cell
                rows.append(
                    (
                        ablation.name,
                        configuration,
                        optimizer,
                        microseconds(cell["with"]["microseconds"]),
                        microseconds(cell["without"]["microseconds"]),
                        spread(cell["without"]["ratio"]),
                    )
                )
                results.store("ablation", {"cells": cells}, about)
    print("with, and without, which is:")
    for ablation in ABLATIONS:
        print(f"  {ablation.name}: {ablation.what}")
    table(("optimization", "", "", "with, µs", "without, µs", "ratio (quartiles)"), rows)
    if budget.spent:
        print("the rest was skipped: the budget was spent; --budget MINUTES sets another\n")


def agree(ablation: Ablation, problem: Problem) -> None:
    """Raise unless both ways are equal over ten steps in float64."""
    if not ablation.exact:
        return
    double = replace(problem, dtype="float64")
    ours, theirs = (way.follow(10) for way in ways(ablation, double))
    worst = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    if not worst <= TOLERANCE:
        raise SystemExit(f"{ablation.name} changes the parameters of {problem} by {worst:.1e}")
