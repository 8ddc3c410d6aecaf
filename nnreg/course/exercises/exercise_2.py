"""Exercise 2: softmax and the cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import kernels
from nnreg.course.grading.assertions import (
    assert_arguments_unchanged,
    assert_close,
    assert_slope,
    call_pair,
    expect,
    patched,
    with_reference_value,
)
from nnreg.course.grading.exercises import check

RNG = np.random.default_rng(2)
Z, LABELS = 2 * RNG.standard_normal((5, 4)), np.array([3, 0, 2, 1, 2])
LARGE = np.array([[0.0, 1000.0, -1000.0], [-1001.0, -1000.0, -1000.0]])
EXTREME, EXTREME_LABELS = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]]), np.array([2, 0])
ROW, ROW_LABELS = Z[:1, :3], np.array([2])
NO_LOG = "Compute log p as z - max - log(sum(exp(z - max))): p itself may have become 0."
OVERFLOW = "Subtract the largest logit of each row before np.exp: p is the same, without overflow."


def value(z: Any, labels: Any) -> Any:
    """Return the correct value: the mean over the rows."""
    return kernels.softmax_cross_entropy(z, labels)[0].mean()


def loss(submission: Any, z: Any, labels: Any) -> Any:
    """Return the result of the submission's loss with a correct softmax."""
    function = submission.softmax_cross_entropy
    with patched(function, softmax=kernels.softmax):
        return call_pair(function, z, labels, form="(value, dz)")


@check(15)
def softmax_values(submission: Any, rng: np.random.Generator) -> None:
    """softmax: each row is exp(z) divided by its sum."""
    p = submission.softmax(Z.copy())
    e, shifted = np.exp(Z), np.exp(Z - Z.max(axis=1, keepdims=True))
    known_errors = {
        "Divide each row by its sum.": (e, shifted),
        "The columns add up to 1, not the rows: axis=1, with keepdims=True.": (
            e / e.sum(axis=0),
            shifted / shifted.sum(axis=0),
        ),
        "All entries together add up to 1: sum along axis=1, with keepdims=True.": (
            e / e.sum(),
            shifted / shifted.sum(),
        ),
    }
    assert_close("p", p, kernels.softmax(Z), known_errors)


@check(10)
def softmax_large(submission: Any, rng: np.random.Generator) -> None:
    """softmax: logits of 1000 and -1000 do not overflow."""
    p = submission.softmax(LARGE.copy())
    small = submission.softmax(LARGE / 1000)
    right = np.allclose(small, kernels.softmax(LARGE / 1000), rtol=1e-10)
    known = f"\nHint: {OVERFLOW}" if right else ""
    expect(np.all(np.isfinite(p)), f"softmax of logits of 1000 is not finite.{known}")
    if right:  # otherwise softmax is wrong at any size
        assert_close("p", p, kernels.softmax(LARGE))


@check(20)
def loss_value(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: the value is the mean of -log p of the right classes."""
    result = loss(submission, Z, LABELS)[0]
    right = value(Z, LABELS)
    chosen = kernels.softmax(Z)[np.arange(5), LABELS]
    known_errors = {
        "Take the mean over the rows, not the sum: then the loss does not grow with the batch.": (
            len(Z) * right
        ),
        "The sign: log p is negative, and the loss is -log p.": -right,
        "p.mean() divides by all entries, rows times classes. Divide by the rows.": right / 4,
        "np.log2 is not the natural logarithm.": right / np.log(2),
        "The loss is -log p, not -p or 1 - p.": 1 - chosen.mean(),
        "Classes are counted from 0: p[row, label].": value(Z, (LABELS - 1) % 4),
    }
    expect(np.ndim(result) == 0, "The value must be one number, the mean over the rows.")
    assert_close("value", result, right, known_errors)


@check(10)
def loss_large(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: value and gradient are finite for very low logits."""
    result, dz = loss(submission, EXTREME, EXTREME_LABELS)
    result, right = float(np.mean(result)), value(EXTREME, EXTREME_LABELS)
    usual = np.isclose(np.mean(loss(submission, Z, LABELS)[0]), value(Z, LABELS))
    known = f"\nHint: {NO_LOG}" if usual else ""
    clipped = "clipped, " if usual and np.isfinite(result) else ""
    expect(
        np.isfinite(result) and abs(result) > 1000,
        f"With logits of -10,000 it is {clipped}{result:.6g}, expected {right:.6g}.{known}",
    )
    expect(np.isfinite(dz).all(), f"With logits of 10,000 dz is not finite.\nHint: {OVERFLOW}")


@check(30)
def loss_gradient(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: dz is the derivative with respect to z."""
    function = submission.softmax_cross_entropy
    with patched(function, softmax=kernels.softmax):
        assert_slope(with_reference_value(value, function), Z, LABELS)


@check(10)
def loss_one_row(submission: Any, rng: np.random.Generator) -> None:
    """softmax_cross_entropy: a batch of one row, with another number of classes, works."""
    result, dz = loss(submission, ROW, ROW_LABELS)
    expect(np.shape(dz) == ROW.shape, f"dz has the shape {np.shape(dz)}, expected {ROW.shape}.")
    expect(np.isfinite(result), f"The value is {result}.")
    batch, batch_dz = loss(submission, Z, LABELS)
    right = (kernels.softmax(Z) - np.eye(4)[LABELS]) / len(Z)
    if np.allclose(batch, value(Z, LABELS), rtol=1e-10):  # otherwise it is wrong for any batch
        assert_close("value", result, value(ROW, ROW_LABELS))
    if np.shape(batch_dz) == Z.shape and np.allclose(batch_dz, right, rtol=1e-10):
        assert_close("dz", dz, kernels.softmax(ROW) - np.eye(3)[ROW_LABELS])


@check(5)
def loss_changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """softmax, softmax_cross_entropy: z and the labels are not modified."""
    assert_arguments_unchanged(submission.softmax, Z)
    with patched(submission.softmax_cross_entropy, softmax=kernels.softmax):
        assert_arguments_unchanged(submission.softmax_cross_entropy, Z, LABELS)
