"""Monte-Carlo prediction: reproducible samples, no side effects, and their statistics."""

import math

import numpy as np
import pytest
from small import everything, fit, network, problem
from strategies import mixed

import nnreg as nn
from nnreg.network import CHUNK_ROWS
from nnreg.prediction import SampledPredictions

SOFTMAX, SIGMOID = nn.SoftmaxCrossEntropy(), nn.SigmoidCrossEntropy()


@pytest.fixture
def net():
    net = mixed()
    net.parameters.biases[:] = 0.3
    return net


@pytest.fixture
def x(rng):
    return rng.normal(size=(7, 4))


# --- Which samples --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sample_is_a_training_pass_of_a_step_of_its_own(dtype, x):
    net = mixed(dtype)
    drawn = nn.sample_predictions(net, x, samples=3, seed=5)
    assert drawn.outputs.dtype == dtype
    for sample in range(3):
        expected, _ = net.forward(x, training=True, step=2**62 + 5 * 2**31 + sample)
        np.testing.assert_array_equal(drawn.outputs[sample], expected)


def test_the_same_call_gives_the_same_bits_and_more_samples_begin_with_them(net, x):
    few, again, many = (nn.sample_predictions(net, x, samples=n).outputs for n in (5, 5, 9))
    assert few.tobytes() == again.tobytes() == many[:5].tobytes()


def test_samples_rows_and_seeds_differ():
    net = nn.Network([nn.GaussianDropout(keep_prob=0.5), nn.Dense(3)], inputs=5)
    same = np.ones((3, 5))
    drawn = [nn.sample_predictions(net, same, samples=4, seed=seed).outputs for seed in range(3)]
    assert len(np.unique(np.concatenate(drawn).reshape(36, 3), axis=0)) == 36


def test_many_rows_at_once_are_the_samples_of_their_rows(rng):
    net = nn.Network([nn.Dropout(keep_prob=0.5), nn.Dense(1)], inputs=3, dtype="float64")
    x = rng.normal(size=(2 * CHUNK_ROWS + 5, 3))
    outputs = nn.sample_predictions(net, x, samples=2).outputs
    expected, _ = net.forward(x, training=True, step=2**62)
    np.testing.assert_allclose(outputs[0], expected, rtol=1e-13)


def test_layers_that_draw_nothing_are_in_inference_mode(x):
    class Mode(nn.Layer):
        def forward(self, x, cache):
            return x + cache.training

    net = nn.Network([Mode(), nn.Dropout(keep_prob=0.5), Mode()], inputs=4, dtype="float64")
    drawn = nn.sample_predictions(net, x, samples=2).outputs[0]
    assert ((drawn == 0) | (drawn == 2 * x)).all()
    in_training, _ = net.forward(x, training=True, step=2**62)
    np.testing.assert_allclose(in_training, drawn + 2 * (drawn != 0) + 1)


# --- What is left behind --------------------------------------------------------------------------


def test_nothing_of_the_network_changes(net, x):
    net.forward(x, training=True)
    before, predicted = everything(net), net.predict(x)
    nn.sample_predictions(net, x, samples=3)
    assert everything(net) == before
    np.testing.assert_array_equal(net.predict(x), predicted)


def test_training_goes_on_as_if_nothing_had_been_sampled():
    nets, optimizers = [network(), network()], [nn.Adam(0.01), nn.Adam(0.01)]
    for net, optimizer in zip(nets, optimizers, strict=True):
        fit(net, optimizer=optimizer)
        if net is nets[0]:
            nn.sample_predictions(net, problem()[0])
        fit(net, optimizer=optimizer)
    assert everything(nets[0], optimizers[0]) == everything(nets[1], optimizers[1])


# --- What they add up to --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nn.Dropout, nn.GaussianDropout])
def test_of_a_linear_network_mean_and_spread_are_those_of_the_formula(kind, rng):
    """``E[z] = xw + b``, exactly what is predicted; ``Var[z] = (1-p)/p Σⱼ xⱼ²wⱼ²``."""
    p, samples = 0.8, 4000
    net = nn.Network([kind(keep_prob=p), nn.Dense(2)], inputs=9, dtype="float64")
    x = rng.normal(size=(5, 9))
    drawn = nn.sample_predictions(net, x, samples=samples)
    std = np.sqrt((1 - p) / p * x**2 @ net.parameters["dense_1.weight"] ** 2)
    assert (abs(drawn.mean - net.predict(x)) < 4.5 * std / math.sqrt(samples)).all()
    np.testing.assert_allclose(drawn.std, std, rtol=4.5 / math.sqrt(2 * samples))


