"""Regularization: which parameter has which penalty, and that no bias has one."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from strategies import written

import nnreg as nn


class Smooth(nn.Penalty):
    """A user's penalty of whole weight matrices: the squared differences of neighbouring rows."""

    def value(self, w):
        return (np.diff(w, axis=0) ** 2).sum()

    def gradient(self, w, out):
        steps = np.diff(w, axis=0)
        out[...] = 0
        out[1:] += 2 * steps
        out[:-1] -= 2 * steps


PENALTIES = {
    "L2": lambda: nn.L2(0.3),
    "L1": lambda: nn.L1(0.3),
    "L1, proximal": lambda: nn.L1(0.3, method="proximal"),
    "ElasticNet": lambda: nn.ElasticNet(0.3, 0.2),
    "ElasticNet, proximal": lambda: nn.ElasticNet(0.3, 0.2, method="proximal"),
    "a user's": Smooth,
}

penalties = pytest.mark.parametrize("make", PENALTIES.values(), ids=PENALTIES)


def network(penalty=None, *, first="inherit", second="inherit", dtype="float64"):
    net = nn.Network(
        [nn.Dense(3, penalty=first), nn.Tanh(), nn.Dense(2, penalty=second)],
        inputs=4,
        penalty=penalty,
        dtype=dtype,
    )
    net.parameters.biases[:] = 0.1
    return net


def gradients(net, x, dy):
    _, cache = net.forward(x, training=True)
    g = net.backward(dy, cache)
    net.add_penalty_gradient(g)
    return g


@penalties
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bias_gradients_are_bitwise_unchanged_by_any_penalty(make, dtype, rng):
    x, dy = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    without = gradients(network(dtype=dtype), x, dy)
    penalized = gradients(network(make(), dtype=dtype), x, dy)
    assert penalized.biases.tobytes() == without.biases.tobytes()
    proximal = make().method == "proximal"
    assert (penalized.weights.tobytes() == without.weights.tobytes()) == proximal


@penalties
def test_biases_have_neither_penalty_nor_constraint_and_weights_one_of_gradient_and_map(make):
    net = network(make())
    value, weights = net.penalty_value(), net.parameters.weights.copy()
    gradients = net.parameters.like()
    net.parameters.biases[:] = 1e6
    assert net.penalty_value() == value
    net.add_penalty_gradient(gradients)
    net.apply_proximal(0.1)
    proximal = make().method == "proximal"
    assert net.regularization.has_proximal is proximal
    assert gradients.weights.any() != proximal
    assert (net.parameters.weights != weights).any() == proximal
    net.constraint = nn.MaxNorm(1e-6)
    net.apply_proximal(0.1)
    assert (net.parameters.biases == 1e6).all()
    assert net.regularization.constraint_of("dense_1.bias") is None


@penalties
def test_the_value_is_the_sum_over_weight_arrays(make):
    net, penalty = network(make()), make()
    arrays = [net.parameters[f"dense_{i}.weight"] for i in (1, 2)]
    assert net.penalty_value() == pytest.approx(sum(penalty.value(w) for w in arrays), rel=1e-12)
    assert type(net.penalty_value()) is float


@pytest.mark.parametrize("name", ["L2", "L1", "ElasticNet", "a user's"])
def test_the_penalty_gradient_is_added_to_what_is_there(name, rng):
    net = network(PENALTIES[name]())
    g = net.parameters.like()
    g.vector[:] = before = rng.normal(size=g.vector.size)
    net.add_penalty_gradient(g)
    for i in (1, 2):
        expected = written(PENALTIES[name]().gradient, net.parameters[f"dense_{i}.weight"])
        part = g.slices[f"dense_{i}.weight"]
        np.testing.assert_allclose(g.vector[part] - before[part], expected.reshape(-1), atol=1e-14)


def test_without_a_penalty_the_value_is_zero_and_nothing_is_added():
    net = network()
    g = net.parameters.like()
    net.add_penalty_gradient(g)
    net.apply_proximal(0.1)
    assert net.penalty_value() == 0.0
    assert not g.vector.any()
    assert not net.regularization.has_proximal


def test_a_layer_may_have_its_own_penalty_or_none():
    penalty = nn.L1(0.5)
    net = network(nn.L2(0.2), first=penalty, second=None)
    first = net.parameters["dense_1.weight"]
    assert net.penalty_value() == pytest.approx(0.5 * abs(first).sum())
    g = net.parameters.like()
    net.add_penalty_gradient(g)
    np.testing.assert_allclose(g["dense_1.weight"], 0.5 * np.sign(first))
    assert not g["dense_2.weight"].any()
    assert net.regularization.penalty_of("dense_1.weight") is penalty
    assert net.regularization.penalty_of("dense_2.weight") is None
    assert net.regularization.penalty_of("dense_1.bias") is None


