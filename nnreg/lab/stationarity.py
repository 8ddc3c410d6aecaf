r"""Stationarity: how far a trained network is from a minimum of what it was trained for.

Where all is smooth that is the question whether the gradient is zero. A kink has a whole set of
subgradients: at ``w = 0``, ``λ|w|`` has every number from -λ to λ. A point is stationary if *some*
subgradient of the penalty cancels the gradient of the data loss, so what is left over at best is
the measure: the smallest element of ``∂data_loss/∂w + ∂penalty/∂w`` (the residual of the conditions
of Karush, Kuhn and Tucker). Under a max-norm, what pushes against the limit is held by it.

The residual is a derivative, loss per unit of weight, whatever optimizer came here with whatever
step. It is unforgiving: a weight at 1e-9 that ought to be 0 counts with all of λ, since that is how
steep the objective is there. That is the difference between a proximal map and a subgradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support.tables import text_table
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.dense import Dense
from nnreg.losses import Loss, MeanSquaredError
from nnreg.network import Network
from nnreg.parameters import Parameters
from nnreg.penalties import L1, L2, ElasticNet, Penalty
from nnreg.training import data

# MERGED DOCSTRING: The duality gap: at most so far above the minimum is a linear model, whatever
# the minimum is.
#
# With outputs ``Z = XW + b`` the objective is ``f(Z) + R(W)``, ``f(Z) = Σₙ cₙ‖zₙ - yₙ‖²``. By
# Fenchel's duality every ``U`` of the outputs' shape, if its columns sum to zero where there is a
# bias, bounds it from below:
#
#     ``f(Z) + R(W) >= -f*(U) - R*(-XᵀU)``,    ``f*(U) = Σₙ ‖uₙ‖²/(4cₙ) + <U, Y>``.
#
# The conjugate of the elastic net is ``R*(v) = Σ max(|v| - l1, 0)²/(2·l2)``; with ``l2 = 0`` it
# is 0
# where no ``|v|`` exceeds ``l1``, and infinite elsewhere. At the minimum the two sides meet for
# ``U = ∂f/∂Z``, which is what is tried here, centred and scaled to where the bound says
# something.
#


AT_ONCE = 1024  # rows


@dataclass(frozen=True)
class ParameterStationarity:
    """One parameter array.

    Attributes
    ----------
    name : str
    size, zeros : int
        How many values it has, and how many of them are exactly zero.
    gradient : float
        The largest derivative of the data loss by one of them: what the residual compares with.
    residual : float
        The largest element that is left over.
    violation : float
        How far the value that is farthest off is from where its constraint allows it to be.

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
    """What :func:`measure_stationarity` found.

    Attributes
    ----------
    parameters : tuple of ParameterStationarity
    data_loss, penalty : float
        In inference mode, over all rows.
    duality_gap : float or None
        The duality gap, which ``total`` exceeds the minimum by at most; None where the model is not
        linear or there is no such bound.

    Examples
    --------
    >>> block = ParameterStationarity("dense_1.weight", 10, 4, 0.1, 1e-9, 0.0)
    >>> Stationarity((block,), 0.25, 0.5, None)
    residual 1.0e-09; total 0.75 = data loss 0.25 + penalty 0.5
    parameter       values  zeros  slope of the data loss  residual
    --------------  ------  -----  ----------------------  --------
    dense_1.weight      10      4                 1.0e-01   1.0e-09
    """

    parameters: tuple[ParameterStationarity, ...]
    data_loss: float
    penalty: float
    duality_gap: float | None

    @property
    def residual(self) -> float:
        """The largest of all blocks."""
        return max((block.residual for block in self.parameters), default=0.0)

    @property
    def violation(self) -> float:
        """The largest of all blocks; 0 where every constraint holds."""
        return max((block.violation for block in self.parameters), default=0.0)

    @property
    def total(self) -> float:
        """The objective."""
        return self.data_loss + self.penalty

    def __repr__(self) -> str:
        said = [f"residual {self.residual:.1e}"]
        if self.violation:
            said.append(f"constraints exceeded by {self.violation:.1e}")
        said.append(
            f"total {self.total:.6g} = data loss {self.data_loss:.6g} + penalty {self.penalty:.6g}"
        )
        if self.duality_gap is not None:
            said.append(f"at most {self.duality_gap:.1e} above the minimum")
        cells = [
            [
                block.name,
                f"{block.size:,}",
                f"{block.zeros:,}",
                f"{block.gradient:.1e}",
                f"{block.residual:.1e}",
            ]
            for block in self.parameters
        ]
        head = ["parameter", "values", "zeros", "slope of the data loss", "residual"]
        return "; ".join(said) + "\n" + text_table(head, cells, right=[1, 2, 3, 4])


