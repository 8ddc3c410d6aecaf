"""Saved networks: every layer, penalty and counter is restored, and training continues."""

import functools

import numpy as np
import pytest
from small import FORMATS, OPTIMIZERS, PENALTIES, Scale, everything, fit, network

import nnreg as nn

LAYERS = {
    "ReLU": nn.ReLU,
    "LeakyReLU": lambda: nn.LeakyReLU(0.2),
    "ELU": lambda: nn.ELU(0.7),
    "GELU": nn.GELU,
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
    "Softplus": nn.Softplus,
    "Dropout": lambda: nn.Dropout(keep_prob=0.75),
    "GaussianDropout": lambda: nn.GaussianDropout(keep_prob=0.75),
    "Dense": lambda: nn.Dense(4, penalty=nn.L1(0.3), initializer=nn.standard_normal, bias=False),
    "Dense without penalty": lambda: nn.Dense(4, penalty=None),
}

MORE_PENALTIES = PENALTIES | {
    "L1": lambda: nn.L1(0.1),
    "ElasticNet": lambda: nn.ElasticNet(0.1, 0.2),
    "GroupLasso": lambda: nn.GroupLasso(0.1, groups="inputs"),
    "proximal GroupLasso": lambda: nn.GroupLasso(0.1, groups="units", method="proximal"),
}


@pytest.fixture(params=FORMATS)
def path(tmp_path, request):
    return tmp_path / f"net.{request.param}"


def restored(net, path, **options):
    nn.save(net, path)
    return nn.load(path, **options)


# --- The round trip -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layer_comes_back(layer, dtype, path, rng):
    net = nn.Network([nn.Dense(5), layer(), nn.Dense(2)], inputs=3, seed=7, dtype=dtype)
    again = restored(net, path)
    assert repr(again) == repr(net)
    assert everything(again) == everything(net)
    assert again.initializers == net.initializers
    assert again.parameters.vector.dtype == dtype
    x = rng.normal(size=(6, 3))
    for training in (False, True):  # the masks too
        assert (
            again.forward(x, training=training)[0] == net.forward(x, training=training)[0]
        ).all()


@pytest.mark.parametrize("penalty", MORE_PENALTIES.values(), ids=MORE_PENALTIES)
def test_every_penalty_comes_back(penalty, path):
    net = network(penalty=penalty())
    again = restored(net, path)
    assert repr(again.penalty) == repr(net.penalty)
    assert again.penalty_value() == net.penalty_value()
    assert again.regularization.has_proximal == net.regularization.has_proximal


def test_what_was_changed_after_construction_comes_back(path):
    net = network(penalty=nn.L2(0.1))
    net.layers[0].penalty = nn.L1(0.5)
    net.layers[2].keep_prob = 0.6
    net.penalty.strength = 0.25
    again = restored(net, path)
    assert repr(again) == repr(net)
    assert again.penalty_value() == net.penalty_value()


def test_counters_and_seed_come_back(path):
    net = network(seed=11)
    fit(net, epochs=3)
    again = restored(net, path)
    assert (again.steps, again.epochs, again.seed) == (12, 3, 11)


def test_a_shared_penalty_stays_shared(path):
    shared, other = nn.L2(0.1), nn.L2(0.1)
    net = nn.Network(
        [nn.Dense(3, penalty=p) for p in (shared, "inherit", other, shared)],
        inputs=2,
        penalty=shared,
    )
    again = restored(net, path)
    first, _, third, fourth = again.layers
    assert first.penalty is fourth.penalty is again.penalty
    assert third.penalty is not first.penalty


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("penalty", ["none", "proximal L1"])
def test_training_goes_on_bit_for_bit(optimizer, penalty, path):
    whole, parted = (network(penalty=PENALTIES[penalty]()) for _ in range(2))
    whole_rule, same_rule = optimizer(), optimizer()
    options = {"validation_split": 0.2, "threads": 1}
    fit(whole, optimizer=whole_rule, epochs=3, **options)
    fit(parted, optimizer=same_rule, epochs=1, **options)
    nn.save(parted, path, optimizer=same_rule)
    for rule in (nn.load_optimizer(path), same_rule):
        again = nn.load(path)
        assert repr(rule) == repr(whole_rule)
        fit(again, optimizer=rule, epochs=2, **options)
        assert everything(whole, whole_rule) == everything(again, rule)


# --- One's own layers, penalties and initializers -------------------------------------------------


class Scaled(Scale):
    def __init__(self, start=1.0, penalty="inherit"):
        self.start, self.penalty = start, penalty


class Twice(nn.Penalty):
    def __init__(self, inner):
        self.inner = inner

    def value(self, w):
        return 2 * self.inner.value(w)

    def gradient(self, w, out):
        self.inner.gradient(w, out)
        out *= 2


def halves(shape, rng):
    return np.full(shape, 0.5)


def test_a_users_layer_comes_back_through_custom(path):
    net = nn.Network([nn.Dense(3), Scaled(np.float64(2.5)), Scaled(np.int64(3))], inputs=2)
    fit(net, np.ones((4, 2)), np.ones((4, 3)), loss=nn.MeanSquaredError())
    again = restored(net, path, custom={"Scaled": Scaled})
    assert everything(again) == everything(net)
    assert [type(layer.start) for layer in again.layers[1:]] == [float, int]


def test_a_users_initializer_comes_back_through_custom(path):
    net = nn.Network([nn.Dense(3, initializer=halves)], inputs=2)
    assert restored(net, path, custom={"halves": halves}).layers[0].initializer is halves


@pytest.mark.parametrize("first", ["inner", "outer"])
def test_a_penalty_made_of_another_comes_back_and_shares_it(first, path):
    inner = nn.L2(0.1)
    layers = [nn.Dense(3, penalty=inner), nn.Dense(3, penalty=Twice(inner))]
    net = nn.Network(layers if first == "inner" else layers[::-1], inputs=3)
    again = restored(net, path, custom={"Twice": Twice})
    assert again.penalty_value() == net.penalty_value()
    penalties = {type(layer.penalty).__name__: layer.penalty for layer in again.layers}
    assert penalties["Twice"].inner is penalties["L2"]


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (lambda: nn.Network([Scaled()], inputs=2), "Scaled"),
        (lambda: nn.Network([nn.Dense(1, initializer=halves)], inputs=2), "halves"),
        (lambda: nn.Network([nn.Dense(1)], inputs=2, penalty=Twice(nn.L2(0.1))), "Twice"),
    ],
    ids=["layer", "initializer", "penalty"],
)
def test_a_name_that_custom_does_not_give_is_asked_for(net, name, path):
    nn.save(net(), path)
    with pytest.raises(
        ValueError, match=rf"the file names '{name}': give it as load\(path, custom="
    ):
        nn.load(path)


class Forgetful(Scaled):
    def __init__(self, width):
        self.w = width


class WithArray(Scaled):
    def __init__(self, table):
        self.table = table


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: Forgetful(3), "Forgetful must store its argument 'width' as an attribute"),
        (
            lambda: WithArray(np.ones(3)),
            r"WithArray\.table must be a number, a text, .*, got array",
        ),
        (lambda: nn.Dense(1, initializer=functools.partial(halves)), "Dense.initializer must be"),
    ],
    ids=["attribute", "array", "partial"],
)
def test_what_cannot_be_saved_is_refused_when_saving(layer, message, path):
    net = nn.Network([layer()], inputs=2)
    with pytest.raises(TypeError, match=message):
        nn.save(net, path)
    assert not path.exists()
