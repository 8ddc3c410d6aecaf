"""A file is written whole or not at all, and only regular files are replaced."""

import errno
import multiprocessing
import os
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from nnreg._support import files
from nnreg._support.files import write_whole


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"before")
    return path


def refuse(*_):
    raise OSError(errno.EPERM, "not permitted")


def only(path, content):
    """Assert that the folder has this file with this content, and no other."""
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == content


@pytest.mark.reliability(
    input="A file that exists, without `overwrite=True`",
    sees="`FileExistsError: ... exists; overwrite=True replaces it`, before training",
)
def test_an_existing_file_is_replaced_only_on_request(target):
    with pytest.raises(FileExistsError, match=r"a\.txt exists; overwrite=True replaces it"):
        write_whole(target, b"after")
    only(target, b"before")
    write_whole(str(target), b"after", overwrite=True)
    only(target, b"after")


@pytest.mark.posix
@pytest.mark.reliability(
    fault="A file with permissions such as 0600 is replaced",
    sees="The new file has the same, and no more while it is written; a new one honours the umask",
)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_permissions_of_a_replaced_file_are_kept(target, mode, monkeypatch):
    modes = []  # of the temporary file, while it is written
    flush = lambda file: modes.append(stat.S_IMODE(os.fstat(file).st_mode))
    monkeypatch.setattr(os, "fsync", flush)
    target.chmod(mode)
    write_whole(target, b"after", overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert modes[0] == 0o600


@pytest.mark.posix
def test_the_owner_of_a_replaced_file_is_kept_where_that_is_allowed(target, monkeypatch):
    owners = []
    monkeypatch.setattr(os, "chown", lambda path, *owner: owners.append(owner))
    write_whole(target, b"after", overwrite=True)
    assert owners == [(target.stat().st_uid, target.stat().st_gid)]
    monkeypatch.setattr(os, "chown", refuse)
    write_whole(target, b"again", overwrite=True)
    only(target, b"again")


@pytest.mark.posix
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_of_a_new_file_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "new", b"")
    finally:
        assert os.umask(before) == umask
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask


def link(path):
    path.with_name("other").write_bytes(b"before")
    path.symlink_to("other")


KINDS = {
    "link": (link, FileExistsError, "symbolic link"),
    "broken link": (lambda p: p.symlink_to("nowhere"), FileExistsError, "symbolic link"),
    "pipe": (lambda p: os.mkfifo(p), FileExistsError, "not a regular file"),
    "folder": (os.mkdir, IsADirectoryError, "is a folder"),
}


@pytest.mark.posix
@pytest.mark.reliability(
    input="A path that is a symbolic link, a pipe, a device or a folder",
    sees="`FileExistsError` or `IsADirectoryError`; nothing is replaced, or written through it",
)
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(("make", "error", "words"), KINDS.values(), ids=KINDS)
def test_what_is_no_regular_file_is_neither_replaced_nor_written_through(
    tmp_path, make, error, words, overwrite
):
    path = tmp_path / "a.txt"
    make(path)

    def state():
        return path.lstat().st_ino, path.lstat().st_mode, sorted(os.listdir(tmp_path))

    before = state()
    with pytest.raises(error, match=words):
        write_whole(path, b"after", overwrite=overwrite)
    assert state() == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.posix
def test_a_device_is_refused():
    with pytest.raises(FileExistsError, match="not a regular file"):
        write_whole("/dev/null", b"", overwrite=True)


RACES = 60


def create(path, barrier, content):
    """Try to create a file for each race, and return which were created."""
    created = []
    for race in range(RACES):
        barrier.wait()
        with suppress(FileExistsError):
            write_whole(path / f"{race}.txt", content)
            created.append(race)
    return created


def assert_one_created_each(folder, created):
    """Compare the files with the races that each writer, by the content, has won."""
    assert sorted(race for races in created.values() for race in races) == list(range(RACES))
    assert len(os.listdir(folder)) == RACES
    for content, races in created.items():
        assert {(folder / f"{race}.txt").read_bytes() for race in races} <= {content}


