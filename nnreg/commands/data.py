"""`nnreg data`: the list of datasets."""

from __future__ import annotations

import argparse

from nnreg import datasets
from nnreg.commands.shared import Commands


def add(commands: Commands) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    command = commands.add_parser(
        "data", help="list the bundled data, and the folders that are searched for others"
    )
    command.set_defaults(run=run)
    return command


def run(given: argparse.Namespace) -> int:
    """Print the list and return the exit status."""
    print(datasets.describe())
    return 0
