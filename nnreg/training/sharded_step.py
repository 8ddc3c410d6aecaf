"""The training step of a batch that is cut into shards, see :mod:`nnreg.training.shards`."""

from __future__ import annotations

import math

import numpy as np

from nnreg._support import memory
from nnreg._support.memory import ALIGNMENT
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.parameters import Parameters
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
        # Each row is a gradient and a loss, in whole cache lines.
        self._size = net.parameters.vector.size
        columns = -(-(self._size + 1) // ALIGNMENT) * ALIGNMENT
        self._parts = memory.empty((len(data.shards.mine), columns), net.dtype)
        self._parts[...] = 0
        self._sum = self._parts[0]
        if data.shards.count > 1:
            self._sum = memory.empty((columns,), net.dtype)
        self._gradients = [self._view_gradient(part) for part in self._parts]
        self.cache.gradients = self.gradients = self._view_gradient(self._sum)

    def _view_gradient(self, row: Array) -> Parameters:
        declared = self.net.parameters.declared
        return Parameters(declared, self.net.dtype, row[: self._size])

    def _run_passes(
        self, x: Array, targets: Array, rows: Array, weights: Array | None, step: int
    ) -> float:
        """Compute the gradients of this rank's shards, and return the loss of the batch."""
        net, normalizer = self.net, float(len(rows))
        if weights is not None:
            total = float(self._gather("batch weights", weights, rows).sum())
            normalizer = max(total, float(np.finfo(net.dtype).tiny))
        shards, last = self.data.cut(rows), self._size
        for part, gradients, (first_row, numbers) in zip(
            self._parts, self._gradients, shards, strict=True
        ):
            if not len(numbers):
                part[...] = 0
            else:
                local = numbers - self.data.first
                batch, y = self._gather("x", x, local), self._gather("targets", targets, local)
                w = None if weights is None else self._gather("weights", weights, numbers)
                outputs = net.run_forward(
                    batch, self.cache, training=True, step=step, first_row=first_row
                )
                out = self.cache.array("doutputs", outputs.shape)
                part[last], doutputs = self.loss.compute(outputs, y, w, normalizer, out)
                net.run_backward(doutputs, self.cache)
                for layer in net.trainable_layers():
                    net.run_gradient(layer, self.cache, gradients)
        if self.data.shards.count > 1:
            self.data.shards.add(self._parts, self._sum)
        value = float(self._sum[last])
        if not math.isfinite(value):
            raise self._find_non_finite(x, rows, step)
        return value

    def _compute_gradient(self, block: Block) -> None:
        """Add the block's penalty gradient to the sum."""
        self.net.regularization.add_gradient(self.gradients, block.pieces)

    def _find_non_finite(self, x: Array, rows: Array, step: int) -> NonFiniteLossError:
        """Return the error of the shard with the first layer whose outputs are not finite."""
        names = [layer.name for layer in self.net.layers] + ["loss"]
        value, found = float(self._sum[self._size]), []
        for first_row, numbers in self.data.cut(rows):
            batch = self._gather("x", x, numbers - self.data.first)
            error = self._non_finite_error(batch, value, step, first_row)
            found.append((names.index(error.layer), str(error)))
        index, text = min(answer for rank in self.data.shards.gather(found) for answer in rank)
        return NonFiniteLossError(text, step, names[index])
