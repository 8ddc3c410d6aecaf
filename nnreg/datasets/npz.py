"""Arrays as NumPy stores them: an ``.npz`` file with ``x`` and ``y``.

Nothing is unpickled, so opening a file runs none of its author's code.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg.datasets.dataset import Dataset, find_classes, number_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SPELLINGS = {
    "x": ("x", "X", "x_train", "X_train"),
    "y": ("y", "y_train"),
    "x_test": ("x_test", "X_test"),
    "y_test": ("y_test",),
}


def read_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read features and labels from an ``.npz`` file.

    Parameters
    ----------
    path : str or path
        Has the arrays ``x`` (or ``X``, ``x_train``, ``X_train``) and ``y`` (or ``y_train``), and
        may have ``x_test`` (or ``X_test``) and ``y_test``. ``x`` is of shape (N, D), or of any
        longer shape (N, ...) whose rows are then laid flat; ``y`` of shape (N,) holds text or
        whole numbers.

    Returns
    -------
    Dataset
        ``x`` keeps its values: float32 where that holds the stored type exactly (uint8 among
        them), otherwise float64. ``y`` is int64, its classes are those of the training rows,
        sorted.

    Raises
    ------
    ValueError
        If the file is not ``.npz`` or needs pickle, an array is missing or given under two names,
        shapes do not fit, a value is not finite, or the labels are no classes.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "parity.npz"
    ...     np.savez(
    ...         path, x=np.arange(4, dtype=np.uint8)[:, None], y=["even", "odd", "even", "odd"]
    ...     )
    ...     parity = read_npz(path)
    >>> parity.x.dtype, parity.y.tolist(), parity.class_names
    (dtype('float32'), [0, 1, 0, 1], ('even', 'odd'))
    """
    file = os.fspath(path)
    arrays = _read_arrays(file)
    for name in ("x", "y"):
        if name not in arrays:
            raise ValueError(f"{file}: no array {' or '.join(_SPELLINGS[name])}")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError(f"{file}: x_test and y_test belong together, but only one is there")
    x = _features(arrays["x"], f"{file}, x")
    classes = find_classes(_labels(arrays["y"], len(x), f"{file}, y"), f"{file}, y")
    x_test, y_test = None, None
    if "x_test" in arrays:
        x_test = _features(arrays["x_test"], f"{file}, x_test")
        if x_test.shape[1] != x.shape[1]:
            raise ValueError(
                f"{file}: x_test has {x_test.shape[1]} features, but x has {x.shape[1]}"
            )
        labels = _labels(arrays["y_test"], len(x_test), f"{file}, y_test")
        y_test = number_classes(labels, classes, f"{file}, y_test")
    return Dataset(
        name=os.path.splitext(os.path.basename(file))[0],
        x=x,
        y=number_classes(arrays["y"], classes, f"{file}, y"),
        x_test=x_test,
        y_test=y_test,
        feature_names=tuple(f"feature {column}" for column in range(x.shape[1])),
        class_names=tuple(map(str, classes.tolist())),
        source=file,
    )


def _read_arrays(file: str) -> dict[str, NDArray[Any]]:
    """Return the arrays under the first of their spellings."""
    import zipfile
    import zlib

    with open(file, "rb") as stream:
        if stream.read(4) != b"PK\3\4":
            raise ValueError(f"{file}: not an .npz file (it does not start as one)")
        stream.seek(0)
        try:
            with np.load(stream, allow_pickle=False) as stored:
                names = {name: _spelling(stored.files, name) for name in _SPELLINGS}
                return {name: np.asarray(stored[found]) for name, found in names.items() if found}
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{file}: {error}") from error


def _spelling(files: list[str], name: str) -> str | None:
    present = [spelling for spelling in _SPELLINGS[name] if spelling in files]
    if len(present) > 1:
        raise ValueError(f"both {' and '.join(present)} are there; one is wanted")
    return present[0] if present else None


def _features(x: NDArray[Any], what: str) -> NDArray[Any]:
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{what}: features must be real numbers, got dtype {x.dtype}")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{what}: features must have the shape (N, D), not empty, got {x.shape}")
    exact = np.can_cast(x.dtype, np.float32)
    values = x.reshape(len(x), -1).astype(np.float32 if exact else np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.unravel_index(int(np.argmin(finite)), values.shape)
        raise ValueError(f"{what}: {values[row, column]} in row {row}, column {column}")
    return values


def _labels(y: NDArray[Any], n: int, what: str) -> NDArray[Any]:
    if y.shape != (n,):
        raise ValueError(
            f"{what}: labels must have the shape ({n},), one for each row, got {y.shape}"
        )
    return y
