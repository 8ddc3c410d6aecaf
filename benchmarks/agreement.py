"""Agreement check: a framework is timed only if it computes the same numbers as nnreg.

Ten steps in float64 from the same weights on the same rows. The data losses and the parameters
afterwards must be nnreg's to 1e-10. Where masks can be given, dropout is compared too; elsewhere it
is off. Libraries put the epsilon of Adam in different places, so for these steps it is so small
that the place does not matter; the parity tests in ``tests/parity`` cover the places.

Then the float32 framework that will be timed follows for ten steps too, if it draws no masks of
its own, and its losses must be nnreg's to 1e-4: none computes in less than float32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.frameworks import ENTRIES
from benchmarks.problem import Problem
from benchmarks.workers import Runner, WorkerPool

STEPS = 10
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def twin(name: str, problem: Problem) -> Problem:
    """Return the problem in float64, as it can be compared for this framework."""
    given = problem.drops and ENTRIES[name].masks
    return replace(
        problem,
        dtype="float64",
        epsilon=2**-100,
        given_masks=given,
        keep=problem.keep if given else 1.0,
    )


def _difference(theirs: tuple[Any, Any], ours: tuple[Any, Any], parameters: bool) -> float:
    """Return the largest difference of losses, relative where they exceed 1, and of parameters."""
    (their_losses, their_values), (losses, values) = theirs, ours
    scale = np.maximum(1.0, np.abs(losses))
    differences = [np.abs(np.subtract(their_losses, losses)) / scale]
    if parameters:
        if [v.shape for v in their_values] != [v.shape for v in values]:
            return float("inf")
        differences += [np.abs(a - b) for a, b in zip(their_values, values, strict=True)]
    worst = max(float(array.max()) for array in differences)
    return worst if worst == worst else float("inf")


class Agreement:
    """The agreement check; it keeps the differences that it has measured."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.differences: dict[tuple[str, Problem], float] = {}

    def check(self, names: list[str], problem: Problem) -> dict[str, float]:
        """Return the largest difference in float64 by name; one that fails has infinity."""
        problems = {name: twin(name, problem) for name in names if ENTRIES[name].trains}
        missing = [(n, p) for n, p in problems.items() if (n, p) not in self.differences]
        references = {p for _, p in missing}
        runners = self.pool.build([("nnreg", p) for p in references])
        results = self._follow(runners)
        ours = {runner.problem: result for runner, result in results}
        for name, other in missing:
            if name == "nnreg":
                self.differences[name, other] = 0.0 if other in ours else float("inf")
        theirs = self.pool.build([(n, p) for n, p in missing if n != "nnreg" and p in ours])
        for runner, result in self._follow(theirs):
            self.differences[runner.name, runner.problem] = _difference(
                result, ours[runner.problem], parameters=True
            )
        return {name: self.differences.get((name, p), float("inf")) for name, p in problems.items()}

    def detects_changes(self, problem: Problem) -> bool:
        """Return whether the check would detect another penalty strength."""
        true = twin("nnreg", problem)
        other = replace(true, l2=2 * true.l2)
        (_, ours), (_, theirs) = self._follow(
            self.pool.build([("nnreg", p) for p in (true, other)])
        )
        return _difference(theirs, ours, parameters=True) > TOLERANCE["float64"]

    def select_agreeing(
        self, names: list[str], problem: Problem
    ) -> tuple[list[str], dict[str, float]]:
        """Return those that may be timed, and the differences; print those that may not."""
        differences = self.check(names, problem)
        fine = []
        for name in names:
            difference = differences.get(name, 0.0)
            if difference <= TOLERANCE["float64"]:
                fine.append(name)
            else:
                print(
                    f"  {name} is not timed at {problem}: after {STEPS} steps in float64 it "
                    f"differs from nnreg by {difference:.1e}",
                    flush=True,
                )
        return fine, differences

    def select_following(self, runners: list[Runner]) -> list[Runner]:
        """Let float32 frameworks that draw no masks take ten steps; return those that agree."""
        able = [
            r
            for r in runners
            if ENTRIES[r.name].trains and (r.problem.given_masks or not r.problem.drops)
        ]
        ours: dict[Problem, Any] = {}
        failed = {runner.number for runner in able}
        for runner, result in self._follow(able, drop=False):
            if runner.name == "nnreg":
                ours[runner.problem] = result
                failed.discard(runner.number)
                continue
            if runner.problem not in ours:
                continue
            difference = _difference(result, ours[runner.problem], parameters=False)
            if difference <= TOLERANCE["float32"]:
                failed.discard(runner.number)
            else:
                print(
                    f"  {runner.label} is not timed at {runner.problem}: its float32 losses differ "
                    f"from nnreg's by {difference:.1e}",
                    flush=True,
                )
        self.pool.drop([r for r in runners if r.number in failed])
        return [r for r in runners if r.number not in failed]

    def _follow(self, runners: list[Runner], drop: bool = True) -> list[tuple[Runner, Any]]:
        """Let each take ten steps; return losses and parameters, and drop the frameworks."""
        results = self.pool.together(runners, "follow", lambda r: (r.number, STEPS))
        if drop:
            self.pool.drop(runners)
        return results
