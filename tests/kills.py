"""Kill training runs at random instants, resume them, and compare the last bytes.

``python tests/kills.py 1000`` kills runs of every optimizer until there were 1,000 kills.
"""

import io
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


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
