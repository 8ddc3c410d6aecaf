"""Common parts of the commands: option types and error messages."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeAlias, TypeVar

from nnreg import datasets
from nnreg._support import tables
from nnreg._support.tables import printable
from nnreg.datasets import Dataset
from nnreg.lab.bias_variance.learners import NetworkLearner
from nnreg.lab.reporting.results import Progress
from nnreg.lab.settings import OPTIMIZERS, FitSettings

Value = TypeVar("Value")
INTERRUPTED = 130  # 128 + SIGINT, the exit status after Ctrl-C

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
    lambda text: tuple(int(part) for part in text.split(",") if text != "none"),
    "whole numbers separated by commas, such as 512,512, or none",
)
column_names = make_reader(
    lambda text: [part.strip() for part in text.split(",")],
    "names of columns separated by commas",
)
numbers = make_reader(
    lambda text: tuple(int(n) if n.strip().isdigit() else float(n) for n in text.split(",")),
    "numbers separated by commas, such as 0.1,0.01",
)


Options: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By name: the arguments of ``add_argument``."""

DATA_FORMS = f"{', '.join(datasets.NAMES)}, FILE.csv, FILE.npz, or a FOLDER of IDX files"

TABLE_OPTIONS: Options = {
    "target": {
        "metavar": "COLUMN",
        "help": "the column of labels, or the array of labels in an NPZ file (default: the last "
        "column; y in NPZ)",
    },
    "columns": {
        "type": column_names,
        "metavar": "A,B,...",
        "help": "columns to use as features, by name or by number from 0 (default: all but the "
        "target)",
    },
    "drop": {
        "type": column_names,
        "metavar": "A,B,...",
        "help": "columns to leave out, by name or by number from 0",
    },
    "header": {
        "action": argparse.BooleanOptionalAction,
        "help": "whether the first line has the names of the columns (default: yes; a first line "
        "of numbers is an error, and needs one of the two)",
    },
    "separator": {
        "type": lambda text: {"tab": "\t", "\\t": "\t"}.get(text, text),
        "metavar": "S",
        "help": "character between the fields: ',' ';' '|' or tab (default: detected)",
    },
    "encoding": {
        "metavar": "NAME",
        "help": "encoding of the text, such as latin-1 (default: UTF-8)",
    },
}

FORM = ("header", "separator", "encoding")
"""The options that say how a file of text is written."""

SEED_OPTION: Options = {
    "seed": {
        "type": whole,
        "metavar": "N",
        "help": "seed of the validation split, the initial weights, the order of the rows and "
        "dropout (default: 0)",
    }
}

STRENGTH_OPTIONS: Options = {
    "l2": {
        "type": number,
        "metavar": "STRENGTH",
        "help": "strength of L2, in strength/2 * sum(w**2) (default: 0)",
    },
    "l1": {
        "type": number,
        "metavar": "STRENGTH",
        "help": "strength of L1, in strength * sum(abs(w)) (default: 0)",
    },
    "keep-prob": {
        "type": number,
        "metavar": "P",
        "help": "probability that dropout keeps a hidden unit (default: 1)",
    },
}
"""The penalties and dropout, which are not used by default."""


