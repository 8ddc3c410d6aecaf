"""Pictures. Each function returns a matplotlib figure; nothing is shown and no file is written.

Matplotlib is optional (``pip install nnreg[plots]``) and imported where it is used. Colours are
from the set of Okabe and Ito, which people with colour-blindness tell apart too. Lines are labelled
where they end, so no legend has to be looked up.
"""

from nnreg.plots.bias_variance import Fit, bias_variance_curves, fit_curves
from nnreg.plots.curves import loss_curves
from nnreg.plots.frame import DARK, LIGHT, MissingMatplotlibError, Theme, render
from nnreg.plots.gaps import gap_bars
from nnreg.plots.noise import dropout_masks, first_layer_filters, prediction_band
from nnreg.plots.path import regularization_path, weight_trajectories
from nnreg.plots.weights import histogram_edges, weight_histograms

__all__ = [
    "DARK",
    "LIGHT",
    "Fit",
    "MissingMatplotlibError",
    "Theme",
    "bias_variance_curves",
    "dropout_masks",
    "first_layer_filters",
    "fit_curves",
    "gap_bars",
    "histogram_edges",
    "loss_curves",
    "prediction_band",
    "regularization_path",
    "render",
    "weight_histograms",
    "weight_trajectories",
]
