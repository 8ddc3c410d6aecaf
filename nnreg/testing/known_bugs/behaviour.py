"""Known bugs that a gradient at one point does not show: side effects and state.

:func:`nnreg.check_gradients` runs a layer once, with fresh arrays, at points without zeros. These
bugs show at the second batch, in the next layer, or at exactly zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.activations import LeakyReLU, ReLU, Tanh
from nnreg.layers.base import Layer
from nnreg.testing.known_bugs.base import KnownBug
from nnreg.testing.known_bugs.dense import Affine


class StaleInput(Affine):
    """Uses the inputs of the batch before."""

    previous: Array | None = None

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x w + b``, but remember the batch before."""
        y = super().forward(x, cache)
        if x.dtype.kind == "f":
            cache.x = x if self.previous is None or len(self.previous) != len(x) else self.previous
            self.previous = x.copy()
        return y


class OutputOnTheLayer(Tanh):
    """Keeps its output on itself."""

    y: Array

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``tanh(x)``."""
        self.y = super().forward(x, cache).copy()
        return self.y.copy()

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(1 - y²)`` with whatever ``y`` was last."""
        dx: Array = dy * (1 - self.y * self.y)
        return dx


class Accumulating(Affine):
    """Adds to the gradient."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Add ``xᵀ dy`` to what is there."""
        gradients["weight"] += cache.x.T @ dy
        gradients["bias"] += dy.sum(axis=0)


class Rebinding(Affine):
    """Puts a new array into the dictionary."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Replace the entries."""
        gradients["weight"] = cache.x.T @ dy
        gradients["bias"] = dy.sum(axis=0)


class UpdatesInGradient(Affine):
    """Makes the optimizer's step too."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write the gradient, and move the weights."""
        super().gradient(dy, cache, gradients)
        self.weight -= 0.1 * gradients["weight"]


class DamagesInput(Layer):
    """A rectifier that works in place on its input."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``max(x, 0)``."""
        cache.positive = x.real > 0
        x *= cache.positive
        return x * 1.0

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·[x > 0]``."""
        dx: Array = dy * cache.positive
        return dx


class DamagesDy(ReLU):
    """A rectifier that works in place on ``dy``."""

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·[x > 0]`` in the memory of ``dy``."""
        dy *= cache.factor
        return dy * 1.0


class UsesUpItsCache(ReLU):
    """Writes ``dx`` over what the cache holds."""

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·[x > 0]`` in the memory of ``[x > 0]``."""
        cache.factor *= dy
        dx: Array = cache.factor
        return dx


class OneAtZero(LeakyReLU):
    """Takes the derivative at exactly zero to be 1."""

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·f`` with ``f`` from ``x >= 0``."""
        dx: Array = dy * np.where(cache.x.real >= 0, 1.0, self.slope).astype(dy.dtype)
        return dx

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·f``."""
        cache.x = x
        return super().forward(x, cache)


class DividesByRows(Layer):
    """Divides by the number of rows in forward and backward alike."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x/N``."""
        cache.rows = len(x)
        return x / len(x)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy/N``."""
        dx: Array = dy / cache.rows
        return dx


class OneDtype(Tanh):
    """Computes in float64, whatever it is given."""

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(1 - y²)``, promoted."""
        dx: Array = dy * (np.ones(1) - cache.y * cache.y)
        return dx


def _bug(name: str, code: str, description: str, hint: str, make: Any) -> KnownBug:
    return KnownBug(name, "any layer", description, hint, make=make, code=code)


BEHAVIOUR = (
    _bug(
        "layer: stale cache",
        "stale",
        "backward uses what an earlier batch left, not this one's.",
        "Write into the cache in every forward pass, before anything is read from it.",
        lambda: StaleInput(3),
    ),
    _bug(
        "layer: activations on the layer",
        "one memory",
        "The layer keeps what backward needs on itself, so a second forward pass spoils the first.",
        "Put it into the cache that forward was given: cache.y = y. Two threads have two caches.",
        OutputOnTheLayer,
    ),
    _bug(
        "layer: gradient accumulated",
        "accumulates",
        "The gradient is added to what was in the array: the last batch's gradient lives on.",
        "Overwrite: gradients[name][...] = result, not +=.",
        lambda: Accumulating(3),
    ),
    _bug(
        "layer: gradient array replaced",
        "rebinds",
        "A new array replaced the one in the dictionary; the optimizer sees only the old one.",
        "Write into the array: gradients[name][...] = result. Without [...] only the name moves.",
        lambda: Rebinding(3),
    ),
    _bug(
        "layer: parameters updated in gradient",
        "changes the parameters",
        "The parameters are changed while the gradient is computed.",
        "The layers below still need the old values for their dx. Updating is the optimizer's job.",
        lambda: UpdatesInGradient(3),
    ),
    _bug(
        "layer: x damaged",
        "changes x",
        "forward changes its input in place.",
        "x is the output of the layer below, which needs it in its own backward pass, or the data.",
        DamagesInput,
    ),
    _bug(
        "layer: dy damaged",
        "changes dy",
        "backward changes dy in place.",
        "gradient needs the same dy. Write dx = dy * mask, not dy *= mask.",
        DamagesDy,
    ),
    _bug(
        "layer: the cache is used up",
        "backward once",
        "backward destroys what forward kept: asked a second time, it answers otherwise.",
        "What the cache holds is for reading. Write results into another array.",
        UsesUpItsCache,
    ),
    _bug(
        "ReLU: >= 0",
        "at zero",
        "The derivative at exactly x = 0 is 1, as if x were positive.",
        "Compare with > 0, not >= 0. Zeros are common: after dropout, after a ReLU, in the data.",
        lambda: OneAtZero(0.0),
    ),
    _bug(
        "layer: rows depend on the batch",
        "rows",
        "The same row gives another result when other rows stand beside it.",
        "Only the loss divides by N. A layer that does mix rows says independent_rows = False.",
        DividesByRows,
    ),
    _bug(
        "layer: silent float64",
        "dtype",
        "float32 comes in and float64 goes out.",
        "An array or NumPy scalar of float64 in the formula promotes it all. Use Python numbers.",
        OneDtype,
    ),
)
