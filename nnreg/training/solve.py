"""Full-batch training to a minimum: L-BFGS, for smooth objectives.

For small problems, L-BFGS (Liu & Nocedal, 1989, the implementation of SciPy) uses all rows in every
iteration and stops where the gradient is small. The objective is that of ``fit``, ``data loss +
penalty``; a network that is not linear may have other minima.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import L2
from nnreg.training.data import Data, prepare
from nnreg.training.step import IGNORE_FLOAT_ERRORS

TOLERANCES = {"float64": 1e-7, "float32": 1e-4}
CORRECTIONS = 20  # pairs of steps and gradients that approximate the curvature


class NotConvergedError(ArithmeticError):
    """A solver reached its limit before its tolerance; the network has the last parameters.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2, dtype="float64")
    >>> x, y = [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]], [[1.0], [0.0], [3.0]]
    >>> try:
    ...     nn.solve(net, x, y, loss=nn.MeanSquaredError(), max_iterations=1)
    ... except nn.NotConvergedError as error:
    ...     print(str(error)[:18])
    after 1 iterations
    """


class Solution(NamedTuple):
    """The result of :func:`solve`.

    Attributes
    ----------
    objective : float
        Data loss plus penalty.
    gradient : float
        The largest absolute value of the objective's gradient.
    iterations : int

    Examples
    --------
    >>> Solution(objective=0.5, gradient=1e-8, iterations=12).iterations
    12
    """

    objective: float
    gradient: float
    iterations: int


def solve(
    net: Network,
    x: Any,
    y: Any,
    *,
    loss: Loss,
    sample_weight: Any = None,
    tolerance: float | None = None,
    max_iterations: int = 10_000,
) -> Solution:
    """Train on the full batch, by L-BFGS, until the gradient is almost zero.

    ``net.steps`` and ``net.epochs`` do not change.

    Parameters
    ----------
    net : Network
        Without dropout and constraints; with L2 penalties or none.
    x : array_like of shape (N, D)
        All rows are used at once, so those of a sparse matrix or of a file are held in memory.
    y : array_like of shape (N,) or (N, M)
        Targets of the loss, or labels from ``net.classes``.
    loss : Loss
    sample_weight : array_like of shape (N,), optional
    tolerance : float, optional
        Bound of the largest absolute value of the gradient. By default 1e-7 in float64, 1e-4 in
        float32.
    max_iterations : int, default 10,000

    Returns
    -------
    Solution

    Raises
    ------
    ValueError, TypeError
        If the objective is not smooth or not a function of the parameters alone, before anything
        is changed.
    NotConvergedError
        If the gradient is larger than the tolerance after ``max_iterations``, or no longer
        decreases. The network has the best parameters so far.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, dtype="float64")
    >>> solution = solve(net, [[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]], loss=nn.Huber())
    >>> net.parameters.vector.round(6)  # y = 2x + 1
    array([2., 1.])
    """
    data = prepare(net, loss, x, y, sample_weight)[0]
    check_smooth(net)
    if tolerance is None:
        tolerance = TOLERANCES[str(net.dtype)]
    tolerance = validation.number("tolerance", tolerance, 0, open_low=True)
    max_iterations = validation.whole("max_iterations", max_iterations, 1)
    from scipy.optimize import minimize

    vector, evaluate = net.parameters.vector, make_objective(net, loss, data)
    options = {
        "gtol": tolerance,
        "ftol": 0.0,
        "maxiter": max_iterations,
        "maxfun": 100 * max_iterations,
        "maxcor": CORRECTIONS,
    }
    start = vector.astype(np.float64)
    try:
        with np.errstate(**IGNORE_FLOAT_ERRORS):
            result = minimize(evaluate, start, method="L-BFGS-B", jac=True, options=options)
            objective, gradient = evaluate(result.x)
    except BaseException:  # the vector has the values of an attempt
        vector[...] = start
        raise
    solution = Solution(objective, float(np.abs(gradient).max(initial=0.0)), int(result.nit))
    if not solution.gradient <= tolerance:
        raise NotConvergedError(
            f"after {solution.iterations:,} iterations the gradient is {solution.gradient:.1e}, "
            f"above the tolerance of {tolerance:.1e}; scale the columns of x alike, use "
            'dtype="float64", or raise max_iterations or tolerance'
        )
    return solution


def make_objective(net: Network, loss: Loss, data: Data) -> Callable[[Array], tuple[float, Array]]:
    """Return the function of all parameters that L-BFGS minimizes, and that sets them.

    Returns
    -------
    function (ndarray of shape (P,)) -> float, ndarray of shape (P,)
        The objective on the full batch and its gradient, in float64.
    """
    vector, cache = net.parameters.vector, Cache(net.dtype)
    inputs = np.array(data.x, net.dtype)

    def evaluate(values: Array) -> tuple[float, Array]:
        vector[...] = values
        outputs, _ = net.forward(inputs, training=True, cache=cache, step=0)
        data_loss, doutputs = loss(outputs, data.y, weights=data.weights)
        gradients = net.backward(doutputs, cache)
        net.add_penalty_gradient(gradients)
        return float(data_loss) + net.penalty_value(), gradients.vector.astype(np.float64)

    return evaluate


def check_smooth(net: Network) -> None:
    """Raise ``ValueError`` unless the objective is a smooth function of the parameters."""
    for layer in net.layers:
        if isinstance(layer, Dropout | GaussianDropout):
            raise ValueError(
                f"net must have no dropout, got {layer.name}: its masks change with every "
                "evaluation, so there is no function to minimize; train with fit"
            )
    for segment in net.regularization.resolve().all:
        if not isinstance(segment.rule, L2):
            raise ValueError(
                f"net must have L2 penalties or none, got {segment.rule!r}, which has kinks or a "
                "boundary, where L-BFGS stops early; train with fit, or a linear model with "
                "nnreg.lab.solve"
            )
