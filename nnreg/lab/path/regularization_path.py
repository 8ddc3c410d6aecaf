r"""The regularization path: one model under ever other strengths of its penalty.

A linear model is walked from the strongest penalty down. It begins where every weight is zero,
since there the answer is known: zero is optimal as long as the penalty holds each weight against
the slope of the data loss there, which for L1 means ``strength ≥ max |∂data_loss/∂w|``; for squared
error that is ``max |xᵀ(y - ȳ)|·2/(N·M)``. Then each optimum is the start for the next.

A network with hidden layers cannot be walked that way. Where all its weights are zero, so are all
their derivatives: at *no* strength would anything ever grow again. It is walked upwards instead:
trained from its initial weights under the weakest penalty first, and from there on under stronger
ones, each from what the one before has left. Its strongest penalty is the one that holds every
weight against the slope of the data loss at the initial weights.
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
from nnreg.lab.path.convex import check_network, is_linear, solve
from nnreg.lab.stationarity import data_slope, measure_stationarity
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import L1, Penalty
from nnreg.training import data
from nnreg.training.loop import evaluate
from nnreg.training.metrics import Metric

HALVINGS = 60


def lasso(strength: float) -> Penalty:
    """Return the proximal L1 of this strength: the penalty of a path, unless another is wanted.

    >>> lasso(0.1)
    L1(strength=0.1, method='proximal')
    """
    return L1(strength, method="proximal")


@dataclass(frozen=True, eq=False)
class PathPoint:
    """What training under one strength came to.

    Parameters
    ----------
    strength : float
    figures : dict of str to float
        ``nonzeros``, the number of weights that are not exactly zero; ``data_loss``, ``penalty``,
        ``total`` and metrics; ``residual``, how far from stationary the network is (see
        :func:`nnreg.lab.measure_stationarity`); with test data those of the test rows too, as
        ``test_data_loss`` and so on; ``seconds``, the time that training took.
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
    """A walk, the strongest penalty first, whichever way it was walked.

    Parameters
    ----------
    points : tuple of PathPoint
    weights_size : int
        How many values of a point's parameters are weights.

    Examples
    --------
    >>> RegularizationPath((PathPoint(2.0, {"nonzeros": 0}, np.zeros(2)),), 1).weights
    array([[0.]])
    """

    points: tuple[PathPoint, ...]
    weights_size: int

    @property
    def strengths(self) -> Array:
        """The strengths, (S,), falling."""
        return np.array([point.strength for point in self.points])

    @property
    def weights(self) -> Array:
        """The weights under each strength, (S, W)."""
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
    """Train one network under many strengths, each from what the one before has left.

    Parameters
    ----------
    net : Network
        Where to begin. It stays as it is; its own penalty does not count, those of its layers do.
    x : array_like of shape (N, D)
    y : array_like
    loss : Loss
    penalty : function (strength) -> Penalty, default proximal L1
    strengths : iterable of float, optional
        Unless given, a geometric grid from :func:`lambda_max` down. (It begins above it by the
        root of the dtype's rounding, so that its first weights are zero in spite of it.)
    points : int, default 20
        Strengths of the grid.
    ratio : float, default 0.001
        The weakest strength of the grid over the strongest.
    train : function (Network), optional
        Trains a network, in place, under the penalty it has. A network of one `Dense` layer is
        brought to its optimum by :func:`nnreg.lab.solve` unless it is given; every other needs it.
    test_data : tuple (x, y), optional
    metrics : names or functions, default ()
        As for :func:`nnreg.fit`.

    Returns
    -------
    RegularizationPath

    Raises
    ------
    ValueError, TypeError
        If arguments do not fit each other, or a grid is wanted of a penalty that makes no zeros.

    Examples
    --------
    >>> import nnreg as nn
    >>> x = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> y = x @ [[3.0], [1.0]]
    >>> net = nn.Network([nn.Dense(1)], inputs=2, dtype="float64")
    >>> found = regularization_path(
    ...     net, x, y, loss=nn.MeanSquaredError(), strengths=[6.0, 4.0, 2.0, 0.0]
    ... )
    >>> found.weights.round(9) + 0.0
    array([[0., 0.],
           [1., 0.],
           [2., 0.],
           [3., 1.]])
    """
    check_network(net)
    given = None if strengths is None else sorted(strengths, reverse=True)
    if given is None:
        given = grid(lambda_max(net, x, y, loss=loss, penalty=penalty), points, ratio, net.dtype)
    if not given:
        raise ValueError("strengths must not be empty")
    train = trainer(net, x, y, loss, train)
    walked = net.copy()
    down = is_linear(net)
    found = []
    for strength in given if down else reversed(given):
        walked.penalty = penalty(validation.number("strengths", strength, 0))
        started = time.perf_counter()
        train(walked)
        seconds = time.perf_counter() - started
        figures = measure(walked, (x, y), test_data, loss, metrics) | {"seconds": seconds}
        found.append(PathPoint(strength, figures, walked.parameters.vector.copy()))
    return RegularizationPath(
        tuple(found if down else reversed(found)), net.parameters.weights.size
    )


