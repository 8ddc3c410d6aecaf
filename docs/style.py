"""Style of the figures and tables in the documentation.

Figures have no background, and the style sheet inverts their lightness in dark mode. A wide figure
contains a second drawing for narrow screens, with its panels below each other; `conf.py` writes it
into a separate file.
"""

from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from IPython.display import Markdown
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib_inline.backend_inline import set_matplotlib_formats

from nnreg.plots import LIGHT
from nnreg.plots.frame import add_legend

BLUE, ORANGE, GREY = LIGHT.train, LIGHT.test, LIGHT.soft

#: Widths in inches on a narrow screen: of panels below each other, and of a single panel.
NARROW, SINGLE = 4.0, 4.6

plt.rcParams.update(
    {
        "axes.facecolor": "none",
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 11,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "none",
        "figure.figsize": (6.4, 2.6),
        "font.size": 11,
        "legend.frameon": False,
        "svg.hashsalt": "nnreg",
    }
)


def stack_panels(figure: Figure) -> None:
    """Place the panels of a figure below each other, or side by side if they are small."""
    width, height = figure.get_size_inches()
    panels = [axes for axes in figure.axes if axes.get_subplotspec() is not None]
    if not panels or panels[0].get_gridspec().ncols == 1:
        figure.set_size_inches(SINGLE, height)
        return
    grid = panels[0].get_gridspec()
    columns = max(1, int(NARROW / (width / grid.ncols)))
    rows = -(-len(panels) // columns)
    for axes, place in zip(panels, GridSpec(rows, columns, figure=figure), strict=False):
        axes.set_subplotspec(place)
        axes.tick_params(labelleft=True, labelbottom=True)
    figure.set_size_inches(NARROW, height / grid.nrows * rows)
    for legend in list(figure.legends):  # in fewer columns
        legend.remove()
        add_legend(figure, LIGHT)


def draw_svg(figure: Figure) -> str:
    """Return a figure as SVG, if it is wide with a drawing for narrow screens in its metadata."""
    wide = str(print_figure(figure, "svg"))
    if figure.get_figwidth() <= SINGLE:
        return wide
    stack_panels(figure)
    narrow = print_figure(figure, "svg")
    return wide.replace("</svg>", f"<metadata><![CDATA[{narrow}]]></metadata></svg>")


set_matplotlib_formats("svg")
get_ipython().display_formatter.formatters["image/svg+xml"].for_type(Figure, draw_svg)


def table(*head: str, rows: Iterable[Iterable[Any]]) -> Markdown:
    """Return rows of text and numbers as a table, the numbers with three decimals."""
    cells = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *cells]))
