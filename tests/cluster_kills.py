"""Kill a worker of a Dask cluster, then the whole cluster, while a command runs, and resume it.

``python tests/cluster_kills.py 20`` makes 20 trials. In each one a worker is killed at a random
instant, later the scheduler and all workers; the command must end with one line. It is repeated on
a new cluster, of which a worker is killed too. The report must be that of a run in one process, and
no result may be lost, changed or stored twice.
"""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psutil  # distributed requires it

COMMANDS = {
    "path": "--hidden 64 --points 6 --train-size 300 --epochs 200 --repeats 4",
    "bias-variance": "--sweep width --values 2,4,8 --datasets 20 --seeds 1 --epochs 800",
    "compare": "--hidden 64 --train-size 200 --epochs 40 --repeats 2 --l1 0.01 --keep-prob 0.5",
}
INSTANTS = random.Random(0)
LIMIT = 900  # seconds, on a machine that does other things, too
KEPT = r"nnreg: the connection to the scheduler of the workers was lost; (\d+) .* kept in "


@contextmanager
def cluster():
    """Start a scheduler and two worker processes; yield the address, and functions that kill."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    options = {"start_new_session": True, "stderr": subprocess.DEVNULL}
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["dask_worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    with tempfile.TemporaryDirectory() as local:
        worker += ["--local-directory", local]
        programs = [
            subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", *rest], **options)
            for name, *rest in (scheduler, worker)
        ]

        def kill_worker():
            """Kill one of the processes that compute; the nanny starts another."""
            found = [
                process.pid
                for process in psutil.Process(programs[1].pid).children()
                if "resource_tracker" not in " ".join(process.cmdline())
            ]
            os.kill(INSTANTS.choice(found), signal.SIGKILL)

        def kill_all():
            for program in programs:
                if program.poll() is None:
                    os.killpg(program.pid, signal.SIGKILL)
                    program.wait()

        try:
            yield address, kill_worker, kill_all
        finally:
            kill_all()


def start(command, folder, *options):
    """Start a command."""
    arguments = [command, *COMMANDS[command].split(), "--out", str(folder), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "nnreg", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(folder):
    """Return the contents of the results that are kept, by name; fail if one is stored twice."""
    kept = {path.name: path.read_bytes() for path in folder.glob("nnreg-*.npz")}
    keys = Counter(name.rpartition("-")[0] for name in kept)
    assert not keys or max(keys.values()) == 1, f"stored twice: {keys}"
    return kept


class TooLateError(Exception):
    """The command had succeeded before something was killed: this is no trial."""


def wait(process, folder, count):
    """Wait until there are ``count`` results, and a random time more."""
    while process.poll() is None and len(list(folder.glob("nnreg-*.npz"))) < count:
        time.sleep(0.05)
    time.sleep(INSTANTS.uniform(0.0, 1.0))
    if process.poll() == 0:
        raise TooLateError
    assert process.poll() is None, f"ended too early: {process.stderr.read()}"


def finish(process, folder):
    """Wait for a command to succeed, and return its numbers without the times."""
    err = process.communicate(timeout=LIMIT)[1]
    assert process.returncode == 0, err
    assert not results(folder), f"left: {list(folder.iterdir())}"
    text = (folder / "report.json").read_text()
    other = {"created", "seconds", "sha256", "files"}  # the page has the times, too
    return json.loads(text, object_hook=lambda d: {k: d[k] for k in d.keys() - other})


def trial(command, whole, folder):
    """Return the number of results before and after the first and the second run's kills."""
    with cluster() as (address, kill_worker, kill_all):
        process = start(command, folder, "--dask", address)
        wait(process, folder, 1)
        kill_worker()
        wait(process, folder, 3)
        kill_all()
        err = process.communicate(timeout=LIMIT)[1]
    if process.returncode == 0:
        raise TooLateError
    assert process.returncode == 1, f"{process.returncode}: {err}"
    kept = results(folder)
    *waiting, last = err.splitlines()
    message = re.match(KEPT, last)
    assert message, err
    assert all("waiting for the first worker" in line for line in waiting), err
    assert int(message[1]) == len(kept), (err, kept.keys())
    with cluster() as (address, kill_worker, _):
        resume = [] if command == "bias-variance" else ["--resume"]
        process = start(command, folder, "--dask", address, *resume)
        wait(process, folder, len(kept) + 1)
        kill_worker()
        running = process.poll() is None
        assert not running or results(folder).items() >= kept.items(), "a result was changed"
        assert finish(process, folder) == whole, "the report is another one"
    if not running:
        raise TooLateError
    return len(kept)


def main(trials):
    """Print the trials; fail at the first that differs."""
    with tempfile.TemporaryDirectory() as scratch:
        whole = {
            command: finish(start(command, folder := Path(scratch, command)), folder)
            for command in COMMANDS
        }
        done = 0
        for number in count():
            command = list(COMMANDS)[done % len(COMMANDS)]
            try:
                kept = trial(command, whole[command], Path(scratch, f"{number}"))
            except TooLateError:
                print(f"{command} succeeded before it was killed; another trial", flush=True)
                continue
            done += 1
            print(f"{done}: {command}, {kept} results kept, then finished", flush=True)
            if done == trials:
                return


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
