"""Test error on MNIST of 784-512-512-10 with Adam, dropout and L2, over three seeds.

The strength of L2 and the keep probabilities are chosen on the last 10,000 training images, never
on the test set; then the network is trained on all 60,000. Run it from the checkout's root, with
``NNREG_DATA`` naming a folder that holds ``mnist/``::

    python -m benchmarks.mnist_error
"""

from __future__ import annotations

import itertools
import statistics

import nnreg as nn

EPOCHS = 20
BATCH = 128
GRID = tuple(itertools.product((1e-6, 1e-5), ((0.8, 0.5), (0.9, 0.7))))
SEEDS = (0, 1, 2)


def train_network(
    x, y, *, l2: float, keep: tuple[float, float], seed: int, epochs: int
) -> nn.Network:
    """Return the network after training."""
    visible, hidden = keep
    layers = [
        nn.Dropout(keep_prob=visible),
        *(nn.Dense(512), nn.ReLU(), nn.Dropout(keep_prob=hidden)),
        *(nn.Dense(512), nn.ReLU(), nn.Dropout(keep_prob=hidden)),
        nn.Dense(10),
    ]
    net = nn.Network(layers, inputs=784, penalty=nn.L2(l2), seed=seed)
    optimizer = nn.Adam(1e-3)
    decay = nn.CosineDecay(1e-3, epochs * -(-len(x) // BATCH))
    nn.fit(
        net,
        x,
        y,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=BATCH,
        callbacks=[nn.HyperparameterScheduler(optimizer, "learning_rate", decay)],
    )
    return net


def error(net: nn.Network, x, y) -> float:
    """Return the share of wrong classes in percent."""
    result = nn.evaluate(net, x, y, loss=nn.SoftmaxCrossEntropy())
    return 100.0 * (1.0 - result["accuracy"])


def main() -> None:
    """Choose, train, and print every figure."""
    (x, y), (x_test, y_test) = nn.datasets.load_mnist()
    scores = {}
    for l2, keep in GRID:
        net = train_network(x[:50_000], y[:50_000], l2=l2, keep=keep, seed=0, epochs=EPOCHS)
        scores[l2, keep] = error(net, x[50_000:], y[50_000:])
        print(f"L2 {l2:g}, keep {keep}: validation error {scores[l2, keep]:.2f} %", flush=True)
    l2, keep = min(scores, key=scores.__getitem__)
    print(f"chosen: L2 {l2:g}, keep {keep}")
    errors = []
    for seed in SEEDS:
        net = train_network(x, y, l2=l2, keep=keep, seed=seed, epochs=EPOCHS)
        errors.append(error(net, x_test, y_test))
        print(f"seed {seed}: test error {errors[-1]:.2f} %", flush=True)
    spread = statistics.stdev(errors)
    print(f"mean {statistics.mean(errors):.3f} %, standard deviation {spread:.3f}")


if __name__ == "__main__":
    main()
