"""The base class of layers, and functions for a sequence of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from nnreg import random
from nnreg._support import hyperparameters, validation
from nnreg._support.typing import Array, Initializer
from nnreg.cache import Cache
from nnreg.initializers import glorot_uniform
from nnreg.parameters import Parameter, Parameters, write
from nnreg.penalties import Constraint, Penalty

RULES = {"penalty": (Penalty, "nn.L2(1e-4)"), "constraint": (Constraint, "nn.MaxNorm(3.0)")}


class Layer(hyperparameters.Configurable):
    """Base class of layers; a subclass defines ``forward`` and ``backward``.

    A layer that has parameters also defines ``parameters`` and ``gradient``; one that changes the
    number of columns defines ``outputs``.

    Attributes
    ----------
    name : str
        Set by the network: the class's name in lower case and a number, such as ``dense_1``.
    independent_rows : bool, default True
        If False, a row's output depends on other rows, and batches are not split.
    stochastic : bool, default False
        If True, the layer draws at random in training mode, with a probability ``keep_prob``.
    penalty : "inherit", Penalty or None
        For this layer's weights: the network's penalty, another one, or none.
    constraint : "inherit", Constraint or None
        For this layer's weights, in the same way.

    Notes
    -----
    ``initializer_before``, by default `glorot_uniform`, is the default initializer of the weights
    of the previous layer; if it is None, that of the next layer is used.

    Each name that ``parameters`` returns is an attribute, a view of the network's vector. An
    assignment (``layer.weight = w``) writes into it. A copy of a layer has the same hyperparameters
    and belongs to no network.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Scale(nn.Layer):
    ...     def parameters(self, inputs):
    ...         return {"factor": nn.Parameter((inputs,), nn.ones, weight=False)}
    ...
    ...     def forward(self, x, cache):
    ...         cache.x = x
    ...         return x * self.factor
    ...
    ...     def backward(self, dy, cache):
    ...         return dy * self.factor
    ...
    ...     def gradient(self, dy, cache, gradients):
    ...         gradients["factor"][...] = (dy * cache.x).sum(axis=0)
    >>> nn.Network([Scale()], inputs=2).predict([[3.0, 4.0]])
    array([[3., 4.]], dtype=float32)
    """

    name = ""
    independent_rows = True
    stochastic = False
    initializer_before: Initializer | None = staticmethod(glorot_uniform)
    penalty: Penalty | str | None = "inherit"
    constraint: Constraint | str | None = "inherit"
    _bound: tuple[str, ...] | None = None  # names of the views; None without a network

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a bound parameter's values are written into the network's vector."""
        if self._bound and name in self._bound:
            write(f"{self.name}.{name}", getattr(self, name), value)
        else:
            if name in RULES:
                check_rule(name, value, inherit=True)
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes of an unbound layer; the network binds copies of its layers."""
        bound = {"name", "_bound", *(self._bound or ())}
        return {name: v for name, v in super().__getstate__().items() if name not in bound}

    def clone(self) -> Self:
        """Return a copy that belongs to no network: the same hyperparameters, no parameters."""
        new = object.__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new

    __copy__ = clone

    def outputs(self, inputs: int) -> int:
        """Return the number of outputs for this number of inputs, by default the same."""
        return inputs

    def parameters(self, inputs: int) -> dict[str, Parameter]:
        """Return the declaration of each parameter by name, by default none."""
        return {}

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return the outputs (N, M) for inputs ``x`` (N, D)."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, cache)")

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dx`` (N, D) for ``dy`` (N, M)."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy, cache)")

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Overwrite each ``gradients[name]`` with that parameter's gradient, summed over rows."""
        raise NotImplementedError(
            f"{type(self).__name__} has parameters and must define gradient(dy, cache, gradients)"
        )

    def bind(self, name: str, views: dict[str, Array], seed: int, index: int) -> None:
        """Bind the layer to a network: name, parameter views, seed, index."""
        self._bound = None
        self.name = name
        for parameter_name, view in views.items():
            setattr(self, parameter_name, view)
        self._bound = tuple(views)


