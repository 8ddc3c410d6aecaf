"""Exercise 5: a whole training loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.course.grading.assertions import (
    assert_close,
    expect,
    hint,
    library,
    patched,
)
from nnreg.course.grading.exercises import check

MODULES = ("numpy", "matplotlib", "nnreg")
RNG = np.random.default_rng(5)
N, EPOCHS, RATE, STRENGTH = 90, 8, 0.25, 0.5
LABELS = np.arange(N) % 3
X = 3 * np.array([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])[LABELS] + RNG.standard_normal((N, 2))
FEW, FEW_LABELS = X[:7], LABELS[:7]
IS_WEIGHT = np.arange(51) < 2 * 8 + 8 * 3  # of the parameters of the network below


def network(submission: Any = None, strength: float = 0.0, keep_prob: float = 1.0) -> Any:
    """Return a new network with biases that are not zero, in the submission's process or here."""
    nn = library(submission)
    layers = [nn.Dense(8), nn.Tanh(), nn.Dropout(keep_prob=keep_prob), nn.Dense(3)]
    penalty = nn.L2(strength) if strength else None
    net = nn.Network(layers, inputs=2, penalty=penalty, seed=3, dtype="float64")
    net.parameters.biases[:] = np.linspace(-0.5, 0.5, net.parameters.biases.size)
    return net


def run_step(submission: Any, **options: float) -> tuple[Array, Any]:
    """Return the change of the parameters by one step of the submission, and its result."""
    net, loss = network(submission, **options), library(submission).SoftmaxCrossEntropy()
    result = submission.train_step(net, loss, FEW.copy(), FEW_LABELS.copy(), RATE)
    return net.parameters.vector - network(**options).parameters.vector, result


def gradient(**options: float) -> tuple[float, Array]:
    """Return the data loss and its gradient, in the first training pass."""
    net = network(**options)
    outputs, cache = net.forward(FEW, training=True)
    value, doutputs = library(None).SoftmaxCrossEntropy()(outputs, FEW_LABELS)
    return float(value), net.backward(doutputs, cache).vector


def right_batches(n: int, batch_size: int, rng: np.random.Generator) -> list[Array]:
    """Return the rows in random order, cut into batches."""
    order = rng.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


def right_step(net: Any, loss: Any, x: Array, y: Array, learning_rate: float) -> float:
    """Make a step without a penalty, and return the loss before it."""
    outputs, cache = net.forward(x, training=True)
    value, doutputs = loss(outputs, y)
    net.parameters.vector[...] -= learning_rate * net.backward(doutputs, cache).vector
    return float(value)


@check(10)
def batches_cover(submission: Any, rng: np.random.Generator) -> None:
    """batches: together they contain every row exactly once."""
    rows = np.concatenate([np.ravel(batch) for batch in submission.batches(23, 5, rng)])
    counts = np.bincount(rows.astype(int), minlength=23)
    missing = int((counts == 0).sum())
    expect(
        counts.max() <= 1,
        f"Of 23 rows {missing} are missing and others occur twice.\n"
        "Hint: draw without replacement: rng.permutation(n), cut into batches.",
    )
    expect(
        missing == 0,
        f"Of 23 rows {missing} are missing.\n"
        "Hint: the last batch may be smaller than the others; do not leave it out.",
    )
    expect(len(counts) == 23, f"There is no row {len(counts) - 1}: rows are counted from 0.")


@check(5)
def batches_sizes(submission: Any, rng: np.random.Generator) -> None:
    """batches: each has batch_size rows, except the last."""
    sizes = [len(batch) for batch in submission.batches(23, 5, rng)]
    expect(sizes[:4] == [5] * 4, f"23 rows in batches of 5 have the sizes {sizes}.")


@check(10)
def batches_shuffled(submission: Any, rng: np.random.Generator) -> None:
    """batches: each call draws a new order from rng."""
    again = np.random.default_rng(0)
    first, second, replayed = (
        np.concatenate(list(submission.batches(20, 20, g))).tolist() for g in (rng, rng, again)
    )
    expect(
        first != list(range(20)),
        "The rows are in the order of the data.\nHint: data are often sorted by class; shuffle.",
    )
    expect(
        first != second,
        "Two epochs have the same order.\nHint: set no seed inside the function; draw from rng.",
    )
    expect(
        first == replayed,
        "Two equal generators give different orders, so no run can be repeated.\n"
        "Hint: draw from rng, not from np.random.",
    )


@check(20)
def step_descends(submission: Any, rng: np.random.Generator) -> None:
    """train_step: without a penalty, the parameters move by -learning_rate * gradient."""
    result, g = run_step(submission)[0], gradient()[1]
    only_weights = np.where(IS_WEIGHT, g, 0.0)
    assert_close("The change of the parameters", result, -RATE * g, {
        "The parameters do not move.\nHint: -= on net.parameters.vector works in place;"
        " assigning a new array to a variable does not change the network.": 0 * g,
        "The step goes uphill.\nHint: the gradient points in the direction of increase.": RATE * g,
        "The learning rate is missing.": -g,
        "The gradient is divided by N twice.\nHint: the loss divides by N.": -RATE * g / 7,
        "The gradient is multiplied by N.\nHint: the loss is a mean.": -RATE * g * 7,
        "Only the weights move.\nHint: biases are trained too.": -RATE * only_weights,
        "Two steps are made in one, or the step is doubled.": -2 * RATE * g,
    })  # fmt: skip


