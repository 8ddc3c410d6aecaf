"""What checks are written with: each function passes, or raises a sentence for the student.

``x``, ``dy`` and the like are handed over as copies, so that a submission which damages them loses
the points for that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import wraps
from typing import Any

import numpy as np

from nnreg.course.grading.submission import MissedError
from nnreg.gradcheck.check import check_gradients
from nnreg.layers.base import Layer
from nnreg.testing.contract import (
    CORRECTNESS_CHECKS,
    SIDE_EFFECT_CHECKS,
    ContractError,
    LayerHarness,
)
from nnreg.testing.diagnosis.diagnosis import diagnose
from nnreg.testing.known_bugs import KNOWN_BUGS


def expect(holds: object, message: str) -> None:
    """Raise ``AssertionError`` with the message unless ``holds``."""
    if not holds:
        raise MissedError(message)


def hint(name: str) -> str:
    """Return what the gallery says of a mistake.

    >>> print(hint("dense: db averaged"))
    db is the mean over the batch; it should be the sum.
    Hint: Only the loss divides by N, and dy has that 1/N in it already: use sum, not mean.
    """
    return f"{KNOWN_BUGS[name].description}\nHint: {KNOWN_BUGS[name].hint}"


def copies(arguments: tuple[Any, ...]) -> list[Any]:
    """Return the arguments, with arrays and dictionaries of arrays of their own."""
    return [deepcopy(a) if isinstance(a, np.ndarray | dict) else a for a in arguments]


def pair(function: Callable[..., Any], *arguments: Any, made: str = "(y, cache)") -> Any:
    """Return the pair that a function returns, whatever it does with its arrays."""
    return paired(function, function(*copies(arguments)), made)


def paired(function: Callable[..., Any], result: Any, made: str = "(y, cache)") -> Any:
    """Return a result if it is a pair."""
    good = isinstance(result, tuple) and len(result) == 2 and result[0] is not None
    name = getattr(function, "__name__", "It")
    expect(good, f"{name} must return the pair {made}, got {_kind(result)}.")
    return result


def results(answer: Any, count: int) -> tuple[Any, ...]:
    """Return the answer of a backward function as a tuple of so many gradients."""
    answer = answer if isinstance(answer, tuple) else (answer,)
    given = len(answer) == count and all(a is not None for a in answer)
    expect(given, f"The backward function must return {count} gradient(s): look at its return.")
    return tuple(answer)


def same(name: str, found: Any, wanted: Any, wrongs: Mapping[str, Any] | None = None) -> None:
    """Raise unless an array, or a number, has the shape and the values that are wanted.

    Parameters
    ----------
    name : str
        What it is called.
    found, wanted : array_like
    wrongs : mapping of str to array_like, optional
        Values that would come of a mistake, under what is to be said of it.

    Examples
    --------
    >>> same("value", 0.6, 0.3, {"There is a factor 1/2.": 0.6})
    Traceback (most recent call last):
        ...
    nnreg.course.grading.submission.MissedError: value is 0.6, wanted is 0.3.
    Hint: There is a factor 1/2.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    shapes = f"{name} has the shape {found.shape}, wanted is {wanted.shape}."
    expect(found.shape == wanted.shape, shapes)
    expect(found.dtype.kind in "fiub", f"{name} must hold numbers, got {found.dtype}.")
    close = np.isclose(found, wanted, rtol=1e-6, atol=1e-12)
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        where = f"{name}{list(at) if at else ''}"
        said = told(found, wrongs or {})
        hinted = f"\nHint: {said}" if said else ""
        expect(False, f"{where} is {found[at]:.6g}, wanted is {wanted[at]:.6g}.{hinted}")


def told(found: Any, wrongs: Mapping[str, Any]) -> str:
    """Return what is said of the first of the wrong values that equals what was found.

    >>> told([2.0, 4.0], {"half": [0.5, 1.0], "twice": [2.0, 4.0]})
    'twice'
    """
    for words, wrong in wrongs.items():
        if np.shape(found) == np.shape(wrong) and np.allclose(found, wrong, rtol=1e-6, atol=1e-12):
            return words
    return ""


@contextmanager
def instead(function: Callable[..., Any], **right: Any) -> Iterator[None]:
    """Let a function of the submission call right ones, where it would call its own.

    Examples
    --------
    >>> def double(x):
    ...     return x + x + 1
    >>> def four_times(x):
    ...     return double(double(x))
    >>> with instead(four_times, double=lambda x: 2 * x):
    ...     four_times(3)
    12
    """
    names = getattr(function, "__globals__", {})
    own = {name: names[name] for name in right if name in names}
    names.update(right)
    try:
        yield
    finally:
        for name in right:
            del names[name]
        names.update(own)


