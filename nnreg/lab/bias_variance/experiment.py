"""Bias-variance experiment: learners on many data sets of one process, with many seeds.

Data set d is drawn with a separate random generator, a function of (seed, d): first the training
rows, then the fresh rows on which the risk is measured, then the seeds of the models. So all
learners are trained on the same data sets, which reduces the noise of the differences between them.
More data sets are added to the existing ones.

All models are evaluated at one set of inputs, where the expected target is known, and the risk is
decomposed there (`nnreg.lab.bias_variance.decomposition`). The risk itself is measured
independently, on fresh rows with noisy targets. `BiasVariance.difference` is the difference of both
with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.lab.bias_variance.decomposition import Decomposition, Estimate, decompose
from nnreg.lab.bias_variance.learners import Learner, Predict
from nnreg.lab.bias_variance.processes import DataGeneratingProcess
from nnreg.lab.reporting.results import Progress, cache_key, run_cached
from nnreg.lab.settings import CheckedSettings
from nnreg.lab.verdicts import Change, classify_fit


@dataclass(frozen=True)
class SamplingDesign(CheckedSettings):
    """The numbers of rows, data sets and seeds.

    Parameters
    ----------
    rows : int, default 20
        Training rows in a data set.
    datasets : int, default 30
        At least 3.
    seeds : int, default 2
        Number of seeds, that is, of models per data set. With 1 the variance is not split.
    points : int, default 4000
        Inputs at which all models are evaluated, and fresh rows of each data set. At least 2.
    seed : int, default 0
        Determines all random numbers.

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

    def draw(
        self, process: DataGeneratingProcess, dataset: int
    ) -> tuple[Array, Array, Array, Array, list[int]]:
        """Return the training rows (x, y), fresh rows (x, y), and seeds of one data set.

        >>> from nnreg.lab import Sine
        >>> x, y, *_ = SamplingDesign(rows=5).draw(Sine(), 0)
        >>> x.shape, y.shape
        ((5, 1), (5, 1))
        """
        rng = random.generator(self.seed, "sampling", dataset + 1)
        x = process.draw_inputs(self.rows, rng)
        y = process.draw_targets(x, rng)
        fresh_x = process.draw_inputs(self.points, rng)
        fresh_y = process.draw_targets(fresh_x, rng)
        return x, y, fresh_x, fresh_y, rng.integers(2**31, size=self.seeds).tolist()

    def common_points(self, process: DataGeneratingProcess) -> Array:
        """Return the inputs (N, D) at which all models are evaluated; with one feature, sorted."""
        x = process.draw_inputs(self.points, random.generator(self.seed, "sampling", 0))
        return np.sort(x, axis=0) if x.shape[1] == 1 else x


def evaluate(
    learner: Learner, process: DataGeneratingProcess, design: SamplingDesign, dataset: int
) -> dict[str, Array]:
    """Train on one data set with every seed, and evaluate the models.

    Returns
    -------
    dict of str to ndarray
        ``predictions`` (R, N, M) or, of classes, (R, N), at the common points; ``risk``, the mean
        loss on the fresh rows; ``spread``, the variance of that loss over the rows; ``train``, the
        mean loss on the training rows.
    """
    x, y, fresh_x, fresh_y, seeds = design.draw(process, dataset)
    points = design.common_points(process)
    predictions, fresh, train = [], [], []
    with blas_threads(1):
        for seed in seeds:
            predict = partial(
                _predict, learner(x.copy(), y.copy(), process.outputs, seed), process, y
            )
            predictions.append(predict(points))
            fresh.append(process.losses(fresh_y, predict(fresh_x)))
            train.append(process.losses(y, predict(x)).mean())
    losses = np.mean(fresh, axis=0)  # over the seeds: rows are independent, seeds are not
    return {
        "predictions": np.array(predictions),
        "risk": losses.mean(),
        "spread": losses.var(ddof=1),
        "train": np.mean(train),
    }


def _predict(predict: Predict, process: DataGeneratingProcess, targets: Array, x: Array) -> Array:
    """Return validated predictions; the learner's arrays are copies, which it may modify."""
    predictions = validation.numeric("predictions", predict(x.copy())).copy()
    shape, classes = (len(x), *targets.shape[1:]), range(process.outputs)
    if predictions.shape != shape:
        raise ValueError(f"the learner must predict shape {shape}, got {predictions.shape}")
    validation.finite("predictions", predictions)
    integers = predictions.dtype.kind in "iu"
    if targets.ndim == 1 and not (integers and np.isin(predictions, classes).all()):
        raise ValueError(
            f"the learner must predict class numbers from 0 to {classes[-1]}, integers, "
            f"got {np.unique(predictions)}"
        )
    return predictions


