"""The rule that calls a model underfit, a right fit, overfit, mixed, diverged or not known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._support.typing import Array

SMALLEST_GAIN = 0.1  # the smallest decrease that counts, as a share of the loss
ERRORS = 0.2  # a decrease this many standard errors from SMALLEST_GAIN is too close to call
DIVERGED = 10  # times the baseline

VERDICTS = ("underfit", "right fit", "overfit", "mixed", "diverged", "not known")
SIDES = ("less", "more")
WORDS = {  # whether a change helps that fits the training rows less closely, and more
    (False, False): "right fit",
    (False, True): "underfit",
    (True, False): "overfit",
    (True, True): "mixed",
}

FIT_RULE = (
    "A model is underfit if its loss on new rows is lower with more capacity, less penalty or "
    "longer training; overfit if it is lower with less capacity, more penalty or earlier stopping; "
    "a right fit if neither is so, and mixed if both are. A decrease counts from "
    f"{SMALLEST_GAIN * 100:g} % of the loss. A model whose train loss is below, or less than one "
    "standard error above, the lowest loss on new rows is never called underfit. The verdict is "
    "not known if no change is seen to help, and changes of one kind were not tried or the largest "
    f"decrease is within {ERRORS:g} standard errors of {SMALLEST_GAIN * 100:g} %. A model whose "
    "train loss is not at least one standard error below that of the best constant prediction has "
    "not learned anything: it is underfit or mixed if a change helps that fits the training rows "
    "more closely, and otherwise the verdict is not known. A model has diverged if a loss is not "
    f"finite or its train loss exceeds {DIVERGED} times the baseline, the loss of the best "
    "constant prediction, or of equal probabilities for the classes."
)


@dataclass(frozen=True)
class Change:
    """The effect of one change of a model on its loss on new rows.

    Parameters
    ----------
    name : str
    side : {"less", "more"}
        Whether the changed model can fit the training rows less closely, or more.
    gain : float
        The decrease of the loss, as a share of the model's loss.
    error : float
        The standard error of ``gain``.

    Examples
    --------
    >>> print(Change("10 epochs", "less", 0.214, 0.05))
    21.4 % ± 5.0 lower with 10 epochs
    >>> print(Change("twice the units", "more", -0.03, 0.02))
    3.0 % ± 2.0 higher with twice the units
    """

    name: str
    side: str
    gain: float
    error: float

    @classmethod
    def compare(cls, name: str, side: str, losses: Array, changed: Array, runs: Array) -> Change:
        """Return the effect of a change from the losses of the same new rows.

        The standard error is that of the rows' differences, or that of the runs' mean differences
        if it is larger: two runs from different initial weights differ in all rows.

        Parameters
        ----------
        name, side : str
        losses, changed : ndarray of shape (D, N)
            The losses of N new rows without and with the change, measured D times.
        runs : ndarray of shape (D, N)
            The number of the run that measured each; two or more.

        Examples
        --------
        >>> losses, changed = np.ones((1, 4)), np.array([[0.4, 0.6, 0.4, 0.6]])
        >>> print(Change.compare("L2 0.1", "less", losses, changed, np.array([[0, 0, 1, 1]])))
        50.0 % ± 5.8 lower with L2 0.1
        """
        if not np.isfinite(changed).all():
            return cls(name, side, -math.inf, 0.0)
        differences, loss = losses - changed, float(losses.mean())
        means = [differences[runs == run].mean() for run in np.unique(runs)]
        errors = [
            np.std(values, ddof=1) / len(values) ** 0.5
            for values in (differences.mean(axis=0), means)
        ]
        return cls(name, side, float(differences.mean()) / loss, float(max(errors)) / loss)

    def exceeds(self, errors: float) -> bool:
        """Return whether ``gain`` is this many standard errors or more above `SMALLEST_GAIN`.

        >>> change = Change("L2 0.1", "less", 0.15, 0.03)
        >>> change.exceeds(1), change.exceeds(2)
        (True, False)
        """
        return self.gain >= SMALLEST_GAIN + errors * self.error

    @property
    def helps(self) -> bool | None:
        """Whether the loss falls by `SMALLEST_GAIN` or more; None if that is not certain."""
        if self.exceeds(-ERRORS) and not self.exceeds(ERRORS):
            return None
        return self.exceeds(0)

    def __str__(self) -> str:
        if math.isinf(self.gain):
            return f"not finite with {self.name}"
        percent, error = abs(100 * self.gain), 100 * self.error
        direction = "lower" if self.gain >= 0 else "higher"
        return f"{percent:.1f} % ± {error:.1f} {direction} with {self.name}"


@dataclass(frozen=True)
class Verdict:
    """A verdict and the reason for it.

    Parameters
    ----------
    word : str
        One of `VERDICTS`.
    reason : str

    Examples
    --------
    >>> print(Verdict("overfit", "21.4 % ± 5.0 lower with 10 epochs"))
    overfit: 21.4 % ± 5.0 lower with 10 epochs
    """

    word: str
    reason: str

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}"


def classify_fit(
    train: float,
    loss: float,
    error: float,
    changes: Sequence[Change],
    *,
    baseline: float,
    constant: float = math.inf,
) -> Verdict:
    """Return the verdict by `FIT_RULE`.

    Parameters
    ----------
    train : float
        The model's loss on its training rows, without penalty.
    loss, error : float
        Its loss on new rows, and the standard error of that.
    changes : sequence of Change
        The effects of all changes that were tried.
    baseline : float
        Loss of the best constant prediction, or of equal probabilities for the classes.
    constant : float, optional
        The loss of the best constant prediction, minus the standard error of its difference from
        the model's loss. By default, they are not compared.

    Examples
    --------
    >>> fewer = Change("10 epochs", "less", 0.2, 0.05)
    >>> wider = Change("twice the units", "more", 0.0, 0.01)
    >>> print(classify_fit(0.1, 1.0, 0.02, [fewer, wider], baseline=2.3))
    overfit: 20.0 % ± 5.0 lower with 10 epochs
    >>> print(classify_fit(1.1, 1.0, 0.02, [wider], baseline=2.3))
    not known: no change was tried that fits the training rows less closely
    """
    if has_diverged(train, loss, baseline):
        return Verdict("diverged", f"train loss {train:.3g}, loss on new rows {loss:.3g}")
    best: dict[str, Change] = {}
    for change in sorted(changes, key=lambda change: change.gain):
        best[change.side] = change
    lowest = loss * (1 - max((change.gain for change in changes), default=0.0))
    helps = {side: best[side].helps if side in best else None for side in SIDES}
    if train < min(loss, lowest) + error:
        helps["more"] = False
    if train > constant and not helps["more"]:
        text = f"train loss {train:.3g}, about that of a constant prediction"
        return Verdict("not known", text)
    if not any(helps.values()):
        for side in SIDES:
            if helps[side] is None and side in best:
                return Verdict("not known", f"{best[side]}, too close to call")
            if helps[side] is None:
                text = f"no change was tried that fits the training rows {side} closely"
                return Verdict("not known", text)
    word = WORDS[bool(helps["less"]), bool(helps["more"])]
    decisive = [best[side] for side in SIDES if helps[side]] or list(best.values())
    return Verdict(word, "; ".join(map(str, decisive)))


def has_diverged(train: float, loss: float, baseline: float) -> bool:
    """Return whether a loss is not finite, or the train loss far above the baseline.

    >>> has_diverged(1e30, 1e30, 2.3), has_diverged(0.0, 30.0, 2.3)
    (True, False)
    """
    return not math.isfinite(train + loss) or train > DIVERGED * baseline


def compute_baseline(labels: Array) -> float:
    """Return the cross-entropy of equal probabilities for the classes that occur.

    With a rare class it is far above that of the frequencies, which a network of a few epochs does
    not reach.

    >>> round(compute_baseline(np.array([0, 0, 0, 1])), 4)  # log 2
    0.6931
    """
    return float(np.log(len(np.unique(labels))))


def compute_constant_losses(labels: Array) -> Array:
    """Return the losses by the best constant prediction, the frequencies of the classes, (N,).

    >>> compute_constant_losses(np.array([0, 0, 0, 1])).round(4)  # -log 3/4 and -log 1/4
    array([0.2877, 0.2877, 0.2877, 1.3863])
    """
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return -np.log(counts / len(labels))[classes]
