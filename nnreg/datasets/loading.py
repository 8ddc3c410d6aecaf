"""Loading by name, file or folder, and the list of available data.

``nnreg compare --data`` passes its value to `load`; ``nnreg data`` prints `describe`.
"""

from __future__ import annotations

import os

from nnreg._support.files import check_path
from nnreg._support.validation import nearest
from nnreg.datasets import bundled
from nnreg.datasets.csv import read_csv
from nnreg.datasets.dataset import Dataset, find_classes, number_classes
from nnreg.datasets.idx import PARTS, read_bytes, read_idx_folder
from nnreg.datasets.mnist import REGISTRY, Location, load_fashion_mnist, load_mnist, locations
from nnreg.datasets.npz import read_npz
from nnreg.datasets.remote import sha256

NAMES = ("digits", "breast-cancer", "mnist", "fashion-mnist")
"""The data sets that `load` knows by name."""

_BUNDLED = """\
Bundled with nnreg
  digits         1,797 rows, 64 features, 10 classes: handwritten digits, 8 by 8
                 CC BY 4.0; E. Alpaydin, C. Kaynak; UCI 80, doi:10.24432/C50P49
  breast-cancer  569 rows, 30 features, 2 classes: tumours, malignant or benign
                 CC BY 4.0; W. Wolberg, O. Mangasarian, N. Street, W. Street; UCI 17,
                 doi:10.24432/C5DW2B

Looked for in these folders, in this order, then downloaded into the user cache"""

_FILES = """\
Your own
  FILE.csv       a header, numbers, and one column of labels (the last, or --target COLUMN)
  FILE.npz       the arrays x and y, and x_test and y_test if there are any
  FOLDER         four IDX files named as those of MNIST, each compressed by gzip or not"""


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
    name = check_path("source", source)
    is_table = name.lower().endswith(".csv")
    if target is not None and not is_table:
        raise ValueError(f"target: only a CSV file has a target column, but the data are {name!r}")
    if name in NAMES:
        return _load_named(name)
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


def _load_named(name: str) -> Dataset:
    source = "the published files, compared by SHA-256"
    if name == "digits":
        split, source = bundled.load_digits(), "UCI 80, doi:10.24432/C50P49"
        features, classes = _pixels(8), bundled.DIGIT_NAMES
    elif name == "breast-cancer":
        split, source = bundled.load_breast_cancer(), "UCI 17, doi:10.24432/C5DW2B"
        features, classes = bundled.TUMOUR_FEATURES, bundled.TUMOUR_NAMES
    else:
        split = load_mnist() if name == "mnist" else load_fashion_mnist()
        features, classes = _pixels(28), REGISTRY[name].class_names
    (x, y), (x_test, y_test) = split
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
        feature_names=tuple(f"pixel {index}" for index in range(x.shape[1])),
        class_names=tuple(map(str, classes.tolist())),
        source=f"IDX files in {folder}",
    )


def _pixels(side: int) -> tuple[str, ...]:
    return tuple(f"pixel {row},{column}" for row in range(side) for column in range(side))


def describe() -> str:
    """Return a text on all data: what is bundled, where the rest is looked for, what is there.

    Files that are there are read and compared with the published SHA-256, about a second each set.

    Returns
    -------
    str
        Several lines.

    Examples
    --------
    >>> print(describe().splitlines()[0])
    Bundled with nnreg
    """
    lines = [_BUNDLED]
    for name, remote in REGISTRY.items():
        lines.append(f"  {name:13}  60,000 + 10,000 rows, 784 features, 10 classes")
        lines.append(f"{'':17}{remote.licence}")
        candidates = locations(name)
        if len(candidates) == 1:
            lines.append("    NNREG_DATA   is not set")
        lines += [f"    {at.origin:11}  {at.folder}: {_state(at, name)}" for at in candidates]
        lines += [f"    download     {mirror}" for mirror in remote.mirrors]
    return "\n".join([*lines, "", _FILES])


def _state(location: Location, name: str) -> str:
    if not location.parts:
        return "not found"
    if location.missing:
        return f"incomplete, without {', '.join(location.missing)}"
    digests = REGISTRY[name].digests
    try:
        if location.is_other(name):
            return "not found (the files there are other data)"
        wrong = [p for p in PARTS if sha256(read_bytes(location.parts[p])) != digests[p]]
    except (OSError, ValueError) as error:
        return f"found, but not readable: {error}"
    return f"found, but SHA-256 differs in {', '.join(wrong)}" if wrong else "found, SHA-256 right"
