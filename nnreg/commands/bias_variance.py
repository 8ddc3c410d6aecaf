"""`nnreg bias-variance`: bias and variance measured along a size or a strength."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from nnreg.commands.shared import (
    Commands,
    Options,
    add_command,
    add_options,
    add_output_options,
    join_numbers,
    make_network_options,
    number,
    numbers,
    run_experiment,
    whole,
)
from nnreg.lab.bias_variance.experiment import SamplingDesign, bias_variance_sweep
from nnreg.lab.bias_variance.learners import AXES, NetworkLearner, sweep
from nnreg.lab.bias_variance.processes import PROCESSES
from nnreg.lab.bias_variance.report import MEANINGS, PICTURES, make_report
from nnreg.lab.reporting.folder import Report
from nnreg.lab.reporting.results import Progress
from nnreg.lab.verdicts import FIT_RULE

DESCRIPTION = (
    "Learn from many data sets drawn from a known process, with many seeds, and decompose the "
    "error into bias², variance and noise. Sweeps a size or a strength, prints a table, and writes "
    "report.json, report.html, terms.png and fits.png into a folder. Finished results are kept "
    "there; after an interruption the same command goes on from them."
)


def add(commands: Commands) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "bias-variance",
        help="measure bias and variance of a known process, along a size or a strength",
        description=DESCRIPTION,
        rules={**MEANINGS, "verdict": FIT_RULE},
    )
    _add_sweep_options(command.add_argument_group("sweep"))
    _add_sampling_options(command.add_argument_group("draws"))
    _add_network_options(command.add_argument_group("network, where the sweep does not vary it"))
    add_output_options(command, "nnreg-bias-variance", jobs="processes")
    command.set_defaults(run=run)
    return command


def run(given: argparse.Namespace) -> int:
    """Sweep, print the table, write the folder, and return the exit status."""

    def options(kind: Any, names: set[str]) -> Any:
        return kind(**{name: value for name, value in vars(given).items() if name in names})

    process = options(PROCESSES[given.process], {"noise"})
    design = options(SamplingDesign, {field.name for field in fields(SamplingDesign)})
    base = options(NetworkLearner, {field.name for field in fields(NetworkLearner)})
    learners = sweep(given.sweep, vars(given).get("values"), base)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        results = bias_variance_sweep(
            learners, process, design, jobs=given.jobs, folder=folder, progress=progress
        )
        return make_report(results, AXES[given.sweep].label)

    return run_experiment(
        given,
        experiment,
        PICTURES,
        "data sets",
        kind="bias-variance",
        resume=True,
        hint="the same command goes on from there",
    )


def _add_sweep_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sweep",
        default="width",
        choices=AXES,
        help="the quantity that varies: units of one hidden layer, a strength, or the degree of a "
        "polynomial (default: width)",
    )
    group.add_argument(
        "--values",
        type=numbers,
        metavar="VALUE,...",
        help="its values, from underfit to overfit (default: "
        + "; ".join(f"{name}: {join_numbers(axis.values)}" for name, axis in AXES.items())
        + ")",
    )


def _add_sampling_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--process",
        default="sine",
        choices=PROCESSES,
        help="sine: numbers, squared error; bands: two classes, 0-1 loss (default: sine)",
    )
    noise = ", ".join(f"{kind().noise:g} for {name}" for name, kind in PROCESSES.items())
    group.add_argument(
        "--noise",
        type=number,
        metavar="SIZE",
        help=f"standard deviation around the sine, or share of wrong labels (default: {noise})",
    )
    texts = {
        "rows": "training rows of a data set",
        "datasets": "number of data sets, at least 3",
        "seeds": "models of each data set; with 1 the variance is not split",
        "points": "number of common inputs, and of fresh rows of each data set",
        "seed": "seed of all draws",
    }
    defaults = vars(SamplingDesign())
    add_options(
        group,
        {name: (whole, "N", f"{t} (default: {defaults[name]})") for name, t in texts.items()},
    )


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    defaults = {name.replace("_", "-"): f"{v}" for name, v in vars(NetworkLearner()).items()}
    defaults["hidden"] = ",".join(map(str, NetworkLearner.hidden))
    strengths: Options = {
        "l2": (number, "STRENGTH", "strength of L2, in strength/2 * sum(w**2) (default: 0)"),
        "l1": (number, "STRENGTH", "strength of L1, in strength * sum(abs(w)) (default: 0)"),
        "keep-prob": (number, "P", "probability that dropout keeps a hidden unit (default: 1)"),
    }
    add_options(group, {**strengths, **make_network_options(defaults)})
