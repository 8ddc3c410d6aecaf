"""Plots: every function returns a matplotlib figure, without showing or writing it.

Matplotlib is optional (``pip install 'nnreg[plots]'``) and imported where it is used. The colours
are those of Okabe and Ito, which are distinguishable with colour blindness. Lines are labelled at
their ends, without a legend.
"""

from nnreg.plots.decisions import Regions, decision_regions, misclassified_images
from nnreg.plots.dropout import dropout_masks, first_layer_filters, prediction_band
from nnreg.plots.experiments import (
    Fit,
    bias_variance_curves,
    fit_curves,
    regularization_path,
    weight_trajectories,
)
from nnreg.plots.frame import DARK, LIGHT, MissingMatplotlibError, Theme, render
from nnreg.plots.training import (
    gap_bars,
    histogram_edges,
    history_curves,
    loss_curves,
    weight_histograms,
)

__all__ = [
    "DARK",
    "LIGHT",
    "Fit",
    "MissingMatplotlibError",
    "Regions",
    "Theme",
    "bias_variance_curves",
    "decision_regions",
    "dropout_masks",
    "first_layer_filters",
    "fit_curves",
    "gap_bars",
    "histogram_edges",
    "history_curves",
    "loss_curves",
    "misclassified_images",
    "prediction_band",
    "regularization_path",
    "render",
    "weight_histograms",
    "weight_trajectories",
]
