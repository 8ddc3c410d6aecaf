"""A data set, and the class numbers of its labels.

A classifier needs ``y`` of shape (N,), class numbers from 0. A file may name its classes 3 and 8,
or "cat" and "dog". The distinct labels are sorted, a label becomes its index in that order, and the
sorted labels are stored with the data as ``class_names``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from nnreg._support.typing import Array

Split: TypeAlias = tuple[Array, Array]  # x, float32 (N, D), and y, int64 (N,)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows, labels and their names.

    Parameters
    ----------
    name : str
        A short name.
    x : ndarray of shape (N, D)
        Features, float32 or float64, finite.
    y : ndarray of shape (N,)
        Class numbers 0 to K-1, int64.
    feature_names : tuple of D str
        The columns of ``x``.
    class_names : tuple of K str
        ``class_names[y[i]]`` is the label of row i.
    source : str
        Where the data came from.
    x_test, y_test : ndarray of shape (N_test, D) and (N_test,), or None
        The test rows, where the source has them.

    Examples
    --------
    >>> data = Dataset(
    ...     "and", np.array([[0.0], [1.0]]), np.array([0, 1]), ("a",), ("no", "yes"), "by hand"
    ... )
    >>> data
    Dataset(name='and', class_names=('no', 'yes'), source='by hand')
    """

    name: str
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    feature_names: tuple[str, ...] = field(repr=False)
    class_names: tuple[str, ...]
    source: str
    x_test: Array | None = field(default=None, repr=False)
    y_test: Array | None = field(default=None, repr=False)


def printable(text: str) -> str:
    r"""Return text from a file with its control characters escaped, for an error message.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def find_classes(labels: Array, what: str) -> Array:
    """Return the distinct labels in order, if they make a classification.

    Parameters
    ----------
    labels : ndarray of shape (N,)
        Text, whole numbers, or floats that are whole.
    what : str
        Names the labels in an error, such as ``data.csv, column 'price'``.

    Returns
    -------
    ndarray of shape (K,)
        Sorted: text by its letters, numbers by size.

    Raises
    ------
    ValueError
        If a number is not whole, or if there is one class only, or more than one for every two
        rows.

    Examples
    --------
    >>> find_classes(np.array(["dog", "cat", "dog"]), "pets").tolist()
    ['cat', 'dog']
    """
    distinct = np.unique(_plain(labels, what))
    most = max(2, len(labels) // 2)
    if not 2 <= len(distinct) <= most:
        raise ValueError(
            f"{what}: {len(distinct)} different labels in {len(labels)} rows; "
            f"a classification has 2 to {most} (at most one for every two rows)"
        )
    return distinct


def number_classes(labels: Array, classes: Array, what: str) -> Array:
    """Return each label's index among the sorted classes.

    Parameters
    ----------
    labels : ndarray of shape (N,)
        Labels, as for `find_classes`.
    classes : ndarray of shape (K,)
        What `find_classes` returned.
    what : str
        Names the labels in an error.

    Returns
    -------
    ndarray of shape (N,)
        int64, from 0 to K-1.

    Raises
    ------
    ValueError
        If a label is not among the classes; its row is named.

    Examples
    --------
    >>> number_classes(np.array([8, 3, 8]), np.array([3, 8]), "labels").tolist()
    [1, 0, 1]
    """
    plain = _plain(labels, what)
    if (plain.dtype.kind == "U") != (classes.dtype.kind == "U"):
        raise ValueError(f"{what}: text and numbers are mixed; the classes are {classes.tolist()}")
    indices = np.minimum(np.searchsorted(classes, plain), len(classes) - 1)
    unknown = classes[indices] != plain
    if unknown.any():
        row = int(np.argmax(unknown))
        label = plain[row].item()
        raise ValueError(f"{what}: label {label!r} (row {row}) is not one of {classes.tolist()}")
    return indices.astype(np.int64)


def _plain(labels: Array, what: str) -> Array:
    """Return the labels as text or as whole numbers."""
    if labels.dtype.kind in "biuU":
        return labels
    if labels.dtype.kind != "f":
        raise ValueError(f"{what}: labels must be whole numbers or text, got dtype {labels.dtype}")
    # Beyond 2**53 neighbouring whole numbers are the same float.
    not_whole = ~((labels == np.floor(labels)) & (np.abs(labels) <= 2.0**53))
    if not_whole.any():
        row = int(np.argmax(not_whole))
        raise ValueError(
            f"{what}: {labels[row]} (row {row}) is not a class; "
            "the labels of a classification are whole numbers or text"
        )
    return labels.astype(np.int64)
