"""The rule that calls a model underfit, a right fit, overfit or diverged."""

from __future__ import annotations

import math

import numpy as np

from nnreg._support.typing import Array

TOLERANCE = 1.2
DIVERGED = 10

VERDICTS = ("underfit", "right fit", "overfit", "diverged")

FIT_RULE = (
    f"A model is a right fit if its test loss is at most {TOLERANCE:g} times the lowest test loss "
    "of all models, and below the baseline: the loss of the best constant prediction. Otherwise "
    "it is underfit if its train loss is above that of the model with the lowest test loss, or "
    "not below the baseline: it has a high loss on its training rows. It is overfit if its train "
    "loss is lower: it fits the training rows better, and new rows worse. It has "
    f"diverged if a loss is not finite or its train loss exceeds {DIVERGED} times the baseline."
)


def classify_fit(
    train: float, test: float, *, best_train: float, best_test: float, baseline: float
) -> str:
    """Return ``"underfit"``, ``"right fit"``, ``"overfit"`` or ``"diverged"``, by `FIT_RULE`.

    Parameters
    ----------
    train, test : float
        Losses of the model on its training rows and on new rows, without penalty.
    best_train, best_test : float
        Losses of the model with the lowest test loss.
    baseline : float
        Loss of the best constant prediction.

    Examples
    --------
    >>> best = {"best_train": 0.3, "best_test": 0.5, "baseline": 2.3}
    >>> [classify_fit(train, test, **best) for train, test in [(0.9, 1.1), (0.3, 0.5), (0.0, 0.9)]]
    ['underfit', 'right fit', 'overfit']
    """
    if not math.isfinite(train + test) or train > DIVERGED * baseline:
        return "diverged"
    if test <= TOLERANCE * best_test and test < baseline:
        return "right fit"
    return "underfit" if train > best_train or train >= baseline else "overfit"


def compute_baseline(labels: Array) -> float:
    """Return the cross-entropy of predicting each class with its frequency.

    >>> round(compute_baseline(np.array([0, 0, 1, 1])), 4)  # log 2
    0.6931
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())
