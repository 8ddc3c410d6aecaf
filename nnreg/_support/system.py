"""Differences between operating systems: renaming, folders, processes and the console.

The other modules use the same calls on Linux, macOS and Windows. Modules that only some of them
have are imported where they are used.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

WINDOWS = os.name == "nt"
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # seconds between attempts to replace an open file

_reserved: set[int] = set()  # descriptors of reserved folders


def replace_file(source: str, target: str) -> None:
    """Rename a file to a name that may exist.

    Windows refuses this while a program, such as a virus scanner, has the target open. Then it is
    tried again, for less than a second.
    """
    for pause in PAUSES if WINDOWS else ():
        with suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(pause)
    os.replace(source, target)


def create_file(source: str, target: str) -> None:
    """Rename a file to a new name. Of several processes, one succeeds.

    The others get a ``FileExistsError``. On a file system without hard links the name has an empty
    file for a moment.
    """
    if WINDOWS:
        os.rename(source, target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links
        with open(target, "xb"):
            try:
                os.replace(source, target)
            except BaseException:
                os.unlink(target)
                raise


def copy_permissions(status: os.stat_result, target: str) -> None:
    """Give a file the permissions and, if that is allowed, the owner and group of another."""
    if not WINDOWS:
        with suppress(OSError):
            os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, status.st_mode & 0o7777)


def flush_folder(folder: str) -> None:
    """Write the names in a folder to the disk, where the system can do that."""
    if WINDOWS:
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def reserve_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Exclude other calls, of this and of other processes, from a folder inside the block.

    A process that is killed releases its folders.

    Raises
    ------
    BlockingIOError
        If the folder is reserved.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with reserve_folder(folder), reserve_folder(folder):
    ...     pass
    Traceback (most recent call last):
        ...
    BlockingIOError: ... is in use by another run: wait for its end, or name another folder
    """
    message = f"{folder} is in use by another run: wait for its end, or name another folder"
    if sys.platform == "win32":
        # deleted by Windows when it is closed, even if the process is killed
        name, flags = os.path.join(folder, ".nnreg-reserved"), os.O_RDWR | os.O_TEMPORARY
        try:
            descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL)
        except (FileExistsError, PermissionError):
            raise BlockingIOError(message) from None
    else:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BlockingIOError(message) from None
        except OSError:  # a file system without locks
            pass
    _reserved.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _reserved:  # not in a child that was forked inside the block
            _reserved.remove(descriptor)
            if sys.platform != "win32":
                with suppress(OSError):  # closing would leave it to a child that holds a copy
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _release_in_child() -> None:
    """Close a forked child's copies, which would keep the folders reserved after its parent."""
    while _reserved:
        os.close(_reserved.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


def is_running(process: int) -> bool:
    """Return whether a process of this number is running, or True if this cannot be found out.

    >>> is_running(os.getpid())
    True
    """
    if WINDOWS:  # where os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True


def end_with_parent(parent: int) -> None:
    """End this worker process as soon as its parent is no longer the process of this number.

    On Windows the parent's number does not change; a worker runs there until its pool ends it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    if all(thread.name != "end_with_parent" for thread in threading.enumerate()):
        threading.Thread(target=watch, name="end_with_parent", daemon=True).start()


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started with ``start_new_session``, and those that it started."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # on macOS, if all have ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def accept_any_text(stream: Any) -> None:
    """Let a console print ``?`` for characters, such as ± and ², that its encoding lacks."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
