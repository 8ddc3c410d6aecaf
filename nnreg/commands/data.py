"""`nnreg data`: what data there are."""

from __future__ import annotations

import argparse

from nnreg import datasets
from nnreg.commands.shared import Commands


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "data", help="list the data that are shipped, and where others are looked for"
    )
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the list and return the exit status."""
    print(datasets.describe())
    return 0
