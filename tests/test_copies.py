"""Copies of every kind, alone and inside other objects: they predict and train as the original."""

import copy
import dataclasses
import gc
import io
import pickle
import tempfile
import weakref
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from small import everything, fit, problem
from strategies import LAYERS, LOSSES, OPTIMIZERS, mixed

import nnreg as nn
from nnreg.random import RandomBits, key
from nnreg.training.step import TrainingStep


def joblib_copy(x):
    joblib = pytest.importorskip("joblib")
    file = io.BytesIO()
    joblib.dump(x, file)
    file.seek(0)
    return joblib.load(file)


def pickled(protocol):
    return lambda x: pickle.loads(pickle.dumps(x, protocol))


def mapped(mode):
    def copy_through_file(thing):
        with tempfile.TemporaryDirectory() as folder:
            joblib = pytest.importorskip("joblib")
            joblib.dump(thing, f"{folder}/thing")
            return joblib.load(f"{folder}/thing", mmap_mode=mode)

    return copy_through_file


def out_of_band(kind):
    def copy_with_buffers(thing):
        buffers = []
        data = pickle.dumps(thing, 5, buffer_callback=buffers.append)
        return pickle.loads(data, buffers=[kind(buffer.raw()) for buffer in buffers])

    return copy_with_buffers


DEEP = {"deepcopy": copy.deepcopy, "joblib": joblib_copy, "out of band": out_of_band(bytes)}
DEEP["out of band, in the same memory"] = out_of_band(memoryview)
DEEP |= {f"mapped {mode}": mapped(mode) for mode in ("r", "r+")}
DEEP |= {f"pickle {protocol}": pickled(protocol) for protocol in range(6)}
WAYS = DEEP | {"copy": copy.copy}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_deep_way = pytest.mark.parametrize("way", DEEP.values(), ids=DEEP)


def method_copy(x):
    return x.copy() if isinstance(x, nn.Network) else copy.deepcopy(x)


class Named(nn.Network):
    __slots__ = ("slot",)

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.labels, self.slot = ["a", "b"], "s"


class Function(nn.Layer):
    def __init__(self, function=None):
        self.function = function

    def forward(self, x, cache):
        return x

    def backward(self, dy, cache):
        return dy


@dataclasses.dataclass
class Pair:
    net: nn.Network
    optimizer: nn.Optimizer


def trained(kind=nn.Network):
    shared = nn.L1(1e-3, method="proximal")
    layers = [
        nn.Dense(6, penalty=shared),
        nn.GELU(),
        nn.Dropout(keep_prob=0.8),
        nn.Dense(5, penalty=shared),
        nn.GaussianDropout(keep_prob=0.9),
        nn.Dense(3),
    ]
    net = kind(layers, inputs=2, penalty=nn.L2(1e-3), constraint=nn.MaxNorm(2.0), seed=3)
    optimizer = nn.Adam(0.05)
    fit(net, optimizer=optimizer)
    return net, optimizer


def after_training(net, optimizer):
    fit(net, optimizer=optimizer, epochs=2)
    return everything(net, optimizer)


@pytest.mark.parametrize("way", [*WAYS.values(), method_copy], ids=[*WAYS, "method copy"])
@pytest.mark.parametrize("kind", [nn.Network, Named])
def test_a_copied_network_is_independent_and_trains_as_the_original(way, kind):
    net, optimizer = trained(kind)
    before, x = everything(net), problem()[0]
    other, rule = way(net), way(optimizer)
    assert type(other) is kind
    assert everything(other) == before
    assert vars(other).get("labels") == vars(net).get("labels")
    assert getattr(other, "slot", None) == getattr(net, "slot", None)
    assert other.layers[0].penalty is other.layers[3].penalty
    assert (repr(other), other.initializers) == (repr(net), net.initializers)
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    result = after_training(other, rule)
    assert everything(net) == before
    assert result == after_training(net, optimizer)
    settings = repr(net)
    other.layers[2].keep_prob = 1.0
    other.penalty.strength = other.layers[0].penalty.strength = other.constraint.limit = 9.0
    assert repr(net) == settings


@each_deep_way
@pytest.mark.parametrize(
    "around", [Pair, lambda *pair: [*pair], lambda *pair: dict(enumerate(pair))]
)
def test_so_it_does_inside_other_objects(way, around):
    net, optimizer = trained()
    other = way(around(net, optimizer))
    pair = (
        vars(other).values()
        if isinstance(other, Pair)
        else getattr(other, "values", lambda: other)()
    )
    assert after_training(*pair) == after_training(net, optimizer)


@each_deep_way
def test_a_copied_training_step_goes_on_with_the_same_bits(way):
    x, y = problem()
    step = TrainingStep(trained()[0], nn.SoftmaxCrossEntropy(), nn.SGD(0.1, momentum=0.9))
    step(x, y, np.arange(20))
    other = way(step)
    losses = [[s(x, y, np.arange(n, n + 9)) for n in range(4)] for s in (step, other)]
    assert losses[0] == losses[1]
    assert everything(step.net, step.optimizer) == everything(other.net, other.optimizer)


