"""The gradient check passes correct gradients, to near machine precision, and fails wrong ones."""

import numpy as np
import pytest

import nnreg as nn
from nnreg.gradcheck.check import DIRECTIONS
from nnreg.gradcheck.report import GradientReport

LAYERS = [
    nn.Dense(3),
    nn.Dense(3, bias=False),
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.ELU(),
    nn.ELU(0.5),
    nn.GELU(),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Softplus(),
    nn.Dropout(keep_prob=0.6),
    nn.GaussianDropout(keep_prob=0.6),
]
X = np.random.default_rng(0).standard_normal((5, 4))
LABELS = np.array([0, 3, 1, 2, 3])
SOFT = np.random.default_rng(1).dirichlet(np.ones(4), 5)
LOSSES = [
    (nn.SoftmaxCrossEntropy(), LABELS),
    (nn.SoftmaxCrossEntropy(), SOFT),
    (nn.SoftmaxCrossEntropy(label_smoothing=0.1), LABELS),
    (nn.SoftmaxCrossEntropy(label_smoothing=0.1), SOFT),
    (nn.SigmoidCrossEntropy(), SOFT),
    (nn.MeanSquaredError(), X + 1),
    (nn.Huber(0.7), X[::-1]),
    (nn.Quantile(0.3), X[::-1] + 0.1),
    (nn.Poisson(), abs(X)),
]
PENALTIES = [nn.L2(0.3), nn.L1(0.3), nn.ElasticNet(0.3, 0.4)]


def network(**options):
    layers = [
        nn.Dropout(keep_prob=0.9),
        nn.Dense(6),
        nn.ReLU(),
        nn.Dropout(keep_prob=0.5),
        nn.Dense(4, penalty=nn.L1(0.1)),
    ]
    return nn.Network(layers, inputs=4, penalty=nn.L2(0.2), **options)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("method", ["complex", "central", "richardson"])
def test_every_layer_passes(layer, method):
    report = nn.check_gradients(layer, X, method=method)
    assert report.passed
    assert report.max_error < {"complex": 1e-12, "central": 1e-8, "richardson": 1e-10}[method]
    assert all(row.method == method and row.kinks == 0 for row in report.rows)


@pytest.mark.parametrize(("loss", "targets"), LOSSES)
@pytest.mark.parametrize("method", ["complex", "central"])
def test_every_loss_passes(loss, targets, method):
    report = nn.check_gradients(loss, 2 * X, targets, method=method)
    assert report.passed
    assert report.max_error < {"complex": 1e-12, "central": 1e-8}[method]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_every_penalty_passes(penalty):
    assert nn.check_gradients(penalty, X).max_error < 1e-12


def test_a_network_is_checked_by_every_parameter_and_its_inputs_for_each_quantity_apart():
    report = nn.check_gradients(network(dtype="float64"), X, LABELS, nn.SoftmaxCrossEntropy())
    names = ["dense_1.weight", "dense_1.bias", "dense_2.weight", "dense_2.bias"]
    assert [(row.quantity, row.block) for row in report.rows] == [
        *(("data loss", name) for name in [*names, "inputs"]),
        *(("penalty", name) for name in names),
        *(("total", name) for name in names),
    ]
    assert report.max_error < 1e-12
    assert report.notes == []


def test_a_float32_network_is_checked_on_a_float64_copy_and_the_report_says_so():
    report = nn.check_gradients(network(), X, LABELS, nn.SoftmaxCrossEntropy())
    assert report.passed
    assert "float64 copy" in report.notes[0]


def test_a_proximal_penalty_adds_nothing_that_could_be_checked():
    net = nn.Network([nn.Dense(4)], inputs=4, penalty=nn.L1(0.1, method="proximal"))
    report = nn.check_gradients(net, X, LABELS, nn.SoftmaxCrossEntropy())
    assert {row.quantity for row in report.rows} == {"data loss"}


