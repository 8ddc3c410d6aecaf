"""Metrics: right answers for every kind of target, names and functions of other libraries."""

import functools
import tracemalloc

import numpy as np
import pytest
from small import error_of, fit, network, problem, unchanged

import nnreg as nn
from nnreg.training import metrics

SIGMOID, SOFTMAX = nn.SigmoidCrossEntropy(), nn.SoftmaxCrossEntropy()
OUTPUTS = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])
PAIRS = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 4.0]])


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "loss", "expected"),
    [
        ("accuracy", OUTPUTS, np.array([0, 1, 1, 2]), SOFTMAX, 2 / 4),
        ("accuracy", OUTPUTS, np.eye(3)[[0, 1, 2, 2]], SOFTMAX, 3 / 4),  # one-hot rows
        ("accuracy", 2 - OUTPUTS, np.eye(3)[[0, 1, 1, 0]], SIGMOID, 4 / 12),  # each yes or no
        ("mean_absolute_error", *PAIRS, nn.Huber(), 5 / 4),
        ("mean_squared_error", *PAIRS, nn.Huber(), 13 / 4),
    ],
)
def test_a_metric_is_a_mean_over_rows_or_all_outputs(name, outputs, targets, loss, expected):
    assert metrics.NAMED[name](outputs, targets, loss) == expected


@pytest.mark.parametrize("name", ["mean_absolute_error", "mean_squared_error"])
def test_errors_do_not_broadcast(name):
    # three outputs and three class numbers would broadcast to a number without a meaning
    with pytest.raises(
        ValueError, match=rf"{name} needs targets of the outputs' shape, \(N, 3\), got \(N,\)"
    ):
        metrics.NAMED[name](np.eye(3), np.arange(3), nn.SoftmaxCrossEntropy())


@pytest.mark.parametrize(
    "given",
    ["accuracy", ["accuracy"], ("accuracy",), {"accuracy"}, iter(["accuracy"])],
    ids=lambda given: type(given).__name__,
)
def test_one_metric_or_several_may_be_given(given):
    assert "accuracy" in fit(network(), metrics=given)


def test_a_function_of_ones_own_sees_outputs_and_targets_and_goes_by_its_name():
    def largest(outputs, targets):
        assert outputs.shape == (50, 3)
        assert targets.shape == (50,)
        return outputs.max()

    class Spread:
        def __call__(self, outputs, targets):
            return np.ptp(outputs)

    net, several = network(), [largest, Spread()]
    history = fit(net, metrics=several, epochs=2)
    assert history["largest"][-1] == net.predict(problem()[0]).max()
    assert all(type(value) is float for value in history["largest"])
    unsigned = functools.partial(max, 0.5, key=lambda value: -np.ndim(value))  # has no signature
    assert fit(network(), metrics=unsigned, epochs=1)["max"] == [0.5]
    measured = nn.evaluate(net, *problem(), loss=SOFTMAX, metrics=several)
    assert {"largest", "Spread"} < measured.keys()


def named(name, module=__name__):
    def metric(outputs, targets):
        return 0.0

    metric.__name__, metric.__module__ = name, module
    return metric


RESERVED = ["epoch", "data_loss", "penalty", "total", "seconds", "val_accuracy"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *[(given, "metrics must be") for given in (5, None, [5], [None], 0.5, [["accuracy"]])],
        (["acuracy"], "one of 'accuracy'.*got 'acuracy' .did you mean 'accuracy'"),
        ([named("a"), named("a")], "metrics must have different names, got 'a' twice"),
        *[([named(n)], f"different names, got '{n}' .a column of the hist") for n in RESERVED],
        (
            ["accuracy", lambda outputs, targets: outputs],
            r"the metric '<lambda>' must return a number, got shape \(50, 3\)",
        ),
        (lambda outputs, targets: "high", "the metric '<lambda>' must return a number, got 'high'"),
        *[
            (named("f", module), "the metric 'f' takes the targets first")
            for module in ("keras.src.losses", "tensorflow.python")
        ],
        (lambda y_true, y_pred: 0.0, r"lambda outputs, targets: <lambda>\(targets, outputs\)"),
        (lambda labels, outputs: 0.0, r"lambda outputs, targets: <lambda>\(targets, outputs\)"),
    ],
)
def test_what_is_no_metric_is_refused(given, words):
    error_of((TypeError, ValueError), network(), match=words, metrics=given)


# --- Functions of scikit-learn --------------------------------------------------------------------


