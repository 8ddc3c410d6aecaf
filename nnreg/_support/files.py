"""Atomic file writing: a file is written completely or not at all, and replaced only on request."""

from __future__ import annotations

import io
import os
import platform
import re
import stat
from contextlib import suppress


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
            f"{path} is a pipe or a device; its content must be in a regular file to be read"
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
    IsADirectoryError, FileNotFoundError
        If the path is a folder, or the folder of the file does not exist.

    Examples
    --------
    >>> check_target("/nowhere/a.txt")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder /nowhere to write a.txt into
    """
    target = os.path.abspath(check_path("path", path))
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder} to write {name} into")
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
    kept. The temporary file is called ``.nnreg-*.tmp`` and is removed after an error; only a
    process that is killed can leave it behind, and :func:`remove_leftovers` removes it then.

    Parameters
    ----------
    path : path
    content : bytes
    overwrite : bool, default False
        If False, a file that exists is an error, even if it appears during the call.

    Raises
    ------
    OSError
        As in :func:`check_target`, or if the content cannot be written.

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
    temporary = os.path.join(os.path.dirname(target), _temporary_name())
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(temporary, target)
        else:
            _move_to_new(temporary, target)
    finally:
        with suppress(FileNotFoundError):  # it was renamed
            os.unlink(temporary)


def _temporary_name() -> str:
    """Return a new name with the computer and the process in it."""
    computer = re.sub(r"\W", "", platform.node())
    return f".nnreg-{computer}-{os.getpid()}-{os.urandom(8).hex()}.tmp"


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files that processes of this computer left when they were killed.

    >>> import tempfile, pathlib
    >>> remove_leftovers(tempfile.mkdtemp())
    """
    if os.name != "posix":  # elsewhere, asking for a process might end it
        return
    pattern = re.compile(
        re.escape(_temporary_name().rsplit("-", 2)[0]) + r"-(\d+)-[0-9a-f]{16}\.tmp"
    )
    for name in os.listdir(folder):
        match = pattern.fullmatch(name)
        if match and not _is_running(int(match[1])):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to someone else
        return True
    return True


def _move_to_new(temporary: str, target: str) -> None:
    """Rename the file to a name that does not exist yet; of several processes one succeeds."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise FileExistsError(f"{target} exists; overwrite=True replaces it") from None
    except OSError:  # a file system without hard links
        with open(target, "xb"):
            os.replace(temporary, target)
