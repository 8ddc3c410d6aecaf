"""Send SIGINT to training at random instants and count what is not whole afterwards.

Run as ``python tests/signals.py 1000``. It prints a number for each kind of damage.
"""

import collections
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from state import process_state

import nnreg as nn
from nnreg._support import blas
from nnreg.training import loop

EPOCHS = 12
LONGEST = 0.03  # seconds until the signal; a fit takes about as long
# A process of its own sends the signals, so that their instants do not depend on this one.
SENDER = f"""
import os, random, sys, time
while sys.stdin.read(1):
    time.sleep(random.uniform(0, {LONGEST}))
    os.kill({os.getpid()}, {int(signal.SIGINT)})
"""

rng = np.random.default_rng(0)
x, y = rng.normal(size=(120, 20)), rng.integers(0, 3, 120)


def network():
    layers = [nn.Dense(30), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(3)]
    return nn.Network(layers, inputs=20, penalty=nn.L2(0.01), seed=0)


class Record(nn.Callback):
    """The parameters after each step and each epoch."""

    def __init__(self):
        self.steps, self.epochs = {}, {}

    def on_train_begin(self, state):
        self.steps[0] = state.net.parameters.vector.copy()

    def on_batch_end(self, state):
        self.steps[state.net.steps] = state.net.parameters.vector.copy()

    def on_epoch_end(self, state):
        self.epochs[state.net.epochs] = state.net.parameters.vector.copy()


def run(net, optimizer, *callbacks):
    return nn.fit(
        net,
        x,
        y,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=optimizer,
        epochs=EPOCHS,
        batch_size=32,
        validation_split=0.2,
        metrics=["accuracy"],
        callbacks=callbacks,
        threads=1,
    )


def lock_is_free():
    free = []

    def try_lock():
        free.append(blas._lock.acquire(blocking=False))
        if free[0]:
            blas._lock.release()

    thread = threading.Thread(target=try_lock)
    thread.start()
    thread.join()
    return free[0] and not blas._users and not loop._reserved


def interrupted(sender, *arguments):
    """Return the history of a run that a signal ends, and whether it raised KeyboardInterrupt."""
    history, raised = None, False
    try:
        sender.stdin.write(b".")
        sender.stdin.flush()
        history = run(*arguments)
        time.sleep(60)  # until the signal comes
    except KeyboardInterrupt as error:
        history, raised = getattr(error, "history", history), hasattr(error, "history")
    return history, raised


def main(signals):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    reference, before = Record(), process_state()
    run(network(), nn.Adam(0.01), reference)
    damage = collections.Counter(
        dict.fromkeys(
            ["ragged", "epochs", "steps", "torn", "restore", "globals", "lock", "files"], 0
        )
    )
    during = 0
    sender = subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(signals):
            net, optimizer, record = network(), nn.Adam(0.01), Record()
            stopping, log = nn.EarlyStopping(patience=99), nn.CSVLog(f"{folder}/{number}.csv")
            stops = number % 2 == 1
            history, raised = interrupted(
                sender, net, optimizer, record, log, *([stopping] if stops else [])
            )
            during += raised
            damage["globals"] += process_state() != before
            damage["lock"] += not lock_is_free()
            damage["files"] += any(p.suffix != ".csv" for p in pathlib.Path(folder).iterdir())
            damage["steps"] += net.steps != optimizer.steps
            if history is None:  # before the first step
                damage["torn"] += net.steps != 0
                continue
            damage["ragged"] += len({len(column) for column in history.columns.values()}) > 1
            damage["epochs"] += not net.epochs == len(history) == len(record.epochs)
            expected = reference.steps[net.steps]
            if stops and len(history):
                best = 1 + int(np.argmin(history["val_data_loss"]))
                damage["restore"] += best != stopping.best_epoch
                expected = reference.epochs[best]
            damage["torn"] += not (net.parameters.vector == expected).all()
    sender.stdin.close()
    sender.wait()
    print(f"{signals} signals, {during} during training:", dict(damage))
    return sum(damage.values()), during


if __name__ == "__main__":
    damaged, reached = main(int(sys.argv[1]))
    sys.exit(bool(damaged) or not reached)
