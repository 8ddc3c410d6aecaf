"""Whole jobs in separate processes: to one epoch of MNIST, to 98 % on it; imports; sizes.

The training program of each library is in ``benchmarks/jobs``. Time runs from before the process is
started until training has ended, on one clock.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import nnreg as nn
from benchmarks import sizes
from benchmarks.machine import version
from benchmarks.problem import Problem
from benchmarks.results import Results, Settings, begin, spread, table
from benchmarks.rounds import quartiles
from benchmarks.workers import QUIET, Budget, WorkerPool

ROOT = Path(__file__).parents[2]
LIBRARIES = ("nnreg", "keras", "torch")
SEEDS = 5
IMPORTS = ("numpy", "nnreg", "tensorflow", "keras", "torch", "jax", "sklearn.neural_network")
DISTRIBUTIONS = ("nnreg", "tensorflow", "tensorflow-cpu", "torch", "jax", "scikit-learn")
IMPORT = """
import json, time
start = time.perf_counter()
import {}
seconds = time.perf_counter() - start
from benchmarks.machine import peak_memory
print(json.dumps({{"seconds": seconds, "memory": peak_memory()}}))
"""


def run(*arguments: str) -> dict[str, Any]:
    """Run a Python process and return the last line that it prints, parsed as JSON."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**QUIET, **os.environ, "PYTHONPATH": path},
    )
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return json.loads(run.stdout.splitlines()[-1])


def prepare(folder: Path, rows: int) -> str:
    """Write the data; return a description of them."""
    try:
        train, test = nn.datasets.load_mnist(fetch=False)
        what = "MNIST"
    except FileNotFoundError:
        x, y = Problem(100, (784, 128, 10)).data()
        x = np.clip(x, 0, 1)
        train, test = (np.resize(x, (60_000, 784)), np.resize(y, 60_000)), (x, y)
        what = "random data of MNIST's shape (NNREG_DATA names no folder with mnist/)"
    for part, (x, y) in {"train": train, "test": test}.items():
        np.save(folder / f"{part}_x.npy", np.round(255 * x[:rows]).astype(np.uint8))
        np.save(folder / f"{part}_y.npy", y[:rows])
    return f"{min(rows, 60_000):,} rows of {what}"


def measure(settings: Settings, results: Results, pool: WorkerPool) -> None:
    """Measure jobs, imports and sizes."""
    about = begin()
    budget = Budget(settings.seconds(5 * 60, 30))
    rounds = 1 if settings.quick or settings.smoke else 5  # a single round cannot discard the first
    rows = 500 if settings.smoke else 20_000 if settings.quick else 60_000
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        result["data"] = prepare(Path(name), rows)
        result["jobs"] = jobs(name, "epoch", rounds, budget)
        show("one epoch from process start", result["jobs"])
        results.store("job", result, about)
        if not settings.smoke and not settings.quick and "of MNIST" in result["data"]:
            result["to_98"] = jobs(name, "accuracy", SEEDS, Budget(math.inf))
            show("98 % from process start", result["to_98"])
            results.store("job", result, about)
    if settings.smoke:
        return
    result["imports"] = imports(rounds, budget)
    show("import", result["imports"])
    result["sizes"] = {name: sizes.installed(name) for name in DISTRIBUTIONS if version(name)}
    absent = [name for name in DISTRIBUTIONS if name not in result["sizes"]]
    print(f"not installed as distributions: {', '.join(absent) or 'none'}")
    table(
        ("installed", "MB", "of which itself", "distributions"),
        [
            (
                name,
                f"{sum(parts.values()) / 1e6:,.1f}",
                f"{parts[name] / 1e6:,.1f}",
                len(parts),
            )
            for name, parts in result["sizes"].items()
        ],
    )
    results.store("job", result, about)


def jobs(folder: str, job: str, rounds: int, budget: Budget) -> dict[str, Any]:
    """Run each library's training program with a seed for each round.

    Returns
    -------
    dict
        Lists of ``seconds``, ``memory`` in bytes, ``accuracy`` and ``epochs``, by library.
    """
    measured: dict[str, dict[str, Any]] = {}
    for seed in range(rounds):
        for library in LIBRARIES:
            if version(library) is None and library != "nnreg":
                continue
            if measured.get(library) and budget.spent:
                continue
            start = time.time()
            try:
                report = run("-m", f"benchmarks.jobs.{library}_job", folder, job, str(seed))
            except RuntimeError as error:
                print(f"  {library} fails: {error}")
                continue
            report["seconds"] = report.pop("ended") - start
            for key, value in report.items():
                measured.setdefault(library, {}).setdefault(key, []).append(value)
    return measured


def imports(rounds: int, budget: Budget) -> dict[str, Any]:
    """Import each module in fresh interpreters, and return seconds and bytes by module.

    Of several rounds the first, which may read files from disk, is not counted.
    """
    measured: dict[str, dict[str, Any]] = {}
    for number in range(rounds + 1 if rounds > 1 else 1):
        for module in IMPORTS:
            if number and (budget.spent or module not in measured):
                continue
            try:
                report = run("-c", IMPORT.format(module))
            except RuntimeError:
                print(f"left out: {module}, which cannot be imported")
                continue
            entry = measured.setdefault(module, {"seconds": [], "memory": []})
            if number == 1:
                entry["seconds"], entry["memory"] = [], []
            entry["seconds"].append(report["seconds"])
            entry["memory"].append(report["memory"])
    return measured


def show(what: str, measured: dict[str, Any]) -> None:
    """Print medians."""
    rows = []
    for name, entry in measured.items():
        accuracy = (
            f"{100 * statistics.median(entry['accuracy']):.1f}" if "accuracy" in entry else ""
        )
        memory = statistics.median(entry["memory"]) / 1e6
        epochs = ", ".join(map(str, entry.get("epochs", [])))
        rows.append((name, spread(quartiles(entry["seconds"])), f"{memory:,.0f}", accuracy, epochs))
    header = (what, "s (quartiles)", "peak memory, MB")
    if any(row[-1] for row in rows):
        table((*header, "test accuracy, %", "epochs"), rows)
    else:
        table(header, [row[:3] for row in rows])
