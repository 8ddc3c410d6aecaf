"""State of a user's classes: what training changes besides arguments is saved, or an error."""

import copy

import numpy as np
import pytest
from small import FORMATS, callback, everything
from test_resume import assert_resumes, parts, train

import nnreg as nn


class Centred(nn.Layer):
    """Subtracts a running mean: an array that is replaced. A function cannot be compared."""

    def __init__(self, momentum=0.5):
        self.momentum, self.mean = momentum, np.zeros(1)
        self.rectify = lambda z: np.maximum(z, 0)

    def forward(self, x, cache):
        if cache.training:
            self.mean = self.momentum * self.mean + (1 - self.momentum) * x.mean(axis=0)
        return self.rectify(x - self.mean).astype(x.dtype)

    def backward(self, dy, cache):
        return dy

    def get_state(self):
        return {"mean": self.mean}


class Annealed(nn.L2):
    """Divides its strength by the number of calls: a number."""

    calls = np.int64(0)

    def gradient(self, w, out):
        self.calls += 1
        np.multiply(w, self.strength / self.calls, out=out)

    def get_state(self):
        return {"calls": self.calls}


class Rotating(nn.SoftmaxCrossEntropy):
    """Multiplies by the numbers of a list in turn: a list that is changed in place."""

    def __init__(self):
        super().__init__()
        self._factors = [1.0, 2.0, 3.0, 4.0]

    def compute(self, *arguments):
        value, gradient = super().compute(*arguments)
        self._factors.append(self._factors.pop(0))
        return value, gradient * self._factors[0]

    def get_state(self):
        return {"_factors": self._factors}


class Noisy(nn.Optimizer):
    """Adds noise: a generator, whose state is numbers and texts."""

    def __init__(self):
        super().__init__(0.1)
        self.rng = np.random.default_rng(0)

    def update_block(self, w, g, part, work):
        w -= self.learning_rate * (g + self.rng.normal(0, 0.1, g.shape))

    def step_size_of(self, part):
        return self.learning_rate

    def get_state(self):
        return {"rng": self.rng.bit_generator.state}

    def set_state(self, state):
        self.rng.bit_generator.state = state["rng"]


STATEFUL = [  # class, attribute, how the parts are made, options of fit
    (Centred, "mean", lambda: parts(middle=Centred), {}),
    (Annealed, "calls", lambda: parts(penalty=lambda: Annealed(0.1)), {}),
    (Rotating, "_factors", parts, {"loss": Rotating}),
    (Noisy, "rng", lambda: parts(Noisy), {}),
]
stateful = pytest.mark.parametrize(
    ("kind", "name", "make", "options"), STATEFUL, ids=[kind.__name__ for kind, *_ in STATEFUL]
)


@stateful
def test_the_state_of_a_users_class_resumes_to_the_bit(kind, name, make, options, tmp_path):
    assert_resumes(make, tmp_path, stop_after=6, **options)


@pytest.mark.parametrize("form", FORMATS)
def test_the_state_of_users_classes_is_in_a_saved_network(form, tmp_path):
    make = lambda: parts(Noisy, middle=Centred, penalty=lambda: Annealed(0.1))
    whole, (net, optimizer) = make(), make()
    path, custom = tmp_path / f"a.{form}", {k.__name__: k for k in (Centred, Annealed, Noisy)}
    train(*whole, epochs=3)
    train(net, optimizer, epochs=1)
    nn.save(net, path, optimizer=optimizer)
    again = nn.load(path, custom=custom), nn.load_optimizer(path, custom=custom)
    train(*again, epochs=2)
    assert everything(*again) == everything(*whole)


@stateful
def test_a_step_that_fails_leaves_the_state_of_the_last_epoch(kind, name, make, options):
    net, optimizer = make()
    loss = options.get("loss", nn.SoftmaxCrossEntropy)()
    objects = [loss, optimizer, net.penalty, *net.layers]
    thing = next(part for part in objects if isinstance(part, kind))
    before = copy.deepcopy(thing.get_state())
    optimizer.learning_rate = 1e30
    with pytest.raises(nn.NonFiniteLossError):
        train(net, optimizer, loss=lambda: loss)
    assert repr(thing.get_state()) == repr(before)


@stateful
def test_an_attribute_that_would_be_lost_is_an_error(
    kind, name, make, options, tmp_path, monkeypatch
):
    monkeypatch.delattr(kind, "get_state")
    message = rf'{kind.__name__}\.{name} has changed .*\n.*\n +return {{"{name}": self.{name}}}'
    with pytest.raises(TypeError, match=message):
        train(*make(), checkpoint=nn.Checkpoint(tmp_path, every_steps=1), **options)
    if kind is not Rotating:  # `save` keeps no loss
        net, optimizer = make()
        train(net, optimizer)
        with pytest.warns(UserWarning, match=message):
            nn.save(net, tmp_path / "net.npz", optimizer=optimizer)
    monkeypatch.setattr("nnreg.training.resume.find_lost", lambda *_: "")
    with pytest.raises(AssertionError):  # the bits differ
        assert_resumes(make, tmp_path / "run", stop_after=6, **options)


@pytest.mark.parametrize("state", [None, {"a": object()}, {"a": [{1}]}, {"a": np.array([{}])}])
def test_a_state_that_cannot_be_saved_is_named(state, tmp_path):
    place = r"Callback\.get_state\(\)" + (".*'a'" if state else "")
    with pytest.raises(TypeError, match=f"^{place}.*got "):
        train(*parts(), callbacks=[callback(get_state=lambda: state)], checkpoint=tmp_path)


def test_a_file_sets_no_attribute_that_is_not_in_the_state():
    with pytest.raises(ValueError, match=r"Centred\.get_state\(\) has no 'forward'"):
        Centred().set_state({"forward": 1.0})
