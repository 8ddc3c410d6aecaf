"""Exercise 2: softmax and the cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import kernels
from nnreg.course.grading.assertions import copies, expect, instead, pair, same, slope, untouched
from nnreg.course.grading.exercises import check

RNG = np.random.default_rng(2)
Z, LABELS = 2 * RNG.standard_normal((5, 4)), np.array([3, 0, 2, 1, 2])
LARGE = np.array([[1000.0, 0.0, -1000.0], [-1000.0, -1001.0, -1000.0]])
HOPELESS = np.array([[1e4, 0.0, -1e4]])
OVERFLOW = "Subtract each row's largest logit before np.exp: it cancels, and nothing overflows."


def value(z: Any, labels: Any) -> Any:
    """Return the right value: the mean over the rows."""
    return kernels.softmax_cross_entropy(z, labels)[0].mean()


def loss(submission: Any, z: Any, labels: Any) -> Any:
    """Return what the submission's loss returns when its softmax is right."""
    function = submission.softmax_cross_entropy
    with instead(function, softmax=kernels.softmax):
        return pair(function, z, labels, made="(value, dz)")


@check(15)
def softmax_values(submission: Any, rng: np.random.Generator) -> None:
    """softmax: each row is exp(z) divided by its sum."""
    p = submission.softmax(Z.copy())
    wrongs = {"Divide each row by its sum.": np.exp(Z)}
    if np.shape(p) == Z.shape and np.allclose(p.sum(axis=0), 1):
        wrongs["The columns add up to 1, not the rows: axis=1, with keepdims=True."] = p
    elif np.shape(p) == Z.shape and np.allclose(p.sum(), 1):
        wrongs["All entries together add up to 1: sum along axis=1, with keepdims=True."] = p
    same("p", p, kernels.softmax(Z), wrongs)


@check(10)
def softmax_large(submission: Any, rng: np.random.Generator) -> None:
    """softmax: logits of 1000 and -1000 overflow nowhere."""
    p = _quietly(submission.softmax, LARGE)
    expect(np.all(np.isfinite(p)), f"softmax of logits of 1000 is not finite.\nHint: {OVERFLOW}")
    right = _quietly(submission.softmax, LARGE / 1000)
    if np.allclose(right, kernels.softmax(LARGE / 1000)):  # else that is what is wrong
        same("p", p, kernels.softmax(LARGE))


@check(20)
def loss_value(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: the value is the mean of -log p of the right classes."""
    found = loss(submission, Z, LABELS)[0]
    right = value(Z, LABELS)
    chosen = kernels.softmax(Z)[np.arange(5), LABELS]
    wrongs = {
        "Take the mean over the rows, not the sum: then the loss does not grow with the batch.": (
            len(Z) * right
        ),
        "The sign: log p is negative, and the loss is -log p.": -right,
        "p.mean() divides by all entries, rows times classes. Divide by the rows.": right / 4,
        "np.log2 is not the natural logarithm.": right / np.log(2),
        "The loss is -log p, not -p or 1 - p.": 1 - chosen.mean(),
        "Classes are counted from 0: p[row, label].": value(Z, (LABELS - 1) % 4),
    }
    expect(np.ndim(found) == 0, "The value must be one number, the mean over the rows.")
    same("value", found, right, wrongs)


@check(10)
def loss_large(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: a hopeless prediction costs a finite value."""
    with np.errstate(all="ignore"):
        found = np.mean(loss(submission, HOPELESS, np.array([2]))[0])
    said = "Write log p as z - max - log(sum(exp(z - max))): no log of a p that has become 0."
    expect(np.isfinite(found), f"At a logit of -10,000 it is {found}.\nHint: {said}")
    expect(abs(found) > 5000, f"At a logit of -10,000 it is cut off, {found:.6g}.\nHint: {said}")


@check(30)
def loss_gradient(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: dz is the derivative by z."""

    def behind(z: Any, labels: Any) -> Any:
        return value(z, labels), loss(submission, z.real, labels)[1]

    slope(behind, Z, LABELS)


@check(10)
def loss_one_row(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: a batch of one row works."""
    found, dz = loss(submission, Z[:1], LABELS[:1])
    expect(np.shape(dz) == (1, 4), f"dz has the shape {np.shape(dz)}, wanted is (1, 4).")
    expect(np.isfinite(found), f"The value is {found}.")


@check(5)
def loss_changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """softmax, softmax_cross_entropy: z and the labels stay as they were."""
    untouched(submission.softmax, Z)
    with instead(submission.softmax_cross_entropy, softmax=kernels.softmax):
        untouched(submission.softmax_cross_entropy, Z, LABELS)


def _quietly(function: Any, *arguments: Any) -> Any:
    with np.errstate(all="ignore"):
        return function(*copies(arguments))
