"""Worker processes, one for each framework.

Two frameworks in one process slow each other down. Each keeps its default number of threads, and an
idle process blocks on a message. Frameworks are built in all processes at once,
and timed one after the other.
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
PATIENCE = 300.0  # seconds to wait for a reply


class FrameworkError(RuntimeError):
    """Error in a framework's process, with its message."""


class Server:
    """The frameworks that a process has built, by number."""

    def __init__(self) -> None:
        self.items: dict[int, Any] = {}

    def build(self, number: int, name: str, problem: Problem) -> None:
        """Build a framework."""
        self.items[number] = frameworks.build(name, problem)

    def follow(self, number: int, steps: int) -> tuple[list[float], list[Array]]:
        """Return the losses of some steps, and the parameters after them."""
        losses = self.items[number].follow(steps)
        return losses, self.items[number].parameters()

    def chunk(self, number: int, steps: int, warm: int) -> float:
        """Return the seconds of a step."""
        return self.items[number].chunk(steps, warm)

    def drop(self, number: int) -> None:
        """Drop a framework."""
        self.items.pop(number, None)

    def thread_pools(self) -> list[dict[str, Any]]:
        """Return the thread pools that threadpoolctl knows in this process."""
        from threadpoolctl import threadpool_info

        keys = ("user_api", "internal_api", "version", "threading_layer", "num_threads")
        return [{key: pool.get(key) for key in keys} for pool in threadpool_info()]


def _serve(connection: Connection, checkout: str | None) -> None:
    """Reply to requests until one is None; ``checkout`` is the folder of the nnreg to import."""
    if checkout:
        sys.path.insert(0, checkout)
        for name in [name for name in sys.modules if name.partition(".")[0] == "nnreg"]:
            del sys.modules[name]
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # hides TensorFlow's start messages; exceptions are sent back as replies
    server = Server()
    while (message := connection.recv()) is not None:
        method, arguments = message
        try:
            reply = (True, getattr(server, method)(*arguments))
        except Exception:
            reply = (False, traceback.format_exc(limit=-3))
        connection.send(reply)


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

    def send(self, method: str, *arguments: Any) -> None:
        """Send a request."""
        if not self.process.is_alive():
            self._begin()
        self.connection.send((method, arguments))

    def receive(self) -> Any:
        """Return the reply to the last request.

        Raises
        ------
        FrameworkError
            If the request fails in the process, or the process has ended or takes too long.
        """
        try:
            if not self.connection.poll(PATIENCE):
                self.process.kill()
                self.process.join()
                raise FrameworkError(f"no reply within {PATIENCE:.0f} s")
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
        self.worker.send("chunk", self.number, steps, warm)
        return self.worker.receive()


@dataclass
class WorkerPool:
    """All worker processes; a context manager that ends them.

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

    def build(self, requests: list[tuple[str, Problem]]) -> list[Runner]:
        """Build frameworks, all processes at once; return those that could be built."""
        runners = []
        for name, problem in requests:
            self.count += 1
            runners.append(Runner(name, problem, self.worker(name), self.count))
        done = self.together(runners, "build", lambda r: (r.number, r.name, r.problem))
        return [runner for runner, _ in done]

    def together(
        self, runners: list[Runner], method: str, arguments: Any
    ) -> list[tuple[Runner, Any]]:
        """Send a request to every runner: in parallel over processes, in sequence within one.

        Those that fail are named in ``failures`` and left out of the result.
        """
        waiting: dict[str, list[Runner]] = {}
        for runner in runners:
            waiting.setdefault(runner.worker.name, []).append(runner)
        replies: dict[int, Any] = {}
        while waiting:
            current = [queue.pop(0) for queue in waiting.values()]
            for runner in current:
                runner.worker.send(method, *arguments(runner))
            for runner in current:
                try:
                    replies[runner.number] = runner.worker.receive()
                except FrameworkError as error:
                    self.failures[f"{runner.label}: {runner.problem}"] = str(error)
                    last = str(error).strip().splitlines()[-1]
                    print(f"  {runner.label} fails at {runner.problem}: {last}", flush=True)
            waiting = {name: queue for name, queue in waiting.items() if queue}
        return [(r, replies[r.number]) for r in runners if r.number in replies]

    def drop(self, runners: list[Runner]) -> None:
        """Drop these frameworks."""
        self.together(runners, "drop", lambda r: (r.number,))

    def thread_pools(self) -> dict[str, Any]:
        """Return each process's thread pools."""
        pools = {}
        for name, worker in self.workers.items():
            worker.send("thread_pools")
            pools[name] = worker.receive()
        return pools

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.close()


class Budget:
    """A time limit in seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.end
