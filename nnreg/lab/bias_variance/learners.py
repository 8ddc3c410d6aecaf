"""Learners: functions that train a model on rows, with a seed, and return its prediction function.

A learner is any function ``(x, y, outputs, seed) -> predict``. This module has a network, and a
polynomial, whose capacity is one number and whose coefficients are computed by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.lab.settings import OPTIMIZERS, CheckedSettings, Strengths, build_network
from nnreg.losses import MeanSquaredError, SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.training.loop import fit

Predict = Callable[[Array], Array]
Learner = Callable[[Array, Array, int, int], Predict]
"""(x, y, outputs, seed) -> predict: inputs (N, D); targets (N, M) or labels (N,); M, or the number
of classes; a seed. ``predict`` takes inputs and returns outputs (N, M) or classes (N,)."""


@dataclass(frozen=True)
class NetworkLearner(CheckedSettings):
    """A network with ReLU and dropout after each hidden layer, as in `nnreg compare`.

    The loss is the softmax cross-entropy for labels and the squared error for other targets.

    Parameters
    ----------
    hidden : tuple of int, default (32,)
        Units of the hidden layers.
    l2, l1 : float, default 0
        Strengths of the penalties; at most one of them above 0.
    keep_prob : float, default 1
    epochs : int, default 300
    batch_size : int, default 32
    learning_rate : float, default 0.05
    optimizer : str, default "adam"
        One of `nnreg.lab.OPTIMIZERS`.

    Raises
    ------
    ValueError, TypeError
        If one of them is out of range.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 20)[:, np.newaxis]
    >>> predict = NetworkLearner(hidden=(8,))(x, abs(x), 1, 0)
    >>> bool((abs(predict(x) - abs(x)) < 0.2).all())
    True
    """

    hidden: tuple[int, ...] = (32,)
    l2: float = 0.0
    l1: float = 0.0
    keep_prob: float = 1.0
    epochs: int = 300
    batch_size: int = 32
    learning_rate: float = 0.05
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.l2 and self.l1:
            raise ValueError(f"l1 must be 0 unless l2 is 0, got l1={self.l1} and l2={self.l2}")

    def __call__(self, x: Array, y: Array, outputs: int, seed: int) -> Predict:
        """Train a network, and return its predictions as a function."""
        net = build_network(
            self.hidden,
            Strengths(self.l2, self.l1, self.keep_prob),
            inputs=x.shape[1],
            outputs=outputs,
            seed=seed,
        )
        loss = SoftmaxCrossEntropy() if y.ndim == 1 else MeanSquaredError()
        fit(
            net,
            x,
            y,
            loss=loss,
            optimizer=OPTIMIZERS[self.optimizer][0](self.learning_rate),
            epochs=self.epochs,
            batch_size=self.batch_size,
        )
        return partial(_predict_classes, net) if y.ndim == 1 else net.predict


@dataclass(frozen=True)
class Polynomial(CheckedSettings):
    """Least-squares polynomial of one input.

    For labels one polynomial per class is fitted to the one-hot vectors; the predicted class is
    that of the largest value.

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

    def __call__(self, x: Array, y: Array, outputs: int, seed: int) -> Predict:
        """Fit the polynomial, and return its predictions as a function; ``seed`` is not used."""
        if x.shape[1] != 1:
            raise ValueError(f"a polynomial has one input, got x of shape {x.shape}")
        # Legendre polynomials of x scaled to [-1, 1] are well conditioned.
        basis = partial(_legendre, self.degree, x.mean(), np.ptp(x) / 2 or 1.0)
        targets = np.eye(outputs)[y] if y.ndim == 1 else y
        coefficients = np.linalg.lstsq(basis(x), targets, rcond=None)[0]
        return partial(_predict_polynomial, basis, coefficients, y.ndim == 1)


# Functions of the module can be pickled, nested functions cannot.
def _predict_classes(net: Network, x: Array) -> Array:
    return SoftmaxCrossEntropy().classes(net.predict(x))


def _legendre(degree: int, center: float, scale: float, x: Array) -> Array:
    """Return the Legendre polynomials up to a degree, (N, degree + 1)."""
    return np.polynomial.legendre.legvander((x[:, 0] - center) / scale, degree)


def _predict_polynomial(basis: Predict, coefficients: Array, labels: bool, x: Array) -> Array:
    values = basis(x) @ coefficients
    return np.asarray(values.argmax(axis=1) if labels else values)


AXES: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "width": ("hidden units", (1, 2, 3, 4, 8, 16, 64)),
    "l2": ("L2 strength", (1.0, 0.1, 0.03, 0.001, 0.0001)),
    "l1": ("L1 strength", (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0001)),
    "keep-prob": ("keep_prob", (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0)),
    "degree": ("degree", (0, 1, 2, 3, 4, 5, 6)),
}
"""By name of the size or strength that a sweep varies: its label in pictures and tables, and its
default values, in order of increasing flexibility of the model."""


def sweep(
    axis: str, values: Iterable[float] | None = None, base: NetworkLearner | None = None
) -> dict[str, Learner]:
    """Return learners that differ in one size or strength, for `nnreg.lab.bias_variance_sweep`.

    Parameters
    ----------
    axis : {"width", "l2", "l1", "keep-prob", "degree"}
    values : iterable of float, optional
        By default those of `nnreg.lab.bias_variance.learners.AXES`.
    base : NetworkLearner, optional
        The common settings of all learners.

    Returns
    -------
    dict of str to Learner
        By value, formatted with six digits.

    Raises
    ------
    ValueError, TypeError
        If the axis is unknown, or ``values`` is empty, has equal values or one out of range.

    Examples
    --------
    >>> sweep("l2", [0.1], NetworkLearner(hidden=(8,)))["0.1"].l2
    0.1
    """
    validation.one_of("axis", axis, AXES)
    base = NetworkLearner() if base is None else base
    learners: dict[str, Learner] = {}
    for value in AXES[axis][1] if values is None else values:
        setting: dict[str, Any] = {axis.replace("-", "_"): value}
        if axis == "width":
            setting = {"hidden": (validation.whole("width", value, 1),)}
        learner = Polynomial(**setting) if axis == "degree" else replace(base, **setting)
        if f"{value:g}" in learners:
            raise ValueError(f"values must differ in their first six digits, got {value:g} twice")
        learners[f"{value:g}"] = learner
    if not learners:
        raise ValueError("values must not be empty")
    return learners
