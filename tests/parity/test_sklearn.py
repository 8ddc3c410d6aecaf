"""The same step as scikit-learn's perceptron, whose ``alpha`` has two definitions."""

import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import one_step, shared
from parity.one_step import BIAS, LABELS, RATE, ROWS, WEIGHT, Array, X

import nnreg as nn
from nnreg import interop
from nnreg.conventions import Convention, find

neural_network = pytest.importorskip("sklearn.neural_network")
ConvergenceWarning = pytest.importorskip("sklearn.exceptions").ConvergenceWarning
pytestmark = pytest.mark.sklearn


def step(alpha: float) -> tuple[Array, Array]:
    model = neural_network.MLPClassifier(
        (),
        solver="sgd",
        alpha=alpha,
        batch_size=ROWS,
        learning_rate_init=RATE,
        momentum=0.0,
        nesterovs_momentum=False,
        random_state=0,
    )
    model.partial_fit(X, LABELS, classes=np.unique(LABELS))  # lays out its arrays
    weight, bias = model.coefs_[0], model.intercepts_[0]
    weight[...], bias[...] = WEIGHT, BIAS
    model.partial_fit(X, LABELS)
    return model.coefs_[0], model.intercepts_[0]


def test_one_step_with_converted_strength_is_the_step_of_scikit_learn() -> None:
    one_step.assert_same_step(find("sklearn"), step)


@pytest.mark.parametrize("copies", [1, 3])
def test_lbfgs_comes_to_rest_where_the_converted_penalty_balances_the_loss(copies: int) -> None:
    """It has no single step to compare; here ``dw + s w`` is zero at the optimum that it finds."""
    x, labels = np.tile(X, (copies, 1)), np.tile(LABELS, copies)
    model = neural_network.MLPClassifier(
        (),
        solver="lbfgs",
        alpha=one_step.STRENGTH,
        tol=1e-10,
        random_state=0,
    )
    model.fit(x, labels)
    strength = find("sklearn-lbfgs").coefficient(n=len(x)) * one_step.STRENGTH
    net = nn.Network([nn.Dense(3)], inputs=4, penalty=nn.L2(strength), dtype="float64")
    net.parameters["dense_1.weight"][...] = model.coefs_[0]
    net.parameters["dense_1.bias"][...] = model.intercepts_[0]
    outputs, cache = net.forward(x, training=True)
    gradients = net.backward(nn.SoftmaxCrossEntropy()(outputs, labels)[1], cache)
    size = abs(gradients.weights).max()  # scikit-learn stops where the loss falls by 2e-9 of itself
    net.add_penalty_gradient(gradients)
    assert abs(gradients.vector).max() < 1e-3 * size


def test_every_row_of_scikit_learn_is_held_here() -> None:
    rows: list[Convention] = one_step.conventions("scikit-learn").args[1]
    assert {c.source for c in rows} == {"sklearn", "sklearn-lbfgs"}


TARGETS = {
    "three classes": ("MLPClassifier", np.array(["owl", "cat", "dog"])),
    "two classes": ("MLPClassifier", np.array([7, 3, 7])),
    "labels": ("MLPClassifier", np.array([[0, 1], [1, 1], [1, 0]])),
    "value": ("MLPRegressor", np.array([0.5, -1.0, 2.0])),
    "values": ("MLPRegressor", np.array([[0.5, 1.0], [-1.0, 0.0], [2.0, 0.5]])),
}


def fit(name: str, dtype: str = "float64", rows: int = 12, **settings: Any) -> tuple[Any, Array]:
    """Return a model of scikit-learn after a few epochs, and its inputs."""
    kind, targets = TARGETS[name]
    x = np.random.default_rng(1).normal(size=(rows, 4)).astype(dtype)
    settings = {"random_state": 0, "max_iter": 3, **settings}
    model = getattr(neural_network, kind)(**settings)
    with pytest.warns(ConvergenceWarning):
        return model.fit(x, np.resize(targets, (rows, *targets.shape[1:]))), x


