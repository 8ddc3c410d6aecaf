"""Monte-Carlo dropout: prediction with active dropout, to estimate uncertainty.

Inference disables dropout. As the noise has mean 1, every unit is replaced by its mean; this weight
scaling approximates the mean over all masks in one pass. Monte-Carlo prediction draws masks instead
and predicts with each. Its mean needs no such approximation, and its standard deviation estimates
the uncertainty of the network (Gal & Ghahramani, 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support import rows, validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.losses import Loss, SigmoidCrossEntropy
from nnreg.network import MAX_STEP, Network

FIRST_STEP = MAX_STEP + 1  # larger than any step of training, so the masks are different
SEEDS = 2**31


@dataclass(frozen=True)
class SampledPredictions:
    """The outputs of a network under many masks.

    Attributes
    ----------
    outputs : ndarray of shape (S, N, M)
        Raw outputs, as ``net.predict`` returns them, for each of S samples.

    Examples
    --------
    >>> import nnreg as nn
    >>> certain, uncertain = [[9.0, -9.0], [9.0, -9.0]], [[9.0, -9.0], [-9.0, 9.0]]
    >>> samples = SampledPredictions(np.array([certain, uncertain]).swapaxes(0, 1))
    >>> samples.std
    array([[ 0.        ,  0.        ],
           [12.72792206, 12.72792206]])
    >>> samples.mutual_information(nn.SoftmaxCrossEntropy()).round(4)  # 0 and log 2
    array([0.    , 0.6931])
    """

    outputs: Array

    @property
    def mean(self) -> Array:
        """The mean of the raw outputs over the samples, (N, M)."""
        return np.asarray(self.outputs.mean(axis=0))

    @property
    def std(self) -> Array:
        """Their standard deviation, (N, M), divided by S - 1.

        It is that of the network's outputs and does not include the noise of the targets.
        """
        return np.asarray(self.outputs.std(axis=0, ddof=1))

    def probabilities(self, loss: Loss) -> Array:
        """Return the mean over the samples of ``loss.probabilities``, (N, K), in float64."""
        return np.asarray(self._probabilities(loss).mean(axis=0))

    def entropy(self, loss: Loss) -> Array:
        """Return the entropy of the mean probabilities, (N,), in nats.

        It is the total uncertainty about a row's class, from 0 to log K; for
        :class:`nnreg.SigmoidCrossEntropy`, the sum over its independent outputs.
        """
        return _entropy(self.probabilities(loss), loss)

    def mutual_information(self, loss: Loss) -> Array:
        """Return :meth:`entropy` minus the mean entropy of the samples, (N,), in nats.

        It is the part of the uncertainty due to the weights: 0 if all samples agree, even if each
        is uncertain; large if each is certain of a different class. More data would reduce it.
        """
        each = _entropy(self._probabilities(loss), loss).mean(axis=0)
        return np.asarray(np.maximum(self.entropy(loss) - each, 0.0))  # negative only by rounding

    def _probabilities(self, loss: Loss) -> Array:
        validation.instance("loss", loss, Loss, "a Loss such as nn.SoftmaxCrossEntropy()")
        samples, rows, columns = self.outputs.shape
        flat = self.outputs.reshape(-1, columns).astype(np.float64)
        return loss.probabilities(flat).reshape(samples, rows, columns)


def sample_predictions(
    net: Network, x: Any, *, samples: int = 50, seed: int = 0
) -> SampledPredictions:
    """Predict many times, with the stochastic layers in training mode.

    The network does not change, its counters included. The masks are a function of the network's
    seed, of ``seed``, the index of the sample and the index of the row: the same call returns the
    same samples, and a larger number of samples begins with the same ones. The masks differ from
    those of training.

    Parameters
    ----------
    net : Network
        A network with a stochastic layer, such as :class:`nnreg.Dropout`.
    x : array_like of shape (N, D)
    samples : int, default 50
        At least 2. The result has ``samples * N * M`` numbers.
    seed : int, default 0
        Below 2**31.

    Returns
    -------
    SampledPredictions
        With ``mean`` and ``std`` of the raw outputs and, for a loss, ``probabilities``,
        ``entropy`` and ``mutual_information``.

    Raises
    ------
    ValueError
        If ``x`` is invalid, or if no layer is stochastic, so that all samples would be equal.
    TypeError
        If ``net`` is not a Network.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dropout(keep_prob=0.5), nn.Dense(1, initializer=nn.ones)], inputs=100)
    >>> samples = sample_predictions(net, np.full((1, 100), 0.1), samples=1000)
    >>> samples.mean.round(1), samples.std.round(1)  # 100 coins, each 0 or 0.2: 10 and 1
    (array([[10.]], dtype=float32), array([[1.]], dtype=float32))
    """
    validation.instance("net", net, Network, "a Network")
    samples = validation.whole("samples", samples, 2, SEEDS)
    step = FIRST_STEP + SEEDS * validation.whole("seed", seed, 0, SEEDS - 1)
    first = next((i for i, layer in enumerate(net.layers) if layer.stochastic), None)
    if first is None:
        raise ValueError(
            "net must have a stochastic layer, such as Dropout, or all samples are the same; "
            f"got {net!r}"
        )
    x = rows.as_rows("x", x, net.inputs)
    outputs = np.empty((samples, len(x), net.widths[-1]), net.dtype)
    cache = Cache(net.dtype)
    for part, chunk in net.row_chunks(x):
        start = part.start
        hidden = _run(net.layers[:first], chunk, cache, 0, start)
        for sample in range(samples):
            outputs[sample, part] = _run(net.layers[first:], hidden, cache, step + sample, start)
    return SampledPredictions(outputs)


def _run(layers: Sequence[Layer], x: Array, cache: Cache, step: int, first_row: int) -> Array:
    """Run the forward pass of some layers, with the stochastic ones in training mode."""
    for layer in layers:
        layer_cache = cache[layer.name]
        layer_cache.reset(training=layer.stochastic, step=step, first_row=first_row)
        x = layer.forward(x, layer_cache)
    return x


def _entropy(p: Array, loss: Loss) -> Array:
    """Return ``-Σ p log p`` along the last axis, with ``0 log 0 = 0``."""
    if isinstance(loss, SigmoidCrossEntropy):
        p = np.concatenate([p, 1 - p], axis=-1)
    logs = np.log(p, where=p > 0, out=np.zeros_like(p))
    return np.asarray(-(p * logs).sum(axis=-1))
