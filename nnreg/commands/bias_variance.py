"""`nnreg bias-variance`: bias and variance measured along a size or a strength."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from nnreg.commands.shared import (
    Commands,
    Options,
    add_command,
    join_numbers,
    make_network_options,
    make_output_options,
    number,
    numbers,
    run_experiment,
    select,
    whole,
)
from nnreg.lab.bias_variance.experiment import SamplingDesign, bias_variance_sweep
from nnreg.lab.bias_variance.learners import AXES, NetworkLearner, sweep
from nnreg.lab.bias_variance.processes import PROCESSES
from nnreg.lab.bias_variance.report import MEANINGS, PICTURES, make_report
from nnreg.lab.reporting.report import Report
from nnreg.lab.reporting.results import Progress
from nnreg.lab.verdicts import FIT_RULE

DESCRIPTION = (
    "Learn from many data sets drawn from a known process, with many seeds, and decompose the "
    "error into bias², variance and noise. Sweeps a size or a strength, prints a table, and writes "
    "report.json, report.html, terms.png and fits.png into a folder. Finished results are kept "
    "there; after an interruption the same command goes on from them."
)


_NOISE = ", ".join(f"{kind().noise:g} for {name}" for name, kind in PROCESSES.items())

_DRAWS = {
    "rows": "training rows of a data set",
    "datasets": "number of data sets, at least 3",
    "seeds": "models of each data set; with 1 the variance is not split",
    "points": "number of common inputs, and of fresh rows of each data set",
    "seed": "seed of all draws",
}

OPTIONS: Mapping[str, Options] = {
    "sweep": {
        "sweep": {
            "default": "width",
            "choices": AXES,
            "help": "the quantity that varies: units of one hidden layer, a strength, or the "
            "degree of a polynomial (default: width)",
        },
        "values": {
            "type": numbers,
            "metavar": "VALUE,...",
            "help": "its values, from underfit to overfit (default: "
            + "; ".join(f"{name}: {join_numbers(values)}" for name, (_, values) in AXES.items())
            + ")",
        },
    },
    "draws": {
        "process": {
            "default": "sine",
            "choices": PROCESSES,
            "help": "sine: numbers, squared error; bands: two classes, 0-1 loss (default: sine)",
        },
        "noise": {
            "type": number,
            "metavar": "SIZE",
            "help": "standard deviation around the sine, or share of wrong labels "
            f"(default: {_NOISE})",
        },
        **{
            name: {
                "type": whole,
                "metavar": "N",
                "help": f"{text} (default: {getattr(SamplingDesign, name)})",
            }
            for name, text in _DRAWS.items()
        },
    },
    "network, where the sweep does not vary it": {
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
        **make_network_options(
            {
                "hidden": ",".join(map(str, NetworkLearner.hidden)),
                "optimizer": NetworkLearner.optimizer,
                "learning-rate": f"{NetworkLearner.learning_rate:g}",
                "epochs": f"{NetworkLearner.epochs}",
                "batch-size": f"{NetworkLearner.batch_size}",
            }
        ),
    },
    "output": make_output_options("nnreg-bias-variance", jobs="processes"),
}


def add(commands: Commands) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    return add_command(
        commands,
        "bias-variance",
        run,
        help="measure bias and variance of a known process, along a size or a strength",
        description=DESCRIPTION,
        options=OPTIONS,
        rules={**MEANINGS, "verdict": FIT_RULE},
    )


def run(given: argparse.Namespace) -> int:
    """Sweep, print the table, write the folder, and return the exit status."""
    process = PROCESSES[given.process](**select(given, PROCESSES[given.process]))
    design = SamplingDesign(**select(given, SamplingDesign))
    base = NetworkLearner(**select(given, NetworkLearner))
    learners = sweep(given.sweep, vars(given).get("values"), base)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        results = bias_variance_sweep(
            learners, process, design, jobs=given.jobs, folder=folder, progress=progress
        )
        return make_report(results, AXES[given.sweep][0])

    return run_experiment(
        given,
        experiment,
        PICTURES,
        "data sets",
        kind="bias-variance",
        resume=True,
        hint="the same command goes on from there",
    )
