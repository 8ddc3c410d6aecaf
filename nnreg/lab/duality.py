r"""The duality gap: at most so far above the minimum is a linear model, whatever the minimum is.

With outputs ``Z = XW + b`` the objective is ``f(Z) + R(W)``, ``f(Z) = Σₙ cₙ‖zₙ - yₙ‖²``. By
Fenchel's duality every ``U`` of the outputs' shape, if its columns sum to zero where there is a
bias, bounds it from below:

    ``f(Z) + R(W) >= -f*(U) - R*(-XᵀU)``,    ``f*(U) = Σₙ ‖uₙ‖²/(4cₙ) + <U, Y>``.

The conjugate of the elastic net is ``R*(v) = Σ max(|v| - l1, 0)²/(2·l2)``; with ``l2 = 0`` it is 0
where no ``|v|`` exceeds ``l1``, and infinite elsewhere. At the minimum the two sides meet for
``U = ∂f/∂Z``, which is what is tried here, centred and scaled to where the bound says something.
"""

from __future__ import annotations

import numpy as np

from nnreg.kernels import Array
from nnreg.layers import Dense
from nnreg.loss import Loss
from nnreg.losses import MeanSquaredError
from nnreg.network import Network
from nnreg.penalties import L1, L2, ElasticNet, Penalty


def duality_gap(
    net: Network, x: Array, y: Array, loss: Loss, weights: Array | None = None
) -> float | None:
    """Return what ``total`` exceeds the minimum by, at most; None where there is no such bound.

    There is one for a network of one `Dense` layer with squared error under L1, L2 or the elastic
    net, without a constraint.

    Parameters
    ----------
    net : Network
    x : ndarray of shape (N, D)
    y : ndarray of shape (N, M)
    loss : Loss
    weights : ndarray of shape (N,), optional

    Examples
    --------
    >>> import nnreg as nn
    >>> layer = nn.Dense(1, initializer=nn.zeros, bias=False)
    >>> net = nn.Network([layer], inputs=1, penalty=nn.L1(1.0), dtype="float64")
    >>> x, y = np.ones((1, 1)), np.ones((1, 1))
    >>> duality_gap(net, x, y, nn.MeanSquaredError())  # (w - 1)² + |w|: 1 at 0, 3/4 at 1/2
    0.25
    """
    layer = net.layers[0]
    if len(net.layers) > 1 or type(layer) is not Dense or type(loss) is not MeanSquaredError:
        return None
    strengths = _strengths(net.penalty_of("dense_1.weight"))
    if strengths is None or any(True for _ in net.constrained()):
        return None
    l1, l2 = strengths
    share = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    counted = share > 0  # a row without weight is a row that is not there
    x, y = x[counted].astype(np.float64), y[counted].astype(np.float64)
    c = share[counted, np.newaxis] / share.sum() / y.shape[1]
    w = net.parameters["dense_1.weight"].astype(np.float64)
    bias = net.parameters["dense_1.bias"].astype(np.float64) if layer.use_bias else 0.0
    error = x @ w + bias - y
    primal = (c * error**2).sum() + l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum()
    u = 2 * c * error
    if layer.use_bias:
        u -= c * (u.sum(axis=0) / c.sum())
    square, product = (u**2 / (4 * c)).sum(axis=0), (u * y).sum(axis=0)
    slope = np.abs(x.T @ u)
    if l2:
        conjugate = np.maximum(slope - l1, 0) ** 2 / (2 * l2)
        dual = -square.sum() - product.sum() - conjugate.sum()
    else:
        # -s²·square - s·product is the bound for s·u; the best s that keeps every |v| <= l1
        best = np.divide(-product, 2 * square, out=np.zeros_like(square), where=square > 0)
        steepest = slope.max(axis=0)
        most = np.divide(l1, steepest, out=np.full_like(steepest, np.inf), where=steepest > 0)
        scale = np.clip(best, -most, most)
        dual = -(scale * (scale * square + product)).sum()
    return float(primal - dual)


def _strengths(penalty: Penalty | None) -> tuple[float, float] | None:
    """Return ``(l1, l2)``, or None if they do not say what the penalty is, or it is none."""
    if type(penalty) is L1:
        found = penalty.strength, 0.0
    elif type(penalty) is L2:
        found = 0.0, penalty.strength
    elif type(penalty) is ElasticNet:
        found = penalty.l1, penalty.l2
    else:
        return None
    return found if any(found) else None
