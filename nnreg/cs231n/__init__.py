"""CS231n's functions, with its names and arguments, computed by nnreg.

An assignment written against them can be checked with nothing changed but its imports: forwards
and backwards in ``layers``, update rules in ``optim``, the ``Solver`` in ``solver``. Each is a thin
face of a kernel or an optimizer of nnreg. ``import nnreg`` does not bring them.

Caches, configurations and histories are as the course has them, so that a student's forward can be
followed by the backward here, and the other way round. Random numbers are not: nothing here draws
from NumPy's global generator. Left out is what nnreg has no kernel for: ``svm_loss``,
normalization, convolution and pooling.
"""

from nnreg.cs231n.layers import (
    affine_backward,
    affine_forward,
    affine_relu_backward,
    affine_relu_forward,
    dropout_backward,
    dropout_forward,
    relu_backward,
    relu_forward,
    softmax_loss,
)
from nnreg.cs231n.optim import adam, rmsprop, sgd, sgd_momentum
from nnreg.cs231n.solver import Solver

__all__ = [
    "Solver",
    "adam",
    "affine_backward",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "dropout_backward",
    "dropout_forward",
    "relu_backward",
    "relu_forward",
    "rmsprop",
    "sgd",
    "sgd_momentum",
    "softmax_loss",
]
