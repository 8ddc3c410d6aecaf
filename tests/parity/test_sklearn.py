"""The same step as scikit-learn's perceptron, whose ``alpha`` has two definitions."""

import numpy as np
import pytest
from parity import one_step
from parity.one_step import BIAS, LABELS, RATE, ROWS, WEIGHT, Array, X

import nnreg as nn
from nnreg.conventions import Convention, find

neural_network = pytest.importorskip("sklearn.neural_network")
pytestmark = pytest.mark.sklearn


def step(alpha: float) -> tuple[Array, Array]:
    model = neural_network.MLPClassifier(
        (),
        solver="sgd",
        alpha=alpha,
        batch_size=ROWS,
        learning_rate_init=RATE,
        momentum=0.0,
        nesterovs_momentum=False,
        random_state=0,
    )
    model.partial_fit(X, LABELS, classes=np.unique(LABELS))  # lays out its arrays
    weight, bias = model.coefs_[0], model.intercepts_[0]
    weight[...], bias[...] = WEIGHT, BIAS
    model.partial_fit(X, LABELS)
    return model.coefs_[0], model.intercepts_[0]


def test_one_step_with_converted_strength_is_the_step_of_scikit_learn() -> None:
    one_step.assert_same_step(find("sklearn"), step)


@pytest.mark.parametrize("copies", [1, 3])
def test_lbfgs_comes_to_rest_where_the_converted_penalty_balances_the_loss(copies: int) -> None:
    """It has no single step to compare; here ``dw + s w`` is zero at the optimum that it finds."""
    x, labels = np.tile(X, (copies, 1)), np.tile(LABELS, copies)
    model = neural_network.MLPClassifier(
        (),
        solver="lbfgs",
        alpha=one_step.STRENGTH,
        tol=1e-10,
        random_state=0,
    )
    model.fit(x, labels)
    strength = find("sklearn-lbfgs").coefficient(n=len(x)) * one_step.STRENGTH
    net = nn.Network([nn.Dense(3)], inputs=4, penalty=nn.L2(strength), dtype="float64")
    net.parameters["dense_1.weight"][...] = model.coefs_[0]
    net.parameters["dense_1.bias"][...] = model.intercepts_[0]
    outputs, cache = net.forward(x, training=True)
    gradients = net.backward(nn.SoftmaxCrossEntropy()(outputs, labels)[1], cache)
    size = abs(gradients.weights).max()  # scikit-learn stops where the loss falls by 2e-9 of itself
    net.add_penalty_gradient(gradients)
    assert abs(gradients.vector).max() < 1e-3 * size


def test_every_row_of_scikit_learn_is_held_here() -> None:
    rows: list[Convention] = one_step.conventions("scikit-learn").args[1]
    assert {c.source for c in rows} == {"sklearn", "sklearn-lbfgs"}
