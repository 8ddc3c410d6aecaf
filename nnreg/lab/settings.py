"""Settings of the experiments, their defaults, and the network that they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

from nnreg._support import validation
from nnreg.datasets import Dataset
from nnreg.lab.preprocessing import PreparedRows, prepare
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout
from nnreg.network import Network
from nnreg.optimizers import SGD, Adam, Optimizer, RMSprop
from nnreg.penalties import L1, L2, METHODS, ElasticNet, Penalty

VARIANTS = ("none", "L2", "L1", "dropout", "dropout + L2")

OPTIMIZERS: Mapping[str, tuple[Callable[[float], Optimizer], float]] = {
    "sgd": (SGD, 0.1),
    "momentum": (lambda rate: SGD(rate, momentum=0.9), 0.02),
    "nesterov": (lambda rate: SGD(rate, momentum=0.9, nesterov=True), 0.02),
    "rmsprop": (RMSprop, 1e-3),
    "adam": (Adam, 1e-3),
}
"""By name: a function that returns the optimizer for a learning rate, and the default rate."""

ACTIVATIONS: Mapping[str, Callable[[], Layer]] = {
    "relu": ReLU,
    "leaky-relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "softplus": Softplus,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
}
"""By name: a function that returns the activation of a hidden layer."""

DEMONSTRATION: Mapping[str, Mapping[str, float]] = {
    "digits": {"train_size": 300, "label_noise": 0.15}
}
"""By name of the dataset: settings for which the default network overfits."""


@dataclass(frozen=True)
class Strengths:
    """Strengths of the regularizers of one variant.

    Parameters
    ----------
    l2, l1 : float, default 0
        Strengths of the penalties; 0 is no penalty.
    keep_prob : float, default 1
        Probability that dropout keeps a hidden unit; 1 is no dropout.

    Examples
    --------
    >>> str(Strengths(l2=0.01, keep_prob=0.5))
    'L2 0.01, keep_prob 0.5'
    """

    l2: float = 0.0
    l1: float = 0.0
    keep_prob: float = 1.0

    def scale(self, factor: float) -> Strengths:
        """Return strengths that are ``factor`` times as large; for dropout, the odds of dropping.

        >>> str(Strengths(l2=0.01, keep_prob=0.5).scale(3))
        'L2 0.03, keep_prob 0.25'
        """
        odds = factor * (1 / self.keep_prob - 1)
        scaled = factor * self.l2, factor * self.l1, 1 / (1 + odds)
        return Strengths(*(float(f"{value:.3g}") for value in scaled))

    def __str__(self) -> str:
        parts = [f"{name} {value:g}" for name, value in (("L2", self.l2), ("L1", self.l1)) if value]
        if self.keep_prob < 1:
            parts.append(f"keep_prob {self.keep_prob:g}")
        return ", ".join(parts) or "none"


CHECKS: Mapping[str, Callable[[str, Any], object]] = {
    "hidden": lambda name, widths: [validation.whole(name, units, 1) for units in widths],
    "epochs": partial(validation.whole, low=1),
    "batch_size": partial(validation.whole, low=1),
    "learning_rate": partial(validation.number, low=0, open_low=True),
    "optimizer": partial(validation.one_of, known=OPTIMIZERS),
    "activation": partial(validation.one_of, known=ACTIVATIONS),
    "validation_split": partial(validation.number, low=0, high=1, open_high=True),
    "early_stopping": partial(validation.whole, low=1),
    "standardize": validation.flag,
    "train_size": partial(validation.whole, low=1),
    "label_noise": partial(validation.number, low=0, high=0.5, open_high=True),
    "repeats": partial(validation.whole, low=1),
    "seed": validation.whole,
    "l2": partial(validation.number, low=0),
    "l1": partial(validation.number, low=0),
    "keep_prob": partial(validation.number, low=0, high=1, open_low=True),
    "l1_method": partial(validation.one_of, known=METHODS),
    "points": partial(validation.whole, low=2),
    "ratio": partial(validation.number, low=0, high=1, open_low=True, open_high=True),
    "rows": partial(validation.whole, low=1),
    "datasets": partial(validation.whole, low=3),
    "seeds": partial(validation.whole, low=1),
    "degree": validation.whole,
}
"""By name of the setting, for all experiments: a function that raises if its value is invalid."""


class CheckedSettings:
    """The base class of dataclasses whose fields are checked by `CHECKS`.

    None is accepted where it is the default.
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            optional = getattr(type(self), name, ...) is None
            if name in CHECKS and not (optional and value is None):
                CHECKS[name](name, value)


