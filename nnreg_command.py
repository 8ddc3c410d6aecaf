"""The `nnreg` command; outside the package, so that Ctrl-C while it is imported is one line too."""

import os
import signal
import sys
from types import FrameType

MESSAGE = "nnreg: interrupted; nothing was written\n"
INTERRUPTED = 130


def main() -> int:
    """Run the command of the process, and return the exit status."""
    try:
        previous = signal.getsignal(signal.SIGINT)
        if previous is signal.default_int_handler:  # under nohup, it is ignored
            signal.signal(signal.SIGINT, _leave)
        from nnreg.commands.main import main as run

        signal.signal(signal.SIGINT, previous)
        return run()
    except KeyboardInterrupt:
        sys.stderr.write(MESSAGE)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process ends now


def _leave(number: int, frame: FrameType | None) -> None:
    """End the process: of an exception in an import, NumPy makes an error of the installation."""
    os.write(2, MESSAGE.encode())
    os._exit(INTERRUPTED)
