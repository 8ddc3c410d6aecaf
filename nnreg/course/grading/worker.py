"""Worker process, in which a submission runs.

It is started as a script, so that nothing of nnreg is imported unless the exercise allows it. The
first line of stdin is the job, as JSON; the others are messages of a `Wire`, as are the lines that
it writes to stdout. The stdout of the submission is another one: its output goes into a file.

The results of the submission are checked in another process. An audit hook, which cannot be
removed, refuses what no exercise needs: other modules, files, processes, signals.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
if TYPE_CHECKING or __name__ != "__main__":
    from nnreg.course.grading.submission import Submission, allowed, reason
    from nnreg.course.grading.wire import Wire, replace_names, restore_names
else:
    sys.path.insert(0, str(FOLDER))
    from submission import Submission, allowed, reason
    from wire import Wire, replace_names, restore_names

    sys.path.remove(str(FOLDER))

PRINTED = 1_000_000  # bytes that one check may print
LARGEST_FILE = 16 * PRINTED


def main() -> None:
    """Do what stdin says, and end without the submission's ``atexit``."""
    read, write = separate_streams()
    job = json.loads(read())
    modules = tuple(job["modules"])
    if "nnreg" in modules:
        sys.path.append(job["above"])
        __import__("nnreg")
    warnings.simplefilter("error", np.exceptions.ComplexWarning)
    server = Server(base64.b64decode(job["submission"]), job["notebook"], modules)
    wire = Wire(read, write, server.functions, trusting=True, explain=server.explain)
    server.forget = wire.forget
    write(b"{}\n")
    limit(job["megabytes"])
    refuse(modules, os.getcwd())
    wire.wait()


def separate_streams() -> tuple[Callable[[], bytes], Callable[[bytes], None]]:
    """Keep stdin and stdout for messages, and send what is printed to the file of ``argv``."""
    source, goal = os.fdopen(os.dup(0), "rb"), os.dup(1)
    printed = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for stream, handle in enumerate((nothing, printed, printed)):
        os.dup2(handle, stream)
    os.close(printed)
    os.close(nothing)
    streams, send, leave = (sys.stdout, sys.stderr), os.write, os._exit

    def read() -> bytes:
        return source.readline() or leave(0)

    def write(message: bytes) -> None:
        for stream in streams:
            try:
                stream.flush()
            except (OSError, ValueError):  # full, or closed by the submission
                continue
        rest = memoryview(message)
        while rest:
            rest = rest[send(goal, rest) :]

    return read, write


class Server:
    """Server of the requests that the checks may send.

    Parameters
    ----------
    raw : bytes
    notebook : bool
    modules : tuple of str
        As for `Submission`.
    """

    def __init__(self, raw: bytes, notebook: bool, modules: tuple[str, ...]) -> None:
        self._arguments = raw, notebook, modules
        self._submission: Any = None
        self._patches: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.forget: Callable[[], None] = lambda: None
        self.functions: dict[str, Callable[..., Any]] = {
            "load": self._load,
            "begin": self._begin,
            "report": lambda: tuple(self._submission.report()),
            "answer": lambda name: self._submission.get(name),
            "library": __import__,
            "get": getattr,
            "set": setattr,
            "list": list,
            "patch": self._patch,
            "restore": lambda: restore_names(self._submission.names, *self._patches.pop()),
        }

    def explain(self, error: BaseException) -> str:
        """Return why something failed, for a student."""
        return str(self._submission.explain(error)) if self._submission else reason(error)

    def _load(self) -> None:
        self._submission = Submission(*self._arguments)

    def _begin(self, seed: int) -> None:
        """Seed the global generators, so that a check draws the same each time."""
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - it is the submission that may draw from there
        self.forget()

    def _patch(self, names: dict[str, Any]) -> None:
        self._patches.append((dict(names), replace_names(self._submission.names, names)))


def limit(megabytes: int) -> None:
    """Limit this process: ``megabytes`` more memory than now, no large files, no core dumps."""
    try:
        import resource
    except ImportError:  # on Windows the limits of time and of what is printed remain
        return
    statistics = Path("/proc/self/statm")
    pages = int(statistics.read_text().split()[0]) if statistics.exists() else 0
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + megabytes * 2**20,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        _, hard = resource.getrlimit(kind)
        try:
            lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (lower, lower))
        except (ValueError, OSError):  # macOS refuses a limit below what it has mapped itself
            continue


def refuse(modules: tuple[str, ...], work: str) -> None:
    """Refuse, from now on, what no answer needs; see the module's text.

    Files can be read where Python and its packages are, and in the working folder; only there can
    they be written. The hook uses no name that the submission could replace.
    """
    package = str(FOLDER.parents[1])
    closed = f"{package}/course/" if "nnreg" in modules else f"{package}/"
    site = str(Path(np.__file__).parents[1])
    roots = tuple(f"{os.path.abspath(p)}/" for p in (sys.prefix, sys.base_prefix, site, work))
    if "nnreg" in modules:
        roots += (f"{package}/",)
    refused = (
        *("os.", "subprocess.", "socket.", "ctypes.", "gc.", "pty.", "shutil.", "fcntl."),
        *("_winapi.", "winreg.", "signal.", "syslog.", "sys.setprofile", "sys.settrace"),
        "cpython.",
    )
    harmless = ("os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.getxattr")
    processes = ("_posixsubprocess", "subprocess", "multiprocessing", "ctypes", "socket")
    others = ("scipy", "torch", "tensorflow", "jax", "sklearn", "keras", "autograd")
    libraries = () if "nnreg" in modules else others
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    may_import, inside = allowed, f"{work}/"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            name = str(arguments[0])
            top = name.partition(".")[0]
            if top in processes or (top in libraries and top not in modules):
                raise ImportError(f"{name} cannot be imported here")
            if top == "nnreg" and not may_import(name, modules):
                raise ImportError(f"{name} cannot be imported here")
        elif event == "open":
            path, mode, flags = arguments
            if isinstance(path, bytes):
                path = path.decode(errors="replace")
            if isinstance(path, str):
                path = path.replace("\\", "/")
                writes = bool(flags & writing) or (isinstance(mode, str) and mode[:1] in "wax")
                relative = path[:1] != "/" and path[1:2] != ":"
                good = relative or path.startswith(inside if writes else roots)
                if ".." in path.split("/") or path.startswith(closed) or not good:
                    raise PermissionError(f"the file {path} cannot be opened here")
        elif event.startswith(refused) and event not in harmless:
            raise PermissionError(f"{event} cannot be used here")

    sys.addaudithook(hook)


if __name__ == "__main__":
    main()
