"""nnreg: a small multilayer perceptron in NumPy, with every derivative written down and checked.

Read the modules from ``kernels`` upward and they are a course; ``import nnreg as nn`` gives what
one uses.
"""

from typing import TYPE_CHECKING, Any

from nnreg import datasets, kernels
from nnreg.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.cache import Cache
from nnreg.callbacks import Callback, CSVLog, EarlyStopping, Progress, Run, Scheduled
from nnreg.checkpoint import load, save
from nnreg.constraints import Constraint, MaxNorm
from nnreg.conventions import convert_penalty
from nnreg.gradcheck import check_gradients
from nnreg.gradreport import GradientReport
from nnreg.groups import GroupLasso
from nnreg.history import History
from nnreg.inertial import InertialSGD
from nnreg.initializers import glorot_uniform, he_normal, ones, standard_normal, zeros
from nnreg.layers import Dense, Dropout, Layer
from nnreg.loss import Loss
from nnreg.losses import (
    Huber,
    MeanSquaredError,
    Poisson,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    sigmoid,
    softmax,
)
from nnreg.network import Network
from nnreg.noise import GaussianDropout
from nnreg.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from nnreg.parameters import Parameter, Parameters
from nnreg.penalties import L1, L2, ElasticNet, Penalty
from nnreg.schedules import Constant, Cosine, Exponential, InverseTime, Stepwise, WarmUp
from nnreg.step import NonFiniteLossError
from nnreg.training import batches, evaluate, fit
from nnreg.uncertainty import SampledPredictions, sample_predictions
from nnreg.version import __version__ as __version__

if TYPE_CHECKING:
    from nnreg.lab import explain

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "SGD",
    "Adam",
    "AdamW",
    "CSVLog",
    "Cache",
    "Callback",
    "Constant",
    "Constraint",
    "Cosine",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ElasticNet",
    "Exponential",
    "GaussianDropout",
    "GradientReport",
    "GroupLasso",
    "History",
    "Huber",
    "InertialSGD",
    "InverseTime",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MaxNorm",
    "MeanSquaredError",
    "Network",
    "NonFiniteLossError",
    "Optimizer",
    "Parameter",
    "Parameters",
    "Penalty",
    "Poisson",
    "Progress",
    "RMSprop",
    "ReLU",
    "Run",
    "SampledPredictions",
    "Scheduled",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Stepwise",
    "Tanh",
    "WarmUp",
    "batches",
    "check_gradients",
    "convert_penalty",
    "datasets",
    "evaluate",
    "explain",
    "fit",
    "glorot_uniform",
    "he_normal",
    "kernels",
    "load",
    "ones",
    "sample_predictions",
    "save",
    "sigmoid",
    "softmax",
    "standard_normal",
    "zeros",
]

if not TYPE_CHECKING:  # to a type checker a module with __getattr__ would have every name

    def __getattr__(name: str) -> Any:
        # The laboratory is imported when it is asked for: training needs none of it.
        if name == "explain":
            from nnreg.lab import explain

            return explain
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
