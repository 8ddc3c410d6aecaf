"""Plots of what classifiers decide: regions of two features, and misclassified images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnreg._support.typing import Array
from nnreg.plots.dropout import shades
from nnreg.plots.frame import LIGHT, Figure, Theme, describe_figure, new_panels, outer_labels

ACROSS = 4  # images in a row
SPACING = 1.6  # from one image to the next, so that captions do not touch
GAP = 0.45  # of an image's height, below it, for the caption


@dataclass(frozen=True, eq=False)
class Regions:
    """Predicted classes on a grid of two features.

    Parameters
    ----------
    x, y : ndarray of shape (W,) and (H,)
        The values of the features, in ascending order.
    classes : ndarray of int of shape (H, W)

    Examples
    --------
    >>> import numpy as np
    >>> Regions(np.arange(3.0), np.arange(2.0), np.zeros((2, 3), int)).classes.shape
    (2, 3)
    """

    x: Array
    y: Array
    classes: Array


@describe_figure
def decision_regions(
    regions: Mapping[str, Regions],
    points: tuple[Array, Array],
    *,
    names: tuple[str, str] = ("", ""),
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the regions of the predicted classes, and labelled points, one panel per classifier.

    Parameters
    ----------
    regions : mapping of str to Regions
        By the panel's title.
    points : tuple of ndarrays of shape (N, 2) and (N,)
        Features and class numbers.
    names : tuple of two str, optional
        Names of the features.
    {notes}
    {figure}

    Examples
    --------
    >>> import numpy as np
    >>> grid = Regions(np.arange(2.0), np.arange(2.0), np.array([[0, 1], [0, 1]]))
    >>> figure = decision_regions({"none": grid}, (np.zeros((1, 2)), np.array([0])))
    >>> figure.axes[0].get_title(loc="left")
    'none'
    """
    key = "areas: the predicted class\ndots: training rows, in the\ncolor of their label"
    figure, panels = new_panels(list(regions), notes or {}, columns, theme, key)
    x, labels = points
    limits: dict[str, Any] = {"cmap": "tab10", "vmin": -0.5, "vmax": 9.5}
    for axes, grid in zip(panels, regions.values(), strict=True):
        axes.pcolormesh(
            *(grid.x, grid.y, grid.classes % 10), shading="nearest", alpha=0.25, **limits
        )
        axes.scatter(
            x[:, 0],
            x[:, 1],
            c=labels % 10,
            s=9,
            edgecolors=theme.background,
            linewidths=0.4,
            **limits,
        )
        axes.grid(visible=False)
    outer_labels(panels, columns, *names)
    return figure


@describe_figure
def misclassified_images(
    images: Mapping[str, tuple[Array, Sequence[str]]],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw images with a caption below each, a panel for each classifier.

    Parameters
    ----------
    images : mapping of str to (ndarray of shape (K, H, W), sequence of K str)
        By the panel's title: images, and their captions.
    {notes}
    {figure}

    Examples
    --------
    >>> import numpy as np
    >>> figure = misclassified_images({"none": (np.ones((1, 8, 8)), ["3 as 8: 99 %"])})
    >>> figure.axes[0].texts[-1].get_text()
    '3 as 8: 99 %'
    """
    key = "true class, predicted class\nand its probability;\nthe most certain mistakes"
    figure, panels = new_panels(list(images), notes or {}, columns, theme, key, share_y=False)
    down = -(-max(len(pictures) for pictures, _ in images.values()) // ACROSS) or 1
    colours = shades(theme.background, theme.ink)
    for axes, (pictures, captions) in zip(panels, images.values(), strict=True):
        for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            left, top = SPACING * (index % ACROSS), (1 + GAP) * (index // ACROSS)
            extent = (left, left + 1, top + 1, top)
            axes.imshow(picture, cmap=colours, extent=extent, interpolation="nearest")
            axes.text(
                *(left + 0.5, top + 1.08, caption),
                ha="center",
                va="top",
                fontsize=8,
                color=theme.ink,
            )
        margin = (SPACING - 1) / 2
        axes.set(xlim=(-margin, SPACING * ACROSS - margin), ylim=((1 + GAP) * down, -0.05))
        axes.set_axis_off()
    return figure
