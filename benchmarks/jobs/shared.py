"""Functions shared by the programs: settings, reading the data, and the report."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import peak_memory

MAX_EPOCHS = 40


@dataclass(frozen=True)
class Job:
    """A network with one hidden layer, and when its training ends.

    With ``target`` 0 it is trained for one epoch, otherwise until the accuracy on the test images,
    computed after each epoch, is at least ``target``.
    """

    hidden: int
    batch: int
    keep: float
    l2: float
    target: float


JOBS = {"epoch": Job(128, 32, 0.8, 1e-4, 0.0), "accuracy": Job(512, 128, 0.8, 1e-6, 0.98)}


def load() -> tuple[Job, int, tuple[Any, Any], tuple[Any, Any]]:
    """Return the job, the seed, ``(x, y)`` and ``(x_test, y_test)``, pixels in [0, 1] as float32.

    The command line names the folder of the data, the job and the seed.
    """
    folder, job, seed = Path(sys.argv[1]), JOBS[sys.argv[2]], int(sys.argv[3])

    def pair(part: str) -> tuple[Any, Any]:
        pixels = np.load(folder / f"{part}_x.npy")
        x = np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)
        return x, np.load(folder / f"{part}_y.npy")

    return job, seed, pair("train"), pair("test")


def train(job: Job, train_epoch: Any, predict_classes: Any, labels: Any) -> None:
    """Train epoch by epoch to the job's end, and print the report."""
    epochs, accuracy = 0, -1.0
    while accuracy < job.target and epochs < MAX_EPOCHS:
        train_epoch()
        epochs += 1
        ended, memory = time.time(), peak_memory()
        accuracy = float(np.mean(np.asarray(predict_classes()) == labels))
        if job.target:
            ended, memory = time.time(), peak_memory()
    report = {"ended": ended, "memory": memory, "accuracy": accuracy, "epochs": epochs}
    print(json.dumps(report))
