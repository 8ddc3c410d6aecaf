"""The regularization path: the optimum of linear models, as in scikit-learn, and networks."""

import numpy as np
import pytest
from small import everything, linear

import nnreg as nn
from nnreg.lab import NotConvergedError, lambda_max, regularization_path, solve

SQUARED = nn.MeanSquaredError()


def l1(strength):
    return nn.L1(strength, method="proximal")


def deep(inputs, outputs):
    layers = [nn.Dense(4), nn.Tanh(), nn.Dense(outputs)]
    return nn.Network(layers, inputs=inputs, dtype="float64")


@pytest.fixture
def regression(rng):
    """Correlated features, of which five matter."""
    x = rng.normal(size=(80, 12)) @ (np.eye(12) + 0.2 * rng.normal(size=(12, 12)))
    y = x[:, :5] @ rng.normal(size=(5, 1)) + 2.0 + 0.5 * rng.normal(size=(80, 1))
    return x, y


@pytest.fixture
def classes(rng):
    x = rng.normal(size=(90, 6)) + 0.3
    return x, (x @ rng.normal(size=(6, 3)) + 0.5 * rng.normal(size=(90, 3))).argmax(axis=1)


class TestLinearPathIsScikitLearns:
    @pytest.mark.parametrize("share", [1.0, 0.7], ids=["lasso", "elastic net"])
    def test_l1_and_elastic_net(self, share, regression):
        linear_model = pytest.importorskip("sklearn.linear_model")
        x, y = regression
        result = regularization_path(
            linear(12),
            *(x, y),
            loss=SQUARED,
            penalty=lambda s: nn.ElasticNet(share * s, (1 - share) * s, method="proximal"),
            points=12,
        )
        _, expected, _ = linear_model.enet_path(
            *(x - x.mean(axis=0), y[:, 0] - y.mean()),
            l1_ratio=share,
            alphas=result.strengths / 2,
            tol=1e-15,
            max_iter=100_000,
            random_state=0,
        )
        assert abs(result.weights - expected.T).max() < 1e-8
        assert ((result.weights != 0) == (expected.T != 0)).all()

    def test_ridge(self, regression):
        linear_model = pytest.importorskip("sklearn.linear_model")
        x, y = regression
        strengths = [3.0, 0.3, 0.03, 0.0]
        result = regularization_path(
            linear(12), x, y, loss=SQUARED, penalty=nn.L2, strengths=strengths
        )
        for strength, point in zip(strengths, result.points, strict=True):
            expected = linear_model.Ridge(alpha=strength * len(x) / 2, solver="cholesky").fit(x, y)
            assert abs(point.parameters[:-1] - expected.coef_.ravel()).max() < 1e-8
            assert abs(point.parameters[-1] - expected.intercept_.item()) < 1e-8

    def test_logistic_regression(self, classes):
        linear_model = pytest.importorskip("sklearn.linear_model")
        x, y = classes
        y = y > 0
        net = linear(6)
        net.penalty = l1(0.02)
        solve(net, x, y[:, None].astype(float), loss=nn.SigmoidCrossEntropy())
        expected = linear_model.LogisticRegression(
            C=1 / (0.02 * len(x)),
            l1_ratio=1,
            solver="saga",
            tol=1e-10,
            max_iter=100_000,
            random_state=0,
        ).fit(x, y)
        assert abs(net.parameters.weights - expected.coef_.ravel()).max() < 1e-5
        assert ((net.parameters.weights != 0) == (expected.coef_.ravel() != 0)).all()


