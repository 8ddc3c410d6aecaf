"""Grades: points and reasons, as text and as a file for Gradescope."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from nnreg.course.grading.exercises import Check


@dataclass(frozen=True)
class Result:
    """The result of one check.

    Attributes
    ----------
    check : Check
    score : float
        All of its points or none.
    message : str
        Why points were lost; empty where none were.
    printed : str
        What the submission printed during the check, cut where it is long.
    seconds : float
    """

    check: Check
    score: float
    message: str = ""
    printed: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Grade:
    """The results of one submission; it prints as text.

    Attributes
    ----------
    submission : str
        The file.
    title : str
        Of the exercise.
    results : tuple of Result
    skipped : tuple of str
        What was not taken from the submission, a line each.

    Examples
    --------
    >>> from nnreg.course import check
    >>> @check(10)
    ... def doubles(submission, rng):
    ...     '''double: it returns twice its argument.'''
    >>> Grade("ada.py", "Doubling", (Result(doubles, 0, "double(3) should be 6."),))
    Doubling
      0 of 10  double: it returns twice its argument.
               double(3) should be 6.
    Score: 0 of 10 (ada.py)
    """

    submission: str
    title: str
    results: tuple[Result, ...]
    skipped: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """The points earned."""
        return sum(result.score for result in self.results)

    @property
    def max_score(self) -> float:
        """The points that there are."""
        return sum(result.check.points for result in self.results)

    @property
    def lost(self) -> dict[str, str]:
        """Of the checks that failed, by name, the reason."""
        return {r.check.name: r.message for r in self.results if r.score < r.check.points}

    def __str__(self) -> str:
        lines = [self.title, *_indented(self._skipped(), "Not run:")]
        last = ""
        for result in self.results:
            check = result.check
            lines.append(f"{result.score:3g} of {check.points:2g}  {check.title}")
            if result.message not in ("", last):  # one reason for many checks is printed once
                last = result.message
                lines += _indented(last)
            if result.message:
                lines += _indented(result.printed, "It printed:")
        return "\n".join(
            [*lines, f"Score: {self.score:g} of {self.max_score:g} ({self.submission})"]
        )

    __repr__ = __str__

    def _skipped(self) -> str:
        return "\n".join(
            "".join(c if c.isprintable() else " " for c in line) for line in self.skipped
        )

    def gradescope(self) -> dict[str, Any]:
        """Return what Gradescope reads as ``results.json``.

        Returns
        -------
        dict
            With ``score``, ``max_score``, ``execution_time``, ``output`` and ``tests``; of each
            test ``name``, ``score``, ``max_score``, ``status``, ``output``, ``visibility``.
        """
        return {
            "score": self.score,
            "max_score": self.max_score,
            "execution_time": round(sum(result.seconds for result in self.results), 3),
            "output": "\n".join([self.title, *_indented(self._skipped(), "Not run:")]),
            "visibility": "visible",
            "stdout_visibility": "hidden",
            "tests": [_test(result) for result in self.results],
        }


def _test(result: Result) -> dict[str, Any]:
    check = result.check
    output = [result.message] if result.message else []
    return {
        "name": check.title,
        "score": result.score,
        "max_score": check.points,
        "status": "failed" if result.message else "passed",
        "output": "\n".join([*output, *_indented(result.printed, "It printed:")]),
        "visibility": check.visibility,
    }


def _indented(text: str, heading: str = "") -> list[str]:
    if not text.strip():
        return []
    lines = [heading, textwrap.indent(text.rstrip(), "  ")] if heading else [text]
    return [textwrap.indent(line, " " * 11) for line in lines]
