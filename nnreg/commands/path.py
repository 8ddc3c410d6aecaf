"""`nnreg path`: the regularization path of L1."""

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
    make_output_options,
    number,
    run_experiment,
    select,
    whole,
)
from nnreg.lab.path.report import PICTURES, RULES, make_report
from nnreg.lab.path.study import PathSettings, study_path
from nnreg.lab.reporting.report import Report
from nnreg.lab.reporting.results import Progress, list_results
from nnreg.lab.settings import DEMONSTRATION

DESCRIPTION = (
    "Train one network under many strengths of proximal L1, each from the weights of the one "
    "before, and count the weights that are exactly zero. Prints a table, and writes report.json, "
    "report.html and path.png into a folder."
)
KIND = "path"

OPTIONS: Mapping[str, Options] = {
    "data": DATA_OPTIONS,
    "network and training": {
        **NETWORK_OPTIONS,
        "linear": {
            "action": "store_true",
            "default": False,
            "help": "no hidden layers: a softmax regression, trained to its optimum at each "
            "strength",
        },
    },
    "path": {
        "points": {
            "type": whole,
            "metavar": "N",
            "help": f"number of strengths (default: {PathSettings.points})",
        },
        "ratio": {
            "type": number,
            "metavar": "SHARE",
            "help": f"the weakest strength over the strongest (default: {PathSettings.ratio:g})",
        },
        "l2": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of an L2 penalty at every point, in strength/2 * sum(w**2) "
            "(default: none)",
        },
    },
    "output": {
        **make_output_options("nnreg-path", jobs="repeats at once, each in a process of its own"),
        "resume": {
            "action": "store_true",
            "default": False,
            "help": "go on in the folder in which the same command was interrupted",
        },
    },
}


def add(commands: Commands) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    return add_command(
        commands,
        "path",
        run,
        help="compute the regularization path: zeros and losses by the strength of L1",
        description=DESCRIPTION,
        options=OPTIONS,
        rules=RULES,
    )


def run(given: argparse.Namespace) -> int:
    """Compute the path, print the table, write the folder, and return the exit status."""
    chosen = select(given, PathSettings)
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
