"""Exercise 8: an experiment on regularization, and its findings."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

import nnreg as nn
from nnreg._support.typing import Array
from nnreg.course.grading.assertions import assert_close, expect, library, patched
from nnreg.course.grading.exercises import check

MODULES = ("numpy", "matplotlib", "nnreg")
STRENGTHS = (0.0, 0.001, 0.01, 0.1)
L1_STRENGTH, KEEP_PROB, EPOCHS, SEEDS = 0.001, 0.5, 60, (0, 1, 2)
BEST, LARGEST = 0.01, STRENGTHS[-1]
RNG = np.random.default_rng(8)
X, LABELS = RNG.standard_normal((20, 4)), np.arange(20) % 3


class Runs(NamedTuple):
    """The results of one variant with each seed."""

    train: Array
    validation: Array
    zeros: Array
    curves: Array


def right_run(penalty: Any, keep_prob: float, seed: int, training: Any, validation: Any) -> Any:
    """Return ``(net, history)`` of a network that was trained on these rows."""
    layers = [nn.Dense(64), nn.ReLU(), nn.Dropout(keep_prob=keep_prob), nn.Dense(10)]
    net = nn.Network(layers, inputs=64, penalty=penalty, seed=seed)
    history = nn.fit(
        net,
        *training,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=nn.Adam(0.01),
        epochs=EPOCHS,
        batch_size=40,
        validation_data=validation,
    )
    return net, history


@cache
def experiment(variant: str, strength: float = 0.0) -> Runs:
    """Return the results of a variant: ``"L2"``, ``"L1"`` or ``"dropout"``."""
    (x, labels), _ = nn.datasets.load_digits()
    loss = nn.SoftmaxCrossEntropy()
    wrong, _ = nn.datasets.flip_labels(labels[:200], 0.3, classes=10)
    training, validation = (x[:200], wrong), (x[200:700], labels[200:700])
    l2 = nn.L2(strength) if strength else None
    penalty = nn.L1(L1_STRENGTH, method="proximal") if variant == "L1" else l2
    keep_prob = KEEP_PROB if variant == "dropout" else 1.0
    results = []
    for seed in SEEDS:
        net, history = right_run(penalty, keep_prob, seed, training, validation)
        losses = [
            nn.evaluate(net, *data, loss=loss)["data_loss"] for data in (training, validation)
        ]
        results.append((*losses, np.sum(net.parameters.weights == 0), history["val_data_loss"]))
    return Runs(*map(np.array, zip(*results, strict=True)))


def few() -> Any:
    """Return 50 training rows and 10 validation rows, which take less time than the digits."""
    x, labels = np.tile(X, (3, 16)), np.tile(LABELS, 3)
    return (x[:50], labels[:50]), (x[50:], labels[50:])


@cache
def right_curves() -> tuple[Any, Any]:
    """Return the losses by epoch of the right network on the validation and the training rows."""
    training, validation = few()
    on_validation, on_training = (
        right_run(nn.L2(LARGEST), KEEP_PROB, 0, training, rows)[1]["val_data_loss"]
        for rows in (validation, training)
    )
    return on_validation, on_training


def described(values: Array) -> str:
    """Return the mean and its standard error."""
    return f"{values.mean():.3g} ± {values.std(ddof=1) / np.sqrt(len(values)):.2g}"


def is_noise(values: Array, others: Array) -> bool:
    """Return whether the means of paired values differ by less than two standard errors."""
    differences = values - others
    return bool(abs(differences.mean()) <= 2 * differences.std(ddof=1) / np.sqrt(len(differences)))


def network(nn: Any, strength: float = 0.5) -> Any:
    """Return a network with a penalty, dropout, 4 weights that are zero, and biases."""
    layers = [nn.Dense(5), nn.ReLU(), nn.Dropout(keep_prob=0.5), nn.Dense(3)]
    net = nn.Network(layers, inputs=4, penalty=nn.L2(strength), seed=3, dtype="float64")
    net.parameters.weights[:4] = 0.0
    net.parameters.weights[4] = 1e-9
    return net


def measured(submission: Any) -> tuple[Any, Any]:
    """Return the measurements of the submission, and the network that was measured."""
    net = network(library(submission))
    x, labels = X.copy(), LABELS.copy()
    result = submission.measure(net, x[:12], labels[:12], x[12:], labels[12:])
    names = {"train", "validation", "zeros"}
    expect(
        isinstance(result, dict) and names <= result.keys(),
        'measure must return a dictionary with "train", "validation" and "zeros".',
    )
    return result, net


@check(18)
def measure_losses(submission: Any, rng: np.random.Generator) -> None:
    """measure: the data losses of the training and the validation rows, without dropout."""
    result, net = measured(submission)
    expect(
        net.steps == 0,
        "The losses are computed in training mode, with units dropped.\n"
        "Hint: nn.evaluate and net.predict drop none.",
    )
    same, loss = network(nn), nn.SoftmaxCrossEntropy()
    parts = {"train": slice(12), "validation": slice(12, None)}
    values = {
        name: loss(same.predict(X[part]), LABELS[part])[0].item() for name, part in parts.items()
    }
    for name, other in (("train", "validation"), ("validation", "train")):
        right = values[name]
        assert_close(f'"{name}"', result[name], right, {
            "The data loss is without the penalty.": right + same.penalty_value(),
            "Training and validation rows are the wrong way round.": values[other],
            "The mean over the rows, not the sum.": right * len(X[parts[name]]),
        })  # fmt: skip


@check(10)
def measure_zeros(submission: Any, rng: np.random.Generator) -> None:
    """measure: the number of weights that are exactly zero."""
    result, net = measured(submission)
    size = net.parameters.weights.size
    assert_close('"zeros"', result["zeros"], 4, {
        "Biases are not weights: net.parameters.weights.": 4 + net.parameters.biases.size,
        "Exactly zero, not almost: 1e-9 is not zero.": 5,
        "The number, not the share.": 4 / size,
        "Count the zeros, not the others.": size - 4,
    })  # fmt: skip


@check(12)
def run_trains(submission: Any, rng: np.random.Generator) -> None:
    """run: a network with this penalty, keep_prob and seed, trained for 60 epochs."""
    module = library(submission)
    with patched(submission.run, data=few):
        pairs = [submission.run(module.L2(LARGEST), KEEP_PROB, seed) for seed in (0, 1)]
    expect(
        all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs),
        "run must return the pair (net, history).",
    )
    (net, history), (other, _) = pairs
    expect(
        net.steps == EPOCHS * 2,
        f"With 50 training rows the network was trained for {net.steps} steps, expected "
        f"{EPOCHS * 2}: {EPOCHS} epochs with batches of 40 and 10 rows.",
    )
    expect(net.penalty is not None, "The penalty is missing: nn.Network(..., penalty=penalty).")
    expect(
        net.layers[2].keep_prob == KEEP_PROB,
        "The dropout layer has another keep_prob: nn.Dropout(keep_prob=keep_prob).",
    )
    expect(
        not np.array_equal(net.parameters.vector, other.parameters.vector),
        "Two seeds give the same network.\nHint: nn.Network(..., seed=seed).",
    )
    curve = history.columns.get("val_data_loss", ())
    expect(len(curve) == EPOCHS, "The history has no validation losses: validation_data=.")
    right, swapped = right_curves()
    on_training = np.allclose(curve, swapped, rtol=0.02)
    expect(
        np.allclose(curve, right, rtol=0.02),
        f"The last validation loss is {curve[-1]:.3g}, expected {right[-1]:.3g}: 64-64-10 with "
        "ReLU and dropout between, the penalty that is passed, Adam(0.01), batches of 40."
        + "\nHint: validation_data are the validation rows, not the training rows."
        * on_training,
    )


@check(10)
def choose_lowest(submission: Any, rng: np.random.Generator) -> None:
    """choose: the strength with the lowest mean validation loss."""
    losses = np.array([[0.8, 0.85, 0.88], [0.7, 0.9, 0.8], [0.1, 0.7, 1.9], [2.1, 2.0, 2.2]])
    strengths = (0.0, 0.02, 0.3, 4.0)
    assert_close("The strength", submission.choose(strengths, losses.copy()), 0.02, {
        "The mean of all seeds, not the best or the middle one.": 0.3,
        "The lowest loss, not the highest.": 4.0,
        "The strength, not its index.": 1,
        "That is the loss, not the strength.": 0.8,
    })  # fmt: skip


def finding(submission: Any, name: str) -> Any:
    """Return one of the findings."""
    found = submission.report()
    expect(isinstance(found, dict) and name in found, f'report has no "{name}".')
    return found[name]


@check(12)
def finds_best_strength(submission: Any, rng: np.random.Generator) -> None:
    """report: the strength of L2 with the lowest validation loss."""
    strength = finding(submission, "best_strength")
    expect(strength in STRENGTHS, f"best_strength must be one of {STRENGTHS}, got {strength}.")
    runs, best = experiment("L2", strength), experiment("L2", BEST)
    known = {
        0.0: "\nHint: the training loss is lowest without a penalty, at any strength; compare the "
        "validation losses.",
        LARGEST: "\nHint: the strongest penalty has the smallest gap, but both losses are high.",
    }
    expect(
        strength == BEST or is_noise(runs.validation, best.validation),
        f"best_strength is {strength:g}, with a validation loss of {described(runs.validation)}; "
        f"{BEST:g} has {described(best.validation)} (mean and standard error of {len(SEEDS)} "
        f"seeds).{known.get(strength, '')}",
    )


@check(8)
def finds_underfit(submission: Any, rng: np.random.Generator) -> None:
    """report: the strength of L2 with which the network underfits."""
    strength = finding(submission, "underfits")
    expect(strength in STRENGTHS, f"underfits must be one of {STRENGTHS}, got {strength}.")
    runs, best = experiment("L2", strength), experiment("L2", BEST)
    expect(
        strength == LARGEST,
        f"underfits is {strength:g}, with a training loss of {described(runs.train)} and a "
        f"validation loss of {described(runs.validation)}; with {BEST:g} they are "
        f"{described(best.train)} and {described(best.validation)}.\n"
        "Hint: a network underfits if less penalty lowers the validation loss.",
    )


@check(8)
def finds_overfit(submission: Any, rng: np.random.Generator) -> None:
    """report: the variant that overfits most."""
    names = {"none": "L2", "L2": "L2", "L1": "L1", "dropout": "dropout"}
    name = finding(submission, "overfits")
    expect(name in names, f"overfits must be one of {', '.join(names)}, got {name!r}.")
    runs, none = experiment(names[name], BEST if name == "L2" else 0.0), experiment("L2")
    expect(
        name == "none",
        f"With {name} the validation loss exceeds the training loss by "
        f"{described(runs.validation - runs.train)}, with none by "
        f"{described(none.validation - none.train)}.\n"
        "Hint: a network overfits if a regularizer lowers the validation loss.",
    )


@check(8)
def finds_best_epoch(submission: Any, rng: np.random.Generator) -> None:
    """report: the epoch with the lowest validation loss, without regularization."""
    epoch = finding(submission, "best_epoch")
    expect(epoch in range(1, EPOCHS + 1), f"best_epoch must be from 1 to {EPOCHS}, got {epoch}.")
    curves = experiment("L2").curves
    lowest = int(np.argmin(curves.mean(axis=0))) + 1
    at, low = curves[:, int(epoch) - 1], curves[:, lowest - 1]
    expect(
        is_noise(at, low) or at.mean() < 1.05 * low.mean(),
        f"In epoch {epoch} the validation loss is {described(at)}, in epoch {lowest} it is "
        f"{described(low)}.\nHint: the lowest of history['val_data_loss'], not of the training "
        "loss, which is lowest at the end.",
    )


@check(14)
def finds_zeros(submission: Any, rng: np.random.Generator) -> None:
    """report: the number of zero weights with L2 and with L1."""
    zeros = finding(submission, "zeros")
    expect(
        isinstance(zeros, dict) and {"L1", "L2"} <= zeros.keys(),
        'zeros must be a dictionary with "L2" and "L1".',
    )
    expect(
        zeros["L2"] == 0,
        f"With L2 there are {zeros['L2']} zeros; the experiment gives 0.\nHint: the gradient of L2 "
        "shrinks with the weight, so no weight arrives at zero. Count exact zeros.",
    )
    counts = experiment("L1").zeros
    expect(
        abs(zeros["L1"] - counts.mean()) <= max(4 * counts.std(ddof=1), 0.15 * counts.mean()),
        f"With L1 there are {zeros['L1']} zeros; the experiment gives {described(counts)} of 4,736 "
        'weights.\nHint: L1 needs method="proximal"; the subgradient gives no exact zeros.',
    )
