"""Snapshots: the state of objects, saved and restored.

Code under a gradient check may change anything to which it has access: its arguments, the
attributes of its object, its closure, the global variables that it uses, random generators. A
snapshot saves all of this and restores it in place, so that every object remains the same object.
"""

from __future__ import annotations

import ctypes
import operator
import pickle
import random
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck import tree

Saved = tuple[Callable[[], bool], Callable[[], Any]]  # (has it changed?, restore it)
_get_global_state = partial(np.random.get_state, legacy=False)
ABSENT = object()

#: Values that have no state.
PLAIN = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, np.generic)


class Snapshot:
    """The saved state of objects, which can be restored in place.

    Parameters
    ----------
    *objects : object
        Arrays, containers, generators, functions and instances with attributes, to any depth.
        Included are the global states of :mod:`random` and of NumPy, and for a function its
        closure and the global variables that it uses.

    Examples
    --------
    >>> class Layer:
    ...     pass
    >>> layer = Layer()
    >>> layer.w = w = np.zeros(2)
    >>> snapshot = Snapshot(layer)
    >>> layer.w[0], layer.cache = 1.0, "stored"
    >>> snapshot.restore()
    >>> layer.w is w, vars(layer)
    (True, {'w': array([0., 0.])})
    """

    def __init__(self, *objects: object) -> None:
        self._saved: list[Saved] = []
        self._final: list[Saved] = []  # restored at the end only
        self._changing: list[Saved] | None = None
        self._seen: dict[int, object] = {}  # keeps the objects alive, so that no id is used twice
        state = _get_global_state()
        self._saved.append((_watch_global_generator(state), partial(np.random.set_state, state)))
        self._save(random.getstate, random.setstate, operator.eq)
        queue = deque(objects)
        while queue:  # not recursion: linked layers may be thousands deep
            thing = queue.popleft()
            if not isinstance(thing, PLAIN) and id(thing) not in self._seen:
                self._seen[id(thing)] = thing
                queue.extend(self._save_object(thing))

    def settle(self) -> None:
        """Restore everything; later calls of :meth:`restore` check only what had changed now."""
        self._changing = [saved for saved in self._saved if saved[0]()]
        for _, undo in self._changing:
            undo()

    def restore(self, *, everything: bool = False) -> None:
        """Restore the state that calls change, or everything.

        Random generators in a function's closure or global variables are restored only with
        ``everything``: a check must not hide that the function is random.
        """
        all_saved = [*self._saved, *self._final] if everything else self._saved
        for changed, undo in all_saved if everything or self._changing is None else self._changing:
            if changed():
                undo()

    def arrays(self) -> list[Array]:
        """Return all arrays that were saved."""
        return [thing for thing in self._seen.values() if isinstance(thing, np.ndarray)]

    def _save(
        self,
        get: Callable[[], Any],
        put: Callable[[Any], Any],
        same: Callable[[Any, Any], bool] = operator.is_,
    ) -> None:
        """Save one state; ``same`` compares it with a later state."""
        state = get()
        self._saved.append((lambda: not same(get(), state), lambda: put(state)))

    def _save_object(self, thing: Any) -> list[Any]:
        """Save the state of one object, and return the objects in it."""
        inner: list[Any] = []
        if isinstance(thing, np.ndarray):
            put = partial(_write_array, thing, thing.copy())
            self._save(partial(_read_array, thing), put, operator.eq)
            inner += [thing.base] if isinstance(thing.base, np.ndarray) else []
            return inner + (list(thing.flat) if thing.dtype == object else [])
        if isinstance(thing, np.random.Generator | np.random.BitGenerator):
            bits: Any = getattr(thing, "bit_generator", thing)
            self._save(lambda: bits.state, partial(setattr, bits, "state"), _equal)
            return inner
        if isinstance(thing, np.random.RandomState):
            self._save(thing.get_state, thing.set_state, _equal)
            return inner
        if isinstance(thing, types.MethodType):
            return [thing.__self__, thing.__func__]
        if isinstance(thing, partial):
            inner += [thing.func, thing.args, thing.keywords]
        elif isinstance(thing, types.FunctionType):
            inner += self._save_function(thing)
        elif isinstance(thing, random.Random):
            self._save(thing.getstate, thing.setstate, operator.eq)
        elif isinstance(thing, tuple | frozenset):
            inner += thing
        for kind, fill in CONTAINERS.items():
            if isinstance(thing, kind):
                inner += self._save_items(thing, kind, fill)
                break
        if hasattr(thing, "__dict__"):
            inner += self._save_items(thing.__dict__, dict, dict.__setitem__)
        if type(thing).__module__.partition(".")[0] not in _LIBRARIES:
            inner += self._save_class(thing, type(thing))
        return inner

    def _save_items(self, thing: Any, kind: Any, fill: Callable[..., Any]) -> list[Any]:
        """Save the items of a container, without methods that its class redefines."""
        is_dict = issubclass(kind, dict)

        def get() -> list[Any]:
            return [part for item in thing.items() for part in item] if is_dict else list(thing)

        def put(parts: list[Any]) -> None:
            kind.clear(thing)
            if not is_dict:
                fill(thing, parts)
                return
            for key, value in zip(parts[::2], parts[1::2], strict=True):
                fill(thing, key, value)

        self._save(get, put, _identical)
        return get()

    def _save_function(self, function: types.FunctionType) -> list[Any]:
        inner: list[Any] = []
        for cell in function.__closure__ or ():
            inner += self._save_attribute(cell, "cell_contents")
        space = function.__globals__
        for name in function.__code__.co_names:
            value = space.get(name)
            if name in space and not isinstance(value, types.ModuleType | type):
                inner.append(value)
                if not callable(value):
                    self._save(partial(space.get, name, ABSENT), partial(space.__setitem__, name))
        generators = (np.random.Generator, np.random.RandomState, random.Random)
        for value in inner:
            if isinstance(value, generators) and id(value) not in self._seen:
                self._seen[id(value)] = value
                count = len(self._saved)
                self._save_object(value)
                self._final += self._saved[count:]
                del self._saved[count:]
        return [*inner, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]

    def _save_class(self, thing: Any, kind: type) -> list[Any]:
        """Save the slots of an object, and the data attributes of its classes."""
        inner = []
        for name in tree.slot_names(kind):
            inner += self._save_attribute(thing, name)
        for parent in kind.__mro__:
            if id(parent) in self._seen or parent.__module__.partition(".")[0] in _LIBRARIES:
                continue
            self._seen[id(parent)] = parent
            for name, value in vars(parent).items():
                if not name.startswith("__") and isinstance(value, DATA):
                    inner += self._save_attribute(parent, name)
        return inner

    def _save_attribute(self, holder: Any, name: str) -> list[Any]:
        """Save an attribute that is in no dictionary: a slot, a cell, a class attribute."""
        base: Any = type if isinstance(holder, type) else object

        def get() -> Any:
            try:
                return getattr(holder, name, ABSENT)
            except ValueError:  # an empty cell
                return ABSENT

        def put(value: Any) -> None:
            if value is ABSENT:
                base.__delattr__(holder, name)
            else:
                base.__setattr__(holder, name, value)

        self._save(get, put)
        return [get()]


