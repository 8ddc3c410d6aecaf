"""All parameters of a network as one contiguous vector: first every weight, then everything else.

``vector`` is the whole, ``weights`` and ``biases`` are its two halves, and
``parameters["dense_1.weight"]`` is a shaped view: four names for one piece of memory. A gradient is
the same kind of object. So an optimizer is arithmetic on one vector, and a penalty, which is only
ever handed ``weights``, cannot reach a bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg._support.typing import Array, Initializer

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Parameter:
    """What a layer declares of one parameter.

    Parameters
    ----------
    shape : tuple of int
    initializer : function (shape, rng) -> array, or None
        Initial values; None leaves the choice to the network, which looks at the activation that
        follows.
    weight : bool, default True
        Whether penalties apply to it. Biases and scales of a layer of one's own must say False.

    Examples
    --------
    >>> import nnreg as nn
    >>> nn.Parameter((3,), nn.zeros, weight=False).weight
    False
    """

    shape: tuple[int, ...]
    initializer: Initializer | None
    weight: bool = field(default=True, kw_only=True)


class Parameters:
    """A flat vector and its named views.

    Iteration gives the names in layer order; ``parameters[name]`` the view of that name.

    Parameters
    ----------
    declared : mapping of str to Parameter
        Names and shapes in layer order.
    dtype : dtype
    vector : ndarray of shape (P,), optional
        The memory to use; new zeros where it is not given.

    Attributes
    ----------
    vector, weights, biases : ndarray
        All values; the weights, which come first; all that is not a weight.

    Examples
    --------
    >>> p = Parameters(
    ...     {"bias": Parameter((2,), None, weight=False), "weight": Parameter((2, 2), None)},
    ...     "float64",
    ... )
    >>> p["weight"][...] = 1.0
    >>> p.vector
    array([1., 1., 1., 1., 0., 0.])
    >>> list(p), p.biases.size
    (['bias', 'weight'], 2)
    """

    def __init__(
        self, declared: Mapping[str, Parameter], dtype: Any, vector: Array | None = None
    ) -> None:
        self.declared = dict(declared)
        size = sum(math.prod(p.shape) for p in self.declared.values())
        weight_size = sum(math.prod(p.shape) for p in self.declared.values() if p.weight)
        self.vector = np.zeros(size, dtype) if vector is None else vector
        self.weights = self.vector[:weight_size]
        self.biases = self.vector[weight_size:]
        self.slices: dict[str, slice] = {}
        start = 0
        for wanted in (True, False):
            for name, parameter in self.declared.items():
                if parameter.weight is wanted:
                    stop = start + math.prod(parameter.shape)
                    self.slices[name] = slice(start, stop)
                    start = stop
        self._views = {
            name: self.vector[self.slices[name]].reshape(parameter.shape)
            for name, parameter in self.declared.items()
        }
        self._layers: dict[str, dict[str, Array]] = {}
        for name, view in self._views.items():
            layer, _, own_name = name.rpartition(".")
            self._layers.setdefault(layer, {})[own_name] = view
        self._scratch = np.empty(0, dtype)

    def __getitem__(self, name: str) -> Array:
        try:
            return self._views[name]
        except KeyError:
            raise KeyError(f"no parameter {name!r}; there are {', '.join(self._views)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {view.shape}" for name, view in self._views.items())
        return f"<Parameters: {self.vector.size} values of {self.vector.dtype}: {shapes}>"

    def of(self, layer: str) -> dict[str, Array]:
        """Return one layer's views by the names that the layer declared."""
        return self._layers.get(layer, {})

    def scratch(self, size: int) -> Array:
        """Return ``size`` values of working memory that stays with this object."""
        if self._scratch.size < size:
            self._scratch = np.empty(size, self.vector.dtype)
        return self._scratch[:size]

    def like(self, dtype: Any = None) -> Parameters:
        """Return zeros of the same names and shapes: an empty gradient."""
        return Parameters(self.declared, self.vector.dtype if dtype is None else dtype)

    def copy(self, dtype: Any = None) -> Parameters:
        """Return an independent copy, cast to ``dtype`` where that is given."""
        new = self.like(dtype)
        new.vector[...] = self.vector
        return new