def classifier(outputs, loss, **options):
    """Return a trained network with this loss, and a problem of two or three classes."""
    x, y = problem()
    y = y if outputs == 3 else y > 0
    targets = y[:, np.newaxis].astype(float) if outputs == 1 else y.astype(int)
    net = nn.Network([nn.Dense(8), nn.ReLU(), nn.Dense(outputs)], inputs=2)
    return net, x, targets, fit(net, x, targets, loss=loss, epochs=3, **options)


@pytest.mark.parametrize(("outputs", "loss"), [(1, SIGMOID), (2, SOFTMAX)])
@pytest.mark.parametrize("name", ["f1_score", "accuracy_score", "matthews_corrcoef"])
def test_metrics_of_classes_get_classes(name, outputs, loss):
    metric = getattr(pytest.importorskip("sklearn.metrics"), name)
    net, x, y, history = classifier(outputs, loss, metrics=[metric, "accuracy"])
    assert history.last[name] == metric(y, loss.classes(net.predict(x)))
    assert name != "accuracy_score" or history[name] == history["accuracy"]


@pytest.mark.parametrize(("columns", "shape"), [(1, (4,)), (2, (4, 2)), (3, (4, 3))])
def test_one_label_per_row_is_a_vector_and_several_are_a_matrix(columns, shape):
    ones = np.ones((4, columns))
    assert [a.shape for a in metrics._classes(ones, ones, SIGMOID)] == [shape, shape]


@pytest.mark.parametrize(("outputs", "loss"), [(1, SIGMOID), (2, SOFTMAX), (3, SOFTMAX)])
@pytest.mark.parametrize("name", ["roc_auc_score", "log_loss"])
def test_metrics_of_probabilities_get_probabilities(name, outputs, loss):
    metric = getattr(pytest.importorskip("sklearn.metrics"), name)
    if name == "roc_auc_score":
        metric = functools.partial(metric, multi_class="ovr")
    net, x, y, history = classifier(outputs, loss, metrics=[metric])
    p = loss.probabilities(net.predict(x))
    assert history.last[name] == metric(y, p if outputs == 3 else p[:, -1])


@pytest.mark.parametrize("name", ["r2_score", "mean_poisson_deviance", "max_error"])
@pytest.mark.parametrize("loss", [nn.MeanSquaredError(), nn.Poisson()])
def test_metrics_of_values_get_targets_and_values(name, loss):
    metric = getattr(pytest.importorskip("sklearn.metrics"), name)
    x = problem()[0]
    y, net = np.exp(x[:, :1]), nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=2)
    net.parameters["dense_1.bias"][...] = 0.5
    values = nn.evaluate(net, x, y, loss=loss, metrics=[metric])
    predicted = np.exp(net.predict(x)) if isinstance(loss, nn.Poisson) else net.predict(x)
    assert values[name] == pytest.approx(metric(y, predicted), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "loss", "message"),
    [
        (
            "f1_score",
            SOFTMAX,
            r"average=.*lambda outputs, targets: f1_score\(targets, loss.classes",
        ),
        ("roc_auc_score", SOFTMAX, r"multi_class.*roc_auc_score\(targets, loss.probabilities"),
        ("r2_score", SOFTMAX, r"does not fit Softmax.*lambda outputs, targets: r2_score\(targets"),
        ("silhouette_score", SOFTMAX, r"not supported.*lambda outputs, targets: silhouette_score"),
        ("f1_score", nn.MeanSquaredError(), r"does not fit MeanSquaredError.*lambda"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_with_the_line_that_works(name, loss, message):
    metric = getattr(pytest.importorskip("sklearn.metrics"), name)
    net, y = network(), problem()[1] if loss is SOFTMAX else np.zeros((50, 3))
    options = {"match": f"(?s){message}", "loss": loss, "metrics": [metric]}
    with unchanged(net):
        error_of((TypeError, ValueError), net, problem()[0], y, **options)


def test_keras_short_names_are_accepted_and_kept():
    history = fit(network(), metrics=["acc", "accuracy"], validation_split=0.2)
    assert history["acc"] == history["accuracy"]
    assert history["val_acc"] == history["val_accuracy"]


def test_trying_a_metric_before_training_needs_no_matrix_of_all_rows_and_classes():
    classes = 2000
    net = nn.Network([nn.Dense(classes, initializer=nn.zeros)], inputs=1)
    y = np.arange(20_000) % classes
    tracemalloc.start()
    metrics.get_metrics(["accuracy"], net, y, nn.SoftmaxCrossEntropy())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6
