"""MNIST and Fashion-MNIST: 70,000 images each, too large to ship, found or fetched.

Both are four IDX files of the same names. They are told apart, and told from any damaged or
altered copy, by the SHA-256 of their decompressed bytes, which is compared at every load: a
result that is called "on MNIST" is then one on MNIST.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnreg._support import validation
from nnreg.datasets.download import check_digest, download, sha256
from nnreg.datasets.idx import PARTS, decode_idx, find_parts, join_parts, read_bytes
from nnreg.datasets.paths import cache_folder, own_folders
from nnreg.datasets.registry import PUBLISHED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Part = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Location:
    """A folder in which a data set is looked for, and what is there.

    Parameters
    ----------
    folder : str
        The folder.
    origin : {"NNREG_DATA", "user cache"}
        Why it is looked at.
    parts : dict of str to str
        The files that are there, from the name in `PARTS` to the path.

    Examples
    --------
    >>> Location("no/such/folder", "user cache", {}).missing[1:]
    ('train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte')
    """

    folder: str
    origin: str
    parts: dict[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that are not there: tuple of str."""
        return tuple(part for part in PARTS if part not in self.parts)


def load_mnist(*, fetch: bool = True) -> tuple[Part, Part]:
    """Return MNIST: handwritten digits, 60,000 to train on and 10,000 to test.

    The files are looked for in the folder that ``NNREG_DATA`` names (in its sub-folder ``mnist``,
    then in itself), then in the user's cache; at last they are downloaded into the cache, 11.6
    MB.

    Parameters
    ----------
    fetch : bool
        False never downloads.

    Returns
    -------
    training : (x, y)
        ``x`` float32 of shape (60000, 784), in [0, 1]; ``y`` int64 of shape (60000,), the digit.
    test : (x_test, y_test)
        The same for 10,000 images.

    Raises
    ------
    OSError
        If the files are not there and no mirror gives them; the message says where they can be put.
    ValueError
        If a file that is there is not the published one (by SHA-256).

    Notes
    -----
    Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits";
    CC BY-SA 3.0 as stated by its distributors.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = load_mnist()  # doctest: +SKIP
    >>> x.shape, x_test.shape  # doctest: +SKIP
    ((60000, 784), (10000, 784))
    """
    return _load("mnist", fetch)


def load_fashion_mnist(*, fetch: bool = True) -> tuple[Part, Part]:
    """Return Fashion-MNIST: pictures of clothes, in the format and the numbers of MNIST.

    The files are looked for as those of `load_mnist` are, the sub-folder being ``fashion-mnist``;
    the download has 30.9 MB. `FASHION_NAMES` are the classes.

    Parameters
    ----------
    fetch : bool
        False never downloads.

    Returns
    -------
    training : (x, y)
        ``x`` float32 of shape (60000, 784), in [0, 1]; ``y`` int64 of shape (60000,), the class.
    test : (x_test, y_test)
        The same for 10,000 images.

    Raises
    ------
    OSError
        If the files are not there and no mirror gives them; the message says where they can be put.
    ValueError
        If a file that is there is not the published one (by SHA-256).

    Notes
    -----
    Source: H. Xiao, K. Rasul and R. Vollgraf (2017), "Fashion-MNIST: a novel image dataset for
    benchmarking machine learning algorithms", arXiv:1708.07747; MIT licence.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = load_fashion_mnist()  # doctest: +SKIP
    """
    return _load("fashion-mnist", fetch)


def locations(name: str) -> list[Location]:
    """Return the folders in which a data set is looked for, in this order.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}
        The data set.

    Returns
    -------
    list of Location
        The last is the user's cache.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> locations("mnist")[-1].origin
    'user cache'
    """
    validation.one_of("name", name, PUBLISHED)
    folders = [(folder, "NNREG_DATA") for folder in own_folders(name)]
    folders.append((os.path.join(cache_folder(), name), "user cache"))
    return [Location(folder, origin, find_parts(folder)) for folder, origin in folders]


def is_another(location: Location, name: str) -> bool:
    """Tell whether a folder that is not named after a data set holds a different one.

    Parameters
    ----------
    location : Location
        A folder with all four files.
    name : {"mnist", "fashion-mnist"}
        The data set that is wanted.

    Returns
    -------
    bool
        By the smallest file. A folder named ``mnist`` or ``fashion-mnist`` is taken at its word:
        a wrong file there is an error, not another data set.

    Examples
    --------
    >>> is_another(Location("data/mnist", "user cache", {}), "mnist")
    False
    """
    if os.path.basename(os.path.normpath(location.folder)) == name:
        return False
    return sha256(read_bytes(location.parts[PARTS[3]])) != PUBLISHED[name].digests[PARTS[3]]


def _load(name: str, fetch: bool) -> tuple[Part, Part]:
    parts = _find(name, fetch)
    arrays = {}
    for part in PARTS:
        raw = read_bytes(parts[part])
        try:
            check_digest(raw, PUBLISHED[name].digests[part], parts[part])
        except ValueError as error:
            raise ValueError(
                f"{error}. This is not the published {name}: remove the file, "
                "or read other data of this format with read_idx_folder"
            ) from None
        arrays[part] = decode_idx(raw, parts[part]), parts[part]
    return join_parts(arrays)


def _find(name: str, fetch: bool) -> dict[str, str]:
    """Return the paths of the four files, downloaded if they must be."""
    places = locations(name)
    for location in places:
        if not location.missing and not is_another(location, name):
            return location.parts
    cache = places[-1]
    advice = (
        f"To use {name} without a download, put {', '.join(PARTS)} (each compressed by gzip "
        f"or not) into {cache.folder}, or into the folder {name} in the one that NNREG_DATA names."
    )
    if not fetch:
        looked = ", ".join(location.folder for location in places)
        raise FileNotFoundError(f"{name} is not in {looked}. {advice}")
    try:
        for part in cache.missing:
            urls = [f"{mirror}{part}.gz" for mirror in PUBLISHED[name].mirrors]
            path = os.path.join(cache.folder, f"{part}.gz")
            download(urls, path, PUBLISHED[name].digests[part])
    except OSError as error:
        raise OSError(f"{error}\n{advice}") from error
    return find_parts(cache.folder)
