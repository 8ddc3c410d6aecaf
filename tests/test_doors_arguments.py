"""The door for arguments: numbers out of bounds, unknown names, classes where things are wanted."""

import numpy as np
import pytest

import nnreg as nn

NUMBERS = {  # argument, a call with it, the wanted bounds as the message gives them, values outside
    "L2": ("strength", nn.L2, "[0, inf", [-1e-4]),
    "L1": ("strength", nn.L1, "[0, inf", [-0.1]),
    "ElasticNet, l1": ("l1", lambda v: nn.ElasticNet(v, 0.1), "[0, inf", [-0.1]),
    "ElasticNet, l2": ("l2", lambda v: nn.ElasticNet(0.1, v), "[0, inf", [-0.1]),
    "SGD": ("learning_rate", nn.SGD, "[0, inf", [-0.1]),
    "SGD, momentum": ("momentum", lambda v: nn.SGD(0.1, momentum=v), "[0, 1)", [-0.1, 1.0, 1.5]),
    "RMSprop": ("learning_rate", nn.RMSprop, "[0, inf", [-0.1]),
    "RMSprop, rho": ("rho", lambda v: nn.RMSprop(rho=v), "[0, 1)", [-0.1, 1.0]),
    "RMSprop, epsilon": ("epsilon", lambda v: nn.RMSprop(epsilon=v), "(0, inf", [0.0, -1e-8]),
    "Adam": ("learning_rate", nn.Adam, "[0, inf", [-0.1]),
    "Adam, beta_1": ("beta_1", lambda v: nn.Adam(beta_1=v), "[0, 1)", [-0.1, 1.0]),
    "Adam, beta_2": ("beta_2", lambda v: nn.Adam(beta_2=v), "[0, 1)", [-0.1, 1.0]),
    "Adam, epsilon": ("epsilon", lambda v: nn.Adam(epsilon=v), "(0, inf", [0.0, -1e-8]),
    "AdamW": ("weight_decay", lambda v: nn.AdamW(weight_decay=v), "[0, inf", [-0.1]),
    "Dropout": ("keep_prob", lambda v: nn.Dropout(keep_prob=v), "(0, 1]", [0.0, -0.1, 1.0001, 20]),
    "LeakyReLU": ("slope", nn.LeakyReLU, "[0, 1)", [-0.1, 1.0]),
    "ELU": ("alpha", nn.ELU, "(0, inf", [0.0, -1.0]),
    "Huber": ("delta", nn.Huber, "(0, inf", [0.0, -1.0]),
    "smoothing": (
        "label_smoothing",
        lambda v: nn.SoftmaxCrossEntropy(label_smoothing=v),
        "[0, 1)",
        [-0.1, 1.0],
    ),
    "EarlyStopping": (
        "min_delta",
        lambda v: nn.EarlyStopping(min_delta=v),
        "[0, inf",
        [-0.1],
    ),
    "ConstantSchedule": ("value", nn.ConstantSchedule, "a finite number", []),
    "StepDecay": ("start", lambda v: nn.StepDecay(v, factor=0.5, every=1), "a finite number", []),
    "StepDecay, factor": (
        "factor",
        lambda v: nn.StepDecay(1, factor=v, every=1),
        "[0, inf",
        [-1.0],
    ),
    "ExponentialDecay": (
        "factor",
        lambda v: nn.ExponentialDecay(1, factor=v, every=1),
        "[0, inf",
        [-1.0],
    ),
    "CosineDecay": ("start", lambda v: nn.CosineDecay(v, 10), "a finite number", []),
    "CosineDecay, end": ("end", lambda v: nn.CosineDecay(0.1, 10, end=v), "a finite number", []),
    "InverseTimeDecay": (
        "half",
        lambda v: nn.InverseTimeDecay(0.1, half=v),
        "(0, inf",
        [0.0, -1.0],
    ),
}
each_number = pytest.mark.parametrize(
    ("name", "make", "bounds", "outside"), NUMBERS.values(), ids=NUMBERS
)


