"""The estimators beside scikit-learn's: its checks, its tests, and twenty steps of training."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnreg as nn

neural_network = pytest.importorskip("sklearn.neural_network")
from sklearn.exceptions import ConvergenceWarning  # noqa: E402  # after the skip
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from nnreg import estimators  # noqa: E402

pytestmark = pytest.mark.sklearn

DROPOUT_AND_L1 = {"keep_prob": 0.9, "l1": 1e-4}
#: Checks that skip scikit-learn's own perceptrons, too.
SKIPPED = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}
_rng = np.random.default_rng(0)
ROWS_OF = _rng.normal(size=(40, 5))
CLASSES_OF = np.argmax(ROWS_OF @ _rng.normal(size=(5, 3)), axis=1)
NUMBERS_OF = ROWS_OF @ _rng.normal(size=(5, 2))
WEIGHTS_OF = _rng.uniform(0.8, 1.25, 40)


def ours_and_theirs(kind: str, **settings: Any) -> list[Any]:
    options = {"hidden_layer_sizes": (7, 6), "shuffle": False, "random_state": 0} | settings
    return [getattr(module, kind)(**options) for module in (estimators, neural_network)]


@pytest.mark.parametrize("options", [{}, DROPOUT_AND_L1], ids=["default", "dropout and L1"])
@pytest.mark.parametrize("kind", [estimators.MLPClassifier, estimators.MLPRegressor])
def test_check_estimator(kind: type, options: dict[str, float]) -> None:
    state = np.random.get_state()  # its checks draw from it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = check_estimator(kind(max_iter=30, **options), on_fail=None, on_skip=None)
    np.random.set_state(state)
    assert {check["status"] for check in checks} == {"passed", "skipped"}
    assert {check["check_name"] for check in checks if check["status"] == "skipped"} <= SKIPPED


def test_scikit_learns_tests_of_its_perceptrons_pass_with_ours(tmp_path: Path) -> None:
    ini = tmp_path / "pytest.ini"
    ini.write_text("[pytest]\n")
    tests, root = Path(__file__).parent, Path(__file__).parents[2]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", ini, "-p", "swap"),
            *("-p", "no:cacheprovider", "--pyargs", "sklearn.neural_network.tests.test_mlp"),
        ],
        env=os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{root}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", run.stdout)[0]) >= 57


@pytest.mark.parametrize("weights", [None, WEIGHTS_OF], ids=["", "weighted"])
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "lbfgs", "max_iter": 20},
        {"solver": "adam", "batch_size": 10, "max_iter": 5},
        {"solver": "adam", "batch_size": 12, "max_iter": 5, "alpha": 0.5},
        {"solver": "sgd", "batch_size": 10, "max_iter": 5, "momentum": 0.0},
        {"solver": "sgd", "batch_size": 10, "max_iter": 5, "nesterovs_momentum": False},
        {"solver": "sgd", "batch_size": 10, "max_iter": 5, "learning_rate": "invscaling"},
        {
            **{"solver": "sgd", "batch_size": 40, "max_iter": 20, "learning_rate": "adaptive"},
            **{"tol": 0.1, "n_iter_no_change": 2, "learning_rate_init": 0.1},
        },
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_twenty_steps_agree_with_those_of_scikit_learn(
    settings: dict[str, Any], activation: str, weights: Any
) -> None:
    # Their loss of two outputs is half of what has their gradient. L-BFGS and `tol` depend on it.
    numbers = NUMBERS_OF if settings["solver"] == "adam" else NUMBERS_OF[:, 0]
    for kind, targets in [("MLPClassifier", CLASSES_OF), ("MLPRegressor", numbers)]:
        ours, theirs = ours_and_theirs(kind, activation=activation, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for model in (ours, theirs):
                model.fit(ROWS_OF, targets, sample_weight=weights)
        assert ours.n_iter_ == theirs.n_iter_
        for here, there in zip(
            [*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True
        ):
            np.testing.assert_allclose(here, there, rtol=1e-10, atol=1e-10 * abs(there).max())
        if targets.ndim == 1 and weights is None:  # they weigh batches by rows
            np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-10)


def test_a_step_worked_out_by_hand() -> None:
    """scikit-learn's ``test_fit``, whose weights are set between two calls of partial_fit."""
    model = estimators.MLPClassifier(
        2,
        solver="sgd",
        learning_rate_init=0.1,
        alpha=0.1,
        activation="logistic",
        momentum=0,
        random_state=1,
    )
    x = np.array([[0.6, 0.8, 0.7]])
    model.partial_fit(x, [0], classes=[0, 1])
    start = [[[0.1, 0.2], [0.3, 0.1], [0.5, 0.0]], [[0.1], [0.2]], [0.1, 0.1], [1.0]]
    for values, given in zip([*model.coefs_, *model.intercepts_], start, strict=True):
        values[...] = given
    model.partial_fit(x, [0])
    expected = [
        [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]],
        *([[0.04706], [0.154089]], [0.098333, 0.09626], [0.9235]),
    ]
    for values, wanted in zip([*model.coefs_, *model.intercepts_], expected, strict=True):
        np.testing.assert_allclose(values, wanted, atol=1e-3)
    assert model.predict_proba(x)[0, 1] == pytest.approx(0.739, abs=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("activation", estimators.ACTIVATIONS)
def test_the_gradient_of_an_estimators_network(activation: str, classes: int) -> None:
    """scikit-learn's ``test_gradient``, by our gradient check."""
    model = estimators.MLPClassifier(
        10, activation, solver="lbfgs", alpha=1e-5, max_iter=1, random_state=0
    )
    y = np.arange(40) % classes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(ROWS_OF, y)
    loss, targets = (
        (nn.SigmoidCrossEntropy(), y[:, np.newaxis])
        if classes == 2
        else (nn.SoftmaxCrossEntropy(), y)
    )
    nn.check_gradients(model.network_, ROWS_OF, targets, loss).assert_ok()
