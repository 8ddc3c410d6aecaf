"""NPZ files from any source: read without pickle, each size checked before memory is allocated.

An ``.npz`` file is a zip archive whose members are arrays, each a header (dtype, memory order,
shape) and values. Any part may be damaged or malicious: names that occur twice, a header that
states 10**12 values, a megabyte that unpacks to a gigabyte. `ArrayFile` reads the names, then the
header of an array, and its values only if header, member and limit agree.
"""

from __future__ import annotations

import io
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np

from nnreg._support.files import open_regular
from nnreg._support.tables import listed, printable
from nnreg._support.typing import Array

_BLOCK = 2**18  # bytes: the longest read, so the size of the archive's directory too


def unpacked_limit(size: int) -> int:
    """Return how many bytes a compressed file of ``size`` bytes may unpack to.

    16 MiB, or ten times its size if this is more. A file that is not compressed has no limit.

    >>> unpacked_limit(1_000), unpacked_limit(10_000_000)
    (16777216, 100000000)
    """
    return max(2**24, 10 * size)


class Header(NamedTuple):
    """The header of an array in a file.

    Attributes
    ----------
    dtype : dtype
    shape : tuple of int
    fortran : bool
        Whether the values are stored in column-major order.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool


class ZipReader:
    """The members of a zip file, each size checked before memory is allocated.

    It is a context manager.

    Parameters
    ----------
    path : str
        A regular file. Members are stored or compressed by deflate.
    kind : str
        The format, for an error.
    cure : str
        A line that saves the file without compression, for an error.

    Attributes
    ----------
    names : tuple of str
        The names of the members, in the order of the file.

    Raises
    ------
    ValueError
        If the file is not an archive, is damaged, has a name twice, or unpacks to more than
        `unpacked_limit` bytes. The message begins with the path.
    OSError
        If the file cannot be opened.
    """

    _suffix = ""  # that is no part of a name

    def __init__(self, path: str, kind: str, cure: str) -> None:
        import zipfile

        self._path, self._cure = printable(path, None), cure
        self._stream = _ShortReads(open_regular(path))
        try:
            with _name(self._path):
                size = self._stream.seek(0, io.SEEK_END)
                self._stream.seek(0)
                if self._stream.read(4) != b"PK\3\4":
                    raise ValueError(f"not {kind} file (its first bytes are not a zip header)")
                self._zip = zipfile.ZipFile(self._stream)
                members = self._zip.infolist()
                names = [member.filename.removesuffix(self._suffix) for member in members]
                if doubled := [name for name, count in Counter(names).items() if count > 1]:
                    raise ValueError(f"two members have the name {listed(doubled)}")
        except BaseException:
            self._stream.close()
            raise
        self._limit = self._left = unpacked_limit(size)
        self.names = tuple(names)
        self._members = dict(zip(self.names, members, strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()
        self._stream.close()

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a member."""
        with self._open(name) as (member, size):
            self._left -= size
            return b"".join(iter(lambda: member.read(_BLOCK), b""))

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[Any, int]]:
        """Open a member of an allowed size; return it with this size."""
        if name not in self._members:
            raise ValueError(f"{self._path}: there is no {printable(name)} in the file")
        info = self._members[name]
        with _name(f"{self._path}, {printable(name)}"):
            if info.compress_type not in (0, 8):
                raise ValueError("neither stored nor compressed by deflate")
            if info.file_size > self._left:
                size = sum(member.file_size for member in self._members.values())
                raise ValueError(
                    f"the members of the file unpack to {size:,} bytes; at most {self._limit:,} "
                    "are read from a compressed file of this size (16 MiB, or ten times its "
                    f"size). If the file is right, save it without compression: {self._cure}"
                )
            with self._zip.open(info) as member:
                yield member, info.file_size


class ArrayFile(ZipReader):
    """The arrays of an ``.npz`` file, read one by one. It is a context manager.

    Parameters
    ----------
    path : str
        A regular file.

    Attributes
    ----------
    names : tuple of str
        The names of the arrays, in the order of the file.

    Raises
    ------
    ValueError
        As for :class:`ZipReader`, or if an array needs pickle.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.npz")
    >>> np.savez(path, x=np.arange(3))
    >>> with ArrayFile(path) as file:
    ...     file.names, file.header("x").shape, file.read("x")
    (('x',), (3,), array([0, 1, 2]))
    """

    _suffix = ".npy"

    def __init__(self, path: str) -> None:
        super().__init__(path, "an .npz", "numpy.savez(path, **numpy.load(path))")

    def header(self, name: str) -> Header:
        """Return the header of an array, which agrees with the size of the member."""
        with self._open_array(name) as (_, header):
            return header

    def read(self, name: str) -> Array:
        """Return an array of its shape, in this machine's byte order."""
        with self._open_array(name) as (member, (dtype, shape, fortran)):
            count = math.prod(shape)
            self._left -= count * dtype.itemsize
            values = np.empty(count, dtype)
            memory, begin = values.view(np.uint8).data, 0
            while block := member.read(_BLOCK):  # the last read compares the checksum
                memory[begin : begin + len(block)] = block
                begin += len(block)
            if begin < len(memory):
                raise ValueError(f"{begin:,} bytes of values, {len(memory):,} expected")
            array = values.astype(dtype.newbyteorder("="), copy=False)
            _check_values(array)
            return array.reshape(shape, order="F" if fortran else "C")

    @contextmanager
    def _open_array(self, name: str) -> Iterator[tuple[Any, Header]]:
        """Open a member at its values, with its header."""
        with self._open(name) as (member, size):
            header = _read_header(member)
            if header.dtype.hasobject:
                raise ValueError("an array of Python objects, which needs pickle")
            values = size - member.tell()
            if not header.dtype.itemsize or values != header.dtype.itemsize * math.prod(
                header.shape
            ):
                raise ValueError(
                    f"{values:,} bytes of values, which are not those of {header.dtype} "
                    f"and shape {header.shape}"
                )
            yield member, header


def _check_values(values: Array) -> None:
    """Raise ``ValueError`` for invalid bools and text, which NumPy does not check."""
    if values.dtype.kind == "b" and values.view(np.uint8).max(initial=0) > 1:
        raise ValueError("bools whose bytes are neither 0 nor 1")
    if values.dtype.kind == "U":
        codes = values.view(np.uint32)
        if codes.max(initial=0) > sys.maxunicode or ((codes >> 11) == 0x1B).any():  # a surrogate
            raise ValueError("text that is not Unicode")


class _ShortReads(io.BufferedReader):
    """A file that refuses a long read, such as that of a directory of a million names."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__(file.detach())

    def read(self, size: int | None = -1, /) -> bytes:
        size = _BLOCK if size is None or size < 0 else size  # zipfile reads the last 64 KiB so
        if size > _BLOCK:
            raise ValueError("damaged, or an archive of too many files")
        return super().read(size)


def _read_header(member: Any) -> Header:
    form = np.lib.format
    version = form.read_magic(member)
    read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format of arrays")
    shape, fortran, dtype = read(member)
    return Header(dtype, shape, fortran)


@contextmanager
def _name(where: str) -> Iterator[None]:
    """Begin any error inside the block with the place: damaged bytes fail in any part."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{where}: {printable(str(error) or type(error).__name__, 500)}"
        ) from error
