"""Common parts of the commands: options, experiments with their folder, errors in words."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from nnreg import datasets
from nnreg.lab.reporting.folder import open_folder, written_files
from nnreg.lab.reporting.report import Report
from nnreg.lab.reporting.results import Progress, WorkerDiedError, list_results
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, Settings
from nnreg.training.step import NonFiniteLossError

Value = TypeVar("Value")
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Options: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By name: the arguments of ``add_argument``."""


def make_reader(read: Callable[[str], Value], expected: str) -> Callable[[str], Value]:
    """Return the type of an option, whose error says what is expected.

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
    "whole numbers with commas between them, such as 512,512",
)
numbers = make_reader(
    lambda text: tuple(int(n) if n.strip().isdigit() else float(n) for n in text.split(",")),
    "numbers with commas between them, such as 0.1,0.01",
)


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,
    description: str,
    options: Mapping[str, Options],
    rules: Mapping[str, str],
) -> argparse.ArgumentParser:
    """Add the parser of an experiment, whose help ends with its rules, and return it.

    Parameters
    ----------
    commands : subparsers
    name : str
    run : function (Namespace) -> int
    help, description : str
    options : mapping of str to Options
        By the title of their group.
    rules : mapping of str to str
    """
    command = commands.add_parser(
        name,
        help=help,
        description=textwrap.fill(description, 78),
        epilog=format_rules(rules),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for title, members in options.items():
        group = command.add_argument_group(title)
        for option, arguments in members.items():
            group.add_argument(f"--{option}", **arguments)
    command.set_defaults(run=run)
    return command


DATA_OPTIONS: Options = {
    "data": {
        "default": "digits",
        "metavar": "DATA",
        "help": f"{', '.join(datasets.NAMES)}, FILE.csv, FILE.npz, or a FOLDER of IDX files "
        "(default: digits); see also: nnreg data",
    },
    "target": {
        "default": None,
        "metavar": "COLUMN",
        "help": "the column of labels in a CSV file (default: the last)",
    },
    "train-size": {
        "type": whole,
        "metavar": "N",
        "help": f"training rows to use (default: {DEMONSTRATION['digits']['train_size']} of the "
        "digits, so that the network overfits; all rows of other data)",
    },
    "label-noise": {
        "type": number,
        "metavar": "SHARE",
        "help": "share of the training labels to make wrong, below 0.5 "
        f"(default: {DEMONSTRATION['digits']['label_noise']:g} for the digits, 0 for other data)",
    },
}


def make_network_options(defaults: Mapping[str, str]) -> Options:
    """Return the options of a network and its training, with their defaults in words."""
    options: Mapping[str, tuple[Callable[[str], object], str, str]] = {
        "hidden": (widths, "UNITS,...", "units of the hidden layers"),
        "optimizer": (str, "NAME", ", ".join(OPTIMIZERS)),
        "learning-rate": (number, "RATE", "learning rate of the optimizer, above 0"),
        "epochs": (whole, "N", "passes over the training rows"),
        "batch-size": (whole, "N", "training rows in a step"),
    }
    return {
        name: {"type": read, "metavar": metavar, "help": f"{text} (default: {defaults[name]})"}
        for name, (read, metavar, text) in options.items()
    }


NETWORK_OPTIONS: Options = {
    **make_network_options(
        {
            "hidden": ",".join(map(str, Settings.hidden)),
            "optimizer": Settings.optimizer,
            "learning-rate": ", ".join(
                f"{rate:g} for {name}" for name, (_, rate) in OPTIMIZERS.items()
            ),
            "epochs": "about 1,000 steps, 10 to 100 epochs",
            "batch-size": f"{Settings.batch_size}",
        }
    ),
    "repeats": {
        "type": whole,
        "metavar": "N",
        "help": f"number of seeds with which everything is trained (default: {Settings.repeats})",
    },
    "seed": {
        "type": whole,
        "metavar": "N",
        "help": "selects rows and wrong labels, and is the seed of the first repeat "
        f"(default: {Settings.seed})",
    },
}


def make_output_options(folder: str, *, jobs: str = "") -> Options:
    """Return the options of the output folder and, where ``jobs`` describes them, of processes."""
    options: Options = {
        "out": {
            "type": Path,
            "default": Path(folder),
            "metavar": "FOLDER",
            "help": f"output folder (default: {folder}; a number is added if it exists)",
        },
        "force": {
            "action": "store_true",
            "default": False,
            "help": "write into the folder even if it exists; only unchanged files that nnreg "
            "wrote are replaced",
        },
        "jobs": {
            "type": whole,
            "default": 1,
            "metavar": "N",
            "help": f"{jobs} (default: 1; more need joblib: pip install 'nnreg[parallel]')",
        },
    }
    return {name: arguments for name, arguments in options.items() if jobs or name != "jobs"}


def select(given: argparse.Namespace, kind: Any) -> dict[str, Any]:
    """Return the given options that are fields of a dataclass."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in vars(given).items() if name in names}


