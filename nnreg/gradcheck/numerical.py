r"""Numerical derivatives of a scalar function of an array, along a direction.

*Complex step* (Squire & Trapp, SIAM Review 40, 1998): the series of ``f(x + ihv)``
begins ``f(x) + ihv·f'(x)``, so ``v·f'(x) = Im f(x + ihv)/h + O(h²)``. Nothing is subtracted, and
with ``h = 1e-30`` the only error is that of rounding. It requires a function that computes with
complex numbers and compares only their real parts.

*Central differences*, ``(f(x + hv) - f(x - hv))/2h``, work for any function and lose half of the
digits or more: error ``O(h²)`` from the formula, ``O(ε/h)`` from rounding, least at ``h`` near
``ε^(1/3)``. *Richardson*'s extrapolation of two of them, ``(4·D(h/2) - D(h))/3``, cancels the
``h²`` term.

Code that computes in float32 has an ``ε`` of 6e-8; the step is larger accordingly.

At a kink there is no derivative, and a difference across a kink is the derivative of neither side.
Kinks are detected by the difference between the slope to the right and the slope to the left: it is
of the order of ``h`` where the function is smooth, and of the order of the slopes themselves at a
kink. A disagreement no larger than this difference is attributed to the kink.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from nnreg._support.typing import Array

METHODS = ("complex", "central", "richardson")

#: Step by method. ``"float32"`` is Richardson's extrapolation of single-precision values.
STEPS = {"complex": 1e-30, "central": 6e-6, "richardson": 1e-3, "float32": 0.05}

#: Largest relative error of a block that passes, by method.
TOLERANCES = {"complex": 1e-10, "central": 1e-5, "richardson": 1e-7, "float32": 5e-3}

#: Smallest denominator of a relative error. If terms of size 1 cancel, rounding leaves about 1e-16,
#: which must not count as an error.
FLOOR = 1e-4

Values = dict[str, Any]  # quantity (data loss, penalty, total) to number


class NotComplexSafe(Exception):  # noqa: N818  # a result, which the check handles, not an error
    """The function cannot compute with complex numbers, or drops their imaginary parts."""


def directional_derivatives(
    values: Callable[[Array], Values],
    point: Array,
    direction: Array,
    method: str,
    value_at_point: Values | None = None,
) -> dict[str, tuple[float, float]]:
    """Return, by quantity, the derivative along ``direction`` and the jump of the slope.

    Parameters
    ----------
    values : function (point) -> dict of quantity to scalar
        For ``method="complex"`` it is called with complex points.
    point, direction : ndarray of one shape
    method : {"complex", "central", "richardson", "float32"}
    value_at_point : dict of quantity to scalar, optional
        ``values(point)``, if it has been computed.

    Raises
    ------
    NotComplexSafe
        For ``method="complex"``, if the function cannot compute with complex numbers.

    Examples
    --------
    >>> def cube(x):
    ...     return {"x³": (x**3).sum()}
    >>> x, v = np.array([2.0]), np.array([1.0])
    >>> [float(f"{directional_derivatives(cube, x, v, m)['x³'][0]:.8g}") for m in METHODS]
    [12.0, 12.0, 12.0]
    """
    if method == "complex":
        [derivatives] = complex_steps(values, point, [direction])
        return {quantity: (value, 0.0) for quantity, value in derivatives.items()}
    # Scaled so that the largest change is about h relative to the largest entry of the point.
    scale = max(1.0, np.abs(point).max()) / max(1e-300, np.abs(direction).max())
    h = STEPS[method] * scale
    center = values(point) if value_at_point is None else value_at_point

    def differences(h: float) -> dict[str, tuple[float, float]]:
        right, left = values(point + h * direction), values(point - h * direction)
        return {
            k: ((right[k] - left[k]) / (2 * h), abs(right[k] - 2 * center[k] + left[k]) / h)
            for k in center
        }

    whole = differences(h)
    if method == "central":
        return whole
    half = differences(h / 2)
    # A kink lies within the half step, or between it and the whole step.
    return {
        k: ((4 * half[k][0] - slope) / 3, max(half[k][1], abs(slope - half[k][0])))
        for k, (slope, _) in whole.items()
    }


_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a fork waits, so that the child has the filters of before
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


@contextmanager
def filter_warnings(action: Literal["error", "ignore"], category: type[Warning]) -> Iterator[None]:
    """Set a filter of warnings inside the block, in one thread at a time.

    The filters are those of the whole process: threads that overlap would restore each other's.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter(action, category)
        yield


def complex_steps(
    values: Callable[[Array], Values], point: Array, directions: Sequence[Array] | Array
) -> list[dict[str, float]]:
    """Return, for each direction, the derivative of each quantity along it by the complex step.

    Raises
    ------
    NotComplexSafe
        If the function cannot compute with complex numbers.
    """
    h, result = STEPS["complex"], []
    with filter_warnings("error", np.exceptions.ComplexWarning):
        try:
            for step in 1j * h * np.asarray(directions):
                shifted = values(point + step)
                result.append({k: float(value.imag) / h for k, value in shifted.items()})
        except Exception as error:  # an assertion of real dtypes, a function of math, ...
            reason = str(error) or "it requires real numbers"
            raise NotComplexSafe(f"{type(error).__name__}: {reason}") from error
    return result
