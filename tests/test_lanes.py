"""Lanes: a step shared between threads is the same step, to rounding."""

import threading

import numpy as np
import pytest

import nnreg as nn
from nnreg.cache import Cache
from nnreg.training.lanes import WORTHWHILE, Crew, LaneCache, join, split
from nnreg.training.step import TrainingStep

OPTIMIZERS = {
    "SGD": lambda: nn.SGD(0.1),
    "momentum": lambda: nn.SGD(0.05, momentum=0.9),
    "nesterov": lambda: nn.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": nn.RMSprop,
    "Adam": nn.Adam,
    "AdamW": nn.AdamW,
}
PENALTIES = {
    "none": lambda: None,
    "L2": lambda: nn.L2(1e-3),
    "elastic net": lambda: nn.ElasticNet(1e-3, 1e-3),
    "proximal L1": lambda: nn.L1(1e-3, method="proximal"),
}
ROWS = 40
X = np.random.default_rng(0).standard_normal((ROWS, 60))
Y = np.random.default_rng(1).integers(0, 5, ROWS)


def trained(lanes, *, optimizer=nn.Adam, penalty=None, steps=3, layers=None, weights=None, rows=37):
    """Train on odd numbers of rows, with more parameters than are updated at once."""
    layers = layers or [nn.Dense(700), nn.ReLU(), nn.Dropout(keep_prob=0.5), nn.Dense(5)]
    net = nn.Network(layers, inputs=60, penalty=penalty, dtype="float64")
    with TrainingStep(net, nn.SoftmaxCrossEntropy(), optimizer(), lanes=lanes) as step:
        losses = [
            step(X, Y, np.random.default_rng(i).permutation(ROWS)[:rows], weights)
            for i in range(steps)
        ]
    return net, losses, step


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
    vector = ours[0].parameters.vector, theirs[0].parameters.vector
    np.testing.assert_allclose(*vector, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("lanes", [2, 3])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_lanes_train_the_network_that_one_lane_trains(lanes, penalty, optimizer):
    one, many = (
        trained(n, optimizer=OPTIMIZERS[optimizer], penalty=PENALTIES[penalty]())
        for n in (1, lanes)
    )
    assert one[2].crew.size == 1
    assert many[2].crew.size == lanes
    assert_same(many, one)


def test_the_same_lanes_give_the_same_bits():
    first, second = (trained(2)[0].parameters.vector for _ in range(2))
    assert (first == second).all()


def test_masks_do_not_depend_on_the_lanes():
    masks = []
    for lanes in (1, 2, 3):
        _, _, step = trained(lanes)
        parts = step.lanes if lanes > 1 else [step.cache]
        masks.append(np.concatenate([part["dropout_1"].mask for part in parts]))
    assert (masks[0] == masks[1]).all()
    assert (masks[0] == masks[2]).all()


def test_row_weights_are_averaged_over_the_whole_batch():
    weights = np.random.default_rng(2).random(ROWS)
    weights[:20] = 0
    assert_same(trained(2, weights=weights), trained(1, weights=weights))


def test_after_the_lanes_have_met_the_whole_batch_is_there_without_a_copy():
    _, _, step = trained(2)
    whole = step.cache["dense_2"]
    assert whole.x.shape == (37, 700)
    assert np.shares_memory(whole.x, step.lanes[1]["dense_2"].x)
    assert (whole.x[18:] == step.lanes[1]["dense_2"].x).all()


class OwnArrays(nn.Layer):
    """Keeps an array that the cache did not give, and something that is no array of rows."""

    def forward(self, x, cache):
        cache.x = x.copy()
        cache.note = "the same in every lane"
        return cache.x * self.factor

    def parameters(self, inputs):
        return {"factor": nn.Parameter((inputs,), nn.ones, weight=False)}

    def backward(self, dy, cache):
        return dy * self.factor

    def gradient(self, dy, cache, gradients):
        assert cache.note == "the same in every lane"
        gradients["factor"][...] = (dy * cache.x).sum(axis=0)


def test_a_layer_of_ones_own_need_not_know_of_lanes():
    one, two = (
        trained(n, layers=[nn.Dense(700), OwnArrays(), nn.Tanh(), nn.Dense(5)]) for n in (1, 2)
    )
    assert_same(two, one)


class RowSums(nn.Penalty):
    """Wants to see a whole weight array."""

    def value(self, w):
        return (w.sum(axis=0) ** 2).sum()

    def gradient(self, w, out):
        out[...] = 2 * w.sum(axis=0)


def test_a_penalty_that_needs_the_whole_array_gets_it():
    assert_same(trained(2, penalty=RowSums()), trained(1, penalty=RowSums()))


class RowGroups(nn.Penalty):
    """Shrinks whole rows, so its proximal map needs all of a row, updated."""

    method = "proximal"

    def value(self, w):
        return np.linalg.norm(w, axis=1).sum()

    def gradient(self, w, out):
        out[...] = 0

    def proximal(self, w, step, out):
        length = np.linalg.norm(w, axis=1, keepdims=True)
        out[...] = w * np.maximum(0, 1 - 0.05 * np.mean(step) / np.maximum(length, 1e-12))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_proximal_map_that_needs_the_whole_array_comes_when_all_of_it_is_updated(optimizer):
    net, _, _ = trained(1, optimizer=OPTIMIZERS[optimizer], penalty=RowGroups())
    layers = [nn.Dense(700), nn.ReLU(), nn.Dropout(keep_prob=0.5), nn.Dense(5)]
    taught = nn.Network(layers, inputs=60, penalty=RowGroups(), dtype="float64")
    rule, loss = OPTIMIZERS[optimizer](), nn.SoftmaxCrossEntropy()
    for i in range(3):
        rows = np.random.default_rng(i).permutation(ROWS)[:37]
        outputs, cache = taught.forward(X[rows], training=True)
        gradients = taught.backward(loss(outputs, Y[rows])[1], cache)
        rule.update(taught.parameters, gradients)
        taught.apply_proximal(rule.step_size)
    assert (net.parameters.vector == taught.parameters.vector).all()


def test_what_is_no_rows_and_differs_between_lanes_is_refused():
    class KeepsASum(OwnArrays):
        def backward(self, dy, cache):
            cache.total = (dy * cache.x).sum(axis=0)
            return dy * self.factor

    with pytest.raises(ValueError, match="keepsasum_1 keeps 'total', which is not rows"):
        trained(2, layers=[nn.Dense(700), KeepsASum(), nn.Tanh(), nn.Dense(5)])


def test_a_layer_whose_rows_depend_on_each_other_is_not_split():
    class Centred(nn.Layer):
        independent_rows = False

        def forward(self, x, cache):
            return x - x.mean(axis=0)

        def backward(self, dy, cache):
            return dy - dy.mean(axis=0)

    one, two = (trained(n, layers=[nn.Dense(700), Centred(), nn.Dense(5)]) for n in (1, 2))
    assert two[2].crew.size == 1
    assert (two[0].parameters.vector == one[0].parameters.vector).all()


def test_a_loss_that_cannot_be_split_is_not():
    class Own(nn.Loss):
        def __call__(self, outputs, targets):
            return (outputs**2).sum(), 2 * outputs

    net = nn.Network([nn.Dense(3)], inputs=60)
    with TrainingStep(net, Own(), nn.SGD(0.1), lanes=2) as step:
        assert step.crew.size == 1


def test_a_batch_of_few_rows_goes_in_one_lane():
    assert_same(trained(2, rows=3), trained(1, rows=3))


# --- The crew


def test_a_crew_works_in_as_many_threads_and_ends_them():
    before = threading.active_count()
    with Crew(3) as crew:
        met = threading.Barrier(3, timeout=10)  # passed only by three threads at the same time
        assert crew.run(lambda lane: (met.wait(), lane)[1]) == [0, 1, 2]
        assert threading.active_count() == before + 2
    assert threading.active_count() == before


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_any_lane_is_raised_and_the_crew_goes_on(failing):
    def work(lane):
        if lane == failing:
            raise ValueError(f"lane {lane}")
        return lane

    with Crew(2) as crew:
        with pytest.raises(ValueError, match=f"lane {failing}"):
            crew.run(work)
        assert crew.run(lambda lane: lane) == [0, 1]


def test_a_failing_layer_leaves_the_parameters_as_they_were():
    class Fails(nn.Layer):
        def forward(self, x, cache):
            if cache.first_row:
                raise RuntimeError("in the second lane")
            return x

        def backward(self, dy, cache):
            return dy

    net = nn.Network([nn.Dense(700), Fails(), nn.Dense(5)], inputs=60)
    before = net.parameters.vector.copy()
    with (
        TrainingStep(net, nn.SoftmaxCrossEntropy(), nn.Adam(), lanes=2) as step,
        pytest.raises(RuntimeError, match="in the second lane"),
    ):
        step(X.astype(np.float32), Y, np.arange(ROWS))
    assert (net.parameters.vector == before).all()


# --- Caches of rows


def test_a_lane_gets_rows_of_the_whole_array_and_keeps_other_shapes_to_itself():
    whole = Cache("float64")
    lane = LaneCache(whole)
    lane.take(1, 3, 4)
    assert np.shares_memory(lane.array("y", (2, 5)), whole.array("y", (4, 5))[1:3])
    assert not np.shares_memory(lane.array("z", (7,)), whole.array("z", (7,)))


def test_successive_rows_of_one_buffer_are_joined_in_place_and_others_are_put_together():
    whole = Cache("float64")
    lanes = [LaneCache(whole), LaneCache(whole)]
    for lane, (start, stop) in zip(lanes, [(0, 2), (2, 5)], strict=True):
        lane.take(start, stop, 5)
        own = lane["a"]
        own.dy = own.array("dy", (stop - start, 3))
        own.dy[...] = start
        own.mine = np.full((stop - start, 1), stop)
    join(whole, lanes, ["a"])
    assert np.shares_memory(whole["a"].dy, lanes[0]["a"].dy)
    assert whole["a"].dy[:, 0].tolist() == [0, 0, 2, 2, 2]
    assert whole["a"].mine[:, 0].tolist() == [2, 2, 5, 5, 5]


# --- The rule


def test_small_steps_have_one_lane_and_large_ones_as_many_as_threads_are_asked_for():
    assert split(WORTHWHILE - 1, None) == (1, 1)
    assert split(WORTHWHILE - 1, 2) == (1, 1)
    assert split(WORTHWHILE, 1) == (1, 1)
    assert split(WORTHWHILE, 3) == (3, 1)
    assert split(WORTHWHILE, None) == (1, None)
