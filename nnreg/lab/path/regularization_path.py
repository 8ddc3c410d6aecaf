r"""Regularization path: one model trained at a sequence of penalty strengths, each warm-started.

A linear model is trained from the strongest penalty down, as glmnet does it (Friedman, Hastie &
Tibshirani, 2010, section 2.5). Zero weights are optimal at strengths of at least
:func:`lambda_max`, which for L1 is ``max |∂data_loss/∂w|`` at zero weights and the best biases; for
squared error that is ``max |xᵀ(y - ȳ)|·2/(N·M)``. Training with the next, weaker penalty starts
from the optimum.

A network with hidden layers cannot start from zero weights: all their derivatives are zero there,
so the weights would stay zero at every strength. It is trained from its initial weights with the
weakest penalty first, and then with stronger ones, each from the weights of the one before. Its
greatest strength is ``max |∂data_loss/∂w|`` at the initial weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.lab.path.convex import is_linear, solve
from nnreg.lab.stationarity import compute_data_gradient, measure_stationarity
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import L1, Penalty
from nnreg.training import data
from nnreg.training.loop import evaluate
from nnreg.training.metrics import Metric

BISECTIONS = 60


def lasso(strength: float) -> Penalty:
    """Return the proximal L1 penalty of this strength.

    >>> lasso(0.1)
    L1(strength=0.1, method='proximal')
    """
    return L1(strength, method="proximal")


@dataclass(frozen=True, eq=False)
class PathPoint:
    """The network at one penalty strength.

    Parameters
    ----------
    strength : float
    figures : dict of str to float
        ``nonzeros``, the number of weights that are not exactly zero; ``data_loss``, ``penalty``,
        ``total`` and metrics; ``residual`` (see :func:`nnreg.lab.measure_stationarity`);
        ``test_data_loss`` and so on if there are test data; ``seconds``, the training time.
    parameters : ndarray of shape (P,)
        The network's vector: the weights, then the biases.

    Examples
    --------
    >>> PathPoint(0.1, {"nonzeros": 3}, np.zeros(4)).figures["nonzeros"]
    3
    """

    strength: float
    figures: dict[str, float]
    parameters: Array


@dataclass(frozen=True, eq=False)
class RegularizationPath:
    """The points of a path, the strongest penalty first, whatever the order of training.

    Parameters
    ----------
    points : tuple of PathPoint
    weights_size : int
        The number of weights, W, among the parameters of a point.

    Examples
    --------
    >>> RegularizationPath((PathPoint(2.0, {"nonzeros": 0}, np.zeros(2)),), 1).weights
    array([[0.]])
    """

    points: tuple[PathPoint, ...]
    weights_size: int

    @property
    def strengths(self) -> Array:
        """The strengths, (S,), in decreasing order."""
        return np.array([point.strength for point in self.points])

    @property
    def weights(self) -> Array:
        """The weights at each strength, (S, W)."""
        return np.array([point.parameters[: self.weights_size] for point in self.points])

    def values(self, figure: str) -> Array:
        """Return one figure of all points, (S,)."""
        return np.array([point.figures[figure] for point in self.points])


def regularization_path(
    net: Network,
    x: Any,
    y: Any,
    *,
    loss: Loss,
    penalty: Callable[[float], Penalty] = lasso,
    strengths: Iterable[float] | None = None,
    points: int = 20,
    ratio: float = 1e-3,
    train: Callable[[Network], Any] | None = None,
    test_data: tuple[Any, Any] | None = None,
    metrics: Iterable[str | Metric] = (),
) -> RegularizationPath:
    """Train one network at many penalty strengths, each from the weights of the one before.

    Parameters
    ----------
    net : Network
        The initial network. It is not modified. In the copy that is trained, the penalty of the
        network is replaced; those of single layers are not.
    x : array_like of shape (N, D)
    y : array_like
        Targets of the loss.
    loss : Loss
    penalty : function (strength) -> Penalty, default proximal L1
    strengths : iterable of float, optional
        By default a geometric grid, decreasing from ``lambda_max·(1 + √ε)``, with ε of the dtype,
        so that all weights of the first point are zero in spite of rounding; see
        :func:`lambda_max`.
    points : int, default 20
        The number of strengths of the grid.
    ratio : float, default 0.001
        Ratio of the smallest to the greatest strength of the grid.
    train : function (Network), optional
        Trains a network in place with its current penalty. The default for a network of one `Dense`
        layer is :func:`nnreg.lab.solve`; for other networks ``train`` is required.
    test_data : tuple (x, y), optional
    metrics : names or functions, default ()
        As for :func:`nnreg.fit`.

    Returns
    -------
    RegularizationPath

    Raises
    ------
    ValueError, TypeError
        If arguments do not match, or if ``strengths`` is None and the penalty sets no weight to
        zero.

    Examples
    --------
    >>> import nnreg as nn
    >>> x = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> y = x @ [[3.0], [1.0]]
    >>> net = nn.Network([nn.Dense(1)], inputs=2, dtype="float64")
    >>> path = regularization_path(
    ...     net, x, y, loss=nn.MeanSquaredError(), strengths=[6.0, 4.0, 2.0, 0.0]
    ... )
    >>> path.weights.round(9) + 0.0
    array([[0., 0.],
           [1., 0.],
           [2., 0.],
           [3., 1.]])
    """
    x, y = _validate(net, loss, x, y)
    if train is None:
        train = partial(solve, x=x, y=y, loss=loss)
        if not is_linear(net):
            raise ValueError(
                "train is required for a network that is not one Dense layer: "
                "a function that trains it in place, such as lambda net: nn.fit(net, ...)"
            )
    metrics = metrics if isinstance(metrics, str) or callable(metrics) else tuple(metrics)
    evaluate(net, x[:1], y[:1], loss=loss, metrics=metrics)  # raises before training
    if test_data is not None:
        x_test, y_test = test_data
        test_data = _validate(net, loss, x_test, y_test, "test ")
    if strengths is None:
        top = lambda_max(net, x, y, loss=loss, penalty=penalty)
        strengths = strength_grid(top, points, ratio, net.dtype)
    order = [validation.number("strengths", strength, 0) for strength in strengths]
    if not order:
        raise ValueError("strengths must not be empty")
    order.sort(reverse=is_linear(net))
    fitted = net.copy()
    results = []
    for strength in order:
        fitted.penalty = penalty(strength)
        started = time.perf_counter()
        train(fitted)
        seconds = time.perf_counter() - started
        figures = {"nonzeros": float(np.count_nonzero(fitted.parameters.weights))}
        figures |= evaluate(fitted, x, y, loss=loss, metrics=metrics)
        figures["residual"] = measure_stationarity(fitted, x, y, loss=loss).residual
        if test_data is not None:
            test = evaluate(fitted, *test_data, loss=loss, metrics=metrics)
            del test["penalty"], test["total"]
            figures |= {f"test_{name}": value for name, value in test.items()}
        figures["seconds"] = seconds
        results.append(PathPoint(strength, figures, fitted.parameters.vector.copy()))
    results.sort(key=lambda point: -point.strength)
    return RegularizationPath(tuple(results), net.parameters.weights.size)


def _validate(net: Network, loss: Loss, x: Any, y: Any, prefix: str = "") -> tuple[Array, Array]:
    """Return valid inputs, and targets as ``fit`` and ``evaluate`` take them: labels or numbers."""
    x, numbers = data.validate_data(net, loss, x, y, prefix)
    return x, numbers if net.classes is None else np.asarray(y)


def lambda_max(
    net: Network,
    x: Any,
    y: Any,
    *,
    loss: Loss,
    penalty: Callable[[float], Penalty] = lasso,
) -> float:
    """Return the smallest strength at which the proximal map sets every weight to zero.

    Parameters
    ----------
    net : Network
        For one `Dense` layer the result is the smallest strength for which zero weights, with the
        best biases, are optimal. For other networks it is the smallest strength whose proximal map
        sets the gradient of the data loss at the current weights, without dropout, to zero.
    x : array_like of shape (N, D)
    y : array_like
        Targets of the loss.
    loss : Loss
    penalty : function (strength) -> Penalty, default proximal L1

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the penalty has no proximal map, or sets no weight to zero at any strength.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, dtype="float64")
    >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]])
    >>> round(lambda_max(net, x, y, loss=nn.MeanSquaredError()), 9)  # (1*2 + 1*2) * 2/3
    2.666666667
    """
    x, y = data.validate_data(net, loss, x, y)
    probe = net.copy()
    probe.classes = None  # the targets are numbers
    if is_linear(net):
        probe.penalty = None
        # With inputs of zero, the outputs of a linear model are its biases.
        probe.parameters.weights[...] = 0.0
        solve(probe, np.zeros_like(x), y, loss=loss)
    gradient = compute_data_gradient(probe, x, y, loss)[1].vector

    def all_zero(strength: float) -> bool:
        probe.penalty = penalty(strength)
        if not probe.regularization.has_proximal:
            raise ValueError(f"strengths is required: {probe.penalty!r} has no proximal map")
        probe.parameters.vector[...] = gradient
        probe.apply_proximal(1.0)
        return not any(
            probe.parameters.vector[segment].any()
            for _, segment, _ in probe.regularization.penalties
        )

    largest = float(np.abs(gradient).max()) or 1.0
    doublings = (largest * 2.0**i for i in range(BISECTIONS))
    low, high = 0.0, next(filter(all_zero, doublings), None)
    if high is None:
        raise ValueError(f"strengths is required: {penalty(1.0)!r} sets no weight to zero")
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if all_zero(middle) else (middle, high)
    return high


def strength_grid(top: float, points: int, ratio: float, dtype: Any = "float64") -> list[float]:
    """Return a geometric grid of decreasing strengths, which starts slightly above ``top``.

    >>> [round(strength, 6) for strength in strength_grid(1.0, 3, 0.01)]
    [1.0, 0.1, 0.01]
    """
    points = validation.whole("points", points, 2)
    ratio = validation.number("ratio", ratio, 0, 1, open_low=True, open_high=True)
    first = top * (1.0 + float(np.sqrt(np.finfo(dtype).eps)))
    return [float(first * ratio ** (i / (points - 1))) for i in range(points)]
