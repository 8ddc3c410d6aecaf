"""NPZ files with features and labels.

They are read without pickle, so they cannot execute code, and with the limits of
`nnreg._support.npz`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from nnreg._support import validation
from nnreg._support.files import check_path
from nnreg._support.npz import ArrayFile, Header
from nnreg._support.tables import listed, printable
from nnreg.datasets.columns import Column, choose
from nnreg.datasets.dataset import LONGEST_LABEL, Dataset, Part, check_width, make_dataset

_FEATURES = ("x", "x_train", "data", "features", "images")
_TARGETS = ("y", "y_train", "target", "targets", "labels")


def read_npz(
    path: str | os.PathLike[str],
    *,
    target: Column | None = None,
    columns: Sequence[Column] | None = None,
    drop: Sequence[Column] = (),
    regression: bool = False,
) -> Dataset:
    """Read features and labels from an ``.npz`` file.

    Parameters
    ----------
    path : str or path
        File with the features as ``x``, ``x_train``, ``data``, ``features`` or ``images``, the
        labels as ``y``, ``y_train``, ``target``, ``targets`` or ``labels``, and optionally
        ``x_test`` and ``y_test``, in lower or upper case. Features have the shape (N, D), or
        (N, ...), whose rows are then flattened; labels of shape (N,) are text or whole numbers.
    target : str or False, optional
        The array of labels, if it has another name. If False, labels are not read.
    columns : list of str or int, optional
        The features, in this order, by number or as ``feature 0``. Default: all.
    drop : list of str or int, optional
        Columns that are not features.
    regression : bool, default False
        If True, labels are numbers of shape (N,) or (N, M), and ``y`` has the shape (N, 1) or
        (N, M) and dtype float64.

    Returns
    -------
    Dataset
        ``x`` keeps its values: float32 if it represents the stored dtype exactly (uint8, for
        example), otherwise float64. ``y`` is int64, its classes are those of the training rows,
        sorted.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If the file is not ``.npz``, is damaged or needs pickle, an array is missing or ambiguous
        (those that are there are listed), shapes do not match, a value is not finite, or the labels
        are not a classification; if the path is not a regular file; or if a compressed file unpacks
        to more than 16 MiB and ten times its size.
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
    path = check_path("path", path)
    shown = printable(path, None)
    regression = validation.flag("regression", regression)
    if regression and target is False:
        raise ValueError("regression=True needs a target, got target=False")
    with ArrayFile(path) as file:
        roles = _match_names(shown, file.names, target)
        headers = {role: file.header(name) for role, name in roles.items()}
        parts = [("x", "y"), ("x_test", "y_test")] if "x_test" in roles else [("x", "y")]
        for x, y in parts:
            _check_shapes(shown, headers, x, y, regression)
        width = math.prod(headers["x"].shape[1:])
        if any(math.prod(headers[x].shape[1:]) != width for x, _ in parts):
            raise ValueError(
                f"{shown}: x_test has {math.prod(headers['x_test'].shape[1:])} features, "
                f"but x has {width}"
            )
        check_width(shown, width)
        names = [f"feature {number}" for number in range(width)]
        chosen, _ = choose(shown, names, target=False, columns=columns, drop=drop)

        def read(x: str, y: str) -> Part:
            dtype = np.float32 if np.can_cast(headers[x].dtype, np.float32) else np.float64
            values = file.read(roles[x]).reshape(-1, width).astype(dtype, copy=False)
            if len(chosen) < width or columns is not None:
                values = values[:, chosen]
            validation.finite(f"{shown}, {roles[x]}", values)
            labels = file.read(roles[y]) if y in roles else None
            return Part(values, labels, f"{shown}, {printable(str(roles.get(y)))}")

        split = [read(x, y) for x, y in parts]
    return make_dataset(
        os.path.splitext(os.path.basename(path))[0],
        *split,
        feature_names=[names[number] for number in chosen],
        source=shown,
        regression=regression,
    )


def _match_names(path: str, stored: Sequence[str], target: Column | None) -> dict[str, str]:
    """Return the names of the arrays in the file by their roles: x, y, x_test and y_test."""
    known = {"x": _FEATURES, "y": _TARGETS, "x_test": ("x_test",), "y_test": ("y_test",)}
    if target is False:
        del known["y"], known["y_test"]
    elif target is not None and target not in stored:
        raise ValueError(f"target: {path} has no array {target!r}; it has {listed(stored)}")
    found = {
        role: [name for name in stored if name.lower() in usual] for role, usual in known.items()
    }
    if target:
        found["y"] = [str(target)]
    for role, names in found.items():
        if len(names) > 1:
            raise ValueError(
                f"{path}: each of {listed(names)} may be {role}, and one is expected; "
                f"the file has {listed(stored)}"
            )
        if not names and not role.endswith("_test"):
            raise ValueError(
                f"{path}: no array {' or '.join(known[role])}; the file has "
                f"{listed(stored) or 'no arrays'}; "
                + ("set target= to the name of one, or " if role == "y" and stored else "")
                + "save them under such names: numpy.savez('named.npz', x=..., y=...)"
            )
    roles = {role: names[0] for role, names in found.items() if names}
    if target is not False and ("x_test" in roles) != ("y_test" in roles):
        raise ValueError(f"{path}: x_test and y_test belong together, but only one is stored")
    return roles


def _check_shapes(
    path: str, headers: Mapping[str, Header], x: str, y: str, regression: bool
) -> None:
    """Raise unless the headers are those of features (N, ...) and of N labels."""
    dtype, shape, _ = headers[x]
    if dtype.kind not in "biuf":
        raise ValueError(f"{path}, {x}: features must be real numbers, got dtype {dtype}")
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"{path}, {x}: features must have the shape (N, D), not empty, got {shape}"
        )
    if y not in headers:
        return
    dtype, labels, _ = headers[y]
    if labels != shape[:1] and not (regression and len(labels) == 2 and labels[:1] == shape[:1]):
        raise ValueError(
            f"{path}, {y}: labels must have the shape ({shape[0]},), one for each row, got {labels}"
        )
    if dtype.kind == "U" and dtype.itemsize > 4 * LONGEST_LABEL:
        raise ValueError(f"{path}, {y}: labels of {dtype.itemsize // 4:,} characters")
