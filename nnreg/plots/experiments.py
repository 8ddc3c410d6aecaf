"""Plots of experiments: bias and variance, models through points, and the regularization path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import (
    LIGHT,
    Figure,
    Theme,
    add_legend,
    describe_figure,
    draw_repeats,
    label_ends,
    new_panels,
    outer_labels,
)

HEADROOM = 4  # times the lowest risk; higher values are clipped
LINES = 25  # models that are drawn in addition to the first
CROWDED = 28  # characters below an axis; more would overlap

WEIGHTS = 100  # weights that are drawn; more could not be distinguished
MARGIN = 0.03  # of an axis, beside the first and last marker


@dataclass(frozen=True, eq=False)
class Fit:
    """Models of many data sets at the same inputs, and the true function.

    Parameters
    ----------
    x : ndarray of shape (N,)
        Inputs, in ascending order.
    truth : ndarray of shape (N,)
    models : ndarray of shape (K, N)
        Outputs of the models; the first one was trained on the points.
    points : tuple of ndarrays of shape (P,)
        ``(x, y)``, the training rows of the first model.

    Examples
    --------
    >>> Fit(np.zeros(2), np.zeros(2), np.ones((3, 2)), (np.zeros(5), np.zeros(5))).models.shape
    (3, 2)
    """

    x: Array
    truth: Array
    models: Array
    points: tuple[Array, Array]


@describe_figure
def bias_variance_curves(
    values: Sequence[str],
    terms: Mapping[str, tuple[Array, Array]],
    measured: Mapping[str, tuple[Array, Array]],
    *,
    axis: str = "",
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the terms of the risk and its measurement by a size or a strength.

    Parameters
    ----------
    values : sequence of str
        Labels from underfit to overfit, drawn at equal distances.
    terms : mapping of str to (values, errors), each ndarray of shape (V,)
        ``"bias²"``, ``"variance"``, ``"noise"`` and ``"sum"``.
    measured : mapping of str to (values, errors)
        ``"risk"`` and ``"train loss"``.
    axis : str, optional
        Name of the quantity that varies.
    {figure}

    Examples
    --------
    >>> pair = np.ones(2), np.zeros(2)
    >>> terms = dict.fromkeys(("bias²", "variance", "noise", "sum"), pair)
    >>> figure = bias_variance_curves(
    ...     ["1", "2"], terms, {"risk": pair, "train loss": pair}, axis="degree"
    ... )
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['Terms of the risk', 'Measured losses']
    """
    titles = ["Terms of the risk", "Measured losses"]
    figure, panels = new_panels(titles, {}, columns, theme, "")
    risk = measured["risk"]
    top = min(1.1 * float(risk[0].max()), HEADROOM * float(risk[0].min()))
    positions = np.arange(len(values))
    colours = {
        "bias²": theme.train,
        "variance": theme.test,
        "sum": theme.ink,
        "train loss": theme.train,
        "risk": theme.test,
    }
    for axes, lines in zip(panels, (terms, measured), strict=True):
        ends: list[tuple[float, str, str]] = []
        for name, (heights, errors) in lines.items():
            colour = colours.get(name, theme.soft)
            axes.plot(positions, heights, color=colour, linewidth=2.0)
            axes.fill_between(
                *(positions, heights - errors, heights + errors),
                color=colour,
                alpha=0.2,
                linewidth=0,
                label="± standard error" if not ends else "",
            )
            ends.append((float(heights[-1]), name, colour))
        label_ends(axes, ends, float(positions[-1]), top)
    panels[1].plot(
        *(positions, risk[0], "o"), color=theme.test, markersize=4, label="risk on fresh rows"
    )
    for axes in panels:
        lowest = int(risk[0].argmin())
        axes.axvline(lowest, color=theme.ink, linewidth=0.9, linestyle=":", label="lowest risk")
        axes.set(xlim=(positions[0] - 0.15, positions[-1] + 0.15), ylim=(-MARGIN * top, top))
        axes.set_xticks(positions, values, rotation=45 if len("".join(values)) > CROWDED else 0)
    outer_labels(panels, columns, axis, "loss")
    add_legend(figure, theme)
    return figure


