"""`fit` equals the loop by hand, in one call or in several, and lowers the loss."""

import itertools

import numpy as np
import pytest
from small import OPTIMIZERS, PENALTIES, everything, fit, network, problem, taught, unchanged
from threadpoolctl import threadpool_limits

import nnreg as nn

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
each_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


@each_optimizer
@each_penalty
@pytest.mark.parametrize(("shuffle", "weighted"), [(True, False), (True, True), (False, False)])
def test_fit_is_the_taught_loop_bit_for_bit(optimizer, penalty, shuffle, weighted, rng):
    x, y = problem()
    weights = rng.uniform(0, 2, len(x)) if weighted else None
    by_hand, by_fit = network(penalty=penalty()), network(penalty=penalty())
    hand_optimizer, fit_optimizer = optimizer(), optimizer()
    options = {"loss": nn.SoftmaxCrossEntropy(), "epochs": 3, "shuffle": shuffle}
    means = taught(by_hand, x, y, optimizer=hand_optimizer, weights=weights, **options)
    options |= {"sample_weight": weights, "threads": 1}
    history = fit(by_fit, x, y, optimizer=fit_optimizer, **options)
    assert everything(by_hand, hand_optimizer) == everything(by_fit, fit_optimizer)
    assert weighted or history["data_loss"] == means
    assert by_fit.steps == 3 * 4


@each_optimizer
@each_penalty
def test_fit_with_one_thread_is_the_taught_loop_where_blas_would_use_more(optimizer, penalty, rng):
    def wide():
        layers = [
            nn.Dropout(keep_prob=0.9),
            nn.Dense(128),
            nn.Tanh(),
            nn.Dropout(keep_prob=0.5),
            nn.Dense(10),
        ]
        return nn.Network(layers, inputs=784, penalty=penalty(), seed=1, dtype="float64")

    x, y = rng.normal(size=(400, 784)), rng.integers(0, 10, 400)
    loss = nn.SoftmaxCrossEntropy()
    by_hand, by_fit = wide(), wide()
    with threadpool_limits(1):
        taught(by_hand, x, y, loss=loss, optimizer=optimizer(), epochs=1, batch_size=200)
    with threadpool_limits(2):
        fit(by_fit, x, y, loss=loss, optimizer=optimizer(), batch_size=200, threads=1)
    assert everything(by_hand) == everything(by_fit)


@each_optimizer
@pytest.mark.parametrize("penalty", ["L2", "proximal L1"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_five_epochs_are_two_and_then_three(optimizer, penalty, dtype):
    whole, parted = (network(penalty=PENALTIES[penalty](), dtype=dtype) for _ in range(2))
    whole_optimizer, parted_optimizer = optimizer(), optimizer()
    options = {"validation_split": 0.2, "metrics": ["accuracy"], "threads": 1}
    history = fit(whole, optimizer=whole_optimizer, epochs=5, **options).to_dict()
    first = fit(parted, optimizer=parted_optimizer, epochs=2, **options).to_dict()
    second = fit(parted, optimizer=parted_optimizer, epochs=3, **options).to_dict()
    assert everything(whole, whole_optimizer) == everything(parted, parted_optimizer)
    for name in history.keys() - {"seconds"}:
        assert history[name] == first[name] + second[name]


def test_a_run_is_a_function_of_its_seed():
    first, again, other = network(seed=3), network(seed=3), network(seed=4)
    for net in (first, again, other):
        fit(net, epochs=2)
    assert everything(first) == everything(again)
    assert everything(first) != everything(other)


def test_no_epochs_change_nothing():
    net, optimizer = network(), nn.Adam()
    with unchanged(net):
        history = fit(net, optimizer=optimizer, epochs=0)
    assert (len(history), history.stopped, optimizer.steps) == (0, "epochs", 0)


# --- Batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch_size", "sizes"), [(3, [3, 3, 3, 1]), (100, [10])])
def test_batches_are_a_permutation_of_the_rows(batch_size, sizes):
    parts = [rows.tolist() for rows in nn.batches(10, batch_size, network())]
    assert [len(part) for part in parts] == sizes
    assert sorted(itertools.chain(*parts)) == list(range(10))


def test_rows_meet_others_in_every_epoch():
    net = network()
    epochs = [[frozenset(rows.tolist()) for rows in nn.batches(12, 3, net)] for _ in range(3)]
    assert net.epochs == 3
    for one, other in itertools.combinations(epochs, 2):
        assert set(one) != set(other), "the same batches, perhaps in another order"


def test_an_epoch_counts_when_it_is_used_up():
    net = network()
    order = nn.batches(10, 5, net)
    next(order), next(order)
    assert net.epochs == 0
    assert next(order, None) is None
    assert net.epochs == 1


def test_the_order_is_a_function_of_seed_and_epoch():
    net = network()
    first, second = ([rows.tolist() for rows in nn.batches(10, 3, net)] for _ in range(2))
    net.epochs = 0
    assert [rows.tolist() for rows in nn.batches(10, 3, net)] == first != second
    assert [rows.tolist() for rows in nn.batches(10, 3, network(seed=1))] != first


def test_without_shuffling_rows_come_in_their_order():
    assert [r.tolist() for r in nn.batches(5, 2, network(), shuffle=False)] == [[0, 1], [2, 3], [4]]


# --- It learns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (nn.MeanSquaredError(), lambda z: z),
        (nn.Huber(), lambda z: z),
        (nn.Poisson(), lambda z: np.exp(z)),
        (nn.SigmoidCrossEntropy(), lambda z: 1 / (1 + np.exp(-z))),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Loss) else "",
)
def test_a_linear_truth_is_found_with_every_loss(loss, targets, rng):
    x = rng.normal(size=(60, 2))
    truth = np.array([[0.5, -1.0], [1.0, 0.25]])
    net = nn.Network([nn.Dense(2)], inputs=2, dtype="float64")
    fit(net, x, targets(x @ truth), loss=loss, optimizer=nn.Adam(0.05), epochs=300)
    np.testing.assert_allclose(net.parameters["dense_1.weight"], truth, atol=2e-3)
    np.testing.assert_allclose(net.parameters["dense_1.bias"], 0, atol=2e-3)
