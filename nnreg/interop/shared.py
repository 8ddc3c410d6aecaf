"""Common parts of the conversions: networks from weights, what is refused, and penalties."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.layers.base import Layer, declare, name_layers
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.network import Network
from nnreg.penalties import L1, L2, ElasticNet, Penalty

DROPOUT = (Dropout, GaussianDropout)


def build_network(
    layers: Sequence[Layer],
    arrays: Sequence[Sequence[Array]],
    *,
    inputs: int,
    dtype: Any = "float32",
) -> Network:
    """Return a network with these layers and weights.

    Parameters
    ----------
    layers : sequence of Layer
        Layers that belong to no network yet.
    arrays : sequence of sequence of ndarray
        For each layer with parameters, in order, its arrays: of a dense layer the weight (D, M)
        and, if it has one, the bias (M,). All float32, or all float64.
    inputs : int
    dtype : {"float32", "float64"}, default "float32"
        If there are no arrays.

    Raises
    ------
    ValueError
        If the number of arrays, a shape or a dtype is wrong, or a value is not finite. Raised
        before memory is allocated.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = build_network([nn.Dense(1)], [(np.array([[2.0]]), np.array([1.0]))], inputs=1)
    >>> net.predict([[3.0]])
    array([[7.]])
    """
    declared = declare(name_layers(layers), validation.whole("inputs", inputs, 1))[1]
    flat = list(chain.from_iterable(arrays))
    if len(flat) != len(declared):
        raise ValueError(f"{len(declared)} arrays are needed, {list(declared)}; got {len(flat)}")
    if len(dtypes := {str(array.dtype) for array in flat}) > 1:
        raise ValueError(f"the arrays must have one dtype, got {' and '.join(sorted(dtypes))}")
    for (name, parameter), array in zip(declared.items(), flat, strict=True):
        if array.shape != parameter.shape:
            raise ValueError(f"{name} must have shape {parameter.shape}, got {array.shape}")
        validation.finite(name, array)
    parts: list[list[Array]] = [[], []]  # every weight, then everything else
    for parameter, array in zip(declared.values(), flat, strict=True):
        parts[not parameter.weight].append(array.ravel())
    vector = np.concatenate([*parts[0], *parts[1]]) if flat else np.empty(0, dtype)
    return Network.from_vector(layers, vector, inputs=inputs, dtype=vector.dtype)


def select_layers(
    net: Network, library: str, kinds: Collection[type[Layer]], *, training: bool = True
) -> list[Layer]:
    """Return the layers that are converted for another library.

    Dropout that it does not have is left out where it has no effect: if ``keep_prob`` is 1.

    Parameters
    ----------
    net : Network
    library : str
        The name of the other library, for errors.
    kinds : collection of classes
        The layers that it has.
    training : bool, default True
        Whether the result can be trained. If False, dropout is left out.

    Raises
    ------
    ValueError, TypeError
        If a layer cannot be converted.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2), nn.Dropout(keep_prob=0.5)], inputs=3)
    >>> select_layers(net, "ONNX", {nn.Dense}, training=False)
    [Dense(units=2, penalty='inherit', constraint='inherit', initializer=None, bias=True)]
    >>> select_layers(net, "ONNX", {nn.Dense})
    Traceback (most recent call last):
        ...
    ValueError: dropout_1 has no equal in ONNX; remove its effect before:
    net.layers[1].keep_prob = 1
    """
    validation.instance("net", net, Network, "a Network")
    selected = []
    for index, layer in enumerate(net.layers):
        if type(layer) in kinds:
            selected.append(layer)
        elif type(layer) not in DROPOUT:
            known = ", ".join(kind.__name__ for kind in kinds)
            raise ValueError(
                f"{layer.name} has no equal in {library}; layers of these classes have: {known}"
            )
        elif training and getattr(layer, "keep_prob", 1) != 1:
            raise ValueError(
                f"{layer.name} has no equal in {library}; remove its effect before: "
                f"net.layers[{index}].keep_prob = 1"
            )
    return selected


def refuse_rules(net: Network, library: str, *known: type) -> None:
    """Raise ``ValueError`` if a weight has a penalty or constraint of another class than these.

    >>> import nnreg as nn
    >>> refuse_rules(nn.Network([nn.Dense(2)], inputs=3, constraint=nn.MaxNorm(2.0)), "PyTorch")
    Traceback (most recent call last):
        ...
    ValueError: dense_1.weight has the constraint MaxNorm(limit=2.0), which has no equal in PyTorch;
    remove it before: net.constraint = None
    """
    for index, layer in enumerate(net.layers):
        for name in net.parameters.of(layer.name):
            for kind in ("penalty", "constraint"):
                rule = getattr(net.regularization, f"{kind}_of")(f"{layer.name}.{name}")
                if rule is not None and type(rule) not in known:
                    inherited = isinstance(getattr(layer, kind), str)
                    owner = "net" if inherited else f"net.layers[{index}]"
                    raise ValueError(
                        f"{layer.name}.{name} has the {kind} {rule!r}, which has no equal in "
                        f"{library}; remove it before: {owner}.{kind} = None"
                    )


def get_strengths(name: str, penalty: Penalty | None) -> tuple[float, float]:
    """Return ``(l1, l2)`` of ``l1·Σ|w| + l2/2·Σw²``, for a library that has no other penalty.

    Raises
    ------
    ValueError
        If the penalty is another one; the error begins with the name of the weights.

    Examples
    --------
    >>> get_strengths("dense_1.weight", ElasticNet(0.1, 0.2))
    (0.1, 0.2)
    """
    if penalty is None:
        return 0.0, 0.0
    kind = type(penalty)
    if kind is L1:
        return penalty.strength, 0.0  # type: ignore[attr-defined]  # kind says so
    if kind is L2:
        return 0.0, penalty.strength  # type: ignore[attr-defined]  # kind says so
    if kind is ElasticNet:
        return penalty.l1, penalty.l2  # type: ignore[attr-defined]  # kind says so
    raise ValueError(
        f"{name} has the penalty {penalty!r}, which has no equal there (L1, L2 and ElasticNet "
        "have); remove it before: net.penalty = None, or layer.penalty = None"
    )


def make_penalty(l1: float, l2: float) -> Penalty | None:
    """Return the penalty ``l1·Σ|w| + l2/2·Σw²``, or None if both strengths are 0.

    >>> make_penalty(0.0, 0.5)
    L2(strength=0.5)
    """
    if l1 and l2:
        return ElasticNet(l1, l2)
    return L1(l1) if l1 else L2(l2) if l2 else None
