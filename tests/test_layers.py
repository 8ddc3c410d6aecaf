"""The contract of every layer, shipped or custom."""

import numpy as np
import pytest
from hypothesis import given
from scipy import special, stats
from small import Scale, fit
from strategies import LAYERS, alone, away_from, matrices, slopes, training_cache

import nnreg as nn

layers = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def batch(rng, shape, dtype="float64"):
    return away_from(rng.normal(size=shape)).astype(dtype)


@layers
def test_backward_before_forward_is_an_error_that_says_so(make):
    net, layer = alone(make(), 5)
    dy = np.zeros((7, net.widths[1]))
    with pytest.raises(AttributeError, match=r"the cache has no .* did not store it"):
        layer.backward(dy, nn.Cache("float64"))
    if net.parameters.vector.size:
        with pytest.raises(AttributeError, match="the forward pass did not store it"):
            layer.gradient(dy, nn.Cache("float64"), net.parameters.like().of(layer.name))


@layers
@given(matrices())
def test_backward_equals_the_difference_quotient(make, x):
    x = away_from(x)
    _, layer = alone(make(), x.shape[1])
    cache = training_cache()
    dy = np.cos(layer.forward(x, cache))
    expected = slopes(lambda x: (dy * layer.forward(x, training_cache())).sum(), x)
    np.testing.assert_allclose(layer.backward(dy, cache), expected, rtol=1e-6, atol=1e-7)


@layers
def test_the_next_pass_reuses_the_buffers_of_a_cache(make, rng):
    _, layer = alone(make(), 5)
    cache = training_cache()
    first = layer.forward(batch(rng, (7, 5)), cache)
    cache.reset(training=True, step=1)
    x = batch(rng, (3, 5))
    again = layer.forward(x, cache)
    fresh = layer.forward(x, training_cache(step=1))
    np.testing.assert_array_equal(again, fresh)
    if make is not LAYERS["Dropout, identity"]:
        assert np.shares_memory(first, again)


@pytest.mark.parametrize(
    ("layer", "truth"),
    [
        (nn.ReLU(), lambda x: np.maximum(x, 0)),
        (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
        (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        (nn.GELU(), lambda x: x * stats.norm.cdf(x)),
        (nn.Tanh(), np.tanh),
        (nn.Sigmoid(), special.expit),
        (nn.Softplus(), lambda x: np.logaddexp(0, x)),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Layer) else "",
)
def test_an_activation_has_the_value_of_its_definition(layer, truth, rng):
    x = rng.normal(size=(7, 5))
    np.testing.assert_allclose(layer.forward(x, training_cache()), truth(x), rtol=1e-12)


@layers
def test_what_a_layer_computes_lies_in_its_cache_under_its_name(make, rng):
    (_, layer), x, cache = alone(make(), 5), batch(rng, (7, 5)), training_cache()
    y = layer.forward(x, cache)
    dy = np.cos(y)
    dx = layer.backward(dy, cache)
    for name, value in {"y": y, "dx": dx, **vars(cache)}.items():
        if value is not None and value is not x and value is not dy:
            assert np.shares_memory(value, cache.array(name, value.shape)), name


@layers
def test_an_unbound_copy_has_the_settings_and_neither_name_nor_parameters(make):
    net, layer = alone(make(), 5)
    free = layer.clone()
    assert free.name == ""
    assert free.get_config() == layer.get_config() == make().clone().get_config()
    assert not any(name in vars(free) for name in ("weight", "bias"))
    nn.Network([free], inputs=5)
    assert layer.name == net.layers[0].name != ""


@layers
def test_shipped_layers_treat_each_row_on_its_own(make):
    assert make().independent_rows


# --- Dense ----------------------------------------------------------------------------------------


def test_dense_weights_are_inputs_by_outputs():
    net, layer = alone(nn.Dense(3), 2)
    assert layer.weight.shape == (2, 3)
    assert layer.bias.shape == (3,)
    assert np.shares_memory(layer.weight, net.parameters.vector)


def test_dense_without_bias_has_one_parameter():
    net, _ = alone(nn.Dense(3, bias=False), 2)
    assert list(net.parameters) == ["dense_1.weight"]
    assert net.parameters.biases.size == 0


# --- A user's layer -------------------------------------------------------------------------------


def test_a_users_layer_trains_among_the_others(rng):
    net = nn.Network([Scale(), nn.Dense(2), nn.Tanh(), Scale()], inputs=3, dtype="float64")
    assert next(iter(net.parameters)) == "scale_1.factor"
    np.testing.assert_array_equal(net.parameters["scale_2.factor"], 1.0)
    assert net.parameters["scale_1.factor"].size + 2 + 2 == net.parameters.biases.size
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    losses = fit(net, x, y, loss=nn.MeanSquaredError(), epochs=30)["data_loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert (net.parameters["scale_1.factor"] != 1.0).all()


@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize("wrong", [lambda a: a[:, :1], lambda a: a.astype("float64")])
def test_a_users_layer_that_returns_another_shape_or_dtype_is_named(method, wrong, rng):
    class Odd(nn.Layer):
        def forward(self, x, cache):
            return wrong(x) if method == "forward" else x * 1

        def backward(self, dy, cache):
            return wrong(dy)

    net = nn.Network([nn.Dense(2), Odd()], inputs=2)
    message = rf"odd_1\.{method} must return shape \(3, 2\) and dtype float32, got"
    with pytest.raises(ValueError, match=message):
        net.backward(np.ones((3, 2)), net.forward(rng.normal(size=(3, 2)), training=True)[1])


def test_a_parameter_may_not_hide_an_attribute_of_its_layer():
    class Hidden(Scale):
        def parameters(self, inputs):
            return {"forward": nn.Parameter((inputs,), nn.ones)}

    with pytest.raises(ValueError, match="parameter name 'forward' of Hidden"):
        nn.Network([Hidden()], inputs=2)
