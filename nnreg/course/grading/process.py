"""The process of a submission, seen from outside: started, listened to, ended.

It has a folder of its own to be in and an environment with nothing of the grader's but what Python
needs. It is the first of a new process group, and the whole group is ended: at the time limit, when
it prints without end, and when all is done.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from nnreg.course.grading.limits import PRINTED

START = 120.0  # seconds that Python, NumPy and nnreg may take to start
GLANCE = 0.02  # seconds between two looks at how much was printed
LONGEST_LINE = 20_000  # bytes; what is longer, or more lines than this, is no answer
MOST_LINES = 1_000
UNSHOWN = "\N{REPLACEMENT CHARACTER}"
KEPT = 2_000  # characters of what is printed
ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "NNREG_DATA", "PATH", "SYSTEMROOT")


class EndedError(Exception):
    """The process will say no more; the message tells a student why."""


class Process:
    """A process that runs a submission; a context, at whose end it is ended.

    Parameters
    ----------
    job : dict
        What the child is to do; see :mod:`nnreg.course.grading.worker`.
    folder : Path
        Where it works.
    """

    def __init__(self, job: dict[str, Any], folder: Path) -> None:
        self._word = secrets.token_hex()
        self._output = folder / "printed"
        self._output.write_bytes(b"")
        self._seen = 0
        self._until: int | None = None  # what was printed after an answer belongs to the next
        work = folder / "work"
        work.mkdir(exist_ok=True)
        child = "nnreg.course.grading.worker"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", child],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=work,
            env=_environment(work),
            start_new_session=True,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        job = {**job, "word": self._word, "output": str(self._output)}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job).encode())
            self._process.stdin.close()
            self.answer(START)
        except (EndedError, BrokenPipeError) as error:
            complaint = self._complaint()
            self.end()
            raise RuntimeError(f"the grader's process did not start: {complaint}") from error

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as back:
            for _ in range(MOST_LINES):
                line = back.readline(LONGEST_LINE)
                self._lines.put(line)
                if not line:
                    break

    def answer(self, seconds: float) -> dict[str, Any]:
        """Return what the process says next.

        Raises
        ------
        EndedError
            If it says nothing in time, prints too much, ends, or somebody else speaks for it.
        """
        limit, self._until = time.monotonic() + seconds, None
        while True:
            try:
                line = self._lines.get(timeout=GLANCE)
                break
            except queue.Empty:
                pass
            if self._output.stat().st_size - self._seen > PRINTED:
                raise EndedError(f"It prints more than {PRINTED:,} characters.")
            if time.monotonic() > limit:
                raise EndedError(f"It took more than {seconds:g} s: does a loop never end?")
        if not line:
            raise EndedError(self._how_it_ended())
        try:
            said: dict[str, Any] = json.loads(line)
            genuine = secrets.compare_digest(said.pop("word"), self._word)
            self._until = int(said.pop("printed"))
        except (ValueError, TypeError, KeyError, AttributeError):
            genuine = False
        if not genuine:
            raise EndedError("The submission writes where only the grader writes.")
        if self._output.stat().st_size - self._seen > PRINTED:
            raise EndedError(f"It prints more than {PRINTED:,} characters.")
        return said

    def printed(self) -> str:
        """Return what was printed from the last answer but one to the last, cut where it is long.

        After an end without an answer it is all that was printed.
        """
        size = self._output.stat().st_size if self._until is None else self._until
        with self._output.open("rb") as file:
            file.seek(self._seen)
            text = file.read(min(4 * KEPT, max(0, size - self._seen))).decode("utf-8", "replace")
        cut = size - self._seen > 4 * KEPT or len(text) > KEPT
        self._seen = size
        shown = "".join(c if c.isprintable() or c in "\n\t" else UNSHOWN for c in text[:KEPT])
        return f"{shown}{' ... (cut)' if cut else ''}"

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "The submission closes what it has no business with."
        if status >= 0:
            return f"The submission ends the process, with status {status}: remove what does that."
        name = signal.Signals(-status).name
        memory = " Does it ask for too much memory?" if name == "SIGKILL" else ""
        return f"The submission crashes the process ({name}).{memory}"

    def _complaint(self) -> str:
        self._process.kill()
        assert self._process.stderr is not None
        return self._process.stderr.read(KEPT).decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process and those that it started."""
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):  # macOS says so when all are gone
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._listener.join(1.0)  # who left the group may still hold the pipe


def _environment(work: Path) -> dict[str, str]:
    """Return the variables for the child: nnreg where it is here, one thread, nothing secret."""
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    above = str(Path(__file__).parents[3])
    path = [above, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    libraries = ("OMP", "OPENBLAS", "MKL", "BLIS")
    threads = {f"{library}_NUM_THREADS": "1" for library in libraries}
    return {
        **kept,
        **threads,
        "HOME": str(work),
        "TMPDIR": str(work),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