@each_way
def test_a_copied_cache_gives_the_same_gradient(way):
    net, _ = trained()
    outputs, cache = net.forward(problem()[0], training=True)
    gradient = net.backward(np.ones_like(outputs), cache).vector.copy()
    other = way(cache)
    net.forward(-problem()[0], training=True, cache=cache)
    np.testing.assert_array_equal(net.backward(np.ones_like(outputs), other).vector, gradient)
    pair = (net, other) if way is copy.copy else way((net, other))
    np.testing.assert_array_equal(pair[0].backward(np.ones_like(outputs), pair[1]).vector, gradient)


@each_way
def test_copied_parameters_have_views_of_one_aligned_vector(way):
    p = trained()[0].parameters
    q = way(p)
    np.testing.assert_array_equal(q.vector, p.vector)
    assert not np.shares_memory(q.vector, p.vector)
    assert all(np.shares_memory(view, q.vector) for view in q.values())
    assert q.vector.__array_interface__["data"][0] % 64 == 0


@each_way
def test_a_copied_layer_is_free_for_another_network(way):
    net, _ = trained()
    layer = way(net.layers[0])
    assert (layer.name, layer.get_config().keys()) == ("", net.layers[0].get_config().keys())
    assert nn.Network([layer], inputs=5).predict(np.ones((1, 5))).shape == (1, 6)
    assert way(net.regularization).value() == net.penalty_value()


@each_way
def test_copied_random_bits_are_the_same_and_share_no_generator(way):
    bits = RandomBits(key(1, "mask"))
    other = way(bits)
    pieces = [[piece.tobytes() for _, piece in b.rows(3, 1, (5, 40))] for b in (bits, other)]
    assert pieces[0] == pieces[1]
    assert other.at(0, 0) is not bits.at(0, 0)


def train_elsewhere(net):
    fit(net, optimizer=nn.Adam(0.05), threads=1)
    return net


def test_a_network_trained_in_another_process_comes_back_trained():
    net, _ = trained()
    with ProcessPoolExecutor(1) as pool:
        other = pool.submit(train_elsewhere, net).result(timeout=60)
    assert everything(other) == everything(train_elsewhere(net))


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickled(2), pickled(5)])
def test_what_cannot_be_copied_is_named(way):
    with open(__file__) as file:
        layer = Function(file)
        net = nn.Network([nn.Dense(2), layer], inputs=2)
        for instance, path in ((net, r"Network\.layers\[1\]\.function"), (layer, "function")):
            if instance is net or way is not copy.copy:
                with pytest.raises(TypeError, match=f"{path} cannot be (copied|pickled)"):
                    way(instance)


def test_an_error_of_the_copied_object_itself_is_raised():
    class Sealed(nn.ReLU):
        def __setstate__(self, state):
            raise RuntimeError("sealed")

    with pytest.raises(RuntimeError, match="sealed"):
        copy.deepcopy(Sealed())


def test_a_lambda_can_be_copied_and_not_pickled():
    net = nn.Network([Function(lambda x: x)], inputs=2)
    assert copy.deepcopy(net).layers[0].function is net.layers[0].function
    net.extra = {"pair": Pair(net, lambda: 0)}  # and refers back to the network
    with pytest.raises(TypeError, match=r"layers\[0\]\.function cannot be pickled"):
        pickle.dumps(net)
    net.layers[0].function = None
    with pytest.raises(TypeError, match=r"extra\.pair\.optimizer cannot be pickled"):
        pickle.dumps(net)
    net.extra["pair"].optimizer = None
    again = pickle.loads(pickle.dumps(net))
    assert again.extra["pair"].net is again


def test_a_network_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        net = mixed()
        outputs, cache = net.forward(np.ones((2, 4)), training=True)
        net.backward(outputs, cache)
        references = [weakref.ref(net), weakref.ref(copy.deepcopy(net))]
        del net, cache
        assert [reference() for reference in references] == [None, None]
    finally:
        gc.enable()


# --- Settings -------------------------------------------------------------------------------------

RULES = {
    "L1": lambda: nn.L1(0.1, method="proximal"),
    "L2": lambda: nn.L2(0.1),
    "ElasticNet": lambda: nn.ElasticNet(0.1, 0.2),
    "GroupLasso": lambda: nn.GroupLasso(0.1, groups="units"),
    "MaxNorm": lambda: nn.MaxNorm(2.0),
    "Network": lambda: mixed(seed=3, penalty=nn.L2(0.5)),
}
OBJECTS = [*LAYERS.values(), *LOSSES.values(), *OPTIMIZERS.values(), *RULES.values()]


@pytest.mark.parametrize("make", OBJECTS)
def test_every_object_is_described_as_the_call_that_makes_it(make):
    again = eval(repr(make()), vars(nn))
    assert (type(again), repr(again)) == (type(make()), repr(make()))


@each_way
def test_the_settings_of_a_copy_are_its_own(way):
    for make in OBJECTS:
        original, settings = make(), repr(make())
        other = way(original)
        for name, value in vars(other).items():
            if isinstance(value, float):
                setattr(other, name, value / 2)
        assert repr(original) == settings