@dataclass(frozen=True, eq=False)
class BiasVariance:
    """The result for one learner.

    Parameters
    ----------
    learner : Learner
    process : DataGeneratingProcess
    design : SamplingDesign
    terms : Decomposition
        Bias², variance and its parts, noise, and their sum.
    risk : Estimate
        The mean loss on fresh rows.
    train : Estimate
        The mean loss on the training rows.
    difference : Estimate
        The risk minus the sum of the terms. Its error comes from the inputs and the fresh targets,
        in which the two differ.
    points : ndarray of shape (N, D)
        The common inputs.
    predictions : ndarray of shape (datasets, seeds, N, M) or, of classes, (datasets, seeds, N)

    Examples
    --------
    >>> from nnreg.lab import Polynomial, Sine, bias_and_variance
    >>> constant, cubic, sextic = (
    ...     bias_and_variance(Polynomial(degree), Sine(), seeds=1) for degree in (0, 3, 6)
    ... )
    >>> constant.terms.bias.value > cubic.terms.bias.value
    True
    >>> sextic.terms.variance.value > cubic.terms.variance.value
    True
    """

    learner: Learner
    process: DataGeneratingProcess
    design: SamplingDesign
    terms: Decomposition
    risk: Estimate
    train: Estimate
    difference: Estimate
    points: Array
    predictions: Array

    @property
    def reducible_error(self) -> float:
        """Bias² + variance."""
        return self.terms.bias.value + self.terms.variance.value

    def training_rows(self, dataset: int = 0) -> tuple[Array, Array]:
        """Return the training rows ``(x, y)`` of one data set."""
        return self.design.draw(self.process, dataset)[:2]

    def __str__(self) -> str:
        terms = self.terms
        parts = ""
        if terms.data_variance is not None:
            parts = f" (data sets {terms.data_variance}, seeds {terms.seed_variance})"
        return "\n".join(
            (
                f"bias²       {terms.bias}",
                f"variance    {terms.variance}{parts}",
                f"noise       {terms.noise}",
                f"sum         {terms.total}",
                f"risk        {self.risk}, measured on fresh rows",
                f"difference  {self.difference}",
                f"train loss  {self.train}",
            )
        )


def bias_and_variance(
    learner: Learner,
    process: DataGeneratingProcess,
    *,
    rows: int = 20,
    datasets: int = 30,
    seeds: int = 2,
    points: int = 4000,
    seed: int = 0,
    jobs: int | None = None,
    folder: str | Path | None = None,
) -> BiasVariance:
    """Measure bias, variance and noise of one learner.

    Parameters
    ----------
    learner : function (x, y, outputs, seed) -> predict
        `NetworkLearner`, `Polynomial` or a user-defined function.
    process : DataGeneratingProcess
        `Sine`, `Bands` or a user-defined process.
    rows, datasets, seeds, points, seed : int
        See `SamplingDesign`.
    jobs : int, optional
        Number of worker processes. More than one requires joblib. None means 1 or, inside
        ``joblib.parallel_config(...)``, its backend and its number.
    folder : path, optional
        Where the results of finished data sets are saved; an interrupted run reads them from there.
        The ``repr`` of the learner and of the process must describe them completely, as that of a
        dataclass does.

    Returns
    -------
    BiasVariance

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or the learner's predictions do not fit the process.

    Examples
    --------
    >>> from nnreg.lab import Polynomial, Sine
    >>> print(bias_and_variance(Polynomial(3), Sine(noise=0.4), rows=40, seeds=1))
    bias²       0.0038 ± 0.0003
    variance    0.0182 ± 0.0022
    noise       0.1600 ± 0.0000
    sum         0.1821 ± 0.0020
    risk        0.1834 ± 0.0024, measured on fresh rows
    difference  0.0013 ± 0.0008
    train loss  0.1463 ± 0.0059
    """
    design = SamplingDesign(rows, datasets, seeds, points, seed)
    return bias_variance_sweep({"": learner}, process, design, jobs=jobs, folder=folder)[""]


