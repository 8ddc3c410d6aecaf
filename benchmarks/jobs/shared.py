"""Functions shared by the programs: reading the data, and the report."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import peak_memory

HIDDEN, BATCH, KEEP, L2 = 128, 32, 0.8, 1e-4


def load() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return ``(x, y), (x_test, y_test)``, pixels in [0, 1] as float32, from the folder named."""
    folder = Path(sys.argv[1])

    def pair(part: str) -> tuple[Any, Any]:
        pixels = np.load(folder / f"{part}_x.npy")
        x = np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)
        return x, np.load(folder / f"{part}_y.npy")

    return pair("train"), pair("test")


class Report:
    """The report of a program: end of training, peak memory, accuracy."""

    def __init__(self) -> None:
        self.ended, self.memory = time.time(), peak_memory()

    def print_accuracy(self, classes: Any, labels: Any) -> None:
        """Print the report."""
        accuracy = float(np.mean(np.asarray(classes) == labels))
        print(json.dumps({"ended": self.ended, "memory": self.memory, "accuracy": accuracy}))
