"""The process in which a submission runs: ``python -m nnreg.course.grading.worker``.

It reads what to do from stdin, as JSON. Stdout becomes the way back to the grader, a line of JSON
for each thing done; before the submission is read, that way is moved to where ``print`` does not
reach, and all that is printed goes into a file. Each line carries a word that the grader chose, so
that what somebody else writes there is not taken for an answer.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from nnreg.course.grading import limits
from nnreg.course.grading.exercises import Check, exercise
from nnreg.course.grading.integrity import Watch
from nnreg.course.grading.submission import load, reason


def main() -> None:
    """Do what stdin says, and end without the submission's ``atexit``."""
    job = json.loads(sys.stdin.buffer.read())
    answer = _moved(job["word"], job["output"])
    own = exercise(job["exercise"])
    sys.path.append(job["folder"])  # behind all others: nothing there can take NumPy's place
    watch = Watch()
    limits.limit(job["megabytes"])
    answer(message="", over=False)
    submission, said = read(Path(job["submission"]))
    changed = watch.changed()
    answer(message=_accused(changed) or said, over=bool(changed))
    if submission is not None and not changed:
        for name in job["checks"]:
            message = judge(own[name], submission)
            changed = watch.changed()
            answer(message=_accused(changed) or message, over=bool(changed))
            if changed:
                break
    os._exit(0)


def read(path: Path) -> tuple[ModuleType | None, str]:
    """Return the submission as a module, or None and why there is none."""
    _seed(0)
    try:
        return load(path), ""
    except BaseException as error:  # whatever it raises is its own affair
        return None, reason(error)


def judge(check: Check, submission: ModuleType) -> str:
    """Return why a submission does not pass a check; nothing if it does."""
    _seed(check.seed)
    try:
        check(submission)
    except AssertionError as error:
        return str(error)
    except BaseException as error:  # not an Exception, so that no check has caught it
        return reason(error)
    return ""


def _seed(seed: int) -> None:
    """Make what is drawn from the global generators the same each time it is graded."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it is the submission that may draw from there


def _accused(changed: str) -> str:
    if not changed:
        return ""
    return f"The submission changes {changed}, by which it is judged: leave it as it is."


def _moved(word: str, output: str) -> Callable[..., None]:
    """Take stdout as the way back, and lead what is printed into a file."""
    back, own = os.dup(1), os.getpid()
    printed = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(printed, stream)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(printed)
    os.close(nothing)
    streams = sys.stdout, sys.stderr
    write, getpid, leave, stat, dumps = os.write, os.getpid, os._exit, os.stat, json.dumps

    def answer(*, message: str, over: bool) -> None:
        if getpid() != own:  # a copy that the submission made of this process
            leave(1)
        for stream in streams:
            try:
                stream.flush()
            except (OSError, ValueError):  # full, or closed by the submission
                continue
        said = {"word": word, "message": message, "over": over, "printed": stat(output).st_size}
        line = memoryview(dumps(said).encode() + b"\n")
        while line:
            line = line[write(back, line) :]

    return answer


if __name__ == "__main__":
    main()
