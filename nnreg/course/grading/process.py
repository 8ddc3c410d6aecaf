"""Worker process as the grader uses it: starting, exchanging messages, ending.

The worker has an empty working folder and only the environment variables that Python needs. It
starts a new process group, which is ended as a whole: at the time limit, when it prints too much,
and when all checks are done.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from nnreg.course.grading.wire import Answers, Wire
from nnreg.course.grading.worker import PRINTED

START = 120.0  # seconds that Python and NumPy may take to start
POLL = 0.02  # seconds between two checks of the amount printed
LONGEST_LINE = 64_000_000  # bytes; a longer line is not a message
UNSHOWN = "\N{REPLACEMENT CHARACTER}"
SHOWN = 2_000  # characters of the output that are shown
ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT")


class EndedError(Exception):
    """The process has ended or does not respond; the message tells the student why."""


class Process:
    """A process that runs a submission; a context, at whose end it is ended.

    Parameters
    ----------
    submission : Path
    folder : Path
        For its files.
    modules : tuple of str
        The modules that the submission may import.
    megabytes : int
        The memory that it may use.

    Attributes
    ----------
    answers : Answers
        The submission, for checks.
    """

    def __init__(
        self, submission: Path, folder: Path, modules: tuple[str, ...], megabytes: int
    ) -> None:
        self._output = folder / "printed"
        self._output.write_bytes(b"")
        self._seen = 0
        work = folder / "work"
        work.mkdir(exist_ok=True)
        self._ended = ""
        worker = str(Path(__file__).with_name("worker.py"))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-B", worker, str(self._output)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=work,
            env=_environment(work),
            start_new_session=True,
        )
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=16)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._wire = Wire(self._read, self._write, {}, trusting=False)
        self.answers = Answers(self._wire)
        job = {
            "submission": base64.b64encode(submission.read_bytes()).decode(),
            "notebook": submission.suffix == ".ipynb",
            "modules": modules,
            "megabytes": megabytes,
            "above": str(Path(__file__).parents[3]),
        }
        try:
            self._seconds, self._limit = START, time.monotonic() + START
            self._write(json.dumps(job).encode() + b"\n")
            self._read()
        except EndedError as error:
            self._process.kill()
            assert self._process.stderr is not None
            output = self._process.stderr.read(SHOWN).decode("utf-8", "replace")
            self.end()
            raise RuntimeError(f"the grader's process did not start: {output}") from error

    def ask(self, seconds: float, what: str, *arguments: Any) -> Any:
        """Send a request with a time limit, which also holds for the requests that follow."""
        self._seconds, self._limit = seconds, time.monotonic() + seconds
        return self._wire.ask(what, *arguments)

    @property
    def ended(self) -> str:
        """The reason why the process does not respond, or an empty string."""
        if self._wire.broken:
            return "The submission writes where only the grader writes."
        return self._ended

    def begin(self, seconds: float, seed: int) -> None:
        """Begin a check."""
        self.ask(seconds, "begin", seed)
        self._wire.forget()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as back:
            while line := back.readline(LONGEST_LINE):
                self._lines.put(line)
        self._lines.put(b"")

    def _write(self, message: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except OSError:  # the process has ended; _read reports it
            return

    def _read(self) -> bytes:
        """Return the next message.

        Raises
        ------
        EndedError
            If there is none in time, it prints too much, or it has ended.
        """
        line = b""
        while not self._ended:
            with suppress(queue.Empty):
                line = self._lines.get(timeout=POLL)
                self._ended = "" if line else self._describe_end()
            if self._output.stat().st_size - self._seen > PRINTED:
                self._ended = f"It prints more than {PRINTED:,} characters."
            elif not line and time.monotonic() > self._limit:
                self._ended = f"It took more than {self._seconds:g} s: does a loop never end?"
            if line and not self._ended:
                return line
        raise EndedError(self._ended)

    def printed(self) -> str:
        """Return what was printed since the last call, cut where it is long."""
        size = self._output.stat().st_size
        with self._output.open("rb") as file:
            file.seek(self._seen)
            text = file.read(min(4 * SHOWN, max(0, size - self._seen))).decode("utf-8", "replace")
        cut = size - self._seen > 4 * SHOWN or len(text) > SHOWN
        self._seen = size
        shown = "".join(c if c.isprintable() or c in "\n\t" else UNSHOWN for c in text[:SHOWN])
        return f"{shown}{' ... (cut)' if cut else ''}"

    def _describe_end(self) -> str:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "The submission closes the grader's connection."
        if status >= 0:
            return f"The submission ends the process, with status {status}: remove what does that."
        name = signal.Signals(-status).name
        memory = " Does it ask for too much memory?" if name == "SIGKILL" else ""
        return f"The submission crashes the process ({name}).{memory}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process and those that it started."""
        self._wire.close()
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):  # macOS says so when all are gone
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        with suppress(queue.Empty):
            while True:
                self._lines.get_nowait()  # the listener may wait for room
        self._listener.join(1.0)  # a process that left the group may keep the pipe open


def _environment(work: Path) -> dict[str, str]:
    """Return the variables for the worker: one thread, and no secrets."""
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
