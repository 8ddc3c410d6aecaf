"""Data frames, tables and series of other libraries as arrays, without an import of the library.

Objects of pandas, polars and PyArrow are recognized by their attributes. Rows are taken in the
order in which they come; an index is not used to align anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from nnreg._support.typing import Array


def is_frame(value: Any) -> bool:
    """Return whether the value is a table with named columns, and not a query for one.

    >>> is_frame(np.zeros((2, 2)))
    False
    """
    return hasattr(value, "__array__") and hasattr(value, "columns")


def is_series(value: Any) -> bool:
    """Return whether the value is one column of a table.

    >>> is_series([1.0, 2.0])
    False
    """
    return hasattr(value, "__array__") and hasattr(value, "to_numpy") and not is_frame(value)


def frame_to_array(name: str, frame: Any) -> Array:
    """Return the values of a frame of numbers and bools, of shape (N, D).

    Columns of one dtype are not copied if the library does not copy them.

    Raises
    ------
    ValueError
        If a value is missing, with its row and column and the line that omits such rows.
    TypeError
        If a column has no numbers, with the line that encodes it.
    """
    names = list(getattr(frame, "column_names", frame.columns))
    if hasattr(frame, "iloc"):
        columns = [frame.iloc[:, index] for index in range(len(names))]
    elif hasattr(frame, "column_names"):  # PyArrow, where names may occur twice
        columns = [frame.column(index) for index in range(len(names))]
    else:
        columns = [frame[column] for column in names]
    # polars would make numbers of dates
    whole = hasattr(frame, "iloc") or all(map(_is_numeric, (np.asarray(c[:0]) for c in columns)))
    array = np.asarray(frame) if whole else np.empty(0, object)
    if array.dtype.kind not in "fiub":
        parts = [_to_numbers(column) for column in columns]
        wrong = [index for index, part in enumerate(parts) if not _is_numeric(part)]
        if wrong:
            kinds = {str(getattr(columns[i], "dtype", parts[i].dtype)) for i in wrong}
            objects = [parts[i].astype(object) for i in wrong if parts[i].ndim == 1]
            if len(objects) == len(wrong):
                _check_missing(name, frame, np.column_stack(objects), wrong, names)
            raise TypeError(
                f"{name} must contain real numbers, got the columns {[names[i] for i in wrong]} "
                f"of dtype {', '.join(sorted(kinds))}: "
                f"{_suggest_encoding(name, frame, [names[i] for i in wrong], kinds)}"
            )
        array = np.column_stack(parts) if parts else np.empty(frame.shape)
    _check_missing(name, frame, array, range(len(names)), names)
    return array


def series_to_array(name: str, series: Any) -> Array:
    """Return the values of a column, of shape (N,); of objects if they are not numbers.

    Raises
    ------
    ValueError
        If a value is missing, with its row and the lines that omit such rows.
    """
    array = _to_numbers(series)
    if array.ndim == 1:
        _check_missing(name, series, array[:, np.newaxis])
    return array


def _to_numbers(series: Any) -> Array:
    """Return a column as an array; numbers that may be missing become floats, with NaN."""
    array = np.asarray(series)
    if array.dtype.kind == "O" and str(getattr(series, "dtype", series)) != "object":
        values = [np.nan if is_missing(value) else value for value in array.tolist()]
        if all(isinstance(value, int | float | Decimal) for value in values):
            decimal = any(isinstance(value, Decimal) for value in values)
            return np.array(values, float if decimal or not values else None)
    return array


def _is_numeric(column: Array) -> bool:
    return column.ndim == 1 and column.dtype.kind in "fiub"


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or pandas.NA or NaT, which are equal to nothing.

    >>> [is_missing(value) for value in (None, float("nan"), 0.0)]
    [True, True, False]
    """
    if value is None or type(value).__name__ == "NAType":
        return True
    return not hasattr(value, "__len__") and bool(value != value)


def _check_missing(
    name: str, value: Any, array: Array, columns: Any = (0,), names: Any = None
) -> None:
    """Raise for the first missing value of an array of shape (N, D), by row and column."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isnan(np.add.reduce(array, axis=None)):
                return
        missing = np.isnan(array)
    elif array.dtype.kind == "O":
        missing = np.array([[is_missing(v) for v in row] for row in array.tolist()], bool)
    else:
        return
    places = np.argwhere(missing)
    if not len(places):
        return
    row, place = (int(index) for index in places[0])
    where = f"row {row}"
    if hasattr(value, "iloc") and value.index[row] != row:
        where += f" (index {value.index[row]!r})"
    if names is not None:
        where += f", column {names[columns[place]]!r}"
    more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
    cure = _suggest_replacement(
        name.split()[-1], value, text=array.dtype.kind == "O", frame=names is not None
    )
    raise ValueError(f"{name} must have no missing values, got one in {where}{more}; {cure}")


def _suggest_replacement(name: str, value: Any, *, text: bool, frame: bool) -> str:
    """Return the lines that replace missing values, or omit their rows."""
    if hasattr(value, "iloc"):
        every = ".all(axis=1)" if frame else ""
        omit = f"keep = {name}.notna(){every}.to_numpy() and x[keep], y[keep] omit their rows"
        replace = f"{name} = {name}.fillna({name}.median()) replaces them, "
        return replace + omit if frame and not text else omit
    if hasattr(value, "fill_null"):
        if frame:
            kind = "value=''" if text else "strategy='mean'"
            nan = "" if text else ".fill_nan(None)"
            return f"{name} = {name}{nan}.fill_null({kind}) replaces them"
        return f"keep = {name}.is_not_null().to_numpy() and x[keep], y[keep] omit their rows"
    return f"{name}.to_pandas() has methods that replace them, fillna, or omit them, dropna"


def _suggest_encoding(name: str, frame: Any, columns: list[Any], kinds: set[str]) -> str:
    """Return the line that makes numbers of columns that have none."""
    variable = name.split()[-1]
    table = variable if hasattr(frame, "iloc") else f"{variable}.to_pandas()"
    if all(kind.lower().startswith(("date", "timedelta", "duration")) for kind in kinds):
        if hasattr(frame, "to_dummies"):
            column = f"polars.col({columns}).to_physical()"
            return f"{variable} = {variable}.with_columns({column}) counts days or their parts"
        times = f"{variable}[{columns[0]!r}]"
        value = times if "timedelta" in str(kinds) else f"({times} - {times}.min())"
        convert = "" if table == variable else f"{variable} = {table}; "
        return f"{convert}{times} = {value} / pandas.Timedelta(days=1) counts days"
    if hasattr(frame, "to_dummies"):
        if any(kind.startswith(("List", "Array", "Struct", "Object")) for kind in kinds):
            return f"{variable} = {variable}.drop({columns}) leaves them out"
        return f"{variable} = {variable}.to_dummies({columns}) encodes text"
    return (
        f"{variable} = pandas.get_dummies({table}, columns={columns}, dtype=float) encodes text, "
        f"{table}.astype(float) converts numbers that are objects or text"
    )