@each_number
def test_a_number_outside_its_bounds_is_named(name, make, bounds, outside):
    for value in [*outside, np.nan, np.inf, -np.inf, 10**400]:
        with pytest.raises(ValueError, match=f"^{name} must be .*, got") as caught:
            make(value)
        assert bounds in str(caught.value)
        assert str(caught.value).endswith(f"got {value!r}")


@each_number
@pytest.mark.parametrize(
    "value", ["0.1", None, True, np.True_, b"0.1", 0.1j, [0.1], {}, np.array([0.1, 0.2])], ids=repr
)
def test_what_is_no_number_is_named(name, make, bounds, outside, value):
    with pytest.raises(TypeError, match=f"^{name} must be ") as caught:
        make(value)
    assert f"got {value!r}" in str(caught.value)


ADJUSTABLE = {
    "strength": lambda: nn.L2(0.1),
    "l1": lambda: nn.ElasticNet(0.1, 0.1),
    "learning_rate": nn.Adam,
    "beta_1": nn.Adam,
    "weight_decay": nn.AdamW,
    "momentum": lambda: nn.SGD(0.1, momentum=0.9),
    "rho": nn.RMSprop,
    "keep_prob": lambda: nn.Dropout(keep_prob=0.5),
    "slope": nn.LeakyReLU,
    "alpha": nn.ELU,
    "delta": nn.Huber,
    "label_smoothing": lambda: nn.SoftmaxCrossEntropy(label_smoothing=0.1),
}


@pytest.mark.parametrize(("name", "make"), ADJUSTABLE.items(), ids=ADJUSTABLE)
def test_a_hyperparameter_passes_the_same_door_later(name, make):
    thing = make()
    before = getattr(thing, name)
    for value, error in ((-1.0, ValueError), (np.nan, ValueError), ("0.1", TypeError)):
        with pytest.raises(error, match=f"^{name} must be .*, got {value!r}"):
            setattr(thing, name, value)
        assert getattr(thing, name) == before
    setattr(thing, name, np.float64(0.25))
    assert type(getattr(thing, name)) is float


WHOLES = {  # argument, a call with it, the least value
    "Dense": ("units", nn.Dense, 1),
    "inputs": ("inputs", lambda v: nn.Network([nn.Dense(1)], inputs=v), 1),
    "seed": ("seed", lambda v: nn.Network([nn.Dense(1)], inputs=1, seed=v), 0),
    "patience": ("patience", lambda v: nn.EarlyStopping(patience=v), 1),
    "every": ("every", lambda v: nn.StepDecay(0.1, factor=0.5, every=v), 1),
    "every, exponential": ("every", lambda v: nn.ExponentialDecay(0.1, factor=0.5, every=v), 1),
    "steps": ("steps", lambda v: nn.CosineDecay(0.1, v), 1),
    "steps, warm-up": ("steps", lambda v: nn.Warmup(v, nn.ConstantSchedule(0.1)), 1),
    "n": ("n", lambda v: next(nn.batches(v, 32, network())), 1),
    "batch_size of batches": ("batch_size", lambda v: next(nn.batches(9, v, network())), 1),
    "step": ("step", lambda v: network().forward([[1.0]], training=True, step=v), 0),
    "epochs": ("epochs", lambda v: train(epochs=v), 0),
    "batch_size": ("batch_size", lambda v: train(batch_size=v), 1),
    "threads": ("threads", lambda v: train(threads=v), 1),
}
each_whole = pytest.mark.parametrize(("name", "make", "least"), WHOLES.values(), ids=WHOLES)


def network():
    return nn.Network([nn.Dense(1)], inputs=1)


def train(net=None, **options):
    chosen = {"loss": nn.MeanSquaredError(), "optimizer": nn.SGD(0.1), "epochs": 1}
    net = network() if net is None else net
    steps = net.steps if isinstance(net, nn.Network) else None
    try:
        return nn.fit(net, [[1.0]], [[1.0]], **(chosen | options))
    except Exception:
        if steps is not None:
            assert net.steps == steps, "it has trained before it refused"
        raise


