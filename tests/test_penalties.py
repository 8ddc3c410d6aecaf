"""Penalties: values and gradients by hand, and proximal maps by their definition, as a minimum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import away_from, vectors, written

import nnreg as nn
from nnreg.regularization import PROXIMAL_BLOCK as BLOCK

PENALTIES = {
    "L2": nn.L2(0.3),
    "L1": nn.L1(0.7),
    "ElasticNet": nn.ElasticNet(0.7, 0.3),
}
PROXIMAL = {
    "L1": nn.L1(0.7, method="proximal"),
    "ElasticNet": nn.ElasticNet(0.7, 0.3, method="proximal"),
    "ElasticNet, ridge only": nn.ElasticNet(0.0, 0.3, method="proximal"),
}

penalties = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
proximal = pytest.mark.parametrize("penalty", PROXIMAL.values(), ids=PROXIMAL)


# --- Value and gradient ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("penalty", "value", "expected"),
    [  # at w = (3, -2, 0)
        (nn.L2(0.1), 0.05 * 13, [0.3, -0.2, 0.0]),
        (nn.L1(0.1), 0.1 * 5, [0.1, -0.1, 0.0]),
        (nn.ElasticNet(0.1, 0.2), 0.1 * 5 + 0.1 * 13, [0.1 + 0.6, -0.1 - 0.4, 0.0]),
        (nn.L2(0), 0.0, [0.0, 0.0, 0.0]),
    ],
)
def test_value_and_gradient_are_those_worked_out_by_hand(penalty, value, expected):
    w = np.array([3.0, -2.0, 0.0])
    assert penalty.value(w) == pytest.approx(value)
    np.testing.assert_allclose(written(penalty.gradient, w), expected, atol=1e-15)


@penalties
@given(w=vectors())
def test_the_value_is_complex_safe(penalty, w):
    w = away_from(w)
    for i, expected in enumerate(written(penalty.gradient, w)):
        stepped = w.astype(complex)
        stepped[i] += 1e-30j
        assert penalty.value(stepped).imag / 1e-30 == pytest.approx(expected, rel=1e-12)


@penalties
def test_the_gradient_of_a_zero_weight_is_zero(penalty):
    assert written(penalty.gradient, np.array([0.0, -0.0])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "penalty", [*PENALTIES.values(), nn.GroupLasso(1.0, groups="units")], ids=repr
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_weights_is_kept(penalty, dtype, rng):
    w = rng.normal(size=(3, 4)).astype(dtype)
    assert written(penalty.gradient, w).dtype == penalty.value(w).dtype == dtype


@penalties
def test_shaped_and_flat_weights_cost_the_same(penalty, rng):
    w = rng.normal(size=(3, 4))
    assert penalty.value(w) == pytest.approx(penalty.value(w.reshape(-1)))
    np.testing.assert_array_equal(
        written(penalty.gradient, w).reshape(-1), written(penalty.gradient, w.reshape(-1))
    )


# --- Proximal maps --------------------------------------------------------------------------------


@proximal
@given(w=vectors(), step=st.floats(0.01, 3))
def test_the_proximal_map_minimizes_what_it_is_defined_to_minimize(penalty, w, step):
    u = written(penalty.proximal, w, step)
    grid = np.linspace(-4, 4, 101)
    for before, after in zip(w, u, strict=True):

        def objective(u, before=before):
            return 0.5 * (u - before) ** 2 / step + penalty.value(np.array([u]))

        best = objective(after)
        near = after + np.array([-1e-3, -1e-5, 1e-5, 1e-3])
        assert all(best <= objective(v) for v in (*grid, *near, 0.0, before))


@proximal
def test_a_step_for_each_weight_is_a_step_for_each_weight(penalty, rng):
    w, step = rng.normal(size=8), rng.uniform(0.1, 2, 8)
    alone = [written(penalty.proximal, w[[i]], float(step[i]))[0] for i in range(8)]
    np.testing.assert_allclose(written(penalty.proximal, w, step), alone, rtol=1e-15)


def test_runs_longer_than_a_block_are_penalized_to_their_end(rng):
    net = nn.Network([nn.Dense(2, bias=False)], inputs=BLOCK + 5, dtype="float64")
    w = net.parameters.weights
    w[:] = rng.normal(size=w.size)
    net.penalty = nn.ElasticNet(0.7, 0.3)
    assert net.penalty_value() == pytest.approx(net.penalty.value(w), rel=1e-12)
    gradients = net.parameters.like()
    net.add_penalty_gradient(gradients)
    np.testing.assert_allclose(gradients.weights, written(net.penalty.gradient, w), rtol=1e-15)
    net.penalty = nn.L1(0.7, method="proximal")
    step = rng.uniform(0.1, 1, w.size)
    expected = written(net.penalty.proximal, w, step)
    net.apply_proximal(step)
    np.testing.assert_array_equal(w, expected)


# --- Hyper-parameters -----------------------------------------------------------------------------


def test_strength_may_change_at_any_time_and_is_a_python_float():
    penalty = nn.L2(0.1)
    net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2, penalty=penalty)
    assert net.penalty_value() == pytest.approx(0.1)
    penalty.strength = np.float64(0.5)
    assert type(penalty.strength) is float
    assert net.penalty_value() == pytest.approx(0.5)
