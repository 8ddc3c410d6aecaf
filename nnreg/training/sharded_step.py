"""The training step of a batch that is cut into shards, see :mod:`nnreg.training.shards`."""

from __future__ import annotations

import math

import numpy as np

from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.training.shards import ShardedData
from nnreg.training.step import Block, NonFiniteLossError, TrainingStep


class ShardedStep(TrainingStep):
    """A training step whose gradient is the sum over the shards of a batch.

    Parameters
    ----------
    net : Network
    loss : Loss
    optimizer : Optimizer
    data : ShardedData

    Examples
    --------
    >>> import nnreg as nn
    >>> from nnreg.training.shards import Shards
    >>> net = nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1)
    >>> x = y = np.ones((4, 1), np.float32)
    >>> shards = Shards(None, 2, False)
    >>> data = ShardedData(x, y, None, 0, np.array([0, 2, 4]), shards)
    >>> step = ShardedStep(net, nn.MeanSquaredError(), nn.SGD(0.25), data)
    >>> step(x, y, np.arange(4))
    1.0
    """

    def __init__(self, net: Network, loss: Loss, optimizer: Optimizer, data: ShardedData) -> None:
        super().__init__(net, loss, optimizer)
        self.data = data
        size = net.parameters.vector.size + 1  # the gradient, and the loss
        self._parts = np.zeros((len(data.shards.mine), size), net.dtype)
        self._sum = np.zeros(size, net.dtype)

    def _run_passes(
        self, x: Array, targets: Array, rows: Array, weights: Array | None, step: int
    ) -> float:
        """Compute the gradients of this rank's shards, and return the loss of the batch."""
        net, normalizer = self.net, float(len(rows))
        if weights is not None:
            total = float(self._gather("batch weights", weights, rows).sum())
            normalizer = max(total, float(np.finfo(net.dtype).tiny))
        self._parts[...] = 0
        for part, (first_row, numbers) in zip(self._parts, self.data.cut(rows), strict=True):
            if len(numbers):
                local = numbers - self.data.first
                batch, y = self._gather("x", x, local), self._gather("targets", targets, local)
                w = None if weights is None else self._gather("weights", weights, numbers)
                outputs = net.run_forward(
                    batch, self.cache, training=True, step=step, first_row=first_row
                )
                out = self.cache.array("doutputs", outputs.shape)
                part[-1], doutputs = self.loss.compute(outputs, y, w, normalizer, out)
                net.run_backward(doutputs, self.cache)
                for layer in net.trainable_layers():
                    net.run_gradient(layer, self.cache, self.gradients)
                part[:-1] = self.gradients.vector
        self.data.shards.add(self._parts, self._sum)
        self.gradients.vector[...] = self._sum[:-1]
        if not math.isfinite(self._sum[-1]):
            raise self._find_non_finite(x, rows, step)
        return float(self._sum[-1])

    def _compute_gradient(self, block: Block) -> None:
        """Add the block's penalty gradient to the sum."""
        self.net.regularization.add_gradient(self.gradients, block.pieces)

    def _find_non_finite(self, x: Array, rows: Array, step: int) -> NonFiniteLossError:
        """Return the error of the shard with the first layer whose outputs are not finite."""
        names = [layer.name for layer in self.net.layers] + ["loss"]
        value, found = float(self._sum[-1]), []
        for first_row, numbers in self.data.cut(rows):
            batch = self._gather("x", x, numbers - self.data.first)
            error = self._non_finite_error(batch, value, step, first_row)
            found.append((names.index(error.layer), str(error)))
        index, text = min(answer for rank in self.data.shards.gather(found) for answer in rank)
        return NonFiniteLossError(text, step, names[index])
