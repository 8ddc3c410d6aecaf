"""A network given on the command line: ``python -m benchmarks run --layers 784,256,10``."""

from __future__ import annotations

from benchmarks.agreement import Agreement
from benchmarks.compare import compare
from benchmarks.frameworks import ENTRIES, FLOORS, LIBRARIES
from benchmarks.problem import Problem
from benchmarks.results import Results, Settings, begin
from benchmarks.workers import WorkerPool


def measure(
    settings: Settings, results: Results, pool: WorkerPool, problem: Problem, against: list[str]
) -> None:
    """Time one problem against frameworks, or against frameworks by their names."""
    names = [name for word in against for name in LIBRARIES.get(word, (word,))]
    unknown = [name for name in names if name not in ENTRIES]
    if unknown:
        known = [*LIBRARIES, *(name for name in ENTRIES if name not in LIBRARIES)]
        raise SystemExit(f"--against {unknown[0]}: known are {', '.join(known)}")
    about = begin()
    taking = settings.available(tuple(dict.fromkeys(("nnreg", *FLOORS, *names))))
    result = compare(pool, Agreement(pool), problem, taking, settings.pace())
    results.store("run", result | {"failures": pool.failures}, about)
