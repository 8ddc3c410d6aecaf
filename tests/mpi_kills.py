"""Kill a random rank of MPI at a random instant, resume the run on another number of ranks.

``python tests/mpi_kills.py 50`` does this until 50 runs were killed. Each is resumed until it ends,
and must end with the bytes of a run in one process. It fails if a rank outlives the others.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ranks import train, with_weights
from small import OPTIMIZERS

import nnreg as nn
from nnreg._support.system import is_running

SIZES = (1, 2, 3, 4)


def options(number):
    """Return the options of the run with this number, made anew."""
    name = list(OPTIMIZERS)[number % len(OPTIMIZERS)]
    partitioned = {"partitioned": True} if number % 2 else {"metrics": ["accuracy"]}
    return with_weights() | {"optimizer": OPTIMIZERS[name](), "epochs": 15} | partitioned


def rank(number, folder):
    """Train as one rank; rank 0 writes the result."""
    world = nn.distributed.world()
    (folder / f"pid-{world.size}-{world.rank}").write_text(str(os.getpid()))
    checkpoint = nn.Checkpoint(folder / "run", every_steps=1)
    result = train({**options(number), "checkpoint": checkpoint}, world, shards=4)
    if world.rank == 0:
        (folder / "result.json").write_text(json.dumps(result))


def start(number, folder, size, instants):
    """Run once; kill a rank if ``instants`` are given. Return whether it was, and the seconds."""
    for path in folder.glob("pid-*"):
        path.unlink()
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.defpath}")
    command = [mpiexec, "-n", str(size), sys.executable, __file__, str(number), str(folder)]
    with open(folder / "log.txt", "a") as log:
        job = subprocess.Popen(command, stdout=log, stderr=log)
    victim = None
    if instants is not None:
        while job.poll() is None and len(list(folder.glob("pid-*"))) < size:
            time.sleep(0.01)
        time.sleep(instants.uniform(0.0, 1.0))
        pids = [int(path.read_text() or 0) for path in folder.glob("pid-*")]
        victim = instants.randrange(len(pids))
        if job.poll() is not None or (folder / "result.json").exists():
            job.wait()
            return None, 0.0
        os.kill(pids[victim], signal.SIGKILL)
    killed = time.monotonic()
    job.wait(timeout=300)
    if victim is None and job.returncode:
        sys.exit(f"run {number} on {size} ranks failed:\n{(folder / 'log.txt').read_text()}")
    while victim is not None and any(map(is_running, pids)):
        if time.monotonic() > killed + 60:
            sys.exit(f"run {number}: ranks live on after one was killed")
        time.sleep(0.01)
    return victim, time.monotonic() - killed


def main(kills):
    """Print each kill; fail if a resumed run ends with other bytes."""
    instants, done, longest = random.Random(0), 0, 0.0
    changes: Counter[str] = Counter()
    number = 0
    while done < kills:
        whole = json.loads(json.dumps(train(options(number), shards=4)))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            size = instants.choice(SIZES[1:])
            victim, seconds = start(number, folder, size, instants)
            steps = sorted((folder / "run").glob("checkpoint-*.npz")) if victim is not None else []
            if victim is not None:
                other = instants.choice([n for n in SIZES if n != size])
                start(number, folder, other, None)
                done, longest = done + 1, max(longest, seconds)
                changes[f"{size} to {other}"] += 1
                saved = steps[-1].name[11:-4].lstrip("0") or "0" if steps else "none"
                print(
                    f"{done}: rank {victim} of {size} killed after step {saved}, all ended in "
                    f"{seconds:.1f} s, resumed on {other}",
                    flush=True,
                )
            if json.loads((folder / "result.json").read_text()) != whole:
                sys.exit(f"run {number}: the resumed run differs")
            if damaged := list((folder / "run").glob("*.damaged")):
                sys.exit(f"run {number}: damaged files {damaged}")
        number += 1
    print(f"{done} kills, {done} runs ended with the bytes of one process; {dict(changes)}")
    print(f"after a kill, all ranks had ended in {longest:.1f} s at most")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        rank(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
