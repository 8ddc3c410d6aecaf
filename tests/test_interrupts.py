"""Ctrl-C during training: the step is finished first, and the state is consistent."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small import callback, error_of, everything, fit, network, watched

import nnreg as nn
from nnreg._support.interrupts import signal_handler

pytestmark = pytest.mark.posix
SIGNALS = os.environ.get("NNREG_SIGNALS", "40")


def ctrl_c(*_):
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def handler():
    """Install a handler for the test, and put Python's back."""
    yield lambda value: signal.signal(signal.SIGINT, value)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.reliability(
    fault="Ctrl-C at any instant of `fit`",
    sees="The step is finished, then `KeyboardInterrupt`; parameters, optimizer, counters and "
    "`error.history` agree, the best weights are restored where asked, no lock and no file is left",
)
@pytest.mark.slow
def test_signals_at_random_instants_leave_nothing_torn():
    script = Path(__file__).with_name("signals.py")
    done = subprocess.run([sys.executable, script, SIGNALS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def with_ctrl_c(step, times=1):
    """Return a network that sends SIGINT in one step, ``times`` times."""

    def act(_):
        for _ in range(times):
            ctrl_c()

    return watched(act, step)


def test_the_step_is_finished_and_kept():
    net, same, optimizer, after = with_ctrl_c(5), with_ctrl_c(-1), nn.Adam(), {}
    history = error_of(KeyboardInterrupt, net, optimizer=optimizer, epochs=9).history
    assert (net.steps, net.epochs, optimizer.steps) == (6, 1, 6)  # four steps an epoch
    assert (len(history), history.stopped) == (1, "interrupted")
    note = lambda state: after.update({same.steps: same.parameters.vector.tobytes()})
    fit(same, optimizer=nn.Adam(), epochs=2, callbacks=[callback(on_batch_end=note)])
    assert net.parameters.vector.tobytes() == after[6]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.reliability(
    fault="A second Ctrl-C while a step or a callback hangs",
    sees="It ends at once; after an unfinished step the last complete epoch is restored",
)
def test_a_second_one_ends_the_step_itself_and_restores_the_epoch():
    net, same = with_ctrl_c(6, times=2), with_ctrl_c(-1)
    error_of(KeyboardInterrupt, net, epochs=9)
    fit(same, epochs=1)
    assert everything(net) == everything(same)


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_a_second_one_ends_a_callback_that_hangs(event):
    events = []

    def hang(state):
        ctrl_c()
        events.append("first")
        ctrl_c()
        events.append("second")

    end = {"on_train_end": lambda state: events.append("end")}
    callbacks = [callback(**end), callback(**end | {event: hang})]
    error = error_of(KeyboardInterrupt, network(), callbacks=callbacks)
    assert events == {"on_epoch_end": ["first", "end", "end"]}.get(event, ["first", "end"])
    assert error.history.stopped == "interrupted"


def test_a_handler_of_the_users_is_called_at_the_end_of_the_step(handler):
    calls, net = [], with_ctrl_c(1)
    handler(custom := lambda number, frame: calls.append((number, net.steps)))
    assert len(fit(net, epochs=2)) == 2
    assert calls == [(signal.SIGINT, 2)]
    assert signal.getsignal(signal.SIGINT) is custom


@pytest.mark.parametrize("ignoring", [signal.SIG_IGN, None])
def test_a_handler_that_python_does_not_call_is_left_alone(ignoring, handler, monkeypatch):
    handler(signal.SIG_IGN)
    if ignoring is None:
        monkeypatch.setattr(signal, "getsignal", lambda number: None)
    assert len(fit(with_ctrl_c(1), epochs=2)) == 2
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_handler_that_a_callback_installs_stays(handler):
    custom = lambda number, frame: None
    fit(network(), callbacks=[lambda state: handler(custom)])
    assert signal.getsignal(signal.SIGINT) is custom


def test_a_fit_in_another_thread_touches_no_handler():
    seen = []
    look = lambda state: seen.append(signal.getsignal(signal.SIGINT))

    def run():
        fit(network(), callbacks=[look])
        with signal_handler(signal.SIGINT, signal.SIG_IGN):
            look(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler] * 2


def test_ctrl_c_in_a_nested_fit_ends_both():
    inner, outer, histories = with_ctrl_c(2), network(), []

    def nested(state):
        error = error_of(KeyboardInterrupt, inner, epochs=3)
        histories.append(error.history)
        raise error

    histories.append(error_of(KeyboardInterrupt, outer, epochs=3, callbacks=[nested]).history)
    assert (inner.steps, outer.epochs) == (3, 1)
    assert [len(history) for history in histories] == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
