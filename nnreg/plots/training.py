"""Plots of training: losses by epoch, the gap to the test loss, and the final weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnreg._support.typing import Array
from nnreg.plots.frame import (
    LIGHT,
    Figure,
    Theme,
    annotate,
    describe_figure,
    draw_repeats,
    label_ends,
    new_panels,
    outer_labels,
)

CURVES_KEY = """\
thick line: mean of the repeats
thin lines: the repeats
dot: lowest test loss
shaded: generalization gap"""


@describe_figure
def loss_curves(
    curves: Mapping[str, tuple[Array, Array]],
    *,
    judged: Mapping[str, Array] | None = None,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw train and test loss by epoch, a panel for each variant, all on the same axes.

    Parameters
    ----------
    curves : mapping of str to (train, test), each ndarray of shape (R, epochs)
        By the panel's title; one thin line per repeat, and a thick line for the mean.
    judged : mapping of str to ndarray of shape (R, epochs), optional
        By the same titles: the validation loss that a verdict was made with.
    {notes}
    {figure}

    Examples
    --------
    >>> figure = loss_curves({"none": (np.ones((1, 3)), np.ones((1, 3)))})
    >>> figure.axes[0].get_xlabel()
    'epoch'
    """
    key = CURVES_KEY + ("\ndashed: validation loss, for the verdict" if judged else "")
    figure, panels = new_panels(list(curves), notes or {}, columns, theme, key)
    means = [part.mean(axis=0) for pair in curves.values() for part in pair]
    means += [part.mean(axis=0) for part in (judged or {}).values()]
    top = 1.08 * max(float(mean.max()) for mean in means)
    longest = max(mean.size for mean in means)
    for axes, (name, (train, test)) in zip(panels, curves.items(), strict=True):
        epochs = np.arange(1, train.shape[1] + 1)
        pair = (
            draw_repeats(axes, epochs, train, theme.train),
            draw_repeats(axes, epochs, test, theme.test),
        )
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
        ends = [
            (float(pair[0][-1]), "train", theme.train),
            (float(pair[1][-1]), "test", theme.test),
        ]
        if judged and name in judged:
            mean = judged[name].mean(axis=0)
            axes.plot(np.arange(1, len(mean) + 1), mean, color=theme.ink, linestyle="--")
            ends.append((float(mean[-1]), "validation", theme.ink))
        label_ends(axes, ends, longest, top)
        axes.set(xlim=(1 - 0.01 * longest, longest), ylim=(0, top))
    outer_labels(panels, columns, "epoch", "data loss")
    return figure


@describe_figure
def history_curves(
    history: Mapping[str, Sequence[float]], *, columns: int = 1, theme: Theme = LIGHT
) -> Figure:
    """Draw the training loss, and where there is one the validation loss, by epoch.

    Parameters
    ----------
    history : mapping of str to sequence of float
        ``history.to_dict()`` of a `History` with one epoch or more.
    {figure}

    Examples
    --------
    >>> figure = history_curves({"data_loss": [2.0, 1.0], "val_data_loss": [2.0, 1.5]})
    >>> [line.get_ydata().tolist() for line in figure.axes[0].lines]
    [[2.0, 1.0], [2.0, 1.5]]
    """
    lines = {"training": ("data_loss", theme.train), "validation": ("val_data_loss", theme.test)}
    figure, (axes,) = new_panels([""], {}, 1, theme, "")
    figure.set_size_inches(3.9 if columns == 1 else 7.8, 3.6)
    ends, epochs = [], len(history["data_loss"])
    for name, (column, colour) in lines.items():
        if column in history:
            values = np.array(history[column], np.float64)
            marker = "o" if epochs == 1 else ""
            axes.plot(
                *(np.arange(1, epochs + 1), values),
                color=colour,
                linewidth=2.0,
                marker=marker,
                clip_on=False,
            )
            ends.append((float(values[-1]), name, colour))
    top = max(1.08 * axes.dataLim.y1, 1e-12)
    label_ends(axes, ends, epochs, top)
    axes.set(xlim=(1 - 0.01 * epochs, epochs), ylim=(0, top), xlabel="epoch", ylabel="data loss")
    return figure


GAPS_KEY = """\
objective - penalty - dropout
= train loss;
train loss + generalization gap
= test loss"""


@describe_figure
def gap_bars(
    gaps: Mapping[str, Mapping[str, float]],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the terms between objective and test loss, one panel per network.

    Parameters
    ----------
    gaps : mapping of str to mapping of str to float
        By the panel's title: ``"penalty"``, ``"dropout"``, ``"train loss"`` and
        ``"generalization"``. Parts may be negative.
    {notes}
    {figure}

    Examples
    --------
    >>> parts = {"penalty": 0.05, "dropout": 0.15, "train loss": 0.3, "generalization": 0.1}
    >>> figure = gap_bars({"dropout": parts})
    >>> [round(float(bar.get_width()), 2) for bar in figure.axes[0].patches]
    [0.5, -0.05, -0.15, 0.3, 0.1, 0.4]
    """
    figure, panels = new_panels(list(gaps), notes or {}, columns, theme, GAPS_KEY)
    for axes, parts in zip(panels, gaps.values(), strict=True):
        train = parts["train loss"]
        unpenalized, test = train + parts["dropout"], train + parts["generalization"]
        objective = unpenalized + parts["penalty"]
        bars = {
            "objective": (0.0, objective, theme.train),
            "penalty": (objective, unpenalized, theme.faint),
            "dropout": (unpenalized, train, theme.faint),
            "train loss": (0.0, train, theme.train),
            "generalization": (train, test, theme.test),
            "test loss": (0.0, test, theme.test),
        }
        for index, (name, (start, end, colour)) in enumerate(bars.items()):
            axes.barh(index, end - start, left=start, color=colour, height=0.7)
            text = f"{end - start:.3f}" if "loss" in name or not index else f"{end - start:+.3f}"
            annotate(axes, text, max(start, end), index, color=theme.ink, fontsize=8.5)
        axes.set_yticks(range(len(bars)), list(bars))
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.22)
    panels[0].invert_yaxis()
    outer_labels(panels, columns, "loss", "")
    return figure


BINS = 61  # odd, so that one bin is centred at 0
VISIBLE = 0.0005  # smallest share that is shown as 0.1 %

WEIGHTS_KEY = """\
weights of all repeats,
on a logarithmic scale;
exact zeros have
a separate bar"""


@describe_figure
def weight_histograms(
    weights: Mapping[str, Array],
    *,
    notes: Mapping[str, str] | None = None,
    columns: int = 3,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the distribution of the weights, a panel for each variant, all on the same axes.

    Weights that are exactly zero are counted in a separate bar.

    Parameters
    ----------
    weights : mapping of str to ndarray of shape (P,)
        By the panel's title.
    {notes}
    {figure}

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
        axes.yaxis.set_major_formatter(lambda share, index: f"{share * 100:g} %")
    outer_labels(panels, columns, "weight", "share of the weights")
    return figure


def histogram_edges(weights: Sequence[Array]) -> Array:
    """Return the edges of bins for all weights, symmetric about 0, (BINS + 1,).

    >>> edges = histogram_edges([np.array([-0.5, 2.0])])
    >>> float(edges[0]), float(edges[-1]), len(edges)
    (-2.0, 2.0, 62)
    """
    reach = max(float(np.abs(w).max()) for w in weights) or 1.0
    return np.linspace(-reach, reach, BINS + 1)
