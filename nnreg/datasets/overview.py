"""The columns of any CSV file: names, and counts of their cells."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

from nnreg._support.files import check_path
from nnreg.datasets import tables

_MOST_DISTINCT = 1_000  # different cells of a column that are counted
_MOST_CELLS = 1_000_000  # and of all columns


class ColumnSummary(NamedTuple):
    """The number of cells of each kind in a column, and the range of its numbers.

    Attributes
    ----------
    name : str
    numbers, missing, texts : int
    low, high : float
    distinct : str
        The number of different cells. Above 1,000 it is ``"> 1,000"``; in a table of more than
        1,000 columns the limit is lower.
    """

    name: str
    numbers: int
    missing: int
    texts: int
    low: float
    high: float
    distinct: str


def summarize_columns(
    path: str | os.PathLike[str],
    *,
    header: bool | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> tuple[int, str, list[ColumnSummary]]:
    r"""Return the number of rows of a CSV file, its separator in words, and its columns.

    Arguments and errors are those of `read_csv`, but cells may be missing, and of any kind.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pets.csv"
    ...     size = path.write_text("weight,kind\n4.5,cat\n?,dog\n")
    ...     rows, separator, (weight, kind) = summarize_columns(path)
    >>> rows, separator, kind.texts
    (2, 'commas', 2)
    >>> weight
    ColumnSummary(name='weight', numbers=1, missing=1, texts=0, low=4.5, high=4.5, distinct='2')
    """
    source = tables.open_source(check_path("path", path), separator, encoding, header)
    line, names = tables.read_first_line(source)
    if header is None:
        tables.check_is_header(source.file, line, names, list(range(len(names))), ())
    counts = [[0, 0, 0] for _ in names]
    low, high = [math.inf] * len(names), [-math.inf] * len(names)
    distinct: list[set[int]] = [set() for _ in names]
    most = min(_MOST_DISTINCT, _MOST_CELLS // len(names))
    rows = 0 if header is False else -1
    for number, fields in tables.read_records(source):
        if len(fields) != len(names):
            raise ValueError(
                f"{source.file}, line {number}: {len(fields)} fields, but the first line has "
                f"{len(names)}"
            )
        rows += 1
        for column, text in enumerate(fields if rows else ()):
            if len(distinct[column]) <= most:
                distinct[column].add(hash(text))
            if tables.is_number(text):
                value = float(text)
                low[column], high[column] = min(low[column], value), max(high[column], value)
                counts[column][0] += 1
            else:
                counts[column][1 if tables.is_missing(text) else 2] += 1
    shown = [f"{len(values):,}" if len(values) <= most else f"> {most:,}" for values in distinct]
    columns = [
        ColumnSummary(name, kinds[0], kinds[1], kinds[2], lowest, highest, cells)
        for name, kinds, lowest, highest, cells in zip(names, counts, low, high, shown, strict=True)
    ]
    return rows, tables.SEPARATORS[source.separator], columns
