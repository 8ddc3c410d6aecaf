"""What a library must leave as it was: settings and generators that belong to the process."""

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize  # noqa: F401  # adds filters of warnings when it is first imported
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from nnreg._support import blas

# Set by pytest for each test, and by joblib and polars when they are first imported.
THIRD_PARTY = {"PYTEST_CURRENT_TEST", "KMP_INIT_AT_FORK", "_RJEM_MALLOC_CONF"}


def process_state() -> dict[str, Any]:
    """Return the settings and global generators of the process, to be compared."""
    environment = {k: v for k, v in os.environ.items() if k not in THIRD_PARTY}
    name, words, *position = np.random.get_state()  # (compared only)
    libraries = blas._libraries(len(sys.modules))
    state: dict[str, Any] = {
        "the environment": environment,
        "the folder": os.getcwd(),
        "sys.path": sys.path.copy(),
        "random": random.getstate(),
        "np.random": (name, words.tobytes(), *position),
        "np.geterr": (np.geterr(), np.geterrcall()),
        "np.getbufsize": np.getbufsize(),
        "np.get_printoptions": np.get_printoptions(),
        "the filters of warnings": warnings.filters.copy(),
        "warnings.showwarning": warnings.showwarning,
        "handlers": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "BLAS threads": {library.filepath: library.num_threads for library in libraries},
    }
    if matplotlib := sys.modules.get("matplotlib"):
        matplotlib.get_backend()  # chosen now, and not by the test that imports pyplot first
        state["matplotlib's settings"] = dict(dict.items(matplotlib.rcParams))
    return state


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what differs; what was not loaded before may be there now."""
    result = [name for name in before if name != "BLAS threads" and after[name] != before[name]]
    loaded = before["BLAS threads"]
    same = all(after["BLAS threads"][path] == number for path, number in loaded.items())
    return result if same else [*result, "BLAS threads"]


def threads() -> list[int]:
    """Return how many threads each loaded BLAS may use."""
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


def set_threads(number: int) -> None:
    """Set them as an earlier part of the program may have: in a thread that has ended since.

    Since version 3.8 threadpoolctl lets one thread at a time set limits, the first that does, until
    it ends or gives control back.
    """
    for library in ThreadpoolController().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
    in_a_thread(lambda: threadpool_limits(number, user_api="blas"))


def in_a_thread(act: Callable[[], Any]) -> None:
    worker = threading.Thread(target=act)
    worker.start()
    worker.join()