@each_whole
def test_a_whole_number_below_its_least_is_named(name, make, least):
    with pytest.raises(ValueError, match=rf"^{name} must be .* at least {least}, got {least - 1}$"):
        make(least - 1)


@each_whole
@pytest.mark.parametrize("value", [2.0, "2", True, 2.5, [2], 2j, np.float32(2)], ids=repr)
def test_what_is_no_whole_number_is_named(name, make, least, value):
    with pytest.raises(TypeError, match=f"^{name} must be a whole number") as caught:
        make(value)
    assert str(caught.value).endswith(f"got {value!r}")


@each_whole
def test_a_numpy_integer_is_welcome(name, make, least):
    make(np.int32(3))


# --- Names ----------------------------------------------------------------------------------------

NAMES = {  # argument, a call, what was given, what is suggested
    "method": (lambda: nn.L1(0.1, method="proximl"), "method", "proximl", "proximal"),
    "method of ElasticNet": (
        lambda: nn.ElasticNet(0.1, 0.1, method="subgradiant"),
        "method",
        "subgradiant",
        "subgradient",
    ),
    "dtype": (
        lambda: nn.Network([nn.Dense(1)], inputs=1, dtype="flaot32"),
        "dtype",
        "flaot32",
        "float32",
    ),
    "half precision": (
        lambda: nn.Network([nn.Dense(1)], inputs=1, dtype=np.float16),
        "dtype",
        "float16",
        "float",
    ),
    "metric": (
        lambda: train(metrics="mean_sqared_error"),
        "metrics",
        "mean_sqared_error",
        "mean_sq",
    ),
    "class_weight": (
        lambda: train(class_weight="balancd"),
        "class_weight",
        "balancd",
        "balanced",
    ),
    "mode": (lambda: nn.EarlyStopping(mode="mni"), "mode", "mni", "min"),
    "monitor": (
        lambda: train(callbacks=[nn.EarlyStopping("data_los", mode="min")]),
        "monitor",
        "data_los",
        "data_loss",
    ),
    "attribute": (
        lambda: nn.HyperparameterScheduler(nn.L2(0.1), "strenght", nn.ConstantSchedule(0.1)),
        "attribute",
        "strenght",
        "strength",
    ),
}


@pytest.mark.parametrize(("act", "name", "given", "near"), NAMES.values(), ids=NAMES)
def test_an_unknown_name_suggests_the_nearest(act, name, given, near):
    with pytest.raises(ValueError, match=rf"^{name} must be .*'{given}' \(did you mean '{near}"):
        act()


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda: nn.Network([nn.Dense(1)], inputs=1, pennalty=None), "pennalty"),
        (lambda: nn.Network([nn.Dense(1)]), "inputs"),
        (lambda: nn.Dense(1, activation="relu"), "activation"),
        (lambda: nn.Adam(lr=0.1), "lr"),
        (lambda: train(epoch=5), "epoch"),
        (lambda: nn.fit(network(), [[1.0]], [[1.0]], optimizer=nn.Adam(), epochs=1), "loss"),
        (lambda: nn.evaluate(network(), [[1.0]], [[1.0]], los=nn.Huber()), "los"),
    ],
)
def test_an_argument_that_is_unknown_or_missing_is_named(act, name):
    with pytest.raises(TypeError, match=f"'{name}'"):
        act()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Dropout(0.2),
        lambda: nn.Dropout(rate=0.2),
        lambda: nn.Dropout(p=0.2),
        lambda: nn.Dropout(0.2, keep_prob=0.8),
    ],
)
def test_a_dropout_rate_is_told_how_it_converts(make):
    with pytest.raises(TypeError, match=r"keep_prob=.*, got 0.2: .*keep_prob = 1 - rate"):
        make()


def test_a_misspelt_keep_prob_is_told_the_right_spelling():
    with pytest.raises(TypeError, match=r"no argument 'keepprob' \(did you mean 'keep_prob'"):
        nn.Dropout(keepprob=0.8)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="nesterov=True needs a momentum above 0, got momentum=0"):
        nn.SGD(0.1, nesterov=True)
