"""Runs saved while they train: a resumed run ends with the bits of an uninterrupted one."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse
from small import OPTIMIZERS, callback, everything, problem

import nnreg as nn
from nnreg import checkpoint as files
from nnreg._support.rows import as_rows
from nnreg.training.data import Data
from nnreg.training.resume import fingerprint

EPOCHS = 4
STEPS = 4 * EPOCHS


class Killed(BaseException):
    """Ends a fit, as the end of its process would."""


def parts(
    optimizer="Adam", *, penalty=None, dropout=nn.Dropout, constraint=None, seed=3, middle=nn.ReLU
):
    """Return new objects, as a script that is run again makes them."""
    net = nn.Network(
        [nn.Dense(8), middle(), dropout(keep_prob=0.7), nn.Dense(3)],
        inputs=2,
        penalty=penalty and penalty(),
        constraint=constraint,
        seed=seed,
    )
    return net, OPTIMIZERS[optimizer]() if isinstance(optimizer, str) else optimizer()


def train(net, optimizer, *, epochs=EPOCHS, callbacks=(), stop_after=None, **options):
    def stop(state):
        if net.steps == stop_after:
            raise Killed

    x, y = problem()
    chosen = {"batch_size": 16, "validation_split": 0.2}
    return nn.fit(
        net,
        x,
        y,
        loss=options.pop("loss", nn.SoftmaxCrossEntropy)(),
        optimizer=optimizer,
        epochs=epochs,
        callbacks=[*callbacks, callback(on_batch_end=stop)],
        **(chosen | options),
    )


def figures(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


def assert_resumes(make, folder, *, stop_after, callbacks=lambda net, optimizer: [], **options):
    """Compare a run that is ended after some steps and resumed with the whole run."""
    whole = make()
    history = train(*whole, callbacks=callbacks(*whole), **options)
    checkpoint = nn.Checkpoint(folder, every_steps=1)
    killed = make()
    with pytest.raises(Killed):
        train(
            *killed,
            callbacks=callbacks(*killed),
            stop_after=stop_after,
            checkpoint=checkpoint,
            **options,
        )
    again = make()
    resumed = train(*again, callbacks=callbacks(*again), checkpoint=checkpoint, **options)
    assert figures(resumed) == figures(history)
    assert resumed.stopped == history.stopped
    assert everything(*again) == everything(*whole)


# --- Bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stop_after", [3, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 7, STEPS - 5))]
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_resumes_to_the_bit(optimizer, stop_after, tmp_path):
    assert_resumes(lambda: parts(optimizer), tmp_path, stop_after=stop_after)


@pytest.mark.parametrize(
    "options",
    [
        {"penalty": lambda: nn.L1(1e-3, method="proximal")},
        {"penalty": lambda: nn.ElasticNet(1e-3, 1e-3)},
        {"penalty": lambda: nn.GroupLasso(1e-2, groups="units", method="proximal")},
        {"constraint": nn.MaxNorm(0.5)},
        {"dropout": nn.GaussianDropout},
    ],
    ids=["L1", "ElasticNet", "GroupLasso", "MaxNorm", "GaussianDropout"],
)
def test_penalties_constraints_and_noise_resume_to_the_bit(options, tmp_path):
    assert_resumes(lambda: parts(**options), tmp_path, stop_after=6)


def clip_once(net, optimizer):
    optimizer.clip_norm = 0.01
    return [lambda state: setattr(optimizer, "clip_norm", None)]


CALLBACKS = {
    "loss that changes": lambda *_: [lambda state: setattr(state.loss, "label_smoothing", 0.1)],
    "clipping that ends": clip_once,
    "schedule": lambda net, optimizer: [
        nn.HyperparameterScheduler(optimizer, "learning_rate", nn.CosineDecay(0.1, STEPS))
    ],
    "penalty's schedule": lambda net, optimizer: [
        nn.HyperparameterScheduler(net.penalty, "strength", nn.StepDecay(0.1, factor=0.5, every=3))
    ],
    "EarlyStopping": lambda net, optimizer: [nn.EarlyStopping(patience=1, min_delta=0.05)],
    "ReduceLROnPlateau": lambda net, optimizer: [
        nn.ReduceLROnPlateau(patience=1, min_delta=1.0, factor=0.5)
    ],
}


@pytest.mark.parametrize(
    "stop_after", [5, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (2, 9))]
)
@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
def test_callbacks_resume_with_their_state(callbacks, stop_after, tmp_path):
    make = lambda: parts(penalty=lambda: nn.L2(0.01))
    try:
        assert_resumes(make, tmp_path, stop_after=stop_after, callbacks=callbacks, epochs=6)
    except pytest.fail.Exception:  # early stopping has ended the run before
        pytest.skip("the run ends before this step")


@pytest.mark.parametrize("attribute", ["steps", "epochs"])
def test_without_a_counter_the_bits_differ(attribute, tmp_path, monkeypatch):
    """The masks and the order of rows depend on them: the comparison above can fail."""
    restore = files.restore

    def forget(net, *arguments):
        before = getattr(net, attribute)
        restore(net, *arguments)
        setattr(net, attribute, before)

    monkeypatch.setattr("nnreg.training.resume.restore", forget)
    with pytest.raises(AssertionError):
        assert_resumes(parts, tmp_path, stop_after=6)


def test_a_longer_run_continues_and_a_finished_one_returns(tmp_path):
    whole = parts()
    train(*whole, epochs=5)
    first, second, third = parts(), parts(), parts()
    train(*first, epochs=2, checkpoint=tmp_path)
    assert len(train(*second, epochs=5, checkpoint=tmp_path)) == 5
    assert len(train(*third, epochs=5, checkpoint=tmp_path)) == 5
    assert everything(*second) == everything(*third) == everything(*whole)


def test_a_log_goes_on(tmp_path):
    log = tmp_path / "log.csv"
    with pytest.raises(Killed):
        train(*parts(), callbacks=[nn.CSVLog(log)], stop_after=9, checkpoint=tmp_path / "run")
    train(*parts(), callbacks=[nn.CSVLog(log)], checkpoint=tmp_path / "run")
    assert len(log.read_text().splitlines()) == EPOCHS + 1
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    with pytest.raises(FileExistsError):
        train(*parts(), callbacks=[nn.CSVLog(mine)], checkpoint=tmp_path / "run")


# --- Files ----------------------------------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("monitor", "best"), [(None, np.argmin), ("val_accuracy", np.argmax)])
def test_the_last_files_and_the_best_are_kept(monitor, best, tmp_path, capsys):
    net, optimizer = parts()
    options = {
        "metrics": ["accuracy"],
        "checkpoint": nn.Checkpoint(tmp_path, keep=3, monitor=monitor),
    }
    history = train(net, optimizer, **options)
    steps = [net.steps // EPOCHS * epoch for epoch in range(EPOCHS - 2, EPOCHS + 1)]
    assert names(tmp_path) == ["best.npz", *(f"checkpoint-{n:09d}.npz" for n in steps)]
    epoch = 1 + int(best(history[monitor or "val_data_loss"]))
    assert nn.load(tmp_path / "best.npz").epochs == epoch
    train(*parts(), **options)
    assert f"{EPOCHS} of {EPOCHS} epochs" in capsys.readouterr().err


@pytest.mark.reliability(
    fault="The newest checkpoint is cut off, altered or empty",
    sees="A warning that it is damaged and was renamed; the run continues from the one before, and "
    "ends with the same bits",
)
@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_file_is_set_aside_and_the_one_before_is_used(damage, tmp_path):
    whole, first, again = parts(), parts(), parts()
    train(*whole)
    train(*first, checkpoint=tmp_path, epochs=3)
    newest = sorted(tmp_path.glob("checkpoint-*"))[-1]
    content = bytearray(newest.read_bytes())
    content[200] ^= 1
    newest.write_bytes({"cut": content[:-50], "altered": content, "empty": b""}[damage])
    with pytest.warns(UserWarning, match="damaged, and is not used"):
        train(*again, checkpoint=tmp_path)
    assert everything(*again) == everything(*whole)
    assert any(name.endswith(".damaged") for name in names(tmp_path))


@pytest.mark.reliability(
    fault="The folder of a checkpoint has the files of another run",
    sees="`ValueError: ... belongs to another run: its batch_size is ..., here it is ...`; files "
    "and network are as before",
)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 8}, "batch_size"),
        ({"loss": lambda: nn.SoftmaxCrossEntropy(label_smoothing=0.1)}, "loss"),
        ({"validation_split": 0.3}, "data"),
        ({"shuffle": False}, "shuffle"),
        ({"seed": 4}, "seed"),
        ({"optimizer": "SGD"}, "optimizer"),
    ],
)
def test_another_run_in_the_folder_is_refused_before_anything_changes(change, named, tmp_path):
    train(*parts(), checkpoint=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    made = {k: change[k] for k in ("seed", "optimizer") if k in change}
    other = parts(**made)
    state = everything(*other)
    with pytest.raises(ValueError, match=f"another run: its {named} is .* checkpoint="):
        train(*other, checkpoint=tmp_path, **{k: v for k, v in change.items() if k not in made})
    assert everything(*other)[0] == state[0]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def schedule_with(schedule):
    return lambda optimizer: nn.HyperparameterScheduler(optimizer, "learning_rate", schedule)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda _: nn.EarlyStopping(patience=5), lambda _: nn.EarlyStopping(patience=6)),
        (schedule_with(nn.CosineDecay(0.1, 9)), schedule_with(nn.CosineDecay(0.2, 9))),
    ],
    ids=["EarlyStopping", "schedule"],
)
def test_a_callback_with_other_arguments_is_another_run(first, second, tmp_path):
    net, optimizer = parts()
    train(net, optimizer, checkpoint=tmp_path, callbacks=[first(optimizer)])
    net, optimizer = parts()
    with pytest.raises(ValueError, match=r"its callbacks is \[.*\], here it is "):
        train(net, optimizer, checkpoint=tmp_path, callbacks=[second(optimizer)])


def test_a_run_is_resumed_with_other_logs_and_displays(tmp_path, capsys):
    train(*parts(), epochs=2, checkpoint=tmp_path / "run", verbose=True)
    log = nn.CSVLog(tmp_path / "log.csv")
    assert len(train(*parts(), checkpoint=tmp_path / "run", callbacks=[log])) == EPOCHS
    assert "epoch 2/2: data_loss" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["schedule", "penalty's schedule", "ReduceLROnPlateau"])
def test_the_same_objects_continue_after_ctrl_c(name, tmp_path):
    """As in a notebook, where the cell with `fit` is run again, but not those before it."""
    make = lambda: parts(penalty=lambda: nn.L2(0.01))
    whole, again = make(), make()
    train(*whole, callbacks=CALLBACKS[name](*whole))
    callbacks = CALLBACKS[name](*again)

    def ctrl_c(state):
        if state.net.steps == 8 and not state.resumed:
            signal.raise_signal(signal.SIGINT)

    options = {"callbacks": [*callbacks, callback(on_batch_end=ctrl_c)], "checkpoint": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train(*again, **options)
    train(*again, **options)
    assert everything(*again) == everything(*whole)


def test_data_in_memory_and_in_a_file_are_different_runs(tmp_path, monkeypatch):
    """Their rows come in different orders."""
    x, y = problem()
    np.save(tmp_path / "x.npy", x)
    train(*parts(), checkpoint=tmp_path / "run")
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setitem(globals(), "problem", lambda: (mapped, y))
    with pytest.raises(ValueError, match="its shuffle is True, here it is 'blocks'"):
        train(*parts(), checkpoint=tmp_path / "run")


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, scipy.sparse.csr_array])
def test_any_row_that_changes_changes_the_fingerprint(form):
    x = np.zeros((5000, 3))
    before = fingerprint(Data(as_rows("x", form(x), 3), x))
    x[3, 1] = 1
    assert fingerprint(Data(as_rows("x", form(x), 3), np.zeros_like(x)))[0] != before[0]


@pytest.mark.parametrize("name", ["file", "folder/that/is/missing"])
def test_a_folder_that_cannot_be_made_is_named(name, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"checkpoint must be a folder, or a new one .* got /"):
        train(*parts(), checkpoint=tmp_path / name)


def test_the_folder_stays_the_same_if_a_callback_changes_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    change = callback(on_epoch_end=lambda state: monkeypatch.chdir(tmp_path / "other"))
    train(*parts(), epochs=1, checkpoint="run", callbacks=[change])
    assert "checkpoint-000000003.npz" in names(tmp_path / "run")


def replace_penalty(fields):
    fields["penalty"] = {"penalty": 0}
    fields["penalties"].append({"kind": "L2", "settings": {"strength": 0.1}})


@pytest.mark.parametrize(
    ("change", "epochs", "message"),
    [
        (lambda fields: None, 2, "epochs must be at least 3"),
        (replace_penalty, EPOCHS, "was replaced"),
        (lambda fields: fields["optimizer"].update(steps=-1), EPOCHS, "steps"),
        (lambda fields: fields["run"].update(history=[{}]), EPOCHS, "columns"),
        (lambda fields: fields["run"]["history"][0].update(epoch="1"), EPOCHS, "numbers in"),
        (lambda fields: fields["run"]["history"][0].update(penalty=False), EPOCHS, "numbers in"),
        (lambda fields: fields["run"].update(epoch=[0, "a", 0]), EPOCHS, "number"),
        (lambda fields: fields["run"].update(settings=[1]), EPOCHS, "cannot be read"),
        (lambda fields: fields["run"].update(loss={"label_smoothing": []}), EPOCHS, "label_smoo"),
        (lambda fields: fields["run"].update(loss={"compute": 1}), EPOCHS, "no argument 'compute'"),
        (lambda fields: fields["states"]["callback 1"].update(best={}), EPOCHS, "best must be"),
        (lambda fields: fields["states"]["callback 1"].update(mode=1), EPOCHS, "'mode'"),
        (lambda fields: fields["layers"][0]["settings"].update(units="9"), EPOCHS, "outputs"),
        (lambda fields: fields["layers"][0]["settings"].update(a=1), EPOCHS, "no argument 'a'"),
        (
            lambda fields: fields["run"]["settings"].update(loss="\x1b[2J" + "x" * 9999),
            EPOCHS,
            r"its loss is '\\x1b\[2Jx{400,500}, here",
        ),
    ],
    ids=[
        *("fewer epochs", "penalty", "optimizer", "history", "figure", "flag", "epoch", "settings"),
        *("loss", "method", "monitor", "attribute", "units", "argument", "control sequence"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_changes(
    change, epochs, message, tmp_path
):
    train(*parts(), epochs=3, checkpoint=tmp_path)
    path = max(tmp_path.glob("checkpoint-*"))
    fields, arrays = files.read_checkpoint(path)
    change(fields)
    text = json.dumps(fields)
    checksum = files._checksum(text, arrays)
    np.savez(path, **arrays, description=np.array(text), checksum=np.array(checksum))
    other = parts()
    before = everything(*other)[0]
    with pytest.raises(ValueError, match=message):
        train(*other, epochs=epochs, checkpoint=tmp_path)
    assert everything(*other)[0] == before


@pytest.mark.reliability(
    fault="A file with the name of the next checkpoint appears during training",
    sees="`FileExistsError`; the file stays",
)
def test_a_file_that_another_run_has_written_stays(tmp_path):
    path = tmp_path / "checkpoint-000000009.npz"
    write = callback(on_batch_begin=lambda state: path.write_text("mine"))
    with pytest.raises(FileExistsError, match="another fit may be using the folder"):
        train(*parts(), callbacks=[write], checkpoint=tmp_path)
    assert path.read_text() == "mine"


@pytest.mark.reliability(
    fault="A parameter is not finite when a checkpoint is due",
    sees="A warning, and the files before stay: a run can always be resumed",
)
def test_values_that_are_not_finite_are_not_saved(tmp_path):
    def spoil(state):
        if state.net.steps == 7:
            state.net.parameters.vector[...] = np.nan

    options = {"checkpoint": nn.Checkpoint(tmp_path, every_steps=1)}
    with pytest.raises(nn.NonFiniteLossError), pytest.warns(UserWarning, match="must be finite"):
        train(*parts(), callbacks=[callback(on_batch_end=spoil)], **options)
    assert len(train(*parts(), callbacks=[callback()], **options)) == EPOCHS


def test_a_loss_that_is_not_finite_after_a_run_is_resumed_names_the_step(tmp_path):
    def spoil(state):
        if state.resumed:
            state.net.parameters.vector[...] = np.nan

    options = {
        "callbacks": [callback(on_batch_begin=spoil)],
        "checkpoint": nn.Checkpoint(tmp_path, every_steps=1),
    }
    with pytest.raises(Killed):
        train(*parts(), stop_after=6, **options)
    with pytest.raises(nn.NonFiniteLossError, match="of step 5 again, from which the run was res"):
        train(*parts(), **options)


def test_settings_are_checked_when_they_are_set(tmp_path):
    with pytest.raises(ValueError, match="keep must be a whole number of at least 1"):
        nn.Checkpoint(tmp_path).keep = 0


def test_files_of_the_user_stay(tmp_path):
    (tmp_path / "best.txt").write_text("mine")
    (tmp_path / ".nnreg-other.tmp").write_text("mine")
    train(*parts(), epochs=2, checkpoint=tmp_path)
    (tmp_path / "checkpoint-000000001.npz").write_text("mine")
    with pytest.warns(UserWarning, match="now called checkpoint-000000001.npz.damaged"):
        train(*parts(), checkpoint=tmp_path)
    assert (tmp_path / "best.txt").read_text() == "mine"
    assert (tmp_path / ".nnreg-other.tmp").read_text() == "mine"


@pytest.mark.reliability(
    fault="Ctrl-C during `fit(checkpoint=)`",
    sees="The last step is saved too; the same call continues from it, to the same bits",
)
def test_ctrl_c_saves_the_last_step(tmp_path, capsys):
    whole, interrupted, again = parts(), parts(), parts()
    train(*whole)

    def ctrl_c(state):
        if state.net.steps == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(*interrupted, checkpoint=tmp_path, callbacks=[callback(on_batch_end=ctrl_c)])
    assert interrupted[0].steps == 5
    train(*again, checkpoint=tmp_path, callbacks=[callback()])
    assert f"1 of {EPOCHS} epochs, 5 steps" in capsys.readouterr().err
    assert everything(*again) == everything(*whole)


@pytest.mark.reliability(
    fault="A run is resumed with another NumPy, BLAS or number of threads",
    sees="A warning: the resumed run agrees to rounding, not to the bit",
)
def test_other_numbers_of_threads_are_a_warning(tmp_path, monkeypatch):
    train(*parts(), checkpoint=tmp_path, epochs=2)
    monkeypatch.setattr("nnreg.training.resume.environment", lambda: {"blas": "another"})
    with pytest.warns(UserWarning, match="to rounding, not to the bit"):
        train(*parts(), checkpoint=tmp_path)


# --- Signals that end the process -----------------------------------------------------------------

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import nnreg as nn
from test_resume import parts, train
net, optimizer = parts({optimizer!r})
checkpoint = nn.Checkpoint({folder!r}, every_steps=1) if {folder!r} else None
print("begin", flush=True)
train(net, optimizer, epochs=40, checkpoint=checkpoint)
print(net.parameters.vector.tobytes().hex())
"""


