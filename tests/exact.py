"""Activations and losses compared with their definitions in 60 digits, at the extremes too.

``largest_errors(name, dtype)`` returns the largest errors of values and of gradients.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from mpmath import mp, mpf

import nnreg as nn

mp.dps = 60

SIZES = [0, 1e-30, 0.1, 1, 5, 8, 16, 17.3, 20, 30, 36, 87, 88, 100, 700, 745, 1e4, 1e38]


def points(dtype: Any) -> list[np.ndarray]:
    """Return these numbers and the smallest ones of the dtype, with both signs."""
    info = np.finfo(dtype)
    sizes = [*SIZES, info.smallest_subnormal, 3 * info.tiny / 4, info.tiny, info.eps]
    return [dtype(sign * size) for size in sizes for sign in (1, -1)]


def positive(x: mpf) -> mpf:
    return max(x, mpf(0))


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


def softplus(x: mpf) -> mpf:
    return positive(x) + mp.log1p(mp.exp(-abs(x)))


def normal(x: mpf) -> mpf:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


# Each layer, its function, and its derivative.
ACTIVATIONS: dict[str, tuple[Callable[[], nn.Layer], Any, Any]] = {
    "ReLU": (nn.ReLU, positive, lambda x: mpf(x > 0)),
    "LeakyReLU(0.25)": (
        lambda: nn.LeakyReLU(0.25),
        lambda x: max(x, x / 4),
        lambda x: mpf(1) if x > 0 else mpf(1) / 4,
    ),
    "ELU": (nn.ELU, lambda x: positive(x) + mp.expm1(min(x, 0)), lambda x: mp.exp(min(x, 0))),
    "ELU(0.25)": (
        lambda: nn.ELU(0.25),
        lambda x: positive(x) + mp.expm1(min(x, 0)) / 4,
        lambda x: mpf(1) if x > 0 else mp.exp(x) / 4,
    ),
    "GELU": (
        nn.GELU,
        lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
        lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * normal(x),
    ),
    "Tanh": (nn.Tanh, mp.tanh, lambda x: mp.sech(x) ** 2),
    "Sigmoid": (nn.Sigmoid, sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "Softplus": (nn.Softplus, softplus, sigmoid),
}


def cross_entropy(*numbers: mpf) -> mpf:
    """Return ``Σₖ tₖ log Σⱼ e^(zⱼ - zₖ)`` for three outputs and three targets; nothing cancels."""
    z, t = numbers[:3], numbers[3:]
    others = [mp.fsum(mp.exp(z[j] - z[k]) for j in range(3) if j != k) for k in range(3)]
    return mp.fsum(t[k] * mp.log1p(others[k]) for k in range(3))


def cross_entropy_dz(k: int, *numbers: mpf) -> mpf:
    """Return ``pₖ Σⱼ tⱼ - tₖ``, as ``Σⱼ (pₖ tⱼ - pⱼ tₖ)``."""
    z, t = numbers[:3], numbers[3:]
    p = [1 / mp.fsum(mp.exp(v - z[j]) for v in z) for j in range(3)]
    return mp.fsum(p[k] * t[j] - p[j] * t[k] for j in range(3) if j != k)


def huber(r: mpf) -> mpf:
    return r * r / 2 if abs(r) <= 1 else abs(r) - mpf(1) / 2


# Each loss of one output z and a target y: targets, the function, and its derivative by z.
ELEMENTS: dict[str, tuple[nn.Loss, list[float], Any, Any]] = {
    "SigmoidCrossEntropy": (
        nn.SigmoidCrossEntropy(),
        [0, 1, 0.25],
        lambda z, y: y * softplus(-z) + (1 - y) * softplus(z),
        lambda z, y: (1 - y) * sigmoid(z) - y * sigmoid(-z),
    ),
    "MeanSquaredError": (
        nn.MeanSquaredError(),
        [0, 1, -17.25],
        lambda z, y: (z - y) ** 2,
        lambda z, y: 2 * (z - y),
    ),
    "Huber": (
        nn.Huber(),
        [0, 1, -17.25],
        lambda z, y: huber(z - y),
        lambda z, y: min(max(z - y, -1), 1),
    ),
    "Quantile": (
        nn.Quantile(0.75),
        [0, 1, -17.25],
        lambda z, y: (z - y) * (0.25 if z > y else -0.75),
        lambda z, y: mpf((0.25 if z > y else -0.75) if z != y else 0),
    ),
    "Poisson": (
        nn.Poisson(),
        [0, 1, 20],
        lambda z, y: mp.exp(z) - y * z,
        lambda z, y: mp.exp(z) - y,
    ),
}

# The targets of rows of three outputs: class numbers, or probabilities.
ROWS: dict[str, list[Any]] = {
    "SoftmaxCrossEntropy, labels": [0, 1],
    "SoftmaxCrossEntropy, probabilities": [[0, 1, 0], [0.25, 0.25, 0.5]],
}

NAMES = [*ACTIVATIONS, *ROWS, *ELEMENTS]

# 1 - y² is computed from the output, which is rounded to 1: its error is relative to 1.
ABSOLUTE = {("Tanh", "gradient")}

# A result, and the function with its arguments that would give it exactly.
Case = tuple[str, float, Callable[..., mpf], list[mpf]]


def cases(name: str, dtype: Any) -> Iterator[Case]:
    """Compute a layer or loss at all points, and yield each value and gradient."""
    exactly = lambda numbers: [mpf(float(v)) for v in np.ravel(numbers)]
    if name in ACTIVATIONS:
        make, function, derivative = ACTIVATIONS[name]
        x, layer, cache = np.array([points(dtype)]), make(), nn.Cache(np.dtype(dtype).name)
        y, dx = layer.forward(x, cache), layer.backward(np.ones_like(x), cache)
        for v, value, slope in zip(x[0], y[0], dx[0], strict=True):
            yield "value", float(value), function, exactly(v)
            yield "gradient", float(slope), derivative, exactly(v)
    elif name in ELEMENTS:
        loss, targets, function, derivative = ELEMENTS[name]
        for z, target in itertools.product(points(dtype), targets):
            value, gradient = loss(np.array([[z]]), np.array([[target]]))
            yield "value", float(value), function, exactly([z, target])
            yield "gradient", float(gradient[0, 0]), derivative, exactly([z, target])
    else:
        for z, target in itertools.product(points(dtype), ROWS[name]):
            t = np.eye(3)[target] if isinstance(target, int) else target
            for row in ([z, 0, -1], [z, -z, 0], [z, z, 0]):
                outputs = np.array([row], dtype)
                value, gradient = nn.SoftmaxCrossEntropy()(outputs, np.array([target]))
                numbers = exactly([*outputs[0], *t])
                yield "value", float(value), cross_entropy, numbers
                for k in range(3):
                    dz = partial(cross_entropy_dz, k)
                    yield "gradient", float(gradient[0, k]), dz, numbers


def condition_number(function: Callable[..., mpf], arguments: list[mpf]) -> mpf:
    """Return by how much relative changes of the arguments are multiplied, at least 1."""
    value, change, total = function(*arguments), mpf(2) ** -80, mpf(0)
    for i, argument in enumerate(arguments):
        near = [*arguments[:i], argument * (1 + change), *arguments[i + 1 :]]
        total += abs((function(*near) - value) / value) / change
    return max(mpf(1), total)


def error(dtype: Any, absolute: bool, ours: float, function: Any, arguments: list[mpf]) -> float:
    """Return the relative error in units of eps; above 1, divided by the condition number.

    If the exact value is too large for the dtype, the result must not be finite. If it is below
    twice the smallest normal number, the result must be, too.
    """
    info = np.finfo(dtype)
    exact, tiny, eps = function(*arguments), float(info.tiny), float(info.eps)
    if abs(exact) > float(info.max):
        return math.inf if np.isfinite(ours) else 0.0
    if abs(exact) < 2 * tiny:
        return math.inf if not abs(ours) < 2 * tiny else 0.0
    if not np.isfinite(ours):
        return math.inf
    size = abs(mpf(ours) - exact) / (1 if absolute else abs(exact)) / eps
    return float(size if size <= 1 else size / condition_number(function, arguments))


def largest_errors(name: str, dtype: Any) -> dict[str, float]:
    """Return the largest errors of the values and of the gradients, in units of eps."""
    largest = {"value": 0.0, "gradient": 0.0}
    with np.errstate(all="ignore"):
        for kind, *case in cases(name, dtype):
            largest[kind] = max(largest[kind], error(dtype, (name, kind) in ABSOLUTE, *case))
    return largest
