"""Exercise 7: a whole network for digits in NumPy."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.course.grading.assertions import assert_close, expect, hint, patched
from nnreg.course.grading.exercises import check
from nnreg.datasets.bundled import load_digits

Layers: TypeAlias = list[tuple[Array, Array]]

RNG = np.random.default_rng(7)
X, LABELS, STRENGTH = RNG.standard_normal((6, 5)), np.array([2, 0, 1, 2, 2, 1]), 0.3
ROWS, BATCH, EPOCHS, RATE, DECAY = 390, 40, 6, 0.4, 1e-4  # the last batch has 30 rows
CALLS = EPOCHS * -(-ROWS // BATCH)


def make_layers(sizes: tuple[int, ...], rng: np.random.Generator) -> Layers:
    """Return layers with weights of He's scale, and biases that are not zero."""
    return [
        (rng.standard_normal((d, m)) * np.sqrt(2 / d), np.full(m, 0.1)) for d, m in pairwise(sizes)
    ]


LAYERS = make_layers((5, 6, 4, 3), RNG)
FORM = "list of pairs (dw, db), one for each layer"


def right_forward(layers: Layers, x: Array) -> list[Array]:
    """Return the input, the outputs of each hidden layer, and the logits."""
    activations = [x]
    for w, b in layers[:-1]:
        activations.append(kernels.rectifier(kernels.affine(activations[-1], w, b)))
    return [*activations, kernels.affine(activations[-1], *layers[-1])]


def right_objective(
    layers: Layers, x: Array, labels: Array, strength: float, masked: bool = True
) -> tuple[float, Layers]:
    """Return the objective and its gradients; without ``masked``, ReLU's derivative is 1."""
    *inputs, logits = right_forward(layers, x)
    data_loss, dy = kernels.softmax_cross_entropy(logits, labels)
    dy = dy / len(x)
    gradients: Layers = []
    for a, (w, _) in zip(reversed(inputs), reversed(layers), strict=True):
        gradients.insert(0, (a.T @ dy + strength * w, dy.sum(axis=0)))
        dy = dy @ w.T * (a > 0 if masked else 1)
    penalty = sum(strength * kernels.l2(w) for w, _ in layers)
    return float(data_loss.mean() + penalty), gradients


def copy(layers: Layers) -> Layers:
    """Return copies of all arrays."""
    return [(w.copy(), b.copy()) for w, b in layers]


def objective(submission: Any, strength: float) -> tuple[Any, list[Any]]:
    """Return the value and the gradients of the submission, with a correct forward pass."""
    with patched(submission.objective, forward=right_forward):
        result = submission.objective(copy(LAYERS), X.copy(), LABELS.copy(), strength)
    expect(
        isinstance(result, tuple) and len(result) == 2,
        f"objective must return the pair (value, gradients); gradients is a {FORM}.",
    )
    value, gradients = result
    expect(
        isinstance(gradients, list)
        and [len(g) if isinstance(g, tuple | list) else 0 for g in gradients] == [2] * len(LAYERS),
        f"The gradients must be a {FORM}.",
    )
    return value, gradients


def data_gradients(submission: Any) -> tuple[Layers, float]:
    """Return the gradients without a penalty, and the factor of a mistake that they share.

    It is the factor of the last layer's gradient, so that a wrong 1/N costs that check alone.
    """
    gradients, right = objective(submission, 0.0)[1], right_objective(LAYERS, X, LABELS, 0.0)[1]
    last, expected = np.asarray(gradients[-1][0]), right[-1][0]
    if last.shape != expected.shape:
        return gradients, 1.0
    factor = np.vdot(expected, last) / np.vdot(expected, expected)
    return gradients, float(factor) if factor and np.allclose(last, factor * expected) else 1.0


