"""MNIST and Fashion-MNIST: 70,000 images each, found on this machine or downloaded.

Both are four IDX files of the same names, searched for in the folder that the environment variable
``NNREG_DATA`` names (in its sub-folder ``mnist`` or ``fashion-mnist``, then in itself), then in the
user's cache, where downloads are stored. Every load compares the SHA-256 of the decompressed bytes,
which distinguishes the two data sets from each other and from damaged or modified copies; mirrors
may differ in compression. A download is checked before it is written, and files are written
atomically, so an interrupted or wrong download leaves no file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from nnreg._support import validation
from nnreg._support.files import write_whole
from nnreg.datasets.dataset import Split
from nnreg.datasets.idx import PARTS, decode_idx, decompress, find_parts, join_parts, read_bytes

FASHION_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
"""Classes of Fashion-MNIST, 0 to 9."""


@dataclass(frozen=True)
class RemoteDataset:
    """A data set that is not bundled with nnreg.

    Attributes
    ----------
    digests : dict of str to str
        For each name in `PARTS` the SHA-256 of the decompressed file.
    mirrors : tuple of str
        Addresses that have the files under these names with ``.gz``, tried in this order.
    licence : str
        The licence, and its source.
    """

    digests: dict[str, str]
    mirrors: tuple[str, ...]
    licence: str


REGISTRY = {
    "mnist": RemoteDataset(
        digests={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        licence="CC BY-SA 3.0 as stated by its distributors",
    ),
    "fashion-mnist": RemoteDataset(
        digests={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        licence="MIT, Zalando SE",
    ),
}
"""The remote data sets by name, which is also the name of their folder."""


@dataclass(frozen=True)
class Location:
    """A folder that is searched for a data set, and the files found there.

    Attributes
    ----------
    folder : str
    origin : {"NNREG_DATA", "user cache"}
        Source of the folder's name.
    parts : dict of str to str
        Paths of the files found, by the names in `PARTS`.

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
        """The missing files: tuple of str."""
        return tuple(part for part in PARTS if part not in self.parts)

    def is_other(self, name: str) -> bool:
        """Return whether a complete folder contains another data set, by its smallest file.

        In a folder that is named after the data set a different file is an error instead.
        """
        if os.path.basename(os.path.normpath(self.folder)) == name:
            return False
        return sha256(read_bytes(self.parts[PARTS[3]])) != REGISTRY[name].digests[PARTS[3]]


def load_mnist(*, fetch: bool = True) -> tuple[Split, Split]:
    """Return MNIST: handwritten digits, 60,000 to train on and 10,000 to test.

    Parameters
    ----------
    fetch : bool, default True
        Download the files, 11.6 MB, into the user's cache if they are not on this machine.

    Returns
    -------
    training : (x, y)
        ``x`` float32 of shape (60000, 784), in [0, 1]; ``y`` int64 of shape (60000,), the digit.
    test : (x_test, y_test)
        The same for 10,000 images.

    Raises
    ------
    OSError
        If the files are missing and cannot be downloaded; the message names the folder for them.
    ValueError
        If the SHA-256 of a file differs from the published one.

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


def load_fashion_mnist(*, fetch: bool = True) -> tuple[Split, Split]:
    """Return Fashion-MNIST: images of clothes, in the format and size of MNIST.

    Parameters, results and errors are those of `load_mnist`; the download has 30.9 MB, and the
    classes are `FASHION_NAMES`.

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
    """Return the folders that are searched for a data set, in order.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}

    Returns
    -------
    list of Location
        The last one is the user's cache.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> locations("mnist")[-1].origin
    'user cache'
    """
    validation.one_of("name", name, REGISTRY)
    folders = [(os.path.join(cache_folder(), name), "user cache")]
    if root := os.environ.get("NNREG_DATA"):
        folders = [(os.path.join(root, name), "NNREG_DATA"), (root, "NNREG_DATA"), *folders]
    return [Location(folder, origin, find_parts(folder)) for folder, origin in folders]


