"""Files are written whole or not at all, and nothing is overwritten without being asked."""

from __future__ import annotations

import os


def check_path(name: str, value: object) -> str:
    """Return ``value`` as text if it is a path: a str or a ``pathlib.Path``.

    ``open`` takes a number for a file descriptor, and closes it; so a number is refused.

    >>> check_path("path", 1)
    Traceback (most recent call last):
        ...
    TypeError: path must be a str or a pathlib.Path, got 1
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or a pathlib.Path, got {value!r}")
    return text


def write_whole(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> None:
    """Write ``content`` to a new file beside ``path``, then put it in its place in one move.

    Parameters
    ----------
    path : path
    content : bytes
    overwrite : bool, default False

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is False.

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
    import tempfile

    path = check_path("path", path)
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists; overwrite=True replaces it")
    folder, own_name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder} to write {own_name} into")
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{own_name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes files that only their owner can read
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
