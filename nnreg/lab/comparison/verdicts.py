"""What the figures allow one to say: whether a difference is chance, and whether a variant fits.

Both rules are stated in words beside the code; the words are what `nnreg compare --help` and the
report print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.typing import Array
from nnreg.lab.settings import VARIANTS

if TYPE_CHECKING:
    from nnreg.lab.comparison.experiment import Comparison


TOLERANCE = 1.2
BADLY = 0.2
CONFIDENCE = 0.95

NOISE_RULE = (
    "A difference from 'none' is inside the noise, and marked ~, if the "
    f"{CONFIDENCE * 100:g} % confidence interval of its mean (Student's t, over the paired "
    "differences within the repeats) contains 0. One repeat says nothing about noise."
)

FIT_RULE = (
    "A variant is a right fit, unless its final test loss exceeds "
    f"{TOLERANCE:g} times the lowest mean test loss that any variant had after any epoch, or is no "
    "lower than the loss of guessing by the frequencies of the labels. Then it is overfit if its "
    "gap, test loss minus train loss, exceeds its train loss: most of what it loses, it loses on "
    f"new rows only. It is underfit if not, and if its train loss exceeds {BADLY * 100:g} % of the "
    "loss of guessing: it does badly on the very rows it was trained on. If neither holds, it is a "
    "right fit all the same. With label noise, the test loss in this rule counts test labels as "
    "wrong as often as training labels, so that like is compared with like."
)


@dataclass(frozen=True)
class Summary:
    """One figure of one variant, over the repeats.

    Parameters
    ----------
    mean : float
    sd : float or None
        Standard deviation (with R - 1); None of one repeat.
    inside_noise : bool or None
        Whether the difference from ``none`` may be chance; None where there is no difference to
        judge: for ``none`` itself, where all differences are 0, and with one repeat.

    Examples
    --------
    >>> Summary(0.5, None, None).mean
    0.5
    """

    mean: float
    sd: float | None
    inside_noise: bool | None


def summarize(comparison: Comparison, variant: str, figure: str) -> Summary:
    """Return mean, deviation, and whether the difference from ``none`` is inside the noise."""
    values = comparison.values(variant, figure)
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    differences = values - comparison.values(VARIANTS[0], figure)
    judged = len(values) > 1 and bool(differences.any())
    return Summary(float(values.mean()), sd, inside_noise(differences) if judged else None)


def inside_noise(differences: Array) -> bool:
    """Tell whether the confidence interval of the mean contains 0.

    Parameters
    ----------
    differences : ndarray of shape (R,)
        At least two.

    Examples
    --------
    >>> inside_noise(np.array([0.9, 1.0, 1.1])), inside_noise(np.array([-1.0, 0.0, 2.0]))
    (False, True)
    """
    from scipy.special import stdtrit  # 300 ms, so only once there is something to judge

    r = len(differences)
    error = float(differences.std(ddof=1)) / r**0.5
    reach = float(stdtrit(r - 1, (1 + CONFIDENCE) / 2)) * error
    return bool(abs(differences.mean()) <= reach)


def verdict(comparison: Comparison, variant: str) -> str:
    """Return ``"underfit"``, ``"right fit"`` or ``"overfit"``, by `FIT_RULE`."""
    lowest = min(
        float(comparison.curves(other, "test_loss_noisy").mean(axis=0).min()) for other in VARIANTS
    )
    test = float(comparison.values(variant, "test_loss_noisy").mean())
    train = float(comparison.values(variant, "train_loss").mean())
    guess = guessing(comparison.rows.y)
    if test <= TOLERANCE * lowest and test < guess:
        return "right fit"
    if test - train > train:
        return "overfit"
    return "underfit" if train > BADLY * guess else "right fit"


def guessing(labels: Array) -> float:
    """Return the loss of predicting each class with its frequency: the entropy of the labels.

    >>> round(guessing(np.array([0, 0, 1, 1])), 4)  # log 2
    0.6931
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())
