"""The `nnreg` command; outside the package, so that Ctrl-C while it is imported is one line too."""

import signal
import sys


def main() -> int:
    """Run the command of the process, and return the exit status."""
    try:
        from nnreg.commands.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("nnreg: interrupted; nothing was written\n")
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process ends now
