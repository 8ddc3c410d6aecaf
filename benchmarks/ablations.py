"""Optimizations of the training step, each with a way to switch it off.

An :class:`Ablation` is two contexts in which ``nn.fit`` is timed: ``on``, by default nnreg
unchanged, and ``off``, with parts of it replaced. To add one, write the context and its entry in
``ABLATIONS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

import nnreg as nn
from benchmarks.problem import Array
from nnreg._support.blas import blas_threads
from nnreg.kernels import axpby
from nnreg.training.step import IGNORE_FLOAT_ERRORS, UFUNC_BUFFER_SIZE, TrainingStep

Context = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Ablation:
    """One optimization.

    ``threads`` is that of ``nn.fit``. ``exact`` says that both ways compute the same, which is
    checked to 1e-10 before timing.
    """

    name: str
    what: str  # what `off` does
    off: Context
    on: Context = nullcontext
    threads: int | None = None
    exact: bool = True
    configurations: tuple[str, ...] = ("tiny", "class", "seed", "table9")
    optimizers: tuple[str, ...] = ("adam",)


@contextmanager
def fresh_buffers() -> Iterator[None]:
    """Give every layer new memory in every step."""

    def array(self: nn.Cache, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        return np.empty(shape, self.dtype if dtype is None else dtype)

    with patch("nnreg.cache.Cache.array", array):
        yield


@contextmanager
def masks_from_floats() -> Iterator[None]:
    """Draw a float32 for every unit, from NumPy's default generator, and compare it."""
    rng = np.random.default_rng(0)

    def forward(self: nn.Dropout, x: Array, cache: nn.Cache) -> Array:
        cache.mask = None
        if not cache.training or self.keep_prob == 1:
            return x
        numbers = rng.random(out=cache.array("numbers", x.shape, np.float32), dtype="f4")
        mask = cache.mask = np.less(numbers, self.keep_prob, out=cache.array("mask", x.shape))
        mask *= 1 / self.keep_prob
        return np.multiply(x, mask, out=cache.array("y", x.shape))

    def backward(self: nn.Dropout, dy: Array, cache: nn.Cache) -> Array:
        if cache.mask is None:
            return dy
        return np.multiply(dy, cache.mask, out=cache.array("dx", dy.shape))

    with (
        patch("nnreg.layers.dropout.Dropout.forward", forward),
        patch("nnreg.layers.dropout.Dropout.backward", backward),
    ):
        yield


@contextmanager
def derivative_by_the_data() -> Iterator[None]:
    """Compute the derivative with respect to the network's inputs, which is not used."""
    original = nn.Network.run_backward

    def run_backward(self: nn.Network, dy: Array, cache: nn.Cache) -> Array:
        return original(self, dy, cache, inputs=True)

    with patch("nnreg.network.Network.run_backward", run_backward):
        yield


@contextmanager
def whole_vector() -> Iterator[None]:
    """Compute every gradient, then add the penalty, then update the whole vector in one call."""
    everything = 2**40
    with (
        patch("nnreg.training.step.MAX_SINGLE_BLOCK", everything),
        patch("nnreg.training.step.BLOCK", everything),
        patch("nnreg.optimizers.BLOCK", everything),
        patch("nnreg.penalties.L2.block", everything),
    ):
        yield


def settings_in_every_step() -> AbstractContextManager[Any]:
    """Set NumPy's handling of errors and its buffer in every step, and restore them."""

    def call(
        self: TrainingStep, x: Array, targets: Array, rows: Array, weights: Array | None = None
    ) -> float:
        step = self.net.begin_step()
        with np.errstate(**IGNORE_FLOAT_ERRORS):
            before = np.setbufsize(UFUNC_BUFFER_SIZE)
            value = self._run_passes(x, targets, rows, weights, step)
            np.setbufsize(before)
            self._update()
        return value

    return patch("nnreg.training.step.TrainingStep.__call__", call)


def bias_gradients_by_sums() -> AbstractContextManager[Any]:
    """Add the rows by NumPy instead of by a product with ones."""

    def affine_db(dy: Array, out: Array | None = None) -> Array:
        return np.add.reduce(dy, axis=0, out=out)

    return patch("nnreg.kernels.affine_db", affine_db)


