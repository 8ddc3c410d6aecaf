"""The IDX format, the file format of MNIST and its successors.

An IDX file is a header and an array. The header is two zero bytes, a byte for the type, a byte
for the number of dimensions, and each dimension as a 32-bit number; all numbers are big-endian.
Files are often compressed by gzip, with or without ``.gz`` in the name, so compression is
recognized by the first two bytes, not by the name.

A folder of the MNIST family has four such files: images and labels, for training and for the test.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from nnreg._support.files import check_path, open_regular
from nnreg._support.npz import unpacked_limit
from nnreg._support.tables import printable
from nnreg._support.typing import Array
from nnreg.datasets.dataset import Split

PARTS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The four files of a folder, in the order in which they are read."""

_GZIP = b"\x1f\x8b"
_DIMENSIONS = 32  # at most, as long in NumPy
_HEADER = 4 + 4 * _DIMENSIONS  # bytes of the longest header
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Read one IDX file, compressed or not.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ndarray
        In this machine's byte order: uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    ValueError
        If the file is not IDX, truncated or too long, or a gzip file that unpacks to more than
        16 MiB and ten times its size; the message names the file.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "three-labels"
    ...     size = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    file = check_path("path", path)
    return decode_idx(read_bytes(file), printable(file, None))


def read_bytes(path: str) -> bytes:
    """Return the bytes of an IDX file, decompressed if it is a gzip file.

    They are read only if the header states their number, so that a file of a few bytes, or one that
    is not IDX, takes no memory.

    Raises
    ------
    ValueError
        As for `decode_idx` and `decompress`.
    OSError
        If the file cannot be opened.
    """
    with open_regular(path) as file:
        source = printable(path, None)
        if file.peek(2)[:2] != _GZIP:
            _check_size(file.peek(_HEADER)[:_HEADER], os.fstat(file.fileno()).st_size, source)
        return decompress(file.read(), source)


def decompress(raw: bytes, source: str) -> bytes:
    """Return the bytes of an IDX file, decompressed if they are in gzip format.

    Parameters
    ----------
    raw : bytes
    source : str
        Where the bytes came from, for the error.

    Raises
    ------
    ValueError
        If compressed bytes are damaged, are not as many as the header of the IDX file in them
        states, or are more than 16 MiB and ten times their compressed number.

    Examples
    --------
    >>> import gzip
    >>> number = bytes([0, 0, 8, 1, 0, 0, 0, 1, 5])
    >>> decompress(gzip.compress(number), "a.gz") == decompress(number, "a") == number
    True
    >>> decompress(gzip.compress(bytes([0, 0, 8, 1, 9, 0, 0, 0])), "a.gz")
    Traceback (most recent call last):
        ...
    ValueError: a.gz: unpacks to 150,994,952 bytes; at most 16,777,216 are read from a gzip file of
    this size (16 MiB, or ten times its size). If the file is right, unpack it by gunzip
    """
    if raw[:2] != _GZIP:
        return raw
    import zlib

    stream = zlib.decompressobj(wbits=31)  # one gzip file
    try:
        head = stream.decompress(raw, _HEADER)
        expected, limit = _get_size(head, source), unpacked_limit(len(raw))
        if expected > limit:
            raise ValueError(
                f"{source}: unpacks to {expected:,} bytes; at most {limit:,} are read from a gzip "
                "file of this size (16 MiB, or ten times its size). If the file is right, unpack "
                "it by gunzip"
            )
        more = max(1, expected + 1 - len(head))  # one byte more than there should be
        content = head + stream.decompress(stream.unconsumed_tail, more)
    except zlib.error as error:
        raise ValueError(f"{source}: damaged gzip data: {error}") from error
    if len(content) <= expected and not stream.eof:
        raise ValueError(f"{source}: damaged gzip data: they end after {len(content):,} bytes")
    if stream.unused_data or len(content) > expected:
        raise ValueError(f"{source}: trailing bytes after {expected:,} bytes")
    return content


