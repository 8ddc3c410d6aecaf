"""Smoke run: every installed framework takes steps and agrees; times are ignored.

The exit code is 1 if something that is installed fails or does not agree. ``torch.compile`` is
not included, since compiling takes longer than all the rest.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks import plots
from benchmarks.ablations import ABLATIONS
from benchmarks.agreement import Agreement
from benchmarks.compare import compare
from benchmarks.frameworks import ENTRIES, MANY, USUAL
from benchmarks.modes import ablation, job, predict
from benchmarks.problem import Problem
from benchmarks.results import Results, Settings, begin
from benchmarks.workers import WorkerPool

NAMES = tuple(name for name in (*USUAL, *MANY) if name != "torch_compile")
TINY = Problem(8, (12, 9, 7, 5), 0.5)
CELLS = (("adam", "dropout+l2"), ("momentum", "l1"), ("sgd", "l2"))


def measure(settings: Settings, results: Results, pool: WorkerPool) -> int:
    """Run a little of every mode, and return the exit code."""
    about = begin()
    names = settings.available(NAMES)
    agreement = Agreement(pool)
    missing = []
    cells = {}
    for optimizer, regularization in CELLS:
        problem = replace(TINY, optimizer=optimizer).regularized(regularization)
        taking = [
            name for name in names if name not in MANY or (optimizer, regularization) == CELLS[0]
        ]
        cell = compare(pool, agreement, problem, taking, settings.pace())
        expected = [name for name in taking if ENTRIES[name].takes_part(problem)]
        missing += [f"{name} at {problem}" for name in expected if name not in cell["times"]]
        cells[f"tiny {optimizer} {regularization}"] = cell
    results.store("step", {"cells": cells}, about)
    if not agreement.detects_changes(TINY.regularized("l2")):
        missing.append("the check does not detect another penalty strength")
    for trick in ABLATIONS:
        try:
            ablation.agree(trick, TINY)
        except AttributeError as error:
            missing.append(f"ablation {trick.name}: {error}")
    predict.measure(settings, results, pool)
    job.measure(settings, results, pool)
    plots.draw(results.modes, settings.out)
    missing += list(pool.failures)
    print("\n".join(f"MISSING: {what}" for what in dict.fromkeys(missing)) or "all agree")
    return int(bool(missing))
