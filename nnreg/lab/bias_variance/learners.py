"""Ways to learn: from training rows and a seed to a function that predicts.

A learner is any function ``(x, y, outputs, seed) -> predict``; here are a network and, because its
size is one number and its answer is exact, a polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.lab.settings import Settings, Strengths, build_network
from nnreg.losses import MeanSquaredError, SoftmaxCrossEntropy
from nnreg.training.loop import fit

Predict = Callable[[Array], Array]
Learner = Callable[[Array, Array, int, int], Predict]
"""(x, y, outputs, seed): inputs (N, D); targets, (N, M) or labels (N,); M, or the number of
classes; and what all else is drawn from. It returns a function of inputs, which gives outputs
(N, M) or classes (N,)."""


@dataclass(frozen=True)
class NetworkLearner:
    """A network as `nnreg compare` has it: hidden layers with ReLU and, after each, dropout.

    Labels are learned with the softmax cross-entropy, other targets with the squared error.

    Parameters
    ----------
    hidden : tuple of int, default (32,)
        Units of the hidden layers.
    l2, l1 : float, default 0
        Strengths of the penalties; at most one of them above 0.
    keep_prob : float, default 1
    epochs : int, default 1000
    batch_size : int, default 32
    learning_rate : float, default 0.02
    optimizer : str, default "adam"
        One of `nnreg.lab.OPTIMIZERS`.

    Raises
    ------
    ValueError, TypeError
        If one of them is out of range.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> predict = NetworkLearner(hidden=(8,), epochs=200)(x, abs(x), 1, 0)
    >>> bool((abs(predict(x) - abs(x)) < 0.2).all())
    True
    """

    hidden: tuple[int, ...] = (32,)
    l2: float = 0.0
    l1: float = 0.0
    keep_prob: float = 1.0
    epochs: int = 1000
    batch_size: int = 32
    learning_rate: float = 0.02
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        self._settings()
        if self.l2 and self.l1:
            raise ValueError(f"l1 must be 0 where l2 is not, got {self.l1} beside {self.l2}")

    def __call__(self, x: Array, y: Array, outputs: int, seed: int) -> Predict:
        """Train it."""
        settings = self._settings()
        strengths = Strengths(self.l2, self.l1, self.keep_prob)
        net = build_network(self.hidden, strengths, inputs=x.shape[1], outputs=outputs, seed=seed)
        loss = SoftmaxCrossEntropy() if y.ndim == 1 else MeanSquaredError()
        fit(
            net,
            x,
            y,
            loss=loss,
            optimizer=settings.new_optimizer(),
            epochs=self.epochs,
            batch_size=self.batch_size,
        )
        if isinstance(loss, SoftmaxCrossEntropy):
            return lambda x: loss.classes(net.predict(x))
        return net.predict

    def _settings(self) -> Settings:
        return Settings(**vars(self))


@dataclass(frozen=True)
class Polynomial:
    """The polynomial of least squares, of one input.

    Classes are those whose polynomials, fitted to their vectors with a single 1, are largest.

    Parameters
    ----------
    degree : int

    Raises
    ------
    ValueError, TypeError
        If it is not a whole number of at least 0.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> Polynomial(2)(x, x**2, 1, 0)(np.array([[3.0]])).round(9)
    array([[9.]])
    """

    degree: int

    def __post_init__(self) -> None:
        validation.whole("degree", self.degree)

    def __call__(self, x: Array, y: Array, outputs: int, seed: int) -> Predict:
        """Fit it; the seed changes nothing."""
        if x.shape[1] != 1:
            raise ValueError(f"a polynomial has one input, got x of shape {x.shape}")
        centre, reach = x.mean(), np.ptp(x) / 2 or 1.0  # powers of small numbers stay small
        targets = np.eye(outputs)[y] if y.ndim == 1 else y

        def powers(x: Array) -> Array:
            return np.polynomial.legendre.legvander((x[:, 0] - centre) / reach, self.degree)

        coefficients = np.linalg.lstsq(powers(x), targets, rcond=None)[0]
        if y.ndim == 1:
            return lambda x: np.asarray((powers(x) @ coefficients).argmax(axis=1))
        return lambda x: np.asarray(powers(x) @ coefficients)


@dataclass(frozen=True)
class Axis:
    """What a sweep varies.

    Parameters
    ----------
    label : str
        Its name in pictures and tables.
    learner : function (base, value) -> learner
    values : tuple of float
        Taken unless others are given: from stiff to flexible.

    Examples
    --------
    >>> AXES["l2"].learner(NetworkLearner(hidden=(8,)), 0.1).l2
    0.1
    """

    label: str
    learner: Callable[[NetworkLearner, float], NetworkLearner | Polynomial]
    values: tuple[float, ...]


AXES: Mapping[str, Axis] = {
    "width": Axis(
        "hidden units",
        lambda base, value: replace(base, hidden=(validation.whole("width", value, 1),)),
        (1, 2, 3, 4, 8, 16, 64),
    ),
    "l2": Axis(
        "L2 strength",
        lambda base, value: replace(base, l2=value),
        (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0001),
    ),
    "l1": Axis(
        "L1 strength",
        lambda base, value: replace(base, l1=value),
        (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0001),
    ),
    "keep-prob": Axis(
        "keep_prob",
        lambda base, value: replace(base, keep_prob=value),
        (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0),
    ),
    "degree": Axis(
        "degree",
        lambda base, value: Polynomial(validation.whole("degree", value)),
        (0, 1, 2, 3, 4, 5, 6),
    ),
}


def sweep(
    axis: str, values: Iterable[float] | None = None, base: NetworkLearner | None = None
) -> dict[str, Learner]:
    """Return learners that differ in one size or strength, for `nnreg.lab.bias_variance_sweep`.

    Parameters
    ----------
    axis : {"width", "l2", "l1", "keep-prob", "degree"}
    values : iterable of float, optional
        Unless given, those of `nnreg.lab.bias_variance.learners.AXES`.
    base : NetworkLearner, optional
        What they share.

    Returns
    -------
    dict of str to Learner
        By the values, as text.

    Raises
    ------
    ValueError, TypeError
        If there is no such axis, no value, or one that the axis cannot have.

    Examples
    --------
    >>> sweep("l2", [0.1], NetworkLearner(hidden=(8,)))["0.1"].l2
    0.1
    """
    chosen = AXES[validation.one_of("axis", axis, AXES)]
    base = NetworkLearner() if base is None else base
    learners: dict[str, Learner] = {}
    for value in chosen.values if values is None else values:
        learners[f"{value:g}"] = chosen.learner(base, value)
    if not learners:
        raise ValueError("values must not be empty")
    return learners
