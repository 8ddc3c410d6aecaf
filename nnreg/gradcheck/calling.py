"""Calling conventions: how a backward function is called, and what the two functions return.

The convention follows from the signatures, whose names are mostly of a few kinds: the derivative
with respect to the output (``dout``, ``dA``, ``grad_output``), the cache, an argument of forward,
its output, a learning rate. For other names an error shows the line to write.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg._support.validation import nearest
from nnreg.gradcheck import tree

DERIVATIVE = re.compile(
    r"d|g|gy|gz|delta\w*|d[a-zA-Z]\d*|d[A-Z]\w*|d_\w+|d(out|pred|loss|value|input|upstream)\w*"
    r"|\w*grad\w*|\w*upstream\w*|\w*err(or)?|dl_?\w*|chain\w*|cotangent\w*"
)
RATE = re.compile(r"(?i)lr|eta|alpha|rate|step_?size|learning_?rate")
CACHE = re.compile(r"(?i)\w*cache\w*|ctx|context|saved\w*|mem(o|ory)?|tape")
OUTPUT = re.compile(r"(?i)y\d*|a\d*|out(put)?s?|act(ivation)?s?|s|h")
OUTPUT_ATTRIBUTES = ("output", "outputs", "out", "y", "A", "a")
#: The options of :func:`nnreg.check_gradients`.
OPTIONS = ("method", "seed", "dropout", "parameters", "gradients", "wrt", "dtype", "tolerance")
INPUT_GRADIENTS = ("dinputs", "dinput", "dx", "dX", "grad_input", "dA_prev")


def signature_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return the parameters to which a call can pass values, or None if they are unknown.

    >>> [str(parameter) for parameter in signature_of(lambda dout, cache, scale=1.0: dout)]
    ['dout', 'cache', 'scale=1.0']
    >>> signature_of(max) is None
    True
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C have no signature
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p for p in parameters if p.kind is not p.VAR_KEYWORD]


def bind_arguments(
    function: Callable[..., Any],
    backward: Callable[..., Any] | None,
    arguments: tuple[Any, ...],
    named: Mapping[str, Any],
    parameters: Any = None,
) -> tuple[tuple[Any, ...], Any]:
    """Return all arguments by position, and ``parameters`` unless they are an argument too.

    >>> bind_arguments(lambda x, w, reg=0.0: x, None, (1.0, 2.0), {"reg": 0.5})
    ((1.0, 2.0, 0.5), None)
    """
    name = written(function)
    attributes = getattr(getattr(function, "__self__", None), "__dict__", {})
    for attribute, value in attributes.items():
        if isinstance(value, Mapping) and any(argument is value for argument in arguments):
            raise TypeError(
                f"net.{attribute} is no argument of {name}, which uses it by itself. Write "
                f"check_gradients({name}, X, y, parameters=net.{attribute})"
            )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have no signature
        if named:
            raise TypeError(f"the arguments of {name} must be passed by position") from None
        return arguments, parameters
    missing = list(signature.parameters.values())[len(arguments) :]
    if any(p.name == "parameters" and p.default is p.empty for p in missing):
        named, parameters = {"parameters": parameters, **named}, None
    for unknown in named:
        p = signature.parameters.get(unknown)
        if p is None or p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD):
            keyword = f"lambda x: {name}(x, {unknown}=...)"
            raise TypeError(
                f"check_gradients has no option {unknown!r}{nearest(unknown, OPTIONS)}, and {name} "
                + ("no such argument" if p is None else f"takes it by name only: write {keyword}")
            )
    try:
        bound = signature.bind(*arguments, **named)
    except TypeError as error:
        takes = f"{name} takes ({', '.join(signature.parameters)}): {error}"
        first = (
            ", ".join(list(signature.parameters)[: len(arguments) - 1]) or "parameters=net.params"
        )
        if "too many" not in str(error):
            raise TypeError(f"{takes}. Pass it after {name}") from None
        if backward is not None:
            raise TypeError(f"{takes}. Leave out dout: the check chooses it") from None
        raise TypeError(
            f"{takes}. If the last one is a gradient, return it with the value: "
            f"check_gradients(lambda {first}: ({name}({first}), gradient), {first})"
            if "=" not in first
            else f"{takes}. Write check_gradients({name}, parameters=net.params, gradients=grads)"
        ) from None
    if named:
        bound.apply_defaults()
    return bound.args, parameters


def names_of(function: Callable[..., Any], count: int) -> list[str]:
    """Return the names of ``count`` arguments of a function."""
    parameters = signature_of(function) or []
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY][:count]
    return names + [f"argument {i + 1}" for i in range(len(names), count)]


def write_first(function: Callable[..., Any], *, is_value: bool) -> str:
    """Return the code of a function that returns the first gradient, after the value if any."""
    required = [p for p in signature_of(function) or () if p.default is p.empty]
    names = ", ".join(p.name for p in required)
    values = ", ".join(
        p.name if p.kind is not p.KEYWORD_ONLY else f"{p.name}={p.name}" for p in required
    )
    call = f"{name_of(function).replace('<lambda>', 'f')}({values})"
    return f"lambda {names}: {call}{'[:2]' if is_value else '[0]'}"


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name, without that of an enclosing function."""
    name: str = getattr(function, "__qualname__", type(function).__name__)
    return name.rpartition("<locals>.")[2]


