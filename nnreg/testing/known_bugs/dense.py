"""Known bugs of the affine map ``y = x w + b``, and of any layer with parameters.

Right: ``dx = dy wᵀ`` (N, D), ``dw = xᵀ dy`` (D, M), ``db = Σₙ dyₙ`` (M,).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nnreg._support.typing import Array
from nnreg.layers.dense import Dense
from nnreg.testing.known_bugs.base import FormulaInputs, bugs, make_wrong


def _rows(p: FormulaInputs) -> Array:
    """Return the gradient without the sum over rows, which has one more axis."""
    return np.stack([p.row(n) for n in range(len(p.dy))])


SHAPES = "Write the shapes under the product: (D, N) times (N, M) is (D, M), the shape of w."
ROWS = "The parameter is used for every row of the batch, so its derivative is a sum over all rows."

DENSE = (
    *bugs(
        "dense",
        partial(make_wrong, Dense, (4,), block="weight"),
        "weight",
        (
            "dw transposed",
            "dw is the transpose of the right one.",
            f"{SHAPES} With as many outputs as inputs the wrong product has this shape too: try a "
            "4-to-3 layer.",
            lambda p: p.dy.T @ p.x,
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (3,), block="weight"),
        "weight",
        (
            "dw transposed and reshaped",
            "dw is the transpose of the right one, reshaped to the shape of w.",
            f"{SHAPES} A reshape avoids the error, but puts entries at wrong positions.",
            lambda p: p.right.T.reshape(p.right.shape),
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (4,), block="weight"),
        "weight",
        (
            "dw from y",
            "dw is yᵀ dy: it is computed from the output instead of the input.",
            "y = x w, so the derivative with respect to w contains x. Store the input in the "
            "forward pass.",
            lambda p: p.y.T @ p.dy,
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (3,), block="weight"),
        "weight",
        (
            "rows summed before the product",
            "dw is the product of sums over the batch; it should be the sum of products.",
            "Σₙ xₙ dyₙ is not (Σₙ xₙ)(Σₙ dyₙ). The matrix product xᵀ dy is the sum of products.",
            lambda p: np.outer(p.x.sum(axis=0), p.dy.sum(axis=0)),
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (3,), block="bias"),
        "bias",
        (
            "db not summed",
            "db is not summed over the batch: it is dy, one line per row.",
            f"{ROWS} b has the shape (M,), so sum dy over axis 0.",
            _rows,
        ),
        (
            "db averaged",
            "db is the mean over the batch; it should be the sum.",
            "Only the loss divides by N, and dy already contains this 1/N: use sum, not mean.",
            lambda p: p.right / len(p.dy),
        ),
        (
            "db from the first row",
            "db is the first row of dy alone.",
            f"{ROWS} dy[0] has the right shape, but the other rows are missing.",
            lambda p: p.dy[0],
        ),
        (
            "db from the last row",
            "db is the last row of dy alone.",
            f"{ROWS} In a loop over rows, add (+=) instead of assigning.",
            lambda p: p.dy[-1],
        ),
        (
            "db missing",
            "db is zero: the bias is never updated.",
            "y = x w + b: the derivative with respect to b is 1 for each row. db is dy, summed "
            "over the rows.",
            lambda p: 0.0 * p.right,
        ),
        (
            "db summed over everything",
            "Every entry of db is the sum of all entries of dy.",
            "np.sum without an axis adds all entries, and the result is broadcast. Pass axis=0.",
            lambda p: np.full_like(p.right, p.dy.sum()),
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (5,), block="bias"),
        "bias",
        (
            "db summed over the wrong axis",
            "db is dy summed over the outputs; it should be summed over the rows.",
            "axis=0 is the axis that is summed: the rows. With axis=1 the shape is (M,) only if "
            "N = M.",
            lambda p: p.dy.sum(axis=1),
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (4,), block="inputs"),
        "inputs",
        (
            "dx with w for its transpose",
            "dx is dy w; it should be dy wᵀ.",
            "backward multiplies by the transpose: (N, M) times (M, D). With as many outputs as "
            "inputs the wrong product has this shape too: try a 4-to-3 layer.",
            lambda p: p.dy @ p.w,
        ),
        (
            "dx without w",
            "dx is dy: the factor wᵀ is missing.",
            "The chain rule multiplies by the derivative of y with respect to x, which is w: "
            "dx = dy wᵀ.",
            lambda p: p.dy * 1.0,
        ),
    ),
    *bugs(
        "dense",
        partial(make_wrong, Dense, (3,), block="inputs"),
        "inputs",
        (
            "dx with its rows reversed",
            "The rows of dx are the right ones in reverse order.",
            "Row n of dx belongs to row n of x. Look for [::-1], or a list that was filled in "
            "reverse order.",
            lambda p: p.right[::-1],
        ),
        (
            "dx averaged over the batch",
            "All rows of dx are the same, their mean.",
            "dx has one row per example; only the gradients of parameters are summed over the "
            "batch.",
            lambda p: np.broadcast_to(p.right.mean(axis=0), p.right.shape) * 1.0,
        ),
    ),
)

ANY_LAYER = (
    *bugs(
        "any layer",
        partial(make_wrong, Dense, (3,), block="weight"),
        None,
        (
            "dw missing",
            "dw is zero everywhere.",
            "Is the result written into the array that is passed? gradients[name][...] = result",
            lambda p: 0.0 * p.right,
        ),
        (
            "sign",
            "dw has the wrong sign.",
            "The optimizer subtracts the gradient. Return the derivative itself, not the step.",
            lambda p: -p.right,
        ),
    ),
    *bugs(
        "any layer",
        partial(make_wrong, Dense, (3,), block="weight"),
        "weight",
        (
            "dw from the last row",
            "dw comes from the last row of the batch alone.",
            f"{ROWS} In a loop over rows, add (+=) instead of assigning.",
            lambda p: p.row(-1),
        ),
        (
            "dw from the first row",
            "dw comes from the first row of the batch alone.",
            f"{ROWS} Look for an index 0 where a sum should be.",
            lambda p: p.row(0),
        ),
        (
            "dw not summed",
            "dw is not summed over the batch: it has one axis too many.",
            f"{ROWS} Sum over axis 0; in einsum, remove n from the output.",
            _rows,
        ),
    ),
    *bugs(
        "any layer",
        partial(make_wrong, Dense, (3,), block="weight"),
        None,
        (
            "divided by N",
            "dw is divided by N once more.",
            "Only the loss divides by N, and dy already contains this 1/N.",
            lambda p: p.right / len(p.dy),
        ),
        (
            "divided by the columns",
            "dw is divided by the number of columns of dy once more.",
            "If examples are columns, this is the 1/m of the cost. It belongs to the derivative of "
            "the cost, once; in a layer it is right only if the derivative of the cost is without "
            "it.",
            lambda p: p.right / p.dy.shape[1],
        ),
        (
            "times N",
            "dw is N times the right one.",
            "A sum over the rows is taken twice, or multiplied by N to undo a mean that was not "
            "taken.",
            lambda p: p.right * len(p.dy),
        ),
        (
            "twice",
            "dw is twice the right one.",
            "Was it added to itself (+= instead of =), or is the factor 2 of a square there twice?",
            lambda p: 2.0 * p.right,
        ),
        (
            "half",
            "dw is half the right one.",
            "Look for a missing 2 of a square, or a 1/2 that is not in the forward formula.",
            lambda p: 0.5 * p.right,
        ),
        (
            "dy missing",
            "dw is computed without dy: the derivative with respect to the output is missing.",
            "The chain rule: every gradient is a product with dy, the derivative with respect to "
            "the output.",
            lambda p: p.pull(np.ones_like(p.dy)),
        ),
    ),
)
