"""Style of the lessons' figures and tables."""

from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
from IPython.display import Markdown
from matplotlib_inline.backend_inline import set_matplotlib_formats

from nnreg.plots import LIGHT

BLUE, ORANGE, GREY = LIGHT.train, LIGHT.test, "#777777"

# Figures have no background of their own, so that they stand on the page's in light and dark mode.
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
set_matplotlib_formats("svg")


def table(*head: str, rows: Iterable[Iterable[Any]]) -> Markdown:
    """Return rows of text and numbers as a table, the numbers with three decimals."""
    cells = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *cells]))
