"""The connection between the checks and the answers, which run in two processes.

A check calls functions of a submission like local functions. Arguments and results are sent as
data: numbers, text, arrays, generators, and tuples, lists and dictionaries of them; nothing is
unpickled, and nothing that the submission sends is run. Objects keep their identity: a change
is repeated in the other process, and an object that is sent back is the original one, of any class.
Any other object remains in its process; attributes are read and calls are made there.

The worker uses this module too, so it imports NumPy and the standard library only.
"""

from __future__ import annotations

import base64
import inspect
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

PLAIN = (type(None), bool, int, float, str)

#: Mutable classes whose objects are sent as data, and the kinds of dtypes of their arrays.
MUTABLE = (np.ndarray, dict, list, np.random.Generator)
DTYPES = "biufcUS"

#: Exceptions that keep their class when they are sent; others become ``RuntimeError``.
KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (AssertionError, AttributeError, TypeError, ValueError, ZeroDivisionError)
}


class Remote:
    """An object of the other process, where attributes are read and calls are made.

    A deep copy returns the object itself.
    """

    __slots__ = ("__name__", "__signature__", "_number", "_wire")

    def __init__(
        self, wire: Wire, number: int, name: str, signature: inspect.Signature | None
    ) -> None:
        self._wire, self._number = wire, number
        self.__name__, self.__signature__ = name, signature

    def __deepcopy__(self, memo: object) -> Remote:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._wire.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._wire.ask("set", self, name, value)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it in the other process."""
        return self._wire.ask("call", self, arguments, tuple(named.items()))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._wire.ask("list", self))


class Answers:
    """A submission in the other process; its attributes are its global names."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def __getattr__(self, name: str) -> Any:
        return self.wire.ask("answer", name)


