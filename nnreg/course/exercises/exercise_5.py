"""Exercise 5: a whole training loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnreg._support.typing import Array
from nnreg.course.grading.assertions import (
    GLOBAL_STATE,
    assert_close,
    expect,
    hint,
    library,
    patched,
    watch_global_state,
)
from nnreg.course.grading.exercises import check

MODULES = ("numpy", "matplotlib", "nnreg")
RNG = np.random.default_rng(5)
N, EPOCHS, BATCH_SIZE, STEPS, RATE, STRENGTH = 90, 8, 19, 5, 0.23, 0.5
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


def gradient(net: Any = None, step: int = 0) -> tuple[float, Array]:
    """Return the data loss and its gradient, in a training pass."""
    net = net or network()
    outputs, cache = net.forward(FEW, training=True, step=step)
    value, doutputs = library(None).SoftmaxCrossEntropy()(outputs, FEW_LABELS)
    return float(value), net.backward(doutputs, cache).vector


def follows(change: Array, g: Array) -> bool:
    """Return whether the weights move along the gradient, forwards or backwards."""
    change, g = change[IS_WEIGHT], g[IS_WEIGHT]
    sizes = np.linalg.norm(change) * np.linalg.norm(g)
    return bool(abs(np.vdot(change, g)) > 0.999999 * sizes > 0)


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
    batches = [np.ravel(batch) for batch in submission.batches(23, 5, rng)]
    rows, sizes = np.concatenate(batches), [len(batch) for batch in batches]
    expect(rows.dtype.kind in "iu", f"A batch must hold row numbers, got {rows.dtype}.")
    there = (rows >= 0) & (rows < 23)
    expect(there.all(), f"There is no row {rows[~there].max(initial=-1)}: rows are counted from 0.")
    counts = np.bincount(rows, minlength=23)
    missing, twice = int((counts == 0).sum()), int((counts > 1).sum())
    known = ""
    if twice and sizes == [5, 5, 5, 5, 3]:
        known = "\nHint: draw without replacement: rng.permutation(n), cut into batches."
    elif not twice and sizes == [5, 5, 5, 5]:
        known = "\nHint: the last batch may be smaller than the others; do not leave it out."
    expect(
        not missing and not twice,
        f"Of 23 rows {missing} are missing, and {twice} occur more than once.{known}",
    )


@check(5)
def batches_sizes(submission: Any, rng: np.random.Generator) -> None:
    """batches: each has batch_size rows, except the last."""
    for n, most in ((23, 5), (20, 4)):
        sizes = [len(batch) for batch in submission.batches(n, 5, rng)]
        right = sizes[:4] == [5] * 4 and len(sizes) <= most
        expect(right, f"{n} rows in batches of 5 have the sizes {sizes}.")


@check(10)
def batches_shuffled(submission: Any, rng: np.random.Generator) -> None:
    """batches: each call draws a new order from rng."""
    again, used = np.random.default_rng(0), watch_global_state(submission)
    first, second, replayed = (
        [np.ravel(batch).tolist() for batch in submission.batches(20, 4, g)]
        for g in (rng, rng, again)
    )
    expect(
        [row for batch in first for row in batch] != list(range(20)),
        "The rows are in the order of the data.\nHint: data are often sorted by class; shuffle.",
    )
    expect(
        not all(np.ptp(batch) < len(batch) for batch in first if batch),
        "Each batch has consecutive rows.\nHint: shuffle the rows, then cut them into batches.",
    )
    expect(
        first != second,
        "Two epochs have the same order.\n"
        "Hint: draw a new order from rng in each call, without a seed.",
    )
    expect(
        first == replayed,
        "Two equal generators give different orders, so no run can be repeated.\n"
        "Hint: draw from rng, not from np.random.",
    )
    expect(not used(), GLOBAL_STATE)


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
    expect(np.any(without[IS_WEIGHT]), "The weights do not move.")
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
    known = ""
    if follows(run_step(submission)[0], gradient()[1]):
        known = "\nHint: call forward once with training=True, and backward with its cache."
    net, loss = network(submission, keep_prob=0.5), library(submission).SoftmaxCrossEntropy()
    for step in range(2):
        reference = network(keep_prob=0.5)
        reference.parameters.vector[...] = before = net.parameters.vector.copy()
        submission.train_step(net, loss, FEW.copy(), FEW_LABELS.copy(), RATE)
        result = net.parameters.vector - before
        expect(np.any(result[IS_WEIGHT]), "The weights do not move.")
        expect(
            follows(result, gradient(reference, step)[1]),
            "With dropout, the step does not follow the gradient of this forward pass."
            + (
                known if step == 0 else "\nHint: each step must draw a new mask: do not pass step=."
            ),
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


@check(5)
def training_learns(submission: Any, rng: np.random.Generator) -> None:
    """train: the objective decreases, and the points are classified."""
    net, history, *_ = run_training(submission, rng)
    if is_history(history):  # otherwise `training_history` takes the points
        expect(
            history[-1] < history[0] / 2,
            f"The objective goes from {history[0]:.3g} to {history[-1]:.3g} in {EPOCHS} epochs.",
        )
    trained = network()
    trained.parameters.vector[...] = net.parameters.vector
    right = np.mean(trained.predict(X).argmax(axis=1) == LABELS)
    expect(right > 0.9, f"After {EPOCHS} epochs only {right:.0%} of the easy points are right.")


@check(4)
def training_steps(submission: Any, rng: np.random.Generator) -> None:
    """train: each epoch makes one step per batch, with all rows in a new order."""
    net, _, epochs, passes_rng = run_training(submission, rng)
    expected = EPOCHS * STEPS
    expect(
        net.steps == expected,
        f"{EPOCHS} epochs of {N} rows in batches of {BATCH_SIZE} are {expected} steps, not "
        f"{net.steps}.",
    )
    rates = {float(rate) for steps in epochs for _, _, rate, _ in steps}
    expect(rates <= {0.1}, f"train_step gets the learning rates {sorted(rates)}, expected 0.1.")
    orders = []
    for steps in epochs:
        x, y = (np.concatenate([step[i] for step in steps]) for i in (0, 1))
        expect(
            x.shape == X.shape and np.array_equal(np.sort(x[:, 0]), np.sort(X[:, 0])),
            f"The steps of an epoch get {len(x)} rows; expected each of the {N} rows once.\n"
            "Hint: pass x[batch] and y[batch].",
        )
        orders.append([int(row) for row in np.searchsorted(np.sort(X[:, 0]), x[:, 0])])
        labels = LABELS[np.argsort(X[:, 0])][orders[-1]]
        expect(
            np.array_equal(y, labels),
            "The labels of a step are not those of its rows.\nHint: pass x[batch] and y[batch].",
        )
    expect(
        orders[1:2] != orders[:1] or not orders,
        "All epochs have the same order.\nHint: call batches(..., rng) in every epoch.",
    )
    expect(passes_rng, "batches does not get the rng that train receives, so a run is random.")


@check(3)
def training_history(submission: Any, rng: np.random.Generator) -> None:
    """train: it returns each epoch's mean objective."""
    _, history, epochs, _ = run_training(submission, rng)
    expect(is_history(history), "train must return a list with one number for each epoch.")
    values = np.array([[value for *_, value in steps] for steps in epochs])
    sizes = [[len(x) for x, *_ in steps] for steps in epochs]
    if values.size:
        by_rows = np.average(values, axis=1, weights=sizes)
        known_errors = {
            "Take the mean over all steps of the epoch, not the last one.": values[:, -1],
            "Take the mean over all steps of the epoch, not the first one.": values[:, 0],
            "Take the mean over the steps, not the sum.": values.sum(axis=1),
        }
        means = by_rows if np.allclose(history, by_rows) else values.mean(axis=1)
        assert_close("history", history, means, known_errors)


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
    without = submission.accuracy(network(submission), X.copy(), LABELS.copy())
    expect(
        result[0] == without,
        f"The accuracy is {without:.6g} without dropout and {result[0]:.6g} with it.\n"
        "Hint: net.predict(x) drops no unit.",
    )
    expect(
        np.array_equal(net.parameters.vector, network().parameters.vector),
        "accuracy changes the parameters.",
    )


