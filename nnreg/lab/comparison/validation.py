"""Validation of the variants: what a change of the network does to its loss on new rows.

The verdict on a network (see `nnreg.lab.verdicts`) needs the networks next to it: more and less
penalty, longer and shorter training, more units. All are measured by cross-validation: the training
rows are divided into three parts or, of few rows, up to ten, and each part once consists of the
validation rows of networks that are trained on the other parts. The losses of one row with and
without the change are compared, so the differences between rows cancel. The parts differ in the
seed too, so the standard errors include the noise of training. The first of three parts is that of
the model selection, whose runs are used again. Test rows are not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.datasets import split_rows
from nnreg.lab.comparison.selection import ModelSelection
from nnreg.lab.preprocessing import PreparedRows, Rows, standardize
from nnreg.lab.settings import VARIANTS, Settings, Strengths, build_network
from nnreg.lab.verdicts import Change, Verdict, classify_fit, compute_baseline
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.training.loop import fit
from nnreg.training.step import NonFiniteLossError

LOSS = SoftmaxCrossEntropy()
EARLIER = (2, 4, 8)  # the epochs are divided by these
STEP = 3.0  # between a strength and the next one, about that of the grids
MIN_FOLDS, MAX_FOLDS = 3, 10
ENOUGH_ROWS = 600  # of N rows, 600/N folds
FAR_BELOW = 0.75  # a train loss below this share of the lowest validation loss

VALIDATION_RULE = (
    "New rows are validation rows: the training rows are divided into "
    f"{MIN_FOLDS} parts (up to {MAX_FOLDS} if there are fewer than {ENOUGH_ROWS // MIN_FOLDS} "
    "rows), and each part is predicted by networks trained on the others. The changes are an "
    "eighth, a quarter, half and twice the epochs; twice the units; and the next strengths in "
    f"the grid, or {STEP:g} times and 1/{STEP:g} of a strength that was set or is at the end of "
    "its grid; for none, the regularizers of the other variants. Changes that fit the training "
    "rows more closely are not tried if the train loss is below "
    f"{FAR_BELOW * 100:g} % of the lowest loss on validation rows."
)


@dataclass(frozen=True)
class Candidate:
    """What is trained: hidden units, strengths and epochs."""

    hidden: tuple[int, ...]
    strengths: Strengths
    epochs: int


@dataclass(frozen=True, eq=False)
class Run:
    """One training run without the validation rows of a fold.

    Parameters
    ----------
    losses : dict of int to ndarray of shape (N_validation,)
        By epoch, for the epochs that are compared: the losses of the validation rows.
    train_losses : dict of int to float
        The mean losses of the training rows after the same epochs.
    curve : list of float
        The mean loss of the validation rows after every epoch.
    """

    losses: dict[int, Array] = field(default_factory=dict)
    train_losses: dict[int, float] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class ValidatedVariant:
    """The verdict on a variant, and what it was made with.

    Parameters
    ----------
    verdict : Verdict
    changes : tuple of Change
    curves : ndarray of shape (3, epochs)
        The mean loss of the validation rows of each fold after every epoch.
    """

    verdict: Verdict
    changes: tuple[Change, ...]
    curves: Array


class Validation:
    """The runs of a comparison that are measured on validation rows; each is trained once.

    Parameters
    ----------
    settings : Settings
        With the number of epochs filled in.
    rows : PreparedRows
    count : function (text, epochs)
        Called after every epoch, and with the epochs of runs that were not needed.
    """

    def __init__(
        self, settings: Settings, rows: PreparedRows, count: Callable[[str, int], None]
    ) -> None:
        self.settings, self.count = settings, count
        self.classes, self.baseline = rows.classes, compute_baseline(rows.y)
        n, seed = len(rows.x), settings.seed
        count_folds = min(max(MIN_FOLDS, ENOUGH_ROWS // n), MAX_FOLDS, n)
        folds = split_folds(rows, MIN_FOLDS, seed)  # the first is that of the selection
        if count_folds > MIN_FOLDS:
            folds = folds[:1] + split_folds(rows, count_folds, seed)
        self.folds = [standardize(fold) for fold in folds]
        self.numbers = range(len(folds) - count_folds, len(folds))  # of the verdict's folds
        self.epochs = settings.epochs_for(n)
        self._runs: dict[tuple[int, tuple[int, ...], Strengths], Run] = {}

    @property
    def epochs_each(self) -> int:
        """The number of epochs that the verdict on one variant takes at most."""
        return len(self.numbers) * self.epochs * 8

    def selection_loss(self, strengths: Strengths) -> float:
        """Return the data loss on the validation rows of the first fold."""
        candidate = Candidate(self.settings.hidden, strengths, self.epochs)
        run = self.run(0, candidate, f"selecting {strengths}")
        return float(run.losses[self.epochs].mean())

    def judge(self, variant: str, selection: ModelSelection) -> ValidatedVariant:
        """Return the verdict on a variant, and the changes that it is made with.

        Where the train loss is far below the lowest loss on validation rows, no change is tried
        that fits the training rows more closely.
        """
        text = f"verdict on {variant}"
        base = Candidate(self.settings.hidden, selection.strengths[variant], self.epochs)
        losses = self.losses(base, text)
        rows = np.concatenate(losses)
        loss, error = float(rows.mean()), float(rows.std(ddof=1)) / len(rows) ** 0.5
        runs = [self.run(fold, base, text) for fold in self.numbers]
        train = float(np.mean([run.train_losses[self.epochs] for run in runs]))
        changes: list[Change] = []
        for side, candidates in list_changes(base, variant, selection).items():
            lowest = loss * (1 - max([0.0, *(change.gain for change in changes)]))
            if side == "more" and train < FAR_BELOW * lowest:
                break
            for name, candidate in candidates.items():
                changed = self.losses(candidate, text)
                changes.append(Change.compare(name, side, losses, changed))
        verdict = classify_fit(train, loss, error, changes, baseline=self.baseline)
        curves = np.array([run.curve[: self.epochs] for run in runs])
        return ValidatedVariant(verdict, tuple(changes), curves)

    def losses(self, candidate: Candidate, text: str) -> list[Array]:
        """Return the losses of the validation rows of each fold."""
        runs = [self.run(fold, candidate, text) for fold in self.numbers]
        return [run.losses[candidate.epochs] for run in runs]

    def run(self, fold: int, candidate: Candidate, text: str) -> Run:
        """Return the run of a candidate without the validation rows of a fold."""
        key = fold, candidate.hidden, candidate.strengths
        if key not in self._runs or candidate.epochs > len(self._runs[key].curve):
            epochs = max(candidate.epochs, self.epochs)
            self._runs[key] = self._train(fold, replace(candidate, epochs=epochs), text)
        return self._runs[key]

    def _train(self, fold: int, candidate: Candidate, text: str) -> Run:
        settings, rows, run = self.settings, self.folds[fold], Run()
        net = build_network(
            candidate.hidden,
            candidate.strengths,
            inputs=rows.x.shape[1],
            outputs=self.classes,
            seed=settings.seed + fold,
            l1_method=settings.l1_method,
        )
        compared = {2 * self.epochs, self.epochs}
        compared |= {max(1, self.epochs // part) for part in EARLIER}

        def record(state: object) -> None:
            losses = compute_losses(net.predict(rows.x_test), rows.y_test)
            run.curve.append(float(losses.mean()))
            if (epoch := len(run.curve)) in compared:
                run.losses[epoch] = losses
                run.train_losses[epoch] = float(LOSS.compute(net.predict(rows.x), rows.y)[0])
            self.count(text, 1)

        try:
            fit(
                net,
                rows.x,
                rows.y,
                loss=LOSS,
                optimizer=settings.new_optimizer(),
                epochs=candidate.epochs,
                batch_size=settings.batch_size,
                callbacks=[record],
            )
        except NonFiniteLossError:
            self.count(text, candidate.epochs - len(run.curve))
            run.curve.extend([math.inf] * (candidate.epochs - len(run.curve)))
            for epoch in compared:
                run.losses.setdefault(epoch, np.full(len(rows.y_test), math.inf))
                run.train_losses.setdefault(epoch, math.inf)
        return run


def split_folds(rows: PreparedRows, count: int, seed: int) -> list[Rows]:
    """Return divisions into training and validation rows; each row is validated once.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> from nnreg.lab.preprocessing import prepare
    >>> rows = prepare(load("digits"), train_size=60, label_noise=0.0, seed=0)
    >>> [(len(fold.x), len(fold.x_test)) for fold in split_folds(rows, 3, 0)]
    [(40, 20), (40, 20), (40, 20)]
    """
    rest, parts = np.arange(len(rows.y)), []
    for left in range(count, 1, -1):
        others, part = split_rows(rows.y[rest], test_size=1 / left, seed=seed)
        parts.append(rest[part])
        rest = rest[others]
        if len(parts) == 1:
            order = np.concatenate([rest, part])
    folds = []
    for validation in (*parts, rest):
        training = order[~np.isin(order, validation)]
        folds.append(
            Rows(rows.x[training], rows.y[training], rows.x[validation], rows.y[validation])
        )
    return folds


def list_changes(
    base: Candidate, variant: str, selection: ModelSelection
) -> dict[str, dict[str, Candidate]]:
    """Return the changes to compare with a variant, by side and name.

    Without regularization, the regularizers of the other variants are stronger. A selected strength
    has its neighbours in the grid; where there are none, and for a strength that was set, the
    strength is multiplied or divided by three.

    Examples
    --------
    >>> from nnreg.lab.comparison.selection import select_strengths
    >>> selection = select_strengths(Settings(l1=0.1, keep_prob=0.5), 100, lambda s: 0.0)
    >>> base = Candidate((8,), selection.strengths["dropout"], 20)
    >>> changes = list_changes(base, "dropout", selection)
    >>> list(changes["less"])
    ['10 epochs', '5 epochs', '2 epochs', 'keep_prob 0.25']
    >>> list(changes["more"])
    ['keep_prob 0.75', 'no regularization', '40 epochs', 'twice the units']
    """
    strengths, epochs = base.strengths, base.epochs
    stronger = [selection.strengths[other] for other in VARIANTS]
    weaker = []
    if variant != "none":
        tried = [candidate.strengths for candidate in selection.tried(variant)] or [strengths]
        i = tried.index(strengths)
        stronger = [tried[i + 1] if i + 1 < len(tried) else strengths.scale(STEP)]
        weaker = [tried[i - 1] if i else strengths.scale(1 / STEP), Strengths()]
    fewer = sorted({max(1, epochs // part) for part in EARLIER}, reverse=True)
    less = [(f"{count} epochs", replace(base, epochs=count)) for count in fewer]
    less += [(str(other), replace(base, strengths=other)) for other in stronger]
    more = [(str(other), replace(base, strengths=other)) for other in weaker]
    more += [
        (f"{2 * epochs} epochs", replace(base, epochs=2 * epochs)),
        ("twice the units", replace(base, hidden=tuple(2 * units for units in base.hidden))),
    ]
    return {
        side: {
            "no regularization" if name == "none" else name: candidate
            for name, candidate in changes
            if candidate != base
        }
        for side, changes in (("less", less), ("more", more))
    }


def compute_losses(outputs: Array, y: Array) -> Array:
    """Return the cross-entropy of every row, (N,), in float64.

    >>> compute_losses(np.zeros((2, 2)), np.array([0, 1])).round(4)  # log 2
    array([0.6931, 0.6931])
    """
    return kernels.softmax_cross_entropy(outputs.astype(np.float64), y)[0]
