"""Faults of the system: a full disk, folders that cannot be used, signals, two runs in a folder."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest
from small import callback, everything, fit, network
from test_resume import EPOCHS, parts, train

import nnreg as nn
from nnreg._support.system import reserve_folder
from nnreg.commands.main import main

pytestmark = pytest.mark.posix
TESTS = str(Path(__file__).parent)


def run(script, *arguments, **options):
    """Run a script in a process, with the modules of the tests."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([TESTS, *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


# --- The disk -------------------------------------------------------------------------------------

FULL_DISK = """
import resource, sys
from pathlib import Path
import nnreg as nn
from small import network, fit

folder = Path(sys.argv[1])
net, path = network(), folder / "net.npz"
nn.save(net, path)
before = path.read_bytes()
fit(net)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
try:
    nn.save(net, path, overwrite=True)
except OSError as error:
    print(error.filename == str(path))
print(path.read_bytes() == before)
history = fit(net, epochs=3, checkpoint=folder / "run", callbacks=[nn.CSVLog(folder / "log.csv")])
print(len(history), len((folder / "log.csv").read_text().splitlines()))
print(sorted(str(file.relative_to(folder)) for file in folder.rglob("*")))
"""


@pytest.mark.reliability(
    fault="The disk is full (a file cannot grow beyond a limit) during `nn.save`",
    sees="`OSError` with the path; the file is the one before, and no part of another is left",
)
@pytest.mark.reliability(
    fault="The disk is full during `fit(checkpoint=)` or `CSVLog`",
    sees="A warning with the path and the reason; training goes on, and the history is complete",
)
def test_a_full_disk_loses_nothing(tmp_path):
    done = run(FULL_DISK, tmp_path)
    assert done.stdout == "True\nTrue\n3 4\n['log.csv', 'net.npz', 'run']\n", done.stderr
    assert "could not be written: [Errno 27] File too large: " in done.stderr


READ_ONLY = """
import csv, fcntl, os
import nnreg as nn
from small import network, fit

fit(network())  # imports modules that only root may read
if os.geteuid() == 0:  # root may write everywhere
    os.setgid(65534)
    os.setuid(65534)
net = network()
for call in [
    lambda: nn.save(net, "net.npz"),
    lambda: nn.save(net, "old.npz", overwrite=True),
    lambda: fit(net, checkpoint="run"),
    lambda: fit(net, checkpoint="."),
    lambda: fit(net, callbacks=[nn.CSVLog("log.csv")]),
]:
    try:
        call()
    except OSError as error:
        print(type(error).__name__, net.steps, error)
"""


@pytest.mark.reliability(
    fault="The folder is read-only",
    sees="`PermissionError` that names it, before the first step of training",
)
def test_a_read_only_folder_is_an_error_before_training():
    # not in pytest's folder, which other users may not enter
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "old.npz").write_bytes(b"before")
        os.chmod(folder, 0o555)
        try:
            done = run(READ_ONLY, cwd=folder)
        finally:
            os.chmod(folder, 0o755)
        assert os.listdir(folder) == ["old.npz"]
    lines = done.stdout.splitlines()
    assert len(lines) == 5, done.stderr
    assert [line.startswith("PermissionError 0 ") for line in lines] == [True] * 5, lines
    assert all(folder in line or "'run'" in line for line in lines)


