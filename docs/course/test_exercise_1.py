"""Grade exercise 1: an affine map, ReLU and inverted dropout, for 100 points.

``pytest test_exercise_1.py`` grades ``exercise_1.py`` beside this file;
``pytest test_exercise_1.py --submission FILE`` another file, a notebook too. ``conftest.py`` must
stand beside this file, and nnreg be installed.

One mistake is to cost its own points and no others: backward functions are graded behind the right
forward output, dropout's behind the mask that the submission drew.
"""

from copy import deepcopy
from functools import wraps

import numpy as np
import pytest

import nnreg as nn
from nnreg.testing import GALLERY, diagnose

# How numbers are rounded, or what NumPy warns of, is not what is asked here.
pytestmark = pytest.mark.filterwarnings("default")

RNG = np.random.default_rng(1)
X, W, B = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)
MANY = RNG.uniform(1, 2, (256, 64))  # the share kept is known to 0.003
KEEP_PROB = 0.8


def affine(x, w, b):
    """Return the right output."""
    return x @ w + b


def relu(x):
    """Return the right output, of complex numbers too."""
    return x * (x.real > 0)


def draws():
    """Return a new generator, always the same."""
    return np.random.default_rng(2)


# --- Affine, 40 points ----------------------------------------------------------------------------


@pytest.mark.points(10)
def test_affine_forward(submission):
    """affine_forward: y is x w + b."""
    same("y", run(submission.affine_forward, X, W, B)[0], affine(X, W, B))


@pytest.mark.points(8)
def test_affine_dx(submission):
    """affine_backward: dx is the derivative by x."""
    pair = behind(affine, submission.affine_forward), submission.affine_backward
    gradient("x", *pair, X, W, B)


@pytest.mark.points(8)
def test_affine_dw(submission):
    """affine_backward: dw is the derivative by w."""
    pair = behind(affine, submission.affine_forward), submission.affine_backward
    gradient("w", *pair, X, W, B)


@pytest.mark.points(8)
def test_affine_db(submission):
    """affine_backward: db is the derivative by b."""
    pair = behind(affine, submission.affine_forward), submission.affine_backward
    gradient("b", *pair, X, W, B)


@pytest.mark.points(3)
def test_affine_one_row(submission):
    """affine_forward, affine_backward: a row alone gives what it gave in the batch."""
    y, cache = run(submission.affine_forward, X, W, B)
    dx = results(submission.affine_backward(np.ones((5, 3)), cache), 3)[0]
    one, cache = run(submission.affine_forward, X[:1], W, B)
    same("y of a batch of one row", one, y[:1])
    one = results(submission.affine_backward(np.ones((1, 3)), cache), 3)[0]
    same("dx of a batch of one row", one, dx[:1])


@pytest.mark.points(3)
def test_affine_changes_nothing(submission):
    """affine_forward, affine_backward: x, w, b and dy stay as they were."""
    unchanged(submission.affine_forward, submission.affine_backward, X, W, B)


# --- ReLU, 20 points ------------------------------------------------------------------------------


@pytest.mark.points(6)
def test_relu_forward(submission):
    """relu_forward: y is max(x, 0)."""
    same("y", run(submission.relu_forward, X)[0], relu(X))


@pytest.mark.points(8)
def test_relu_dx(submission):
    """relu_backward: dx is the derivative by x."""
    gradient("x", behind(relu, submission.relu_forward), submission.relu_backward, X)


@pytest.mark.points(3)
def test_relu_at_zero(submission):
    """relu_backward: the derivative at exactly x = 0 is 0."""
    _, cache = run(submission.relu_forward, np.zeros((5, 4)))
    dx = results(submission.relu_backward(np.ones((5, 4)), cache), 1)[0]
    expect(not np.any(dx), hint("ReLU: >= 0"))


@pytest.mark.points(3)
def test_relu_changes_nothing(submission):
    """relu_forward, relu_backward: x and dy stay as they were."""
    unchanged(submission.relu_forward, submission.relu_backward, X)


# --- Dropout, 40 points ---------------------------------------------------------------------------


@pytest.mark.points(6)
def test_dropout_share(submission):
    """dropout_forward, training: the share of units kept is keep_prob."""
    y, _ = run(submission.dropout_forward, MANY, KEEP_PROB, True, draws())
    share = np.mean(y != 0)
    said = f"With keep_prob = {KEEP_PROB}, {share:.0%} of the units are kept."
    if abs(share - (1 - KEEP_PROB)) < 0.02:
        said += f"\n{hint('dropout: keeps with the probability to drop')}"
    expect(abs(share - KEEP_PROB) < 0.02, said)


@pytest.mark.points(8)
def test_dropout_scale(submission):
    """dropout_forward, training: the kept units are scaled so that the mean stays."""
    y, _ = run(submission.dropout_forward, MANY, KEEP_PROB, True, draws())
    factors = dropped(MANY, y)
    scale = factors.max()
    expect(np.allclose(factors[factors != 0], scale), "The kept units have different factors.")
    mean = scale * np.mean(factors != 0)
    said = hint("dropout: not scaled") if np.isclose(scale, 1) else "It should be 1/keep_prob."
    expect(abs(mean - 1) < 0.1, f"The kept units are multiplied by {scale:.3g}. {said}")


