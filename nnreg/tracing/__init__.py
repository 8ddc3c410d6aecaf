"""One training step, recorded and shown layer by layer."""

from nnreg.tracing.formulas import Formula
from nnreg.tracing.stages import Stage
from nnreg.tracing.trace import Trace, explain

__all__ = ["Formula", "Stage", "Trace", "explain"]
