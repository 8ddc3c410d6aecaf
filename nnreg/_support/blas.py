"""The number of threads that BLAS may use, for as long as a block of code runs.

The limit belongs to the whole process, so overlapping requests are counted: the first one's limit
holds until the last one has ended, and then BLAS is as it was found.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_lock = threading.Lock()
_users = 0
_found: list[tuple[Any, int]] = []  # each BLAS library, and its number of threads before the first


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Return the one controller: finding the loaded libraries takes a millisecond."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _libraries() -> list[Any]:
    return [lib for lib in _controller().lib_controllers if lib.user_api == "blas"]


def _set(library: Any, count: int) -> None:
    """Set the number of threads, whichever Python thread asks."""
    # From 3.8 on threadpoolctl obeys only the thread that set a limit first. Here the count of
    # users decides, so nobody keeps that control.
    release = getattr(library, "clear_controlling_thread", lambda force: None)
    release(force=True)
    library.set_num_threads(count)
    release(force=True)


@contextmanager
def blas_threads(limit: int | None) -> Iterator[None]:
    """Hold BLAS to ``limit`` threads inside the block; None leaves it alone.

    >>> with blas_threads(1):
    ...     pass
    """
    global _users
    if limit is None:
        yield
        return
    with _lock:
        if not _users:
            _found[:] = [(library, library.num_threads or 1) for library in _libraries()]
            for library, _ in _found:
                _set(library, limit)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for library, count in _found:
                    _set(library, count)
