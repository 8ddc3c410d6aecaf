"""Callbacks: schedules, early stopping, the CSV log, the progress bar, and plain functions."""

import csv
import math
import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from small import Watch, callback, error_of, fit, network, unchanged

import nnreg as nn

# --- Order of events, plain functions -------------------------------------------------------------


def test_a_callback_is_called_at_six_events():
    events = []

    class Listen(nn.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                return lambda state: events.append((name, state.batch, len(state.batch_rows)))
            return super().__getattribute__(name)

    fit(network(), epochs=2, batch_size=30, callbacks=[Listen()])
    steps = [[(f"on_batch_{e}", i, [30, 20][i]) for e in ("begin", "end")] for i in (0, 1)]
    expected = [
        *[("on_train_begin", 0, 0), ("on_epoch_begin", 0, 0), *steps[0], *steps[1]],
        *[("on_epoch_end", 1, 20), ("on_epoch_begin", 0, 20), *steps[0], *steps[1]],
        *[("on_epoch_end", 1, 20), ("on_train_end", 1, 20)],
    ]
    assert events == expected


def test_the_run_shows_what_is_trained_and_how():
    net, loss, optimizer = network(), nn.SoftmaxCrossEntropy(), nn.SGD(0.1)
    runs, losses = [], []
    note = lambda state: losses.append((len(state.batch_rows), state.batch_loss))
    options = {"loss": loss, "optimizer": optimizer, "epochs": 3}
    history = fit(net, callbacks=[runs.append, callback(on_batch_end=note)], **options)
    assert len(runs) == 3
    run = runs[0]
    assert (run.net, run.loss, run.optimizer, run.history) == (net, loss, optimizer, history)
    assert (run.epochs, run.batches) == (3, 4)
    means = [sum(rows * value for rows, value in losses[i : i + 4]) / 50 for i in (0, 4, 8)]
    assert history["data_loss"] == pytest.approx(means)


@pytest.mark.parametrize("given", [lambda f: f, lambda f: [f], lambda f: (f,), lambda f: iter([f])])
def test_a_plain_function_is_called_after_each_epoch(given):
    epochs = []
    fit(network(), epochs=2, callbacks=given(lambda run: epochs.append(run.history.last["epoch"])))
    assert epochs == [1, 2]


def test_a_callback_can_stop_the_run_with_a_reason():
    history = fit(network(), epochs=9, callbacks=[lambda run: run.stop("enough")])
    assert (len(history), history.stopped) == (1, "enough")


# --- Scheduled ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fits", [1, 2], ids=["one fit", "and goes on in a second one"])
def test_a_learning_rate_follows_its_schedule(fits):
    net, optimizer, rates = network(), nn.Adam(), []
    schedule = nn.Warmup(3, nn.StepDecay(0.1, factor=0.5, every=2))
    note = callback(on_batch_begin=lambda state: rates.append(optimizer.learning_rate))
    for _ in range(fits):
        follow = nn.HyperparameterScheduler(optimizer, "learning_rate", schedule)
        fit(net, optimizer=optimizer, epochs=4 // fits, callbacks=[follow, note])
    assert rates == [schedule(step) for step in range(16)]


def test_a_keep_probability_follows_its_schedule():
    dropout, largest, ones = nn.Dropout(keep_prob=0.5), [], np.ones((6, 50))
    look = Watch(lambda x, cache: largest.append(x.max()))
    net = nn.Network([dropout, look, nn.Dense(1)], inputs=50, dtype="float64")
    ease = nn.HyperparameterScheduler(dropout, "keep_prob", lambda step: [0.25, 0.5, 1.0][step])
    fit(net, ones, ones[:, :1], loss=nn.MeanSquaredError(), batch_size=2, callbacks=[ease])
    assert largest == [4.0, 2.0, 1.0]


@pytest.mark.reliability(
    fault="A schedule returns NaN or a value out of bounds",
    sees="`ValueError: learning_rate must be ..., got nan from the schedule for step 6`; the steps "
    "before are kept, and `error.history` has the complete epochs",
)
@pytest.mark.parametrize("value", [-1.0, math.nan, None])
def test_a_scheduled_value_is_checked_as_any_other(value):
    net, optimizer = network(), nn.SGD(0.1)
    schedule = lambda step: 0.1 if step < 6 else value
    wild = nn.HyperparameterScheduler(optimizer, "learning_rate", schedule)
    words = rf"learning_rate must be .*, got {value} from the schedule for step 6"
    options = {"optimizer": optimizer, "epochs": 3, "callbacks": [wild]}
    error = error_of((ValueError, TypeError), net, match=words, **options)
    assert (net.steps, net.epochs, len(error.history)) == (6, 1, 1)  # four steps an epoch


# --- CSVLog ---------------------------------------------------------------------------------------


def test_the_log_holds_the_history_after_every_epoch(tmp_path):
    path, lines = tmp_path / "log.csv", []
    count = lambda run: lines.append(len(path.read_text().splitlines()))
    callbacks = [nn.CSVLog(str(path)), count]
    history = fit(network(), epochs=3, metrics=["accuracy"], callbacks=callbacks)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
    assert (list(columns), columns) == (list(history.to_dict()), history.to_dict())
    assert (lines, os.listdir(tmp_path)) == ([2, 3, 4], ["log.csv"])


def test_an_existing_log_is_not_overwritten(tmp_path):
    path, net = tmp_path / "log.csv", network()
    path.write_text("precious")
    words = r"log\.csv exists; .*overwrite=True"
    with unchanged(net):
        error_of(FileExistsError, net, match=words, callbacks=[nn.CSVLog(path)])
    assert path.read_text() == "precious"
    fit(net, callbacks=[nn.CSVLog(path, overwrite=True)])
    assert path.read_text().startswith("epoch,")


# --- Progress -------------------------------------------------------------------------------------


def test_progress_is_silent_in_a_pipe_and_serves_several_fits(capfd):
    pytest.importorskip("tqdm")
    bar = nn.Progress()
    for _ in range(2):
        fit(network(), epochs=3, callbacks=[bar])
    assert capfd.readouterr() == ("", "")


def test_progress_shows_the_newest_figures_on_a_terminal(capfd, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    history = fit(network(), epochs=3, metrics=["accuracy"], callbacks=[nn.Progress()])
    out, err = capfd.readouterr()
    assert out == ""
    assert "3/3" in err
    assert f"accuracy={history.last['accuracy']:.3g}" in err


def test_progress_is_text_in_a_notebook_without_widgets(capfd, monkeypatch):
    pytest.importorskip("tqdm.auto")  # imported here, it takes this for a terminal
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("zmqshell"))
    fit(network(), epochs=3, callbacks=[nn.Progress()])
    assert "3/3" in capfd.readouterr().err


def test_progress_is_a_widget_in_a_notebook_with_them(monkeypatch):
    calls = []

    class Widget:
        def __init__(self, **arguments):
            calls.append(arguments["total"])

        def set_postfix(self, figures, *, refresh):
            calls.append(sorted(figures))

        update = close = lambda self: calls.append(None)

    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Widget))
    fit(network(), epochs=1, callbacks=[nn.Progress()])
    assert calls == [1, ["data_loss", "penalty", "total"], None, None]


# --- What a user of another library types ---------------------------------------------------------


def test_verbose_prints_a_line_after_each_epoch(capsys):
    fit(network(), epochs=2, verbose=1, metrics=["acc"], validation_split=0.2)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2: data_loss ")
    assert " val_acc " in second
    fit(network(), epochs=2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"optimizer": "adam"}, r"optimizer=nn\.Adam\(\)"),
        ({"loss": "mse"}, r"loss=nn\.MeanSquaredError\(\)"),
        ({"loss": "sparse_categorical_crossentropy"}, r"loss=nn\.SoftmaxCrossEntropy\(\)"),
        ({"verbose": "auto"}, "verbose must be True or False"),
        ({"verbose": 3}, "verbose must be True or False"),
        ({"verbose": np.ones(2)}, r"verbose must be True or False, .*got array\(\[1., 1.\]\)"),
    ],
    ids=str,
)
def test_what_does_not_work_names_what_does(option, message):
    error_of((TypeError, ValueError), network(), match=message, **option)
