"""Sampling: the data sets that are drawn from a data-generating process.

Data set number d has a random generator of its own, a function of (seed, d). It draws the training
rows, then the fresh rows on which the risk is measured, then the seeds of the models. So all
learners are trained on the same data sets, which makes differences between them less noisy, and a
larger number of data sets contains the smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.lab.bias_variance.learners import Learner, Predict
from nnreg.lab.bias_variance.processes import DataGeneratingProcess


@dataclass(frozen=True)
class SamplingDesign:
    """The numbers of rows, data sets and seeds.

    Parameters
    ----------
    rows : int, default 20
        Training rows in a data set.
    datasets : int, default 30
        At least 3.
    seeds : int, default 2
        Models of each data set. With 1 the variance is not split.
    points : int, default 4000
        Inputs at which all models are evaluated, and fresh rows of each data set. At least 2.
    seed : int, default 0
        Fixes everything that is drawn.

    Raises
    ------
    ValueError, TypeError
        If one of them is out of range.

    Examples
    --------
    >>> SamplingDesign(datasets=2)
    Traceback (most recent call last):
        ...
    ValueError: datasets must be a whole number of at least 3, got 2
    """

    rows: int = 20
    datasets: int = 30
    seeds: int = 2
    points: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("rows", 1), ("datasets", 3), ("seeds", 1), ("points", 2), ("seed", 0)):
            validation.whole(name, getattr(self, name), low)


@dataclass(frozen=True)
class Sampler:
    """Draws data sets, and evaluates learners on them.

    Parameters
    ----------
    process : DataGeneratingProcess
    design : SamplingDesign

    Examples
    --------
    >>> from nnreg.lab import Sine
    >>> x, y, *_ = Sampler(Sine(), SamplingDesign(rows=5)).draw(0)
    >>> x.shape, y.shape
    ((5, 1), (5, 1))
    """

    process: DataGeneratingProcess
    design: SamplingDesign

    def draw(self, dataset: int) -> tuple[Array, Array, Array, Array, list[int]]:
        """Return the training rows (x, y), fresh rows (x, y), and seeds of one data set."""
        rng = random.generator(self.design.seed, "sampling", dataset + 1)
        x = self.process.draw_inputs(self.design.rows, rng)
        y = self.process.draw_targets(x, rng)
        fresh_x = self.process.draw_inputs(self.design.points, rng)
        fresh_y = self.process.draw_targets(fresh_x, rng)
        return x, y, fresh_x, fresh_y, rng.integers(2**31, size=self.design.seeds).tolist()

    def common_points(self) -> Array:
        """Return the inputs (N, D) at which all models are evaluated; with one feature, sorted."""
        rng = random.generator(self.design.seed, "sampling", 0)
        x = self.process.draw_inputs(self.design.points, rng)
        return np.sort(x, axis=0) if x.shape[1] == 1 else x

    def evaluate(self, learner: Learner, dataset: int) -> dict[str, Array]:
        """Train on one data set with every seed, and evaluate the models.

        Returns
        -------
        dict of str to ndarray
            ``predictions`` (R, N, M) or, of classes, (R, N), at the common points; ``risk``, the
            mean loss on the fresh rows; ``spread``, the variance of that loss over the rows;
            ``train``, the mean loss on the training rows.
        """
        x, y, fresh_x, fresh_y, seeds = self.draw(dataset)
        points, process = self.common_points(), self.process
        predictions, fresh, train = [], [], []
        with blas_threads(1):
            for seed in seeds:
                predict = learner(x.copy(), y.copy(), process.outputs, seed)
                predictions.append(self._predict(predict, points, y))
                fresh.append(process.losses(fresh_y, self._predict(predict, fresh_x, y)))
                train.append(process.losses(y, self._predict(predict, x, y)).mean())
        losses = np.mean(fresh, axis=0)  # over the seeds: rows are independent, seeds are not
        return {
            "predictions": np.array(predictions),
            "risk": losses.mean(),
            "spread": losses.var(ddof=1),
            "train": np.mean(train),
        }

    def _predict(self, predict: Predict, x: Array, targets: Array) -> Array:
        """Return checked predictions, and let a learner modify neither ``x`` nor them."""
        predictions = validation.numeric("predictions", predict(x.copy())).copy()
        if predictions.shape != (len(x), *targets.shape[1:]):
            expected = "(N,)" if targets.ndim == 1 else f"(N, {targets.shape[1]})"
            raise ValueError(
                f"the learner must predict shape {expected} of N rows, got {predictions.shape}"
            )
        validation.finite("predictions", predictions)
        if targets.ndim == 1:
            classes = self.process.outputs
            bad = (predictions < 0) | (predictions >= classes)
            if predictions.dtype.kind not in "iu" or bad.any():
                raise ValueError(
                    f"the learner must predict class numbers from 0 to {classes - 1}, integers, "
                    f"got {predictions[bad][0] if bad.any() else predictions.dtype}"
                )
        return predictions