def written(function: Callable[..., Any]) -> str:
    """Return a function as a user may write it: ``net.loss`` for a method, ``f`` for a lambda."""
    name = name_of(function).rpartition(".")[2].replace("<lambda>", "f")
    return f"net.{name}" if hasattr(function, "__self__") else name


def output_of(result: Any, owner: object, name: str) -> Array:
    """Return the output from the result of a forward function, or from an attribute."""
    if isinstance(result, tuple) and result:
        result = result[0]
    if result is None:
        attributes = tree.attributes(owner)
        outputs = (attributes[n] for n in OUTPUT_ATTRIBUTES if n in attributes)
        numbers = np.ndarray | np.number | float
        result = next((output for output in outputs if isinstance(output, numbers)), None)
    if result is None:
        raise TypeError(
            f"{name} returned None, and its object has no attribute {OUTPUT_ATTRIBUTES[0]!r}: "
            "end forward with `return output`"
        )
    output = np.asarray(result)
    if output.dtype.kind not in "fciub":
        raise TypeError(f"{name} must return one array of numbers, got {type(result).__name__}")
    return output


def split_value(
    result: Any, function: Callable[..., Any], names: Sequence[str] = ()
) -> tuple[Array, Any]:
    """Return the value and the gradients from the result of a function without a backward."""
    name, called = name_of(function), written(function)
    if not isinstance(result, tuple | list) or len(result) < 2:
        x = ", ".join(names)
        rest = [p.name for p in (signature_of(function) or [])[len(names) :]]
        without = f", without {', '.join(rest)}," if rest else ""
        raise TypeError(
            f"a function without a backward must return the pair (value, gradient); {name}({x})"
            f"{without} returned {_kind(result)}. For a pair of functions write "
            f"check_gradients({called}, backward, {x}); for a gradient that you have, "
            f"check_gradients(lambda {x}: ({called}({x}), gradient), {x})"
        )
    value, answer = result[0], result[1] if len(result) == 2 else tuple(result[1:])
    if len(result) == 2 and _is_scalar(answer) and not _is_scalar(value):
        value, answer = answer, value  # (gradients, cost), as in some courses
    if not tree.is_leaf(value):
        raise TypeError(
            f"the value that {name} returns must be a number, got {_kind(value)}. Where a method "
            "returns gradients alone, write check_gradients(lambda w, b: (net.cost(x, y), "
            "net.backprop(x, y)), net.weights, net.biases), in the order of the gradients"
        )
    output = np.asarray(value)
    if callable(answer):
        return output, answer
    if output.size != 1:
        raise ValueError(
            f"the value that {name} returns must be a scalar, one number, got the shape "
            f"{output.shape}: one loss per row has no gradient; return its mean() or sum()"
        )
    return output.reshape(()), answer


