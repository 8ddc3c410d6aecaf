"""The gradient check and the diagnosis on randomly drawn code, right or wrong, in all styles."""

import pytest

from benchmarks import drawn_pairs
from nnreg.gradcheck.snapshot import Snapshot


@pytest.mark.parametrize(
    ("pairs", "seed"), [(150, 1), pytest.param(450, 2, marks=pytest.mark.slow)]
)
def test_no_false_pass_no_false_alarm_nothing_changed_and_known_bugs_named(pairs, seed):
    table, bad = drawn_pairs.run(pairs, seed)
    assert not [words for words in bad if ": not named:" not in words]
    counts = [sum(n[key] for n in table.values()) for key in ("named", "not named")]
    assert counts[0] >= 0.97 * sum(counts)
    assert "| all |" in drawn_pairs.show(table)


def test_with_the_snapshot_left_out_objects_are_changed(monkeypatch):
    everything = Snapshot()  # what the check would put back
    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "restore", lambda self, **_: None)
        table, _ = drawn_pairs.run(60, seed=1)
    everything.restore()
    assert sum(counts["changed"] for counts in table.values()) > 5
