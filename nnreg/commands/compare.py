"""`nnreg compare`: its options, and its way from them to a table and a folder."""

from __future__ import annotations

import argparse
import textwrap
from contextlib import ExitStack
from dataclasses import fields

from nnreg import datasets
from nnreg.commands.options import data_options, network_options, output_options
from nnreg.commands.shared import (
    Commands,
    fail,
    in_words,
    listed,
    number,
    progress_bar,
    rules,
)
from nnreg.lab.comparison.experiment import compare
from nnreg.lab.comparison.report import text
from nnreg.lab.comparison.selection import KEEP_GRID, L1_GRID, L2_GRID
from nnreg.lab.comparison.verdicts import FIT_RULE, NOISE_RULE
from nnreg.lab.preprocessing import FARTHEST, TEST_SHARE
from nnreg.lab.reporting.folder import reserved, write
from nnreg.lab.settings import DEMONSTRATION, Settings
from nnreg.penalties import METHODS

DESCRIPTION = (
    "Train one network in five ways: without regularization, with L2, with L1, with dropout, and "
    "with dropout + L2. Within a repeat all five start from the same weights and see the same "
    "batches in the same order. Prints a table, and writes report.json, report.html, curves.png "
    "and weights.png into a folder."
)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "compare",
        help="compare no regularization, L2, L1, dropout, and dropout + L2",
        description=textwrap.fill(DESCRIPTION, 78),
        epilog=_rules(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    data_options(command.add_argument_group("data"))
    network_options(command.add_argument_group("network and training"))
    _strength_options(command.add_argument_group("strengths (chosen, unless given)"))
    output_options(command.add_argument_group("output"), "nnreg-compare")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compare, print the table, write the folder, and return the exit status."""
    names = {field.name for field in fields(Settings)}
    chosen = {name: value for name, value in vars(given).items() if name in names}
    with ExitStack() as stack:
        try:
            settings = Settings(**{**DEMONSTRATION.get(given.data, {}), **chosen})
            dataset = datasets.load(given.data, target=given.target)
            folder = stack.enter_context(reserved(given.out, force=given.force))
            with progress_bar() as progress:
                comparison = compare(dataset, settings, progress)
        except (ValueError, OSError) as error:
            return fail(in_words(error, names), 2)
        print(text(comparison))
        written = write(comparison, folder)
    print(f"\nWritten to {folder}: {', '.join(written)}")
    if "curves.png" not in written:
        print("No pictures without matplotlib: pip install 'nnreg[plots]'")
    if comparison.interrupted:
        repeats = f"{comparison.repeats} of {settings.repeats} repeats"
        return fail(f"interrupted; {folder} has the {repeats} that were finished", 130)
    return 0


def _strength_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--l2", type=number, metavar="STRENGTH", help="in strength/2 * sum(w**2), at least 0"
    )
    group.add_argument(
        "--l1", type=number, metavar="STRENGTH", help="in strength * sum(abs(w)), at least 0"
    )
    group.add_argument(
        "--keep-prob",
        type=number,
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
        f"{listed(L2_GRID)}, divided by N, for L2; {listed(L1_GRID)}, divided by N, for L1; and "
        f"{listed(KEEP_GRID)} for keep_prob. dropout + L2 takes the keep_prob chosen for dropout "
        "and tries the grid of L2 again."
    )
    return rules({"rows": rows, "strengths": strengths, "verdict": FIT_RULE, "noise": NOISE_RULE})