@dataclass(frozen=True)
class FitSettings(CheckedSettings):
    """The settings of a network's hidden layers and of its training.

    Parameters
    ----------
    hidden : tuple of int, default (256, 256)
        Units of the hidden layers.
    epochs : int, optional
        By default the number that makes about 1,000 steps, at least 10 and at most 100.
    batch_size : int, default 32
    learning_rate : float, optional
        By default that of the optimizer in `OPTIMIZERS`.
    optimizer : str, default "adam"
        One of `OPTIMIZERS`.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> FitSettings(batch_size=0)
    Traceback (most recent call last):
        ...
    ValueError: batch_size must be a whole number of at least 1, got 0
    """

    steps: ClassVar[int] = 1000  # approximately, if ``epochs`` is None
    hidden: tuple[int, ...] = (256, 256)
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    optimizer: str = "adam"

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        default = OPTIMIZERS[self.optimizer][1]
        return default if self.learning_rate is None else self.learning_rate

    def epochs_for(self, rows: int) -> int:
        """Return the number of epochs for a number of training rows.

        >>> (
        ...     FitSettings().epochs_for(300),
        ...     FitSettings().epochs_for(60_000),
        ...     FitSettings(epochs=3).epochs_for(1),
        ... )
        (100, 10, 3)
        """
        if self.epochs is not None:
            return self.epochs
        batches = -(-rows // self.batch_size)
        return min(100, max(10, round(self.steps / batches)))

    def new_optimizer(self) -> Optimizer:
        """Return a new optimizer."""
        return OPTIMIZERS[self.optimizer][0](self.rate)


@dataclass(frozen=True)
class TrainingSettings(FitSettings):
    """The settings that every experiment on a dataset has.

    Parameters
    ----------
    hidden, epochs, batch_size, learning_rate, optimizer
        See `FitSettings`. ReLU follows each hidden layer.
    train_size : int, optional
        Number of training rows to use; by default all.
    label_noise : float, default 0
        Share of the training labels, in [0, 0.5), to make wrong.
    repeats : int, default 3
    seed : int, default 0
        Determines the rows and the wrong labels; repeat r is trained with the seed ``seed + r``.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> TrainingSettings(repeats=0)
    Traceback (most recent call last):
        ...
    ValueError: repeats must be a whole number of at least 1, got 0
    """

    train_size: int | None = None
    label_noise: float = 0.0
    repeats: int = 3
    seed: int = 0

    def prepare(self, dataset: Dataset) -> tuple[PreparedRows, Self]:
        """Return prepared rows, and the settings with ``epochs`` and ``train_size`` filled in."""
        rows = prepare(
            dataset, train_size=self.train_size, label_noise=self.label_noise, seed=self.seed
        )
        n = len(rows.x)
        return rows, replace(self, epochs=self.epochs_for(n), train_size=n)


@dataclass(frozen=True)
class ModelSettings(FitSettings):
    """The settings of `nnreg train`.

    Parameters
    ----------
    hidden : tuple of int, default (64, 64)
    epochs, batch_size, learning_rate, optimizer
        See `FitSettings`.
    activation : str, default "relu"
        Of the hidden layers; one of `ACTIVATIONS`.
    l2, l1 : float, default 0
        Strengths of the penalties; L1 is proximal.
    keep_prob : float, default 1
        Probability that dropout keeps a hidden unit.
    validation_split : float, default 0.2
        Share of the rows that are held out for validation.
    early_stopping : int, optional
        Epochs without a lower validation loss after which training stops.
    standardize : bool, default True
    seed : int, default 0

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> ModelSettings(keep_prob=0.0)
    Traceback (most recent call last):
        ...
    ValueError: keep_prob must be a number in (0, 1], got 0.0
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    l2: float = 0.0
    l1: float = 0.0
    keep_prob: float = 1.0
    validation_split: float = 0.2
    early_stopping: int | None = None
    standardize: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """The settings of a comparison; a strength of None is selected on validation rows.

    Parameters
    ----------
    hidden, epochs, batch_size, learning_rate, optimizer, train_size, label_noise, repeats, seed
        See `TrainingSettings`. There is dropout after every hidden layer.
    l2, l1 : float, optional
    keep_prob : float, optional
    l1_method : {"proximal", "subgradient"}, default "proximal"

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> Settings(keep_prob=2.0)
    Traceback (most recent call last):
        ...
    ValueError: keep_prob must be a number in (0, 1], got 2.0
    """

    l2: float | None = None
    l1: float | None = None
    keep_prob: float | None = None
    l1_method: str = "proximal"


def build_network(
    hidden: tuple[int, ...],
    strengths: Strengths,
    *,
    inputs: int,
    outputs: int,
    seed: int,
    l1_method: str = "proximal",
    activation: str = "relu",
) -> Network:
    """Return the network of one variant; initial weights depend on the seed, not on the variant.

    Parameters
    ----------
    hidden : tuple of int
        Units of the hidden layers, each followed by the activation and dropout.
    strengths : Strengths
    inputs, outputs, seed : int
    l1_method : {"proximal", "subgradient"}, default "proximal"
    activation : str, default "relu"
        One of `ACTIVATIONS`.

    Examples
    --------
    >>> plain, dropout = (
    ...     build_network((8,), Strengths(keep_prob=keep), inputs=4, outputs=3, seed=0)
    ...     for keep in (1.0, 0.5)
    ... )
    >>> bool((plain.parameters.vector == dropout.parameters.vector).all())
    True
    """
    layers: list[Layer] = []
    for units in hidden:
        layers += [
            Dense(units),
            ACTIVATIONS[activation](),
            Dropout(keep_prob=strengths.keep_prob),
        ]
    penalty: Penalty | None = None
    if strengths.l1 and strengths.l2:
        penalty = ElasticNet(strengths.l1, strengths.l2, method=l1_method)
    elif strengths.l2:
        penalty = L2(strengths.l2)
    elif strengths.l1:
        penalty = L1(strengths.l1, method=l1_method)
    return Network([*layers, Dense(outputs)], inputs=inputs, penalty=penalty, seed=seed)
