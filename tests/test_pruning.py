"""Pruning and sparse prediction: smaller, and the same outputs."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import everything

import nnreg as nn
from nnreg.lab import SparsePredictor, prune

ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softplus]


def network(widths, activation=nn.Tanh, dtype="float64", seed=0, **options):
    layers = [nn.Dropout(keep_prob=0.9)]
    for units in widths[1:-1]:
        layers += [nn.Dense(units, **options), activation(), nn.Dropout(keep_prob=0.5)]
    net = nn.Network(
        [*layers, nn.Dense(widths[-1], **options)], inputs=widths[0], seed=seed, dtype=dtype
    )
    rng = np.random.default_rng(seed)
    net.parameters.biases[...] = rng.normal(size=net.parameters.biases.size)
    return net


@st.composite
def pruned_networks(draw, dtype):
    """A network of which single weights, and whole rows and columns, are zero."""
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=5))
    net = network(
        widths,
        draw(st.sampled_from(ACTIVATIONS)),
        dtype,
        draw(st.integers(0, 99)),
        bias=draw(st.booleans()),
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    share = draw(st.sampled_from([0.1, 0.5, 0.9, 1.0]))
    for layer in net.layers:
        if isinstance(layer, nn.Dense):
            layer.weight[rng.random(layer.weight.shape) < share] = 0.0
            layer.weight[rng.random(len(layer.weight)) < 0.3] = 0.0
            layer.weight[:, rng.random(layer.units) < 0.3] = 0.0
    return net


class TestPrune:
    @pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
    @given(data=st.data())
    def test_the_outputs_are_the_same(self, data, dtype, tolerance):
        net = data.draw(pruned_networks(dtype))
        x = np.random.default_rng(0).normal(size=(20, net.inputs))
        expected = net.predict(x)
        error = abs(prune(net).predict(x) - expected).max()
        assert error <= tolerance * max(1.0, abs(expected).max())

    @given(net=pruned_networks("float64"))
    def test_a_pruned_network_cannot_be_pruned_further(self, net):
        once = prune(net)
        assert prune(once.network).network.widths == once.network.widths

    @given(net=pruned_networks("float64"))
    def test_every_unit_left_is_read_and_every_one_varies(self, net):
        dense = [layer for layer in prune(net).network.layers if isinstance(layer, nn.Dense)]
        for lower, upper in pairwise(dense):
            if lower.units > 1:
                assert (upper.weight != 0).any(axis=1).all()
                assert (lower.weight != 0).any(axis=0).all()

    def test_a_constant_unit_goes_into_the_next_bias(self):
        net = network([1, 2, 1])
        net.parameters["dense_1.weight"][0] = 0.0, 1.0
        net.parameters["dense_1.bias"][:] = 0.5, 0.0
        net.parameters["dense_2.weight"][:, 0] = 2.0, 3.0
        net.parameters["dense_2.bias"][0] = 0.25
        small = prune(net).network
        assert small.widths[-1] == 1
        assert small.parameters["dense_1.weight"].tolist() == [[1.0]]
        assert small.parameters["dense_2.bias"].tolist() == [0.25 + 2.0 * np.tanh(0.5)]

    def test_constants_travel_through_several_layers(self):
        net = network([3, 4, 4, 4, 2])
        net.parameters["dense_1.weight"][...] = 0.0
        result = prune(net)
        assert set(result.network.widths[:-1]) == {1}
        x = np.random.default_rng(0).normal(size=(3, 3))
        assert abs(result.predict(x) - net.predict(x)).max() < 1e-14

    def test_a_layer_without_a_bias_gets_one_only_for_a_constant(self):
        net = network([2, 3, 1], nn.Sigmoid, bias=False)
        assert not any(name.endswith("bias") for name in prune(net).network.parameters)
        net.parameters["dense_1.weight"][:, 0] = 0.0  # sigmoid(0) = 1/2
        result = prune(net)
        weight = net.parameters["dense_2.weight"][0, 0]
        assert result.network.parameters["dense_2.bias"].tolist() == [weight / 2]

    def test_it_names_the_inputs_that_are_read_and_leaves_the_network_as_it_is(self):
        net = network([5, 3, 2])
        net.parameters["dense_1.weight"][[0, 3]] = 0.0
        before = everything(net)
        result = prune(net)
        assert result.inputs.tolist() == [1, 2, 4]
        assert everything(net) == before
        with pytest.raises(ValueError, match=r"x must have shape \(N, 5\)"):
            result.predict(np.zeros((1, 4)))

    def test_what_a_network_carries_is_carried_on(self):
        net = nn.Network(
            [nn.Dense(3, initializer=nn.ones, penalty=nn.L2(0.5)), nn.ReLU(), nn.Dense(2)],
            inputs=4,
            penalty=nn.L1(0.25, method="proximal"),
            seed=7,
        )
        net.steps, net.epochs = 30, 4
        small = prune(net).network
        assert (small.seed, small.steps, small.epochs) == (7, 30, 4)
        assert small.initializers == net.initializers
        assert small.layers[0].initializer is nn.ones
        assert small.penalty_value() == net.penalty_value()
        assert small.penalty is not net.penalty

    def test_an_initializer_that_knows_only_the_old_shape_is_no_hindrance(self):
        values = np.array([[1.0, 0.0], [0.0, 0.0]])
        net = nn.Network([nn.Dense(2, initializer=lambda *_: values), nn.Dense(1)], inputs=2)
        assert prune(net).network.inputs == 1


class TestSparsePredictor:
    @pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
    @given(data=st.data())
    def test_the_outputs_are_the_same(self, data, dtype, tolerance):
        net = data.draw(pruned_networks(dtype))
        x = np.random.default_rng(0).normal(size=(300, net.inputs))  # more than one piece
        expected, result = net.predict(x), SparsePredictor(net).predict(x)
        assert result.dtype == net.dtype
        assert abs(result - expected).max() <= tolerance * max(1.0, abs(expected).max())

    def test_only_non_zeros_are_stored(self):
        net = network([30, 20, 10])
        net.parameters.weights[::2] = 0.0
        predictor = SparsePredictor(net)
        assert predictor.nonzeros == np.count_nonzero(net.parameters.weights)
        assert predictor.nbytes < 0.85 * net.parameters.vector.nbytes

    def test_it_does_not_follow_later_training_and_refuses_values_that_are_not_finite(self):
        net = network([3, 4, 2])
        x = np.ones((1, 3))
        predictor = SparsePredictor(net)
        before = predictor.predict(x)
        net.parameters.vector[...] = 0.0
        assert (predictor.predict(x) == before).all()
        with pytest.raises(ValueError, match="x must be finite"):
            predictor.predict(np.nan * x)


@pytest.mark.parametrize("make", [prune, SparsePredictor])
def test_a_copy_predicts_the_same(make):
    net = network([3, 4, 2])
    net.parameters.weights[::2] = 0.0
    x = np.ones((2, 3))
    original = make(net)
    for duplicate in (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        np.testing.assert_array_equal(duplicate(original).predict(x), original.predict(x))


class Flip(nn.Layer):
    def forward(self, x, cache):
        return x[:, ::-1]


@pytest.mark.parametrize("entry", [prune, SparsePredictor])
@pytest.mark.parametrize(
    ("net", "error", "message"),
    [
        (nn.Network([nn.Dense(2), Flip()], inputs=1), TypeError, "got flip_1"),
        (nn.Network([nn.ReLU()], inputs=1), ValueError, "net must have a Dense layer"),
        (None, TypeError, "net must be a Network, got None"),
    ],
)
def test_other_networks_are_refused(entry, net, error, message):
    with pytest.raises(error, match=message):
        entry(net)
