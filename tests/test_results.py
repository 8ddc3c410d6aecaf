"""Cached results: each is computed once, kept when it is finished, and found again."""

import sys
from functools import partial

import numpy as np
import pytest

from nnreg.lab.reporting.results import cache_key, list_results, run_cached


def square(number, log=None):
    if log is not None:
        log.append(number)
    if number < 0:
        raise KeyboardInterrupt
    return {"square": np.array(number**2), "root": np.sqrt(np.full((1, 2), float(number)))}


def squares(*numbers, log=None):
    return {f"piece-{number}": partial(square, number, log) for number in numbers}


def test_results_are_in_the_order_of_the_pieces_whatever_was_kept(tmp_path):
    run_cached(squares(9), folder=tmp_path)
    found = run_cached(squares(4, 9, 1), folder=tmp_path)
    assert {name: int(result["square"]) for name, result in found.items()} == {
        "piece-4": 16,
        "piece-9": 81,
        "piece-1": 1,
    }
    assert list(found) == ["piece-4", "piece-9", "piece-1"]


def test_what_is_kept_is_not_computed_again_and_is_the_same(tmp_path):
    log = []
    first = run_cached(squares(2, 3, log=log), folder=tmp_path)
    again = run_cached(squares(2, 3, log=log), folder=tmp_path)
    assert log == [2, 3]
    for name, result in first.items():
        for key, values in result.items():
            np.testing.assert_array_equal(again[name][key], values, strict=True)


def test_after_an_interruption_only_the_rest_is_computed(tmp_path):
    log = []
    with pytest.raises(KeyboardInterrupt):
        run_cached(squares(2, 3, -1, 5, log=log), folder=tmp_path)
    run_cached(squares(2, 3, 5, log=log), folder=tmp_path)
    assert log == [2, 3, -1, 5]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_cached(squares(2))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_for_the_first_result_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_cached(squares(-1), folder=tmp_path / "pieces")
    assert list(tmp_path.iterdir()) == []


def keep(folder, *numbers):
    """Keep results in a folder and return their files."""
    run_cached(squares(*numbers), folder=folder)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("place", [0, 3, 30, 100, -1])
def test_a_file_of_which_a_byte_has_changed_is_not_read_and_left_as_it_is(tmp_path, place):
    (path,) = keep(tmp_path, 3)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert run_cached(squares(3), folder=tmp_path)["piece-3"]["square"] == 9
    assert path.read_bytes() == content
    assert list_results(tmp_path, "piece") == []


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"PK\x03\x04"])
def test_what_has_the_name_of_a_result_and_is_none_is_left_as_it_is(tmp_path, content):
    (path,) = keep(tmp_path, 3)
    path.write_bytes(content)
    assert run_cached(squares(3), folder=tmp_path)["piece-3"]["square"] == 9
    assert path.read_bytes() == content
    path.unlink()
    path.symlink_to(tmp_path / "missing")
    assert run_cached(squares(3), folder=tmp_path)["piece-3"]["square"] == 9
    assert path.is_symlink()
    assert list(tmp_path.iterdir()) == [path]


def test_progress_counts_what_was_kept(tmp_path):
    run_cached(squares(1), folder=tmp_path)
    counts = []
    run_cached(squares(1, 2), folder=tmp_path, progress=lambda *done: counts.append(done))
    assert counts == [(1, 2), (2, 2)]


def test_two_processes_find_what_one_finds(tmp_path):
    pytest.importorskip("joblib")
    one, two = run_cached(squares(2, 3, 4)), run_cached(squares(2, 3, 4), folder=tmp_path, jobs=2)
    assert list(one) == list(two)
    assert all((one[name]["root"] == two[name]["root"]).all() for name in one)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_joblib_several_jobs_are_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r"nnreg\[parallel\]"):
        run_cached(squares(2, 3), jobs=2)
    assert len(run_cached(squares(2, 3), jobs=1)) == 2


@pytest.mark.parametrize("jobs", [0, -1, 1.5])
def test_jobs_are_a_whole_number_of_at_least_1(jobs):
    with pytest.raises((ValueError, TypeError), match="jobs"):
        run_cached({}, jobs=jobs)


def test_a_name_tells_apart_what_the_result_depends_on():
    long = np.linspace(0.0, 1.0, 2000)
    other, near = long.copy(), long.copy()
    other[1000], near[1] = 7.0, np.nextafter(near[1], 1.0)  # neither is seen in a default repr
    parts = [("l2", 0.1, 3), ("l2", 0.1, 4), ("l2", 0.2, 3), ("l1", 0.1, 3)]
    parts += [("l2", long), ("l2", other), ("l2", near)]
    assert len({cache_key(*part) for part in parts}) == len(parts)


def test_what_only_an_address_tells_apart_has_no_name():
    with pytest.raises(ValueError, match="repr"):
        cache_key("l2", object())
