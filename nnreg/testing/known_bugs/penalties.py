"""Known bugs of penalties: ``λ/2 Σ w²`` has the gradient ``λ w``, ``λ Σ |w|`` has ``λ sign(w)``.

Bugs of their addition too: it is to the weights, not to the biases, without a division.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.layers.activations import Tanh
from nnreg.layers.dense import Dense
from nnreg.network import Network
from nnreg.parameters import Parameters
from nnreg.penalties import L1, L2, ElasticNet, Penalty
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, KnownBug, bugs

STRENGTH, SECOND = 0.3, 0.8


class WrongPenalty(Penalty):
    """A penalty with the right value, or a multiple of it, and a wrong gradient."""

    def __init__(
        self, right: Callable[[], Penalty], wrong: Formula, *, factor: float = 1.0
    ) -> None:
        self.right, self.wrong, self.factor = right(), wrong, factor

    def value(self, w: Array) -> Any:
        """Return the right value, times ``factor``."""
        return self.right.value(w) * self.factor

    def gradient(self, w: Array, out: Array) -> None:
        """Write the wrong gradient."""
        self.right.gradient(w, out)
        right = out * self.factor
        out[...] = self.wrong(FormulaInputs(right, x=w, constant=STRENGTH, second=SECOND))


class WrongNetwork(Network):
    """A network of two small layers with L2, whose gradient is added wrongly.

    Parameters
    ----------
    add : function (gradients, net, right)
        Adds the penalty's gradient to ``gradients``; ``right`` is that gradient.
    """

    def __init__(self, add: Callable[[Parameters, Network, Parameters], Any]) -> None:
        layers = [Dense(3), Tanh(), Dense(2)]
        super().__init__(layers, inputs=4, penalty=L2(STRENGTH), dtype="float64")
        self.parameters.biases[:] = 0.1, -0.2, 0.3, -0.4, 0.5
        self.add = add

    def add_penalty_gradient(
        self, gradients: Parameters, part: slice | None = None, work: Array | None = None
    ) -> None:
        """Add the gradient, wrongly."""
        right = self.parameters.like()
        super().add_penalty_gradient(right)
        self.add(gradients, self, right)


def _add(gradients: Parameters, term: Array) -> None:
    gradients.vector[...] += term


SCALED = "In nnreg a penalty is not divided, neither by N nor by the number of weights."

PENALTIES = (
    *bugs(
        "L2",
        partial(WrongPenalty, partial(L2, STRENGTH)),
        None,
        (
            "2λ",
            "The gradient is 2λw, that of λ/2·Σw² is λw: it is too large by a factor of 2.",
            "λ/2·Σw² has the gradient λw. Only without the 1/2 does it have 2λw.",
            lambda p: 2.0 * p.right,
        ),
    ),
    *bugs(
        "L2",
        partial(WrongPenalty, partial(L2, STRENGTH), factor=2.0),
        None,
        (
            "half missing in the value",
            "The value is λΣw², the gradient λw: the gradient is too small by a factor of 2.",
            "Either the value has the 1/2 or the gradient has a 2.",
            lambda p: 0.5 * p.right,
        ),
    ),
    *bugs(
        "L2",
        partial(WrongPenalty, partial(L2, STRENGTH)),
        None,
        (
            "strength missing",
            "The gradient is w: the strength λ is missing.",
            "Value and gradient are both multiplied by λ. With λ = 1 the bug has no effect.",
            lambda p: p.x * 1.0,
        ),
        (
            "absolute values",
            "The gradient is λ|w|: the sign is missing.",
            "The derivative of w² is 2w, which is negative for negative w.",
            lambda p: p.constant * np.abs(p.x),
        ),
        (
            "square for derivative",
            "The gradient is λw²: the function is used instead of its derivative.",
            "Differentiate: (w²)' = 2w.",
            lambda p: p.constant * p.x**2,
        ),
        (
            "norm not squared",
            "The gradient is λw/‖w‖: it belongs to the norm, not to its square.",
            "np.linalg.norm is a square root. L2 regularization uses Σw².",
            lambda p: p.constant * p.x / np.sqrt((p.x**2).sum()),
        ),
        (
            "gradient of L1",
            "The gradient is λ·sign(w): it belongs to L1.",
            "Σw² has 2w, Σ|w| has sign(w).",
            lambda p: p.constant * np.sign(p.x),
        ),
    ),
    *bugs(
        "L1",
        partial(WrongPenalty, partial(L1, STRENGTH)),
        None,
        (
            "w for its sign",
            "The gradient is λw; it should be λ·sign(w).",
            "|w| is linear on either side of 0: its slope is ±1, independent of the size of w.",
            lambda p: p.constant * p.x,
        ),
        (
            "sign missing",
            "The gradient is λ everywhere: steps move negative weights further from zero.",
            "|w| decreases where w < 0. Its slope there is -1.",
            lambda p: np.full_like(p.x, p.constant),
        ),
        (
            "strength missing",
            "The gradient is sign(w): the strength λ is missing.",
            "Value and gradient are both multiplied by λ. With λ = 1 the bug has no effect.",
            lambda p: np.sign(p.x),
        ),
        (
            "sign(0) = +1",
            "At w = 0 the gradient is +λ; it should be 0.",
            "With np.where(w >= 0, 1, -1) every step moves an exact zero. np.sign(0) is 0.",
            lambda p: p.right + p.constant * (p.x == 0),
        ),
        (
            "sign(0) = -1",
            "At w = 0 the gradient is -λ; it should be 0.",
            "With np.where(w > 0, 1, -1) every step moves an exact zero. np.sign(0) is 0.",
            lambda p: p.right - p.constant * (p.x == 0),
        ),
    ),
    *bugs(
        "elastic net",
        partial(WrongPenalty, partial(ElasticNet, STRENGTH, SECOND)),
        None,
        (
            "L1 part missing",
            "Only the L2 part is in the gradient: l1·sign(w) is missing.",
            "The value is a sum of two terms, and so is the gradient.",
            lambda p: p.second * p.x,
        ),
        (
            "L2 part missing",
            "Only the L1 part is in the gradient: l2·w is missing.",
            "The value is a sum of two terms, and so is the gradient.",
            lambda p: p.constant * np.sign(p.x),
        ),
        (
            "L2 part doubled",
            "The L2 part of the gradient is 2·l2·w; the value has l2/2·Σw².",
            "With the 1/2 in the value there is no 2 in the gradient.",
            lambda p: p.constant * np.sign(p.x) + 2 * p.second * p.x,
        ),
    ),
    *bugs(
        "any penalty",
        partial(WrongPenalty, partial(L2, STRENGTH)),
        None,
        (
            "only in the value",
            "The gradient is zero: the penalty is in the value only, and nothing is regularized.",
            "Adding the penalty to the printed loss changes no weight. Write its derivative too.",
            lambda p: 0.0 * p.right,
        ),
    ),
    *bugs(
        "any penalty",
        partial(WrongPenalty, partial(L2, STRENGTH), factor=0.0),
        None,
        (
            "only in the gradient",
            "The value does not depend on w, although the gradient is not zero.",
            "The gradient must be the derivative of the value; otherwise the printed loss is "
            "misleading.",
            lambda p: STRENGTH * p.x,
            lambda p, returned: not p.right.any() and bool(returned.any()),
        ),
    ),
    *bugs(
        "any penalty",
        partial(WrongPenalty, partial(L2, STRENGTH)),
        None,
        (
            "sign",
            "The gradient has the wrong sign: weights are made larger.",
            "The gradient points in the direction in which the penalty increases: away from zero.",
            lambda p: -p.right,
        ),
        (
            "divided by the rows",
            "The gradient is divided by the number of rows of w.",
            SCALED,
            lambda p: p.right / len(p.x),
        ),
        (
            "divided by the number of weights",
            "The gradient is divided by the number of weights.",
            f"{SCALED} np.mean instead of np.sum has this effect.",
            lambda p: p.right / p.x.size,
        ),
    ),
)

NETWORKS = [
    KnownBug(
        f"network: {name}",
        "network",
        description,
        hint,
        make=partial(WrongNetwork, add),
        code=f"penalty: {name}",
    )
    for name, description, hint, add in (
        (
            "on biases",
            "The penalty's gradient is added to the biases too.",
            "A bias only shifts the function and does not make it less smooth. Penalize weights "
            "alone.",
            lambda g, net, right: _add(g, STRENGTH * net.parameters.vector),
        ),
        (
            "divided",
            "The penalty's gradient is divided by a number by which its value is not.",
            SCALED,
            lambda g, net, right: _add(g, right.vector / 5),
        ),
        (
            "not added",
            "The penalty is in the value, but its gradient is never added.",
            "net.add_penalty_gradient(gradients) must change gradients.",
            lambda g, net, right: None,
        ),
        (
            "overwrites",
            "The penalty's gradient replaces that of the data.",
            "total = data + penalty: add with +=.",
            lambda g, net, right: np.copyto(g.weights, right.weights),
        ),
    )
]