def predictions(model: Any, x: Array) -> Array:
    """Return the values, or the probabilities of the outputs."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(x).reshape(len(x), -1))
    probabilities: Array = model.predict_proba(x)
    return probabilities[:, 1:] if model.n_outputs_ == 1 else probabilities


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "identity": np.asarray,
    "softmax": nn.softmax,
    "logistic": nn.sigmoid,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("name", TARGETS)
def test_network_and_fitted_model_predict_the_same_there_and_back(
    name: str, hidden: tuple[int, ...], activation: str, dtype: str
) -> None:
    model, x = fit(name, dtype, activation=activation, hidden_layer_sizes=hidden)
    net, theirs = interop.from_sklearn(model), predictions(model, x)
    shared.assert_predictions_agree(theirs, FUNCTIONS[model.out_activation_](net.predict(x)))
    if name == "labels":  # nothing says that these outputs are labels
        assert net.classes is None
        return
    if net.classes is not None:
        assert net.predict(x, classes=True).tolist() == model.predict(x).tolist()
    again = interop.to_sklearn(net, batch_size=len(x))
    assert again.alpha == pytest.approx(model.alpha)
    np.testing.assert_array_equal(predictions(again, x), theirs)


@pytest.mark.parametrize(
    ("settings", "rows", "divisor"),
    [
        ({"solver": "adam"}, None, 12),
        ({"solver": "sgd", "batch_size": 5}, None, 5),
        ({"solver": "adam", "early_stopping": True, "validation_fraction": 0.25}, None, 9),
        ({"solver": "adam", "batch_size": 50}, 100, 50),
        ({"solver": "adam"}, 1000, 200),
        ({"solver": "lbfgs"}, 12, 12),
    ],
)
def test_alpha_is_divided_by_the_rows_of_a_batch(
    settings: dict[str, Any], rows: int | None, divisor: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a batch larger than the data
        model, _ = fit("value", alpha=0.5, **settings)
    penalty: Any = interop.from_sklearn(model, rows=rows).penalty
    assert penalty.strength == pytest.approx(0.5 / divisor)


def test_alpha_of_lbfgs_needs_the_number_of_rows() -> None:
    with pytest.raises(ValueError, match=r"pass rows=len\(X\)"):
        interop.from_sklearn(fit("value", solver="lbfgs")[0])


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [(1, ["no", "yes"]), (1, ["yes", "no"]), (2, [0, 1]), (2, [1, 0]), (3, ["b", "c", "a"])],
)
def test_classes_in_any_order_have_the_same_probabilities(
    outputs: int, classes: list[Any], rng: np.random.Generator
) -> None:
    layers = [nn.Dense(5), nn.Tanh(), nn.Dense(outputs)]
    net = nn.Network(layers, inputs=4, dtype="float64", classes=classes)
    x = rng.normal(size=(20, 4))
    z = net.predict(x)
    ours = nn.softmax(z if outputs > 1 else np.hstack([0 * z, z]))
    model = interop.to_sklearn(net)
    shared.assert_predictions_agree(model.predict_proba(x), ours[:, np.argsort(classes)])
    assert model.predict(x).tolist() == net.predict(x, classes=True).tolist()


def test_model_is_trained_further_with_the_penalty_of_the_network(
    rng: np.random.Generator,
) -> None:
    layers = [nn.Dense(5), nn.ReLU(), nn.Dense(3)]
    net = nn.Network(layers, inputs=4, penalty=nn.L2(0.1), dtype="float64", classes=[0, 1, 2])
    x, y = rng.normal(size=(ROWS, 4)), np.resize([2, 0, 1], ROWS)
    model = interop.to_sklearn(net, batch_size=ROWS)
    model.set_params(solver="sgd", learning_rate_init=RATE, momentum=0.0, nesterovs_momentum=False)
    model.partial_fit(x, y)
    loss = nn.SoftmaxCrossEntropy()
    nn.fit(net, x, y, loss=loss, optimizer=nn.SGD(RATE), epochs=1, batch_size=ROWS)
    weights = [net.parameters[f"dense_{number}.weight"] for number in (1, 2)]
    for theirs, ours in zip(model.coefs_, weights, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-12)


DENSE = partial(nn.Dense, 3)


@pytest.mark.parametrize(
    ("layers", "penalty", "message"),
    {
        "an activation": ([DENSE(), nn.ELU(), DENSE()], None, "elu_1 has no equal"),
        "two kinds": ([DENSE(), nn.ReLU(), DENSE(), nn.Tanh(), DENSE()], None, "one kind"),
        "of the outputs": ([DENSE(), nn.ReLU()], None, "one kind"),
        "no bias": ([DENSE(bias=False)], None, "dense_1 has no bias"),
        "dropout": ([nn.Dropout(keep_prob=0.5), DENSE()], None, r"layers\[0\].keep_prob = 1"),
        "L1": ([DENSE()], nn.L1(0.1), "net.penalty = None"),
        "two strengths": ([DENSE(penalty=nn.L2(0.1)), DENSE()], nn.L2(0.2), r"\[0.1, 0.2\]"),
    }.values(),
)
def test_what_scikit_learn_does_not_have_is_refused(
    layers: list[nn.Layer], penalty: nn.Penalty | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        interop.to_sklearn(nn.Network(layers, inputs=4, penalty=penalty))


def test_model_that_is_not_fitted_or_from_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model.fit\(X, y\)"):
        interop.from_sklearn(neural_network.MLPClassifier())
    with pytest.raises(TypeError, match="a fitted MLPClassifier"):
        interop.from_sklearn({"coefs_": []})


@pytest.mark.slow
def test_pickled_model_predicts_in_a_process_without_nnreg(tmp_path: Path) -> None:
    net, x = shared.models("float64")["ReLU"], np.ones((1, shared.INPUTS))
    (tmp_path / "model").write_bytes(pickle.dumps(interop.to_sklearn(net)))
    code = "import numpy, pickle; model = pickle.load(open('model', 'rb'))\n"
    code += "numpy.save('y', model.predict(numpy.ones((1, 4))))"
    shared.run_without_nnreg(code, tmp_path)
    shared.assert_predictions_agree(np.load(tmp_path / "y.npy"), net.predict(x))
