"""What tests of the experiments share: a small comparison, and pictures that take no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import pytest

import nnreg.plots
from nnreg.datasets import load
from nnreg.lab import Comparison, Settings, Strengths, compare
from nnreg.plots.frame import Theme, new_panels

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="needs matplotlib, as nnreg[plots] has it"
)

QUICK = {
    "hidden": (16,),
    "l2": 0.01,
    "l1": 0.01,
    "keep_prob": 0.5,
    "train_size": 200,  # 200 rows have three folds, fewer rows have more
    "label_noise": 0.1,
    "epochs": 2,
    "repeats": 2,
}


def quick(**changes: object) -> Comparison:
    return compare(load("digits"), Settings(**(QUICK | changes)))


def each(loss: Callable[[Strengths], float]) -> Callable[[Sequence[Strengths]], list[float]]:
    """Return the losses of several strengths, for `select_strengths`."""
    return lambda tried: [loss(strengths) for strengths in tried]


def draw_nothing(
    result: object, *, axis: str = "", columns: int = 3, theme: Theme = nnreg.plots.LIGHT
) -> Any:
    return new_panels([], {}, columns, theme, "")[0]


def fake_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pictures of reports empty, for tests that do not look at them."""
    for picture in ("curves", "weights", "decisions"):
        monkeypatch.setattr(f"nnreg.lab.comparison.report.draw_{picture}", draw_nothing)
    for picture in ("terms", "fits"):
        monkeypatch.setattr(f"nnreg.lab.bias_variance.report.draw_{picture}", draw_nothing)
    monkeypatch.setattr("nnreg.lab.path.report.draw_path", draw_nothing)
    monkeypatch.setattr(nnreg.plots, "render", lambda figure, kind: kind.encode())