@describe_figure
def fit_curves(
    fits: Mapping[str, Fit],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw models and data points, for instance underfit, right fit and overfit, one panel each.

    Parameters
    ----------
    fits : mapping of str to Fit
        By the panel's title.
    {notes}
    {figure}

    Examples
    --------
    >>> x = np.linspace(0, 1, 5)
    >>> figure = fit_curves({"right fit": Fit(x, x, np.array([x, x + 0.1]), (x, x))})
    >>> figure.axes[0].get_title(loc="left")
    'right fit'
    """
    figure, panels = new_panels(list(fits), notes or {}, columns, theme, "")
    heights_shown = np.concatenate(
        [part for fit in fits.values() for part in (fit.truth, fit.points[1])]
    )
    margin = 0.25 * float(np.ptp(heights_shown)) or 1.0
    for axes, fit in zip(panels, fits.values(), strict=True):
        first, others = fit.models[0], fit.models[1 : 1 + LINES]
        thin = axes.plot(fit.x, others.T, color=theme.train, linewidth=0.6, alpha=0.3)
        if thin:
            thin[0].set_label("models of other data sets")
        mean = fit.models.mean(axis=0)
        axes.plot(fit.x, mean, color=theme.train, linewidth=2.2, label="mean of all models")
        axes.plot(fit.x, first, color=theme.ink, linewidth=1.0, label="model of one data set")
        (truth,) = axes.plot(fit.x, fit.truth, color=theme.test, linewidth=2.0, linestyle="--")
        truth.set_label("true function")
        axes.plot(*fit.points, "o", color=theme.ink, markersize=3.5, label="one data set")
        axes.set(
            xlim=(fit.x[0], fit.x[-1]),
            ylim=(heights_shown.min() - margin, heights_shown.max() + margin),
        )
    outer_labels(panels, columns, "x", "y")
    add_legend(figure, theme)
    return figure


@describe_figure
def regularization_path(
    strengths: Array,
    *,
    train: Array,
    zeros: Array,
    test: Array | None = None,
    weights: Array | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw losses, exact zeros and weights by the strength of the penalty.

    Parameters
    ----------
    strengths : array of shape (S,)
        Strengths, above 0.
    train : array of shape (R, S)
        Data loss of the training rows: one thin line per repeat, a thick line for the mean.
    zeros : array of shape (R, S)
        The share of weights that are exactly zero.
    test : array of shape (R, S), optional
        Data loss of the test rows.
    weights : array of shape (S, W), optional
        Weights, one line each; at most the 100 with the largest magnitudes.
    {figure}

    Examples
    --------
    >>> s = np.array([1.0, 0.1])
    >>> figure = regularization_path(s, train=np.ones((1, 2)), zeros=np.array([[1.0, 0.5]]))
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['data loss', 'zero weights']
    """
    titles = ["data loss", "zero weights", *(["weights"] if weights is not None else [])]
    figure, panels = new_panels(titles, {}, columns, theme, "", share_y=False)
    order = np.argsort(strengths)
    ascending, dots = strengths[order], {"marker": "o", "markersize": 3}
    losses = [("train", train, theme.train)]
    if test is not None:
        losses.append(("test", test, theme.test))
    means = [
        draw_repeats(panels[0], ascending, values[:, order], colour, **dots)
        for _, values, colour in losses
    ]
    top = 1.08 * float(np.max(means))
    panels[0].set_ylim(-MARGIN * top, top)
    ends = [
        (float(mean[0]), name, colour)
        for mean, (name, _, colour) in zip(means, losses, strict=True)
    ]
    label_ends(panels[0], ends, ascending[0], top)
    draw_repeats(panels[1], ascending, zeros[:, order], theme.train, **dots)
    low = float(zeros.min())
    margin = MARGIN * max(1 - low, 0.1)
    panels[1].set_ylim(low - margin, 1 + margin)
    panels[1].yaxis.set_major_formatter(lambda share, index: f"{share * 100:g} %")
    if weights is not None:
        largest = np.argsort(np.abs(weights).max(axis=0))[-WEIGHTS:]
        drawn = weights[order][:, largest]
        lines = panels[2].plot(ascending, drawn, color=theme.train, linewidth=0.8, alpha=0.5)
        lines[0].set_label(f"{len(largest)} largest weights")
        panels[2].axhline(0.0, color=theme.ink, linewidth=0.6)
    margin = (ascending[-1] / ascending[0]) ** MARGIN
    for axes in panels:
        xlim = ascending[-1] * margin, ascending[0] / margin
        axes.set(xscale="log", xlim=xlim, xlabel="strength, from strong to weak")
        axes.minorticks_off()
    add_legend(figure, theme)
    return figure


@describe_figure
def weight_trajectories(
    values: Mapping[str, Array], *, columns: int = 2, theme: Theme = LIGHT
) -> Figure:
    """Draw one weight by training step, one line per training method.

    The left panel shows its value, the right one its distance from zero on a logarithmic scale,
    with exact zeros at the bottom.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (T,)
        At most two, such as ``"subgradient"`` and ``"proximal"``.
    {figure}

    Examples
    --------
    >>> figure = weight_trajectories({"proximal": np.array([0.5, 0.1, 0.0, 0.0])})
    >>> figure.axes[1].lines[-1].get_ydata()[-1] == figure.axes[1].get_ylim()[0]
    np.True_
    """
    figure, panels = new_panels(
        ["value", "distance from zero"], {}, columns, theme, "", share_y=False
    )
    magnitudes = np.concatenate([np.abs(w[w != 0]) for w in values.values()])
    floor = 0.1 * float(magnitudes.min(initial=1.0))
    longest = max(w.size for w in values.values())
    for (name, w), colour in zip(values.items(), (theme.test, theme.train), strict=False):
        steps = np.arange(w.size)
        panels[0].plot(steps, w, color=colour, linewidth=1.2, label=name)
        panels[1].plot(steps, np.maximum(np.abs(w), floor), color=colour, linewidth=1.2)
    panels[0].axhline(0.0, color=theme.ink, linewidth=0.6)
    panels[1].set(yscale="log", ylim=(floor, 2.0 * float(magnitudes.max(initial=1.0))))
    panels[1].minorticks_off()
    panels[1].annotate(
        *("exactly 0", (0, floor)),
        xytext=(4, 4),
        textcoords="offset points",
        color=theme.ink,
        fontsize=8.5,
    )
    panels[0].legend(frameon=False, fontsize=9, labelcolor=theme.ink)
    for axes in panels:
        axes.set(xlim=(0, longest), xlabel="step")
    return figure
