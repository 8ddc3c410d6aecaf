"""What a comparison can be told, and the five variants that it compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nnreg._support import validation
from nnreg.optimizers import SGD, Adam, Optimizer, RMSprop
from nnreg.penalties import METHODS

VARIANTS = ("none", "L2", "L1", "dropout", "dropout + L2")

OPTIMIZERS: Mapping[str, tuple[Callable[[float], Optimizer], float]] = {
    "sgd": (SGD, 0.1),
    "momentum": (lambda rate: SGD(rate, momentum=0.9), 0.02),
    "nesterov": (lambda rate: SGD(rate, momentum=0.9, nesterov=True), 0.02),
    "rmsprop": (RMSprop, 1e-3),
    "adam": (Adam, 1e-3),
}
"""By name: what makes the optimizer from its learning rate, and the default of that."""

STEPS = 1000  # that a run has by default, roughly

DEMONSTRATION: Mapping[str, Mapping[str, float]] = {
    "digits": {"train_size": 300, "label_noise": 0.15}
}
"""By the name of data that are there to show overfitting: settings under which it happens."""


@dataclass(frozen=True)
class Strengths:
    """How strongly a variant regularizes.

    Parameters
    ----------
    l2, l1 : float, default 0
        Strengths of the penalties; 0 is none.
    keep_prob : float, default 1
        The probability that a hidden unit is kept; 1 is no dropout.

    Examples
    --------
    >>> str(Strengths(l2=0.01, keep_prob=0.5))
    'L2 0.01, keep_prob 0.5'
    """

    l2: float = 0.0
    l1: float = 0.0
    keep_prob: float = 1.0

    def __str__(self) -> str:
        parts = [f"{name} {value:g}" for name, value in (("L2", self.l2), ("L1", self.l1)) if value]
        if self.keep_prob < 1:
            parts.append(f"keep_prob {self.keep_prob:g}")
        return ", ".join(parts) or "none"


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a network and its training that several experiments have.

    Parameters
    ----------
    hidden : tuple of int, default (256, 256)
        Units of the hidden layers, each followed by ReLU.
    epochs : int, optional
        By default as many as make 1,000 steps, but at least 10 and at most 100.
    batch_size : int, default 32
    learning_rate : float, optional
        By default the optimizer's own; see `OPTIMIZERS`.
    optimizer : str, default "adam"
    train_size : int, optional
        Number of training rows to use; by default all.
    label_noise : float, default 0
        Share of the training labels, in [0, 0.5), to make wrong.
    repeats : int, default 3
    seed : int, default 0
        Chooses rows and wrong labels; repeat number r is trained with the seed ``seed + r``.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> TrainingSettings(optimizer="sgd").rate
    0.1
    """

    hidden: tuple[int, ...] = (256, 256)
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    optimizer: str = "adam"
    train_size: int | None = None
    label_noise: float = 0.0
    repeats: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for units in self.hidden:
            validation.whole("hidden", units, 1)
        if self.learning_rate is not None:
            validation.number("learning_rate", self.learning_rate, 0, open_low=True)
        for name in ("epochs", "train_size"):
            if getattr(self, name) is not None:
                validation.whole(name, getattr(self, name), 1)
        validation.whole("batch_size", self.batch_size, 1)
        validation.whole("repeats", self.repeats, 1)
        validation.whole("seed", self.seed)
        validation.number("label_noise", self.label_noise, 0, 0.5, open_high=True)
        validation.one_of("optimizer", self.optimizer, OPTIMIZERS)

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        default = OPTIMIZERS[self.optimizer][1]
        return default if self.learning_rate is None else self.learning_rate

    def epochs_for(self, rows: int) -> int:
        """Return the number of epochs for a number of training rows.

        >>> settings = TrainingSettings()
        >>> settings.epochs_for(300), settings.epochs_for(60_000)
        (100, 10)
        """
        if self.epochs is not None:
            return self.epochs
        batches = -(-rows // self.batch_size)
        return min(100, max(10, round(STEPS / batches)))

    def new_optimizer(self) -> Optimizer:
        """Return an optimizer without state."""
        return OPTIMIZERS[self.optimizer][0](self.rate)


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """The settings of a comparison; a strength that is not given is chosen on validation rows.

    Parameters
    ----------
    hidden, epochs, batch_size, learning_rate, optimizer, train_size, label_noise, repeats, seed
        As in `TrainingSettings`. After each hidden layer a variant may have dropout.
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

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("l2", "l1"):
            if getattr(self, name) is not None:
                validation.number(name, getattr(self, name), 0)
        if self.keep_prob is not None:
            validation.number("keep_prob", self.keep_prob, 0, 1, open_low=True)
        validation.one_of("l1_method", self.l1_method, METHODS)
