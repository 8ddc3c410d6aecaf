"""One recipe with one seed: the network, its training, and what is measured."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import numpy as np

import nnreg as nn
from benchmarks.papers.recipes import Recipe

Array = np.ndarray[Any, Any]

LOADERS = {"mnist": nn.datasets.load_mnist, "digits": nn.datasets.load_digits}
WARM_UP = 1 / 20
L1_FROM = 2 / 3


@functools.cache
def load_data(data: str) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return a data set, read once in a process."""
    return LOADERS[data]()


def parts(recipe: Recipe, data: str) -> tuple[Array, Array, Array, Array]:
    """Return the rows to train on and the rows to measure on, ``x, y, x_measured, y_measured``."""
    (x, y), measured = load_data(data)
    count = len(x) - len(x) // 6
    if recipe.measured == "validation":
        measured = x[count:], y[count:]
    elif recipe.rows is None:
        count = len(x)
    rows = slice(min(recipe.rows or count, count))
    return x[rows], y[rows], *measured


def scaled_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from N(0, 1/D)."""
    return rng.standard_normal(shape) / math.sqrt(shape[0])


def network(recipe: Recipe, inputs: int, seed: int) -> nn.Network:
    """Return the untrained network.

    Dropout stands everywhere, if only with a keep probability of 1: so the rows of a table have
    the same initial values.
    """
    visible, hidden = recipe.keep
    initializer = {"he": None, "normal": nn.standard_normal, "scaled": scaled_normal}[
        recipe.initial
    ]
    layers: list[nn.Layer] = [nn.Dropout(keep_prob=visible)]
    for units in recipe.hidden:
        layers += [
            nn.Dense(units, initializer=initializer),
            nn.ReLU() if recipe.activation == "relu" else nn.Sigmoid(),
            nn.Dropout(keep_prob=hidden),
        ]
    layers.append(nn.Dense(10, initializer=initializer))
    penalty: nn.Penalty | None = nn.L2(recipe.l2) if recipe.l2 else None
    if recipe.l1:
        penalty = nn.ElasticNet(0.0, recipe.l2, method="proximal")
    constraint = None if recipe.max_norm is None else nn.MaxNorm(recipe.max_norm)
    net = nn.Network(layers, inputs=inputs, penalty=penalty, constraint=constraint, seed=seed)
    if recipe.initial != "he":
        biases = net.parameters.biases
        biases[:] = np.random.default_rng(seed).standard_normal(biases.size)
    return net


def schedules(
    recipe: Recipe, net: nn.Network, optimizer: nn.Optimizer, steps: int
) -> list[nn.Callback]:
    """Return what changes a hyper-parameter during so many steps."""
    callbacks: list[nn.Callback] = []
    if recipe.decays:
        rise = math.ceil(WARM_UP * steps)
        fall = nn.CosineDecay(recipe.learning_rate, max(steps - rise, 1))
        callbacks.append(
            nn.HyperparameterScheduler(optimizer, "learning_rate", nn.Warmup(rise, fall))
        )
    if recipe.l1:
        start = L1_FROM * steps
        late = nn.HyperparameterScheduler(
            net.penalty, "l1", lambda step: recipe.l1 if step >= start else 0.0
        )
        callbacks.append(late)
    return callbacks


def error(net: nn.Network, x: Array, y: Array) -> float:
    """Return the share of wrong classes in percent; the class is that of the largest output."""
    wrong = sum(
        int(np.count_nonzero(net.predict(x[part]).argmax(axis=1) != y[part]))
        for part in (slice(start, start + 1000) for start in range(0, len(x), 1000))
    )
    return 100.0 * wrong / len(x)


def train_recipe(recipe: Recipe, seed: int, data: str = "mnist") -> dict[str, Array]:
    """Train a network, and return what a table needs of it.

    Returns
    -------
    dict of str to ndarray
        ``errors``, on the measured rows, in percent, after each epoch or after the last one;
        ``train_error``, on the first 10,000 rows trained on; ``zeros``, the share of weights that
        are 0, in percent; ``updates``; ``seconds``.
    """
    x, y, x_measured, y_measured = parts(recipe, data)
    net = network(recipe, x.shape[1], seed)
    optimizer = {"sgd": nn.SGD, "adam": nn.Adam}[recipe.optimizer](recipe.learning_rate)
    errors: list[float] = []

    def measure(run: nn.TrainingState) -> None:
        if recipe.each_epoch or run.net.epochs == recipe.epochs:
            errors.append(error(run.net, x_measured, y_measured))

    begun = time.perf_counter()
    nn.fit(
        net,
        x,
        np.eye(10, dtype=np.float32)[y] if recipe.loss == "sigmoid" else y,
        loss=nn.SigmoidCrossEntropy() if recipe.loss == "sigmoid" else nn.SoftmaxCrossEntropy(),
        optimizer=optimizer,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        callbacks=[
            *schedules(recipe, net, optimizer, recipe.epochs * -(-len(x) // recipe.batch_size)),
            measure,
        ],
    )
    return {
        "errors": np.array(errors),
        "train_error": np.array(error(net, x[:10_000], y[:10_000])),
        "zeros": np.array(100.0 * float(np.mean(net.parameters.weights == 0))),
        "updates": np.array(net.steps),
        "seconds": np.array(time.perf_counter() - begun),
    }
