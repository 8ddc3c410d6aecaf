"""The regularization laboratory: experiments, as functions."""

from nnreg.lab.comparison import Comparison, Run, build, compare
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, VARIANTS, Settings, Strengths

__all__ = [
    "DEMONSTRATION",
    "OPTIMIZERS",
    "VARIANTS",
    "Comparison",
    "Run",
    "Settings",
    "Strengths",
    "build",
    "compare",
]
