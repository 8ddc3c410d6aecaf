"""Models of other libraries; weights, layers, dropout and penalties are converted.

``from nnreg import interop`` imports none of these libraries; a function imports the one that it
needs. What the other side cannot express is refused by an error that names it.
"""

from nnreg.interop.keras import load_keras, save_keras
from nnreg.interop.onnx import save_onnx
from nnreg.interop.sklearn import from_sklearn, to_sklearn
from nnreg.interop.torch import from_torch, load_state_dict, save_state_dict, to_torch

__all__ = [
    "from_sklearn",
    "from_torch",
    "load_keras",
    "load_state_dict",
    "save_keras",
    "save_onnx",
    "save_state_dict",
    "to_sklearn",
    "to_torch",
]
