"""Background load: other programs that use every core while frameworks are timed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import machine

# Computes for 10 ms, then sleeps, so that it uses this share of a core that it has for itself.
PROGRAM = """
import sys, time
share = float(sys.argv[1])
values = list(range(20_000))
while True:
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        sum(values)
    time.sleep(0.01 * (1 / share - 1))
"""


@contextmanager
def busy(share: float) -> Iterator[None]:
    """Run a program on each core that uses this share of it; with 0, none."""
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(share)])
        for _ in range(machine.cores() if share else 0)
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
