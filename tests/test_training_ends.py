"""Training that ends by an interrupt, an error or a non-finite loss: a consistent state."""

import itertools
import math
import sys

import numpy as np
import pytest
from small import callback, error_of, everything, fit, network, problem, unchanged, watched

import nnreg as nn


def interrupt(_):
    raise KeyboardInterrupt


def fail(_):
    raise RuntimeError("of the callback's own")


def spoil(x):
    return x * math.inf


class Raising(nn.Callback):
    """Runs ``act`` at one event, the first time or at a step; records the ends."""

    def __init__(self, event, act, step=0):
        self.ends = []
        setattr(self, event, lambda state: act(state) if state.net.steps >= step else None)

    def on_train_end(self, state):
        self.ends.append(state.history.stopped)


EVENTS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end"]


# --- KeyboardInterrupt ----------------------------------------------------------------------------


def note(error):
    """Return the note of an error of one fit."""
    (text,) = error.__notes__
    return text


@pytest.mark.reliability(
    fault="Memory is exhausted in a step, or a layer or a loss raises an error",
    sees="The error, with a note of epoch and batch; network, optimizer and `error.history` are "
    "those of the last complete epoch, and `fit` can go on from there",
)
@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_an_error_inside_a_step_restores_the_last_whole_epoch(kind, epochs):
    def act(_):
        raise kind

    net, same = watched(act, 4 * epochs + 2), watched(act, 99)
    optimizer, plain = nn.Adam(), nn.Adam()
    error = error_of(kind, net, optimizer=optimizer, epochs=10)
    history, stopped = error.history, "interrupted" if kind is KeyboardInterrupt else "error"
    assert (history.stopped, net.epochs, len(history)) == (stopped, epochs, epochs)
    if kind is not KeyboardInterrupt:
        assert f"in epoch {epochs + 1}, batch 2 (counted from 0); " in note(error)
        assert f"step {net.steps}, and error.history has {epochs} of 10 epochs" in note(error)
    fit(same, optimizer=plain, epochs=epochs)
    assert everything(net, optimizer) == everything(same, plain)
    assert (net.steps, optimizer.steps) == (4 * epochs, 4 * epochs)
    net.layers[2].act = lambda x, cache: x
    assert fit(net, optimizer=optimizer, epochs=2)["epoch"] == [epochs + 1, epochs + 2]


@pytest.mark.reliability(
    fault="A callback raises an error, or ends the process (`sys.exit`)",
    sees="The error, with a note of epoch and batch; all steps that were finished are kept, every "
    "`on_train_end` is called, and `error.history` has the complete epochs",
)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    ("act", "kind", "stopped"),
    [
        (interrupt, KeyboardInterrupt, "interrupted"),
        (lambda _: sys.exit(3), SystemExit, "error"),
        (fail, RuntimeError, "error"),
    ],
    ids=["KeyboardInterrupt", "SystemExit", "RuntimeError"],
)
def test_whatever_a_callback_raises_leaves_whole_steps(event, act, kind, stopped):
    net, optimizer = network(), nn.Adam(0.01)
    raising = Raising(event, act, step=0 if event == "on_train_begin" else 6)
    callbacks = [Raising("on_train_end", id), raising]
    error = error_of(kind, net, optimizer=optimizer, epochs=5, callbacks=callbacks)
    epochs = {"on_train_begin": 0, "on_epoch_end": 2, "on_epoch_begin": 2}.get(event, 1)
    assert (net.steps, net.epochs) == (optimizer.steps, epochs)
    assert raising.ends == ([] if event == "on_train_begin" else [stopped])
    if event != "on_train_begin":
        assert len(error.history) == epochs
        place = {"on_epoch_end": (2, 3), "on_epoch_begin": (3, 0), "on_batch_end": (2, 1)}
        words = "fit ended in epoch {}, batch {} ".format(*place.get(event, (2, 2)))
        assert kind is KeyboardInterrupt or words in note(error)
    same, plain, (x, y) = network(), nn.Adam(0.01), problem()
    orders = (nn.batches(50, 16, same) for _ in itertools.count())
    for batch in itertools.islice(itertools.chain.from_iterable(orders), net.steps):
        outputs, cache = same.forward(x[batch], training=True)
        _, doutputs = nn.SoftmaxCrossEntropy()(outputs, y[batch])
        plain.update(same.parameters, same.backward(doutputs, cache))
    np.testing.assert_allclose(net.parameters.vector, same.parameters.vector, atol=1e-12)


