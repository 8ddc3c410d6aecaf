"""The network: the training loop by hand, forward and backward, training mode, caches, counters."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small import Centred
from strategies import LOSSES, mixed, slopes, targets_for

import nnreg as nn
from nnreg.network import CHUNK_ROWS

losses = pytest.mark.parametrize("name", LOSSES)


def data_gradient(net, x, y, loss, **options):
    """Return the gradient of the data loss, as a vector of its own."""
    outputs, cache = net.forward(x, training=True, **options)
    return net.backward(loss(outputs, y)[1], cache).vector.copy()


# --- The taught loop ------------------------------------------------------------------------------


def test_the_taught_loop_runs_as_printed_and_learns():
    (x, y), (x_test, y_test) = nn.datasets.load_digits()
    net = nn.Network(
        [nn.Dense(64), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(10)],
        inputs=64, penalty=nn.L2(1e-4), seed=0,
    )  # fmt: skip
    loss = nn.SoftmaxCrossEntropy()
    optimizer = nn.Adam(1e-3)

    for epoch in range(20):  # noqa: B007  (as printed)
        for batch in nn.batches(len(x), 32, net):  # row numbers, shuffled by (seed, epoch)
            outputs, cache = net.forward(x[batch], training=True)
            data_loss, doutputs = loss(outputs, y[batch])
            gradients = net.backward(doutputs, cache)  # of the data loss alone
            net.add_penalty_gradient(gradients)  # weights only
            optimizer.update(net.parameters, gradients)
            net.apply_proximal(optimizer.step_size)  # nothing, unless a penalty is proximal
        total = data_loss + net.penalty_value()

    assert epoch == 19
    assert total > data_loss
    assert net.epochs == 20
    assert net.steps == optimizer.steps == 20 * -(-len(x) // 32)
    assert (loss.classes(net.predict(x_test)) == y_test).mean() > 0.9


# --- Forward and backward -------------------------------------------------------------------------


@losses
def test_the_whole_gradient_equals_the_difference_quotient_with_masks_frozen(name, rng):
    net, loss = mixed(), LOSSES[name]()
    x, y = rng.normal(size=(5, 4)), targets_for(name, rng, 5, 3)
    gradient = data_gradient(net, x, y, loss, step=7)

    def value(vector):
        net.parameters.vector[:] = vector
        return loss(net.forward(x, training=True, step=7)[0], y)[0]

    expected = slopes(value, net.parameters.vector.copy())
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-8)


def test_outputs_are_the_layers_one_after_the_other(rng):
    net = nn.Network([nn.Dense(3), nn.Tanh(), nn.Dense(2)], inputs=4, dtype="float64")
    x, p = rng.normal(size=(5, 4)), net.parameters
    hidden = np.tanh(x @ p["dense_1.weight"] + p["dense_1.bias"])
    np.testing.assert_allclose(
        net.predict(x), hidden @ p["dense_2.weight"] + p["dense_2.bias"], rtol=1e-14
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_data_of_any_number_type_become_the_networks(dtype, given, rng):
    net = mixed(dtype)
    x = rng.integers(0, 2, (5, 4)).astype(given)
    outputs, cache = net.forward(x, training=True)
    assert outputs.dtype == net.backward(np.ones((5, 3)), cache).vector.dtype == dtype
    assert net.predict(x).dtype == dtype


def test_prediction_is_the_inference_pass_of_all_rows(rng):
    net = mixed()
    x = rng.normal(size=(2500, 4))
    np.testing.assert_allclose(net.predict(x), net.forward(x)[0], rtol=1e-12, atol=1e-14)


def test_prediction_goes_through_the_rows_in_parts_in_inference_mode():
    class Watched(nn.Tanh):
        def forward(self, x, cache):
            seen.append((len(x), cache.training))
            return super().forward(x, cache)

    seen = []
    nn.Network([Watched()], inputs=2).predict(np.zeros((2 * CHUNK_ROWS + 5, 2)))
    assert seen == [(CHUNK_ROWS, False), (CHUNK_ROWS, False), (5, False)]


def test_the_first_layers_input_gradient_is_never_formed(rng):
    class Unasked(nn.Dense):
        def backward(self, dy, cache):
            raise AssertionError("this derivative is not needed")

    class UnaskedDropout(nn.Dropout):
        def backward(self, dy, cache):
            raise AssertionError("this derivative is not needed")

    net = nn.Network([UnaskedDropout(keep_prob=0.5), Unasked(3), nn.ReLU(), nn.Dense(2)], inputs=4)
    _, cache = net.forward(rng.normal(size=(5, 4)), training=True)
    assert net.backward(np.ones((5, 2)), cache)["unasked_1.weight"].any()


def test_the_derivative_by_the_inputs_is_computed_on_request(rng):
    net = mixed()
    x, dy = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    _, cache = net.forward(x, training=True, step=7)
    dx = net.run_backward(dy, cache, inputs=True)
    expected = slopes(lambda x: (dy * net.forward(x, training=True, step=7)[0]).sum(), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-8)


def test_a_backward_pass_starts_anew_and_adds_to_nothing(rng):
    net = mixed()
    _, cache = net.forward(rng.normal(size=(5, 4)), training=True)
    first = net.backward(np.ones((5, 3)), cache).vector.copy()
    np.testing.assert_array_equal(net.backward(np.ones((5, 3)), cache).vector, first)


def test_a_network_without_parameters_has_an_empty_gradient():
    net = nn.Network([nn.Tanh()], inputs=2)
    _, cache = net.forward([[1.0, 2.0]], training=True)
    assert net.backward([[1.0, 1.0]], cache).vector.size == 0


# --- Training mode, caches and counters -----------------------------------------------------------


def test_steps_count_training_passes_and_nothing_else(rng):
    net, x = mixed(), rng.normal(size=(5, 4))
    for _ in range(3):
        net.forward(x, training=True)
    net.forward(x)
    net.predict(x)
    assert (net.steps, net.epochs) == (3, 0)


def test_each_training_pass_has_masks_of_its_own_which_its_number_brings_back(rng):
    net, x = mixed(), rng.normal(size=(5, 4))
    passes = [net.forward(x, training=True)[0].copy() for _ in range(3)]
    assert (passes[0] != passes[1]).any()
    assert (passes[1] != passes[2]).any()
    for step, outputs in enumerate(passes):
        np.testing.assert_array_equal(net.forward(x, training=True, step=step)[0], outputs)


def test_part_of_a_batch_has_the_masks_of_its_rows_and_every_cache_knows_which(rng):
    net, x, cache = mixed(), rng.normal(size=(5, 4)), nn.Cache("float64")
    whole = net.forward(x, training=True, step=0)[0]
    np.testing.assert_array_equal(net.run_forward(x, cache, training=True), whole)
    part = net.run_forward(x[2:], cache, training=True, first_row=2)
    np.testing.assert_allclose(part, whole[2:], rtol=1e-12)
    net.run_forward(x[3:], cache, training=True, step=7, first_row=3)
    for part in (cache, *cache.layers.values()):
        assert (part.training, part.step, part.first_row) == (True, 7, 3)


def test_a_replay_leaves_no_trace(rng):
    net, other, x = mixed(), mixed(), rng.normal(size=(5, 4))
    for _ in range(3):
        net.forward(x, training=True, step=11)
    assert net.steps == 0
    np.testing.assert_array_equal(
        net.forward(x, training=True)[0], other.forward(x, training=True)[0]
    )


@pytest.mark.parametrize("inference", ["fresh", "after a training pass"])
def test_backward_on_the_cache_of_an_inference_pass_is_an_error(inference, rng):
    net, x = mixed(), rng.normal(size=(5, 4))
    cache = net.forward(x, training=True)[1] if inference == "after a training pass" else None
    _, cache = net.forward(x, cache=cache)
    with pytest.raises(ValueError, match=r"net.forward\(x, training=True\)"):
        net.backward(np.ones((5, 3)), cache)


def test_a_cache_given_again_changes_no_number_and_is_overwritten(rng):
    net, loss = mixed(), nn.MeanSquaredError()
    cache = None
    for step, rows in enumerate([5, 7, 3, 7]):
        x, y = rng.normal(size=(rows, 4)), rng.normal(size=(rows, 3))
        expected = data_gradient(net, x, y, loss, step=step)
        outputs, cache = net.forward(x, training=True, step=step, cache=cache)
        np.testing.assert_array_equal(net.backward(loss(outputs, y)[1], cache).vector, expected)
    again, _ = net.forward(x, training=True, cache=cache)
    assert np.shares_memory(again, outputs)


def test_two_threads_with_two_caches_may_run_one_network_at_once(rng):
    net, loss = mixed(), nn.MeanSquaredError()
    batches = [(rng.normal(size=(64, 4)), rng.normal(size=(64, 3))) for _ in range(40)]
    expected = [data_gradient(net, x, y, loss, step=step) for step, (x, y) in enumerate(batches)]

    def work(first):
        cache, gradients = None, []
        for step in range(first, 40, 2):
            x, y = batches[step]
            outputs, cache = net.forward(x, training=True, step=step, cache=cache)
            gradients.append(net.backward(loss(outputs, y)[1], cache).vector.copy())
        return gradients

    with ThreadPoolExecutor(2) as pool:
        for first, gradients in enumerate(pool.map(work, (0, 1))):
            np.testing.assert_array_equal(gradients, expected[first::2])


def test_values_given_to_a_layers_parameter_go_into_the_networks_vector():
    net = nn.Network([nn.Dense(2)], inputs=2)
    net.layers[0].weight = np.full((2, 2), 3.0)
    net.layers[0].bias += 1
    assert net.parameters.vector.tolist() == [3, 3, 3, 3, 1, 1]


def test_a_layer_that_returns_nothing_is_named():
    class Silent(nn.Layer):
        def forward(self, x, cache):
            x * 2

    with pytest.raises(TypeError, match=r"silent_1.forward must return an array, got None"):
        nn.Network([Silent()], inputs=2).predict(np.ones((1, 2)))


@pytest.mark.parametrize("rows", [1, CHUNK_ROWS + 476])
def test_rows_that_depend_on_each_other_are_never_cut(rows):
    net = nn.Network([nn.Dropout(keep_prob=0.5), Centred()], inputs=1, dtype="float64")
    x = np.arange(float(rows))[:, np.newaxis]
    np.testing.assert_array_equal(net.predict(x), net.forward(x)[0])
    sampled = nn.sample_predictions(net, x, samples=2).outputs
    np.testing.assert_allclose(sampled.mean(axis=1), 0, atol=1e-9)


def test_the_callers_array_is_never_returned():
    net, x = nn.Network([nn.Dropout(keep_prob=0.5)], inputs=2), np.ones((3, 2), np.float32)
    for outputs in (net.forward(x)[0], net.predict(x)):
        assert not np.shares_memory(outputs, x)


def test_steps_of_several_threads_are_each_counted_once():
    net = nn.Network([nn.Tanh()], inputs=1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(8) as pool:
        steps = list(pool.map(lambda _: net.begin_step(), range(4000)))
    sys.setswitchinterval(interval)
    assert sorted(steps) == list(range(net.steps)) == list(range(4000))


@pytest.mark.parametrize("name", ["steps", "epochs", "seed"])
@pytest.mark.parametrize("value", [-1, 2.5, "x", None, True])
def test_a_counter_of_another_kind_is_an_error(name, value):
    net = mixed()
    with pytest.raises((TypeError, ValueError), match=f"{name} must be a whole number"):
        setattr(net, name, value)


def test_another_seed_draws_other_masks_and_a_copy_draws_the_same():
    net, x = nn.Network([nn.Dropout(keep_prob=0.5)], inputs=99), np.ones((1, 99))
    first, cache = net.forward(x, training=True, step=0)
    first, net.seed = first.copy(), 5
    second = net.forward(x, training=True, step=0, cache=cache)[0]
    assert (first != second).any()
    np.testing.assert_array_equal(net.copy().forward(x, training=True, step=0)[0], second)


@pytest.mark.parametrize("name", ["parameters", "layers", "regularization", "dtype"])
def test_an_attribute_with_views_elsewhere_cannot_be_replaced(name):
    net, other = mixed(), mixed()
    with pytest.raises(AttributeError, match=f"net.{name} cannot be replaced"):
        setattr(net, name, getattr(other, name))


@pytest.mark.parametrize("training", ["false", 1, None])
def test_training_is_true_or_false(training):
    with pytest.raises(TypeError, match="training must be True or False"):
        mixed().forward(np.ones((1, 4)), training=training)


def test_a_prediction_of_few_rows_is_not_overwritten_by_the_next_one():
    net = nn.Network([nn.Dense(3), nn.ReLU(), nn.Dense(2)], inputs=4, seed=0)
    outputs = [net.predict(np.full((rows, 4), rows)) for rows in (2, 1, 2)]
    np.testing.assert_array_equal(outputs[0], outputs[2])
    assert not np.shares_memory(outputs[0], outputs[2])
    assert net.copy("float64").predict(np.ones((1, 4))).dtype == "float64"
