"""Sparse prediction: the weights in compressed sparse rows, for zeros that are scattered.

Pruning removes whole units and inputs. A single zero in a full matrix is multiplied like any other
value; in compressed sparse rows (``scipy.sparse``) only nonzeros are stored and multiplied. Each
costs several times as much as in a full matrix, so this is faster only where nearly all weights are
zero; the guide to sparse networks has measurements.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.lab.sparsity.pruning import check_layers, get_bias
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.network import Network

CHUNK_ROWS = 256  # few enough that the values of a chunk stay in the processor's cache


class SparsePredictor:
    """A network's predictions from sparse matrices; independent of the network's later training.

    Parameters
    ----------
    net : Network
        Of `Dense` layers, the shipped activations, `Dropout` and `GaussianDropout`.

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

        check_layers(net)
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
            z = np.ascontiguousarray(x[rows].T)  # units in rows, as `weight @ z` reads them
            for layer in self._layers:
                if isinstance(layer, Layer):
                    z = layer.forward(z, Cache(self.dtype))
                else:
                    weight, bias = layer
                    z = weight @ z
                    z += bias
            outputs[rows] = z.T
        return outputs
