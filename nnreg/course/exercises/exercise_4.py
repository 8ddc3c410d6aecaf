"""Exercise 4: inverted dropout, forward and backward."""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

from nnreg.course.grading.assertions import (
    GLOBAL_STATE,
    Deferred,
    assert_close,
    assert_gradient,
    assert_unchanged,
    call_pair,
    describe_known_error,
    expect,
    hint,
    library,
    require_gradients,
    watch_global_state,
)
from nnreg.course.grading.exercises import check
from nnreg.course.grading.submission import CheckFailedError

RNG = np.random.default_rng(4)
X = RNG.standard_normal((5, 4))
KEEP_PROBS = np.array([0.8, 0.5, 0.3])
KEEP_PROB = KEEP_PROBS[0]


def entries(*shape: int) -> Any:
    """Return entries of both signs, none of them near 0."""
    return RNG.choice([-1, 1], shape) * RNG.uniform(1, 2, shape)


#: A mask that is common to all rows, or to all units of a row, has many draws in one of them too.
WIDE, TALL = entries(4, 8192), entries(8192, 4)

EACH = "Hint: draw a number for each entry: rng.random(x.shape)."
IDENTITY = "Hint: if not training, y is x."
NONE_DROPPED, ALL_DROPPED = "In training no unit is dropped.", "In training every unit is dropped."
SCALED = (
    "y is multiplied by keep_prob outside training.\n"
    "Hint: inverted dropout divides in training; in inference it is the identity."
)
PAPER = (
    "Training does not scale the kept units, and inference multiplies by keep_prob. That is "
    "dropout as first published; inverted dropout divides in training.\n"
    "Hint: divide the kept units by keep_prob, and if not training, return x."
)


