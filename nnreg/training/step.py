"""One training step: the taught loop's body, over the same layers, with every buffer kept.

Phase 1, rows: gather the batch, forward, loss, derivatives down to the first layer with parameters.
Phase 2, parameters: gradient, penalty, optimizer, proximal map. Between the two a loss that is not
finite stops the step, before anything is changed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.losses import Loss, RowLoss
from nnreg.network import Network
from nnreg.optimizers import BLOCK, Optimizer
from nnreg.training.lanes import Crew, LaneCache, join

# Up to this many parameters the whole vector is updated at once; more are updated block by block.
SMALL = 2 * BLOCK

# A lane takes about this many values of a weight's gradient at a time and updates them at once:
# few
# and long calls, since two lanes that want the interpreter at the same moment both lose time.
PART = 2 * BLOCK

Task: TypeAlias = tuple[Layer, slice | None, slice]

# A loss that is not finite is found out by looking at it, so NumPy need not warn as well.
IGNORE_FLOAT_ERRORS: dict[str, Any] = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}

# NumPy adds a bias to rows through a buffer of this many values, faster when it fits into the
# processor's cache. Like the error state it is put back at the end of the block.
SMALL_BUFFER = 1024


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

    # With defaults the error can be made again from its message alone, which pickle does.
    def __init__(self, message: str, step: int = 0, layer: str = "") -> None:
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

    def __init__(self, net: Network, loss: Loss, optimizer: Optimizer, *, lanes: int = 1) -> None:
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.cache = Cache(net.dtype)
        self.cache.bind(net)
        self.cache.gradients = self.gradients = net.parameters.like()
        splits = isinstance(loss, RowLoss) and all(layer.independent_rows for layer in net.layers)
        self.crew = Crew(lanes if splits else 1)
        self.lanes = [LaneCache(self.cache) for _ in range(self.crew.size if splits else 0)]
        size = net.parameters.vector.size
        block = size if size <= SMALL else BLOCK if self.crew.size == 1 else PART
        self.work = [np.empty(min(block, size), net.dtype) for _ in range(self.crew.size)]
        self.names = [layer.name for layer in net.trainable_layers()]
        self._layout = [_laid_out(net, layer) for layer in net.trainable_layers()]
        self._tasks: list[Task] = []
        self._tasks_for: list[slice] | None = None

    def __enter__(self) -> TrainingStep:
        return self

    def __exit__(self, *_: object) -> None:
        self.crew.__exit__()

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
        net = self.net
        step, net.steps = net.steps, net.steps + 1
        with np.errstate(**IGNORE_FLOAT_ERRORS):
            np.setbufsize(SMALL_BUFFER)
            if self.crew.size == 1 or len(rows) < 2 * self.crew.size:
                value = self._propagate(self.cache, x, targets, rows, weights, step)
            else:
                value = self._propagate_in_lanes(x, targets, rows, weights, step)
            if not math.isfinite(value):
                raise self._non_finite_error(x[rows].astype(net.dtype), float(value), step)
            if net.parameters.vector.size <= SMALL:
                for layer in net.trainable_layers():
                    net.run_gradient(layer, self.cache, self.gradients)
                work = self.work[0]
                net.add_penalty_gradient(self.gradients, work=work)
                self.optimizer.begin(net.parameters)
                everything = slice(0, net.parameters.vector.size)
                self.optimizer.update_slice(net.parameters, self.gradients, everything, work)
                if net.has_proximal:
                    net.apply_proximal(self.optimizer.step_size)
            else:
                self._update()
        return float(value)

    # --- Phase 1: rows ---

    def _propagate(
        self,
        cache: Cache,
        x: Array,
        targets: Array,
        rows: Array,
        weights: Array | None,
        step: int,
        first_row: int = 0,
        normalizer: float | None = None,
    ) -> Any:
        """Gather some rows, carry them up and their derivatives down, and return their loss."""
        x = self._gather(cache, "x", x, rows)
        targets = self._gather(cache, "targets", targets, rows)
        weights = None if weights is None else self._gather(cache, "weights", weights, rows)
        outputs = self.net.run_forward(x, cache, training=True, step=step, first_row=first_row)
        out = cache.array("doutputs", outputs.shape)
        value, doutputs = self.loss.compute(outputs, targets, weights, normalizer, out)
        self.net.run_deltas(doutputs, cache)
        return value

    def _propagate_in_lanes(
        self, x: Array, targets: Array, rows: Array, weights: Array | None, step: int
    ) -> Any:
        """Do it for a share of the rows in each lane, and put what they left together."""
        total, count = len(rows), self.crew.size
        normalizer = float(total) if weights is None else float(weights[rows].sum()) or 1.0
        bounds = [total * lane // count for lane in range(count + 1)]

        def share(lane: int) -> Any:
            start, stop = bounds[lane], bounds[lane + 1]
            cache = self.lanes[lane]
            cache.take(start, stop, total)
            with np.errstate(**IGNORE_FLOAT_ERRORS):
                np.setbufsize(SMALL_BUFFER)
                return self._propagate(
                    cache, x, targets, rows[start:stop], weights, step, start, normalizer
                )

        values = self.crew.run(share)
        join(self.cache, self.lanes, self.names)
        return sum(values)

    def _gather(self, cache: Cache, name: str, values: Array, rows: Array) -> Array:
        """Copy ``values[rows]`` into a buffer of the network's dtype; class numbers as they are."""
        shape = (len(rows), *values.shape[1:])
        raw = cache.array("raw " + name, shape, values.dtype)
        # mode="clip" writes straight into out, where "raise" would gather into a copy first
        values.take(rows, 0, raw, "clip")
        if values.dtype == self.net.dtype or (name == "targets" and values.dtype.kind == "i"):
            return raw
        batch = cache.array(name, shape)
        np.copyto(batch, raw, casting="unsafe")
        return batch

    # --- Phase 2: parameters ---

    def _update(self) -> None:
        """Gradient, penalty, optimizer and proximal map, block by block; then the biases.

        The lanes take the next block from one list. A block's gradient is still in the
        processor's cache when the optimizer reads it.
        """
        net, proximal = self.net, self.net.has_proximal
        whole = net.whole_arrays()
        if self._tasks_for != whole:
            self._tasks_for, self._tasks = whole, list(self._list_tasks())
        tasks = self._tasks.copy()
        self.optimizer.begin(net.parameters)

        def work(lane: int) -> None:
            while tasks:
                try:
                    layer, part, where = tasks.pop()
                except IndexError:  # another lane took the last one
                    return
                net.run_gradient(layer, self.cache, self.gradients, part)
                self._finish(where, self.work[lane], proximal)

        self.crew.run(work)
        self._finish(
            slice(net.parameters.weights.size, net.parameters.vector.size), self.work[0], proximal
        )

    def _finish(self, where: slice, work: Array, proximal: bool) -> None:
        """Penalty, optimizer and proximal map, for a part of the vector whose gradient is there.

        A proximal map that needs a whole array waits until all of it is updated.
        """
        net = self.net
        whole = proximal and self._needs_whole(where)
        for start in range(where.start, where.stop, len(work)):
            block = slice(start, min(start + len(work), where.stop))
            net.add_penalty_gradient(self.gradients, block, work)
            self.optimizer.update_slice(net.parameters, self.gradients, block, work)
            if proximal and not whole:
                net.apply_proximal(self.optimizer.step_size_of(block), block)
        if whole:
            net.apply_proximal(self.optimizer.step_size_of(where), where)

    def _list_tasks(self) -> Iterator[Task]:
        """Yield ``(layer, rows of its weight, where in the vector)``; the last are taken first.

        One lane takes whole layers. For several, a layer is cut into parts where its ``gradient``
        allows it and neither its penalty nor its constraint needs the whole array.
        """
        for layer, weight, where in self._layout:
            if self.crew.size == 1 or weight is None or self._needs_whole(where):
                yield layer, None, where
                continue
            total, columns = weight.shape
            rows = max(1, PART // columns)
            for top in range(0, total, rows):
                part = slice(top, min(top + rows, total))
                start = where.start + part.start * columns
                yield layer, part, slice(start, where.start + part.stop * columns)

    def _needs_whole(self, where: slice) -> bool:
        """Return whether a penalty or constraint wants to see some weight there in one piece."""
        return any(where.start <= array.start < where.stop for array in self.net.whole_arrays())

    def _non_finite_error(self, x: Array, value: float, step: int) -> NonFiniteLossError:
        """Replay the step and name the first layer whose outputs are not finite."""
        cache = Cache(self.net.dtype)
        where = "loss"
        for layer in self.net.layers:
            own = cache[layer.name]
            own.reset(training=True, step=step)
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


def _laid_out(net: Network, layer: Layer) -> tuple[Layer, Array | None, slice]:
    """Return a layer, its weight if ``gradient`` can work by rows of it, and its weights' place."""
    names = [
        f"{layer.name}.{own}"
        for own in net.parameters.of(layer.name)
        if net.parameters.declared[f"{layer.name}.{own}"].weight
    ]
    slices = [net.parameters.slices[name] for name in names]
    where = slice(slices[0].start, slices[-1].stop) if slices else slice(0, 0)
    by_rows = "part" in inspect.signature(layer.gradient).parameters
    only = net.parameters[names[0]] if by_rows and len(names) == 1 else None
    weight = only if only is not None and only.ndim == 2 else None
    return layer, weight, where
