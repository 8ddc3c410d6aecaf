"""`diagnose` on code that was not written for nnreg, and its text where no known bug matches."""

import numpy as np
import pytest
import students
from small import Scale
from students import LABELS, B, W, X

import nnreg as nn
from nnreg.testing import KNOWN_BUGS, Diagnosis, diagnose
from nnreg.testing.diagnosis import describe_difference


@pytest.mark.parametrize(
    ("forward", "backward", "arguments", "block", "name"),
    [pytest.param(*pair, id=f"{pair[0].__name__}: {pair[4]}") for pair in students.PAIRS],
)
def test_the_mistake_of_a_pair_of_functions_is_named(forward, backward, arguments, block, name):
    before = [np.array(a) for a in arguments if isinstance(a, np.ndarray)]
    diagnosis = diagnose(forward, backward, *arguments)
    assert diagnosis.known_bug is KNOWN_BUGS[name], diagnosis
    assert diagnosis.block == block
    assert diagnosis.right == nn.check_gradients(forward, backward, *arguments).passed
    after = [a for a in arguments if isinstance(a, np.ndarray)]
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize(
    ("function", "arguments", "name"), [pytest.param(*f, id=f[2]) for f in students.FUNCTIONS]
)
def test_the_mistake_of_a_function_with_value_and_gradient_is_named(function, arguments, name):
    assert diagnose(function, *arguments).known_bug is KNOWN_BUGS[name]


@pytest.mark.parametrize(
    "call",
    [
        (students.affine_forward, students.affine_backward, X, W, B),
        (students.relu_forward, lambda dout, x: dout * (x > 0), X),
        (students.relu_forward, lambda dout, x: dout * (x > 0), np.maximum(X, 0)),
        (students.tanh_forward, lambda dout, y: dout * (1 - y**2), X),
        (
            students.dropout_forward,
            lambda dout, cache: dout * cache[1],
            X,
            {"p": 0.5, "seed": 1},
        ),
        (lambda x: 3 * x, lambda dout: 3 * dout, X),
        (lambda x: 3 * x, lambda dout: 3 * dout, np.array(2.0)),
        (
            lambda p, x: p["a"] * x,
            lambda dout: ({"a": (dout * X).sum()}, 2 * dout),
            {"a": np.array(2.0)},
            X,
        ),
        (
            students.linear_forward,
            students.linear_backward(lambda da, dw, db, m: (da, dw, db)),
            X.T,
            W.T,
            B[:, None],
        ),
        (lambda z, t: (((z - t) ** 4).sum(), 4 * (z - t) ** 3), X, np.ones((5, 1))),
        (students.softmax_loss(lambda p, y, N: students.minus_one(p, y) / N), X, LABELS),
        (lambda w: ((w**2).sum(), 2 * w), W),
    ],
)
def test_a_right_function_is_called_right(call):
    assert diagnose(*call).right


def test_what_rounding_leaves_of_a_zero_gradient_is_not_blamed():
    loss = nn.SoftmaxCrossEntropy(label_smoothing=0.11710059892606098)
    assert diagnose(loss, np.ones((1, 1)), np.zeros(1, dtype=int)).right


@pytest.mark.parametrize("near", [0.0, 1e-9, -1e-5, 1e-3])
def test_a_value_near_a_kink_is_not_blamed_on_the_gradient(near):
    x = X.copy()
    x[2, 1] = near
    assert diagnose(nn.ReLU(), x).right
    assert diagnose(students.relu_forward, lambda dout, x: dout * (x > 0), x).right


class Linear:
    """The commonest form of homework: an object with state."""

    def __init__(self):
        self.W = np.random.default_rng(0).standard_normal((4, 3))
        self.b = np.zeros((1, 3))

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout / len(dout)
        self.db = dout.sum(axis=0, keepdims=True)
        return dout @ self.W.T


def test_an_object_with_state_is_diagnosed_and_left_as_it_was():
    layer = Linear()
    before = dict(vars(layer))
    diagnosis = diagnose(
        layer.forward,
        layer.backward,
        X,
        parameters={"W": layer.W, "b": layer.b},
        gradients=lambda: {"W": layer.dW, "b": layer.db},
    )
    assert str(diagnosis).startswith("Linear.forward: dW is divided by N once more.")
    assert diagnosis.others == ()
    assert vars(layer) == before


