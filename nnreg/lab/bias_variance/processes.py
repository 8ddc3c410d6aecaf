"""Truths: laws of which everything is known, so that a prediction's errors can be taken apart.

A truth draws inputs, and for inputs it draws targets; and it knows what is never known of real
data: what the targets are *on average*, which is the best that anybody can predict, and how far
they scatter around it.

Both kinds are told in the same way, by vectors and squared distances. For regression that is the
squared error as it stands. For classes, write a class as a vector with a single 1. Half the squared
distance between the label's vector and the predicted class's is 0 where they agree and 1 where they
differ: the 0-1 loss *is* a squared error, and the average target is the vector of the classes'
probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array

if TYPE_CHECKING:
    from numpy.random import Generator


class DataGeneratingProcess:
    """A known law; to write one, derive from `Regression` or `Classification`.

    Attributes
    ----------
    outputs : int
        Columns M of the targets, or classes K.
    scale : float
        What a squared distance between vectors is multiplied by to be the loss.
    """

    outputs: int
    scale: float

    def draw_inputs(self, n: int, rng: Generator) -> Array:
        """Return ``n`` inputs, (n, D)."""
        raise NotImplementedError(f"{type(self).__name__} must define draw_inputs(n, rng)")

    def draw_targets(self, x: Array, rng: Generator) -> Array:
        """Return a target for every row."""
        raise NotImplementedError

    def expected(self, x: Array) -> Array:
        """Return the mean of the targets' vectors at every row, (N, M)."""
        raise NotImplementedError

    def noise_at(self, x: Array) -> Array:
        """Return the loss that is left to whoever predicts :meth:`expected`, (N,)."""
        raise NotImplementedError

    def vectors(self, values: Array) -> Array:
        """Return targets or predictions as vectors, (..., M)."""
        raise NotImplementedError

    def losses(self, targets: Array, predictions: Array) -> Array:
        """Return the loss of every row, (N,)."""
        apart = self.vectors(targets) - self.vectors(predictions)
        return np.asarray(self.scale * (apart**2).sum(axis=-1))


class Regression(DataGeneratingProcess):
    """Targets ``function(x) + noise · e``, ``e`` standard normal; the loss is the squared error.

    A derived class gives ``draw_inputs``, ``function`` and ``noise``, and, where there is more than
    one, the number of ``outputs``. The loss is the mean over these.

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
    def scale(self) -> float:  # type: ignore[override]  # it follows from the number of outputs
        """One over the number of outputs."""
        return 1 / self.outputs

    def function(self, x: Array) -> Array:
        """Return what is true of the inputs, (N, M)."""
        raise NotImplementedError(f"{type(self).__name__} must define function(x)")

    def expected(self, x: Array) -> Array:
        """Return ``function(x)``."""
        return self.function(x)

    def draw_targets(self, x: Array, rng: Generator) -> Array:
        """Return noisy targets, (N, M)."""
        truth = self.function(x)
        return np.asarray(truth + self.noise * rng.standard_normal(truth.shape))

    def noise_at(self, x: Array) -> Array:
        """Return the noise's variance, the same everywhere."""
        return np.full(len(x), float(self.noise) ** 2)

    def vectors(self, values: Array) -> Array:
        """Return them as they are."""
        return np.asarray(values, dtype=np.float64)


class Classification(DataGeneratingProcess):
    """Labels drawn with known probabilities; the loss is 0 where a class is right, else 1.

    A derived class gives ``draw_inputs``, ``probabilities`` and the number of ``outputs``, K.

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

    def probabilities(self, x: Array) -> Array:
        """Return the classes' probabilities, (N, K)."""
        raise NotImplementedError(f"{type(self).__name__} must define probabilities(x)")

    def expected(self, x: Array) -> Array:
        """Return ``probabilities(x)``."""
        return self.probabilities(x)

    def draw_targets(self, x: Array, rng: Generator) -> Array:
        """Return labels, (N,) int64."""
        below = self.probabilities(x).cumsum(axis=1)[:, :-1]
        return np.asarray((rng.uniform(size=(len(x), 1)) >= below).sum(axis=1))

    def noise_at(self, x: Array) -> Array:
        """Return ``½ (1 - Σₖ pₖ²)``."""
        return np.asarray(0.5 * (1 - (self.probabilities(x) ** 2).sum(axis=1)))

    def vectors(self, values: Array) -> Array:
        """Return a 1 in the place of the class, zeros elsewhere."""
        return np.eye(self.outputs)[values]


@dataclass(frozen=True)
class Sine(Regression):
    """One period of the sine, ``x`` uniform in [-π, π): the law of `nnreg.datasets.noisy_sine`.

    Parameters
    ----------
    noise : float, default 0.4
        Standard deviation of the targets around it.

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
        """Return the sine."""
        return np.sin(x)


@dataclass(frozen=True)
class Bands(Classification):
    """Four bands on a line, of classes 0, 1, 0, 1; ``x`` is uniform in [-π, π).

    Parameters
    ----------
    noise : float, default 0.1
        The probability, in [0, 0.5), that a label is the wrong one.

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