@check(8)
def initial_weights(submission: Any, rng: np.random.Generator) -> None:
    """initialize: the weights are normal, with He's standard deviation, sqrt(2/D)."""
    sizes = (400, 200, 100)
    layers = submission.initialize(sizes, rng)
    shapes = [np.shape(w) for w, _ in layers]
    expect(shapes == [(400, 200), (200, 100)], f"The sizes {sizes} give weights {shapes}.")
    for inputs, (w, _) in zip(sizes, layers, strict=False):
        expected, deviation = np.sqrt(2 / inputs), float(np.std(w))
        known = {
            "The root is missing: the variance is 2/D.": 2 / inputs,
            "Multiply by sqrt(2/D): D inputs add up in each unit.": 1.0,
            "With ReLU the factor is 2: half of the units are zero.": np.sqrt(1 / inputs),
            "D is the number of inputs, not of outputs.": np.sqrt(2 / np.shape(w)[1]),
        }
        hints = [text for text, wrong in known.items() if abs(deviation / wrong - 1) < 0.03]
        expect(
            abs(deviation / expected - 1) < 0.03 and abs(np.mean(w)) < expected / 20,
            f"The weights of {inputs} inputs have the mean {np.mean(w):.2g} and the standard "
            f"deviation {deviation:.3g}, expected 0 and {expected:.3g}."
            + "".join(f"\nHint: {text}" for text in hints),
        )
        kurtosis = np.mean(((w - np.mean(w)) / deviation) ** 4)
        expect(abs(kurtosis - 3) < 0.4, "The weights are not normal: rng.standard_normal.")


@check(4)
def initial_biases(submission: Any, rng: np.random.Generator) -> None:
    """initialize: the biases are zero, one for each output."""
    shapes = [np.shape(b) for _, b in submission.initialize((5, 4, 3), rng)]
    expect(shapes == [(4,), (3,)], f"The sizes (5, 4, 3) give biases of the shapes {shapes}.")
    expect(
        not any(np.any(b) for _, b in submission.initialize((5, 4, 3), rng)),
        "The biases are not zero.",
    )


@check(4)
def initial_draws(submission: Any, rng: np.random.Generator) -> None:
    """initialize: the weights are drawn from rng."""
    again = np.random.default_rng(0)
    first, second = (submission.initialize((5, 4), g)[0][0] for g in (rng, again))
    expect(
        np.array_equal(first, second),
        "Two equal generators give different weights, so no run can be repeated.\n"
        "Hint: draw from rng, not from np.random.",
    )
    other = submission.initialize((5, 4), rng)[0][0]
    expect(
        not np.array_equal(first, other),
        "Each call gives the same weights.\nHint: set no seed inside the function; draw from rng.",
    )


@check(12)
def forward_activations(submission: Any, rng: np.random.Generator) -> None:
    """forward: a list with x, the outputs of ReLU of each hidden layer, and the logits."""
    result, right = submission.forward(copy(LAYERS), X.copy()), right_forward(LAYERS, X)
    expect(
        isinstance(result, list) and len(result) == len(right),
        f"forward must return a list of {len(right)} arrays for {len(LAYERS)} layers: x, "
        f"{len(LAYERS) - 1} hidden outputs, and the logits.",
    )
    linear = [X]
    for w, b in LAYERS:
        linear.append(linear[-1] @ w + b)
    without = right_forward([(w, 0 * b) for w, b in LAYERS], X)
    for layer, one in enumerate(result):
        assert_close(f"Entry {layer} of the list", one, right[layer], {
            "There is no ReLU after the logits: they may be negative.": np.maximum(right[layer], 0),
            "Each hidden layer ends with ReLU, or the network is linear.": linear[layer],
            "b is missing.": without[layer],
        })  # fmt: skip


@check(10)
def objective_value(submission: Any, rng: np.random.Generator) -> None:
    """objective: the value is the mean cross-entropy plus strength/2 times the squared weights."""
    value = objective(submission, STRENGTH)[0]
    right, data = (right_objective(LAYERS, X, LABELS, s)[0] for s in (STRENGTH, 0.0))
    on_biases = sum(STRENGTH * kernels.l2(b) for _, b in LAYERS)
    assert_close("The value", value, right, {
        "The penalty is missing.": data,
        "There is a factor 1/2 in the penalty.": right + (right - data),
        "Penalize the weights alone, not the biases.": right + on_biases,
        "Take the mean over the rows, not the sum.": right + (len(X) - 1) * data,
        "The penalty is not divided by N.": data + (right - data) / len(X),
        "The penalty is that of all layers.": data + STRENGTH * kernels.l2(LAYERS[-1][0]),
    })  # fmt: skip