def test_damaged_arguments_are_found():
    def forward(x):
        y = np.tanh(x)
        x *= 0
        return y, y

    diagnosis = diagnose(forward, lambda dout, y: dout * (1 - y**2), X.copy())
    assert diagnosis.known_bug is KNOWN_BUGS["layer: x damaged"]
    assert str(diagnosis).startswith(
        "forward: The gradient is right at the points that were tried, but: forward changes its"
    )

    def backward(dout, cache):
        answers = students.affine_backward(dout, cache)
        cache[1][...] = 0
        return answers

    assert diagnose(students.affine_forward, backward, X, W, B).known_bug is not None


def test_arguments_in_lists_and_dictionaries_are_watched_too():
    def forward(x, parameters):
        parameters["scales"][0] += 1
        return x * parameters["w"], parameters["w"].copy()

    call = {"w": np.array(2.0), "scales": [1.0], "more": [np.ones(2)]}
    assert diagnose(forward, lambda dout, w: {"x": dout * w}, X, call).right


# --- The text -------------------------------------------------------------------------------------


def test_a_diagnosis_prints_the_sentence_and_the_hint():
    wrong = students.affine(lambda x, w, d, dx, dw, db: (dx, dw.T, db))
    text = str(diagnose(students.affine_forward, wrong, X, W, B))
    assert text.splitlines() == [
        "affine_forward: dw is the transpose of the right one.",
        f"  Hint: {KNOWN_BUGS['dense: dw transposed'].hint}",
    ]
    assert repr(Diagnosis("f", "is right", right=True)) == "f: is right"


def test_every_wrong_gradient_is_told():
    wrong = students.affine(lambda x, w, d, dx, dw, db: (-dx, dw.T, d))
    diagnosis = diagnose(students.affine_forward, wrong, X, W, B)
    blocks = [diagnosis.block, *(other.block for other in diagnosis.others)]
    assert blocks == ["x", "w", "b"]
    assert str(diagnosis).count("Hint:") == 3


def test_a_layer_with_parameters_of_its_own_is_told_by_their_names():
    class LastRow(Scale):
        def gradient(self, dy, cache, gradients):
            gradients["factor"][...] = (dy * cache.x)[-1]

    assert diagnose(LastRow(), X).sentence == (
        "dfactor comes from the last row of the batch alone."
    )


def test_where_no_mistake_matches_the_pattern_of_the_ratios_is_told():
    class Odd(nn.Tanh):
        def backward(self, dy, cache):
            return 1.37 * super().backward(dy, cache)

    diagnosis = diagnose(Odd(), X)
    assert diagnosis.known_bug is None
    assert not diagnosis.right
    assert diagnosis.sentence == (
        "The gradient with respect to inputs is wrong, and no known bug matches: "
        "every entry is 1.37 times the right one."
    )
    assert "0.5 times the right one" in diagnose(lambda x: (x**2, x), 3.0).sentence


def test_a_gradient_of_another_shape_is_told_by_both_shapes():
    diagnosis = diagnose(
        students.dropout_forward, lambda dout, cache: dout[0], X, {"p": 0.5, "seed": 1}
    )
    assert "it has the shape (4,), and should have (5, 4)" in diagnosis.sentence


def test_a_layer_that_raises_is_quoted():
    class Unfinished(nn.Layer):
        def forward(self, x, cache):
            return x * 2

        def backward(self, dy, cache):
            raise NameError("name 'cahce' is not defined")

    assert "backward raises NameError: name 'cahce'" in str(diagnose(Unfinished(), X))


def test_a_broken_rule_that_is_no_known_bug_is_described_by_the_contract():
    class Slices(nn.Layer):
        def forward(self, x, cache):
            return x * 1.0

        def backward(self, dy, cache):
            return dy[:]

    diagnosis = diagnose(Slices(), X)
    assert diagnosis.known_bug is None
    assert "shares memory" in diagnosis.sentence


def test_a_layer_that_is_not_complex_safe_is_measured_by_differences():
    class RealBuffer(nn.Layer):
        def forward(self, x, cache):
            y = np.empty(x.shape)
            y[...] = 3 * x
            return y

        def backward(self, dy, cache):
            return -3 * dy

    assert diagnose(RealBuffer(), X).known_bug is KNOWN_BUGS["layer: sign"]


def test_a_bound_layer_is_diagnosed_at_its_own_values_and_not_changed():
    net = nn.Network([nn.Dense(3), nn.Tanh()], inputs=4, dtype="float64")
    before = net.parameters.vector.copy()
    assert diagnose(net.layers[0], X).right
    np.testing.assert_array_equal(net.parameters.vector, before)