def decode_idx(raw: bytes, source: str) -> Array:
    """Return the array that the bytes of an IDX file describe.

    Parameters
    ----------
    raw : bytes
        The whole file, not compressed.
    source : str
        Where the bytes came from, for the error.

    Returns
    -------
    ndarray
        As for `read_idx`.

    Raises
    ------
    ValueError
        If the bytes are not IDX, truncated or too long.

    Examples
    --------
    >>> decode_idx(bytes([0, 0, 11, 1, 0, 0, 0, 1, 1, 2]), "one number of 16 bits")
    array([258], dtype=int16)
    """
    dtype, shape, start = _read_header(raw, source)
    _check_size(raw[:_HEADER], len(raw), source)
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _read_header(raw: bytes, source: str) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return the type of the numbers, the shape, and the number of bytes before them."""
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _TYPES or not 1 <= raw[3] <= _DIMENSIONS:
        raise ValueError(
            f"{source}: not an IDX file: starts with {raw[:4].hex(' ') or 'nothing'}, not 00 00, "
            "a type (08, 09, 0b, 0c, 0d or 0e) and a number of dimensions (01 to 20)"
        )
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise ValueError(f"{source}: truncated header: {len(raw)} bytes, expected {start}")
    shape = tuple(np.frombuffer(raw, ">u4", count=raw[3], offset=4).tolist())
    return np.dtype(_TYPES[raw[2]]), shape, start


def _get_size(head: bytes, source: str) -> int:
    """Return the number of bytes of an IDX file by its header."""
    dtype, shape, start = _read_header(head, source)
    return start + dtype.itemsize * math.prod(shape)


def _check_size(head: bytes, size: int, source: str) -> None:
    """Raise ``ValueError`` unless a file has as many bytes as its header states."""
    expected = _get_size(head, source)
    if size != expected:
        fault = "truncated" if size < expected else "trailing bytes"
        shape = _read_header(head, source)[1]
        raise ValueError(f"{source}: {fault}: {size} bytes, expected {expected} for shape {shape}")


def find_parts(folder: str) -> dict[str, str]:
    """Return the paths of the existing files of an MNIST-like folder.

    Parameters
    ----------
    folder : str or path
        The folder. Two spellings are recognized, ``train-images-idx3-ubyte`` and
        ``train-images.idx3-ubyte``, both also with ``.gz``.

    Returns
    -------
    dict of str to str
        Paths by the names in `PARTS`; missing files are omitted.

    Examples
    --------
    >>> find_parts("no/such/folder")
    {}
    """
    paths = {}
    for part in PARTS:
        dotted = part.replace("-idx", ".idx")
        names = (part, f"{part}.gz", dotted, f"{dotted}.gz")
        for path in (os.path.join(folder, name) for name in names):
            if part not in paths and os.path.isfile(path):
                paths[part] = path
    return paths


def read_idx_folder(folder: str | os.PathLike[str]) -> tuple[Split, Split]:
    """Read the four files of an MNIST-like folder.

    Parameters
    ----------
    folder : str or path
        Folder with the files of `PARTS`, each compressed or not.

    Returns
    -------
    training : (x, y)
        ``x`` float32 of shape (N, D), each image in one row, its bytes divided by 255, so in [0,
        1]; ``y`` int64 of shape (N,), the labels as stored.
    test : (x_test, y_test)
        The same for the files that start with ``t10k``.

    Raises
    ------
    FileNotFoundError
        If files are missing; all of them are named.
    ValueError
        If the content of a file does not match its name, or images and labels differ in number.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = read_idx_folder("emnist-letters")  # doctest: +SKIP
    """
    paths = find_parts(check_path("folder", folder))
    missing = [part for part in PARTS if part not in paths]
    if missing:
        raise FileNotFoundError(
            f"{printable(os.fspath(folder), None)}: no {', '.join(missing)} (nor with .gz)"
        )
    return join_parts(
        {part: (read_idx(path), printable(path, None)) for part, path in paths.items()}
    )


def join_parts(parts: dict[str, tuple[Array, str]]) -> tuple[Split, Split]:
    """Return features and labels made of four arrays.

    Parameters
    ----------
    parts : dict
        For each name in `PARTS` the array and the path it came from.

    Returns
    -------
    training, test : (x, y)
        As for `read_idx_folder`.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not match.
    """
    images, labels, test_images, test_labels = (parts[part] for part in PARTS)
    training, test = _pair(images, labels), _pair(test_images, test_labels)
    if images[0].shape[1:] != test_images[0].shape[1:]:
        raise ValueError(
            f"{test_images[1]}: images of {test_images[0].shape[1:]}, "
            f"but those of {images[1]} are {images[0].shape[1:]}"
        )
    return training, test


def _pair(images: tuple[Array, str], labels: tuple[Array, str]) -> Split:
    x, y = images[0], labels[0]
    if x.dtype != np.uint8 or x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{images[1]}: images must be uint8 of shape (N, height, width), "
            f"got {x.dtype} of shape {x.shape}"
        )
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise ValueError(
            f"{labels[1]}: labels must be whole numbers of shape ({len(x)},), one for each image, "
            f"got {y.dtype} of shape {y.shape}"
        )
    pixels = x.reshape(len(x), -1)
    return np.divide(pixels, np.float32(255), dtype=np.float32), y.astype(np.int64)
