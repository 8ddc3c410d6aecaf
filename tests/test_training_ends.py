"""However training ends (interrupted, by an error, by a non-finite loss), what is left is whole."""

import itertools
import math
import sys

import numpy as np
import pytest
from small import everything, fit, network, problem

import nnreg as nn


class Trigger(nn.Layer):
    """The identity, which does something when the forward pass of one step arrives."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def forward(self, x, cache):
        return self.act(x) if cache.training and cache.step == self.step else x

    def backward(self, dy, cache):
        return dy


def interrupt(_):
    raise KeyboardInterrupt


def fail(_):
    raise RuntimeError("of the callback's own")


def spoil(x):
    return x * math.inf


def with_trigger(step, act, **options):
    return nn.Network(
        [nn.Dense(8), nn.ReLU(), Trigger(step, act), nn.Dense(3)],
        inputs=2, dtype="float64", **options,
    )  # fmt: skip


def at_epoch(number, act):
    """Return a callback that acts when the epoch of this number has ended."""
    return lambda run: act(run) if run.history["epoch"][-1] == number else None


def history_of_interrupted(net, **options):
    """Return the history that an interrupted fit attaches to KeyboardInterrupt."""
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(net, **options)
    return caught.value.history


class Raising(nn.Callback):
    """Runs ``act`` at one event, the first time or at a step; records the ends."""

    def __init__(self, event, act, step=0):
        self.act, self.step, self.ends = act, step, []
        setattr(self, event, self.react)

    def react(self, state):
        if state.net.steps >= self.step:
            self.act(state)

    def on_train_end(self, state):
        self.ends.append(state.history.stopped)


EVENTS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end"]


# --- KeyboardInterrupt ----------------------------------------------------------------------------


def test_an_interruption_between_epochs_ends_the_run_with_its_history():
    net, same = network(), network()
    history = history_of_interrupted(net, epochs=10, callbacks=[at_epoch(2, interrupt)])
    assert (len(history), history.stopped) == (2, "interrupted")
    fit(same, epochs=2)
    assert everything(net) == everything(same)


@pytest.mark.parametrize("epochs", [0, 1])
def test_an_interruption_inside_a_step_restores_the_last_whole_epoch(epochs):
    net, same = (with_trigger(step, interrupt) for step in (4 * epochs + 2, 99))
    optimizer, plain = nn.Adam(), nn.Adam()
    history = history_of_interrupted(net, optimizer=optimizer, epochs=10)
    assert (history.stopped, net.epochs, len(history)) == ("interrupted", epochs, epochs)
    if epochs:
        fit(same, optimizer=plain, epochs=epochs)
        assert everything(net, optimizer) == everything(same, plain)
    assert (net.steps, optimizer.steps) == (4 * epochs, 4 * epochs)
    net.layers[2].step = None
    assert fit(net, optimizer=optimizer, epochs=2)["epoch"] == [epochs + 1, epochs + 2]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    ("act", "error", "stopped"),
    [
        (interrupt, KeyboardInterrupt, "interrupted"),
        (lambda _: sys.exit(3), SystemExit, "error"),
        (fail, RuntimeError, "error"),
    ],
    ids=["KeyboardInterrupt", "SystemExit", "RuntimeError"],
)
def test_whatever_a_callback_raises_leaves_whole_steps(event, act, error, stopped):
    net, optimizer = network(), nn.Adam(0.01)
    callback = Raising(event, act, step=0 if event == "on_train_begin" else 6)
    with pytest.raises(error) as caught:
        fit(net, optimizer=optimizer, epochs=5, callbacks=[Raising("on_train_end", id), callback])
    epochs = {"on_train_begin": 0, "on_epoch_end": 2, "on_epoch_begin": 2}.get(event, 1)
    assert (net.steps, net.epochs) == (optimizer.steps, epochs)
    assert callback.ends == ([] if event == "on_train_begin" else [stopped])
    if error is KeyboardInterrupt:
        assert len(caught.value.history) == epochs
    same, plain = network(), nn.Adam(0.01)
    x, y = problem()
    for batch in itertools.islice(rows_of(same), net.steps):
        outputs, cache = same.forward(x[batch], training=True)
        plain.update(
            same.parameters, same.backward(nn.SoftmaxCrossEntropy()(outputs, y[batch])[1], cache)
        )
    np.testing.assert_allclose(net.parameters.vector, same.parameters.vector, atol=1e-12)


def rows_of(net):
    while True:
        yield from nn.batches(50, 16, net)


def test_an_interrupted_metric_leaves_its_epoch_uncounted():
    net = network()
    history = history_of_interrupted(net, epochs=3, metrics=[lambda z, y: interrupt(z)])
    assert (net.epochs, len(history), history.columns) == (0, 0, {})


# --- A callback's own error -----------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["on_batch_begin", "on_epoch_end", "on_train_end"])
def test_every_callback_that_began_is_ended_after_an_error(failing):
    ended = []

    class Note(nn.Callback):
        def on_train_end(self, state):
            ended.append(self)

    class Failing(nn.Callback):
        pass

    setattr(Failing, failing, lambda self, state: fail(state))
    callbacks = [Note(), Failing(), Note()]
    with pytest.raises(RuntimeError, match="of the callback's own"):
        fit(network(), callbacks=callbacks)
    assert ended == [callbacks[2], callbacks[0]]


def test_a_callback_that_fails_at_the_beginning_ends_those_before_it():
    net, callbacks = network(), [Raising("on_epoch_end", id) for _ in range(3)]
    callbacks[1] = Raising("on_train_begin", fail)
    before = everything(net)
    with pytest.raises(RuntimeError, match="of the callback's own"):
        fit(net, callbacks=callbacks)
    assert [callback.ends for callback in callbacks] == [["error"], [], []]
    assert everything(net) == before


# --- One use at a time ----------------------------------------------------------------------------


@pytest.mark.parametrize("shared", ["net", "optimizer", "callback"])
def test_an_object_that_another_fit_uses_is_refused(shared):
    def objects():
        return {"net": network(), "optimizer": nn.Adam(), "callback": nn.EarlyStopping("loss")}

    def run(net, optimizer, callback, *more, **options):
        return fit(net, optimizer=optimizer, callbacks=[callback, *more], **options)

    outer = objects()
    inner = objects() | {shared: outer[shared]}

    def nested(state):
        kind = type(outer[shared]).__name__
        with pytest.raises(
            ValueError, match=f"this {kind} is in use by a fit|One optimizer serves"
        ):
            run(*inner.values())

    assert len(run(*outer.values(), nested, epochs=2)) == 2
    inner["optimizer"].reset()
    run(*inner.values())
    with pytest.raises(ValueError, match="EarlyStopping is in use"):
        fit(network(), callbacks=[outer["callback"], outer["callback"]])


def test_a_fit_inside_a_callback_leaves_the_outer_one_as_it_was():
    plain, outer = network(), network()
    fit(plain, epochs=3)
    fit(outer, epochs=3, callbacks=[lambda state: fit(network(seed=5))])
    assert everything(plain) == everything(outer)


# --- A loss that is not finite --------------------------------------------------------------------


def test_a_non_finite_loss_names_step_layer_and_last_good_epoch():
    net = with_trigger(10, spoil)  # four steps an epoch: in the third one
    wanted = (
        r"the loss of step 10 is nan; .* are those of trigger_1\. .* of the end of epoch 2 again"
    )
    with pytest.raises(nn.NonFiniteLossError, match=wanted) as caught:
        fit(net, epochs=5)
    error = caught.value
    assert (error.step, error.layer) == (10, "trigger_1")
    assert error.history["epoch"] == [1, 2]


@pytest.mark.parametrize(
    "optimizer",
    [lambda: nn.SGD(0.1, momentum=0.9), nn.RMSprop, nn.Adam],
    ids=["SGD", "RMSprop", "Adam"],
)
def test_the_last_good_epochs_end_is_restored(optimizer):
    net, same = with_trigger(10, spoil), with_trigger(10, spoil)
    after_error, plain = optimizer(), optimizer()
    with pytest.raises(nn.NonFiniteLossError):
        fit(net, optimizer=after_error, epochs=5)
    fit(same, optimizer=plain, epochs=2)
    assert everything(net, after_error) == everything(same, plain)


def test_in_the_first_epoch_that_is_the_beginning():
    net, optimizer = with_trigger(2, spoil), nn.Adam()
    before = everything(net)
    with pytest.raises(nn.NonFiniteLossError, match="of the end of epoch 0 again") as caught:
        fit(net, optimizer=optimizer)
    assert everything(net) == before
    assert optimizer.steps == 0
    assert not any(values.any() for values in optimizer.state.values())
    assert (len(caught.value.history), caught.value.history.stopped) == (0, "non-finite loss")


def test_training_can_go_on_with_a_smaller_learning_rate():
    net, optimizer = network(dtype="float32"), nn.SGD(1e30, momentum=0.9)
    with pytest.raises(nn.NonFiniteLossError, match="smaller learning rate"):
        fit(net, optimizer=optimizer, epochs=5)
    optimizer.learning_rate = 0.05
    history = fit(net, optimizer=optimizer, epochs=5)
    assert history["data_loss"][-1] < history["data_loss"][0] < 5


@pytest.mark.parametrize("batch_size", [5, 50])
@pytest.mark.parametrize("learning_rate", [1e10, 1e20, 1e30, 1e38])
def test_what_is_restored_is_finite_however_large_the_step(learning_rate, batch_size):
    net = network(dtype="float32")
    x, y = problem()
    with pytest.raises(nn.NonFiniteLossError) as caught:
        fit(
            net,
            x,
            y,
            optimizer=nn.SGD(learning_rate, momentum=0.9),
            epochs=200,
            batch_size=batch_size,
            validation_data=(x, y),
            metrics=["accuracy"],
        )
    assert np.isfinite(net.parameters.vector).all()
    assert net.epochs == len(caught.value.history)


def test_an_update_that_is_not_finite_ends_the_run_before_the_epoch_counts():
    class Steep(nn.MeanSquaredError):
        """A finite loss with a gradient that float32 cannot hold."""

        def compute(self, outputs, *args, **options):
            value, gradient = super().compute(outputs, *args, **options)
            gradient[...] = np.inf
            return value, gradient

    net, optimizer = network(dtype="float32"), nn.Adam()
    before = everything(net)
    wanted = r"after step 0 the parameters are not finite.*dense_1\.weight.*end of epoch 0 again"
    with pytest.raises(nn.NonFiniteLossError, match=wanted) as caught:
        fit(net, problem()[0], np.zeros((50, 3)), loss=Steep(), optimizer=optimizer, batch_size=50)
    assert everything(net) == before
    assert (caught.value.layer, len(caught.value.history)) == ("dense_1", 0)


def test_the_loss_itself_is_named_where_all_outputs_are_finite():
    net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=1)
    with pytest.raises(
        nn.NonFiniteLossError, match="first outputs that are not finite are those of loss"
    ) as caught:
        fit(net, [[1e30]], [[0.0]], loss=nn.MeanSquaredError())  # 1e60 is beyond float32
    assert caught.value.layer == "loss"


@pytest.mark.parametrize(
    ("penalty", "learning_rate"), [(nn.L1(1e38), 0.0), (nn.L1(1e39, method="proximal"), 0.1)]
)
def test_a_penalty_that_overflows_is_named(penalty, learning_rate):
    net = network(penalty=penalty, dtype="float32")
    before = everything(net)
    wanted = "the penalty is (inf|nan).* of the end of epoch 0 again; a smaller strength"
    with pytest.raises(nn.NonFiniteLossError, match=wanted) as caught:
        fit(net, optimizer=nn.SGD(learning_rate), epochs=2)
    assert (caught.value.layer, len(caught.value.history)) == ("penalty", 0)
    assert everything(net) == before


def test_the_message_says_which_parameters_early_stopping_restores():
    net = with_trigger(18, spoil)  # in the fifth epoch
    losses = iter([3.0, 1.0, 2.0, 2.5, 0.0])
    stopping = nn.EarlyStopping("figure", mode="min")

    def figure(outputs, targets):
        return next(losses)

    wanted = r"epoch 2, the best by figure; the optimizer and the counters .* epoch 4 again"
    with pytest.raises(nn.NonFiniteLossError, match=wanted) as caught:
        fit(net, epochs=9, metrics=[figure], callbacks=[stopping])
    assert (stopping.best_epoch, net.epochs, len(caught.value.history)) == (2, 4, 4)
    same = with_trigger(99, spoil)
    fit(same, epochs=2)
    assert (net.parameters.vector == same.parameters.vector).all()


def test_callbacks_are_ended_after_a_non_finite_loss():
    ended = []

    class Note(nn.Callback):
        def on_train_end(self, run):
            ended.append(np.isfinite(run.net.parameters.vector).all())

    with pytest.raises(nn.NonFiniteLossError):
        fit(with_trigger(2, spoil), callbacks=[Note()])
    assert ended == [True]
