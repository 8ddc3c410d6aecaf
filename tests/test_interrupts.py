"""Ctrl-C during training: the step is finished first, and nothing is left half done."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small import everything, fit, network

import nnreg as nn

SIGNALS = os.environ.get("NNREG_SIGNALS", "40")


def ctrl_c(*_):
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def handler():
    """Install a handler for the test, and put Python's back."""
    yield lambda value: signal.signal(signal.SIGINT, value)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_signals_at_random_instants_leave_nothing_torn():
    script = Path(__file__).with_name("signals.py")
    done = subprocess.run([sys.executable, script, SIGNALS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class CtrlCInStep(nn.Layer):
    """The identity; in one step it sends SIGINT, ``times`` times."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def forward(self, x, cache):
        for _ in range(self.times if cache.training and cache.step == self.step else 0):
            ctrl_c()
        return x

    def backward(self, dy, cache):
        return dy


def with_layer(layer):
    return nn.Network([nn.Dense(8), layer, nn.Dense(3)], inputs=2, dtype="float64")


def test_the_step_is_finished_and_kept():
    net, same, optimizer = with_layer(CtrlCInStep(5)), with_layer(CtrlCInStep(-1)), nn.Adam()
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(net, optimizer=optimizer, epochs=9)  # four steps an epoch
    assert (net.steps, net.epochs, optimizer.steps) == (6, 1, 6)
    assert (len(caught.value.history), caught.value.history.stopped) == (1, "interrupted")
    after = []
    fit(same, optimizer=nn.Adam(), epochs=2, callbacks=[record_at(6, after)])
    assert net.parameters.vector.tobytes() == after[0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def record_at(step, after):
    callback = nn.Callback()
    callback.on_batch_end = lambda state: (
        state.net.steps == step and after.append(state.net.parameters.vector.tobytes())
    )
    return callback


def test_a_second_one_ends_the_step_itself_and_restores_the_epoch():
    net, same = with_layer(CtrlCInStep(6, times=2)), with_layer(CtrlCInStep(-1))
    with pytest.raises(KeyboardInterrupt):
        fit(net, epochs=9)
    fit(same, epochs=1)
    assert everything(net) == everything(same)


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_a_second_one_ends_a_callback_that_hangs(event):
    events = []

    class Hanging(nn.Callback):
        def on_train_end(self, state):
            events.append("end")

    def hang(state):
        ctrl_c()
        events.append("first")
        ctrl_c()
        events.append("second")

    hanging = Hanging()
    setattr(hanging, event, hang)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(network(), callbacks=[Hanging(), hanging])
    assert events == {"on_epoch_end": ["first", "end", "end"]}.get(event, ["first", "end"])
    assert caught.value.history.stopped == "interrupted"


def test_a_handler_of_the_users_is_called_at_the_end_of_the_step(handler):
    calls, net = [], with_layer(CtrlCInStep(1))
    handler(own := lambda number, frame: calls.append((number, net.steps)))
    assert len(fit(net, epochs=2)) == 2
    assert calls == [(signal.SIGINT, 2)]
    assert signal.getsignal(signal.SIGINT) is own


@pytest.mark.parametrize("ignoring", [signal.SIG_IGN, None])
def test_a_handler_that_python_does_not_call_is_left_alone(ignoring, handler, monkeypatch):
    handler(signal.SIG_IGN)
    if ignoring is None:
        monkeypatch.setattr(signal, "getsignal", lambda number: None)
    assert len(fit(with_layer(CtrlCInStep(1)), epochs=2)) == 2
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_handler_that_a_callback_installs_stays(handler):
    own = lambda number, frame: None  # noqa: E731
    fit(network(), callbacks=[lambda state: handler(own)])
    assert signal.getsignal(signal.SIGINT) is own


def test_a_fit_in_another_thread_touches_no_handler():
    seen = []
    look = lambda state: seen.append(signal.getsignal(signal.SIGINT))  # noqa: E731
    thread = threading.Thread(target=lambda: fit(network(), callbacks=[look]))
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_ctrl_c_in_a_nested_fit_ends_both():
    inner, outer, histories = with_layer(CtrlCInStep(2)), network(), []

    def nested(state):
        with pytest.raises(KeyboardInterrupt) as caught:
            fit(inner, epochs=3)
        histories.append(caught.value.history)
        raise caught.value

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(outer, epochs=3, callbacks=[nested])
    assert (inner.steps, len(histories[0])) == (3, 0)
    assert (outer.epochs, len(caught.value.history)) == (1, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
