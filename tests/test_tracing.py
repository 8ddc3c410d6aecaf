"""The trace: one step with the network's shapes and numbers; the network does not change."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import ndtr
from small import Scale, problem

import nnreg as nn
from nnreg.tracing import formulas

LABELS = np.array([2, 0, 1, 1, 2])
X = np.random.default_rng(3).standard_normal((5, 4))


class Cube(nn.Layer):
    """y = x³."""

    factor = 3

    def forward(self, x, cache):
        cache.x = x
        return x**3

    def backward(self, dy, cache):
        return self.factor * dy * cache.x**2


class WrongCube(Cube):
    factor = 2


class Leaky(nn.ReLU):
    def forward(self, x, cache):
        return super().forward(x, cache)


class QuarticPenalty(nn.Penalty):
    def value(self, w):
        return (w**4).sum()

    def gradient(self, w, out):
        out[...] = 4 * w**3


class QuarticLoss(nn.Loss):
    """mean of r⁴."""

    def __call__(self, outputs, targets):
        r = outputs - targets
        return (r**4).mean(), 4 * r**3 / r.size


def network(*middle, dtype="float64", penalty=None, inputs=4, **options):
    middle = middle or (nn.ReLU(), nn.Dropout(keep_prob=0.5))
    return nn.Network(
        [nn.Dense(6), *middle, nn.Dense(3)],
        inputs=inputs,
        penalty=penalty,
        dtype=dtype,
        seed=1,
        **options,
    )


def explained(net=None, x=X, y=LABELS, loss=None, **options):
    return nn.explain(
        network() if net is None else net, x, y, loss or nn.SoftmaxCrossEntropy(), **options
    )


# --- The numbers are the engine's own -------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_those_of_the_taught_loop_to_the_bit(dtype):
    net = network(dtype=dtype, penalty=nn.L2(0.3))
    trace = explained(net)
    outputs, cache = net.forward(X, training=True)
    value, doutputs = nn.SoftmaxCrossEntropy()(outputs, LABELS)
    gradients = net.backward(doutputs, cache)
    assert trace.data_loss == value
    assert trace.total == trace.data_loss + net.penalty_value()
    np.testing.assert_array_equal(trace["forward", "loss"].arrays["z"], outputs)
    np.testing.assert_array_equal(trace["backward", "loss"].arrays["dz"], doutputs)
    for layer in ("dense_1", "dense_2"):
        down = trace["backward", layer].arrays
        np.testing.assert_array_equal(down["dw"], gradients[f"{layer}.weight"])
        np.testing.assert_array_equal(down["db"], gradients[f"{layer}.bias"])


def test_what_a_layer_returns_is_what_the_next_one_gets():
    trace = explained()
    up = [trace["forward", name].arrays for name in trace.layers]
    down = [trace["backward", name].arrays for name in trace.layers]
    for below, above in pairwise(up):
        np.testing.assert_array_equal(below["y"], above["x"])
    for below, above in pairwise(down):
        np.testing.assert_array_equal(below["dy"], above["dx"])


# What each formula says, in NumPy: (x, y, dy) -> the array on its left.
MEANING = {
    "y = max(x, 0)": lambda x, y, dy: np.maximum(x, 0),
    "dx = dy·[x > 0]": lambda x, y, dy: dy * (x > 0),
    "y = x where x > 0, else 0.01·x": lambda x, y, dy: np.where(x > 0, x, 0.01 * x),
    "dx = dy where x > 0, else 0.01·dy": lambda x, y, dy: np.where(x > 0, dy, 0.01 * dy),
    "y = x where x > 0, else 2·(eˣ - 1)": lambda x, y, dy: np.where(x > 0, x, 2 * np.expm1(x)),
    "dx = dy where x > 0, else dy·2·eˣ": lambda x, y, dy: np.where(x > 0, dy, dy * 2 * np.exp(x)),
    "y = tanh(x)": lambda x, y, dy: np.tanh(x),
    "dx = dy·(1 - y²)": lambda x, y, dy: dy * (1 - y**2),
    "y = 1/(1 + e⁻ˣ)": lambda x, y, dy: 1 / (1 + np.exp(-x)),
    "dx = dy·y(1 - y)": lambda x, y, dy: dy * y * (1 - y),
    "y = log(1 + eˣ)": lambda x, y, dy: np.log(1 + np.exp(x)),
    "dx = dy·(1 - e⁻ʸ)": lambda x, y, dy: dy * (1 - np.exp(-y)),
    "y = x·Φ(x)": lambda x, y, dy: x * ndtr(x),
    "dx = dy·(Φ(x) + x·φ(x))": lambda x, y, dy: (
        dy * (ndtr(x) + x * np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5)
    ),
}


ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, lambda: nn.ELU(2.0), nn.GELU, nn.Tanh, nn.Sigmoid]
ACTIVATIONS += [nn.Softplus]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda make: repr(make()))
def test_an_activations_formulas_say_what_was_computed(activation):
    layer = activation()
    trace = explained(network(layer))
    name = trace.layers[1]
    up, down = trace["forward", name], trace["backward", name]
    [forward], [backward] = up.formulas, down.formulas
    x, y, dy, dx = up.arrays["x"], up.arrays["y"], down.arrays["dy"], down.arrays["dx"]
    np.testing.assert_allclose(MEANING[forward.text](x, y, dy), y, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(MEANING[backward.text](x, y, dy), dx, rtol=1e-12, atol=1e-14)
    assert forward.shapes == backward.shapes == "(5, 6) -> (5, 6)"


def test_every_layer_and_loss_that_ships_has_formulas_of_its_own():
    for kind in vars(nn).values():
        if isinstance(kind, type) and issubclass(kind, nn.Layer) and kind is not nn.Layer:
            layer = kind(2) if kind is nn.Dense else kind()
            view = {"weight": np.ones((3, 2)), "bias": np.ones(2)} if kind is nn.Dense else {}
            assert ".forward(" not in formulas.forward_of(layer, (4, 3), (4, 2), view).text
            assert ".backward(" not in formulas.backward_of(layer, (4, 3), (4, 2), view).text
        if isinstance(kind, type) and issubclass(kind, nn.Loss) and kind is not nn.Loss:
            assert "Σₙ" in formulas.loss_formulas(kind(), (4, 2), (4, 2))[0].text


def test_the_affine_formulas_have_the_networks_shapes_and_hold():
    trace = explained()
    up, down = trace["forward", "dense_2"], trace["backward", "dense_2"]
    a = up.arrays | down.arrays
    assert [*map(str, up.formulas + down.formulas)] == [
        "y = x w + b: (5, 6) (6, 3) + (3,) -> (5, 3)",
        "dw = xᵀ dy: (6, 5) (5, 3) -> (6, 3)",
        "db = Σₙ dyₙ: (5, 3) -> (3,)",
        "dx = dy wᵀ: (5, 3) (3, 6) -> (5, 6)",
    ]
    np.testing.assert_allclose(a["y"], a["x"] @ a["w"] + a["b"])
    np.testing.assert_allclose(a["dw"], a["x"].T @ a["dy"])
    np.testing.assert_allclose(a["db"], a["dy"].sum(axis=0))
    np.testing.assert_allclose(a["dx"], a["dy"] @ a["w"].T)


LOSSES = {
    "dz = (softmax(z) - t)/N": (
        nn.SoftmaxCrossEntropy(),
        LABELS,
        lambda z, t: (nn.softmax(z) - np.eye(3)[t]) / 5,
    ),
    "dz = (σ(z) - t)/N": (
        nn.SigmoidCrossEntropy(),
        np.eye(3)[LABELS],
        lambda z, t: (nn.sigmoid(z) - t) / 5,
    ),
    "dz = 2(z - t)/(N·M)": (
        nn.MeanSquaredError(),
        np.ones((5, 3)),
        lambda z, t: 2 * (z - t) / 15,
    ),
    "dz = c/(N·M)": (
        nn.Huber(0.5),
        np.ones((5, 3)),
        lambda z, t: np.clip(z - t, -0.5, 0.5) / 15,
    ),
    "dz = c/(N·M), c by the sign of z - t": (
        nn.Quantile(0.75),
        np.ones((5, 3)),
        lambda z, t: np.where(z > t, 0.25, -0.75) / 15,
    ),
    "dz = (e^z - t)/N": (nn.Poisson(), np.ones((5, 3)), lambda z, t: (np.exp(z) - t) / 5),
}


@pytest.mark.parametrize("formula", LOSSES)
def test_a_losss_formula_says_what_was_computed(formula):
    loss, y, meaning = LOSSES[formula]
    down = explained(y=y, loss=loss)["backward", "loss"]
    assert down.formulas[0].text == formula
    z = explained(y=y, loss=loss)["forward", "loss"].arrays["z"]
    np.testing.assert_allclose(down.arrays["dz"], meaning(z, y), rtol=1e-12, atol=1e-15)


# --- Notes and other output -----------------------------------------------------------------------


def test_the_stages_go_up_and_come_down():
    trace = explained()
    layers = ["dense_1", "relu_1", "dropout_1", "dense_2"]
    assert [stage.name for stage in trace.stages] == [
        *(*layers, "loss", "penalty"),
        *("loss", *reversed(layers), "penalty"),
    ]
    assert [stage.part for stage in trace.stages] == ["forward"] * 6 + ["backward"] * 6
    assert trace["forward", "penalty"].subject == "no penalty"
    assert trace.total == trace.data_loss


def test_dropout_names_the_units_that_it_removed():
    stage = explained(step=3)["forward", "dropout_1"]
    net = network()
    _, cache = net.forward(X, training=True, step=3)
    mask = cache["dropout_1"].mask
    np.testing.assert_array_equal(stage.arrays["m"], mask)
    assert stage.notes[0].startswith(f"{(mask == 0).sum()} of 30 units removed, m = 0")
    assert stage.notes[0].endswith("for kept units, m = 2.")
    gone = ", ".join(str(unit) for unit in range(6) if mask[1, unit] == 0)
    assert stage.notes[2] == f"Removed in row 1: {gone}."


def test_without_step_the_masks_are_those_of_the_step_that_comes_next():
    net = network()
    net.steps = 7
    trace = explained(net)
    assert trace.step == 7
    _, cache = net.forward(X, training=True)
    np.testing.assert_array_equal(
        trace["forward", "dropout_1"].arrays["m"], cache["dropout_1"].mask
    )


def test_factors_that_remove_nothing_are_told_by_mean_and_deviation():
    stage = explained(network(nn.GaussianDropout(keep_prob=0.5)))["forward", "gaussiandropout_1"]
    m = stage.arrays["m"]
    np.testing.assert_allclose(stage.arrays["y"], stage.arrays["x"] * m)
    assert stage.formulas[0].text == "y = x·m"
    assert stage.notes == [
        f"No unit removed; the factors m have mean {m.mean():.3g} and standard deviation "
        f"{m.std():.3g}."
    ]


def test_a_dropout_of_ones_own_is_told_by_the_mask_that_it_leaves():
    class Own(nn.Layer):
        stochastic = True

        def forward(self, x, cache):
            cache.mask = np.zeros(x.shape, bool)
            cache.mask[:, ::2] = True
            return x * cache.mask

        def backward(self, dy, cache):
            return dy * cache.mask

    stage = explained(network(Own()))["forward", "own_1"]
    assert stage.notes[:2] == [
        "15 of 30 units removed, m = 0 (50.0 %); for kept units, m = 1.",
        "Removed in row 0: 1, 3, 5.",
    ]


def test_dead_units_are_named_once_and_many_are_an_alarm():
    net = network(nn.ReLU(), nn.ReLU())
    net.parameters["dense_1.bias"][...] = [-99, 0, 0, 0, -99, 0]
    trace = explained(net)
    assert "2 of 6 units dead in this batch, 0 in all 5 rows: 0, 4." in (
        trace["forward", "relu_1"].notes
    )
    assert trace["forward", "relu_2"].notes == []
    net.parameters["dense_1.bias"][...] = -99
    trace = explained(net)
    assert trace.alarms == [
        "relu_1, forward: 6 of 6 units dead in this batch, 0 in all 5 rows: 0, 1, 2, 3, 4, 5.",
        "relu_2, backward: The derivative is 0 here and in all earlier layers: they do not learn.",
    ]


def test_a_single_row_shows_no_dead_units():
    net = network(nn.ReLU())
    net.parameters["dense_1.bias"][...] = -99
    assert explained(net, X[:1], LABELS[:1])["forward", "relu_1"].alarms == []


def sigmoids(scale):
    layers = [layer for _ in range(6) for layer in (nn.Dense(4), nn.Sigmoid())]
    net = nn.Network([*layers, nn.Dense(3)], inputs=4, seed=0, dtype="float64")
    net.parameters.weights[:] *= scale
    return net


def steep():
    net = network(nn.Dense(6), nn.Dense(6))
    net.parameters.weights[:] *= 40
    return net


@pytest.mark.parametrize(
    ("net", "word", "sign"), [(sigmoids(0.5), "vanishes", 1), (steep(), "explodes", -1)]
)
def test_an_alarm_is_raised_where_a_gradient_crosses_the_bound(net, word, sign):
    trace = explained(net)
    [stage] = [stage for stage in trace.stages if any(word in alarm for alarm in stage.alarms)]
    norms = [np.linalg.norm(stage.arrays[name]) for name in ("dx", "dy")]
    top = np.linalg.norm(trace["backward", "loss"].arrays["dz"])
    below, above = np.sign(norms / top - 1000.0**-sign) * sign
    assert below < 0 <= above


def test_ordinary_gradients_raise_no_alarm():
    assert explained().alarms == []


def test_a_perfect_fit_has_no_ratios():
    net = nn.Network([nn.Dense(1), nn.Dense(1)], inputs=2)
    net.parameters.vector[:] = 0
    trace = nn.explain(net, np.ones((2, 2)), np.zeros((2, 1)), nn.MeanSquaredError())
    assert trace.alarms == []
    assert "The derivative of the loss is 0." in trace["backward", "loss"].notes
    assert "nan" not in str(trace)


def test_below_the_first_parameters_dx_is_not_computed():
    net = nn.Network([nn.Dropout(keep_prob=0.5), nn.Dense(3), nn.ReLU()], inputs=4)
    trace = explained(net)
    assert "dx" not in trace["backward", "dense_1"].arrays
    assert trace["backward", "dense_1"].notes == [
        "dx is not computed: no earlier layer has parameters."
    ]
    assert trace["backward", "dropout_1"].arrays == {}
    assert "Not computed" in trace["backward", "dropout_1"].notes[0]


# --- The penalty ----------------------------------------------------------------------------------


def test_the_penalty_costs_and_pulls_at_weights_and_skips_biases():
    net = nn.Network(
        [nn.Dense(6), nn.Dense(5, penalty=None), nn.Dense(3, penalty=nn.L1(0.2))],
        inputs=4,
        penalty=nn.L2(0.3),
        dtype="float64",
    )
    trace = explained(net)
    w1, w3 = net.parameters["dense_1.weight"], net.parameters["dense_3.weight"]
    assert trace.penalty == pytest.approx(0.15 * (w1**2).sum() + 0.2 * abs(w3).sum())
    up, down = trace["forward", "penalty"], trace["backward", "penalty"]
    assert [f.text for f in up.formulas[:2]] == ["R = strength/2 · Σ w²", "R = strength · Σ |w|"]
    assert [f.text for f in down.formulas] == ["dw += strength · w", "dw += strength · sign(w)"]
    np.testing.assert_allclose(down.arrays["∂R/∂dense_1.weight"], 0.3 * w1)
    np.testing.assert_allclose(down.arrays["∂R/∂dense_3.weight"], 0.2 * np.sign(w3))
    assert len(down.arrays) == 2
    for stage in (up, down):
        assert stage.notes[-2:] == [
            "Skipped, since only weights are penalized: dense_1.bias, dense_2.bias, dense_3.bias.",
            "Weights without a penalty: dense_2.weight.",
        ]


CASES = {
    "no bias": (
        lambda: explained(nn.Network([nn.Dense(3, bias=False)], inputs=4)),
        {
            ("forward", "dense_1"): ["y = x w: (5, 4) (4, 3) -> (5, 3)"],
            ("backward", "dense_1"): ["dw = xᵀ dy: (4, 5) (5, 3) -> (4, 3)"],
        },
    ),
    "smoothed labels": (
        lambda: explained(loss=nn.SoftmaxCrossEntropy(label_smoothing=0.2)),
        {("forward", "loss"): ["t = 0.8·[label] + 0.2/K"]},
    ),
    "a dropout that keeps all": (
        lambda: explained(network(nn.Dropout())),
        {("forward", "dropout_1"): ["y = x: ", "Random in training mode; no unit was re"]},
    ),
    "a proximal penalty": (
        lambda: explained(network(penalty=nn.L1(0.1, method="proximal"))),
        {("backward", "penalty"): ["its proximal map is applied"]},
    ),
    "a constraint": (
        lambda: explained(network(constraint=nn.MaxNorm(0.5))),
        {
            ("backward", "penalty"): [
                f"dense_{n}.weight: MaxNorm(limit=0.5) limits the weights after the optimizer's"
                for n in (1, 2)
            ]
        },
    ),
    "a penalty of one's own": (
        lambda: explained(network(penalty=QuarticPenalty())),
        {
            ("forward", "penalty"): ["R = QuarticPenalty.value(w)"],
            ("backward", "penalty"): ["dw += QuarticPenalty.gradient(w)"],
        },
    ),
    "a loss of one's own": (
        lambda: explained(y=np.ones((5, 3)), loss=QuarticLoss()),
        {("forward", "loss"): ["L = QuarticLoss(z, t): ", "mean of r⁴."]},
    ),
    "a layer of one's own": (
        lambda: explained(network(Cube())),
        {("forward", "cube_1"): ["y = Cube.forward(x): (5, 6) -> (5, 6)", "y = x³."]},
    ),
    "a layer of one's own with parameters": (
        lambda: explained(network(Scale())),
        {
            ("forward", "scale_1"): ["y = Scale.forward(x): (5, 6) with factor (6,) -> (5, 6)"],
            ("backward", "scale_1"): [
                "dfactor = Scale.gradient(dy): (5, 6) -> (6,)",
                "dx = Scale.backward(dy): (5, 6) -> (5, 6)",
            ],
        },
    ),
    "a subclass that computes otherwise": (
        lambda: explained(network(Leaky())),
        {
            ("forward", "leaky_1"): ["y = Leaky.forward(x)"],
            ("backward", "leaky_1"): ["dx = dy·[x > 0]"],
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stage_says_what_is_computed(case):
    make, stages = CASES[case]
    trace = make()
    assert trace.passed
    for key, parts in stages.items():
        lines = [*map(str, trace[key].formulas), *trace[key].notes]
        assert all(any(part in line for line in lines) for part in parts), lines


def test_a_proximal_penalty_adds_nothing_to_the_gradient():
    down = CASES["a proximal penalty"][0]()["backward", "penalty"]
    assert (down.arrays, down.check) == ({}, None)


# --- Layers and losses of one's own, and the check ------------------------------------------------


def test_every_derivative_is_checked():
    trace = explained(network(Cube(), nn.Dropout(keep_prob=0.5), penalty=nn.L2(0.1)))
    down = [stage for stage in trace.stages if stage.part == "backward"]
    assert all(stage.check.passed for stage in down)
    assert trace.passed is True
    assert "✓ all correct" in str(trace)


def test_a_wrong_layer_is_found_in_its_place():
    trace = explained(network(nn.Tanh(), WrongCube(), nn.Dropout(keep_prob=0.5)))
    wrong = [stage.name for stage in trace.stages if stage.check and not stage.check.passed]
    assert wrong == ["wrongcube_1"]
    assert not trace.report.passed
    assert trace.passed is False
    assert "✗ wrong: wrongcube_1" in str(trace)
    assert "(ratio 0.666667)" in " ".join(str(trace).split())


def test_the_check_sees_the_masks_of_the_step_that_is_told(monkeypatch):
    seen = []
    check = nn.gradcheck.check_gradients
    monkeypatch.setattr(
        "nnreg.tracing.trace.check_gradients",
        lambda subject, *rest: seen.append(subject) or check(subject, *rest),
    )
    explained(step=5)
    assert seen[0].steps == 5


def test_the_check_can_be_left_out():
    trace = explained(network(WrongCube()), check=False)
    assert trace.report is None
    assert trace.passed is None
    assert "not checked" in str(trace)


def test_values_that_overflow_are_told_where_they_first_appear():
    net = network(Cube(), Cube(), dtype="float32")
    net.parameters["dense_1.weight"][...] *= 1e6
    trace = explained(net)
    assert [alarm.partition(":")[0] for alarm in trace.alarms if "Not finite" in alarm] == [
        "cube_2, forward"
    ]
    assert not trace.finite
    assert trace.report is None
    assert "some values overflow" in str(trace)


# --- What is left alone ---------------------------------------------------------------------------


class Noise(nn.Layer):
    """Draws from two generators, and remembers that it was here."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.visits = []

    def forward(self, x, cache):
        self.visits.append(len(x))
        return x + self.rng.normal() + np.random.normal()

    def backward(self, dy, cache):
        return dy


