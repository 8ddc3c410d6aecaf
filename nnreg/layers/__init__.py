"""Layers: dense, activations and dropout."""

from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout, GaussianDropout

__all__ = [
    "ELU",
    "GELU",
    "Dense",
    "Dropout",
    "GaussianDropout",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
]
