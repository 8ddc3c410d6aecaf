"""Gaussian dropout: the noise has the moments of dropout, and is a function of where and when."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from small import everything, problem, taught
from strategies import matrices, training_cache

import nnreg as nn
from nnreg.layers.dropout import normal_quantiles


def network(keep_prob, inputs, dtype="float64", *, seed=0):
    return nn.Network(
        [nn.GaussianDropout(keep_prob=keep_prob)], inputs=inputs, dtype=dtype, seed=seed
    )


def factors(net, N, *, step=0, first_row=0):
    """Return what the network's first layer multiplies by: its outputs for ones."""
    x = np.ones((N, net.inputs), net.dtype)
    return net.layers[0].forward(x, training_cache(net.dtype, step=step, first_row=first_row))


class AllBits:
    """In place of a stream of random words: each value of 16 bits once."""

    def rows(self, counter, first_row, shape):
        yield (slice(None), slice(None)), np.arange(65536, dtype=np.uint16).reshape(shape)


def for_all_bits(keep_prob, dtype="float64"):
    net = network(keep_prob, 65536, dtype)
    cache = nn.Cache(net.dtype)
    cache["gaussiandropout_1"].rng = AllBits()
    return net.forward(np.ones((1, 65536)), training=True, cache=cache)[0]


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_prob", [0.1, 0.5, 0.8, 0.95])
def test_over_all_bits_mean_and_variance_are_those_of_dropout(keep_prob):
    m = for_all_bits(keep_prob)
    assert m.mean() == pytest.approx(1, abs=1e-14)
    assert m.var() == pytest.approx((1 - keep_prob) / keep_prob, rel=1e-13)


def test_the_quantiles_are_symmetric_and_in_order():
    z = normal_quantiles(np.dtype("float64"))
    np.testing.assert_array_equal(z, -z[::-1])
    assert (np.diff(z) > 0).all()


def test_over_all_bits_the_distribution_is_normal():
    z = np.sort(for_all_bits(0.5)[0] - 1)
    exact = stats.norm.cdf(z)
    steps = np.arange(65537) / 65536
    assert max(abs(exact - steps[1:]).max(), abs(exact - steps[:-1]).max()) < 1 / 65536
    assert stats.kurtosis(z) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("keep_prob", [0.3, 0.8])
def test_drawn_factors_pass_a_test_of_normality_in_every_direction(keep_prob):
    z = (factors(network(keep_prob, 401), 1000) - 1) / math.sqrt(1 / keep_prob - 1)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    for other in (z[:, 1:] * z[:, :-1], z[1:] * z[:-1]):
        assert abs(other.mean()) < 5 / math.sqrt(other.size)


@given(matrices(), st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_outputs_and_derivatives_are_multiplied_by_the_same_factors(x, keep_prob, step):
    net = network(keep_prob, x.shape[1])
    m, cache = factors(net, len(x), step=step), training_cache(step=step)
    np.testing.assert_array_equal(net.layers[0].forward(x, cache), x * m)
    np.testing.assert_array_equal(net.layers[0].backward(x + 1, cache), (x + 1) * m)


@given(matrices(-1e6, 1e6), st.floats(0.01, 1))
def test_inference_is_bitwise_the_identity(x, keep_prob):
    net = network(keep_prob, x.shape[1])
    assert net.predict(x).tobytes() == x.tobytes()


def test_training_at_keep_prob_1_hands_on_what_comes(rng):
    layer, cache, x = network(1.0, 3).layers[0], training_cache(), rng.normal(size=(4, 3))
    assert layer.forward(x, cache) is x
    assert layer.backward(x, cache) is x


# --- Which factors --------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 1000), st.data())
def test_factors_drawn_in_row_parts_are_those_drawn_at_once(N, D, step, data):
    cut = data.draw(st.integers(0, N))
    net = network(0.6, D)
    parts = [factors(net, cut, step=step), factors(net, N - cut, step=step, first_row=cut)]
    np.testing.assert_array_equal(np.concatenate(parts), factors(net, N, step=step))


def test_factors_differ_between_steps_layers_and_seeds():
    net = nn.Network([nn.GaussianDropout(keep_prob=0.5) for _ in range(2)], inputs=9)
    drawn = [
        layer.forward(np.ones((4, 9)), training_cache(step=step))
        for layer in net.layers
        for step in range(3)
    ]
    drawn.append(factors(network(0.5, 9, seed=1), 4))
    assert len({m.tobytes() for m in drawn}) == 7


def test_the_factors_of_float32_are_those_of_float64_rounded():
    single, double = (factors(network(0.5, 100, dtype), 4) for dtype in ("float32", "float64"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-6)


def test_a_changed_keep_prob_holds_from_the_next_batch_on():
    net, x = network(0.5, 1000), np.ones((100, 1000))
    first, cache = net.forward(x, training=True)
    net.layers[0].keep_prob = 0.9
    np.testing.assert_array_equal(net.layers[0].backward(x, cache[net.layers[0].name]), first)
    second, _ = net.forward(x, training=True)
    assert first.var() == pytest.approx(1, rel=0.03)
    assert second.var() == pytest.approx(1 / 9, rel=0.03)


@pytest.mark.parametrize(("positional", "keywords"), [((0.2,), {}), ((), {"rate": 0.2})])
def test_a_rate_is_an_error_that_states_the_conversion(positional, keywords):
    with pytest.raises(TypeError, match="keep_prob = 1 - rate"):
        nn.GaussianDropout(*positional, **keywords)


# --- In training ----------------------------------------------------------------------------------


def noisy(dtype="float64"):
    layers = [
        *(nn.GaussianDropout(keep_prob=0.9), nn.Dense(8), nn.ReLU()),
        *(nn.GaussianDropout(keep_prob=0.6), nn.Dense(3)),
    ]
    return nn.Network(layers, inputs=2, dtype=dtype, penalty=nn.L2(0.01))


def test_the_gradient_of_a_network_is_right_with_the_noise_on():
    x, y = problem(9)
    net = noisy()
    report = nn.check_gradients(net, x, y, nn.SoftmaxCrossEntropy())
    report.assert_ok()
    assert report.max_error < 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_is_the_taught_loop_bit_for_bit(dtype):
    x, y = problem()
    nets, optimizers = [noisy(dtype), noisy(dtype)], [nn.Adam(0.01), nn.Adam(0.01)]
    loss = nn.SoftmaxCrossEntropy()
    nn.fit(nets[0], x, y, loss=loss, optimizer=optimizers[0], epochs=3, batch_size=16, threads=1)
    x = x.astype(dtype)
    taught(nets[1], x, y, loss=loss, optimizer=optimizers[1], epochs=3)
    assert everything(nets[0], optimizers[0]) == everything(nets[1], optimizers[1])


# --- Linear regression: noise on the inputs is ridge ----------------------------------------------


@pytest.mark.parametrize("kind", [nn.Dropout, nn.GaussianDropout])
@pytest.mark.parametrize("keep_prob", [0.5, 0.8])
def test_the_mean_over_steps_of_the_objective_is_ridge_within_its_monte_carlo_error(
    kind, keep_prob, rng
):
    """Srivastava et al. (2014), section 9.1; Wager et al. (2013): only two moments matter.

    ``E‖y - (x·m)w‖² = ‖y - xw‖² + (1-p)/p·Σⱼ wⱼ² Σₙ xₙⱼ²``, over N, and its derivative by w.
    """
    N, D, steps = 6, 5, 4000
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