def adam_by_sums() -> AbstractContextManager[Any]:
    """Keep ``m/(1 - beta_1)`` and ``v/(1 - beta_2)``, whose recursions need two passes less."""

    def update_block(self: nn.Adam, w: Array, g: Array, part: slice, work: Array) -> None:
        c1 = (1 - self.beta_1) / (1 - self.beta_1**self.steps)
        c2 = math.sqrt((1 - self.beta_2) / (1 - self.beta_2**self.steps))
        mean, square = self.state["mean"][part], self.state["mean_square"][part]
        axpby(1.0, g, self.beta_1, mean)
        axpby(1.0, np.multiply(g, g, out=work), self.beta_2, square)
        np.sqrt(square, out=work)
        work += self.epsilon / c2
        np.divide(mean, work, out=work)
        axpby(-self.learning_rate * c1 / c2, work, 1.0, w, work)

    return patch("nnreg.optimizers.Adam.update_block", update_block)


def signed_zeros() -> AbstractContextManager[Any]:
    """Leave the -0 that ReLU makes of a negative number."""

    def rectifier(
        x: Array, slope: float = 0.0, out: Array | None = None, work: Array | None = None
    ) -> Array:
        factor = np.greater(x.real, 0, out=np.empty_like(x) if work is None else work)
        if slope:
            np.maximum(factor, slope, out=factor)
        return np.multiply(x, factor, out=out)

    return patch("nnreg.kernels.rectifier", rectifier)


def threads(count: int) -> Context:
    """Return the context in which ``fit`` gives BLAS so many threads."""
    return lambda: patch("nnreg.training.loop.blas_threads", lambda _: blas_threads(count))


SMALL = ("tiny", "narrow", "class")
LARGE = ("class", "seed", "table9")
ABLATIONS = (
    Ablation("buffers", "new memory in every step", fresh_buffers, threads=1),
    Ablation("mask words", "a float32 drawn for every unit", masks_from_floats, exact=False),
    Ablation(
        "no input gradient",
        "the first layer's input gradient is formed",
        derivative_by_the_data,
    ),
    Ablation(
        "optimizer by blocks",
        "gradient, penalty and optimizer sweep the whole vector, one after the other",
        whole_vector,
        threads=1,
        configurations=LARGE,
        optimizers=("adam", "momentum"),
    ),
    Ablation(
        "bias gradients by products",
        "NumPy adds the rows",
        bias_gradients_by_sums,
    ),
    Ablation(
        "axpby",
        "NumPy makes three passes for `y = a·x + b·y`",
        lambda: patch("nnreg.kernels.find_axpby", lambda _: None),
        threads=1,
        configurations=("tiny", *LARGE),
        optimizers=("adam", "momentum"),
    ),
    Ablation(
        "axpby for long arrays only",
        "OpenBLAS is called for short arrays too",
        lambda: patch("nnreg.kernels.MIN_AXPBY", 1),
        threads=1,
        configurations=SMALL,
        optimizers=("adam", "momentum"),
    ),
    Ablation(
        "NumPy's settings in a context",
        "they are set and restored in every step",
        settings_in_every_step,
        threads=1,
        configurations=SMALL,
    ),
    Ablation(
        "Adam's means",
        "Adam keeps discounted sums, two passes less",
        adam_by_sums,
        threads=1,
    ),
    Ablation("plain zeros", "ReLU gives -0 for negative numbers", signed_zeros, threads=1),
    Ablation(
        "flush of subnormal numbers",
        "none; see benchmarks.subnormal for where it matters",
        lambda: patch("nnreg.optimizers.FLUSH_EVERY", 2**62),
        threads=1,
        optimizers=("adam", "momentum"),
    ),
    Ablation(
        "small ufunc buffer",
        "NumPy's default buffer of 8,192 values",
        lambda: patch("nnreg.training.step.UFUNC_BUFFER_SIZE", 8192),
        threads=1,
    ),
    Ablation(
        "a second thread",
        "BLAS on one thread",
        threads(1),
        on=threads(2),
        configurations=LARGE,
    ),
)
