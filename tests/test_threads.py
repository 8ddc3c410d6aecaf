"""The number of BLAS threads: it is restored after the last `fit` of the process."""

import os
import signal
import threading

import pytest
from small import error_of, fit, network
from state import in_a_thread, set_threads, threads
from threadpoolctl import threadpool_limits

from nnreg._support.blas import blas_threads

pytestmark = pytest.mark.usefixtures("two_blas_threads")


def test_none_leaves_blas_alone():
    with blas_threads(None):
        assert set(threads()) == {2}
        set_threads(1)
    assert set(threads()) == {1}


@pytest.mark.parametrize("first_out", [0, 1])
def test_the_first_of_overlapping_limits_holds_until_the_last_block_ends(first_out):
    blocks = [blas_threads(1), blas_threads(2)]
    for block in blocks:
        in_a_thread(block.__enter__)
        assert set(threads()) == {1}
    blocks[first_out].__exit__(None, None, None)
    assert set(threads()) == {1}
    blocks[1 - first_out].__exit__(None, None, None)
    assert set(threads()) == {2}


def run_fit(limit=1):
    """Return the numbers of threads during a fit."""
    seen = []
    fit(network(), threads=limit, callbacks=[lambda state: seen.extend(threads())])
    return {*seen}


@pytest.mark.parametrize(("limit", "expected"), [(None, 1), (1, 1), (2, 2)])
def test_a_small_fit_uses_one_thread_unless_a_number_is_asked_for(limit, expected):
    assert run_fit(limit) == {expected}
    assert set(threads()) == {2}


def test_a_fit_that_fails_frees_its_limit():
    error_of(ZeroDivisionError, network(), threads=1, callbacks=[lambda state: 1 / 0])
    assert set(threads()) == {2}


def test_a_fit_in_another_thread_is_limited_too():
    seen = [run_fit()]
    in_a_thread(lambda: seen.append(run_fit()))
    assert seen == [{1}, {1}]
    assert set(threads()) == {2}


def test_other_threads_may_set_limits_once_a_fit_has_ended():
    fit(network(), threads=1)
    in_a_thread(lambda: threadpool_limits(1, user_api="blas"))
    assert set(threads()) == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_finds_the_lock_free_and_all_threads():
    training, numbers = True, []

    def train():
        while training:
            fit(network(), threads=1)

    def in_child(act):
        reader, writer = os.pipe()
        if not (child := os.fork()):
            signal.alarm(20)  # ends a child that hangs
            os.write(writer, repr(act()).encode())
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as pipe:
            numbers.append((pipe.read().decode(), os.waitpid(child, 0)[1]))

    worker = threading.Thread(target=train)
    worker.start()
    for _ in range(8):
        in_child(lambda: (len(fit(network(), threads=1)), {*threads()}))
    training = False
    worker.join()
    assert numbers == [("(1, {2})", 0)] * 8
    with blas_threads(1):  # a child of the thread that has set the limit keeps it
        in_child(lambda: {*threads()})
    assert numbers[-1] == ("{1}", 0)
