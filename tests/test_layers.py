"""The contract that every layer keeps, and the layer that a user writes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from strategies import LAYERS, SIDES, alone, away_from, filled, matrices, slopes, training_cache

import nnreg as nn

layers = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
layers_with_parameters = pytest.mark.parametrize("name", ["Dense", "Dense without bias"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
shapes = pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 1), (7, 5)], ids=str)


class Scale(nn.Layer):
    """y = x * s: one learned factor per feature."""

    def outputs(self, inputs):
        return inputs

    def parameters(self, inputs):
        return {"factor": nn.Parameter((inputs,), nn.ones, weight=False)}

    def forward(self, x, cache):  # (N, D) -> (N, D)
        cache.x = x
        return x * self.factor

    def backward(self, dy, cache):  # what does the loss want of my input?
        return dy * self.factor

    def gradient(self, dy, cache, gradients):  # what does it want of my parameters? overwrites
        gradients["factor"][...] = (dy * cache.x).sum(axis=0)


def batch(rng, shape, dtype="float64"):
    return away_from(rng.normal(size=shape)).astype(dtype)


def passes(net, layer, x, dy_seed=0, **cache_options):
    """Return y, dy, dx, the gradients and the cache of one forward and backward pass."""
    cache = training_cache(x.dtype, **cache_options)
    y = layer.forward(x, cache)
    dy = np.random.default_rng(dy_seed).normal(size=y.shape).astype(x.dtype)
    dx = layer.backward(dy, cache)
    gradients = net.parameters.like()
    if net.parameters.vector.size:
        gradients.vector[:] = np.nan  # gradient must overwrite
        layer.gradient(dy, cache, gradients.of(layer.name))
    return y, dy, dx, gradients, cache


@layers
@dtypes
@shapes
def test_shapes_and_dtype_are_kept(make, dtype, shape, rng):
    N, D = shape
    net, layer = alone(make(), D, dtype)
    y, _, dx, gradients, _ = passes(net, layer, batch(rng, shape, dtype))
    assert y.shape == (N, layer.outputs(D)) == (N, net.widths[1])
    assert dx.shape == shape
    assert y.dtype == dx.dtype == gradients.vector.dtype == dtype
    assert np.isfinite(gradients.vector).all()


@layers
@dtypes
def test_inference_keeps_shape_and_dtype_and_leaves_nothing_in_the_cache(make, dtype, rng):
    net, layer = alone(make(), 5, dtype)
    y, cache = net.forward(batch(rng, (7, 5), dtype))
    assert y.shape == (7, layer.outputs(5))
    assert y.dtype == dtype
    own = cache[layer.name]
    assert set(vars(own)) == set(vars(nn.Cache(dtype)))
    with pytest.raises(AttributeError, match="the forward pass left none"):
        layer.backward(np.zeros_like(y), own)


@layers
@dtypes
@shapes
def test_neither_input_nor_derivative_nor_parameters_are_changed(make, dtype, shape, rng):
    net, layer = alone(make(), shape[1], dtype)
    x, before = batch(rng, shape, dtype), net.parameters.vector.copy()
    x_before = x.copy()
    cache = training_cache(dtype)
    y = layer.forward(x, cache)
    y_before, dy = y.copy(), rng.normal(size=y.shape).astype(dtype)
    dy_before = dy.copy()
    layer.backward(dy, cache)
    if before.size:
        layer.gradient(dy, cache, net.parameters.like().of(layer.name))
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dy, dy_before)
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(net.parameters.vector, before)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "Dropout, identity"])
def test_results_share_no_memory_with_what_came_in_or_with_each_other(name, rng):
    net, layer = alone(LAYERS[name](), 5)
    x = batch(rng, (7, 5))
    y, dy, dx, gradients, _ = passes(net, layer, x)
    results = {"y": y, "dx": dx, "gradients": gradients.vector}
    for given_array in (x, dy, net.parameters.vector):
        assert not any(np.shares_memory(result, given_array) for result in results.values())
    assert not np.shares_memory(y, dx)


@layers
def test_a_layer_keeps_nothing_of_a_pass_in_itself(make, rng):
    net, layer = alone(make(), 5)
    before = dict(vars(layer))
    passes(net, layer, batch(rng, (7, 5)))
    assert vars(layer).keys() == before.keys()
    assert all(vars(layer)[name] is before[name] for name in before)


@layers
def test_two_caches_do_not_disturb_each_other(make, rng):
    net, layer = alone(make(), 5)
    x, other = batch(rng, (7, 5)), batch(rng, (7, 5))
    expected_y, dy, expected_dx, _, _ = passes(net, layer, x)
    cache = training_cache()
    y = layer.forward(x, cache)
    passes(net, layer, other)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(layer.backward(dy, cache), expected_dx)


@layers
def test_backward_before_forward_is_an_error_that_says_so(make):
    net, layer = alone(make(), 5)
    dy = np.zeros((7, net.widths[1]))
    with pytest.raises(AttributeError, match=r"the cache holds no .* the forward pass left none"):
        layer.backward(dy, nn.Cache("float64"))
    if net.parameters.vector.size:
        with pytest.raises(AttributeError, match="the forward pass left none"):
            layer.gradient(dy, nn.Cache("float64"), net.parameters.like().of(layer.name))


@layers
@given(st.integers(1, 6), st.integers(1, 6), SIDES, st.integers(0, 100))
def test_the_rows_of_a_batch_are_independent_and_their_gradients_add_up(
    make, first, second, D, seed
):
    net, layer = alone(make(), D, seed=seed)
    x = batch(np.random.default_rng(seed), (first + second, D))
    y, dy, dx, whole, _ = passes(net, layer, x)
    total = np.zeros_like(whole.vector)
    for rows in (slice(0, first), slice(first, None)):
        cache = training_cache(first_row=rows.start)
        np.testing.assert_allclose(layer.forward(x[rows], cache), y[rows], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            layer.backward(dy[rows], cache), dx[rows], rtol=1e-12, atol=1e-14
        )
        if total.size:
            part = net.parameters.like()
            layer.gradient(dy[rows], cache, part.of(layer.name))
            total += part.vector
    np.testing.assert_allclose(total, whole.vector, rtol=1e-10, atol=1e-12)


@layers
@given(matrices())
def test_backward_equals_the_difference_quotient(make, x):
    x = away_from(x)
    net, layer = alone(make(), x.shape[1])
    _, dy, dx, _, _ = passes(net, layer, x)
    expected = slopes(lambda x: (dy * layer.forward(x, training_cache())).sum(), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-7)


@layers_with_parameters
@given(matrices())
def test_gradient_equals_the_difference_quotient(name, x):
    net, layer = alone(LAYERS[name](), x.shape[1])
    _, dy, _, gradients, _ = passes(net, layer, x)

    def value(vector):
        net.parameters.vector[:] = vector
        return (dy * layer.forward(x, training_cache())).sum()

    expected = slopes(value, net.parameters.vector.copy())
    np.testing.assert_allclose(gradients.vector, expected, rtol=1e-6, atol=1e-7)


@layers
@shapes
def test_float32_agrees_with_float64(make, shape, rng):
    x = batch(rng, shape, "float32")
    results = []
    for dtype in ("float32", "float64"):
        net, layer = alone(make(), shape[1], dtype)
        y, _, dx, gradients, _ = passes(net, layer, x.astype(dtype))
        results.append([y, dx, gradients.vector])
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)


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
    net, layer = alone(make(), 5)
    x = batch(rng, (7, 5))
    y, dy, dx, _, cache = passes(net, layer, x)
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
def test_a_layer_is_described_as_the_call_that_makes_it(make):
    layer = make()
    again = eval(repr(layer), vars(nn))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@layers
def test_shipped_layers_treat_each_row_on_its_own(make):
    assert make().independent_rows


def test_the_defaults_are_the_papers():
    assert (nn.LeakyReLU().slope, nn.ELU().alpha, nn.Dropout().keep_prob) == (0.01, 1.0, 1.0)


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


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Dense(0), ValueError, "units must be a whole number of at least 1, got 0"),
        (lambda: nn.Dense(2.0), TypeError, "units must be a whole number of at least 1, got 2.0"),
        (lambda: nn.Dense(True), TypeError, "units must be a whole number .* got True"),
        (lambda: nn.Dense(2, penalty=0.1), TypeError, '"inherit", None or a Penalty, got 0.1'),
        (lambda: nn.Dense(2, penalty="none"), TypeError, "or a Penalty, got 'none'"),
        (
            lambda: nn.Dense(2, initializer="he"),
            TypeError,
            "initializer must be a function .* 'he'",
        ),
        (lambda: nn.LeakyReLU(1.0), ValueError, r"slope must be a number in \[0, 1\), got 1.0"),
        (lambda: nn.ELU(0), ValueError, r"alpha must be a number in \(0, inf\), got 0"),
        (lambda: nn.ELU("1"), TypeError, "alpha must be a number .* got '1'"),
    ],
)
def test_a_wrong_argument_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- A user's layer -------------------------------------------------------------------------------


def test_a_users_layer_trains_among_the_others(rng):
    net = nn.Network([Scale(), nn.Dense(2), nn.Tanh(), Scale()], inputs=3, dtype="float64")
    assert next(iter(net.parameters)) == "scale_1.factor"
    np.testing.assert_array_equal(net.parameters["scale_2.factor"], 1.0)
    assert net.parameters["scale_1.factor"].size + 2 + 2 == net.parameters.biases.size
    x, y, loss, optimizer = (
        rng.normal(size=(8, 3)),
        rng.normal(size=(8, 2)),
        nn.MeanSquaredError(),
        nn.SGD(0.1),
    )
    values = []
    for _ in range(30):
        outputs, cache = net.forward(x, training=True)
        value, doutputs = loss(outputs, y)
        optimizer.update(net.parameters, net.backward(doutputs, cache))
        values.append(value)
    assert values[-1] < 0.7 * values[0]
    assert (net.parameters["scale_1.factor"] != 1.0).all()


def test_a_users_layers_gradients_equal_difference_quotients(rng):
    net = nn.Network([Scale(), nn.Dense(2), nn.Tanh(), Scale()], inputs=3, dtype="float64")
    net.parameters.vector[:] = filled(net.parameters, rng).vector
    x, doutputs = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    _, cache = net.forward(x, training=True)
    gradients = net.backward(doutputs, cache).vector

    def value(vector):
        net.parameters.vector[:] = vector
        return (doutputs * net.predict(x)).sum()

    expected = slopes(value, net.parameters.vector.copy())
    np.testing.assert_allclose(gradients, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", ["forward", "backward", "gradient"])
def test_a_method_that_a_layer_lacks_is_named(method):
    class Nothing(nn.Layer):
        pass

    layer, arguments = Nothing(), {"forward": 2, "backward": 2, "gradient": 3}[method] * (None,)
    with pytest.raises(NotImplementedError, match=f"Nothing .*must define {method}"):
        getattr(layer, method)(*arguments)


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

    with pytest.raises(ValueError, match="hidden cannot call a parameter 'forward'"):
        nn.Network([Hidden()], inputs=2)
