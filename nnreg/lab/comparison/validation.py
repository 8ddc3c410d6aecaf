"""Validation of the variants: what a change of the network does to its loss on new rows.

The verdict on a network (see `nnreg.lab.verdicts`) needs the networks next to it: more and less
penalty, longer and shorter training, more units. All are measured by cross-validation: the training
rows are divided into three parts or, of few rows, up to ten, and each part once consists of the
validation rows of networks that are trained on the other parts. The losses of one row with and
without the change are compared, so the differences between rows cancel. The parts differ in the
seed too, so the standard errors include the noise of training, which is most of the noise: another
seed changes the effect of a change more than other training rows do. Where it leaves the effect
open, the rows are divided anew, and the changes that can still decide are repeated. The first of
three parts is that of the model selection, whose runs are used again. Test rows are not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.datasets import split_rows
from nnreg.lab.comparison.selection import ModelSelection
from nnreg.lab.preprocessing import PreparedRows, Rows, standardize
from nnreg.lab.settings import VARIANTS, Settings, Strengths, build_network
from nnreg.lab.verdicts import (
    SIDES,
    SMALLEST_GAIN,
    Change,
    Verdict,
    classify_fit,
    compute_baseline,
    compute_constant_losses,
)
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.training.loop import fit
from nnreg.training.step import NonFiniteLossError

LOSS = SoftmaxCrossEntropy()
EARLIER = (2, 4, 8)  # the epochs are divided by these
STEP = 3.0  # between a strength and the next one, about that of the grids
MIN_FOLDS, MAX_FOLDS = 3, 10
ENOUGH_ROWS = 600  # of N rows, 600/N folds
DIVISIONS = 3  # of the rows into parts, at most; VALIDATION_RULE says so
LATER_FOLDS = 5  # at least, after the first division
OPEN = 1.0  # an effect is open within so many standard errors of SMALLEST_GAIN
FAR_BELOW = 0.75  # a train loss below this share of the lowest validation loss

VALIDATION_RULE = (
    "New rows are validation rows: the training rows are divided into "
    f"{MIN_FOLDS} parts (up to {MAX_FOLDS} if there are fewer than {ENOUGH_ROWS // MIN_FOLDS} "
    "rows), and each part is predicted by networks trained on the others. The changes are an "
    "eighth, a quarter, half and twice the epochs; twice the units; and the next strengths in "
    f"the grid, or {STEP:g} times and 1/{STEP:g} of a strength that was set or is at the end of "
    "its grid; for none, the regularizers of the other variants. Changes that fit the training "
    "rows more closely are not tried if the train loss is below "
    f"{FAR_BELOW * 100:g} % of the lowest loss on validation rows. A decrease that can decide and "
    f"is within {OPEN:g} standard errors of {SMALLEST_GAIN * 100:g} % is measured again by another "
    f"division of the rows, into {LATER_FOLDS} or more parts, with other seeds, and if need be by "
    "a third."
)


@dataclass(frozen=True)
class Candidate:
    """What is trained: hidden units, strengths and epochs."""

    hidden: tuple[int, ...]
    strengths: Strengths
    epochs: int


Key = tuple[int, tuple[int, ...], Strengths]  # fold, hidden units, strengths


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
    curves : ndarray of shape (F, epochs)
        The mean loss of the validation rows of each fold of the first division after every epoch.
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
        self.constant = compute_constant_losses(rows.y)
        self.rows, n = rows, len(rows.x)
        self.folds: list[Rows] = []
        self.count_folds = min(max(MIN_FOLDS, ENOUGH_ROWS // n), MAX_FOLDS)
        self.divisions: list[Array] = []  # the number of the fold that validates each row
        first = self._divide(MIN_FOLDS)  # its first fold is that of the selection
        several = self.count_folds > MIN_FOLDS
        self.divisions.append(self._divide(self.count_folds) if several else first)
        self.epochs = settings.epochs_for(n)
        self._runs: dict[Key, Run] = {}
        self._networks: dict[Key, tuple[Network, Optimizer]] = {}  # that may be trained on

    @property
    def epochs_each(self) -> int:
        """The number of epochs that the verdict on one variant takes at most."""
        return len(np.unique(self.divisions[0])) * self.epochs * 8

    def find_folds(self, divisions: int) -> Array:
        """Return the number of the fold in which each row is validated, (D, N)."""
        while len(self.divisions) < divisions:
            self.divisions.append(self._divide(max(self.count_folds, LATER_FOLDS)))
        return np.array(self.divisions[:divisions])

    def _divide(self, count: int) -> Array:
        """Add folds; return the number of the fold in which each row is validated, (N,)."""
        x, y = self.rows.x, self.rows.y
        numbers, seed = np.empty(len(x), int), self.settings.seed + len(self.divisions)
        for training, part in split_folds(y, min(count, len(x)), seed):
            numbers[part] = len(self.folds)
            self.folds.append(standardize(Rows(x[training], y[training], x[part], y[part])))
        return numbers

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
        candidates = list_changes(base, variant, selection)
        changes: dict[str, dict[str, Change]] = {side: {} for side in SIDES}
        for divisions in range(1, DIVISIONS + 1):
            losses = self.losses(base, divisions, text, keep=True)
            folds = self.find_folds(divisions)
            runs = [self.run(int(fold), base, text) for fold in np.unique(folds)]
            train = float(np.mean([run.train_losses[self.epochs] for run in runs]))
            for side in SIDES:
                gains = [change.gain for part in changes.values() for change in part.values()]
                lowest = losses.mean() * (1 - max([0.0, *gains]))
                if side == "more" and train < FAR_BELOW * lowest:
                    break
                for name in self._find_open(candidates[side], changes[side]):
                    changed = self.losses(candidates[side][name], divisions, text)
                    changes[side][name] = Change.compare(name, side, losses, changed, folds)
            self._networks.clear()
            tried = [change for part in changes.values() for change in part.values()]
            rows = losses.mean(axis=0)
            error, learned = (
                float(np.std(values, ddof=1)) / len(rows) ** 0.5
                for values in (rows, self.constant - rows)
            )
            verdict = classify_fit(
                *(train, float(rows.mean()), error, tried),
                baseline=self.baseline,
                constant=float(self.constant.mean()) - learned,
            )
            sides = [side for side in SIDES if train >= lowest or side == "less"]
            still_open = any(self._find_open(changes[side], changes[side]) for side in sides)
            if verdict.word == "diverged" or not still_open:
                break
        curves = [run.curve[: self.epochs] for run in runs[: len(np.unique(folds[0]))]]
        return ValidatedVariant(verdict, tuple(tried), np.array(curves))

    @staticmethod
    def _find_open(names: Iterable[str], changes: Mapping[str, Change]) -> list[str]:
        """Return the names of changes of one side that are not measured, or can still decide."""
        if changes and max(changes.values(), key=lambda change: change.gain).exceeds(OPEN):
            return []
        return [name for name in names if name not in changes or changes[name].exceeds(-OPEN)]

    def losses(
        self, candidate: Candidate, divisions: int, text: str, *, keep: bool = False
    ) -> Array:
        """Return the losses of every row by the networks that did not train on it, (D, N)."""
        losses = np.empty((divisions, len(self.rows.x)))
        for values, folds in zip(losses, self.find_folds(divisions), strict=True):
            for fold in np.unique(folds):
                run = self.run(int(fold), candidate, text, keep=keep)
                values[folds == fold] = run.losses[candidate.epochs]
        return losses

    def run(self, fold: int, candidate: Candidate, text: str, *, keep: bool = False) -> Run:
        """Return the run of a candidate without the validation rows of a fold.

        With ``keep``, the network is kept, so that a run of more epochs continues this one.
        """
        key = fold, candidate.hidden, candidate.strengths
        run = self._runs.get(key)
        if run is None or candidate.epochs > len(run.curve):
            if key not in self._networks:
                self._runs[key] = run = Run()
                self._networks[key] = self._build(fold, candidate), self.settings.new_optimizer()
            assert run is not None
            self._train(fold, run, max(candidate.epochs, self.epochs), text, *self._networks[key])
            if not keep:
                del self._networks[key]
        return run

    def _build(self, fold: int, candidate: Candidate) -> Network:
        return build_network(
            candidate.hidden,
            candidate.strengths,
            inputs=self.folds[fold].x.shape[1],
            outputs=self.classes,
            seed=self.settings.seed + fold,
            l1_method=self.settings.l1_method,
        )

    def _train(
        self, fold: int, run: Run, epochs: int, text: str, net: Network, optimizer: Optimizer
    ) -> None:
        """Train a network until its run has this number of epochs."""
        rows, missing = self.folds[fold], epochs - len(run.curve)
        compared = {2 * self.epochs, self.epochs}
        compared |= {max(1, self.epochs // part) for part in EARLIER}

        def record(state: object) -> None:
            losses = compute_losses(net.predict(rows.x_test), rows.y_test)
            run.curve.append(float(losses.mean()))
            if (epoch := len(run.curve)) in compared:
                run.losses[epoch] = losses
                outputs = net.predict(rows.x)
                run.train_losses[epoch] = float(LOSS.compute(outputs, rows.y)[0])
            self.count(text, 1)

        try:
            fit(
                net,
                rows.x,
                rows.y,
                loss=LOSS,
                optimizer=optimizer,
                epochs=missing,
                batch_size=self.settings.batch_size,
                callbacks=[record],
            )
        except NonFiniteLossError:
            self.count(text, epochs - len(run.curve))
            run.curve.extend([math.inf] * (epochs - len(run.curve)))
            for epoch in compared:
                run.losses.setdefault(epoch, np.full(len(rows.y_test), math.inf))
                run.train_losses.setdefault(epoch, math.inf)


def split_folds(y: Array, count: int, seed: int) -> list[tuple[Array, Array]]:
    """Return numbers of training rows, and of validation rows in order; each is validated once.

    Examples
    --------
    >>> folds = split_folds(np.arange(60) % 10, 3, seed=0)
    >>> [(len(training), len(validation)) for training, validation in folds]
    [(40, 20), (40, 20), (40, 20)]
    """
    rest, parts = np.arange(len(y)), []
    for left in range(count, 1, -1):
        others, part = split_rows(y[rest], test_size=1 / left, seed=seed)
        parts.append(rest[part])
        rest = rest[others]
        if len(parts) == 1:
            order = np.concatenate([rest, part])
    return [(order[~np.isin(order, part)], np.sort(part)) for part in (*parts, rest)]


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