class Remembering(nn.MeanSquaredError):
    def __init__(self):
        self.calls = [0]

    def compute(self, *arguments):
        self.calls[0] += 1
        return super().compute(*arguments)


def test_the_network_the_loss_and_every_generator_stay_as_they_were():
    net = network(Noise(), nn.Dropout(keep_prob=0.5), penalty=nn.L2(0.1))
    noise, loss, x, y = net.layers[1], Remembering(), X.copy(), np.ones((5, 3))
    before = copy.deepcopy([vars(layer) for layer in net.layers])
    vector, state = net.parameters.vector.copy(), noise.rng.bit_generator.state
    nn.explain(net, x, y, loss)
    assert (net.steps, net.epochs) == (0, 0)
    np.testing.assert_array_equal(net.parameters.vector, vector)
    assert noise.rng.bit_generator.state == state
    assert noise.visits == []
    assert loss.calls == [0]
    assert [list(vars(layer)) for layer in net.layers] == [list(kept) for kept in before]
    np.testing.assert_array_equal(x, X)


def test_a_layer_that_damages_its_input_damages_neither_data_nor_trace():
    class InPlace(nn.Layer):
        def forward(self, x, cache):
            x *= 2
            return x

        def backward(self, dy, cache):
            dy *= 2
            return dy

    x = X.copy()
    trace = nn.explain(
        nn.Network([InPlace(), nn.Dense(3)], inputs=4, dtype="float64"),
        x,
        LABELS,
        nn.SoftmaxCrossEntropy(),
    )
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(trace["forward", "inplace_1"].arrays["x"], X)
    np.testing.assert_array_equal(trace["forward", "inplace_1"].arrays["y"], 2 * X)


