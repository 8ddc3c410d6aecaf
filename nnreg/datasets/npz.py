"""NPZ files: arrays ``x`` and ``y`` as NumPy stores them.

Nothing is unpickled, so reading a file runs no code from it.
"""

from __future__ import annotations

import os

import numpy as np

from nnreg._support.files import check_path
from nnreg._support.typing import Array
from nnreg.datasets.dataset import Dataset, Split, make_dataset, printable

_ALIASES = {"x_train": "x", "y_train": "y"}


def read_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read features and labels from an ``.npz`` file.

    Parameters
    ----------
    path : str or path
        Has the arrays ``x`` (or ``x_train``) and ``y`` (or ``y_train``), and may have ``x_test``
        and ``y_test``, all in capitals or not. ``x`` has the shape (N, D), or (N, ...), whose rows
        are then flattened; ``y`` of shape (N,) holds text or whole numbers.

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
        shapes do not fit, a value is not finite, or the labels make no classification.
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
    file = check_path("path", path)
    arrays = _read_arrays(file)
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError(f"{file}: x_test and y_test belong together, but only one is there")
    x, y = _check_part(file, arrays, "x", "y")
    test = _check_part(file, arrays, "x_test", "y_test") if "x_test" in arrays else None
    if test is not None and test[0].shape[1] != x.shape[1]:
        raise ValueError(f"{file}: x_test has {test[0].shape[1]} features, but x has {x.shape[1]}")
    return make_dataset(
        os.path.splitext(os.path.basename(file))[0],
        (x, y),
        test,
        where=(f"{file}, y", f"{file}, y_test"),
        feature_names=(f"feature {column}" for column in range(x.shape[1])),
        source=file,
    )


def _read_arrays(file: str) -> dict[str, Array]:
    """Return the arrays by the names x, y, x_test and y_test."""
    with open(file, "rb") as stream:
        if stream.read(4) != b"PK\3\4":
            raise ValueError(f"{file}: not an .npz file (its first bytes are not those of one)")
        stream.seek(0)
        try:
            with np.load(stream, allow_pickle=False) as stored:
                names = _match_names(stored.files)
                return {name: np.asarray(stored[original]) for name, original in names.items()}
        except Exception as error:  # damaged bytes fail in any part of both readers
            raise ValueError(f"{file}: {str(error) or type(error).__name__}") from error


def _match_names(stored: list[str]) -> dict[str, str]:
    """Return the names of the arrays in the file by the names that they stand for."""
    names: dict[str, str] = {}
    for name in stored:
        standard = _ALIASES.get(name.lower(), name.lower())
        if standard in ("x", "y", "x_test", "y_test"):
            if standard in names:
                raise ValueError(f"both {names[standard]} and {name} are there; one is expected")
            names[standard] = name
    for name in ("x", "y"):
        if name not in names:
            listed = printable(", ".join(stored)) or "no arrays"
            raise ValueError(f"no array {name} or {name}_train; the file has {listed}")
    return names


def _check_part(file: str, arrays: dict[str, Array], x_name: str, y_name: str) -> Split:
    """Return features (N, D) as floats, and labels (N,)."""
    x, y = arrays[x_name], arrays[y_name]
    where = f"{file}, {x_name}"
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{where}: features must be real numbers, got dtype {x.dtype}")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{where}: features must have the shape (N, D), not empty, got {x.shape}")
    exact = np.can_cast(x.dtype, np.float32)
    values = x.reshape(len(x), -1).astype(np.float32 if exact else np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.unravel_index(int(np.argmin(finite)), values.shape)
        raise ValueError(f"{where}: {values[row, column]} in row {row}, column {column}")
    if y.shape != (len(x),):
        raise ValueError(
            f"{file}, {y_name}: labels must have the shape ({len(x)},), one for each row, "
            f"got {y.shape}"
        )
    return values, y