@pytest.mark.parametrize(
    ("found", "right", "words"),
    [
        (np.ones(3), np.ones(2), "it has the shape (3,), and should have (2,)"),
        (np.array([np.nan]), np.ones(1), "it has entries that are not finite numbers"),
        (np.array([1.0, 2.0]), np.array([0.0, 2.0]), "entries that should be zero are not"),
        (np.full((2, 2), 3.0), np.ones((2, 2)), "every entry is 3 times the right one"),
        (
            np.array([[1.0, 1.0], [2.0, 2.0]]),
            np.ones((2, 2)),
            "the factor differs by row: 1, 2",
        ),
        (
            np.tile(np.arange(8.0) + 1, (2, 1)),
            np.ones((2, 8)),
            "the factor differs by column: 1, 2, 3, 4, 5, 6, ...",
        ),
        (
            np.array([[1.0, 2.0], [3.0, 4.0]]),
            np.ones((2, 2)),
            "3 of 4 entries are wrong; they are 2 to 4 times the right ones",
        ),
        (np.array([1.0, 5.0, 1.0]), np.ones(3), "1 of 3 entries is wrong, at [1]"),
        (
            np.array([1.0, 5.0, 2.0]),
            np.ones(3),
            "2 of 3 entries are wrong; they are 2 to 5 times the right ones",
        ),
    ],
)
def test_a_wrong_gradient_is_described_by_its_ratios(found, right, words):
    assert describe_difference(found, right) == words


# --- Networks -------------------------------------------------------------------------------------


def net_of(*layers, kind=nn.Network, penalty=None):
    net = kind(list(layers), inputs=4, penalty=penalty, dtype="float64")
    net.parameters.biases[:] = 0.5
    return net


def test_in_a_network_the_wrong_layer_loss_or_penalty_is_named():
    class NoMask(nn.ReLU):
        def backward(self, dy, cache):
            return dy * 1.0

    class Summed(nn.MeanSquaredError):
        def compute(self, *arguments, **options):
            value, gradient = super().compute(*arguments, **options)
            return value, -gradient

    class Doubled(nn.L2):
        def gradient(self, w, out):
            out[...] = 2 * self.strength * w

    y, mse = np.ones((5, 3)), nn.MeanSquaredError()
    layer = diagnose(net_of(nn.Dense(6), NoMask(), nn.Dense(3)), X, y, mse)
    assert layer.known_bug is KNOWN_BUGS["ReLU: no mask"]
    assert str(layer).startswith("nomask_1, NoMask: ")
    loss = diagnose(net_of(nn.Dense(3)), X, y, Summed())
    assert (loss.subject, loss.known_bug) == ("the loss, Summed", KNOWN_BUGS["loss: sign"])
    penalty = diagnose(net_of(nn.Dense(3), penalty=Doubled(0.1)), X, y, mse)
    assert penalty.known_bug is KNOWN_BUGS["L2: 2λ"]
    assert penalty.subject == "the penalty, Doubled"


def test_a_network_that_joins_right_parts_wrongly_is_told():
    class Skips(nn.Network):
        def run_backward(self, dy, cache, *, inputs=False):
            return 2 * super().run_backward(2 * dy, cache, inputs=inputs)

    class HalfOfIt(nn.Network):
        def add_penalty_gradient(self, gradients, part=None, work=None):
            gradients.weights[0] += 1

    y, mse = np.ones((5, 3)), nn.MeanSquaredError()
    for kind, penalty in ((Skips, None), (HalfOfIt, nn.L2(0.1))):
        diagnosis = diagnose(net_of(nn.Dense(3), kind=kind, penalty=penalty), X, y, mse)
        assert diagnosis.known_bug is None
        assert "their combination in the network is wrong" in diagnosis.sentence


# --- Argument validation --------------------------------------------------------------------------


def test_bad_calls_say_what_is_wanted():
    with pytest.raises(TypeError, match="subject must be a Network, Layer, Loss, Penalty"):
        diagnose("layer", X)
    with pytest.raises(TypeError, match="subject must be"):
        diagnose(nn.ReLU, X)
    with pytest.raises(ValueError, match="at most 2000 entries"):
        diagnose(lambda x: x, lambda dout: -dout, np.ones((50, 50)))
    with pytest.raises(ValueError, match="targets"):
        diagnose(nn.SoftmaxCrossEntropy(), X, LABELS[:3])


def test_a_rectifier_whose_inputs_are_all_zero_is_right():
    net = nn.Network([nn.ReLU(), nn.ReLU()], inputs=3, dtype="float64")
    assert diagnose(net, -np.ones((1, 3)), np.ones((1, 3)), nn.MeanSquaredError()).right
