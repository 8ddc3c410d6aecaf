"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnreg import datasets
from nnreg.commands.shared import number, whole, widths
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, Settings


def data_options(group: argparse._ArgumentGroup) -> None:
    """Add what says which rows are used."""
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
        type=whole,
        metavar="N",
        help=f"training rows to use (default: {rows} of the digits, so that the network overfits; "
        "of other data all)",
    )
    group.add_argument(
        "--label-noise",
        type=number,
        metavar="SHARE",
        help="share of the training labels to make wrong, below 0.5 "
        f"(default: {noise:g} for the digits, 0 for other data)",
    )


def network_options(group: argparse._ArgumentGroup) -> None:
    """Add what says which network is trained, and how."""
    group.add_argument(
        "--hidden",
        type=widths,
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
        "--learning-rate", type=number, metavar="RATE", help=f"above 0 (default: {rates})"
    )
    group.add_argument(
        "--epochs", type=whole, metavar="N", help="(default: about 1,000 steps, 10 to 100 epochs)"
    )
    group.add_argument(
        "--batch-size", type=whole, metavar="N", help=f"(default: {Settings.batch_size})"
    )
    group.add_argument(
        "--repeats",
        type=whole,
        metavar="N",
        help=f"each variant is trained with so many seeds (default: {Settings.repeats})",
    )
    group.add_argument(
        "--seed",
        type=whole,
        metavar="N",
        help=f"chooses rows and labels, and is that of the first repeat (default: {Settings.seed})",
    )


def output_options(group: argparse._ArgumentGroup, folder: str) -> None:
    """Add what says where the report goes: into ``folder``, unless told otherwise."""
    group.add_argument(
        "--out",
        type=Path,
        default=Path(folder),
        metavar="FOLDER",
        help=f"where to write (default: {folder}; a number is added if it exists)",
    )
    group.add_argument(
        "--force",
        action="store_true",
        default=False,
        help="write into the folder even if it exists, replacing the report there",
    )