@pytest.mark.reliability(
    fault="A metric raises an error",
    sees="The error; the epochs before are in `error.history`, and this one is not counted",
)
@pytest.mark.parametrize(("act", "kind"), [(interrupt, KeyboardInterrupt), (fail, RuntimeError)])
@pytest.mark.parametrize("epochs", [0, 2])
def test_a_metric_that_fails_leaves_its_epoch_uncounted(act, kind, epochs):
    calls = []

    def metric(outputs, targets):
        if len(targets) > 1:  # it is tried on one row before training
            calls.append(len(targets))
        return act(outputs) if len(calls) > epochs else 1.0

    net = network()
    history = error_of(kind, net, epochs=5, metrics=[metric]).history
    assert (net.epochs, len(history), net.steps) == (epochs, epochs, 4 * (epochs + 1))


@pytest.mark.reliability(
    fault="An iterable of batches has an infinite value in a later batch, or raises an error, for "
    "example because a file has vanished",
    sees="The error, with the number of the batch; the steps before are kept, and `error.history` "
    "has the complete epochs",
)
@pytest.mark.parametrize("fault", [math.inf, FileNotFoundError(2, "No such file", "batch 2")])
def test_a_later_batch_that_cannot_be_read_is_named(fault):
    class Files:
        def __iter__(self):
            for number, start in enumerate(range(0, 50, 16)):
                x, y = (part[start : start + 16] for part in problem())
                spoilt = number == 2 and net.epochs == 1
                if spoilt and isinstance(fault, Exception):
                    raise fault
                yield x * (fault if spoilt else 1.0), y

    net, same = network(), network()
    words = "batch 2 of x: x must be finite, got inf|No such file"
    error = error_of((ValueError, OSError), net, Files(), None, epochs=5, match=words)
    assert "fit ended in epoch 2, batch 2 (counted from 0); " in note(error)
    assert (net.steps, net.epochs) == (6, 1)
    history = fit(same, epochs=1, shuffle=False)
    assert error.history["data_loss"] == pytest.approx(history["data_loss"])


# --- A callback's own error -----------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["on_train_begin", *EVENTS[2:], "on_train_end"])
def test_every_callback_that_began_is_ended_after_an_error(failing):
    net, ended = network(), []
    first, last = (callback(on_train_end=lambda state, n=n: ended.append(n)) for n in (0, 2))
    callbacks = [first, callback(**{failing: fail}), last]
    error_of(RuntimeError, net, match="of the callback's own", callbacks=callbacks)
    assert (ended, net.steps) == (([0], 0) if failing == "on_train_begin" else ([2, 0], net.steps))


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
        words = f"this {type(outer[shared]).__name__} is in use by a fit|An optimizer belongs"
        with pytest.raises(ValueError, match=words):
            run(*inner.values())

    assert len(run(*outer.values(), nested, epochs=2)) == 2
    inner["optimizer"].reset()
    run(*inner.values())
    twice = [outer["callback"], outer["callback"]]
    error_of(ValueError, network(), match="EarlyStopping is in use", callbacks=twice)


def test_a_fit_inside_a_callback_leaves_the_outer_one_as_it_was():
    plain, outer = network(), network()
    fit(plain, epochs=3)
    fit(outer, epochs=3, callbacks=[lambda state: fit(network(seed=5))])
    assert everything(plain) == everything(outer)


# --- A loss that is not finite --------------------------------------------------------------------


@pytest.mark.reliability(
    fault="The loss is NaN, for example in the 17th batch of epoch 3",
    sees="`NonFiniteLossError` that names step, batch, epoch and the first layer whose outputs are "
    "not finite; network and optimizer are those of the end of epoch 2, `error.history` has both",
)
@pytest.mark.parametrize("epochs", [0, 2])
@pytest.mark.parametrize("rule", [lambda: nn.SGD(0.1, momentum=0.9), nn.RMSprop, nn.Adam])
def test_a_non_finite_loss_is_located_and_the_last_whole_epoch_restored(rule, epochs):
    step = 25 * epochs + 16
    net, same = watched(spoil, step), watched(spoil, step)
    optimizer, plain, finite = rule(), rule(), []
    look = callback(on_train_end=lambda s: finite.append(np.isfinite(net.parameters.vector).all()))
    words = (
        rf"step {step} is nan; .* of watch_1, in epoch {epochs + 1}, batch 16 \(counted from 0\)\. "
        f".* the end of epoch {epochs} again; a smaller lea"
    )
    options = {"optimizer": optimizer, "epochs": 5, "callbacks": [look], "batch_size": 2}
    error = error_of(nn.NonFiniteLossError, net, match=words, **options)
    assert (error.step, error.layer, error.history.stopped) == (step, "watch_1", "non-finite loss")
    assert (len(error.history), finite) == (epochs, [True])
    fit(same, optimizer=plain, epochs=epochs, batch_size=2)
    assert everything(net, optimizer) == everything(same, plain)


