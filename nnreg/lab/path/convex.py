r"""Training a linear model to the end: the one case where the optimum is unique and can be reached.

With one `Dense` layer every shipped loss is convex in the parameters, and so is the objective with
an L1, elastic net or L2 penalty. A step of plain gradient descent followed by the proximal map goes
down for every learning rate up to ``1/L``, where ``L`` bounds the curvature of the smooth part.
Between steps the parameters are pushed on in the direction they came from, and the push starts anew
whenever it points uphill (Beck & Teboulle, 2009; O'Donoghue & Candès, 2015). The steps themselves
are the engine's own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.layers.dense import Dense
from nnreg.losses import Huber, Loss, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.optimizers import SGD
from nnreg.penalties import L2
from nnreg.training import data
from nnreg.training.step import TrainingStep

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


class NotConvergedError(ArithmeticError):
    """The steps were used up before the optimum was reached."""


def is_linear(net: Network) -> bool:
    """Tell whether a network is one `Dense` layer and nothing else.

    >>> import nnreg as nn
    >>> is_linear(nn.Network([nn.Dense(1)], inputs=2))
    True
    """
    return len(net.layers) == 1 and type(net.layers[0]) is Dense


def solve(
    net: Network,
    x: Any,
    y: Any,
    *,
    loss: Loss,
    tolerance: float | None = None,
    max_steps: int = 100_000,
) -> int:
    """Train a linear model on all rows at once until it is at its optimum.

    Parameters
    ----------
    net : Network
        One `Dense` layer. Its penalty is None, `L2`, or one with a proximal map.
    x : array_like of shape (N, D)
    y : array_like
        What the loss wants.
    loss : Loss
        `MeanSquaredError`, `Huber`, `SigmoidCrossEntropy` or `SoftmaxCrossEntropy`, whose curvature
        is bounded.
    tolerance : float, optional
        How large the step divided by the learning rate may be, in what the rows' derivatives at
        parameters of zero come to if none cancels another. Unless given, 1e-12 in float64 and 1e-5
        in float32.
    max_steps : int, default 100,000

    Returns
    -------
    int
        The number of steps that it took.

    Raises
    ------
    ValueError, TypeError
        If the model is not linear, or loss or penalty are of another kind.
    NotConvergedError
        After ``max_steps`` steps.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, dtype="float64")
    >>> steps = solve(net, [[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]], loss=nn.MeanSquaredError())
    >>> net.parameters.vector.round(9)  # y = 2x + 1
    array([2., 1.])
    """
    _check_model(net)
    x, y = data.validate_data(net, loss, x, y)
    tolerance = TOLERANCES[str(net.dtype)] if tolerance is None else tolerance
    tolerance = validation.number("tolerance", tolerance, 0, open_low=True)
    max_steps = validation.whole("max_steps", max_steps, 1)
    rate = 1.0 / (_curvature(loss, net.widths[-1]) * _largest_eigenvalue(x) + _of_penalty(net))
    wanted = tolerance * _scale(x, loss(np.zeros((len(x), net.widths[-1])), y)[1])
    every = np.arange(len(x))
    w = net.parameters.vector
    last, start, push = w.copy(), w.copy(), 1.0
    with TrainingStep(net, loss, SGD(rate)) as step:
        for count in range(1, max_steps + 1):
            step(x, y, every)
            residual = float(np.abs(w - start).max()) / rate
            if residual <= wanted:
                return count
            if (start - w) @ (w - last) > 0:
                push = 1.0
            following = (1.0 + math.sqrt(1.0 + 4.0 * push**2)) / 2.0
            start[:] = w + (push - 1.0) / following * (w - last)
            last[:], push = w, following
            w[:] = start
    w[:] = last
    raise NotConvergedError(
        f"after {max_steps:,} steps the residual is {residual:.1e}, wanted is {wanted:.1e}; "
        "columns of x of one scale, more steps or a larger tolerance help"
    )


def check_network(net: Any) -> None:
    """Raise unless ``net`` is a network.

    >>> check_network(None)
    Traceback (most recent call last):
        ...
    TypeError: net must be a Network, got None
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {net!r}")


def _check_model(net: Network) -> None:
    check_network(net)
    if not is_linear(net):
        raise ValueError(f"net must be one Dense layer and nothing else, got {net!r}")
    if any(True for _ in net.constrained()):
        raise ValueError(f"net must have no constraint, got {net!r}")
    for penalty, _, _ in net.penalized():
        if penalty.method != "proximal" and type(penalty) is not L2:
            raise ValueError(
                f"penalty must be L2 or one with a proximal map, got {penalty!r}, "
                "whose subgradient steps do not converge"
            )


def _curvature(loss: Loss, outputs: int) -> float:
    """Return a bound of the second derivative of a row's loss by its outputs."""
    bounds = {
        MeanSquaredError: 2.0 / outputs,
        Huber: 1.0 / outputs,
        SigmoidCrossEntropy: 0.25,
        SoftmaxCrossEntropy: 0.5,
    }
    if type(loss) not in bounds:
        known = ", ".join(kind.__name__ for kind in bounds)
        raise ValueError(f"loss must be one of {known}, whose curvature is bounded, got {loss!r}")
    return bounds[type(loss)]


def _scale(x: Array, doutputs: Array) -> float:
    """Return the largest sum over rows of absolute derivatives, by a weight or a bias."""
    return max(1.0, float(np.abs(x).max())) * float(np.abs(doutputs).sum(axis=0).max())


def _largest_eigenvalue(x: Array) -> float:
    """Return that of the mean over rows of the products of features, the bias's 1 among them."""
    features = np.column_stack([x.astype(np.float64), np.ones(len(x))])
    return float(np.linalg.eigvalsh(features.T @ features / len(x))[-1])


def _of_penalty(net: Network) -> float:
    """Return the curvature that the gradient's part of the penalty adds."""
    return max(
        (penalty.strength for penalty, _, _ in net.penalized() if isinstance(penalty, L2)),
        default=0.0,
    )
