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

from nnreg import rows
from nnreg.cache import Cache
from nnreg.kernels import Array
from nnreg.lab.duality import duality_gap
from nnreg.loss import Loss
from nnreg.network import Network
from nnreg.parameters import Parameters
from nnreg.summary import table

AT_ONCE = 1024  # rows


@dataclass(frozen=True)
class Block:
    """One parameter array.

    Attributes
    ----------
    name : str
    size, zeros : int
        How many values it has, and how many of them are exactly zero.
    slope : float
        The largest derivative of the data loss by one of them: what the residual compares with.
    residual : float
        The largest element that is left over.
    excess : float
        How far the value that is farthest off is from where its constraint allows it to be.

    Examples
    --------
    >>> Block("dense_1.weight", 10, 4, 0.1, 1e-9, 0.0).zeros
    4
    """

    name: str
    size: int
    zeros: int
    slope: float
    residual: float
    excess: float


@dataclass(frozen=True)
class Stationarity:
    """What :func:`measure_stationarity` found.

    Attributes
    ----------
    blocks : tuple of Block
    data_loss, penalty : float
        In inference mode, over all rows.
    gap : float or None
        The duality gap, which ``total`` exceeds the minimum by at most; None where the model is not
        linear or there is no such bound.

    Examples
    --------
    >>> block = Block("dense_1.weight", 10, 4, 0.1, 1e-9, 0.0)
    >>> Stationarity((block,), 0.25, 0.5, None)
    residual 1.0e-09; total 0.75 = data loss 0.25 + penalty 0.5
    parameter       values  zeros  slope of the data loss  residual
    --------------  ------  -----  ----------------------  --------
    dense_1.weight      10      4                 1.0e-01   1.0e-09
    """

    blocks: tuple[Block, ...]
    data_loss: float
    penalty: float
    gap: float | None

    @property
    def residual(self) -> float:
        """The largest of all blocks."""
        return max((block.residual for block in self.blocks), default=0.0)

    @property
    def excess(self) -> float:
        """The largest of all blocks; 0 where every constraint holds."""
        return max((block.excess for block in self.blocks), default=0.0)

    @property
    def total(self) -> float:
        """The objective."""
        return self.data_loss + self.penalty

    def __repr__(self) -> str:
        said = [f"residual {self.residual:.1e}"]
        if self.excess:
            said.append(f"constraints exceeded by {self.excess:.1e}")
        said.append(
            f"total {self.total:.6g} = data loss {self.data_loss:.6g} + penalty {self.penalty:.6g}"
        )
        if self.gap is not None:
            said.append(f"at most {self.gap:.1e} above the minimum")
        cells = [
            [
                block.name,
                f"{block.size:,}",
                f"{block.zeros:,}",
                f"{block.slope:.1e}",
                f"{block.residual:.1e}",
            ]
            for block in self.blocks
        ]
        head = ["parameter", "values", "zeros", "slope of the data loss", "residual"]
        return "; ".join(said) + "\n" + table(head, cells, right=[1, 2, 3, 4])


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
    x, y = rows.looked_at(net, loss, x, y)
    weights = rows.weighed(net, loss, y, sample_weight, None)
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


def _block(net: Network, name: str, slope: Array) -> Block:
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
    return Block(
        name,
        w.size,
        int(w.size - np.count_nonzero(w)),
        float(np.abs(slope).max()),
        float(np.abs(left).max()),
        excess,
    )
