"""Dropout: the expectation is exact, and a mask is a function of seed, place and step."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import matrices, training_cache

import nnreg as nn
from nnreg import random
from nnreg.kernels import keep_threshold


def network(keep_prob, inputs, dtype="float64", *, seed=0):
    return nn.Network([nn.Dropout(keep_prob=keep_prob)], inputs=inputs, dtype=dtype, seed=seed)


def mask(net, N, *, step=0, first_row=0):
    """Return the mask that the network's first layer draws: its outputs for ones."""
    x = np.ones((N, net.inputs), net.dtype)
    return net.layers[0].forward(x, training_cache(net.dtype, step=step, first_row=first_row))


# --- The identity ---------------------------------------------------------------------------------


@given(matrices(-1e6, 1e6), st.floats(0.01, 1))
def test_inference_is_bitwise_the_identity(x, keep_prob):
    net = network(keep_prob, x.shape[1])
    assert net.predict(x).tobytes() == x.tobytes()
    assert net.forward(x)[0].tobytes() == x.tobytes()


@given(matrices(-1e6, 1e6))
def test_training_at_keep_prob_1_hands_on_what_comes(x):
    layer, cache = network(1.0, x.shape[1]).layers[0], training_cache()
    before = x.tobytes()
    assert layer.forward(x, cache) is x
    assert layer.backward(x, cache) is x
    assert x.tobytes() == before


def test_a_keep_prob_that_rounds_to_1_is_the_identity():
    assert (mask(network(1 - 2**-20, 1000), 100) == 1.0).all()


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_prob", [1e-9, 0.1, 0.5, 0.8, 0.9999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_unit_is_zero_or_scaled_by_exactly_65536_over_t(keep_prob, dtype):
    m = mask(network(keep_prob, 300, dtype), 400)
    scale = np.dtype(dtype).type(65536 / keep_threshold(keep_prob))
    assert m.dtype == dtype
    assert set(np.unique(m)) == {0.0, scale}


@pytest.mark.parametrize("keep_prob", [0.1, 0.5, 0.8, 0.97])
def test_as_many_units_are_kept_as_a_binomial_allows(keep_prob):
    kept = mask(network(keep_prob, 400), 500) > 0
    p = keep_threshold(keep_prob) / 65536
    for axis, n in [(None, kept.size), (0, 500), (1, 400)]:
        spread = math.sqrt(n * p * (1 - p))
        assert (abs(kept.sum(axis=axis) - n * p) < 5 * spread).all()


def test_neighbours_are_dropped_independently():
    m = (mask(network(0.5, 401), 1000) > 0) * 2.0 - 1
    for other in (m[:, 1:] * m[:, :-1], m[1:] * m[:-1]):
        assert abs(other.mean()) < 5 / math.sqrt(other.size)