class TestZeroStrength:
    def test_for_squared_error_it_is_the_closed_form(self, regression):
        x, y = regression
        expected = abs(x.T @ (y - y.mean())).max() * 2 / len(x)
        assert lambda_max(linear(12), x, y, loss=SQUARED) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("balanced", [False, True])
    def test_for_softmax_it_is_that_of_the_class_frequencies(self, classes, balanced):
        """Where classes are balanced, the biases have no slopes."""
        x, y = classes
        onehot = np.eye(3)[np.arange(90) % 3 if balanced else y]
        expected = abs(x.T @ (onehot - onehot.mean(axis=0))).max() / len(x)
        result = lambda_max(linear(6, 3), x, onehot.argmax(axis=1), loss=nn.SoftmaxCrossEntropy())
        assert result == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_at_it_all_weights_are_zero_and_a_little_below_they_are_not(self, classes, dtype):
        x, y = classes
        loss = nn.SoftmaxCrossEntropy()
        top = lambda_max(linear(6, 3, dtype=dtype), x, y, loss=loss)
        result = regularization_path(
            linear(6, 3, dtype=dtype), x, y, loss=loss, points=2, ratio=0.99
        )
        assert result.strengths[0] == pytest.approx(top, rel=1e-3)
        assert result.values("nonzeros").tolist() == [0, 1]

    def test_an_elastic_net_counts_its_l1_alone(self, regression):
        options = {"loss": SQUARED}
        half = lambda_max(
            linear(12),
            *regression,
            penalty=lambda s: nn.ElasticNet(s / 2, s, method="proximal"),
            **options,
        )
        assert half == pytest.approx(2 * lambda_max(linear(12), *regression, **options))

    def test_a_group_lasso_holds_each_input_as_a_whole(self, classes):
        x, y = classes
        slopes = x.T @ (np.eye(3)[y] - np.bincount(y) / len(y)) / len(x)
        result = lambda_max(
            *(linear(6, 3), x, y),
            loss=nn.SoftmaxCrossEntropy(),
            penalty=lambda s: nn.GroupLasso(s, groups="inputs", method="proximal"),
        )
        assert result == pytest.approx(np.linalg.norm(slopes, axis=1).max(), rel=1e-9)

    def test_a_penalty_without_zeros_has_none(self, regression):
        with pytest.raises(ValueError, match=r"strengths is required: L2\(.*no proximal map"):
            lambda_max(linear(12), *regression, loss=SQUARED, penalty=nn.L2)
        ridge = lambda s: nn.ElasticNet(0.0, s, method="proximal")
        with pytest.raises(ValueError, match="sets no weight to zero"):
            lambda_max(linear(12), *regression, loss=SQUARED, penalty=ridge)

    def test_for_a_net_it_is_the_largest_slope_at_its_weights(self, classes):
        x, y = classes
        loss = nn.SoftmaxCrossEntropy()
        plain, dropped = (
            nn.Network(
                [nn.Dense(4), nn.Tanh(), nn.Dropout(keep_prob=keep), nn.Dense(3)],
                inputs=6,
                dtype="float64",
            )
            for keep in (1.0, 0.5)
        )
        probe = plain.copy()
        outputs, cache = probe.forward(x, training=True)
        gradients = probe.backward(loss(outputs, y)[1], cache)
        expected = abs(gradients.weights).max()
        assert lambda_max(plain, x, y, loss=loss) == pytest.approx(expected, rel=1e-12)
        assert lambda_max(dropped, x, y, loss=loss) == pytest.approx(expected, rel=1e-12)
        assert dropped.layers[2].keep_prob == 0.5


