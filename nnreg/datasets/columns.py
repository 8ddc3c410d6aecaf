"""The columns of a table that are features, and the one that is the target."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from nnreg._support.tables import listed, printable
from nnreg._support.validation import nearest, show

Column = str | int
"""A column by its name, or by its number: from 0, negative from the end."""


def choose(
    file: str,
    names: Sequence[str],
    *,
    target: Column | None,
    columns: Sequence[Column] | None,
    drop: Sequence[Column],
) -> tuple[list[int], int | None]:
    """Return the numbers of the feature columns, and of the target column or None.

    Parameters
    ----------
    file : str
        For errors.
    names : sequence of str
        The names of all columns.
    target : str, int, None or False
        None is the last column. If False, there is no target.
    columns : list of str or int, or None
        The features, in this order. None: all columns but the target.
    drop : list of str or int
        Columns that are not features.

    Raises
    ------
    TypeError, ValueError
        If a column does not exist, is used twice, or no feature is left.

    Examples
    --------
    >>> choose("a.csv", ["id", "a", "b", "kind"], target=None, columns=None, drop=["id"])
    ([1, 2], 3)
    >>> choose("a.csv", ["id", "a", "b", "kind"], target=False, columns=["b", "1"], drop=[])
    ([2, 1], None)
    """
    numbers = {name: number for number, name in reversed(list(enumerate(names)))}

    def shown(column: int) -> str:
        return printable(names[column])

    def find(argument: str, key: object) -> int:
        return _find(argument, file, names, numbers, key)

    def find_all(argument: str, keys: Sequence[Column]) -> dict[int, None]:
        if not isinstance(keys, list | tuple):
            raise TypeError(f"{argument} must be a list of columns such as ['a'], got {show(keys)}")
        found: dict[int, None] = {}
        for key in keys:
            column = find(argument, key)
            if column in found:
                raise ValueError(f'{argument} has "{shown(column)}" twice')
            found[column] = None
        return found

    number = None if target is False else len(names) - 1
    if target is not None and target is not False:
        number = find("target", target)
    dropped = find_all("drop", drop)
    used = dict.fromkeys(range(len(names))) if columns is None else find_all("columns", columns)
    if columns is None and number is not None:
        del used[number]
    elif number is not None and number in used:
        default = " (the last column, by default)" if target is None else ""
        raise ValueError(f'columns has "{shown(number)}", which is the target{default}')
    for column in dropped:
        if column == number or (columns is not None and column in used):
            other = "the target" if column == number else "one of columns"
            raise ValueError(f'drop has "{shown(column)}", which is {other}')
    features = [column for column in used if column not in dropped]
    if not features:
        raise ValueError(f"{file}: no column is left for the features; it has {listed(names)}")
    return features, number


def _find(
    argument: str, file: str, names: Sequence[str], numbers: dict[str, int], key: object
) -> int:
    """Return a column's number; text that is not a name is read as a number."""
    if isinstance(key, bool) or not isinstance(key, str | Integral):
        raise TypeError(f"{argument} must be a column's name or number, got {show(key)}")
    if key in numbers:
        return numbers[str(key)]
    try:
        number = int(key)
    except ValueError:
        near = printable(nearest(str(key), names[:1000]))
        raise ValueError(
            f"{argument}: {file} has no column {key!r}{near}; it has {listed(names)}"
        ) from None
    if not -len(names) <= number < len(names):
        raise ValueError(
            f"{argument}: {file} has {len(names)} columns, so none has the number {number}"
        )
    return number % len(names)
