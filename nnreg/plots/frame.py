"""What all pictures share: colours, panels, names of axes, and their way into a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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


def render(figure: Figure, kind: str) -> bytes:
    """Return the bytes of a ``"png"`` or ``"svg"`` file: for the same figure the same.

    >>> from matplotlib.figure import Figure
    >>> render(Figure(), "png")[1:4]
    b'PNG'
    """
    import matplotlib as mpl

    file = io.BytesIO()
    undated = {"svg": {"Date": None}, "png": {}}[kind]
    with mpl.rc_context({"svg.hashsalt": "nnreg"}):
        figure.savefig(file, format=kind, dpi=160, metadata=undated)
    return file.getvalue()


def new_panels(
    titles: list[str],
    notes: Mapping[str, str],
    columns: int,
    theme: Theme,
    key: str,
    *,
    share_y: bool = True,
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
            sharey=panels[0] if panels and share_y else None,
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


def outer_labels(panels: list[Axes], columns: int, x: str, y: str) -> None:
    """Name the axes at the left, and below the lowest panel of each column."""
    for place, axes in enumerate(panels):
        lowest = place + columns >= len(panels)
        axes.set(xlabel=x if lowest else "", ylabel=y if place % columns == 0 else "")
        axes.tick_params(labelleft=place % columns == 0, labelbottom=lowest)


def label_ends(axes: Axes, ends: list[tuple[float, str, str]], x: float, top: float) -> None:
    """Write the names of one or two lines at their ends, moved apart where they would overlap."""
    apart = 0.1 * top
    (low, *lower), *other = sorted(ends)
    named = [(low, lower)]
    for high, *higher in other:
        centre, half = (low + high) / 2, max(high - low, apart) / 2
        low, high = max(0.02 * top, centre - half), max(0.02 * top + apart, centre + half)
        named = [(low, lower), (high, higher)]
    for height, (name, colour) in named:
        axes.annotate(
            *(name, (x, height)),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="bold",
            fontsize=9,
            annotation_clip=False,
        )
