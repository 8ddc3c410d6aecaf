"""Deferred Ctrl-C: SIGINT is handled after the current step, so that no update is partial."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """A received SIGINT, stored until :meth:`check`.

    A second one while the first is pending is handled immediately inside :meth:`call`, to end a
    step or a callback that hangs.

    Parameters
    ----------
    handler : callable or None
        The previous handler of SIGINT; by default Python's, which raises ``KeyboardInterrupt``.

    Examples
    --------
    >>> previous = signal.signal(signal.SIGINT, lambda number, frame: print("SIGINT"))
    >>> with defer_interrupts() as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("the step is finished")
    ...     interrupts.check()
    the step is finished
    SIGINT
    >>> _ = signal.signal(signal.SIGINT, previous)
    """

    def __init__(self, handler: Any) -> None:
        self.handler = handler
        self.pending = self.calling = False

    def receive(self, number: int, frame: Any) -> None:
        """Store a first SIGINT; handle a second one immediately."""
        if self.pending and self.calling:
            self.pending = self.calling = False
            self.handler(number, frame)
        else:
            self.pending = True

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(*arguments)``, which a second SIGINT may end."""
        calling, self.calling = self.calling, True
        try:
            return function(*arguments)
        finally:
            self.calling = calling

    def check(self) -> None:
        """Handle a pending SIGINT."""
        if self.pending:
            self.pending = False
            self.handler(signal.SIGINT, sys._getframe(1))


@contextmanager
def signal_handler(number: int, handler: Any) -> Iterator[None]:
    """Install a signal handler inside the block, in Python's main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, previous)


@contextmanager
def defer_interrupts() -> Iterator[Interrupts]:
    """Defer SIGINT inside the block, and restore the previous handler at its end.

    Only Python's main thread receives signals, so no handler is replaced in another thread. A
    handler that ignores SIGINT or was not installed from Python is not replaced either. Nested
    blocks share the :class:`Interrupts` of the outer one.
    """
    handler = None
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)
    outer = getattr(handler, "__self__", None)
    if isinstance(outer, Interrupts) or not callable(handler):
        yield outer if isinstance(outer, Interrupts) else Interrupts(handler)
        return
    interrupts = Interrupts(handler)
    try:
        signal.signal(signal.SIGINT, interrupts.receive)
        yield interrupts
    finally:
        if signal.getsignal(signal.SIGINT) == interrupts.receive:
            signal.signal(signal.SIGINT, handler)
        interrupts.check()
