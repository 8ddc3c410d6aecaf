"""Loading by name, file or folder, and the list of available data.

``nnreg compare --data`` passes its value to `load`; ``nnreg data`` prints `describe`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from nnreg._support.files import check_path
from nnreg._support.tables import printable
from nnreg._support.validation import nearest
from nnreg.datasets.bundled import (
    DIGIT_NAMES,
    TUMOUR_FEATURES,
    TUMOUR_NAMES,
    load_breast_cancer,
    load_digits,
)
from nnreg.datasets.columns import Column
from nnreg.datasets.dataset import Dataset, Part, Split, make_dataset
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
from nnreg.datasets.npz import read_npz
from nnreg.datasets.tables import open_source, read_csv, read_first_line


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

TEXT_ENDINGS = (".csv", ".tsv", ".txt")

_BUNDLED = """\
Bundled with nnreg
  digits         1,797 rows, 64 features, 10 classes: handwritten digits, 8 by 8
                 CC BY 4.0; E. Alpaydin, C. Kaynak; UCI 80, doi:10.24432/C50P49
  breast-cancer  569 rows, 30 features, 2 classes: tumours, malignant or benign
                 CC BY 4.0; W. Wolberg, O. Mangasarian, N. Street, W. Street;
                 UCI 17, doi:10.24432/C5DW2B

Searched for in these folders, in this order, then downloaded into the user cache"""

_FILES = """\
Files
  FILE.csv       a header, numbers, and one column of labels (the last, or
                 --target COLUMN); separated by commas, semicolons, tabs or bars;
                 the name may also end in .tsv or .txt
  FILE.npz       the arrays x and y, and x_test and y_test if there are any
  FOLDER         four IDX files named as those of MNIST, compressed by gzip or not"""


def read_table(
    path: str | os.PathLike[str],
    *,
    target: Column | None = None,
    header: bool | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    columns: Sequence[Column] | None = None,
    drop: Sequence[Column] = (),
    regression: bool = False,
) -> Dataset:
    r"""Read a table by the ending of its name: ``.csv``, ``.tsv``, ``.txt`` or ``.npz``.

    Parameters
    ----------
    path : str or path
    target : str, int or False, optional
        The column of labels, or in an ``.npz`` file their array. False: there are no labels, as in
        a file for prediction; ``y`` then has the shape (N, 0).
    header, separator, encoding
        As for `read_csv`; an ``.npz`` file has none.
    columns, drop, regression
        As for `read_csv`.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `read_csv` and `read_npz`, or if the name has another ending.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "new.tsv"
    ...     size = path.write_text("id\tlength\twidth\n1\t5.1\t3.5\n")
    ...     new = read_table(path, target=False, columns=["width", "length"])
    >>> new.x, new.feature_names
    (array([[3.5, 5.1]]), ('width', 'length'))
    """
    name = check_path("path", path)
    form = {"header": header, "separator": separator, "encoding": encoding}
    choice: dict[str, Any] = {"columns": columns, "drop": drop, "regression": regression}
    if name.lower().endswith(TEXT_ENDINGS):
        return read_csv(name, target=target, **form, **choice)  # type: ignore[arg-type]  # by name
    if not name.lower().endswith(".npz"):
        raise ValueError(
            f"{printable(name, None)}: a table ends in {', '.join(TEXT_ENDINGS)} or .npz"
        )
    for argument, value in form.items():
        if value is not None:
            raise ValueError(f"{argument}: only a text file has one, got {printable(name, None)}")
    return read_npz(name, target=target, **choice)


def find_names(
    source: str | os.PathLike[str],
    *,
    header: bool | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> tuple[str, ...]:
    r"""Return the names of all columns of a file of text, the target's too; otherwise nothing.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pets.csv"
    ...     size = path.write_text("weight,kind\n4.5,cat\n")
    ...     find_names(path), find_names(path, header=False), find_names("digits")
    (('weight', 'kind'), ('column 0', 'column 1'), ())
    """
    name = check_path("source", source)
    if name in NAMES or not name.lower().endswith(TEXT_ENDINGS):
        return ()
    return tuple(read_first_line(open_source(name, separator, encoding, header))[1])


def load(source: str | os.PathLike[str], **options: Any) -> Dataset:
    """Load data by name or from a file or folder.

    Parameters
    ----------
    source : str or path
        ``digits``, ``breast-cancer``, ``mnist``, ``fashion-mnist``, a file for `read_table`, or a
        folder with four IDX files. A name takes precedence over a file of that name; ``./digits``
        is the file.
    **options
        Arguments of `read_table`, for a file only.

    Returns
    -------
    Dataset
        With ``x_test`` and ``y_test`` unless the source is a file of text, or an ``.npz`` file
        without them.

    Raises
    ------
    ValueError
        If the name is unknown (the nearest is offered), an option is passed for data other than a
        file, or the file is invalid.
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
    if name not in NAMES and name.lower().endswith((*TEXT_ENDINGS, ".npz")):
        return read_table(name, **options)
    for option, value in options.items():
        if value not in (None, (), False):
            raise ValueError(f"{option}: only a file has a choice of columns, {name!r} has none")
    if name in NAMES:
        read, features, classes, origin = _NAMED[name]
        (x, y), (x_test, y_test) = read()
        return Dataset(name, x, y, features, classes, origin, x_test, y_test)
    if os.path.isdir(name):
        training, test = read_idx_folder(name)
        folder = printable(name, None)
        return make_dataset(
            os.path.basename(os.path.abspath(name)),
            Part(*training, f"{folder}, training labels"),
            Part(*test, f"{folder}, test labels"),
            feature_names=(f"pixel {index}" for index in range(training[0].shape[1])),
            source=f"IDX files in {folder}",
        )
    if os.path.exists(name):
        raise ValueError(
            f"source: {printable(name, None)} is neither a file that ends in "
            f"{', '.join(TEXT_ENDINGS)} or .npz, nor a folder; a spreadsheet can be saved as CSV"
        )
    raise ValueError(
        f"source: unknown data {name!r}{nearest(name, NAMES)}; known are {', '.join(NAMES)}, "
        "files such as a.csv, a.tsv and a.npz, and a folder of IDX files"
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
