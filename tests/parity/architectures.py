"""Random networks with random batches, and their total in the arithmetic of any framework.

The layers are walked through as they stand, with the framework's operations in place of ours and
with the dropout masks that ours drew; then its automatic differentiation has the word, by every
parameter and by the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from parity import shared
from parity.shared import Array

import nnreg as nn

SEEDS = range(6)  # for each loss

# Relative to the largest entry of a block. A block below the floor is compared absolutely: where
# large terms cancel, rounding is relative to them.
TOLERANCE, FLOOR = 1e-12, 1e-4


@dataclass
class Case:
    """A network in float64, a loss, and a batch with targets and weights of its rows."""

    net: nn.Network
    loss: str
    x: Array
    targets: Array
    weights: Array | None

    def differentiate(self) -> tuple[float, dict[str, Array], dict[str, Array]]:
        """Return our total, its gradients with respect to parameters and inputs, and masks."""
        net = self.net
        outputs, cache = net.forward(self.x, training=True)
        data_loss, doutputs = shared.LOSSES[self.loss](outputs, self.targets, self.weights)
        gradients = net.backward(doutputs, cache)
        net.add_penalty_gradient(gradients)
        by_block = {name: gradients[name] for name in gradients}
        by_block["inputs"] = net.run_backward(doutputs, cache, inputs=True)
        dropouts = [layer.name for layer in net.layers if isinstance(layer, nn.Dropout)]
        return data_loss + net.penalty_value(), by_block, {n: cache[n].mask for n in dropouts}


def draw(loss: str, seed: int) -> Case:
    """Draw a case: one to four dense layers, one to nine units in each and rows in the batch."""
    rng = np.random.default_rng([seed, list(shared.LOSSES).index(loss)])
    inputs, rows, depth = rng.integers(1, 10, 2).tolist() + rng.integers(1, 5, 1).tolist()
    layers: list[nn.Layer] = []
    for place in range(depth):
        if rng.random() < 0.5:
            layers.append(nn.Dropout(keep_prob=rng.uniform(0.3, 0.95)))
        penalty = "inherit" if rng.random() < 0.5 else draw_penalty(rng)
        units = int(rng.integers(1, 10))
        layers.append(nn.Dense(units, penalty=penalty, bias=rng.random() < 0.8))
        if place < depth - 1 and rng.random() < 0.9:
            layers.append(rng.choice(list(shared.ACTIVATIONS.values()))())
    net = nn.Network(layers, inputs=inputs, penalty=draw_penalty(rng), seed=seed, dtype="float64")
    net.parameters.biases[:] = rng.normal(0, 0.5, net.parameters.biases.size)
    zero = rng.random(net.parameters.weights.size) < 0.1  # where the subgradient of L1 is a choice
    net.parameters.weights[zero] = 0.0
    weights = None
    if rng.random() < 0.6:
        weights = rng.uniform(0.1, 3.0, rows) * (rng.random(rows) < 0.8)
        weights[rng.integers(rows)] = 1.0
    targets = shared.targets_of(loss, rng, rows, units)
    return Case(net, loss, rng.normal(size=(rows, inputs)), targets, weights)


def draw_penalty(rng: np.random.Generator) -> nn.Penalty | None:
    a, b = (2.0 ** -rng.integers(2, 7, 2)).tolist()
    return [None, nn.L1(a), nn.L2(b), nn.ElasticNet(a, b)][rng.integers(4)]


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a framework.

    Attributes
    ----------
    array : function (ndarray) -> its own array
    add_up : function (array) -> scalar
    absolute : function (array) -> array, whose derivative at 0 is 0
    activate : function (layer, x) -> what its own layer of this kind makes of x
    row_losses : by the names of ``shared.LOSSES``, function (outputs, targets) -> one value a row
    """

    array: Callable[[Array], Any]
    add_up: Callable[[Any], Any]
    absolute: Callable[[Any], Any]
    activate: Callable[[nn.Layer, Any], Any]
    row_losses: dict[str, Callable[[Any, Any], Any]]

    def total(self, case: Case, masks: dict[str, Array], values: dict[str, Any]) -> Any:
        """Return data loss and penalties as a function of the parameters and ``inputs``."""
        z = values["inputs"]
        penalty: Any = 0.0
        for layer in case.net.layers:
            if isinstance(layer, nn.Dense):
                w = values[f"{layer.name}.weight"]
                z = z @ w
                if layer.use_bias:
                    z = z + values[f"{layer.name}.bias"]
                own = case.net.penalty if layer.penalty == "inherit" else layer.penalty
                l1, l2 = shared.strengths(own)
                penalty = penalty + l1 * self.add_up(self.absolute(w)) + l2 / 2 * self.add_up(w * w)
            elif isinstance(layer, nn.Dropout):
                z = z * self.array(masks[layer.name])
            else:
                z = self.activate(layer, z)
        rows = self.row_losses[case.loss](z, self.array(case.targets))
        weights = np.ones(len(case.x)) if case.weights is None else case.weights
        return self.add_up(self.array(weights / weights.sum()) * rows) + penalty


def assert_agree(
    arithmetic: Arithmetic,
    differentiate: Callable[[Callable[[Any], Any], dict[str, Array]], tuple[Any, dict[str, Any]]],
    loss: str,
    seed: int,
) -> None:
    """Hold the total and its gradient equal to theirs.

    ``differentiate(function, values)`` returns what the framework finds for a scalar function of a
    dictionary of arrays: its value, and a dictionary of its derivatives.
    """
    case = draw(loss, seed)
    net = case.net
    value, ours, masks = case.differentiate()
    values = {name: net.parameters[name] for name in net.parameters} | {"inputs": case.x}
    their_value, theirs = differentiate(
        lambda values: arithmetic.total(case, masks, values), values
    )
    np.testing.assert_allclose(float(their_value), value, rtol=TOLERANCE, err_msg=f"total of {net}")
    assert set(theirs) == set(ours)
    for name, gradient in ours.items():
        other = np.asarray(theirs[name])
        scale = max(float(abs(other).max()), FLOOR)
        np.testing.assert_allclose(
            gradient, other, rtol=0, atol=TOLERANCE * scale, err_msg=f"{name} of {net}"
        )
