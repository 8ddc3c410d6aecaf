"""Compaction: after training, leave out what cannot make a difference.

Two kinds of units are idle. A unit whose incoming weights are all zero says the same to every row;
what it says belongs into the next layer's bias. A unit whose outgoing weights are all zero is heard
by nobody. One walk up the network folds the first kind, one walk down drops the second, and inputs
that nobody reads with it. What remains computes the same outputs from smaller matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.initializers import zeros
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.network import Network

UNITWISE = (ReLU, LeakyReLU, ELU, GELU, Tanh, Sigmoid, Softplus, Dropout, GaussianDropout)
"""Layers that, outside training, do the same to each unit, whatever the others are."""


@dataclass(frozen=True, eq=False)
class PrunedNetwork:
    """What is left of a network.

    Parameters
    ----------
    network : Network
        The smaller one; it can be saved, measured and trained on.
    inputs : ndarray of shape (K,), int
        The columns of ``x`` that it wants, in order.
    width : int
        The number of columns that there were, D.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=3)
    >>> net.parameters.weights[0] = 0.0
    >>> found = prune(net)
    >>> found.inputs, found.network.inputs
    (array([1, 2]), 2)
    >>> found.predict([[5.0, 1.0, 2.0]])
    array([[3.]], dtype=float32)
    """

    network: Network
    inputs: Array
    width: int

    def predict(self, x: Any) -> Array:
        """Return the raw outputs (N, M) for rows that have all the columns, (N, D)."""
        x = validation.matrix("x", x, self.width)
        return self.network.predict(np.take(x, self.inputs, axis=1))


def prune(net: Network) -> PrunedNetwork:
    """Return a network without idle units and unread inputs, whose outputs are the same.

    Parameters
    ----------
    net : Network
        Of `Dense` layers, the shipped activations, `Dropout` and `GaussianDropout`. It stays as it
        is.

    Returns
    -------
    PrunedNetwork

    Raises
    ------
    TypeError
        If ``net`` is no network, or has other layers: units of those may depend on each other.
    ValueError
        If it has no `Dense` layer.

    Notes
    -----
    The outputs are those of inference. In training, dropout would have dropped a constant unit now
    and then, and its share of the next bias is always there. At least one unit of each layer and
    one input stay, since a network has no empty layers. A layer without a bias gets one where a
    constant must be kept.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(3), nn.ReLU(), nn.Dense(2)], inputs=4, seed=0)
    >>> net.parameters["dense_1.weight"][:, 0] = 0.0  # this unit is constant
    >>> net.parameters["dense_2.weight"][1] = 0.0  # nobody hears this one
    >>> prune(net).network.widths
    [4, 1, 1, 2]
    """
    check_chain(net)
    copied = net.copy()
    layers = [layer.clone() for layer in copied.layers]
    weights = [layer.weight.astype(np.float64) for layer in dense_layers(net.layers)]
    biases = [bias_of(layer).astype(np.float64) for layer in dense_layers(net.layers)]
    _fold(layers, weights, biases)
    inputs = _drop(weights, biases)
    dense = dense_layers(layers)
    initializers = [layer.initializer for layer in dense]
    for layer, bias in zip(dense, biases, strict=True):
        layer.units, layer.use_bias = bias.size, layer.use_bias or bool(bias.any())
        layer.initializer = zeros  # one's own may know only the old shape
    small = Network(
        layers,
        inputs=len(inputs),
        penalty=copied.penalty,
        constraint=copied.constraint,
        seed=net.seed,
        dtype=net.dtype,
    )
    for layer, weight, bias, own in zip(dense, weights, biases, initializers, strict=True):
        layer.weight, layer.initializer = weight, own
        if layer.use_bias:
            layer.bias = bias
    small.steps, small.epochs, small.initializers = net.steps, net.epochs, net.initializers.copy()
    return PrunedNetwork(small, inputs, net.inputs)


def check_chain(net: Network) -> None:
    """Raise unless a network has `Dense` layers, and beside them unitwise ones only.

    >>> import nnreg as nn
    >>> check_chain(nn.Network([nn.Tanh()], inputs=1))
    Traceback (most recent call last):
        ...
    ValueError: net must have a Dense layer, got Network([Tanh()], ...
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {net!r}")
    for layer in net.layers:
        if type(layer) not in (Dense, *UNITWISE):
            names = ", ".join(kind.__name__ for kind in UNITWISE)
            raise TypeError(
                f"net must have layers of the kinds Dense, {names}, got {layer.name}: {layer!r}"
            )
    if not dense_layers(net.layers):
        raise ValueError(f"net must have a Dense layer, got {net!r}")


def dense_layers(layers: Iterable[Layer]) -> list[Dense]:
    """Return those that are `Dense`, in order."""
    return [layer for layer in layers if isinstance(layer, Dense)]


def bias_of(layer: Dense) -> Array:
    """Return the bias (M,): zeros where the layer has none."""
    return layer.bias if layer.use_bias else np.zeros(layer.units, layer.weight.dtype)


def _fold(layers: Sequence[Layer], weights: list[Array], biases: list[Array]) -> None:
    """Walk up: move what constant units say into the next bias, and silence them."""
    number, said = -1, np.empty((1, 0))
    for layer in layers:
        if not isinstance(layer, Dense):
            said = layer.forward(said, Cache("float64"))
            continue
        number += 1
        if number:
            constant = (weights[number - 1] == 0).all(axis=0)
            biases[number] = biases[number] + said[0, constant] @ weights[number][constant]
            weights[number][constant] = 0.0
        said = biases[number][None, :]


def _drop(weights: list[Array], biases: list[Array]) -> Array:
    """Walk down: keep what a kept unit reads; return the numbers of the inputs that are read."""
    read = np.ones(biases[-1].size, bool)
    for place in range(len(weights) - 1, -1, -1):
        weight, biases[place] = weights[place][:, read], biases[place][read]
        read = (weight != 0).any(axis=1)
        if not read.any():
            read[0] = True
        weights[place] = weight[read]
    return np.flatnonzero(read)
