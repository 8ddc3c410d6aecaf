"""The regularization laboratory: experiments, as functions."""

from nnreg.lab.bias_variance import BiasVariance, bias_and_variance, bias_variance_sweep
from nnreg.lab.compaction import Compacted, compact
from nnreg.lab.comparison import Comparison, Run, build, compare
from nnreg.lab.convex import NotConvergedError, solve
from nnreg.lab.decomposition import Decomposition, Estimate, decompose
from nnreg.lab.draws import Design
from nnreg.lab.duality import duality_gap
from nnreg.lab.formulas import Formula
from nnreg.lab.gap import Gap, explain_gap
from nnreg.lab.learners import NetworkLearner, Polynomial, along
from nnreg.lab.path import Path, Point, regularization_path, zero_strength
from nnreg.lab.path_study import PathSettings, PathStudy, study_path
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, VARIANTS, Settings, Strengths
from nnreg.lab.sparse import SparsePredictor
from nnreg.lab.stationarity import Block, Stationarity, measure_stationarity
from nnreg.lab.trace import Trace, explain
from nnreg.lab.trace_stages import Stage
from nnreg.lab.truths import Bands, Classification, Regression, Sine, Truth

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
    "Formula",
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
    "Stage",
    "Stationarity",
    "Strengths",
    "Trace",
    "Truth",
    "along",
    "bias_and_variance",
    "bias_variance_sweep",
    "build",
    "compact",
    "compare",
    "decompose",
    "duality_gap",
    "explain",
    "explain_gap",
    "measure_stationarity",
    "regularization_path",
    "solve",
    "study_path",
    "zero_strength",
]