#: Types of containers, and the method that fills them. The methods of dict would not update the
#: order of an OrderedDict.
CONTAINERS: dict[type, Callable[..., Any]] = {
    OrderedDict: OrderedDict.__setitem__,
    dict: dict.__setitem__,
    list: list.extend,
    deque: deque.extend,
    set: set.update,
    bytearray: bytearray.extend,
}
_TWISTER = ctypes.c_char * (625 * 4)  # the memory of MT19937: 624 words and the position in them
#: Attributes of classes that are data.
DATA = (type(None), bool, int, float, complex, np.ndarray, np.generic, list, dict, set)
_LIBRARIES = ("builtins", "numpy", "nnreg", "collections", "abc", "typing", "functools", "random")


def _watch_global_generator(state: dict[str, Any]) -> Callable[[], bool]:
    """Return a function that returns whether NumPy's global generator has left ``state``.

    ``np.random.get_state`` takes as long as several calls of a small function. So the memory of
    MT19937 is compared where that is enough: every draw changes it, except one that takes the
    second of two normal values, which NumPy stores elsewhere.
    """
    bits: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]  # no stub yet
    read: Callable[[], Any] = _get_global_state
    if type(bits) is np.random.MT19937 and not state["has_gauss"]:
        memory = _TWISTER.from_address(bits.ctypes.state_address)
        read = partial(getattr, memory, "raw")
    before = read()
    return lambda: not _equal(read(), before)


def _read_array(array: Any) -> tuple[Any, ...]:
    return array.shape, array.flags.writeable, array.tobytes()


def _write_array(array: Any, copied: Any, state: tuple[Any, ...]) -> None:
    shape, writeable, values = state
    if array.size != copied.size:
        array.resize(shape, refcheck=False)
    array.shape = shape
    if array.tobytes() != values:
        array.flags.writeable = True
        np.copyto(array, copied)
    array.flags.writeable = writeable


def _identical(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _equal(one: Any, other: Any) -> bool:
    """Return whether two states of a generator are equal."""
    return pickle.dumps(one) == pickle.dumps(other)
