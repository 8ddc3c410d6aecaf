"""The cache: what a forward pass leaves for the backward pass.

The name is that of every course: the inputs and outputs that the derivative formulas need. A layer
never keeps them itself, so a network may be used by two threads with two caches at once. The cache
also owns the memory: a layer asks for ``cache.array(name, shape)`` and gets the same buffer in the
next step, so after the first step nothing is allocated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg._support import memory
from nnreg._support.typing import Array
from nnreg.parameters import Parameters
from nnreg.random import RandomBits


class Cache(memory.Copyable):
    """The values and the buffers of a forward pass: a network's and, in it, each layer's.

    ``cache[layer_name]`` is a layer's. A layer may set any attribute (``cache.x = x``); the ones
    listed below are set for it.

    Parameters
    ----------
    dtype : dtype, default "float32"
        Of the buffers.

    Attributes
    ----------
    training : bool
        Whether the pass is a training pass: dropout is on and a backward pass will follow.
    step : int
        The training step; what is drawn at random depends on it.
    first_row : int
        The number, within the whole batch, of the first row of this pass.
    dy : ndarray
        In a layer's cache during the backward pass: the derivative of the loss by the layer's
        output.

    Examples
    --------
    >>> import nnreg as nn
    >>> cache = nn.Cache("float64")
    >>> a = cache.array("a", (4, 2))
    >>> b = cache.array("a", (3, 2))  # a smaller batch takes rows of the same buffer
    >>> b.shape, np.shares_memory(a, b)
    ((3, 2), True)
    """

    # What has a slot belongs to the cache; what a layer sets goes to __dict__, emptied at once.
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
            f"the cache holds no {name!r}: the forward pass left none, "
            "or it was not in training mode"
        )

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_buffers": {}, "_latest": {}}

    def __getitem__(self, layer: str) -> Cache:
        if layer not in self.layers:
            self.layers[layer] = Cache(self.dtype)
        return self.layers[layer]

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Return the buffer ``name`` in this shape, with the values that were last written there.

        Parameters
        ----------
        name : str
        shape : tuple of int
            Where the first axis is shorter than the longest so far, the result is a view of the
            first rows.
        dtype : dtype, optional
            The cache's own unless given.

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
        """Serve a network; the values of another one are dropped."""
        if self.owner is not None and self.owner != owner:
            self.gradients = None
            self.layers.clear()
        self.owner = owner

    def reset(self, *, training: bool, step: int, first_row: int = 0) -> None:
        """Begin a new pass: the values of the previous one are dropped, the buffers stay."""
        self.training, self.step, self.first_row = training, step, first_row
        self.__dict__.clear()

    def clear(self) -> None:
        """Drop the values that the layer has set, as is done at once in inference."""
        self.__dict__.clear()
