"""nnreg: a small multilayer perceptron in NumPy, with every derivative written down and checked.

The modules, read in the order of their imports from ``kernels`` on, are a course. ``import nnreg as
nn`` gives the public names.
"""

from typing import TYPE_CHECKING, Any

from nnreg import datasets, kernels
from nnreg._support.version import __version__ as __version__
from nnreg.cache import Cache
from nnreg.checkpoint import load, load_optimizer, save
from nnreg.conventions import convert_penalty
from nnreg.gradcheck.check import check_gradients
from nnreg.gradcheck.report import GradientReport
from nnreg.initializers import glorot_uniform, he_normal, ones, standard_normal, zeros
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.losses import (
    Huber,
    Loss,
    MeanSquaredError,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    sigmoid,
    softmax,
)
from nnreg.network import Network
from nnreg.optimizers import SGD, Adam, AdamW, IPiano, Optimizer, RMSprop
from nnreg.parameters import Parameter, Parameters
from nnreg.penalties import L1, L2, Constraint, ElasticNet, GroupLasso, MaxNorm, Penalty
from nnreg.prediction import SampledPredictions, sample_predictions
from nnreg.training.callbacks import (
    Callback,
    CSVLog,
    EarlyStopping,
    HyperparameterScheduler,
    Progress,
    ReduceLROnPlateau,
    TrainingState,
)
from nnreg.training.data import Batches
from nnreg.training.history import History
from nnreg.training.loop import evaluate, fit
from nnreg.training.order import batches
from nnreg.training.resume import Checkpoint
from nnreg.training.schedules import (
    ConstantSchedule,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    StepDecay,
    Warmup,
)
from nnreg.training.solve import NotConvergedError, Solution, solve
from nnreg.training.step import NonFiniteLossError

if TYPE_CHECKING:
    from nnreg.tracing import explain

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "SGD",
    "Adam",
    "AdamW",
    "Batches",
    "CSVLog",
    "Cache",
    "Callback",
    "Checkpoint",
    "ConstantSchedule",
    "Constraint",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ElasticNet",
    "ExponentialDecay",
    "GaussianDropout",
    "GradientReport",
    "GroupLasso",
    "History",
    "Huber",
    "HyperparameterScheduler",
    "IPiano",
    "InverseTimeDecay",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MaxNorm",
    "MeanSquaredError",
    "Network",
    "NonFiniteLossError",
    "NotConvergedError",
    "Optimizer",
    "Parameter",
    "Parameters",
    "Penalty",
    "Poisson",
    "Progress",
    "Quantile",
    "RMSprop",
    "ReLU",
    "ReduceLROnPlateau",
    "SampledPredictions",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Solution",
    "StepDecay",
    "Tanh",
    "TrainingState",
    "Warmup",
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
    "load_optimizer",
    "ones",
    "sample_predictions",
    "save",
    "sigmoid",
    "softmax",
    "solve",
    "standard_normal",
    "zeros",
]

# To a type checker a module with __getattr__ would have every name.
if not TYPE_CHECKING:  # pragma: no branch  # only a type checker skips it

    def __getattr__(name: str) -> Any:
        # Imported on first use, since training does not need it.
        if name == "explain":
            from nnreg.tracing import explain

            return explain
        if name in ("distributed", "testing"):
            from importlib import import_module

            return import_module(f"nnreg.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
