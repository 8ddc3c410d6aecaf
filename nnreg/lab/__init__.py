"""Experiments on regularization, as functions."""

from nnreg.lab.bias_variance.decomposition import Decomposition, Estimate, decompose
from nnreg.lab.bias_variance.experiment import (
    BiasVariance,
    SamplingDesign,
    bias_and_variance,
    bias_variance_sweep,
)
from nnreg.lab.bias_variance.learners import NetworkLearner, Polynomial, sweep
from nnreg.lab.bias_variance.processes import (
    Bands,
    Classification,
    DataGeneratingProcess,
    Regression,
    Sine,
)
from nnreg.lab.comparison.experiment import compare
from nnreg.lab.comparison.figures import VariantRun
from nnreg.lab.comparison.report import Comparison
from nnreg.lab.gap import LossGap, explain_gap
from nnreg.lab.model import Model
from nnreg.lab.path.convex import solve
from nnreg.lab.path.regularization_path import (
    PathPoint,
    RegularizationPath,
    lambda_max,
    regularization_path,
)
from nnreg.lab.path.study import PathSettings, PathStudy, study_path
from nnreg.lab.settings import (
    DEMONSTRATION,
    OPTIMIZERS,
    VARIANTS,
    Settings,
    Strengths,
    build_network,
)
from nnreg.lab.sparsity import PrunedNetwork, SparsePredictor, prune
from nnreg.lab.stationarity import (
    ParameterStationarity,
    Stationarity,
    measure_stationarity,
)
from nnreg.training.solve import NotConvergedError

__all__ = [
    "DEMONSTRATION",
    "OPTIMIZERS",
    "VARIANTS",
    "Bands",
    "BiasVariance",
    "Classification",
    "Comparison",
    "DataGeneratingProcess",
    "Decomposition",
    "Estimate",
    "LossGap",
    "Model",
    "NetworkLearner",
    "NotConvergedError",
    "ParameterStationarity",
    "PathPoint",
    "PathSettings",
    "PathStudy",
    "Polynomial",
    "PrunedNetwork",
    "Regression",
    "RegularizationPath",
    "SamplingDesign",
    "Settings",
    "Sine",
    "SparsePredictor",
    "Stationarity",
    "Strengths",
    "VariantRun",
    "bias_and_variance",
    "bias_variance_sweep",
    "build_network",
    "compare",
    "decompose",
    "explain_gap",
    "lambda_max",
    "measure_stationarity",
    "prune",
    "regularization_path",
    "solve",
    "study_path",
    "sweep",
]
