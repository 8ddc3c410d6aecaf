"""What the commands share: how arguments are read, errors said, and progress shown."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from nnreg.lab.comparison.experiment import Progress

Value = TypeVar("Value")
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@contextmanager
def progress_bar(unit: str = " epochs") -> Iterator[Progress | None]:
    """Give a progress bar on stderr, if that is a terminal and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(unit=unit, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        yield progress


def whole(argument: str) -> int:
    """Read a whole number: the type of an option.

    >>> whole("3")
    3
    """
    return _read(int, argument, "a whole number,")


def number(argument: str) -> float:
    """Read a number.

    >>> number("1e-3")
    0.001
    """
    return _read(float, argument, "a number,")


def widths(argument: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them.

    >>> widths("512,256")
    (512, 256)
    """
    wanted = "whole numbers with commas between them, such as 512,512,"
    return tuple(_read(lambda text: [int(part) for part in text.split(",")], argument, wanted))


def numbers(argument: str) -> tuple[float, ...]:
    """Read numbers with commas between them; those without a point are whole.

    >>> numbers("1,0.5")
    (1, 0.5)
    """
    wanted = "numbers with commas between them, such as 0.1,0.01,"
    return tuple(
        _read(
            lambda text: [int(n) if n.strip().isdigit() else float(n) for n in text.split(",")],
            argument,
            wanted,
        )
    )


def _read(read: Callable[[str], Value], argument: str, wanted: str) -> Value:
    try:
        return read(argument)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {wanted} got {argument!r}") from None


def listed(values: Iterable[float]) -> str:
    """Return numbers with commas between them.

    >>> listed([0.1, 2.0])
    '0.1, 2'
    """
    return ", ".join(f"{value:g}" for value in values)


def rules(parts: Mapping[str, str]) -> str:
    """Return paragraphs for the end of a command's help, each under its name.

    >>> print(rules({"noise": "What it is."}))
    noise:
      What it is.
    """
    return "\n\n".join(
        f"{name}:\n{textwrap.indent(textwrap.fill(rule, 76), '  ')}" for name, rule in parts.items()
    )


def in_words(error: Exception, names: Iterable[str] = ()) -> str:
    """Return an error's message in the words of the command line.

    Parameters
    ----------
    error : Exception
    names : iterable of str
        Arguments that are options of the command.

    Examples
    --------
    >>> in_words(ValueError("batch_size must be whole"), ["batch_size"])
    '--batch-size must be whole'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    name, space, rest = str(error).partition(" ")
    options = {name: "--" + name.replace("_", "-") for name in names}
    options |= {"source:": "--data:", "target:": "--target:"}
    return f"{options.get(name, name)}{space}{rest}"


def fail(message: str, status: int) -> int:
    """Print an error as one line on stderr and return the exit status."""
    print(f"nnreg: {' '.join(message.split())}", file=sys.stderr)
    return status
