"""The connection between the checks and the answers, which run in two processes.

A check calls functions of a submission as if they were its own. Arguments and results cross as
data: numbers, text, arrays, and tuples, lists and dictionaries of them; nothing that the submission
sends is unpickled or run. Arrays, lists and dictionaries keep their identity: a change in one is
made in the other process too, and an array that comes back is the one that was sent. Any other
object stays where it is; its attributes are fetched, and calls are made there.

The worker uses this module too, so it imports NumPy and the standard library only.
"""

from __future__ import annotations

import base64
import builtins
import inspect
import itertools
import json
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

PLAIN = (type(None), bool, int, float, str)

#: Attributes of an object, by its class's name, that follow when they change in one process.
STATE = {
    "Network": ("parameters.vector", "steps", "epochs"),
    "Generator": ("bit_generator.state",),
}

#: Exceptions that keep their kind when they cross; others become ``RuntimeError``.
KINDS: dict[str, type[Exception]] = {
    **{k: v for k, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception)},
    "ComplexWarning": np.exceptions.ComplexWarning,
}


class WireError(Exception):
    """The other process sends what is no message."""


class Remote:
    """An object of the other process: attributes are fetched, and calls are made, there.

    It refers to the connection by number, so that code that copies or walks objects stops here.
    """

    __slots__ = ("_name", "_number", "_parameters", "_wire")

    def __init__(self, wire: int, number: int, name: str, parameters: Any) -> None:
        for slot, value in zip(self.__slots__, (name, number, parameters, wire), strict=True):
            object.__setattr__(self, slot, value)

    def __copy__(self) -> Remote:
        return self

    def __deepcopy__(self, memo: object) -> Remote:
        return self

    @property
    def __name__(self) -> str:
        """The name of the function or class, or of the object's class."""
        return str(self._name)

    @property
    def __signature__(self) -> inspect.Signature:
        """The parameters, for ``inspect.signature``."""
        if self._parameters is None:
            raise AttributeError("__signature__")
        p = inspect.Parameter
        kinds = (
            *(p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD),
            *(p.VAR_POSITIONAL, p.KEYWORD_ONLY, p.VAR_KEYWORD),
        )
        listed = [
            p(name, kinds[kind], default=None if optional else inspect._empty)
            for name, kind, optional in self._parameters
        ]
        return inspect.Signature(listed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Wire.open[self._wire].ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            Wire.open[self._wire].ask("set", self, name, value)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it in the other process."""
        return Wire.open[self._wire].ask("call", self, arguments, tuple(named.items()))

    def __iter__(self) -> Iterator[Any]:
        return iter(Wire.open[self._wire].ask("list", self))


class Answers:
    """A submission in the other process; its attributes are its global names."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def __getattr__(self, name: str) -> Any:
        return self.wire.ask("answer", name)


def replace_names(names: dict[str, Any], replacements: dict[str, Any]) -> dict[str, Any]:
    """Replace global names, and return those that there were."""
    before = {name: names[name] for name in replacements if name in names}
    names.update(replacements)
    return before


def restore_names(
    names: dict[str, Any], replacements: dict[str, Any], before: dict[str, Any]
) -> None:
    """Undo `replace_names`."""
    for name in replacements:
        del names[name]
    names.update(before)


class Wire:
    """One end of the connection.

    Parameters
    ----------
    read : function () -> bytes
        Returns the next message.
    write : function (bytes)
    serve : dict of str to function
        What the other end may ask for, besides calling functions that were sent to it.
    trusting : bool
        Whether pickles are accepted: by the worker, from the checks.
    explain : function (exception) -> str
        Returns the text under which an exception crosses.
    """

    open: ClassVar[dict[int, Wire]] = {}
    _keys = itertools.count()

    def __init__(
        self,
        read: Callable[[], bytes],
        write: Callable[[bytes], object],
        serve: dict[str, Callable[..., Any]],
        *,
        trusting: bool,
        explain: Callable[[BaseException], str] = str,
    ) -> None:
        self._read, self._write, self.explain = read, write, explain
        self._serve = {"call": lambda f, given, named: f(*given, **dict(named)), **serve}
        self._trusting = trusting
        self._caught = BaseException if trusting else Exception  # a submission may raise anything
        self.broken = False  # whether the other end sent what is no message
        self._key = next(Wire._keys)
        Wire.open[self._key] = self
        self.forget()

    def forget(self) -> None:
        """Drop all objects that both ends know; both ends do it at the same time."""
        self._numbers: dict[int, int] = {}  # by the id of an object that is kept here
        self._objects: dict[int, Any] = {}
        self._known: dict[int, Any] = {}  # states, as the other end knows them
        self._new = itertools.count(int(self._trusting), 2)
        self._limit = 50  # of objects, at which those out of use are dropped

    def close(self) -> None:
        """Drop the connection; what is left of the other end's objects is of no use."""
        Wire.open.pop(self._key, None)

    # --- Messages ---------------------------------------------------------------------------------

    def ask(self, what: str, *arguments: Any) -> Any:
        """Ask the other end for something, and return the answer."""
        if self.broken:
            raise WireError
        self._send({"do": what, "drop": self._drop()}, arguments)
        while True:
            message, value = self._receive()
            if "do" in message:
                self._answer(message["do"], value)
            elif "kind" in message:
                raise _error(str(message["kind"]), str(value))
            else:
                return value

    def wait(self) -> None:
        """Answer what the other end asks for, until it ends."""
        while True:
            message, value = self._receive()
            self._answer(message["do"], value)

    def _answer(self, what: str, arguments: Any) -> None:
        try:
            value = self._serve[what](*arguments)
            self._send({}, value)
        except self._caught as error:
            names = [kind.__name__ for kind in type(error).__mro__]
            self._send({"kind": next((n for n in names if n in KINDS), "")}, self.explain(error))

    def _send(self, message: dict[str, Any], value: Any) -> None:
        message["value"] = self._encode(value)
        message["new"], message["state"] = [], []
        seen = 0
        while seen < len(self._objects):  # which grows, as states refer to more objects
            numbers = list(self._objects)[seen:]
            seen += len(numbers)
            for number in numbers:
                obj = self._objects[number]
                state = self._state(number, obj)
                if number not in self._known and number % 2 == int(self._trusting):
                    message["new"].append([number, *self._introduce(obj)])
                    self._known[number] = state if isinstance(obj, np.ndarray) else None
                if state is not None and self._known.get(number) != state:
                    message["state"].append([number, state])
                    self._known[number] = state
        self._write(json.dumps(message).encode() + b"\n")

    def _receive(self) -> tuple[dict[str, Any], Any]:
        line = self._read()
        try:
            message: dict[str, Any] = json.loads(line)
            for number in message.get("drop", ()) if self._trusting else ():
                self._remove(number)
            for number, kind, *rest in message["new"]:
                self._register(self._make(number, kind, *rest), number)
                self._known[number] = rest if kind == "array" else None
            for number, state in message["state"]:
                self._known[number] = state
                self._restore(self._objects[number], state)
            return message, self._decode(message["value"])
        except Exception as error:  # a message may be anything
            self.broken = True
            raise WireError(str(error)) from error

    def _drop(self) -> list[int]:
        """Remove the objects that the checks no longer use, and return their numbers."""
        if self._trusting or len(self._objects) < self._limit:
            return []
        counts = {n: sys.getrefcount(obj) for n, obj in self._objects.items()}
        (least,) = (sys.getrefcount(obj) for _, obj in {-1: object()}.items())
        numbers = [number for number, count in counts.items() if count <= least]
        for number in numbers:
            self._remove(number)
        self._limit = 2 * len(self._objects) + 50
        return numbers

    def _remove(self, number: int) -> None:
        del self._numbers[id(self._objects.pop(number))]
        self._known.pop(number, None)

    # --- Values -----------------------------------------------------------------------------------

    def _register(self, obj: Any, number: int) -> int:
        self._objects[number] = obj
        self._numbers[id(obj)] = number
        return number

    def _encode(self, value: Any) -> Any:
        if type(value) in PLAIN:
            return value
        if isinstance(value, tuple):
            return ["tuple", *map(self._encode, value)]
        if isinstance(value, np.number | np.bool_ | complex):
            return ["scalar", *_pack(np.asarray(value))]
        if isinstance(value, Remote):
            return ["object", value._number]
        number = self._numbers.get(id(value))
        if number is None:
            number = self._register(value, next(self._new))
        return ["object", number]

    def _decode(self, code: Any) -> Any:
        if not isinstance(code, list):
            return code
        kind, *rest = code
        if kind == "tuple":
            return tuple(map(self._decode, rest))
        if kind == "scalar":
            return _unpack(*rest)[()]
        return self._objects[rest[0]]

    def _introduce(self, obj: Any) -> list[Any]:
        """Return the data from which the other end creates its counterpart of an object."""
        if isinstance(obj, np.ndarray) and obj.dtype.kind in "biufcUS":
            return ["array", *_pack(obj)]
        if isinstance(obj, dict | list):
            return ["dict" if isinstance(obj, dict) else "list"]
        if self._trusting or callable(obj):
            name = getattr(obj, "__name__", None)
            return ["remote", name if isinstance(name, str) else type(obj).__name__, _list(obj)]
        return ["pickle", base64.b64encode(pickle.dumps(obj)).decode()]

    def _make(self, number: int, kind: str, *rest: Any) -> Any:
        if kind == "array":
            return _unpack(*rest)
        if kind == "dict":
            return {}
        if kind == "list":
            return []
        if kind == "pickle" and self._trusting:
            return pickle.loads(base64.b64decode(rest[0]))
        return Remote(self._key, number, str(rest[0]), rest[1])

    def _state(self, number: int, obj: Any) -> Any:
        """Return the part of an object that may change, or None."""
        if isinstance(obj, np.ndarray) and obj.dtype.kind in "biufcUS":
            return _pack(obj)
        if isinstance(obj, dict):
            return [[self._encode(key), self._encode(value)] for key, value in obj.items()]
        if isinstance(obj, list):
            return list(map(self._encode, obj))
        names = () if number % 2 else STATE.get(type(obj).__name__)  # of the checks' objects alone
        return [_plain(_follow(obj, name)) for name in names] if names else None

    def _restore(self, obj: Any, state: Any) -> None:
        if isinstance(obj, np.ndarray):
            obj[...] = _unpack(*state)
        elif isinstance(obj, dict):
            items = [(self._decode(key), self._decode(value)) for key, value in state]
            obj.clear()
            obj.update(items)
        elif isinstance(obj, list):
            obj[:] = map(self._decode, state)
        else:
            for name, value in zip(STATE[type(obj).__name__], state, strict=True):
                owner, _, last = name.rpartition(".")
                old = _follow(obj, name)
                if isinstance(old, np.ndarray):
                    old[...] = _unpack(*value)
                elif value != old:
                    setattr(_follow(obj, owner), last, value)


def _pack(array: np.ndarray[Any, Any]) -> list[Any]:
    return [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]


def _unpack(dtype: str, shape: list[int], data: str) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    if kind.kind not in "biufcUS":
        raise TypeError(dtype)
    return np.frombuffer(base64.b64decode(data), kind).reshape(shape).copy()


def _plain(value: Any) -> Any:
    return _pack(value) if isinstance(value, np.ndarray) else value


def _follow(obj: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        obj = getattr(obj, name)
    return obj


def _list(function: Any) -> list[tuple[str, int, bool]] | None:
    """Return name, kind and optionality of each parameter, where that is known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    return [(p.name, int(p.kind), p.default is not inspect._empty) for p in parameters]


def _error(kind: str, text: str) -> Exception:
    """Return an exception of the kind that the other end raised; its text is the explanation."""
    base = KINDS.get(kind, RuntimeError)
    if base is RuntimeError or issubclass(base, UnicodeError | OSError | StopIteration):
        base, kind = RuntimeError, "RuntimeError"
    error: Exception = type(kind, (base,), {"explained": True, "__str__": lambda self: text})(text)
    return error