def lambda_max(
    net: Network,
    x: Any,
    y: Any,
    *,
    loss: Loss,
    penalty: Callable[[float], Penalty] = lasso,
) -> float:
    """Return the smallest strength whose penalty holds every weight at zero.

    Parameters
    ----------
    net : Network
        For one of a single `Dense` layer, it is the strength from which on zero weights, with the
        best biases, are optimal. For others it holds zeros against the derivatives of the data loss
        at the present weights (with dropout off): from there on, all weights would rather shrink.
    x, y : array_like
    loss : Loss
    penalty : function (strength) -> Penalty, default proximal L1

    Raises
    ------
    ValueError
        If the penalty has no proximal map, or none of its strengths makes zeros.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, dtype="float64")
    >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]])
    >>> round(lambda_max(net, x, y, loss=nn.MeanSquaredError()), 9)  # (1*2 + 1*2) * 2/3
    2.666666667
    """
    check_network(net)
    probe = net.copy()
    if is_linear(net):
        probe.penalty = None
        # With inputs of zero a linear model is its biases.
        probe.parameters.weights[...] = 0.0
        solve(probe, np.zeros_like(x), y, loss=loss)
    slopes = data_slope(probe, *data.validate_data(probe, loss, x, y), loss)[1].vector

    def holds(strength: float) -> bool:
        probe.penalty = penalty(strength)
        if not probe.has_proximal:
            raise ValueError(f"strengths must be given: {probe.penalty!r} has no proximal map")
        probe.parameters.vector[...] = slopes
        probe.apply_proximal(1.0)
        return not any(probe.parameters.vector[where].any() for _, where, _ in probe.penalized())

    high = float(np.abs(slopes).max()) or 1.0
    for _ in range(HALVINGS):
        if holds(high):
            break
        high *= 2.0
    else:
        raise ValueError(f"strengths must be given: {penalty(1.0)!r} makes no weight zero")
    low = 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def grid(top: float, points: int, ratio: float, dtype: Any = "float64") -> list[float]:
    """Return a geometric grid of strengths, falling, from a little above ``top``.

    >>> [round(strength, 6) for strength in grid(1.0, 3, 0.01)]
    [1.0, 0.1, 0.01]
    """
    points = validation.whole("points", points, 2)
    ratio = validation.number("ratio", ratio, 0, 1, open_low=True, open_high=True)
    first = top * (1.0 + float(np.sqrt(np.finfo(dtype).eps)))
    return [float(first * ratio ** (place / (points - 1))) for place in range(points)]


def trainer(
    net: Network, x: Any, y: Any, loss: Loss, train: Callable[[Network], Any] | None
) -> Callable[[Network], Any]:
    """Return ``train`` or, for a linear model without one, what brings it to its optimum."""
    if train is not None:
        return train
    if not is_linear(net):
        raise ValueError(
            "train must be given for a network that is not one Dense layer: "
            "a function that trains it in place, such as lambda net: nn.fit(net, ...)"
        )
    return partial(solve, x=x, y=y, loss=loss)


def measure(
    net: Network,
    data: tuple[Any, Any],
    test_data: tuple[Any, Any] | None,
    loss: Loss,
    metrics: Iterable[str | Metric],
) -> dict[str, float]:
    """Return the figures of a point, but for the time."""
    metrics = tuple(metrics)
    figures = {"nonzeros": float(np.count_nonzero(net.parameters.weights))}
    figures |= evaluate(net, *data, loss=loss, metrics=metrics)
    figures["residual"] = measure_stationarity(net, *data, loss=loss).residual
    if test_data is not None:
        found = evaluate(net, *test_data, loss=loss, metrics=metrics)
        kept = {name: value for name, value in found.items() if name not in ("penalty", "total")}
        figures |= {f"test_{name}": value for name, value in kept.items()}
    return figures
