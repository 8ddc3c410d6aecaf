"""The gradient check."""

from nnreg.gradcheck.check import check_gradients
from nnreg.gradcheck.report import GradientReport

__all__ = ["GradientReport", "check_gradients"]
