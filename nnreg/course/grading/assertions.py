"""Assertions for checks: each raises an error whose message is written for the student.

Arrays are passed as copies, so a submission that modifies them loses only the points for that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial, wraps
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.course.grading.submission import CheckFailedError
from nnreg.course.grading.wire import Answers, Remote, replaced
from nnreg.gradcheck.check import check_gradients
from nnreg.layers.base import Layer
from nnreg.testing.contract import (
    CORRECTNESS_CHECKS,
    SIDE_EFFECT_CHECKS,
    ContractError,
    LayerHarness,
    check_gradient,
)
from nnreg.testing.diagnosis.diagnosis import diagnose
from nnreg.testing.known_bugs import KNOWN_BUGS

INEXACT = (
    "as from float32, or from a small number that is added.\n"
    "Hint: compute in float64, the dtype of the arguments, without a small constant."
)
GLOBAL_STATE = (
    "np.random is used or seeded, which changes the random numbers of all other code.\n"
    "Hint: draw from rng, not from np.random."
)


def expect(condition: object, message: str) -> None:
    """Raise ``AssertionError`` with the message unless ``condition``."""
    if not condition:
        raise CheckFailedError(message)


def hint(name: str) -> str:
    """Return description and hint of a known bug.

    >>> print(hint("dense: db averaged"))
    db is the mean over the batch; it should be the sum.
    Hint: Only the loss divides by N, and dy already contains this 1/N: use sum, not mean.
    """
    return f"{KNOWN_BUGS[name].description}\nHint: {KNOWN_BUGS[name].hint}"


def copy_arrays(arguments: tuple[Any, ...]) -> list[Any]:
    """Return the arguments, with copies of the arrays and of the dictionaries of arrays."""
    return [deepcopy(a) if isinstance(a, np.ndarray | dict) else a for a in arguments]


def call_pair(function: Callable[..., Any], *arguments: Any, form: str = "(y, cache)") -> Any:
    """Call a function with copies of the arguments and return its result, a pair."""
    return require_pair(function, function(*copy_arrays(arguments)), form)


def require_pair(function: Callable[..., Any], result: Any, form: str = "(y, cache)") -> Any:
    """Return a result; raise if it is not a pair."""
    is_pair = isinstance(result, tuple) and len(result) == 2 and result[0] is not None
    name, kind = getattr(function, "__name__", "It"), type(result).__name__
    kind = f"{len(result)} values" if isinstance(result, tuple) else kind
    expect(is_pair, f"{name} must return the pair {form}, got {kind}.")
    return result


def require_gradients(result: Any, count: int) -> tuple[Any, ...]:
    """Return the result of a backward function as a tuple of ``count`` gradients."""
    result = result if isinstance(result, tuple | list) else (result,)
    expect(
        len(result) == count and all(a is not None for a in result),
        f"The backward function must return {count} gradient(s): check its return statement.",
    )
    return tuple(result)


def assert_close(
    name: str, result: Any, expected: Any, known_errors: Mapping[str, Any] | None = None
) -> None:
    """Raise unless an array, or a number, has the expected shape and values.

    Values are compared to ten digits, or to six if the expected ones are float32.

    Parameters
    ----------
    name : str
        The name of the result, for the message.
    result, expected : array_like
    known_errors : mapping of str to array_like, optional
        The values that known mistakes produce, with the hints as keys. A mistake whose values
        depend on the rest of the code has several, in a tuple.

    Examples
    --------
    >>> assert_close("value", 0.6, 0.3, {"There is a factor 1/2.": 0.6})
    Traceback (most recent call last):
        ...
    nnreg.course.grading.submission.CheckFailedError: value is 0.6, expected 0.3.
    Hint: There is a factor 1/2.
    """
    result, expected = np.asarray(result), np.asarray(expected)
    expect(
        result.shape == expected.shape,
        f"{name} has the shape {result.shape}, expected {expected.shape}.",
    )
    expect(result.dtype.kind in "fiub", f"{name} must hold numbers, got {result.dtype}.")
    rtol = 1e-6 if expected.dtype == np.float32 else 1e-10
    close = np.isclose(result, expected, rtol=rtol, atol=1e-12)
    if not close.all() and np.allclose(result, expected, rtol=1e-6, atol=1e-12):
        error = np.max(np.abs(result - expected) / np.maximum(np.abs(expected), 1e-12))
        raise CheckFailedError(f"{name} has the relative error {error:.1g}, {INEXACT}")
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        entry = f"{name}{list(at) if at else ''}"
        known = describe_known_error(result, known_errors or {})
        raise CheckFailedError(f"{entry} is {result[at]:.6g}, expected {expected[at]:.6g}.{known}")


def assert_nonzero(name: str, result: Any) -> None:
    """Raise if a result is zero everywhere, since comparisons with it would then prove nothing."""
    expect(np.any(result), f"{name} is zero everywhere.")


def describe_known_error(result: Any, known_errors: Mapping[str, Any]) -> str:
    r"""Return a line with the hint of the first known error whose values equal the result, or "".

    >>> describe_known_error([2.0, 4.0], {"half": [0.5, 1.0], "twice": [2.0, 4.0]})
    '\nHint: twice'
    """
    for description, wrong in known_errors.items():
        if any(
            np.shape(result) == np.shape(values)
            and np.allclose(result, values, rtol=1e-6, atol=1e-12)
            for values in (wrong if isinstance(wrong, tuple) else (wrong,))
        ):
            return f"\n{description}" if "Hint: " in description else f"\nHint: {description}"
    return ""


@contextmanager
def patched(function: Callable[..., Any], **replacements: Any) -> Iterator[None]:
    """Replace functions that a function of the submission calls, within a context.

    Examples
    --------
    >>> def double(x):
    ...     return x + x + 1
    >>> def four_times(x):
    ...     return double(double(x))
    >>> with patched(four_times, double=lambda x: 2 * x):
    ...     four_times(3)
    12
    """
    if not isinstance(function, Remote):
        with replaced(getattr(function, "__globals__", {}), replacements):
            yield
        return
    function._wire.ask("patch", replacements)
    try:
        yield
    finally:
        function._wire.ask("restore")


def library(submission: Any, name: str = "nnreg") -> Any:
    """Return a module as imported by the submission's process, to create arguments there."""
    if isinstance(submission, Answers):
        return submission.wire.ask("library", name)
    return importlib.import_module(name)


