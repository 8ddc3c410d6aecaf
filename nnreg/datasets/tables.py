"""Tables: CSV files, and NPZ files with the arrays ``x`` and ``y``.

A CSV file has a header, numbers for features, and one column of labels. The error for an invalid
file has the position: line 812, column "age". Each cell is read strictly; no value is guessed,
imputed or dropped. NPZ files are read without pickle, so they cannot execute code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain

import numpy as np

from nnreg._support import validation
from nnreg._support.files import check_path
from nnreg._support.typing import Array
from nnreg.datasets.dataset import Dataset, Split, make_dataset, printable

_MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_LABEL = 1_000  # characters; NumPy stores every label with the length of the longest
_ALIASES = {"x_train": "x", "y_train": "y"}


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | int | None = None,
    header: bool | None = None,
    separator: str = ",",
) -> Dataset:
    r"""Read features and labels from a CSV file.

    Parameters
    ----------
    path : str or path
        The file: UTF-8 (with or without a byte-order mark), any line ending, fields quoted or not,
        blank lines skipped.
    target : str or int, optional
        The column of labels, by name or by number (from 0; negative from the end). Default: the
        last one. Text that is not a column's name is read as a number.
    header : bool, optional
        Whether the first line has the names of the columns. Default: yes, but a first line of
        numbers is an error, since it is ambiguous. If False, columns are named by their numbers.
    separator : {",", ";", "\t", "|"}, default ","
        What separates the fields.

    Returns
    -------
    Dataset
        ``x`` is float64 of shape (N, D), since a table may contain numbers that float32 cannot
        distinguish; ``y`` int64 of shape (N,). Labels are text or whole numbers; classes are
        sorted.

    Raises
    ------
    TypeError
        If ``target`` is neither text nor a whole number.
    ValueError
        For a missing value or a text among the features (line and column are named), a name that
        is empty or used twice in the header, a line with another number of fields, an unknown
        target (the nearest name is suggested), labels that are not a classification, a file without
        rows, another separator, or text that is not UTF-8.
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
    file = check_path("path", path)
    header = None if header is None else validation.flag("header", header)
    records = _records(file, validation.one_of("separator", separator, _SEPARATORS))
    first = next(records, None)
    if first is None:
        raise ValueError(f"{file}: the file is empty; a header and rows are expected")
    names = [name.strip() for name in first[1]]
    if len(names) < 2:
        raise ValueError(
            f"{file}, line {first[0]}: one column, {names[0]!r}; at least one feature and the "
            f"labels are expected, separated by {_SEPARATORS[separator]}{_advise(file, separator)}"
        )
    if header is False:
        records = chain([first], records)
        names = [f"column {index}" for index in range(len(names))]
    else:
        _check_names(file, first[0], names)
    column = _find_target(file, names, target)
    features = names[:column] + names[column + 1 :]
    if header is None and names[column] != target and all(map(_is_number, features)):
        shown = ", ".join(features[:3])
        raise ValueError(
            f"{file}, line {first[0]}: numbers, {shown}, where the header has names. If the file "
            "has no header, write one or set header=False; if these are names, set header=True"
        )
    rows, labels, lines = [], [], []
    for line, fields in records:
        if len(fields) != len(names):
            raise ValueError(
                f"{file}, line {line}: {len(fields)} fields, but the header has {len(names)}"
            )
        labels.append(fields.pop(column).strip())
        rows.append(_numbers(file, line, features, fields))
        lines.append(line)
    if not rows:
        raise ValueError(f"{file}: a header, but no rows")
    location = f'{file}, column "{printable(names[column])}"'
    return make_dataset(
        os.path.splitext(os.path.basename(file))[0],
        (np.stack(rows), _label_values(location, labels, lines)),
        where=(location, ""),
        feature_names=features,
        source=f'{file}, labels from column "{printable(names[column])}"',
    )


