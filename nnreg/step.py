"""One training step: the taught loop's body, over the same layers, with every buffer kept.

Phase 1, rows: gather the batch, forward, loss, derivatives down to the first layer with parameters.
Phase 2, parameters: gradient, penalty, optimizer, proximal map. Between the two a loss that is not
finite stops the step, before anything is changed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg.cache import Cache
from nnreg.kernels import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import Optimizer


class NonFiniteLossError(ArithmeticError):
    """Training met a loss that is not finite; nothing was updated with it.

    Attributes
    ----------
    step : int
        The step, counted as ``net.steps``.
    layer : str
        The first layer whose outputs are not finite, or ``"loss"``.
    history : History or None
        What ``fit`` had recorded.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1)
    >>> try:
    ...     nn.fit(
    ...         net, [[1.0]], [[1.0]], loss=nn.MeanSquaredError(), optimizer=nn.SGD(1e30), epochs=9
    ...     )
    ... except nn.NonFiniteLossError as error:
    ...     print(error.layer)
    loss
    """

    def __init__(self, message: str, step: int, layer: str) -> None:
        super().__init__(message)
        self.step, self.layer = step, layer
        self.history: Any = None


class TrainingStep:
    """The step and the buffers that it owns.

    Parameters
    ----------
    net : Network
    loss : Loss
    optimizer : Optimizer

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1)
    >>> step = TrainingStep(net, nn.MeanSquaredError(), nn.SGD(0.25))
    >>> x, y = np.ones((4, 1), np.float32), np.ones((4, 1), np.float32)
    >>> step(x, y, np.arange(4))  # the loss before the update: (0 - 1)²
    1.0
    >>> net.parameters.vector  # w and b each moved by 0.25 * 2
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, net: Network, loss: Loss, optimizer: Optimizer) -> None:
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.cache = Cache(net.dtype)
        self.cache.gradients = self.gradients = net.parameters.like()

    def __call__(
        self, x: Array, targets: Array, rows: Array, weights: Array | None = None
    ) -> float:
        """Train on the given rows and return their data loss.

        Parameters
        ----------
        x : ndarray of shape (N, D)
        targets : ndarray of shape (N,) or (N, M)
        rows : ndarray of int
            Row numbers of the batch.
        weights : ndarray of shape (N,), optional

        Raises
        ------
        NonFiniteLossError
            Before any update.
        """
        net, cache = self.net, self.cache
        x = self._gather("x", x, rows)
        targets = self._gather("targets", targets, rows)
        weights = None if weights is None else self._gather("weights", weights, rows)
        step, net.steps = net.steps, net.steps + 1
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # found out just below
            outputs = net.run_forward(x, cache, training=True, step=step)
            out = cache.array("doutputs", outputs.shape)
            value, doutputs = self.loss.compute(outputs, targets, weights, out=out)
            if not math.isfinite(value):
                raise self._complaint(x, float(value), step)
            net.run_deltas(doutputs, cache)
            for layer in net.trainable_layers():
                net.run_gradient(layer, cache, self.gradients)
            net.add_penalty_gradient(self.gradients)
            self.optimizer.update(net.parameters, self.gradients)
            if net.has_proximal:
                net.apply_proximal(self.optimizer.step_size)
        return float(value)

    def _gather(self, name: str, values: Array, rows: Array) -> Array:
        """Copy ``values[rows]`` into a buffer of the network's dtype; class numbers as they are."""
        shape = (len(rows), *values.shape[1:])
        # mode="clip" writes straight into out, where "raise" would gather into a copy first
        picked = np.take(
            values,
            rows,
            axis=0,
            mode="clip",
            out=self.cache.array("raw " + name, shape, values.dtype),
        )
        if values.dtype == self.net.dtype or (name == "targets" and values.dtype.kind == "i"):
            return picked
        batch = self.cache.array(name, shape)
        np.copyto(batch, picked, casting="unsafe")
        return batch

    def _complaint(self, x: Array, value: float, step: int) -> NonFiniteLossError:
        """Replay the step and name the first layer whose outputs are not finite."""
        cache = Cache(self.net.dtype)
        where = "loss"
        for layer in self.net.layers:
            own = cache[layer.name]
            own.begin(training=True, step=step)
            x = layer.forward(x, own)
            if not np.isfinite(x).all():
                where = layer.name
                break
        return NonFiniteLossError(
            f"the loss of step {step} is {value}; "
            f"the first outputs that are not finite are those of {where}",
            step,
            where,
        )
