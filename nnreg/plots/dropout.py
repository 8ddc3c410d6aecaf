"""Plots of dropout: its masks, first-layer weights, and the spread of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import (
    LIGHT,
    Figure,
    Theme,
    annotate,
    describe_figure,
    new_panels,
    outer_labels,
)

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap

MASKS_KEY = """\
across: training steps
down: the units of a layer
white: factor 0 or less (dropped)
dark: factor 2 or more"""

FILTERS_KEY = """\
one square per unit, one pixel per weight
blue: positive, orange: negative
same scale in all panels"""


@describe_figure
def dropout_masks(
    factors: Mapping[str, Array],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the factors of dropout by training step, a panel for each layer.

    Parameters
    ----------
    factors : mapping of str to ndarray of shape (steps, units)
        By the title of the panel, as :func:`nnreg.layers.dropout.draw_factors` returns them.
    {notes}
    {figure}

    Examples
    --------
    >>> figure = dropout_masks({"dropout": np.array([[0.0, 2.0], [2.0, 2.0]])})
    >>> figure.axes[0].get_xlabel()
    'training step'
    """
    figure, panels = new_panels(list(factors), notes or {}, columns, theme, MASKS_KEY)
    colours = shades(theme.background, theme.train)
    for axes, drawn in zip(panels, factors.values(), strict=True):
        axes.grid(visible=False)
        axes.imshow(drawn.T, cmap=colours, vmin=0, vmax=2, aspect="auto", interpolation="nearest")
        axes.locator_params(integer=True)
    outer_labels(panels, columns, "training step", "unit")
    return figure


@describe_figure
def first_layer_filters(
    weights: Mapping[str, Array],
    *,
    shape: tuple[int, int],
    count: int = 25,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the weights of first-layer units as images, a panel for each variant.

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (D, M)
        Weights of the first layer, by the panel's title, all of one shape.
    shape : (height, width)
        Shape of the input images, with ``height * width == D``.
    count : int, default 25
        Number of units shown: those with the largest weights, in descending order.
    {notes}
    {figure}

    Examples
    --------
    >>> figure = first_layer_filters({"none": np.eye(4)}, shape=(2, 2), count=4)
    >>> figure.axes[0].images[0].get_array().shape  # four squares of 2 x 2 and a line between
    (5, 5)
    """
    figure, panels = new_panels(list(weights), notes or {}, columns, theme, FILTERS_KEY)
    pictures = [mosaic(w, shape, count) for w in weights.values()]
    reach = max(float(np.nanmax(np.abs(picture))) for picture in pictures) or 1.0
    colours = shades(theme.test, theme.background, theme.train).with_extremes(bad=theme.faint)
    for axes, picture in zip(panels, pictures, strict=True):
        axes.set_axis_off()
        axes.imshow(picture, cmap=colours, vmin=-reach, vmax=reach, interpolation="nearest")
    return figure


def mosaic(weights: Array, shape: tuple[int, int], count: int) -> Array:
    """Return the ``count`` columns of largest norm as images side by side, NaN between them.

    >>> mosaic(np.array([[1.0, 0.0, 3.0]]), (1, 1), 2)
    array([[ 3., nan,  1.]])
    """
    height, width = shape
    order = np.argsort(-(weights**2).sum(axis=0), kind="stable")[:count]
    across = int(np.ceil(np.sqrt(len(order))))
    down = -(-len(order) // across)
    picture = np.full((down * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for index, unit in enumerate(order):
        top, left = index // across * (height + 1), index % across * (width + 1)
        picture[top : top + height, left : left + width] = weights[:, unit].reshape(shape)
    return picture


@describe_figure
def prediction_band(
    x: Array,
    predictions: Mapping[str, Array],
    *,
    data: tuple[Array, Array],
    truth: Array | None = None,
    columns: int = 2,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw a regression of one variable with its Monte-Carlo spread, a panel for each variant.

    Parameters
    ----------
    x : ndarray of shape (N,)
        Inputs of the predictions, in ascending order.
    predictions : mapping of str to ndarray of shape (S, N)
        Samples of the prediction, by the panel's title.
    data : (x, y), each ndarray of shape (R,)
        Training rows.
    truth : ndarray of shape (N,), optional
        The true function.
    {figure}

    Examples
    --------
    >>> x = np.linspace(0, 1, 3)
    >>> figure = prediction_band(x, {"dropout": np.array([x, 2 * x])}, data=(x, x))
    >>> [text.get_text() for text in figure.axes[0].texts[1:]]
    ['mean', '±2 sd']
    """
    figure, panels = new_panels(list(predictions), {}, columns, theme, "")
    for axes, outputs in zip(panels, predictions.values(), strict=True):
        mean, std = outputs.mean(axis=0), outputs.std(axis=0, ddof=1)
        for times in (1, 2):
            axes.fill_between(
                *(x, mean - times * std, mean + times * std),
                color=theme.train,
                alpha=0.15,
                linewidth=0,
            )
        if truth is not None:
            axes.plot(x, truth, color=theme.ink, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.plot(x, mean, color=theme.train, linewidth=2.0)
        axes.plot(*data, ".", color=theme.test, markersize=5, zorder=3)
        annotate(axes, "mean", x[-1], mean[-1], color=theme.train, fontsize=9)
        annotate(axes, "±2 sd", x[-1], mean[-1] + 2 * std[-1], color=theme.train, fontsize=9)
        axes.set_xlim(x[0], x[-1])
    outer_labels(panels, columns, "x", "y")
    return figure


def shades(*colours: str) -> LinearSegmentedColormap:
    """Return a colour map that interpolates the colours."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("nnreg", colours)
