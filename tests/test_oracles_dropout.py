"""Dropout: averages over all masks, compared with their closed forms.

The layers run as they are. Only where they would read random bits, they are handed bits that go
through all cases, and each case has its probability as the weight of its rows.
"""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from strategies import for_all_bits, replayed

import nnreg as nn
from nnreg.kernels import keep_threshold

KEEP_PROBS = [0.5, 0.25, 0.8, 0.9]


def kept_share(keep_prob):
    """Return the p that a layer works with: the nearest multiple of 1/65536."""
    return keep_threshold(keep_prob) / 65536


def every_mask(d, keep_prob):
    """Return bits (2^d, d) that keep and drop d units in every way, and each way's probability."""
    p = kept_share(keep_prob)
    kept = np.array(list(product([True, False], repeat=d)))
    return np.where(kept, 0, 65535).astype(np.uint16), np.where(kept, p, 1 - p).prod(axis=1)


def averaged(net, loss, x, y, *, d, keep_prob):
    """Return the loss and its gradient, averaged over the 2^d masks of the network's d units.

    Rows are independent, so it is enough that each row meets each mask.
    """
    bits, probabilities = every_mask(d, keep_prob)
    n = len(probabilities)
    outputs, cache = replayed(net, np.repeat(x, n, axis=0), np.tile(bits, (len(x), 1)))
    weights = np.tile(probabilities, len(x))
    value, doutputs = loss(outputs, np.repeat(y, n, axis=0), weights)
    return value, net.backward(doutputs, cache)


def network(layers, inputs, rng):
    net = nn.Network(layers, inputs=inputs, dtype="float64")
    net.parameters.vector[:] = rng.normal(size=net.parameters.vector.size)
    return net


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


# --- The layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1, 2, 3, 1000, 32767, 32768, 43691, 52429, 58982, 65534, 65535])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_expectation_over_all_values_of_the_16_bits_is_1(t, dtype):
    """Exactly t of them keep the unit and scale it by 65536/t; only that is rounded."""
    outputs = for_all_bits(nn.Dropout(keep_prob=t / 65536), dtype)
    assert np.count_nonzero(outputs) == t
    (scale,) = set(outputs[outputs != 0].tolist())
    assert abs(Fraction(scale) * t / 65536 - 1) <= Fraction(float(np.finfo(dtype).eps)) / 2


@pytest.mark.parametrize("t", [2**k for k in range(17)])
def test_the_expectation_is_exactly_1_where_the_scale_is_a_number_of_the_machine(t):
    assert for_all_bits(nn.Dropout(keep_prob=t / 65536)).mean() == 1.0


@pytest.mark.parametrize("keep_prob", KEEP_PROBS)
def test_the_variance_over_all_values_of_the_16_bits_is_that_of_the_formula(keep_prob):
    p = kept_share(keep_prob)
    close(for_all_bits(nn.Dropout(keep_prob=keep_prob)).var(), (1 - p) / p)


def test_every_threshold_keeps_what_is_below_it_and_scales_it():
    net = nn.Network([nn.Dropout()], inputs=2, dtype="float64")
    for t in range(1, 65536, 23):
        net.layers[0].keep_prob = t / 65536
        outputs, _ = replayed(net, np.ones((1, 2)), np.array([[t - 1, t]], np.uint16))
        assert outputs.tolist() == [[65536 / t, 0.0]]


# --- Linear regression: dropout is ridge ----------------------------------------------------------


class GramRidge(nn.Penalty):
    """``(1-p)/p · Σⱼ γⱼ² wⱼ²/(N·M)``, with ``γⱼ² = Σₙ xₙⱼ²``: the diagonal of the Gram matrix."""

    def __init__(self, x, M, keep_prob):
        p = kept_share(keep_prob)
        self.factor = (1 - p) / p * (x**2).sum(axis=0)[:, np.newaxis] / (len(x) * M)

    def value(self, w):
        return (self.factor * w**2).sum()

    def gradient(self, w, out):
        out[...] = 2 * self.factor * w