@check(10)
def gradient_last(submission: Any, rng: np.random.Generator) -> None:
    """objective: dw of the last layer."""
    right = right_objective(LAYERS, X, LABELS, 0.0)[1][-1][0]
    assert_close("dw of the last layer", objective(submission, 0.0)[1][-1][0], right, {
        "The loss is a mean, so its gradient has the factor 1/N.": right * len(X),
        "1/N occurs twice: sum over the rows, do not take the mean.": right / len(X),
        "The sign: the gradient is p minus 1 at the label.": -right,
    })  # fmt: skip


@check(14)
def gradient_hidden(submission: Any, rng: np.random.Generator) -> None:
    """objective: dw of the hidden layers."""
    gradients, factor = data_gradients(submission)
    right, unmasked = (
        right_objective(LAYERS, X, LABELS, 0.0, masked)[1] for masked in (True, False)
    )
    for layer in (1, 0):  # as the gradient is propagated
        assert_close(
            f"dw of layer {layer}",
            np.asarray(gradients[layer][0]) / factor,
            right[layer][0],
            {"The derivative of ReLU is missing: multiply by (a > 0).": unmasked[layer][0]},
        )


@check(8)
def gradient_biases(submission: Any, rng: np.random.Generator) -> None:
    """objective: db of every layer is the sum of the gradient over the rows."""
    gradients, factor = data_gradients(submission)
    unmasked = right_objective(LAYERS, X, LABELS, 0.0, masked=False)[1]
    rights = right_objective(LAYERS, X, LABELS, 0.0)[1]
    for layer, ((_, right), (dw, db)) in enumerate(zip(rights, gradients, strict=True)):
        if np.allclose(np.asarray(dw) / factor, unmasked[layer][0]):
            right = unmasked[layer][1]  # gradient_hidden has the points for the mask
        known = {hint("dense: db averaged"): right / len(X), "db is not penalized.": 0 * right}
        assert_close(f"db of layer {layer}", np.asarray(db) / factor, right, known)


@check(8)
def gradient_penalty(submission: Any, rng: np.random.Generator) -> None:
    """objective: the penalty adds strength * w to dw, and nothing to db."""
    without, with_penalty = (objective(submission, s)[1] for s in (0.0, STRENGTH))
    for layer, (before, after) in enumerate(zip(without, with_penalty, strict=True)):
        right = STRENGTH * LAYERS[layer][0]
        assert_close(f"What the penalty adds to dw of layer {layer}", after[0] - before[0], right, {
            "The gradient of the penalty is missing.": 0 * right,
            hint("L2: 2λ"): 2 * right,
            hint("network: divided"): right / len(X),
            hint("penalty: sign"): -right,
        })  # fmt: skip
        expect(np.array_equal(before[1], after[1]), hint("network: on biases"))


@check(8)
def training_curve(submission: Any, rng: np.random.Generator) -> None:
    """train: one step of gradient descent for each batch, and the mean objective of each epoch."""
    run = run_training(submission, rng)
    expect(
        {call.strength for call in run.calls} == {DECAY},
        f"train must call objective with its argument strength, here {DECAY:g}.",
    )
    after = [*[call.layers for call in run.calls[1:]], run.layers]
    for call, layers in zip(run.calls, after, strict=True):
        for (w, b), (dw, db), (new_w, new_b) in zip(
            call.layers, call.gradients, layers, strict=True
        ):
            moved = np.allclose(new_w, w - RATE * dw) and np.allclose(new_b, b - RATE * db)
            expect(
                moved,
                "The layers after a call of objective are not those after one step.\n"
                "Hint: one step downhill: w - learning_rate * dw, b - learning_rate * db.",
            )
    values = np.array([call.value for call in run.calls])
    sizes = np.array([len(call.rows) for call in run.calls])
    if len(values) == CALLS:  # else training_batches has the points
        values, sizes = values.reshape(EPOCHS, -1), sizes.reshape(EPOCHS, -1)
        means = values.mean(axis=1)
        if not np.allclose(run.history, np.average(values, axis=1, weights=sizes)):
            assert_close("The list", np.array(run.history, float), means, {
                "Those are sums, not means.": values.sum(axis=1),
                "That is the last batch, not the mean of the epoch.": values[:, -1],
            })  # fmt: skip


