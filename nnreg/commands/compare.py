"""`nnreg compare`: the comparison of five ways to regularize a network."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from nnreg import datasets
from nnreg.commands.shared import (
    DATA_OPTIONS,
    NETWORK_OPTIONS,
    Commands,
    Options,
    add_command,
    fail,
    join_numbers,
    make_output_options,
    number,
    run_experiment,
    select,
)
from nnreg.lab.comparison.experiment import compare
from nnreg.lab.comparison.report import NOISE_RULE, PICTURES, Comparison, make_report
from nnreg.lab.comparison.selection import KEEP_GRID, L1_GRID, L2_GRID
from nnreg.lab.preprocessing import MAX_DEVIATION, TEST_SHARE
from nnreg.lab.reporting.report import Report
from nnreg.lab.reporting.results import Progress
from nnreg.lab.settings import DEMONSTRATION, Settings
from nnreg.lab.verdicts import FIT_RULE
from nnreg.penalties import METHODS

DESCRIPTION = (
    "Train one network in five ways: without regularization, with L2, with L1, with dropout, and "
    "with dropout + L2. Within a repeat all five start from the same weights and see the same "
    "batches in the same order. Prints a table, and writes report.json, report.html, curves.png "
    "and weights.png into a folder."
)

RULES = {
    "rows": "Data that come with test rows are tested on those; of other data "
    f"{TEST_SHARE * 100:g} % are split off first. Features are standardized by mean and deviation "
    "of the training rows; one that is constant there is divided by 1, and values beyond "
    f"{MAX_DEVIATION:g} deviations are clipped. Test labels are never made wrong.",
    "strengths": "A third of the training rows are held out for validation; the lowest data loss "
    "on them selects the strength; then they are training rows again. With N training rows the "
    f"grids are {join_numbers(L2_GRID)}, divided by N, for L2; {join_numbers(L1_GRID)}, divided by "
    f"N, for L1; and {join_numbers(KEEP_GRID)} for keep_prob. dropout + L2 takes the keep_prob "
    "selected for dropout and tries the grid of L2 again.",
    "verdict": f"{FIT_RULE} The models are all variants after every epoch. With label noise, the "
    "test loss in this rule is the noisy one.",
    "noise": NOISE_RULE,
}

OPTIONS: Mapping[str, Options] = {
    "data": DATA_OPTIONS,
    "network and training": NETWORK_OPTIONS,
    "strengths (selected, unless given)": {
        "l2": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of L2, in strength/2 * sum(w**2), at least 0",
        },
        "l1": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of L1, in strength * sum(abs(w)), at least 0",
        },
        "keep-prob": {
            "type": number,
            "metavar": "P",
            "help": "probability that dropout keeps a hidden unit, above 0, at most 1",
        },
        "l1-method": {
            "metavar": "METHOD",
            "help": f"{' or '.join(METHODS)} (default: {Settings.l1_method}, which makes weights "
            "exactly 0; subgradient does not)",
        },
    },
    "output": make_output_options("nnreg-compare"),
}


def add(commands: Commands) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    return add_command(
        commands,
        "compare",
        run,
        help="compare no regularization, L2, L1, dropout, and dropout + L2",
        description=DESCRIPTION,
        options=OPTIONS,
        rules=RULES,
    )


def run(given: argparse.Namespace) -> int:
    """Compare, print the table, write the folder, and return the exit status."""
    settings = Settings(**{**DEMONSTRATION.get(given.data, {}), **select(given, Settings)})
    dataset = datasets.load(given.data, target=given.target)
    results: list[Comparison] = []

    def experiment(folder: Path, progress: Progress | None) -> Report:
        results.append(compare(dataset, settings, progress))
        return make_report(results[0])

    status = run_experiment(given, experiment, PICTURES, "epochs")
    if status == 0 and results[0].interrupted:
        repeats = f"{results[0].repeats} of {settings.repeats} repeats"
        return fail(f"interrupted; the report has the {repeats} that were finished", 130)
    return status
