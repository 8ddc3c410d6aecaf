"""Memory of a training step: constant after the first one, with small temporary arrays."""

import gc
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from strategies import LAYERS, LOSSES, OPTIMIZERS, targets_for

import nnreg as nn
from nnreg.training.step import TrainingStep

KIB = 1024


@pytest.fixture(autouse=True, scope="module")
def collector() -> Iterator[None]:
    """Let the garbage collector look at new objects only, and only when it is called."""
    gc.collect()
    gc.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    """Count what is allocated, NumPy's arrays included."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def in_use() -> int:
    """Return the bytes in use, without the small objects that Python keeps for reuse."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def measured(step: TrainingStep, x, y, batch: int, weights=None) -> tuple[int, int]:
    """Return how many bytes four steps leave behind, and the largest peak above a step's start.

    What accumulates does so every time; what a tool that watches the test allocates, once. So of
    three rounds of four steps the leanest counts.
    """
    order = np.random.default_rng(0).permutation(len(x))
    batches = [order[i * batch : (i + 1) * batch] for i in range(len(x) // batch)]
    for rows in batches[:2]:
        step(x, y, rows, weights)
    highest, left = 0, []
    for _ in range(3):
        start = in_use()
        for i in range(4):
            # What the step before left is kept: else its release would hide as large an allocation.
            previous = [dict(vars(step.cache[layer.name])) for layer in step.net.layers]
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            step(x, y, batches[i % len(batches)], weights)
            highest = max(highest, tracemalloc.get_traced_memory()[1] - before)
        previous.clear()
        left.append(in_use() - start)
    return min(left), highest


def assert_lean(step, x, y, batch, *, labels=0, weights=None) -> None:
    left, peak = measured(step, x, y, batch, weights)
    assert left < KIB, f"four steps left {left} bytes behind"
    assert peak < 64 * KIB + labels, f"a step's peak was {peak / KIB:.1f} KiB above its start"


def data(name: str, *, N: int, D: int, M: int, dtype="float32"):
    rng = np.random.default_rng(0)
    y = targets_for(name, rng, N, M)
    return rng.normal(size=(N, D)).astype(dtype), y if y.dtype == np.int64 else y.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "widths", [(784, 512, 512, 10), (64, 64, 10), (20, 300, 300, 300, 3), (1500, 20, 2)], ids=str
)
def test_the_step_of_a_network_with_dropout_l2_and_adam_is_lean(widths, dtype):
    layers = []
    for width in widths[1:-1]:
        layers += [nn.Dropout(keep_prob=0.8), nn.Dense(width), nn.ReLU()]
    net = nn.Network(
        [*layers, nn.Dense(widths[-1])], inputs=widths[0], penalty=nn.L2(1e-4), dtype=dtype
    )
    step = TrainingStep(net, nn.SoftmaxCrossEntropy(), nn.Adam())
    x, y = data("SoftmaxCrossEntropy", N=256, D=widths[0], M=widths[-1], dtype=dtype)
    assert_lean(step, x, y, 64)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_lean(name):
    net = nn.Network([nn.Dense(256), LAYERS[name](), nn.Dense(10)], inputs=256)
    step = TrainingStep(net, nn.SoftmaxCrossEntropy(), nn.SGD(0.01))
    assert_lean(step, *data("SoftmaxCrossEntropy", N=512, D=256, M=10), 128)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_every_loss_is_lean_but_for_one_array_of_the_labels_size(name, weighted):
    N, M = 128, 300
    net = nn.Network([nn.Dense(M, initializer=nn.zeros)], inputs=50)
    step = TrainingStep(net, LOSSES[name](), nn.SGD(0.001))
    weights = np.ones(4 * N, np.float32) if weighted else None
    x, y = data(name, N=4 * N, D=50, M=M)
    assert_lean(step, x, y, N, labels=4 * N * M, weights=weights)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_is_lean_with_every_penalty(optimizer, dtype):
    methods = ("subgradient", "proximal")
    penalties = [None, nn.L2(1e-4), *(nn.L1(1e-4, method=method) for method in methods)]
    penalties += [nn.ElasticNet(1e-4, 1e-4, method=method) for method in methods]
    layers = [nn.Dense(100, penalty=penalty) for penalty in penalties]
    net = nn.Network([*layers, nn.Tanh(), nn.Dense(10)], inputs=200, dtype=dtype)
    step = TrainingStep(net, nn.SoftmaxCrossEntropy(), OPTIMIZERS[optimizer]())
    assert_lean(step, *data("SoftmaxCrossEntropy", N=80, D=200, M=10, dtype=dtype), 20)


@pytest.mark.parametrize("given", ["float64", "uint8"])
def test_data_of_another_dtype_are_cast_batch_by_batch(given):
    net = nn.Network([nn.Dense(10)], inputs=784)
    step = TrainingStep(net, nn.SoftmaxCrossEntropy(), nn.SGD(0.001))
    x, y = data("SoftmaxCrossEntropy", N=1024, D=784, M=10)
    assert_lean(step, abs(x).astype(given), y, 128)


def test_a_smaller_last_batch_takes_no_memory_of_its_own():
    net = nn.Network(
        [nn.Dropout(keep_prob=0.5), nn.Dense(300), nn.ReLU(), nn.Dense(10)], inputs=300
    )
    step = TrainingStep(net, nn.SoftmaxCrossEntropy(), nn.Adam())
    x, y = data("SoftmaxCrossEntropy", N=256, D=300, M=10)
    rows = np.arange(256)
    step(x, y, rows)
    step(x, y, rows[:100])
    before = in_use()
    tracemalloc.reset_peak()
    for size in (256, 100, 7, 256):
        step(x, y, rows[:size])
    assert tracemalloc.get_traced_memory()[1] - before < 64 * KIB
    assert in_use() - before < KIB


def test_the_taught_loop_with_a_cache_given_again_is_lean_too():
    net = nn.Network(
        [nn.Dropout(keep_prob=0.5), nn.Dense(300), nn.ReLU(), nn.Dense(10)],
        inputs=300,
        penalty=nn.L2(1e-4),
    )
    x, y = data("SoftmaxCrossEntropy", N=256, D=300, M=10)
    loss, optimizer = nn.SoftmaxCrossEntropy(), nn.Adam()
    outputs, cache = net.forward(x, training=True)
    out = np.empty_like(outputs)
    peaks = []
    for _ in range(4):
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        outputs, cache = net.forward(x, training=True, cache=cache)
        _, doutputs = loss(outputs, y, out=out)
        gradients = net.backward(doutputs, cache)
        net.add_penalty_gradient(gradients)
        optimizer.update(net.parameters, gradients)
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    assert max(peaks[1:]) < 64 * KIB


@pytest.mark.parametrize("fault", ["keeps", "wastes", "replaces"])
def test_a_measurement_sees_what_is_kept_what_is_wasted_and_what_is_replaced(fault):
    kept = []
    act = {
        "keeps": lambda step: kept.append(np.ones(1000)),
        "wastes": lambda step: np.ones(20_000).sum(),
        "replaces": lambda step: setattr(step.cache["dense_1"], "extra", np.ones(20_000)),
    }[fault]

    class Faulty(TrainingStep):
        def __call__(self, *arguments):
            value = super().__call__(*arguments)
            act(self)
            return value

    step = Faulty(nn.Network([nn.Dense(1)], inputs=3), nn.MeanSquaredError(), nn.SGD(0.01))
    left, highest = measured(step, *data("MeanSquaredError", N=20, D=3, M=1), 2)
    assert left >= 4 * 8000 if fault == "keeps" else highest > 160_000
    assert fault != "wastes" or left < KIB
