"""Plots of the regularization path, and of single weights that approach zero."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import (
    LIGHT,
    Figure,
    Theme,
    describe_figure,
    draw_repeats,
    label_ends,
    new_panels,
)

LINES = 100  # weights that are drawn; more could not be distinguished

PATH_KEY = """\
from strong on the left
to weak on the right;
thick lines: means,
thin lines: the repeats"""


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
        Above 0.
    train : array of shape (R, S)
        The training rows' data loss, a line for each repeat and a thick one for their mean.
    zeros : array of shape (R, S)
        The share of weights that are exactly zero.
    test : array of shape (R, S), optional
        The test rows' data loss.
    weights : array of shape (S, W), optional
        Each weight is a line; of many weights the 100 that are largest anywhere.
    {figure}

    Examples
    --------
    >>> s = np.array([1.0, 0.1])
    >>> figure = regularization_path(s, train=np.ones((1, 2)), zeros=np.array([[1.0, 0.5]]))
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['data loss', 'zero weights']
    """
    titles = ["data loss", "zero weights", *(["weights"] if weights is not None else [])]
    figure, panels = new_panels(titles, {}, columns, theme, PATH_KEY, share_y=False)
    order = np.argsort(strengths)
    rising, dots = strengths[order], {"marker": "o", "markersize": 3}
    losses = [("train", train, theme.train)]
    if test is not None:
        losses.append(("test", test, theme.test))
    means = [
        draw_repeats(panels[0], rising, values[:, order], colour, **dots)
        for _, values, colour in losses
    ]
    top = 1.08 * float(np.max(means))
    panels[0].set_ylim(0, top)
    ends = [
        (float(mean[0]), name, colour)
        for mean, (name, _, colour) in zip(means, losses, strict=True)
    ]
    label_ends(panels[0], ends, rising[0], top)
    draw_repeats(panels[1], rising, zeros[:, order], theme.train, **dots)
    panels[1].set_ylim(-0.02, 1.05)
    panels[1].yaxis.set_major_formatter(lambda share, index: f"{share * 100:g} %")
    if weights is not None:
        largest = np.argsort(np.abs(weights).max(axis=0))[-LINES:]
        drawn = weights[order][:, largest]
        panels[2].plot(rising, drawn, color=theme.train, linewidth=0.8, alpha=0.5)
        panels[2].axhline(0.0, color=theme.ink, linewidth=0.6)
    for axes in panels:
        axes.set(xscale="log", xlim=(rising[-1], rising[0]), xlabel="strength")
        axes.minorticks_off()
    return figure


@describe_figure
def weight_trajectories(
    values: Mapping[str, Array], *, columns: int = 2, theme: Theme = LIGHT
) -> Figure:
    """Draw one weight by training step, a line for each way to train it.

    On the left is its value, on the right its distance from zero on a logarithmic scale, where a
    weight that is exactly zero is at the bottom.

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
    every = np.concatenate([np.abs(w[w != 0]) for w in values.values()])
    floor = 0.1 * float(every.min(initial=1.0))
    longest = max(w.size for w in values.values())
    for (name, w), colour in zip(values.items(), (theme.test, theme.train), strict=False):
        steps = np.arange(w.size)
        panels[0].plot(steps, w, color=colour, linewidth=1.2, label=name)
        panels[1].plot(steps, np.maximum(np.abs(w), floor), color=colour, linewidth=1.2)
    panels[0].axhline(0.0, color=theme.ink, linewidth=0.6)
    panels[1].set(yscale="log", ylim=(floor, 2.0 * float(every.max(initial=1.0))))
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