@given(matrices(), st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_outputs_and_derivatives_are_multiplied_by_the_same_mask(x, keep_prob, step):
    net = network(keep_prob, x.shape[1])
    m = mask(net, len(x), step=step)
    cache = training_cache(step=step)
    np.testing.assert_array_equal(net.layers[0].forward(x, cache), x * m)
    np.testing.assert_array_equal(net.layers[0].backward(x + 1, cache), (x + 1) * m)


def test_the_mask_is_the_bits_of_the_stream_below_the_threshold():
    philox = np.random.Philox(
        key=random.key(9, "mask", 0), counter=np.array([0, 0, 4, 0], np.uint64)
    )
    bits = philox.random_raw(6 * 3 * 4).view(np.uint16).reshape(6, 48)[:, :40]
    t = keep_threshold(0.3)
    expected = np.where(bits < t, 65536 / t, 0.0)
    np.testing.assert_array_equal(mask(network(0.3, 40, seed=9), 6, step=4), expected)


# --- Which mask -----------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 1000), st.data())
def test_a_mask_drawn_in_row_parts_is_the_mask_drawn_at_once(N, D, step, data):
    cut = data.draw(st.integers(0, N))
    net = network(0.6, D)
    parts = [mask(net, cut, step=step), mask(net, N - cut, step=step, first_row=cut)]
    np.testing.assert_array_equal(np.concatenate(parts), mask(net, N, step=step))


@pytest.mark.parametrize("D", [16_384, 16_385, 20_003, 40_000])
def test_a_mask_for_wide_rows_drawn_in_parts_is_the_mask_drawn_at_once(D):
    net = network(0.6, D)
    whole = mask(net, 3)
    parts = [mask(net, 1, first_row=row) for row in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert abs((whole[:, -1000:] > 0).mean() - 0.6) < 5 * math.sqrt(0.24 / 3000)


def test_a_step_replayed_has_the_same_mask(rng):
    net = nn.Network(
        [nn.Dropout(keep_prob=0.5), nn.Dense(4), nn.Dropout(keep_prob=0.7)], inputs=20, seed=3
    )
    x = rng.normal(size=(6, 20))
    first = [net.forward(x, training=True)[0] for _ in range(4)]
    for step in (2, 0, 3, 1):
        np.testing.assert_array_equal(net.forward(x, training=True, step=step)[0], first[step])


def test_masks_differ_between_steps_layers_and_seeds():
    net = nn.Network([nn.Dropout(keep_prob=0.5), nn.Dropout(keep_prob=0.5)], inputs=100)
    first, second = (
        [layer.forward(np.ones((4, 100)), training_cache(step=step)) for step in range(3)]
        for layer in net.layers
    )
    other_seed = [mask(network(0.5, 100, seed=1), 4)]
    masks = {m.tobytes() for m in (*first, *second, *other_seed)}
    assert len(masks) == 7


def test_the_mask_does_not_depend_on_the_dtype():
    single, double = (mask(network(0.5, 100, dtype), 4) > 0 for dtype in ("float32", "float64"))
    np.testing.assert_array_equal(single, double)


def test_a_larger_keep_prob_keeps_what_a_smaller_one_kept():
    kept = [mask(network(keep_prob, 100), 20) > 0 for keep_prob in (0.2, 0.5, 0.9)]
    assert (kept[0] <= kept[1]).all()
    assert (kept[1] <= kept[2]).all()
    assert kept[0].sum() < kept[1].sum() < kept[2].sum()


def test_a_cache_brought_from_another_network_does_not_bring_its_masks():
    net, other = network(0.5, 100, seed=0), network(0.5, 100, seed=1)
    x = np.ones((4, 100))
    expected, _ = net.forward(x, training=True, step=0)
    _, cache = other.forward(x, training=True, step=0)
    np.testing.assert_array_equal(net.forward(x, training=True, step=0, cache=cache)[0], expected)


def test_numpys_global_state_neither_matters_nor_changes():
    state = np.random.get_state()  # noqa: NPY002  (the state that must not matter)
    masks = []
    try:
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            before = np.random.get_state()[1].copy()  # noqa: NPY002
            masks.append(mask(network(0.5, 100), 4))
            np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    finally:
        np.random.set_state(state)  # noqa: NPY002
    np.testing.assert_array_equal(*masks)


# --- Hyper-parameter ------------------------------------------------------------------------------


def test_a_changed_keep_prob_holds_from_the_next_batch_on():
    net = network(0.5, 1000)
    x = np.ones((10, 1000))
    first, cache = net.forward(x, training=True)
    net.layers[0].keep_prob = 0.9
    np.testing.assert_array_equal(net.layers[0].backward(x, cache[net.layers[0].name]), first)
    second, _ = net.forward(x, training=True)
    assert (first > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert (second > 0).mean() == pytest.approx(0.9, abs=0.03)
    net.layers[0].keep_prob = 1.0
    assert net.forward(x, training=True)[0].tobytes() == x.tobytes()


def test_keep_prob_becomes_a_python_float():
    layer = nn.Dropout(keep_prob=np.float64(0.5))
    assert type(layer.keep_prob) is float
    layer.keep_prob = np.float32(0.25)
    assert type(layer.keep_prob) is float


@pytest.mark.parametrize("keep_prob", [0, -0.1, 1.0001, math.nan, math.inf])
def test_keep_prob_outside_its_bounds_is_an_error(keep_prob):
    with pytest.raises(
        ValueError, match=rf"keep_prob must be a number in \(0, 1\], got {keep_prob}"
    ):
        nn.Dropout(keep_prob=keep_prob)
    layer = nn.Dropout(keep_prob=0.5)
    with pytest.raises(ValueError, match="keep_prob must be"):
        layer.keep_prob = keep_prob
    assert layer.keep_prob == 0.5


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
def test_a_rate_is_an_error_that_states_the_conversion(positional, keywords):
    with pytest.raises(TypeError, match="keep_prob = 1 - rate"):
        nn.Dropout(*positional, **keywords)


def test_a_misspelt_argument_is_an_error_with_the_nearest_name():
    with pytest.raises(TypeError, match=r"no argument 'keep_prop' \(did you mean 'keep_prob'\?\)"):
        nn.Dropout(keep_prop=0.5)
