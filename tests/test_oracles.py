"""Linear models, whose minimum is computed by a formula or by another program."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import linear

import nnreg as nn


def problem(rng, N, D, M=1):
    """Return x (N, D), whose columns have a mean of 1, y (N, M), and weights of the rows."""
    x = 1.0 + rng.normal(size=(N, D))
    y = 3.0 + x @ rng.normal(size=(D, M)) + rng.normal(size=(N, M))
    return x, y, rng.uniform(0.1, 2.0, N)


def objective(net, loss, x, y, weights=None):
    """Return the total and its gradient."""
    outputs, cache = net.forward(x, training=True)
    data_loss, doutputs = loss(outputs, y, weights)
    gradients = net.backward(doutputs, cache)
    net.add_penalty_gradient(gradients)
    return data_loss + net.penalty_value(), gradients


def descend(net, loss, x, y, weights=None, *, curvature, steps):
    """Make steps of full-batch gradient descent, each as long as the curvature allows.

    ``curvature`` is the most that the loss of a row has by the outputs.
    """
    ones = np.column_stack([x, np.ones(len(x))])
    share = np.full(len(x), 1 / len(x)) if weights is None else weights / weights.sum()
    steepest = curvature * np.linalg.eigvalsh((ones.T * share) @ ones)[-1]
    optimizer = nn.SGD(1 / (steepest + 0.2), momentum=0.9)
    for _ in range(steps):
        _, gradients = objective(net, loss, x, y, weights)
        optimizer.update(net.parameters, gradients)
        net.apply_proximal(optimizer.step_size)


# --- Ridge ----------------------------------------------------------------------------------------


def ridge(x, y, weights, strength):
    """Return w, b and the minimum of ``Σₙ sₙ‖yₙ - xₙw - b‖²/M + strength/2·‖w‖²``, ``Σ s = 1``.

    About the weighted means, x̄ and ȳ, the intercept drops out: ``b = ȳ - x̄w``. What is left are the
    normal equations ``(xᵀSx + strength·M/2·I) w = xᵀSy``, and the minimum is ``yᵀS(y - xw)/M``, the
    trace of it where there are several outputs.
    """
    M, s = y.shape[1], weights / weights.sum()
    x_mean, y_mean = s @ x, s @ y
    x, y = x - x_mean, y - y_mean
    xs = x.T * s
    w = np.linalg.solve(xs @ x + strength * M / 2 * np.eye(x.shape[1]), xs @ y)
    return w, y_mean - x_mean @ w, np.sum(s[:, np.newaxis] * y * (y - x @ w)) / M


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 3)),
    st.sampled_from([1e-3, 0.1, 1.0, 30.0, 1e9]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_at_ridge_in_closed_form_the_gradient_is_zero_and_the_total_the_minimum(
    shape, strength, weighted, seed
):
    x, y, weights = problem(np.random.default_rng(seed), *shape)
    w, b, minimum = ridge(x, y, weights if weighted else np.ones(len(x)), strength)
    net = linear(x.shape[1], y.shape[1], penalty=nn.L2(strength))
    net.parameters["dense_1.weight"][...], net.parameters["dense_1.bias"][...] = w, b
    total, gradients = objective(net, nn.MeanSquaredError(), x, y, weights if weighted else None)
    assert total == pytest.approx(minimum, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(gradients.vector, 0, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("M", [1, 3])
def test_gradient_descent_arrives_at_ridge_in_closed_form(M, weighted, rng):
    x, y, weights = problem(rng, 30, 4, M)
    net = linear(x.shape[1], M, penalty=nn.L2(0.2))
    descend(net, nn.MeanSquaredError(), x, y, weights if weighted else None, curvature=2, steps=600)
    w, b, _ = ridge(x, y, weights if weighted else np.ones(30), 0.2)
    np.testing.assert_allclose(net.parameters["dense_1.weight"], w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(net.parameters["dense_1.bias"], b, rtol=0, atol=1e-12)


# --- Against scikit-learn -------------------------------------------------------------------------


def logistic(rng, K, weighted):
    """Return x, labels, weights or None, and scikit-learn's tightly converged model.

    It minimizes ``C·Σₙ sₙ lossₙ + ½‖w‖²``. Divided by ``C·Σ s``, that is the mean loss and an L2
    penalty of strength ``1/(C·Σ s)``.
    """
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, z, weights = problem(rng, 60, 4, K)
    labels = (z - z.mean(axis=0)).argmax(axis=1)
    total = weights.sum() if weighted else 60.0
    theirs = linear_model.LogisticRegression(
        C=1 / (0.05 * total), solver="newton-cg", tol=1e-12, max_iter=1000
    )
    theirs.fit(x, labels, sample_weight=weights if weighted else None)
    return x, labels, weights if weighted else None, theirs


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("K", [2, 4])
def test_logistic_regression_with_l2_is_scikit_learns(K, weighted, rng):
    x, labels, weights, theirs = logistic(rng, K, weighted)
    if K == 2:
        M, loss, curvature, y = 1, nn.SigmoidCrossEntropy(), 1 / 4, labels[:, np.newaxis]
    else:
        M, loss, curvature, y = K, nn.SoftmaxCrossEntropy(), 1 / 2, labels
    net = linear(x.shape[1], M, penalty=nn.L2(0.05))

    net.parameters["dense_1.weight"][...] = theirs.coef_.T
    net.parameters["dense_1.bias"][...] = theirs.intercept_
    total, gradients = objective(net, loss, x, y, weights)
    np.testing.assert_allclose(gradients.vector, 0, atol=1e-8)
    probabilities = loss.probabilities(net.predict(x))
    np.testing.assert_allclose(probabilities[:, -1], theirs.predict_proba(x)[:, -1], rtol=1e-12)

    net.parameters.vector[:] = 0
    descend(net, loss, x, y, weights, curvature=curvature, steps=600)
    np.testing.assert_allclose(net.parameters["dense_1.weight"], theirs.coef_.T, atol=1e-8)
    np.testing.assert_allclose(net.parameters["dense_1.bias"], theirs.intercept_, atol=1e-7)
    assert objective(net, loss, x, y, weights)[0] == pytest.approx(total, rel=1e-13)
