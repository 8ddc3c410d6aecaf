"""Bias and variance, measured: one way to learn, many data sets, many seeds.

All models are evaluated at one set of inputs, where the expected target is known, and the risk
is decomposed there (`nnreg.lab.bias_variance.decomposition`).

The risk is measured as if nothing were known, on fresh noisy rows. That it equals bias² + variance
+ noise, which come from other inputs and from no target at all, is a statement about the world that
can fail; `BiasVariance.difference` says by how much, and what would be chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nnreg._support.typing import Array
from nnreg.lab.bias_variance.decomposition import Decomposition, Estimate, decompose
from nnreg.lab.bias_variance.learners import Learner
from nnreg.lab.bias_variance.processes import DataGeneratingProcess
from nnreg.lab.bias_variance.sampling import SamplingDesign, common_points, draw, learn_all
from nnreg.lab.reporting.results import Progress, Task, cache_key, run_cached


@dataclass(frozen=True, eq=False)
class BiasVariance:
    """What was found for one way to learn.

    Parameters
    ----------
    learner : Learner
    process : DataGeneratingProcess
    design : SamplingDesign
    terms : Decomposition
        Bias², variance and its parts, noise, and their sum.
    risk : Estimate
        Measured on fresh rows.
    train : Estimate
        The loss on the training rows.
    difference : Estimate
        The risk minus the sum of the terms; its error counts what the two do not share, the inputs
        and the fresh targets.
    points : ndarray of shape (N, D)
        The common inputs.
    predictions : ndarray of shape (datasets, seeds, N, M) or, of classes, (datasets, seeds, N)

    Examples
    --------
    >>> from nnreg.lab import Polynomial, Sine, bias_and_variance
    >>> stiff, right, flexible = (
    ...     bias_and_variance(Polynomial(degree), Sine(), seeds=1) for degree in (0, 3, 6)
    ... )
    >>> stiff.terms.bias.value > right.terms.bias.value
    True
    >>> flexible.terms.variance.value > right.terms.variance.value
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
        """Bias² + variance: what could be better."""
        return self.terms.bias.value + self.terms.variance.value

    def training_rows(self, dataset: int = 0) -> tuple[Array, Array]:
        """Return the training rows ``(x, y)`` of one data set."""
        return draw(self.process, self.design, dataset)[:2]

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
    jobs: int = 1,
    folder: str | Path | None = None,
) -> BiasVariance:
    """Measure where the errors of a way to learn come from.

    Parameters
    ----------
    learner : function (x, y, outputs, seed) -> predict
        `NetworkLearner`, `Polynomial` or one of your own.
    process : DataGeneratingProcess
        `Sine`, `Bands` or one of your own.
    rows, datasets, seeds, points, seed : int
        See `SamplingDesign`.
    jobs : int, default 1
        Processes; more than one need joblib.
    folder : path, optional
        Where to keep results as they come, and to find those that an interrupted run has kept.
        Learner and process must then have a ``repr`` that says all of them, as a dataclass has.

    Returns
    -------
    BiasVariance

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or the learner does not predict what the process wants.

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
    jobs: int = 1,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, BiasVariance]:
    """Measure several ways to learn, all on the same data sets.

    Parameters
    ----------
    learners : mapping of str to Learner
        By name; `sweep` makes them for a size or a strength.
    process : DataGeneratingProcess
    design : SamplingDesign, optional
    jobs : int, default 1
    folder : path, optional
        As for `bias_and_variance`.
    progress : function (text, done, total), optional
        Told after every data set of every learner.

    Returns
    -------
    dict of str to BiasVariance

    Examples
    --------
    >>> from nnreg.lab import Sine, sweep
    >>> found = bias_variance_sweep(sweep("degree", [1, 3]), Sine(), SamplingDesign(seeds=1))
    >>> list(found)
    ['1', '3']
    """
    design = SamplingDesign() if design is None else design
    if not isinstance(process, DataGeneratingProcess):
        raise TypeError(
            f"process must be a DataGeneratingProcess such as nnreg.lab.Sine(), got {process!r}"
        )
    place = None if folder is None else Path(folder)
    drawn = asdict(replace(design, datasets=3))  # a data set does not depend on how many there are
    tasks: dict[str, Task] = {}
    names: dict[str, list[str]] = {}
    for name, learner in learners.items():
        for dataset in range(design.datasets):
            key = (
                cache_key("bias-variance", learner, process, drawn, dataset)
                if place
                else f"{name}\n{dataset}"
            )
            names.setdefault(name, []).append(key)
            tasks[key] = partial(learn_all, learner, process, design, dataset)

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress("data sets", done, total)

    results = run_cached(tasks, folder=place, jobs=jobs, progress=told)
    return {
        name: _summary(learner, process, design, [results[key] for key in names[name]])
        for name, learner in learners.items()
    }


def _summary(
    learner: Learner,
    process: DataGeneratingProcess,
    design: SamplingDesign,
    results: list[dict[str, Array]],
) -> BiasVariance:
    points = common_points(process, design)
    predictions = np.array([result["predictions"] for result in results])
    terms = decompose(
        process.vectors(predictions),
        process.expected(points),
        process.noise_at(points),
        process.scale,
    )
    risks, spreads = (np.array([float(r[name]) for r in results]) for name in ("risk", "spread"))
    fresh = float(spreads.mean()) / (design.points * design.datasets)
    error = (fresh + terms.input_error**2) ** 0.5
    return BiasVariance(
        learner,
        process,
        design,
        terms,
        risk=_mean(risks),
        train=_mean(np.array([float(result["train"]) for result in results])),
        difference=Estimate(float(risks.mean()) - terms.total.value, error),
        points=points,
        predictions=predictions,
    )


def _mean(values: Array) -> Estimate:
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5)