def test_a_large_network_is_checked_along_random_directions():
    net = nn.Network([nn.Dense(300), nn.Tanh(), nn.Dense(4)], inputs=100)
    x = np.random.default_rng(0).standard_normal((3, 100))
    report = nn.check_gradients(net, x, [0, 1, 2], nn.SoftmaxCrossEntropy())
    points = {row.block: row.points for row in report.rows}
    assert points["dense_1.weight"] == f"{DIRECTIONS} directions"
    assert points["dense_2.bias"] == "all 4"
    assert report.max_error < 1e-12


def test_the_check_leaves_no_trace():
    net = network()
    net.forward(X, training=True)
    before = net.parameters.vector.tobytes(), net.steps, net.epochs, X.tobytes()
    nn.check_gradients(net, X, LABELS, nn.SoftmaxCrossEntropy())
    assert before == (net.parameters.vector.tobytes(), net.steps, net.epochs, X.tobytes())


def test_a_bound_layer_is_checked_at_its_own_values():
    net = nn.Network([nn.Dense(3), nn.Tanh()], inputs=4, dtype="float64")
    report = nn.check_gradients(net.layers[0], X)
    assert report.passed
    assert [row.block for row in report.rows] == ["weight", "bias", "inputs"]


# --- What is wrong fails -----------------------------------------------------------------------


class Transposed(nn.Dense):
    def gradient(self, dy, cache, gradients):
        super().gradient(dy, cache, gradients)
        gradients["weight"][...] = gradients["weight"].T.reshape(gradients["weight"].shape)


class UnsummedBias(nn.Dense):
    def gradient(self, dy, cache, gradients):
        super().gradient(dy, cache, gradients)
        gradients["bias"][...] = dy[0]


class SlightlyOff(nn.Dense):
    def backward(self, dy, cache):
        return 1.0000001 * super().backward(dy, cache)


class MaskForgotten(nn.Dropout):
    def backward(self, dy, cache):
        return dy / self.keep_prob


class WrongSign(nn.Tanh):
    def backward(self, dy, cache):
        return -super().backward(dy, cache)


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        (Transposed(3), "weight"),
        (UnsummedBias(3), "bias"),
        (SlightlyOff(3), "inputs"),
        (MaskForgotten(keep_prob=0.5), "inputs"),
        (WrongSign(), "inputs"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Layer) else "",
)
def test_a_wrong_layer_fails_in_the_block_that_is_wrong_and_there_only(layer, block):
    report = nn.check_gradients(layer, X)
    assert [row.block for row in report.rows if not row.passed] == [block]


def test_a_wrong_entry_of_a_large_block_is_found_along_random_directions():
    class OneOff(nn.Dense):
        def gradient(self, dy, cache, gradients):
            super().gradient(dy, cache, gradients)
            gradients["weight"][7, 3] *= 1.01

    x = np.random.default_rng(0).standard_normal((3, 200))
    report = nn.check_gradients(OneOff(100), x)
    assert [row.block for row in report.rows if not row.passed] == ["weight"]
    with pytest.raises(AssertionError, match="largest along a random direction: backward"):
        report.assert_ok()


def test_a_missing_mean_a_missing_half_and_a_penalized_bias_fail():
    class Sum(nn.MeanSquaredError):
        def compute(self, *args, **options):
            value, gradient = super().compute(*args, **options)
            return value, gradient * 5

    class WithoutHalf(nn.L2):
        def value(self, w):
            return 2 * super().value(w)

    class PenalizedBias(nn.Network):
        def add_penalty_gradient(self, gradients):
            super().add_penalty_gradient(gradients)
            gradients.biases[...] += 0.2 * (self.parameters.biases + 1)

    assert not nn.check_gradients(Sum(), X, X + 1).passed
    assert not nn.check_gradients(WithoutHalf(0.1), X).passed
    net = PenalizedBias([nn.Dense(4)], inputs=4, penalty=nn.L2(0.2))
    report = nn.check_gradients(net, X, LABELS, nn.SoftmaxCrossEntropy())
    failed = [(row.quantity, row.block) for row in report.rows if not row.passed]
    assert failed == [("penalty", "dense_1.bias"), ("total", "dense_1.bias")]


