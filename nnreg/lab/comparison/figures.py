"""The figures of a comparison: what they mean, and which differences may be chance."""

from __future__ import annotations

from dataclasses import dataclass

from nnreg._support.typing import Array
from nnreg.lab.reporting.report import ACCURACY, LOSS, Column
from nnreg.network import Network

CONFIDENCE = 0.95

NOISE_RULE = (
    "A difference from 'none' is inside the noise, and marked ~, if the "
    f"{CONFIDENCE * 100:g} % confidence interval of its mean (Student's t, over the paired "
    "differences within the repeats) contains 0. With one repeat the noise is not measured."
)

COLUMNS = (
    Column("train_loss", "train loss", LOSS.format("training")),
    Column("test_loss", "test loss", LOSS.format("test")),
    Column(
        "penalty",
        "penalty",
        "L2: strength/2 · Σ w². L1: strength · Σ |w|. Over all weights, never over biases; dropout "
        "has none.",
    ),
    Column(
        "gap",
        "gap",
        "The generalization gap: test loss minus train loss. Wrong training labels raise the train "
        "loss of a network that does not fit them, so with label noise it can be below 0.",
    ),
    Column("train_accuracy", "train acc %", ACCURACY.format("training"), 1, True),
    Column("test_accuracy", "test acc %", ACCURACY.format("test"), 1, True),
    Column("total", "total", "Train loss plus penalty: the objective of training."),
    Column("weight_norm", "weight norm", "√(Σ w²) over all weights.", 1),
    Column("zeros", "zeros %", "The share of weights that are exactly 0.", 1, True),
    Column("seconds", "seconds", "Training time of one run, without evaluation.", 1),
)

# In the first table, and marked where the difference from 'none' may be chance.
STORY = ("train_loss", "test_loss", "gap", "test_accuracy", "zeros")
MARKED = ("train_loss", "test_loss", "gap", "train_accuracy", "test_accuracy")


@dataclass(frozen=True, eq=False)
class VariantRun:
    """The figures of one trained network.

    Parameters
    ----------
    seed : int
    figures : dict of str to float
        At the end: ``train_accuracy``, ``test_accuracy``, ``train_loss``, ``test_loss``,
        ``gap``, ``penalty``, ``total``, ``weight_norm``, ``zeros`` and
        ``seconds``; see `COLUMNS`.
    curves : dict of str to list of float
        The first four, and the penalty, at the end of every epoch.
    network : Network
        The trained network.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=2)
    >>> VariantRun(0, {"gap": 0.5}, {}, net).weights.shape
    (2,)
    """

    seed: int
    figures: dict[str, float]
    curves: dict[str, list[float]]
    network: Network

    @property
    def weights(self) -> Array:
        """The final weights, without the biases, (P,)."""
        return self.network.parameters.weights


def is_inside_noise(differences: Array) -> bool:
    """Return whether the confidence interval of the mean contains 0.

    Parameters
    ----------
    differences : ndarray of shape (R,)
        At least two.

    Examples
    --------
    >>> import numpy as np
    >>> is_inside_noise(np.array([0.9, 1.0, 1.1])), is_inside_noise(np.array([-1.0, 0.0, 2.0]))
    (False, True)
    """
    from scipy.special import stdtrit  # takes 300 ms, so only when it is used

    r = len(differences)
    error = float(differences.std(ddof=1)) / r**0.5
    half_width = float(stdtrit(r - 1, (1 + CONFIDENCE) / 2)) * error
    return bool(abs(differences.mean()) <= half_width)
