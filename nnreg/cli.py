"""The `nnreg` command. What it does is in `nnreg.lab`; here are its words, its options, its exits.

It ends with 0 when all went well, 2 when it was asked for what cannot be, 1 when training broke
down, and 130 after Ctrl-C. An error is one line on stderr.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import NoReturn, TypeVar

from nnreg import datasets
from nnreg.lab.choice import KEEP_GRID, L1_GRID, L2_GRID
from nnreg.lab.comparison import Progress, compare
from nnreg.lab.folder import reserved, write
from nnreg.lab.judgement import FIT_RULE, NOISE_RULE
from nnreg.lab.preparation import FARTHEST, TEST_SHARE
from nnreg.lab.report import text
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, Settings
from nnreg.penalties import METHODS
from nnreg.step import NonFiniteLossError
from nnreg.version import __version__

Value = TypeVar("Value")

DESCRIPTION = (
    "Train one network in five ways: without regularization, with L2, with L1, with dropout, and "
    "with dropout + L2. Within a repeat all five start from the same weights and see the same "
    "batches in the same order. Prints a table, and writes report.json, report.html, curves.png "
    "and weights.png into a folder."
)


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
        if given.command == "data":
            print(datasets.describe())
            return 0
        return _compare(given)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was kept", 130)
    except NonFiniteLossError as error:
        return _fail(str(error), 1)
    except OSError as error:
        return _fail(_in_words(error), 1)


def _compare(given: argparse.Namespace) -> int:
    names = {field.name for field in fields(Settings)}
    chosen = {name: value for name, value in vars(given).items() if name in names}
    with ExitStack() as stack:
        try:
            settings = Settings(**{**DEMONSTRATION.get(given.data, {}), **chosen})
            dataset = datasets.load(given.data, target=given.target)
            folder = stack.enter_context(reserved(given.out, force=given.force))
            with _progress() as progress:
                comparison = compare(dataset, settings, progress)
        except (ValueError, OSError) as error:
            return _fail(_in_words(error), 2)
        print(text(comparison))
        written = write(comparison, folder)
    print(f"\nWritten to {folder}: {', '.join(written)}")
    if "curves.png" not in written:
        print("No pictures without matplotlib: pip install 'nnreg[plots]'")
    if comparison.interrupted:
        repeats = f"{comparison.repeats} of {settings.repeats} repeats"
        return _fail(f"interrupted; {folder} has the {repeats} that were finished", 130)
    return 0


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Give a progress bar on stderr, if that is a terminal and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(unit=" epochs", disable=None, leave=False, file=sys.stderr) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        yield progress


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nnreg", description="Regularization of neural networks, measured.")
    parser.add_argument("--version", action="version", version=f"nnreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser(
        "data", help="list the data that are shipped, and where others are looked for"
    )
    command = commands.add_parser(
        "compare",
        help="compare no regularization, L2, L1, dropout, and dropout + L2",
        description=textwrap.fill(DESCRIPTION, 78),
        epilog=_rules(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _data_options(command.add_argument_group("data"))
    _network_options(command.add_argument_group("network and training"))
    _strength_options(command.add_argument_group("strengths (chosen, unless given)"))
    output = command.add_argument_group("output")
    output.add_argument(
        "--out",
        type=Path,
        default=Path("nnreg-compare"),
        metavar="FOLDER",
        help="where to write (default: nnreg-compare; a number is added if it exists)",
    )
    output.add_argument(
        "--force",
        action="store_true",
        default=False,
        help="write into the folder even if it exists, replacing the report there",
    )
    return parser


def _data_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        default="digits",
        metavar="DATA",
        help=f"{', '.join(datasets.NAMES)}, FILE.csv, FILE.npz, or a FOLDER of IDX files "
        "(default: digits); see also: nnreg data",
    )
    group.add_argument(
        "--target",
        default=None,
        metavar="COLUMN",
        help="the column of labels in a CSV file (default: the last)",
    )
    rows, noise = DEMONSTRATION["digits"]["train_size"], DEMONSTRATION["digits"]["label_noise"]
    group.add_argument(
        "--train-size",
        type=_whole,
        metavar="N",
        help=f"training rows to use (default: {rows} of the digits, so that the network overfits; "
        "of other data all)",
    )
    group.add_argument(
        "--label-noise",
        type=_number,
        metavar="SHARE",
        help="share of the training labels to make wrong, below 0.5 "
        f"(default: {noise:g} for the digits, 0 for other data)",
    )


def _network_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--hidden",
        type=_widths,
        metavar="UNITS,...",
        help=f"units of the hidden layers (default: {','.join(map(str, Settings.hidden))})",
    )
    group.add_argument(
        "--optimizer",
        metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: {Settings.optimizer})",
    )
    rates = ", ".join(f"{rate:g} for {name}" for name, (_, rate) in OPTIMIZERS.items())
    group.add_argument(
        "--learning-rate", type=_number, metavar="RATE", help=f"above 0 (default: {rates})"
    )
    group.add_argument(
        "--epochs", type=_whole, metavar="N", help="(default: about 1,000 steps, 10 to 100 epochs)"
    )
    group.add_argument(
        "--batch-size", type=_whole, metavar="N", help=f"(default: {Settings.batch_size})"
    )
    group.add_argument(
        "--repeats",
        type=_whole,
        metavar="N",
        help=f"each variant is trained with so many seeds (default: {Settings.repeats})",
    )
    group.add_argument(
        "--seed",
        type=_whole,
        metavar="N",
        help=f"chooses rows and labels, and is that of the first repeat (default: {Settings.seed})",
    )


def _strength_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--l2", type=_number, metavar="STRENGTH", help="in strength/2 * sum(w**2), at least 0"
    )
    group.add_argument(
        "--l1", type=_number, metavar="STRENGTH", help="in strength * sum(abs(w)), at least 0"
    )
    group.add_argument(
        "--keep-prob",
        type=_number,
        metavar="P",
        help="probability that dropout keeps a hidden unit, above 0, at most 1",
    )
    group.add_argument(
        "--l1-method",
        metavar="METHOD",
        help=f"{' or '.join(METHODS)} (default: {Settings.l1_method}, which makes weights exactly "
        "0; subgradient does not)",
    )


def _rules() -> str:
    """Return what the rows are, how strengths are chosen, and what the words of the table mean."""
    rows = (
        "Data that come with test rows are tested on those; of other data "
        f"{TEST_SHARE * 100:g} % are split off first. Features are standardized by mean and "
        "deviation of the training rows; one that is constant there is divided by 1, and values "
        f"beyond {FARTHEST:g} deviations are held there. Test labels are never made wrong."
    )
    strengths = (
        "A third of the training rows are held out for validation; the lowest data loss on them "
        "chooses; then they are training rows again. With N training rows the grids are "
        f"{_listed(L2_GRID)}, divided by N, for L2; {_listed(L1_GRID)}, divided by N, for L1; and "
        f"{_listed(KEEP_GRID)} for keep_prob. dropout + L2 takes the keep_prob chosen for dropout "
        "and tries the grid of L2 again."
    )
    parts = {"rows": rows, "strengths": strengths, "verdict": FIT_RULE, "noise": NOISE_RULE}
    return "\n\n".join(
        f"{name}:\n{textwrap.indent(textwrap.fill(rule, 76), '  ')}" for name, rule in parts.items()
    )


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _whole(argument: str) -> int:
    return _read(int, argument, "a whole number,")


def _number(argument: str) -> float:
    return _read(float, argument, "a number,")


def _widths(argument: str) -> tuple[int, ...]:
    wanted = "whole numbers with commas between them, such as 512,512,"
    return tuple(_read(lambda text: [int(part) for part in text.split(",")], argument, wanted))


def _read(read: Callable[[str], Value], argument: str, wanted: str) -> Value:
    try:
        return read(argument)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {wanted} got {argument!r}") from None


def _in_words(error: Exception) -> str:
    """Return an error's message in the words of the command line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    name, space, rest = str(error).partition(" ")
    options = {field.name: "--" + field.name.replace("_", "-") for field in fields(Settings)}
    options |= {"source:": "--data:", "target:": "--target:"}
    return f"{options.get(name, name)}{space}{rest}"


def _fail(message: str, status: int) -> int:
    print(f"nnreg: {' '.join(message.split())}", file=sys.stderr)
    return status
