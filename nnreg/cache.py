"""The cache: values of the forward pass that the backward pass needs.

These are the inputs and outputs in the derivative formulas. Layers do not store them, so two
threads with two caches can use one network at the same time. The cache also contains the buffers:
``cache.array(name, shape)`` returns the same buffer in every step, so nothing is allocated after
the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg._support import memory
from nnreg._support.typing import Array
from nnreg.parameters import Parameters
from nnreg.random import RandomBits


class Cache(memory.Copyable):
    """The values and buffers of a forward pass.

    ``cache[layer_name]`` is the cache of one layer. A layer may set any attribute (``cache.x = x``)
    in addition to those below.

    Parameters
    ----------
    dtype : dtype, default "float32"
        The dtype of the buffers.

    Attributes
    ----------
    training : bool
        Whether the pass is a training pass: dropout is on and a backward pass will follow.
    step : int
        The training step; random draws depend on it.
    first_row : int
        The number, within the whole batch, of the first row of this pass.
    dy : ndarray
        In a layer's cache during the backward pass: the derivative of the loss with respect to the
        layer's output.

    Examples
    --------
    >>> import nnreg as nn
    >>> cache = nn.Cache("float64")
    >>> a = cache.array("a", (4, 2))
    >>> b = cache.array("a", (3, 2))  # a smaller batch uses rows of the same buffer
    >>> b.shape, np.shares_memory(a, b)
    ((3, 2), True)
    """

    # Slots are the cache's own attributes; a layer's are in __dict__, which is cleared as a whole.
    __slots__ = (
        "__dict__",
        "_buffers",
        "_latest",
        "dtype",
        "first_row",
        "gradients",
        "layers",
        "owner",
        "rng",
        "step",
        "training",
    )

    dy: Array

    def __init__(self, dtype: Any = "float32") -> None:
        self.dtype = np.dtype(dtype)
        self.reset(training=False, step=0)
        self.owner: object = None
        self.gradients: Parameters | None = None
        self.rng: RandomBits | None = None
        self.layers: dict[str, Cache] = {}
        self._buffers: dict[str, Array] = {}
        self._latest: dict[str, tuple[tuple[int, ...], Any, Array]] = {}  # the last result of each

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"the cache has no {name!r}: the forward pass did not store it, "
            "or was not in training mode"
        )

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_buffers": {}, "_latest": {}}

    def __getitem__(self, layer: str) -> Cache:
        if layer not in self.layers:
            self.layers[layer] = Cache(self.dtype)
        return self.layers[layer]

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Return the buffer ``name`` in this shape, with its latest values.

        Parameters
        ----------
        name : str
        shape : tuple of int
            If the first axis is shorter than that of the buffer, the result is a view of the first
            rows.
        dtype : dtype, optional
            By default the cache's.

        Returns
        -------
        ndarray of this shape
            Aligned to 64 bytes.
        """
        latest = self._latest.get(name)
        if latest and latest[0] == shape and latest[1] is dtype:
            return latest[2]
        buffer, needed = self._buffers.get(name), self.dtype if dtype is None else dtype
        if (
            buffer is None
            or buffer.dtype != needed
            or buffer.shape[1:] != shape[1:]
            or len(buffer) < shape[0]
        ):
            buffer = self._buffers[name] = memory.empty(shape, needed)
        array = buffer if len(buffer) == shape[0] else buffer[: shape[0]]
        self._latest[name] = shape, dtype, array
        return array

    def bind(self, owner: object) -> None:
        """Bind the cache to a network; the values of another network are removed."""
        if self.owner is not None and self.owner != owner:
            self.gradients = None
            self.layers.clear()
        self.owner = owner

    def reset(self, training: bool, step: int, first_row: int = 0) -> None:
        """Start a new pass: the previous values are removed, the buffers are kept."""
        self.training, self.step, self.first_row = training, step, first_row
        self.__dict__.clear()

    def clear(self) -> None:
        """Remove the values that the layer has set; in inference they are not needed later."""
        self.__dict__.clear()
