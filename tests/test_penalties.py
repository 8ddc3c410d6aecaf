"""Penalties: values and gradients by hand, and proximal maps by their definition, as a minimum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import away_from, slopes, vectors

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


def gradient(penalty, w):
    out = np.full_like(w, np.nan)
    penalty.gradient(w, out)
    return out


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
    np.testing.assert_allclose(gradient(penalty, w), expected, atol=1e-15)


@penalties
@given(w=vectors())
def test_the_gradient_equals_the_difference_quotient(penalty, w):
    w = away_from(w)
    np.testing.assert_allclose(gradient(penalty, w), slopes(penalty.value, w), rtol=1e-6, atol=1e-8)


@penalties
@given(w=vectors())
def test_the_value_is_complex_safe(penalty, w):
    w = away_from(w)
    for i, expected in enumerate(gradient(penalty, w)):
        stepped = w.astype(complex)
        stepped[i] += 1e-30j
        assert penalty.value(stepped).imag / 1e-30 == pytest.approx(expected, rel=1e-12)


@penalties
def test_the_gradient_of_a_zero_weight_is_zero(penalty):
    assert gradient(penalty, np.array([0.0, -0.0])).tolist() == [0.0, 0.0]


@penalties
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_weights_are_not_changed_and_their_dtype_is_kept(penalty, dtype, rng):
    w = rng.normal(size=(3, 4)).astype(dtype)
    before = w.copy()
    assert gradient(penalty, w).dtype == dtype
    assert penalty.value(w).dtype == dtype
    np.testing.assert_array_equal(w, before)


@penalties
def test_shaped_and_flat_weights_cost_the_same(penalty, rng):
    w = rng.normal(size=(3, 4))
    assert penalty.value(w) == pytest.approx(penalty.value(w.reshape(-1)))
    np.testing.assert_array_equal(
        gradient(penalty, w).reshape(-1), gradient(penalty, w.reshape(-1))
    )


# --- Proximal maps --------------------------------------------------------------------------------


@proximal
@given(w=vectors(), step=st.floats(0.01, 3))
def test_the_proximal_map_minimizes_what_it_is_defined_to_minimize(penalty, w, step):
    u = np.empty_like(w)
    penalty.proximal(w, step, u)
    grid = np.linspace(-4, 4, 2001)
    for before, after in zip(w, u, strict=True):

        def objective(u, before=before):
            return 0.5 * (u - before) ** 2 / step + penalty.value(np.array([u]))

        best = objective(after)
        near = after + np.array([-1e-3, -1e-5, 1e-5, 1e-3])
        assert all(best <= objective(v) for v in (*grid, *near, 0.0, before))


@proximal
def test_a_step_for_each_weight_is_a_step_for_each_weight(penalty, rng):
    w, step = rng.normal(size=8), rng.uniform(0.1, 2, 8)
    together, alone = np.empty(8), np.empty(8)
    penalty.proximal(w, step, together)
    for i in range(8):
        penalty.proximal(w[i : i + 1], float(step[i]), alone[i : i + 1])
    np.testing.assert_allclose(together, alone, rtol=1e-15)


@pytest.mark.parametrize("method", ["subgradient", "proximal"])
def test_a_network_uses_the_gradient_or_the_proximal_map_never_both(method):
    net = nn.Network([nn.Dense(3)], inputs=2, penalty=nn.L1(0.5, method=method), dtype="float64")
    before = net.parameters.weights.copy()
    gradients = net.parameters.like()
    net.add_penalty_gradient(gradients)
    net.apply_proximal(0.1)
    assert net.regularization.has_proximal is (method == "proximal")
    assert gradients.vector.any() == (method == "subgradient")
    assert (net.parameters.weights != before).any() == (method == "proximal")


def lasso(optimizer, strength, *, steps, penalty=None):
    """Train a linear model with three useless inputs; return the net and its gradient."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 5))
    y = x[:, :2] @ [[1.0], [-2.0]] + 0.1 * rng.normal(size=(50, 1))
    net = nn.Network(
        [nn.Dense(1, bias=False)],
        inputs=5,
        penalty=penalty or nn.L1(strength, method="proximal"),
        dtype="float64",
    )
    loss = nn.MeanSquaredError()
    rate = optimizer.learning_rate
    for step in range(steps):
        optimizer.learning_rate = rate / (1 + 10 * step / steps)
        outputs, cache = net.forward(x, training=True)
        gradients = net.backward(loss(outputs, y)[1], cache)
        net.add_penalty_gradient(gradients)
        optimizer.update(net.parameters, gradients)
        net.apply_proximal(optimizer.step_size)
    outputs, cache = net.forward(x, training=True)
    return net, net.backward(loss(outputs, y)[1], cache).weights


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.SGD(0.1),
        lambda: nn.SGD(0.02, momentum=0.8),
        lambda: nn.RMSprop(0.01),
        lambda: nn.Adam(0.02),
    ],
    ids=["SGD", "momentum", "RMSprop", "Adam"],
)
def test_training_with_the_proximal_map_ends_where_the_objective_is_stationary(make):
    strength = 0.4
    net, g = lasso(make(), strength, steps=3000)
    w = net.parameters.weights
    assert (w != 0).tolist() == [True, True, False, False, False]
    np.testing.assert_allclose(g[w != 0], -strength * np.sign(w[w != 0]), atol=0.01)
    assert (abs(g[w == 0]) <= strength).all()


