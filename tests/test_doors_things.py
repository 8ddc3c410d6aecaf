"""The door for layers, losses, optimizers, callbacks and caches: the thing itself is wanted."""

import numpy as np
import pytest
from small import everything, fit, network

import nnreg as nn

X, Y = np.ones((4, 2)), np.zeros(4, int)


def refused(error, wanted, act, *parts):
    """Assert that ``act`` raises ``error`` with a message like ``wanted`` and changes nothing."""
    before = everything(*parts)
    with pytest.raises(error, match=wanted) as caught:
        act()
    assert type(caught.value) is error
    assert everything(*parts) == before


# --- What a network is made of --------------------------------------------------------------------

LAYERS = {
    "a generator": (
        lambda: (nn.Dense(1) for _ in range(2)),
        TypeError,
        "a list of layers, got gen",
    ),
    "one layer": (lambda: nn.Dense(1), TypeError, "layers must be a list of layers, got Dense"),
    "None": (lambda: None, TypeError, "layers must be a list of layers, got NoneType"),
    "a dict": (lambda: {"a": nn.Dense(1)}, TypeError, "layers must be a list of layers, got dict"),
    "a set": (lambda: {nn.Dense(1)}, TypeError, "layers must be a list of layers, got set"),
    "nothing": (list, ValueError, "layers must not be empty"),
    "numbers": (lambda: [64, 10], TypeError, r"layers\[0\] must be a Layer, got 64"),
    "a word": (
        lambda: [nn.Dense(1), "relu"],
        TypeError,
        r"layers\[1\] must be a Layer, got 'relu'",
    ),
    "a class": (
        lambda: [nn.Dense(1), nn.ReLU],
        TypeError,
        r"layers\[1\] must be a Layer, got <class",
    ),
    "a function": (
        lambda: [nn.Dense(1), np.tanh],
        TypeError,
        r"layers\[1\] must be a Layer, got <uf",
    ),
    "a network": (lambda: [network()], TypeError, r"layers\[0\] must be a Layer, got Network"),
}


@pytest.mark.parametrize(("layers", "error", "wanted"), LAYERS.values(), ids=LAYERS)
def test_layers_that_are_none_are_named(layers, error, wanted):
    with pytest.raises(error, match=wanted):
        nn.Network(layers(), inputs=2)


def test_a_tuple_of_layers_is_welcome():
    assert len(nn.Network((nn.Dense(2), nn.ReLU()), inputs=2).layers) == 2


def test_a_layer_has_one_place_in_a_network():
    dense = nn.Dense(2)
    with pytest.raises(ValueError, match="a layer has one place, make another"):
        nn.Network([dense, nn.ReLU(), dense], inputs=2)


def test_a_layer_has_one_network():
    net = network()
    before = everything(net)
    with pytest.raises(ValueError, match=r"dense_1 is in a network already; .*make another"):
        nn.Network([net.layers[0]], inputs=2)
    assert everything(net) == before
    assert net.layers[0].weight is net.parameters["dense_1.weight"] or np.shares_memory(
        net.layers[0].weight, net.parameters.vector
    )


@pytest.mark.parametrize("penalty", ["l2", "inherit", 0.01, nn.L2, True, [nn.L2(0.1)]], ids=repr)
def test_a_networks_penalty_is_a_penalty(penalty):
    with pytest.raises(TypeError, match=r"penalty must be a Penalty such as .*, got"):
        nn.Network([nn.Dense(1)], inputs=1, penalty=penalty)
    net = network(penalty=nn.L2(0.1))
    with pytest.raises(TypeError, match=r"penalty must be a Penalty such as .*, got"):
        net.penalty = penalty
    assert repr(net.penalty) == "L2(strength=0.1)"


@pytest.mark.parametrize("penalty", ["l2", 0.01, nn.L2, True], ids=repr)
def test_a_layers_penalty_is_a_penalty(penalty):
    with pytest.raises(TypeError, match='penalty must be "inherit", None or a Penalty, got'):
        nn.Dense(1, penalty=penalty)


@pytest.mark.parametrize("initializer", ["he_normal", 0.1, np.zeros((2, 1))], ids=repr)
def test_an_initializer_is_a_function(initializer):
    with pytest.raises(TypeError, match=r"initializer must be a function \(shape, rng\) -> array"):
        nn.Dense(1, initializer=initializer)


