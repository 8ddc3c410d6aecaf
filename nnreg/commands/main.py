"""The entry point of the `nnreg` command: parser, signals and exit statuses."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from nnreg import datasets
from nnreg._support.interrupts import signal_handler
from nnreg._support.system import accept_any_text
from nnreg._support.validation import nearest
from nnreg._support.version import __version__
from nnreg.commands import experiments, grade
from nnreg.commands.shared import fail, in_words
from nnreg.lab.reporting.results import WorkerDiedError
from nnreg.training.step import NonFiniteLossError

EPILOG = """\
example:
  nnreg compare --hidden 64 --epochs 20

  nnreg COMMAND --help describes a command and its options.

exit status:
  0  success
  1  training, a worker process or writing the report failed
  2  an argument is wrong, or the folder cannot be used; nothing was computed
  130, 143  interrupted by Ctrl-C or SIGTERM; the message lists what was kept
"""


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
    parser = _Parser(
        prog="nnreg",
        description="Experiments on the regularization of neural networks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nnreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    data = commands.add_parser(
        "data", help="list the bundled data, and the folders that are searched for others"
    )
    data.set_defaults(run=_list_data)
    experiments.add(commands)
    grade.add(commands)
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(2)
    args, unknown = parser.parse_known_args(arguments)
    command = commands.choices[args.command]
    options = [name for action in command._actions for name in action.option_strings]
    if unknown:
        hint = nearest(unknown[0].partition("=")[0], options)
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    names = {option.removeprefix("--").replace("-", "_") for option in options}
    terminated: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM like Ctrl-C, so that folders and processes are cleaned up."""
        terminated.append(number)
        handler = signal.getsignal(signal.SIGINT)  # under nohup, SIGINT is ignored
        (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)

    accept_any_text(sys.stdout)
    with signal_handler(signal.SIGTERM, interrupt):
        try:
            status: int = args.run(args)
        except KeyboardInterrupt:
            status = fail("interrupted; nothing was kept", 130)
        except (NonFiniteLossError, WorkerDiedError, MemoryError) as error:
            status = fail(in_words(error), 1)
        except (ValueError, TypeError, OSError, ImportError) as error:
            status = fail(in_words(error, names), 2)
    return 128 + signal.SIGTERM if terminated and status == 130 else status


def _list_data(args: argparse.Namespace) -> int:
    print(datasets.describe())
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")
