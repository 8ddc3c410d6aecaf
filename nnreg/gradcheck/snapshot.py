"""The state of objects, saved and put back.

Code under a gradient check may change whatever it can reach: its arguments, the attributes of its
object, what it closes over, the global variables that it names, random generators. A snapshot keeps
all of this and restores it in place, so that every object remains the same object.
"""

from __future__ import annotations

import contextlib
import copy
import random
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck import tree

Saved = tuple[Callable[[], bool], Callable[[], None]]  # (has it changed?, put it back)

#: Values without a state of their own.
PLAIN = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, np.generic)


class Snapshot:
    """The state of some objects, to be put back in place.

    Parameters
    ----------
    *objects : object
        Arrays, containers, generators, functions and instances with attributes, to any depth.
        Included are the global states of :mod:`random` and of NumPy, and for a function its
        closure and the global variables that it names.

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
        self._saved: list[Saved] = []
        self._final: list[Saved] = []  # what is put back at the end alone
        self._changing: list[Saved] | None = None
        self._seen: dict[int, object] = {}  # keeps the objects alive, so that no id is used twice
        self._keep_state(np.random.get_state, np.random.set_state)  # put back
        self._keep_state(random.getstate, random.setstate)
        queue = deque(objects)
        while queue:  # not recursion: linked layers may be thousands deep
            thing = queue.popleft()
            if isinstance(thing, PLAIN) or id(thing) in self._seen:
                continue
            self._seen[id(thing)] = thing
            queue.extend(self._keep(thing))

    def settle(self) -> None:
        """Put everything back; from now on :meth:`restore` puts back what had changed by then."""
        self._changing = [saved for saved in self._saved if saved[0]()]
        for _, undo in self._saved:
            undo()

    def restore(self, *, everything: bool = False) -> None:
        """Put back what changes, or everything.

        Generators that a function closes over or finds among its global variables are put back with
        ``everything`` alone: a check must not hide that the function is random.
        """
        all_saved = [*self._saved, *self._final] if everything else self._saved
        for _, undo in all_saved if everything or self._changing is None else self._changing:
            undo()

    def arrays(self) -> list[Array]:
        """Return all arrays that were saved."""
        return [thing for thing in self._seen.values() if isinstance(thing, np.ndarray)]

    def _keep(self, thing: Any) -> list[Any]:
        """Save the state of one object and return the objects that it holds."""
        held: list[Any] = []
        if isinstance(thing, np.ndarray):
            return self._keep_array(thing)
        if isinstance(thing, np.random.Generator):
            bits = thing.bit_generator
            self._keep_state(lambda: bits.state, lambda state: setattr(bits, "state", state))
            return held
        if isinstance(thing, np.random.RandomState):
            self._keep_state(thing.get_state, thing.set_state)
            return held
        if isinstance(thing, random.Random):
            self._keep_state(thing.getstate, thing.setstate)
        elif isinstance(thing, dict):
            held += self._keep_dict(thing)
        elif isinstance(thing, list | deque):
            held += self._keep_list(thing)
        elif isinstance(thing, set | bytearray):
            self._keep_copy(thing)
        elif isinstance(thing, tuple | frozenset):
            held += thing
        elif isinstance(thing, types.MethodType):
            return [thing.__self__, thing.__func__]
        elif isinstance(thing, types.FunctionType):
            held += self._keep_function(thing)
        if hasattr(thing, "__dict__"):
            held += self._keep_dict(thing.__dict__)
        kind = type(thing)
        if kind.__module__ not in ("builtins", "functools", "types", "collections"):
            held += self._keep_attributes(thing, kind)
        elif hasattr(thing, "func") and hasattr(thing, "args"):  # functools.partial
            held += [thing.func, thing.args, thing.keywords]
        return held

    def _keep_state(self, get: Callable[[], Any], put: Callable[[Any], Any]) -> None:
        state = get()

        def changed() -> bool:
            return not _equal(get(), state)

        def undo() -> None:
            if changed():
                put(state)

        self._saved.append((changed, undo))

    def _keep_array(self, array: Any) -> list[Any]:
        values, shape, writeable = array.copy(), array.shape, array.flags.writeable

        def changed() -> bool:
            if array.shape != shape or array.flags.writeable != writeable:
                return True
            return bool(array.tobytes() != values.tobytes())

        def undo() -> None:
            if array.shape != shape:
                array.shape = shape
            if not np.array_equal(array, values) or writeable:
                array.flags.writeable = True
                np.copyto(array, values)
            if array.flags.writeable != writeable:
                array.flags.writeable = writeable

        self._saved.append((changed, undo))
        held = [array.base] if isinstance(array.base, np.ndarray) else []
        return held + (list(array.flat) if array.dtype == object else [])

    def _keep_dict(self, mapping: dict[Any, Any]) -> list[Any]:
        items = dict(mapping)

        def changed() -> bool:
            return len(mapping) != len(items) or any(
                key not in mapping or mapping[key] is not value for key, value in items.items()
            )

        def undo() -> None:
            if changed():
                dict.clear(mapping)
                dict.update(mapping, items)

        self._saved.append((changed, undo))
        return [*items.values()]

    def _keep_list(self, sequence: Any) -> list[Any]:
        items = list(sequence)

        def changed() -> bool:
            now = list(sequence)
            return len(now) != len(items) or any(
                a is not b for a, b in zip(now, items, strict=True)
            )

        def undo() -> None:
            sequence.clear()
            sequence.extend(items)

        self._saved.append((changed, undo))
        return items

    def _keep_copy(self, thing: Any) -> None:
        before = copy.copy(thing)

        def undo() -> None:
            thing.clear()
            (thing.update if isinstance(thing, set) else thing.extend)(before)

        self._saved.append((lambda: thing != before, undo))

    def _keep_function(self, function: types.FunctionType) -> list[Any]:
        held: list[Any] = []
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                held.append(cell.cell_contents)
                self._keep_reference(cell, "cell_contents", cell.cell_contents)
        space = function.__globals__
        for name in function.__code__.co_names:
            value = space.get(name)
            if name in space and not isinstance(value, types.ModuleType | type):
                held.append(value)
                if not callable(value):
                    self._keep_global(space, name, value)
        generators = (np.random.Generator, np.random.RandomState, random.Random)
        for value in held:
            if isinstance(value, generators) and id(value) not in self._seen:
                self._seen[id(value)] = value
                self._saved, saved = [], self._saved
                self._keep(value)
                self._final += self._saved
                self._saved = saved
        return [*held, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]

    def _keep_global(self, space: dict[str, Any], name: str, value: Any) -> None:
        self._saved.append(
            (lambda: space.get(name) is not value, lambda: space.__setitem__(name, value))
        )

    def _keep_reference(self, holder: Any, name: str, value: Any) -> None:
        """Keep an attribute that is in no dictionary: a slot, a cell, a class attribute."""

        def undo() -> None:
            if isinstance(holder, type):
                setattr(holder, name, value)
            else:
                object.__setattr__(holder, name, value)

        self._saved.append((lambda: getattr(holder, name, undo) is not value, undo))

    def _keep_attributes(self, thing: Any, kind: type) -> list[Any]:
        """Keep slots, and the data that the classes of the object hold."""
        held = []
        own = tree.attributes(thing)
        in_dict = getattr(thing, "__dict__", ())
        for name in tree.slot_names(kind):
            if name in in_dict:
                continue
            if name in own:
                held.append(own[name])
                self._keep_reference(thing, name, own[name])
            else:
                self._saved.append(_absent(thing, name))
        for parent in kind.__mro__:
            if id(parent) in self._seen or parent.__module__.partition(".")[0] in _LIBRARIES:
                continue
            self._seen[id(parent)] = parent
            for name, value in vars(parent).items():
                if not name.startswith("__") and _is_data(value):
                    held.append(value)
                    self._keep_reference(parent, name, value)
        return held


_LIBRARIES = ("builtins", "numpy", "nnreg", "collections", "abc", "typing", "functools", "random")


def _is_data(value: object) -> bool:
    kinds = (bool, int, float, complex, np.ndarray, np.generic, list, dict, set)
    return value is None or isinstance(value, kinds)


def _absent(thing: Any, name: str) -> Saved:
    def undo() -> None:
        if hasattr(thing, name):
            object.__delattr__(thing, name)

    return (lambda: hasattr(thing, name)), undo


def _equal(one: Any, other: Any) -> bool:
    """Return whether two states of a generator, of one structure, are equal."""
    if isinstance(one, dict):
        return all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, np.ndarray):
        return bool((one == other).all())
    if isinstance(one, tuple) and len(one) < 10:
        return all(map(_equal, one, other))
    return bool(one == other)
