"""The command `nnreg grade`: points for a submission, and why they were lost."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path

from nnreg._support.files import write_whole
from nnreg.commands.shared import Commands, fail, in_words, number, whole
from nnreg.course.grading import grade
from nnreg.course.grading.exercises import EXERCISES

DESCRIPTION = (
    "Grade a submission by the checks of an exercise: print the points of each and why they were "
    "lost. Of the submission only what an answer needs is run, in a process of its own, with "
    "limits of time and memory, but with your rights: this is no sandbox. The exit status is 0 "
    "whatever the score is, and 2 if there is nothing to grade; then FILE says why."
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
        help=f"{EXERCISES[0]} to {EXERCISES[-1]}, or a Python file with checks of your own "
        "(default: the name that the submission has)",
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write Gradescope's results.json there, too"
    )
    command.add_argument("--force", action="store_true", help="replace the file if it exists")
    command.add_argument(
        "--seconds",
        type=number,
        default=10.0,
        metavar="S",
        help="limit for each check that has none of its own (default: 10)",
    )
    command.add_argument(
        "--megabytes",
        type=whole,
        default=2048,
        metavar="MB",
        help="limit of memory, where the platform has it (default: 2048)",
    )
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Grade, print, write the file if asked, and return the exit status."""
    message = ""
    try:
        if given.json and given.json.exists() and not given.force:
            raise FileExistsError(f"{given.json} exists; --force replaces it")
        try:
            name = given.exercise or given.submission.stem
            result = grade(given.submission, name, seconds=given.seconds, megabytes=given.megabytes)
        except (ValueError, OSError) as error:
            message = in_words(error, ("exercise", "seconds", "megabytes"))
            report = {"score": 0, "output": message}
        else:
            print(result)
            report = result.gradescope()
        if given.json:
            content = json.dumps(report, indent=2, ensure_ascii=False)
            write_whole(given.json, content.encode(), overwrite=given.force)
    except OSError as error:
        return fail(str(error), 2)
    return fail(message, 2) if message else 0