@check(15)
def share(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: each entry is kept with probability keep_prob, independently."""
    masks = [
        [forward(submission, x, p, True, rng)[0] != 0 for x in (WIDE, TALL)] for p in KEEP_PROBS
    ]
    dependence = describe_dependence(masks)
    draws = WIDE.shape[1] if dependence else 2 * WIDE.size
    wide, tall = np.transpose([[mask.mean() for mask in pair] for pair in masks])
    shares = {ALIKE["rows"]: wide, ALIKE["units"]: tall}.get(dependence, (wide + tall) / 2)

    def are(expected: Any) -> bool:
        return bool((np.abs(shares - expected) < 5 * np.sqrt(0.25 / draws)).all())

    worst = np.abs(shares - KEEP_PROBS).argmax()
    kept = f"With keep_prob = {KEEP_PROBS[worst]}, {shares[worst]:.0%} of the units are kept."
    measured = "" if dependence == ALIKE["all"] else kept
    expect(not dependence, f"{dependence}\n{EACH if are(KEEP_PROBS) else measured}".strip())
    if are(1 - KEEP_PROBS):
        kept += "\n" + hint("dropout: keeps with the probability to drop")
    elif are([NormalDist().cdf(p) for p in KEEP_PROBS]):
        kept += "\nHint: the numbers are normally distributed; draw uniform ones, rng.random."
    expect(are(KEEP_PROBS), kept)


@check(20)
def scale(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, training: the kept units are divided by keep_prob."""
    expect(not is_paper(submission, rng), PAPER)
    factors, shares = np.ones(3), np.ones(3)
    for i, keep_prob in enumerate(KEEP_PROBS):
        kept = kept_factors(submission, keep_prob, rng)
        expect(kept.size, ALL_DROPPED)
        expect(np.allclose(kept, kept[0]), "The kept units have different factors.")
        factors[i], shares[i] = kept[0], kept.size / WIDE.size
    expect(np.any(shares < 1) or np.allclose(factors, 1 / KEEP_PROBS), NONE_DROPPED)
    # A scale that fits a wrong share is not another mistake: `share` takes the points.
    fits = (np.abs(shares - KEEP_PROBS) > 0.02) & (np.abs(factors * shares - 1) < 0.1)
    expected = np.where(fits, factors, 1 / KEEP_PROBS)
    known_errors = {
        hint("dropout: not scaled"): np.ones(3),
        "Divide by keep_prob; do not multiply by it.": KEEP_PROBS,
        "Divide by keep_prob, not by 1 - keep_prob.": 1 / (1 - KEEP_PROBS),
    }
    for keep_prob, factor, right in zip(KEEP_PROBS, factors, expected, strict=True):
        expect(
            np.isclose(factor, right, rtol=1e-9),
            f"With keep_prob = {keep_prob}, the kept units are multiplied by {factor:.9g}, "
            f"expected 1/keep_prob = {right:.9g}.{describe_known_error(factors, known_errors)}",
        )


@check(20)
def inference(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, not training: y is x."""
    if is_swapped(submission):
        right = np.array_equal(forward(submission, WIDE, KEEP_PROB, False, rng)[0], WIDE)
        raise CheckFailedError(
            "Units are dropped outside training, and in training "
            + (
                f"y is x: the flag is used the wrong way round.\n{IDENTITY}"
                if right
                else "none is."
            )
        )
    y, _ = call_pair(submission.dropout_forward, WIDE, KEEP_PROB, False, rng)
    expect(np.any(y), f"y is zero outside training.\n{IDENTITY}")
    expect(np.all(y), f"Units are dropped outside training too.\n{IDENTITY}")
    expect(not is_paper(submission, rng), PAPER)
    assert_close("y", y, WIDE, {SCALED: KEEP_PROB * WIDE})


@check(25)
def dx_in_training(submission: Any, rng: np.random.Generator) -> None:
    """dropout_backward, training: dx is the derivative with respect to x, with the same mask."""
    keep_prob, dy = 0.6, entries(*X.shape)
    y, cache = forward(submission, X, keep_prob, True, rng)
    expect(
        np.any(y) and not np.all(y),
        "In training some units must be dropped and others kept, not all alike.",
    )
    copy = library(submission, "copy")  # a cache is copied in the process that created it
    factors = (y != 0) / keep_prob  # also where forward has other ones, which costs `scale` alone
    dx = submission.dropout_backward(dy.copy(), copy.deepcopy(cache))
    if np.allclose(require_gradients(dx, 1)[0], dy * y / X):
        return

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
    again, used = deepcopy(rng), watch_global_state(submission)
    first, second, replayed = (forward(submission, X, 0.6, True, g)[0] for g in (rng, rng, again))
    expect(np.any(first) or np.any(second), ALL_DROPPED)
    expect(not np.all(first) or not np.all(second), NONE_DROPPED)
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
    expect(not used(), GLOBAL_STATE)


@check(4)
def changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """dropout_forward, dropout_backward: x and dy are not modified, the cache is used."""
    forward, backward = submission.dropout_forward, submission.dropout_backward
    assert_unchanged(forward, backward, X, 0.6, True, rng)


def forward(
    submission: Any, x: Any, keep_prob: float, training: bool, rng: np.random.Generator
) -> Any:
    """Return output and cache; a flag that is used the wrong way round costs `inference` alone."""
    flag = training is not is_swapped(submission)
    y, cache = call_pair(submission.dropout_forward, x, keep_prob, flag, rng)
    expect(np.shape(y) == x.shape, f"y has the shape {np.shape(y)}, expected {x.shape}.")
    return np.asarray(y), cache


def is_swapped(submission: Any) -> bool:
    """Return whether units are dropped outside training only."""
    rng = np.random.default_rng(0)
    y, other = (
        call_pair(submission.dropout_forward, X, 0.5, flag, rng)[0] for flag in (True, False)
    )
    return bool(np.all(y) and np.any(other) and not np.all(other))


def kept_factors(submission: Any, keep_prob: float, rng: np.random.Generator) -> Any:
    """Return the factors of the kept units in training."""
    for _ in range(20):
        y, _ = forward(submission, WIDE, keep_prob, True, rng)
        if np.any(y):  # all units may be dropped together
            break
    return (y / WIDE)[y != 0]


def is_paper(submission: Any, rng: np.random.Generator) -> bool:
    """Return whether inference is scaled by keep_prob, and training drops without a scale."""
    kept = kept_factors(submission, KEEP_PROB, rng)
    y, _ = forward(submission, WIDE, KEEP_PROB, False, rng)
    return bool(kept.size < WIDE.size and np.allclose(kept, 1) and np.allclose(y, KEEP_PROB * WIDE))


ALIKE = {
    "all": "All units are kept or dropped together.",
    "rows": "All rows have the same mask.",
    "units": "The units of a row are kept or dropped together.",
    "unequal": "Some units are kept more often than others.",
    "others": "Whether a unit is kept depends on other units.",
    "number": "The same number of units is kept each time, so they are not drawn independently.",
}


def describe_dependence(masks: list[list[Any]]) -> str:
    """Return how the entries of masks, each a wide and a tall one, depend on each other, or ""."""
    every = [mask for pair in masks for mask in pair]
    if all(mask.all() == mask.any() for mask in every):
        return ALIKE["all"] if len({bool(mask.any()) for mask in every}) == 2 else ""
    if all((wide == wide[:1]).all() for wide, _ in masks) and any(
        wide.any() and not wide.all() for wide, _ in masks
    ):
        return ALIKE["rows"]
    if all((tall == tall[:, :1]).all() for _, tall in masks):
        return ALIKE["units"]
    for mask in every:
        few = mask if len(mask) < mask.shape[1] else mask.T
        probabilities = few.mean(axis=1, keepdims=True)
        if np.ptp(probabilities) > 0.05:
            return ALIKE["unequal"]
        a = few - probabilities
        pairs = [a[i] * a[j] for i, j in combinations(range(len(a)), 2)] + [a[:, 1:] * a[:, :-1]]
        if any(abs(pair.mean()) > 0.07 * np.square(a).mean() for pair in pairs):
            return ALIKE["others"]
    if all(
        (wide.sum() == tall.sum() and not np.array_equal(wide.ravel(), tall.ravel()))
        or not np.ptp(wide.sum(axis=1))
        or not np.ptp(tall.sum(axis=0))
        for wide, tall in masks
    ):
        return "" if all(mask.all() for mask in every) else ALIKE["number"]
    return ""
