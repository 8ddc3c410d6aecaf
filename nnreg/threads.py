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
_active: list[Any] = []  # the limiter in force, once for each user


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Return the one controller: finding the loaded libraries takes a millisecond."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


@contextmanager
def blas_threads(limit: int | None) -> Iterator[None]:
    """Hold BLAS to ``limit`` threads inside the block; None leaves it alone.

    >>> with blas_threads(1):
    ...     pass
    """
    if limit is None:
        yield
        return
    with _lock:
        limiter = _active[0] if _active else _controller().limit(limits=limit, user_api="blas")
        _active.append(limiter)
    try:
        yield
    finally:
        with _lock:
            _active.pop()
            if not _active:
                limiter.restore_original_limits()
