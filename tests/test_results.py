"""Cached results: each is computed once, stored when it is finished, and read again."""

import sys
from functools import partial
from hashlib import sha256

import numpy as np
import pytest

from nnreg.lab.reporting.results import cache_key, list_results, run_cached


def square(number, log):
    log.append(number)
    if number < 0:
        raise KeyboardInterrupt
    return {"square": np.array(number**2), "root": np.sqrt(np.full((1, 2), float(number)))}


def squares(*numbers, log=None):
    log = [] if log is None else log
    return {f"task-{number}": partial(square, number, log) for number in numbers}


def test_stored_results_are_read_in_the_order_of_the_tasks_and_are_the_same(tmp_path):
    log, progress = [], []
    run_cached(squares(9, log=log), folder=tmp_path)
    tasks = squares(4, 9, 1, log=log)
    first = run_cached(tasks, folder=tmp_path, progress=lambda *done: progress.append(done))
    again = run_cached(tasks, folder=tmp_path)
    assert log == [9, 4, 1]
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert list(first) == list(again) == ["task-4", "task-9", "task-1"]
    assert [int(result["square"]) for result in first.values()] == [16, 81, 1]
    for name, result in first.items():
        for key, values in result.items():
            np.testing.assert_array_equal(again[name][key], values, strict=True)


def test_after_an_interruption_only_the_rest_is_computed(tmp_path):
    log = []
    with pytest.raises(KeyboardInterrupt):
        run_cached(squares(2, 3, -1, 5, log=log), folder=tmp_path)
    run_cached(squares(2, 3, 5, log=log), folder=tmp_path)
    assert log == [2, 3, -1, 5]


def test_without_a_folder_or_a_result_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_cached(squares(2))
    with pytest.raises(KeyboardInterrupt):
        run_cached(squares(-1), folder=tmp_path / "results")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def stored(tmp_path):
    """A file with the result of task 3."""
    run_cached(squares(3), folder=tmp_path)
    return next(tmp_path.iterdir())


def assert_not_read(path):
    content = None if path.is_symlink() else path.read_bytes()
    assert list_results(path.parent, "task") == []
    assert run_cached(squares(3), folder=path.parent)["task-3"]["square"] == 9
    assert list(path.parent.iterdir()) == [path]
    assert content is None or path.read_bytes() == content


@pytest.mark.reliability(
    fault="A kept result of an interrupted command was altered",
    sees="It is not read, and left as it is; the result is computed again",
)
@pytest.mark.parametrize("byte", [0, 3, 30, 100, -1])
def test_a_file_of_which_a_byte_has_changed_is_not_read_and_left_as_it_is(stored, byte):
    content = bytearray(stored.read_bytes())
    content[byte] ^= 1
    stored.write_bytes(content)
    assert_not_read(stored)


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"PK\x03\x04", "a link"])
def test_what_has_the_name_of_a_result_and_is_none_is_left_as_it_is(stored, content):
    stored.unlink()
    if content == "a link":
        stored.symlink_to("missing")
    else:
        stored.write_bytes(content)
    assert_not_read(stored)
    assert stored.is_symlink() == (content == "a link")


def test_a_file_with_a_right_digest_that_needs_pickle_is_not_used(stored):
    np.savez(stored, square=np.array([print], object))
    digest = sha256(stored.read_bytes()).hexdigest()[:16]
    stored.rename(stored.with_name(f"nnreg-task-3-{digest}.npz"))
    assert run_cached(squares(3), folder=stored.parent)["task-3"]["square"] == 9


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(tmp_path):
    pytest.importorskip("joblib")
    one, two = run_cached(squares(2, 3, 4)), run_cached(squares(2, 3, 4), folder=tmp_path, jobs=2)
    assert list(one) == list(two)
    assert all((one[name]["root"] == two[name]["root"]).all() for name in one)
    assert len(list(tmp_path.iterdir())) == 3


def test_one_job_does_not_need_joblib(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert len(run_cached(squares(2, 3), jobs=1)) == 2


def test_a_number_of_jobs_is_checked():
    for jobs in (0, -1, 1.5):
        with pytest.raises((ValueError, TypeError), match="jobs must be a whole number"):
            run_cached({}, jobs=jobs)


def test_a_key_tells_apart_what_the_result_depends_on():
    long = np.linspace(0.0, 1.0, 2000)
    other, near = long.copy(), long.copy()
    other[1000], near[1] = 7.0, np.nextafter(near[1], 1.0)  # neither is seen in a default repr
    parts = [("l2", 0.1, 3), ("l2", 0.1, 4), ("l2", 0.2, 3), ("l1", 0.1, 3)]
    parts += [("l2", long), ("l2", other), ("l2", near)]
    assert len({cache_key(*part) for part in parts}) == len(parts)
    with pytest.raises(ValueError, match="repr"):
        cache_key("l2", object())  # only an address tells it apart
