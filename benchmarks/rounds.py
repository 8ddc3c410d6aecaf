"""Interleaved rounds: each framework in turn for a fraction of a second.

A machine's speed changes from minute to minute, so frameworks are compared within a round. Reported
are the ratios of the rounds: their median, and their quartiles as the spread.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.workers import FrameworkError

WARM = 20  # one untimed step for every WARM steps of a chunk
REST = 0.06  # seconds between turns: idle BLAS and OpenMP threads spin before they sleep


@dataclass(frozen=True)
class Pace:
    """How many rounds, and how many seconds a framework has in each."""

    rounds: int
    seconds: float


FULL = Pace(9, 0.3)
SWEEP = Pace(5, 0.15)
QUICK = Pace(3, 0.08)
SMOKE = Pace(2, 0.005)


def interleave(runners: list[Any], pace: Pace) -> dict[str, list[float]]:
    """Return seconds a step, a number for each round, by label; one that fails is left out."""
    alive = []
    for runner in runners:
        try:
            runner.steps = steps_within(runner.chunk, pace.seconds)
            alive.append(runner)
        except FrameworkError as error:
            print(f"  {runner.label} fails while it is timed: {str(error).splitlines()[-1]}")
    times: dict[str, list[float]] = {runner.label: [] for runner in alive}
    for number in range(pace.rounds):
        turn = number % max(1, len(alive))  # no framework always follows the same one
        for runner in alive[turn:] + alive[:turn]:
            time.sleep(REST)
            warm = max(1, runner.steps // WARM)
            times[runner.label].append(runner.chunk(runner.steps, warm))
    return times


def steps_within(chunk: Any, seconds: float) -> int:
    """Return how many steps take so many seconds. The trial steps also warm up the framework."""
    first = chunk(2, 3)
    steps = max(2, int(seconds / 4 / first))
    return max(1, int(seconds / chunk(steps, 1)))


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return the first quartile, the median and the third."""
    if len(values) < 2:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratios(times: dict[str, list[float]], reference: str) -> dict[str, dict[str, Any]]:
    """Return, by label, median microseconds and the ratio of each round to the reference's."""
    result = {}
    for label, values in times.items():
        entry: dict[str, Any] = {
            "microseconds": 1e6 * statistics.median(values),
            "rounds": [1e6 * value for value in values],
        }
        if reference in times:
            pairs = zip(values, times[reference], strict=True)
            entry["ratio"] = quartiles([value / base for value, base in pairs])
        result[label] = entry
    return result


def floor_of(times: dict[str, list[float]], floors: tuple[str, ...]) -> str | None:
    """Return the label of the fastest floor."""
    present = [label for label in floors if label in times]
    return min(present, key=lambda label: statistics.median(times[label]), default=None)


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Return the ``p`` of ``seconds = c·sizeᵖ``, by least squares of the logarithms.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 9)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
