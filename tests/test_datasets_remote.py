"""Downloads: a file is stored only if it is complete and its checksum is the published one."""

import gzip
import hashlib
import os
import sys
import urllib.request
from dataclasses import replace

import numpy as np
import pytest

from nnreg.datasets import describe, load, load_fashion_mnist, load_mnist, locations
from nnreg.datasets.idx import PARTS
from nnreg.datasets.mnist import REGISTRY, cache_folder, download

DATA = bytes([0, 0, 8, 1, 0, 0, 0, 9]) + b"the bytes"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(tmp_path):
    """Return a function that puts bytes behind an address."""
    folder = tmp_path / "server"
    folder.mkdir()

    def serve(raw, name="file.gz"):
        (folder / name).write_bytes(raw)
        return (folder / name).as_uri()

    return serve


@pytest.fixture
def goal(tmp_path):
    return tmp_path / "cache" / "file.gz"


def nothing_left(goal):
    return not goal.parent.exists() or not os.listdir(goal.parent)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_right_file_is_kept_as_it_was_sent(server, goal, pack):
    raw = pack(DATA)
    download([server(raw)], goal, DIGEST)
    assert goal.read_bytes() == raw
    assert os.listdir(goal.parent) == ["file.gz"]


def test_a_mirror_that_fails_or_is_wrong_is_passed_over(server, goal):
    addresses = [
        server(b"", "a").replace("/a", "/none"),
        server(b"wrong", "b"),
        server(DATA, "c"),
    ]
    download(addresses, goal, DIGEST)
    assert goal.read_bytes() == DATA


def test_a_wrong_hash_names_both_and_leaves_nothing(server, goal):
    url = server(b"wrong")
    got = hashlib.sha256(b"wrong").hexdigest()
    with pytest.raises(OSError, match=f"{url}: .*expected {DIGEST}, got {got}"):
        download([url], goal, DIGEST)
    assert nothing_left(goal)


def test_a_truncated_download_leaves_nothing(server, goal):
    with pytest.raises(OSError, match="damaged gzip data"):
        download([server(gzip.compress(DATA)[:-4])], goal, DIGEST)
    assert nothing_left(goal)


def test_a_connection_that_ends_early_leaves_nothing(goal, monkeypatch):
    import http.client

    class Broken:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, size):
            raise http.client.IncompleteRead(b"the", 12)

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Broken())
    with pytest.raises(OSError, match="IncompleteRead"):
        download(["https://example.org/file.gz"], goal, DIGEST)
    assert nothing_left(goal)


def test_the_time_to_wait_is_limited(goal, monkeypatch):
    timeouts = []

    def never(url, timeout):
        timeouts.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", never)
    with pytest.raises(OSError, match="timed out"):
        download(["https://example.org/a", "https://example.org/b"], goal, DIGEST)
    assert timeouts == [30.0, 30.0]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(server, goal, monkeypatch):
    goal.parent.mkdir()
    goal.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download([server(DATA)], goal, DIGEST)
    assert goal.read_bytes() == b"old"
    assert os.listdir(goal.parent) == ["file.gz"]


def test_a_download_replaces_a_damaged_copy(server, goal):
    goal.parent.mkdir()
    goal.write_bytes(b"damaged")
    download([server(DATA)], goal, DIGEST)
    assert goal.read_bytes() == DATA


def idx(shape, values):
    header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return header + bytes(values)