@pytest.mark.parametrize("keep_prob", KEEP_PROBS)
@pytest.mark.parametrize("M", [1, 3])
def test_dropout_on_the_inputs_of_linear_regression_is_a_ridge_penalty(keep_prob, M, rng):
    """Srivastava et al. (2014), section 9.1, with ``w/p`` for their ``w``; p is the rounded one."""
    x, y, loss = rng.normal(size=(5, 6)), rng.normal(size=(5, M)), nn.MeanSquaredError()
    dropped = network([nn.Dropout(keep_prob=keep_prob), nn.Dense(M)], 6, rng)
    value, gradients = averaged(dropped, loss, x, y, d=6, keep_prob=keep_prob)

    ridge = network([nn.Dense(M, penalty=GramRidge(x, M, keep_prob))], 6, rng)
    ridge.parameters.vector[:] = dropped.parameters.vector
    outputs, cache = ridge.forward(x, training=True)
    data_loss, doutputs = loss(outputs, y)
    expected = ridge.backward(doutputs, cache)
    ridge.add_penalty_gradient(expected)
    close(value, data_loss + ridge.penalty_value())
    close(gradients.vector, expected.vector)

    p = kept_share(keep_prob)
    w = dropped.parameters["dense_1.weight"] / p
    residual = y - p * x @ w - dropped.parameters["dense_1.bias"]
    gram = np.diag(x.T @ x)[:, np.newaxis]
    close(value, ((residual**2).sum() + p * (1 - p) * (gram * w**2).sum()) / (5 * M))


@pytest.mark.parametrize("keep_prob", KEEP_PROBS)
def test_ridge_with_the_diagonal_of_the_gram_matrix_is_where_dropout_comes_to_rest(keep_prob, rng):
    """``(XᵀX + (1-p)/p·diag(XᵀX)) w = Xᵀy``, with a column of ones, never dropped, for b."""
    x, y, p = rng.normal(size=(8, 6)), rng.normal(size=(8, 1)), kept_share(keep_prob)
    ones = np.column_stack([x, np.ones(8)])
    penalty = np.diag(np.append((1 - p) / p * (x**2).sum(axis=0), 0))
    net = network([nn.Dropout(keep_prob=keep_prob), nn.Dense(1)], 6, rng)
    net.parameters.vector[:] = np.linalg.solve(ones.T @ ones + penalty, ones.T @ y)[:, 0]
    _, gradients = averaged(net, nn.MeanSquaredError(), x, y, d=6, keep_prob=keep_prob)
    np.testing.assert_allclose(gradients.vector, 0, atol=1e-12)


@pytest.mark.parametrize("keep_prob", KEEP_PROBS)
def test_dropout_between_linear_layers_penalizes_what_the_first_puts_out(keep_prob, rng):
    """``‖y - hw - b‖² + (1-p)/p·Σ h²w²`` over ``N·M``, with ``h = xv + a``, and its derivatives."""
    x, y, p = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), kept_share(keep_prob)
    net = network([nn.Dense(5), nn.Dropout(keep_prob=keep_prob), nn.Dense(2)], 3, rng)
    value, gradients = averaged(net, nn.MeanSquaredError(), x, y, d=5, keep_prob=keep_prob)

    v, a, w, b = (net.parameters[name] for name in net.parameters)
    h = x @ v + a
    dz = 2 * (h @ w + b - y) / 8
    spread = 2 * (1 - p) / p / 8
    dh = dz @ w.T + spread * h * (w**2).sum(axis=1)
    close(value, (2 * (dz**2).sum() + spread / 2 * (h**2 @ w**2).sum()))
    close(gradients["dense_2.weight"], h.T @ dz + spread * (h**2).sum(axis=0)[:, np.newaxis] * w)
    close(gradients["dense_2.bias"], dz.sum(axis=0))
    close(gradients["dense_1.weight"], x.T @ dh)
    close(gradients["dense_1.bias"], dh.sum(axis=0))


# --- One softmax layer: inference is the geometric mean -------------------------------------------


@pytest.mark.parametrize("hidden", [False, True], ids=["inputs", "hidden units"])
@pytest.mark.parametrize("keep_prob", KEEP_PROBS)
def test_a_softmax_layer_predicts_the_geometric_mean_over_all_masks(keep_prob, hidden, rng):
    """Renormalized, and weighted by the masks' probabilities, which are all equal at p = ½.

    Exact for one such layer (Hinton et al., 2012), since the logarithm of the softmax is linear but
    for what normalizes it. The arithmetic mean is something else.
    """
    x, loss = rng.normal(size=(1, 8)), nn.SoftmaxCrossEntropy()
    below = [nn.Dense(8), nn.Tanh()] if hidden else []
    net = network([*below, nn.Dropout(keep_prob=keep_prob), nn.Dense(4)], 8, rng)
    bits, share = every_mask(8, keep_prob)
    outputs, _ = replayed(net, np.repeat(x, 256, axis=0), bits)
    p = loss.probabilities(outputs)
    geometric = np.exp(share @ np.log(p))
    predicted = loss.probabilities(net.predict(x))[0]
    close(geometric / geometric.sum(), predicted)
    assert abs(share @ p - predicted).max() > 1e-3
