"""Identification of functions from their values and derivatives.

Each function returns the name of a subject of the known bugs, and the constants in its formula.
"""

from __future__ import annotations

import math

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.testing.known_bugs.base import NOTHING, close

Recognized = tuple[str, float]
UNKNOWN = ("", 1.0)


def activation(x: Array, y: Array, slope: Array, tolerance: float = 1e-6) -> Recognized:
    """Identify an elementwise function by its outputs and slopes at ``x``.

    >>> x = np.array([-1.0, 2.0])
    >>> activation(x, np.tanh(x), 1 - np.tanh(x) ** 2)
    ('tanh', 1.0)
    """
    with np.errstate(all="ignore"):
        smooth = {
            "tanh": np.tanh(x),
            "sigmoid": kernels.sigmoid(x),
            "softplus": kernels.softplus(x),
            "GELU": 0.5 * x * (1 + np.vectorize(math.erf, otypes=[float])(x * math.sqrt(0.5))),
        }
        for name, values in smooth.items():
            if close(y, values, tolerance):
                return name, 1.0
        below = x < 0
        if below.any() and close(y[~below], x[~below], tolerance):
            for name, shape in (("LeakyReLU", x[below]), ("ELU", np.expm1(x[below]))):
                ratio = y[below] / shape
                if close(ratio, np.full_like(ratio, ratio[0]), tolerance):
                    return ("ReLU", 0.0) if not ratio[0] else (name, float(ratio[0]))
    scale = float(slope.max(initial=0.0))
    kept = np.abs(slope - scale) <= tolerance * scale
    if (
        scale > 0
        and close(y, x * slope, tolerance)
        and (kept | (np.abs(slope) <= 1e-3 * tolerance)).all()
    ):
        return ("dropout", scale) if not kept.all() else UNKNOWN
    return UNKNOWN


def loss(z: Array, t: Array, right: Array, tolerance: float = 1e-6) -> Recognized:
    """Identify a loss by its gradient at outputs ``z`` and targets ``t``, of one shape.

    >>> z, t = np.zeros((1, 2)), np.array([[1.0, 0.0]])
    >>> loss(z, t, kernels.softmax(z) - t)
    ('softmax cross-entropy', 1.0)
    """
    if z.shape != t.shape:
        return UNKNOWN
    shapes = {
        "softmax cross-entropy": kernels.softmax(z) - t if z.ndim == 2 else NOTHING,
        "sigmoid cross-entropy": kernels.sigmoid(z) - t,
        "squared error": z - t,
    }
    with np.errstate(over="ignore"):
        shapes["Poisson"] = np.exp(z) - t
    for name, shape in shapes.items():
        if _is_multiple(right, shape, tolerance):
            return name, 1.0
    r, delta = z - t, float(np.abs(right).max()) * z.size
    if delta and close(right * z.size, np.clip(r, -delta, delta), tolerance):
        return "Huber", delta
    q = -float(right.min()) * z.size
    if 0 < q < 1 and close(right * z.size, np.where(r > 0, 1 - q, -q), tolerance):
        return "quantile", q
    return UNKNOWN


def penalty(w: Array, right: Array, tolerance: float = 1e-6) -> tuple[str, float, float]:
    """Identify a penalty, with its one or two strengths, by its gradient at ``w``.

    >>> w = np.array([1.0, -2.0, 3.0])
    >>> penalty(w, 0.5 * w)
    ('L2', 0.5, 0.0)
    """
    columns = np.stack([np.sign(w).ravel(), w.ravel()], axis=1)
    (one, two), *_ = np.linalg.lstsq(columns, right.ravel())
    one, two = (float(v) if abs(v) > 1e-9 else 0.0 for v in (one, two))
    if not close((columns @ [one, two]).reshape(w.shape), right, tolerance) or not right.any():
        return "", 1.0, 0.0
    if one and two:
        return "elastic net", one, two
    return ("L2", two, 0.0) if two else ("L1", one, 0.0)


def normalization(x: Array, y: Array, tolerance: float = 1e-6) -> str:
    """Identify a function that combines rows or columns by its outputs at ``x`` (N, D).

    >>> x = np.array([[0.0, 1.0], [2.0, 5.0], [3.0, 3.0]])
    >>> normalization(x, kernels.softmax(x)), normalization(x, x - x.mean(axis=0))
    ('softmax', 'batch normalization')
    """
    p = kernels.softmax(x)
    if close(y, p, tolerance):
        return "softmax"
    if close(y, np.log(p), tolerance):
        return "log-softmax"
    centred = x - x.mean(axis=0), y - y.mean(axis=0)
    size = (centred[0] ** 2).sum(axis=0)
    factor = (centred[0] * centred[1]).sum(axis=0) / np.where(size > 0, size, 1.0)
    return "batch normalization" if close(centred[1], factor * centred[0], tolerance) else ""


def _is_multiple(a: Array, b: Array, tolerance: float) -> bool:
    """Return whether ``a`` is a positive multiple of ``b``."""
    if a.shape != b.shape:
        return False
    size = float(np.vdot(b, b))
    factor = float(np.vdot(a, b)) / size if size else 0.0
    return factor > 0 and close(a, factor * b, tolerance)
