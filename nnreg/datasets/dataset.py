"""A data set, and the class numbers of its labels.

A classifier needs ``y`` of shape (N,), class numbers from 0. A file may name its classes 3 and 8,
or "cat" and "dog". The distinct labels are sorted, a label becomes its index in that order, and the
sorted labels are stored with the data as ``class_names``.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def make_dataset(
    name: str,
    training: Split,
    test: Split | None = None,
    *,
    where: tuple[str, str],
    feature_names: Iterable[str],
    source: str,
) -> Dataset:
    """Return a data set, with the labels numbered by the sorted classes of the training rows.

    Parameters
    ----------
    name : str
    training : (x, labels)
        ``labels`` of shape (N,): text, whole numbers, or floats that are whole.
    test : (x, labels), optional
    where : tuple of str
        Names the training labels and the test labels in an error.
    feature_names : iterable of str
    source : str

    Raises
    ------
    ValueError
        If a number is not whole, if there is one class only or more than one for every two rows, or
        if a test label is not among the classes.

    Examples
    --------
    >>> x, labels = np.zeros((3, 1)), np.array(["dog", "cat", "dog"])
    >>> pets = make_dataset(
    ...     "pets", (x, labels), where=("pets", ""), feature_names=["legs"], source="by hand"
    ... )
    >>> pets.class_names, pets.y.tolist()
    (('cat', 'dog'), [1, 0, 1])
    """
    x, labels = training
    classes, y = np.unique(_plain(labels, where[0]), return_inverse=True)
    most = max(2, len(y) // 2)
    if not 2 <= len(classes) <= most:
        raise ValueError(
            f"{where[0]}: {len(classes)} different labels in {len(y)} rows; "
            f"a classification has 2 to {most} (at most one for every two rows)"
        )
    return Dataset(
        name=name,
        x=x,
        y=y.astype(np.int64),
        feature_names=tuple(feature_names),
        class_names=tuple(map(str, classes.tolist())),
        source=source,
        x_test=None if test is None else test[0],
        y_test=None if test is None else _number_classes(test[1], classes, where[1]),
    )


def _number_classes(labels: Array, classes: Array, where: str) -> Array:
    """Return each label's index among the sorted classes, or name the first that is not there."""
    plain = _plain(labels, where)
    if (plain.dtype.kind == "U") != (classes.dtype.kind == "U"):
        raise ValueError(f"{where}: text and numbers are mixed; the classes are {classes.tolist()}")
    indices = np.minimum(np.searchsorted(classes, plain), len(classes) - 1)
    unknown = classes[indices] != plain
    if unknown.any():
        row = int(np.argmax(unknown))
        label = plain[row].item()
        raise ValueError(f"{where}: label {label!r} (row {row}) is not one of {classes.tolist()}")
    return indices.astype(np.int64)


def _plain(labels: Array, where: str) -> Array:
    """Return the labels as text or as whole numbers."""
    if labels.dtype.kind in "biuU":
        return labels
    if labels.dtype.kind != "f":
        raise ValueError(f"{where}: labels must be whole numbers or text, got dtype {labels.dtype}")
    # Beyond 2**53 neighbouring whole numbers are the same float.
    not_whole = ~((labels == np.floor(labels)) & (np.abs(labels) <= 2.0**53))
    if not_whole.any():
        row = int(np.argmax(not_whole))
        raise ValueError(
            f"{where}: {labels[row]} (row {row}) is not a class; "
            "the labels of a classification are whole numbers or text"
        )
    return labels.astype(np.int64)
