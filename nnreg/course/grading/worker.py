"""Worker process, in which a submission runs.

It is started as a script, so that nothing of nnreg is imported unless the exercise allows it. The
lines that it reads from stdin and writes to stdout are messages of a `Wire`. The output of the
submission is redirected to stderr, which is a file.

The results of the submission are checked in another process. An audit hook, which cannot be
removed, refuses other modules, files, processes and signals, which no exercise needs.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
if TYPE_CHECKING or __name__ != "__main__":
    from nnreg.course.grading.submission import Submission, allowed, reason
    from nnreg.course.grading.wire import Wire, replaced
else:
    from submission import Submission, allowed, reason
    from wire import Wire, replaced

    sys.path.remove(str(FOLDER))

LARGEST_FILE = 16_000_000  # bytes


def main() -> None:
    """Answer the requests from stdin; end without the submission's ``atexit`` functions."""
    options = json.loads(sys.argv[1])
    modules, exit_now = tuple(options["modules"]), os._exit
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)

    def read() -> bytes:
        return source.readline() or exit_now(0)

    def write(message: bytes) -> None:
        target.write(message)
        target.flush()

    if "nnreg" in modules:
        sys.path.append(str(FOLDER.parents[2]))
        # BLAS has one thread here, and its libraries could not be searched for to limit them.
        vars(importlib.import_module("nnreg._support.blas"))["_libraries"] = lambda modules: []
    warnings.simplefilter("error", np.exceptions.ComplexWarning)
    server = Server(modules, read, write)
    limit(options["megabytes"])
    refuse(modules, os.getcwd())
    server.wire.wait()


class Server:
    """Server of the requests that the checks may send.

    Parameters
    ----------
    modules : tuple of str
        As for `Submission`.
    read, write : function
        As for `Wire`.
    """

    def __init__(
        self, modules: tuple[str, ...], read: Callable[[], bytes], write: Callable[[bytes], None]
    ) -> None:
        self._modules = modules
        self._submission: Any = None
        self._patches = ExitStack()
        functions: dict[str, Callable[..., Any]] = {
            "load": self._load,
            "begin": self._begin,
            "report": lambda: tuple(self._submission.report()),
            "answer": lambda name: self._submission.get(name),
            "library": importlib.import_module,
            "get": getattr,
            "set": setattr,
            "list": list,
            "patch": self._patch,
            "restore": self._patches.close,
        }
        self.wire = Wire(read, write, functions, worker=True, explain=self._explain)

    def _explain(self, error: BaseException) -> str:
        return str(self._submission.explain(error)) if self._submission else reason(error)

    def _load(self, raw: Any, notebook: bool) -> None:
        self._submission = Submission(raw.tobytes(), notebook, self._modules)

    def _begin(self, seed: int) -> None:
        """Seed the global generators, so that a check draws the same numbers each time."""
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the submission may use it
        self.wire.forget()

    def _patch(self, names: dict[str, Any]) -> None:
        self._patches.enter_context(replaced(self._submission.names, dict(names)))


def limit(megabytes: int) -> None:
    """Limit this process: ``megabytes`` of additional memory, no large files, no core dumps."""
    try:
        import resource
    except ImportError:  # on Windows only time and output are limited
        return
    statistics = Path("/proc/self/statm")
    pages = int(statistics.read_text().split()[0]) if statistics.exists() else 0
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + megabytes * 2**20,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    for kind, soft in limits.items():
        _, hard = resource.getrlimit(kind)
        try:
            new = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
            resource.setrlimit(kind, (new, new))
        except (ValueError, OSError):  # macOS refuses a limit below the mapped memory
            continue


def refuse(modules: tuple[str, ...], work: str) -> None:
    """Install the audit hook that refuses what no answer needs; see the module docstring.

    Files can be read in the folders of Python and its packages and in the working folder, and
    written in the working folder only. The hook uses no name that the submission could replace.
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
        *("cpython.", "resource.", "sqlite3."),
    )
    harmless = ("os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.getxattr")
    no_imports = {"_posixsubprocess", "subprocess", "multiprocessing", "ctypes", "socket"}
    # These reach files without an event of their own.
    no_imports |= {"readline", "_tkinter", "_dbm", "_gdbm", "_posixshmem", "_multiprocessing"}
    if "nnreg" not in modules:
        others = {"scipy", "torch", "tensorflow", "jax", "sklearn", "keras", "autograd"}
        no_imports |= others.difference(modules)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    may_import, inside = allowed, f"{work}/"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            name = str(arguments[0])
            top = name.partition(".")[0]
            if top in no_imports or (top == "nnreg" and not may_import(name, modules)):
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
