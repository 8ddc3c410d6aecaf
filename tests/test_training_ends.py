"""However training ends (interrupted, by an error, by a non-finite loss), what is left is whole."""

import math

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


# --- KeyboardInterrupt ----------------------------------------------------------------------------


def test_an_interruption_between_epochs_ends_the_run_with_its_history():
    net, same = network(), network()
    history = fit(net, epochs=10, callbacks=[at_epoch(2, interrupt)])
    assert (len(history), history.stopped) == (2, "interrupted")
    fit(same, epochs=2)
    assert everything(net) == everything(same)


def test_an_interruption_within_an_epoch_keeps_the_whole_epochs():
    net = with_trigger(6, interrupt)  # four steps an epoch
    history = fit(net, epochs=10)
    assert (len(history), history.stopped) == (1, "interrupted")
    assert (net.epochs, history["epoch"]) == (1, [1])
    assert np.isfinite(net.parameters.vector).all()


def test_an_interruption_in_the_first_epoch_leaves_an_empty_history():
    history = fit(with_trigger(1, interrupt))
    assert (len(history), history.stopped) == (0, "interrupted")


def test_training_can_go_on_after_an_interruption():
    net, optimizer = with_trigger(6, interrupt), nn.Adam()
    fit(net, optimizer=optimizer, epochs=10)
    assert fit(net, optimizer=optimizer, epochs=2)["epoch"] == [2, 3]


def test_an_interruption_reaches_on_end():
    ended = []

    class Note(nn.Callback):
        def on_train_end(self, run):
            ended.append(run.history.stopped)

    fit(with_trigger(1, interrupt), callbacks=[Note()])
    assert ended == ["interrupted"]


# --- A callback's own error -----------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["on_batch_begin", "on_epoch_end", "on_train_end"])
def test_every_callback_that_began_is_ended_after_an_error(failing):
    ended = []

    class Note(nn.Callback):
        def on_train_end(self, run):
            ended.append(self)

    class Failing(nn.Callback):
        pass

    setattr(Failing, failing, lambda self, run: fail(run))
    callbacks = [Note(), Failing(), Note()]
    with pytest.raises(RuntimeError, match="of the callback's own"):
        fit(network(), callbacks=callbacks)
    assert ended == [callbacks[2], callbacks[0]]


def test_a_callback_that_fails_at_the_beginning_ends_those_before_it():
    events = []

    class Note(nn.Callback):
        def on_train_begin(self, run):
            events.append("begin")

        def on_train_end(self, run):
            events.append("end")

    class Failing(nn.Callback):
        def on_train_begin(self, run):
            fail(run)

    net = network()
    before = everything(net)
    with pytest.raises(RuntimeError, match="of the callback's own"):
        fit(net, callbacks=[Note(), Failing(), Note()])
    assert events == ["begin", "end"]
    assert everything(net) == before


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


def test_callbacks_are_ended_after_a_non_finite_loss():
    ended = []

    class Note(nn.Callback):
        def on_train_end(self, run):
            ended.append(np.isfinite(run.net.parameters.vector).all())

    with pytest.raises(nn.NonFiniteLossError):
        fit(with_trigger(2, spoil), callbacks=[Note()])
    assert ended == [True]
