"""Shared by tests: a small problem, networks and layers for it, and the taught loop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import nnreg as nn
from nnreg._support.blas import blas_threads

# The formats of a saved network.
FORMATS = [
    "npz",
    pytest.param(
        "safetensors",
        marks=pytest.mark.skipif(not find_spec("safetensors"), reason="it is not installed"),
    ),
]

OPTIMIZERS: dict[str, Callable[[], nn.Optimizer]] = {
    "SGD": lambda: nn.SGD(0.1),
    "momentum": lambda: nn.SGD(0.05, momentum=0.9),
    "Nesterov": lambda: nn.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": lambda: nn.RMSprop(0.01),
    "Adam": lambda: nn.Adam(0.01),
    "AdamW": lambda: nn.AdamW(0.01, weight_decay=0.1),
    "IPiano": lambda: nn.IPiano(0.02, momentum=0.8),
}

PENALTIES: dict[str, Callable[[], nn.Penalty | None]] = {
    "none": lambda: None,
    "L2": lambda: nn.L2(0.1),
    "proximal L1": lambda: nn.L1(0.02, method="proximal"),
    "proximal ElasticNet": lambda: nn.ElasticNet(0.02, 0.1, method="proximal"),
}


def problem(rows: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return x (rows, 2) and y (rows,): three classes that differ in the first of two inputs."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    return rng.normal(size=(rows, 2)) + y[:, np.newaxis] * [1.0, 0.0], y


def network(
    *, penalty: nn.Penalty | None = None, seed: int = 0, dtype: str = "float64"
) -> nn.Network:
    return nn.Network(
        [nn.Dense(8), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(3)],
        inputs=2,
        penalty=penalty,
        seed=seed,
        dtype=dtype,
    )


def linear(
    inputs: int, outputs: int = 1, *, penalty: nn.Penalty | None = None, **options: Any
) -> nn.Network:
    """Return a network of one `Dense` layer, with weights of zero, in float64 by default."""
    dtype = options.pop("dtype", "float64")
    layer = nn.Dense(outputs, **({"initializer": nn.zeros} | options))
    return nn.Network([layer], inputs=inputs, penalty=penalty, dtype=dtype)


def curvature(x: np.ndarray, *, bias: bool = True) -> float:
    """Return the largest second derivative of the mean squared error of a linear model."""
    features = np.column_stack([x, np.ones(len(x))]) if bias else x
    return float(2 * np.linalg.eigvalsh(features.T @ features / len(x))[-1])


class Centred(nn.Layer):
    """Subtract the mean over the rows, so that the rows depend on each other."""

    independent_rows = False

    def forward(self, x: np.ndarray, cache: nn.Cache) -> np.ndarray:
        return x - x.mean(axis=0)

    def backward(self, dy: np.ndarray, cache: nn.Cache) -> np.ndarray:
        return dy - dy.mean(axis=0)


class Scale(nn.Layer):
    """``y = x * s``: one learned factor per feature."""

    def parameters(self, inputs: int) -> dict[str, nn.Parameter]:
        return {"factor": nn.Parameter((inputs,), nn.ones, weight=False)}

    def forward(self, x: np.ndarray, cache: nn.Cache) -> np.ndarray:
        cache.x = x
        return x * self.factor

    def backward(self, dy: np.ndarray, cache: nn.Cache) -> np.ndarray:
        return dy * self.factor

    def gradient(self, dy: np.ndarray, cache: nn.Cache, gradients: Any) -> None:
        gradients["factor"][...] = (dy * cache.x).sum(axis=0)


def fit(net: nn.Network, x: Any = None, y: Any = None, **options: Any) -> nn.History:
    """Train, on the small problem by default."""
    if x is None:
        x, y = problem()
    chosen = {"loss": nn.SoftmaxCrossEntropy(), "optimizer": nn.SGD(0.1), "epochs": 1}
    return nn.fit(net, x, y, **(chosen | {"batch_size": 16} | options))


@blas_threads(1)
def taught(
    net: nn.Network,
    x: Any,
    y: Any,
    *,
    loss: nn.Loss,
    optimizer: nn.Optimizer,
    epochs: int,
    batch_size: int = 16,
    weights: Any = None,
    shuffle: bool = True,
) -> list[float]:
    """Train by the taught loop, on one BLAS thread, and return each epoch's mean loss over rows."""
    means = []
    for _ in range(epochs):
        total = 0.0
        for batch in nn.batches(len(x), batch_size, net, shuffle=shuffle):
            outputs, cache = net.forward(x[batch], training=True)
            row_weights = None if weights is None else weights[batch]
            data_loss, doutputs = loss(outputs, y[batch], weights=row_weights)
            gradients = net.backward(doutputs, cache)
            net.add_penalty_gradient(gradients)
            optimizer.update(net.parameters, gradients)
            net.apply_proximal(optimizer.step_size)
            total += len(batch) * float(data_loss)
        means.append(total / len(x))
    return means


