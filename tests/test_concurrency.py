"""Threads and child processes: the same bits as alone, and nothing of the process's changed."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from small import OPTIMIZERS, network, problem, train_anew
from state import changes, process_state

import nnreg as nn

X, Y = problem(200)
NET, LOSS = network(), nn.SoftmaxCrossEntropy()

# Several threads may call each of these at once, with one network except where it is changed.
CALLS = {
    "predict": lambda: NET.predict(X).tobytes(),
    "evaluate": lambda: nn.evaluate(NET, X, Y, loss=LOSS),
    "sample_predictions": lambda: nn.sample_predictions(NET, X, samples=5).mean.tobytes(),
    "check_gradients": lambda: str(nn.check_gradients(NET, X[:9], Y[:9], LOSS)),
    "explain": lambda: str(nn.explain(NET, X[:9], Y[:9], loss=LOSS)),
} | {f"fit, {name}": lambda name=name: train_anew(name) for name in OPTIMIZERS}


@pytest.mark.parametrize("name", CALLS)
def test_eight_threads_compute_the_bits_of_one(name):
    alone, before = CALLS[name](), process_state()
    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(CALLS[name]) for _ in range(8)]]
    assert all(result == alone for result in results)
    assert not changes(before, process_state())


def test_different_fits_in_threads_at_once_compute_their_bits():
    alone = {name: train_anew(name) for name in OPTIMIZERS}
    with ThreadPoolExecutor(8) as pool:
        futures = [(name, pool.submit(train_anew, name)) for name in 3 * [*OPTIMIZERS]]
        assert all(future.result() == alone[name] for name, future in futures)


def test_checks_that_overlap_restore_the_filters_of_warnings():
    """The first one begins before the second and ends before it."""
    before, first_began, second_began = process_state(), threading.Event(), threading.Event()

    class Waiting(nn.Tanh):
        def forward(self, x, cache):
            if np.iscomplexobj(x):
                first_began.set()
                second_began.wait(0.2)
            return super().forward(x, cache)

    first = threading.Thread(target=lambda: nn.check_gradients(Waiting(), X[:1]))
    first.start()
    first_began.wait()

    class Ending(nn.Tanh):
        def forward(self, x, cache):
            if np.iscomplexobj(x):
                second_began.set()
                first.join(0.2)
            return super().forward(x, cache)

    nn.check_gradients(Ending(), X[:1])
    first.join()
    assert not changes(before, process_state())


def start_methods():
    """Yield each with and without a thread that trains, with which fork is the hard one."""
    for method in multiprocessing.get_all_start_methods():
        yield pytest.param(method, False, id=method)
        marks = [] if method == "fork" else [pytest.mark.slow]
        yield pytest.param(method, True, id=f"{method} while a thread trains", marks=marks)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("method", "busy"), list(start_methods()))
def test_a_child_process_trains_to_the_same_bits(method, busy):
    alone, training = train_anew("Adam"), busy

    def train():
        while training:
            train_anew("SGD")

    worker = threading.Thread(target=train)
    worker.start()
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
            assert pool.submit(train_anew, "Adam").result(60) == alone
    finally:
        training = False
        worker.join()