def check_rule(name: str, value: Any, *, inherit: bool = False) -> Any:
    """Return ``value`` if it is valid as the ``"penalty"`` or ``"constraint"`` of weights.

    >>> check_rule("penalty", "l2", inherit=True)
    Traceback (most recent call last):
        ...
    TypeError: penalty must be "inherit", None or a Penalty such as nn.L2(1e-4), got 'l2'
    """
    inherited = inherit and isinstance(value, str) and value == "inherit"
    if value is not None and not inherited:
        kind, example = RULES[name.rpartition(".")[2]]
        options = '"inherit", None or' if inherit else "None or"
        validation.instance(name, value, kind, f"{options} a {kind.__name__} such as {example}")
    return value


def name_layers(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Return the layers by name: the class's name in lower case and a number.

    Raises
    ------
    ValueError, TypeError
        If ``layers`` is not a list of layers that belong to no network yet.

    Examples
    --------
    >>> list(name_layers([Layer(), Layer()]))
    ['layer_1', 'layer_2']
    """
    if isinstance(layers, Layer) or not isinstance(layers, Sequence):
        raise TypeError(f"layers must be a list of layers, got {type(layers).__name__}")
    if not layers:
        raise ValueError("layers must not be empty")
    named: dict[str, Layer] = {}
    counts: dict[str, int] = {}
    seen: set[int] = set()
    for index, layer in enumerate(layers):
        validation.instance(f"layers[{index}]", layer, Layer, "a Layer")
        if layer._bound is not None or id(layer) in seen:
            raise ValueError(
                f"{layer.name or f'layers[{index}]'} is in a network already; a layer can be used "
                "once: create a new one, or use layer.clone()"
            )
        seen.add(id(layer))
        kind = type(layer).__name__.lower()
        counts[kind] = counts.get(kind, 0) + 1
        named[f"{kind}_{counts[kind]}"] = layer
    return named


def declare(layers: dict[str, Layer], inputs: int) -> tuple[list[int], dict[str, Parameter]]:
    """Collect the declarations of named layers; no layer is changed.

    Returns
    -------
    widths : list of int
        The number of inputs, and each layer's number of outputs.
    declared : dict of str to Parameter
        By layer and parameter name, in layer order.

    Raises
    ------
    ValueError, TypeError
        If the layers declare invalid parameters.
    """
    widths, declared = [inputs], {}
    for name, layer in layers.items():
        for rule in RULES:
            check_rule(f"{name}.{rule}", getattr(layer, rule), inherit=True)
        for parameter_name, parameter in layer.parameters(widths[-1]).items():
            if not parameter_name.isidentifier() or hasattr(type(layer), parameter_name):
                raise ValueError(
                    f"parameter name {parameter_name!r} of {type(layer).__name__} must be an "
                    "identifier that is not an attribute of the class"
                )
            declared[f"{name}.{parameter_name}"] = parameter
        widths.append(layer.outputs(widths[-1]))
    return widths, declared


def initialize(layers: dict[str, Layer], parameters: Parameters, seed: int) -> dict[str, str]:
    """Compute the initial values, and return the name of each parameter's initializer.

    If a parameter declares none, the ``initializer_before`` of the first later layer that has one
    is used. Each layer with parameters has a separate random stream.
    """
    defaults: dict[str, Initializer] = {}
    default: Initializer = glorot_uniform
    for name, layer in reversed(layers.items()):
        defaults[name] = default
        default = type(layer).initializer_before or default
    used: dict[str, str] = {}
    for stream, layer_name in enumerate(name for name in layers if parameters.of(name)):
        rng = random.generator(seed, "initial", stream)
        for parameter_name, view in parameters.of(layer_name).items():
            name = f"{layer_name}.{parameter_name}"
            initializer = parameters.declared[name].initializer or defaults[layer_name]
            values = validation.numeric(f"initial {name}", initializer(view.shape, rng))
            if values.shape != view.shape:
                raise ValueError(
                    f"the initializer of {name} must return shape {view.shape}, got {values.shape}"
                )
            view[...] = validation.cast(f"initial {name}", values, view.dtype)
            used[name] = getattr(initializer, "__name__", repr(initializer))
    return used


def check_result(layer: Layer, method: str, array: Any, shape: tuple[int, int], dtype: Any) -> None:
    """Raise unless the result of a layer's method is an array of this shape and dtype."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{layer.name}.{method} must return an array, got {array!r}")
    if array.shape != shape or (array.dtype is not dtype and array.dtype != dtype):
        raise ValueError(
            f"{layer.name}.{method} must return shape {shape} and dtype {dtype}, "
            f"got {array.shape} and {array.dtype}"
        )