def everything(net: nn.Network, *optimizers: nn.Optimizer) -> list[Any]:
    """Return all that training changes, to be compared bit for bit."""
    result: list[Any] = [net.parameters.vector.tobytes(), net.steps, net.epochs]
    for optimizer in optimizers:
        result += [optimizer.steps, {k: v.tobytes() for k, v in optimizer.state.items()}]
    return result


def error_of(
    kind: type[BaseException], net: nn.Network, *data: Any, match: str | None = None, **options: Any
) -> Any:
    """Return the error of this kind that ends a `fit`."""
    with pytest.raises(kind, match=match) as caught:
        fit(net, *data, **options)
    return caught.value


@contextmanager
def unchanged(*objects: Any) -> Iterator[None]:
    """Assert that a network, and optimizers, are as before, bit for bit."""
    before = everything(*objects)
    yield
    assert everything(*objects) == before


class Watch(nn.Layer):
    """The identity; in training mode, what ``act(x, cache)`` returns unless that is None."""

    def __init__(self, act: Callable[[np.ndarray, nn.Cache], Any]) -> None:
        self.act = act

    def forward(self, x: np.ndarray, cache: nn.Cache) -> Any:
        result = self.act(x, cache) if cache.training else None
        return x if result is None else result

    def backward(self, dy: np.ndarray, cache: nn.Cache) -> np.ndarray:
        return dy


def watched(act: Callable[[np.ndarray], Any], step: int) -> nn.Network:
    """Return a network whose third layer calls ``act`` in this step."""
    watch = Watch(lambda x, cache: act(x) if cache.step == step else None)
    return nn.Network([nn.Dense(8), nn.ReLU(), watch, nn.Dense(3)], inputs=2, dtype="float64")


def callback(**events: Callable[[Any], Any]) -> nn.Callback:
    """Return a callback with a function for each of these events."""
    result = nn.Callback()
    vars(result).update(events)
    return result


def assert_fit_is_the_taught_loop(
    layers: Callable[[], list[nn.Layer]],
    optimizer: Callable[[], nn.Optimizer] = OPTIMIZERS["Adam"],
    **options: Any,
) -> None:
    """Compare bit for bit what `fit` and the taught loop, on one thread, make of the parameters."""
    options = {"inputs": 2, "dtype": "float64"} | options
    nets, rules = [nn.Network(layers(), **options) for _ in range(2)], (optimizer(), optimizer())
    x, y = problem()
    x = x.astype(options["dtype"])
    taught(nets[0], x, y, loss=nn.SoftmaxCrossEntropy(), optimizer=rules[0], epochs=2)
    fit(nets[1], x, y, optimizer=rules[1], epochs=2, threads=1)
    assert everything(nets[0], rules[0]) == everything(nets[1], rules[1])


def train_anew(optimizer: str) -> list[Any]:
    """Train a new network, and return all that this makes; in other threads and processes too."""
    net, rule = network(penalty=nn.L1(0.01, method="proximal")), OPTIMIZERS[optimizer]()
    fit(net, optimizer=rule, epochs=3, threads=1)
    return everything(net, rule)