def test_training_can_go_on_with_a_smaller_learning_rate():
    net, optimizer = network(dtype="float32"), nn.SGD(1e30, momentum=0.9)
    options = {"optimizer": optimizer, "epochs": 5}
    error_of(nn.NonFiniteLossError, net, **options)
    optimizer.learning_rate = 0.05
    history = fit(net, **options)
    assert history["data_loss"][-1] < history["data_loss"][0] < 5


@pytest.mark.reliability(
    fault="The loss explodes: the learning rate is far too large",
    sees="`NonFiniteLossError` with a remedy; the parameters that are left are finite",
)
@pytest.mark.parametrize("batch_size", [5, 50])
@pytest.mark.parametrize("learning_rate", [1e10, 1e20, 1e30, 1e38])
def test_what_is_restored_is_finite_however_large_the_step(learning_rate, batch_size):
    net, optimizer = network(dtype="float32"), nn.SGD(learning_rate, momentum=0.9)
    options = {"validation_data": problem(), "metrics": ["accuracy"], "batch_size": batch_size}
    error = error_of(nn.NonFiniteLossError, net, optimizer=optimizer, epochs=200, **options)
    assert np.isfinite(net.parameters.vector).all()
    assert net.epochs == len(error.history)


class Steep(nn.MeanSquaredError):
    """A finite loss with a gradient that float32 cannot hold."""

    def compute(self, outputs, *args, **options):
        value, gradient = super().compute(outputs, *args, **options)
        gradient[...] = np.inf
        return value, gradient


SQUARED, SOFTMAX = nn.MeanSquaredError(), nn.SoftmaxCrossEntropy()
NAMED = {  # what is not finite: penalty, loss, targets, learning rate, words, layer
    "update": (None, Steep(), 0.0, 0.1, "after step 0, dense_1.weight is not finite", "dense_1"),
    "loss": (None, SQUARED, 1e30, 0.1, "first outputs that are not finite .* of loss", "loss"),
    "penalty": (nn.L1(1e38), SOFTMAX, None, 0.0, "after step 0, penalty is not finite", "penalty"),
}


@pytest.mark.parametrize(
    ("penalty", "loss", "targets", "rate", "words", "layer"), NAMED.values(), ids=NAMED
)
def test_what_is_not_finite_is_named_before_the_epoch_counts(
    penalty, loss, targets, rate, words, layer
):
    net, (x, y) = network(penalty=penalty, dtype="float32"), problem()
    y = y if targets is None else np.full((50, 3), targets)
    cure = "strength" if layer == "penalty" else "learning rate"
    options = {"loss": loss, "optimizer": nn.SGD(rate), "batch_size": 50, "epochs": 2}
    words = f"{words}.* of the end of epoch 0 again; a smaller {cure}"
    with unchanged(net):
        error = error_of(nn.NonFiniteLossError, net, x, y, match=words, **options)
    assert (error.layer, len(error.history)) == (layer, 0)


def test_the_message_says_which_parameters_early_stopping_restores():
    net, same = watched(spoil, 18), watched(spoil, 99)  # in the fifth epoch
    figures = iter([3.0, 1.0, 2.0, 2.5, 0.0])
    metric = lambda outputs, targets: next(figures)
    metric.__name__ = "figure"
    stopping = nn.EarlyStopping("figure", mode="min")
    words = r"epoch 2, the best by figure; the optimizer and the counters .* epoch 4 again"
    options = {"epochs": 9, "metrics": [metric], "callbacks": [stopping]}
    error = error_of(nn.NonFiniteLossError, net, match=words, **options)
    assert (stopping.best_epoch, net.epochs, len(error.history)) == (2, 4, 4)
    fit(same, epochs=2)
    assert (net.parameters.vector == same.parameters.vector).all()