def get_options(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the options that were passed."""
    return {name: value for name, value in vars(args).items() if name in names}


def load_data(args: argparse.Namespace, source: str) -> Dataset:
    """Return the data of a source, read as the options of a table say."""
    return datasets.load(source, **get_options(args, {*TABLE_OPTIONS, "regression"}))


def make_network_options(settings: type[FitSettings | NetworkLearner]) -> Options:
    """Return the options of a network and its training, with the defaults of these settings."""
    rates = ", ".join(f"{rate:g} for {name}" for name, (_, rate) in OPTIMIZERS.items())
    steps = settings.steps if issubclass(settings, FitSettings) else 0
    defaults = {
        "hidden": ",".join(map(str, settings.hidden)),
        "optimizer": settings.optimizer,
        "learning-rate": f"{settings.learning_rate:g}" if settings.learning_rate else rates,
        "epochs": settings.epochs or f"about {steps:,} steps, 10 to 100 epochs",
        "batch-size": settings.batch_size,
    }
    options: Mapping[str, tuple[Callable[[str], object], str, str]] = {
        "hidden": (widths, "UNITS,...", "units of the hidden layers, or none"),
        "optimizer": (str, "NAME", ", ".join(OPTIMIZERS)),
        "learning-rate": (number, "RATE", "learning rate of the optimizer, above 0"),
        "epochs": (whole, "N", "passes over the training rows"),
        "batch-size": (whole, "N", "training rows in a step"),
    }
    return {
        name: {"type": read, "metavar": metavar, "help": f"{text} (default: {defaults[name]})"}
        for name, (read, metavar, text) in options.items()
    }


def add_command(commands: Commands, name: str, parts: Mapping[str, Any]) -> Any:
    """Add a command with its options in groups; its help ends with its rules."""
    width = min(76, terminal_width() - 4)
    rules = (
        f"{rule}:\n{textwrap.indent(textwrap.fill(text, width), '  ')}"
        for rule, text in parts["rules"].items()
    )
    command = commands.add_parser(
        name,
        help=parts["help"],
        description=textwrap.fill(parts["description"], width + 2),
        epilog="\n\n".join(rules),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for title, options in parts["options"].items():
        group = command.add_argument_group(title)
        for option, arguments in options.items():
            group.add_argument(f"--{option}", **arguments)
    command.set_defaults(run=parts["run"])
    return command


def select(args: argparse.Namespace, kind: Any) -> dict[str, Any]:
    """Return the options that were passed and are fields of a dataclass."""
    return get_options(args, {field.name for field in fields(kind)})


def terminal_width() -> int:
    """Return the number of columns of the terminal, at least 40, and 80 where there is none."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)


def wrap(line: str, indent: int = 0) -> str:
    """Return text wrapped at the width of the terminal or 80, with later lines indented."""
    return tables.wrap(line, min(80, terminal_width()), indent)


@contextmanager
def progress_bar(unit: str) -> Iterator[Progress | None]:
    """Provide a progress bar on stderr, if that is a terminal and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(unit=unit, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(text: str, completed: int, total: int) -> None:
            bar.total = total
            bar.set_description(text, refresh=False)
            bar.update(completed - bar.n)

        yield progress


CALL = r"[\w.]+\((?:[^()]|\([^()]*\))*\)"  # in which an argument is not an option


class Failure(Exception):  # noqa: N818  # it may be an interruption too
    """The end of a command that failed: its message and its exit status.

    >>> Failure("the disk is full", 1).args
    ('the disk is full', 1)
    """


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
    >>> in_words(ValueError("a.csv: set header=False, separator=';'"), ["header", "separator"])
    "a.csv: set --no-header, --separator ';'"
    >>> in_words(ValueError("a.csv: drop=['id', 3] leaves them out"), ["drop"])
    'a.csv: --drop id,3 leaves them out'
    >>> in_words(ValueError("x: read_csv('a.csv', header=None)"), ["header"])
    "x: read_csv('a.csv', header=None)"
    >>> in_words(BrokenPipeError(32, "Broken pipe"))
    'Broken pipe'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    options = {name: "--" + name.replace("_", "-") for name in names}
    options |= {"source": options.get("data", "DATA"), "target": "--target"}
    first, space, rest = str(error).partition(" ")
    if "regression" not in options:
        rest = rest.replace("set regression=True", "nnreg train --regression predicts it")
    name = first.removesuffix(":")

    def to_option(match: re.Match[str]) -> str:
        option, value = options.get(match[1]), match[2]
        if option is None:  # a call, or the argument of something else
            return match[0]
        if value.startswith("["):
            value = re.sub(r"['\"]", "", value[1:-1]).replace(", ", ",")
        switches = {"True": option, "False": option.replace("--", "--no-", 1)}
        return switches.get(value, f"{option} {value}")

    rest = re.sub(
        rf"{CALL}|\b(\w+)=(\[[^]]*\]|'[^']*'|\"[^\"]*\"|\w+)",
        to_option,
        rest.replace("overwrite=True", "--force"),
    )
    return f"{options.get(name, name)}{first[len(name) :]}{space}{rest}"


def print_error(message: str) -> None:
    """Print a message on stderr, escaped; each of its lines that is indented stays a line."""
    lines = (printable(" ".join(line.split()), None) for line in message.split("\n  "))
    print("nnreg:", "\n  ".join(lines), file=sys.stderr)
