"""The group lasso: value and gradient by hand, proximal maps by their definition, whole zeros."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import OPTIMIZERS, assert_fit_is_the_taught_loop, fit
from strategies import SIDES, matrices_with_steps, values, written

import nnreg as nn
from nnreg import proximal

STRENGTH = 0.7
both = pytest.mark.parametrize("groups", ["inputs", "units"])
matrices = st.tuples(SIDES, SIDES).flatmap(values)


def penalty(groups, method="proximal", strength=STRENGTH):
    return nn.GroupLasso(strength, groups=groups, method=method)


# --- Value and gradient ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "value", "expected"),
    [  # lengths 5 and 0 of the rows (3, 4) and (0, 0); 3 and 4 of the columns
        ("inputs", 0.7 * 5, [[0.7 * 0.6, 0.7 * 0.8], [0, 0]]),
        ("units", 0.7 * 7, [[0.7, 0.7], [0, 0]]),
    ],
)
def test_value_and_gradient_are_those_worked_out_by_hand(groups, value, expected):
    w = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert penalty(groups).value(w) == pytest.approx(value)
    np.testing.assert_allclose(written(penalty(groups).gradient, w), expected)


def mapped(penalty, w, step):
    return written(penalty.proximal, w, step)


@both
@given(w=matrices)
def test_it_passes_the_gradient_check_zeros_included(groups, w):
    nn.check_gradients(penalty(groups), np.zeros((2, 3))).assert_ok()
    nn.check_gradients(penalty(groups), w + np.where(w < 0, -0.1, 0.1)).assert_ok()


# --- The proximal map -----------------------------------------------------------------------------


def test_short_groups_become_zero_and_long_ones_shorter():
    w = np.array([[3.0, -4.0], [0.3, 0.4]])
    u = mapped(penalty("inputs", strength=2.0), w, 0.5)
    np.testing.assert_allclose(u, [[2.4, -3.2], [0, 0]])
    assert not np.signbit(mapped(penalty("inputs"), -np.eye(2) / 100, 1.0)).any()  # 0, not -0


@both
@given(drawn=matrices_with_steps(3))
def test_the_proximal_map_is_where_its_definition_is_stationary(groups, drawn):
    """For a group that stays, (w - u)/s = λ·u/‖u‖; for one that goes, ‖w/s‖ <= λ: a convex map."""
    w, step = drawn
    u, axis = mapped(penalty(groups), w, step), 1 if groups == "inputs" else 0
    length = np.linalg.norm(u, axis=axis, keepdims=True)
    alive = np.broadcast_to(length > 0, w.shape)
    direction = u / np.where(length > 0, length, 1)
    np.testing.assert_allclose(u[alive], (w - step * STRENGTH * direction)[alive], atol=1e-9)
    dead = length.reshape(-1) == 0
    assert (np.linalg.norm(w / step, axis=axis)[dead] <= STRENGTH * (1 + 1e-9)).all()


@both
@given(w=matrices, step=st.floats(0.01, 3))
def test_one_step_for_all_and_the_same_step_for_each_are_the_same(groups, w, step):
    one, each = (
        mapped(penalty(groups), w, step),
        mapped(penalty(groups), w, np.full_like(w, step)),
    )
    np.testing.assert_allclose(each, one, rtol=1e-9, atol=1e-12)


@both
@pytest.mark.parametrize("step", [0.0, np.zeros((2, 3))], ids=["number", "vector"])
def test_a_step_or_strength_of_zero_changes_nothing(groups, step, rng):
    w = rng.normal(size=(2, 3))
    w[0] = 0
    np.testing.assert_array_equal(mapped(penalty(groups), w, step), w)
    np.testing.assert_array_equal(mapped(penalty(groups, strength=0.0), w, np.ones((2, 3))), w)


def test_groups_of_one_weight_are_the_soft_threshold(rng):
    w, step = rng.normal(size=(6, 1)), rng.uniform(0.1, 2, (6, 1))
    expected = np.empty_like(w)
    nn.L1(STRENGTH).proximal(w, step, expected)
    np.testing.assert_allclose(mapped(penalty("inputs"), w, step), expected, atol=1e-15)


@given(
    shape=st.tuples(SIDES, SIDES),
    scale=st.floats(-6, 6),
    seed=st.integers(0, 2**32),
)
def test_the_root_is_found_to_rounding_however_far_the_steps_spread(shape, scale, seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape) * 10.0**scale
    d, b = 10.0 ** rng.uniform(-8, 8, (2, *shape))
    root = proximal.secular_root(a, d, b)
    at_zero = np.linalg.norm(a / d, axis=0)
    value = np.linalg.norm(a / (d + root * b), axis=0)
    np.testing.assert_allclose(value[at_zero > 1], 1, rtol=1e-10)
    assert (root[at_zero <= 1] == 0).all()


# --- In training ----------------------------------------------------------------------------------


def network(groups, strength):
    layers = [nn.Dense(20), nn.Tanh(), nn.Dense(1, penalty=nn.L2(0.01))]
    rule = penalty(groups, strength=strength)
    return nn.Network(layers, inputs=8, penalty=rule, dtype="float64")


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(lambda: nn.SGD(0.02, momentum=0.8), id="momentum", marks=pytest.mark.slow),
        pytest.param(lambda: nn.Adam(0.02), id="Adam"),
    ],
)
@both
def test_whole_inputs_or_units_go_to_zero_and_the_others_stay_whole(groups, optimizer, rng):
    x = rng.normal(size=(200, 8))
    y = np.tanh(x[:, :3] @ [[1.0], [-2.0], [1.0]])
    net = network(groups, 0.1)
    fit(net, x, y, loss=nn.MeanSquaredError(), optimizer=optimizer(), epochs=600, batch_size=200)
    length = np.linalg.norm(net.layers[0].weight, axis=1 if groups == "inputs" else 0)
    zeros = net.layers[0].weight == 0
    if groups == "inputs":
        assert (length > 0).tolist() == [True] * 3 + [False] * 5
        assert not zeros[:3].any()
    else:
        assert 0 < np.count_nonzero(length) < 20
        assert not zeros[:, length > 0].any()


@pytest.mark.parametrize(
    ("units", "optimizer"),
    [*((8, name) for name in OPTIMIZERS), *((20_000, name) for name in ("SGD", "Adam", "IPiano"))],
)  # the many units are updated by blocks
@both
def test_the_taught_loop_and_fit_agree_bit_for_bit(groups, optimizer, units):
    layers = lambda: [nn.Dense(units), nn.ReLU(), nn.Dense(3)]
    rule = penalty(groups, strength=1e-4)
    assert_fit_is_the_taught_loop(layers, OPTIMIZERS[optimizer], penalty=rule)
