"""Loading by name, file or folder, and the list of available data.

``nnreg compare --data`` passes its value to `load`; ``nnreg data`` prints `describe`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from nnreg._support.files import check_path
from nnreg._support.validation import nearest
from nnreg.datasets.bundled import (
    DIGIT_NAMES,
    TUMOUR_FEATURES,
    TUMOUR_NAMES,
    load_breast_cancer,
    load_digits,
)
from nnreg.datasets.dataset import Dataset, Split, make_dataset
from nnreg.datasets.idx import PARTS, read_bytes, read_idx_folder
from nnreg.datasets.mnist import (
    FASHION_NAMES,
    REGISTRY,
    Location,
    load_fashion_mnist,
    load_mnist,
    locations,
    sha256,
)
from nnreg.datasets.tables import read_csv, read_npz


def _pixels(side: int) -> tuple[str, ...]:
    return tuple(f"pixel {row},{column}" for row in range(side) for column in range(side))


_PUBLISHED = "the published files, compared by SHA-256"
_NAMED: dict[
    str, tuple[Callable[[], tuple[Split, Split]], tuple[str, ...], tuple[str, ...], str]
] = {
    "digits": (load_digits, _pixels(8), DIGIT_NAMES, "UCI 80, doi:10.24432/C50P49"),
    "breast-cancer": (
        *(load_breast_cancer, TUMOUR_FEATURES, TUMOUR_NAMES),
        "UCI 17, doi:10.24432/C5DW2B",
    ),
    "mnist": (load_mnist, _pixels(28), DIGIT_NAMES, _PUBLISHED),
    "fashion-mnist": (load_fashion_mnist, _pixels(28), FASHION_NAMES, _PUBLISHED),
}
"""By name: the function, the names of features and classes, and the source."""

NAMES = tuple(_NAMED)
"""The names that `load` accepts."""

_BUNDLED = """\
Bundled with nnreg
  digits         1,797 rows, 64 features, 10 classes: handwritten digits, 8 by 8
                 CC BY 4.0; E. Alpaydin, C. Kaynak; UCI 80, doi:10.24432/C50P49
  breast-cancer  569 rows, 30 features, 2 classes: tumours, malignant or benign
                 CC BY 4.0; W. Wolberg, O. Mangasarian, N. Street, W. Street; UCI 17,
                 doi:10.24432/C5DW2B

Searched for in these folders, in this order, then downloaded into the user cache"""

_FILES = """\
Files
  FILE.csv       a header, numbers, and one column of labels (the last, or --target COLUMN)
  FILE.npz       the arrays x and y, and x_test and y_test if there are any
  FOLDER         four IDX files named as those of MNIST, each compressed by gzip or not"""


def load(source: str | os.PathLike[str], *, target: str | int | None = None) -> Dataset:
    """Load data by name or from a file or folder.

    Parameters
    ----------
    source : str or path
        ``digits``, ``breast-cancer``, ``mnist``, ``fashion-mnist``, a file that ends in ``.csv``
        or ``.npz``, or a folder with four IDX files. A name takes precedence
        over a file of that name; ``./digits`` is the file.
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
        If the name is unknown (the nearest is offered), ``target`` is passed for data
        other than a CSV file, or the file is invalid.
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
        read, features, classes, origin = _NAMED[name]
        (x, y), (x_test, y_test) = read()
        return Dataset(name, x, y, features, classes, origin, x_test, y_test)
    if is_table:
        return read_csv(name, target=target)
    if name.lower().endswith(".npz"):
        return read_npz(name)
    if os.path.isdir(name):
        training, test = read_idx_folder(name)
        return make_dataset(
            os.path.basename(os.path.abspath(name)),
            training,
            test,
            where=(f"{name}, training labels", f"{name}, test labels"),
            feature_names=(f"pixel {index}" for index in range(training[0].shape[1])),
            source=f"IDX files in {name}",
        )
    if os.path.exists(name):
        raise ValueError(f"source: {name} is neither a .csv file, nor an .npz file, nor a folder")
    raise ValueError(
        f"source: unknown data {name!r}{nearest(name, NAMES)}; known are {', '.join(NAMES)}, "
        "a .csv file, an .npz file, and a folder of IDX files"
    )


def describe() -> str:
    """Return a description of all data: bundled, searched folders, and files found.

    Existing files are read and compared with the published SHA-256, about a second per data set.

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
    return (
        f"found, but SHA-256 differs in {', '.join(wrong)}" if wrong else "found, SHA-256 correct"
    )
