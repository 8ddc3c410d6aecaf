"""The comparison experiment: one network, five regularizers, everything else equal.

Within a repeat all five variants start from the same weights and are trained on the same batches in
the same order, because both are functions of the seed. Every variant has the dropout layers; with
``keep_prob = 1`` they are the identity. So the results differ by regularization alone, and the
repeats, which differ in their seed, measure the random variation of the differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnreg._support.blas import blas_threads
from nnreg.datasets import Dataset
from nnreg.lab.comparison.figures import VariantRun
from nnreg.lab.comparison.report import Comparison
from nnreg.lab.comparison.selection import select_strengths
from nnreg.lab.comparison.validation import LOSS, ValidatedVariant, Validation
from nnreg.lab.preprocessing import Rows, standardize
from nnreg.lab.reporting.results import Progress
from nnreg.lab.settings import VARIANTS, Settings, Strengths, build_network
from nnreg.network import Network
from nnreg.training.history import History
from nnreg.training.loop import fit
from nnreg.training.step import NonFiniteLossError


def compare(
    dataset: Dataset, settings: Settings | None = None, progress: Progress | None = None
) -> Comparison:
    """Select the strengths, train every variant in every repeat, then find the verdicts.

    Parameters
    ----------
    dataset : Dataset
        From `nnreg.datasets.load`.
    settings : Settings, optional
    progress : function (text, done, total), optional
        Called after every epoch.

    Raises
    ------
    ValueError
        If the data are too few for the settings.
    NonFiniteLossError
        If the loss of a final run is not finite. In the selection, such a candidate is rejected.
    KeyboardInterrupt
        On Ctrl-C before the first repeat is finished. Later, the finished repeats are returned.

    Notes
    -----
    BLAS uses one thread: the matrices are small, and the results are then the same for any number
    of processors.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = Settings(l2=0.1, l1=0.001, keep_prob=0.5, epochs=2, train_size=50, repeats=1)
    >>> comparison = compare(load("digits"), settings)
    >>> comparison.curves("L2", "test_loss").shape
    (1, 2)
    """
    rows, settings = (Settings() if settings is None else settings).prepare(dataset)
    n = len(rows.x)
    epochs, done = settings.epochs_for(n), 0
    total = most = 0  # most: of what is running, which may take more epochs than expected

    def count(text: str, finished: int = 1) -> None:
        nonlocal done
        before, done = done, min(done + finished, most)
        if progress is not None and done > before:
            progress(text, done, total)

    validation = Validation(settings, rows, count)
    candidates = len(select_strengths(settings, n, lambda strengths: 0.0).candidates)
    total = (candidates + len(VARIANTS) * settings.repeats) * epochs
    total += len(VARIANTS) * validation.epochs_each
    most = total
    experiment = _Experiment(settings, rows.classes, count)
    with blas_threads(1):
        selection = select_strengths(settings, n, validation.selection_loss)
        final = standardize(rows)
        runs: dict[str, list[VariantRun]] = {variant: [] for variant in VARIANTS}
        validated: dict[str, ValidatedVariant] = {}
        try:
            for repeat in range(settings.repeats):
                finished = {
                    variant: experiment.run(variant, selection.strengths[variant], final, repeat)
                    for variant in VARIANTS
                }
                for variant, run in finished.items():
                    runs[variant].append(run)
            for variant in VARIANTS:
                most = done + validation.epochs_each
                validated[variant] = validation.judge(variant, selection)
                count(f"verdict on {variant}", most - done)
        except KeyboardInterrupt:
            if not runs["none"]:
                raise
    interrupted = len(validated) < len(VARIANTS)
    rows_held_out = len(validation.folds[0].x_test)
    return Comparison(
        dataset, rows, settings, selection, rows_held_out, runs, validated, interrupted
    )


@dataclass
class _Experiment:
    """Settings that all training runs of a comparison share."""

    settings: Settings
    classes: int
    count: Callable[[str], None]

    def run(self, variant: str, strengths: Strengths, rows: Rows, repeat: int) -> VariantRun:
        """Train one variant in one repeat, and evaluate it after every epoch."""
        curves: dict[str, list[float]] = {}

        def record(net: Network) -> None:
            for name, value in self.measure(net, rows).items():
                curves.setdefault(name, []).append(value)
            self.count(f"{variant}, repeat {repeat + 1}")

        try:
            net, history = self._train(strengths, rows, repeat, record)
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
        return VariantRun(net.seed, figures, curves, net)

    def measure(self, net: Network, rows: Rows) -> dict[str, float]:
        """Return the figures of a network in inference mode."""
        figures: dict[str, float] = {}
        for part, x, y in (("train", rows.x, rows.y), ("test", rows.x_test, rows.y_test)):
            outputs = net.predict(x)
            figures[f"{part}_accuracy"] = float(np.mean(LOSS.classes(outputs) == y))
            figures[f"{part}_loss"] = float(LOSS.compute(outputs, y)[0])
        figures["penalty"] = float(net.penalty_value())
        return figures

    def _train(
        self, strengths: Strengths, rows: Rows, repeat: int, callback: Callable[[Network], None]
    ) -> tuple[Network, History]:
        """Train a network; ``callback(net)`` is called after every epoch."""
        settings = self.settings
        net = build_network(
            settings.hidden,
            strengths,
            inputs=rows.x.shape[1],
            outputs=self.classes,
            seed=settings.seed + repeat,
            l1_method=settings.l1_method,
        )
        history = fit(
            net,
            rows.x,
            rows.y,
            loss=LOSS,
            optimizer=settings.new_optimizer(),
            epochs=settings.epochs_for(len(rows.x)),
            batch_size=settings.batch_size,
            callbacks=[lambda state: callback(net)],
        )
        return net, history
