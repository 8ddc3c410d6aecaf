"""Grading: run every check of an exercise on a submission.

The checks run here; the submission runs in a separate process and sends data. If that process
ends, or is stopped, the current check fails, and a new process runs the remaining checks.
A grade contains points and reasons, as text and as a file for Gradescope.
"""

from __future__ import annotations

import os
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnreg._support import validation
from nnreg._support.files import check_path
from nnreg._support.tables import listed
from nnreg.course.grading.exercises import Check, Exercise, exercise
from nnreg.course.grading.process import Process, printable
from nnreg.course.grading.submission import reason

SUFFIXES = (".py", ".ipynb")
MAX_FILES = 5  # of one folder, of which the best counts


@dataclass(frozen=True)
class Result:
    """The result of one check.

    Attributes
    ----------
    check : Check
    score : float
        All points of the check, or 0.
    message : str
        Why points were lost; empty if the check passed.
    printed : str
        What the submission printed during the check, truncated if it is long.
    seconds : float
    """

    check: Check
    score: float
    message: str = ""
    printed: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Grade:
    """The results of one submission; `print` shows them as text.

    Attributes
    ----------
    submission : str
        The file.
    title : str
        Title of the exercise.
    results : tuple of Result
    skipped : tuple of str
        Skipped statements of the submission, one line each.

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
        """The sum of the points of all checks."""
        return sum(result.check.points for result in self.results)

    @property
    def lost(self) -> dict[str, str]:
        """The reasons of the failed checks, by name."""
        return {r.check.name: r.message for r in self.results if r.score < r.check.points}

    def __str__(self) -> str:
        lines = [self.title, *_indented("\n".join(self.skipped), "Not run:")]
        last = ""
        for result in self.results:
            check = result.check
            hidden = "" if check.visibility == "visible" else f" ({check.visibility})"
            lines.append(f"{result.score:3g} of {check.points:2g}  {check.title}{hidden}")
            if result.message not in ("", last):  # consecutive equal reasons are printed once
                last = result.message
                lines += _indented(last)
            if result.message:
                lines += _indented(result.printed, "It printed:")
        return "\n".join(
            [*lines, f"Score: {self.score:g} of {self.max_score:g} ({self.submission})"]
        )

    __repr__ = __str__

    def gradescope(self) -> dict[str, Any]:
        """Return what Gradescope reads as ``results.json``.

        Returns
        -------
        dict
            With ``score``, ``max_score``, ``execution_time``, ``output`` and ``tests``. A test has
            ``name``, ``score``, ``max_score``, ``status``, ``output``, ``visibility``.
        """
        return {
            "score": self.score,
            "max_score": self.max_score,
            "execution_time": round(sum(result.seconds for result in self.results), 3),
            "output": "\n".join([self.title, *_indented("\n".join(self.skipped), "Not run:")]),
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


def grade(
    submission: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    seconds: float = 10.0,
    megabytes: int = 2048,
) -> Grade:
    r"""Grade a submission.

    Only the code that the checks need is run, in a separate process, with a time limit for each
    check and, where the platform supports it, a memory limit. An endless loop, a crash or an exit
    costs the points of the check in which it happens. The checks run in the calling process, which
    receives only data from the other one. That process is not a sandbox: it has the permissions of
    the user.

    Parameters
    ----------
    submission : path
        A Python file or a notebook, of any name, or a folder with one or more of them; of several
        the one with the most points counts. It may import what the exercise allows.
    source : str or path
        The exercise: the name of one that comes with nnreg, or a file; see
        :func:`~nnreg.course.exercise`.
    seconds : float, default 10
        Time limit of each check that does not set one.
    megabytes : int, default 2048
        Memory limit of the submission, in addition to the memory of NumPy and nnreg.

    Returns
    -------
    Grade

    Raises
    ------
    FileNotFoundError
        If the submission does not exist, or a folder has neither a ``.py`` nor an ``.ipynb`` file.
    ValueError
        If it is neither ``.py`` nor ``.ipynb``, or there is no such exercise.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> ada = pathlib.Path(tempfile.mkdtemp(), "ada.py")
    >>> _ = ada.write_text("def affine_forward(x, w, b):\n    raise SystemExit\n")
    >>> result = grade(ada, "exercise_1")
    >>> result.score
    0
    >>> result.lost["affine_forward"]
    'The submission ends the program: remove exit() and sys.exit().'
    >>> result.lost["relu_forward"]
    'The submission has no relu_forward.'
    """
    path = Path(check_path("submission", submission)).resolve()
    if not path.exists():
        raise FileNotFoundError(f"submission: there is no file {os.fspath(submission)}")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"submission must be a .py file or an .ipynb, got {path.name}")
    exercise_ = exercise(source)
    seconds = validation.number("seconds", seconds, 0, open_low=True)
    megabytes = validation.whole("megabytes", megabytes, 1)
    if not path.is_dir():
        return _grade(path, os.fspath(submission), exercise_, seconds, megabytes)
    files = find_submissions(path)
    first, *others = sorted(
        (
            _grade(file, printable(file.name), exercise_, seconds, megabytes)
            for file in files[:MAX_FILES]
        ),
        key=lambda grade: -grade.score,
    )
    notes = [f"{g.submission}: {g.score:g} points; {first.submission} counts" for g in others]
    if len(files) > MAX_FILES:
        notes.append(f"{len(files) - MAX_FILES} more file(s): at most {MAX_FILES} are graded")
    return replace(first, skipped=(*notes, *first.skipped))


def find_submissions(folder: Path) -> list[Path]:
    """Return the Python files and notebooks in a folder and its subfolders, sorted by name.

    Left out are files and folders whose names begin with ``.`` or ``__``, which are copies that a
    program made, such as ``.ipynb_checkpoints`` and ``__MACOSX``, and symbolic links, which could
    lead to files outside the folder.

    Raises
    ------
    FileNotFoundError
        If there is none; it names the other files.
    """
    found = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    paths = sorted(path.relative_to(folder) for path in found)
    shown = [p for p in paths if not any(part.startswith((".", "__")) for part in p.parts)]
    files = [folder / path for path in shown if path.suffix.lower() in SUFFIXES]
    if not files:
        others = f"it has {listed(shown)}" if shown else "it is empty"
        raise FileNotFoundError(
            f"submission: there is no .py file and no .ipynb in {folder.name}; {others}"
        )
    return files


def _grade(path: Path, name: str, exercise_: Exercise, seconds: float, megabytes: int) -> Grade:
    results: list[Result] = []
    skipped: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        while remaining := exercise_.checks[len(results) :]:
            with Process(path, Path(folder), exercise_.modules, megabytes) as process:
                try:
                    process.load(seconds)
                    skipped = _report(process, seconds)
                except Exception as error:  # whatever the submission raises
                    message = printable(process.ended or reason(error))
                    results += [Result(check, 0, message) for check in remaining]
                    break
                results += _check(process, remaining, seconds)
                if not process.ended:
                    with suppress(Exception):  # it may end now
                        skipped = _report(process, seconds)
    return Grade(name, exercise_.title, tuple(results), skipped)


def _report(process: Process, seconds: float) -> tuple[str, ...]:
    return tuple(printable(str(line)) for line in process.ask(seconds, "report"))


def _check(process: Process, remaining: tuple[Check, ...], seconds: float) -> Iterator[Result]:
    """Yield the results of checks until one ends the process."""
    for check in remaining:
        begun, message = time.monotonic(), ""
        try:
            process.begin(check.seconds or seconds, check.seed)
            check(process.answers)
        except Exception as error:  # the process may answer anything, or end
            message = reason(error)
        message = printable(process.ended or message)
        score = 0 if message else check.points
        yield Result(check, score, message, process.printed(), time.monotonic() - begun)
        if process.ended:
            break
