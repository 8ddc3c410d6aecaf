"""Known bugs that the gradient at one point does not reveal: side effects and state.

:func:`nnreg.check_gradients` runs a layer once, with new arrays, at points without zeros. The
effects of these bugs occur at the second batch, in the next layer, or at exactly zero.
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
    """A layer that uses the inputs of the previous batch."""

    previous: Array | None = None

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x w + b``, with the previous batch in the cache."""
        y = super().forward(x, cache)
        if x.dtype.kind == "f":
            cache.x = x if self.previous is None or len(self.previous) != len(x) else self.previous
            self.previous = x.copy()
        return y


class OutputOnTheLayer(Tanh):
    """A layer that stores its output in an attribute."""

    y: Array

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``tanh(x)``."""
        self.y = super().forward(x, cache).copy()
        return self.y.copy()

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(1 - y²)`` with the ``y`` of the last pass."""
        dx: Array = dy * (1 - self.y * self.y)
        return dx


class Accumulating(Dense):
    """A layer that adds to the gradient."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Add ``xᵀ dy`` and ``Σₙ dyₙ`` to the arrays."""
        gradients["weight"] += cache.x.T @ dy
        gradients["bias"] += dy.sum(axis=0)


class Rebinding(Dense):
    """A layer that puts new arrays into the dictionary of gradients."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Replace the entries."""
        gradients.update(weight=cache.x.T @ dy, bias=dy.sum(axis=0))


class UpdatesInGradient(Dense):
    """A layer that updates its weights in ``gradient``."""

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write the gradient, and update the weights."""
        super().gradient(dy, cache, gradients)
        self.weight -= 0.1 * gradients["weight"]


class DamagesInput(ReLU):
    """A rectifier that modifies its input in place."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``max(x, 0)``."""
        y = super().forward(x, cache)
        x *= cache.factor
        return y


class DividesByRows(Layer):
    """A layer that divides by the number of rows in both forward and backward."""

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
            "backward uses values of an earlier batch.",
            "Write into the cache in every forward pass, before reading from it.",
            partial(StaleInput, 3),
        ),
        (
            "layer: activations on the layer",
            "one memory",
            "The layer stores state in attributes, so a second forward pass overwrites the state "
            "of the first.",
            "Store it in the cache that is passed to forward: cache.y = y. Two threads have two "
            "caches.",
            OutputOnTheLayer,
        ),
        (
            "layer: gradient accumulated",
            "accumulates",
            "The gradient is added to the values in the array, the gradient of the previous batch.",
            "Overwrite: gradients[name][...] = result, not +=.",
            partial(Accumulating, 3),
        ),
        (
            "layer: gradient array replaced",
            "rebinds",
            "A new array replaced the one in the dictionary; the optimizer uses only the old one.",
            "Write into the array: gradients[name][...] = result. Without [...] the dictionary "
            "entry is replaced.",
            partial(Rebinding, 3),
        ),
        (
            "layer: parameters updated in gradient",
            "changes the parameters",
            "The parameters are changed while the gradient is computed.",
            "Other gradients of the same pass depend on the old values. Only the optimizer may "
            "update parameters.",
            partial(UpdatesInGradient, 3),
        ),
        (
            "layer: x damaged",
            "changes x",
            "forward changes its input in place.",
            "x is the output of the previous layer, which uses it in its backward pass, or the "
            "data.",
            DamagesInput,
        ),
        (
            "layer: dy damaged",
            "changes dy",
            "backward changes dy in place.",
            "Other gradients use the same dy. Write dx = dy * mask, not dy *= mask.",
            partial(make_wrong, ReLU, (), lambda p: np.multiply(p.dy, p.x > 0, out=p.dy) * 1.0),
        ),
        (
            "layer: the cache is used up",
            "backward once",
            "backward overwrites arrays of the cache: a second call returns a different result.",
            "backward may only read the arrays of the cache. Write results into another array.",
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
            "The result of a row depends on the other rows of the batch.",
            "Only the loss divides by N. A layer that combines rows must set independent_rows = "
            "False.",
            DividesByRows,
        ),
        (
            "layer: silent float64",
            "dtype",
            "The output is float64 for float32 inputs.",
            "A float64 array or NumPy scalar in the formula promotes the result. Use Python "
            "numbers.",
            partial(make_wrong, Tanh, (), lambda p: p.right * np.ones(1)),
        ),
    )
]
