"""Atomic file writing: a file is written completely or not at all, and replaced only on request."""

from __future__ import annotations

import io
import os
import platform
import re
import stat
from contextlib import suppress

from nnreg._support import system
from nnreg._support.tables import printable


def check_path(name: str, value: object) -> str:
    """Return ``value`` as text if it is a path: a str or a ``pathlib.Path``.

    A number is an error, because ``open`` would use it as a file descriptor and close it.

    >>> check_path("path", 1)
    Traceback (most recent call last):
        ...
    TypeError: path must be a str or a pathlib.Path, got 1
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or a pathlib.Path, got {value!r}")
    if not text or "\0" in text:
        raise ValueError(f"{name} must be the path of a file or folder, got {text!r}")
    return text


def open_regular(path: str) -> io.BufferedReader:
    """Open a regular file for reading its bytes: a pipe or a device may have no end.

    >>> open_regular("/dev/zero")
    Traceback (most recent call last):
        ...
    ValueError: /dev/zero is a pipe or a device; its content must be in a regular file to be read
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # of a folder, open says that it is one
        raise ValueError(
            f"{printable(path, None)} is a pipe or a device; its content must be in a regular file "
            "to be read"
        )
    return open(path, "rb")


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
    """Return the absolute path of a file that may be written.

    Parameters
    ----------
    path : path
    overwrite : bool, default False

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False; if the path is a symbolic link, a pipe or a
        device, which are never replaced or written to.
    IsADirectoryError, FileNotFoundError, PermissionError
        If the path is a folder, or the folder of the file does not exist or is read-only.

    Examples
    --------
    >>> check_target("/nowhere/a.txt")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder /nowhere to write a.txt into
    """
    text = check_path("path", path)
    target = os.path.abspath(text)
    folder, name = os.path.split(target)
    if text[-1] in (os.sep, os.altsep) and not os.path.isdir(target):
        raise IsADirectoryError(f"{text} names a folder; pass the path of a file: {target}")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder} to write {name} into")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} is read-only; pass a path in another folder")
    with suppress(FileNotFoundError):
        mode = os.lstat(target).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{target} is a folder; pass the path of a file")
        if not stat.S_ISREG(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a regular file"
            raise FileExistsError(f"{target} is {kind}; pass the path of a regular or a new file")
        if not overwrite:
            raise FileExistsError(f"{target} exists; overwrite=True replaces it")
    return target


def write_whole(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> None:
    """Write ``content`` to a temporary file beside ``path``, then rename it.

    At any time, ``path`` is the previous file or the new one. A replaced file's permissions are
    kept. The temporary file is called ``.nnreg-*.tmp`` and is removed after an error. If a process
    is killed and leaves it behind, the next file that is written into the folder removes it.

    Parameters
    ----------
    path : path
    content : bytes
    overwrite : bool, default False
        If False, a file that exists is an error, even if it appears during the call.

    Raises
    ------
    OSError
        As in :func:`check_target`, or if the content cannot be written; it names the file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_whole(folder / "a.txt", b"text")
    >>> write_whole(folder / "a.txt", b"other")
    Traceback (most recent call last):
        ...
    FileExistsError: ...a.txt exists; overwrite=True replaces it
    """
    target = check_target(path, overwrite=overwrite)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, _temporary_name())
    before = None
    try:
        if overwrite:
            with suppress(FileNotFoundError):
                before = os.stat(target)
        mode = 0o666 if before is None else 0o600  # never more open than the file it replaces
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            system.copy_permissions(before, temporary)
        (system.replace_file if overwrite else system.create_file)(temporary, target)
    except FileExistsError:
        raise FileExistsError(f"{target} exists; overwrite=True replaces it") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error  # not the temporary file
    finally:
        with suppress(FileNotFoundError):  # it was renamed
            os.unlink(temporary)
    system.flush_folder(folder)
    _remove_leftovers(folder)


def _temporary_name() -> str:
    """Return a new name with the computer and the process in it."""
    computer = re.sub(r"\W", "", platform.node())
    return f".nnreg-{computer}-{os.getpid()}-{os.urandom(8).hex()}.tmp"


def _remove_leftovers(folder: str) -> None:
    """Remove the temporary files that processes of this computer left when they were killed."""
    pattern = re.compile(
        re.escape(_temporary_name().rsplit("-", 2)[0]) + r"-(\d+)-[0-9a-f]{16}\.tmp"
    )
    with suppress(OSError):  # a folder that cannot be read, or files of another user
        for name in os.listdir(folder):
            match = pattern.fullmatch(name)
            if match and not system.is_running(int(match[1])):
                os.unlink(os.path.join(folder, name))
