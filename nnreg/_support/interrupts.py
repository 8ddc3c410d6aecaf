"""Deferred Ctrl-C: SIGINT waits for the end of a step, so that no update is cut in two."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """The SIGINT that has arrived, kept until :meth:`check`.

    A second one, while the first is waiting, is handled at once if it arrives inside :meth:`call`.
    It ends a step or a callback that hangs.

    Parameters
    ----------
    handler : callable or None
        What SIGINT does otherwise: raise ``KeyboardInterrupt``, or what the program has installed.

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
        """Keep a first SIGINT; pass a second one on."""
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
        """Handle a SIGINT that has arrived."""
        if self.pending:
            self.pending = False
            self.handler(signal.SIGINT, sys._getframe(1))


@contextmanager
def signal_handler(number: int, handler: Any) -> Iterator[None]:
    """Handle a signal in the block by ``handler``; only Python's main thread can."""
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
    """Defer SIGINT inside the block, and put the previous handler back at its end.

    Only Python's main thread receives signals, so in another thread no handler is touched; nor is
    one that ignores SIGINT or was not installed from Python. Inside another such block, the
    outer one's :class:`Interrupts` serve both.
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
