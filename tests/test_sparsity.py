"""Effects of L1 and L2 on weights: exact zeros, small values, and bounds."""

import numpy as np
import pytest
from small import curvature, linear

import nnreg as nn
from nnreg.lab import measure_stationarity
from nnreg.training.step import TrainingStep

SQUARED = nn.MeanSquaredError()


def trained(net, x, y, optimizer, steps, loss=SQUARED):
    """Train on all rows at once, and return the report of stationarity."""
    step = TrainingStep(net, loss, optimizer)
    for _ in range(steps):
        step(x, y, np.arange(len(x)))
    return measure_stationarity(net, x, y, loss=loss)


# --- A thousand inputs, of which a hundred matter -------------------------------------------------


def thousand(rows, low, high, seed=0):
    """Return x, which inputs matter, and the weights of all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 1000))
    matter = np.zeros(1000, bool)
    matter[rng.permutation(1000)[:100]] = True
    weights = matter * rng.choice([-1, 1], 1000) * rng.uniform(low, high, 1000)
    return x, matter, weights, rng


@pytest.mark.slow
def test_of_1000_inputs_proximal_l1_keeps_the_100_that_matter_and_the_subgradient_keeps_all():
    x, matter, weights, rng = thousand(1500, 0.5, 1.5)
    y = (x @ weights + 0.5 * rng.normal(size=1500))[:, np.newaxis]
    rate = 1 / curvature(x)
    net = linear(1000, penalty=nn.L1(0.4, method="proximal"))
    report = trained(net, x, y, nn.SGD(rate), 100)
    np.testing.assert_array_equal(net.parameters.weights != 0, matter)
    assert report.residual < 1e-6
    assert report.duality_gap < 1e-6
    other = linear(1000, penalty=nn.L1(0.4))
    other.parameters.weights[:] = net.parameters.weights + 1e-3 * rng.normal(size=1000)
    assert trained(other, x, y, nn.SGD(rate), 100).residual > 0.1
    assert other.parameters.weights.all()


@pytest.mark.slow
def test_so_it_does_below_a_hidden_layer():
    """The truth is a unit of 100 inputs; of the network's three units one is left, with the 100."""
    x, matter, weights, rng = thousand(4000, 0.8, 1.2)
    y = (2 * np.tanh(x @ weights / 10) + 0.1 * rng.normal(size=4000))[:, np.newaxis]
    for method, steps in (("proximal", 210), ("subgradient", 40)):
        net = nn.Network(
            [nn.Dense(3), nn.Tanh(), nn.Dense(1)],
            inputs=1000,
            penalty=nn.L1(0.14, method=method),
            seed=1,
            dtype="float64",
        )
        report = trained(net, x, y, nn.IPiano(0.1, momentum=0.8), steps)
        alive = net.layers[0].weight.any(axis=1)
        if method == "proximal":
            np.testing.assert_array_equal(alive, matter)
            assert np.count_nonzero(net.layers[0].weight) == 100
            assert report.residual < 1e-6
        else:
            assert net.parameters.weights.all()
            assert report.residual > 0.1


# --- Against scikit-learn -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sklearn_linear():
    return pytest.importorskip("sklearn.linear_model")


