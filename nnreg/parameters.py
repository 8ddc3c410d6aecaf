"""Parameters: all of a network's values in one vector, first every weight, then everything else.

``weights`` and ``biases`` are views of the two parts of ``vector``, and
``parameters["dense_1.weight"]`` is a shaped view; all share memory. A gradient is the same kind of
object. So an optimizer is arithmetic on one vector, and a penalty, which is applied to ``weights``
only, cannot change a bias.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nnreg._support import memory, validation
from nnreg._support.typing import Array, Initializer


@dataclass(frozen=True)
class Parameter:
    """A layer's declaration of one parameter.

    Parameters
    ----------
    shape : tuple of int
    initializer : function (shape, rng) -> array, or None
        Initial values. If None, the network chooses by the activation that follows.
    weight : bool, default True
        Whether penalties apply to it; False for biases and scales.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> import nnreg as nn
    >>> nn.Parameter((3,), nn.zeros, weight=False).weight
    False
    """

    shape: tuple[int, ...]
    initializer: Initializer | None
    weight: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple | list):
            raise TypeError(f"shape must be a tuple of whole numbers, got {self.shape!r}")
        shape = tuple(validation.whole("each number in shape", size) for size in self.shape)
        object.__setattr__(self, "shape", shape)
        check_initializer(self.initializer)
        object.__setattr__(self, "weight", validation.flag("weight", self.weight))


def check_initializer(initializer: Any) -> None:
    """Raise ``TypeError`` unless ``initializer`` is a function or None."""
    if initializer is not None and not callable(initializer):
        raise TypeError(
            f"initializer must be a function (shape, rng) -> array, got {initializer!r}"
        )


class Parameters(memory.Copyable, Mapping[str, Array]):
    """A flat vector and its named views.

    A mapping of names, in layer order, to views. An assignment, such as ``parameters[name] = w`` or
    ``parameters.vector = v``, writes values into the vector and never replaces it.

    Parameters
    ----------
    declared : mapping of str to Parameter
        Names and shapes in layer order.
    dtype : dtype
    vector : ndarray of shape (P,), optional
        The memory to use; by default new zeros, aligned to 64 bytes.

    Attributes
    ----------
    origin : bytes or None
        An identifier that only copies share; None if unknown.
    vector, weights, biases : ndarray
        All values; the weights, which are first; everything that is not a weight.

    Examples
    --------
    >>> p = Parameters(
    ...     {"bias": Parameter((2,), None, weight=False), "weight": Parameter((2, 2), None)},
    ...     "float64",
    ... )
    >>> p["weight"] = [[1.0, 2.0], [3.0, 4.0]]
    >>> p.vector
    array([1., 2., 3., 4., 0., 0.])
    >>> list(p), p.biases.size
    (['bias', 'weight'], 2)
    """

    vector: Array
    weights: Array
    biases: Array

    def __init__(
        self, declared: Mapping[str, Parameter], dtype: Any, vector: Array | None = None
    ) -> None:
        self.declared = dict(declared)
        self.origin: bytes | None = os.urandom(8)
        if vector is None:
            size = sum(math.prod(parameter.shape) for parameter in self.declared.values())
            vector = memory.empty((size,), dtype)
            vector[...] = 0
        self._make_views(vector)

    def _make_views(self, vector: Array) -> None:
        weights = {name: p for name, p in self.declared.items() if p.weight}
        middle = sum(math.prod(p.shape) for p in weights.values())
        stop = 0
        self.slices: dict[str, slice] = {}
        for name, parameter in (weights | self.declared).items():  # the weights first
            start, stop = stop, stop + math.prod(parameter.shape)
            self.slices[name] = slice(start, stop)
        self._scratch = vector[:0]
        self._views: dict[str, Array] = {}
        self._layers: dict[str, dict[str, Array]] = {}
        for name, parameter in self.declared.items():
            view = self._views[name] = vector[self.slices[name]].reshape(parameter.shape)
            layer, _, parameter_name = name.rpartition(".")
            self._layers.setdefault(layer, {})[parameter_name] = view
        self.__dict__.update(vector=vector, weights=vector[:middle], biases=vector[middle:])

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the views and the initializers, which have been used."""
        views = ("weights", "biases", "slices", "_views", "_layers", "_scratch")
        state = {name: v for name, v in super().__getstate__().items() if name not in views}
        state["declared"] = {
            name: replace(parameter, initializer=None) for name, parameter in self.declared.items()
        }
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({name: v for name, v in state.items() if name != "vector"})
        vector = memory.empty(state["vector"].shape, state["vector"].dtype)
        vector[...] = state["vector"]
        self._make_views(vector)

    def __setattr__(self, name: str, value: Any) -> None:
        """Write into ``vector``, ``weights`` or ``biases``; set any other attribute."""
        if name in ("vector", "weights", "biases"):
            write(name, getattr(self, name), value)
        else:
            super().__setattr__(name, value)

    def __getitem__(self, name: str) -> Array:
        try:
            return self._views[name]
        except KeyError:
            raise KeyError(f"no parameter {name!r}; available: {', '.join(self._views)}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        write(name, self[name], value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    __eq__ = object.__eq__  # that of Mapping would compare arrays
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {view.shape}" for name, view in self._views.items())
        return f"<Parameters: {self.vector.size} values of {self.vector.dtype}: {shapes}>"

    def of(self, layer: str) -> dict[str, Array]:
        """Return one layer's views by the names that the layer declared."""
        return self._layers.get(layer, {})

    def scratch(self, size: int) -> Array:
        """Return a working array of ``size`` values, which later calls reuse."""
        if self._scratch.size < size:
            self._scratch = memory.empty((size,), self.vector.dtype)
        return self._scratch[:size]

    def like(self, dtype: Any = None) -> Parameters:
        """Return zeros with the same names and shapes, such as for a gradient."""
        return Parameters(self.declared, self.vector.dtype if dtype is None else dtype)

    def copy(self, dtype: Any = None) -> Parameters:
        """Return an independent copy, cast to ``dtype`` unless that is None."""
        new = self.like(dtype)
        new.origin = self.origin
        new.vector[...] = self.vector
        return new


def write(name: str, view: Array, value: Any) -> None:
    """Write finite numbers of the view's shape, or one number for all, into a view.

    Examples
    --------
    >>> import numpy as np
    >>> write("bias", np.zeros(2), [1.0, 2.0, 3.0])
    Traceback (most recent call last):
        ...
    ValueError: bias must have shape (2,), got (3,)
    """
    if value is view:  # as after ``parameters.vector *= 2``
        return
    values = validation.numeric(name, value)
    if values.shape not in ((), view.shape):
        raise ValueError(f"{name} must have shape {view.shape}, got {values.shape}")
    view[...] = validation.cast(name, values, view.dtype)
