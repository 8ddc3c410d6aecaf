"""The command `nnreg grade`: points for a submission, and why they were lost."""

from __future__ import annotations

import argparse
import json
import textwrap
from contextlib import suppress
from pathlib import Path

from nnreg._support.files import write_whole
from nnreg.commands.shared import Commands, Failure, in_words, number, whole
from nnreg.course.grading import grade
from nnreg.course.grading.exercises import EXERCISES

DESCRIPTION = (
    "Grade a submission by the checks of an exercise: print the points of each and why they were "
    "lost. Only the statements that the checks need are run, in a separate process with limits of "
    "time and memory, but with your permissions; it is not a sandbox. The exit status is 0 for "
    "every score, and 2 if nothing can be graded; then FILE contains the reason."
)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "grade",
        help="grade a submission to an exercise",
        description=textwrap.fill(DESCRIPTION, 78),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("submission", type=Path, help="a .py file or an .ipynb")
    command.add_argument(
        "--exercise",
        metavar="NAME_OR_FILE",
        help=f"{EXERCISES[0]} to {EXERCISES[-1]}, or a Python file with checks "
        "(default: the submission's file name)",
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write Gradescope's results.json to FILE"
    )
    command.add_argument("--force", action="store_true", help="replace the file if it exists")
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


def run(args: argparse.Namespace) -> int:
    """Grade, print, write the file if asked, and return the exit status."""
    message = ""
    try:
        if args.json and args.json.exists() and not args.force:
            raise FileExistsError(f"{args.json} exists; --force replaces it")
        try:
            name = args.exercise or args.submission.stem
            result = grade(args.submission, name, seconds=args.seconds, megabytes=args.megabytes)
        except (ValueError, OSError) as error:
            message = in_words(error, ("exercise", "seconds", "megabytes"))
            report = {"score": 0, "output": message}
        else:
            with suppress(BrokenPipeError):  # FILE is written nevertheless
                print(result, flush=True)
            report = result.gradescope()
        if args.json:
            content = json.dumps(report, indent=2, ensure_ascii=False)
            write_whole(args.json, content.encode(), overwrite=args.force)
    except OSError as error:
        raise Failure(str(error), 2) from error
    if message:
        raise Failure(message, 2)
    return 0
