"""Exercise 3: L2 and L1, their gradients, and the proximal step."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import kernels
from nnreg.course.grading.assertions import (
    assert_arguments_unchanged,
    assert_close,
    assert_slope,
    call_pair,
    copy_arrays,
    describe_known_error,
    expect,
    hint,
    patched,
    with_reference_value,
)
from nnreg.course.grading.exercises import check

RNG = np.random.default_rng(3)
W, STRENGTH, THRESHOLD = RNG.standard_normal((4, 3)), 0.37, 0.45
WITH_ZEROS = np.where(np.abs(W) < 0.5, 0.0, W)
PARAMETERS = {
    "w1": W,
    "b1": RNG.standard_normal(3),
    "w2": RNG.standard_normal((3, 2)),
    "b2": RNG.standard_normal(2),
    "w_out": RNG.standard_normal(2),
    "b_new": RNG.standard_normal(1),
}
GRADIENTS = {name: RNG.standard_normal(p.shape) for name, p in PARAMETERS.items()}


@check(10)
def l2_value(submission: Any, rng: np.random.Generator) -> None:
    """l2: the value is strength/2 times the sum of the squares."""
    right = STRENGTH * kernels.l2(W)
    _value(submission.l2, right, {
        "There is a factor 1/2: with it, the gradient has no 2.": 2 * right,
        "Sum the squares; the norm takes a root, L2 does not.": STRENGTH * np.linalg.norm(W),
        "Multiply by the strength.": right / STRENGTH,
        "Sum over all entries; do not take the mean.": right / W.size,
    })  # fmt: skip


@check(15)
def l2_gradient(submission: Any, rng: np.random.Generator) -> None:
    """l2: the gradient is that of strength/2 times the sum of the squares."""
    right = with_reference_value(lambda w, strength: strength * kernels.l2(w), submission.l2)
    assert_slope(right, W, STRENGTH)


@check(10)
def l1_value(submission: Any, rng: np.random.Generator) -> None:
    """l1: the value is strength times the sum of the absolute values."""
    right = STRENGTH * kernels.l1(W)
    _value(submission.l1, right, {
        "There is no 1/2 in L1.": right / 2,
        "Sum the absolute values: positive and negative entries of w cancel.": STRENGTH * W.sum(),
        "Multiply by the strength.": right / STRENGTH,
        "Sum over all entries; do not take the mean.": right / W.size,
    })  # fmt: skip


@check(15)
def l1_gradient(submission: Any, rng: np.random.Generator) -> None:
    """l1: the gradient is that of strength times the sum of the absolute values."""
    right = with_reference_value(lambda w, strength: strength * kernels.l1(w), submission.l1)
    assert_slope(right, W, STRENGTH)


@check(5)
def l1_at_zero(submission: Any, rng: np.random.Generator) -> None:
    """l1: the gradient at exactly w = 0 is 0."""
    result = call_pair(submission.l1, np.zeros((4, 3)), STRENGTH, form="(value, gradient)")[1]
    known_errors = {
        hint("L1: sign(0) = +1"): np.full((4, 3), STRENGTH),
        hint("L1: sign(0) = -1"): np.full((4, 3), -STRENGTH),
    }
    assert_close("At w = 0, gradient", result, np.zeros((4, 3)), known_errors)


@check(15)
def proximal(submission: Any, rng: np.random.Generator) -> None:
    """l1_proximal: every entry moves towards zero by the threshold."""
    far = np.sign(W) * (np.abs(W) + THRESHOLD)
    result = submission.l1_proximal(far.copy(), THRESHOLD)
    known_errors = {
        "Subtract the threshold from the large entries too.": far,
        "Negative entries move up, positive ones down: multiply by sign(w).": far - THRESHOLD,
        "Move towards zero, not away from it.": far + THRESHOLD * np.sign(far),
        "Subtract the threshold, not a fraction of w.": far * (1 - THRESHOLD),
        "The sign of w is lost: multiply by sign(w).": np.abs(W),
        "Negative entries become 0: use |w| - threshold, times sign(w).": np.maximum(W, 0),
    }
    assert_close("w", result, W, known_errors)


@check(10)
def proximal_zeros(submission: Any, rng: np.random.Generator) -> None:
    """l1_proximal: an entry of at most the threshold becomes exactly 0."""
    w = np.array([0.2, -0.2, 0.5, -0.5, 0.0])
    result = np.asarray(submission.l1_proximal(w.copy(), 0.5))
    past = {"An entry must not change its sign: max(|w| - threshold, 0).": w - 0.5 * np.sign(w)}
    expect(
        not np.any(result),
        f"With threshold 0.5, [0.2 -0.2 0.5 -0.5 0] becomes {result}."
        + describe_known_error(result, past),
    )


@check(8)
def added_to_weights(submission: Any, rng: np.random.Generator) -> None:
    """add_l2: the penalty's gradient is added to the gradients of the weights."""
    result = _added(submission)
    for name in (name for name in GRADIENTS if name[0] == "w"):
        right = GRADIENTS[name] + STRENGTH * PARAMETERS[name]
        known_errors = {
            "The gradient of L2 is not added to that of the data loss.": GRADIENTS[name],
            "The gradient of L2 replaces that of the data: add them.": STRENGTH * PARAMETERS[name],
            hint("L2: 2λ"): GRADIENTS[name] + 2 * STRENGTH * PARAMETERS[name],
            hint("penalty: sign"): GRADIENTS[name] - STRENGTH * PARAMETERS[name],
            "Multiply by the strength.": GRADIENTS[name] + PARAMETERS[name],
        }
        assert_close(f"The gradient of {name}", result[name], right, known_errors)


@check(7)
def biases_left_alone(submission: Any, rng: np.random.Generator) -> None:
    """add_l2: the gradients of the biases are not changed."""
    result = _added(submission)
    for name in (name for name in GRADIENTS if name[0] == "b"):
        penalized = {hint("network: on biases"): GRADIENTS[name] + STRENGTH * PARAMETERS[name]}
        assert_close(f"The gradient of {name}", result[name], GRADIENTS[name], penalized)


@check(5)
def changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """l2, l1, l1_proximal, add_l2: the arguments are not modified."""
    for function in (submission.l2, submission.l1, submission.l1_proximal):
        assert_arguments_unchanged(function, W, STRENGTH)
    assert_arguments_unchanged(submission.add_l2, GRADIENTS, PARAMETERS, STRENGTH)


def _value(function: Any, right: Any, known_errors: dict[str, Any]) -> None:
    result = call_pair(function, W, STRENGTH, form="(value, gradient)")[0]
    expect(np.ndim(result) == 0, "The value must be one number.")
    assert_close("value", result, right, known_errors)


def right_l2(w: Any, strength: float) -> tuple[Any, Any]:
    """Return L2's value and gradient."""
    return strength * kernels.l2(w), strength * w


def _added(submission: Any) -> dict[str, Any]:
    with patched(submission.add_l2, l2=right_l2):
        result = submission.add_l2(*copy_arrays((GRADIENTS, PARAMETERS, STRENGTH)))
    expect(
        isinstance(result, dict) and result.keys() == GRADIENTS.keys(),
        "add_l2 must return a dictionary with the same names as gradients.",
    )
    return dict(result)
