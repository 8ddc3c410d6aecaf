"""The report of a bias-variance sweep: ``report.json``, ``report.html`` and two pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from nnreg import plots
from nnreg.lab.bias_variance.experiment import BiasVariance, classify_fits, find_best
from nnreg.lab.bias_variance.processes import Classification
from nnreg.lab.reporting.report import Report, Table
from nnreg.lab.verdicts import FIT_RULE
from nnreg.plots import LIGHT, Theme
from nnreg.plots.frame import Figure

Results = Mapping[str, BiasVariance]

COLUMNS: Mapping[str, tuple[Callable[[BiasVariance], Any], str]] = {
    "bias²": (
        lambda result: result.terms.bias,
        "The squared distance of the mean of all models from the mean of the targets. Its excess "
        "for a finite number of models is subtracted, so the estimate can be below 0.",
    ),
    "variance": (
        lambda result: result.terms.variance,
        "The mean squared distance of the models from their mean.",
    ),
    "of data sets": (
        lambda result: result.terms.data_variance,
        "The part of the variance that comes from drawing different data sets.",
    ),
    "of seeds": (
        lambda result: result.terms.seed_variance,
        "The part that comes from different seeds for the same data set: initial values, order of "
        "the rows, dropout.",
    ),
    "noise": (
        lambda result: result.terms.noise,
        "The expected loss of the best possible prediction. It is known exactly.",
    ),
    "sum": (lambda result: result.terms.total, "Bias² + variance + noise."),
    "risk": (lambda result: result.risk, "The mean loss on fresh rows with noisy targets."),
    "risk - sum": (
        lambda result: result.difference,
        "Expected to be 0 within its standard error, which comes from the inputs and the fresh "
        "targets, in which risk and sum differ. Within a sweep the inputs are the same, so the "
        "differences often have the same sign.",
    ),
    "train loss": (
        lambda result: result.train,
        "The mean loss on the training rows, in inference mode, without penalty.",
    ),
}
"""By head of the column: a function that returns the `Estimate` of a result, and its definition."""

MEANINGS = {head: meaning for head, (_, meaning) in COLUMNS.items()}
TERMS = ("bias²", "variance", "noise", "sum")
MEASURED = ("risk", "risk - sum", "train loss")
PARTS = ("of data sets", "of seeds")

PICTURES = {
    "terms": {
        "title": "Bias and variance along the sweep",
        "alt": "On the left bias², variance, noise and their sum, on the right risk and train "
        "loss.",
        "caption": "In order of increasing flexibility. Bands are Monte-Carlo standard errors; the "
        "dotted line marks the lowest measured risk; much higher values are cut off.",
    },
    "fits": {
        "title": "Underfit, right fit, overfit",
        "alt": "Models as curves through points, one panel per fit.",
        "caption": "Dots and the line of their color: one data set and its model. Thin lines: "
        "models of other data sets; their spread is the variance. Thick line: the mean of all "
        "models; dashed: the mean of the targets; the distance between both is the bias. For "
        "classes, the dashed line is the probability of the second class, and the thick line the "
        "share of models that predict it.",
    },
}


def make_report(results: Results, axis: str) -> Report:
    """Return the report of a sweep.

    Parameters
    ----------
    results : mapping of str to BiasVariance
        As returned by `bias_variance_sweep`. Fits are drawn only if all models are curves.
    axis : str
        The name of the size or strength that the sweep varies.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, bias_variance_sweep, sweep
    >>> results = bias_variance_sweep(sweep("degree", [0, 3]), Sine(), SamplingDesign(seeds=1))
    >>> make_report(results, "degree").headline
    'Best is 3 (degree): bias² 0.004, variance 0.065, noise 0.160. Underfit: 0.'
    """
    best, verdicts = find_best(results), classify_fits(results)
    design, process = results[best].design, results[best].process
    rest = (*MEASURED, *(PARTS if design.seeds > 1 else ()))  # of one seed there are no parts
    terms = [
        [name, verdicts[name], *(_cell(result, head) for head in TERMS)]
        for name, result in results.items()
    ]
    others = [[name, *(_cell(result, head) for head in rest)] for name, result in results.items()]
    draw: dict[str, Callable[..., Figure]] = {"terms": partial(draw_terms, results, axis=axis)}
    if all(map(is_curve, results.values())):
        draw["fits"] = partial(draw_fits, results, axis=axis)
    loss = "0-1 loss" if isinstance(process, Classification) else "squared error"
    return Report(
        title=f"Bias and variance: {axis}",
        headline=_headline(results, axis),
        facts={
            "process": f"{process!r}; {loss}",
            "sampling": f"{design.datasets} data sets of {design.rows} rows, {design.seeds} "
            f"seed{'s' if design.seeds > 1 else ''} for each; {design.points:,} common inputs, as "
            f"many fresh rows for each data set; seed {design.seed}",
            "best": repr(results[best].learner),
        },
        tables={"Results": Table([axis, "verdict"], TERMS, terms)},
        notes=["Value ± Monte-Carlo standard error. The sum is the expected loss on new rows."],
        rules={"verdict": FIT_RULE, **MEANINGS},
        details={"Measured losses": Table([axis], rest, others)},
        numbers={
            "axis": axis,
            "process": repr(process),
            "design": asdict(design),
            "best": best,
            "columns": MEANINGS,
            "rule": FIT_RULE,
            "values": {
                name: {
                    "learner": repr(result.learner),
                    "verdict": verdicts[name],
                    **asdict(result.terms),
                    "risk": asdict(result.risk),
                    "difference": asdict(result.difference),
                    "train_loss": asdict(result.train),
                }
                for name, result in results.items()
            },
        },
        pictures=PICTURES,
        draw=draw,
    )


def draw_terms(
    results: Results, *, axis: str = "", columns: int = 3, theme: Theme = LIGHT
) -> Figure:
    """Draw bias², variance, noise, their sum, and the measured risk along the sweep."""
    values = {
        head: (
            np.array([COLUMNS[head][0](result).value for result in results.values()]),
            np.array([COLUMNS[head][0](result).error for result in results.values()]),
        )
        for head in (*TERMS, "train loss", "risk")
    }
    return plots.bias_variance_curves(
        list(results),
        {head: values[head] for head in TERMS},
        {head: values[head] for head in ("train loss", "risk")},
        axis=axis,
        columns=columns,
        theme=theme,
    )


def draw_fits(
    results: Results, *, axis: str = "", columns: int = 3, theme: Theme = LIGHT
) -> Figure:
    """Draw the models of the worst underfit, the best and the worst overfit learner.

    Raises
    ------
    ValueError
        If the process has more than one input, or more than one output or two classes.
    """
    fits, notes = {}, {}
    for name, verdict in select_fits(results).items():
        result = results[name]
        if not is_curve(result):
            raise ValueError(
                "results must be of a process with one input, and one output or two classes, got "
                f"{result.process!r}"
            )
        title = f"{verdict}: {axis} {name}".replace(":  ", ": ")
        x, y = result.training_rows()
        fits[title] = plots.Fit(
            result.points[:, 0],
            result.process.expected(result.points)[:, -1],
            result.predictions[:, 0].reshape(len(result.predictions), -1),
            (x[:, 0], y.ravel()),
        )
        notes[title] = (
            f"bias² {result.terms.bias.value:.3f}, variance {result.terms.variance.value:.3f}, "
            f"train loss {result.train.value:.3f}"
        )
    return plots.fit_curves(fits, notes=notes, columns=columns, theme=theme)


def is_curve(result: BiasVariance) -> bool:
    """Return whether models are curves: of one input, with one output or two classes."""
    outputs = 2 if isinstance(result.process, Classification) else 1
    return result.points.shape[1] == 1 and result.process.outputs == outputs


def select_fits(results: Results) -> dict[str, str]:
    """Return the learners to show, with their verdicts: worst underfit, best, worst overfit.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, bias_variance_sweep, sweep
    >>> select_fits(bias_variance_sweep(sweep("degree"), Sine(), SamplingDesign(seeds=1)))
    {'0': 'underfit', '3': 'right fit', '6': 'overfit'}
    """
    best, verdicts = find_best(results), classify_fits(results)
    by_error = sorted(results, key=lambda name: results[name].reducible_error)
    worst = {verdicts[name]: name for name in by_error}
    names = (worst.get("underfit"), best, worst.get("overfit"))
    return {name: verdicts[name] for name in names if name is not None}


def _headline(results: Results, axis: str) -> str:
    """Return the best learner, and those of the other verdicts."""
    best, verdicts = find_best(results), classify_fits(results)
    terms = [f"{head} {COLUMNS[head][0](results[best]).value:.3f}" for head in TERMS[:3]]
    text = f"Best is {best} ({axis}): {', '.join(terms)}."
    for verdict in ("underfit", "overfit", "diverged"):
        names = [name for name in results if verdicts[name] == verdict]
        if names:
            text += f" {verdict.capitalize()}: {', '.join(names)}."
    return text


def _cell(result: BiasVariance, head: str) -> str:
    estimate = COLUMNS[head][0](result)
    digits = ".3g" if abs(estimate.value) >= 10 else ".3f"
    exact = estimate.error < 1e-9  # the noise, where it is the same at every input
    error = "" if exact else f" ± {estimate.error:{digits}}"
    return f"{estimate.value:{digits}}{error}"
