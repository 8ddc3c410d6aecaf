"""Cost of subnormal numbers: a training step on MNIST, with and without setting them to zero.

Many pixels are black in nearly every image, so the gradient of their weights is zero for hundreds
of steps in a row, and momentum, multiplied by 0.9 in each, becomes subnormal. Processors are slower
with such numbers. Run it from the checkout's root, with ``NNREG_DATA`` naming a folder that holds
``mnist/``::

    python -m benchmarks.subnormal
"""

from __future__ import annotations

import time
from unittest.mock import patch

import numpy as np

import nnreg as nn
from nnreg._support.blas import blas_threads
from nnreg.training.step import TrainingStep

ROUNDS, STEPS, BATCH = 5, 1000, 32
OPTIMIZERS = {"momentum": lambda: nn.SGD(0.1, momentum=0.9), "Adam": nn.Adam}


def microseconds(x, y, optimizer: nn.Optimizer, penalty: nn.Penalty | None) -> list[float]:
    """Return the mean time of a step for each thousand steps."""
    layers = [nn.Dense(128), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(10)]
    net = nn.Network(layers, inputs=784, penalty=penalty)
    rng, times = np.random.default_rng(0), []
    step = TrainingStep(net, nn.SoftmaxCrossEntropy(), optimizer)
    with blas_threads(1):
        for _ in range(ROUNDS):
            batches = rng.integers(0, len(x), (STEPS, BATCH))
            begun = time.perf_counter()
            for rows in batches:
                step(x, y, rows)
            times.append((time.perf_counter() - begun) / STEPS * 1e6)
    return times


def main() -> None:
    """Print a line for each optimizer and penalty."""
    (x, y), _ = nn.datasets.load_mnist()
    print("784-128-10, batches of 32: microseconds a step in each thousand of steps")
    for name, make in OPTIMIZERS.items():
        for penalty in (None, nn.L2(1e-4)):
            for way, every in (("set to zero", 64), ("left", 2**62)):
                with patch("nnreg.optimizers.FLUSH_EVERY", every):
                    times = microseconds(x, y, make(), penalty)
                figures = " ".join(f"{value:6.0f}" for value in times)
                print(f"{name:9} {penalty!s:17} {way:12} {figures}", flush=True)


if __name__ == "__main__":
    main()
