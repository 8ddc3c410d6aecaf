"""What is drawn from a process, and what one data set is good for.

Data set number d is drawn from a stream of its own, a function of (seed, d): its training rows,
then the fresh rows on which its models' risk is measured, then the seeds of its models. So another
way to learn meets the same data sets, which makes comparisons fair and curves smooth; and more data
sets are the first ones and others.
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

POINTS = 0  # the stream's number of the common inputs; data set number d has d + 1


@dataclass(frozen=True)
class SamplingDesign:
    """How much is drawn.

    Parameters
    ----------
    rows : int, default 20
        Training rows in a data set.
    datasets : int, default 30
        At least 3.
    seeds : int, default 2
        Models of each data set. With 1 the variance is not split.
    points : int, default 4000
        Common inputs; and fresh rows that measure the risk of a data set's models. At least 2.
    seed : int, default 0
        All of it is a function of it.

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


def draw(
    process: DataGeneratingProcess, design: SamplingDesign, dataset: int
) -> tuple[Array, Array, Array, Array, list[int]]:
    """Return training rows, fresh rows, and the seeds of the models."""
    rng = random.generator(design.seed, "sampling", dataset + 1)
    x = process.draw_inputs(design.rows, rng)
    y = process.draw_targets(x, rng)
    fresh_x = process.draw_inputs(design.points, rng)
    fresh_y = process.draw_targets(fresh_x, rng)
    return x, y, fresh_x, fresh_y, rng.integers(2**31, size=design.seeds).tolist()


def common_points(process: DataGeneratingProcess, design: SamplingDesign) -> Array:
    """Return the common inputs; those on a line in order, so that they can be drawn."""
    x = process.draw_inputs(design.points, random.generator(design.seed, "sampling", POINTS))
    return np.sort(x, axis=0) if x.shape[1] == 1 else x


def learn_all(
    learner: Learner, process: DataGeneratingProcess, design: SamplingDesign, dataset: int
) -> dict[str, Array]:
    """Learn from one data set, with every seed."""
    x, y, fresh_x, fresh_y, seeds = draw(process, design, dataset)
    points = common_points(process, design)
    predictions, fresh, train = [], [], []
    with blas_threads(1):
        for seed in seeds:
            predict = learner(x, y, process.outputs, seed)
            predictions.append(_predicted(predict, points, fresh_y))
            fresh.append(process.losses(fresh_y, _predicted(predict, fresh_x, fresh_y)))
            train.append(process.losses(y, _predicted(predict, x, y)).mean())
    losses = np.mean(fresh, axis=0)  # of a row, over the seeds: rows are independent, seeds are not
    return {
        "predictions": np.array(predictions),
        "risk": losses.mean(),
        "spread": losses.var(ddof=1),
        "train": np.mean(train),
    }


def _predicted(predict: Predict, x: Array, targets: Array) -> Array:
    """Return predictions, which must be of the targets' kind."""
    found = np.asarray(predict(x))
    if found.shape != (len(x), *targets.shape[1:]):
        wanted = "(N,)" if targets.ndim == 1 else f"(N, {targets.shape[1]})"
        raise ValueError(f"the learner must predict shape {wanted} of N rows, got {found.shape}")
    validation.finite("predictions", found)
    return found
