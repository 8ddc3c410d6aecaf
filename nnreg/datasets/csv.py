"""Tables as text: a CSV file with a header, numbers for features, and one column of labels.

The aim is that a wrong file is refused in words that say where it is wrong: line 812, column
"age". So each cell is read by the strictest rule, and nothing is guessed, filled in or dropped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.validation import nearest
from nnreg.datasets.dataset import Dataset, find_classes, number_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})


def read_csv(path: str | os.PathLike[str], *, target: str | int | None = None) -> Dataset:
    r"""Read features and labels from a CSV file.

    Parameters
    ----------
    path : str or path
        The file: UTF-8 (with or without a byte-order mark), separated by commas, any line ending,
        fields quoted or not, blank lines skipped. The first line is the header.
    target : str or int, optional
        The column of labels, by name or by number (from 0; negative from the end). Default: the
        last one. Text that is no column's name but a number counts as that number.

    Returns
    -------
    Dataset
        ``x`` is float64 of shape (N, D), since a table may hold numbers that float32 cannot tell
        apart; ``y`` int64 of shape (N,). Labels may be text or whole numbers; classes are sorted.

    Raises
    ------
    TypeError
        If ``target`` is neither text nor a whole number.
    ValueError
        For a missing value or a text among the features (line and column are named), a name that
        is empty or used twice in the header, a line with another number of fields, an unknown
        target (the nearest name is offered), labels that are no classes, a file without rows, or
        one that is not UTF-8.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pets.csv"
    ...     size = path.write_text(
    ...         "weight,kind,legs\n4.5,cat,4\n30,dog,4\n0.03,bird,2\n"
    ...         "5,cat,4\n25,dog,3\n0.1,bird,2\n"
    ...     )
    ...     pets = read_csv(path, target="kind")
    >>> pets.feature_names, pets.class_names
    (('weight', 'legs'), ('bird', 'cat', 'dog'))
    >>> pets.x[0], pets.y
    (array([4.5, 4. ]), array([1, 2, 0, 1, 2, 0]))
    """
    file = os.fspath(path)
    records = _records(file)
    first = next(records, None)
    if first is None:
        raise ValueError(f"{file}: the file is empty; a header and rows are wanted")
    header = _check_header(file, *first)
    column = _find_target(file, header, target)
    features = header[:column] + header[column + 1 :]
    rows, labels, lines = [], [], []
    for line, fields in records:
        if len(fields) != len(header):
            raise ValueError(
                f"{file}, line {line}: {len(fields)} fields, but the header has {len(header)}"
            )
        labels.append(fields.pop(column).strip())
        rows.append(_numbers(file, line, features, fields))
        lines.append(line)
    if not rows:
        raise ValueError(f"{file}: a header, but no rows")
    what = f'{file}, column "{header[column]}"'
    values = _label_values(what, labels, lines)
    classes = find_classes(values, what)
    return Dataset(
        name=os.path.splitext(os.path.basename(file))[0],
        x=np.stack(rows),
        y=number_classes(values, classes, what),
        feature_names=tuple(features),
        class_names=tuple(map(str, classes.tolist())),
        source=f'{file}, labels from column "{header[column]}"',
    )


def _records(file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the number of the line it starts on."""
    import csv

    with open(file, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        line = 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{file}, line {line}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{file}: not UTF-8 text: {error}") from error


def _check_header(file: str, line: int, fields: list[str]) -> list[str]:
    names = [name.strip() for name in fields]
    if len(names) < 2:
        raise ValueError(
            f"{file}, line {line}: the header has one column, {names[0]!r}; "
            "at least one feature and the labels are wanted, separated by commas"
        )
    for place, name in enumerate(names):
        if not name:
            raise ValueError(f"{file}, line {line}: column {place} has no name in the header")
        if name in names[:place]:
            raise ValueError(
                f"{file}, line {line}: columns {names.index(name)} and {place} are both called "
                f'"{name}" (the first line must be the header)'
            )
    return names


def _find_target(file: str, header: list[str], target: str | int | None) -> int:
    if target is None:
        return len(header) - 1
    if isinstance(target, bool) or not isinstance(target, (str, int)):
        raise TypeError(f"target must be a column's name or number, got {target!r}")
    if target in header:
        return header.index(str(target))
    try:
        place = int(target)
    except ValueError:
        known = ", ".join(header)
        raise ValueError(
            f"target: {file} has no column {target!r}{nearest(str(target), header)}; it has {known}"
        ) from None
    if not -len(header) <= place < len(header):
        raise ValueError(f"target: {file} has {len(header)} columns, so no number {place}")
    return place % len(header)


def _numbers(file: str, line: int, features: list[str], fields: list[str]) -> NDArray[np.float64]:
    """Return one row's features, or name the first that is no finite number."""
    try:
        numbers = np.array([float(text) for text in fields])
    except ValueError:
        numbers = np.array([np.nan])
    # Python reads 1_000 as a number; a table that says so is more likely wrong.
    if np.isfinite(numbers).all() and "_" not in "".join(fields):
        return numbers
    name, text = next(
        pair for pair in zip(features, fields, strict=True) if not _is_number(pair[1])
    )
    fault = "a missing value" if _is_missing(text) else f"{text!r} is not a finite number"
    raise ValueError(f'{file}, line {line}, column "{name}": {fault}')


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False


def _is_missing(text: str) -> bool:
    return text.strip().lower() in _MISSING


def _label_values(what: str, labels: list[str], lines: list[int]) -> NDArray[np.generic]:
    """Return the labels as numbers if all of them are, otherwise as text."""
    numeric = [_is_number(label) for label in labels]
    # Among numbers, "none" is a gap; among words it may be a class.
    only_numbers = any(numeric) and all(
        number or _is_missing(label) for number, label in zip(numeric, labels, strict=True)
    )
    for label, line in zip(labels, lines, strict=True):
        if not label or (only_numbers and _is_missing(label)):
            raise ValueError(f"{what}, line {line}: a missing label")
    return np.array([float(label) for label in labels]) if only_numbers else np.array(labels)
