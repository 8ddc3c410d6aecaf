"""BLAS: thread limits, and ``axpby``, which NumPy does not offer.

A limit is the number of threads that BLAS may use while a block of code runs. It applies to the
whole process. Overlapping requests are therefore counted: the limit of the
first one applies until the last one has ended, and then the previous numbers are restored.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numpy as np

from nnreg._support.typing import Array

# A step whose matrix products have fewer multiplications, three for each weight and row, is faster
# with one thread: starting a second one takes longer than it saves.
MIN_MULTIPLICATIONS = 30_000_000

_lock = threading.RLock()  # a signal handler may fork while its thread has the lock
_users: list[int] = []  # the thread of each block that is running
_previous: list[tuple[Any, int]] = []  # each BLAS library, and its number of threads before


@contextmanager
def blas_threads(limit: int | None) -> Iterator[None]:
    """Limit BLAS to ``limit`` threads inside the block; with None, nothing changes.

    >>> with blas_threads(1):
    ...     pass
    """
    if limit is None:
        yield
        return
    user = threading.get_ident()
    with _lock:
        if not _users:
            _previous[:] = [
                (library, library.num_threads or 1) for library in _libraries(len(sys.modules))
            ]
            _set_threads([(library, limit) for library, _ in _previous])
        _users.append(user)
    try:
        yield
    finally:
        with _lock:
            _users.remove(user)
            if not _users:
                _set_threads(_previous)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> list[Any]:
    """Return the loaded BLAS libraries.

    Finding them takes a millisecond, so it is done again only if modules were imported since.
    """
    allowed = os.environ.get("KMP_DUPLICATE_LIB_OK")
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    if allowed is None:  # threadpoolctl sets it when it is imported
        os.environ.pop("KMP_DUPLICATE_LIB_OK", None)
    return [lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas"]


def _set_threads(counts: list[tuple[Any, int]]) -> None:
    """Set each library's number of threads, from any Python thread."""
    for library, count in counts:
        # Since version 3.8 threadpoolctl allows changes only by the thread that set a limit first.
        # The users are counted here instead, so the controlling thread is cleared before and after.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(count)
        release(force=True)


_AXPBY = {"f": ("cblas_saxpby", ctypes.c_float), "d": ("cblas_daxpby", ctypes.c_double)}


@cache
def find_axpby(dtype: np.dtype[Any]) -> Callable[[float, Array, float, Array], None] | None:
    """Return ``axpby(a, x, b, y)``, which sets ``y = a·x + b·y``, from NumPy's OpenBLAS.

    The arrays must be contiguous and writeable, of the same size, not empty, and of this dtype.
    Returns None if the dtype is neither float32 nor float64, or if NumPy uses another library.

    >>> find_axpby(np.dtype("int64")) is None
    True
    """
    if dtype.char not in _AXPBY:
        return None
    name, number = _AXPBY[dtype.char]
    libraries = [lib for lib in _libraries(len(sys.modules)) if lib.internal_api == "openblas"]
    for library in sorted(libraries, key=lambda lib: "numpy" not in lib.filepath):
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            routine = getattr(library.dynlib, prefix + name + suffix, None)
            if routine is not None:
                size, pointer = ctypes.c_int64 if suffix else ctypes.c_int, ctypes.c_void_p
                routine.argtypes = [size, number, pointer, size, number, pointer, size]
                routine.restype = None
                return _wrap_axpby(routine)
    return None


def _wrap_axpby(routine: Any) -> Callable[[float, Array, float, Array], None]:
    """Return the routine as a function of arrays."""
    address_of: Any = ctypes.byref
    byte_at: Any = ctypes.c_char.from_buffer  # faster than array.ctypes

    def axpby(a: float, x: Array, b: float, y: Array) -> None:
        routine(x.size, a, address_of(byte_at(x)), 1, b, address_of(byte_at(y)), 1)

    return axpby


def _restore_in_child() -> None:
    """In a forked child, end the blocks of the threads that the fork did not copy."""
    _users[:] = [user for user in _users if user == threading.get_ident()]
    if _previous and not _users:
        _set_threads(_previous)
    _lock.release()


# A fork waits for the lock, so that in the child it is free and the list of users is complete.
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_restore_in_child
    )


def describe_blas() -> str:
    """Return the names, versions and numbers of threads of the BLAS libraries that are loaded.

    They are sorted: threadpoolctl lists them in an order that differs between processes.

    >>> "threads" in describe_blas()
    True
    """
    return ", ".join(
        sorted(
            f"{lib.internal_api} {lib.version} {getattr(lib, 'architecture', '')}, "
            f"{lib.num_threads} threads"
            for lib in _libraries(len(sys.modules))
        )
    )
