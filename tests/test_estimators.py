"""The estimators with scikit-learn's interface: settings, data, results, errors."""

import copy
import io
import warnings

import numpy as np
import pytest

import nnreg as nn

pytest.importorskip("sklearn")
joblib = pytest.importorskip("joblib")
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.feature_selection import SelectFromModel  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from nnreg.estimators import MLPClassifier, MLPRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.argmax(X @ RNG.normal(size=(4, 3)), axis=1)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
T = np.abs(X @ RNG.normal(size=4))


def classifier(**settings):
    options = {"hidden_layer_sizes": (8,), "max_iter": 5, "batch_size": 20, "random_state": 0}
    return MLPClassifier(**options | settings)


def regressor(loss="squared_error", **settings):
    options = classifier(**settings).get_params()
    del options["class_weight"]
    return MLPRegressor(loss, **options)


class Fourth(nn.Loss):
    def __call__(self, outputs, targets):
        r = outputs - targets
        return (r**4).sum() / len(r), 4 * r**3 / len(r)


SETTINGS = [
    {"keep_prob": 0.8},
    {"hidden_layer_sizes": (8, 5), "keep_prob": [0.8, 0.5], "activation": ["relu", "tanh"]},
    {"input_keep_prob": 0.9, "activation": nn.ELU(0.5)},
    {"l1": 1e-3},
    {"l1": 1e-3, "l1_method": "subgradient", "alpha": 0.1},
    {"group_lasso": 0.05, "solver": "sgd"},
    {"max_norm": 1.0},
    {"class_weight": "balanced"},
    {"solver": "lbfgs"},
    {"early_stopping": True, "scoring": "neg_log_loss"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_pickled_model_predicts_the_same_and_a_clone_has_the_same_settings(settings):
    model = classifier(**settings).fit(X, NAMES)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).predict_proba(X), model.predict_proba(X))
    again = clone(model).fit(X, NAMES)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("keep_prob", [1.0, 0.7])
def test_a_fit_is_as_many_calls_of_partial_fit_bit_for_bit(solver, keep_prob):
    settings = {"solver": solver, "keep_prob": keep_prob, "l1": 1e-3, "tol": 0.0}
    whole, parts = classifier(**settings).fit(X, Y), classifier(**settings)
    for epoch in range(5):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
        parts = copy.deepcopy(parts) if epoch == 2 else parts
    np.testing.assert_array_equal(
        parts.network_.parameters.vector, whole.network_.parameters.vector
    )


@pytest.mark.parametrize("keep_prob", [1.0, 0.7])
def test_a_whole_weight_is_a_row_that_is_repeated(keep_prob):
    weights = np.random.default_rng(1).integers(0, 3, len(X))
    settings = {"keep_prob": keep_prob, "batch_size": "auto"}
    weighted = classifier(**settings).fit(X, Y, sample_weight=weights)
    repeated = classifier(**settings).fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-10)


@pytest.mark.parametrize(
    "loss", ["poisson", "huber", "quantile", nn.Huber(0.5), nn.Quantile(0.9), Fourth()], ids=str
)
def test_a_regressor_minimizes_the_given_loss(loss):
    model = regressor(loss, max_iter=60, learning_rate_init=0.01).fit(X, T)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.predict(X).shape == T.shape


def test_a_quantile_lies_above_its_share_of_the_targets():
    model = regressor(nn.Quantile(0.9), max_iter=200, learning_rate_init=0.01).fit(X, T)
    assert np.mean(model.predict(X) > T) == pytest.approx(0.9, abs=0.05)


def test_given_validation_rows_have_a_loss_curve_and_end_the_training():
    model = classifier(
        **{"early_stopping": True, "scoring": "neg_log_loss", "n_iter_no_change": 3},
        **{"max_iter": 300, "learning_rate_init": 0.1},
    )
    model.fit(X[:40], NAMES[:40], X_val=X[40:], y_val=NAMES[40:])
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_ < 300
    expected = -max(model.validation_scores_)
    proba = model.predict_proba(X[40:])
    assert -np.log(proba[np.arange(20), Y[40:]]).mean() == pytest.approx(expected)


def test_callbacks_of_fit_are_called():
    epochs = []
    classifier(callbacks=lambda state: epochs.append(state.net.epochs)).fit(X, Y)
    assert epochs == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_the_names_of_their_columns(library):
    frame = pytest.importorskip(library).DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    model = classifier().fit(frame, NAMES)
    assert list(model.feature_names_in_) == list("abcd")
    np.testing.assert_array_equal(model.predict(frame), classifier().fit(X, NAMES).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("bacd")])


def test_labels_several_columns_and_sparse_rows():
    from scipy import sparse

    labels = np.stack([Y == 0, Y > 0], axis=1).astype(int)
    several = classifier(max_iter=50).fit(X, labels)
    assert several.predict(X).shape == several.predict_proba(X).shape == labels.shape
    assert regressor().fit(X, np.stack([T, -T], axis=1)).predict(X).shape == (60, 2)
    for kind in (sparse.csr_matrix, sparse.csc_array):
        np.testing.assert_array_equal(
            classifier().fit(kind(X), Y).predict_proba(kind(X)),
            classifier().fit(X, Y).predict_proba(X),
        )


