"""Memory: aligned arrays, and copies of objects that have views of one array.

A deep copy or a pickle of an array and of a view of it gives two arrays that no longer share
memory. An object with views therefore omits them from its state and creates them again when the
state is set; :class:`Copyable` implements every kind of copy by these two methods.
"""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from nnreg._support.typing import Array

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array as ``np.empty`` does, whose first value lies on a multiple of 64 bytes.

    >>> array = empty((3, 2), "float32")
    >>> array.shape, array.__array_interface__["data"][0] % 64
    ((3, 2), 0)
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array


def zeros_like(array: Array) -> Array:
    """Return zeros of the array's shape and dtype, aligned as in :func:`empty`."""
    zeros = empty(array.shape, array.dtype)
    zeros[...] = 0
    return zeros


class Copyable:
    """Base class of objects whose copies, of every kind, are independent and complete.

    ``copy.copy``, ``copy.deepcopy`` and ``pickle`` take the attributes that ``__getstate__``
    returns and pass them to ``__setstate__``. If an attribute cannot be copied, the error names it.

    Examples
    --------
    >>> class Line(Copyable):
    ...     def __init__(self, function):
    ...         self.function = function
    >>> pickle.dumps(Line(lambda x: 2 * x))
    Traceback (most recent call last):
        ...
    TypeError: Line.function cannot be pickled: ...
    """

    __slots__ = ()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes by name, those of ``__slots__`` included."""
        state: Any = object.__getstate__(self)
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        return {**(attributes or {}), **(slots or {})}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            if isinstance(value, dict):
                value.update({key: _in_memory(inner) for key, inner in value.items()})
            object.__setattr__(self, name, _in_memory(value))

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = object.__new__(type(self))
        memo[id(self)] = new
        state = self.__getstate__()
        try:
            new.__setstate__(copy.deepcopy(state, memo))
        except Exception:  # raised again below, unless an attribute raises it too
            _check_attributes(type(self).__name__, state, "copied", copy.deepcopy, {id(self)})
            raise
        return new

    def __reduce_ex__(self, protocol: Any) -> Any:
        name, state = type(self).__name__, self.__getstate__()
        _check_attributes(name, state, "pickled", _try_pickle, {id(self)})
        return super().__reduce_ex__(protocol)


def _in_memory(value: Any) -> Any:
    """Return an array in a file, or in a buffer of someone else's, as one with its own memory."""
    if isinstance(value, np.ndarray) and not (value.flags.owndata and value.flags.writeable):
        return np.array(value)
    return value


class _Pickler(pickle.Pickler):
    """A pickler that checks no attributes, because its caller does."""

    def reducer_override(self, value: Any) -> Any:
        return object.__reduce_ex__(value, 5) if isinstance(value, Copyable) else NotImplemented


def _try_pickle(value: Any) -> None:
    # An array's values are not copied.
    _Pickler(io.BytesIO(), 5, buffer_callback=lambda _: None).dump(value)


def _check_attributes(
    path: str, value: Any, action: str, attempt: Callable[[Any], Any], seen: set[int]
) -> None:
    """Raise ``TypeError`` with the path to the innermost value for which ``attempt`` fails."""
    try:
        attempt(value)
    except Exception as error:
        for name, inner in _inner_values(value):
            if id(inner) not in seen:  # an object may refer to one that contains it
                _check_attributes(path + name, inner, action, attempt, seen | {id(value)})
        raise TypeError(f"{path} cannot be {action}: {error}") from error


def _inner_values(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f".{name}", inner) for name, inner in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", inner) for index, inner in enumerate(value))
    elif isinstance(value, Copyable):
        yield from _inner_values(value.__getstate__())
    elif hasattr(value, "__dict__") and not callable(value):
        yield from _inner_values(vars(value))
