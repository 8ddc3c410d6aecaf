"""One door to all data: a name, or a file, or a folder.

``nnreg compare --data`` takes its value from the user and hands it to `load`.
"""

from __future__ import annotations

import os

from nnreg._support.validation import nearest
from nnreg.datasets.bundled import (
    DIGIT_NAMES,
    TUMOUR_FEATURES,
    TUMOUR_NAMES,
    load_breast_cancer,
    load_digits,
)
from nnreg.datasets.csv import read_csv
from nnreg.datasets.dataset import Dataset, find_classes, number_classes
from nnreg.datasets.idx import read_idx_folder
from nnreg.datasets.mnist import load_fashion_mnist, load_mnist
from nnreg.datasets.npz import read_npz
from nnreg.datasets.registry import PUBLISHED

NAMES = ("digits", "breast-cancer", "mnist", "fashion-mnist")
"""The data sets that `load` knows by name."""


def load(source: str | os.PathLike[str], *, target: str | int | None = None) -> Dataset:
    """Load data by name or from a file or folder.

    Parameters
    ----------
    source : str or path
        ``digits``, ``breast-cancer``, ``mnist``, ``fashion-mnist``, a file that ends in ``.csv``
        or ``.npz``, or a folder with four IDX files. A name goes before a file of that name;
        ``./digits`` is the file.
    target : str or int, optional
        The column of labels, for a CSV file only; see `read_csv`.

    Returns
    -------
    Dataset
        With ``x_test`` and ``y_test`` unless the source is a CSV file, or an ``.npz`` file
        without them.

    Raises
    ------
    ValueError
        If the name is unknown (the nearest is offered), ``target`` is given for data that have
        their labels apart, or the file is not as it should be.
    FileNotFoundError
        If there is no such file.
    OSError
        If data must be downloaded and cannot be.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.x.shape, digits.x_test.shape, len(digits.class_names)
    ((1297, 64), (500, 64), 10)
    >>> load("digit")
    Traceback (most recent call last):
    ...
    ValueError: source: unknown data 'digit' (did you mean 'digits'?); known are digits,
    breast-cancer, ...
    """
    name = os.fspath(source)
    is_table = name.lower().endswith(".csv")
    if target is not None and not is_table:
        raise ValueError(f"target: only a CSV file has a target column, but the data are {name!r}")
    if name in NAMES:
        return _load_known(name)
    if is_table:
        return read_csv(name, target=target)
    if name.lower().endswith(".npz"):
        return read_npz(name)
    if os.path.isdir(name):
        return _load_folder(name)
    if os.path.exists(name):
        raise ValueError(f"source: {name} is neither a .csv file, nor an .npz file, nor a folder")
    raise ValueError(
        f"source: unknown data {name!r}{nearest(name, NAMES)}; known are {', '.join(NAMES)}, "
        "a .csv file, an .npz file, and a folder of IDX files"
    )


def _load_known(name: str) -> Dataset:
    if name == "digits":
        (x, y), (x_test, y_test) = load_digits()
        features, classes, source = _pixels(8), DIGIT_NAMES, "UCI 80, doi:10.24432/C50P49"
    elif name == "breast-cancer":
        (x, y), (x_test, y_test) = load_breast_cancer()
        features, classes, source = TUMOUR_FEATURES, TUMOUR_NAMES, "UCI 17, doi:10.24432/C5DW2B"
    else:
        (x, y), (x_test, y_test) = load_mnist() if name == "mnist" else load_fashion_mnist()
        features, classes = _pixels(28), PUBLISHED[name].class_names
        source = "the published files, compared by SHA-256"
    return Dataset(name, x, y, features, classes, source, x_test, y_test)


def _load_folder(folder: str) -> Dataset:
    (x, labels), (x_test, test_labels) = read_idx_folder(folder)
    classes = find_classes(labels, f"{folder}, training labels")
    return Dataset(
        name=os.path.basename(os.path.abspath(folder)),
        x=x,
        y=number_classes(labels, classes, f"{folder}, training labels"),
        x_test=x_test,
        y_test=number_classes(test_labels, classes, f"{folder}, test labels"),
        feature_names=tuple(f"pixel {place}" for place in range(x.shape[1])),
        class_names=tuple(map(str, classes.tolist())),
        source=f"IDX files in {folder}",
    )


def _pixels(side: int) -> tuple[str, ...]:
    return tuple(f"pixel {row},{column}" for row in range(side) for column in range(side))
