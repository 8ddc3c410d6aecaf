"""Data-generating processes: known distributions of inputs and targets.

A process draws inputs ``x``, and a target ``y`` for each. Unlike for real data, the mean of the
targets is known at every input, ``f(x) = E[y | x]``, which is the best possible prediction, and so
is their variance around it, the noise. A decomposition into bias and variance requires both.

Regression and classification are both described by vectors and squared distances. For regression
the loss is the squared error. Classes are one-hot vectors: half the squared distance between the
vectors of the label and of the predicted class is 0 if they agree and 1 if they differ, so the 0-1
loss *is* a squared error, and ``f(x)`` is the vector of the classes' probabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from nnreg._support import validation
from nnreg._support.typing import Array


class DataGeneratingProcess(ABC):
    """The base class of processes; to write one, derive from `Regression` or `Classification`.

    Attributes
    ----------
    outputs : int
        Number of columns M of the targets, or of classes K.
    """

    outputs: int

    @property
    @abstractmethod
    def scale(self) -> float:
        """The factor from a squared distance between vectors to the loss."""

    @abstractmethod
    def draw_inputs(self, n: int, rng: Generator) -> Array:
        """Return ``n`` inputs, (n, D)."""

    @abstractmethod
    def draw_targets(self, x: Array, rng: Generator) -> Array:
        """Return a target for every row."""

    @abstractmethod
    def expected(self, x: Array) -> Array:
        """Return the mean of the targets' vectors at every row, (N, M)."""

    @abstractmethod
    def noise_at(self, x: Array) -> Array:
        """Return the expected loss of predicting :meth:`expected`, (N,)."""

    @abstractmethod
    def baseline(self, x: Array) -> float:
        """Return the expected loss, over these inputs, of the best constant prediction."""

    @abstractmethod
    def vectors(self, values: Array) -> Array:
        """Return targets or predictions as vectors, (..., M)."""

    def losses(self, targets: Array, predictions: Array) -> Array:
        """Return the loss of every row, (N,)."""
        differences = self.vectors(targets) - self.vectors(predictions)
        return np.asarray(self.scale * (differences**2).sum(axis=-1))


class Regression(DataGeneratingProcess):
    """Targets ``y = f(x) + noise·e`` with ``e`` standard normal; the loss is the squared error.

    A derived class defines ``draw_inputs``, ``function`` and ``noise`` and, if it is not 1, the
    number of ``outputs``. The loss is the mean over the outputs.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Line(Regression):
    ...     noise: float = 0.5
    ...
    ...     def draw_inputs(self, n, rng):
    ...         return rng.uniform(-1, 1, (n, 1))
    ...
    ...     def function(self, x):
    ...         return 2 * x
    >>> Line().expected(np.array([[1.0]])), Line().noise_at(np.array([[1.0]]))
    (array([[2.]]), array([0.25]))
    """

    outputs = 1
    noise: float

    @property
    def scale(self) -> float:
        """One over the number of outputs."""
        return 1 / self.outputs

    @abstractmethod
    def function(self, x: Array) -> Array:
        """Return ``f(x)``, (N, M)."""

    def expected(self, x: Array) -> Array:
        """Return ``f(x)``."""
        return self.function(x)

    def draw_targets(self, x: Array, rng: Generator) -> Array:
        """Return noisy targets, (N, M)."""
        mean = self.function(x)
        return np.asarray(mean + self.noise * rng.standard_normal(mean.shape))

    def noise_at(self, x: Array) -> Array:
        """Return ``noise²`` for every row."""
        return np.full(len(x), float(self.noise) ** 2)

    def baseline(self, x: Array) -> float:
        """Return the mean variance of ``f(x)``, plus ``noise²``."""
        return float(self.function(x).var(axis=0).mean()) + float(self.noise) ** 2

    def vectors(self, values: Array) -> Array:
        """Return the values as float64."""
        return np.asarray(values, dtype=np.float64)


class Classification(DataGeneratingProcess):
    """Labels drawn with known probabilities; the loss is the 0-1 loss.

    A derived class defines ``draw_inputs``, ``probabilities`` and the number of ``outputs``, K.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Coin(Classification):
    ...     outputs = 2
    ...
    ...     def draw_inputs(self, n, rng):
    ...         return rng.uniform(size=(n, 1))
    ...
    ...     def probabilities(self, x):
    ...         return np.hstack((1 - x, x))
    >>> Coin().noise_at(np.array([[0.5], [1.0]]))
    array([0.25, 0.  ])
    >>> Coin().losses(np.array([0, 1]), np.array([1, 1]))
    array([1., 0.])
    """

    scale = 0.5

    @abstractmethod
    def probabilities(self, x: Array) -> Array:
        """Return the classes' probabilities, (N, K)."""

    def expected(self, x: Array) -> Array:
        """Return ``probabilities(x)``."""
        return self.probabilities(x)

    def draw_targets(self, x: Array, rng: Generator) -> Array:
        """Return labels, (N,) int64."""
        thresholds = self.probabilities(x).cumsum(axis=1)[:, :-1]
        return np.asarray((rng.uniform(size=(len(x), 1)) >= thresholds).sum(axis=1))

    def noise_at(self, x: Array) -> Array:
        """Return ``½ (1 - Σₖ pₖ²)``."""
        return np.asarray(0.5 * (1 - (self.probabilities(x) ** 2).sum(axis=1)))

    def baseline(self, x: Array) -> float:
        """Return the share of labels that are not of the most frequent class."""
        return 1.0 - float(self.probabilities(x).mean(axis=0).max())

    def vectors(self, values: Array) -> Array:
        """Return one-hot vectors."""
        return np.eye(self.outputs)[values]


@dataclass(frozen=True)
class Sine(Regression):
    """One period of the sine, ``x`` uniform in [-π, π), as in `nnreg.datasets.noisy_sine`.

    Parameters
    ----------
    noise : float, default 0.4
        Standard deviation of the targets.

    Examples
    --------
    >>> Sine().function(np.array([[0.0]]))
    array([[0.]])
    """

    noise: float = 0.4

    def __post_init__(self) -> None:
        validation.number("noise", self.noise, 0)

    def draw_inputs(self, n: int, rng: Generator) -> Array:
        """Return ``n`` inputs, (n, 1)."""
        return rng.uniform(-np.pi, np.pi, (n, 1))

    def function(self, x: Array) -> Array:
        """Return ``sin(x)``."""
        return np.sin(x)


@dataclass(frozen=True)
class Bands(Classification):
    """Four intervals of [-π, π) with the classes 0, 1, 0, 1; ``x`` is uniform.

    Parameters
    ----------
    noise : float, default 0.1
        The probability, in [0, 0.5), that a label is wrong.

    Examples
    --------
    >>> Bands().probabilities(np.array([[-2.0], [-1.0], [1.0], [2.0]]))[:, 1]
    array([0.9, 0.1, 0.9, 0.1])
    """

    outputs = 2
    noise: float = 0.1

    def __post_init__(self) -> None:
        validation.number("noise", self.noise, 0, 0.5, open_high=True)

    def draw_inputs(self, n: int, rng: Generator) -> Array:
        """Return ``n`` inputs, (n, 1)."""
        return rng.uniform(-np.pi, np.pi, (n, 1))

    def probabilities(self, x: Array) -> Array:
        """Return the probabilities of both classes."""
        second = np.where(np.sin(2 * x) > 0, 1 - self.noise, self.noise)
        return np.hstack((1 - second, second))


PROCESSES: dict[str, type[Sine] | type[Bands]] = {"sine": Sine, "bands": Bands}