def test_the_subgradient_gives_no_exact_zeros_where_the_proximal_map_does():
    net, _ = lasso(nn.SGD(0.1), 0.4, steps=300, penalty=nn.L1(0.4))
    assert net.parameters.weights.all()


def test_a_weight_at_zero_comes_back_to_life_when_the_data_want_it():
    penalty = nn.L1(100.0, method="proximal")
    net = nn.Network([nn.Dense(1, bias=False)], inputs=1, penalty=penalty, dtype="float64")
    x = y = np.ones((4, 1))
    loss, optimizer = nn.MeanSquaredError(), nn.SGD(0.1)
    seen = []
    for strength in (100.0, 0.5):
        penalty.strength = strength
        outputs, cache = net.forward(x, training=True)
        optimizer.update(net.parameters, net.backward(loss(outputs, y)[1], cache))
        net.apply_proximal(optimizer.step_size)
        seen.append(net.parameters.weights[0])
    assert seen[0] == 0.0
    assert seen[1] == pytest.approx(0.1 * (2 - 0.5))  # from zero: -lr * (gradient -2 plus 0.5)


def test_runs_longer_than_a_block_are_penalized_to_their_end(rng):
    net = nn.Network([nn.Dense(2, bias=False)], inputs=BLOCK + 5, dtype="float64")
    w = net.parameters.weights
    w[:] = rng.normal(size=w.size)
    net.penalty = nn.ElasticNet(0.7, 0.3)
    assert net.penalty_value() == pytest.approx(net.penalty.value(w), rel=1e-12)
    gradients = net.parameters.like()
    net.add_penalty_gradient(gradients)
    np.testing.assert_allclose(gradients.weights, gradient(net.penalty, w), rtol=1e-15)
    expected = np.empty_like(w)
    net.penalty = nn.L1(0.7, method="proximal")
    step = rng.uniform(0.1, 1, w.size)
    net.penalty.proximal(w, step, expected)
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


@pytest.mark.parametrize("method", ["value", "gradient", "proximal"])
def test_what_a_penalty_lacks_is_named(method):
    w = np.ones(2)
    arguments = {"value": (w,), "gradient": (w, w), "proximal": (w, 0.1, w)}[method]
    with pytest.raises(NotImplementedError, match=r"Penalty (must define|has no)"):
        getattr(nn.Penalty(), method)(*arguments)


@pytest.mark.parametrize("penalty", [*PENALTIES.values(), *PROXIMAL.values()])
def test_a_penalty_is_described_as_the_call_that_makes_it(penalty):
    assert repr(eval(repr(penalty), vars(nn))) == repr(penalty)
