"""The regularization laboratory: experiments, as functions."""

from nnreg.lab.compaction import Compacted, compact
from nnreg.lab.comparison import Comparison, Run, build, compare
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, VARIANTS, Settings, Strengths
from nnreg.lab.sparse import SparsePredictor

__all__ = [
    "DEMONSTRATION",
    "OPTIMIZERS",
    "VARIANTS",
    "Compacted",
    "Comparison",
    "Run",
    "Settings",
    "SparsePredictor",
    "Strengths",
    "build",
    "compact",
    "compare",
]
