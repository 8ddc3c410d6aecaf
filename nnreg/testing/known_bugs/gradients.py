"""Known bugs of functions that return a value and gradients with respect to several arrays.

Only the value of the function is known; the right gradient ``g`` with respect to an array ``w`` is
computed numerically, and the wrong one is compared with it, with ``w``, and with the sizes of the
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import permutations, product
from typing import Any, ClassVar

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.losses import MeanSquaredError
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, bugs, close

#: The strength of the penalty of the examples.
STRENGTH = 0.3


class Regression:
    """The value and the gradients of a linear regression with an L2 penalty.

    Parameters
    ----------
    block : str
    wrong : function (FormulaInputs) -> ndarray
        The gradient with respect to the block.
    """

    shapes: ClassVar[dict[str, tuple[int, ...]]] = {"W": (4, 3), "b": (3,)}

    def __init__(self, block: str, wrong: Formula) -> None:
        self.wrong, self.block = wrong, block

    def example(self, rng: Any) -> tuple[Any, ...]:
        """Return this function with arguments."""
        params = {name: rng.standard_normal(shape) for name, shape in self.shapes.items()}
        return self, params, rng.standard_normal((5, 4)), rng.standard_normal((5, 3))

    def compute(self, params: Any, x: Array, y: Array) -> tuple[Any, dict[str, Array]]:
        """Return the loss and the right gradients."""
        w, b = params["W"], params["b"]
        data, dz = MeanSquaredError().compute(x @ w + b, y)
        grads = {"W": x.T @ dz + STRENGTH * w, "b": dz.sum(axis=0)}
        return data + 0.5 * STRENGTH * (w * w).sum(), grads

    def __call__(self, params: Any, x: Array, y: Array) -> tuple[Any, dict[str, Array]]:
        """Return the loss and the gradients with respect to ``params``, one of them wrong."""
        value, grads = self.compute(params, x, y)
        if not np.iscomplexobj(value):
            own, arrays = params[self.block], (*params.values(), x, y)
            p = FormulaInputs(grads[self.block], x, own=own, counts=x.shape, arrays=arrays)
            grads[self.block] = self.wrong(p)
        return value, grads


class TwoLayers(Regression):
    """The value and the gradients of a network of two layers with sigmoids."""

    shapes: ClassVar[dict[str, tuple[int, ...]]] = {
        "W1": (4, 6),
        "b1": (6,),
        "W2": (6, 3),
        "b2": (3,),
    }

    def compute(self, params: Any, x: Array, y: Array) -> tuple[Any, dict[str, Array]]:
        """Return the loss and the right gradients."""
        h = kernels.sigmoid(x @ params["W1"] + params["b1"])
        output = kernels.sigmoid(h @ params["W2"] + params["b2"])
        value, error = MeanSquaredError().compute(output, y)
        delta = error * output * (1 - output)
        dh = (delta @ params["W2"].T) * h * (1 - h)
        grads = {"W1": x.T @ dh, "b1": dh.sum(axis=0), "W2": h.T @ delta, "b2": delta.sum(axis=0)}
        return value, grads


def coefficients(p: FormulaInputs, returned: Array) -> tuple[float, float]:
    """Return ``(s, k)`` if ``returned`` is ``s·g + k·w``, otherwise zeros."""
    for terms in ([p.right, p.own], [p.right]):
        enough = returned.size >= 2 * len(terms) - 1
        if enough and all(term.shape == returned.shape for term in terms):
            columns = np.stack([term.ravel() for term in terms], axis=1)
            solution, _, rank, _ = np.linalg.lstsq(columns, np.nan_to_num(returned.ravel()))
            fitted = (columns @ solution).reshape(returned.shape)
            if rank == len(terms) and close(returned, fitted, p.tolerance):
                return float(solution[0]), float(solution[1:].sum())
    return 0.0, 0.0


def _fits(test: Callable[[float, float, FormulaInputs], bool]) -> Any:
    """Return the test of a gradient ``s·g + k·w`` by its coefficients."""
    return lambda p, returned: test(*coefficients(p, returned), p)


def _is_count(number: float, p: FormulaInputs) -> bool:
    return any(n > 2 and abs(number - n) < 10 * p.tolerance * n for n in p.counts)


def _penalty_differs(s: float, k: float, p: FormulaInputs) -> bool:
    return abs(s - 1) < p.tolerance < abs(k)


#: The activation functions, and their derivatives as functions of the output ``y``.
LAYERS: tuple[tuple[Callable[[Array], Array], Callable[[Array], Array]], ...] = (
    (kernels.sigmoid, lambda y: y * (1 - y)),
    (np.tanh, lambda y: 1 - y * y),
    (lambda z: np.maximum(z, 0.0), lambda y: (y > 0) * 1.0),
    (lambda z: z, np.ones_like),
    (kernels.softmax, np.ones_like),
)


def hidden_gradients(p: FormulaInputs) -> Iterator[Array]:
    """Yield gradients with respect to a hidden layer's ``w`` or ``b`` computed from a wrong delta.

    All networks of two layers are tried whose inputs, parameters and targets may be the arrays, and
    which have the right gradient. The first gradient uses the error of the output instead of its
    delta.
    """
    for x, w1, w2 in permutations([a for a in p.arrays if a.ndim == 2], 3):
        if x.shape[1] != len(w1) or w1.shape[1] != len(w2):
            continue
        for (f, df), (g, dg), b1, b2 in product(LAYERS, LAYERS, _biases(p, w1), _biases(p, w2)):
            if np.array_equal(p.own, w1) or np.array_equal(p.own, b1):
                h = f(x @ w1 + b1)
                y = g(h @ w2 + b2)
                for error in _errors(p, y):
                    yield from _from_error(p, error, w2, x, df(h), dg(y))


def _biases(p: FormulaInputs, w: Array) -> list[Array]:
    width = w.shape[1]
    return [np.zeros(1), *(a for a in p.arrays if a.shape in ((width,), (1, width)))]


def _errors(p: FormulaInputs, y: Array) -> list[Array]:
    """Return possible derivatives of the loss with respect to ``y``, up to a factor."""
    if p.dy.size > 1:
        return [p.dy] if p.dy.shape == y.shape else []
    return [y - t.reshape(y.shape) for t in p.arrays if t.size == y.size]


def _from_error(
    p: FormulaInputs, error: Array, w: Array, x: Array, slope: Array, output_slope: Array
) -> Iterator[Array]:
    def differentiate(dh: Array) -> Array:
        dh = np.broadcast_to(dh, slope.shape)
        return x.T @ dh if len(p.own) == x.shape[1] else dh.sum(axis=0).reshape(p.own.shape)

    for delta in (error * output_slope, error):
        point = replace(p, right=differentiate((delta @ w.T) * slope))
        factor, of_own = coefficients(point, p.right)
        if factor:
            for back, local in product((error @ w.T, error, delta), (slope, output_slope)):
                if {back.shape[1], local.shape[1]} <= {1, slope.shape[1]}:
                    yield factor * differentiate(back * local) + of_own * p.own


def _hidden_delta(p: FormulaInputs, returned: Array) -> bool:
    """Return whether ``returned`` is one of `hidden_gradients`, for examples in rows or columns."""
    arrays = tuple(a.T for a in p.arrays)
    turned = replace(p, dy=p.dy.T, own=p.own.T, right=p.right.T, arrays=arrays)
    return any(
        close(gradient, wrong, p.tolerance)
        for point, wrong in ((p, returned), (turned, returned.T))
        for gradient in hidden_gradients(point)
    )


def _clipped(p: FormulaInputs) -> Array:
    data = p.right - STRENGTH * p.own
    return 0.3 * data + STRENGTH * p.own  # not 1/N of a small N, which is another known bug


ONCE = "Value and gradient are divided by the same number, once: in the loss."

GRADIENTS = (
    *bugs(
        "any gradient",
        partial(Regression, "W"),
        None,
        (
            "missing",
            "dw is zero everywhere.",
            "Was the array that is returned ever written?",
            lambda p: 0.0 * p.right,
        ),
        (
            "sign",
            "dw has the wrong sign.",
            "The optimizer subtracts the gradient; return the derivative itself, not the step.",
            lambda p: -p.right,
        ),
        (
            "twice",
            "dw is twice the right one.",
            "Does the value have a 1/2 that the gradient lacks, or is a term added twice?",
            lambda p: 2.0 * p.right,
        ),
        (
            "half",
            "dw is half the right one.",
            "The derivative of r² is 2r. Is the 2 missing, although the value has no 1/2?",
            lambda p: 0.5 * p.right,
        ),
        (
            "times N",
            "dw is too large by the number of rows or columns: the value is a mean, dw a sum.",
            ONCE,
            lambda p: p.right * p.counts[0],
            _fits(lambda s, k, p: _is_count(s, p)),
        ),
        (
            "divided by N",
            "dw is too small by the number of rows or columns: it is divided once more than the "
            "value.",
            ONCE,
            lambda p: p.right / p.counts[0],
            _fits(lambda s, k, p: s != 0 and _is_count(1 / s, p)),
        ),
    ),
    *bugs(
        "any gradient",
        partial(Regression, "W"),
        "weight",
        (
            "transposed",
            "dw is the transpose of the right one.",
            "Write the shapes under the product: (D, N) times (N, M) is (D, M), the shape of w.",
            lambda p: p.right.T,
            lambda p, returned: close(returned, p.right.T, p.tolerance),
        ),
    ),
    *bugs(
        "any gradient",
        partial(Regression, "b"),
        "bias",
        (
            "penalty on the bias",
            "db differs from the right one by a multiple of b: the gradient of the penalty is "
            "added to the bias, but its value does not contain the bias.",
            "Penalize weights alone, in the value and in the gradient.",
            lambda p: p.right + STRENGTH * p.own,
            _fits(_penalty_differs),
        ),
    ),
    *bugs(
        "any gradient",
        partial(Regression, "W"),
        "weight",
        (
            "penalty's term",
            "dw differs from the right one by a multiple of w: the penalty's gradient is not the "
            "derivative of its value.",
            "reg·Σw² has the gradient 2·reg·w, reg/2·Σw² has reg·w. Add it once, to each weight "
            "array.",
            lambda p: p.right + STRENGTH * p.own,
            _fits(_penalty_differs),
        ),
        (
            "penalty added after the clip",
            "dw is a clipped gradient with the penalty's gradient added after the clip.",
            "Add the penalty's gradient first, then clip; and check the gradient before it is "
            "clipped.",
            _clipped,
            _fits(lambda s, k, p: p.tolerance < s < 1 - p.tolerance and k > p.tolerance),
        ),
    ),
    *bugs(
        "any gradient",
        partial(TwoLayers, "W1"),
        None,
        (
            "hidden delta from the output's error",
            "dw is computed from the output's error, or its slope, instead of the delta of the "
            "hidden layer.",
            "Propagate the output's delta, which is error * g'(output), and multiply by the slope "
            "at the hidden layer: delta_hidden = (delta_output @ W2.T) * f'(hidden).",
            lambda p: next(hidden_gradients(p)),
            _hidden_delta,
        ),
    ),
)