def _load(name: str, fetch: bool) -> tuple[Split, Split]:
    paths = _find(name, validation.flag("fetch", fetch))
    hint = (
        f". This is not the published {name}: remove the file, or read other data of this format "
        "with read_idx_folder"
    )
    arrays = {}
    for part in PARTS:
        raw = read_bytes(paths[part])
        check_digest(raw, REGISTRY[name].digests[part], paths[part], hint)
        arrays[part] = decode_idx(raw, paths[part]), paths[part]
    return join_parts(arrays)


def _find(name: str, fetch: bool) -> dict[str, str]:
    """Return the paths of the four files, downloaded if necessary."""
    candidates = locations(name)
    for location in candidates:
        if not location.missing and not location.is_other(name):
            return location.parts
    cache = candidates[-1]
    advice = (
        f"To use {name} without a download, put {', '.join(PARTS)} (each compressed by gzip "
        f"or not) into {cache.folder}, or into the folder {name} inside the folder NNREG_DATA"
    )
    if not fetch:
        folders = ", ".join(location.folder for location in candidates)
        raise FileNotFoundError(f"{name} is not in {folders}. {advice}")
    try:
        for part in cache.missing:
            urls = [f"{mirror}{part}.gz" for mirror in REGISTRY[name].mirrors]
            path = os.path.join(cache.folder, f"{part}.gz")
            download(urls, path, REGISTRY[name].digests[part])
    except OSError as error:
        raise OSError(f"{error}\n  {advice}") from error
    return find_parts(cache.folder)


def cache_folder() -> str:
    """Return the folder for downloads, by the operating system's convention.

    Returns
    -------
    str
        ``~/.cache/nnreg``, or in ``XDG_CACHE_HOME`` if that is set; on macOS
        ``~/Library/Caches/nnreg``; on Windows ``nnreg`` in ``LOCALAPPDATA``. It may not exist.

    Examples
    --------
    >>> os.path.basename(cache_folder())
    'nnreg'
    """
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return os.path.join(base, "nnreg")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal digits.

    >>> sha256(b"")[:16]
    'e3b0c44298fc1c14'
    """
    import hashlib

    return hashlib.sha256(data).hexdigest()


def check_digest(data: bytes, expected: str, source: str, hint: str = "") -> None:
    """Raise ``ValueError``, naming the source, unless decompressed bytes have this SHA-256.

    >>> check_digest(b"", sha256(b""), "nothing")
    """
    digest = sha256(data)
    if digest != expected:
        raise ValueError(
            f"{source}: wrong SHA-256 of the decompressed bytes: expected {expected}, got {digest}"
            f"{hint}"
        )


def download(urls: Sequence[str], path: str, expected: str, *, timeout: float = 30.0) -> None:
    """Download a file from the first address with the expected content.

    Parameters
    ----------
    urls : sequence of str
        Addresses of the same file, tried in this order.
    path : str
        Where to store the file, as the server sends it, compressed or not. Its folder is created
        if necessary.
    expected : str
        SHA-256 of the decompressed bytes.
    timeout : float, default 30
        Seconds to wait for each response of the server.

    Raises
    ------
    OSError
        If no address has the expected file; the message has the reasons. Nothing is written.

    Examples
    --------
    >>> download(["file:///no/such/file"], "copy", sha256(b"abc"))
    Traceback (most recent call last):
    ...
    OSError: copy could not be downloaded:
      file:///no/such/file: ...
    """
    import http.client
    import urllib.request

    failures = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                raw = response.read(2**26)  # twice the longest of these files
            check_digest(decompress(raw, url), expected, url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)  # of a URLError
            reason = (getattr(cause, "strerror", None) or str(cause)).removeprefix(f"{url}: ")
            failures.append(f"  {url}: {reason or type(error).__name__}")
        else:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            write_whole(path, raw, overwrite=True)
            return
    raise OSError("\n".join([f"{path} could not be downloaded:", *failures]))
