"""One training step: gather, forward, loss, backward, update; its arrays are reused.

The backward pass ends at the first layer with parameters. The update is done block by block of the
vector: gradient, penalty, optimizer, proximal map. A block's gradient is still in the processor's
cache when the optimizer reads it. A loss that is not finite raises an error before any update.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextvars import Context, copy_context
from typing import Any, NamedTuple

import numpy as np

from nnreg._support.memory import ALIGNMENT
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import BLOCK, Optimizer
from nnreg.regularization import Segment

# The vector is one block if it has at most this many parameters; a larger one is split.
MAX_SINGLE_BLOCK = 2 * BLOCK

# A loss that is not finite raises NonFiniteLossError, so NumPy's warnings are not needed.
IGNORE_FLOAT_ERRORS: dict[str, Any] = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}

# NumPy adds a bias to rows, and converts values, through a buffer of 8192 values. A smaller one is
# faster, because it fits into the processor's cache. Sums of the proximal maps depend on the size
# in NumPy before 2.3, so it is set for the forward and backward pass only.
UFUNC_BUFFER_SIZE = 1024


class NonFiniteLossError(ArithmeticError):
    """Raised when a loss is not finite, before any update.

    It is also raised if a parameter or the penalty is not finite after the last update of an epoch.

    Attributes
    ----------
    step : int
        The number of the step, as in ``net.steps``.
    layer : str
        The first layer whose outputs are not finite, or ``"loss"`` or ``"penalty"``.
    history : History or None
        The epochs recorded by ``fit``.

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

    # Defaults, because pickle reconstructs an exception from its message alone.
    def __init__(self, message: str, step: int = 0, layer: str = "") -> None:
        super().__init__(message)
        self.step, self.layer = step, layer
        self.history: Any = None


class Block(NamedTuple):
    """A part of the vector that is updated in one call.

    Attributes
    ----------
    layers : list of Layer
        Layers whose gradients are computed before the update of this block.
    part : slice
        The position in the vector.
    pieces : list of Segment
        The weights in ``part`` that have a penalty.
    proximal : slice or None
        The part to which proximal maps can be applied after the update of ``part``. A penalty or
        constraint that needs a whole weight array is applied after the array's last block.
    """

    layers: list[Layer]
    part: slice
    pieces: list[Segment]
    proximal: slice | None


def _create_contexts() -> tuple[Context, Context]:
    """Return the contexts of the passes and of the update, with NumPy's settings for them.

    The settings are variables of a context. To run a function in a context takes less than a
    microsecond; to set them in every step, and to restore them, takes as long as ten additions.
    """
    update = copy_context()
    update.run(np.seterr, **IGNORE_FLOAT_ERRORS)
    passes = update.copy()
    passes.run(np.setbufsize, UFUNC_BUFFER_SIZE)
    return passes, update


