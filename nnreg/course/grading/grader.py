"""Grade a submission: every check, whatever the submission does.

One process makes the checks in order. If the submission ends it, or has to be ended, the check that
was being made is lost, and a new process makes those that remain.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nnreg._support import validation
from nnreg.course.grading.exercises import Check, exercise
from nnreg.course.grading.process import EndedError, Process
from nnreg.course.grading.result import Grade, Result

SUFFIXES = (".py", ".ipynb")


def grade(
    submission: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    seconds: float = 10.0,
    megabytes: int = 2048,
) -> Grade:
    r"""Grade a submission.

    It runs in a process of its own, with a limit of time for each check and, where the platform has
    that, of memory. An endless loop, a crash or an exit costs the points of the check in which it
    happens; when the submission cannot be read, of all. A process of its own is no sandbox: the
    submission has the rights of whoever grades it.

    Parameters
    ----------
    submission : path
        A Python file, or a notebook, of which imports, functions, classes and names for plain
        values are taken.
    source : str or path
        The exercise: the name of one that comes with nnreg, or a file; see
        :func:`~nnreg.course.exercise`.
    seconds : float, default 10
        For reading the submission and for each check that does not say otherwise.
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
    >>> _ = ada.write_text("import os\n\ndef affine_forward(x, w, b):\n    os._exit(3)\n")
    >>> result = grade(ada, "exercise_1")
    >>> result.score
    0
    >>> result.lost["affine_forward"]
    'The submission ends the process, with status 3: remove what does that.'
    >>> result.lost["relu_forward"]
    'The submission has no relu_forward.'
    """
    own = exercise(source)
    path = Path(submission).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"submission: there is no file {os.fspath(submission)}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"submission must be a .py file or an .ipynb, got {path.name}")
    seconds = validation.number("seconds", seconds, 0, open_low=True)
    megabytes = validation.whole("megabytes", megabytes, 1)
    job = {
        "submission": str(path),
        "folder": str(path.parent),
        "exercise": own.source,
        "megabytes": megabytes,
    }
    results: list[Result] = []
    printed: list[str] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        while remaining := own.checks[len(results) :]:
            names = [check.name for check in remaining]
            with Process({**job, "checks": names}, Path(folder)) as process:
                unread, _ = _asked(process, seconds)
                printed.append(process.printed())
                if unread:
                    results += [Result(check, 0, unread) for check in remaining]
                else:
                    results += _made(process, remaining, seconds)
    return Grade(os.fspath(submission), own.title, tuple(results), printed[0])


def _made(process: Process, remaining: tuple[Check, ...], seconds: float) -> Iterator[Result]:
    """Yield the results of checks until one ends the process."""
    for check in remaining:
        begun = time.monotonic()
        message, over = _asked(process, check.seconds or seconds)
        score = 0 if message else check.points
        yield Result(check, score, message, process.printed(), time.monotonic() - begun)
        if over:
            break


def _asked(process: Process, seconds: float) -> tuple[str, bool]:
    """Return why something failed, or nothing, and whether the process is of no further use."""
    try:
        said = process.answer(seconds)
    except EndedError as end:
        return str(end), True
    return said["message"], said["over"]
