"""Common parts of the plots: themes, panels, labels and rendering."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from nnreg._support.typing import Array

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Axes: TypeAlias = "matplotlib.axes.Axes"
Figure: TypeAlias = "matplotlib.figure.Figure"
Plot = TypeVar("Plot", bound=Callable[..., object])


class MissingMatplotlibError(ImportError):
    """Raised if matplotlib, which plots require, is not installed."""


@dataclass(frozen=True)
class Theme:
    """Colours for one background. Text in any of them but ``faint`` has a contrast of 4.5 or more.

    Examples
    --------
    >>> LIGHT.train, DARK.train
    ('#0072B2', '#56B4E9')
    """

    background: str
    ink: str
    soft: str
    faint: str
    train: str
    test: str


LIGHT = Theme("#ffffff", "#1f2328", "#59636e", "#d8dde3", "#0072B2", "#C25400")
DARK = Theme("#15181c", "#e6e9ec", "#9aa4ae", "#3a4149", "#56B4E9", "#E69F00")


NOTES = """notes : mapping of str to str, optional
        A line under the title of each panel."""

FIGURE = """columns : int, optional
        Number of panels in a row.
    theme : Theme, default LIGHT
        `LIGHT` or `DARK`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingMatplotlibError
        If matplotlib is not installed."""


def describe_figure(plot: Plot) -> Plot:
    """Insert the descriptions of ``{notes}`` and ``{figure}`` into a plot's docstring."""
    if plot.__doc__ is not None:  # python -OO removes docstrings
        plot.__doc__ = plot.__doc__.replace("{notes}", NOTES).replace("{figure}", FIGURE)
    return plot


def render(figure: Figure, kind: str) -> bytes:
    """Return the bytes of a ``"png"`` or ``"svg"`` file, equal for equal figures.

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
    """Return a figure with one panel per title, in rows; a free panel contains the key."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingMatplotlibError(
            "pictures need matplotlib: pip install 'nnreg[plots]'"
        ) from None
    columns = min(columns, len(titles)) or 1
    rows = -(-len(titles) // columns)
    figure = Figure(
        figsize=(0.6 + 3.3 * columns, 0.3 + 2.7 * rows),
        facecolor=theme.background,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    panels: list[Axes] = []
    for index, title in enumerate(titles):
        axes = figure.add_subplot(
            *(rows, columns, index + 1),
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
    if key and len(panels) < rows * columns:
        corner = figure.add_subplot(rows, columns, rows * columns)
        corner.set_axis_off()
        corner.text(0.02, 0.95, key, va="top", color=theme.ink, fontsize=9.5, linespacing=1.7)
    return figure, panels


def outer_labels(panels: list[Axes], columns: int, x: str, y: str) -> None:
    """Label the y axes of the first column, and the x axis of the lowest panel of each column."""
    for index, axes in enumerate(panels):
        lowest = index + columns >= len(panels)
        axes.set(xlabel=x if lowest else "", ylabel=y if index % columns == 0 else "")
        axes.tick_params(labelleft=index % columns == 0, labelbottom=lowest)


def add_legend(figure: Figure, theme: Theme) -> None:
    """Explain the labelled lines of all panels below them; equal labels once."""
    lines: dict[str, Any] = {}
    for axes in figure.axes:
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True):
            lines.setdefault(label, line)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.3)
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside lower left",
        ncols=max(2, int(width / 2)),
        frameon=False,
        fontsize=8.5,
        labelcolor=theme.ink,
    )


def draw_repeats(axes: Axes, x: Array, values: Array, colour: str, **style: Any) -> Array:
    """Draw repeats (R, N) as thin lines, and their mean, which is returned, as a thick one."""
    if several := len(values) > 1:
        thin = axes.plot(x, values.T, color=colour, linewidth=0.7, alpha=0.35)
        thin[0].set_label("each repeat")
    mean = values.mean(axis=0)
    label = f"mean of {len(values)} repeats" if several else "one repeat"
    axes.plot(x, mean, color=colour, linewidth=2.0, label=label, **style)
    return np.asarray(mean)


def label_ends(axes: Axes, ends: list[tuple[float, str, str]], x: float, top: float) -> None:
    """Write the names of lines at their right ends, shifted if they would overlap."""
    distance = 0.1 * top
    ends = sorted(ends)
    heights: list[float] = []
    for height, _, _ in ends:
        heights.append(max([min(height, top), *(below + distance for below in heights[-1:])]))
    excess = max(0.0, heights[-1] - top)
    for height, (_, name, colour) in zip(heights, ends, strict=True):
        annotate(axes, name, x, height - excess, color=colour, fontweight="bold", fontsize=9)


def annotate(axes: Axes, text: str, x: float, y: float, **style: Any) -> None:
    """Write a text to the right of a point."""
    axes.annotate(
        text,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
        **style,
    )
