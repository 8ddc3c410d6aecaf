"""Known bugs of the affine map ``y = x w + b``, and of any layer with parameters.

Right: ``dx = dy wᵀ`` (N, D), ``dw = xᵀ dy`` (D, M), ``db = Σₙ dyₙ`` (M,).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nnreg._support.typing import Array
from nnreg.layers.dense import Dense
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, KnownBug, make_wrong


def _dense(
    name: str,
    block: str,
    description: str,
    hint: str,
    wrong: Formula,
    *,
    units: int = 3,
) -> KnownBug:
    make = partial(make_wrong, wrong, Dense, units, block=block)
    return KnownBug(f"dense: {name}", "dense", description, hint, make, block=block, wrong=wrong)


def _any(
    name: str, description: str, hint: str, wrong: Formula, block: str | None = None
) -> KnownBug:
    make = partial(make_wrong, wrong, Dense, 3, block="weight")
    return KnownBug(
        f"layer: {name}", "any layer", description, hint, make, block=block, wrong=wrong
    )


def _reshaped(p: FormulaInputs) -> Array:
    return p.right.T.reshape(p.right.shape)


def _rows(p: FormulaInputs) -> Array:
    """Return what is left when the sum over rows is forgotten: one more axis."""
    return np.stack([p.row(n) for n in range(len(p.dy))])


SHAPES = "Write the shapes under the product: (D, N) times (N, M) is (D, M), the shape of w."
ROWS = "Every row of the batch used the same parameter, so every row has a part in its derivative."

DENSE = (
    _dense(
        "dw transposed",
        "weight",
        "dw is the transpose of the right one.",
        f"{SHAPES} With as many outputs as inputs the wrong product fits too: try a 4-to-3 layer.",
        lambda p: p.dy.T @ p.x,
        units=4,
    ),
    _dense(
        "dw transposed and reshaped",
        "weight",
        "dw is the transpose of the right one, reshaped until it fitted.",
        f"{SHAPES} A reshape that makes an error go away moves numbers to wrong places.",
        _reshaped,
    ),
    _dense(
        "dw from y",
        "weight",
        "dw is yᵀ dy: it is made from the output where the input belongs.",
        "y = x w, so the derivative by w is made of x. Keep the input of the forward pass.",
        lambda p: p.y.T @ p.dy,
        units=4,
    ),
    _dense(
        "rows summed before the product",
        "weight",
        "dw is the product of sums over the batch; it should be the sum of products.",
        "Σₙ xₙ dyₙ is not (Σₙ xₙ)(Σₙ dyₙ). The matrix product xᵀ dy sums at the right moment.",
        lambda p: np.outer(p.x.sum(axis=0), p.dy.sum(axis=0)),
    ),
    _dense(
        "db not summed",
        "bias",
        "db is not summed over the batch: it is dy, one line a row.",
        f"{ROWS} b has the shape (M,), so sum dy over axis 0.",
        _rows,
    ),
    _dense(
        "db averaged",
        "bias",
        "db is the mean over the batch; it should be the sum.",
        "Only the loss divides by N, and dy has that 1/N in it already: use sum, not mean.",
        lambda p: p.right / len(p.dy),
    ),
    _dense(
        "db from the first row",
        "bias",
        "db is the first row of dy alone.",
        f"{ROWS} dy[0] has the right shape and leaves out all others.",
        lambda p: p.dy[0],
    ),
    _dense(
        "db from the last row",
        "bias",
        "db is the last row of dy alone.",
        f"{ROWS} In a loop over rows, add (+=) instead of assigning.",
        lambda p: p.dy[-1],
    ),
    _dense(
        "db missing",
        "bias",
        "db is zero: the bias never learns.",
        "y = x w + b: the derivative by b is 1 for each row. db is dy, summed over the rows.",
        lambda p: 0.0 * p.right,
    ),
    _dense(
        "db summed over everything",
        "bias",
        "Every entry of db is the sum of the whole of dy.",
        "np.sum without an axis adds up all entries, and the one number is broadcast. Say axis=0.",
        lambda p: np.full_like(p.right, p.dy.sum()),
    ),
    _dense(
        "db summed over the wrong axis",
        "bias",
        "db is dy summed over the outputs; it should be summed over the rows.",
        "axis=0 is the axis that disappears: the rows. Its shape fits only where N = M.",
        lambda p: p.dy.sum(axis=1),
        units=5,
    ),
    _dense(
        "dx with w for its transpose",
        "inputs",
        "dx is dy w; it should be dy wᵀ.",
        "The way back goes through the transpose: (N, M) times (M, D). "
        "With as many outputs as inputs the wrong product fits too: try a 4-to-3 layer.",
        lambda p: p.dy @ p.w,
        units=4,
    ),
    _dense(
        "dx without w",
        "inputs",
        "dx is dy, passed on as it came.",
        "The chain rule multiplies by the derivative of y by x, which is w: dx = dy wᵀ.",
        lambda p: p.dy * 1.0,
        units=4,
    ),
    _dense(
        "dx with its rows reversed",
        "inputs",
        "The rows of dx are the right ones in reversed order.",
        "Row n of dx belongs to row n of x. Look for [::-1], or a list that was filled backwards.",
        lambda p: p.right[::-1],
    ),
    _dense(
        "dx averaged over the batch",
        "inputs",
        "All rows of dx are the same, their mean.",
        "Each example has its own dx; only the parameters' gradients are summed over the batch.",
        lambda p: np.broadcast_to(p.right.mean(axis=0), p.right.shape) * 1.0,
    ),
)

ANY_LAYER = (
    _any(
        "dw missing",
        "dw is zero everywhere.",
        "Was the result written into the array that was given? gradients[name][...] = result",
        lambda p: 0.0 * p.right,
    ),
    _any(
        "sign",
        "dw has the wrong sign.",
        "The optimizer subtracts the gradient. Here the derivative itself is wanted, not the step.",
        lambda p: -p.right,
    ),
    _any(
        "dw from the last row",
        "dw comes from the last row of the batch alone.",
        f"{ROWS} In a loop over rows, add (+=) instead of assigning.",
        lambda p: p.row(-1),
        block="weight",
    ),
    _any(
        "dw from the first row",
        "dw comes from the first row of the batch alone.",
        f"{ROWS} Look for an index 0 where a sum should be.",
        lambda p: p.row(0),
        block="weight",
    ),
    _any(
        "dw not summed",
        "dw is not summed over the batch: it has one axis too many.",
        f"{ROWS} Sum over axis 0; in einsum, leave n out on the right.",
        _rows,
        block="weight",
    ),
    _any(
        "divided by N",
        "dw is divided by N once more.",
        "Only the loss divides by N, and dy has that 1/N in it already.",
        lambda p: p.right / len(p.dy),
    ),
    _any(
        "divided by the columns",
        "dw is divided by the number of columns of dy once more.",
        "Where examples stand in columns, that is the 1/m of the cost. It belongs into the "
        "derivative of the cost, once; a layer that adds it is right only behind a cost without.",
        lambda p: p.right / p.dy.shape[1],
    ),
    _any(
        "times N",
        "dw is N times the right one.",
        "A sum over the rows is taken twice, or multiplied by N to undo a mean that was not taken.",
        lambda p: p.right * len(p.dy),
    ),
    _any(
        "twice",
        "dw is twice the right one.",
        "Was it added to itself (+= where = was meant), or does a 2 of a square stand twice?",
        lambda p: 2.0 * p.right,
    ),
    _any(
        "half",
        "dw is half the right one.",
        "Look for the 2 that a square leaves behind, or a 1/2 that is in no forward formula.",
        lambda p: 0.5 * p.right,
    ),
    _any(
        "dy missing",
        "dw is computed without dy: the derivative by the output is missing.",
        "The chain rule: every gradient is a product with dy, the derivative by the output.",
        lambda p: p.pull(np.ones_like(p.dy)),
    ),
)
