"""The state of objects, saved and restored."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np


class Snapshot:
    """The state of some objects, to be put back in place: arrays, containers, generators.

    Parameters
    ----------
    *objects : object
        Arrays, dictionaries, lists, generators, and instances with attributes, to any depth.

    Examples
    --------
    >>> class Layer:
    ...     pass
    >>> layer = Layer()
    >>> layer.w = w = np.zeros(2)
    >>> snapshot = Snapshot(layer)
    >>> layer.w[0], layer.cache = 1.0, "left behind"
    >>> snapshot.restore()
    >>> layer.w is w, vars(layer)
    (True, {'w': array([0., 0.])})
    """

    def __init__(self, *objects: object) -> None:
        self._undo: list[Callable[[], None]] = []
        self._seen: set[int] = set()
        state = np.random.get_state()  # noqa: NPY002  # their code may use it; it is put back
        self._undo.append(lambda: np.random.set_state(state))  # noqa: NPY002
        for thing in objects:
            self._keep(thing)

    def restore(self) -> None:
        """Put everything back."""
        for undo in self._undo:
            undo()

    def _keep(self, thing: Any) -> None:
        if id(thing) in self._seen:
            return
        self._seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            if thing.flags.writeable:
                values = thing.copy()
                self._undo.append(lambda: np.copyto(thing, values))
        elif isinstance(thing, np.random.Generator):
            state = copy.deepcopy(thing.bit_generator.state)
            self._undo.append(lambda: setattr(thing.bit_generator, "state", state))
        elif isinstance(thing, np.random.RandomState):
            legacy = thing.get_state()
            self._undo.append(lambda: thing.set_state(legacy))
        elif isinstance(thing, dict):
            self._keep_mapping(thing)
        elif isinstance(thing, list | tuple):
            if isinstance(thing, list):
                items = list(thing)
                self._undo.append(lambda: thing.__setitem__(slice(None), items))
            for item in thing:
                self._keep(item)
        elif hasattr(thing, "__dict__") and not isinstance(thing, type) and not callable(thing):
            self._keep_mapping(vars(thing))

    def _keep_mapping(self, mapping: dict[Any, Any]) -> None:
        items = dict(mapping)

        def undo() -> None:
            mapping.clear()
            mapping.update(items)

        self._undo.append(undo)
        for item in items.values():
            self._keep(item)
