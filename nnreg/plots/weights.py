"""How the weights are distributed, those that are exactly zero apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import LIGHT, Theme, new_panels, outer_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 61  # odd, so that one bin is centred at 0
VISIBLE = 0.0005  # what a share must be to be more than 0.0 %

WEIGHTS_KEY = """\
weights of the first repeat,
on a logarithmic scale;
those exactly 0 have
a bar of their own"""


def weight_histograms(
    weights: Mapping[str, Array],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw how the weights are distributed, a panel a variant, all on the same axes.

    Weights that are exactly zero are counted apart, in a bar of their own.

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (P,)
        By the panel's title.
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
    >>> figure = weight_histograms({"none": np.array([-0.5, 0.0, 0.0, 0.5])})
    >>> figure.axes[0].texts[-1].get_text()
    '50.0 % exactly 0'
    """
    figure, panels = new_panels(list(weights), notes or {}, columns, theme, WEIGHTS_KEY)
    edges = histogram_edges(list(weights.values()))
    smallest = 0.5 / max(w.size for w in weights.values())
    for axes, w in zip(panels, weights.values(), strict=True):
        counts = np.histogram(w[w != 0], edges)[0]
        axes.stairs(counts / w.size, edges, fill=True, color=theme.train, baseline=smallest)
        zero = float(np.mean(w == 0))
        shown = zero >= VISIBLE
        if shown:
            width = edges[1] - edges[0]
            axes.bar(0, zero - smallest, width, bottom=smallest, color=theme.test)
        axes.text(
            *(0.97, 0.94, f"{100 * zero:.1f} % exactly 0"),
            transform=axes.transAxes,
            ha="right",
            va="top",
            color=theme.test if shown else theme.ink,
            fontweight="bold" if shown else "normal",
        )
        axes.set(xlim=(edges[0], edges[-1]), ylim=(smallest, 8), yscale="log")
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda share, place: f"{share * 100:g} %")
    outer_labels(panels, columns, "weight", "share of the weights")
    return figure


def histogram_edges(weights: Sequence[Array]) -> Array:
    """Return the edges of bins that hold all weights, symmetric about 0, (BINS + 1,).

    >>> edges = histogram_edges([np.array([-0.5, 2.0])])
    >>> float(edges[0]), float(edges[-1]), len(edges)
    (-2.0, 2.0, 62)
    """
    reach = max(float(np.abs(w).max()) for w in weights) or 1.0
    return np.linspace(-reach, reach, BINS + 1)
