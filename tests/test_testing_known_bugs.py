"""The known bugs: every wrong backward pass is caught, and `diagnose` identifies it."""

from dataclasses import fields

import numpy as np
import pytest

import nnreg as nn
from nnreg.testing import KNOWN_BUGS, KnownBug, assert_layer_contract, diagnose

mistakes = pytest.mark.parametrize("mistake", KNOWN_BUGS.values(), ids=KNOWN_BUGS)
of_behaviour = [m for m in KNOWN_BUGS.values() if m.code and m.subject != "network"]
of_formula = [m for m in KNOWN_BUGS.values() if not m.code or m.subject == "network"]


def test_there_are_more_than_a_hundred_mistakes_on_every_kind_of_subject():
    assert len(KNOWN_BUGS) > 100
    assert len({mistake.description for mistake in KNOWN_BUGS.values()}) > 100
    assert {mistake.subject for mistake in KNOWN_BUGS.values()} == {
        *("dense", "ReLU", "LeakyReLU", "ELU", "tanh", "sigmoid", "softplus", "GELU", "dropout"),
        *("softmax cross-entropy", "sigmoid cross-entropy", "squared error", "Huber", "Poisson"),
        *("L2", "L1", "elastic net", "network"),
        *("softmax", "log-softmax", "batch normalization"),
        *("any layer", "any activation", "any loss", "any penalty", "any gradient"),
    }


@mistakes
def test_a_mistake_says_how_it_shows_and_what_a_tutor_would_say(mistake):
    assert mistake.description.endswith(".")
    assert len(mistake.hint) > 20
    assert KNOWN_BUGS[mistake.name] is mistake
    assert mistake.make() is not mistake.make()


@pytest.mark.parametrize("mistake", of_formula, ids=lambda m: m.name)
def test_the_checker_catches_every_wrong_gradient(mistake):
    if mistake.name.endswith("not summed"):  # it does not fit where it should be written
        with pytest.raises(ValueError, match="could not broadcast"):
            nn.check_gradients(*mistake.example())
    else:
        report = nn.check_gradients(*mistake.example())
        assert not report.passed
        with pytest.raises(AssertionError, match="wrong gradient of"):
            report.assert_ok()


@pytest.mark.parametrize("mistake", of_formula, ids=lambda m: m.name)
def test_it_is_the_right_gradient_of_the_wrong_layer_that_differs_and_no_other(mistake):
    if mistake.name.endswith("not summed") or mistake.block is None:
        return
    failed = {row.block for row in nn.check_gradients(*mistake.example()).rows if not row.passed}
    names = {"weight": {"weight", "W"}, "bias": {"bias", "b"}}.get(mistake.block, {mistake.block})
    assert len(failed) == 1
    assert failed <= names


@pytest.mark.parametrize("mistake", of_behaviour, ids=lambda m: m.name)
def test_the_contract_catches_what_a_gradient_at_one_point_does_not_show(mistake):
    with pytest.raises(AssertionError) as caught:
        assert_layer_contract(mistake.make)
    assert caught.value.code == mistake.code


@pytest.mark.parametrize(
    "mistake",
    [m for m in of_formula if isinstance(m.make(), nn.Layer)],
    ids=lambda m: m.name,
)
def test_the_contract_catches_every_wrong_layer(mistake):
    with pytest.raises(AssertionError):
        assert_layer_contract(mistake.make)


@mistakes
@pytest.mark.parametrize("seed", [0, 1])
def test_diagnose_names_the_mistake(mistake, seed):
    diagnosis = diagnose(*mistake.example(seed), seed=seed)
    assert diagnosis.known_bug is mistake
    assert diagnosis.hint == mistake.hint
    assert not diagnosis.right


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 6), (7, 5)])
def test_diagnose_names_most_mistakes_whatever_the_shape(shape):
    named = tried = 0
    for mistake in KNOWN_BUGS.values():
        made = mistake.make()
        square = mistake.name.startswith("dense") and made.units != 3
        if not isinstance(made, nn.Layer) or square:
            continue
        tried += 1
        x = np.random.default_rng(5).standard_normal(shape)
        named += diagnose(made, x).known_bug is mistake
    assert tried > 60
    assert named == tried


def test_a_wrong_loss_is_called_as_other_losses_are():
    loss, outputs, targets = KNOWN_BUGS["loss: sign"].example()
    value, gradient = loss(outputs, targets)
    assert value > 0
    assert gradient.shape == outputs.shape


def test_a_mistake_has_the_documented_fields():
    assert [field.name for field in fields(KnownBug)][:5] == [
        *("name", "subject", "description", "hint", "make"),
    ]


# --- What is right passes -------------------------------------------------------------------------