def small(shift):
    """Return four small files in the format, others for each shift."""
    raw = (
        idx((4, 1, 2), [0, 255, 51, shift, 0, 0, 1, 1]),
        idx((4,), [0, 1, 0, 1]),
        idx((2, 1, 2), [1, 2, 3, shift]),
        idx((2,), [1, shift % 2]),
    )
    return dict(zip(PARTS, raw, strict=True))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Both data sets, made small, on a mirror; an empty cache; NNREG_DATA not set."""
    monkeypatch.delenv("NNREG_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    for shift, name in enumerate(REGISTRY):
        mirror = tmp_path / "mirror" / name
        mirror.mkdir(parents=True)
        files = small(shift)
        for part, raw in files.items():
            (mirror / f"{part}.gz").write_bytes(gzip.compress(raw))
        entry = replace(
            REGISTRY[name],
            digests={part: hashlib.sha256(raw).hexdigest() for part, raw in files.items()},
            mirrors=(mirror.as_uri() + "/",),
        )
        monkeypatch.setitem(REGISTRY, name, entry)
    return tmp_path


def offline(monkeypatch, name):
    monkeypatch.setitem(REGISTRY, name, replace(REGISTRY[name], mirrors=("file:///none/",)))


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for part, raw in files.items():
        (folder / part).write_bytes(raw)


def test_a_download_goes_to_the_cache_and_is_not_repeated(world, monkeypatch):
    (x, y), (x_test, y_test) = load_mnist()
    assert x.tolist() == (np.float32([[0, 255], [51, 0], [0, 0], [1, 1]]) / 255).tolist()
    assert (y.tolist(), x_test.shape, y_test.tolist()) == ([0, 1, 0, 1], (2, 2), [1, 0])
    offline(monkeypatch, "mnist")
    (again, _), _ = load_mnist()
    assert np.array_equal(again, x)
    assert sorted(os.listdir(world / "cache" / "nnreg" / "mnist")) == sorted(
        f"{part}.gz" for part in PARTS
    )


def test_an_interrupted_download_goes_on_with_the_missing_files(world, monkeypatch):
    load_mnist()
    mirror = world / "mirror" / "mnist"
    (world / "cache" / "nnreg" / "mnist" / f"{PARTS[2]}.gz").unlink()
    for part in (PARTS[0], PARTS[1], PARTS[3]):
        (mirror / f"{part}.gz").unlink()
    load_mnist()


def test_the_named_folder_goes_before_the_cache(world, monkeypatch):
    offline(monkeypatch, "fashion-mnist")
    monkeypatch.setenv("NNREG_DATA", str(world / "own"))
    put(world / "own" / "fashion-mnist", small(1))
    (x, _), (_, y_test) = load_fashion_mnist()
    assert x[1, 1] == np.float32(1) / np.float32(255)
    assert y_test.tolist() == [1, 1]
    assert not (world / "cache").exists()


def test_the_named_folder_may_hold_the_files_itself(world, monkeypatch):
    offline(monkeypatch, "mnist")
    monkeypatch.setenv("NNREG_DATA", str(world / "own"))
    put(world / "own", small(0))
    assert load_mnist()[0][0].shape == (4, 2)


def test_two_data_sets_of_the_same_file_names_are_told_apart(world, monkeypatch):
    monkeypatch.setenv("NNREG_DATA", str(world / "own"))
    put(world / "own", small(0))
    (x, _), _ = load_fashion_mnist()
    assert x[1, 1] == np.float32(1) / np.float32(255)
    assert "own: not found (the files there are other data)" in describe()


def test_a_file_that_is_not_the_published_one_is_an_error(world, monkeypatch):
    monkeypatch.setenv("NNREG_DATA", str(world / "own"))
    files = small(0)
    files[PARTS[0]] = files[PARTS[0]][:-1] + b"\7"
    put(world / "own" / "mnist", files)
    with pytest.raises(ValueError, match=rf"{PARTS[0]}: wrong SHA-256 .* expected .*, got .*"):
        load_mnist()
    assert f"found, but SHA-256 differs in {PARTS[0]}" in describe()


def test_offline_the_error_says_where_files_can_be_put(world, monkeypatch):
    offline(monkeypatch, "mnist")
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        load_mnist()
    message = str(caught.value)
    assert "file:///none/train-images-idx3-ubyte.gz" in message
    assert f"put {', '.join(PARTS)}" in message
    assert str(world / "cache" / "nnreg" / "mnist") in message
    assert "NNREG_DATA" in message
    assert len(message.splitlines()) <= 4


def test_nothing_is_fetched_when_that_is_not_wanted(world):
    with pytest.raises(FileNotFoundError, match=r"mnist is not in .*nnreg.mnist\. To use mnist"):
        load_mnist(fetch=False)
    assert not (world / "cache").exists()


def test_the_front_door_names_the_classes(world):
    assert load("mnist").class_names == tuple("0123456789")
    assert load("fashion-mnist").class_names[9] == "Ankle boot"


def test_the_description_tells_what_is_where(world, monkeypatch):
    text = describe()
    assert "NNREG_DATA   is not set" in text
    assert f"user cache   {world / 'cache' / 'nnreg' / 'mnist'}: not found" in text
    load_mnist()
    assert f"{world / 'cache' / 'nnreg' / 'mnist'}: found, SHA-256 correct" in describe()
    path = world / "cache" / "nnreg" / "mnist" / f"{PARTS[1]}.gz"
    path.write_bytes(path.read_bytes()[:-3])
    assert "found, but not readable: " in describe()
    path.unlink()
    assert f"incomplete, without {PARTS[1]}" in describe()
    for word in ("digits", "breast-cancer", "CC BY 4.0", "10.24432/C50P49", "10.24432/C5DW2B"):
        assert word in text
    assert max(map(len, text.replace(str(world), "").splitlines())) <= 100


def test_locations_are_listed_in_the_order_of_looking(world, monkeypatch):
    monkeypatch.setenv("NNREG_DATA", str(world / "own"))
    assert [(location.folder, location.origin) for location in locations("mnist")] == [
        (str(world / "own" / "mnist"), "NNREG_DATA"),
        (str(world / "own"), "NNREG_DATA"),
        (str(world / "cache" / "nnreg" / "mnist"), "user cache"),
    ]
    assert locations("mnist")[0].missing == PARTS
    with pytest.raises(
        ValueError, match="name must be one of 'mnist', 'fashion-mnist', got 'digits'"
    ):
        locations("digits")


@pytest.mark.parametrize(
    ("platform", "variables", "ending"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, ("/xdg", "nnreg")),
        ("linux", {}, (".cache", "nnreg")),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, ("Library", "Caches", "nnreg")),
        ("win32", {"LOCALAPPDATA": "/local"}, ("/local", "nnreg")),
        ("win32", {}, ("AppData", "Local", "nnreg")),
    ],
)
def test_the_cache_is_where_the_system_has_its_caches(monkeypatch, platform, variables, ending):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder().endswith(os.path.join(*ending))


@pytest.mark.mnist
def test_real_mnist_is_the_published_one(mnist_folder):
    (x, y), (x_test, y_test) = load_mnist(fetch=False)
    assert (x.shape, x_test.shape) == ((60000, 784), (10000, 784))
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y).tolist() == counts
    assert len(y_test) == 10000
    assert x.mean(dtype=np.float64) == pytest.approx(0.13066, abs=5e-6)
    assert (x.min(), x.max()) == (0.0, 1.0)
