"""Optimizers: ten steps of each rule as its paper states it, and the facts common to all rules."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from small import Scale, assert_fit_is_the_taught_loop
from strategies import OPTIMIZERS, filled, vectors

import nnreg as nn
from nnreg import kernels
from nnreg.optimizers import BLOCK, FLUSH_EVERY

optimizers = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def parameters(weights=7, biases=3, dtype="float64", seed=0):
    p = nn.Parameters(
        {
            "a.weight": nn.Parameter((weights,), None),
            "a.bias": nn.Parameter((biases,), None, weight=False),
        },
        dtype,
    )
    p.vector[:] = np.random.default_rng(seed).normal(size=p.vector.size)
    return p


# --- The rules, one value at a time, as their sources state them ----------------------------------


def gradient_descent(w, gs, lr=0.05):
    for g in gs:
        w = w - lr * g
    return w


def momentum(w, gs, lr=0.05, mu=0.9):
    v = 0.0
    for g in gs:
        v = mu * v + g
        w = w - lr * v
    return w


def nesterov(w, gs, lr=0.05, mu=0.9):
    """Sutskever et al. (2013, eq. 3 and 4), by the gradient where it is evaluated: at θ + μv."""
    v, theta = 0.0, w
    for g in gs:  # g is the gradient at w = theta + mu * v
        v = mu * v - lr * g
        theta = theta + v
    return theta + mu * v


def rmsprop(w, gs, lr=0.05, rho=0.8, epsilon=1e-3):
    v = 0.0
    for g in gs:
        v = rho * v + (1 - rho) * g * g
        w = w - lr * g / (math.sqrt(v) + epsilon)
    return w


def adam(w, gs, lr=0.05, beta_1=0.8, beta_2=0.9, epsilon=1e-3, decay=0.0):
    m = v = 0.0
    for t, g in enumerate(gs, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w = w - lr * (m_hat / (math.sqrt(v_hat) + epsilon) + decay * w)
    return w


def inertial(w, gs, lr=0.05, beta=0.9):
    before = w
    for g in gs:
        w, before = w - lr * g + beta * (w - before), w
    return w


RULES = {
    "SGD": (lambda: nn.SGD(0.05), gradient_descent, {}),
    "momentum": (lambda: nn.SGD(0.05, momentum=0.9), momentum, {}),
    "nesterov": (lambda: nn.SGD(0.05, momentum=0.9, nesterov=True), nesterov, {}),
    "RMSprop": (lambda: nn.RMSprop(0.05, rho=0.8, epsilon=1e-3), rmsprop, {}),
    "Adam": (lambda: nn.Adam(0.05, beta_1=0.8, beta_2=0.9, epsilon=1e-3), adam, {}),
    "AdamW": (
        lambda: nn.AdamW(0.05, beta_1=0.8, beta_2=0.9, epsilon=1e-3, weight_decay=0.3),
        adam,
        {"decay": 0.3},
    ),
    "IPiano": (lambda: nn.IPiano(0.05, momentum=0.9), inertial, {}),
}


@pytest.mark.parametrize(("make", "rule", "for_weights"), RULES.values(), ids=RULES)
@dtypes
def test_ten_steps_are_ten_steps_of_the_rule(make, rule, for_weights, dtype, rng):
    p, optimizer = parameters(dtype=dtype), make()
    start = p.vector.astype(float)
    gradients = [filled(p, rng) for _ in range(10)]
    for g in gradients:
        optimizer.update(p, g)
    for i, w in enumerate(start):
        options = for_weights if i < p.weights.size else {}  # decay is for weights only
        expected = rule(w, [float(g.vector[i]) for g in gradients], **options)
        assert p.vector[i] == pytest.approx(expected, rel=1e-12 if dtype == "float64" else 1e-4)
    assert optimizer.steps == 10


DEFAULTS = {
    nn.RMSprop: {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-8},
    nn.Adam: {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    nn.AdamW: {"learning_rate": 1e-3, "beta_2": 0.999, "weight_decay": 1e-2},
    nn.LeakyReLU: {"slope": 0.01},
    nn.ELU: {"alpha": 1.0},
    nn.Dropout: {"keep_prob": 1.0},
    nn.Huber: {"delta": 1.0},
}


@pytest.mark.parametrize(("make", "defaults"), DEFAULTS.items())
def test_the_defaults_are_the_papers(make, defaults):
    assert {name: getattr(make(), name) for name in defaults} == defaults


# --- Common to all rules ---------------------------------------------------------------------


@optimizers
@dtypes
def test_the_gradient_is_not_changed_and_the_parameters_are_changed_in_place(make, dtype, rng):
    p, optimizer = parameters(dtype=dtype), make()
    memory, before = p.vector, p.vector.copy()
    for _ in range(3):
        g = filled(p, rng)
        g_before = g.vector.copy()
        optimizer.update(p, g)
        np.testing.assert_array_equal(g.vector, g_before)
    assert p.vector is memory
    assert (p.vector != before).all()
    assert p.vector.dtype == dtype
    step_size = optimizer.step_size
    assert type(step_size) is float or step_size.dtype == dtype
    for name, state in optimizer.state.items():
        assert state.dtype == dtype, name
        assert not np.shares_memory(state, g.vector), name
        assert not np.shares_memory(state, p.vector), name


@optimizers
def test_a_vector_longer_than_a_block_is_updated_to_its_end(make, monkeypatch, rng):
    in_blocks, at_once = (parameters(2 * BLOCK, 7) for _ in range(2))
    gradients = [filled(in_blocks, rng) for _ in range(2)]
    for p, block in ((in_blocks, BLOCK), (at_once, at_once.vector.size)):
        monkeypatch.setattr("nnreg.optimizers.BLOCK", block)
        optimizer = make()
        for g in gradients:
            optimizer.update(p, g)
    np.testing.assert_array_equal(in_blocks.vector, at_once.vector)


@dtypes
def test_a_users_rule_gets_blocks_and_working_memory_of_their_kind(dtype):
    class Watched(nn.Optimizer):
        def update_block(self, w, g, part, work):
            seen.append((part, w.shape, g.shape, work.shape, work.dtype))

    seen, p = [], parameters(BLOCK, 7, dtype)
    Watched(0.1).update(p, p.copy())
    assert seen == [
        (slice(0, BLOCK), *3 * [(BLOCK,)], dtype),
        (slice(BLOCK, BLOCK + 7), *3 * [(7,)], dtype),
    ]


def test_momentum_may_be_turned_on_and_off_in_mid_training(rng):
    p, optimizer = parameters(), nn.SGD(0.1)
    g = filled(p, rng)
    optimizer.update(p, g)
    for momentum, factor in ((0.5, 1.0), (0.5, 1.5), (0.0, 1.0)):
        optimizer.momentum, before = momentum, p.vector.copy()
        optimizer.update(p, g)
        np.testing.assert_allclose(before - p.vector, 0.1 * factor * g.vector)


# --- step_size ------------------------------------------------------------------------------------


@optimizers
@given(g=vectors(0.1, 3))
def test_a_constant_gradient_is_in_the_end_multiplied_by_step_size(make, g):
    p = parameters(len(g), 0)
    gradients = p.like()
    gradients.vector[:] = g
    optimizer = make()
    if isinstance(optimizer, nn.AdamW):
        optimizer.weight_decay = 0
    if isinstance(optimizer, nn.IPiano):
        optimizer.momentum = 0  # it moves on what the proximal map has left, and there is none
    for _ in range(300):
        before = p.vector.copy()
        optimizer.update(p, gradients)
    np.testing.assert_allclose(before - p.vector, optimizer.step_size * g, rtol=1e-9)


@pytest.mark.parametrize("make", [nn.RMSprop, nn.Adam, nn.AdamW])
def test_step_size_is_known_after_the_first_update_and_keeps_its_memory(make, rng):
    p, optimizer = parameters(), make()
    with pytest.raises(ValueError, match="step_size is known only after the first"):
        _ = optimizer.step_size
    optimizer.update(p, filled(p, rng))
    first = optimizer.step_size
    assert np.shares_memory(first, optimizer.step_size)
    np.testing.assert_array_equal(optimizer.step_size_of(slice(2, 5)), first[2:5])


# --- Clipping -------------------------------------------------------------------------------------


@optimizers
@dtypes
@pytest.mark.parametrize("limits", [{"clip_norm": 0.5}, {"clip_value": 0.3}, {"clip_norm": 1e6}])
def test_a_clipped_gradient_is_a_smaller_gradient(make, dtype, limits, rng, monkeypatch):
    monkeypatch.setattr("nnreg.optimizers.BLOCK", 4)  # the norm is that of all blocks together
    p, q = parameters(dtype=dtype), parameters(dtype=dtype)
    clipping, plain = make(), make()
    for name, limit in limits.items():
        setattr(clipping, name, limit)
    for _ in range(3):
        g = filled(p, rng)
        small, before = g.copy(), g.vector.copy()
        norm = np.linalg.norm(g.vector.astype(float))
        small.vector[:] *= min(1.0, limits.get("clip_norm", norm) / norm)
        small.vector[:] = small.vector.clip(*np.multiply(limits.get("clip_value", 1e9), (-1, 1)))
        clipping.update(p, g)
        plain.update(q, small)
        np.testing.assert_array_equal(g.vector, before)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(p.vector, q.vector, rtol=tolerance, atol=tolerance)


def test_clipping_takes_the_norm_first_and_both_may_be_switched_off():
    p = parameters(2, 0)
    p.vector[:] = 0
    g = p.like()
    g.vector[:] = 3.0, 4.0
    sgd = nn.SGD(1.0, clip_norm=2.5, clip_value=1.8)
    sgd.update(p, g)
    np.testing.assert_allclose(p.vector, [-1.5, -1.8])  # the norm 5 becomes 2.5, then 2 becomes 1.8
    sgd.clip_norm = sgd.clip_value = None
    sgd.update(p, g)
    np.testing.assert_allclose(p.vector, [-4.5, -5.8])
    assert repr(nn.SGD(1.0, clip_norm=2)) == (
        "SGD(learning_rate=1.0, momentum=0.0, nesterov=False, clip_norm=2.0)"
    )


@pytest.mark.parametrize("hidden", [8, 400])  # updated at once; in blocks
@pytest.mark.parametrize("limits", [{"clip_norm": 0.05}, {"clip_value": 0.01}], ids=str)
def test_fit_clips_as_the_taught_loop_does(hidden, limits):
    layers = lambda: [nn.Dense(hidden), nn.ReLU(), Scale(), nn.Dense(hidden), nn.Dense(3)]
    rule = lambda: nn.SGD(0.1, momentum=0.9, **limits)
    assert_fit_is_the_taught_loop(layers, rule, penalty=nn.L1(0.01, method="proximal"))


@dtypes
def test_a_gradient_whose_squares_overflow_is_clipped_to_the_limit(dtype):
    p = parameters(dtype=dtype)
    p.vector[:] = 0
    g = p.like()
    g.vector[:] = np.finfo(dtype).max / 4
    nn.SGD(1.0, clip_norm=1.0).update(p, g)
    np.testing.assert_allclose(p.vector, -1 / np.sqrt(10), rtol=1e-6)


# --- Copies ---------------------------------------------------------------------------------------

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "deepcopy in a list": lambda x: copy.deepcopy([x])[0],
}
copies = pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)


@optimizers
@copies
def test_a_copy_is_independent_and_continues_as_the_original(make, duplicate, rng):
    p, optimizer = parameters(), make()
    gradients = [filled(p, rng) for _ in range(4)]
    for g in gradients[:2]:
        optimizer.update(p, g)
    pairs = [(p.copy(), duplicate(optimizer)), (p, optimizer)]
    for values, rule in pairs:
        assert rule.steps == 2
        for g in gradients[2:]:
            rule.update(values, g)
    np.testing.assert_array_equal(pairs[0][0].vector, p.vector)
    assert repr(pairs[0][1]) == repr(optimizer)


# --- Errors ---------------------------------------------------------------------------------------


@optimizers
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float32"}, r"names, shapes and dtype .*float64.* got .*float32"),
        ({"weights": 6, "biases": 4}, "names, shapes and dtype of the parameters, .* got <Param"),
        ({"weights": 6}, "names, shapes and dtype .* 10 values .* got .* 9 values"),
    ],
    ids=["dtype", "layout", "size"],
)
def test_gradients_of_another_dtype_layout_or_size_are_an_error(make, options, message):
    with pytest.raises(ValueError, match=message):
        make().update(parameters(), parameters(**options))


@pytest.mark.parametrize("wrong", ["parameters", "gradients"])
def test_an_argument_that_is_no_parameters_object_is_named(wrong):
    given = {"parameters": parameters(), "gradients": parameters()} | {wrong: np.zeros(10)}
    with pytest.raises(TypeError, match=rf"^{wrong} must be Parameters such as net.parameters"):
        nn.SGD(0.1).update(**given)


@optimizers
@pytest.mark.parametrize("other", [{"weights": 20}, {"dtype": "float32"}, {"seed": 1}], ids=str)
def test_one_optimizer_serves_one_network_until_it_is_reset(make, other):
    p, q = parameters(), parameters(**other)
    optimizer, fresh, r, before = make(), make(), q.copy(), q.vector.copy()
    optimizer.update(p, p.copy())
    words = "10 values of float64.* it cannot update .* An optimizer belongs to one network"
    with pytest.raises(ValueError, match=words):
        optimizer.update(q, q.copy())
    assert optimizer.steps == 1
    np.testing.assert_array_equal(q.vector, before)
    optimizer.reset()
    for values, rule in ((q, optimizer), (r, fresh)):
        rule.update(values, values.copy())
    np.testing.assert_array_equal(q.vector, r.vector)


# --- Subnormal numbers ----------------------------------------------------------------------------


@optimizers
@dtypes
def test_after_the_last_gradient_nothing_becomes_subnormal(make, dtype):
    p, optimizer = parameters(dtype=dtype), make()
    g = p.like()
    tiny = np.finfo(dtype).tiny
    p.vector[0] = g.vector[0] = 1e3 * tiny  # both would be subnormal after some 690 steps of 0.99
    optimizer.update(p, g)
    g.vector[:] = 0
    for _ in range(20 * FLUSH_EVERY - 1):
        optimizer.update(p, g)
        p.vector[0] *= 0.99
    for values in (p.vector, *optimizer.state.values()):
        assert not ((abs(values) < tiny) & (values != 0)).any()


def test_what_is_not_finite_is_not_flushed():
    v = np.array([np.inf, -np.inf, np.nan, 1e-20])
    kernels.flush_denormals(v, 1e-10)
    np.testing.assert_array_equal(v, [np.inf, -np.inf, np.nan, 0.0])
