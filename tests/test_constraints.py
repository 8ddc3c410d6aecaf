"""Constraints: projections by their definition, after every step, beside penalties and dropout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import OPTIMIZERS, assert_fit_is_the_taught_loop, fit, network
from strategies import SIDES, matrices_with_steps, values, written

import nnreg as nn

LIMIT = 1.5
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
matrices = st.tuples(SIDES, SIDES).flatmap(values)


def projected(w, step=None, limit=LIMIT):
    constraint = nn.MaxNorm(limit)
    return written(constraint.project, w) if step is None else written(constraint.proximal, w, step)


class NonNegative(nn.Constraint):
    def project(self, w, out):
        np.maximum(w, 0, out=out)


# --- The projection -------------------------------------------------------------------------------


def test_long_columns_are_made_as_long_as_allowed_and_short_ones_stay():
    w = np.array([[3.0, 0.3, 0.0], [-4.0, 0.4, 0.0]])
    np.testing.assert_allclose(projected(w, limit=1.0), [[0.6, 0.3, 0.0], [-0.8, 0.4, 0.0]])


@given(w=matrices)
def test_the_projection_is_the_nearest_allowed_point(w):
    """Of a convex set it is the allowed ``u`` with (w - u)·(v - u) <= 0 for every allowed ``v``."""
    u = projected(w)
    length = np.linalg.norm(u, axis=0)
    assert (length <= LIMIT * (1 + 1e-12)).all()
    farthest = LIMIT * np.linalg.norm(w - u, axis=0)  # the largest (w - u)·v
    assert (farthest - ((w - u) * u).sum(axis=0) <= 1e-9).all()


@given(both=matrices_with_steps())
def test_with_a_step_for_each_weight_it_is_the_nearest_in_that_metric(both):
    w, step = both
    u = projected(w, step)
    assert (np.linalg.norm(u, axis=0) <= LIMIT * (1 + 1e-9)).all()
    pull = (w - u) / step
    bound = LIMIT * np.linalg.norm(pull, axis=0)
    np.testing.assert_allclose((pull * u).sum(axis=0), bound, rtol=1e-7, atol=1e-7)


@given(w=matrices, step=st.floats(1e-4, 1e4))
def test_one_step_for_all_makes_no_difference(w, step):
    np.testing.assert_array_equal(projected(w, step), projected(w))
    np.testing.assert_allclose(projected(w, np.full_like(w, step)), projected(w), rtol=1e-12)


@given(w=matrices)
def test_to_project_again_changes_nothing(w):
    np.testing.assert_allclose(projected(projected(w)), projected(w), rtol=1e-15)


def test_steps_of_zero_leave_the_projection_as_it_is(rng):
    w = 5 * rng.normal(size=(4, 3))
    np.testing.assert_array_equal(projected(w, np.zeros((4, 3))), projected(w))


def test_weights_of_one_and_of_three_axes_are_limited_unit_by_unit(rng):
    np.testing.assert_allclose(projected(np.array([3.0, -1.0])), [1.5, -1.0])
    w = 5 * rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(projected(w).reshape(6, 4), projected(w.reshape(6, 4)))


@given(w=matrices, step=st.floats(0.01, 2))
def test_soft_threshold_and_projection_are_the_proximal_map_of_both(w, step):
    """Checked by the condition for a minimum: (w - u)/step is in the sum of the two cones."""
    net = nn.Network(
        [nn.Dense(w.shape[1], bias=False)],
        inputs=w.shape[0],
        penalty=nn.L1(0.7, method="proximal"),
        constraint=nn.MaxNorm(LIMIT),
        dtype="float64",
    )
    net.parameters.weights[:] = w.reshape(-1)
    net.apply_proximal(step)
    u = net.parameters["dense_1.weight"]
    pull = (w - u) / step - 0.7 * np.sign(u)
    multiplier = (pull * u).sum(axis=0) / np.maximum((u * u).sum(axis=0), 1e-12)
    length = np.linalg.norm(u, axis=0)
    assert (multiplier >= -1e-9).all()
    assert (multiplier[length < LIMIT * (1 - 1e-9)] <= 1e-9).all()
    np.testing.assert_allclose(np.where(u != 0, pull - multiplier * u, 0), 0, atol=1e-8)
    assert (abs(pull[u == 0]) <= 0.7 + 1e-9).all()


# --- In a network ---------------------------------------------------------------------------------


def test_a_networks_constraint_holds_for_every_layer_that_does_not_say_otherwise():
    tighter = nn.MaxNorm(0.1)
    layers = [nn.Dense(3), nn.Dense(3, constraint=tighter), nn.Dense(3, constraint=None)]
    net = nn.Network(layers, inputs=4, constraint=nn.MaxNorm(0.5), dtype="float64")
    net.parameters.vector[:] = 1.0
    net.apply_proximal(0.1)
    lengths = [np.linalg.norm(layer.weight, axis=0).tolist() for layer in net.layers]
    np.testing.assert_allclose(lengths, [[0.5] * 3, [0.1] * 3, [3**0.5] * 3])
    assert net.regularization.constraint_of("dense_2.weight") is tighter
    assert net.regularization.constraint_of("dense_3.weight") is None


def test_a_constraint_costs_nothing_and_adds_no_gradient():
    net = network(penalty=nn.L2(0.1))
    value = net.penalty_value()
    net.constraint = nn.MaxNorm(1e-3)
    g = net.parameters.like()
    net.add_penalty_gradient(g)
    assert net.penalty_value() == value
    np.testing.assert_allclose(g.weights, 0.1 * net.parameters.weights)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "penalty", [None, nn.L2(0.01), nn.L1(1e-3, method="proximal")], ids=["none", "L2", "L1"]
)
@each_optimizer
def test_it_holds_after_training_with_any_optimizer_penalty_and_dropout(
    optimizer, penalty, threads
):
    net = network(penalty=penalty)
    net.constraint = nn.MaxNorm(0.5)
    fit(net, optimizer=optimizer(), epochs=3, threads=threads)
    for name in ("dense_1.weight", "dense_2.weight"):
        assert np.linalg.norm(net.parameters[name], axis=0).max() <= 0.5 * (1 + 1e-12)


@each_optimizer
@pytest.mark.parametrize("units", [8, 20_000], ids=["small", "by blocks"])
def test_the_taught_loop_and_fit_agree_bit_for_bit(optimizer, units):
    rules = {"penalty": nn.L1(1e-4, method="proximal"), "constraint": nn.MaxNorm(0.5)}
    layers = lambda: [nn.Dense(units), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(3)]
    assert_fit_is_the_taught_loop(layers, optimizer, **rules)


def test_the_limit_may_change_at_any_time():
    net = network()
    net.constraint = nn.MaxNorm(0.5)
    schedule = nn.HyperparameterScheduler(net.constraint, "limit", lambda step: 0.25)
    fit(net, callbacks=[schedule])
    assert np.linalg.norm(net.parameters["dense_2.weight"], axis=0).max() <= 0.25 * (1 + 1e-12)


def test_a_constraint_of_ones_own_is_as_short_and_holds(tmp_path):
    net = network()
    net.constraint = NonNegative()
    fit(net, optimizer=nn.Adam(0.01))
    assert (net.parameters.weights >= 0).all()
    nn.save(net, tmp_path / "net.npz")
    again = nn.load(tmp_path / "net.npz", custom={"NonNegative": NonNegative})
    assert type(again.constraint) is NonNegative


def test_constrain_alone_puts_the_initial_weights_back():
    net = network()
    net.parameters.weights[:] = 3.0
    net.constraint = nn.MaxNorm(0.5)
    net.constrain()
    np.testing.assert_allclose(np.linalg.norm(net.parameters["dense_1.weight"], axis=0), 0.5)


# --- Saved, copied, described ---------------------------------------------------------------------


def test_constraints_are_saved_copied_and_described_and_shared_ones_stay_shared(tmp_path):
    shared = nn.MaxNorm(2.0)
    layers = [nn.Dense(3, constraint=shared), nn.Dense(2, constraint=None), nn.Dense(2)]
    net = nn.Network(layers, inputs=4, penalty=nn.L2(0.1), constraint=shared)
    nn.save(net, tmp_path / "net.npz")
    for again in (nn.load(tmp_path / "net.npz"), net.copy()):
        assert repr(again) == repr(net)
        assert again.constraint is again.layers[0].constraint
        assert again.constraint is not shared
        assert again.layers[1].constraint is None
    assert repr(eval(repr(net), vars(nn))) == repr(net)


def test_the_summary_has_a_column_for_constraints_where_there_are_any(capsys):
    net = network()
    net.summary()
    assert "constraint" not in capsys.readouterr().out
    net.layers[0].constraint = nn.MaxNorm(2.0)
    net.summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-1] == "constraint"
    assert lines[2].endswith("MaxNorm(limit=2.0)")
    assert lines[3].split()[-2:] == ["none", "none"]


def test_a_single_number_is_a_column_of_one_weight():
    w = np.array(-3.0)
    nn.MaxNorm(2.0).project(w, w)
    assert w == -2.0
    nn.GroupLasso(0.5, groups="inputs").proximal(w, 1.0, w)
    assert w == -1.5