def _records(file: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the number of the line it starts on."""
    import csv

    with open(file, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True, delimiter=separator, skipinitialspace=True)
        line = 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{file}, line {line}: {error}{_advise(file, separator)}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{file}: not UTF-8 text: {error}") from error


def _advise(file: str, separator: str) -> str:
    """Return a hint if the first line has more of another separator, otherwise an empty string."""
    with open(file, encoding="utf-8-sig", errors="replace") as text:
        line = text.readline(10_000)
    likely = max(_SEPARATORS, key=line.count)
    if line.count(likely) <= line.count(separator):
        return ""
    return f"; the fields seem to be separated by {_SEPARATORS[likely]}: set separator={likely!r}"


def _check_names(file: str, line: int, names: list[str]) -> None:
    columns: dict[str, int] = {}
    for column, name in enumerate(names):
        if not name:
            raise ValueError(f"{file}, line {line}: column {column} has no name in the header")
        if columns.setdefault(name, column) != column:
            raise ValueError(
                f"{file}, line {line}: columns {columns[name]} and {column} have the same name "
                f'"{printable(name)}" (the first line must be the header, or set header=False)'
            )


def _find_target(file: str, header: list[str], target: str | int | None) -> int:
    if target is None:
        return len(header) - 1
    if isinstance(target, bool) or not isinstance(target, (str, int)):
        raise TypeError(f"target must be a column's name or number, got {target!r}")
    if target in header:
        return header.index(str(target))
    try:
        column = int(target)
    except ValueError:
        known = printable(", ".join(header[:20])) + (" ..." if len(header) > 20 else "")
        raise ValueError(
            f"target: {file} has no column {target!r}"
            f"{printable(validation.nearest(str(target), header))}; it has {known}"
        ) from None
    if not -len(header) <= column < len(header):
        raise ValueError(
            f"target: {file} has {len(header)} columns, so none has the number {column}"
        )
    return column % len(header)


def _numbers(file: str, line: int, features: list[str], fields: list[str]) -> Array:
    """Return one row's features, or raise with the first that is not a finite number."""
    try:
        numbers = np.array([float(text) for text in fields])
    except ValueError:
        numbers = np.array([np.nan])
    # Python reads 1_000 as a number; in a table it is probably a mistake.
    if np.isfinite(numbers).all() and "_" not in "".join(fields):
        return numbers
    name, text = next(
        pair for pair in zip(features, fields, strict=True) if not _is_number(pair[1])
    )
    fault = "a missing value" if _is_missing(text) else f"{text!r} is not a finite number"
    raise ValueError(f'{file}, line {line}, column "{printable(name)}": {fault}')


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False


def _is_missing(text: str) -> bool:
    return text.strip().lower() in _MISSING


def _label_values(location: str, labels: list[str], lines: list[int]) -> Array:
    """Return the labels as numbers if all of them are, otherwise as text."""
    numeric = [_is_number(label) for label in labels]
    # Among numbers, "none" is a missing value; among words it may be a class.
    only_numbers = any(numeric) and all(
        number or _is_missing(label) for number, label in zip(numeric, labels, strict=True)
    )
    for label, line in zip(labels, lines, strict=True):
        if not label or (only_numbers and _is_missing(label)):
            raise ValueError(f"{location}, line {line}: a missing label")
        if len(label) > _LONGEST_LABEL:
            raise ValueError(f"{location}, line {line}: a label of {len(label):,} characters")
    return np.array([float(label) for label in labels]) if only_numbers else np.array(labels)


def read_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read features and labels from an ``.npz`` file.

    Parameters
    ----------
    path : str or path
        File with the arrays ``x`` (or ``x_train``) and ``y`` (or ``y_train``), and optionally
        ``x_test`` and ``y_test``, in lower or upper case. ``x`` has the shape (N, D), or (N, ...),
        whose rows are then flattened; ``y`` of shape (N,) contains text or whole numbers.

    Returns
    -------
    Dataset
        ``x`` keeps its values: float32 if it represents the stored dtype exactly (uint8, for
        example), otherwise float64. ``y`` is int64, its classes are those of the training rows,
        sorted.

    Raises
    ------
    ValueError
        If the file is not ``.npz`` or needs pickle, an array is missing or stored under two names,
        shapes do not match, a value is not finite, or the labels are not a classification.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "parity.npz"
    ...     np.savez(
    ...         path, x=np.arange(4, dtype=np.uint8)[:, None], y=["even", "odd", "even", "odd"]
    ...     )
    ...     parity = read_npz(path)
    >>> parity.x.dtype, parity.y.tolist(), parity.class_names
    (dtype('float32'), [0, 1, 0, 1], ('even', 'odd'))
    """
    file = check_path("path", path)
    arrays = _read_arrays(file)
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError(f"{file}: x_test and y_test belong together, but only one is stored")
    x, y = _check_part(file, arrays, "x", "y")
    test = _check_part(file, arrays, "x_test", "y_test") if "x_test" in arrays else None
    if test is not None and test[0].shape[1] != x.shape[1]:
        raise ValueError(f"{file}: x_test has {test[0].shape[1]} features, but x has {x.shape[1]}")
    return make_dataset(
        os.path.splitext(os.path.basename(file))[0],
        (x, y),
        test,
        where=(f"{file}, y", f"{file}, y_test"),
        feature_names=(f"feature {column}" for column in range(x.shape[1])),
        source=file,
    )


def _read_arrays(file: str) -> dict[str, Array]:
    """Return the arrays by the names x, y, x_test and y_test."""
    with open(file, "rb") as stream:
        if stream.read(4) != b"PK\3\4":
            raise ValueError(f"{file}: not an .npz file (its first bytes are not a zip header)")
        stream.seek(0)
        try:
            with np.load(stream, allow_pickle=False) as stored:
                names = _match_names(stored.files)
                return {name: np.asarray(stored[original]) for name, original in names.items()}
        except Exception as error:  # damaged bytes raise various exceptions
            raise ValueError(f"{file}: {str(error) or type(error).__name__}") from error


def _match_names(stored: list[str]) -> dict[str, str]:
    """Return the stored names of the arrays by their standard names."""
    names: dict[str, str] = {}
    for name in stored:
        standard = _ALIASES.get(name.lower(), name.lower())
        if standard in ("x", "y", "x_test", "y_test"):
            if standard in names:
                raise ValueError(f"both {names[standard]} and {name} are stored; one is expected")
            names[standard] = name
    for name in ("x", "y"):
        if name not in names:
            listed = printable(", ".join(stored)) or "no arrays"
            raise ValueError(f"no array {name} or {name}_train; the file has {listed}")
    return names


def _check_part(file: str, arrays: dict[str, Array], x_name: str, y_name: str) -> Split:
    """Return features (N, D) as floats, and labels (N,)."""
    x, y = arrays[x_name], arrays[y_name]
    where = f"{file}, {x_name}"
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{where}: features must be real numbers, got dtype {x.dtype}")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{where}: features must have the shape (N, D), not empty, got {x.shape}")
    exact = np.can_cast(x.dtype, np.float32)
    values = x.reshape(len(x), -1).astype(np.float32 if exact else np.float64)
    validation.finite(where, values)
    if y.shape != (len(x),):
        raise ValueError(
            f"{file}, {y_name}: labels must have the shape ({len(x)},), one for each row, "
            f"got {y.shape}"
        )
    return values, y
