"""Kill training runs at random instants, resume them, and compare the last bytes.

``python tests/kills.py 1000`` kills runs of every optimizer until there were 1,000 kills.
``python tests/kills.py 200 save`` kills processes while they save, and looks at the file.
"""

import io
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path

from small import OPTIMIZERS, everything
from test_resume import parts, train

import nnreg as nn

EPOCHS = 30


def run(folder, optimizer, results):
    """Train, and send the last bytes."""
    net, rule = parts(optimizer, penalty=lambda: nn.L1(1e-3, method="proximal"))
    checkpoint = folder and nn.Checkpoint(folder, every_steps=1)
    callbacks = [nn.ReduceLROnPlateau(patience=2, factor=0.7)]
    options = {"epochs": EPOCHS, "callbacks": callbacks, "threads": 1}
    with redirect_stderr(io.StringIO()):
        history = train(net, rule, checkpoint=checkpoint, **options)
    results.put((everything(net, rule), len(history), history["val_loss"]))


def main(kills):
    """Print the number of kills by optimizer; fail if a run ends with other bytes."""
    processes = multiprocessing.get_context("fork")
    instants = random.Random(0)
    done = 0
    while done < kills:
        for optimizer in OPTIMIZERS:
            results = processes.SimpleQueue()
            run_whole = processes.Process(target=run, args=(None, optimizer, results))
            run_whole.start()
            whole = results.get()
            run_whole.join()
            with tempfile.TemporaryDirectory() as folder:
                while True:
                    process = processes.Process(
                        target=run, args=(Path(folder) / "run", optimizer, results)
                    )
                    process.start()
                    time.sleep(instants.uniform(0.0, 0.25))
                    if process.exitcode is None and done < kills:
                        os.kill(process.pid, signal.SIGKILL)
                    process.join()
                    if process.exitcode == 0:
                        break
                    if process.exitcode != -signal.SIGKILL:
                        sys.exit(f"{optimizer}: the run ended with {process.exitcode}")
                    done += 1
                if results.get() != whole:
                    sys.exit(f"{optimizer}: the resumed run differs")
                if damaged := list(Path(folder, "run").glob("*.damaged")):
                    sys.exit(f"{optimizer}: damaged files {damaged}")
        print(f"{done} kills, all runs ended with the bytes of the whole run", flush=True)


def save_forever(path, nets, ready):
    """Replace one file by another network, again and again."""
    for net in itertools.cycle(nets):
        nn.save(net, path, overwrite=True)
        ready.put(None)


def kill_saves(kills):
    """Print what kills left of a file while it was replaced; fail if it was damaged."""
    processes, instants = multiprocessing.get_context("fork"), random.Random(0)
    nets = [nn.Network([nn.Dense(400)], inputs=400, seed=seed) for seed in (0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        path, contents = Path(folder) / "net.npz", []
        for net in nets:
            nn.save(net, path, overwrite=True)
            contents.append(path.read_bytes())
        whole = interrupted = 0
        for _ in range(kills):
            ready = processes.SimpleQueue()
            process = processes.Process(target=save_forever, args=(path, nets, ready))
            process.start()
            ready.get()
            time.sleep(instants.uniform(0.0, 0.02))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            whole += path.read_bytes() in contents
            interrupted += len(os.listdir(folder)) > 1
        nn.save(nets[0], path, overwrite=True)
        files = os.listdir(folder)
    print(f"{kills} kills, {interrupted} of them while a file was written: {whole} whole files")
    if whole < kills or files != [path.name]:
        sys.exit(f"at the end there are {files}")


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    (kill_saves if sys.argv[2:] == ["save"] else main)(number)