def _is_scalar(value: Any) -> bool:
    return tree.is_leaf(value) and np.size(value) == 1 and not isinstance(value, list)


def _kind(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"{len(result)} values"
    shape = f" of shape {result.shape}" if isinstance(result, np.ndarray) else ""
    return f"one {type(result).__name__}{shape}"


def bind_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: list[Any],
    names: list[str],
    result: Any,
    output: Array,
) -> tuple[Callable[[Any], Any], str]:
    """Return ``backward`` as a function of the derivative with respect to the output, and a note.

    Parameters
    ----------
    forward, backward : callable
    arguments : list
        The arguments of forward.
    names : list of str
        The names of the arguments.
    result : object
        The result of forward.
    output : ndarray
        The output in the result.
    """
    cached = isinstance(result, tuple) and len(result) > 1
    cache: Any = (result[1] if len(result) == 2 else result[1:]) if cached else None
    parameters = signature_of(backward)
    if parameters is None:
        return (lambda dout: backward(dout, cache) if cached else backward(dout)), ""
    parameters = [
        p for p in parameters if p.default is p.empty or (cached and CACHE.fullmatch(p.name))
    ]
    required = [p.name for p in parameters]
    if not required:
        return (lambda dout: backward()), "backward takes no dout: the output is used as the loss"
    by_name = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}

    def call(values: dict[str, Any]) -> Any:
        positional = (values[name] for name in required if name not in by_name)
        return backward(*positional, **{name: values[name] for name in by_name})

    known = dict(zip(names, arguments, strict=True))
    values = dict(known)
    if isinstance(backward, types.FunctionType) and not backward.__closure__:
        # Without the derivative and a cache it can only be a formula such as a * (1 - a).
        values = {n: output for n in required if OUTPUT.fullmatch(n)} | known
    if not cached and all(n in values and not DERIVATIVE.fullmatch(n) for n in required):
        called = f"{name_of(backward)}({', '.join(required)})"
        note = f"{called} was used as the derivative of the function"
        if output.ndim == 0:
            return (lambda dout: call(values)), note
        return (lambda dout: dout * np.asarray(call(values))), note
    if cached and len(required) == len(result) > 2:
        return (lambda dout: call(dict(zip(required, (dout, *cache), strict=True)))), ""
    if output.ndim == 0 and all(n in known or (cached and CACHE.fullmatch(n)) for n in required):
        values = {name: known.get(name, cache) for name in required}
        return (lambda dout: call(values)), "backward takes no dout: the output is used as the loss"
    derivative = next(
        (n for n in required if DERIVATIVE.fullmatch(n) and n not in known), required[0]
    )
    known = {name.lower(): value for name, value in known.items()} | known
    only_cache = cached and sum(not RATE.fullmatch(n) for n in required) == 2
    values = {}
    for name in required:
        if name == derivative:
            continue
        if RATE.fullmatch(name) and name not in known:
            values[name] = 0.0
        elif only_cache or (cached and CACHE.fullmatch(name)):
            values[name] = cache
        elif CACHE.fullmatch(name) and name not in known:
            values[name] = arguments[0] if len(arguments) == 1 else tuple(arguments)
        elif name in known or name.lower() in known:
            values[name] = known.get(name, known.get(name.lower()))
        elif OUTPUT.fullmatch(name):
            values[name] = output
        else:
            passed = ", ".join("dout" if n == derivative else n for n in required)
            raise TypeError(
                f"{name_of(backward)} takes ({', '.join(required)}), and check_gradients calls "
                "backward(dout) or backward(dout, cache) with the cache that forward returns; "
                f"{name!r} is unknown. Write check_gradients({name_of(forward)}, lambda "
                f"dout: {name_of(backward)}({passed}), {', '.join(names)})"
            )
    return (lambda dout: call(values | {derivative: dout})), ""
