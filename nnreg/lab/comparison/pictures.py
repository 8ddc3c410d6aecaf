"""The two pictures of a comparison: how the losses ran, and what the weights became."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nnreg import plots
from nnreg.lab.comparison.experiment import Comparison
from nnreg.lab.comparison.verdicts import verdict
from nnreg.lab.settings import VARIANTS
from nnreg.plots import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw train and test loss by epoch."""
    losses = {
        variant: (comparison.curves(variant, "train_loss"), comparison.curves(variant, "test_loss"))
        for variant in VARIANTS
    }
    notes = {}
    for variant in VARIANTS:
        gap = comparison.values(variant, "gap").mean()
        fit = f"{verdict(comparison, variant)}, gap {gap:.2f}"
        notes[variant] = fit + _strengths(comparison, variant)
    return plots.loss_curves(losses, notes=notes, columns=columns, theme=theme)


def weights(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw how the weights of the first repeat are distributed."""
    found = {variant: comparison.runs[variant][0].weights for variant in VARIANTS}
    notes = {
        variant: f"norm {comparison.runs[variant][0].figures['weight_norm']:.1f}"
        + _strengths(comparison, variant)
        for variant in VARIANTS
    }
    return plots.weight_histograms(found, notes=notes, columns=columns, theme=theme)


PICTURES: dict[str, Callable[..., Figure]] = {"curves": curves, "weights": weights}


def _strengths(comparison: Comparison, variant: str) -> str:
    return "" if variant == "none" else f" · {comparison.choice.strengths[variant]}"
