"""Gradients in float32 agree with those in float64, which are checked, to 1e-5."""

import numpy as np
import pytest

import nnreg as nn

ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softplus]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 12)).astype(np.float32)
LABELS = RNG.integers(0, 5, 16)
REAL = RNG.random((16, 5)).astype(np.float32)
LOSSES = [
    (nn.SoftmaxCrossEntropy(), LABELS),
    (nn.SoftmaxCrossEntropy(label_smoothing=0.1), LABELS),
    (nn.SigmoidCrossEntropy(), REAL),
    (nn.MeanSquaredError(), REAL),
    (nn.Huber(0.5), REAL),
    (nn.Quantile(0.3), REAL),
    (nn.Poisson(), REAL),
]


def gradients(net, loss, targets):
    """Return the gradient of the total objective by each parameter, and by the inputs."""
    outputs, cache = net.forward(X, training=True, step=3)
    _, doutputs = loss(outputs, targets)
    gradient = net.backward(doutputs, cache)
    net.add_penalty_gradient(gradient)
    result = {name: gradient[name].copy() for name in gradient}
    return result | {"inputs": net.run_backward(doutputs, cache, inputs=True)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("loss", "targets"), LOSSES)
@pytest.mark.parametrize("penalty", [nn.L2(0.01), nn.ElasticNet(0.01, 0.01)], ids=repr)
def test_float32_gradients_are_those_of_float64(activation, loss, targets, penalty):
    layers = [nn.Dense(20), activation(), nn.Dropout(keep_prob=0.7), nn.Dense(5)]
    single = nn.Network(layers, inputs=12, penalty=penalty)
    double = single.copy("float64")
    ours, exact = gradients(single, loss, targets), gradients(double, loss, targets)
    for name, value in exact.items():
        assert ours[name].dtype == np.float32
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-5 * np.abs(value).max())


@pytest.mark.slow
def test_a_network_of_four_million_parameters_is_checked_with_dropout_on():
    layers = []
    for width in (1024, 1024, 2048):
        layers += [nn.Dense(width), nn.ReLU(), nn.Dropout(keep_prob=0.5)]
    net = nn.Network([*layers, nn.Dense(10)], inputs=784, penalty=nn.L2(1e-4))
    report = nn.check_gradients(
        net, RNG.random((4, 784)), np.array([0, 3, 5, 9]), nn.SoftmaxCrossEntropy()
    )
    assert net.parameters.vector.size == 3_973_130
    assert report.max_error < 1e-12
    assert {row.points for row in report.rows} == {"all 10", "8 directions"}
