"""Exercise 4: inverted dropout, forward and backward."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from nnreg.course.grading.assertions import (
    assert_close,
    assert_gradient,
    assert_unchanged,
    call_pair,
    expect,
    hint,
    require_gradients,
)
from nnreg.course.grading.exercises import check

RNG = np.random.default_rng(4)
X = RNG.standard_normal((5, 4))
MANY = RNG.uniform(1, 2, (256, 64))  # the share kept is known to 0.003
KEEP_PROB = 0.8


@check(15)
def share(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: the share of units kept is keep_prob."""
    y, _ = call_pair(submission.dropout_forward, MANY, KEEP_PROB, True, rng)
    kept = np.mean(np.asarray(y) != 0)
    message = f"With keep_prob = {KEEP_PROB}, {kept:.0%} of the units are kept."
    if abs(kept - (1 - KEEP_PROB)) < 0.02:
        message += f"\n{hint('dropout: keeps with the probability to drop')}"
    expect(abs(kept - KEEP_PROB) < 0.02, message)


@check(20)
def scale(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: the kept units are scaled so that the mean stays."""
    y, _ = call_pair(submission.dropout_forward, MANY, KEEP_PROB, True, rng)
    factors = dropped(MANY, y)
    factor = factors.max()
    expect(np.allclose(factors[factors != 0], factor), "The kept units have different factors.")
    mean = factor * np.mean(factors != 0)
    message = hint("dropout: not scaled") if np.isclose(factor, 1) else "It should be 1/keep_prob."
    expect(abs(mean - 1) < 0.1, f"The kept units are multiplied by {factor:.3g}. {message}")


@check(20)
def inference(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, not training: y is x."""
    y, _ = call_pair(submission.dropout_forward, MANY, KEEP_PROB, False, rng)
    expect(np.all(y), "Units are dropped outside training too.\nHint: if not training, y is x.")
    expect(not np.allclose(y, KEEP_PROB * MANY), hint("dropout: scaled at inference"))
    assert_close("y", y, MANY)


@check(25)
def dx_in_training(submission: Any, rng: np.random.Generator) -> None:
    """dropout_backward, training: dx is the derivative by x, of the same mask."""
    y, cache = call_pair(submission.dropout_forward, X, 0.6, True, rng)
    factors = dropped(X, y)

    def dropout(x: Any) -> Any:
        return x * factors, deepcopy(cache)

    assert_gradient("x", dropout, submission.dropout_backward, X)


@check(8)
def dx_in_inference(submission: Any, rng: np.random.Generator) -> None:
    """dropout_backward, not training: dx is dy."""
    _, cache = call_pair(submission.dropout_forward, X, KEEP_PROB, False, rng)
    dy = np.arange(20.0).reshape(5, 4)
    assert_close("dx", require_gradients(submission.dropout_backward(dy.copy(), cache), 1)[0], dy)


@check(8)
def draws(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: each call draws a new mask, from rng."""
    again = deepcopy(rng)
    first, second, replayed = (
        call_pair(submission.dropout_forward, X, 0.6, True, g)[0] for g in (rng, rng, again)
    )
    expect(
        not np.array_equal(first, second),
        "Two calls have the same mask: one smaller network is trained, always the same.\n"
        "Hint: seed nothing inside the function; draw from rng.",
    )
    expect(
        np.array_equal(first, replayed),
        "Two equal generators give two masks, so that no pass can be repeated.\n"
        "Hint: draw from rng, not from np.random.",
    )


@check(4)
def changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, dropout_backward: x and dy stay as they were."""
    forward, backward = submission.dropout_forward, submission.dropout_backward
    assert_unchanged(forward, backward, X, 0.6, True, rng)


def dropped(x: Any, y: Any) -> Any:
    """Return by what each entry was multiplied, where training dropped some and kept some."""
    expect(np.shape(y) == x.shape, f"y has the shape {np.shape(y)}, expected {x.shape}.")
    factors = y / x
    some = np.any(factors == 0) and np.any(factors != 0)
    expect(some, "In training some units must be dropped and others kept; all were treated alike.")
    return factors