@check(5)
def training_batches(submission: Any, rng: np.random.Generator) -> None:
    """train: each epoch uses every row once, in batches, in a new order."""
    batches = [call.rows for call in run_training(submission, rng).calls]
    expect(
        len(batches) == CALLS,
        f"{EPOCHS} epochs of {ROWS} rows in batches of {BATCH} are {CALLS} calls of objective, "
        f"not {len(batches)}; the last batch of an epoch has {ROWS % BATCH} rows.",
    )
    rows = [number for batch in batches for number in batch]
    epochs = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
    expect(
        all(sorted(epoch) == list(range(ROWS)) for epoch in epochs),
        "An epoch does not use every row once.\nHint: cut rng.permutation(N) into batches.",
    )
    expect(
        epochs[0] not in (epochs[1], list(range(ROWS))),
        "The rows come in the order of the data, or in the same order in each epoch.\n"
        "Hint: draw a permutation in each epoch.",
    )
    again = run_training(submission, np.random.default_rng(0)).calls
    expect(
        batches == [call.rows for call in again],
        "Two equal generators give different orders, so no run can be repeated.\n"
        "Hint: draw from rng, not from np.random.",
    )


@check(4)
def hidden_rows(submission: Any, rng: np.random.Generator) -> None:
    """train: the trained network classifies 75 % of hidden rows."""
    # Over 150 orders of the rows the solution has 89 %, standard deviation 2.4, at least 80 %.
    layers = run_training(submission, rng).layers
    x, labels = load_digits()[1]
    share = np.mean(right_forward(layers, x.astype(float))[-1].argmax(axis=1) == labels)
    expect(share > 0.75, f"{share:.0%} of 500 rows that training did not see are right.")


@check(5)
def accuracy_share(submission: Any, rng: np.random.Generator) -> None:
    """accuracy: the share of rows whose largest logit is at their label."""
    logits = right_forward(LAYERS, X)[-1]
    right = np.mean(logits.argmax(axis=1) == LABELS)
    with patched(submission.accuracy, forward=right_forward):
        result = submission.accuracy(copy(LAYERS), X.copy(), LABELS.copy())
    assert_close("accuracy", result, right, {
        "The share, not the number.": right * len(X),
        "That is the share of wrong rows.": 1 - right,
        "The largest of each row: axis=1.": np.mean(logits.argmax(axis=0)[0] == LABELS),
    })  # fmt: skip


class Call(NamedTuple):
    """A call of objective by train: its layers, rows and strength, and what it returned."""

    layers: Layers
    rows: list[int]
    strength: float
    value: float
    gradients: Layers


class Training(NamedTuple):
    """The results of train, and its calls of objective."""

    layers: Layers
    history: list[float]
    calls: list[Call]


def run_training(submission: Any, rng: np.random.Generator) -> Training:
    """Return the results of train with a correct objective."""
    (x, labels), _ = load_digits()
    x, labels = x[:ROWS].astype(float), labels[:ROWS]
    numbers = {row.tobytes(): number for number, row in enumerate(x)}
    calls: list[Call] = []

    def record(layers: Layers, rows: Array, classes: Array, strength: float) -> Any:
        shown = [numbers.get(row.tobytes(), -1) for row in np.asarray(rows)]
        value, gradients = right_objective(layers, rows, classes, strength)
        calls.append(Call(copy(layers), shown, strength, value, copy(gradients)))
        return value, gradients

    options = {"strength": DECAY, "learning_rate": RATE, "epochs": EPOCHS, "batch_size": BATCH}
    train = partial(submission.train, **options, rng=rng)
    with patched(submission.train, objective=record, forward=right_forward):
        result = train(make_layers((64, 32, 10), np.random.default_rng(0)), x, labels)
    expect(
        isinstance(result, tuple) and len(result) == 2 and len(result[1]) == EPOCHS,
        "train must return the layers and a list with one number for each epoch.",
    )
    layers = [(np.asarray(w), np.asarray(b)) for w, b in result[0]]
    return Training(layers, list(result[1]), calls)
