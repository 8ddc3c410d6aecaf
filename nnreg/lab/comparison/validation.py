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

Each run depends on its rows, candidate and seed alone, and what can be trained at the same time is
trained by one call, so that the runs can be computed by several processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from nnreg import kernels
from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.datasets import split_rows
from nnreg.lab.comparison.selection import ModelSelection
from nnreg.lab.preprocessing import PreparedRows, Rows, standardize
from nnreg.lab.reporting.results import Task
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
    f"is within {OPEN:g} standard error of {SMALLEST_GAIN * 100:g} % is measured again by another "
    f"division of the rows, into {LATER_FOLDS} or more parts, with other seeds, and if need be by "
    "a third."
)


@dataclass(frozen=True)
class Candidate:
    """What is trained: hidden units, strengths and epochs."""

    hidden: tuple[int, ...]
    strengths: Strengths
    epochs: int


Wanted = tuple[int, Candidate]  # the number of a fold, and what is trained without it

Compute = Callable[[Mapping[Wanted, Task]], Mapping[Wanted, dict[str, Array]]]


@dataclass(frozen=True, eq=False)
class Run:
    """One training run without the validation rows of a fold.

    Parameters
    ----------
    losses : dict of int to ndarray of shape (N_validation,)
        By epoch, for the epochs that are compared: the losses of the validation rows.
    train_losses : dict of int to float
        The mean losses of the training rows after the same epochs.
    curve : ndarray of shape (epochs,)
        The mean loss of the validation rows after every epoch.
    """

    losses: dict[int, Array] = field(default_factory=dict)
    train_losses: dict[int, float] = field(default_factory=dict)
    curve: Array = field(default_factory=lambda: np.empty(0))


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
    compute : function (tasks) -> results, optional
        Computes runs in other processes; by default they are computed in this one.
    """

    def __init__(
        self, settings: Settings, rows: PreparedRows, compute: Compute | None = None
    ) -> None:
        self.settings, self.compute = settings, compute or compute_here
        self.baseline = compute_baseline(rows.y)
        self.constant = compute_constant_losses(rows.y)
        self.rows, n = rows, len(rows.x)
        self.folds: list[Rows] = []
        self.count_folds = min(max(MIN_FOLDS, ENOUGH_ROWS // n), MAX_FOLDS)
        self.divisions: list[Array] = []  # the number of the fold that validates each row
        first = self._divide(MIN_FOLDS)  # its first fold is that of the selection
        several = self.count_folds > MIN_FOLDS
        self.divisions.append(self._divide(self.count_folds) if several else first)
        self.epochs = settings.epochs_for(n)
        self.runs: dict[Wanted, Run] = {}

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

    def select_losses(self, strengths: Iterable[Strengths]) -> list[float]:
        """Return the data loss on the validation rows of the first fold, for each strength."""
        wanted = [(0, Candidate(self.settings.hidden, each, self.epochs)) for each in strengths]
        self.train(wanted)
        return [float(self.find_run(*each).losses[self.epochs].mean()) for each in wanted]

    def judge(
        self, variants: Iterable[str], selection: ModelSelection
    ) -> dict[str, ValidatedVariant]:
        """Return the verdict on each variant, and the changes that it is made with."""
        judged: dict[str, ValidatedVariant] = {}
        steps = {variant: self._judge(variant, selection) for variant in variants}
        while len(judged) < len(steps):
            wanted: list[Wanted] = []
            for variant in [variant for variant in steps if variant not in judged]:
                try:
                    wanted += next(steps[variant])
                except StopIteration as end:
                    judged[variant] = end.value
            self.train(wanted)
        return {variant: judged[variant] for variant in steps}

    def _judge(
        self, variant: str, selection: ModelSelection
    ) -> Generator[list[Wanted], None, ValidatedVariant]:
        """Yield the runs that are needed next, and return the verdict on a variant.

        Where the train loss is far below the lowest loss on validation rows, no change is tried
        that fits the training rows more closely.
        """
        base = Candidate(self.settings.hidden, selection.strengths[variant], self.epochs)
        candidates = list_changes(base, variant, selection)
        changes: dict[str, dict[str, Change]] = {side: {} for side in SIDES}
        for divisions in range(1, DIVISIONS + 1):
            folds = self.find_folds(divisions)
            yield (needed := [(int(fold), base) for fold in np.unique(folds)])
            losses = self.losses(base, divisions)
            runs = [self.find_run(*each) for each in needed]
            train = float(np.mean([run.train_losses[self.epochs] for run in runs]))
            for side in SIDES:
                gains = [change.gain for part in changes.values() for change in part.values()]
                lowest = losses.mean() * (1 - max([0.0, *gains]))
                if side == "more" and train < FAR_BELOW * lowest:
                    break
                names = self._find_open(candidates[side], changes[side])
                yield [(fold, candidates[side][name]) for name in names for fold, _ in needed]
                for name in names:
                    changed = self.losses(candidates[side][name], divisions)
                    changes[side][name] = Change.compare(name, side, losses, changed, folds)
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
        curves = [run.curve for run in runs[: len(np.unique(folds[0]))]]
        return ValidatedVariant(verdict, tuple(tried), np.array(curves))

    @staticmethod
    def _find_open(names: Iterable[str], changes: Mapping[str, Change]) -> list[str]:
        """Return the names of changes of one side that are not measured, or can still decide."""
        if changes and max(changes.values(), key=lambda change: change.gain).exceeds(OPEN):
            return []
        return [name for name in names if name not in changes or changes[name].exceeds(-OPEN)]

    def losses(self, candidate: Candidate, divisions: int) -> Array:
        """Return the losses of every row by the networks that did not train on it, (D, N)."""
        losses = np.empty((divisions, len(self.rows.x)))
        for values, folds in zip(losses, self.find_folds(divisions), strict=True):
            for fold in np.unique(folds):
                run = self.find_run(int(fold), candidate)
                values[folds == fold] = run.losses[candidate.epochs]
        return losses

    def find_run(self, fold: int, candidate: Candidate) -> Run:
        """Return the run of a candidate without the validation rows of a fold.

        Raises
        ------
        KeyError
            If it was not trained yet.
        """
        return self.runs[fold, self.at_full_length(candidate)]

    def at_full_length(self, candidate: Candidate) -> Candidate:
        """Return the candidate whose run has the epochs of this one too."""
        return replace(candidate, epochs=max(candidate.epochs, self.epochs))

    def train(self, wanted: Iterable[Wanted]) -> None:
        """Train the candidates without the validation rows of their folds, if not trained yet."""
        full = {(fold, self.at_full_length(candidate)): None for fold, candidate in wanted}
        settings, classes = self.settings, self.rows.classes
        tasks = {
            (fold, candidate): partial(
                train_candidate, candidate, self.folds[fold], settings, classes, fold
            )
            for fold, candidate in full
            if (fold, candidate) not in self.runs
        }
        for each, result in self.compute(tasks).items():
            epochs = result["epochs"].tolist()
            self.runs[each] = Run(
                dict(zip(epochs, result["losses"], strict=True)),
                dict(zip(epochs, result["train_losses"].tolist(), strict=True)),
                result["curve"],
            )


def compute_here(tasks: Mapping[Wanted, Task]) -> Mapping[Wanted, dict[str, Array]]:
    """Return the results of tasks that are computed in this process.

    >>> compute_here({})
    {}
    """
    return {each: task() for each, task in tasks.items()}


def train_candidate(
    candidate: Candidate, rows: Rows, settings: Settings, classes: int, fold: int
) -> dict[str, Array]:
    """Train a candidate, and return the losses of a `Run`.

    Returns
    -------
    dict of str to ndarray
        ``epochs`` (C,), those that are compared; ``losses`` (C, N_validation), ``train_losses``
        (C,) and ``curve`` (epochs,). They are infinite after a loss that was not finite.
    """
    net = build_network(
        candidate.hidden,
        candidate.strengths,
        inputs=rows.x.shape[1],
        outputs=classes,
        seed=settings.seed + fold,
        l1_method=settings.l1_method,
    )
    full = settings.epochs_for(len(rows.x))
    epochs = sorted({candidate.epochs, *(max(1, full // part) for part in (1, *EARLIER))})
    losses = np.full((len(epochs), len(rows.y_test)), math.inf)
    train_losses = np.full(len(epochs), math.inf)
    curve = np.full(candidate.epochs, math.inf)

    def record(state: object) -> None:
        row_losses = compute_losses(net.predict(rows.x_test), rows.y_test)
        curve[net.epochs - 1] = row_losses.mean()
        if net.epochs in epochs:
            i = epochs.index(net.epochs)
            losses[i] = row_losses
            train_losses[i] = LOSS.compute(net.predict(rows.x), rows.y)[0]

    with blas_threads(1), suppress(NonFiniteLossError):
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
    return {
        "epochs": np.array(epochs),
        "losses": losses,
        "train_losses": train_losses,
        "curve": curve,
    }


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
    >>> settings = Settings(l1=0.1, keep_prob=0.5)
    >>> selection = select_strengths(settings, 100, lambda tried: [0.0] * len(tried))
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
