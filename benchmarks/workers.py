"""Processes in which contestants wait for their turn.

Each framework has a process of its own, because two of them in one disturb each other; everybody
keeps the threads that are his default. Who waits, waits for a message. Building is done in all
processes at once, timing in one after the other.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import contestants
from benchmarks.problem import Array, Problem

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}
PATIENCE = 300.0  # seconds that an answer may take


class ContestantError(RuntimeError):
    """A contestant has failed; the message is what its process said."""


class Desk:
    """What a process keeps: contestants by number."""

    def __init__(self) -> None:
        self.items: dict[int, Any] = {}

    def build(self, number: int, name: str, problem: Problem) -> None:
        """Make a contestant."""
        self.items[number] = contestants.build(name, problem)

    def follow(self, number: int, steps: int) -> tuple[list[float], list[Array]]:
        """Return the losses of some steps, and the parameters after them."""
        losses = self.items[number].follow(steps)
        return losses, self.items[number].parameters()

    def chunk(self, number: int, steps: int, warm: int) -> float:
        """Return the seconds of a step."""
        return self.items[number].chunk(steps, warm)

    def drop(self, number: int) -> None:
        """Forget a contestant."""
        self.items.pop(number, None)

    def pools(self) -> list[dict[str, Any]]:
        """Return the thread pools that threadpoolctl knows in this process."""
        from threadpoolctl import threadpool_info

        keys = ("user_api", "internal_api", "version", "threading_layer", "num_threads")
        return [{key: pool.get(key) for key in keys} for pool in threadpool_info()]


def _serve(connection: Connection) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # TensorFlow greets; what goes wrong is sent back as an answer
    desk = Desk()
    while (message := connection.recv()) is not None:
        method, arguments = message
        try:
            answer = (True, getattr(desk, method)(*arguments))
        except Exception:
            answer = (False, traceback.format_exc(limit=-3))
        connection.send(answer)


class Worker:
    """One such process, begun when it is first asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True, name=self.name)
        self.process.start()
        theirs.close()

    def ask(self, method: str, *arguments: Any) -> None:
        """Send a request."""
        if not self.process.is_alive():
            self._begin()
        self.connection.send((method, arguments))

    def answer(self) -> Any:
        """Return what it answers.

        Raises
        ------
        ContestantError
            With what it says; or it has ended, or is silent for too long and is ended.
        """
        try:
            if not self.connection.poll(PATIENCE):
                self.process.kill()
                self.process.join()
                raise ContestantError(f"no answer within {PATIENCE:.0f} s")
            fine, value = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join()
            raise ContestantError(f"its process ended with {self.process.exitcode}") from error
        if not fine:
            raise ContestantError(value.strip())
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
    """A contestant that has been built for a problem."""

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
class Crew:
    """All the processes. A context that ends them."""

    workers: dict[str, Worker] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def worker(self, name: str) -> Worker:
        """Return the process that a contestant lives in."""
        process = contestants.entry_of(name).process
        if process not in self.workers:
            os.environ.update({key: os.environ.get(key, value) for key, value in QUIET.items()})
            self.workers[process] = Worker(process)
        return self.workers[process]

    def build(self, wanted: list[tuple[str, Problem]]) -> list[Runner]:
        """Build contestants, all processes at once; return those who could be built."""
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

        Those who fail are named in ``failures`` and left out of the result.
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
                except ContestantError as error:
                    self.failures[f"{runner.label}: {runner.problem}"] = str(error)
                    last = str(error).strip().splitlines()[-1]
                    print(f"  {runner.label} fails at {runner.problem}: {last}", flush=True)
            waiting = {name: queue for name, queue in waiting.items() if queue}
        return [(r, answers[r.number]) for r in runners if r.number in answers]

    def drop(self, runners: list[Runner]) -> None:
        """Forget these."""
        self.together(runners, "drop", lambda r: (r.number,))

    def pools(self) -> dict[str, Any]:
        """Return each process's thread pools."""
        found = {}
        for name, worker in self.workers.items():
            worker.ask("pools")
            found[name] = worker.answer()
        return found

    def __enter__(self) -> Crew:
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
