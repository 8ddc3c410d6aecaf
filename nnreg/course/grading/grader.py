"""Grading: every check of an exercise, whatever the submission does.

The checks run here; the submission runs in a process of its own and sends data. If it ends that
process, or has to be ended, the running check fails, and a new process runs the remaining ones.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nnreg._support import validation
from nnreg._support.files import check_path
from nnreg.course.grading.exercises import Check, exercise
from nnreg.course.grading.process import EndedError, Process
from nnreg.course.grading.result import Grade, Result
from nnreg.course.grading.submission import reason

SUFFIXES = (".py", ".ipynb")


def grade(
    submission: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    seconds: float = 10.0,
    megabytes: int = 2048,
) -> Grade:
    r"""Grade a submission.

    Only the code that the checks need is run, in a process of its own, with a limit of time
    for each check and, where the platform has that, of memory. An endless loop, a crash or an exit
    costs the points of the check in which it happens. The checks run in the calling process, which
    gets nothing but data from the other. That process is no sandbox: it has the rights of the
    user who grades.

    Parameters
    ----------
    submission : path
        A Python file or a notebook. It may import what the exercise allows.
    source : str or path
        The exercise: the name of one that comes with nnreg, or a file; see
        :func:`~nnreg.course.exercise`.
    seconds : float, default 10
        For each check that does not say otherwise.
    megabytes : int, default 2048
        How much memory the submission may use beside what NumPy and nnreg take.

    Returns
    -------
    Grade

    Raises
    ------
    FileNotFoundError
        If there is no such submission.
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
    if not path.is_file():
        raise FileNotFoundError(f"submission: there is no file {os.fspath(submission)}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"submission must be a .py file or an .ipynb, got {path.name}")
    exercise_ = exercise(source)
    seconds = validation.number("seconds", seconds, 0, open_low=True)
    megabytes = validation.whole("megabytes", megabytes, 1)
    results: list[Result] = []
    skipped: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        while remaining := exercise_.checks[len(results) :]:
            with Process(path, Path(folder), exercise_.modules, megabytes) as process:
                try:
                    process.ask(seconds, "load")
                    skipped = process.ask(seconds, "report")
                except Exception as error:  # whatever the submission raises
                    message = process.ended or reason(error)
                    results += [Result(check, 0, message) for check in remaining]
                    break
                results += _check(process, remaining, seconds)
                if not process.ended:
                    skipped = process.ask(seconds, "report")
    return Grade(os.fspath(submission), exercise_.title, tuple(results), skipped)


def _check(process: Process, remaining: tuple[Check, ...], seconds: float) -> Iterator[Result]:
    """Yield the results of checks until one ends the process."""
    for check in remaining:
        begun, message = time.monotonic(), ""
        try:
            process.begin(check.seconds or seconds, check.seed)
            with np.errstate(all="ignore"):
                check(process.answers)
        except (AssertionError, EndedError) as error:
            message = str(error)
        message = process.ended or message
        score = 0 if message else check.points
        yield Result(check, score, message, process.printed(), time.monotonic() - begun)
        if process.ended:
            break
