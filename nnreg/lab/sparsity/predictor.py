"""Prediction from sparse weights: for scattered zeros, which compaction cannot remove.

A zero weight in a full matrix costs as much as any other. In compressed rows (``scipy.sparse``)
only non-zeros are stored and multiplied. Each costs several times as much as in a full matrix, so
it pays only where nearly all weights are zero; how nearly is measured in the guide to sparse
networks.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.lab.sparsity.pruning import bias_of, check_chain
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.network import Network

ROWS = 256  # at once: the unit of work stays in the processor's cache


class SparsePredictor:
    """A network's predictions, from weights in compressed rows; later training does not reach it.

    Parameters
    ----------
    net : Network
        Of `Dense` layers, the shipped activations, `Dropout` and `GaussianDropout`.

    Attributes
    ----------
    nonzeros : int
        Weights that are stored.
    nbytes : int
        Memory for weights, their places, and biases.

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

        check_chain(net)
        self.inputs, self.outputs, self.dtype = net.inputs, net.widths[-1], net.dtype
        self.nonzeros = self.nbytes = 0
        self._layers: list[Layer | tuple[Any, Array]] = []
        for layer in net.layers:
            if not isinstance(layer, Dense):
                self._layers.append(copy.deepcopy(layer.clone()))
                continue
            weight, bias = csr_array(layer.weight.T), bias_of(layer)[:, None].copy()
            self._layers.append((weight, bias))
            self.nonzeros += weight.nnz
            for part in (weight.data, weight.indices, weight.indptr, bias):
                self.nbytes += part.nbytes

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
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            # Units stand in rows here, so that each weight works on neighbours in memory.
            z = np.ascontiguousarray(x[rows].T)
            for layer in self._layers:
                if isinstance(layer, Layer):
                    z = layer.forward(z, Cache(self.dtype))
                else:
                    weight, bias = layer
                    z = weight @ z
                    z += bias
            outputs[rows] = z.T
        return outputs
