"""Sparse networks: pruning of units and inputs, and prediction from sparse matrices.

**Pruning.** A unit whose incoming weights are all zero is constant over the rows; its contribution
is moved into the next layer's bias. A unit whose outgoing weights are all zero has no effect. A
pass from the first layer to the last folds the constant units, and a pass back drops the unused
units, and the inputs that no remaining unit uses. The pruned network computes the same outputs from
smaller matrices.

**Sparse matrices.** Pruning cannot remove scattered zeros. In the compressed sparse row format
(``scipy.sparse``) only nonzeros are stored and multiplied. Each costs several times as much as in a
full matrix, so this is faster only if nearly all weights are zero; the guide to sparse networks
has measurements.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.network import Network

UNITWISE = (ReLU, LeakyReLU, ELU, GELU, Tanh, Sigmoid, Softplus, Dropout, GaussianDropout)
"""Layers that apply an elementwise function in inference mode."""

CHUNK_ROWS = 256  # the values of so many rows fit into the processor's cache


@dataclass(frozen=True, eq=False)
class PrunedNetwork:
    """The result of :func:`prune`.

    Parameters
    ----------
    network : Network
        The smaller network; it can be saved and trained further.
    inputs : ndarray of shape (K,), int
        The columns of ``x`` that it uses, in order.
    features : int
        The number of columns of ``x`` before pruning, D.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=3)
    >>> net.parameters.weights[0] = 0.0
    >>> pruned = prune(net)
    >>> pruned.inputs, pruned.network.inputs
    (array([1, 2]), 2)
    >>> pruned.predict([[5.0, 1.0, 2.0]])
    array([[3.]], dtype=float32)
    """

    network: Network
    inputs: Array
    features: int

    def predict(self, x: Any) -> Array:
        """Return the raw outputs (N, M) for rows with all columns, (N, D)."""
        x = validation.matrix("x", x, self.features)
        return self.network.predict(np.take(x, self.inputs, axis=1))


def prune(net: Network) -> PrunedNetwork:
    """Return a network without constant units, unused units and unused inputs.

    Parameters
    ----------
    net : Network
        A network of `Dense` layers, activations of nnreg, `Dropout` and `GaussianDropout`. It is
        not modified.

    Returns
    -------
    PrunedNetwork

    Raises
    ------
    TypeError
        If ``net`` is not a network, or has other layers, whose units may depend on each other.
    ValueError
        If it has no `Dense` layer.

    Notes
    -----
    The outputs are those of inference mode. In training mode they differ: dropout would sometimes
    drop a constant unit, whose contribution is now always part of the bias. At least one unit of
    each layer and one input remain, since a network cannot have empty layers. A layer without a
    bias gets one if constant units contribute to it.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(3), nn.ReLU(), nn.Dense(2)], inputs=4, seed=0)
    >>> net.parameters["dense_1.weight"][:, 0] = 0.0  # this unit is constant
    >>> net.parameters["dense_2.weight"][1] = 0.0  # this unit is unused
    >>> prune(net).network.widths
    [4, 1, 1, 2]
    """
    trained, copied = dense_layers(net), net.copy()
    layers = [layer.clone() for layer in copied.layers]
    weights = [layer.weight.astype(np.float64) for layer in trained]
    biases = [get_bias(layer).astype(np.float64) for layer in trained]
    fold_constant_units(layers, weights, biases)
    inputs = drop_unused_units(weights, biases)
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    for layer, bias in zip(dense, biases, strict=True):
        layer.units, layer.use_bias = bias.size, layer.use_bias or bool(bias.any())
    used = [bias for layer, bias in zip(dense, biases, strict=True) if layer.use_bias]
    network = Network.from_vector(
        layers,
        np.concatenate([*(weight.ravel() for weight in weights), *used]).astype(net.dtype),
        inputs=len(inputs),
        penalty=copied.penalty,
        constraint=copied.constraint,
        seed=net.seed,
        dtype=net.dtype,
    )
    network.steps, network.epochs = net.steps, net.epochs
    network.initializers = net.initializers.copy()
    return PrunedNetwork(network, inputs, net.inputs)


def dense_layers(net: Network) -> list[Dense]:
    """Return the `Dense` layers, in order; raise if another layer is not one of `UNITWISE`.

    >>> import nnreg as nn
    >>> dense_layers(nn.Network([nn.Tanh()], inputs=1))
    Traceback (most recent call last):
        ...
    ValueError: net must have a Dense layer, got Network([Tanh()], ...
    """
    validation.instance("net", net, Network, "a Network")
    dense: list[Dense] = []
    for layer in net.layers:
        if type(layer) is Dense:
            dense.append(layer)
        elif type(layer) not in UNITWISE:
            names = ", ".join(kind.__name__ for kind in (Dense, *UNITWISE))
            raise TypeError(
                f"net must have layers of the kinds {names}, got {layer.name}: {layer!r}"
            )
    if not dense:
        raise ValueError(f"net must have a Dense layer, got {net!r}")
    return dense


def get_bias(layer: Dense) -> Array:
    """Return the bias (M,), zeros if the layer has none."""
    return layer.bias if layer.use_bias else np.zeros(layer.units, layer.weight.dtype)


def fold_constant_units(layers: Sequence[Layer], weights: list[Array], biases: list[Array]) -> None:
    """Move the contribution of constant units into the next bias, and set their weights to zero.

    Parameters
    ----------
    layers : sequence of Layer
    weights : list of ndarray of shape (D, M)
        Weights of the `Dense` layers; modified in place.
    biases : list of ndarray of shape (M,)
        Modified in place.
    """
    index, outputs = -1, np.empty((1, 0))
    for layer in layers:
        if not isinstance(layer, Dense):
            outputs = layer.forward(outputs, Cache("float64"))
            continue
        index += 1
        if index:
            constant = (weights[index - 1] == 0).all(axis=0)
            biases[index] = biases[index] + outputs[0, constant] @ weights[index][constant]
            weights[index][constant] = 0.0
        outputs = biases[index][np.newaxis]  # correct for constant units, the only ones used


def drop_unused_units(weights: list[Array], biases: list[Array]) -> Array:
    """Remove the units that no remaining unit uses, and return the indices of the inputs in use.

    Parameters
    ----------
    weights : list of ndarray of shape (D, M)
        Weights of the `Dense` layers; modified in place.
    biases : list of ndarray of shape (M,)
        Modified in place.

    Returns
    -------
    ndarray of shape (K,), int
    """
    used = np.ones(biases[-1].size, bool)
    for index in reversed(range(len(weights))):
        weight, biases[index] = weights[index][:, used], biases[index][used]
        used = (weight != 0).any(axis=1)
        used[0] |= not used.any()
        weights[index] = weight[used]
    return np.flatnonzero(used)


class SparsePredictor:
    """Prediction from sparse matrices; a copy that later training of the network does not change.

    Parameters
    ----------
    net : Network
        A network of `Dense` layers, activations of nnreg, `Dropout` and `GaussianDropout`.

    Attributes
    ----------
    inputs, outputs : int
        Numbers of columns of ``x`` and of the predictions.
    dtype : numpy.dtype
    nonzeros : int
        The number of stored weights.
    nbytes : int
        Memory for the weights, their indices, and the biases.

    Raises
    ------
    TypeError, ValueError
        As :func:`nnreg.lab.prune`.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=3)
    >>> net.parameters.weights[0] = 0.0
    >>> predictor = SparsePredictor(net)
    >>> predictor.nonzeros, predictor.nbytes
    (2, 28)
    >>> predictor.predict([[5.0, 1.0, 2.0]])
    array([[3.]], dtype=float32)
    """

    def __init__(self, net: Network) -> None:
        from scipy.sparse import csr_array

        dense_layers(net)  # raises for other types of layers
        self.inputs, self.outputs, self.dtype = net.inputs, net.widths[-1], net.dtype
        self.nonzeros = self.nbytes = 0
        self._layers: list[Layer | tuple[Any, Array]] = []
        for layer in net.layers:
            if not isinstance(layer, Dense):
                self._layers.append(copy.deepcopy(layer.clone()))
                continue
            weight, bias = csr_array(layer.weight.T), get_bias(layer)[:, np.newaxis].copy()
            self._layers.append((weight, bias))
            self.nonzeros += weight.nnz
            arrays = weight.data, weight.indices, weight.indptr, bias
            self.nbytes += sum(array.nbytes for array in arrays)

    def predict(self, x: Any) -> Array:
        """Return the raw outputs (N, M) in inference mode.

        Parameters
        ----------
        x : array_like of shape (N, D)

        Raises
        ------
        ValueError, TypeError
            If ``x`` is not such an array of finite numbers.
        """
        x = validation.cast("x", validation.matrix("x", x, self.inputs), self.dtype)
        outputs = np.empty((len(x), self.outputs), self.dtype)
        for start in range(0, len(x), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            z = np.ascontiguousarray(x[rows].T)  # one row per unit, for `weight @ z`
            for layer in self._layers:
                if isinstance(layer, Layer):
                    z = layer.forward(z, Cache(self.dtype))
                else:
                    weight, bias = layer
                    z = weight @ z
                    z += bias
            outputs[rows] = z.T
        return outputs
