"""Data frames, tables and series of other libraries as arrays, without an import of the library.

Objects of pandas, polars and PyArrow are recognized by their attributes. Rows are taken in the
order in which they come; an index is not used to align anything.
"""

from __future__ import annotations

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
    array = np.asarray(frame)
    names = list(getattr(frame, "column_names", frame.columns))
    if array.dtype.kind not in "fiub":
        columns = [
            frame.iloc[:, index] if hasattr(frame, "iloc") else frame[column]
            for index, column in enumerate(names)
        ]
        parts = [_to_numbers(column) for column in columns]
        wrong = [index for index, part in enumerate(parts) if part.dtype.kind not in "fiub"]
        if wrong:
            kinds = {str(getattr(columns[i], "dtype", parts[i].dtype)) for i in wrong}
            _check_missing(name, frame, np.column_stack([parts[i] for i in wrong]), wrong, names)
            raise TypeError(
                f"{name} must contain real numbers, got the columns {[names[i] for i in wrong]} "
                f"of dtype {', '.join(sorted(kinds))}: "
                f"{_encoding(name, frame, [names[i] for i in wrong], kinds)}"
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
        if all(isinstance(value, int | float) for value in values):
            return np.array(values) if values else np.empty(0)
    return array


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or pandas.NA or NaT, which are equal to nothing.

    >>> [is_missing(value) for value in (None, float("nan"), 0.0)]
    [True, True, False]
    """
    return value is None or type(value).__name__ == "NAType" or value != value


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
    cure = _mend(name.split()[-1], value, text=array.dtype.kind == "O", frame=names is not None)
    raise ValueError(f"{name} must have no missing values, got one in {where}{more}; {cure}")


def _mend(name: str, value: Any, *, text: bool, frame: bool) -> str:
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


def _encoding(name: str, frame: Any, columns: list[Any], kinds: set[str]) -> str:
    """Return the line that makes numbers of columns that have none."""
    variable = name.split()[-1]
    if all(kind.startswith("datetime") for kind in kinds) and hasattr(frame, "iloc"):
        dates = f"{variable}[{columns[0]!r}]"
        return f"{dates} = ({dates} - {dates}.min()) / pandas.Timedelta(days=1) counts days"
    if hasattr(frame, "to_dummies"):
        return f"{variable} = {variable}.to_dummies({columns}) encodes text"
    table = variable if hasattr(frame, "iloc") else f"{variable}.to_pandas()"
    return (
        f"{variable} = pandas.get_dummies({table}, columns={columns}, dtype=float) encodes text, "
        f"{table}.astype(float) converts numbers that are objects or text"
    )
