"""The regularization laboratory: experiments, as functions."""

from nnreg.lab.bias_variance.decomposition import Decomposition, Estimate, decompose
from nnreg.lab.bias_variance.experiment import BiasVariance, bias_and_variance, bias_variance_sweep
from nnreg.lab.bias_variance.learners import NetworkLearner, Polynomial, along
from nnreg.lab.bias_variance.processes import Bands, Classification, Regression, Sine, Truth
from nnreg.lab.bias_variance.sampling import Design
from nnreg.lab.comparison.experiment import Comparison, Run, build, compare
from nnreg.lab.gap import Gap, explain_gap
from nnreg.lab.path.convex import NotConvergedError, solve
from nnreg.lab.path.regularization_path import Path, Point, regularization_path, zero_strength
from nnreg.lab.path.study import PathSettings, PathStudy, study_path
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, VARIANTS, Settings, Strengths
from nnreg.lab.sparsity.predictor import SparsePredictor
from nnreg.lab.sparsity.pruning import Compacted, compact
from nnreg.lab.stationarity import Block, Stationarity, duality_gap, measure_stationarity

__all__ = [
    "DEMONSTRATION",
    "OPTIMIZERS",
    "VARIANTS",
    "Bands",
    "BiasVariance",
    "Block",
    "Classification",
    "Compacted",
    "Comparison",
    "Decomposition",
    "Design",
    "Estimate",
    "Gap",
    "NetworkLearner",
    "NotConvergedError",
    "Path",
    "PathSettings",
    "PathStudy",
    "Point",
    "Polynomial",
    "Regression",
    "Run",
    "Settings",
    "Sine",
    "SparsePredictor",
    "Stationarity",
    "Strengths",
    "Truth",
    "along",
    "bias_and_variance",
    "bias_variance_sweep",
    "build",
    "compact",
    "compare",
    "decompose",
    "duality_gap",
    "explain_gap",
    "measure_stationarity",
    "regularization_path",
    "solve",
    "study_path",
    "zero_strength",
]