def wide(M=1, seed=0):
    """Return a regression with more inputs than rows would settle, correlated in pairs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 30))
    x[:, 1::2] = 0.7 * x[:, ::2] + 0.7 * x[:, 1::2]
    w = rng.normal(size=(30, M)) * (np.arange(30) % 3 == 0)[:, np.newaxis]
    return x, 2.0 + x @ w + 0.5 * rng.normal(size=(60, M))


@pytest.mark.parametrize(("strength", "M"), [(0.05, 2), (0.3, 1), (1.0, 2)])
@pytest.mark.parametrize("kind", ["Lasso", "ElasticNet"])
def test_a_linear_model_has_the_coefficients_and_the_support_of_scikit_learn(
    kind, strength, M, sklearn_linear
):
    """Theirs is half of ours a column, ``½·mean (y - xw - b)² + …``; ours is divided by M too."""
    x, y = wide(M)
    exact = {"tol": 1e-15, "max_iter": 200_000, "random_state": 0}
    alpha = strength * M / 2
    penalty, theirs = {
        "Lasso": (
            nn.L1(strength, method="proximal"),
            lambda: sklearn_linear.Lasso(alpha=alpha, **exact),
        ),
        "ElasticNet": (
            nn.ElasticNet(strength / 2, strength / 2, method="proximal"),
            lambda: sklearn_linear.ElasticNet(alpha=alpha, l1_ratio=0.5, **exact),
        ),
    }[kind]
    net = linear(30, M, penalty=penalty)
    rate = M / (curvature(x) + strength)
    report = trained(net, x, y, nn.IPiano(rate / 5, momentum=0.9), 4000)
    expected = theirs().fit(x, y)
    coefficients = expected.coef_.reshape(M, 30).T
    result = net.parameters["dense_1.weight"]
    np.testing.assert_allclose(result, coefficients, rtol=0, atol=1e-8)
    np.testing.assert_allclose(net.layers[0].bias, expected.intercept_, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(result == 0, coefficients == 0)
    assert report.residual < 1e-9
    assert report.duality_gap < 1e-9
    assert not result.all()


def test_logistic_regression_with_l1_is_scikit_learns(sklearn_linear):
    """It minimizes ``C·Σ loss + Σ|w|``: divided by ``C·N``, a strength of ``1/(C·N)``."""
    pytest.importorskip("sklearn", "1.8")  # before, l1_ratio was not enough to ask for L1
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 12))
    labels = (x[:, :3] @ [2.0, -1.0, 1.0] + rng.normal(size=200) > 0).astype(int)
    theirs = sklearn_linear.LogisticRegression(
        l1_ratio=1.0,
        solver="liblinear",
        C=1 / (0.03 * 200),
        fit_intercept=False,  # it would be penalized
        tol=1e-10,
        max_iter=50_000,
        random_state=0,
    ).fit(x, labels)
    net = linear(12, penalty=nn.L1(0.03, method="proximal"), bias=False)
    y, loss = labels[:, np.newaxis].astype(float), nn.SigmoidCrossEntropy()
    report = trained(net, x, y, nn.SGD(8 / curvature(x)), 1000, loss)
    assert report.residual < 1e-9
    np.testing.assert_allclose(net.parameters.weights, theirs.coef_[0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(net.parameters.weights == 0, abs(theirs.coef_[0]) < 1e-9)
    assert 3 <= np.count_nonzero(net.parameters.weights) < 12


# --- L2, and what limits growth -------------------------------------------------------------------


def test_under_l2_no_weight_is_zero_and_the_stronger_it_is_the_smaller_they_all_are():
    """With uncorrelated inputs each is ``w/(1 + strength/2)``: a share of it, and never zero."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.normal(size=(50, 8)))[0] * 50**0.5
    y = x @ rng.normal(size=(8, 1)) + rng.normal(size=(50, 1))
    free = x.T @ y / 50
    last = abs(free[:, 0])
    for strength in (0.1, 1.0, 10.0, 1000.0):
        net = linear(8, penalty=nn.L2(strength), bias=False)
        trained(net, x, y, nn.SGD(1 / (2 + strength)), 300)
        w = net.parameters.weights
        np.testing.assert_allclose(w, free[:, 0] / (1 + strength / 2), rtol=1e-9)
        assert (abs(w) < last).all()
        assert w.all()
        last = abs(w)


def test_where_l2_takes_a_share_l1_takes_the_same_from_each_and_all_from_the_small():
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 4)))[0] * 50**0.5
    free = np.array([[3.0], [1.0], [0.4], [-0.2]])
    net = linear(4, penalty=nn.L1(1.0, method="proximal"), bias=False)
    trained(net, x, x @ free, nn.SGD(0.5), 50)
    np.testing.assert_allclose(net.parameters.weights, [2.5, 0.5, 0, 0], atol=1e-12)


