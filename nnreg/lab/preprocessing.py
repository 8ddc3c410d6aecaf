"""Preparation of a dataset: test rows, training rows, wrong labels, standardized features.

The order matters. The test rows are split off first and are not used by any later step. Then the
training rows are drawn, a share of their labels is made wrong, and the features are standardized by
mean and standard deviation of the training rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

import numpy as np

from nnreg._support.typing import Array
from nnreg.datasets import Dataset, flip_labels, split_rows

TEST_SHARE = 0.25  # of data that come without test rows
MAX_DEVIATION = 3.0  # in standard deviations from the mean


@dataclass(frozen=True, eq=False)
class Rows:
    """Training rows and test rows.

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

    def digest(self) -> str:
        """Return the SHA-256 of the four arrays."""
        arrays = self.x, self.y, self.x_test, self.y_test
        return sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@dataclass(frozen=True, eq=False)
class PreparedRows(Rows):
    """Rows that are not yet standardized, and how they were made.

    Parameters
    ----------
    classes : int
        The number of classes, K.
    flipped : int
        Number of training labels that were made wrong.
    given_test : bool
        True if the data came with test rows, False if they were split off.
    """

    classes: int
    flipped: int
    given_test: bool


def prepare(
    dataset: Dataset, *, train_size: int | None, label_noise: float, seed: int
) -> PreparedRows:
    """Choose test rows, then training rows, then wrong labels.

    Parameters
    ----------
    dataset : Dataset
    train_size : int or None
        Number of training rows to use, each class in proportion; None for all.
    label_noise : float
        Share of training labels to make wrong. Test labels are not changed.
    seed : int

    Raises
    ------
    ValueError
        If there are fewer training rows than ``train_size``, or fewer than 4, or no classes.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> rows = prepare(load("digits"), train_size=300, label_noise=0.15, seed=0)
    >>> rows.x.shape, rows.x_test.shape, rows.flipped
    ((300, 64), (500, 64), 45)
    """
    if not dataset.class_names:
        raise ValueError(f"{dataset.name} has no classes, which the experiments need")
    x, y, x_test, y_test = dataset.x, dataset.y, dataset.x_test, dataset.y_test
    given_test = x_test is not None and y_test is not None
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
        subset = split_rows(y, test_size=train_size, seed=seed)[1]
        x, y = x[subset], y[subset]
    if len(x) < 4:
        raise ValueError(f"train_size must leave at least 4 training rows, got {len(x)}")
    classes = len(dataset.class_names)
    y, flipped = flip_labels(y, label_noise, classes=classes, seed=seed)
    return PreparedRows(x, y, x_test, y_test, classes, len(flipped), given_test)


@dataclass(frozen=True, eq=False)
class Standardization:
    """The affine map that gives the features of some rows mean 0 and standard deviation 1.

    A feature that is constant in these rows is only centered. Values beyond three standard
    deviations are clipped: a pixel that is nonzero in one row of thousands is about seventy
    standard deviations from its mean in that row, and would dominate the network's input.

    Parameters
    ----------
    mean, scale : ndarray of shape (D,)
        float64.

    Examples
    --------
    >>> standardization = Standardization.of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> standardization.apply(np.array([[3.0, 6.0], [9.0, 5.0]]))
    array([[1., 1.],
           [3., 0.]])
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, x: Array) -> Self:
        """Return the standardization by the mean and the standard deviation of these rows."""
        mean = x.mean(axis=0, dtype=np.float64)
        scale = x.std(axis=0, dtype=np.float64)
        # By rounding, the deviation of a constant feature can be tiny; its inverse would be huge.
        scale[scale <= 1e-12 * np.abs(mean)] = 1.0
        return cls(mean, scale)

    def apply(self, x: Array) -> Array:
        """Return standardized rows, in the dtype of ``x``."""
        z: Array = (x - self.mean.astype(x.dtype)) / self.scale.astype(x.dtype)
        np.clip(z, -MAX_DEVIATION, MAX_DEVIATION, out=z)
        return z


def standardize(rows: Rows) -> Rows:
    """Return rows whose features are standardized by the *training* rows.

    Examples
    --------
    >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> rows = standardize(Rows(x, np.zeros(2), x + 1, np.zeros(2)))
    >>> rows.x.tolist(), rows.x_test.tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [2.0, 1.0]])
    """
    standardization = Standardization.of(rows.x)
    return Rows(
        standardization.apply(rows.x), rows.y, standardization.apply(rows.x_test), rows.y_test
    )