class TrainingStep:
    """A training step with reusable buffers.

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
        self.cache.bind(net.identity)
        self.cache.gradients = self.gradients = net.parameters.like()
        self._contexts: tuple[Context, Context] | None = None
        self._blocks: list[Block] = []
        self._blocks_segments: object = None  # the segments from which _blocks was built

    def __call__(
        self, x: Array, targets: Array, rows: Array, weights: Array | None = None
    ) -> float:
        """Train on these rows and return their data loss.

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
        self._contexts = self._contexts or _create_contexts()
        passes, update = self._contexts
        step = self.net.begin_step()
        value = passes.run(self._run_passes, x, targets, rows, weights, step)
        update.run(self._update)
        return value

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_contexts": None}  # which cannot be copied

    def _run_passes(
        self, x: Array, targets: Array, rows: Array, weights: Array | None, step: int
    ) -> float:
        """Run the forward pass, the loss and the backward pass, and return the loss."""
        net, cache = self.net, self.cache
        batch = self._gather("x", x, rows)
        targets = self._gather("targets", targets, rows)
        weights = None if weights is None else self._gather("weights", weights, rows)

        outputs = net.run_forward(batch, cache, training=True, step=step)
        out = cache.array("doutputs", outputs.shape)
        value, doutputs = self.loss.compute(outputs, targets, weights, None, out)
        if not math.isfinite(value):
            raise self._non_finite_error(batch, float(value), step)
        net.run_backward(doutputs, cache)
        return float(value)

    def _update(self) -> None:
        """Compute the gradient and update the parameters, block by block."""
        net, optimizer = self.net, self.optimizer
        segments = net.regularization.resolve()
        if segments is not self._blocks_segments:  # a penalty or constraint was replaced
            self._blocks_segments, self._blocks = segments, list(self._cut())
        blocks = self._blocks
        proximal = "proximal" in [segment.rule.method for segment in segments.all]
        clip = optimizer.clip_norm is not None  # the norm needs the whole gradient
        if clip:
            for block in blocks:
                self._compute_gradient(block)
        optimizer.begin(net.parameters, self.gradients)
        for block in blocks:
            if not clip:
                self._compute_gradient(block)
            work = self.gradients.scratch(block.part.stop - block.part.start)
            optimizer.update_slice(net.parameters, self.gradients, block.part, work)
            if proximal and block.proximal:
                step_size = optimizer.step_size_of(block.proximal)
                net.regularization.apply_proximal(step_size, block.proximal)

    def _gather(self, name: str, values: Array, rows: Array) -> Array:
        """Copy ``values[rows]`` into a buffer of the network's dtype; class numbers keep theirs."""
        shape, dtype = (len(rows), *values.shape[1:]), values.dtype
        raw = self.cache.array(name, shape, dtype)
        # mode="clip" writes directly into out; "raise" would use a temporary copy
        values.take(rows, 0, raw, "clip")
        if dtype is self.cache.dtype or dtype == self.cache.dtype:
            return raw
        if name == "targets" and dtype.kind == "i":
            return raw
        batch = self.cache.array("cast " + name, shape)
        np.copyto(batch, raw, casting="unsafe")
        return batch

    def _compute_gradient(self, block: Block) -> None:
        """Compute the gradients of the block's layers, and add the block's penalty gradient."""
        for layer in block.layers:
            self.net.run_gradient(layer, self.cache, self.gradients)
        self.net.regularization.add_gradient(self.gradients, block.pieces)

    def _cut(self) -> Iterator[Block]:
        """Split the vector: the weights of each layer, last layer first, then everything else."""
        net, parameters = self.net, self.net.parameters
        layers, size = list(net.trainable_layers()), parameters.vector.size
        parts, length = [(layers, slice(0, size))], size
        if size > MAX_SINGLE_BLOCK:
            parts, length, waiting = [], BLOCK, []
            for layer in reversed(layers):
                waiting.append(layer)  # layers without weights join the next layer with weights
                names = [f"{layer.name}.{name}" for name in parameters.of(layer.name)]
                weights = [parameters.slices[n] for n in names if parameters.declared[n].weight]
                if weights:
                    parts.append((waiting, slice(weights[0].start, weights[-1].stop)))
                    waiting = []
            parts.append((waiting, slice(parameters.weights.size, size)))
        for layers, part in parts:
            needs_whole = net.regularization.needs_whole(part)
            stop = part.start
            while stop < part.stop:  # blocks after the first begin at a multiple of 64 bytes
                start, aligned = stop, (stop + length) // ALIGNMENT * ALIGNMENT
                stop = min(aligned, part.stop) if length < size else part.stop
                block = slice(start, stop)
                complete = part if stop == part.stop else None
                pieces = net.regularization.cut(block)
                yield Block(layers, block, pieces, complete if needs_whole else block)
                layers = []  # gradients are computed once, before the first block

    def _non_finite_error(
        self, x: Array, value: float, step: int, first_row: int = 0
    ) -> NonFiniteLossError:
        """Repeat the forward pass to find the first layer whose outputs are not finite.

        A penalty that is not finite either is named too, because its strength may be the cause.
        """
        cache, name = Cache(self.net.dtype), "loss"
        for layer in self.net.layers:
            layer_cache = cache[layer.name]
            layer_cache.reset(training=True, step=step, first_row=first_row)
            x = layer.forward(x, layer_cache)
            if not np.isfinite(x).all():
                name = layer.name
                break
        penalty, and_penalty = self.net.penalty_value(), ""
        if not math.isfinite(penalty):
            and_penalty = f", and the penalty is {penalty}: a smaller strength may help"
        return NonFiniteLossError(
            f"the loss of step {step} is {value}; "
            f"the first outputs that are not finite are those of {name}{and_penalty}",
            step,
            name,
        )
