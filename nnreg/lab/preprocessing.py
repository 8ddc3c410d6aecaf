"""From a data set to the rows that a comparison trains and tests on.

The order matters. The test rows are set apart first, and nothing later looks at them. Then the
training rows are drawn, some of their labels are made wrong if that is wanted, and the features are
standardized by the mean and the deviation of the training rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._support.typing import Array
from nnreg.datasets import Dataset, flip_labels, split_rows

TEST_SHARE = 0.25  # of data that come without a test part
FARTHEST = 3.0  # standard deviations from the mean


@dataclass(frozen=True, eq=False)
class Rows:
    """What to train on and what to test on.

    Parameters
    ----------
    x, y : ndarray of shape (N, D) and (N,)
    x_test, y_test : ndarray of shape (N_test, D) and (N_test,)

    Examples
    --------
    >>> Rows(*(np.zeros((2, 1)), np.zeros(2)) * 2).x.shape
    (2, 1)
    """

    x: Array
    y: Array
    x_test: Array
    y_test: Array


@dataclass(frozen=True, eq=False)
class Prepared(Rows):
    """Rows, not yet standardized, and how they came about.

    Parameters
    ----------
    classes : int
        The number of classes, K.
    flipped : int
        Training labels that were made wrong.
    own_test : bool
        Whether the data came with the test rows; otherwise they were split off.
    """

    classes: int
    flipped: int
    own_test: bool


def prepare(dataset: Dataset, *, train_size: int | None, label_noise: float, seed: int) -> Prepared:
    """Choose test rows, then training rows, then wrong labels.

    Parameters
    ----------
    dataset : Dataset
    train_size : int or None
        Training rows to use, each class in proportion; None for all.
    label_noise : float
        Share of training labels to make wrong. Test labels are never touched.
    seed : int
        Fixes every choice.

    Raises
    ------
    ValueError
        If there are fewer training rows than ``train_size``, or fewer than 4.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> rows = prepare(load("digits"), train_size=300, label_noise=0.15, seed=0)
    >>> rows.x.shape, rows.x_test.shape, rows.flipped
    ((300, 64), (500, 64), 45)
    """
    x, y, x_test, y_test = dataset.x, dataset.y, dataset.x_test, dataset.y_test
    own_test = x_test is not None and y_test is not None
    if x_test is None or y_test is None:
        training, test = split_rows(y, test_size=TEST_SHARE, seed=seed)
        x, y, x_test, y_test = x[training], y[training], x[test], y[test]
    available = len(x)
    if train_size is not None and train_size > available:
        raise ValueError(
            f"train_size must be at most {available}, the training rows of {dataset.name}, "
            f"got {train_size}"
        )
    if train_size is not None and train_size < available:
        chosen = split_rows(y, test_size=train_size, seed=seed)[1]
        x, y = x[chosen], y[chosen]
    if len(x) < 4:
        raise ValueError(f"train_size must leave at least 4 training rows, got {len(x)}")
    classes = len(dataset.class_names)
    y, flipped = flip_labels(y, label_noise, classes=classes, seed=seed)
    return Prepared(x, y, x_test, y_test, classes, len(flipped), own_test)


def standardized(rows: Rows) -> Rows:
    """Return rows whose features have mean 0 and standard deviation 1 over the *training* rows.

    A feature that is constant there is divided by 1. Values beyond three deviations are held there:
    a pixel with ink in one row of thousands lies some seventy deviations away in that row, and the
    network would see little else.

    Examples
    --------
    >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> found = standardized(Rows(x, np.zeros(2), x + 1, np.zeros(2)))
    >>> found.x.tolist(), found.x_test.tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [2.0, 1.0]])
    """
    mean = rows.x.mean(axis=0, dtype=np.float64)
    deviation = rows.x.std(axis=0, dtype=np.float64)
    # Rounding leaves a constant feature a tiny deviation, which would blow it up.
    constant = deviation <= 1e-12 * np.abs(mean)
    deviation[constant] = 1.0
    kind = rows.x.dtype
    shift, scale = mean.astype(kind), deviation.astype(kind)

    def held(x: Array) -> Array:
        z: Array = (x - shift) / scale
        np.clip(z, -FARTHEST, FARTHEST, out=z)
        return z

    return Rows(held(rows.x), rows.y, held(rows.x_test), rows.y_test)


def held_out(rows: Rows, share: float, seed: int) -> Rows:
    """Return the training rows split in two, the second part in the place of the test rows.

    Examples
    --------
    >>> x, y = np.arange(8.0)[:, None], np.zeros(8, int)
    >>> found = held_out(Rows(x, y, x, y), 0.25, seed=0)
    >>> len(found.x), len(found.x_test)
    (6, 2)
    """
    training, validation = split_rows(rows.y, test_size=share, seed=seed)
    return Rows(rows.x[training], rows.y[training], rows.x[validation], rows.y[validation])
