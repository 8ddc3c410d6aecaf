"""What every door of this package asks: for a count, a number, a known name.

Python counts ``True`` as a whole number and NumPy has its own integers; the questions are asked
here once, so that each error names the argument, what arrived and what was wanted in the same
words.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def whole(name: str, value: Any, *, least: int, most: int | None = None) -> int:
    """Return ``value`` as an int if it is a whole number from ``least`` to ``most``.

    Parameters
    ----------
    name : str
        The argument's name, for the error.
    value : object
        What the caller passed.
    least, most : int
        The bounds, both allowed; ``most=None`` is no upper bound.

    Returns
    -------
    int
        The same number.

    Raises
    ------
    TypeError
        If ``value`` is not an integer (``True`` and ``3.0`` are not).
    ValueError
        If it lies outside the bounds.

    Examples
    --------
    >>> whole("n", 3, least=1)
    3
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    wanted = f"at least {least}" if most is None else f"from {least} to {most}"
    number = int(value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} must be {wanted}, got {number}")
    return number


def real(name: str, value: Any, *, least: float, most: float = math.inf) -> float:
    """Return ``value`` as a float if it is a finite number from ``least`` to ``most``.

    Parameters
    ----------
    name : str
        The argument's name, for the error.
    value : object
        What the caller passed.
    least, most : float
        The bounds, both allowed.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    TypeError
        If ``value`` is not a real number.
    ValueError
        If it is not finite or lies outside the bounds.

    Examples
    --------
    >>> real("noise", 1, least=0)
    1.0
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number = float(value)
    if not (math.isfinite(number) and least <= number <= most):
        wanted = f"at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be finite and {wanted}, got {number}")
    return number


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the known name nearest to ``name``, or an empty text.

    Parameters
    ----------
    name : str
        An unknown name.
    known : iterable of str
        The names that would have been right.

    Returns
    -------
    str
        Text to put behind an error message.

    Examples
    --------
    >>> nearest("digit", ["digits", "mnist"])
    ' (did you mean "digits"?)'
    >>> nearest("zebra", ["digits", "mnist"])
    ''
    """
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean "{found[0]}"?)' if found else ""