@pytest.mark.parametrize("settings", [{"group_lasso": 0.15}, {"l1": 0.05}], ids=str)
def test_select_from_model_drops_inputs_whose_weights_are_all_zero(settings):
    x = np.hstack([X, np.random.default_rng(1).normal(size=(60, 4))])
    model = classifier(max_iter=150, learning_rate_init=0.01, **settings)
    selector = SelectFromModel(model).fit(x, Y)
    importances = selector.estimator_.feature_importances_
    np.testing.assert_array_equal(selector.get_support(), importances != 0)
    assert (importances == 0).any()
    assert importances[:4].sum() > importances[4:].sum()


def test_a_pipeline_is_searched():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier()),
        {"mlpclassifier__keep_prob": [0.5, 1.0], "mlpclassifier__activation": ["relu", nn.GELU()]},
        cv=2,
        error_score="raise",
    )
    assert 0 <= search.fit(X, NAMES).best_score_ <= 1


def test_warm_start_continues_with_new_settings():
    model = classifier(warm_start=True).fit(X, Y)
    model.set_params(keep_prob=0.5).fit(X, Y)
    assert len(model.loss_curve_) == 10
    assert any(isinstance(layer, nn.Dropout) for layer in model.network_.layers)


def test_the_html_has_the_curves_of_a_trained_model():
    assert "<figure>" not in classifier()._repr_html_()
    html = classifier().fit(X, Y, X_val=X, y_val=Y)._repr_html_()
    assert html.count("<polyline") == 2
    assert "loss_curve_; dashed: validation_loss_curve_" in html


WRONG = {
    "hidden_layer_sizes": ["ten", (3.5,), 0],
    "activation": ["rel", nn.ReLU, ["relu", "relu"], nn.Dense(3), nn.Dropout(keep_prob=0.5)],
    "solver": ["rmsprop"],
    "alpha": [-1, "a", np.nan],
    "batch_size": [0, 2.5],
    "learning_rate": ["x"],
    "learning_rate_init": [0, "a"],
    "max_iter": [0, 1.5],
    "shuffle": ["no", None],
    "random_state": ["a", -1],
    "verbose": ["x"],
    "warm_start": ["yes"],
    "momentum": [-1, 1.5, "a"],
    "early_stopping": [2],
    "validation_fraction": [1.0],
    "beta_1": [1, "a"],
    "epsilon": [0],
    "n_iter_no_change": [0],
    "keep_prob": [0, 1.5, "a", None, [0.5, 0.5]],
    "input_keep_prob": [0, "a"],
    "l1": [-1, None],
    "l1_method": ["x"],
    "group_lasso": [-1],
    "max_norm": [0, "a"],
    "scoring": ["x", 3],
    "callbacks": [3, [3], None],
    "class_weight": ["x", {5: 1}, {0: -1, 1: 1, 2: 1}],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parameter_is_named_and_the_model_is_what_it_was(name):
    trained = classifier().fit(X, Y)
    before = {key: value for key, value in vars(trained).items() if key != name}
    vector = trained.network_.parameters.vector.copy()
    for value in WRONG[name]:
        new = classifier(**{name: value})
        for model, kept in [(new, dict(vars(new))), (trained.set_params(**{name: value}), before)]:
            with pytest.raises((TypeError, ValueError), match=name):
                model.fit(X, NAMES)
            now = {key: v for key, v in vars(model).items() if key != name or model is new}
            assert now.keys() == kept.keys()
            assert all(now[key] is kept[key] or now[key] == kept[key] for key in now)
    np.testing.assert_array_equal(trained.network_.parameters.vector, vector)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: classifier(solver="lbfgs", keep_prob=0.5).fit(X, Y), "without keep_prob"),
        (lambda: classifier(solver="lbfgs", l1=0.1).fit(X, Y), "without l1"),
        (lambda: classifier(solver="lbfgs").fit(X, Y, X_val=X, y_val=Y), "X_val needs solver"),
        (lambda: classifier().fit(X, Y, X_val=X), "X_val and y_val must be given together"),
        (lambda: classifier().fit(X, Y, X_val=X, y_val=Y + 1), "has classes not in"),
        (lambda: classifier(class_weight="balanced").fit(X, np.eye(3)[Y]), "one label per row"),
        (lambda: regressor("x").fit(X, T), "'quantile', got 'x'; or a Loss such as nn.Quantile"),
        (lambda: regressor(nn.SoftmaxCrossEntropy()).fit(X, T), "loss must be one for numbers"),
        (lambda: regressor("poisson").fit(X, -T), "targets of Poisson must lie in"),
        (
            lambda: (m := classifier(warm_start=True).fit(X, Y), m.set_params(
                hidden_layer_sizes=(9,)).fit(X, Y)),
            "hidden_layer_sizes must be that of the previous fit",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_an_error_in_partial_fit_leaves_the_model_as_it_was():
    model = classifier().partial_fit(X, Y, classes=[0, 1, 2])
    proba = model.predict_proba(X)

    def fail(state):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        model.set_params(callbacks=[fail]).partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), proba)
    assert model.network_.epochs == 1


def test_an_error_in_the_first_partial_fit_leaves_no_classes():
    model = classifier()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full_like(X, np.nan), Y, classes=[0, 1, 2, 3])
    assert not hasattr(model, "classes_")
    model.partial_fit(X, Y, classes=[0, 1, 2])


def test_the_warning_names_the_limit():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier().fit(X, Y)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert "Maximum iterations (5)" in str(caught[0].message)