Step = tuple[Array, Array, float, float]  # x, y, learning_rate, objective


class Training(NamedTuple):
    """A run of the submission's ``train``; ``epochs`` are the calls of ``train_step``, if any."""

    net: Any
    history: Any
    epochs: list[list[Step]]
    passes_rng: bool


def run_training(submission: Any, rng: np.random.Generator) -> Training:
    """Train a network with the submission's function."""
    steps: list[Step] = []

    generators: list[Any] = []

    def batches(n: int, batch_size: int, rng: np.random.Generator) -> list[Array]:
        generators.append(rng)
        return right_batches(n, batch_size, rng)

    def step(net: Any, loss: Any, x: Array, y: Array, learning_rate: float) -> float:
        value = right_step(net, loss, x, y, learning_rate)
        steps.append((np.array(x), np.array(y), learning_rate, value))
        return value

    net, loss = network(submission), library(submission).SoftmaxCrossEntropy()
    options = {"learning_rate": 0.1, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "rng": rng}
    with patched(submission.train, batches=batches, train_step=step):
        history = submission.train(net, loss, X.copy(), LABELS.copy(), **options)
    whole = len(steps) == EPOCHS * STEPS
    epochs = [steps[i : i + STEPS] for i in range(0, len(steps), STEPS)] if whole else []
    return Training(net, history, epochs, all(generator is rng for generator in generators))


def is_history(history: Any) -> bool:
    """Return whether a history is a list with one number for each epoch."""
    return isinstance(history, list) and [np.shape(value) for value in history] == EPOCHS * [()]
