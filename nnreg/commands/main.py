"""The entry point of the `nnreg` command: parser, signals and exit statuses."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from nnreg import datasets
from nnreg._support.interrupts import signal_handler
from nnreg._support.system import accept_any_text
from nnreg._support.validation import nearest
from nnreg._support.version import __version__
from nnreg.commands import convert, experiments, grade, inspect, playground, predict, train
from nnreg.commands.shared import INTERRUPTED, Failure, in_words, print_error
from nnreg.lab.reporting.results import WorkerDiedError
from nnreg.training.step import NonFiniteLossError

EXAMPLES = {
    "train": "pets.csv --target kind --out pets",
    "predict": "pets new.csv",
    "inspect": "pets/model.npz",
    "convert": "model.keras model.npz",
    "compare": "--hidden 64 --epochs 20",
    "path": "--linear",
    "bias-variance": "--sweep degree",
    "playground": "",
    "grade": "exercise_4.py",
    "course": "gradescope exercise_4 autograder.zip",
    "data": "",
}

EPILOG = """\
  nnreg COMMAND --help describes a command and its options.

exit status:
  0  success
  1  training, a worker process or writing the results failed
  2  an argument or a file is wrong, or the folder cannot be used; nothing
     was computed
  130, 143  interrupted by Ctrl-C or SIGTERM; the message lists what was kept
  141  the reader of the output ended first, as in nnreg data | head; files
     are complete
"""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # the disk, or the user's part of it
BROKEN_PIPE = 141  # 128 + SIGPIPE, as of a command that this signal ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: the arguments of the process.

    Returns
    -------
    int
        The exit status.

    Examples
    --------
    >>> main(["data"])  # doctest: +SKIP
    0
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    accept_any_text(sys.stdout)
    try:
        status = _run(arguments)
    except SystemExit as end:  # of the parser
        raise SystemExit(_flush(int(end.code or 0))) from None
    return _flush(status)


def _flush(status: int) -> int:
    """Write the rest of the output; return the status, or that of an output that fails."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would try to write the rest once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return status or BROKEN_PIPE
        if not status:
            print_error(_describe(error, set())[0])
        return status or 1
    return status


def _run(arguments: Sequence[str]) -> int:
    """Run a command, print its error, and return the exit status."""
    names: set[str] = set()
    terminated: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM like Ctrl-C, so that folders and processes are cleaned up."""
        terminated.append(number)
        handler = signal.getsignal(signal.SIGINT)  # under nohup, SIGINT is ignored
        (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)

    with signal_handler(signal.SIGTERM, interrupt), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print_error(f"warning: {message}")
        try:
            args = _parse(arguments, names)
            status: int = args.run(args)
            return status
        except BrokenPipeError:
            return BROKEN_PIPE
        except (Exception, KeyboardInterrupt) as error:
            if "--debug" in arguments:
                traceback.print_exc()
            message, status = _describe(error, names)
            print_error(message)
            return 128 + signal.SIGTERM if terminated and status == INTERRUPTED else status


def _parse(arguments: Sequence[str], names: set[str]) -> argparse.Namespace:
    """Return the parsed arguments, and add to ``names`` those that are options."""
    parser = _Parser(
        prog="nnreg",
        description="Train networks, and experiment with their regularization.",
        epilog="\n".join(
            ["examples:", *(f"  nnreg {name} {rest}".rstrip() for name, rest in EXAMPLES.items())]
        )
        + f"\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nnreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    train.add(commands)
    predict.add(commands)
    inspect.add(commands)
    convert.add(commands)
    experiments.add(commands)
    playground.add(commands)
    grade.add(commands)
    data = commands.add_parser(
        "data", help="list the bundled data, and the folders that are searched for others"
    )
    data.set_defaults(run=_list_data)
    for command in commands.choices.values():
        command.add_argument(
            "--debug", action="store_true", help="show the traceback of an error too"
        )
    if not arguments:
        parser.print_help()
        parser.exit()
    name = arguments[0]
    if name.startswith("-") and name not in ("--version", "-h", "--help"):
        parser.error(f"the command comes before its options, as in nnreg compare {name}")
    if not name.startswith("-") and name not in commands.choices:
        hint = nearest(name, commands.choices) or f": {', '.join(commands.choices)}"
        parser.error(f"{name} is not a command{hint}")
    command = commands.choices.get(name, parser)
    options = [name for action in command._actions for name in action.option_strings]
    for argument in arguments:  # before argparse finds that a required one is missing
        option = argument.partition("=")[0]
        if option.startswith("--") and not any(known.startswith(option) for known in options):
            command.error(f"unrecognized arguments: {argument}{nearest(option, options)}")
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        text = " ".join(unknown)
        file = "--data" in options and not text.startswith("-")
        command.error(f"unrecognized arguments: {text}" + f" (use --data {text})" * file)
    names.update(option.removeprefix("--").replace("-", "_") for option in options)
    return args


def _describe(error: BaseException, names: set[str]) -> tuple[str, int]:
    """Return the message and the exit status of an error."""
    if isinstance(error, Failure):
        message, status = error.args
        return message, status
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; nothing was written", INTERRUPTED
    if isinstance(error, (NonFiniteLossError, WorkerDiedError, MemoryError)):
        return in_words(error), 1
    if isinstance(error, OSError) and error.errno in FULL:
        place = "" if error.filename else "the output could not be written: "
        return f"{place}{in_words(error)}", 1
    if isinstance(error, (ValueError, TypeError, OSError, ImportError)):
        return in_words(error, names), 2
    return f"{type(error).__name__}: {error} (a fault of nnreg; --debug shows its place)", 1


def _list_data(args: argparse.Namespace) -> int:
    print(datasets.describe())
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")
