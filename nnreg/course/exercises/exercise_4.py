"""Exercise 4: inverted dropout, forward and backward."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from nnreg.course.grading.assertions import (
    Deferred,
    assert_close,
    assert_gradient,
    assert_unchanged,
    call_pair,
    expect,
    hint,
    library,
    require_gradients,
)
from nnreg.course.grading.exercises import check

RNG = np.random.default_rng(4)
X = RNG.standard_normal((5, 4))
MANY = RNG.uniform(1, 2, (256, 64))  # the standard error of the kept share is 0.003
KEEP_PROB = 0.8
EACH = "Hint: draw a number for each entry: rng.random(x.shape)."
PAPER = (
    "Training does not scale the kept units, and inference multiplies by keep_prob. That is "
    "dropout as first published; inverted dropout divides in training.\n"
    "Hint: divide the kept units by keep_prob, and if not training, return x."
)


@check(15)
def share(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: each entry is kept with probability keep_prob."""
    for keep_prob in (KEEP_PROB, 0.5, 0.3):
        mask = forward(submission, MANY, keep_prob, True, rng)[0] != 0
        expect(not np.all(mask == mask[:1]), f"All rows have the same mask.\n{EACH}")
        expect(
            not np.all(mask == mask[:, :1]),
            f"The units of a row are kept or dropped together.\n{EACH}",
        )
        keep = mask.mean()
        known = hint("dropout: keeps with the probability to drop")
        if abs(keep - (1 - keep_prob)) > 0.02:
            known = "Hint: mask = rng.random(x.shape) < keep_prob, with uniform numbers."
        expect(
            abs(keep - keep_prob) < 0.02,
            f"With keep_prob = {keep_prob}, {keep:.0%} of the units are kept.\n{known}",
        )


@check(20)
def scale(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: the kept units are divided by keep_prob."""
    y, _ = forward(submission, MANY, KEEP_PROB, True, rng)
    factors = dropout_factors(MANY, y)
    factor = factors.max()
    expect(np.allclose(factors[factors != 0], factor), "The kept units have different factors.")
    expect(
        not np.isclose(factor, 1),
        PAPER if is_paper(submission, rng) else hint("dropout: not scaled"),
    )
    right = np.isclose(factor, 1 / KEEP_PROB) or abs(factor * np.mean(factors != 0) - 1) < 0.1
    expect(
        right,
        f"The kept units are multiplied by {factor:.3g}, expected 1/keep_prob = {1 / KEEP_PROB:g}.",
    )


@check(20)
def inference(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, not training: y is x."""
    expect(
        not is_swapped(submission),
        "Units are dropped outside training, and in training y is x: the flag is used the wrong "
        "way round.\nHint: if not training, y is x.",
    )
    y, _ = call_pair(submission.dropout_forward, MANY, KEEP_PROB, False, rng)
    expect(np.all(y), "Units are dropped outside training too.\nHint: if not training, y is x.")
    expect(not is_paper(submission, rng), PAPER)
    expect(not np.allclose(y, KEEP_PROB * MANY), hint("dropout: scaled at inference"))
    assert_close("y", y, MANY)


@check(25)
def dx_in_training(submission: Any, rng: np.random.Generator) -> None:
    """dropout_backward, training: dx is the derivative with respect to x, with the same mask."""
    y, cache = forward(submission, X, 0.6, True, rng)
    factors = dropout_factors(X, y)
    copy = library(submission, "copy")  # a cache is copied in the process that created it

    def dropout(x: Any) -> Any:
        return x * factors, Deferred(copy.deepcopy, cache)

    assert_gradient("x", dropout, submission.dropout_backward, X)


@check(8)
def dx_in_inference(submission: Any, rng: np.random.Generator) -> None:
    """dropout_backward, not training: dx is dy."""
    _, cache = forward(submission, X, KEEP_PROB, False, rng)
    dy = np.arange(20.0).reshape(5, 4)
    assert_close("dx", require_gradients(submission.dropout_backward(dy.copy(), cache), 1)[0], dy)


@check(8)
def draws(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: each call draws a new mask, from rng."""
    again = deepcopy(rng)
    first, second, replayed = (forward(submission, X, 0.6, True, g)[0] for g in (rng, rng, again))
    expect(
        not np.array_equal(first, second),
        "Two calls have the same mask, so the same smaller network is trained in every step.\n"
        "Hint: set no seed inside the function; draw from rng.",
    )
    expect(
        np.array_equal(first, replayed),
        "Two equal generators give different masks, so no pass can be repeated.\n"
        "Hint: draw from rng, not from np.random.",
    )


@check(4)
def changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, dropout_backward: x and dy are not modified."""
    forward, backward = submission.dropout_forward, submission.dropout_backward
    assert_unchanged(forward, backward, X, 0.6, True, rng)


def forward(
    submission: Any, x: Any, keep_prob: float, training: bool, rng: np.random.Generator
) -> Any:
    """Return output and cache; a flag that is used the wrong way round costs `inference` alone."""
    flag = training is not is_swapped(submission)
    return call_pair(submission.dropout_forward, x, keep_prob, flag, rng)


def is_swapped(submission: Any) -> bool:
    """Return whether units are dropped outside training only."""
    rng = np.random.default_rng(0)
    y, other = (
        call_pair(submission.dropout_forward, MANY, 0.5, flag, rng)[0] for flag in (True, False)
    )
    return bool(np.array_equal(y, MANY) and not np.all(other))


def is_paper(submission: Any, rng: np.random.Generator) -> bool:
    """Return whether inference is scaled by keep_prob, and training is not."""
    y, _ = forward(submission, MANY, KEEP_PROB, True, rng)
    other, _ = forward(submission, MANY, KEEP_PROB, False, rng)
    return bool(np.isclose(np.max(y / MANY), 1) and np.allclose(other, KEEP_PROB * MANY))


def dropout_factors(x: Any, y: Any) -> Any:
    """Return the factor of each entry; training must have dropped some and kept some."""
    expect(np.shape(y) == x.shape, f"y has the shape {np.shape(y)}, expected {x.shape}.")
    factors = y / x
    some = np.any(factors == 0) and np.any(factors != 0)
    expect(some, "In training some units must be dropped and others kept, not all alike.")
    return factors
