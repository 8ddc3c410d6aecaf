"""Every public function leaves the process's settings as they were, however it ends."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import fake_pictures, quick
from small import fit, linear, network, problem
from state import changes, process_state
from submissions import solution

import nnreg as nn
from nnreg import lab, plots
from nnreg.commands.main import main
from nnreg.course import grade
from nnreg.testing import assert_layer_contract, diagnose

pytestmark = pytest.mark.usefixtures("two_blas_threads")
SLOW = ("grade", "plots", "lab.compare")

PACKAGE = str(Path(nn.__file__).parent)
LOSS = nn.SoftmaxCrossEntropy()
X, Y = problem()
LINEAR = X, X @ [[1.0], [-2.0]] + 0.1


class Drawing(nn.Layer):
    """Draws from the global generators, as other people's code does."""

    def forward(self, x, cache):
        import random

        return x * (np.random.rand(*x.shape) < 0.5 + random.random() / 2)

    def backward(self, dy, cache):
        return dy


def train() -> None:
    fit(
        network(penalty=nn.L1(0.1, method="proximal")),
        epochs=2,
        threads=1,
        validation_split=0.2,
        metrics=["accuracy"],
        callbacks=[nn.EarlyStopping(), nn.CSVLog("log.csv", overwrite=True)],
        checkpoint=tempfile.mkdtemp(dir="."),
    )


def grade_a_submission() -> None:
    Path("submission.py").write_text(solution(1))
    grade("submission.py", "exercise_1")


def draw() -> None:
    plots.render(plots.loss_curves({"none": (np.ones((1, 3)), np.ones((1, 3)))}), "svg")
    plots.render(plots.dropout_masks({"": np.ones((3, 4))}), "png")


QUICK = "--hidden 4 --train-size 40 --epochs 1 --repeats 1"
CALLS: dict[str, Callable[[], Any]] = {
    "fit": train,
    "evaluate": lambda: nn.evaluate(network(), X, Y, loss=LOSS),
    "predict": lambda: network().predict(X),
    "solve": lambda: nn.solve(linear(2), *LINEAR, loss=nn.MeanSquaredError()),
    "check_gradients": lambda: nn.check_gradients(network(), X, Y, LOSS),
    "check_gradients, code that draws": lambda: nn.check_gradients(Drawing(), X),
    "diagnose": lambda: diagnose(nn.Tanh(), X),
    "assert_layer_contract": lambda: assert_layer_contract(nn.Tanh),
    "explain": lambda: str(nn.explain(network(), X, Y, loss=LOSS)),
    "sample_predictions": lambda: nn.sample_predictions(network(), X, samples=3),
    "save, load": lambda: (nn.save(network(), "net.npz", overwrite=True), nn.load("net.npz")),
    "lab.compare": lambda: quick(repeats=1, epochs=1),
    "lab.regularization_path": lambda: lab.regularization_path(
        linear(2), *LINEAR, loss=nn.MeanSquaredError(), points=3
    ),
    "lab.bias_and_variance": lambda: lab.bias_and_variance(
        lab.NetworkLearner((4,), epochs=1), lab.Sine(), datasets=3, points=9
    ),
    "lab.prune": lambda: lab.prune(network()),
    "lab.explain_gap": lambda: lab.explain_gap(network(), X, Y, X, Y, loss=LOSS),
    "lab.measure_stationarity": lambda: lab.measure_stationarity(network(), X, Y, loss=LOSS),
    "grade": grade_a_submission,
    "plots": draw,
    "nnreg compare": lambda: main(["compare", *QUICK.split(), "--out", "results"]),
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def count_calls(call: Callable[[], Any], number: int = 0, act: Callable[[], Any] = id) -> int:
    """Return how many of nnreg's functions are called; at the call of this number, ``act``."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        if frame.f_code.co_filename.startswith(PACKAGE):
            count += 1
            if count == number:
                act()

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except BaseException:  # the injected one, or one made of it
        if not number:
            raise
    finally:
        sys.settrace(previous)
    return count


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def fail() -> None:
    raise MemoryError("injected")


@pytest.mark.reliability(
    fault="Ctrl-C, or an error, at any point of a function",
    sees="Environment, BLAS threads, NumPy's error state and buffer, warnings, signal handlers, "
    "matplotlib's settings and global random generators are as before the call",
)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow][: name in SLOW]) for name in CALLS]
)
@pytest.mark.filterwarnings("ignore:Exception ignored in. <generator")  # ended while it is closed
def test_a_call_that_ends_early_leaves_everything_as_it_was(name, monkeypatch):
    if name in ("plots", "nnreg compare"):
        pytest.importorskip("matplotlib")
    if name.startswith("nnreg "):
        fake_pictures(monkeypatch)
    before = process_state()
    total = count_calls(CALLS[name])
    assert not changes(before, process_state())
    for act in (interrupt, fail):
        for share in (0.1, 0.5, 0.9):
            number = 1 + int(share * total)
            assert count_calls(CALLS[name], number, act) >= number
            assert not changes(before, process_state()), f"{act.__name__} in call {number}"


def test_the_first_fit_of_a_process_leaves_the_environment():
    """Packages that nnreg imports then, such as threadpoolctl, set variables."""
    script = """if True:
        import os
        import nnreg as nn
        before = dict(os.environ)
        net = nn.Network([nn.Dense(1)], inputs=1)
        nn.fit(net, [[1.0]], [[1.0]], loss=nn.MeanSquaredError(), optimizer=nn.Adam(), epochs=1)
        assert dict(os.environ) == before
    """
    subprocess.run([sys.executable, "-c", script], check=True)
