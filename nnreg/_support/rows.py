"""Rows of data, read batch by batch: arrays, memory-mapped files, sparse matrices, selections.

An array in C order is used as it is. Other data are wrapped in :class:`Rows`, which implements the
part of an array's interface that training and prediction use: ``shape``, ``dtype``, slices and
``take``. Only the rows that are read are copied or made dense, so no memory of the size of the
whole data is allocated.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array

BLOCK_BYTES = 2**20  # in one block of a check


class Rows:
    """Rows of an array or of a sparse matrix, all of them or those with the given numbers.

    Parameters
    ----------
    values : ndarray of shape (N, D), or csr matrix
    numbers : ndarray of int, optional

    Examples
    --------
    >>> rows = Rows(np.arange(6.0).reshape(3, 2), np.array([2, 0]))
    >>> rows.shape, rows[:1]
    ((2, 2), array([[4., 5.]]))
    """

    ndim = 2

    def __init__(self, values: Any, numbers: Array | None = None) -> None:
        self.values, self.numbers = values, numbers
        self.dtype: np.dtype[Any] = values.dtype
        self.shape = (values.shape[0] if numbers is None else len(numbers), values.shape[1])
        self.size = self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice | Array) -> Array:
        part = self.values[rows if self.numbers is None else self.numbers[rows]]
        dense: Array = part.toarray() if is_sparse(part) else part
        return dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self[:], dtype, copy=copy)

    def take(self, rows: Array, axis: int, out: Array, mode: Any) -> Array:
        """Copy the rows with these numbers to ``out``, as ``ndarray.take`` does."""
        if self.numbers is not None and _is_plain(self.values):
            return np.asarray(self.values.take(self.numbers[rows], 0, out, "clip"))
        out[...] = self[rows]
        return out


def select(values: Any, rows: Array) -> Rows:
    """Return the rows with these numbers, without a copy.

    >>> select(select(np.arange(8.0).reshape(4, 2), np.array([3, 1, 0])), np.array([0, 2]))[:]
    array([[6., 7.],
           [0., 1.]])
    """
    if not isinstance(values, Rows):
        return Rows(values, rows)
    return Rows(values.values, rows if values.numbers is None else values.numbers[rows])


def as_rows(name: str, value: Any, columns: int) -> Any:
    """Return data of finite numbers with this many columns, as an array or as :class:`Rows`.

    >>> as_rows("x", [[1.0, np.inf]], 2)
    Traceback (most recent call last):
        ...
    ValueError: x must be finite, got inf at index [0, 1]
    """
    if type(value) is not np.ndarray and is_sparse(value) and value.ndim == 2:
        validation.real(name, value, value.dtype)
        rows: Any = Rows(value.tocsr())
        validation.check_shape(name, rows, columns)
    else:
        rows = validation.matrix(name, value, columns)
        rows = rows if _is_plain(rows) else Rows(rows)
    check_values(name, rows)
    return rows


def check_values(name: str, rows: Any, dtype: np.dtype[Any] | None = None) -> None:
    """Raise unless all values are finite or, given a dtype, are within its range.

    They are read in blocks; of a sparse matrix, those that are stored.
    """
    matrix = rows.values if isinstance(rows, Rows) and is_sparse(rows.values) else None
    for first, block in blocks(rows if matrix is None else matrix.data):
        try:
            _check_block(name, block, dtype, first)
        except ValueError:
            if matrix is None:
                raise
            for row in np.searchsorted(
                matrix.indptr, np.arange(first, first + len(block)), "right"
            ):
                _check_block(name, rows[row - 1 : row], dtype, int(row) - 1)


def _check_block(name: str, block: Array, dtype: np.dtype[Any] | None, first: int) -> None:
    if dtype is None:
        validation.finite(name, block, first)
    else:
        validation.fits(name, block, dtype, first)


def blocks(values: Any) -> Iterator[tuple[int, Array]]:
    """Yield the number of each block's first row, and the block.

    >>> [(first, len(block)) for first, block in blocks(np.zeros((3, 2**17)))]
    [(0, 1), (1, 1), (2, 1)]
    """
    columns = math.prod(values.shape[1:])
    size = max(1, BLOCK_BYTES // max(1, columns * values.dtype.itemsize))
    for first in range(0, len(values), size):
        yield first, values[first : first + size]


def get_arrays(values: Any) -> list[Any]:
    """Return what determines the values: an array itself, or the arrays of a sparse matrix.

    >>> get_arrays(np.zeros(2))
    [array([0., 0.])]
    """
    if not isinstance(values, Rows) or not is_sparse(values.values):
        return [values]
    matrix = values.values
    numbers = [] if values.numbers is None else [values.numbers]
    return [matrix.data, matrix.indices, matrix.indptr, *numbers]


def is_sparse(value: Any) -> bool:
    """Return whether the value is a sparse matrix or array, such as those of SciPy.

    >>> is_sparse(np.zeros((2, 2)))
    False
    """
    return hasattr(value, "tocsr") and hasattr(value, "toarray")


def is_memory_mapped(value: Any) -> bool:
    """Return whether the values of an array, or of :class:`Rows`, are in a memory-mapped file.

    >>> is_memory_mapped(np.zeros(3))
    False
    """
    base = value.values if isinstance(value, Rows) else value
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def is_batches(value: Any) -> bool:
    """Return whether the value is an iterable that is no array, sequence, mapping, set or text.

    >>> is_batches(batch for batch in []), is_batches([[1.0, 2.0]])
    (True, False)
    """
    arrays = ("__array__", "__array_interface__", "shape", "collect_schema")
    return (
        type(value) is not np.ndarray  # the usual case, in less time
        and hasattr(value, "__iter__")
        and not isinstance(value, str | bytes | Mapping | Sequence | Set)
        and not any(hasattr(value, name) for name in arrays)
        and not isinstance(value, type)
    )


def read_rows(name: str, value: Any, columns: int) -> Iterator[Any]:
    """Yield all rows at once or, of an iterable of batches, the inputs of each batch.

    >>> list(read_rows("x", (batch for batch in [([[1.0, 2.0]], [0])]), 2))
    [array([[1., 2.]])]
    """
    if not is_batches(value):
        yield as_rows(name, value, columns)
        return
    number = -1
    for number, batch in enumerate(value):
        first = batch
        if isinstance(batch, tuple) or (
            isinstance(batch, list) and len(getattr(next(iter(batch), None), "shape", ())) == 2
        ):
            first = next(iter(batch), None)
        yield as_rows(f"batch {number} of {name}", first, columns)
    if number < 0:
        raise ValueError(f"{name} must have a batch, got none: is it an iterator that was read?")


def _is_plain(values: Any) -> bool:
    """Return whether ``values.take`` copies the rows that it takes and no others."""
    return isinstance(values, np.ndarray) and values.flags.c_contiguous and values.flags.aligned
