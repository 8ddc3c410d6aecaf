"""Stationarity: the residual by its definition, the duality gap, fixed points of optimizers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import Centred, curvature, everything, linear, network, problem
from strategies import SIDES, mixed, values, written

import nnreg as nn
from nnreg.lab import measure_stationarity
from nnreg.training.step import TrainingStep

SQUARED = nn.MeanSquaredError()


@st.composite
def points(draw):
    """Draw weights, some of them and some groups zero, and derivatives of a data loss."""
    shape = draw(st.tuples(SIDES, SIDES))
    w, dw = draw(values(shape)), draw(values(shape))
    w[abs(w) < 1] = 0
    return w, dw


def residual(rule, w, dw):
    return written(rule.residual, w, dw)


# --- The residual ---------------------------------------------------------------------------------


@given(drawn=points())
def test_of_l1_and_the_elastic_net_it_is_the_smallest_of_all_subgradients_and_of_l2_the_one(drawn):
    w, dw = drawn
    np.testing.assert_allclose(residual(nn.L2(0.3), w, dw), dw + 0.3 * w, atol=1e-15)
    signs = np.where(w == 0, np.linspace(-1, 1, 401)[:, np.newaxis, np.newaxis], np.sign(w))
    result = abs(residual(nn.L1(0.7), w, dw))
    np.testing.assert_allclose(result, abs(dw + 0.7 * signs).min(axis=0), atol=0.7 / 400)
    result = abs(residual(nn.ElasticNet(0.7, 0.3), w, dw))
    np.testing.assert_allclose(result, abs(dw + 0.7 * signs + 0.3 * w).min(axis=0), atol=0.7 / 400)


@pytest.mark.parametrize("groups", ["inputs", "units"])
@given(drawn=points())
def test_of_the_group_lasso_it_is_the_smallest_of_all_subgradients(groups, drawn):
    """A group of zeros has every vector of length at most λ; the nearest to -dw is along it."""
    w, dw = drawn
    axis = 1 if groups == "inputs" else 0
    length = np.linalg.norm(w, axis=axis, keepdims=True)
    slope = np.linalg.norm(dw, axis=axis, keepdims=True)
    nearest = -dw * np.minimum(1, 0.7 / np.maximum(slope, 1e-12))
    subgradient = np.where(length > 0, 0.7 * w / np.maximum(length, 1e-12), nearest)
    result = residual(nn.GroupLasso(0.7, groups=groups), w, dw)
    np.testing.assert_allclose(result, dw + subgradient, atol=1e-12)


@given(drawn=points())
def test_under_a_max_norm_it_is_the_smallest_that_the_limit_allows(drawn):
    w, dw = drawn
    nn.MaxNorm(1.5).project(w, w)
    result = residual(nn.MaxNorm(1.5), w, dw)
    edge = np.linalg.norm(w, axis=0) > 1.49999
    multipliers = np.where(edge, np.linspace(0, 10, 2001)[:, np.newaxis], 0)
    all_left = np.linalg.norm(dw + multipliers[:, np.newaxis] * w, axis=1)
    np.testing.assert_allclose(np.linalg.norm(result, axis=0), all_left.min(axis=0), atol=0.01)


def test_a_report_has_a_block_for_each_parameter_and_biases_only_the_data_loss():
    x, y = problem()
    net = network(penalty=nn.L1(0.05, method="proximal"))
    net.parameters["dense_1.weight"][0, :3] = 0
    report = measure_stationarity(net, x, y, loss=nn.SoftmaxCrossEntropy())
    off = net.copy()
    off.layers[2].keep_prob = 1.0
    outputs, cache = off.forward(x, training=True)
    data_loss, doutputs = nn.SoftmaxCrossEntropy()(outputs, y)
    g = off.backward(doutputs, cache)
    assert [block.name for block in report.parameters] == list(net.parameters)
    assert report.data_loss == pytest.approx(data_loss, rel=1e-12)
    assert report.penalty == net.penalty_value()
    assert report.total == report.data_loss + report.penalty
    for block in report.parameters:
        w, slope = net.parameters[block.name], g[block.name]
        assert block.gradient == pytest.approx(abs(slope).max(), rel=1e-10)
        assert (block.size, block.zeros) == (w.size, (w == 0).sum())
        left = residual(nn.L1(0.05), w, slope) if "weight" in block.name else slope
        assert block.residual == pytest.approx(abs(left).max(), rel=1e-10)
    assert report.residual == max(block.residual for block in report.parameters)
    assert report.duality_gap is None


def test_dropout_is_off_and_the_network_is_left_as_it_is(rng):
    net = mixed(penalty=nn.L2(0.1))
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
    before, shown = everything(net), repr(net)
    first, second = (measure_stationarity(net, x, y, loss=SQUARED) for _ in range(2))
    assert first == second
    assert (everything(net), repr(net)) == (before, shown)
    assert first.data_loss == pytest.approx(SQUARED(net.predict(x), y)[0], rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_rows_are_worked_through_in_parts(weighted, monkeypatch, rng):
    x, y = problem()
    weights = rng.uniform(0, 2, len(x)) if weighted else None
    options = {"loss": nn.SoftmaxCrossEntropy(), "sample_weight": weights}
    whole = measure_stationarity(network(), x, y, **options)
    monkeypatch.setattr("nnreg.network.CHUNK_ROWS", 7)
    parts = measure_stationarity(network(), x, y, **options)
    assert parts.data_loss == pytest.approx(whole.data_loss, rel=1e-13)
    for one, other in zip(parts.parameters, whole.parameters, strict=True):
        assert one.residual == pytest.approx(other.residual, rel=1e-10)


def test_rows_that_depend_on_each_other_are_measured_together(rng):
    """The gradient is that of all 1,500 rows at once."""
    net = nn.Network([Centred(), nn.Dense(1)], inputs=2, dtype="float64")
    x, y = rng.normal(size=(1500, 2)) + np.arange(1500)[:, np.newaxis], rng.normal(size=(1500, 1))
    outputs, cache = net.forward(x, training=True)
    data_loss, doutputs = SQUARED(outputs, y)
    gradients = net.backward(doutputs, cache)
    report = measure_stationarity(net, x, y, loss=SQUARED)
    assert report.data_loss == pytest.approx(data_loss)
    for part in report.parameters:
        assert part.residual == pytest.approx(abs(gradients[part.name]).max())


def test_a_report_is_printed_as_a_sentence_and_a_table():
    x, y = problem()
    net = network(penalty=nn.L1(0.05))
    net.constraint = nn.MaxNorm(0.5)
    text = repr(measure_stationarity(net, x, y, loss=nn.SoftmaxCrossEntropy())).splitlines()
    assert text[0].startswith("residual ")
    assert "; constraints exceeded by " in text[0]
    assert text[1].split() == [*("parameter", "values", "zeros", "data", "gradient", "residual")]
    assert [line.split()[0] for line in text[3:]] == list(net.parameters)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"net": None}, "net must be a Network"),
        ({"loss": "mse"}, "loss must be a Loss such as"),
        ({"x": np.zeros((50, 1))}, "x must have shape"),
    ],
)
def test_a_wrong_argument_is_refused(wrong, message):
    right = dict(zip("xy", problem(), strict=True))
    right |= {"net": network(), "loss": nn.SoftmaxCrossEntropy()}
    with pytest.raises((TypeError, ValueError), match=message):
        measure_stationarity(**(right | wrong))


def test_a_constraint_that_does_not_say_what_it_holds_cannot_be_measured():
    class NonNegative(nn.Constraint):
        def project(self, w, out):
            np.maximum(w, 0, out=out)

    x, y = problem()
    net = network()
    net.constraint = NonNegative()
    with pytest.raises(NotImplementedError, match=r"NonNegative does not define residual"):
        measure_stationarity(net, x, y, loss=nn.SoftmaxCrossEntropy())


# --- The duality gap ------------------------------------------------------------------------------


def regression(rng, N=40, D=6, M=1):
    x = 0.3 + rng.normal(size=(N, D))
    w = rng.normal(size=(D, M)) * (rng.uniform(size=(D, M)) < 0.5)
    return x, x @ w + 0.5 * rng.normal(size=(N, M)) + 2.0


PENALTIES = {
    "L1": lambda: nn.L1(0.3, method="proximal"),
    "ElasticNet": lambda: nn.ElasticNet(0.3, 0.2, method="proximal"),
    "ridge": lambda: nn.ElasticNet(0.0, 0.2, method="proximal"),
    "L2": lambda: nn.L2(0.2),
}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("M", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_gap_is_never_less_than_what_is_missing_and_zero_in_the_end(penalty, M, bias, rng):
    x, y = regression(rng, M=M)
    weights = rng.uniform(0, 2, len(x))
    weights[:3] = 0
    net = linear(x.shape[1], y.shape[1], penalty=PENALTIES[penalty](), bias=bias)
    rate = 1 / (2.0 * curvature(x, bias=bias) / M + 0.2)
    totals, gaps = [], []
    step = TrainingStep(net, SQUARED, nn.SGD(rate))
    for count in range(801):
        if count % 20 == 0:
            report = measure_stationarity(net, x, y, loss=SQUARED, sample_weight=weights)
            totals.append(report.total)
            gaps.append(report.duality_gap)
        step(x, y, np.arange(len(x)), weights)
    assert report.residual < 1e-9
    assert report.duality_gap == pytest.approx(0, abs=1e-12)
    assert (np.array(gaps) >= np.array(totals) - totals[-1] - 1e-12).all()
    assert gaps[0] > 0.1


def test_there_is_no_gap_where_no_bound_is_known():
    rng = np.random.default_rng(0)
    x, y = regression(rng)
    for net, loss in [
        (linear(6, penalty=nn.L1(0.1)), nn.Huber()),
        (linear(6, penalty=None), SQUARED),
        (linear(6, penalty=nn.L1(0.0)), SQUARED),
        (linear(6, penalty=nn.GroupLasso(0.1, groups="units")), SQUARED),
        (linear(6, penalty=nn.L1(0.1), constraint=nn.MaxNorm(1.0)), SQUARED),
        (nn.Network([nn.Dense(2), nn.Dense(1)], inputs=6, penalty=nn.L1(0.1)), SQUARED),
        (nn.Network([nn.Dense(1), nn.Tanh()], inputs=6, penalty=nn.L1(0.1)), SQUARED),
    ]:
        assert measure_stationarity(net, x, y, loss=loss).duality_gap is None


# --- Where optimizers come to rest ----------------------------------------------------------------

STRENGTH = 1 / 3
MAKERS = {
    "SGD": lambda rate: nn.SGD(rate),
    "momentum": lambda rate: nn.SGD(rate / 10, momentum=0.9),
    "Nesterov": lambda rate: nn.SGD(rate / 10, momentum=0.9, nesterov=True),
    "IPiano": lambda rate: nn.IPiano(rate / 5, momentum=0.85),
    # An epsilon that is not small bounds the steps where the gradient ends at zero.
    "RMSprop": lambda rate: nn.RMSprop(rate * STRENGTH, epsilon=STRENGTH),
    "Adam": lambda rate: nn.Adam(rate * STRENGTH, beta_2=0.9, epsilon=STRENGTH),
}


def convex(seed=0):
    """Return a regression with ten inputs, of which four matter."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 10))
    return x, x[:, :4] @ [[1.0], [-2.0], [1.5], [0.7]] + 0.3 * rng.normal(size=(60, 1))


