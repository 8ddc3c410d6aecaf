"""Remarks on a training step: dead and dropped units, vanishing and exploding gradients.

The rules are stated here once, and shown with the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.network import Network

#: How far the norm of a derivative may be from that of the derivative by the outputs.
FAR = 1000.0

#: The share of a layer's units above which dead ones are an alarm.
MANY = 0.5

RULES = (
    f"A gradient vanishes where its norm is below 1/{FAR:.0f} of ‖dz‖, the norm of the derivative "
    f"by the outputs, and explodes where it is above {FAR:.0f} times that.",
    "A unit is dead in a batch if an activation makes it 0 in every row; few rows can make that "
    "chance. An alarm is raised where more than half of a layer's units are dead.",
)


def norm(a: Array) -> float:
    """Return ``√(Σ a²)``, in float64.

    >>> norm(np.array([3.0, 4.0], np.float32))
    5.0
    """
    return float(np.linalg.norm(a.astype(np.float64).ravel()))


def find_dead(x: Array, y: Array) -> tuple[list[str], list[str]]:
    """Return notes and alarms on units of ``y`` (N, M) that this layer makes 0 in every row.

    >>> x = np.array([[1.0, -1.0], [2.0, -3.0]])
    >>> find_dead(x, np.maximum(x, 0))
    (['1 of 2 units dead in this batch, 0 in all 2 rows: 1.'], [])
    """
    dead = ~y.any(axis=0)
    if x.shape == y.shape:
        dead &= x.any(axis=0)  # zeros of the inputs are not of this layer
    if len(y) < 2 or not dead.any():
        return [], []
    units = np.flatnonzero(dead)
    line = (
        f"{len(units)} of {y.shape[1]} units dead in this batch, 0 in all {len(y)} rows: "
        f"{join_numbers(units)}."
    )
    return ([], [line]) if len(units) > MANY * y.shape[1] else ([line], [])


def describe_mask(mask: Array) -> list[str]:
    """Return notes on the random factors (N, M) of the units, which remove those where they are 0.

    >>> describe_mask(np.array([[2.0, 0.0], [2.0, 2.0]]))
    ['1 of 4 units removed, m = 0 (25.0 %); where they stay, m = 2.', 'Removed in row 0: 1.', \
'Removed in row 1: none.']
    """
    gone = mask == 0
    if not gone.any():
        spread = f"mean {mask.mean():.3g} and standard deviation {mask.std():.3g}"
        return [f"No unit removed; the factors m have {spread}."]
    stay = f"; where they stay, m = {mask.max():.6g}" if mask.any() else ""
    return [
        f"{gone.sum():,} of {mask.size:,} units removed, m = 0 ({100 * gone.mean():.1f} %){stay}.",
        *(
            f"Removed in row {number}: {join_numbers(np.flatnonzero(row))}."
            for number, row in enumerate(gone[:3])
        ),
        *["And so on, for every row anew."] * (len(mask) > 3),
    ]


def join_numbers(units: Iterable[Any]) -> str:
    """Return numbers separated by commas, at most twelve.

    >>> join_numbers(range(20)), join_numbers([])
    ('0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more', 'none')
    """
    numbers = [str(unit) for unit in units]
    more = f" and {len(numbers) - 12} more" if len(numbers) > 12 else ""
    return (", ".join(numbers[:12]) or "none") + more


def compare_norms(dy: Array, dx: Array, doutputs: Array) -> tuple[list[str], list[str]]:
    """Return notes and alarms on the norms of the derivatives by a layer's output and input.

    The alarm is raised where a bound is crossed, not again below it.

    >>> compare_norms(np.array([0.5]), np.array([0.0005]), np.array([1.0]))[1]
    ['The gradient vanishes here: ‖dx‖ is 0.0005 times ‖dz‖.']
    """
    top, above, below = norm(doutputs), norm(dy), norm(dx)
    if not (np.isfinite(below) and np.isfinite(top)) or not top:
        return [], []
    if not below:
        return [], ["The derivative is 0 from here down: nothing below learns."] if above else []
    local, far = below / above if above else np.inf, below / top
    text = f"‖dx‖ is {far:.3g} times ‖dz‖."
    notes = [f"‖dx‖/‖dy‖ = {local:.3g}; {text}"]
    if far < 1 / FAR <= above / top:
        return notes, [f"The gradient vanishes here: {text}"]
    if far > FAR >= above / top:
        return notes, [f"The gradient explodes here: {text}"]
    return notes, []


def compare_penalty(name: str, added: Array, data: Array) -> str:
    """Return how large a penalty's gradient is beside the data loss's.

    >>> compare_penalty("w", np.array([1.0]), np.array([-4.0]))
    'w: ‖∂R/∂w‖ = 1, and of the data loss ‖∂L/∂w‖ = 4.'
    """
    return f"{name}: ‖∂R/∂w‖ = {norm(added):.4g}, and of the data loss ‖∂L/∂w‖ = {norm(data):.4g}."


def list_unpenalized(net: Network) -> list[str]:
    """Return the parameters without a penalty, and why.

    >>> import nnreg as nn
    >>> layers = [nn.Dense(1), nn.Dense(1, penalty=None)]
    >>> list_unpenalized(nn.Network(layers, inputs=1, penalty=nn.L2(1)))
    ['Skipped, since only weights are penalized: dense_1.bias, dense_2.bias.', \
'Weights without a penalty: dense_2.weight.']
    """
    reasons: dict[str, list[str]] = {}
    for name, parameter in net.parameters.declared.items():
        if not parameter.weight:
            reasons.setdefault("Skipped, since only weights are penalized", []).append(name)
        elif net.regularization.penalty_of(name) is None:
            reasons.setdefault("Weights without a penalty", []).append(name)
    return [f"{reason}: {', '.join(names)}." for reason, names in sorted(reasons.items())]


def list_penalties(net: Network) -> str:
    """Return the penalties in force, each once.

    >>> import nnreg as nn
    >>> list_penalties(nn.Network([nn.Dense(1)], inputs=1))
    'no penalty'
    """
    names = dict.fromkeys(repr(penalty) for penalty, _, _ in net.regularization.penalties)
    return ", ".join(names) or "no penalty"


def docstring_formula(method: Callable[..., Any]) -> str:
    """Return the formula in the first line of a method's docstring, or the call itself.

    >>> import nnreg as nn
    >>> docstring_formula(nn.L2(0.1).gradient)
    'strength · w'
    """
    line = (method.__doc__ or "").strip().partition("\n")[0]
    parts = line.split("``")
    owner = type(getattr(method, "__self__", None)).__name__
    return parts[1] if len(parts) > 2 else f"{owner}.{method.__name__}(w)"