def bias_variance_sweep(
    learners: Mapping[str, Learner],
    process: DataGeneratingProcess,
    design: SamplingDesign | None = None,
    *,
    jobs: int | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, BiasVariance]:
    """Measure bias, variance and noise of several learners on the same data sets.

    Parameters
    ----------
    learners : mapping of str to Learner
        By name; `sweep` returns learners for the values of a size or a strength.
    process : DataGeneratingProcess
    design : SamplingDesign, optional
    jobs : int, optional
    folder : path, optional
        As for `bias_and_variance`.
    progress : function (text, done, total), optional
        Called after every data set of every learner.

    Returns
    -------
    dict of str to BiasVariance

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, sweep
    >>> results = bias_variance_sweep(sweep("degree", [1, 3]), Sine(), SamplingDesign(seeds=1))
    >>> list(results)
    ['1', '3']
    """
    design = SamplingDesign() if design is None else design
    validation.instance("learners", learners, Mapping, "a mapping of names to learners")
    if not learners:
        raise ValueError("learners must not be empty")
    validation.instance(
        "process", process, DataGeneratingProcess, "a DataGeneratingProcess such as Sine()"
    )
    validation.instance("design", design, SamplingDesign, "a SamplingDesign")
    # So that saved results are valid for any number of data sets.
    sampling = asdict(replace(design, datasets=3))
    keys = {
        (name, dataset): f"{name}\n{dataset}"
        if folder is None
        else cache_key("bias-variance", learner, process, sampling, dataset)
        for name, learner in learners.items()
        for dataset in range(design.datasets)
    }
    results = run_cached(
        {
            key: partial(evaluate, learners[name], process, design, d)
            for (name, d), key in keys.items()
        },
        folder=None if folder is None else Path(folder),
        jobs=jobs,
        progress=None if progress is None else partial(progress, "data sets"),
    )
    return {
        name: _summarize(
            learner, process, design, [results[keys[name, d]] for d in range(design.datasets)]
        )
        for name, learner in learners.items()
    }


def _summarize(
    learner: Learner,
    process: DataGeneratingProcess,
    design: SamplingDesign,
    results: list[dict[str, Array]],
) -> BiasVariance:
    points = design.common_points(process)
    predictions, risks, spreads, train = (
        np.array([result[name] for result in results])
        for name in ("predictions", "risk", "spread", "train")
    )
    terms = decompose(
        process.vectors(predictions),
        process.expected(points),
        process.noise_at(points),
        process.scale,
    )
    fresh = float(spreads.mean()) / (design.points * design.datasets)
    error = (fresh + terms.input_error**2) ** 0.5
    return BiasVariance(
        learner,
        process,
        design,
        terms,
        risk=_estimate_mean(risks),
        train=_estimate_mean(train),
        difference=Estimate(float(risks.mean()) - terms.total.value, error),
        points=points,
        predictions=predictions,
    )


def _estimate_mean(values: Array) -> Estimate:
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5)


def find_best(results: Mapping[str, BiasVariance]) -> str:
    """Return the name of the learner with the lowest bias² + variance.

    >>> from nnreg.lab import SamplingDesign, Sine, sweep
    >>> design = SamplingDesign(seeds=1)
    >>> find_best(bias_variance_sweep(sweep("degree", [0, 3, 6]), Sine(), design))
    '3'
    """
    return min(results, key=lambda name: np.nan_to_num(results[name].reducible_error, nan=np.inf))


def classify_fits(results: Mapping[str, BiasVariance]) -> dict[str, str]:
    """Return a verdict for each learner, by `nnreg.lab.verdicts.FIT_RULE`.

    The loss on new rows is bias² + variance + noise. The changes of a learner are the other
    learners: those with a lower train loss fit the training rows more closely, the others less.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, sweep
    >>> design = SamplingDesign(seeds=1)
    >>> classify_fits(bias_variance_sweep(sweep("degree", [0, 3, 6]), Sine(), design))
    {'0': 'underfit', '3': 'right fit', '6': 'overfit'}
    """
    return {name: _classify(name, results) for name in results}


def _classify(name: str, results: Mapping[str, BiasVariance]) -> str:
    result = results[name]
    train, loss = result.train.value, result.terms.total
    changes = [
        Change(
            other,
            "more" if results[other].train.value < train else "less",
            1 - results[other].terms.total.value / loss.value,
            math.hypot(results[other].terms.total.error, loss.error) / loss.value,
        )
        for other in results
        if other != name
    ]
    baseline = result.process.baseline(result.points)
    return classify_fit(train, loss.value, 0.0, changes, baseline=baseline).word
