"""Worker process, controlled by the grader: start, messages, limits, end.

The worker has an empty working folder and only the environment variables that Python needs. It
starts a new process group, which is killed as a whole: at the time limit, when it prints too much
(a thread monitors both), and after the last check.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from nnreg._support.system import kill_group
from nnreg.course.grading.wire import Answers, Wire

START = 120.0  # seconds that Python and NumPy may take to start
POLL = 0.02  # seconds between two tests of the limits
MAX_LINE = 64_000_000  # bytes; a longer line is not a message
PRINTED = 1_000_000  # bytes that one check may print
UNSHOWN = "\N{REPLACEMENT CHARACTER}"
SHOWN = 2_000  # characters of the output that are shown
ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT")


class EndedError(Exception):
    """The process has ended or does not respond; the message tells the student why."""


class Process:
    """A process that runs a submission; a context manager, which ends it.

    Parameters
    ----------
    submission : Path
    folder : Path
        Folder for its files.
    modules : tuple of str
        The modules that the submission may import.
    megabytes : int
        Memory limit.

    Attributes
    ----------
    answers : Answers
        The submission, as an argument of checks.
    """

    def __init__(
        self, submission: Path, folder: Path, modules: tuple[str, ...], megabytes: int
    ) -> None:
        self._file = (
            np.frombuffer(submission.read_bytes(), np.uint8),
            submission.suffix.lower() == ".ipynb",
        )
        self._output = folder / "printed"
        self._seen, self._ended = 0, ""
        work = folder / "work"
        work.mkdir(exist_ok=True)
        command = [sys.executable, "-s", "-u", "-B", str(Path(__file__).with_name("worker.py"))]
        options = {"modules": modules, "megabytes": megabytes}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=work,
                env=_environment(work),
                start_new_session=True,
            )
        self._wire = Wire(self._read, self._write, {}, worker=False)
        self.answers = Answers(self._wire)
        self._seconds, self._limit = START, time.monotonic() + START
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        try:
            self.begin(START, 0)
        except EndedError as error:
            self.end()
            raise RuntimeError(f"the grader's process did not start: {self.printed()}") from error

    def ask(self, seconds: float, what: str, *arguments: Any) -> Any:
        """Send a request with a time limit, which also applies to later requests."""
        self._seconds, self._limit = seconds, time.monotonic() + seconds
        return self._wire.ask(what, *arguments)

    def load(self, seconds: float) -> None:
        """Read the submission."""
        self.ask(seconds, "load", *self._file)

    def begin(self, seconds: float, seed: int) -> None:
        """Begin a check."""
        self.ask(seconds, "begin", seed)
        self._wire.forget()

    @property
    def ended(self) -> str:
        """The reason why the process does not respond, or an empty string."""
        if self._wire.broken:
            return "The submission wrote into the connection to the grader."
        return self._ended

    def _watch(self) -> None:
        """End the process when it exceeds a limit."""
        while self._process.poll() is None:
            time.sleep(POLL)
            self._check_limits()

    def _check_limits(self) -> None:
        if self._ended:
            return
        if self._output.stat().st_size - self._seen > PRINTED:
            self._ended = f"It prints more than {PRINTED:,} characters."
        elif time.monotonic() > self._limit:
            self._ended = f"It took more than {self._seconds:g} s: is there an infinite loop?"
        if self._ended:
            self._kill()

    def _write(self, message: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # if the process has ended, _read reports it
            self._process.stdin.write(message)
            self._process.stdin.flush()

    def _read(self) -> bytes:
        """Return the next message.

        Raises
        ------
        EndedError
            If the process exceeded a limit or has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline(MAX_LINE)
        self._check_limits()
        if not line and not self._ended:
            self._ended = self._describe_end()
        if self._ended:
            raise EndedError(self._ended)
        return line

    def printed(self) -> str:
        """Remove the time limit, and return the output since the last call, truncated if long."""
        self._limit = math.inf
        with self._output.open("rb") as file:
            file.seek(self._seen)
            text = file.read().decode("utf-8", "replace")
            self._seen = file.tell()
        return f"{printable(text[:SHOWN])}{' ... (truncated)' if len(text) > SHOWN else ''}"

    def _describe_end(self) -> str:
        self._limit = math.inf
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "The submission closes the grader's connection."
        if status >= 0:
            return f"The submission ends the process, with status {status}: remove that call."
        name = signal.Signals(-status).name
        memory = " Does it use too much memory?" if name == "SIGKILL" else ""
        return f"The submission crashes the process ({name}).{memory}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process and those that it started."""
        with suppress(OSError), self._process:  # which closes its streams
            self._kill()
        self._watcher.join()

    def _kill(self) -> None:
        kill_group(self._process)


def printable(text: str) -> str:
    """Return text without control characters, which could change what a terminal shows."""
    return "".join(c if c.isprintable() or c in "\n\t" else UNSHOWN for c in text)


def _environment(work: Path) -> dict[str, str]:
    """Return the environment variables of the worker: one thread, and no secrets."""
    variables = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    libraries = ("OMP", "OPENBLAS", "MKL", "BLIS")
    return {
        **variables,
        **{f"{library}_NUM_THREADS": "1" for library in libraries},
        "HOME": str(work),
        "TMPDIR": str(work),
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join(p for p in path if p and Path(p, "numpy").is_dir()),
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
    }
