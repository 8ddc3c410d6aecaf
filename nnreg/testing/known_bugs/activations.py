"""Known bugs of elementwise functions: the right ``dx`` is ``dy`` times the derivative at ``x``.

The derivative is often expressed by ``y``, since ``y`` is in memory: tanh' is ``1 - y²``. In most
bugs ``x`` and ``y`` are confused, or ``dy`` is missing.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.testing.known_bugs.base import bugs, make_wrong


def _cdf(x: Array) -> Array:
    cdf: Array = 0.5 * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x * math.sqrt(0.5)))
    return cdf


def _density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


REMEMBER = "y is in the cache; x need not be. But the two are different numbers."

ACTIVATIONS = (
    *bugs(
        "ReLU",
        partial(make_wrong, ReLU, ()),
        "inputs",
        (
            "no mask",
            "dx is dy; it should be 0 where x is negative.",
            "Where x <= 0 the output does not depend on x, so dx is 0 there: dx = dy * (x > 0).",
            lambda p: p.dy * 1.0,
        ),
        (
            "mask from dy",
            "The mask is [dy > 0]; it should be [x > 0].",
            "The mask depends on the sign of the input, not on that of the derivative.",
            lambda p: p.dy * (p.dy > 0),
        ),
        (
            "mask of the wrong sign",
            "dx is dy where x is negative and 0 where x is positive.",
            "In `dy[x > 0] = 0` the comparison is reversed.",
            lambda p: p.dy * (p.x <= 0),
        ),
        (
            "mask on the wrong array",
            "dx is x·[dy > 0]: x and dy are interchanged.",
            "dx is computed from dy; only the mask depends on x: dx = dy * (x > 0).",
            lambda p: p.x * (p.dy > 0),
        ),
        (
            "output for mask",
            "dx is dy·y: the output is used instead of the mask [x > 0].",
            "max(x, 0) is the function; its derivative is 1 where x > 0 and 0 elsewhere.",
            lambda p: p.dy * p.y,
        ),
        (
            "ReLU applied to dy",
            "Where x > 0, dx is max(dy, 0): negative derivatives are set to 0 too.",
            "backward multiplies by the derivative. It does not apply the function again.",
            lambda p: np.maximum(p.dy, 0) * (p.x > 0),
        ),
    ),
    *bugs(
        "LeakyReLU",
        partial(make_wrong, LeakyReLU, (0.1,), constant=0.1),
        "inputs",
        (
            "slopes swapped",
            "The slope is applied above zero, and 1 below.",
            "np.where(condition, a, b) gives a where the condition holds.",
            lambda p: p.dy * np.where(p.x > 0, p.constant, 1.0).astype(p.dy.dtype),
        ),
        (
            "slope missing",
            "dx is 0 below zero, as in a plain ReLU; it should be slope·dy.",
            "The slope below zero is part of the derivative too: multiply dy by it there.",
            lambda p: p.dy * (p.x > 0),
        ),
        (
            "mask from dy",
            "The slope is applied where dy is negative; it should be where x is negative.",
            "The mask depends on the sign of the input, not on that of the derivative.",
            lambda p: p.dy * np.where(p.dy > 0, 1.0, p.constant).astype(p.dy.dtype),
        ),
    ),
    *bugs(
        "ELU",
        partial(make_wrong, ELU, (0.5,), constant=0.5),
        "inputs",
        (
            "alpha forgotten",
            "Below zero dx is dy·(y + 1); it should be dy·(y + alpha).",
            "alpha·eˣ = y + alpha. With alpha = 1 both are equal: check with another value.",
            lambda p: p.dy * np.where(p.x > 0, 1.0, p.y + 1.0).astype(p.dy.dtype),
        ),
        (
            "y for y + alpha",
            "Below zero dx is dy·y; it should be dy·(y + alpha).",
            "The derivative of alpha·(eˣ - 1) is alpha·eˣ, which is y + alpha, positive.",
            lambda p: p.dy * np.where(p.x > 0, 1.0, p.y).astype(p.dy.dtype),
        ),
        (
            "alpha without the exponential",
            "Below zero dx is alpha·dy; it should be alpha·eˣ·dy.",
            "ELU is curved below zero: its slope is alpha only at x = 0.",
            lambda p: p.dy * np.where(p.x > 0, 1.0, p.constant).astype(p.dy.dtype),
        ),
    ),
    *bugs(
        "tanh",
        partial(make_wrong, Tanh, ()),
        "inputs",
        (
            "1 - y",
            "dx is dy·(1 - y); the derivative of tanh is 1 - y².",
            "A square is missing. At y = 0 and y = 1 both agree, so check at random points.",
            lambda p: p.dy * (1 - p.y),
        ),
        (
            "applied to y",
            "dx is dy·(1 - tanh(y)²): y is already tanh(x).",
            f"{REMEMBER} Write 1 - y², or 1 - tanh(x)², not a mixture.",
            lambda p: p.dy * (1 - np.tanh(p.y) ** 2),
        ),
        (
            "1 - x²",
            "dx is dy·(1 - x²): x is used instead of y.",
            f"{REMEMBER} 1 - y² is between 0 and 1; 1 - x² is not.",
            lambda p: p.dy * (1 - p.x * p.x),
        ),
        (
            "derivative of the sigmoid",
            "dx is dy·y(1 - y): that is the derivative of the sigmoid.",
            "tanh has 1 - y², the sigmoid y(1 - y).",
            lambda p: p.dy * p.y * (1 - p.y),
        ),
    ),
    *bugs(
        "sigmoid",
        partial(make_wrong, Sigmoid, ()),
        "inputs",
        (
            "y",
            "dx is dy·y; the derivative of the sigmoid is y(1 - y).",
            "A factor is missing. For large x the sigmoid is flat, so its derivative must approach "
            "0, but y approaches 1.",
            lambda p: p.dy * p.y,
        ),
        (
            "applied to y",
            "The sigmoid is applied to y, which is already σ(x).",
            f"{REMEMBER} Write y(1 - y), or s(1 - s) with s = σ(x).",
            lambda p: p.dy * kernels.sigmoid(p.y) * (1 - kernels.sigmoid(p.y)),
        ),
        (
            "x(1 - x)",
            "dx is dy·x(1 - x): x is used instead of y.",
            f"{REMEMBER} y(1 - y) is between 0 and 1/4; x(1 - x) is not.",
            lambda p: p.dy * p.x * (1 - p.x),
        ),
        (
            "derivative of tanh",
            "dx is dy·(1 - y²): that is the derivative of tanh.",
            "The sigmoid has y(1 - y), tanh 1 - y².",
            lambda p: p.dy * (1 - p.y * p.y),
        ),
    ),
    *bugs(
        "softplus",
        partial(make_wrong, Softplus, ()),
        "inputs",
        (
            "sigmoid of y",
            "dx is dy·σ(y); it should be dy·σ(x).",
            f"{REMEMBER} With y alone it is 1 - e⁻ʸ.",
            lambda p: p.dy * kernels.sigmoid(p.y),
        ),
        (
            "sigmoid of -x",
            "dx is dy·σ(-x); it should be dy·σ(x).",
            "The slope of softplus increases from 0 to 1. A decreasing slope has a wrong sign in "
            "its argument.",
            lambda p: p.dy * np.exp(-p.y),
        ),
        (
            "derivative of the sigmoid",
            "dx is dy·σ(x)(1 - σ(x)); it should be dy·σ(x).",
            "The derivative of softplus is the sigmoid itself, not the sigmoid's derivative.",
            lambda p: p.dy * kernels.sigmoid(p.x) * (1 - kernels.sigmoid(p.x)),
        ),
    ),
    *bugs(
        "GELU",
        partial(make_wrong, GELU, ()),
        "inputs",
        (
            "x φ(x) missing",
            "dx is dy·Φ(x): the term x·φ(x) is missing.",
            "x·Φ(x) is a product, so its derivative has two terms: Φ(x) + x·Φ'(x).",
            lambda p: p.dy * _cdf(p.x),
        ),
        (
            "Φ(x) missing",
            "dx is dy·x·φ(x): the term Φ(x) is missing.",
            "x·Φ(x) is a product, so its derivative has two terms: Φ(x) + x·Φ'(x).",
            lambda p: p.dy * p.x * _density(p.x),
        ),
        (
            "x forgotten",
            "dx is dy·(Φ(x) + φ(x)): an x is missing in front of φ(x).",
            "The product rule: (x·Φ)' = 1·Φ + x·φ.",
            lambda p: p.dy * (_cdf(p.x) + _density(p.x)),
        ),
    ),
    *bugs(
        "any activation",
        partial(make_wrong, Tanh, ()),
        "inputs",
        (
            "derivative missing",
            "dx is dy: the function's derivative is missing.",
            "The chain rule: dx = dy times the derivative of the function, element by element.",
            lambda p: p.dy * 1.0,
        ),
        (
            "dy missing",
            "dx is the function's derivative alone: dy is missing.",
            "The chain rule: multiply by dy, the derivative with respect to the output.",
            lambda p: p.right / p.dy,
        ),
    ),
    *bugs(
        "any activation",
        partial(make_wrong, Softplus, ()),
        "inputs",
        (
            "function for derivative",
            "dx is dy·y: the function is used instead of its derivative.",
            "Differentiate first: dx = dy·f'(x), not dy·f(x).",
            lambda p: p.dy * p.y,
        ),
    ),
)
