"""Exercise 1: an affine map and ReLU, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import kernels
from nnreg.course.grading.assertions import (
    assert_close,
    assert_gradient,
    assert_nonzero,
    assert_unchanged,
    call_pair,
    expect,
    hint,
    require_gradients,
    with_reference_output,
)
from nnreg.course.grading.exercises import check

RNG = np.random.default_rng(1)
X, W, B = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)
LARGE = 10 * X  # for ReLU, since some rectifiers have an upper limit


@check(15)
def affine_forward(submission: Any, rng: np.random.Generator) -> None:
    """affine_forward: y is x w + b."""
    known_errors = {"b is missing.": X @ W, "b is subtracted.": X @ W - B}
    assert_close(
        "y", call_pair(submission.affine_forward, X, W, B)[0], kernels.affine(X, W, B), known_errors
    )


@check(12)
def affine_dx(submission: Any, rng: np.random.Generator) -> None:
    """affine_backward: dx is the derivative with respect to x."""
    forward = with_reference_output(kernels.affine, submission.affine_forward)
    assert_gradient("x", forward, submission.affine_backward, X, W, B)


@check(12)
def affine_dw(submission: Any, rng: np.random.Generator) -> None:
    """affine_backward: dw is the derivative with respect to w."""
    forward = with_reference_output(kernels.affine, submission.affine_forward)
    assert_gradient("w", forward, submission.affine_backward, X, W, B)


@check(12)
def affine_db(submission: Any, rng: np.random.Generator) -> None:
    """affine_backward: db is the derivative with respect to b."""
    forward = with_reference_output(kernels.affine, submission.affine_forward)
    assert_gradient("b", forward, submission.affine_backward, X, W, B)


@check(5)
def affine_one_row(submission: Any, rng: np.random.Generator) -> None:
    """affine_forward, affine_backward: a single row gives the same result as in a batch."""
    y, cache = call_pair(submission.affine_forward, X, W, B)
    dx = require_gradients(submission.affine_backward(np.ones((5, 3)), cache), 3)[0]
    assert_nonzero("y", y)
    assert_nonzero("dx", dx)
    single, cache = call_pair(submission.affine_forward, X[:1], W, B)
    assert_close("y of a batch of one row", single, y[:1])
    single = require_gradients(submission.affine_backward(np.ones((1, 3)), cache), 3)[0]
    right = np.ones((5, 3)) @ W.T
    if np.shape(dx) == right.shape and np.allclose(
        dx, right
    ):  # otherwise dx is wrong for any batch
        assert_close("dx of a batch of one row", single, dx[:1])


@check(4)
def affine_changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """affine_forward, affine_backward: x, w, b and dy are not modified, the cache is used."""
    assert_unchanged(submission.affine_forward, submission.affine_backward, X, W, B)


@check(12)
def relu_forward(submission: Any, rng: np.random.Generator) -> None:
    """relu_forward: y is max(x, 0)."""
    known_errors = {
        "Return the larger of x and 0, not the smaller.": np.minimum(LARGE, 0),
        "That is |x|.": np.abs(LARGE),
    }
    y = call_pair(submission.relu_forward, LARGE)[0]
    assert_close("y", y, kernels.rectifier(LARGE), known_errors)


@check(18)
def relu_dx(submission: Any, rng: np.random.Generator) -> None:
    """relu_backward: dx is the derivative with respect to x."""
    assert_gradient(
        "x",
        with_reference_output(kernels.rectifier, submission.relu_forward),
        submission.relu_backward,
        LARGE,
    )


@check(6)
def relu_at_zero(submission: Any, rng: np.random.Generator) -> None:
    """relu_backward: the derivative at exactly x = 0 is 0."""
    x = np.array([[-1.0, 0.0, 1.0]])
    _, cache = call_pair(submission.relu_forward, x)
    dx = require_gradients(submission.relu_backward(np.ones((1, 3)), cache), 1)[0]
    assert_nonzero("dx", dx)
    slopes = np.ravel(dx).tolist()
    known = hint("ReLU: >= 0") if slopes == [0, 1, 1] else "dx is dy only where x > 0."
    expect(slopes[1] == 0, f"At x = 0 the derivative is {slopes[1]:g}, expected 0.\n{known}")


@check(4)
def relu_changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """relu_forward, relu_backward: x and dy are not modified, the cache is used."""
    assert_unchanged(submission.relu_forward, submission.relu_backward, X)
