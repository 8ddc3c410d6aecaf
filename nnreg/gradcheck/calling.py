"""Calling conventions: how a backward function is called, and what the two functions return.

The convention is read from the signatures, whose names are mostly of a few kinds: the derivative by
the output (``dout``, ``dA``, ``grad_output``), the cache, an argument of forward, its output, a
learning rate. What cannot be read is an error that shows the line to write.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck import tree

DERIVATIVE = re.compile(
    r"d|g|gy|gz|delta\w*|d[a-zA-Z]\d*|d[A-Z]\w*|d_\w+|d(out|pred|loss|value|input|upstream)\w*"
    r"|\w*grad\w*|\w*upstream\w*|\w*err(or)?|dl_?\w*|chain\w*|cotangent\w*"
)
RATE = re.compile(r"(?i)lr|eta|alpha|rate|step_?size|learning_?rate")
CACHE = re.compile(r"(?i)\w*cache\w*|ctx|context|saved\w*|mem(o|ory)?|tape")
OUTPUT = re.compile(r"(?i)y\d*|a\d*|out(put)?s?|act(ivation)?s?|s|h")
OUTPUT_ATTRIBUTES = ("output", "outputs", "out", "y", "A", "a")
INPUT_GRADIENTS = ("dinputs", "dinput", "dx", "dX", "grad_input", "dA_prev")


def parameters_of(function: Callable[..., Any]) -> list[str] | None:
    """Return the names of the positional parameters without a default, or None if unknown.

    >>> parameters_of(lambda dout, cache, scale=1.0: dout)
    ['dout', 'cache']
    """
    result = _signature(function)
    return None if result is None else [name for name, required in result if required]


def names_of(function: Callable[..., Any], count: int) -> list[str]:
    """Return the names of ``count`` arguments of a function."""
    names = [name for name, _ in _signature(function) or ()][:count]
    return names + [f"argument {i + 1}" for i in range(len(names), count)]


def _signature(function: Callable[..., Any]) -> list[tuple[str, bool]] | None:
    """Return the positional parameters with whether they are required, or None if unknown."""
    if isinstance(function, FunctionType | MethodType) and not hasattr(function, "__wrapped__"):
        code, defaults = function.__code__, function.__defaults__ or ()
        if code.co_flags & inspect.CO_VARARGS:
            return None
        count = code.co_argcount - len(defaults)
        names = code.co_varnames[: code.co_argcount]
        result = [(name, index < count) for index, name in enumerate(names)]
        return result[1:] if isinstance(function, MethodType) else result
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have no signature
        return None
    parameters = list(signature.parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [(p.name, p.default is p.empty) for p in parameters if p.kind in kinds]


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name without the function that it is defined in."""
    name: str = getattr(function, "__qualname__", type(function).__name__)
    return name.rpartition("<locals>.")[2]


def output_of(result: Any, owner: object, name: str) -> Array:
    """Return the output in what a forward function returned, or the attribute that holds it."""
    if isinstance(result, tuple) and result:
        result = result[0]
    if type(result) is np.ndarray and result.dtype.kind in "fc":
        return result
    if result is None:
        held = tree.attributes(owner) if owner is not None else {}
        result = next(
            (
                held[n]
                for n in OUTPUT_ATTRIBUTES
                if isinstance(held.get(n), np.ndarray | np.number | float)
            ),
            None,
        )
        if result is None:
            raise TypeError(
                f"{name} returned None, and its object has no attribute {OUTPUT_ATTRIBUTES[0]!r}: "
                "end forward with `return output`"
            )
    output = np.asarray(result)
    if output.dtype.kind not in "fciub":
        raise TypeError(f"{name} must return one array of numbers, got {type(result).__name__}")
    return output


def split_value(result: Any, name: str) -> tuple[Array, Any]:
    """Return the value and the gradients in what a function without a backward returned."""
    if not isinstance(result, tuple | list) or len(result) < 2:
        raise TypeError(
            f"a function without a backward must return the pair (value, gradient); {name} "
            f"returned {_kind(result)}. For a pair of functions write "
            f"check_gradients({name}, backward, ...)"
        )
    value, answer = result[0], result[1] if len(result) == 2 else tuple(result[1:])
    if len(result) == 2 and not callable(answer) and not _is_scalar(value) and _is_scalar(answer):
        value, answer = answer, value  # (gradients, cost), as some courses have it
    if isinstance(value, dict) or not tree.is_leaf(value):
        raise TypeError(f"the value that {name} returns must be a number, got {_kind(value)}")
    output = np.asarray(value)
    if callable(answer):
        return output, answer
    if output.size != 1:
        raise ValueError(
            f"the value that {name} returns must be a scalar, one number, got the shape "
            f"{output.shape}: one loss a row has no gradient; return its mean() or sum()"
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
    """Return ``backward`` as a function of the derivative by the output alone, and a note.

    Parameters
    ----------
    forward, backward : callable
    arguments : list
        Of forward.
    names : list of str
        Theirs.
    result : object
        What forward returned.
    output : ndarray
        The output in it.
    """
    cached = isinstance(result, tuple) and len(result) > 1
    cache: Any = (result[1] if len(result) == 2 else result[1:]) if cached else None
    required = parameters_of(backward)
    if required is None:
        return (lambda dout: backward(dout, cache) if cached else backward(dout)), ""
    if not required:
        return (lambda dout: backward()), "backward takes no dout: its output counts as the loss"
    known = dict(zip(names, arguments, strict=True))
    if not cached and all(n in known and not DERIVATIVE.fullmatch(n) for n in required):
        call = f"{name_of(backward)}({', '.join(required)})"
        note = f"{call} was taken for the derivative of the function"
        values = [known[n] for n in required]
        if output.ndim == 0:
            return (lambda dout: backward(*values)), note
        return (lambda dout: dout * np.asarray(backward(*values))), note
    if cached and len(required) == len(result) > 2:
        return (lambda dout: backward(dout, *cache)), ""
    derivatives = (i for i, n in enumerate(required) if DERIVATIVE.fullmatch(n) and n not in known)
    index = next(derivatives, 0)
    known |= {name.lower(): value for name, value in known.items()}
    only_cache = cached and sum(not RATE.fullmatch(n) for n in required) == 2
    values = []
    for parameter in required[:index] + required[index + 1 :]:
        if RATE.fullmatch(parameter) and parameter not in known:
            values.append(0.0)
        elif only_cache or (cached and CACHE.fullmatch(parameter)):
            values.append(cache)
        elif CACHE.fullmatch(parameter):
            values.append(arguments[0] if len(arguments) == 1 else tuple(arguments))
        elif parameter in known or parameter.lower() in known:
            values.append(known.get(parameter, known.get(parameter.lower())))
        elif OUTPUT.fullmatch(parameter):
            values.append(output)
        else:
            raise TypeError(_unknown(forward, backward, required, names, index, parameter))
    return (lambda dout: backward(*values[:index], dout, *values[index:])), ""


def _unknown(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    required: list[str],
    names: list[str],
    index: int,
    parameter: str,
) -> str:
    passed = ", ".join("dout" if i == index else name for i, name in enumerate(required))
    return (
        f"{name_of(backward)} takes ({', '.join(required)}), and check_gradients calls "
        f"backward(dout) or backward(dout, cache) with the cache that forward returns; it does not "
        f"know what {parameter!r} is. Write check_gradients({name_of(forward)}, lambda dout: "
        f"{name_of(backward)}({passed}), {', '.join(names)})"
    )
