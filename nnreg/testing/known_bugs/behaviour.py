"""Known bugs that a gradient at one point does not show: side effects and state.

:func:`nnreg.check_gradients` runs a layer once, with fresh arrays, at points without zeros. These
bugs show at the second batch, in the next layer, or at exactly zero.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.activations import ReLU, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.testing.known_bugs.base import KnownBug, make_wrong


class StaleInput(Dense):
    """Uses the inputs of the batch before."""

    previous: Array | None = None

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x w + b``, but keep the batch before."""
        y = super().forward(x, cache)
        if x.dtype.kind == "f":
            cache.x = x if self.previous is None or len(self.previous) != len(x) else self.previous
            self.previous = x.copy()
        return y


class OutputOnTheLayer(Tanh):
    """Keeps its output as an attribute of the layer."""

    y: Array

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``tanh(x)``."""
        self.y = super().forward(x, cache).copy()
        return self.y.copy()

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(1 - y²)`` with whatever ``y`` was last."""
        dx: Array = dy * (1 - self.y * self.y)
        return dx


class Accumulating(Dense):
    """Adds to the gradient."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Add ``xᵀ dy`` and ``Σₙ dyₙ`` to what is there."""
        gradients["weight"] += cache.x.T @ dy
        gradients["bias"] += dy.sum(axis=0)


class Rebinding(Dense):
    """Puts new arrays into the dictionary."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Replace the entries."""
        gradients.update(weight=cache.x.T @ dy, bias=dy.sum(axis=0))


class UpdatesInGradient(Dense):
    """Makes the optimizer's step too."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write the gradient, and move the weights."""
        super().gradient(dy, cache, gradients)
        self.weight -= 0.1 * gradients["weight"]


class DamagesInput(ReLU):
    """A rectifier that works in place on its input."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``max(x, 0)``."""
        y = super().forward(x, cache)
        x *= cache.factor
        return y


class DividesByRows(Layer):
    """Divides by the number of rows in forward and backward alike."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x/N``."""
        return x / len(x)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy/N``."""
        return dy / len(dy)


BEHAVIOUR = [
    KnownBug(name, "any layer", description, hint, make=make, code=code)
    for name, code, description, hint, make in (
        (
            "layer: stale cache",
            "stale",
            "backward uses what an earlier batch left, not this one's.",
            "Write into the cache in every forward pass, before anything is read from it.",
            partial(StaleInput, 3),
        ),
        (
            "layer: activations on the layer",
            "one memory",
            "The layer keeps what backward needs on itself, so a second forward pass spoils the "
            "first.",
            "Put it into the cache that forward was given: cache.y = y. Two threads have two "
            "caches.",
            OutputOnTheLayer,
        ),
        (
            "layer: gradient accumulated",
            "accumulates",
            "The gradient is added to what was in the array: the last batch's gradient lives on.",
            "Overwrite: gradients[name][...] = result, not +=.",
            partial(Accumulating, 3),
        ),
        (
            "layer: gradient array replaced",
            "rebinds",
            "A new array replaced the one in the dictionary; the optimizer sees only the old one.",
            "Write into the array: gradients[name][...] = result. Without [...] only the name "
            "moves.",
            partial(Rebinding, 3),
        ),
        (
            "layer: parameters updated in gradient",
            "changes the parameters",
            "The parameters are changed while the gradient is computed.",
            "The layers below still need the old values for their dx. Updating is the "
            "optimizer's job.",
            partial(UpdatesInGradient, 3),
        ),
        (
            "layer: x damaged",
            "changes x",
            "forward changes its input in place.",
            "x is the output of the layer below, which needs it in its own backward pass, or the "
            "data.",
            DamagesInput,
        ),
        (
            "layer: dy damaged",
            "changes dy",
            "backward changes dy in place.",
            "Other gradients need the same dy. Write dx = dy * mask, not dy *= mask.",
            partial(make_wrong, ReLU, (), lambda p: np.multiply(p.dy, p.x > 0, out=p.dy) * 1.0),
        ),
        (
            "layer: the cache is used up",
            "backward once",
            "backward overwrites what forward kept: called a second time, it returns something "
            "else.",
            "What the cache holds is for reading. Write results into another array.",
            partial(make_wrong, Tanh, (), lambda p: np.multiply(p.right, 1.0, out=p.y)),
        ),
        (
            "ReLU: >= 0",
            "at zero",
            "The derivative at exactly x = 0 is 1, as if x were positive.",
            "Compare with > 0, not >= 0. Zeros are common: after dropout, after a ReLU, in the "
            "data.",
            partial(make_wrong, ReLU, (), lambda p: p.dy * (p.x.real >= 0)),
        ),
        (
            "layer: rows depend on the batch",
            "rows",
            "The same row gives another result when other rows stand beside it.",
            "Only the loss divides by N. A layer that does mix rows says independent_rows = False.",
            DividesByRows,
        ),
        (
            "layer: silent float64",
            "dtype",
            "float32 comes in and float64 goes out.",
            "An array or NumPy scalar of float64 in the formula promotes it all. Use Python "
            "numbers.",
            partial(make_wrong, Tanh, (), lambda p: p.right * np.ones(1)),
        ),
    )
]
