"""Known bugs of whole gradients: functions that return a value and gradients by several arrays.

Nothing is known of the function but its value; the right gradient ``g`` by an array ``w`` is
measured, and the wrong one is compared with it, with ``w``, and with the sizes of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.losses import MeanSquaredError
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, KnownBug, close

#: The strength of the penalty of the examples.
STRENGTH = 0.3


class Regression:
    """The value and the gradients of a linear regression with an L2 penalty.

    Parameters
    ----------
    wrong : function (FormulaInputs) -> ndarray
        The gradient by the block.
    block : {"W", "b"}
    """

    def __init__(self, wrong: Formula, block: str) -> None:
        self.wrong, self.block = wrong, block

    def example(self, rng: Any) -> tuple[Any, ...]:
        """Return this function with arguments."""
        params = {"W": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}
        return self, params, rng.standard_normal((5, 4)), rng.standard_normal((5, 3))

    def __call__(
        self, params: dict[str, Array], x: Array, y: Array
    ) -> tuple[Any, dict[str, Array]]:
        """Return the loss and the gradients by ``params``."""
        w, b = params["W"], params["b"]
        data, dz = MeanSquaredError().compute(x @ w + b, y)
        value = data + 0.5 * STRENGTH * (w * w).sum()
        grads = {"W": x.T @ dz + STRENGTH * w, "b": dz.sum(axis=0)}
        if not np.iscomplexobj(value):
            p = FormulaInputs(grads[self.block], x=x, own=params[self.block], counts=x.shape)
            grads[self.block] = self.wrong(p)
        return value, grads


def _gradient(
    name: str,
    description: str,
    hint: str,
    wrong: Formula,
    *,
    block: str = "W",
    role: str | None = None,
    seen: Callable[[FormulaInputs, Array], bool] | None = None,
) -> KnownBug:
    return KnownBug(
        f"gradient: {name}",
        "any gradient",
        description,
        hint,
        make=lambda: Regression(wrong, block),
        block=role,
        wrong=wrong,
        seen=seen,
    )


def _factor(p: FormulaInputs, returned: Array) -> float:
    """Return the constant ratio of a gradient to the right one, or 0."""
    size = float(np.vdot(p.right, p.right))
    if returned.shape != p.right.shape or not size:
        return 0.0
    factor = float(np.vdot(p.right, returned)) / size
    return factor if factor and close(returned, factor * p.right, p.tolerance) else 0.0


def _is_count(number: float, p: FormulaInputs) -> bool:
    return any(n > 2 and abs(number - n) < 10 * p.tolerance * n for n in p.counts)


def _times_count(p: FormulaInputs, returned: Array) -> bool:
    # A penalty's gradient beside it may be right.
    sk = coefficients(p, returned) or (_factor(p, returned), 0.0)
    return _is_count(sk[0], p)


def _divided_by_count(p: FormulaInputs, returned: Array) -> bool:
    sk = coefficients(p, returned) or (_factor(p, returned), 0.0)
    return sk[0] != 0 and _is_count(1 / sk[0], p)


def coefficients(p: FormulaInputs, returned: Array) -> tuple[float, float] | None:
    """Return ``(s, k)`` where ``returned`` is ``s·g + k·w``, or None where it is no such sum."""
    if (
        returned.shape != p.right.shape
        or p.own.shape != returned.shape
        or p.own.size < 3
        or not np.isfinite(returned).all()
    ):
        return None
    columns = np.stack([p.right.ravel(), p.own.ravel()], axis=1)
    (s, k), _, rank, _ = np.linalg.lstsq(columns, returned.ravel())
    if rank < 2 or not close((columns @ [s, k]).reshape(returned.shape), returned, p.tolerance):
        return None
    return float(s), float(k)


def _penalty_differs(p: FormulaInputs, returned: Array) -> bool:
    sk = coefficients(p, returned)
    return sk is not None and abs(sk[0] - 1) < p.tolerance < abs(sk[1])


def _penalty_after_clip(p: FormulaInputs, returned: Array) -> bool:
    sk = coefficients(p, returned)
    return sk is not None and p.tolerance < sk[0] < 1 - p.tolerance and sk[1] > p.tolerance


def _clipped(p: FormulaInputs) -> Array:
    data = p.right - STRENGTH * p.own
    return 0.3 * data + STRENGTH * p.own  # not 1/N of a small N, which is another known bug


ONCE = "Value and gradient are divided by the same number, once: in the loss."

GRADIENTS = (
    _gradient(
        "missing",
        "dw is zero everywhere.",
        "Was the array that is returned ever written?",
        lambda p: 0.0 * p.right,
    ),
    _gradient(
        "sign",
        "dw has the wrong sign.",
        "The optimizer subtracts the gradient; return the derivative itself, not the step.",
        lambda p: -p.right,
    ),
    _gradient(
        "twice",
        "dw is twice the right one.",
        "Does the value have a 1/2 that the gradient forgot, or is something added twice?",
        lambda p: 2.0 * p.right,
    ),
    _gradient(
        "half",
        "dw is half the right one.",
        "The derivative of r² is 2r. Is there a 2 that the value has no 1/2 for?",
        lambda p: 0.5 * p.right,
    ),
    _gradient(
        "times N",
        "dw is too large by the number of rows or columns: the value is a mean, dw a sum.",
        ONCE,
        lambda p: p.right * p.counts[0],
        seen=_times_count,
    ),
    _gradient(
        "divided by N",
        "dw is too small by the number of rows or columns: it is divided once more than the value.",
        ONCE,
        lambda p: p.right / p.counts[0],
        seen=_divided_by_count,
    ),
    _gradient(
        "transposed",
        "dw is the transpose of the right one.",
        "Write the shapes under the product: (D, N) times (N, M) is (D, M), the shape of w.",
        lambda p: p.right.T,
        role="weight",
        seen=lambda p, returned: close(returned, p.right.T, p.tolerance),
    ),
    _gradient(
        "penalty on the bias",
        "db differs from the right one by a multiple of b: the penalty's gradient reaches the bias "
        "and its value does not.",
        "Penalize weights alone, in the value and in the gradient.",
        lambda p: p.right + STRENGTH * p.own,
        block="b",
        role="bias",
        seen=_penalty_differs,
    ),
    _gradient(
        "penalty's term",
        "dw differs from the right one by a multiple of w: the penalty's gradient does not belong "
        "to its value.",
        "reg·Σw² has the gradient 2·reg·w, reg/2·Σw² has reg·w. Add it once, to each weight array.",
        lambda p: p.right + STRENGTH * p.own,
        role="weight",
        seen=_penalty_differs,
    ),
    _gradient(
        "penalty added after the clip",
        "dw is a clipped gradient with the penalty's gradient added after the clip.",
        "Add the penalty's gradient first, then clip; and check the gradient before it is clipped.",
        _clipped,
        role="weight",
        seen=_penalty_after_clip,
    ),
)
