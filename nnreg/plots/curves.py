"""The loss by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import LIGHT, Theme, label_ends, new_panels, outer_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES_KEY = """\
thick line: mean of the repeats
thin lines: the repeats
dot: lowest test loss
shaded: generalization gap"""


def loss_curves(
    curves: Mapping[str, tuple[Array, Array]],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw train and test loss by epoch, a panel a variant, all on the same axes.

    Parameters
    ----------
    curves : mapping of str to (train, test), each ndarray of shape (R, epochs)
        By the panel's title; a thin line a repeat and a thick one for their mean.
    notes : mapping of str to str, optional
        A line under the title of each panel.
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
    >>> figure = loss_curves({"none": (np.ones((1, 3)), np.ones((1, 3)))})
    >>> figure.axes[0].get_xlabel()
    'epoch'
    """
    figure, panels = new_panels(list(curves), notes or {}, columns, theme, CURVES_KEY)
    means = [part.mean(axis=0) for pair in curves.values() for part in pair]
    top = 1.08 * max(float(mean.max()) for mean in means)
    longest = max(mean.size for mean in means)
    for axes, (train, test) in zip(panels, curves.values(), strict=True):
        ends = []
        for values, colour, name in ((train, theme.train, "train"), (test, theme.test, "test")):
            epochs = np.arange(1, values.shape[1] + 1)
            axes.plot(epochs, values.T, color=colour, linewidth=0.7, alpha=0.35)
            mean = values.mean(axis=0)
            axes.plot(epochs, mean, color=colour, linewidth=2.0)
            ends.append((float(mean[-1]), name, colour))
        pair = train.mean(axis=0), test.mean(axis=0)
        axes.fill_between(epochs, *pair, color=theme.test, alpha=0.1, linewidth=0)
        lowest = int(pair[1].argmin())
        axes.plot(
            *(lowest + 1, pair[1][lowest]),
            marker="o",
            markersize=6,
            color=theme.test,
            markeredgecolor=theme.background,
            zorder=3,
            clip_on=False,
        )
        label_ends(axes, ends, longest, top)
        axes.set(xlim=(1 - 0.01 * longest, longest), ylim=(0, top))
    outer_labels(panels, columns, "epoch", "data loss")
    return figure