def test_assert_ok_says_in_words_what_is_wrong_and_where():
    with pytest.raises(
        AssertionError, match=r"output with respect to inputs \(5, 4\).*\(ratio -1\)"
    ):
        nn.check_gradients(WrongSign(), X).assert_ok()
    nn.check_gradients(nn.Tanh(), X).assert_ok()


def test_a_gradient_of_another_shape_fails_and_both_shapes_are_named():
    def forward(x, b):
        return x + b

    report = nn.check_gradients(
        forward, lambda dout: (dout, dout), X, np.ones(4), error_metric="cs231n"
    )
    assert [row.block for row in report.rows if not row.passed] == ["b"]
    with pytest.raises(AssertionError, match=r"shape of b, \(4,\), got shape \(5, 4\)"):
        report.assert_ok()
    assert "WRONG" in str(report)
    for style in ("cs231n", "deeplearning.ai", "allclose"):
        assert not all(passed for *_, passed in report.measured_by(style))


def test_what_rounding_leaves_where_terms_cancel_is_no_error():
    loss = nn.SoftmaxCrossEntropy(label_smoothing=0.11710059892606098)
    _, gradient = loss(np.ones((1, 1)), np.zeros(1, dtype=int))
    assert abs(gradient.item()) < 1e-15  # one class: the probability is 1, and the target too
    assert nn.check_gradients(loss, np.ones((1, 1)), np.zeros(1, dtype=int)).max_error < 1e-12


def test_what_backward_gives_no_gradient_by_is_named():
    report = nn.check_gradients(lambda x, w: x @ w, lambda dout: (dout @ X,), X, X.T)
    assert report.passed
    assert report.notes == ["not checked, since backward returns no gradient with respect to it: w"]


# --- Code that changes what it was given ---------------------------------------------------------


def test_a_layer_that_damages_its_input_leaves_the_callers_array_alone():
    class InPlace(nn.Layer):
        def forward(self, x, cache):
            cache.positive = x.real > 0
            x *= cache.positive
            return x * 1.0

        def backward(self, dy, cache):
            return dy * cache.positive

    before = X.copy()
    nn.check_gradients(InPlace(), X)
    np.testing.assert_array_equal(X, before)


def test_a_backward_pass_that_damages_dy_is_measured_against_the_dy_that_it_was_given():
    class InPlace(nn.Tanh):
        def backward(self, dy, cache):
            dx = super().backward(dy, cache)
            dy *= 0
            return dx

    def backward(dout):
        result = 3 * dout
        dout *= 0
        return result

    assert nn.check_gradients(InPlace(), X).passed
    assert nn.check_gradients(lambda x: 3 * x, backward, X).passed


def test_a_function_that_damages_its_argument_is_measured_at_the_point_that_was_given():
    def forward(x):
        y = np.where(x > 0, 2 * x.real, x.real)  # not complex-safe, so checked by differences
        x *= 0
        return y

    positive = X > 0
    assert nn.check_gradients(forward, lambda dout: dout * np.where(positive, 2, 1), X).passed


def test_a_penalty_gradient_that_replaces_that_of_the_data_fails_in_the_total():
    class Overwrites(nn.Network):
        def add_penalty_gradient(self, gradients):
            gradients.weights[...] = 0.2 * self.parameters.weights

    net = Overwrites([nn.Dense(4)], inputs=4, penalty=nn.L2(0.2))
    report = nn.check_gradients(net, X, LABELS, nn.SoftmaxCrossEntropy())
    failed = [(row.quantity, row.block) for row in report.rows if not row.passed]
    assert failed == [("total", "dense_1.weight")]


# --- Code that is not complex-safe ---------------------------------------------------------------


class RealBuffer(nn.Layer):
    def forward(self, x, cache):
        y = np.empty(x.shape)
        y[...] = 3 * x  # a complex value loses its imaginary part here, with a warning
        return y

    def backward(self, dy, cache):
        return 3 * dy


