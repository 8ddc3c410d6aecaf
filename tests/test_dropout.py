"""Dropout of both kinds: a mask is a function of seed, layer, step and row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dropout_network, mask, matrices, training_cache

import nnreg as nn
from nnreg import random
from nnreg.kernels import keep_threshold

kinds = pytest.mark.parametrize("kind", [nn.Dropout, nn.GaussianDropout])


# --- The identity ---------------------------------------------------------------------------------


def test_a_keep_prob_that_rounds_to_1_is_the_identity():
    assert (mask(dropout_network(1 - 2**-20, 1000), 100) == 1.0).all()


@kinds
@given(matrices(-1e6, 1e6), st.floats(0.01, 1))
def test_inference_is_bitwise_the_identity(kind, x, keep_prob):
    net = dropout_network(keep_prob, x.shape[1], kind=kind)
    assert net.predict(x).tobytes() == net.forward(x)[0].tobytes() == x.tobytes()


@kinds
@given(matrices(-1e6, 1e6))
def test_training_at_keep_prob_1_returns_the_input(kind, x):
    layer, cache = dropout_network(1.0, x.shape[1], kind=kind).layers[0], training_cache()
    before = x.tobytes()
    assert layer.forward(x, cache) is layer.backward(x, cache) is x
    assert x.tobytes() == before


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_prob", [0.1, 0.5, 0.8, 0.97])
def test_as_many_units_are_kept_as_a_binomial_allows(keep_prob):
    kept = mask(dropout_network(keep_prob, 400), 500) > 0
    p = keep_threshold(keep_prob) / 65536
    for axis, n in [(None, kept.size), (0, 500), (1, 400)]:
        spread = math.sqrt(n * p * (1 - p))
        assert (abs(kept.sum(axis=axis) - n * p) < 5 * spread).all()


def test_neighbours_are_dropped_independently():
    m = (mask(dropout_network(0.5, 401), 1000) > 0) * 2.0 - 1
    for other in (m[:, 1:] * m[:, :-1], m[1:] * m[:-1]):
        assert abs(other.mean()) < 5 / math.sqrt(other.size)


def test_the_mask_is_the_bits_of_the_stream_below_the_threshold():
    philox = np.random.Philox(
        key=random.key(9, "mask", 0), counter=np.array([0, 0, 4, 0], np.uint64)
    )
    bits = philox.random_raw(6 * 3 * 4).view(np.uint16).reshape(6, 48)[:, :40]
    t = keep_threshold(0.3)
    expected = np.where(bits < t, 65536 / t, 0.0)
    np.testing.assert_array_equal(mask(dropout_network(0.3, 40, seed=9), 6, step=4), expected)


@kinds
@given(matrices(), st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_outputs_and_derivatives_are_multiplied_by_the_same_mask(kind, x, keep_prob, step):
    net, cache = dropout_network(keep_prob, x.shape[1], kind=kind), training_cache(step=step)
    m = mask(net, len(x), step=step)
    np.testing.assert_array_equal(net.layers[0].forward(x, cache), x * m)
    np.testing.assert_array_equal(net.layers[0].backward(x + 1, cache), (x + 1) * m)


# --- Which mask -----------------------------------------------------------------------------------


@kinds
def test_masks_differ_between_steps_layers_and_seeds(kind):
    net = nn.Network([kind(keep_prob=0.5), kind(keep_prob=0.5)], inputs=100)
    masks = {mask(net, 4, step=step, layer=i).tobytes() for i in (0, 1) for step in range(3)}
    net.seed = 1
    assert len(masks | {mask(net, 4).tobytes()}) == 7


@kinds
def test_the_mask_does_not_depend_on_the_dtype(kind):
    single, double = (
        mask(dropout_network(0.5, 100, dtype, kind=kind), 4) for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(single, double, atol=1e-6)


def test_a_larger_keep_prob_keeps_what_a_smaller_one_kept():
    kept = [mask(dropout_network(keep_prob, 100), 20) > 0 for keep_prob in (0.2, 0.5, 0.9)]
    assert (kept[0] <= kept[1]).all()
    assert (kept[1] <= kept[2]).all()
    assert kept[0].sum() < kept[1].sum() < kept[2].sum()


def test_a_cache_brought_from_another_network_does_not_bring_its_masks():
    net, other = dropout_network(0.5, 100, seed=0), dropout_network(0.5, 100, seed=1)
    x = np.ones((4, 100))
    expected, _ = net.forward(x, training=True, step=0)
    _, cache = other.forward(x, training=True, step=0)
    np.testing.assert_array_equal(net.forward(x, training=True, step=0, cache=cache)[0], expected)


# --- Hyper-parameter ------------------------------------------------------------------------------


@kinds
def test_a_changed_keep_prob_takes_effect_on_the_next_batch(kind):
    net, x = dropout_network(0.5, 1000, kind=kind), np.ones((100, 1000))
    layer = net.layers[0]
    first, cache = net.forward(x, training=True)
    layer.keep_prob = 0.9
    np.testing.assert_array_equal(layer.backward(x, cache[layer.name]), first)
    assert first.var() == pytest.approx(1, rel=0.03)
    assert net.forward(x, training=True)[0].var() == pytest.approx(1 / 9, rel=0.03)
    layer.keep_prob = 1.0
    assert net.forward(x, training=True)[0].tobytes() == x.tobytes()


@kinds
@pytest.mark.parametrize(
    ("positional", "keywords"),
    [
        ((0.2,), {}),
        ((0,), {}),
        ((), {"rate": 0.2}),
        ((), {"p": 0.2}),
        ((), {"p": 0, "keep_prob": 1}),
    ],
)
def test_a_rate_is_an_error_that_states_the_conversion(kind, positional, keywords):
    with pytest.raises(TypeError, match="keep_prob = 1 - rate"):
        kind(*positional, **keywords)
