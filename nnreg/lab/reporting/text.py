"""Texts and numbers that the reports of several experiments have."""

from __future__ import annotations

import platform
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from nnreg._support.version import __version__
from nnreg.datasets import Dataset
from nnreg.lab.preprocessing import PreparedRows

WIDTH = 80
ACCURACY = "The share of {} rows whose most probable class is the labelled one."
LOSS = "The mean cross-entropy of the {} rows, without the penalty, in inference mode: dropout off."

LARGE = 1e6  # from here on numbers are shown with an exponent


@dataclass(frozen=True)
class Column:
    """A measured figure, as a column of a table.

    Parameters
    ----------
    key : str
        Name of the figure.
    head : str
        Name of the column.
    text : str
        Its definition, in a sentence.
    digits : int, default 3
        After the point.
    percent : bool, default False
        Whether a share is shown as a percentage.

    Examples
    --------
    >>> Column("gap", "gap", "", digits=2).format(0.5, 0.013)
    '0.50 ± 0.01'
    >>> Column("zeros", "zeros", "", digits=1, percent=True).format(0.25, None)
    '25.0'
    """

    key: str
    head: str
    text: str
    digits: int = 3
    percent: bool = False

    def format(self, mean: float, sd: float | None) -> str:
        """Return mean and standard deviation as text; one repeat has no deviation."""
        factor = 100.0 if self.percent else 1.0
        text = format_number(mean * factor, self.digits)
        return text if sd is None else f"{text} ± {format_number(sd * factor, self.digits)}"


def format_number(value: float, digits: int = 3) -> str:
    """Return a number with a fixed count of digits after the point, unless it is very large.

    >>> format_number(0.5, 2), format_number(123456789.0)
    ('0.50', '1.23e+08')
    """
    return f"{value:.{digits}f}" if abs(value) < LARGE else f"{value:.3g}"


def format_percent(share: float) -> str:
    """Return a share in percent.

    >>> format_percent(0.5)
    '50.0 %'
    """
    return f"{100 * share:.1f} %"


def wrap(line: str, indent: str = "") -> str:
    """Return a line folded at the width of a report, later lines indented."""
    return textwrap.fill(
        line, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def wrap_facts(facts: dict[str, str]) -> str:
    """Return facts under their names, one a paragraph.

    >>> print(wrap_facts({"data": "digits", "network": "64-10"}))
    data     digits
    network  64-10
    """
    width = max(map(len, facts)) + 2
    return "\n".join(wrap(f"{name:{width}}{fact}", " " * width) for name, fact in facts.items())


def describe_data(dataset: Dataset, rows: PreparedRows) -> str:
    """Return the source of the data and their numbers of rows, features and classes."""
    wrong = f", {rows.flipped:,} of them given a wrong label" if rows.flipped else ""
    test = "which come with the data" if rows.own_test else "split off first"
    return (
        f"{dataset.name} ({dataset.source}); {rows.x.shape[1]:,} features, {rows.classes} classes; "
        f"{len(rows.x):,} training rows{wrong}; {len(rows.x_test):,} test rows, {test}"
    )


def get_data_facts(dataset: Dataset, rows: PreparedRows) -> dict[str, Any]:
    """Return a description of the data for JSON."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "features": rows.x.shape[1],
        "class_names": list(dataset.class_names),
        "training_rows": len(rows.x),
        "wrong_labels": rows.flipped,
        "test_rows": len(rows.x_test),
        "test_part": "own" if rows.own_test else "split off",
    }


def get_provenance() -> dict[str, Any]:
    """Return versions, platform and time for JSON."""
    return {
        "versions": {
            "nnreg": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
