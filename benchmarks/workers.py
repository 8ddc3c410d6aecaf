"""Worker processes, one for each framework.

Two frameworks in one process disturb each other. Each keeps its default number of threads, and an
idle process blocks on a message. Building is done in all processes at once, timing in one after the
other.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import frameworks
from benchmarks.problem import Array, Problem

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}
PATIENCE = 300.0  # seconds that an answer may take


class FrameworkError(RuntimeError):
    """A framework has failed; the message is that of its process."""


class Server:
    """The frameworks that a process has built, by number."""

    def __init__(self) -> None:
        self.items: dict[int, Any] = {}

    def build(self, number: int, name: str, problem: Problem) -> None:
        """Make a framework."""
        self.items[number] = frameworks.build(name, problem)

    def follow(self, number: int, steps: int) -> tuple[list[float], list[Array]]:
        """Return the losses of some steps, and the parameters after them."""
        losses = self.items[number].follow(steps)
        return losses, self.items[number].parameters()

    def chunk(self, number: int, steps: int, warm: int) -> float:
        """Return the seconds of a step."""
        return self.items[number].chunk(steps, warm)

    def drop(self, number: int) -> None:
        """Forget a framework."""
        self.items.pop(number, None)

    def thread_pools(self) -> list[dict[str, Any]]:
        """Return the thread pools that threadpoolctl knows in this process."""
        from threadpoolctl import threadpool_info

        keys = ("user_api", "internal_api", "version", "threading_layer", "num_threads")
        return [{key: pool.get(key) for key in keys} for pool in threadpool_info()]


def _serve(connection: Connection, checkout: str | None) -> None:
    """Answer requests until there is None; ``checkout`` holds the nnreg to import."""
    if checkout:
        sys.path.insert(0, checkout)
        for name in [name for name in sys.modules if name.partition(".")[0] == "nnreg"]:
            del sys.modules[name]
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # TensorFlow greets; what goes wrong is sent back as an answer
    server = Server()
    while (message := connection.recv()) is not None:
        method, arguments = message
        try:
            answer = (True, getattr(server, method)(*arguments))
        except Exception:
            answer = (False, traceback.format_exc(limit=-3))
        connection.send(answer)


class Worker:
    """One process, started at its first request."""

    def __init__(self, name: str, checkout: str | None = None) -> None:
        self.name, self.checkout = name, checkout
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, self.checkout), daemon=True, name=self.name
        )
        self.process.start()
        theirs.close()

    def ask(self, method: str, *arguments: Any) -> None:
        """Send a request."""
        if not self.process.is_alive():
            self._begin()
        self.connection.send((method, arguments))

    def answer(self) -> Any:
        """Return the answer.

        Raises
        ------
        FrameworkError
            With its message; or if it has ended or takes too long.
        """
        try:
            if not self.connection.poll(PATIENCE):
                self.process.kill()
                self.process.join()
                raise FrameworkError(f"no answer within {PATIENCE:.0f} s")
            fine, value = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join()
            raise FrameworkError(f"its process ended with {self.process.exitcode}") from error
        if not fine:
            raise FrameworkError(value.strip())
        return value

    def close(self) -> None:
        """End the process."""
        if self.process.is_alive():
            self.connection.send(None)
            self.process.join(10)
        if self.process.is_alive():
            self.process.kill()


@dataclass
class Runner:
    """A framework that has been built for a problem."""

    name: str
    problem: Problem
    worker: Worker
    number: int
    steps: int = 1

    @property
    def label(self) -> str:
        """The name, and whether masks are given."""
        given = self.problem.drops and self.problem.given_masks
        return f"{self.name}+masks" if given else self.name

    def chunk(self, steps: int, warm: int) -> float:
        """Return the seconds of a step."""
        self.worker.ask("chunk", self.number, steps, warm)
        return self.worker.answer()


@dataclass
class WorkerPool:
    """All the processes. A context that ends them.

    ``checkout`` is a folder with another nnreg, for the framework ``other``.
    """

    checkout: str | None = None
    workers: dict[str, Worker] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def worker(self, name: str) -> Worker:
        """Return the process of a framework."""
        process = frameworks.entry_of(name).process
        if process not in self.workers:
            os.environ.update({key: os.environ.get(key, value) for key, value in QUIET.items()})
            checkout = self.checkout if process == "other" else None
            self.workers[process] = Worker(process, checkout)
        return self.workers[process]

    def build(self, wanted: list[tuple[str, Problem]]) -> list[Runner]:
        """Build frameworks, all processes at once; return those that could be built."""
        runners = []
        for name, problem in wanted:
            self.count += 1
            runners.append(Runner(name, problem, self.worker(name), self.count))
        done = self.together(runners, "build", lambda r: (r.number, r.name, r.problem))
        return [runner for runner, _ in done]

    def together(
        self, runners: list[Runner], method: str, arguments: Any
    ) -> list[tuple[Runner, Any]]:
        """Ask each runner's process, at once, and one thing after the other within a process.

        Those that fail are named in ``failures`` and left out of the result.
        """
        waiting: dict[str, list[Runner]] = {}
        for runner in runners:
            waiting.setdefault(runner.worker.name, []).append(runner)
        answers: dict[int, Any] = {}
        while waiting:
            asked = [queue.pop(0) for queue in waiting.values()]
            for runner in asked:
                runner.worker.ask(method, *arguments(runner))
            for runner in asked:
                try:
                    answers[runner.number] = runner.worker.answer()
                except FrameworkError as error:
                    self.failures[f"{runner.label}: {runner.problem}"] = str(error)
                    last = str(error).strip().splitlines()[-1]
                    print(f"  {runner.label} fails at {runner.problem}: {last}", flush=True)
            waiting = {name: queue for name, queue in waiting.items() if queue}
        return [(r, answers[r.number]) for r in runners if r.number in answers]

    def drop(self, runners: list[Runner]) -> None:
        """Forget these."""
        self.together(runners, "drop", lambda r: (r.number,))

    def thread_pools(self) -> dict[str, Any]:
        """Return each process's thread pools."""
        found = {}
        for name, worker in self.workers.items():
            worker.ask("thread_pools")
            found[name] = worker.answer()
        return found

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.close()


class Budget:
    """The seconds that something may take."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        """Whether they are over."""
        return time.monotonic() >= self.end