RIGHT_LAYERS = [
    nn.Dense(3),
    nn.Dense(4),
    nn.Dense(1, bias=False),
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.ELU(0.5),
    nn.GELU(),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Softplus(),
    nn.Dropout(keep_prob=0.7),
    nn.Dropout(),
]
RIGHT_LOSSES = [
    (nn.SoftmaxCrossEntropy(), np.array([0, 3, 1, 2, 2])),
    (nn.SoftmaxCrossEntropy(label_smoothing=0.1), np.array([0, 3, 1, 2, 2])),
    (nn.SigmoidCrossEntropy(), np.eye(5, 4)),
    (nn.MeanSquaredError(), np.ones((5, 4))),
    (nn.Huber(0.5), np.ones((5, 4))),
    (nn.Poisson(), np.ones((5, 4))),
]
RIGHT_PENALTIES = [nn.L2(0.3), nn.L1(0.3), nn.ElasticNet(0.3, 0.2), nn.L2(0.0)]
X = np.random.default_rng(3).standard_normal((5, 4))


@pytest.mark.parametrize("layer", RIGHT_LAYERS, ids=repr)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_diagnose_finds_nothing_wrong_in_a_right_layer(layer, rows):
    diagnosis = diagnose(layer, X[:rows])
    assert diagnosis.right, diagnosis
    assert diagnosis.known_bug is None
    assert "right" in str(diagnosis)


@pytest.mark.parametrize(("loss", "targets"), RIGHT_LOSSES)
def test_diagnose_finds_nothing_wrong_in_a_right_loss(loss, targets):
    assert diagnose(loss, X, targets).right


@pytest.mark.parametrize("penalty", RIGHT_PENALTIES, ids=repr)
def test_diagnose_finds_nothing_wrong_in_a_right_penalty(penalty):
    assert diagnose(penalty, X).right


def test_diagnose_finds_nothing_wrong_in_a_right_network_and_leaves_it_as_it_was():
    net = nn.Network(
        [nn.Dropout(keep_prob=0.9), nn.Dense(5), nn.ReLU(), nn.Dense(3, penalty=nn.L1(0.1))],
        inputs=4,
        penalty=nn.L2(0.1),
    )
    before = net.parameters.vector.tobytes(), net.steps, X.tobytes()
    assert diagnose(net, X, [0, 1, 2, 0, 1], nn.SoftmaxCrossEntropy()).right
    assert before == (net.parameters.vector.tobytes(), net.steps, X.tobytes())


# --- In three styles -----------------------------------------------------------------------------


def as_functions(layer):
    """Return an nnreg layer as ``forward(x, *parameters)`` and ``backward(dout, cache)``."""

    def forward(x, *parameters):
        made, cache = layer.clone(), nn.Cache(x.dtype)
        for name, values in zip(layer.parameters(x.shape[1]), parameters, strict=True):
            vars(made)[name] = values
        cache.reset(training=True, step=1)
        return made.forward(x, cache).copy(), (made, cache, parameters)

    def backward(dout, memory):
        made, cache, parameters = memory
        names = list(layer.parameters(cache.x.shape[1])) if parameters else []
        gradients = dict(zip(names, map(np.zeros_like, parameters), strict=True))
        if names:
            made.gradient(dout, cache, gradients)
        return (np.array(made.backward(dout, cache)), *gradients.values())

    return forward, backward


class AsObject:
    """An nnreg layer as an object that keeps its arrays and their gradients."""

    def __init__(self, layer, parameters):
        self.layer, self.functions = layer, as_functions(layer)
        self.names = list(layer.parameters(4))
        vars(self).update(zip(self.names, parameters, strict=True))

    def forward(self, x):
        y, self.memory = self.functions[0](x, *(getattr(self, name) for name in self.names))
        return y

    def backward(self, dout):
        dx, *gradients = self.functions[1](dout, self.memory)
        vars(self).update({f"d{n}": g for n, g in zip(self.names, gradients, strict=True)})
        return dx


in_layers = [
    bug
    for bug in of_formula
    if isinstance(bug.make(), nn.Layer)
    and not isinstance(bug.make(), nn.Dropout)
    and not bug.name.endswith("not summed")
]


@pytest.mark.parametrize("style", ["functions", "object"])
@pytest.mark.parametrize("bug", in_layers, ids=lambda bug: bug.name)
def test_a_layers_bug_is_named_in_functions_and_objects_too(bug, style):
    layer, x = bug.example()
    rng = np.random.default_rng(2)
    parameters = [rng.standard_normal(p.shape) for p in layer.parameters(4).values()]
    if style == "functions":
        diagnosis = diagnose(*as_functions(layer), x, *parameters)
    else:
        thing = AsObject(layer, parameters)
        diagnosis = diagnose(thing.forward, thing.backward, x)
    assert diagnosis.known_bug is bug, diagnosis


@pytest.mark.parametrize("style", ["function", "pair", "dictionary"])
@pytest.mark.parametrize(
    "bug",
    [b for b in of_formula if isinstance(b.make(), nn.Loss) and b.subject != "any loss"],
    ids=lambda bug: bug.name,
)
def test_a_losss_bug_is_named_in_functions_too(bug, style):
    loss, z, t = bug.example()
    call = {
        "function": (lambda z, t: loss.compute(z, t), z, t),
        "pair": (
            lambda z, t: loss.compute(z, t)[0],
            lambda z, t: loss.compute(z, t)[1],
            z,
            t,
        ),
        "dictionary": (
            lambda p: (loss.compute(p["z"], t)[0], {"dz": loss.compute(p["z"], t)[1]}),
            {"z": z},
        ),
    }[style]
    assert diagnose(*call).known_bug is bug