def rested(optimizer, penalty, *, constraint=None, steps=450, threshold=None):
    """Train by the loop that is taught, on all rows; ``threshold`` replaces ``step_size``."""
    x, y = convex()
    net = linear(x.shape[1], y.shape[1], penalty=penalty, bias=False, constraint=constraint)
    net.parameters.weights[:] = 0.1
    for _ in range(steps):
        outputs, cache = net.forward(x, training=True)
        gradients = net.backward(SQUARED(outputs, y)[1], cache)
        net.add_penalty_gradient(gradients)
        optimizer.update(net.parameters, gradients)
        net.apply_proximal(optimizer.step_size if threshold is None else threshold)
    return net, measure_stationarity(net, x, y, loss=SQUARED)


@pytest.mark.parametrize(
    "penalty",
    [
        pytest.param(nn.L1(STRENGTH, method="proximal"), id="L1"),
        pytest.param(
            nn.GroupLasso(STRENGTH, groups="inputs", method="proximal"), id="GroupLasso of inputs"
        ),
        pytest.param(
            nn.GroupLasso(STRENGTH, groups="units", method="proximal"),
            id="GroupLasso of units",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            nn.ElasticNet(STRENGTH, 0.2, method="proximal"),
            id="ElasticNet",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.parametrize("name", MAKERS)
def test_every_optimizer_rests_where_the_objective_is_stationary(name, penalty):
    x, _ = convex()
    net, report = rested(MAKERS[name](1 / curvature(x, bias=False)), penalty)
    assert report.residual < 1e-8
    if not (isinstance(penalty, nn.GroupLasso) and penalty.groups == "units"):
        assert (net.parameters.weights != 0).tolist() == [True] * 4 + [False] * 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [nn.RMSprop(0.02), nn.Adam(0.02), nn.AdamW(0.02, weight_decay=0.0)],
    ids=["RMSprop", "Adam", "AdamW without decay"],
)
def test_and_with_its_own_epsilon_where_every_slope_ends_away_from_zero(optimizer):
    _, report = rested(optimizer, nn.L1(STRENGTH, method="proximal"), steps=3000)
    assert report.residual < 1e-8


@pytest.mark.parametrize("penalty", [pytest.param("L2", marks=pytest.mark.slow), "L1"])
@pytest.mark.parametrize("name", MAKERS)
def test_under_a_max_norm_too(name, penalty):
    x, _ = convex()
    rule = {"L2": nn.L2(0.1), "L1": nn.L1(STRENGTH, method="proximal")}[penalty]
    optimizer = MAKERS[name](1 / curvature(x, bias=False))
    net, report = rested(optimizer, rule, constraint=nn.MaxNorm(1.5))
    assert np.linalg.norm(net.parameters.weights) == pytest.approx(1.5)
    assert report.residual < 1e-8
    assert report.violation < 1e-12


def test_with_the_plain_learning_rate_as_threshold_the_penalty_is_missed():
    """Momentum's steps are ten times as long as the threshold, so 0.9 of the penalty is missing."""
    momentum, adam = (
        rested(optimizer, nn.L1(STRENGTH, method="proximal"), threshold=0.01)[1]
        for optimizer in (nn.SGD(0.01, momentum=0.9), nn.Adam(0.01, beta_2=0.9))
    )
    assert momentum.residual == pytest.approx(0.9 * STRENGTH, abs=1e-6)
    assert adam.residual > 0.25
    assert adam.parameters[0].gradient < 0.1  # as without a penalty


def test_a_projection_that_measures_distance_otherwise_than_adam_rests_elsewhere():
    class Euclidean(nn.MaxNorm):
        def proximal(self, w, step, out):
            self.project(w, out)

    x, _ = convex()
    rate = 1 / curvature(x, bias=False)
    _, wrong = rested(MAKERS["Adam"](rate), None, constraint=Euclidean(1.5))
    assert wrong.residual > 0.1


def test_adamw_rests_where_its_decay_is_an_l2_penalty_in_its_own_metric():
    """There, g + λ·sign(w) + decay·rate·w/step_size = 0: no objective has that gradient."""
    x, y = convex()
    optimizer = nn.AdamW(0.01, beta_2=0.9, weight_decay=0.2)
    net, report = rested(optimizer, nn.L1(STRENGTH, method="proximal"), steps=1500)
    w, alive = net.parameters.weights, net.parameters.weights != 0
    g = 2 * x.T @ (x @ w[:, np.newaxis] - y) / len(x)
    left = g[:, 0] + STRENGTH * np.sign(w) + 0.2 * 0.01 * w / optimizer.step_size
    assert abs(left[alive]).max() < 1e-8
    assert report.residual > 0.01


def test_the_subgradient_rests_nowhere():
    net, report = rested(nn.SGD(0.01), nn.L1(STRENGTH))
    assert net.parameters.weights.all()
    assert report.residual > 0.1
