"""Comparison of the frameworks on one problem: agreement check, timing, table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.agreement import Agreement
from benchmarks.frameworks import ENTRIES, FLOORS
from benchmarks.problem import Problem
from benchmarks.results import microseconds, spread, table
from benchmarks.rounds import Pace, floor_of, interleave, ratios
from benchmarks.workers import WorkerPool

GIVEN = ("nnreg", "jax")  # timed with given masks too, to show what drawing them costs


def compare(
    pool: WorkerPool, agreement: Agreement, problem: Problem, names: list[str], pace: Pace
) -> dict[str, Any]:
    """Time one step in each framework, print the table, and return the results.

    Returns
    -------
    dict
        ``problem`` in words; ``agreement``, the differences; ``times``, by label, with
        ``microseconds`` (median), ``rounds`` and ``ratio`` (quartiles, to nnreg); ``floor``, the
        label of the fastest bare products; ``above_floor``, nnreg's quartiles over it.
    """
    print(problem, flush=True)
    names = [name for name in names if ENTRIES[name].takes_part(problem)]
    fine, differences = agreement.select_agreeing(names, problem)
    requests = [(name, problem) for name in fine]
    if problem.drops:
        given = replace(problem, given_masks=True)
        requests += [(name, given) for name in GIVEN if name in fine]
    runners = agreement.select_following(pool.build(requests))
    times = interleave(runners, pace)
    pool.drop(runners)
    result: dict[str, Any] = {
        "problem": str(problem),
        "agreement": differences,
        "times": ratios(times, "nnreg"),
        "floor": floor_of(times, FLOORS),
    }
    if result["floor"] and "nnreg" in times:
        result["above_floor"] = ratios(times, result["floor"])["nnreg"]["ratio"]
    show(result)
    return result


def show(result: dict[str, Any]) -> None:
    """Print one comparison."""
    rows = []
    for label, entry in sorted(result["times"].items(), key=lambda item: item[1]["microseconds"]):
        name, _, given = label.partition("+")
        title = ENTRIES[name].title + (", masks given" if given else "")
        ratio = spread(entry["ratio"]) if "ratio" in entry else ""
        rows.append((title, microseconds(entry["microseconds"]), ratio))
    table(("framework", "µs per step", "times nnreg (quartiles)"), rows)
    if "above_floor" in result:
        title = ENTRIES[result["floor"]].title
        print(f"nnreg takes {spread(result['above_floor'])} times the {title}\n", flush=True)