def behind(right: Callable[..., Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a forward function with the right output and the submission's cache."""

    @wraps(right)
    def both(*arguments: Any) -> Any:
        return right(*arguments), pair(forward, *arguments)[1]

    return both


def gradient(
    block: str, forward: Callable[..., Any], backward: Callable[..., Any], *arguments: Any
) -> None:
    """Raise, with a diagnosis, unless the derivative by one argument is right."""
    y, cache = forward(*copies(arguments))
    arrays = sum(isinstance(a, np.ndarray) for a in arguments)
    results(backward(np.ones_like(y), cache), arrays)
    diagnosed(block, forward, backward, *arguments)


def slope(function: Callable[..., Any], *arguments: Any) -> None:
    """Raise, with a diagnosis, unless a function's gradient is that of its value.

    ``function`` returns ``(value, gradient)``; the gradient is by the first argument.
    """
    answer = pair(function, *arguments, made="(value, gradient)")[1]
    wanted = np.shape(arguments[0])
    shapes = f"The gradient has the shape {np.shape(answer)}, wanted is {wanted}."
    expect(np.shape(answer) == wanted, shapes)
    diagnosed(None, function, *arguments)


def diagnosed(
    block: str | None, *subject: Any, found: Any = None, wrongs: Mapping[str, Any] | None = None
) -> None:
    """Raise, with a diagnosis, unless a gradient is right.

    Parameters
    ----------
    block : str or None
        Which gradient, as :func:`nnreg.check_gradients` calls it; None is any.
    *subject
        What :func:`nnreg.check_gradients` takes.
    found, wrongs : array_like and mapping, optional
        As for :func:`same`, for mistakes that the gallery does not have.
    """
    rows = check_gradients(*subject).rows
    wrong = [row for row in rows if not row.passed and block in (None, row.block)]
    if wrong:
        said = told(found, wrongs or {})
        expect(not said, f"{wrong[0].sentence()}.\nHint: {said}")
        first = diagnose(*subject)
        known = [d for d in (first, *first.others) if d.known_bug and block in (None, d.block)]
        expect(not known, f"{known[0].sentence}\nHint: {known[0].hint}" if known else "")
        expect(False, f"{wrong[0].sentence()}.")


def unchanged(forward: Callable[..., Any], backward: Callable[..., Any], *arguments: Any) -> None:
    """Raise unless both functions leave the arrays that they are given as they were."""
    given = copies(arguments)
    y, cache = paired(forward, forward(*given))
    expect(_equal(given, arguments), hint("layer: x damaged"))
    dy = np.ones_like(y)
    backward(dy, cache)
    expect(np.all(dy == 1), hint("layer: dy damaged"))
    expect(
        _equal(given, arguments),
        "backward changes an array that forward was given: write into a new one.",
    )


def untouched(function: Callable[..., Any], *arguments: Any) -> None:
    """Raise unless a function leaves the arrays that it is given as they were."""
    given = copies(arguments)
    function(*given)
    name = function.__name__
    expect(_equal(given, arguments), f"{name} changes an array that it is given: make a new one.")


def _equal(given: list[Any], arguments: tuple[Any, ...]) -> bool:
    return all(_same(a, b) for a, b in zip(given, arguments, strict=True))


def _same(a: Any, b: Any) -> bool:
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in b)
    return np.array_equal(a, b) if isinstance(b, np.ndarray) else True


def _kind(result: Any) -> str:
    name = type(result).__name__
    return f"{len(result)} things" if isinstance(result, tuple) else name


def promised(make: Callable[[], Layer], *findings: str) -> None:
    """Raise if a layer breaks one of these promises of the layers' contract, and not for others.

    An exception of the layer's own is raised as it is.

    Parameters
    ----------
    make : function () -> Layer
    *findings : str
        As the gallery's mistakes name them: ``"changes x"``, ``"stale"``, ...
    """
    trial = LayerHarness(make, inputs=4, rows=5, seed=0)
    for promise in (*SIDE_EFFECT_CHECKS, *CORRECTNESS_CHECKS):
        try:
            promise(trial)
        except ContractError as error:
            if error.__cause__ is not None:
                raise error.__cause__ from None
            if error.code in findings:
                known = [hint(m.name) for m in KNOWN_BUGS.values() if m.code == error.code]
                expect(False, known[0] if known else str(error))
