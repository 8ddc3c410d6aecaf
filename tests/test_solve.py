"""L-BFGS: the gradient is almost zero at the end, and known minima are found."""

import numpy as np
import pytest
from small import linear, network, problem, unchanged

import nnreg as nn


def net(penalty=None, dtype="float64", **options):
    layers = [nn.Dense(6), nn.Tanh(), nn.Dense(3)]
    return nn.Network(layers, inputs=2, penalty=penalty, dtype=dtype, **options)


def test_ridge_regression_ends_at_the_normal_equations(rng):
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    model = linear(3, penalty=nn.L2(0.3), bias=False)
    nn.solve(model, x, y, loss=nn.MeanSquaredError(), tolerance=1e-10)
    exact = np.linalg.solve(2 * x.T @ x / 40 + 0.3 * np.eye(3), 2 * x.T @ y / 40)
    np.testing.assert_allclose(model.parameters["dense_1.weight"], exact, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_gradient_of_the_objective_is_almost_zero(dtype):
    model, (x, y) = net(nn.L2(1e-2), dtype), problem()
    loss = nn.SoftmaxCrossEntropy()
    solution = nn.solve(model, x, y, loss=loss)
    outputs, cache = model.forward(x, training=True, step=0)
    value, doutputs = loss(outputs, y)
    gradients = model.backward(doutputs, cache)
    model.add_penalty_gradient(gradients)
    assert np.abs(gradients.vector).max() <= {"float64": 1e-7, "float32": 1e-4}[dtype]
    assert solution.objective == pytest.approx(value + model.penalty_value(), rel=1e-6)
    assert (model.steps, model.epochs) == (0, 0)


def test_a_gradient_of_the_size_of_the_tolerance_is_small_enough():
    first = nn.solve(net(nn.L2(1e-2)), *problem(), loss=nn.SoftmaxCrossEntropy(), tolerance=1e-3)
    options = {"loss": nn.SoftmaxCrossEntropy(), "tolerance": first.gradient}
    assert nn.solve(net(nn.L2(1e-2)), *problem(), **options) == first


def test_weights_are_repeated_rows():
    (x, y), weights = problem(), np.arange(50) % 3
    models = [net(nn.L2(0.1)) for _ in range(2)]
    loss = nn.SoftmaxCrossEntropy()
    nn.solve(models[0], x, y, loss=loss, sample_weight=weights)
    nn.solve(models[1], np.repeat(x, weights, 0), np.repeat(y, weights), loss=loss)
    np.testing.assert_allclose(*(m.predict(x) for m in models), atol=1e-4)


REFUSED = {
    "dropout": (lambda: network(), "no dropout, got dropout_1"),
    "proximal L1": (lambda: net(nn.L1(0.1, method="proximal")), "got L1.*kinks"),
    "subgradient": (lambda: net(nn.ElasticNet(0.1, 0.1)), "got ElasticNet"),
    "constraint": (lambda: net(constraint=nn.MaxNorm(1.0)), "got MaxNorm"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_smooth_is_refused_with_the_reason(make, message):
    model = make()
    with unchanged(model), pytest.raises(ValueError, match=message):
        nn.solve(model, *problem(), loss=nn.SoftmaxCrossEntropy())


@pytest.mark.parametrize(
    ("name", "value"), [("tolerance", 0.0), ("tolerance", -1.0), ("max_iterations", 0)]
)
def test_a_limit_that_cannot_be_reached_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        nn.solve(net(), *problem(), loss=nn.SoftmaxCrossEntropy(), **{name: value})


def test_a_limit_that_is_reached_is_an_error_with_the_last_parameters():
    model, (x, y) = net(nn.L2(1e-3)), problem()
    before = nn.evaluate(model, x, y, loss=nn.SoftmaxCrossEntropy())["loss"]
    with pytest.raises(nn.NotConvergedError, match="after 1 iterations"):
        nn.solve(model, x, y, loss=nn.SoftmaxCrossEntropy(), max_iterations=1)
    assert nn.evaluate(model, x, y, loss=nn.SoftmaxCrossEntropy())["loss"] < before


def test_an_interruption_puts_the_parameters_back(monkeypatch):
    model, calls = net(), []

    def interrupt(self, *arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(nn.Network, "add_penalty_gradient", interrupt)
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        nn.solve(model, *problem(), loss=nn.SoftmaxCrossEntropy())
