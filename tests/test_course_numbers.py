"""Numbers that courses publish to check solutions, with the inputs for which they hold."""

import numpy as np
import pytest

import nnreg as nn
from nnreg.conventions import convert_penalty


def legacy():
    """Return the generator that ``np.random.seed(1)`` sets up, without touching the global one."""
    return np.random.RandomState(1)


# --- deeplearning.ai: regularization --------------------------------------------------------------


def test_cost_with_l2_of_deeplearning_ai():
    """Its arrays are the transposes of ours, and its strength is divided by the examples."""
    rng = legacy()
    shapes = [(2, 3), (2, 1), (3, 2), (3, 1), (1, 3), (1, 1)]
    net = nn.Network(
        [nn.Dense(2), nn.ReLU(), nn.Dense(3), nn.ReLU(), nn.Dense(1)],
        inputs=3,
        penalty=nn.L2(convert_penalty(0.1, source="deeplearning.ai", target="nnreg", n=5)),
        dtype="float64",
    )
    for name, shape in zip(net.parameters, shapes, strict=True):
        net.parameters[name] = rng.standard_normal(shape).T.reshape(net.parameters[name].shape)
    outputs = np.array([[0.40682402, 0.01629284, 0.16722898, 0.10118111, 0.40682402]])
    targets = np.array([[1, 1, 0, 1, 0]])
    logits = np.log(outputs / (1 - outputs))
    data_loss, _ = nn.SigmoidCrossEntropy()(logits.T, targets.T)
    cost = data_loss + net.penalty_value()
    assert cost == pytest.approx(1.7864859452, rel=0, abs=5e-11)


# --- deeplearning.ai: a gradient check that must fail ---------------------------------------------


def three_layers():
    """Return the course's network, examples and labels."""
    rng = legacy()
    x = rng.standard_normal((4, 3))
    shapes = [(5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1)]
    layers = [nn.Dense(5), nn.ReLU(), nn.Dense(3), nn.ReLU(), nn.Dense(1)]
    net = nn.Network(layers, inputs=4, dtype="float64")
    for name, shape in zip(net.parameters, shapes, strict=True):
        net.parameters[name] = rng.standard_normal(shape).T.reshape(net.parameters[name].shape)
    return net, x.T, np.array([[1], [1], [0]])


def checked(factors):
    """Return the report on the course's function of its parameters, some gradients multiplied."""
    net, x, y = three_layers()

    def cost(parameters):
        for name, value in parameters.items():
            net.parameters[name][...] = value
        outputs, cache = net.forward(x, training=True, step=0)
        value, doutputs = nn.SigmoidCrossEntropy()(outputs, y)
        gradients = net.backward(doutputs, cache)
        return value, {name: gradients[name] * factors.get(name, 1) for name in gradients}

    parameters = {name: net.parameters[name].copy() for name in net.parameters}
    return nn.check_gradients(cost, parameters, method="central", error_metric="deeplearning.ai")


def test_the_planted_mistakes_of_deeplearning_ai_are_found_and_measured_as_there():
    """0.2850931567 in the course, which takes differences with a step of 1e-7.

    The number itself is 0.2850931492: the two are apart by what such differences lose.
    """
    report = checked({"dense_2.weight": 2, "dense_1.bias": 4})
    ((_, _, value, passed),) = report.measured_by("deeplearning.ai")
    assert value == pytest.approx(0.2850931567, rel=0, abs=1e-8)
    assert value == pytest.approx(0.2850931492, rel=0, abs=2e-10)
    assert not passed
    wrong = {row.block: row.analytic / row.measured for row in report.rows if not row.passed}
    assert wrong == pytest.approx({"dense_1.bias": 4, "dense_2.weight": 2}, rel=1e-6)


def test_without_the_planted_mistakes_the_measure_passes():
    report = checked({})
    ((_, _, value, passed),) = report.measured_by("deeplearning.ai")
    assert report.passed
    assert passed
    assert value < 1e-8
