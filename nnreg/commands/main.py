"""The `nnreg` command. What it does is in `nnreg.lab`, its words and options in `nnreg.commands`.

It ends with 0 when all went well, 2 when it was asked for what cannot be, 1 when training broke
down, and 130 after Ctrl-C. An error is one line on stderr.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from nnreg._support.version import __version__
from nnreg.commands import bias_variance, compare, data, grade, path
from nnreg.commands.shared import fail, in_words
from nnreg.training.step import NonFiniteLossError

COMMANDS = (data, compare, path, bias_variance, grade)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands behind `nnreg`; unless given, what it was called with.

    Returns
    -------
    int
        The exit status.

    Examples
    --------
    >>> main(["data"])  # doctest: +SKIP
    0
    """
    given = _parser().parse_args(arguments)
    try:
        status: int = given.run(given)
    except KeyboardInterrupt:
        return fail("interrupted; nothing was kept", 130)
    except NonFiniteLossError as error:
        return fail(str(error), 1)
    except OSError as error:
        return fail(in_words(error), 1)
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nnreg", description="Regularization of neural networks, measured.")
    parser.add_argument("--version", action="version", version=f"nnreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser
