"""Random examples and small tools that tests share; shapes are drawn first, then bounded values."""

from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import strategies as st

import nnreg as nn

SIDES = st.integers(1, 6)

# One of every kind of layer that is shipped, and the variants whose code differs.
LAYERS: dict[str, Callable[[], nn.Layer]] = {
    "Dense": lambda: nn.Dense(3),
    "Dense without bias": lambda: nn.Dense(3, bias=False),
    "ReLU": nn.ReLU,
    "LeakyReLU": lambda: nn.LeakyReLU(0.1),
    "ELU": nn.ELU,
    "ELU, alpha 0.5": lambda: nn.ELU(0.5),
    "GELU": nn.GELU,
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
    "Softplus": nn.Softplus,
    "Dropout": lambda: nn.Dropout(keep_prob=0.6),
    "Dropout, identity": nn.Dropout,
    "GaussianDropout": lambda: nn.GaussianDropout(keep_prob=0.6),
}

LOSSES: dict[str, Callable[[], nn.Loss]] = {
    "SoftmaxCrossEntropy": nn.SoftmaxCrossEntropy,
    "SoftmaxCrossEntropy, smoothed": lambda: nn.SoftmaxCrossEntropy(label_smoothing=0.1),
    "SoftmaxCrossEntropy, soft": nn.SoftmaxCrossEntropy,
    "SoftmaxCrossEntropy, soft and smoothed": lambda: nn.SoftmaxCrossEntropy(label_smoothing=0.1),
    "SigmoidCrossEntropy": nn.SigmoidCrossEntropy,
    "MeanSquaredError": nn.MeanSquaredError,
    "Huber": lambda: nn.Huber(0.7),
    "Quantile": lambda: nn.Quantile(0.3),
    "Poisson": nn.Poisson,
}

OPTIMIZERS: dict[str, Callable[[], nn.Optimizer]] = {
    "SGD": lambda: nn.SGD(0.01),
    "SGD, momentum": lambda: nn.SGD(0.01, momentum=0.9),
    "SGD, Nesterov": lambda: nn.SGD(0.01, momentum=0.9, nesterov=True),
    "RMSprop": nn.RMSprop,
    "Adam": nn.Adam,
    "AdamW": nn.AdamW,
    "IPiano": lambda: nn.IPiano(0.01),
}


def targets_for(loss: str, rng: np.random.Generator, N: int, M: int) -> np.ndarray:
    """Return random targets of the form that the entry of LOSSES called ``loss`` takes."""
    if loss.startswith("SoftmaxCrossEntropy"):
        return rng.dirichlet(np.ones(M), N) if "soft" in loss else rng.integers(0, M, N)
    if loss == "SigmoidCrossEntropy":
        return rng.uniform(0, 1, (N, M))
    if loss == "Poisson":
        return rng.poisson(2.0, (N, M)).astype(float)
    return rng.normal(size=(N, M))


def values(
    shape: tuple[int, ...], low: float = -3.0, high: float = 3.0, dtype: Any = np.float64
) -> st.SearchStrategy[np.ndarray]:
    """Draw an array of this shape with entries in [low, high]."""
    width = 8 * np.dtype(dtype).itemsize
    return hnp.arrays(dtype, shape, elements=st.floats(low, high, width=width))


def vectors(low: float = -3.0, high: float = 3.0) -> st.SearchStrategy[np.ndarray]:
    """Draw a vector of one to twelve entries in [low, high]."""
    return st.integers(1, 12).flatmap(lambda n: values((n,), low, high))


def matrices(low: float = -3.0, high: float = 3.0) -> st.SearchStrategy[np.ndarray]:
    """Draw a matrix (N, D), one row and one column included."""
    return st.tuples(SIDES, SIDES).flatmap(lambda shape: values(shape, low, high))


def labels(N: int, K: int) -> st.SearchStrategy[np.ndarray]:
    """Draw class numbers (N,) below K."""
    return hnp.arrays(np.int64, N, elements=st.integers(0, K - 1))