def test_mean_and_standard_deviation_are_over_the_samples(rng):
    outputs = rng.normal(size=(6, 4, 2))
    drawn = SampledPredictions(outputs)
    np.testing.assert_allclose(drawn.mean, outputs.sum(axis=0) / 6)
    squares = ((outputs - outputs.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(drawn.std, np.sqrt(squares / 5))


def test_without_noise_all_samples_are_the_prediction(x):
    net = nn.Network([nn.Dense(3), nn.Dropout(keep_prob=1)], inputs=4, dtype="float64")
    drawn = nn.sample_predictions(net, x, samples=4)
    np.testing.assert_array_equal(drawn.outputs, np.broadcast_to(net.predict(x), (4, 7, 3)))
    assert (drawn.mutual_information(SOFTMAX) < 1e-15).all()
    p = SOFTMAX.probabilities(net.predict(x))
    np.testing.assert_allclose(drawn.entropy(SOFTMAX), -(p * np.log(p)).sum(axis=1))


def test_entropies_by_hand():
    """Rows: sure; each sample torn between both classes; each sure of another."""
    far = 1000.0
    outputs = np.array([[[far, 0], [0, 0], [far, 0]], [[far, 0], [0, 0], [0, far]]])
    drawn = SampledPredictions(outputs)
    np.testing.assert_allclose(drawn.probabilities(SOFTMAX), [[1, 0], [0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(drawn.entropy(SOFTMAX), [0, math.log(2), math.log(2)])
    np.testing.assert_allclose(drawn.mutual_information(SOFTMAX), [0, 0, math.log(2)], atol=1e-15)


def test_yes_and_no_of_one_output_are_two_classes(rng):
    """A sigmoid's ``z`` is a softmax's ``(z, 0)``; of several outputs the doubts add up."""
    z = rng.normal(size=(6, 4, 1))
    one, two = SampledPredictions(z), SampledPredictions(np.concatenate([z, 0 * z], axis=2))
    both = SampledPredictions(np.concatenate([z, z], axis=2))
    for name in ("entropy", "mutual_information"):
        expected = getattr(two, name)(SOFTMAX)
        np.testing.assert_allclose(getattr(one, name)(SIGMOID), expected, rtol=1e-12)
        np.testing.assert_allclose(getattr(both, name)(SIGMOID), 2 * expected, rtol=1e-12)


def test_entropy_and_information_are_within_their_bounds(net, x):
    drawn = nn.sample_predictions(net, x)
    assert drawn.outputs.shape == (50, 7, 3)
    entropy, information = drawn.entropy(SOFTMAX), drawn.mutual_information(SOFTMAX)
    assert (information > 0).all()
    assert (information < entropy).all()
    assert (entropy <= math.log(3)).all()


def test_far_from_the_data_the_spread_is_larger():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (80, 1))
    layers = [nn.Dense(64), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(1)]
    net = nn.Network(layers, inputs=1)
    options = {"loss": nn.MeanSquaredError(), "optimizer": nn.Adam(0.01), "epochs": 60}
    nn.fit(net, x, np.sin(3 * x), batch_size=16, **options)
    near, far = nn.sample_predictions(net, [[0.5], [4.0]]).std[:, 0]
    assert far > 3 * near


# --- Argument validation --------------------------------------------------------------------------


def test_a_network_that_draws_nothing_is_refused():
    net = nn.Network([nn.Dense(1)], inputs=1)
    with pytest.raises(ValueError, match="must have a stochastic layer, such as Dropout"):
        nn.sample_predictions(net, [[1.0]])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"net": None}, TypeError, "net must be a Network, got None"),
        ({"x": np.ones((2, 3))}, ValueError, r"x must have shape \(N, 4\)"),
        ({"x": [[1.0, 2.0, 3.0, math.nan]]}, ValueError, "x must be finite"),
        ({"samples": 1}, ValueError, "samples must be a whole number from 2"),
        ({"seed": -1}, ValueError, "seed must be a whole number from 0 to 2147483647"),
        ({"seed": 2**31}, ValueError, "seed must be"),
        ({"seed": 0.5}, TypeError, "seed must be"),
    ],
)
def test_what_does_not_fit_is_named(arguments, error, words, net, x):
    with pytest.raises(error, match=words):
        nn.sample_predictions(**({"net": net, "x": x} | arguments))


def test_a_loss_without_probabilities_says_so(net, x):
    drawn = nn.sample_predictions(net, x, samples=2)
    with pytest.raises(TypeError, match="MeanSquaredError predicts no probabilities"):
        drawn.entropy(nn.MeanSquaredError())
    with pytest.raises(TypeError, match="loss must be a Loss"):
        drawn.probabilities("softmax")
