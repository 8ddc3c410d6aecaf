"""`nnreg bias-variance`: its options, and its way from them to a table and a folder."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from contextlib import ExitStack
from dataclasses import fields

from nnreg.commands.options import output_options
from nnreg.commands.shared import (
    Commands,
    fail,
    in_words,
    listed,
    number,
    numbers,
    progress_bar,
    rules,
    whole,
    widths,
)
from nnreg.lab.bias_variance.experiment import bias_variance_sweep
from nnreg.lab.bias_variance.learners import AXES, NetworkLearner, sweep
from nnreg.lab.bias_variance.processes import PROCESSES
from nnreg.lab.bias_variance.report import MEANINGS, text, write
from nnreg.lab.bias_variance.sampling import SamplingDesign
from nnreg.lab.bias_variance.verdicts import RULE
from nnreg.lab.reporting.folder import reserved
from nnreg.lab.settings import OPTIMIZERS
from nnreg.training.step import NonFiniteLossError

PIECES = "pieces"

DESCRIPTION = (
    "Learn from many data sets drawn from a known truth, with many seeds, and take the error "
    "apart: bias², variance, noise. Sweeps a size or a strength, prints a table, and writes "
    "report.json, report.html, terms.png and fits.png into a folder. What is finished is kept "
    "there as it comes; after an interruption the same command goes on with it."
)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "bias-variance",
        help="measure bias and variance on a known truth, along a size or a strength",
        description=textwrap.fill(DESCRIPTION, 78),
        epilog=rules({**MEANINGS, "verdict": RULE}),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _sweep_options(command.add_argument_group("sweep"))
    _draw_options(command.add_argument_group("draws"))
    _network_options(command.add_argument_group("network, where the sweep does not vary it"))
    output = command.add_argument_group("output")
    output_options(output, "nnreg-bias-variance")
    output.add_argument(
        "--jobs",
        type=whole,
        default=1,
        metavar="N",
        help="processes (default: 1; more need joblib: pip install 'nnreg[parallel]')",
    )
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Sweep, print the table, write the folder, and return the exit status."""
    chosen = vars(given)
    of_design, of_network = ({field.name for field in fields(kind)} for kind in KINDS)
    names = of_design | of_network | {"jobs", "noise"}
    with ExitStack() as stack:
        try:
            process = PROCESSES[given.process](**{k: v for k, v in chosen.items() if k == "noise"})
            design = SamplingDesign(**{k: v for k, v in chosen.items() if k in of_design})
            base = NetworkLearner(**{k: v for k, v in chosen.items() if k in of_network})
            learners = sweep(given.sweep, chosen.get("values"), base)
            folder = stack.enter_context(reserved(given.out, force=given.force, unfinished=PIECES))
            kept = folder / PIECES
            try:
                with progress_bar(" data sets") as progress:
                    found = bias_variance_sweep(
                        learners, process, design, jobs=given.jobs, folder=kept, progress=progress
                    )
            except KeyboardInterrupt:
                if not (done := len(list(kept.glob("*.npz")))):
                    raise
                return fail(
                    f"interrupted; {done} of {len(learners) * design.datasets} data sets are kept "
                    f"in {folder}, and the same command goes on from there",
                    130,
                )
        except NonFiniteLossError:
            raise
        except (ValueError, TypeError, OSError, ImportError) as error:
            return fail(in_words(error, names), 2)
        axis = AXES[given.sweep].label
        print(text(found, axis))
        written = write(found, axis, folder)
        shutil.rmtree(kept)
    print(f"\nWritten to {folder}: {', '.join(written)}")
    if "terms.png" not in written:
        print("No pictures without matplotlib: pip install 'nnreg[plots]'")
    return 0


KINDS = (SamplingDesign, NetworkLearner)


def _sweep_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sweep",
        default="width",
        choices=AXES,
        help="what varies: units of one hidden layer, a strength, or the degree of a polynomial "
        "(default: width)",
    )
    group.add_argument(
        "--values",
        type=numbers,
        metavar="VALUE,...",
        help="from stiff to flexible (default: "
        + "; ".join(f"{name}: {listed(axis.values)}" for name, axis in AXES.items())
        + ")",
    )


def _draw_options(group: argparse._ArgumentGroup) -> None:
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
        help=f"standard deviation around the sine, or the share of wrong labels (default: {noise})",
    )
    texts = {
        "rows": "training rows in a data set",
        "datasets": "at least 3",
        "seeds": "models of each data set; with 1 the variance is not split",
        "points": "common inputs, and fresh rows of each data set",
        "seed": "all draws are a function of it",
    }
    for name, what in texts.items():
        default = getattr(SamplingDesign, name)
        group.add_argument(
            f"--{name}", type=whole, metavar="N", help=f"{what} (default: {default})"
        )


def _network_options(group: argparse._ArgumentGroup) -> None:
    default = NetworkLearner
    group.add_argument(
        "--hidden",
        type=widths,
        metavar="UNITS,...",
        help=f"units of the hidden layers (default: {','.join(map(str, default.hidden))})",
    )
    for name, what in (("l2", "in strength/2 * sum(w**2)"), ("l1", "in strength * sum(abs(w))")):
        group.add_argument(
            f"--{name}", type=number, metavar="STRENGTH", help=f"{what} (default: 0)"
        )
    group.add_argument(
        "--keep-prob",
        type=number,
        metavar="P",
        help="of hidden units, above 0, at most 1 (default: 1)",
    )
    group.add_argument(
        "--optimizer",
        metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: {default.optimizer})",
    )
    group.add_argument(
        "--learning-rate",
        type=number,
        metavar="RATE",
        help=f"above 0 (default: {default.learning_rate:g})",
    )
    group.add_argument("--epochs", type=whole, metavar="N", help=f"(default: {default.epochs})")
    group.add_argument(
        "--batch-size", type=whole, metavar="N", help=f"(default: {default.batch_size})"
    )