@contextmanager
def replaced(names: dict[str, Any], replacements: dict[str, Any]) -> Iterator[None]:
    """Replace global names within a context."""
    before = {name: names[name] for name in replacements if name in names}
    names.update(replacements)
    try:
        yield
    finally:
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
        Requests that the other end may send, besides calls of functions that it received.
    worker : bool
        Whether this end is in the process of the submission.
    explain : function (exception) -> str
        Returns the message that is sent for an exception.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        write: Callable[[bytes], object],
        serve: dict[str, Callable[..., Any]],
        *,
        worker: bool,
        explain: Callable[[BaseException], str] = str,
    ) -> None:
        self._read, self._write, self._explain = read, write, explain
        self._serve = {"call": lambda f, positional, named: f(*positional, **dict(named)), **serve}
        self._worker = worker
        self._caught = BaseException if worker else Exception  # a submission may raise anything
        self.broken = False  # whether the other end sent what is no message
        self.forget()

    def forget(self) -> None:
        """Drop all objects that both ends know; both ends do it at the same time."""
        self._numbers: dict[int, int] = {}  # by the id of an object that is kept here
        self._objects: dict[int, Any] = {}
        self._known: dict[int, Any] = {}  # their descriptions, as the other end knows them
        self._pending: list[int] = []  # the objects to describe in a message
        self._new = itertools.count(int(self._worker), 2)
        self._limit = 50  # number of objects at which unused ones are removed

    # --- Messages ---------------------------------------------------------------------------------

    def ask(self, what: str, *arguments: Any) -> Any:
        """Send a request to the other end, and return its result."""
        self._send({"do": what}, arguments)
        while True:
            message, value = self._receive()
            if "do" in message:
                self._answer(message["do"], value)
            elif "kind" in message:
                error = KINDS.get(str(message["kind"]), RuntimeError)(value)
                vars(error)["explained"] = str(value)
                raise error
            else:
                return value

    def wait(self) -> None:
        """Answer the requests of the other end, until it ends."""
        while True:
            message, value = self._receive()
            self._answer(message["do"], value)

    def _answer(self, what: str, arguments: Any) -> None:
        try:
            self._send({}, self._serve[what](*arguments))
        except self._caught as error:
            names = [kind.__name__ for kind in type(error).__mro__]
            kind = next((name for name in names if name in KINDS), "")
            self._send({"kind": kind}, self._explain(error))

    def _send(self, message: dict[str, Any], value: Any) -> None:
        self._pending = list(self._objects)
        message["value"] = self._encode(value)
        message["objects"] = []
        for number in self._pending:  # grows, since lists and dictionaries refer to others
            obj = self._objects[number]
            if isinstance(obj, MUTABLE) or not (number in self._known or isinstance(obj, tuple)):
                description = self._describe(obj)
                if description != self._known.get(number):
                    message["objects"].append([number, *description])
                    self._known[number] = description
        message["drop"] = self._drop()
        self._write(json.dumps(message).encode() + b"\n")

    def _receive(self) -> tuple[dict[str, Any], Any]:
        line = self._read()
        try:
            message: dict[str, Any] = json.loads(line)
            for number, *description in message["objects"]:
                if number not in self._objects:
                    self._register(self._make(number, *description), number)
                self._known[number] = description
            value = self._decode(message["value"])
            for number, *description in message["objects"]:
                self._restore(self._objects[number], *description)
            for number in message["drop"] if self._worker else ():
                self._remove(number)
            return message, value
        except Exception as error:  # a message may be anything
            self.broken = True
            raise ConnectionError(f"no message: {error}") from error

    def _drop(self) -> list[int]:
        """Remove the objects that the checks no longer use, and return their numbers."""
        if self._worker or len(self._objects) < self._limit:
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

    # --- Values and objects -----------------------------------------------------------------------

    def _register(self, obj: Any, number: int) -> int:
        self._objects[number] = obj
        self._numbers[id(obj)] = number
        return number

    def _encode(self, value: Any) -> Any:
        if type(value) in PLAIN:
            return value
        if isinstance(value, np.number | np.bool_ | complex):
            return ["scalar", *_pack(np.asarray(value))]
        if isinstance(value, Remote):
            return ["object", value._number]
        number = self._numbers.get(id(value))
        if number is not None:
            return ["object", number]
        if isinstance(value, tuple):
            items = [self._encode(item) for item in value]
            if type(value) is not tuple:  # a named tuple, for instance, keeps its class
                number = self._register(value, next(self._new))
            return ["tuple", number, *items]
        number = self._register(value, next(self._new))
        self._pending.append(number)
        return ["object", number]

    def _decode(self, code: Any) -> Any:
        if not isinstance(code, list):
            return code
        kind, *rest = code
        if kind == "scalar":
            return _unpack(*rest)[()]
        if kind == "object":
            return self._objects[rest[0]]
        value = tuple(map(self._decode, rest[1:]))
        if rest[0] is not None:
            self._register(value, rest[0])
        return value

    def _describe(self, obj: Any) -> list[Any]:
        """Return the data from which the other end creates or updates its counterpart."""
        if isinstance(obj, np.ndarray) and obj.dtype.kind in DTYPES:
            return ["array", *_pack(obj)]
        if isinstance(obj, dict):
            return ["dict", *([self._encode(k), self._encode(v)] for k, v in obj.items())]
        if isinstance(obj, list):
            return ["list", *map(self._encode, obj)]
        if isinstance(getattr(obj, "bit_generator", None), np.random.PCG64):
            return ["generator", obj.bit_generator.state]
        name = getattr(obj, "__name__", None)
        return ["remote", name if isinstance(name, str) else type(obj).__name__, _parameters(obj)]

    def _make(self, number: int, kind: str, *rest: Any) -> Any:
        if kind == "remote":
            return Remote(self, number, str(rest[0]), _signature(rest[1]))
        if kind == "array":
            return _unpack(*rest)
        make: dict[str, Callable[[], Any]]
        make = {"dict": dict, "list": list, "generator": np.random.default_rng}
        return make[kind]()

    def _restore(self, obj: Any, kind: str, *rest: Any) -> None:
        if kind == "array":
            obj[...] = _unpack(*rest)
        elif kind == "dict":
            items = [(self._decode(key), self._decode(value)) for key, value in rest]
            obj.clear()
            obj.update(items)
        elif kind == "list":
            obj[:] = map(self._decode, rest)
        elif kind == "generator":
            obj.bit_generator.state = rest[0]


def _pack(array: np.ndarray[Any, Any]) -> list[Any]:
    return [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]


def _unpack(dtype: str, shape: list[int], data: str) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    if kind.kind not in DTYPES:
        raise TypeError(dtype)
    return np.frombuffer(base64.b64decode(data), kind).reshape(shape).copy()


def _parameters(function: Any) -> list[tuple[str, str, bool]] | None:
    """Return name, kind and optionality of each parameter, if they are known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    return [(p.name, p.kind.name, p.default is not p.empty) for p in parameters]


def _signature(parameters: Any) -> inspect.Signature | None:
    if parameters is None:
        return None
    parameter = inspect.Parameter
    return inspect.Signature(
        [
            parameter(name, getattr(parameter, kind), default=None if optional else parameter.empty)
            for name, kind, optional in parameters
        ]
    )
