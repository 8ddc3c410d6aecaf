"""A layer on trial: how it is made, what it is given, how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg.cache import Cache
from nnreg.kernels import Array
from nnreg.layers import Layer
from nnreg.network import Network


class ContractError(AssertionError):
    """A promise is broken.

    Attributes
    ----------
    finding : str
        Which, in a word or two; the gallery's mistakes carry the same words.
    """

    def __init__(self, finding: str, sentence: str) -> None:
        super().__init__(sentence)
        self.finding = finding


def promise(kept: Any, finding: str, sentence: str) -> None:
    """Raise :class:`ContractError` unless ``kept``."""
    if not kept:
        raise ContractError(finding, sentence)


@dataclass
class Pass:
    """What one pass through a layer took and gave."""

    x: Array
    y: Array
    dy: Array
    dx: Array
    gradients: dict[str, Array]
    cache: Cache


@dataclass
class Trial:
    """A layer to be tried: how to make it, and on what."""

    make: Callable[[], Layer]
    inputs: int
    rows: int
    seed: int
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = type(self.make()).__name__

    def place(self, dtype: Any = "float64", inputs: int | None = None) -> tuple[Network, Layer]:
        """Return a network of one new layer, with random parameters, and that layer."""
        net = Network([self.make()], inputs=inputs or self.inputs, dtype=dtype)
        values = np.random.default_rng(self.seed).normal(size=net.parameters.vector.size)
        net.parameters.vector[...] = values
        return net, net.layers[0]

    def batch(self, number: int = 0, shape: tuple[int, int] | None = None) -> Array:
        """Return inputs without zeros, float64."""
        rng = np.random.default_rng([self.seed, number])
        x = rng.standard_normal(shape or (self.rows, self.inputs))
        return np.sign(x) * (np.abs(x) + 0.01)

    def said(self, method: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the layer; an exception becomes a broken promise."""
        try:
            return call(*arguments)
        except Exception as error:
            raise ContractError(
                "raises", f"{self.name}.{method} raises {type(error).__name__}: {error}"
            ) from error

    def forward(
        self, layer: Layer, x: Array, *, step: int = 0, training: bool = True, first_row: int = 0
    ) -> tuple[Array, Cache]:
        """Return the output and a new cache."""
        cache = Cache(x.dtype)
        cache.begin(training=training, step=step, first_row=first_row)
        return self.said("forward", layer.forward, x, cache), cache

    def derivative(self, y: Array) -> Array:
        """Return a random ``dy`` for this output."""
        rng = np.random.default_rng([self.seed, 7])
        return rng.standard_normal(np.shape(y)).astype(y.dtype)

    def gradients(
        self, net: Network, dy: Array, cache: Cache, fill: float = np.nan
    ) -> dict[str, Array]:
        """Return what ``gradient`` makes of arrays full of ``fill``."""
        layer = net.layers[0]
        views = net.parameters.like().of(layer.name)
        for view in views.values():
            view[...] = fill
        if views:
            given = dict(views)
            self.said("gradient", layer.gradient, dy, cache, views)
            for name, array in given.items():
                promise(
                    views[name] is array,
                    "rebinds",
                    f"{self.name}.gradient puts a new array into gradients[{name!r}], which nobody "
                    f"else sees: write into the one that is there, gradients[{name!r}][...] = ...",
                )
        return views

    def run(self, net: Network, x: Array, *, dy: Array | None = None, **options: Any) -> Pass:
        """Return a whole pass in training mode."""
        layer = net.layers[0]
        y, cache = self.forward(layer, x, **options)
        dy = self.derivative(y) if dy is None else dy
        dx = self.said("backward", layer.backward, dy, cache)
        return Pass(x, y, dy, dx, self.gradients(net, dy, cache), cache)
