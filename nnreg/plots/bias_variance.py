"""Bias and variance: along a size or a strength, and as curves through points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import LIGHT, Theme, new_panels, outer_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADROOM = (
    4  # times the lowest risk: what is higher is cut, or one steep end would flatten the rest
)
LINES = 25  # other models that are drawn
CROWDED = 24  # characters below an axis; more would overlap

CURVES_KEY = """\
bands: Monte-Carlo standard errors
dots: risk measured on fresh rows
dotted line: the lowest of them
what is far higher is cut off"""

FIT_KEY = """\
dots: one data set, and the model of it
thin lines: models of other data sets
(how they scatter is the variance)
thick line: the mean of all models
dashed: the truth
(from it to the mean is the bias)"""


@dataclass(frozen=True, eq=False)
class Fit:
    """Models of many data sets at the same inputs, beside the truth.

    Parameters
    ----------
    x : ndarray of shape (N,)
        In order.
    truth : ndarray of shape (N,)
    models : ndarray of shape (K, N)
        The first is that of the points.
    points : tuple of ndarrays of shape (P,)
        ``(x, y)``, what the first model was trained on.

    Examples
    --------
    >>> Fit(np.zeros(2), np.zeros(2), np.ones((3, 2)), (np.zeros(5), np.zeros(5))).models.shape
    (3, 2)
    """

    x: Array
    truth: Array
    models: Array
    points: tuple[Array, Array]


def bias_variance_curves(
    values: Sequence[str],
    terms: Mapping[str, tuple[Array, Array]],
    measured: Mapping[str, tuple[Array, Array]],
    *,
    axis: str = "",
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the terms of the risk, and what was measured of it, along a size or a strength.

    Parameters
    ----------
    values : sequence of str
        From stiff to flexible; they are drawn at equal distances.
    terms : mapping of str to (values, errors), each ndarray of shape (V,)
        ``"bias²"``, ``"variance"``, ``"noise"`` and ``"sum"``.
    measured : mapping of str to (values, errors)
        ``"risk"`` and ``"train loss"``.
    axis : str, optional
        What the values are.
    columns : int, default 3
        Panels side by side.
    theme : Theme, default LIGHT

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> pair = np.ones(2), np.zeros(2)
    >>> terms = dict.fromkeys(("bias²", "variance", "noise", "sum"), pair)
    >>> figure = bias_variance_curves(
    ...     ["1", "2"], terms, {"risk": pair, "train loss": pair}, axis="degree"
    ... )
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['Where the error comes from', 'What is measured']
    """
    titles = ["Where the error comes from", "What is measured"]
    figure, panels = new_panels(titles, {}, columns, theme, CURVES_KEY)
    risk = measured["risk"]
    top = min(1.1 * float(risk[0].max()), HEADROOM * float(risk[0].min()))
    places = np.arange(len(values))
    colours = {
        "bias²": theme.train,
        "variance": theme.test,
        "sum": theme.ink,
        "train loss": theme.train,
        "risk": theme.test,
    }
    for axes, lines in zip(panels, (terms, measured), strict=True):
        ends = []
        for name, (heights, errors) in lines.items():
            colour = colours.get(name, "#808890")
            axes.plot(places, heights, color=colour, linewidth=2.0)
            axes.fill_between(
                places, heights - errors, heights + errors, color=colour, alpha=0.2, linewidth=0
            )
            ends.append((float(heights[-1]), name, colour))
        _label_ends(axes, ends, float(places[-1]), top)
    panels[1].plot(places, risk[0], "o", color=theme.test, markersize=4)
    for axes in panels:
        axes.axvline(int(risk[0].argmin()), color=theme.ink, linewidth=0.9, linestyle=":")
        axes.set(xlim=(places[0] - 0.15, places[-1] + 0.15), ylim=(0, top))
        axes.set_xticks(places, values, rotation=45 if len("".join(values)) > CROWDED else 0)
    outer_labels(panels, columns, axis, "loss")
    return figure


def fit_curves(
    fits: Mapping[str, Fit],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 2,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw models through points: underfit, right fit and overfit, a panel each.

    Parameters
    ----------
    fits : mapping of str to Fit
        By the panel's title.
    notes : mapping of str to str, optional
        A line under the title of each panel.
    columns : int, default 2
        Panels side by side.
    theme : Theme, default LIGHT

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> x = np.linspace(0, 1, 5)
    >>> figure = fit_curves({"right fit": Fit(x, x, np.array([x, x + 0.1]), (x, x))})
    >>> figure.axes[0].get_title(loc="left")
    'right fit'
    """
    figure, panels = new_panels(list(fits), notes or {}, columns, theme, FIT_KEY)
    everything = np.concatenate(
        [part for fit in fits.values() for part in (fit.truth, fit.points[1])]
    )
    margin = 0.25 * float(np.ptp(everything)) or 1.0
    for axes, fit in zip(panels, fits.values(), strict=True):
        others, own = fit.models[1 : 1 + LINES], fit.models[0]
        axes.plot(fit.x, others.T, color=theme.train, linewidth=0.6, alpha=0.3)
        axes.plot(fit.x, fit.models.mean(axis=0), color=theme.train, linewidth=2.2)
        axes.plot(fit.x, own, color=theme.ink, linewidth=1.0)
        axes.plot(fit.x, fit.truth, color=theme.test, linewidth=2.0, linestyle="--")
        axes.plot(*fit.points, "o", color=theme.ink, markersize=3.5)
        axes.set(
            xlim=(fit.x[0], fit.x[-1]),
            ylim=(everything.min() - margin, everything.max() + margin),
        )
    outer_labels(panels, columns, "x", "y")
    return figure


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], place: float, top: float) -> None:
    """Write the names of lines at their right ends, each at least a line above the one below."""
    apart = 0.085 * top
    heights: list[float] = []
    for height, _, _ in sorted(ends):
        heights.append(max([min(height, top), *(below + apart for below in heights[-1:])]))
    down = max(0.0, heights[-1] - top)
    for height, (_, name, colour) in zip(heights, sorted(ends), strict=True):
        axes.annotate(
            *(name, (place, height - down)),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="bold",
            fontsize=9,
            annotation_clip=False,
        )
