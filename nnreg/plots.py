"""Pictures. Each function returns a matplotlib figure; nothing is shown and no file is written.

Matplotlib is optional (``pip install nnreg[plots]``) and imported where it is used. Colours are
from the set of Okabe and Ito, which people with colour-blindness tell apart too. Lines are labelled
where they end, so no legend has to be looked up.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg.kernels import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 61  # odd, so that one bin is centred at 0
VISIBLE = 0.0005  # what a share must be to be more than 0.0 %

CURVES_KEY = """\
thick line: mean of the repeats
thin lines: the repeats
dot: lowest test loss
shaded: generalization gap"""

WEIGHTS_KEY = """\
weights of the first repeat,
on a logarithmic scale;
those exactly 0 have
a bar of their own"""


class MissingMatplotlibError(ImportError):
    """A picture is wanted and matplotlib is not installed."""


@dataclass(frozen=True)
class Theme:
    """Colours for one background.

    Examples
    --------
    >>> LIGHT.train, DARK.train
    ('#0072B2', '#56B4E9')
    """

    background: str
    ink: str
    faint: str
    train: str
    test: str


LIGHT = Theme("#ffffff", "#1f2328", "#d8dde3", "#0072B2", "#D55E00")
DARK = Theme("#15181c", "#e6e9ec", "#3a4149", "#56B4E9", "#E69F00")


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
    figure, panels = _panels(list(curves), notes or {}, columns, theme, CURVES_KEY)
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
        _label_ends(axes, ends, longest, top)
        axes.set(xlim=(1 - 0.01 * longest, longest), ylim=(0, top))
    _outer_labels(panels, columns, "epoch", "data loss")
    return figure


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
    figure, panels = _panels(list(weights), notes or {}, columns, theme, WEIGHTS_KEY)
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
        axes.set(xlim=(edges[0], edges[-1]), ylim=(smallest, 1.5), yscale="log")
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda share, place: f"{share * 100:g} %")
    _outer_labels(panels, columns, "weight", "share of the weights")
    return figure


def histogram_edges(weights: Sequence[Array]) -> Array:
    """Return the edges of bins that hold all weights, symmetric about 0, (BINS + 1,).

    >>> edges = histogram_edges([np.array([-0.5, 2.0])])
    >>> float(edges[0]), float(edges[-1]), len(edges)
    (-2.0, 2.0, 62)
    """
    reach = max(float(np.abs(w).max()) for w in weights) or 1.0
    return np.linspace(-reach, reach, BINS + 1)


def render(figure: Figure, kind: str) -> bytes:
    """Return the bytes of a ``"png"`` or ``"svg"`` file: for the same figure the same.

    >>> render(loss_curves({"none": (np.ones((1, 3)), np.ones((1, 3)))}), "png")[1:4]
    b'PNG'
    """
    import matplotlib as mpl

    file = io.BytesIO()
    undated = {"svg": {"Date": None}, "png": {}}[kind]
    with mpl.rc_context({"svg.hashsalt": "nnreg"}):
        figure.savefig(file, format=kind, dpi=160, metadata=undated)
    return file.getvalue()


def _panels(
    titles: list[str], notes: Mapping[str, str], columns: int, theme: Theme, key: str
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for every title, in rows; the key fills a place that is left."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingMatplotlibError(
            "pictures need matplotlib: pip install 'nnreg[plots]'"
        ) from None
    rows = -(-len(titles) // columns)
    figure = Figure(
        figsize=(0.6 + 3.3 * columns, 0.3 + 2.7 * rows),
        facecolor=theme.background,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    panels: list[Axes] = []
    for place, title in enumerate(titles):
        axes = figure.add_subplot(
            *(rows, columns, place + 1),
            facecolor=theme.background,
            sharex=panels[0] if panels else None,
            sharey=panels[0] if panels else None,
        )
        axes.set_title(title, loc="left", color=theme.ink, fontweight="bold", fontsize=11, pad=20)
        axes.annotate(
            notes.get(title, ""),
            *((0, 1), (0, 6), "axes fraction", "offset points"),
            color=theme.ink,
            fontsize=8.5,
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(theme.faint)
        axes.tick_params(colors=theme.ink, labelsize=8.5, color=theme.faint)
        axes.grid(axis="y", color=theme.faint, linewidth=0.6)
        axes.set_axisbelow(True)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=theme.ink, fontsize=9.5)
        panels.append(axes)
    if len(panels) < rows * columns:
        corner = figure.add_subplot(rows, columns, rows * columns)
        corner.set_axis_off()
        corner.text(0.02, 0.95, key, va="top", color=theme.ink, fontsize=9.5, linespacing=1.7)
    return figure, panels


def _outer_labels(panels: list[Axes], columns: int, x: str, y: str) -> None:
    """Name the axes at the left, and below the lowest panel of each column."""
    for place, axes in enumerate(panels):
        lowest = place + columns >= len(panels)
        axes.set(xlabel=x if lowest else "", ylabel=y if place % columns == 0 else "")
        axes.tick_params(labelleft=place % columns == 0, labelbottom=lowest)


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], longest: int, top: float) -> None:
    """Write the names of the lines at their right ends, moved apart where they would overlap."""
    apart = 0.1 * top
    (low, *lower), (high, *higher) = sorted(ends)
    centre, half = (low + high) / 2, max(high - low, apart) / 2
    low, high = max(0.02 * top, centre - half), max(0.02 * top + apart, centre + half)
    for height, (name, colour) in ((low, lower), (high, higher)):
        axes.annotate(
            *(name, (longest, height)),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="bold",
            fontsize=9,
            annotation_clip=False,
        )
