"""Other people's code as the gradient check sees it: functions, pairs of them, objects with state.

Nothing is asked of the code but that it computes. What it may do, this module undoes: before every
call the arguments, the object's attributes and every generator within reach, NumPy's global one
included, are set back to what they were. So a mask drawn inside ``forward`` is the same in every
call, and after the check nothing has changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck.numerical import NotComplexSafe, Values
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.gradcheck.subjects import Subject


def foreign(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    arguments: tuple[Any, ...],
    parameters: Mapping[str, Array] | None,
    gradients: Callable[[], Mapping[str, Array]] | None,
    rng: Any,
) -> Subject:
    """Return code that was never written for the check as a ``Subject``.

    Parameters
    ----------
    forward : callable
        ``forward(*arguments)`` returns the output, or the pair ``(output, cache)``; with no
        ``backward``, the pair ``(scalar, gradient)``.
    backward : callable or None
        ``backward(dout)`` or ``backward(dout, cache)`` returns the gradients by the arguments.
    arguments : tuple
        Floating-point arrays, and dictionaries of them, are differentiated by; the rest is not.
    parameters : mapping of str to ndarray, optional
        Arrays that the object whose methods these are holds.
    gradients : callable, optional
        Returns the gradients by ``parameters``, under the same names, after ``backward``.
    """
    if (parameters is None) != (gradients is None):
        raise TypeError("parameters= and gradients= belong together: give both, or neither")
    owner = getattr(forward, "__self__", None)
    snapshot = Snapshot(owner, getattr(backward, "__self__", None), arguments, parameters)
    places = _places(forward, arguments)
    state = {name: np.asarray(array) for name, array in (parameters or {}).items()}
    slots = {name: _slot(owner, array) for name, array in (parameters or {}).items()}
    name = getattr(forward, "__qualname__", repr(forward))

    def called(block: str | None = None, array: Array | None = None) -> Any:
        snapshot.restore()
        moved = arguments
        if array is not None:
            array = array.copy()  # forward may change it, and the caller goes on with it
        if block in places:
            moved = _replaced(arguments, places[block], array)
        elif block is not None and array is not None:
            _write(slots[block], state[block], array, block)
        return forward(*moved)

    out = np.array(_output(called(), backward))
    weights = np.ones(()) if out.ndim == 0 else rng.standard_normal(out.shape)

    def outputs(block: str | None = None, array: Array | None = None) -> Array:
        try:
            return np.array(_output(called(block, array), backward))
        finally:
            snapshot.restore()

    if not np.array_equal(out, outputs(), equal_nan=True):
        raise ValueError(
            f"{name} gives different outputs for the same arguments: it draws from a generator "
            "that is no argument, no attribute and not NumPy's global one; hand it in, or seed it "
            "inside"
        )

    def values(block: str, array: Array) -> Values:
        return {"output": (weights * outputs(block, array)).sum()}

    result = called()
    dout = weights.copy() if out.ndim else 1.0  # a copy, since backward may change it
    if backward is None:
        answer = result[1]
    elif isinstance(result, tuple):
        answer = backward(dout, result[1])
    else:
        answer = backward(dout)
    found = _matched(answer, places, name)
    for block, gradient in dict(gradients() if gradients else {}).items():
        found[block] = np.array(gradient, dtype=np.float64)
    snapshot.restore()
    points = {block: np.array(_at(arguments, place)) for block, place in places.items()} | state
    if not found:
        raise ValueError(f"there is nothing to check: backward of {name} returns no gradient")
    unchecked = [block for block in places if block not in found] if backward else []
    missing = [block for block in state if block not in found]
    if missing:
        raise ValueError(f"gradients() must return {missing[0]!r}, got {', '.join(found)}")
    points = {block: points[block].astype(np.float64) for block in found if block in points}
    notes = [f"not checked, since backward returns no gradient by it: {b}" for b in unchecked]
    return Subject(name, points, {"output": found}, values, notes, outputs=outputs, dout=weights)


def _places(forward: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """Return, by name, where in the arguments the floating-point arrays are."""
    try:
        names = list(inspect.signature(forward).parameters)
    except (TypeError, ValueError):  # some functions written in C have no signature
        names = []
    names += [f"argument {i + 1}" for i in range(len(names), len(arguments))]
    found: dict[str, tuple[Any, ...]] = {}
    for position, argument in enumerate(arguments):
        if isinstance(argument, Mapping):
            for key, value in argument.items():
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    found[str(key)] = (position, key)
        elif isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
            found[names[position]] = (position,)
    return found


def _at(arguments: tuple[Any, ...], place: tuple[Any, ...]) -> Any:
    thing: Any = arguments
    for key in place:
        thing = thing[key]
    return thing


def _replaced(arguments: tuple[Any, ...], place: tuple[Any, ...], array: Any) -> tuple[Any, ...]:
    moved = list(arguments)
    if len(place) == 1:
        moved[place[0]] = array
    else:
        moved[place[0]] = {**moved[place[0]], place[1]: array}
    return tuple(moved)


def _slot(owner: object, array: Array) -> Callable[[Array], None] | None:
    """Return a function that puts another array in the place of this one, if its place is found."""
    attributes = getattr(owner, "__dict__", {})
    for holder in (attributes, *(v for v in attributes.values() if isinstance(v, dict))):
        for key, value in holder.items():
            if value is array:
                return partial(holder.__setitem__, key)
    return None


def _write(slot: Callable[[Array], None] | None, array: Array, new: Array, name: str) -> None:
    if slot is not None:
        slot(new)
    elif np.iscomplexobj(new):
        raise NotComplexSafe(f"{name} is no attribute of the object, so it is moved in place")
    else:
        np.copyto(array, new)


def _output(result: Any, backward: Callable[..., Any] | None) -> Array:
    if isinstance(result, tuple):
        result = result[0]
    elif backward is None:
        raise TypeError("a function without a backward must return the pair (value, gradient)")
    return np.asarray(result)


def _matched(answer: Any, places: dict[str, tuple[Any, ...]], name: str) -> dict[str, Array]:
    """Return the gradients by block: dictionaries by key (``W`` or ``dW``), the rest in order."""
    if answer is None:
        return {}
    if isinstance(answer, Mapping):
        found = {}
        for block, place in places.items():
            own = place[-1] if len(place) > 1 else block
            key = next((k for k in (own, f"d{own}") if k in answer), None)
            if key is not None:
                found[block] = np.array(answer[key], dtype=np.float64)
        if not found:
            raise ValueError(
                f"the gradients of {name} are called {', '.join(map(str, answer))}; "
                f"none of these is an argument: {', '.join(places)}"
            )
        return found
    answers = answer if isinstance(answer, tuple | list) else (answer,)
    found = {}
    for (block, _), gradient in zip(places.items(), answers, strict=False):
        if isinstance(gradient, Mapping):
            found |= _matched(gradient, places, name)
        elif gradient is not None:
            found[block] = np.array(gradient, dtype=np.float64)
    return found
