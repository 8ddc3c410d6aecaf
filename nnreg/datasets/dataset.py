"""A data set, the class numbers of its labels, and its split into training and test rows.

A classifier needs ``y`` of shape (N,), class numbers from 0. A file may use the labels 3 and 8,
or "cat" and "dog". The distinct labels are sorted, a label becomes its index in that order, and the
sorted labels are stored with the data as ``class_names``.

`split_rows` divides rows into training and test rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nnreg._support import validation
from nnreg._support.tables import listed, printable
from nnreg._support.typing import Array

Split: TypeAlias = tuple[Array, Array]  # x, float32 (N, D), and y, int64 (N,)
LONGEST_LABEL = 1_000  # characters, in a file


class Part(NamedTuple):
    """The rows that a file has, for training or for the test.

    Attributes
    ----------
    x : ndarray of shape (N, D)
    labels : list of N str, ndarray of shape (N,), or None
        Text, whole numbers, or floats that are whole; of a regression, numbers.
    where : str
        Names the labels in an error.
    """

    x: Array
    labels: Array | list[str] | None
    where: str


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
        Class numbers 0 to K-1, int64. Of a regression: float64 of shape (N, M). Without a target:
        of shape (N, 0).
    feature_names : tuple of D str
        The columns of ``x``.
    class_names : tuple of K str
        ``class_names[y[i]]`` is the label of row i. Empty if there are no classes.
    source : str
        Where the data came from.
    x_test, y_test : ndarray of shape (N_test, D) and (N_test,), or None
        The test rows, if the source has them.

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


def check_width(where: str, features: int) -> None:
    """Raise ``ValueError`` for more than 2**20 features: each has a name.

    >>> check_width("a.npz", 2_000_000)
    Traceback (most recent call last):
        ...
    ValueError: a.npz: 2,000,000 features, more than 1,048,576
    """
    if features > 2**20:
        raise ValueError(f"{where}: {features:,} features, more than {2**20:,}")


def make_dataset(
    name: str,
    training: Part,
    test: Part | None = None,
    *,
    feature_names: Iterable[str],
    source: str,
    regression: bool = False,
) -> Dataset:
    """Return a data set, with the labels numbered by the sorted classes of the training rows.

    Parameters
    ----------
    name : str
    training : Part
        If its labels are None, ``y`` has the shape (N, 0).
    test : Part, optional
    feature_names : iterable of str
    source : str
    regression : bool, default False
        If True, labels are numbers, which become ``y`` of shape (N, 1), or (N, M) if they have it.

    Raises
    ------
    ValueError
        If a number is not whole, if there is one class only or more than one for every two rows, or
        if a test label is not among the classes.

    Examples
    --------
    >>> part = Part(np.zeros((3, 1)), ["dog", "cat", "dog"], "pets")
    >>> pets = make_dataset("pets", part, feature_names=["legs"], source="by hand")
    >>> pets.class_names, pets.y.tolist()
    (('cat', 'dog'), [1, 0, 1])
    """
    check_width(training.where, training.x.shape[1])
    parts = [training] if test is None else [training, test]
    classes: list[Any] = []
    if training.labels is None:
        targets = [np.empty((len(part.x), 0)) for part in parts]
    elif regression:
        targets = [_as_matrix(part) for part in parts]
    else:
        labels = [_plain(part) for part in parts]
        classes = sorted(set(labels[0]))
        most = max(2, len(labels[0]) // 2)
        if not 2 <= len(classes) <= most:
            raise ValueError(
                f"{training.where}: {len(classes)} different labels in {len(labels[0])} rows; a "
                f"classification has 2 to {most} (at most one for every two rows); if the target "
                "is a quantity, set regression=True"
            )
        targets = [
            _number_classes(plain, classes, part.where)
            for plain, part in zip(labels, parts, strict=True)
        ]
    return Dataset(
        name=printable(name),
        x=training.x,
        y=targets[0],
        feature_names=tuple(feature_names),
        class_names=tuple(map(str, classes)),
        source=source,
        x_test=None if test is None else test.x,
        y_test=None if test is None else targets[1],
    )


def _number_classes(labels: list[Any], classes: list[Any], where: str) -> Array:
    """Return each label's index among the sorted classes, or raise with the first unknown one."""
    indices = {label: index for index, label in enumerate(classes)}
    try:
        return np.fromiter(map(indices.__getitem__, labels), np.int64, len(labels))
    except KeyError as error:
        raise ValueError(
            f"{where} must hold labels that are among {listed(classes)}, got "
            f"{printable(str(error))} at index [{labels.index(error.args[0])}]"
        ) from None


def _plain(part: Part) -> list[Any]:
    """Return the labels as a list of text, of whole numbers or of bools."""
    labels, where = part.labels, part.where
    if not isinstance(labels, np.ndarray):
        return labels or []
    if labels.dtype.kind == "f":
        # Beyond 2**53 not every whole number is a float.
        not_whole = ~((labels == np.floor(labels)) & (np.abs(labels) <= 2.0**53))
        validation.reject(
            where,
            labels,
            not_whole,
            "hold classes: whole numbers or text",
            "; if the target is a quantity, set regression=True",
        )
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biuU":
        raise ValueError(f"{where}: labels must be whole numbers or text, got dtype {labels.dtype}")
    return list(labels.tolist())


def _as_matrix(part: Part) -> Array:
    """Return numbers as float64 of shape (N, M)."""
    values = np.asarray(part.labels)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{part.where}: a regression needs numbers, got dtype {values.dtype}")
    values = values.astype(np.float64).reshape(len(part.x), -1)
    validation.finite(part.where, values)
    return values


def split_rows(y: Array, *, test_size: int | float, seed: int = 0) -> tuple[Array, Array]:
    """Divide row numbers at random, stratified by class.

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
        If ``test_size`` leaves one side empty, ``y`` is not a vector, or ``seed`` is
        negative.

    Notes
    -----
    The random order of the rows depends only on the seed. Within each class they are
    then spread evenly over [0, 1], row r of n at (r + 1/2) / n, and the rows nearest to 0 are the
    test rows. So every class has its share of them to within about one row, whatever the sizes of
    the classes.

    The order is computed from the raw output of a Philox generator, which is the same in every
    version of NumPy. This is not guaranteed for the methods of a generator.

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
