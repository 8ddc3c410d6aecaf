"""The commands `nnreg grade`: points and reasons, and `nnreg course`: files for instructors."""

from __future__ import annotations

import argparse
import json
import textwrap
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnreg._support.files import check_target, write_whole
from nnreg.commands.shared import (
    Commands,
    Failure,
    in_words,
    number,
    progress_bar,
    whole,
    wrap,
)
from nnreg.course.gradescope import write_archive
from nnreg.course.grading.exercises import EXERCISES
from nnreg.course.grading.grader import grade
from nnreg.course.grading.summary import grade_all

DESCRIPTION = (
    "Grade a submission by the checks of an exercise: print the points of each and why they were "
    "lost. Only the statements that the checks need are run, in a separate process with limits of "
    "time and memory, but with your permissions; it is not a sandbox. The exit status is 0 for "
    "every score, and 2 if nothing can be graded; then the file of --json contains the reason."
)
COURSE = (
    "Write the zip file that Gradescope takes as an autograder. It contains this nnreg and the "
    "exercise, and installs the Python and NumPy versions of this machine."
)
EXERCISE = f"{EXERCISES[0]} to {EXERCISES[-1]}, or a Python file with checks"
FORCE = "replace the file if this command wrote it"
EXAMPLES = """\
examples:
  nnreg grade ada.ipynb --exercise exercise_1
  nnreg grade --all submissions --exercise exercise_1 --csv points.csv
"""


def add(commands: Commands) -> None:
    """Add the commands to the parser."""
    command = commands.add_parser(
        "grade",
        help="grade submissions to an exercise",
        description=textwrap.fill(DESCRIPTION, 78),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "submission",
        type=Path,
        nargs="?",
        help="a .py file, an .ipynb, or a folder with some, of which the best counts",
    )
    command.add_argument(
        "--all",
        type=Path,
        metavar="FOLDER",
        help="grade every file and folder in FOLDER, and print a table and the commonest mistakes",
    )
    command.add_argument(
        "--exercise",
        metavar="NAME_OR_FILE",
        help=f"{EXERCISE} (default: the submission's file name)",
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write Gradescope's results.json to FILE"
    )
    command.add_argument(
        "--csv", type=Path, metavar="FILE", help="with --all, also write the points to FILE"
    )
    command.add_argument("--force", action="store_true", help=FORCE)
    command.add_argument(
        "--seconds",
        type=number,
        default=10.0,
        metavar="S",
        help="time limit for each check that does not set one (default: 10)",
    )
    command.add_argument(
        "--megabytes",
        type=whole,
        default=2048,
        metavar="MB",
        help="memory limit, where the platform supports it (default: 2048)",
    )
    command.set_defaults(run=run)
    course = commands.add_parser(
        "course",
        help="write the autograder of an exercise for Gradescope",
        description=textwrap.fill(COURSE, 78),
        epilog="example:\n  nnreg course gradescope exercise_1 autograder.zip\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    course.add_argument("what", choices=["gradescope"], help="gradescope")
    course.add_argument("exercise", help=EXERCISE)
    course.add_argument("archive", type=Path, help="the zip file")
    course.add_argument("--force", action="store_true", help=FORCE)
    course.set_defaults(run=write_course_file)


def run(args: argparse.Namespace) -> int:
    """Grade, print, write the file if asked, and return the exit status."""
    target, written = (args.csv, is_table) if args.all else (args.json, is_results)
    try:
        _check_arguments(args)
        if target:
            _check_file(target, written, args.force)
        return (_grade_all if args.all else _grade)(
            args, {"seconds": args.seconds, "megabytes": args.megabytes}
        )
    except (OSError, ValueError) as error:
        raise Failure(in_words(error, ("exercise", "seconds", "megabytes")), 2) from error


def _check_arguments(args: argparse.Namespace) -> None:
    if (args.submission is None) == (args.all is None):
        raise ValueError("pass either a submission or --all FOLDER (see nnreg grade --help)")
    if args.all and (args.json or not args.exercise):
        raise ValueError("--all needs --exercise, and writes --csv but no --json")
    if args.csv and not args.all:
        raise ValueError("--csv needs --all FOLDER; the file of one submission is --json")


def _check_file(path: Path, written: Callable[[Path], bool], force: bool) -> None:
    """Raise an error if the file exists and may not be replaced."""
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; --force replaces it")
    if path.is_file() and not written(path):
        raise FileExistsError(
            f"{path} exists and is not what this command writes, so --force does not replace it; "
            "name another file"
        )


def is_results(path: Path) -> bool:
    """Return whether a file is a ``results.json``."""
    try:
        return {"score", "output"} <= set(json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        return False


def is_table(path: Path) -> bool:
    """Return whether a file is a table of the grades of a class."""
    return path.read_bytes().startswith(b"submission,score,")


def is_archive(path: Path) -> bool:
    """Return whether a file is an autograder for Gradescope."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()[:2] == ["setup.sh", "run_autograder"]


def _grade(args: argparse.Namespace, limits: dict[str, Any]) -> int:
    message = ""
    try:
        result = grade(args.submission, args.exercise or args.submission.stem, **limits)
    except (ValueError, OSError) as error:
        message = in_words(error, ("exercise", "seconds", "megabytes"))
        report = {"score": 0, "output": message}
    else:
        with suppress(BrokenPipeError):  # FILE is written nevertheless
            for line in str(result).splitlines():
                print(wrap(line, indent=11), flush=True)
        report = result.gradescope()
    if args.json:
        content = json.dumps(report, indent=2, ensure_ascii=False)
        write_whole(args.json, content.encode(), overwrite=args.force)
    if message:
        raise Failure(message, 2)
    return 0


def _grade_all(args: argparse.Namespace, limits: dict[str, Any]) -> int:
    if args.csv:
        check_target(args.csv, overwrite=args.force)  # before the minutes that grading takes
    with progress_bar("submission") as progress:
        grades = grade_all(args.all, args.exercise, progress=progress, **limits)
    with suppress(BrokenPipeError):
        print(grades, flush=True)
    if args.csv:
        write_whole(args.csv, grades.csv().encode(), overwrite=args.force)
    return 0


def write_course_file(args: argparse.Namespace) -> int:
    """Write the archive, and return the exit status."""
    try:
        _check_file(args.archive, is_archive, args.force)
        write_archive(args.exercise, args.archive, overwrite=args.force)
    except (OSError, ValueError) as error:
        raise Failure(in_words(error), 2) from error
    print(f"wrote {args.archive}: upload it as the autograder of a programming assignment")
    return 0
