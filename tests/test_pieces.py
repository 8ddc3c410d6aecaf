"""Long work in pieces: each is computed once, kept as it comes, and found again."""

import sys
from functools import partial

import numpy as np
import pytest

from nnreg.lab.reporting.results import collect, digest


def square(number, log=None):
    if log is not None:
        log.append(number)
    if number < 0:
        raise KeyboardInterrupt
    return {"square": np.array(number**2), "root": np.sqrt(np.full((1, 2), float(number)))}


def squares(*numbers, log=None):
    return {f"piece-{number}": partial(square, number, log) for number in numbers}


def test_results_are_in_the_order_of_the_pieces_whatever_was_kept(tmp_path):
    collect(squares(9), folder=tmp_path)
    found = collect(squares(4, 9, 1), folder=tmp_path)
    assert {name: int(result["square"]) for name, result in found.items()} == {
        "piece-4": 16,
        "piece-9": 81,
        "piece-1": 1,
    }
    assert list(found) == ["piece-4", "piece-9", "piece-1"]


def test_what_is_kept_is_not_computed_again_and_is_the_same(tmp_path):
    log = []
    first = collect(squares(2, 3, log=log), folder=tmp_path)
    again = collect(squares(2, 3, log=log), folder=tmp_path)
    assert log == [2, 3]
    for name, result in first.items():
        for key, values in result.items():
            np.testing.assert_array_equal(again[name][key], values, strict=True)


def test_after_an_interruption_only_the_rest_is_computed(tmp_path):
    log = []
    with pytest.raises(KeyboardInterrupt):
        collect(squares(2, 3, -1, 5, log=log), folder=tmp_path)
    collect(squares(2, 3, 5, log=log), folder=tmp_path)
    assert log == [2, 3, -1, 5]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    collect(squares(2))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_for_the_first_result_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        collect(squares(-1), folder=tmp_path / "pieces")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"PK\x03\x04"])
def test_a_damaged_file_is_computed_anew(tmp_path, content):
    (tmp_path / "piece-3.npz").write_bytes(content)
    assert collect(squares(3), folder=tmp_path)["piece-3"]["square"] == 9
    assert len((tmp_path / "piece-3.npz").read_bytes()) > len(content)


def test_progress_counts_what_was_kept(tmp_path):
    collect(squares(1), folder=tmp_path)
    told = []
    collect(squares(1, 2), folder=tmp_path, progress=lambda *counts: told.append(counts))
    assert told == [(1, 2), (2, 2)]


def test_two_processes_find_what_one_finds(tmp_path):
    pytest.importorskip("joblib")
    one, two = collect(squares(2, 3, 4)), collect(squares(2, 3, 4), folder=tmp_path, jobs=2)
    assert list(one) == list(two)
    assert all((one[name]["root"] == two[name]["root"]).all() for name in one)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_joblib_several_jobs_are_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r"nnreg\[parallel\]"):
        collect(squares(2, 3), jobs=2)
    assert len(collect(squares(2, 3), jobs=1)) == 2


@pytest.mark.parametrize("jobs", [0, -1, 1.5])
def test_jobs_are_a_whole_number_of_at_least_1(jobs):
    with pytest.raises((ValueError, TypeError), match="jobs"):
        collect({}, jobs=jobs)


def test_a_name_tells_apart_what_the_result_depends_on():
    names = {digest("l2", 0.1, 3), digest("l2", 0.1, 4), digest("l2", 0.2, 3), digest("l1", 0.1, 3)}
    assert len(names) == 4


def test_what_only_an_address_tells_apart_has_no_name():
    with pytest.raises(ValueError, match="repr"):
        digest(object())