def measure_stationarity(
    net: Network, x: Any, y: Any, *, loss: Loss, sample_weight: Any = None
) -> Stationarity:
    """Measure how far a network is from a stationary point of its objective on these rows.

    Parameters
    ----------
    net : Network
        It stays as it is; a float64 copy is measured.
    x, y : array_like
        All of the training data. On other rows the objective is another.
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
    The data loss is that of inference mode. What training with dropout makes small is its mean over
    all masks, another function, of which this says nothing.

    Examples
    --------
    >>> import nnreg as nn
    >>> x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0], [0.1]])
    >>> penalty = nn.L1(0.2, method="proximal")
    >>> layer = nn.Dense(1, initializer=nn.zeros, bias=False)
    >>> net = nn.Network([layer], inputs=2, penalty=penalty, dtype="float64")
    >>> loss = nn.MeanSquaredError()
    >>> measure_stationarity(net, x, y, loss=loss).residual  # the slope is -1, 0.2 can be held
    0.8
    >>> _ = nn.fit(net, x, y, loss=loss, optimizer=nn.SGD(0.5), epochs=100)
    >>> net.parameters.weights.round(9)
    array([0.8, 0. ])
    >>> measure_stationarity(net, x, y, loss=loss).residual < 1e-15
    True
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {net!r}")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a Loss such as nn.SoftmaxCrossEntropy(), got {loss!r}")
    x, y = data.validate_data(net, loss, x, y)
    weights = data.compute_sample_weight(net, loss, y, sample_weight, None)
    copied = net.copy("float64")
    data_loss, slope = data_slope(copied, x, y, loss, weights)
    return Stationarity(
        tuple(_block(copied, name, slope[name]) for name in copied.parameters),
        data_loss,
        copied.penalty_value(),
        duality_gap(copied, x, y, loss, weights),
    )


def data_slope(
    net: Network, x: Array, y: Array, loss: Loss, weights: Array | None = None
) -> tuple[float, Parameters]:
    """Return the data loss in inference mode, over all rows, and its gradient.

    ``net`` is a copy that may be changed: its dropout is turned off.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1, dtype="float64")
    >>> value, slope = data_slope(net, np.ones((2, 1)), np.ones((2, 1)), nn.MeanSquaredError())
    >>> value, slope.vector  # (0 - 1)², and 2·(0 - 1) for the weight and the bias
    (1.0, array([-2., -2.]))
    """
    for layer in net.layers:
        if layer.stochastic:
            setattr(layer, "keep_prob", 1.0)  # noqa: B010  # not every Layer has one
    splits = loss.splits_rows and all(layer.independent_rows for layer in net.layers)
    size = AT_ONCE if splits else len(x)
    normalizer = float(len(x) if weights is None else weights.sum()) if splits else None
    value, total, cache = 0.0, net.parameters.like(), Cache(net.dtype)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        outputs, _ = net.forward(x[part], training=True, cache=cache, step=0)
        targets = y[part] if y.dtype.kind == "i" else y[part].astype(net.dtype)
        own = None if weights is None else weights[part]
        found, doutputs = loss.compute(outputs, targets, own, normalizer)
        value += float(found)
        total.vector += net.backward(doutputs, cache).vector
    return value, total


def _block(net: Network, name: str, slope: Array) -> ParameterStationarity:
    """Return one array's row: the penalty's subgradient first, then the constraint's hold."""
    w, left, excess = net.parameters[name], slope, 0.0
    for rule in (net.penalty_of(name), net.constraint_of(name)):
        if rule is not None:
            before, left = left, np.empty_like(w)
            rule.residual(w, before, left)
    if (constraint := net.constraint_of(name)) is not None:
        allowed = np.empty_like(w)
        constraint.project(w, allowed)
        excess = float(np.abs(w - allowed).max())
    return ParameterStationarity(
        name,
        w.size,
        int(w.size - np.count_nonzero(w)),
        float(np.abs(slope).max()),
        float(np.abs(left).max()),
        excess,
    )


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
