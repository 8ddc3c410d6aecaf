"""The recipes of docs/do/log_to_trackers.md that its build does not run, with stand-ins."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

PAGE = (Path(__file__).parents[1] / "docs/do/log_to_trackers.md").read_text(encoding="utf-8")


def names_on_the_page() -> dict[str, object]:
    """Run the first code cell, which defines the training, and return its names."""
    names: dict[str, object] = {}
    exec(re.search(r"^```\{code-cell\} python\n(.*?)^```$", PAGE, re.M | re.S)[1], names)
    return names


def recipe(tracker: str) -> str:
    (code,) = re.findall(rf"^```py\n(import {tracker}\n.*?)^```$", PAGE, re.M | re.S)
    return code


@pytest.fixture
def calls() -> list[tuple]:
    return []


@pytest.fixture
def mlflow(calls, monkeypatch):
    @contextmanager
    def start_run(*, run_name):
        calls.append(("start", run_name))
        yield
        calls.append(("end",))

    stand_in = SimpleNamespace(
        set_tracking_uri=lambda address: None,
        start_run=start_run,
        log_params=lambda params: calls.append(("settings", params)),
        log_metrics=lambda metrics, *, step: calls.append((step, metrics)),
    )
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)


@pytest.fixture
def wandb(calls, monkeypatch):
    @contextmanager
    def init(*, project, mode, config):
        calls.extend([("start", project), ("settings", config)])
        yield SimpleNamespace(log=lambda data, *, step: calls.append((step, data)))
        calls.append(("end",))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_recipe_logs_the_settings_and_the_figures_of_each_epoch(tracker, calls, request):
    request.getfixturevalue(tracker)
    names = names_on_the_page()
    exec(recipe(tracker), names)
    assert calls[0] == ("start", "digits")
    assert calls[1] == ("settings", names["settings"])
    assert [step for step, *_ in calls[2:]] == [1, 2, 3, 4, 5, "end"]
    for _, figures in calls[2:-1]:
        assert {"data_loss", "val_data_loss", "accuracy", "val_accuracy"} <= figures.keys()
        assert all(isinstance(value, float) for value in figures.values())
