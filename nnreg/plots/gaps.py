"""The way from the training objective to the test loss, in bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nnreg.plots.frame import LIGHT, Theme, new_panels, outer_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = """\
from the top: the training objective;
without its penalty, and without
dropout, it is the train loss;
what new rows cost on top of that
makes it the test loss"""


def gap_bars(
    gaps: Mapping[str, Mapping[str, float]],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw what lies between objective and test loss, a panel a network, all on the same axes.

    Parameters
    ----------
    gaps : mapping of str to mapping of str to float
        By the panel's title: ``"penalty"``, ``"dropout"``, ``"train loss"`` and
        ``"generalization"``. Parts may be negative.
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
    >>> parts = {"penalty": 0.05, "dropout": 0.15, "train loss": 0.3, "generalization": 0.1}
    >>> figure = gap_bars({"dropout": parts})
    >>> [round(float(bar.get_width()), 2) for bar in figure.axes[0].patches]
    [0.5, -0.05, -0.15, 0.3, 0.1, 0.4]
    """
    figure, panels = new_panels(list(gaps), notes or {}, columns, theme, KEY)
    labels = ["objective", "penalty", "dropout", "train loss", "generalization", "test loss"]
    colours = [theme.train, theme.faint, theme.faint, theme.train, theme.test, theme.test]
    for axes, parts in zip(panels, gaps.values(), strict=True):
        train = parts["train loss"]
        objective = train + parts["dropout"] + parts["penalty"]
        starts = [0.0, objective, train + parts["dropout"], 0.0, train, 0.0]
        ends = [
            *(objective, train + parts["dropout"], train, train),
            *(train + parts["generalization"], train + parts["generalization"]),
        ]
        widths = [end - start for start, end in zip(starts, ends, strict=True)]
        places = range(len(labels))
        axes.barh(places, widths, left=starts, color=colours, height=0.7)
        for place, start, end, width in zip(places, starts, ends, widths, strict=True):
            axes.annotate(
                *(f"{width:+.3f}" if place in (1, 2, 4) else f"{width:.3f}",),
                (max(start, end), place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=theme.ink,
                fontsize=8.5,
            )
        axes.set_yticks(places, labels)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.22)
    panels[0].invert_yaxis()
    outer_labels(panels, columns, "loss", "")
    return figure