def run(folder, optimizer, kill_after=None, number="SIGKILL"):
    """Run the script, ended after some seconds of training; return what it prints at its end."""
    tests = __file__.rpartition("/")[0]
    script = SCRIPT.format(tests=tests, optimizer=optimizer, folder=folder)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    process.stdout.readline()
    if kill_after is not None:
        time.sleep(kill_after)
        process.send_signal(getattr(signal, number))
    result = process.communicate(timeout=120)[0]
    return result if process.returncode == 0 else None


@pytest.mark.reliability(
    fault="The process is ended by SIGKILL, SIGTERM or Ctrl-C at any instant of `fit(checkpoint=)`",
    sees="The same call continues from the newest file, and says so; the finished run has the bits "
    "of one that was not interrupted",
)
@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_runs_ended_at_random_instants_end_with_the_same_bytes(number, tmp_path):
    optimizer = "Nesterov" if number == "SIGKILL" else "Adam"
    seconds = random.Random(optimizer)
    whole = run("", optimizer)
    folder = str(tmp_path / "run")
    kills = 0
    while (
        result := run(folder, optimizer, seconds.uniform(0.0, 0.4), number)
    ) is None and kills < 2:
        kills += 1
    assert kills
    assert (result or run(folder, optimizer)) == whole
    assert not [name for name in names(tmp_path / "run") if "damaged" in name]
