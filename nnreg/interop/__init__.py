"""Models in and out of other libraries' formats; weights, penalties and dropout are converted."""

from nnreg.interop.keras import load_keras, save_keras

__all__ = ["load_keras", "save_keras"]
