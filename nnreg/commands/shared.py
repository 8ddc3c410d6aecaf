"""Common parts of the commands: option types and error messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from nnreg._support.tables import printable

Value = TypeVar("Value")
Commands: TypeAlias = "argparse._SubParsersAction[Any]"


def make_reader(read: Callable[[str], Value], expected: str) -> Callable[[str], Value]:
    """Return the type of an option; its error message names the expected value.

    >>> make_reader(int, "a whole number")("3")
    3
    """

    def convert(argument: str) -> Value:
        try:
            return read(argument)
        except ValueError:
            message = f"must be {expected}, got {argument!r}"
            raise argparse.ArgumentTypeError(message) from None

    return convert


whole = make_reader(int, "a whole number")
number = make_reader(float, "a number")
widths = make_reader(
    lambda text: tuple(int(part) for part in text.split(",")),
    "whole numbers separated by commas, such as 512,512",
)
numbers = make_reader(
    lambda text: tuple(int(n) if n.strip().isdigit() else float(n) for n in text.split(",")),
    "numbers separated by commas, such as 0.1,0.01",
)


def in_words(error: BaseException, names: Iterable[str] = ()) -> str:
    """Return an error message with command-line options for argument names.

    Parameters
    ----------
    error : BaseException
    names : iterable of str
        Arguments that are options of the command.

    Examples
    --------
    >>> in_words(ValueError("batch_size must be whole"), ["batch_size"])
    '--batch-size must be whole'
    >>> in_words(BrokenPipeError(32, "Broken pipe"))
    'Broken pipe'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    name, space, rest = str(error).partition(" ")
    options = {name: "--" + name.replace("_", "-") for name in names}
    options |= {"source:": "--data:", "target:": "--target:"}
    return f"{options.get(name, name)}{space}{rest}"


def fail(message: str, status: int) -> int:
    """Print an error as one line on stderr and return the exit status."""
    print(f"nnreg: {printable(' '.join(message.split()), None)}", file=sys.stderr)
    return status
