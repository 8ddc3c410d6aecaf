"""A step done under observation: the engine's own methods, and copies of all that went through.

It is the body of :mod:`nnreg.training.step` up to the update, inside the door, in one lane.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network

#: What layers that draw at random call, in their cache, what they multiply by.
MASKS = ("mask", "factors")


class Done:
    """One step, forward and backward, of a network that will not be used for anything else.

    Parameters
    ----------
    net : Network
        A copy: its layers are made to note what goes through them.
    x : ndarray of shape (N, D)
    y : ndarray
        Targets.
    loss : Loss
    step : int
        The step whose masks are used.

    Attributes
    ----------
    seen : dict of layer name to dict of str to ndarray
        ``x`` and ``y``, and ``dx`` where it was asked for.
    masks : dict of layer name to ndarray
        What layers multiplied by at random and left in their cache.
    outputs, doutputs : ndarray of shape (N, M)
    data_loss : float
    gradients : Parameters
        Of the data loss.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2)
    >>> done = Done(net, np.ones((1, 2), np.float32), np.zeros((1, 1)), nn.MeanSquaredError(), 0)
    >>> done.seen["dense_1"]["y"], done.gradients["dense_1.bias"]
    (array([[2.]], dtype=float32), array([4.], dtype=float32))
    """

    def __init__(self, net: Network, x: Array, y: Array, loss: Loss, step: int) -> None:
        self.net, self.x, self.y, self.step = net, x, y, step
        self.seen = {layer.name: _watched(layer) for layer in net.layers}
        self.cache = cache = Cache(net.dtype)
        outputs = net.run_forward(x.copy(), cache, training=True, step=step)
        self.outputs = outputs.copy()
        self.masks = {
            layer.name: found.copy()
            for layer in net.layers
            for name, found in vars(cache[layer.name]).items()
            if name in MASKS and isinstance(found, np.ndarray)
        }
        value, doutputs = loss.compute(outputs, y)
        self.data_loss, self.doutputs = float(value), np.array(doutputs, net.dtype)
        net.run_deltas(self.doutputs.copy(), cache)
        self.gradients = net.parameters.like()
        for layer in net.trainable_layers():
            net.run_gradient(layer, cache, self.gradients)

    def downward(self) -> Iterator[tuple[Layer, Array | None]]:
        """Yield the layers from the last to the first, with ``dy``; None where nobody asks."""
        dy: Array | None = self.doutputs
        for layer in reversed(self.net.layers):
            yield layer, dy
            dy = self.seen[layer.name].get("dx")


def _watched(layer: Layer) -> dict[str, Array]:
    """Have a layer's two methods note copies of what goes in and what comes out."""
    seen: dict[str, Array] = {}
    forward, backward = layer.forward, layer.backward

    def watched_forward(x: Array, cache: Cache) -> Array:
        seen["x"] = x.copy()
        y = forward(x, cache)
        seen["y"] = np.array(y)
        return y

    def watched_backward(dy: Array, cache: Cache) -> Array:
        dx = backward(dy, cache)
        seen["dx"] = np.array(dx)
        return dx

    vars(layer).update(forward=watched_forward, backward=watched_backward)
    return seen
