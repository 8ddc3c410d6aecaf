"""Trees of arrays: arguments and gradients as leaves with paths.

A tree is an array, a number, or a dictionary, list, tuple or object that contains trees. A path is
a tuple of steps, ``("item", key)`` or ``("attribute", name)``; it is printed as the expression of
the leaf, ``params["fc1"]["W"]`` or ``weights[1]``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from numbers import Number
from typing import Any

import numpy as np

from nnreg._support.typing import Array

#: Types of objects that contain no trees.
NO_TREES = (type, str, bytes, types.FunctionType, types.MethodType, types.BuiltinFunctionType)

Step = tuple[str, Any]
Path = tuple[Step, ...]


def attributes(thing: object) -> dict[str, Any]:
    """Return the instance attributes of an object, those in ``__slots__`` included."""
    slots = {n: getattr(thing, n) for n in slot_names(type(thing)) if hasattr(thing, n)}
    return slots | getattr(thing, "__dict__", {})


def slot_names(kind: type) -> list[str]:
    """Return the names in the ``__slots__`` of a class and its parents, private ones as mangled."""
    result = []
    for parent in kind.__mro__:
        names = parent.__dict__.get("__slots__", ())
        for name in [names] if isinstance(names, str) else names:
            private = name.startswith("__") and not name.endswith("__")
            result.append(f"_{parent.__name__.lstrip('_')}{name}" if private else name)
    return [name for name in result if name not in ("__dict__", "__weakref__")]


def is_leaf(thing: object) -> bool:
    """Return whether ``thing`` is an array, a number, or a list of numbers, nested or not."""
    if isinstance(thing, list):
        return bool(thing) and all(isinstance(t, Number | list) and is_leaf(t) for t in thing)
    return isinstance(thing, np.ndarray | Number)


def children(thing: object) -> list[tuple[Step, Any]]:
    """Return the trees in a dictionary, list, tuple or object, each with its step."""
    if isinstance(thing, Mapping):
        return [(("item", key), value) for key, value in thing.items()]
    if isinstance(thing, list | tuple):
        return [(("item", index), value) for index, value in enumerate(thing)]
    if thing is None or isinstance(thing, NO_TREES):
        return []
    return [(("attribute", name), value) for name, value in attributes(thing).items()]


def leaves(thing: object, path: Path = (), depth: int = 8) -> Iterator[tuple[Path, Any]]:
    """Yield each leaf with its path.

    >>> [name("p", path) for path, _ in leaves({"fc1": {"W": np.ones(2)}, "scale": [1.0]})]
    ['p["fc1"]["W"]', 'p["scale"]']
    """
    if is_leaf(thing):
        yield path, thing
    elif depth:
        for step, child in children(thing):
            yield from leaves(child, (*path, step), depth - 1)


def name(root: str, path: Path) -> str:
    """Return the expression of the object at ``path`` from ``root``."""
    for kind, key in path:
        root += f".{key}" if kind == "attribute" else f"[{quote(key)}]"
    return root


def quote(key: Any) -> str:
    """Return a key as code, text in double quotation marks."""
    return f'"{key}"' if isinstance(key, str) else repr(key)


def get(thing: Any, path: Path) -> Any:
    """Return the object at a path."""
    for kind, key in path:
        thing = getattr(thing, key) if kind == "attribute" else thing[key]
    return thing


def put(root: list[Any], path: Path, value: Any) -> Callable[[], None]:
    """Set the object at a path, and return a function that undoes it.

    Tuples and read-only mappings along the path are replaced by copies.

    >>> arguments = [types.MappingProxyType({"w": (1.0, 2.0)})]
    >>> undo = put(arguments, (("item", 0), ("item", "w"), ("item", 1)), 5.0)
    >>> arguments[0]["w"], undo(), arguments[0]["w"]
    ((1.0, 5.0), None, (1.0, 2.0))
    """
    *parents, (kind, key) = path
    holder = get(root, tuple(parents))
    if kind == "attribute":
        old = attributes(holder)[key]
        _set_attribute(holder, key, value)
        return lambda: _set_attribute(holder, key, old)
    if isinstance(holder, MutableMapping | list):
        old = holder[key]
        holder[key] = value
        return lambda: holder.__setitem__(key, old)
    if isinstance(holder, tuple):
        items = [*holder[:key], value, *holder[key + 1 :]]
        copied = type(holder)(*items) if hasattr(holder, "_fields") else type(holder)(items)
        return put(root, tuple(parents), copied)
    return put(root, tuple(parents), {**holder, key: value})


def _set_attribute(holder: object, key: str, value: Any) -> None:
    if key in getattr(holder, "__dict__", ()):
        holder.__dict__[key] = value
    else:  # a slot; a __setattr__ of the class is not called
        object.__setattr__(holder, key, value)


def as_leaf(leaf: Any, array: Array) -> Any:
    """Return ``array`` in the form of ``leaf``: an array of its type, a number, or a list."""
    if isinstance(leaf, np.ndarray):
        return array if type(leaf) is np.ndarray else array.view(type(leaf))
    return array[()] if isinstance(leaf, np.generic) else array.tolist()
