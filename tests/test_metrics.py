"""Metrics: right answers counted for every kind of target, names resolved at the door."""

import numpy as np
import pytest
from small import fit, network, problem

import nnreg as nn
from nnreg.training import metrics


def test_accuracy_counts_class_numbers():
    outputs = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])
    assert metrics.accuracy(outputs, np.array([0, 1, 1, 2]), nn.SoftmaxCrossEntropy()) == 0.5


def test_accuracy_counts_one_hot_rows():
    outputs, targets = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]), np.eye(2)[[0, 1, 1]]
    assert metrics.accuracy(outputs, targets, nn.SoftmaxCrossEntropy()) == 2 / 3


def test_accuracy_counts_each_yes_or_no():
    outputs, targets = np.array([[3.0, -1.0], [-2.0, 2.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    assert metrics.accuracy(outputs, targets, nn.SigmoidCrossEntropy()) == 0.75


def test_errors_are_means_over_all_outputs():
    outputs, targets = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 4.0]])
    assert metrics.mean_absolute_error(outputs, targets, nn.Huber()) == 5 / 4
    assert metrics.mean_squared_error(outputs, targets, nn.Huber()) == 13 / 4


@pytest.mark.parametrize("name", ["mean_absolute_error", "mean_squared_error"])
def test_errors_do_not_broadcast(name):
    # three outputs and three class numbers would broadcast to a number without a meaning
    with pytest.raises(
        ValueError, match=rf"{name} needs targets of the outputs' shape, \(3, 3\), got \(3,\)"
    ):
        metrics.NAMED[name](np.eye(3), np.arange(3), nn.SoftmaxCrossEntropy())


@pytest.mark.parametrize("given", ["accuracy", ["accuracy"], ("accuracy",), {"accuracy"}], ids=str)
def test_one_metric_or_several_may_be_given(given):
    assert "accuracy" in fit(network(), metrics=given)


def test_a_function_of_ones_own_sees_outputs_and_targets_and_goes_by_its_name():
    def largest(outputs, targets):
        assert outputs.shape == (50, 3)
        assert targets.shape == (50,)
        return outputs.max()

    net = network()
    history = fit(net, metrics=largest, epochs=2)
    assert history["largest"][-1] == net.predict(problem()[0]).max()
    assert all(type(value) is float for value in history["largest"])
    assert "largest" in nn.evaluate(
        net, *problem(), loss=nn.SoftmaxCrossEntropy(), metrics=[largest]
    )


def test_an_object_that_can_be_called_goes_by_its_class():
    class Spread:
        def __call__(self, outputs, targets):
            return np.ptp(outputs)

    assert "Spread" in fit(network(), metrics=[Spread()])


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"metrics must be one of 'accuracy'.*got 'acuracy' \(did you mean 'accuracy'",
    ):
        metrics.get_metrics(["acuracy"])


@pytest.mark.parametrize("given", [5, None, [5], [None], 0.5, [["accuracy"]]], ids=repr)
def test_what_is_no_metric_is_refused(given):
    with pytest.raises((TypeError, ValueError), match="metrics must be"):
        metrics.get_metrics(given)


def test_two_metrics_of_one_name_are_refused():
    with pytest.raises(ValueError, match="metrics must have different names, got '<lambda>' twice"):
        metrics.get_metrics([lambda z, y: 0.0, lambda z, y: 1.0])


@pytest.mark.parametrize(
    "name", ["epoch", "data_loss", "penalty", "total", "seconds", "val_accuracy"]
)
def test_a_metric_cannot_take_the_name_of_a_column(name):
    def metric(outputs, targets):
        return 0.0

    metric.__name__ = name
    with pytest.raises(ValueError, match=f"different names, got '{name}' .a column of the history"):
        metrics.get_metrics([metric])


def test_a_metric_that_returns_no_number_is_named():
    def both(outputs, targets):
        return outputs

    with pytest.raises(TypeError, match=r"metric 'both' must return a number, got shape \(50, 3\)"):
        fit(network(), metrics=[both])