@check(15)
def step_penalty(submission: Any, rng: np.random.Generator) -> None:
    """train_step: a penalty moves the weights too, and no bias."""
    without, g = run_step(submission)[0], gradient()[1]
    expect(np.any(without), "The parameters do not move.")
    added = run_step(submission, strength=STRENGTH)[0] - without
    share = np.vdot(without[IS_WEIGHT], g[IS_WEIGHT]) / np.vdot(g[IS_WEIGHT], -RATE * g[IS_WEIGHT])
    result = added / share  # independent of the length of the step
    on_all = -RATE * STRENGTH * network().parameters.vector
    right = np.where(IS_WEIGHT, on_all, 0.0)
    assert_close("The penalty's part of the step", result, right, {
        hint("network: not added"): 0 * g,
        hint("network: on biases"): on_all,
        hint("network: divided"): right / 7,
        "The penalty's gradient is added twice.": 2 * right,
    })  # fmt: skip


@check(10)
def step_dropout(submission: Any, rng: np.random.Generator) -> None:
    """train_step: forward and backward use training mode, with the same mask."""
    result = run_step(submission, keep_prob=0.5)[0][IS_WEIGHT]
    g = gradient(keep_prob=0.5)[1][IS_WEIGHT]
    expect(np.any(result), "The parameters do not move.")
    cosine = np.vdot(result, g) / np.linalg.norm(result) / np.linalg.norm(g)
    expect(
        abs(cosine) > 0.999999,
        "With dropout, the step does not follow the gradient of this forward pass.\n"
        "Hint: call forward once with training=True, and backward with its cache.",
    )


@check(8)
def step_value(submission: Any, rng: np.random.Generator) -> None:
    """train_step: it returns the data loss plus the penalty, before the step."""
    net = network(strength=STRENGTH)
    value, penalty = gradient()[0], net.penalty_value()
    moved, result = run_step(submission, strength=STRENGTH)
    net.parameters.vector += moved
    known_errors = {
        "The penalty is missing: net.penalty_value().": value,
        "Add the data loss to the penalty.": penalty,
        "Take the penalty before the step, not after it.": value + net.penalty_value(),
    }
    expect(result is not None and np.ndim(result) == 0, "train_step must return one number.")
    assert_close("The objective", result, value + penalty, known_errors)


@check(7)
def training_learns(submission: Any, rng: np.random.Generator) -> None:
    """train: the objective decreases from epoch to epoch, and the points are classified."""
    net, history = run_training(submission, rng)
    expect(
        history[-1] < history[0] / 2,
        f"The objective goes from {history[0]:.3g} to {history[-1]:.3g} in {EPOCHS} epochs.",
    )
    trained = network()
    trained.parameters.vector[...] = net.parameters.vector
    right = np.mean(trained.predict(X).argmax(axis=1) == LABELS)
    expect(right > 0.9, f"After {EPOCHS} epochs only {right:.0%} of the easy points are right.")


@check(5)
def training_steps(submission: Any, rng: np.random.Generator) -> None:
    """train: each epoch makes one step per batch."""
    steps, expected = run_training(submission, rng)[0].steps, EPOCHS * 6
    expect(
        steps == expected,
        f"{EPOCHS} epochs of {N} rows in batches of 16 are {expected} steps, not {steps}.",
    )


@check(5)
def accuracy_share(submission: Any, rng: np.random.Generator) -> None:
    """accuracy: the share of rows whose largest output is at their label."""
    right = np.mean(network().predict(X).argmax(axis=1) == LABELS)
    result = submission.accuracy(network(submission), X.copy(), LABELS.copy())
    assert_close("accuracy", result, right, {"The share, not the number.": right * N})


@check(5)
def accuracy_inference(submission: Any, rng: np.random.Generator) -> None:
    """accuracy: no unit is dropped, and the network is not modified."""
    net = network(submission, keep_prob=0.5)
    result = [submission.accuracy(net, X.copy(), LABELS.copy()) for _ in range(5)]
    expect(
        net.steps == 0 and len(set(result)) == 1,
        "The accuracy is computed in training mode, with units dropped.\n"
        "Hint: net.predict(x) drops none.",
    )
    expect(
        np.array_equal(net.parameters.vector, network().parameters.vector),
        "accuracy changes the parameters.",
    )


def run_training(submission: Any, rng: np.random.Generator) -> tuple[Any, list[float]]:
    """Return the network that the submission trained, and its objectives, one per epoch."""
    net, loss = network(submission), library(submission).SoftmaxCrossEntropy()
    options = {"learning_rate": 0.1, "epochs": EPOCHS, "batch_size": 16, "rng": rng}
    with patched(submission.train, batches=right_batches, train_step=right_step):
        history = submission.train(net, loss, X.copy(), LABELS.copy(), **options)
    expect(
        isinstance(history, list) and len(history) == EPOCHS,
        "train must return a list with one number for each epoch.",
    )
    return net, [float(value) for value in history]