def watch_global_state(submission: Any) -> Callable[[], bool]:
    """Return a function that returns whether NumPy's global generator has been used or seeded."""
    generator = library(submission, "numpy.random")
    generator.random()  # its state is not that after a seed

    def state() -> tuple[Any, ...]:
        _, key, position, *_ = generator.get_state()
        return position, bytes(np.asarray(key))

    before = state()
    return lambda: state() != before


class Deferred(partial[Any]):
    """A deferred call that returns a cache; it is made when backward is called."""


def with_reference_output(
    right: Callable[..., Any], forward: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a forward function with the correct output and the submission's cache."""

    @wraps(right)
    def both(*arguments: Any) -> Any:
        copies = copy_arrays(arguments)
        return right(*arguments), Deferred(lambda: call_pair(forward, *copies)[1])

    return both


def with_reference_value(
    right: Callable[..., Any], function: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a function with the correct value and the submission's gradient at real arguments."""

    @wraps(right)
    def both(x: Any, *others: Any) -> Any:
        gradient = np.zeros_like(x)
        if not np.iscomplexobj(x):  # complex arguments are for differentiation of the value
            gradient = call_pair(function, x, *others, form="(value, gradient)")[1]
        return right(x, *others), gradient

    return both


def assert_gradient(
    block: str, forward: Callable[..., Any], backward: Callable[..., Any], *arguments: Any
) -> None:
    """Raise, with a diagnosis, unless the gradient with respect to one argument is correct."""

    @wraps(backward)
    def resolved(dy: Any, cache: Any) -> Any:
        return backward(dy, cache() if isinstance(cache, Deferred) else cache)

    y, cache = forward(*copy_arrays(arguments))
    arrays = sum(isinstance(a, np.ndarray) for a in arguments)
    require_gradients(resolved(np.ones_like(y), cache), arrays)
    assert_diagnosed(block, forward, resolved, *arguments)


def assert_slope(function: Callable[..., Any], *arguments: Any) -> None:
    """Raise, with a diagnosis, unless a function's gradient is the derivative of its value.

    ``function`` returns ``(value, gradient)``; the gradient is with respect to the first argument.
    """
    gradient = call_pair(function, *arguments, form="(value, gradient)")[1]
    expected = np.shape(arguments[0])
    expect(
        np.shape(gradient) == expected,
        f"The gradient has the shape {np.shape(gradient)}, expected {expected}.",
    )
    assert_diagnosed(None, function, *arguments)


def assert_diagnosed(
    block: str | None,
    *subject: Any,
    result: Any = None,
    known_errors: Mapping[str, Any] | None = None,
) -> None:
    """Raise, with a diagnosis, unless a gradient is correct.

    Parameters
    ----------
    block : str or None
        Name of the gradient in :func:`nnreg.check_gradients`; None means all.
    *subject
        The arguments of :func:`nnreg.check_gradients`.
    result, known_errors : array_like and mapping, optional
        As for :func:`assert_close`, for mistakes that are not among the known bugs.
    """
    rows = check_gradients(*subject).rows
    wrong = [row for row in rows if not row.passed and block in (None, row.block)]
    if wrong:
        message = describe_known_error(result, known_errors or {})
        expect(not message, f"{wrong[0].sentence()}.{message}")
        first = diagnose(*subject)
        known = [d for d in (first, *first.others) if d.known_bug and block in (None, d.block)]
        if known:
            raise CheckFailedError(f"{known[0].sentence}\nHint: {known[0].hint}")
        sentence = wrong[0].sentence().partition(": if that is intended")[0]
        raise CheckFailedError(f"{sentence}.")


def assert_unchanged(
    forward: Callable[..., Any], backward: Callable[..., Any], *arguments: Any
) -> None:
    """Raise unless the functions leave their arguments unchanged, and use the cache alone.

    Another forward pass must not change what backward returns for the cache of the first.
    """
    copies = list(deepcopy(arguments))
    y, cache = require_pair(forward, forward(*copies))
    assert_nonzero("y", y)
    expect(all(map(_equal, copies, arguments)), hint("layer: x damaged"))
    dy = np.ones_like(y)
    first = _joined(backward(dy, cache))
    expect(np.all(dy == 1), hint("layer: dy damaged"))
    expect(
        all(map(_equal, copies, arguments)),
        "backward changes an argument of forward: write into a new array.",
    )
    _, cache = forward(*deepcopy(arguments))
    if not np.array_equal(_joined(backward(dy, cache)), first):
        return  # the functions are random, which other checks find
    _, cache = forward(*deepcopy(arguments))
    others = list(deepcopy(arguments))
    for other in others:
        if isinstance(other, np.ndarray):
            other *= -1
        elif isinstance(other, np.random.Generator):
            other.random()
    forward(*others)
    expect(
        np.array_equal(_joined(backward(dy, cache)), first),
        "backward uses values of the last forward pass, not of its cache.\n"
        "Hint: a network calls forward of every layer before backward; return the values that "
        "backward needs in the cache, and use no global variable.",
    )


def _joined(gradients: Any) -> Array:
    gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
    return np.concatenate([np.empty(0), *map(np.ravel, gradients)])


def assert_arguments_unchanged(function: Callable[..., Any], *arguments: Any) -> None:
    """Raise unless a function leaves its arguments unchanged."""
    copies = copy_arrays(arguments)
    function(*copies)
    expect(
        all(map(_equal, copies, arguments)),
        f"{function.__name__} changes an argument: return a new array.",
    )


def _equal(a: Any, b: Any) -> bool:
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in b)
    return np.array_equal(a, b) if isinstance(b, np.ndarray) else True


def assert_contract(make: Callable[[], Layer], *codes: str) -> None:
    """Raise if a layer violates the layer contract in one of these ways; ignore other violations.

    An exception of the layer is raised unchanged.

    Parameters
    ----------
    make : function () -> Layer
    *codes : str
        As in :class:`nnreg.testing.ContractError`: ``"changes x"``, ``"stale"``, ...
    """
    harness = LayerHarness(make, inputs=4, rows=5, seed=0)
    for check in (*SIDE_EFFECT_CHECKS, *CORRECTNESS_CHECKS):
        if check is check_gradient and "gradient" not in codes:
            continue  # the slowest check
        try:
            check(harness)
        except ContractError as error:
            if error.__cause__ is not None:
                raise error.__cause__ from None
            if error.code in codes:
                known = [hint(bug.name) for bug in KNOWN_BUGS.values() if bug.code == error.code]
                raise CheckFailedError(known[0] if known else str(error)) from None