class Magnitude(nn.Layer):
    def forward(self, x, cache):
        cache.x = x
        return abs(x) + 0 * x  # silently real

    def backward(self, dy, cache):
        return np.sign(cache.x) * dy


def test_code_that_cannot_compute_with_complex_numbers_is_checked_by_differences_and_says_so():
    for layer in (RealBuffer(), Magnitude()):
        report = nn.check_gradients(layer, X)
        assert report.passed
        assert {row.method for row in report.rows} == {"richardson"}
        assert len(report.notes) == 1


def test_differences_report_a_kink_instead_of_failing_on_it():
    x = np.array([[1e-9, 1.0], [-2.0, 3.0]])
    report = nn.check_gradients(nn.ReLU(), x, method="central")
    assert report.passed
    assert [row.kinks for row in report.rows] == [1]
    assert nn.check_gradients(nn.ReLU(), x, method="complex").rows[0].kinks == 0
    with pytest.raises(AssertionError, match="was not compared: every entry is within a step of a"):
        nn.check_gradients(nn.ReLU(), x[:1, :1], method="central").assert_ok()


@pytest.mark.parametrize("near", [0.0003, 0.0007, -0.0009])
def test_a_kink_anywhere_within_the_step_is_reported(near):
    x = np.array([[near, 1.0]])
    report = nn.check_gradients(nn.ReLU(), x, method="richardson")
    assert report.passed
    assert [row.kinks for row in report.rows] == [1]


def test_a_kink_does_not_excuse_another_entry():
    class Wrong(nn.ReLU):
        def backward(self, dy, cache):
            return 2 * super().backward(dy, cache)

    x = np.array([[1e-9, 1.0], [-2.0, 3.0]])
    assert not nn.check_gradients(Wrong(), x, method="central").passed


def test_a_gradient_that_is_not_a_number_fails():
    class NotANumber(nn.Tanh):
        def backward(self, dy, cache):
            return dy * np.nan

    assert not nn.check_gradients(NotANumber(), X).passed


def test_the_report_prints_a_row_a_block_and_the_verdict():
    text = str(nn.check_gradients(nn.Dense(3), X))
    assert text.splitlines()[0].endswith(": passed")
    assert "weight  (4, 3)  all 12    complex" in text
    assert "FAILED" in str(nn.check_gradients(WrongSign(), X))
    assert GradientReport("nothing").max_error == 0.0


def test_a_term_that_forward_makes_real_and_backward_forgets_is_found():
    def forward(x):
        centred = x - x.mean(axis=0)
        deviation = np.sqrt(x.var(axis=0) + 1e-5)
        return centred / deviation, deviation

    def backward(dout, deviation):
        return (dout - dout.mean(axis=0)) / deviation  # as if the variance were a constant

    report = nn.check_gradients(forward, backward, X)
    assert not report.passed
    assert {row.method for row in report.rows} == {"richardson"}


def test_a_layer_that_adds_to_the_gradient_fails():
    class Adds(nn.Dense):
        def gradient(self, dy, cache, gradients):
            gradients["weight"] += cache.x.T @ dy
            gradients["bias"][...] = dy.sum(axis=0)

    assert [row.block for row in nn.check_gradients(Adds(3), X).rows if not row.passed] == [
        "weight"
    ]


class OwnGenerator(nn.Layer):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def random(self, shape):
        return self.rng.random(shape)

    def forward(self, x, cache):
        cache.mask = (self.random(x.shape) < 0.5) * 2.0
        return x * cache.mask

    def backward(self, dy, cache):
        return dy * cache.mask


class GlobalGenerator(OwnGenerator):
    def random(self, shape):
        return np.random.rand(*shape)  # as a student might


@pytest.mark.parametrize("layer", [OwnGenerator(), GlobalGenerator()], ids=["its own", "NumPy's"])
def test_a_layer_that_draws_for_itself_is_frozen_too_and_leaves_no_trace(layer):
    before = layer.rng.bit_generator.state, np.random.get_state()[2]
    assert nn.check_gradients(layer, X).max_error < 1e-12
    assert before == (layer.rng.bit_generator.state, np.random.get_state()[2])
