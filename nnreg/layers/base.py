"""The base class of layers, and layers in a row: their names, parameters and initial values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from nnreg import random
from nnreg._support import hyperparameters, validation
from nnreg._support.typing import Array, Initializer
from nnreg.cache import Cache
from nnreg.initializers import glorot_uniform
from nnreg.parameters import Parameter, Parameters, write
from nnreg.penalties import Constraint, Penalty

RULES = {"penalty": (Penalty, "nn.L2(1e-4)"), "constraint": (Constraint, "nn.MaxNorm(3.0)")}


class Layer(hyperparameters.Configurable):
    """One step of a network; to write one, define ``forward`` and ``backward``.

    A layer that has parameters also defines ``parameters`` and ``gradient``; one that changes the
    number of columns defines ``outputs``.

    Attributes
    ----------
    name : str
        Given by the network: the class's name in small letters and a number, such as ``dense_1``.
    independent_rows : bool, default True
        False says that a row's output depends on other rows; then no batch is cut into parts.
    stochastic : bool, default False
        True says that training mode draws at random, with a probability ``keep_prob`` to keep.
    initializer_before : function or None, default glorot_uniform
        The default initializer of the weights of the layer before. None looks past this layer.
    penalty : "inherit", Penalty or None
        On this layer's weights: the network's penalty, its own, or none.
    constraint : "inherit", Constraint or None
        On this layer's weights, in the same way.

    Notes
    -----
    A parameter is an attribute of the name that ``parameters`` gives it, a view of the network's
    vector. An assignment (``layer.weight = w``) writes into it. A copy of a layer has the same
    hyperparameters and belongs to no network.

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
    _bound: tuple[str, ...] | None = None  # the names of its views, once it belongs to a network

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a bound parameter's values are written into the network's vector."""
        if self._bound and name in self._bound:
            write(f"{self.name}.{name}", getattr(self, name), value)
        else:
            if name in RULES:
                check_rule(name, value, inherit=True)
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes of an unbound layer: the network binds its layers' copies again."""
        bound = {"name", "_bound", *(self._bound or ())}
        return {name: v for name, v in super().__getstate__().items() if name not in bound}

    def clone(self) -> Self:
        """Return a copy that belongs to no network: the same hyperparameters, no parameters."""
        new = object.__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new

    __copy__ = clone

    def outputs(self, inputs: int) -> int:
        """Return the number of outputs for this number of inputs; unless redefined, the same."""
        return inputs

    def parameters(self, inputs: int) -> dict[str, Parameter]:
        """Return the declaration of each parameter by its name; unless redefined, none."""
        return {}

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return the outputs (N, M) for inputs ``x`` (N, D)."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, cache)")

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dx`` (N, D) for ``dy`` (N, M)."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy, cache)")

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Overwrite each ``gradients[name]`` with that parameter's derivative, summed over rows."""
        raise NotImplementedError(
            f"{type(self).__name__} has parameters and must define gradient(dy, cache, gradients)"
        )

    def bind(self, name: str, views: dict[str, Array], seed: int, index: int) -> None:
        """Take a name, the views of the parameters, the seed, and the layer's number.

        Called by the network.
        """
        self._bound = None
        self.name = name
        for parameter_name, view in views.items():
            setattr(self, parameter_name, view)
        self._bound = tuple(views)


def check_rule(name: str, value: Any, *, inherit: bool = False) -> Any:
    """Return ``value`` if it can be the ``"penalty"`` or ``"constraint"`` of weights.

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
    """Return the layers by name: each one's class in small letters with a number.

    Raises
    ------
    ValueError, TypeError
        If the layers are not a list of layers that belong to no network.

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
        If the layers declare what cannot be.
    """
    widths, declared = [inputs], {}
    for name, layer in layers.items():
        for rule in RULES:
            check_rule(f"{name}.{rule}", getattr(layer, rule), inherit=True)
        for parameter_name, parameter in layer.parameters(widths[-1]).items():
            if not parameter_name.isidentifier() or hasattr(type(layer), parameter_name):
                raise ValueError(
                    f"{type(layer).__name__} cannot call a parameter {parameter_name!r}: it "
                    "becomes an attribute, so it must be a Python name that the class does not have"
                )
            declared[f"{name}.{parameter_name}"] = parameter
        widths.append(layer.outputs(widths[-1]))
    return widths, declared


def initialize(layers: dict[str, Layer], parameters: Parameters, seed: int) -> dict[str, str]:
    """Draw the initial values, and return the name of each parameter's initializer.

    Where a parameter declares none, the first later layer that has an ``initializer_before``
    decides. Each layer with parameters has its own stream.
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
