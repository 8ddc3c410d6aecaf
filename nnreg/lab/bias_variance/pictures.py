"""The pictures of a sweep: the terms along its axis, and three of its fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnreg import plots
from nnreg._support.typing import Array
from nnreg.lab.bias_variance.decomposition import Estimate
from nnreg.lab.bias_variance.experiment import BiasVariance
from nnreg.lab.bias_variance.processes import Classification
from nnreg.lab.bias_variance.verdicts import select_fits
from nnreg.plots import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_terms(
    found: Mapping[str, BiasVariance], *, axis: str = "", columns: int = 3, theme: Theme = LIGHT
) -> Figure:
    """Draw bias², variance, noise, their sum, and the measured risk, along the sweep."""
    results = found.values()
    return plots.bias_variance_curves(
        list(found),
        {
            "bias²": _pair([result.terms.bias for result in results]),
            "variance": _pair([result.terms.variance for result in results]),
            "noise": _pair([result.terms.noise for result in results]),
            "sum": _pair([result.terms.total for result in results]),
        },
        {
            "train loss": _pair([result.train for result in results]),
            "risk": _pair([result.risk for result in results]),
        },
        axis=axis,
        columns=columns,
        theme=theme,
    )


def plot_fits(
    found: Mapping[str, BiasVariance], *, axis: str = "", columns: int = 2, theme: Theme = LIGHT
) -> Figure:
    """Draw the models of the stiffest, the best and the most flexible way to learn.

    Raises
    ------
    ValueError
        If the truth has more than one input, or more than one output or two classes.
    """
    drawn, notes = {}, {}
    for name, verdict in select_fits(found).items():
        title = f"{verdict}: {axis} {name}" if axis else f"{verdict}: {name}"
        result = found[name]
        drawn[title] = _fit(result)
        notes[title] = (
            f"bias² {result.terms.bias.value:.3f}, variance {result.terms.variance.value:.3f}, "
            f"train loss {result.train.value:.3f}"
        )
    return plots.fit_curves(drawn, notes=notes, columns=columns, theme=theme)


def can_be_drawn(result: BiasVariance) -> bool:
    """Tell whether models are curves: of one input, with one output or two classes."""
    classes = isinstance(result.process, Classification)
    return result.points.shape[1] == 1 and result.process.outputs == (2 if classes else 1)


def _pair(estimates: list[Estimate]) -> tuple[Array, Array]:
    return (
        np.array([estimate.value for estimate in estimates]),
        np.array([estimate.error for estimate in estimates]),
    )


def _fit(result: BiasVariance) -> plots.Fit:
    """Return one model of each data set as curves; of two classes, the second's probability."""
    if not can_be_drawn(result):
        raise ValueError(
            "found must be of a truth with one input, and one output or two classes, got "
            f"{result.process!r}"
        )
    x, y = result.training_rows()
    models = result.predictions[:, 0].reshape(len(result.predictions), -1)
    truth = result.process.expected(result.points)[:, -1]
    return plots.Fit(result.points[:, 0], truth, models, (x[:, 0], y.reshape(-1)))
