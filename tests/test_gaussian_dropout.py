"""Gaussian dropout: normal noise with the moments of dropout, equivalent to ridge regression."""

import math

import numpy as np
import pytest
from scipy import stats
from small import assert_fit_is_the_taught_loop, problem
from strategies import dropout_network, for_all_bits, mask

import nnreg as nn
from nnreg.layers.dropout import normal_quantiles

# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_prob", [0.1, 0.5, 0.8, 0.95])
def test_over_all_bits_mean_and_variance_are_those_of_dropout(keep_prob):
    m = for_all_bits(nn.GaussianDropout(keep_prob=keep_prob))
    assert m.mean() == pytest.approx(1, abs=1e-14)
    assert m.var() == pytest.approx((1 - keep_prob) / keep_prob, rel=1e-13)


def test_the_quantiles_are_symmetric_and_in_order():
    z = normal_quantiles(np.dtype("float64"))
    np.testing.assert_array_equal(z, -z[::-1])
    assert (np.diff(z) > 0).all()


def test_over_all_bits_the_distribution_is_normal():
    z = np.sort(for_all_bits(nn.GaussianDropout(keep_prob=0.5))[0] - 1)
    exact = stats.norm.cdf(z)
    steps = np.arange(65537) / 65536
    assert max(abs(exact - steps[1:]).max(), abs(exact - steps[:-1]).max()) < 1 / 65536
    assert stats.kurtosis(z) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("keep_prob", [0.3, 0.8])
def test_drawn_factors_pass_a_test_of_normality_in_every_direction(keep_prob):
    net = dropout_network(keep_prob, 401, kind=nn.GaussianDropout)
    z = (mask(net, 1000) - 1) / math.sqrt(1 / keep_prob - 1)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    for other in (z[:, 1:] * z[:, :-1], z[1:] * z[:-1]):
        assert abs(other.mean()) < 5 / math.sqrt(other.size)


# --- In training ----------------------------------------------------------------------------------


def noisy():
    return [
        *(nn.GaussianDropout(keep_prob=0.9), nn.Dense(8), nn.ReLU()),
        *(nn.GaussianDropout(keep_prob=0.6), nn.Dense(3)),
    ]


def test_the_gradient_of_a_network_is_right_with_the_noise_on():
    x, y = problem(9)
    net = nn.Network(noisy(), inputs=2, dtype="float64", penalty=nn.L2(0.01))
    report = nn.check_gradients(net, x, y, nn.SoftmaxCrossEntropy())
    report.assert_ok()
    assert report.max_error < 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_is_the_taught_loop_bit_for_bit(dtype):
    assert_fit_is_the_taught_loop(noisy, dtype=dtype, penalty=nn.L2(0.01))


# --- Linear regression: noise on the inputs is ridge ----------------------------------------------


@pytest.mark.parametrize("kind", [nn.Dropout, nn.GaussianDropout])
@pytest.mark.parametrize("keep_prob", [pytest.param(0.5, marks=pytest.mark.slow), 0.8])
def test_the_mean_over_steps_of_the_objective_is_ridge_within_its_monte_carlo_error(
    kind, keep_prob, rng
):
    """Srivastava et al. (2014), section 9.1; Wager et al. (2013): only two moments matter.

    ``E‖y - (x·m)w‖² = ‖y - xw‖² + (1-p)/p·Σⱼ wⱼ² Σₙ xₙⱼ²``, over N, and its derivative in w.
    """
    N, D, steps = 6, 5, 2000
    x, y, loss = rng.normal(size=(N, D)), rng.normal(size=(N, 1)), nn.MeanSquaredError()
    net = nn.Network([kind(keep_prob=keep_prob), nn.Dense(1)], inputs=D, dtype="float64", seed=3)
    w, values, slopes, cache = net.parameters["dense_1.weight"], [], [], None
    for step in range(steps):
        outputs, cache = net.forward(x, training=True, step=step, cache=cache)
        value, doutputs = loss(outputs, y)
        values.append(float(value))
        slopes.append(net.backward(doutputs, cache)["dense_1.weight"][:, 0].copy())
    ridge = (1 - keep_prob) / keep_prob * (x**2).sum(axis=0)[:, np.newaxis]
    value = (((x @ w - y) ** 2).sum() + (ridge * w**2).sum()) / N
    slope = 2 * (x.T @ (x @ w - y) + ridge * w)[:, 0] / N
    for drawn, expected in ((np.array(values)[:, np.newaxis], value), (np.array(slopes), slope)):
        error = drawn.std(axis=0, ddof=1) / math.sqrt(steps)
        assert (abs(drawn.mean(axis=0) - expected) < 4.5 * error).all()
        assert (error < 0.05 * abs(drawn).mean(axis=0)).all()  # a narrow claim, not an empty one
