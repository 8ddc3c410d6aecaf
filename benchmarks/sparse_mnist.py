"""Sparsity of 784-300-10 on MNIST: zeros, error, size and speed by the strength of L1.

Every network is trained on all 60,000 images, in batches of 128, then 1,000, then 5,000: in a small
batch the noise of the gradient often exceeds L1's strength and makes a zero weight non-zero. Then
it is trained without L1 while a penalty of this module keeps the zeros, so L1 selects the weights
but does not shrink them. The network without L1 is trained in the same way. Errors are means over
three seeds. The network of the first seed is then timed in three forms: full matrices, pruned, and
sparse (non-zeros only). Last, one layer with random zeros shows from which share of zeros on the
sparse form is faster. BLAS uses one thread. Run it from the checkout's root, with ``NNREG_DATA``
naming a folder that holds ``mnist/``::

    python -m benchmarks.sparse_mnist
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import nnreg as nn
from nnreg._support.blas import blas_threads
from nnreg._support.tables import table
from nnreg.lab import SparsePredictor, prune

CHOOSING = ((8, 128, 1e-3), (8, 1000, 1e-3), (10, 5000, 2e-3))  # epochs, batch, learning rate
REFITTING = (5, 128, 1e-3)
STRENGTHS = (0.0, 3e-5, 1e-4, 1.5e-4, 3e-4)
SEEDS = (1, 2, 3)
TIMINGS = 15
SHARES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


class FixedZeros(nn.Penalty):
    """A penalty that keeps at zero the weights that are zero now."""

    method = "proximal"

    def __init__(self, w: np.ndarray) -> None:
        self.free = (w != 0).astype(w.dtype)

    def value(self, w: np.ndarray) -> float:
        """Return 0."""
        return 0.0

    def proximal(self, w: np.ndarray, step: float | np.ndarray, out: np.ndarray) -> None:
        """Set these weights to zero."""
        np.multiply(w, self.free, out=out)


@dataclass
class Trained:
    """A trained network, its zeros after each batch size, and both its errors."""

    net: nn.Network
    zeros: list[float]
    errors: list[float]


def train(net: nn.Network, x, y, epochs: int, batch: int, rate: float) -> None:
    """Train with Adam and a learning rate that decays to zero along a cosine."""
    optimizer, start = nn.Adam(rate), net.steps
    falling = nn.CosineDecay(rate, epochs * -(-len(x) // batch))
    nn.fit(
        *(net, x, y),
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch,
        callbacks=[
            nn.HyperparameterScheduler(
                optimizer, "learning_rate", lambda step: falling(step - start)
            )
        ],
        threads=1,
    )


def error(net: nn.Network, x, y) -> float:
    """Return the share of wrong classes in percent."""
    return 100.0 * (1.0 - nn.evaluate(net, x, y, loss=nn.SoftmaxCrossEntropy())["accuracy"])


def train_strength(training, test, *, l1: float, seed: int, quick: bool) -> Trained:
    """Return the network of one strength and seed."""
    net = nn.Network(
        [nn.Dense(300), nn.ReLU(), nn.Dense(10)],
        inputs=784,
        penalty=nn.L1(l1, method="proximal") if l1 else None,
        seed=seed,
    )
    result = Trained(net, [], [])
    for epochs, batch, rate in CHOOSING:
        train(net, *training, 1 if quick else epochs, batch, rate)
        result.zeros.append(100.0 * float(np.mean(net.parameters.weights == 0)))
    result.errors.append(error(net, *test))
    for layer in net.trainable_layers():
        layer.penalty = FixedZeros(layer.weight)
    train(net, *training, *(1 if quick else REFITTING[0], *REFITTING[1:]))
    result.errors.append(error(net, *test))
    return result


def milliseconds(predict: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> float:
    """Return the shortest of several processor times; there is one thread."""
    times = []
    for _ in range(TIMINGS):
        started = time.process_time()
        predict(x)
        times.append(time.process_time() - started)
    return 1000.0 * min(times)


def format_mean(values: list[float]) -> str:
    """Return mean and standard deviation."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def quality(l1: float, networks: list[Trained]) -> list[str]:
    """Return the cells of one strength: zeros and errors."""
    nonzeros = statistics.mean(np.count_nonzero(one.net.parameters.weights) for one in networks)
    zeros = [f"{statistics.mean(one.zeros[phase] for one in networks):.1f}" for phase in range(3)]
    errors = [format_mean([one.errors[phase] for one in networks]) for phase in range(2)]
    return [f"{l1:g}", *zeros, f"{nonzeros:,.0f}", *errors]


def economy(l1: float, net: nn.Network, x) -> list[str]:
    """Return the cells of one strength: sizes and times."""
    pruned, sparse = prune(net), SparsePredictor(net)
    outputs = net.predict(x)
    for other in (pruned, sparse):
        assert np.abs(other.predict(x) - outputs).max() <= 1e-6 * np.abs(outputs).max()
    small = pruned.network
    sizes = (net.parameters.vector.nbytes, small.parameters.vector.nbytes, sparse.nbytes)
    return [
        f"{l1:g}",
        f"{small.inputs}-{small.layers[0].units}-10",
        *(f"{size / 1024:,.0f}" for size in sizes),
        *(f"{milliseconds(way.predict, x):.1f}" for way in (net, pruned, sparse)),
    ]


def break_even(x) -> str:
    """Return the times of 784-300 with a growing share of zeros at random positions."""
    rng = np.random.default_rng(0)
    net = nn.Network([nn.Dense(300)], inputs=784)
    values = net.parameters.weights.copy()
    order = rng.permutation(values.size)
    rows = []
    for share in SHARES:
        net.parameters.weights[:] = values
        net.parameters.weights[order[: round(share * values.size)]] = 0.0
        full, sparse = (milliseconds(way.predict, x) for way in (net, SparsePredictor(net)))
        rows.append([f"{100 * share:g}", f"{full:.1f}", f"{sparse:.1f}", f"{full / sparse:.2f}"])
    return table(["zeros %", "full ms", "non-zeros ms", "times as fast"], rows, right=range(4))


def main() -> None:
    """Train, measure, and print every figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sparse_mnist")
    parser.add_argument("--quick", action="store_true", help="only check that everything runs")
    quick = parser.parse_args().quick
    (x, y), (x_test, y_test) = nn.datasets.load_mnist()
    if quick:
        x, y = x[:1000], y[:1000]
    data = (x, y), (x_test, y_test)
    first, second = [], []
    with blas_threads(1):
        for l1 in STRENGTHS:
            seeds = SEEDS[:1] if quick else SEEDS
            networks = [train_strength(*data, l1=l1, seed=seed, quick=quick) for seed in seeds]
            first.append(quality(l1, networks))
            second.append(economy(l1, networks[0].net, x_test))
            print(f"L1 {l1:g} is done", flush=True)
        zeros = [f"zeros % at {batch:,}" for _, batch, _ in CHOOSING]
        head = ["L1", *zeros, "non-zeros", "error %", "refitted %"]
        print("", table(head, first, right=range(7)), sep="\n")
        head = ["L1", "pruned", "KiB", "pruned", "non-zeros", "ms", "pruned", "non-zeros"]
        print("", table(head, second, right=[0, *range(2, 8)]), "", sep="\n")
        print(break_even(x_test))


if __name__ == "__main__":
    main()