def separable():
    """Return two classes that a plane tells apart: no finite weights are the best."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5))
    return x, (x[:, :3] @ [2.0, -1.0, 1.0] > 0).astype(float)[:, np.newaxis]


def growth(penalty):
    """Return the sum of the weights' sizes after 100, 1,000 and 5,000 steps from zero."""
    x, y = separable()
    net, sums = linear(5, penalty=penalty), []
    step = TrainingStep(net, nn.SigmoidCrossEntropy(), nn.SGD(0.5))
    for count in range(1, 5001):
        step(x, y, np.arange(100))
        if count in (100, 1000, 5000):
            sums.append(abs(net.parameters.weights).sum())
    return sums


@pytest.mark.slow
def test_l1_does_limit_the_growth_of_weights():
    """Since the total only falls, ``strength·Σ|w|`` never exceeds the loss at zero, log 2."""
    free = growth(None)
    assert free[1] > 2 * free[0]
    assert free[2] > 1.5 * free[1]
    for method in ("proximal", "subgradient"):
        limited = growth(nn.L1(0.01, method=method))
        assert limited[2] == pytest.approx(limited[1], rel=0.03)
        assert max(limited) < min(free[2] / 2, np.log(2) / 0.01)


def test_but_it_holds_a_large_weight_no_harder_than_a_small_one_and_l2_does():
    """The slope of L1 is the strength at any size; that of L2 is the strength times the size."""
    w, l1, l2 = np.array([0.1, 1.0, 100.0]), np.empty(3), np.empty(3)
    nn.L1(0.5).gradient(w, l1)
    nn.L2(0.5).gradient(w, l2)
    assert l1.tolist() == [0.5, 0.5, 0.5]
    assert l2.tolist() == [0.05, 0.5, 50.0]


# --- Strength as a schedule -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "attribute", "optimizer"),
    [
        pytest.param(
            lambda: nn.L1(0.0, method="proximal"), "strength", lambda: nn.SGD(0.1), id="L1"
        ),
        pytest.param(
            lambda: nn.ElasticNet(0.0, 0.0, method="proximal"),
            "l1",
            lambda: nn.IPiano(0.05),
            id="ElasticNet",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: nn.GroupLasso(0.0, groups="inputs", method="proximal"),
            "strength",
            lambda: nn.SGD(0.1),
            id="GroupLasso",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_penalty_towards_the_end_of_training_zeroes_as_much_as_one_from_the_start(
    make, attribute, optimizer
):
    x, y = wide()
    nets, calls = [], []
    for begin in (0, 200):
        penalty = make()
        net = linear(30, penalty=penalty)
        late = nn.HyperparameterScheduler(
            penalty, attribute, lambda step, begin=begin: 0.3 * (step >= begin)
        )
        watch = [late, lambda run: calls.append(np.count_nonzero(run.net.parameters.weights))]
        options = {"loss": SQUARED, "optimizer": optimizer(), "batch_size": 60}
        nn.fit(net, x, y, epochs=1000, callbacks=watch, **options)
        nets.append(net)
    assert calls[1000 + 199] == 30
    assert calls[1000 + 250] < 30
    np.testing.assert_allclose(*(net.parameters.vector for net in nets), atol=1e-6)
    np.testing.assert_array_equal(*(net.parameters.weights == 0 for net in nets))


def test_a_schedule_goes_on_where_training_left_off():
    x, y = wide()
    whole, parted = (linear(30, penalty=nn.L1(0.0, method="proximal")) for _ in range(2))
    for net, parts in ((whole, [60]), (parted, [25, 35])):
        ramp = nn.HyperparameterScheduler(
            net.penalty, "strength", nn.Warmup(40, nn.ConstantSchedule(0.3))
        )
        options = {"loss": SQUARED, "batch_size": 60, "callbacks": [ramp]}
        optimizer = nn.SGD(0.05)
        for epochs in parts:
            nn.fit(net, x, y, optimizer=optimizer, epochs=epochs, **options)
        assert net.penalty.strength == 0.3
    np.testing.assert_array_equal(whole.parameters.vector, parted.parameters.vector)