def test_an_initializer_must_fill_the_shape():
    narrow = nn.Dense(3, initializer=lambda shape, rng: np.zeros(2))
    with pytest.raises(
        ValueError, match=r"of dense_1.weight must return shape \(2, 3\), got \(2,\)"
    ):
        nn.Network([narrow], inputs=2)


# --- What fit is given ----------------------------------------------------------------------------

THINGS = {
    "net": ([None, "net", nn.Network, [nn.Dense(1)]], "net must be a Network, got"),
    "loss": (
        ["mse", None, nn.SoftmaxCrossEntropy, print, nn.L2(0.1)],
        r"loss must be a Loss such as .*, got",
    ),
    "optimizer": (
        ["adam", None, nn.Adam, 0.01, nn.MeanSquaredError()],
        r"optimizer must be an Optimizer such as .*, got",
    ),
    "callbacks": (
        [5, None, [5], ["progress"], [nn.Progress], nn.EarlyStopping, [None], {"a": 1}],
        "callbacks must be Callbacks or functions of the state, got",
    ),
    "metrics": ([5, None, [5], [None]], "metrics must be"),
}
CASES = [
    pytest.param(name, value, wanted, id=f"{name}={value!r:.40}")
    for name, (values, wanted) in THINGS.items()
    for value in values
]


@pytest.mark.parametrize(("name", "value", "wanted"), CASES)
def test_what_fit_cannot_work_with_is_named(name, value, wanted):
    net, optimizer = network(), nn.SGD(0.1)
    options = {"loss": nn.SoftmaxCrossEntropy(), "optimizer": optimizer, "epochs": 1}
    before = everything(net, optimizer)
    with pytest.raises((TypeError, ValueError), match=f"^{wanted}"):
        nn.fit(**({"net": net, "x": X, "y": Y} | options | {name: value}))
    assert everything(net, optimizer) == before


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [c for c in CASES if c.values[0] in ("net", "loss", "metrics") and c.id != "metrics=None"],
)
def test_what_evaluate_cannot_work_with_is_named(name, value, wanted):
    options = {"loss": nn.SoftmaxCrossEntropy()}
    with pytest.raises((TypeError, ValueError), match=f"^{wanted}"):
        nn.evaluate(**({"net": network(), "x": X, "y": Y} | options | {name: value}))


@pytest.mark.parametrize("net", [None, 32, "net", nn.Network], ids=repr)
def test_batches_need_a_network(net):
    with pytest.raises(TypeError, match="net must be a Network, got"):
        next(nn.batches(9, 3, net))


@pytest.mark.parametrize("rule", [nn.Adam, nn.RMSprop, lambda: nn.SGD(0.1, momentum=0.9)])
def test_one_optimizer_serves_one_network(rule):
    net, wider, optimizer = network(), nn.Network([nn.Dense(3)], inputs=2), rule()
    fit(net, optimizer=optimizer)
    wanted = r"51 values of float64.* it cannot update 9 of float32\. One optimizer serves one"
    refused(ValueError, wanted, lambda: fit(wider, optimizer=optimizer), wider, optimizer)


def test_accuracy_needs_classes():
    net = nn.Network([nn.Dense(1)], inputs=2)
    wanted = "the metric accuracy needs a loss that predicts classes, got MeanSquaredError"
    options = {"loss": nn.MeanSquaredError(), "metrics": ["accuracy"]}
    refused(TypeError, wanted, lambda: fit(net, X, X[:, :1], **options), net)
    with pytest.raises(TypeError, match="needs a loss that predicts classes, got Huber"):
        nn.evaluate(net, X, X[:, :1], loss=nn.Huber(), metrics=["accuracy"])
    assert "accuracy" not in nn.evaluate(net, X, X[:, :1], loss=nn.Huber())


@pytest.mark.parametrize("metric", ["mean_absolute_error", "mean_squared_error"])
def test_an_error_measure_needs_targets_of_the_outputs_shape(metric):
    net = network()
    wanted = rf"the metric {metric} needs targets of the outputs' shape, \(1, 3\), got \(1,\)"
    refused(ValueError, wanted, lambda: fit(net, X, Y, metrics=metric), net)


# --- Callbacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [nn.SGD, 0.1, "optimizer", None], ids=str)
def test_a_schedule_needs_a_thing_with_hyperparameters(target):
    with pytest.raises(TypeError, match=r"target must be an object with hyper-parameters, .*, got"):
        nn.HyperparameterScheduler(target, "learning_rate", nn.ConstantSchedule(0.1))