def test_training_after_it_is_training_without_it():
    x, y = problem()
    nets = [network(inputs=2, penalty=nn.L2(0.1)) for _ in range(2)]
    explained(nets[0], x, y)
    for net in nets:
        nn.fit(net, x, y, loss=nn.SoftmaxCrossEntropy(), optimizer=nn.SGD(0.1), epochs=2)
    np.testing.assert_array_equal(nets[0].parameters.vector, nets[1].parameters.vector)


# --- Bad input ------------------------------------------------------------------------------------

REFUSED = {
    "no network": (TypeError, "net must be a Network", lambda: nn.explain(1, X, LABELS, 2)),
    "no loss": (TypeError, "loss must be a Loss", lambda: nn.explain(network(), X, LABELS, "mse")),
    "width": (ValueError, r"x must have shape \(N, 4\)", lambda: explained(x=X[:, :3])),
    "nan": (ValueError, "x must be finite", lambda: explained(x=X * np.nan)),
    "labels": (ValueError, "from 0 to 2, got 9", lambda: explained(y=LABELS + 7)),
    "rows": (ValueError, "agree in rows", lambda: explained(y=LABELS[:4])),
    "step": (ValueError, "step must be a whole number", lambda: explained(step=-1)),
    "check": (TypeError, "check must be True or False", lambda: explained(check="no")),
    "stage": (KeyError, "there are", lambda: explained(check=False)["forward", "dense_9"]),
    "a layer's shape": (
        ValueError,
        r"dropping_1.forward must return shape \(5, 6\)",
        lambda: explained(network(Dropping())),
    ),
}


class Dropping(nn.Layer):
    def forward(self, x, cache):
        return x[1:]


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    error, words, call = REFUSED[case]
    with pytest.raises(error, match=words):
        call()