def run_experiment(
    given: argparse.Namespace,
    experiment: Callable[[Path, Progress | None], Report],
    pictures: Iterable[str],
    unit: str,
    *,
    kind: str = "",
    resume: bool = False,
    hint: str = "",
) -> int:
    """Run an experiment, print its table, write its report and return the exit status.

    Parameters
    ----------
    given : Namespace
        With ``out`` and ``force``.
    experiment : function (folder, progress) -> Report
    pictures : iterable of str
        Names of the report's pictures.
    unit : str
        Unit of progress, in the plural.
    kind : str, optional
        The kind of the results that the experiment keeps in the folder until it is finished.
    resume : bool, default False
        Whether a folder with such results is used again.
    hint : str, optional
        How to go on after an interruption; ``{}`` stands for the folder.
    """
    unfinished = kind if resume else ""
    with open_folder(given.out, pictures, force=given.force, resume=unfinished) as folder:
        before = written_files(folder)
        try:
            with progress_bar(f" {unit}") as progress:
                report = experiment(folder, progress)
            report.write_numbers(folder)
            print(report)
            names = report.write(folder)
        except (KeyboardInterrupt, NonFiniteLossError, WorkerDiedError, OSError) as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            written = [name for name, d in written_files(folder).items() if before.get(name) != d]
            parts = ["interrupted" if interrupted else in_words(error)]
            if written:
                parts.append(f"{folder} has {' and '.join(written)}")
            if finished := list_results(folder, kind):
                n = len(finished)
                count = f"{n} {unit} are" if n > 1 else f"1 {unit.removesuffix('s')} is"
                parts += [f"{count} kept in {folder}", hint.format(folder)]
            if interrupted and len(parts) == 1:
                parts.append("nothing was kept")
            return fail("; ".join(parts), 130 if interrupted else 1)
        for path in list_results(folder, kind):
            path.unlink(missing_ok=True)
    print(f"\nRules: nnreg {given.command} --help")
    print(f"Written to {folder}: {', '.join(names)}")
    if len(names) == 2:
        print("No pictures without matplotlib: pip install 'nnreg[plots]'")
    return 0


@contextmanager
def progress_bar(unit: str) -> Iterator[Progress | None]:
    """Give a progress bar on stderr, if that is a terminal and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(unit=unit, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(text: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(text, refresh=False)
            bar.update(done - bar.n)

        yield progress


def join_numbers(values: Iterable[float]) -> str:
    """Return numbers with commas between them.

    >>> join_numbers([0.1, 2.0])
    '0.1, 2'
    """
    return ", ".join(f"{value:g}" for value in values)


def format_rules(parts: Mapping[str, str]) -> str:
    """Return paragraphs for the end of a command's help, each under its name.

    >>> print(format_rules({"noise": "A definition."}))
    noise:
      A definition.
    """
    return "\n\n".join(
        f"{name}:\n{textwrap.indent(textwrap.fill(rule, 76), '  ')}" for name, rule in parts.items()
    )


def in_words(error: BaseException, names: Iterable[str] = ()) -> str:
    """Return an error's message in the words of the command line.

    Parameters
    ----------
    error : BaseException
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
