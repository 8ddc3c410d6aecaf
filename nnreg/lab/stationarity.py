r"""Stationarity: the KKT residual of a trained network, and the duality gap of a linear model.

**Residual.** A smooth objective is stationary where its gradient is zero. A penalty with a kink has
a set of subgradients there: at ``w = 0``, ``λ|w|`` has every number from -λ to λ. A point is
stationary if *some* subgradient of the penalty cancels the gradient of the data loss. The measure
is therefore the smallest element of ``∂data_loss/∂w + ∂penalty/∂w``, the residual of the conditions
of Karush, Kuhn and Tucker (Boyd & Vandenberghe, *Convex Optimization*, 2004, section 5.5.3). Under
a max-norm the component that points out of the ball is cancelled by its multiplier.

The residual is loss per unit of weight and does not depend on the optimizer or its step size. A
weight of 1e-9 whose optimum is 0 contributes the full λ, because that is the slope of the objective
there. Proximal steps reach a residual of zero; subgradient steps do not.

**Duality gap.** With outputs ``Z = XW + b`` the objective is ``f(Z) + R(W)`` with
``f(Z) = Σₙ cₙ‖zₙ - yₙ‖²``. By Fenchel duality (Boyd & Vandenberghe, section 5.1.6) every ``U`` of
the outputs' shape bounds the minimum from below, if its columns sum to zero where there is a bias:

    f(Z) + R(W)  ≥  -f*(U) - R*(-XᵀU),        f*(U) = Σₙ ‖uₙ‖²/(4cₙ) + ⟨U, Y⟩

The conjugate of the elastic net is ``R*(v) = Σ max(|v| - l1, 0)²/(2·l2)``. With ``l2 = 0`` it is 0
where no ``|v|`` exceeds ``l1`` and infinite elsewhere. The two sides meet at the minimum for
``U = ∂f/∂Z``, so that ``U`` is used, centred and scaled into the domain of ``R*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support.tables import text_table
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import disable_dropout
from nnreg.losses import Loss, MeanSquaredError
from nnreg.network import Network
from nnreg.parameters import Parameters
from nnreg.penalties import L1, L2, ElasticNet
from nnreg.training import data


@dataclass(frozen=True)
class ParameterStationarity:
    """The stationarity of one parameter array.

    Attributes
    ----------
    name : str
    size, zeros : int
        The number of values, and how many of them are exactly zero.
    gradient : float
        The largest absolute derivative of the data loss, for comparison with ``residual``.
    residual : float
        The largest absolute element of the KKT residual.
    violation : float
        The largest distance of a value from its projection onto the constraint.

    Examples
    --------
    >>> ParameterStationarity("dense_1.weight", 10, 4, 0.1, 1e-9, 0.0).zeros
    4
    """

    name: str
    size: int
    zeros: int
    gradient: float
    residual: float
    violation: float


@dataclass(frozen=True)
class Stationarity:
    """The result of :func:`measure_stationarity`.

    Attributes
    ----------
    parameters : tuple of ParameterStationarity
    data_loss, penalty : float
        In inference mode, over all rows.
    duality_gap : float or None
        An upper bound of ``total`` minus its minimum. It is computed for one `Dense` layer with
        squared error and L1, L2 or the elastic net, without a constraint; otherwise None.

    Examples
    --------
    >>> weight = ParameterStationarity("dense_1.weight", 10, 4, 0.1, 1e-9, 0.0)
    >>> Stationarity((weight,), 0.25, 0.5, None)
    residual 1.0e-09; total 0.75 = data loss 0.25 + penalty 0.5
    parameter       values  zeros  data gradient  residual
    --------------  ------  -----  -------------  --------
    dense_1.weight      10      4        1.0e-01   1.0e-09
    """

    parameters: tuple[ParameterStationarity, ...]
    data_loss: float
    penalty: float
    duality_gap: float | None

    @property
    def residual(self) -> float:
        """The largest residual of all parameters."""
        return float(np.max([part.residual for part in self.parameters], initial=0.0))

    @property
    def violation(self) -> float:
        """The largest constraint violation of all parameters; 0 where every constraint holds."""
        return float(np.max([part.violation for part in self.parameters], initial=0.0))

    @property
    def total(self) -> float:
        """The objective: data loss plus penalty."""
        return self.data_loss + self.penalty

    def __repr__(self) -> str:
        parts = [
            f"residual {self.residual:.1e}",
            f"constraints exceeded by {self.violation:.1e}" if self.violation else "",
            f"total {self.total:.6g} = data loss {self.data_loss:.6g} + penalty {self.penalty:.6g}",
            "" if self.duality_gap is None else f"at most {self.duality_gap:.1e} above the minimum",
        ]
        cells = [
            [p.name, f"{p.size:,}", f"{p.zeros:,}", f"{p.gradient:.1e}", f"{p.residual:.1e}"]
            for p in self.parameters
        ]
        head = ["parameter", "values", "zeros", "data gradient", "residual"]
        return "; ".join(filter(None, parts)) + "\n" + text_table(head, cells, right=[1, 2, 3, 4])


def measure_stationarity(
    net: Network, x: Any, y: Any, *, loss: Loss, sample_weight: Any = None
) -> Stationarity:
    """Measure how far a network is from a stationary point of its objective.

    Parameters
    ----------
    net : Network
        Not modified; a float64 copy is measured.
    x : array_like of shape (N, D)
        All training rows. With other rows the objective is a different function.
    y : array_like
        Targets of the loss.
    loss : Loss
    sample_weight : array_like of shape (N,), optional

    Returns
    -------
    Stationarity

    Raises
    ------
    ValueError, TypeError
        As :func:`nnreg.fit`.
    NotImplementedError
        If a constraint does not define ``residual``.

    Notes
    -----
    The data loss is that of inference mode. Training with dropout minimizes the mean loss over all
    masks, which is a different function.

    Examples
    --------
    >>> import nnreg as nn
    >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0], [0.1]])
    >>> penalty = nn.L1(0.2, method="proximal")
    >>> layer = nn.Dense(1, initializer=nn.zeros, bias=False)
    >>> net = nn.Network([layer], inputs=2, penalty=penalty, dtype="float64")
    >>> loss = nn.MeanSquaredError()
    >>> # At zero weights the gradient is (-1, -0.1), and the residual |-1| - 0.2:
    >>> measure_stationarity(net, x, y, loss=loss).residual
    0.8
    >>> _ = nn.fit(net, x, y, loss=loss, optimizer=nn.SGD(0.5), epochs=100)
    >>> net.parameters.weights.round(9)
    array([0.8, 0. ])
    >>> measure_stationarity(net, x, y, loss=loss).residual < 1e-15
    True
    """
    x, y, weights = data.prepare(net, loss, x, y, sample_weight)[0]
    x = np.asarray(x)
    net = net.copy("float64")
    data_loss, gradient = compute_data_gradient(net, x, y, loss, weights)
    return Stationarity(
        tuple(_measure_parameter(net, name, gradient[name]) for name in net.parameters),
        data_loss,
        net.penalty_value(),
        _compute_duality_gap(net, x, y, loss, weights),
    )


def compute_data_gradient(
    net: Network, x: Array, y: Array, loss: Loss, weights: Array | None = None
) -> tuple[float, Parameters]:
    """Return the data loss in inference mode, over all rows, and its gradient.

    Parameters
    ----------
    net : Network
        Its dropout is turned off, so pass a copy.
    x : ndarray of shape (N, D)
    y : ndarray
    loss : Loss
    weights : ndarray of shape (N,), optional

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1, dtype="float64")
    >>> ones = np.ones((2, 1))
    >>> value, gradient = compute_data_gradient(net, ones, ones, nn.MeanSquaredError())
    >>> value, gradient.vector  # (0 - 1)², and 2·(0 - 1) for the weight and the bias
    (1.0, array([-2., -2.]))
    """
    disable_dropout(net.layers)
    targets = y if y.dtype.kind == "i" else y.astype(net.dtype)
    value, doutputs = loss.compute(net.predict(x), targets, weights)
    total, cache = net.parameters.like(), Cache(net.dtype)
    for rows, chunk in net.row_chunks(x):
        net.forward(chunk, training=True, cache=cache, step=0)
        total.vector += net.backward(doutputs[rows], cache).vector
    return float(value), total


def _measure_parameter(net: Network, name: str, gradient: Array) -> ParameterStationarity:
    """Apply the penalty's residual to the gradient, then the constraint's."""
    w, residual, violation = net.parameters[name], gradient, 0.0
    constraint = net.regularization.constraint_of(name)
    for rule in (net.regularization.penalty_of(name), constraint):
        if rule is not None:
            before, residual = residual, np.empty_like(w)
            rule.residual(w, before, residual)
    if constraint is not None:
        projected = np.empty_like(w)
        constraint.project(w, projected)
        violation = float(np.abs(w - projected).max())
    return ParameterStationarity(
        name,
        w.size,
        int(w.size - np.count_nonzero(w)),
        float(np.abs(gradient).max()),
        float(np.abs(residual).max()),
        violation,
    )


def _compute_duality_gap(
    net: Network, x: Array, y: Array, loss: Loss, weights: Array | None
) -> float | None:
    """Return the duality gap of a float64 network, or None.

    It is computed for one `Dense` layer with squared error and L1, L2 or the elastic net, without a
    constraint.
    """
    layer = net.layers[0]
    if len(net.layers) > 1 or type(layer) is not Dense or type(loss) is not MeanSquaredError:
        return None
    penalty = net.regularization.penalty_of("dense_1.weight")
    elastic = type(penalty) is ElasticNet
    l1 = penalty.l1 if elastic else penalty.strength if type(penalty) is L1 else 0.0
    l2 = penalty.l2 if elastic else penalty.strength if type(penalty) is L2 else 0.0
    if not (l1 or l2) or net.regularization.constraints:
        return None
    weights = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    rows = weights > 0  # a weight of zero removes the row
    x, y = x[rows].astype(np.float64), y[rows].astype(np.float64)
    c = weights[rows, np.newaxis] / weights.sum() / y.shape[1]
    w = layer.weight
    error = x @ w + (layer.bias if layer.use_bias else 0.0) - y
    primal = (c * error**2).sum() + l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum()
    u = 2 * c * error
    if layer.use_bias:
        u -= c * (u.sum(axis=0) / c.sum())
    square, product = (u**2 / (4 * c)).sum(axis=0), (u * y).sum(axis=0)
    v = np.abs(x.T @ u)
    if l2:
        conjugate = np.maximum(v - l1, 0) ** 2 / (2 * l2)
        dual = -square.sum() - product.sum() - conjugate.sum()
    else:
        # The bound for s·u is -s²·square - s·product. The best s with every |v| <= l1:
        best = np.divide(-product, 2 * square, out=np.zeros_like(square), where=square > 0)
        steepest = v.max(axis=0)
        limit = np.divide(l1, steepest, out=np.full_like(steepest, np.inf), where=steepest > 0)
        scale = np.clip(best, -limit, limit)
        dual = -(scale * (scale * square + product)).sum()
    return float(primal - dual)
