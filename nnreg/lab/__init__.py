"""The regularization laboratory: experiments, as functions."""

from nnreg.lab.compaction import Compacted, compact
from nnreg.lab.comparison import Comparison, Run, build, compare
from nnreg.lab.convex import NotConvergedError, solve
from nnreg.lab.path import Path, Point, regularization_path, zero_strength
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, VARIANTS, Settings, Strengths
from nnreg.lab.sparse import SparsePredictor

__all__ = [
    "DEMONSTRATION",
    "OPTIMIZERS",
    "VARIANTS",
    "Compacted",
    "Comparison",
    "NotConvergedError",
    "Path",
    "Point",
    "Run",
    "Settings",
    "SparsePredictor",
    "Strengths",
    "build",
    "compact",
    "compare",
    "regularization_path",
    "solve",
    "zero_strength",
]
