"""The stratified split into training and test rows.

The rows are put in a random order that depends on the seed alone. Within each class they are then
spread evenly over [0, 1], row r of n at (r + 1/2) / n, and the rows nearest to 0 are the test rows.
So every class has its share of them to within about one row, whatever the sizes of the classes.

The order comes from the raw words of a Philox generator. These are the same in every version of
NumPy, which is not guaranteed for the methods built on them: a split quoted in a table can be
reproduced.
"""

from __future__ import annotations

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array


def split_rows(y: Array, *, test_size: int | float, seed: int = 0) -> tuple[Array, Array]:
    """Divide row numbers at random, each class in proportion.

    Parameters
    ----------
    y : ndarray of shape (N,)
        Class numbers.
    test_size : int or float
        The number of test rows (an int, 1 to N-1), or their share (a float between 0 and 1).
    seed : int
        The same seed gives the same split on every machine.

    Returns
    -------
    training : ndarray of shape (N - N_test,)
        Row numbers, in random order.
    test : ndarray of shape (N_test,)
        The other row numbers, in random order.

    Raises
    ------
    TypeError, ValueError
        If ``test_size`` leaves no row on one of the sides, ``y`` is not a vector, or ``seed`` is
        negative.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 0, 1, 1])
    >>> training, test = split_rows(y, test_size=3)
    >>> np.bincount(y[test]).tolist()
    [2, 1]
    """
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"y must have the shape (N,), got {y.shape}")
    count = _test_count(test_size, len(y))
    words = np.random.Philox(validation.whole("seed", seed)).random_raw(len(y))
    order = np.argsort(words, kind="stable")
    shuffled = y[order]
    position = np.empty(len(y))
    for label in np.unique(y):
        rows = np.flatnonzero(shuffled == label)
        position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    is_test = np.zeros(len(y), dtype=bool)
    is_test[np.argsort(position, kind="stable")[:count]] = True
    return order[~is_test].astype(np.int64), order[is_test].astype(np.int64)


def _test_count(test_size: int | float, n: int) -> int:
    if n < 2:
        raise ValueError(f"a split needs at least 2 rows, got {n}")
    if isinstance(test_size, float):
        share = validation.number("test_size", test_size, 0, 1)
        count = round(share * n)
        if not 1 <= count <= n - 1:
            raise ValueError(f"test_size={share} of {n} rows leaves one side empty")
        return count
    return validation.whole("test_size", test_size, 1, n - 1)
