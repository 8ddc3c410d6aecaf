"""`nnreg path`: the regularization path of L1."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from nnreg import datasets
from nnreg.commands.shared import (
    Commands,
    Options,
    add_command,
    add_data_options,
    add_network_options,
    add_options,
    add_output_options,
    number,
    run_experiment,
    whole,
)
from nnreg.lab.path.report import PICTURES, RULES, make_report
from nnreg.lab.path.study import PathSettings, study_path
from nnreg.lab.reporting.folder import Report
from nnreg.lab.reporting.results import Progress, list_results
from nnreg.lab.settings import DEMONSTRATION

DESCRIPTION = (
    "Train one network under many strengths of proximal L1, each from the weights of the one "
    "before, and count the weights that are exactly zero. Prints a table, and writes report.json, "
    "report.html and path.png into a folder."
)
KIND = "path"

PATH: Options = {
    "points": (whole, "N", f"number of strengths (default: {PathSettings.points})"),
    "ratio": (
        number,
        "SHARE",
        f"the weakest strength over the strongest (default: {PathSettings.ratio:g})",
    ),
    "l2": (
        number,
        "STRENGTH",
        "strength of an L2 penalty at every point, in strength/2 * sum(w**2) (default: none)",
    ),
}


def add(commands: Commands) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "path",
        help="compute the regularization path: zeros and losses by the strength of L1",
        description=DESCRIPTION,
        rules=RULES,
    )
    add_data_options(command.add_argument_group("data"))
    network = command.add_argument_group("network and training")
    add_network_options(network)
    network.add_argument(
        "--linear",
        action="store_true",
        default=False,
        help="no hidden layers: a softmax regression, trained to its optimum at each strength",
    )
    add_options(command.add_argument_group("path"), PATH)
    output = add_output_options(
        command, "nnreg-path", jobs="repeats at once, each in a process of its own"
    )
    output.add_argument(
        "--resume",
        action="store_true",
        default=False,
        help="go on in the folder in which the same command was interrupted",
    )
    command.set_defaults(run=run)
    return command


def run(given: argparse.Namespace) -> int:
    """Compute the path, print the table, write the folder, and return the exit status."""
    names = {field.name for field in fields(PathSettings)}
    chosen = {name: value for name, value in vars(given).items() if name in names}
    if given.linear:
        chosen |= {"hidden": (), "repeats": chosen.get("repeats", 1)}  # there is one optimum
    settings = PathSettings(**{**DEMONSTRATION.get(given.data, {}), **chosen})
    dataset = datasets.load(given.data, target=given.target)
    fresh = given.out.exists() and not given.force and not list_results(given.out, KIND)
    if given.resume and fresh:
        raise ValueError(f"resume: {given.out} has no points of an interrupted path")

    def experiment(folder: Path, progress: Progress | None) -> Report:
        study = study_path(dataset, settings, folder=folder, jobs=given.jobs, progress=progress)
        return make_report(study)

    return run_experiment(
        given,
        experiment,
        PICTURES,
        "points",
        kind=KIND,
        resume=given.resume,
        hint="the same command with --out {} --resume goes on from there",
    )