@st.composite
def classified(
    draw: st.DrawFn, low: float = -3.0, high: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw outputs (N, K) and labels (N,)."""
    N, K = draw(st.tuples(SIDES, SIDES))
    return draw(values((N, K), low, high)), draw(labels(N, K))


@st.composite
def affine_maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw x (N, D), w (D, M), b (M,) and dy (N, M)."""
    N, D, M = draw(st.tuples(SIDES, SIDES, SIDES))
    return tuple(draw(values(shape)) for shape in [(N, D), (D, M), (M,), (N, M)])


@st.composite
def matrices_with_steps(draw: st.DrawFn, spread: float = 4) -> tuple[np.ndarray, np.ndarray]:
    """Draw weights (N, D) and a positive step for each."""
    shape = draw(st.tuples(SIDES, SIDES))
    return draw(values(shape)), 10.0 ** draw(values(shape, -spread, spread))


def written(method: Callable[..., None], w: np.ndarray, *arguments: Any) -> np.ndarray:
    """Return what ``method(w, *arguments, out)`` writes into ``out``."""
    out = np.full_like(w, np.nan)
    method(w, *arguments, out)
    return out


def away_from(x: np.ndarray, kink: float = 0.0, margin: float = 0.01) -> np.ndarray:
    """Push what lies within ``margin`` of a kink to its edge: no difference quotient crosses it."""
    side = np.where(x < kink, -1.0, 1.0)
    return kink + side * np.maximum(abs(x - kink), margin)


def slopes(f: Callable[[np.ndarray], Any], x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """Return the central differences of the scalar function ``f`` by each entry of ``x``."""
    result = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        result[i] = (f(up) - f(down)) / (2 * h)
    return result


def mixed(dtype="float64", seed=0, **options):
    """Return a network with dropout on the inputs and between its layers."""
    layers = [
        *(nn.Dropout(keep_prob=0.8), nn.Dense(6), nn.Tanh()),
        *(nn.Dropout(keep_prob=0.6), nn.Dense(5), nn.GELU(), nn.Dense(3)),
    ]
    return nn.Network(layers, inputs=4, dtype=dtype, seed=seed, **options)


def alone(
    layer: nn.Layer, inputs: int, dtype: Any = "float64", *, seed: int = 1
) -> tuple[nn.Network, nn.Layer]:
    """Return a network of this layer alone, with random parameters, and the layer."""
    net = nn.Network([layer], inputs=inputs, dtype=dtype, seed=seed)
    net.parameters.vector[:] = np.random.default_rng(seed).normal(size=net.parameters.vector.size)
    return net, layer


def training_cache(dtype: Any = "float64", *, step: int = 0, first_row: int = 0) -> nn.Cache:
    """Return a new cache, opened for a training pass."""
    cache = nn.Cache(dtype)
    cache.reset(training=True, step=step, first_row=first_row)
    return cache


def dropout_network(keep_prob, inputs, dtype="float64", *, seed=0, kind=nn.Dropout):
    """Return a network of one dropout layer."""
    return nn.Network([kind(keep_prob=keep_prob)], inputs=inputs, dtype=dtype, seed=seed)


def mask(net, N, *, step=0, layer=0):
    """Return the factors that a dropout layer draws: its outputs for ones."""
    x = np.ones((N, net.inputs), net.dtype)
    return net.layers[layer].forward(x, training_cache(net.dtype, step=step))


class Bits:
    """Fixed bits (N, D) instead of a stream of random words."""

    def __init__(self, bits):
        self.bits = bits

    def rows(self, counter, first_row, shape):
        assert self.bits.shape == shape
        yield (slice(None), slice(None)), self.bits


def replayed(net, x, bits):
    """Return the outputs and the cache of a training pass in which dropout reads these bits."""
    cache = nn.Cache(net.dtype)
    dropout = next(layer for layer in net.layers if isinstance(layer, nn.Dropout))
    cache[dropout.name].rng = Bits(bits)
    return net.forward(x, training=True, cache=cache)


def for_all_bits(layer, dtype="float64"):
    """Return a dropout layer's outputs for ones, (1, 65536), for each value of its 16 bits."""
    net = nn.Network([layer], inputs=65536, dtype=dtype)
    return replayed(net, np.ones((1, 65536)), np.arange(65536, dtype=np.uint16)[np.newaxis])[0]


def filled(parameters: nn.Parameters, rng: np.random.Generator) -> nn.Parameters:
    """Return random numbers of the names and shapes of ``parameters``: a gradient."""
    result = parameters.like()
    result.vector[:] = rng.normal(size=result.vector.size)
    return result