def test_the_networks_penalty_is_the_default_and_may_be_replaced():
    net = network(nn.L2(0.2), first=None)
    second = net.parameters["dense_2.weight"]
    assert net.penalty_value() == pytest.approx(0.1 * (second**2).sum())
    net.penalty = nn.L1(0.5)
    assert net.penalty_value() == pytest.approx(0.5 * abs(second).sum())
    net.penalty = None
    assert net.penalty_value() == 0.0


def test_a_weight_of_a_users_layer_is_penalized_and_its_other_parameters_are_not():
    class Bilinear(nn.Layer):
        def parameters(self, inputs):
            return {
                "gain": nn.Parameter((inputs,), nn.ones, weight=False),
                "mix": nn.Parameter((inputs, inputs), nn.ones),
            }

    net = nn.Network([Bilinear()], inputs=3, penalty=nn.L2(2.0))
    assert net.penalty_value() == 9.0
    assert net.regularization.penalty_of("bilinear_1.gain") is None


def test_two_proximal_penalties_each_reach_their_own_layer():
    net = network(nn.L1(0.1, method="proximal"), second=nn.L1(1e6, method="proximal"))
    first = net.parameters["dense_1.weight"].copy()
    net.apply_proximal(0.5)
    np.testing.assert_allclose(
        net.parameters["dense_1.weight"], np.sign(first) * np.maximum(abs(first) - 0.05, 0)
    )
    assert not net.parameters["dense_2.weight"].any()


def test_the_proximal_map_takes_a_vector_of_steps_in_the_layout_of_the_parameters(rng):
    net = network(nn.L1(0.3, method="proximal"))
    before = net.parameters.vector.copy()
    step = rng.uniform(0.1, 1, before.size)
    net.apply_proximal(step)
    expected = np.sign(before) * np.maximum(abs(before) - 0.3 * step, 0)
    n = net.parameters.weights.size
    np.testing.assert_allclose(net.parameters.weights, expected[:n], atol=1e-15)
    np.testing.assert_array_equal(net.parameters.biases, before[n:])


# --- Runs, blocks and parts -----------------------------------------------------------------------


class Shrink(nn.Penalty):
    """A proximal penalty that sees whole weight matrices, and the steps in their shape."""

    method = "proximal"

    def __init__(self):
        self.seen = []

    def proximal(self, w, step, out):
        self.seen.append((w.shape, np.shape(step)))
        out[...] = w / (1 + step)


def test_neighbouring_weights_under_one_elementwise_penalty_are_one_flat_run():
    penalty = nn.L2(0.3)
    net = network(penalty)
    assert net.regularization.penalties == [(penalty, slice(0, 18), (18,))]
    assert net.regularization.resolve() is net.regularization.resolve()
    other = network(penalty, second=nn.L2(0.3))
    assert [run[1:] for run in other.regularization.penalties] == [
        (slice(0, 12), (12,)),
        (slice(12, 18), (6,)),
    ]
    shaped = network(Smooth())
    assert [run[1:] for run in shaped.regularization.penalties] == [
        (slice(0, 12), (4, 3)),
        (slice(12, 18), (3, 2)),
    ]


def test_a_layer_without_a_penalty_costs_nothing_between_two_that_have_one():
    layers = [nn.Dense(3), nn.Dense(3, penalty=None), nn.Dense(3)]
    net = nn.Network(layers, inputs=3, penalty=nn.L2(0.3), dtype="float64")
    g = net.parameters.like()
    net.add_penalty_gradient(g)
    assert g["dense_1.weight"].all()
    assert not g["dense_2.weight"].any()
    assert g["dense_3.weight"].all()


@pytest.mark.parametrize(
    ("make", "cut"),
    [(PENALTIES["ElasticNet"], 7), (PENALTIES["ElasticNet"], 12), (Smooth, 12)],
    ids=["elementwise, anywhere", "elementwise, between arrays", "shaped, between arrays"],
)
def test_the_gradient_added_part_by_part_is_the_gradient(make, cut):
    net = network(make())
    whole, parts = net.parameters.like(), net.parameters.like()
    net.add_penalty_gradient(whole)
    net.regularization.add_gradient(parts, net.regularization.cut(slice(0, cut)))
    assert parts.vector[:cut].all()
    assert not parts.vector[cut:].any()
    net.regularization.add_gradient(parts, net.regularization.cut(slice(cut, 18)))
    np.testing.assert_array_equal(parts.vector, whole.vector)


