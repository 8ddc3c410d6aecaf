"""Plots of the regularization path, and of single weights that approach zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import LIGHT, Theme, describe_figure, label_ends, new_panels

if TYPE_CHECKING:
    from nnreg.plots.frame import Axes, Figure

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
    weakest = float(strengths.min())
    losses = [
        ("train", train, theme.train),
        *([("test", test, theme.test)] if test is not None else []),
    ]
    ends = [_lines(panels[0], strengths, values, colour, name) for name, values, colour in losses]
    top = 1.08 * max(float(values.mean(axis=0).max()) for _, values, _ in losses)
    panels[0].set_ylim(0, top)
    label_ends(panels[0], ends, weakest, top)
    _lines(panels[1], strengths, zeros, theme.train, "")
    panels[1].set_ylim(-0.02, 1.05)
    panels[1].yaxis.set_major_formatter(lambda share, index: f"{share * 100:g} %")
    if weights is not None:
        largest = np.argsort(np.abs(weights).max(axis=0))[-LINES:]
        order = np.argsort(strengths)
        panels[2].plot(
            strengths[order],
            weights[order][:, largest],
            color=theme.train,
            linewidth=0.8,
            alpha=0.5,
        )
        panels[2].axhline(0.0, color=theme.ink, linewidth=0.6)
    for axes in panels:
        axes.set(xscale="log", xlim=(float(strengths.max()), weakest), xlabel="strength")
        axes.minorticks_off()
        axes.tick_params(labelleft=True, labelbottom=True)
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
    legend = panels[0].legend(frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_color(theme.ink)
    for axes in panels:
        axes.set(xlim=(0, longest), xlabel="step")
        axes.tick_params(labelleft=True, labelbottom=True)
    return figure


def _lines(
    axes: Axes, strengths: Array, values: Array, colour: str, name: str
) -> tuple[float, str, str]:
    """Draw the repeats and their mean; return the end of the mean, its name and colour."""
    order = np.argsort(strengths)
    if len(values) > 1:
        axes.plot(strengths[order], values[:, order].T, color=colour, linewidth=0.7, alpha=0.35)
    mean = values.mean(axis=0)[order]
    axes.plot(strengths[order], mean, color=colour, linewidth=2.0, marker="o", markersize=3)
    return float(mean[0]), name, colour