@pytest.mark.parametrize("schedule", [0.1, "cosine", None], ids=repr)
def test_a_schedule_is_a_function_of_the_step(schedule):
    with pytest.raises(TypeError, match=r"schedule must be a schedule or a function .*, got"):
        nn.HyperparameterScheduler(nn.SGD(0.1), "learning_rate", schedule)
    with pytest.raises(TypeError, match=r"after must be a schedule or a function .*, got"):
        nn.Warmup(10, schedule)


@pytest.mark.parametrize("monitor", [5, None, ["val_data_loss"], min], ids=repr)
def test_what_early_stopping_watches_is_a_name(monitor):
    with pytest.raises(TypeError, match=r"monitor must be the name of a column .*, got"):
        nn.EarlyStopping(monitor)


# --- Passes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [None, "cache", {}, X], ids=str)
def test_backward_needs_the_cache_of_forward(cache):
    with pytest.raises(TypeError, match="cache must be the Cache that forward returned, got"):
        network().backward(np.ones((4, 3)), cache)


@pytest.mark.parametrize(
    "cache", ["cache", {}, nn.Cache("float32")], ids=["text", "dict", "float32"]
)
def test_forward_needs_a_cache_of_its_own_dtype(cache):
    with pytest.raises((TypeError, ValueError), match=r"^cache must be"):
        network().forward(X, cache=cache)


@pytest.mark.parametrize("dtype", ["flaot32", "float16", int], ids=repr)
def test_a_copy_has_a_dtype_that_a_network_can_have(dtype):
    with pytest.raises(ValueError, match=r"^dtype must be"):
        network().copy(dtype=dtype)


@pytest.mark.parametrize(
    "returned",
    [1.0, (1.0, np.ones(4)), (np.ones(4), np.ones((4, 3))), (1.0, None)],
    ids=["value only", "flat gradient", "value per row", "no gradient"],
)
def test_a_loss_of_ones_own_returns_a_number_and_a_gradient(returned):
    class Own(nn.Loss):
        def __call__(self, outputs, targets):
            return returned

    net = network()
    with pytest.raises((TypeError, ValueError), match=r"^Own must return \(value, gradient\)"):
        fit(net, X, np.ones((4, 3)), loss=Own())


def test_backward_needs_a_pass_in_training_mode():
    net = network()
    _, cache = net.forward(X)
    with pytest.raises(
        ValueError, match=r"needs the cache of a pass in training mode: .*training=True"
    ):
        net.backward(np.ones((4, 3)), cache)
    with pytest.raises(ValueError, match="needs the cache of a pass in training mode"):
        net.backward(np.ones((4, 3)), nn.Cache("float64"))


def test_a_replay_needs_training():
    with pytest.raises(ValueError, match="step replays a training step, so it needs training=True"):
        network().forward(X, step=3)


def test_gradients_of_another_network_are_refused():
    net, other = network(), nn.Network([nn.Dense(3)], inputs=2, dtype="float64")
    wanted = "gradients must have 51 values, as the parameters, got 9"
    optimizer = nn.Adam()
    refused(
        ValueError, wanted, lambda: optimizer.update(net.parameters, other.parameters.like()), net
    )
    assert optimizer.steps == 0


@pytest.mark.parametrize(
    ("out", "wanted"),
    [
        (np.empty((4, 2)), r"out must have shape \(4, 3\) and dtype float64, got \(4, 2\)"),
        (np.empty((4, 3), "float32"), r"out must have .* dtype float64, got \(4, 3\) and float32"),
    ],
    ids=["shape", "dtype"],
)
def test_a_losss_out_must_fit(out, wanted):
    with pytest.raises(ValueError, match=wanted):
        nn.MeanSquaredError()(np.ones((4, 3)), np.ones((4, 3)), out=out)


@pytest.mark.parametrize(
    ("normalizer", "error"), [(0.0, ValueError), (-1, ValueError), ("4", TypeError)]
)
def test_a_normalizer_is_positive(normalizer, error):
    with pytest.raises(error, match=r"normalizer must be a number in \(0, inf.*, got"):
        nn.MeanSquaredError()(np.ones((4, 3)), np.ones((4, 3)), normalizer=normalizer)


def test_an_unknown_parameter_is_told_the_known_ones():
    with pytest.raises(
        KeyError, match=r"no parameter 'dense_9.weight'; there are dense_1.weight, "
    ):
        network().parameters["dense_9.weight"]
