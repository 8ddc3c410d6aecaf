"""The known bugs: every wrong backward pass fails the check, and `diagnose` identifies it."""

from dataclasses import fields

import numpy as np
import pytest
from coding_styles import STYLES, code_of

import nnreg as nn
from nnreg.testing import KNOWN_BUGS, KnownBug, assert_layer_contract, diagnose

LAYER_BUGS = [bug for bug in KNOWN_BUGS.values() if isinstance(bug.make(), nn.Layer)]
WRONG_GRADIENTS = [b for b in KNOWN_BUGS.values() if not b.code or b.subject == "network"]
#: Names of the gradients that a bug in a block makes wrong.
BLOCKS = {"weight": {"weight", "W", "W1"}, "bias": {"bias", "b"}, "inputs": {"inputs"}}
#: What a bug is called in functions, which have no steps.
ELSEWHERE = {"dropout: mask of another step": "dropout: mask redrawn in backward"}


def test_there_are_more_than_a_hundred_bugs_on_every_kind_of_subject():
    assert len(KNOWN_BUGS) > 100
    assert len({bug.description for bug in KNOWN_BUGS.values()}) > 100
    assert {bug.subject for bug in KNOWN_BUGS.values()} == {
        *("dense", "ReLU", "LeakyReLU", "ELU", "tanh", "sigmoid", "softplus", "GELU", "dropout"),
        *(
            "softmax cross-entropy",
            "sigmoid cross-entropy",
            "squared error",
            "Huber",
            "quantile",
            "Poisson",
        ),
        *("L2", "L1", "elastic net", "network"),
        *("softmax", "log-softmax", "batch normalization"),
        *("any layer", "any activation", "any loss", "any penalty", "any gradient"),
    }
    assert [field.name for field in fields(KnownBug)][:5] == [
        *("name", "subject", "description", "hint", "make"),
    ]


@pytest.mark.parametrize("bug", KNOWN_BUGS.values(), ids=KNOWN_BUGS)
def test_a_known_bug_is_described_and_named(bug):
    assert bug.description.endswith(".")
    assert len(bug.hint) > 20
    assert KNOWN_BUGS[bug.name] is bug
    assert bug.make() is not bug.make()
    diagnosis = diagnose(*bug.example())
    assert diagnosis.known_bug is bug
    assert diagnosis.hint == bug.hint
    assert not diagnosis.right


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(b, id=b.name)
        for b in KNOWN_BUGS.values()
        if not b.code or b.subject == "network"
    ],
)
def test_the_check_fails_for_the_wrong_gradient_and_no_other(bug):
    if bug.name.endswith("not summed"):  # it does not fit where it should be written
        with pytest.raises(ValueError, match="could not broadcast"):
            nn.check_gradients(*bug.example())
        return
    report = nn.check_gradients(*bug.example())
    with pytest.raises(AssertionError, match="wrong gradient of"):
        report.assert_ok()
    if bug.block:
        failed = [row.block for row in report.rows if not row.passed]
        assert len(failed) == 1
        assert failed[0] in BLOCKS[bug.block]


@pytest.mark.parametrize("bug", LAYER_BUGS, ids=lambda bug: bug.name)
def test_the_contract_catches_every_wrong_layer(bug):
    with pytest.raises(AssertionError) as caught:
        assert_layer_contract(bug.make)
    assert bug.code in (None, caught.value.code)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_every_bug_of_a_formula_is_named_in_this_style_of_code(style):
    for bug in KNOWN_BUGS.values():
        if not bug.code:
            diagnosis = diagnose(*STYLES[style](code_of(bug, seed=1)))
            name = diagnosis.known_bug and diagnosis.known_bug.name
            assert name == ELSEWHERE.get(bug.name, bug.name), diagnosis


@pytest.mark.slow
def test_diagnose_names_the_bug_with_fewer_rows_than_columns():
    x = np.random.default_rng(5).standard_normal((3, 6))
    for bug in LAYER_BUGS:
        layer = bug.make()
        if not (isinstance(layer, nn.Dense) and layer.units != 3):  # these need their square
            assert diagnose(layer, x).known_bug is bug


def test_a_wrong_loss_is_called_as_other_losses_are():
    loss, outputs, targets = KNOWN_BUGS["loss: sign"].example()
    value, gradient = loss(outputs, targets)
    assert value > 0
    assert gradient.shape == outputs.shape


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
    (nn.Quantile(0.3), np.ones((5, 4))),
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
