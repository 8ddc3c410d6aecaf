"""`nnreg path`: its options, and its way from them to a table and a folder."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from contextlib import ExitStack
from dataclasses import fields

from nnreg import datasets
from nnreg.commands.options import data_options, network_options, output_options
from nnreg.commands.shared import Commands, fail, in_words, number, progress_bar, rules, whole
from nnreg.lab.path.report import RULES, text, write
from nnreg.lab.path.study import PathSettings, study_path
from nnreg.lab.reporting.folder import reserved
from nnreg.lab.settings import DEMONSTRATION

DESCRIPTION = (
    "Train one network under many strengths of proximal L1, each from what the one before has "
    "left, and count the weights that are exactly zero. Prints a table, and writes report.json, "
    "report.html and path.png into a folder."
)
KEPT = "points"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "path",
        help="walk the regularization path: zeros and losses by the strength of L1",
        description=textwrap.fill(DESCRIPTION, 78),
        epilog=rules(RULES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    data_options(command.add_argument_group("data"))
    network = command.add_argument_group("network and training")
    network_options(network)
    network.add_argument(
        "--linear",
        action="store_true",
        default=False,
        help="no hidden layers: a softmax regression, brought to its one optimum at each strength",
    )
    group = command.add_argument_group("path")
    group.add_argument(
        "--points", type=whole, metavar="N", help=f"strengths (default: {PathSettings.points})"
    )
    group.add_argument(
        "--ratio",
        type=number,
        metavar="SHARE",
        help=f"the weakest strength over the strongest (default: {PathSettings.ratio:g})",
    )
    group.add_argument(
        "--l2",
        type=number,
        metavar="STRENGTH",
        help="of an L2 penalty at every point, in strength/2 * sum(w**2) (default: none)",
    )
    group.add_argument(
        "--jobs",
        type=whole,
        metavar="N",
        default=1,
        help="repeats at once, each in a process of its own; needs joblib (default: 1)",
    )
    output = command.add_argument_group("output")
    output_options(output, "nnreg-path")
    output.add_argument(
        "--resume",
        action="store_true",
        default=False,
        help="go on in that folder, where the same command was interrupted",
    )
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Walk the path, print the table, write the folder, and return the exit status."""
    names = {field.name for field in fields(PathSettings)}
    chosen = {name: value for name, value in vars(given).items() if name in names}
    if given.linear:
        chosen |= {"hidden": (), "repeats": chosen.get("repeats", 1)}  # there is one optimum
    with ExitStack() as stack:
        try:
            settings = PathSettings(**{**DEMONSTRATION.get(given.data, {}), **chosen})
            dataset = datasets.load(given.data, target=given.target)
            force = given.force or given.resume
            folder = stack.enter_context(reserved(given.out, force=force))
            kept = folder / KEPT
            with progress_bar(" points") as progress:
                found = study_path(
                    dataset, settings, folder=kept, jobs=given.jobs, progress=progress
                )
        except (ValueError, OSError, ImportError) as error:
            return fail(in_words(error, {*names, "jobs"}), 2)
        except KeyboardInterrupt:
            finished = len(list(kept.glob("*.npz")))
            if not finished:
                raise
            return fail(
                f"interrupted; {finished} points are kept in {folder}: "
                f"the same command with --out {folder} --resume goes on",
                130,
            )
        print(text(found))
        written = write(found, folder)
        shutil.rmtree(kept)
    print(f"\nWritten to {folder}: {', '.join(written)}")
    if "path.png" not in written:
        print("No picture without matplotlib: pip install 'nnreg[plots]'")
    return 0