class TestPath:
    def test_the_figures_are_those_of_the_point(self, classes):
        x, y = classes
        loss = nn.SoftmaxCrossEntropy()
        result = regularization_path(
            linear(6, 3),
            x[:60],
            y[:60],
            loss=loss,
            points=3,
            test_data=(x[60:], y[60:]),
            metrics=["accuracy"],
        )
        point = result.points[1]
        net = linear(6, 3)
        net.parameters.vector[...] = point.parameters
        net.penalty = l1(point.strength)
        expected = nn.evaluate(net, x[:60], y[:60], loss=loss)
        assert {name: point.figures[name] for name in expected} == expected
        test = nn.evaluate(net, x[60:], y[60:], loss=loss)
        assert point.figures["test_data_loss"] == test["data_loss"]
        assert point.figures["test_accuracy"] == test["accuracy"]
        assert point.figures["nonzeros"] == np.count_nonzero(net.parameters.weights)
        assert result.weights.shape == (3, 18)

    def test_a_linear_path_is_stationary_at_every_point(self, regression, classes):
        for net, data, loss in (
            (linear(12), regression, SQUARED),
            (linear(6, 3), classes, nn.SoftmaxCrossEntropy()),
        ):
            result = regularization_path(net, *data, loss=loss, points=6, ratio=0.01)
            assert (result.values("residual") < 1e-9).all()

    def test_a_linear_model_is_walked_down_and_a_net_up(self, classes):
        x, y = classes
        for net, expected in ((linear(6, 3), [3, 2, 1]), (deep(6, 3), [1, 2, 3])):
            before, strengths = everything(net), []
            result = regularization_path(
                *(net, x, y),
                loss=nn.SoftmaxCrossEntropy(),
                strengths=[2, 1, 3],
                train=lambda net, strengths=strengths: strengths.append(net.penalty.strength),
            )
            assert strengths == expected
            assert result.strengths.tolist() == [3, 2, 1]
            assert everything(net) == before

    def test_every_point_of_a_net_begins_where_the_weaker_one_ended(self, classes):
        x, y = classes
        net = deep(6, 3)

        def train(net):
            nn.fit(net, x, y, loss=nn.SoftmaxCrossEntropy(), optimizer=nn.SGD(0.1), epochs=3)

        result = regularization_path(
            net, x, y, loss=nn.SoftmaxCrossEntropy(), strengths=[0.1, 0.01], train=train
        )
        by_hand = net.copy()
        for point in result.points[::-1]:
            by_hand.penalty = l1(point.strength)
            train(by_hand)
            assert (by_hand.parameters.vector == point.parameters).all()

    def test_zero_weights_of_a_net_have_no_slopes_at_all(self, classes):
        """Why a path of a net cannot start at zero."""
        x, y = classes
        net = deep(6, 3)
        net.parameters.weights[...] = 0.0
        net.parameters["dense_2.bias"][:] = np.log(np.bincount(y) / len(y))
        outputs, cache = net.forward(x, training=True)
        gradients = net.backward(nn.SoftmaxCrossEntropy()(outputs, y)[1], cache)
        assert abs(gradients.weights).max() < 1e-15

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"strengths": []}, "strengths must not be empty"),
            ({"strengths": [-1.0]}, "strengths must be a number in"),
            ({"strengths": ["a"]}, "strengths must be a number in"),
            ({"points": 1}, "points must be"),
            ({"ratio": 1.0}, "ratio must be"),
            ({"net": None}, "net must be a Network"),
            ({"net": deep(12, 1), "train": None}, "train is required"),
            ({"loss": "mse"}, "loss must be a Loss"),
            ({"metrics": ["acuracy"]}, "metrics must be one of"),
            ({"test_data": (np.zeros((2, 3)), np.zeros((2, 1)))}, "test x must have shape"),
        ],
    )
    def test_a_wrong_argument_is_refused_before_training(self, regression, options, message):
        train = lambda net: pytest.fail("trained")
        given = {"net": linear(12), "loss": SQUARED, "train": train} | options
        with pytest.raises((ValueError, TypeError), match=message):
            regularization_path(given.pop("net"), *regression, **given)


class TestSolve:
    def test_the_gradient_is_zero_without_a_penalty_and_the_optimum_is_one_step_away(
        self, regression
    ):
        x, y = regression
        net = linear(12)
        assert solve(net, x, y, loss=SQUARED) > 1
        expected = np.linalg.lstsq(np.column_stack([x, np.ones(80)]), y)[0].ravel()
        assert abs(net.parameters.vector - expected).max() < 1e-9
        assert solve(net, x, y, loss=SQUARED) == 1

    def test_when_the_steps_are_used_up_it_says_so_and_keeps_the_last(self, regression):
        net = linear(12)
        before = net.parameters.vector.copy()
        with pytest.raises(NotConvergedError, match="after 3 steps the residual is"):
            solve(net, *regression, loss=SQUARED, max_steps=3)
        assert (net.parameters.vector != before).all()

    def test_float32_reaches_its_own_tolerance(self, regression):
        fine, coarse = linear(12), linear(12, dtype="float32")
        for net in (fine, coarse):
            net.penalty = l1(0.1)
            solve(net, *regression, loss=SQUARED)
        assert abs(fine.parameters.vector - coarse.parameters.vector).max() < 1e-3

    def test_huber_reaches_its_optimum(self, regression):
        x, y = regression
        net = linear(12)
        solve(net, x, y, loss=nn.Huber(0.5))
        outputs, cache = net.forward(x, training=True)
        gradients = net.backward(nn.Huber(0.5)(outputs, y)[1], cache)
        assert abs(gradients.vector).max() < 1e-10

    @pytest.mark.parametrize(
        ("net", "loss", "message"),
        [
            (nn.Network([nn.Dense(1), nn.ReLU()], inputs=12), SQUARED, "one Dense layer"),
            (linear(12, constraint=nn.MaxNorm(1.0)), SQUARED, "net must have no constraint"),
            (linear(12), nn.Poisson(), r"loss must be one of.*Poisson"),
            (linear(12, penalty=nn.L1(0.1)), SQUARED, "penalty must be L2 or one with a proximal"),
        ],
    )
    def test_what_has_no_reachable_optimum_is_refused(self, regression, net, loss, message):
        with pytest.raises(ValueError, match=message):
            solve(net, *regression, loss=loss)
