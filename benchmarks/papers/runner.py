"""Runs of a table; each result is stored at once, so that an interrupted table can be resumed."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.papers import table9
from benchmarks.papers.recipes import Recipe, Row, with_epochs
from benchmarks.papers.training import train_recipe
from nnreg.lab.reporting.results import cache_key, run_cached

Task = tuple[Recipe, int]
Run = dict[str, Any]


def runs(
    tasks: Iterable[Task], *, folder: Path, jobs: int = 1, data: str = "mnist"
) -> dict[Task, Run]:
    """Return the results of :func:`train_recipe` by recipe and seed; compute missing ones."""
    tasks = list(dict.fromkeys(tasks))
    names = {task: cache_key("papers", *task, data) for task in tasks}
    jobs_by_key = {names[task]: functools.partial(train_recipe, *task, data) for task in tasks}
    begun = time.monotonic()

    def progress(done: int, total: int) -> None:
        print(f"{done} of {total} runs after {time.monotonic() - begun:.0f} s", flush=True)

    results = run_cached(jobs_by_key, folder=folder, jobs=jobs, progress=progress)
    return {
        task: {name: values.tolist() for name, values in results[names[task]].items()}
        for task in tasks
    }


def table(
    rows: Sequence[Row], seeds: int, *, epochs: int | None = None, **how: Any
) -> list[dict[str, Any]]:
    """Return a table's rows, each with a run for every seed; all rows of one seed come first."""
    rows = with_epochs(tuple(rows), epochs)
    results = runs([(row.recipe, seed) for seed in range(seeds) for row in rows], **how)
    return [
        asdict(row) | {"runs": [results[row.recipe, seed] for seed in range(seeds)]} for row in rows
    ]


def choice(*, epochs: int | None = None, **how: Any) -> list[dict[str, Any]]:
    """Return what was tried for each row of table 9, with its validation error for seed 0."""
    tried = [
        (row.name, changed, recipe if epochs is None else replace(recipe, epochs=epochs))
        for row in table9.ROWS
        for changed, recipe in table9.candidates(row)
    ]
    results = runs([(recipe, 0) for _, _, recipe in tried], **how)
    return [
        {
            "row": name,
            "tried": changed,
            "recipe": asdict(recipe),
            "error": results[recipe, 0]["errors"][-1],
        }
        for name, changed, recipe in tried
    ]
