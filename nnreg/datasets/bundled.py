"""Bundled data: handwritten digits, and tumours.

Both are small: a network is trained in seconds and overfits. Creators, licence and
changes are listed in the file LICENSE-DATA; the licence of both is CC BY 4.0.
"""

from __future__ import annotations

import os

import numpy as np

from nnreg._support.typing import Array
from nnreg.datasets.dataset import Split, split_rows

DIGIT_NAMES = tuple("0123456789")
"""Classes of the digits, and of MNIST."""

TUMOUR_NAMES = ("malignant", "benign")
"""Classes of the tumours: 0 is malignant, 1 is benign."""

_MEASURES = (
    *("radius", "texture", "perimeter", "area", "smoothness"),
    *("compactness", "concavity", "concave points", "symmetry", "fractal dimension"),
)
TUMOUR_FEATURES = tuple(
    form.format(measure) for form in ("mean {}", "{} error", "worst {}") for measure in _MEASURES
)
"""The 30 features of the tumours: ten measures, as mean, standard error and worst value."""


def load_digits(*, test_size: int | float = 500, seed: int = 0) -> tuple[Split, Split]:
    """Return the 1,797 handwritten digits, divided into training and test rows.

    Each row is an image of 8 by 8 counts, 0 to 16, of the dark pixels in a block of 4 by 4.

    Parameters
    ----------
    test_size : int or float
        The number of test rows (an int), or their share (a float between 0 and 1).
    seed : int
        Determines the test rows; see `split_rows`.

    Returns
    -------
    training : (x, y)
        ``x`` float32 of shape (N, 64), the counts divided by 16, so in [0, 1]; ``y`` int64 of
        shape (N,), the digit.
    test : (x_test, y_test)
        The same for the test rows; 1,297 and 500 rows by default.

    Raises
    ------
    TypeError, ValueError
        If ``test_size`` or ``seed`` is out of range.

    Notes
    -----
    These are the test half of UCI's "Optical Recognition of Handwritten Digits", written by 13
    people. A random split has digits of all 13 on both sides, so its test accuracy applies to
    new digits by the same writers; for new writers it is too high.

    Source: E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository,
    doi:10.24432/C50P49, CC BY 4.0.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = load_digits()
    >>> x.shape, y.shape, x_test.shape, y_test.shape
    ((1297, 64), (1297,), (500, 64), (500,))
    >>> float(x.min()), float(x.max())
    (0.0, 1.0)
    """
    counts, labels = read_bundled("digits.npz")
    return _split(counts.astype(np.float32) / np.float32(16), labels, test_size, seed)


def load_breast_cancer(*, test_size: int | float = 169, seed: int = 0) -> tuple[Split, Split]:
    """Return 569 tumours, described by 30 numbers each, divided into training and test rows.

    Parameters
    ----------
    test_size : int or float
        The number of test rows (an int), or their share (a float between 0 and 1).
    seed : int
        Determines the test rows; see `split_rows`.

    Returns
    -------
    training : (x, y)
        ``x`` float32 of shape (N, 30), as measured (columns: `TUMOUR_FEATURES`); ``y`` int64 of
        shape (N,), 0 malignant, 1 benign (`TUMOUR_NAMES`).
    test : (x_test, y_test)
        The same for the test rows; 400 and 169 rows by default.

    Raises
    ------
    TypeError, ValueError
        If ``test_size`` or ``seed`` is out of range.

    Notes
    -----
    The scales of the columns differ by six powers of ten. Standardize them before training, with
    the mean and the standard deviation of the training rows only.

    Source: W. Wolberg, O. Mangasarian, N. Street and W. Street (1993), "Breast Cancer Wisconsin
    (Diagnostic)", UCI Machine Learning Repository, doi:10.24432/C5DW2B, CC BY 4.0.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = load_breast_cancer()
    >>> x.shape, x_test.shape
    ((400, 30), (169, 30))
    >>> TUMOUR_FEATURES[0], float(x[:, 0].max()) > 20
    ('mean radius', True)
    """
    values, labels = read_bundled("breast_cancer.npz")
    return _split(values.astype(np.float32), labels, test_size, seed)


def read_bundled(file: str) -> tuple[Array, Array]:
    """Return the arrays ``x`` and ``y`` of a file in this folder, as stored.

    Parameters
    ----------
    file : {"digits.npz", "breast_cancer.npz"}
        File name.

    Returns
    -------
    x : ndarray of shape (N, D)
        uint8 counts for the digits, float64 for the tumours.
    y : ndarray of shape (N,)
        uint8 class numbers.

    Examples
    --------
    >>> counts, labels = read_bundled("digits.npz")
    >>> counts.dtype, counts.shape, int(counts.max())
    (dtype('uint8'), (1797, 64), 16)
    """
    with np.load(os.path.join(os.path.dirname(__file__), file), allow_pickle=False) as arrays:
        return arrays["x"], arrays["y"]


def _split(x: Array, y: Array, test_size: int | float, seed: int) -> tuple[Split, Split]:
    labels = y.astype(np.int64)
    training, test = split_rows(labels, test_size=test_size, seed=seed)
    return (x[training], labels[training]), (x[test], labels[test])
