"""The tricks of the hot path, each with a way to do without it.

An :class:`Ablation` is two contexts in which ``nn.fit`` is timed: ``on``, by default nnreg as it
stands, and ``off``, with parts of it replaced. To add one, write the context and its entry in
``ABLATIONS``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

import nnreg as nn
from benchmarks.problem import Array

Context = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Ablation:
    """One trick.

    ``threads`` is what ``nn.fit`` is told, so that a trick can be looked at in one lane. ``exact``
    says that both ways compute the same, which is then held to 1e-10 before timing.
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

    class Local(threading.local):  # a generator for each lane, since it has no lock
        def __init__(self) -> None:
            self.rng = np.random.default_rng(threading.get_ident())

    local = Local()

    def forward(self: nn.Dropout, x: Array, cache: nn.Cache) -> Array:
        cache.mask = None
        if not cache.training or self.keep_prob == 1:
            return x
        numbers = local.rng.random(out=cache.array("numbers", x.shape, np.float32), dtype="f4")
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
    """Carry the derivative down to the network's inputs, where nobody uses it."""
    carry_down = nn.Network.run_deltas

    def run_deltas(self: nn.Network, dy: Array, cache: nn.Cache) -> Array:
        return carry_down(self, dy, cache, inputs=True)

    with patch("nnreg.network.Network.run_deltas", run_deltas):
        yield


@contextmanager
def whole_vector() -> Iterator[None]:
    """Form every gradient, then add the penalty to all of them, then update them all at once."""
    everything = 2**40
    with (
        patch("nnreg.training.step.SMALL", everything),
        patch("nnreg.training.step.BLOCK", everything),
        patch("nnreg.optimizers.BLOCK", everything),
        patch("nnreg.penalties.L2.block", everything),
    ):
        yield


def plan(lanes: int, blas: int) -> Context:
    """Return the context in which ``fit`` takes so many lanes, and BLAS so many threads."""
    return lambda: patch("nnreg.training.loop.split", lambda *_: (lanes, blas))


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
        configurations=("class", "seed", "table9"),
        optimizers=("adam", "momentum"),
    ),
    Ablation(
        "two lanes",
        "one lane, BLAS on two threads",
        plan(lanes=1, blas=2),
        on=plan(lanes=2, blas=1),
    ),
    Ablation(
        "a second thread",
        "one lane, BLAS on one thread",
        plan(lanes=1, blas=1),
        on=plan(lanes=1, blas=2),
    ),
)
