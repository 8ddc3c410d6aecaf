"""Remarks on a training step: dead and dropped units, vanishing and exploding gradients.

`RULES` states the criteria, which are shown with the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.network import Network

#: Largest ratio of the norms of a derivative and of the derivative with respect to the outputs.
FAR = 1000.0

#: Share of dead units of a layer above which an alarm is raised.
MANY = 0.5

RULES = (
    f"A gradient vanishes where its norm is below 1/{FAR:.0f} of ‖dz‖, the norm of the derivative "
    f"with respect to the outputs, and explodes where it is above {FAR:.0f} times that.",
    "A unit is dead in a batch if its activation is 0 in every row; with few rows this can be "
    "chance. An alarm is raised where more than half of a layer's units are dead.",
)


def norm(a: Array) -> float:
    """Return ``√(Σ a²)``, in float64.

    >>> norm(np.array([3.0, 4.0], np.float32))
    5.0
    """
    return float(np.linalg.norm(a.astype(np.float64).ravel()))


def find_dead(x: Array, y: Array) -> tuple[list[str], list[str]]:
    """Return notes and alarms on units of ``y`` (N, M) that are 0 in every row.

    >>> x = np.array([[1.0, -1.0], [2.0, -3.0]])
    >>> find_dead(x, np.maximum(x, 0))
    (['1 of 2 units dead in this batch, 0 in all 2 rows: 1.'], [])
    """
    dead = ~y.any(axis=0)
    if x.shape == y.shape:
        dead &= x.any(axis=0)  # zeros of the inputs are not caused by this layer
    if len(y) < 2 or not dead.any():
        return [], []
    units = np.flatnonzero(dead)
    line = (
        f"{len(units)} of {y.shape[1]} units dead in this batch, 0 in all {len(y)} rows: "
        f"{join_numbers(units)}."
    )
    return ([], [line]) if len(units) > MANY * y.shape[1] else ([line], [])


def describe_mask(mask: Array) -> list[str]:
    """Return notes on the random factors (N, M) of the units; a factor of 0 removes a unit.

    >>> describe_mask(np.array([[2.0, 0.0], [2.0, 2.0]]))
    ['1 of 4 units removed, m = 0 (25.0 %); for kept units, m = 2.', 'Removed in row 0: 1.', \
'Removed in row 1: none.']
    """
    removed = mask == 0
    if not removed.any():
        spread = f"mean {mask.mean():.3g} and standard deviation {mask.std():.3g}"
        return [f"No unit removed; the factors m have {spread}."]
    kept = f"; for kept units, m = {mask.max():.6g}" if mask.any() else ""
    return [
        f"{removed.sum():,} of {mask.size:,} units removed, m = 0 "
        f"({100 * removed.mean():.1f} %){kept}.",
        *(
            f"Removed in row {number}: {join_numbers(np.flatnonzero(row))}."
            for number, row in enumerate(removed[:3])
        ),
        *["Each further row has a different mask."] * (len(mask) > 3),
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
    """Return notes and alarms on the norms of the derivatives of a layer's output and input.

    The alarm is raised at the layer where a bound is crossed, not at earlier layers.

    >>> compare_norms(np.array([0.5]), np.array([0.0005]), np.array([1.0]))[1]
    ['The gradient vanishes here: ‖dx‖ is 0.0005 times ‖dz‖.']
    """
    norm_dz, norm_dy, norm_dx = norm(doutputs), norm(dy), norm(dx)
    if not (np.isfinite(norm_dx) and np.isfinite(norm_dz)) or not norm_dz:
        return [], []
    if not norm_dx:
        return [], [
            "The derivative is 0 here and in all earlier layers: they do not learn."
        ] if norm_dy else []
    ratio, ratio_to_dz = norm_dx / norm_dy if norm_dy else np.inf, norm_dx / norm_dz
    text = f"‖dx‖ is {ratio_to_dz:.3g} times ‖dz‖."
    notes = [f"‖dx‖/‖dy‖ = {ratio:.3g}; {text}"]
    if ratio_to_dz < 1 / FAR <= norm_dy / norm_dz:
        return notes, [f"The gradient vanishes here: {text}"]
    if ratio_to_dz > FAR >= norm_dy / norm_dz:
        return notes, [f"The gradient explodes here: {text}"]
    return notes, []


def compare_penalty(name: str, added: Array, data: Array) -> str:
    """Return a note that compares the gradients of a penalty and of the data loss.

    >>> compare_penalty("w", np.array([1.0]), np.array([-4.0]))
    'w: ‖∂R/∂w‖ = 1, and of the data loss ‖∂L/∂w‖ = 4.'
    """
    return f"{name}: ‖∂R/∂w‖ = {norm(added):.4g}, and of the data loss ‖∂L/∂w‖ = {norm(data):.4g}."


def list_unpenalized(net: Network) -> list[str]:
    """Return notes on the parameters without a penalty, by reason.

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
    """Return the penalties of a network, each once.

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