@pytest.mark.reliability(
    fault="Several threads or processes create one file at the same time",
    sees="One of them creates it whole; the others get `FileExistsError: ... exists`",
)
@pytest.mark.parametrize("hard_links", [True, False])
def test_of_several_threads_one_creates_the_file(tmp_path, hard_links, monkeypatch):
    if not hard_links:
        monkeypatch.setattr(os, "link", refuse)
    contents, barrier = (b"a", b"b", b"c", b"d"), threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(lambda content: create(tmp_path, barrier, content), contents))
    assert_one_created_each(tmp_path, dict(zip(contents, created, strict=True)))


@pytest.mark.posix
def test_of_several_processes_one_creates_the_file(tmp_path):
    context = multiprocessing.get_context("fork")
    contents, barrier, results = (b"a", b"b", b"c", b"d"), context.Barrier(4), context.SimpleQueue()
    writers = [
        context.Process(target=lambda c=c: results.put((c, create(tmp_path, barrier, c))))
        for c in contents
    ]
    for writer in writers:
        writer.start()
    created = dict(results.get() for _ in writers)
    for writer in writers:
        writer.join()
    assert_one_created_each(tmp_path, created)


@pytest.mark.reliability(
    fault="The disk is full, or Ctrl-C is pressed, while a file is written",
    sees="The error; the file is the one before, and no other file is left",
)
@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_after_an_error_the_previous_file_is_there_and_nothing_else(
    target, call, error, monkeypatch
):
    def fail(*_):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)) as caught:
        write_whole(target, b"after", overwrite=True)
    only(target, b"before")
    if isinstance(error, OSError):
        assert str(caught.value) == f"[Errno 28] disk full: '{target}'"


@pytest.mark.parametrize(("call", "overwrite"), [("replace", True), ("link", False)])
def test_ctrl_c_just_after_the_move_is_a_keyboard_interrupt(target, call, overwrite, monkeypatch):
    real = getattr(os, call)

    def move(source, destination):
        real(source, destination)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, call, move)
    if not overwrite:
        target.unlink()
    with pytest.raises(KeyboardInterrupt):
        write_whole(target, b"after", overwrite=overwrite)
    only(target, b"after")


def test_a_name_may_have_255_bytes_and_the_temporary_file_a_recognizable_one(tmp_path, monkeypatch):
    names, path = [], tmp_path / ("ü" * 127 + "x")
    monkeypatch.setattr(os, "fsync", lambda _: names.extend(os.listdir(tmp_path)))
    write_whole(path, b"after")
    only(path, b"after")
    assert [names[0][:7] + names[0][-4:], *names[1:]] == [".nnreg-.tmp", path.name]


@pytest.mark.reliability(
    input="A path in a folder that does not exist",
    sees="`FileNotFoundError: there is no folder ... to write ... into`",
)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "path must be the path of a file or folder, got ''"),
        ("a\0b", r"path must be the path .* got 'a\\x00b'"),
        ("a/", "a/ names a folder; pass the path of a file"),
        ("a.txt/", "a.txt/ names a folder"),
    ],
)
def test_what_is_no_path_of_a_file_is_refused(path, message, target, monkeypatch):
    monkeypatch.chdir(target.parent)
    with pytest.raises((ValueError, IsADirectoryError), match=message):
        write_whole(path, b"after", overwrite=True)
    only(target, b"before")


def test_a_folder_that_is_read_only_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=rf"^{tmp_path} is read-only; pass a path in another"):
        files.check_target(tmp_path / "a.txt")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write a\.txt"):
        files.check_target(tmp_path / "nowhere" / "a.txt")


@pytest.mark.posix
@pytest.mark.reliability(
    fault="A killed process left a temporary file (`.nnreg-*.tmp`)",
    sees="The next file that is written into the folder removes it; those of running processes and "
    "of other computers stay",
)
def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    running = files._temporary_name()
    ended = running.replace(f"-{os.getpid()}-", "-99999999-")  # above the largest process number
    other = ended.replace(".nnreg-", ".nnreg-other")
    for name in (running, ended, other, ".nnreg-mine.tmp"):
        (tmp_path / name).touch()
    write_whole(tmp_path / "a.txt", b"")
    assert sorted(os.listdir(tmp_path)) == sorted(["a.txt", running, other, ".nnreg-mine.tmp"])
