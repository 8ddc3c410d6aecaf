r"""Derivatives measured, not derived: how a scalar changes when an argument moves along a line.

*Complex step* (Squire & Trapp, SIAM Review 40, 1998): the series of ``f(x + ihv)``
begins ``f(x) + ihv·f'(x)``, so ``v·f'(x) = Im f(x + ihv)/h + O(h²)``. Nothing is subtracted, and
``h = 1e-30`` leaves no error but rounding. It needs a function that computes with complex numbers
and looks only at their real parts when it decides.

*Central differences*, ``(f(x + hv) - f(x - hv))/2h``, work for any function and lose half of the
digits or more: error ``O(h²)`` from the formula, ``O(ε/h)`` from rounding, least at ``h`` near
``ε^(1/3)``. *Richardson*'s extrapolation of two of them, ``(4·D(h/2) - D(h))/3``, cancels the
``h²`` term.

At a kink there is no derivative, and a difference taken across one is the derivative of neither
side. Such a point shows in the difference between the slope to the right and the slope to the left:
of the order of ``h`` where the function is smooth, and of the order of the slopes themselves at a
kink. A disagreement no larger than this difference is the kink's, not the formula's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg._support.typing import Array

METHODS = ("complex", "central", "richardson")
STEPS = {"complex": 1e-30, "central": 6e-6, "richardson": 1e-3}

#: By method, the largest relative error of a block that passes.
TOLERANCES = {"complex": 1e-10, "central": 1e-5, "richardson": 1e-7}

#: By method, the size below which a derivative counts as zero; no relative error is taken of less.
#: Where terms of size 1 cancel, rounding leaves 1e-16 or so, which must not be an error.
FLOORS = {"complex": 1e-4, "central": 1e-4, "richardson": 1e-4}

Values = dict[str, Any]  # a number by quantity: data loss, penalty, total


class NotComplexSafe(Exception):  # noqa: N818  # a finding, which the checker handles, not an error
    """The function cannot compute with complex numbers, or drops their imaginary parts."""


def directional_derivatives(
    values: Callable[[Array], Values], point: Array, direction: Array, method: str
) -> dict[str, tuple[float, float]]:
    """Return, by quantity, the derivative along ``direction`` and the jump between its two sides.

    Parameters
    ----------
    values : function (point) -> dict of quantity to scalar
        For ``method="complex"`` it is called with complex points.
    point, direction : ndarray of one shape
    method : {"complex", "central", "richardson"}

    Raises
    ------
    NotComplexSafe
        For ``method="complex"``, if the function cannot compute with complex numbers.

    Examples
    --------
    >>> def cube(x):
    ...     return {"x³": (x**3).sum()}
    >>> x, along = np.array([2.0]), np.array([1.0])
    >>> [
    ...     float(f"{directional_derivatives(cube, x, along, method)['x³'][0]:.8g}")
    ...     for method in METHODS
    ... ]
    [12.0, 12.0, 12.0]
    """
    h = STEPS[method]
    if method == "complex":
        return {k: (v, 0.0) for k, v in _complex_slopes(values, point, direction, h).items()}
    # Scaled so that the point moves by about h of its own size, whatever that is.
    h *= max(1.0, float(np.abs(point).max())) / max(1e-300, float(np.abs(direction).max()))
    middle = values(point)
    right, left = values(point + h * direction), values(point - h * direction)
    if method == "central":
        return {
            k: (
                float((right[k] - left[k]) / (2 * h)),
                abs(float((right[k] - 2 * middle[k] + left[k]) / h)),
            )
            for k in middle
        }
    right_2, left_2 = values(point + h / 2 * direction), values(point - h / 2 * direction)
    return {
        k: (
            float((8 * (right_2[k] - left_2[k]) - (right[k] - left[k])) / (6 * h)),
            abs(float((right_2[k] - 2 * middle[k] + left_2[k]) / (h / 2))),
        )
        for k in middle
    }


def _complex_slopes(
    values: Callable[[Array], Values], point: Array, direction: Array, h: float
) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            moved = values(point + 1j * h * direction)
        except (np.exceptions.ComplexWarning, TypeError) as reason:
            raise NotComplexSafe(str(reason)) from reason
    return {quantity: float(np.imag(value)) / h for quantity, value in moved.items()}
