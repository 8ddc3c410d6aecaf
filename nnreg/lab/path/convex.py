r"""Convex solver: a linear model trained to its optimum by accelerated proximal gradient descent.

With one `Dense` layer every loss accepted here is convex in the parameters, and so is the objective
with an L1, elastic net or L2 penalty. A gradient step with learning rate ``1/L`` followed by the
proximal map never increases the objective if ``L`` bounds the curvature of the smooth part. With
``w₀ = v₀`` and ``t₀ = 1``, FISTA (Beck & Teboulle, 2009, eq. 4.1 to 4.3) iterates

    wₖ₊₁ = prox(vₖ - ∇f(vₖ)/L),    tₖ₊₁ = (1 + √(1 + 4tₖ²))/2,
    vₖ₊₁ = wₖ₊₁ + (tₖ - 1)/tₖ₊₁ · (wₖ₊₁ - wₖ)

``t`` is reset to 1 whenever ``(vₖ - wₖ₊₁)ᵀ(wₖ₊₁ - wₖ) > 0``, that is, when the momentum is an
ascent direction (O'Donoghue & Candès, 2015, section 3.2). Steps are computed by `TrainingStep`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg.layers.dense import Dense
from nnreg.losses import Huber, Loss, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.optimizers import SGD
from nnreg.penalties import L2
from nnreg.training import data
from nnreg.training.solve import NotConvergedError
from nnreg.training.step import TrainingStep

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


def is_linear(net: Network) -> bool:
    """Return whether a network is a single `Dense` layer.

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
    """Train a linear model to its optimum, by steps on all rows.

    Parameters
    ----------
    net : Network
        One `Dense` layer, trained in place. Its penalty is None, `L2`, or one with a proximal map.
    x : array_like of shape (N, D)
    y : array_like
        Targets of the loss.
    loss : Loss
        `MeanSquaredError`, `Huber`, `SigmoidCrossEntropy` or `SoftmaxCrossEntropy`, whose curvature
        is bounded.
    tolerance : float, optional
        Bound of ``max |wₖ₊₁ - vₖ|·L``, relative to the largest sum over rows of the absolute
        derivatives of the loss at outputs of zero. By default 1e-12 in float64, 1e-5 in float32.
    max_steps : int, default 100,000

    Returns
    -------
    int
        The number of steps.

    Raises
    ------
    ValueError, TypeError
        If the model is not linear, or the loss or penalty is not one of those above.
    NotConvergedError
        If ``max_steps`` steps are not enough. The network has the parameters of the last step.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, dtype="float64")
    >>> steps = solve(net, [[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]], loss=nn.MeanSquaredError())
    >>> net.parameters.vector.round(9)  # y = 2x + 1
    array([2., 1.])
    """
    _check_convex(net)
    curvature = _bound_curvature(loss, net.widths[-1])
    x, y = data.validate_data(net, loss, x, y)
    tolerance = TOLERANCES[str(net.dtype)] if tolerance is None else tolerance
    tolerance = validation.number("tolerance", tolerance, 0, open_low=True)
    max_steps = validation.whole("max_steps", max_steps, 1)
    features = np.column_stack([x.astype(np.float64), np.ones(len(x))])  # with the bias's column
    eigenvalue = float(np.linalg.eigvalsh(features.T @ features / len(x))[-1])
    l2 = max(
        (p.strength for p, _, _ in net.regularization.penalties if isinstance(p, L2)), default=0.0
    )
    rate = 1.0 / (curvature * eigenvalue + l2)
    doutputs = loss(np.zeros((len(x), net.widths[-1])), y)[1]
    scale = max(1.0, float(np.abs(x).max())) * float(np.abs(doutputs).sum(axis=0).max())
    rows = np.arange(len(x))
    w = net.parameters.vector  # v before a step, the new w after it
    previous, v, t = w.copy(), w.copy(), 1.0
    step = TrainingStep(net, loss, SGD(rate))
    for count in range(1, max_steps + 1):
        step(x, y, rows)
        residual = float(np.abs(w - v).max()) / rate
        if residual <= tolerance * scale:
            return count
        if (v - w) @ (w - previous) > 0:
            t = 1.0
        next_t = (1.0 + math.sqrt(1.0 + 4.0 * t**2)) / 2.0
        v[:] = w + (t - 1.0) / next_t * (w - previous)
        previous[:], t = w, next_t
        w[:] = v
    w[:] = previous
    raise NotConvergedError(
        f"after {max_steps:,} steps the residual is {residual:.1e}, above the tolerance of "
        f"{tolerance * scale:.1e}; scale the columns of x to the same range, or raise max_steps or "
        "tolerance"
    )


def _check_convex(net: Network) -> None:
    validation.instance("net", net, Network, "a Network")
    if not is_linear(net):
        raise ValueError(f"net must be one Dense layer and nothing else, got {net!r}")
    if net.regularization.constraints:
        raise ValueError(f"net must have no constraint, got {net!r}")
    for penalty, _, _ in net.regularization.penalties:
        if penalty.method != "proximal" and type(penalty) is not L2:
            raise ValueError(
                f"penalty must be L2 or one with a proximal map, got {penalty!r}, "
                "whose subgradient steps do not converge"
            )


def _bound_curvature(loss: Loss, outputs: int) -> float:
    """Return a bound of the second derivative of a row's loss with respect to its outputs."""
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