@pytest.mark.parametrize(
    ("make", "cut"), [(PENALTIES["L1, proximal"], 7), (Shrink, 12)], ids=["elementwise", "shaped"]
)
def test_the_proximal_map_applied_part_by_part_is_the_proximal_map(make, cut, rng):
    net, other = network(make()), network(make())
    before, step = net.parameters.vector.copy(), rng.uniform(0.1, 1, net.parameters.vector.size)
    net.apply_proximal(step)
    other.regularization.apply_proximal(step[cut:], slice(cut, 18))
    np.testing.assert_array_equal(other.parameters.vector[:cut], before[:cut])
    other.regularization.apply_proximal(step[:cut], slice(0, cut))
    np.testing.assert_array_equal(other.parameters.vector, net.parameters.vector)
    if make is Shrink:
        assert net.penalty.seen == [((4, 3), (4, 3)), ((3, 2), (3, 2))]


def test_a_proximal_step_is_a_number_of_at_least_zero():
    net = network(nn.L1(0.3, method="proximal"))
    for step in (-0.1, float("nan")):
        with pytest.raises(ValueError, match=r"^step_size must be a number in \[0, inf\), got"):
            net.apply_proximal(step)


# --- The summary ----------------------------------------------------------------------------------


def test_the_summary_says_which_penalty_each_parameter_has_and_none_for_biases(capsys):
    network(nn.L2(0.2), second=nn.L1(0.5, method="proximal")).summary()
    printed = capsys.readouterr().out
    lines = {
        part: [line for line in printed.splitlines() if f" {part} " in line]
        for part in ("weight", "bias")
    }
    assert len(lines["weight"]) == len(lines["bias"]) == 2
    assert all(line.endswith(" none") for line in lines["bias"])
    assert lines["weight"][0].endswith("L2(strength=0.2)")
    assert lines["weight"][1].endswith("L1(strength=0.5, method='proximal')")


def test_the_summary_counts_and_names_initial_values(capsys):
    nn.Network(
        [nn.Dense(3), nn.Dropout(keep_prob=0.5), nn.ReLU(), nn.Dense(2, bias=False)], inputs=4
    ).summary()
    printed = capsys.readouterr().out
    assert "21 values: 18 weights, 3 others; 4 inputs, float32, seed 0" in printed
    assert "dropout_1 keep_prob=0.5" in printed
    for words in (
        ["dense_1", "3", "weight", "(4,", "3)", "12", "he_normal", "none"],
        ["bias", "(3,)", "3", "zeros", "none"],
        ["dense_2", "2", "weight", "(3,", "2)", "6", "glorot_uniform", "none"],
        ["relu_1", "3"],
    ):
        assert words in [line.split() for line in printed.splitlines()]


def test_a_penalty_that_returns_its_gradient_instead_of_writing_it_is_refused():
    class Returns(nn.Penalty):
        def value(self, w):
            return (w**4).sum()

        def gradient(self, w, out):
            return 4 * w**3

    net = nn.Network([nn.Dense(2)], inputs=3, penalty=Returns())
    with pytest.raises(
        TypeError, match=r"Returns\.gradient must write into out and return nothing"
    ):
        net.add_penalty_gradient(net.parameters.like())


def test_a_class_derived_from_l2_trains_with_its_own_gradient():
    class Doubled(nn.L2):
        def gradient(self, w, out):
            out[...] = 2 * self.strength * w

    net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2, penalty=Doubled(0.5))
    gradients = net.parameters.like()
    net.add_penalty_gradient(gradients)
    assert gradients.weights.tolist() == [1.0, 1.0]


@dataclasses.dataclass
class Scaled(nn.Penalty):
    scale: np.ndarray

    def value(self, w):
        return self.scale.mean() * (w**2).sum()

    def gradient(self, w, out):
        out[...] = 2 * w


def test_penalties_are_compared_by_identity():
    net = network(Scaled(np.ones(3)))
    before = net.penalty_value()
    net.penalty = Scaled(2 * np.ones(3))
    assert net.penalty_value() == 2 * before


def test_threads_that_read_the_penalty_while_it_is_replaced_see_whole_values():
    net, penalties = network(nn.L2(1.0)), [nn.L2(1.0), nn.L2(2.0)]
    values = {net.penalty_value(), 2 * net.penalty_value()}

    def work(number):
        net.penalty = penalties[number % 2]
        return net.penalty_value()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(2000))) <= values
