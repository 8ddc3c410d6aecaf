"""The comparison: one network, five ways to regularize it, everything else equal.

Within a repeat all five variants start from the same weights and see the same batches in the same
order, because both are functions of the seed. The dropout layers are there in every variant; with
``keep_prob = 1`` they are the identity. So what differs in the results is what regularization does,
and the repeats, which differ in their seed, tell how much of it is chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.comparison.selection import FAILED, VALIDATION_SHARE, Choice, choose, trials
from nnreg.lab.preprocessing import Prepared, Rows, held_out, prepare, standardized
from nnreg.lab.settings import VARIANTS, Settings, Strengths
from nnreg.layers.activations import ReLU
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.penalties import L1, L2, Penalty
from nnreg.training.callbacks import TrainingState
from nnreg.training.history import History
from nnreg.training.loop import fit
from nnreg.training.step import NonFiniteLossError

Progress = Callable[[str, int, int], None]
"""Called after every epoch with what is being done, and how many epochs of how many are done."""


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network, measured.

    Parameters
    ----------
    seed : int
    figures : dict of str to float
        At the end: ``train_accuracy``, ``test_accuracy``, ``train_loss``, ``test_loss`` and
        ``test_loss_noisy``, ``gap``, ``penalty``, ``total``, ``weight_norm``, ``zeros`` and
        ``seconds``; `nnreg.lab.comparison.columns` says what each is.
    curves : dict of str to list of float
        The first five, and the penalty, at the end of every epoch.
    weights : ndarray of shape (P,)
        The final weights, without the biases.

    Examples
    --------
    >>> Run(0, {"gap": 0.5}, {}, np.zeros(1)).figures["gap"]
    0.5
    """

    seed: int
    figures: dict[str, float]
    curves: dict[str, list[float]]
    weights: Array


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was found.

    Parameters
    ----------
    dataset : Dataset
    rows : Prepared
    settings : Settings
        With the number of epochs filled in.
    choice : Choice
    validation_rows : int
        Training rows that the choice held out.
    runs : dict of str to list of Run
        By variant, in the order of the repeats.
    interrupted : bool
        Whether there are fewer repeats than were asked for.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = Settings(l2=0.1, l1=0.001, keep_prob=0.5, epochs=1, train_size=50, repeats=1)
    >>> list(compare(load("digits"), settings).runs)
    ['none', 'L2', 'L1', 'dropout', 'dropout + L2']
    """

    dataset: Dataset
    rows: Prepared
    settings: Settings
    choice: Choice
    validation_rows: int
    runs: dict[str, list[Run]]
    interrupted: bool = False

    @property
    def repeats(self) -> int:
        """Finished repeats."""
        return len(self.runs[VARIANTS[0]])

    def values(self, variant: str, figure: str) -> Array:
        """Return one figure of all repeats, (R,)."""
        return np.array([run.figures[figure] for run in self.runs[variant]])

    def curves(self, variant: str, curve: str) -> Array:
        """Return one curve of all repeats, (R, epochs)."""
        return np.array([run.curves[curve] for run in self.runs[variant]])

    def _repr_html_(self) -> str:
        from nnreg.lab.comparison.report import notebook

        return notebook(self)


def build(
    strengths: Strengths, settings: Settings, inputs: int, classes: int, seed: int
) -> Network:
    """Return the network of one variant; for one seed its initial weights are those of every other.

    Examples
    --------
    >>> plain, dropped = (
    ...     build(Strengths(keep_prob=keep), Settings(), 4, 3, seed=0) for keep in (1.0, 0.5)
    ... )
    >>> bool((plain.parameters.vector == dropped.parameters.vector).all())
    True
    """
    layers: list[Layer] = []
    for units in settings.hidden:
        layers += [Dense(units), ReLU(), Dropout(keep_prob=strengths.keep_prob)]
    penalty: Penalty | None = None
    if strengths.l2:
        penalty = L2(strengths.l2)
    elif strengths.l1:
        penalty = L1(strengths.l1, method=settings.l1_method)
    return Network([*layers, Dense(classes)], inputs=inputs, penalty=penalty, seed=seed)


def compare(
    dataset: Dataset, settings: Settings | None = None, progress: Progress | None = None
) -> Comparison:
    """Choose the strengths, then train every variant in every repeat.

    Parameters
    ----------
    dataset : Dataset
        From `nnreg.datasets.load`.
    settings : Settings, optional
    progress : function (text, done, total), optional
        Told after every epoch.

    Raises
    ------
    ValueError
        If the data are too few for the settings.
    NonFiniteLossError
        If a final run breaks down. (In the search it only loses.)
    KeyboardInterrupt
        If there is one before the first repeat is finished. Later the finished repeats are
        returned.

    Notes
    -----
    BLAS is held to one thread: the matrices are small, and the results are then the same however
    many processors there are.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = Settings(l2=0.1, l1=0.001, keep_prob=0.5, epochs=2, train_size=50, repeats=1)
    >>> found = compare(load("digits"), settings)
    >>> found.curves("L2", "test_loss").shape
    (1, 2)
    """
    settings = Settings() if settings is None else settings
    rows = prepare(
        dataset,
        train_size=settings.train_size,
        label_noise=settings.label_noise,
        seed=settings.seed,
    )
    n = len(rows.x)
    settings = replace(settings, epochs=settings.epochs_for(n), train_size=n)
    laboratory = _Laboratory(settings, rows.classes, _Counter(progress, settings, n))
    with blas_threads(1):
        search = standardized(held_out(rows, VALIDATION_SHARE, settings.seed))
        choice = choose(settings, n, lambda strengths: laboratory.trial(strengths, search))
        final = standardized(rows)
        runs: dict[str, list[Run]] = {variant: [] for variant in VARIANTS}
        try:
            for repeat in range(settings.repeats):
                found = [
                    laboratory.run(variant, choice.strengths[variant], final, repeat)
                    for variant in VARIANTS
                ]
                for variant, run in zip(VARIANTS, found, strict=True):
                    runs[variant].append(run)
        except KeyboardInterrupt:
            if not runs["none"]:
                raise
    interrupted = len(runs["none"]) < settings.repeats
    return Comparison(dataset, rows, settings, choice, len(search.x_test), runs, interrupted)


class _Counter:
    """Epochs done of all the epochs that a comparison takes."""

    def __init__(self, progress: Progress | None, settings: Settings, rows: int) -> None:
        assert settings.epochs is not None
        self.progress = progress
        self.done = 0
        runs = trials(settings, rows) + len(VARIANTS) * settings.repeats
        self.total = runs * settings.epochs

    def __call__(self, text: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(text, self.done, self.total)


@dataclass
class _Laboratory:
    """What every training run of a comparison shares."""

    settings: Settings
    classes: int
    count: _Counter
    loss: SoftmaxCrossEntropy = field(default_factory=SoftmaxCrossEntropy)

    def trial(self, strengths: Strengths, rows: Rows) -> float:
        """Train on the rows that are not held out; return the data loss on those that are."""
        net = self._network(strengths, rows, self.settings.seed)
        try:
            self._fit(net, rows, lambda run: self.count(f"choosing {strengths}"))
        except NonFiniteLossError:
            return FAILED
        return float(self.loss.compute(net.predict(rows.x_test), rows.y_test)[0])

    def run(self, variant: str, strengths: Strengths, rows: Rows, repeat: int) -> Run:
        """Train one variant in one repeat, measured after every epoch."""
        settings = self.settings
        net = self._network(strengths, rows, settings.seed + repeat)
        curves: dict[str, list[float]] = {}

        def watch(run: TrainingState) -> None:
            for name, value in self._measured(net, rows).items():
                curves.setdefault(name, []).append(value)
            self.count(f"{variant}, repeat {repeat + 1}")

        try:
            history = self._fit(net, rows, watch)
        except NonFiniteLossError as error:
            error.args = (f"{variant} ({strengths}), repeat {repeat + 1}: {error}",)
            raise
        weights = net.parameters.weights
        last = {name: values[-1] for name, values in curves.items()}
        figures = last | {
            "gap": last["test_loss"] - last["train_loss"],
            "total": last["train_loss"] + last["penalty"],
            "weight_norm": float(np.linalg.norm(weights.astype(np.float64))),
            "zeros": float(np.mean(weights == 0)),
            "seconds": float(sum(history["seconds"])),
        }
        return Run(net.seed, figures, curves, weights.copy())

    def _network(self, strengths: Strengths, rows: Rows, seed: int) -> Network:
        return build(strengths, self.settings, rows.x.shape[1], self.classes, seed)

    def _fit(self, net: Network, rows: Rows, watch: Callable[[TrainingState], Any]) -> History:
        assert self.settings.epochs is not None
        history = fit(
            net,
            rows.x,
            rows.y,
            loss=self.loss,
            optimizer=self.settings.new_optimizer(),
            epochs=self.settings.epochs,
            batch_size=self.settings.batch_size,
            callbacks=[watch],
        )
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
        return history

    def _measured(self, net: Network, rows: Rows) -> dict[str, float]:
        """Measure in inference mode."""
        found: dict[str, float] = {}
        for part, x, y in (("train", rows.x, rows.y), ("test", rows.x_test, rows.y_test)):
            outputs = net.predict(x)
            found[f"{part}_accuracy"] = float(np.mean(self.loss.classes(outputs) == y))
            found[f"{part}_loss"] = float(self.loss.compute(outputs, y)[0])
        found["test_loss_noisy"] = float(self._noisy().compute(outputs, y)[0])
        found["penalty"] = float(net.penalty_value())
        return found

    def _noisy(self) -> SoftmaxCrossEntropy:
        """Return the loss whose value is the mean over all the ways to make labels wrong.

        With a share ν of K classes' labels wrong, a label has the probability 1 - ν, and each
        other class ν/(K - 1): label smoothing by νK/(K - 1).
        """
        k = self.classes
        return SoftmaxCrossEntropy(label_smoothing=self.settings.label_noise * k / (k - 1))