@pytest.mark.points(8)
def test_dropout_inference(submission):
    """dropout_forward, not training: y is x."""
    y, _ = run(submission.dropout_forward, MANY, KEEP_PROB, False, draws())
    expect(np.all(y), "Units are dropped outside training too.\nHint: if not training, y is x.")
    expect(not np.allclose(y, KEEP_PROB * MANY), hint("dropout: scaled at inference"))
    same("y", y, MANY)


@pytest.mark.points(10)
def test_dropout_dx(submission):
    """dropout_backward, training: dx is the derivative by x, of the same mask."""
    y, cache = run(submission.dropout_forward, X, 0.6, True, draws())
    factors = dropped(X, y)

    def dropout(x):
        return x * factors, deepcopy(cache)

    gradient("x", dropout, submission.dropout_backward, X)


@pytest.mark.points(3)
def test_dropout_dx_inference(submission):
    """dropout_backward, not training: dx is dy."""
    _, cache = run(submission.dropout_forward, X, KEEP_PROB, False, draws())
    dy = np.arange(20.0).reshape(5, 4)
    same("dx", results(submission.dropout_backward(dy.copy(), cache), 1)[0], dy)


@pytest.mark.points(3)
def test_dropout_draws(submission):
    """dropout_forward, training: each call draws a new mask, from rng."""
    rng, again = draws(), draws()
    first, second, replayed = (
        run(submission.dropout_forward, X, 0.6, True, g)[0] for g in (rng, rng, again)
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


@pytest.mark.points(2)
def test_dropout_changes_nothing(submission):
    """dropout_forward, dropout_backward: x and dy stay as they were."""
    pair = submission.dropout_forward, submission.dropout_backward
    dropped(X, run(pair[0], X, 0.6, True, draws())[0])
    unchanged(*pair, X, 0.6, True, draws())


# --- How it is found out --------------------------------------------------------------------------


def expect(holds, message):
    """Fail, with the message alone, unless ``holds``."""
    if not holds:
        pytest.fail(message, pytrace=False)


def hint(name):
    """Return what the gallery says of a mistake."""
    return f"{GALLERY[name].symptom}\nHint: {GALLERY[name].hint}"


def copies(arguments):
    """Return the arguments with arrays of their own."""
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def run(forward, *arguments):
    """Return ``(y, cache)`` of a forward function that may do with its arrays what it will."""
    return paired(forward.__name__, forward(*copies(arguments)))


def paired(name, made):
    """Return what a forward function returned, if it is a pair."""
    pair = isinstance(made, tuple) and len(made) == 2
    expect(pair, f"{name} must return the pair (y, cache), got {type(made).__name__}.")
    return made


def results(answer, count):
    """Return the answer of a backward function as a tuple of so many gradients."""
    answer = answer if isinstance(answer, tuple) else (answer,)
    given = len(answer) == count and all(a is not None for a in answer)
    expect(given, f"The backward function must return {count} gradient(s): look at its return.")
    return answer


def same(name, found, wanted):
    """Fail unless an array has the shape and the values that are wanted."""
    found = np.asarray(found)
    shapes = f"{name} has the shape {found.shape}, wanted is {wanted.shape}."
    expect(found.shape == wanted.shape, shapes)
    close = np.isclose(found, wanted)
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        expect(False, f"{name}{list(at)} is {found[at]:.6g}, wanted is {wanted[at]:.6g}.")


def dropped(x, y):
    """Return by what each entry was multiplied, where training dropped some and kept some."""
    expect(np.shape(y) == x.shape, f"y has the shape {np.shape(y)}, wanted is {x.shape}.")
    factors = y / x
    some = np.any(factors == 0) and np.any(factors != 0)
    expect(some, "In training some units must be dropped and others kept; all were treated alike.")
    return factors


def behind(right, forward):
    """Return a forward function with the right output and the submission's cache."""

    @wraps(right)
    def both(*arguments):
        return right(*arguments), run(forward, *arguments)[1]

    return both


def gradient(block, forward, backward, *arguments):
    """Fail, with a diagnosis, unless the derivative by one argument is right."""
    y, cache = forward(*copies(arguments))
    places = sum(isinstance(a, np.ndarray) for a in arguments)
    results(backward(np.ones_like(y), cache), places)
    rows = nn.check_gradients(forward, backward, *arguments).rows
    row = next(row for row in rows if row.block == block)
    if not row.passed:
        first = diagnose(forward, backward, *arguments)
        named = [d for d in (first, *first.others) if d.block == block and d.mistake]
        said = f"{named[0].sentence}\nHint: {named[0].hint}" if named else f"{row.sentence()}."
        expect(False, said)


def unchanged(forward, backward, *arguments):
    """Fail unless both functions leave the arrays that they are given as they were."""
    given = copies(arguments)
    arrays = [(a, b) for a, b in zip(given, arguments, strict=True) if isinstance(a, np.ndarray)]
    y, cache = paired(forward.__name__, forward(*given))
    expect(all(np.array_equal(a, b) for a, b in arrays), hint("layer: x damaged"))
    dy = np.ones_like(y)
    backward(dy, cache)
    expect(np.all(dy == 1), hint("layer: dy damaged"))
    expect(
        all(np.array_equal(a, b) for a, b in arrays),
        "backward changes an array that forward was given: write into a new one.",
    )
