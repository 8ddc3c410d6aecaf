"""Differences between operating systems, and that every file is written in one way."""

import ast
import errno
import io
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import nnreg
from nnreg._support import system
from nnreg._support.files import write_whole

SOURCE = Path(nnreg.__file__).parent
# Only these write: whole files; and, into a temporary folder, what a submission prints and a table
# that a page sends.
WRITERS = {"_support/files.py", "_support/system.py", "course/grading/process.py"}
WRITERS |= {"playground/settings.py"}


WRITING = {"open", "write_text", "write_bytes", "tofile", "symlink_to", "copyfile"}


def writes(call):
    """Return whether a call opens a file to write into it, or writes one."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    opens = name == "open" and any(mode[:1] in ("w", "a", "x") or "+" in mode for mode in modes)
    return opens or name in WRITING - {"open"}


def test_no_module_writes_a_file_itself():
    calls = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if WRITING & set(re.findall(r"\w+", text := path.read_text(encoding="utf-8")))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and writes(node)
    }
    assert calls == WRITERS


@pytest.mark.reliability(
    fault="Windows: the file to be replaced is open in another program",
    sees="Tried again for a second, then `PermissionError`; the file is the one before",
)
@pytest.mark.parametrize("busy", [3, 99])
def test_a_file_that_is_open_elsewhere_is_replaced_when_it_is_closed(tmp_path, monkeypatch, busy):
    attempts, replace, path = [], os.replace, tmp_path / "a.txt"
    path.write_bytes(b"before")

    def refuse(source, target):
        attempts.append(source)
        if len(attempts) <= busy:
            raise PermissionError(13, "in use")
        replace(source, target)

    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(system.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(os, "replace", refuse)
    with suppress(PermissionError):
        write_whole(path, b"after", overwrite=True)
    assert path.read_bytes() == (b"after" if busy == 3 else b"before")
    assert len(attempts) == min(busy, len(system.PAUSES)) + 1
    assert os.listdir(tmp_path) == ["a.txt"]


def refuse(*_):
    raise OSError(errno.ENOTSUP, "not supported")


@pytest.mark.posix
def test_without_hard_links_an_error_leaves_no_empty_file(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="not supported"):
        write_whole(tmp_path / "a.txt", b"")
    assert os.listdir(tmp_path) == []


@pytest.mark.posix
def test_without_locks_a_folder_is_used_unreserved(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", refuse)
    with system.reserve_folder(tmp_path), system.reserve_folder(tmp_path):
        pass


def test_a_process_that_cannot_be_asked_is_running(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert system.is_running(1)
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(os, "kill", None)
    assert system.is_running(1)


def test_a_stream_that_lacks_characters_prints_a_question_mark():
    console = io.TextIOWrapper(io.BytesIO(), "ascii")
    for stream in (console, io.StringIO()):
        system.accept_any_text(stream)
        assert stream.write("1 ± 2") == 5
    console.flush()
    assert console.buffer.getvalue() == b"1 ? 2"


# What Windows has not is removed before nnreg is imported.
OTHER_SYSTEM = """
import os, signal, sys
import concurrent.futures.process, multiprocessing.pool, subprocess, tempfile, threadpoolctl
import numpy as np, scipy.optimize

sys.modules |= dict.fromkeys(["fcntl", "resource", "pwd", "grp", "termios"])
for name in ("fork", "forkpty", "killpg", "link", "chown", "getuid", "geteuid", "uname", "mkfifo",
             "register_at_fork", "setsid", "getpgid", "posix_spawn"):
    vars(os).pop(name, None)
for name in ("SIGKILL", "SIGALRM", "SIGHUP", "SIGUSR1", "setitimer", "pthread_sigmask"):
    vars(signal).pop(name, None)

import importlib, pkgutil
import nnreg as nn
from nnreg._support import system
from nnreg.commands.main import main

system.WINDOWS = True
for module in pkgutil.walk_packages(nn.__path__, "nnreg."):
    if not module.name.endswith(("__main__", "worker")):
        importlib.import_module(module.name)
(x, y), _ = nn.datasets.load_digits()
net = nn.Network([nn.Dense(10)], inputs=64)
options = dict(loss=nn.SoftmaxCrossEntropy(), optimizer=nn.SGD(0.1), epochs=2)
nn.fit(net, x[:90], y[:90], callbacks=[nn.CSVLog("log.csv")], **options)
for overwrite in (False, True):
    nn.save(net, "net.npz", overwrite=overwrite)
assert (nn.load("net.npz").predict(x) == net.predict(x)).all()
assert main(["data"]) == 0
print(sorted(os.listdir()))
"""


@pytest.mark.slow
@pytest.mark.reliability(
    fault="A system without what only POSIX has (`fork`, `link`, `SIGKILL`, `fcntl` ...)",
    sees="Training, saving, loading and the commands work; simulated, see the last section",
)
def test_nothing_that_only_posix_has_is_needed(tmp_path):
    env = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, "-c", OTHER_SYSTEM], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.stdout.endswith("['log.csv', 'net.npz']\n"), done.stdout + done.stderr
