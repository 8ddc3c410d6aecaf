"""How sparse 784-300-10 can be on MNIST: L1's strength against zeros, error, size and speed.

Every network is trained on all 60,000 images for the same number of epochs, with one thread of
BLAS; the test error is the mean over three seeds. The network of the first seed is then compacted,
and timed against itself: in full matrices, compacted, and from its non-zeros alone. At the end one
layer with random zeros tells from which share on the non-zeros alone are faster. Run it from the
checkout's root, with ``NNREG_DATA`` naming a folder that holds ``mnist/``::

    python -m benchmarks.sparse_mnist
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import nnreg as nn
from nnreg.lab import SparsePredictor, compact
from nnreg.summary import table
from nnreg.threads import blas_threads

EPOCHS = 15
BATCH = 128
STRENGTHS = (0.0, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4)
SEEDS = (0, 1, 2)
TIMINGS = 15
SHARES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


def trained(x, y, *, l1: float, seed: int, epochs: int) -> nn.Network:
    """Return the network after training with Adam and a cosine schedule."""
    net = nn.Network(
        [nn.Dense(300), nn.ReLU(), nn.Dense(10)],
        inputs=784,
        penalty=nn.L1(l1, method="proximal") if l1 else None,
        seed=seed,
    )
    optimizer = nn.Adam(1e-3)
    decay = nn.Cosine(1e-3, epochs * -(-len(x) // BATCH))
    nn.fit(
        *(net, x, y),
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=BATCH,
        callbacks=[nn.Scheduled(optimizer, "learning_rate", decay)],
        threads=1,
    )
    return net


def milliseconds(predict: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> float:
    """Return the shortest of several times, of the processor: there is one thread."""
    times = []
    for _ in range(TIMINGS):
        started = time.process_time()
        predict(x)
        times.append(time.process_time() - started)
    return 1000.0 * min(times)


def row(l1: float, nets: list[nn.Network], x, y) -> list[str]:
    """Return the cells of one strength."""
    loss = nn.SoftmaxCrossEntropy()
    errors = [100 * (1 - nn.evaluate(net, x, y, loss=loss)["accuracy"]) for net in nets]
    nonzeros = [np.count_nonzero(net.parameters.weights) for net in nets]
    zeros = 100 * (1 - statistics.mean(nonzeros) / nets[0].parameters.weights.size)
    first = nets[0]
    found, sparse = compact(first), SparsePredictor(first)
    outputs = first.predict(x)
    for other in (found, sparse):
        assert np.abs(other.predict(x) - outputs).max() <= 1e-6 * np.abs(outputs).max()
    small = found.network
    sizes = (first.parameters.vector.nbytes, small.parameters.vector.nbytes, sparse.nbytes)
    spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
    return [
        f"{l1:g}",
        f"{statistics.mean(nonzeros):,.0f}",
        f"{zeros:.1f}",
        f"{statistics.mean(errors):.2f}{spread}",
        f"{small.inputs}-{small.layers[0].units}-10",
        *(f"{size / 1024:,.0f}" for size in sizes),
        *(f"{milliseconds(way.predict, x):.1f}" for way in (first, found, sparse)),
    ]


def break_even(x) -> str:
    """Return the times of 784-300 with ever more zeros, scattered at random."""
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
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    quick = parser.parse_args().quick
    (x, y), (x_test, y_test) = nn.datasets.load_mnist()
    if quick:
        x, y = x[:1000], y[:1000]
    epochs, seeds = (1, SEEDS[:1]) if quick else (EPOCHS, SEEDS)
    rows = []
    with blas_threads(1):
        for l1 in STRENGTHS:
            nets = [trained(x, y, l1=l1, seed=seed, epochs=epochs) for seed in seeds]
            rows.append(row(l1, nets, x_test, y_test))
            print(f"L1 {l1:g}: {rows[-1][2]} % zeros, error {rows[-1][3]} %", flush=True)
        head = ["L1", "non-zeros", "zeros %", "test error %", "compacted"]
        head += ["KiB", "comp.", "sparse", "ms", "comp.", "sparse"]
        print("", table(head, rows, right=[0, 1, 2, 3, *range(5, 11)]), "", sep="\n")
        print(break_even(x_test))


if __name__ == "__main__":
    main()