@pytest.mark.reliability(
    fault="The folder of a checkpoint or a log is removed during training",
    sees="A warning with its path after each epoch; training ends with the same parameters",
)
def test_a_folder_that_vanishes_is_a_warning(tmp_path):
    whole, again = parts(), parts()
    train(*whole)
    folder = tmp_path / "run"
    log = nn.CSVLog(tmp_path / "run" / "log.csv")
    folder.mkdir()
    remove = callback(
        on_epoch_begin=lambda state: len(state.history) == 2 and shutil.rmtree(folder)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = train(*again, checkpoint=folder, callbacks=[log, remove])
    assert everything(*again) == everything(*whole)
    assert len(history) == EPOCHS
    texts = [str(warning.message) for warning in caught]
    assert all(f"there is no folder {folder}" in text for text in texts)
    assert {text.split()[0] for text in texts} >= {"CSVLog", str(folder / "best.npz")}


# --- Signals --------------------------------------------------------------------------------------


@pytest.mark.reliability(
    fault="Signals interrupt system calls (a timer a thousand times a second) during fit and save",
    sees="Nothing: the files and the parameters are those without signals",
)
def test_interrupted_system_calls_are_repeated(tmp_path):
    plain, net, calls = network(), network(), []
    fit(plain, epochs=20)
    previous = signal.signal(signal.SIGALRM, lambda number, frame: calls.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        checkpoint = nn.Checkpoint(tmp_path / "run", every_steps=1)
        fit(net, epochs=20, checkpoint=checkpoint)
        for _ in range(20):
            nn.save(net, tmp_path / "net.npz", overwrite=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(calls) > 20
    assert everything(nn.load(tmp_path / "net.npz")) == everything(plain)


@pytest.mark.reliability(
    fault="The process is killed (SIGKILL) while `nn.save` replaces a file",
    sees="The file before or the file after, whole; the next save removes what was left beside it",
)
def test_a_file_survives_kills_while_it_is_saved():
    done = run("import sys, kills; kills.kill_saves(int(sys.argv[1]))", 6)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(": 6 whole files\n")


# --- Two runs in one folder -----------------------------------------------------------------------

HOLD = "import sys; from nnreg._support.system import reserve_folder\n"
HOLD += "with reserve_folder(sys.argv[1]): print(flush=True); sys.stdin.read()"


@pytest.fixture
def other_process(tmp_path):
    """A process that uses the folder."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as process:
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.reliability(
    fault="A second run starts with the checkpoint folder of one that is running",
    sees="`BlockingIOError: ... is in use by another run`, before it trains; the first goes on",
)
def test_a_checkpoint_folder_in_use_is_refused(tmp_path, other_process):
    net, optimizer = parts()
    before = everything(net)
    for _ in range(2):
        with pytest.raises(BlockingIOError, match=f"{tmp_path} is in use by another run"):
            train(net, optimizer, checkpoint=tmp_path)
    assert everything(net) == before
    assert os.listdir(tmp_path) == []
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert len(train(net, optimizer, checkpoint=tmp_path)) == EPOCHS


def test_a_fit_inside_a_fit_cannot_use_its_folder(tmp_path):
    def nested(state):
        with pytest.raises(BlockingIOError, match="in use by another run"):
            train(*parts(), checkpoint=tmp_path)

    whole, outer = parts(), parts()
    train(*whole, checkpoint=tmp_path / "whole")
    train(*outer, checkpoint=tmp_path, callbacks=[nested])
    assert everything(*outer)[:3] == everything(*whole)[:3]
    with reserve_folder(tmp_path):  # it is free again
        pass


def test_a_forked_child_does_not_keep_the_folder_of_a_process_that_ended(tmp_path):
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        reservation = reserve_folder(tmp_path)
        reservation.__enter__()
        if child := os.fork():
            os.write(writer, child.to_bytes(8))
            os._exit(0)
        os.write(writer, bytes(8))  # it runs
        time.sleep(60)
        os._exit(0)
    os.waitpid(process, 0)
    child = sum(int.from_bytes(os.read(reader, 8)) for _ in range(2))
    try:
        with reserve_folder(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        os.close(writer)


@pytest.mark.reliability(
    fault="A second `nnreg` command writes into the folder of one that is running (`--force`)",
    sees="One line, exit status 2, before anything is computed",
)
def test_an_output_folder_in_use_is_refused(tmp_path, other_process, capsys):
    assert main(["path", "--out", str(tmp_path), "--force"]) == 2
    assert f"nnreg: {tmp_path} is in use by another run" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
