"""Layers in a row: their names, their widths, and the parameters that they declare."""

from __future__ import annotations

from collections.abc import Sequence

from nnreg import random
from nnreg._support import validation
from nnreg.layers.base import RULES, Layer, check_rule
from nnreg.parameters import Parameter, Parameters


def name_layers(layers: Sequence[Layer]) -> list[str]:
    """Return each layer's class in small letters with a number.

    >>> name_layers([Layer(), Layer()])
    ['layer_1', 'layer_2']
    """
    counts: dict[str, int] = {}
    names = []
    for layer in layers:
        kind = type(layer).__name__.lower()
        counts[kind] = counts.get(kind, 0) + 1
        names.append(f"{kind}_{counts[kind]}")
    return names


def declare(
    layers: Sequence[Layer], inputs: int
) -> tuple[list[str], list[int], dict[str, Parameter]]:
    """Check layers and collect their declarations; no layer is changed.

    Returns
    -------
    names : list of str
    widths : list of int
        The number of inputs, and each layer's number of outputs.
    declared : dict of str to Parameter
        By layer and parameter name, in layer order.

    Raises
    ------
    ValueError, TypeError
        If the layers are not a list of unbound layers, or declare what cannot be.
    """
    if isinstance(layers, Layer) or not isinstance(layers, Sequence):
        raise TypeError(f"layers must be a list of layers, got {type(layers).__name__}")
    if not layers:
        raise ValueError("layers must not be empty")
    seen: set[int] = set()
    for index, layer in enumerate(layers):
        validation.instance(f"layers[{index}]", layer, Layer, "a Layer")
        if layer._bound is not None or id(layer) in seen:
            raise ValueError(
                f"{layer.name or f'layers[{index}]'} is in a network already; a layer can be used "
                "once: create a new one, or use layer.clone()"
            )
        seen.add(id(layer))
    names, widths = name_layers(layers), [inputs]
    declared = {}
    for name, layer in zip(names, layers, strict=True):
        for rule in RULES:
            check_rule(f"{name}.{rule}", getattr(layer, rule), inherit=True)
        kind = name.rpartition("_")[0]
        for parameter_name, parameter in layer.parameters(widths[-1]).items():
            if not parameter_name.isidentifier():
                raise ValueError(
                    f"{kind} cannot call a parameter {parameter_name!r}: it becomes an attribute, "
                    "so it must be a Python name"
                )
            if hasattr(type(layer), parameter_name):
                raise ValueError(
                    f"{kind} cannot call a parameter {parameter_name!r}: "
                    "its class has an attribute of that name"
                )
            declared[f"{name}.{parameter_name}"] = parameter
        widths.append(layer.outputs(widths[-1]))
    return names, widths, declared


def initialize(layers: Sequence[Layer], parameters: Parameters, seed: int) -> dict[str, str]:
    """Draw the initial values, and return the name of each parameter's initializer.

    Where a parameter declares none, the first later layer that has an ``initializer_before``
    decides. Each layer with parameters has its own stream.
    """
    defaults, default = [], Layer.initializer_before
    for layer in reversed(layers):
        defaults.append(default)
        default = type(layer).initializer_before or default
    used: dict[str, str] = {}
    stream = 0
    for layer_name, default in zip(name_layers(layers), reversed(defaults), strict=True):
        views = parameters.of(layer_name)
        if not views:
            continue
        rng = random.generator(seed, "initial", stream)
        stream += 1
        for parameter_name, view in views.items():
            name = f"{layer_name}.{parameter_name}"
            initializer = parameters.declared[name].initializer or default
            assert initializer is not None
            values = validation.numeric(f"initial {name}", initializer(view.shape, rng))
            if values.shape != view.shape:
                raise ValueError(
                    f"the initializer of {name} must return shape {view.shape}, got {values.shape}"
                )
            view[...] = validation.cast(f"initial {name}", values, view.dtype)
            used[name] = getattr(initializer, "__name__", repr(initializer))
    return used
