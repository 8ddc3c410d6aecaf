"""The gradient check and the diagnosis on randomly drawn code, right or wrong, in all styles."""

import pytest

from benchmarks import drawn_pairs
from nnreg.gradcheck.snapshot import Snapshot


def test_no_false_pass_no_false_alarm_and_nothing_changed():
    table, bad = drawn_pairs.run(80, seed=1, name_bugs=False)
    assert not bad
    assert sum(counts["found"] for counts in table.values()) > 40
    assert "| all |" in drawn_pairs.show(table)


@pytest.mark.slow
def test_diagnose_changes_nothing_and_names_the_known_bugs():
    table, bad = drawn_pairs.run(60, seed=1)
    assert not [words for words in bad if ": not named:" not in words]
    counts = [sum(n[key] for n in table.values()) for key in ("named", "not named")]
    assert counts[0] >= 0.97 * sum(counts)


@pytest.mark.slow
def test_with_the_snapshot_left_out_objects_are_changed(monkeypatch):
    everything = Snapshot()  # what the check would put back
    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "restore", lambda self, **_: None)
        table, _ = drawn_pairs.run(60, seed=1, name_bugs=False)
    everything.restore()
    assert sum(counts["changed"] for counts in table.values()) > 5
