"""Estimators: multilayer perceptrons with the interface of scikit-learn.

``MLPClassifier`` and ``MLPRegressor`` have the parameters of scikit-learn's classes of these names,
with the same meaning, and those that its users have asked for: dropout, L1, group lasso, max-norm,
class weights, other losses and activations, a given validation set. With equal parameters and
``shuffle=False`` they compute the same numbers as scikit-learn's, up to rounding.

Requires scikit-learn: ``pip install 'nnreg[sklearn]'``.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np

from nnreg import kernels, random
from nnreg._support import tables, validation
from nnreg._support.typing import Array
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout
from nnreg.losses import (
    ElementLoss,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    predicts_classes,
)
from nnreg.network import Network
from nnreg.optimizers import SGD, Adam, Optimizer
from nnreg.penalties import L2, METHODS, ElasticNet, GroupLasso, MaxNorm
from nnreg.training.callbacks import Callback, TrainingState
from nnreg.training.data import Data
from nnreg.training.loop import fit, get_callbacks
from nnreg.training.solve import make_objective
from nnreg.training.step import NonFiniteLossError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import accuracy_score, get_scorer, r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import LabelBinarizer
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import type_of_target, unique_labels
    from sklearn.utils.validation import _check_sample_weight as check_sample_weight
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError:
    raise ImportError(
        "nnreg.estimators needs scikit-learn 1.7 or newer: pip install 'nnreg[sklearn]'"
    ) from None

ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "softplus": Softplus,
}
CURVES = ("loss_curve_", "validation_loss_curve_")
SOLVERS = ("lbfgs", "sgd", "adam")
SCHEDULES = ("constant", "invscaling", "adaptive")
HASHED = 4096  # rows at a time, to limit memory
MAX_REPEATED = 20  # a row of a larger weight is not repeated
SMALLEST_RATE = 1e-6  # an adaptive learning rate is not reduced below it


class HalfSquaredError(ElementLoss):
    """``mean over rows of Σₘ (zₘ - yₘ)²/2``, the squared error that scikit-learn minimizes.

    Examples
    --------
    >>> HalfSquaredError()(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))  # (1 + 4)/2
    (np.float64(2.5), array([[1., 2.]]))
    """

    def compute_rows(
        self, outputs: Array, targets: Array, out: Array | None
    ) -> tuple[Array, Array]:
        """Return one value per row and its gradient."""
        values, gradient = kernels.squared_error(outputs, targets, out)
        values *= 0.5
        gradient *= 0.5
        return values, gradient


LOSSES: dict[str, type[Loss]] = {
    "squared_error": HalfSquaredError,
    "poisson": Poisson,
    "huber": Huber,
    "quantile": Quantile,
}


class Rows(NamedTuple):
    """Inputs, targets of the loss, targets as the user has them, and weights."""

    X: Any
    targets: Array
    y: Array
    weights: Array | None

    def take(self, rows: Array) -> Rows:
        """Return the rows of these numbers."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(self.X[rows], self.targets[rows], self.y[rows], weights)


class _Epochs(Callback):
    """scikit-learn's rules for each batch and each epoch: alpha, learning rate, end of training."""

    def __init__(self, model: Any, weights: Array | None, held_out: Any) -> None:
        self.model, self.weights = model, weights
        self.held_out = held_out  # Rows, or None without a validation set
        self.penalty_sum = 0.0
        self.rows = 0
        self.best: Array | None = None

    def on_batch_begin(self, state: TrainingState) -> None:
        """Divide ``alpha`` by the batch, and put Adam's epsilon where scikit-learn has it."""
        model, rows = self.model, len(state.batch_rows)
        total = rows if self.weights is None else float(self.weights[state.batch_rows].sum())
        model._set_alpha(total)
        if isinstance(state.optimizer, Adam):
            correction = 1.0 - model.beta_2 ** (state.optimizer.steps + 1)
            state.optimizer.epsilon = model.epsilon / math.sqrt(correction)
        self.penalty_sum += rows * state.net.penalty_value()
        self.rows += rows

    def on_epoch_end(self, state: TrainingState) -> None:
        """Record the loss, and stop or reduce the learning rate where it no longer improves."""
        model, row = self.model, state.history.last
        model.loss_ = row["data_loss"] + self.penalty_sum / self.rows
        if self.held_out is not None:
            model.validation_loss_curve_.append(row["val_data_loss"])
        model.t_ += self.rows
        self.penalty_sum, self.rows = 0.0, 0
        model.n_iter_ += 1
        model.loss_curve_.append(model.loss_)
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        improved = self.record_score() if model.early_stopping else self.record_loss()
        model._no_improvement_count = 0 if improved else model._no_improvement_count + 1
        if model.learning_rate == "invscaling" and model.solver == "sgd":
            self.set_rate(state, model.learning_rate_init / (model.t_ + 1) ** model.power_t)
        if model._no_improvement_count > model.n_iter_no_change:
            self.end_or_reduce(state)

    def record_loss(self) -> bool:
        """Return whether the loss is lower by more than ``tol``."""
        model = self.model
        improved = model.loss_ <= model.best_loss_ - model.tol
        model.best_loss_ = min(model.best_loss_, model.loss_)
        return bool(improved)

    def record_score(self) -> bool:
        """Return whether the validation score is higher by ``tol``, and keep the best weights."""
        model, held_out = self.model, self.held_out
        score = model._score(held_out.X, held_out.y, held_out.weights)
        model.validation_scores_.append(score)
        if model.verbose:
            print(f"Validation score: {score:f}")
        improved = not score < model.best_validation_score_ + model.tol
        if score > model.best_validation_score_:
            model.best_validation_score_ = score
            self.best = model.network_.parameters.vector.copy()
        return improved

    def end_or_reduce(self, state: TrainingState) -> None:
        """Stop, or divide an adaptive learning rate by 5."""
        model = self.model
        figure = "Validation score" if model.early_stopping else "Training loss"
        message = (
            f"{figure} did not improve more than tol={model.tol:f} for "
            f"{model.n_iter_no_change} consecutive epochs."
        )
        rate = state.optimizer.learning_rate
        if model.learning_rate != "adaptive" or model.solver != "sgd":
            message += " Stopping."
            state.stop(message)
        elif rate <= SMALLEST_RATE:
            message += " Learning rate too small. Stopping."
            state.stop(message)
        else:
            self.set_rate(state, rate / 5.0)
            message += f" Setting learning rate to {rate / 5.0:f}"
            model._no_improvement_count = 0
        if model.verbose:
            print(message)

    def set_rate(self, state: TrainingState, rate: float) -> None:
        """Set the learning rate; scikit-learn's velocity includes the rate of its time."""
        velocity = state.optimizer.state.get("velocity")
        if velocity is not None and rate:
            velocity *= state.optimizer.learning_rate / rate
        state.optimizer.learning_rate = rate


class _MLP(BaseEstimator):
    """What classifier and regressor share."""

    network_: Network
    loss: Any

    # --- Settings ---------------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` that names an invalid parameter."""
        validation.one_of("solver", self.solver, SOLVERS)
        validation.one_of("learning_rate", self.learning_rate, SCHEDULES)
        validation.one_of("l1_method", self.l1_method, METHODS)
        for name in ("alpha", "tol", "power_t", "momentum", "l1", "group_lasso"):
            validation.number(name, getattr(self, name), 0)
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            validation.flag(name, getattr(self, name))
        if not isinstance(self.verbose, bool | np.bool_):
            validation.whole("verbose", self.verbose)
        validation.number("learning_rate_init", self.learning_rate_init, 0, open_low=True)
        validation.number("validation_fraction", self.validation_fraction, 0, 1, open_high=True)
        for name in ("max_iter", "max_fun"):
            validation.whole(name, getattr(self, name), 1)
        if self.n_iter_no_change != math.inf:
            validation.whole("n_iter_no_change", self.n_iter_no_change, 1)
        if self.batch_size != "auto":
            validation.whole("batch_size", self.batch_size, 1)
        with _naming("random_state"):
            check_random_state(self.random_state)
        if self.scoring is not None:
            with _naming("scoring"):
                get_scorer(self.scoring)
        get_callbacks(self.callbacks, False)
        for solver in ("sgd", "adam"):
            self._make_optimizer(solver)
        self._build(1, 1, np.float64)
        if self.solver == "lbfgs":
            keep = [self.input_keep_prob, *self._for_each("keep_prob", len(self._widths()))]
            changed = {
                "keep_prob": any(value != 1.0 for value in keep),
                "l1": self.l1,
                "group_lasso": self.group_lasso,
                "max_norm": self.max_norm is not None,
                "callbacks": self.callbacks,
            }
            if used := [name for name, value in changed.items() if value]:
                raise ValueError(
                    "solver='lbfgs' minimizes a smooth function of all rows, without "
                    f"{used[0]}; use solver='adam' or 'sgd'"
                )

    def _widths(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if isinstance(sizes, Iterable) else [sizes]
        for size in sizes:
            if not isinstance(size, Integral) or size <= 0:
                raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _for_each(self, name: str, count: int) -> list[Any]:
        """Return a parameter that is one value for all hidden layers, or one for each."""
        value = getattr(self, name)
        if isinstance(value, str | Layer) or not isinstance(value, Iterable):
            return [value] * count
        if len(values := list(value)) != count:
            raise ValueError(
                f"{name} must have one value, or one for each of the {count} hidden layers, "
                f"got {len(values)}"
            )
        return values

    def _layers(self, outputs: int) -> list[Layer]:
        widths = self._widths()
        count = len(widths)
        activations = self._for_each("activation", count)
        keep = self._for_each("keep_prob", count)
        layers: list[Layer] = []
        if self.input_keep_prob != 1.0:
            with _naming("input_keep_prob"):
                layers.append(Dropout(keep_prob=self.input_keep_prob))
        for units, activation, keep_prob in zip(widths, activations, keep, strict=True):
            layers.append(Dense(units))
            if isinstance(activation, Layer):
                if activation.stochastic or activation.parameters(units):
                    raise ValueError(f"activation must be an activation, got {activation!r}")
                layers.append(activation.clone())
            else:
                kind = _choose("activation", activation, ACTIVATIONS, "a layer such as nn.ELU(0.5)")
                layers += [] if kind is None else [kind()]
            if keep_prob != 1.0:
                layers.append(Dropout(keep_prob=keep_prob))
        layers.append(Dense(outputs))
        if self.group_lasso:
            first = next(layer for layer in layers if isinstance(layer, Dense))
            first.penalty = GroupLasso(self.group_lasso, groups="inputs", method="proximal")
        return layers

    def _build(self, inputs: int, outputs: int, dtype: Any) -> Network:
        with _naming("max_norm"):
            constraint = None if self.max_norm is None else MaxNorm(self.max_norm)
        return Network(
            self._layers(outputs),
            inputs=inputs,
            penalty=ElasticNet(self.l1, 0.0, method=self.l1_method) if self.l1 else L2(0.0),
            constraint=constraint,
            dtype=dtype,
        )

    def _rebuild(self) -> None:
        """Create the network with the present settings and the trained parameters."""
        old = self.network_
        net = self._build(old.inputs, self.n_outputs_, old.dtype)
        before, after = ([v.shape for v in n.parameters.values()] for n in (old, net))
        if before != after:
            raise ValueError(
                "with warm_start=True, hidden_layer_sizes must be that of the previous fit, got "
                f"{self.hidden_layer_sizes}"
            )
        net.parameters.vector[...] = old.parameters.vector
        net.seed, net.steps, net.epochs = old.seed, old.steps, old.epochs
        self.network_ = net

    def _initialize(self, inputs: int, outputs: int, dtype: Any) -> None:
        """Create the network, with initial values as scikit-learn draws them."""
        rng = check_random_state(self.random_state)
        self.network_ = self._build(inputs, outputs, dtype)
        factor = 2.0 if self.activation == "logistic" else 6.0
        for w, b in zip(self.coefs_, self.intercepts_, strict=True):
            bound = math.sqrt(factor / sum(w.shape))
            w[...] = rng.uniform(-bound, bound, w.shape)
            b[...] = rng.uniform(-bound, bound, b.shape)
        self.network_.seed = int(rng.randint(2**31 - 1))
        self.n_layers_ = len(self._widths()) + 2
        self.t_ = self.n_iter_ = 0
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else math.inf
        self.best_validation_score_ = -math.inf if self.early_stopping else None
        self.validation_scores_: Any = [] if self.early_stopping else None

    def _make_optimizer(self, solver: str) -> Optimizer:
        if solver == "adam":
            return Adam(
                self.learning_rate_init,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
        nesterov = self.nesterovs_momentum and self.momentum > 0
        return SGD(self.learning_rate_init, momentum=self.momentum, nesterov=nesterov)

    def _set_alpha(self, total: float) -> None:
        """Set the strength of L2, which scikit-learn divides by the rows of the batch."""
        penalty, strength = self.network_.regularization.penalty, self.alpha / total
        setattr(penalty, "l2" if self.l1 else "strength", strength)

    # --- Training ---------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train until the loss or the validation score no longer improves.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers; for a classifier, classes of any type, or a matrix of zeros and ones.
        sample_weight : array_like of shape (n_samples,), optional
        X_val, y_val : like ``X`` and ``y``, optional
            The validation set, instead of a part of the data.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are invalid; the estimator is as before.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val))

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: tuple[Any, Any] = (None, None),
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        """Train; after an error the estimator is what it was before."""
        before = {
            name: copy.copy(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
        }
        if incremental:  # trains the network of the previous call
            trained = ("network_", "_optimizer")
            before |= copy.deepcopy({name: before[name] for name in trained if name in before})
        try:
            self._check()
            if self.early_stopping and incremental:
                raise ValueError("partial_fit does not support early_stopping=True")
            if (given[0] is None) != (given[1] is None):
                raise ValueError("X_val and y_val must be given together")
            if given[0] is not None and self.solver == "lbfgs":
                raise ValueError("X_val needs solver='adam' or 'sgd', got 'lbfgs'")
            if classes is not None:
                self._fit_classes(classes)
            self._train(X, y, sample_weight, given, incremental)
        except BaseException:
            self.__dict__ = before
            raise
        return self

    def _train(
        self, X: Any, y: Any, sample_weight: Any, given: tuple[Any, Any], incremental: bool
    ) -> None:
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        X, y, targets = self._validate(X, y, first=first, incremental=incremental)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, dtype=np.float64)
        weights = self._weigh_classes(y, sample_weight)
        if first:
            self._initialize(X.shape[1], self.n_outputs_, X.dtype)
        elif not incremental:
            self._rebuild()
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, targets, weights)
        else:
            self._fit_by_batches(Rows(X, targets, y, weights), given, incremental)
        if not np.isfinite(self.network_.parameters.vector).all():
            raise ValueError(NOT_FINITE)

    def _weigh_classes(self, y: Array, sample_weight: Any) -> Any:
        return sample_weight

    def _fit_lbfgs(self, X: Any, targets: Array, weights: Any) -> None:
        from scipy.optimize import minimize

        net = self.network_
        self._set_alpha(float(len(targets) if weights is None else weights.sum()))
        dense = X.toarray() if hasattr(X, "toarray") else X
        with np.errstate(all="ignore"):
            result = minimize(
                make_objective(net, self._loss, Data(dense, targets, weights)),
                net.parameters.vector.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
            )
        net.parameters.vector[...] = result.x
        self.loss_, self.n_iter_ = float(result.fun), min(int(result.nit), self.max_iter)
        if result.status:
            _warn(
                f"lbfgs ended after {self.n_iter_} iterations without convergence "
                f"({result.message}); increase max_iter or scale the data",
                ConvergenceWarning,
            )

    def _fit_by_batches(self, data: Rows, given: tuple[Any, Any], incremental: bool) -> None:
        held_out = None
        if given[0] is not None:
            X, y, targets = self._validate(*given, first=False, incremental=False)
            held_out = Rows(X, targets, y, None)
        elif self.early_stopping:
            data, held_out = self._split(data)
        if any(layer.stochastic for layer in self.network_.layers):
            data = _repeat_rows(data, sort=bool(self.shuffle))
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._make_optimizer(self.solver)
        rows = len(data.targets)
        batch_size = 200 if self.batch_size == "auto" else self.batch_size
        if self.batch_size != "auto" and batch_size > rows:
            _warn(f"batch_size={batch_size} is larger than the {rows} rows, which are one batch")
        self.n_iter_ = 0
        epochs = _Epochs(self, data.weights, held_out)
        try:
            self.history_ = fit(
                self.network_,
                data.X,
                data.targets,
                loss=self._loss,
                optimizer=self._optimizer,
                epochs=1 if incremental else self.max_iter,
                batch_size=min(batch_size, rows),
                shuffle=bool(self.shuffle),
                sample_weight=data.weights,
                validation_data=None if held_out is None else (held_out.X, held_out.targets),
                callbacks=[epochs, *get_callbacks(self.callbacks, False)],
            )
        except NonFiniteLossError as error:
            if not self.early_stopping:
                raise ValueError(NOT_FINITE) from error
            self.validation_scores_.append(math.nan)
            self.history_ = error.history
        except KeyboardInterrupt as error:
            self.history_ = error.history  # type: ignore[attr-defined]  # documented in fit
            _warn("Training interrupted by user.")
        if self.history_.stopped == "epochs" and not incremental:
            _warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet; increase max_iter",
                ConvergenceWarning,
            )
        if epochs.best is not None:
            self.network_.parameters.vector[...] = epochs.best

    def _split(self, data: Rows) -> tuple[Rows, Rows]:
        """Return training and validation rows, of which each class has its share."""
        training, held_out = train_test_split(
            np.arange(len(data.targets)),
            random_state=check_random_state(self.random_state),
            test_size=self.validation_fraction,
            stratify=self._strata(data),
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return data.take(training), data.take(held_out)

    def _strata(self, data: Rows) -> Any:
        return None

    def _score(self, X: Any, y: Any, weights: Any) -> float:
        """Return the score that ends the training, NaN where outputs are not finite."""
        outputs = self.network_.predict(X)
        if not np.isfinite(outputs).all():
            return math.nan
        if self.scoring is None:
            return float(self._default_score(y, self._convert(outputs), sample_weight=weights))
        options = {} if weights is None else {"sample_weight": weights}
        with warnings.catch_warnings():  # the data have been checked, and have no names any more
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return float(get_scorer(self.scoring)(self, X, y, **options))

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit needs solver='adam' or 'sgd', got 'lbfgs'")
        return True

    # --- Results ----------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """Return the predicted values or classes, (n_samples,) or (n_samples, n_outputs)."""
        return np.asarray(self._convert(self._outputs(X)))

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (inputs, units), as views of the network's parameters."""
        return self._of_layers("weight")

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (units,)."""
        return self._of_layers("bias")

    def _of_layers(self, name: str) -> list[Array]:
        if not hasattr(self, "network_"):
            raise AttributeError("the network is created by fit")
        parameters = self.network_.parameters
        return [values for key, values in parameters.items() if key.endswith("." + name)]

    @property
    def penalty(self) -> str | None:
        """``"l1"`` if weights can be exactly 0; ``SelectFromModel`` then drops unused inputs."""
        return "l1" if self.group_lasso or (self.l1 and self.l1_method == "proximal") else None

    @property
    def feature_importances_(self) -> Array:
        """The norm of each input's weights in the first layer, (n_features,).

        With ``group_lasso`` it is exactly 0 for inputs that are not used, and with ``l1`` for those
        all of whose weights are zero.
        """
        return np.asarray(np.linalg.norm(self.coefs_[0], axis=1))

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self, "network_")
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self.network_.predict(X)

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and, after training, the loss by epoch."""
        html: str = super()._html_repr()
        curves = [c for c in (vars(self).get(name) for name in CURVES) if c]
        if not curves:
            return html
        label = "; dashed: ".join(CURVES[: len(curves)])
        picture = tables.sparkline(curves, label)
        return f"{html}<figure>{picture}<figcaption>{label}</figcaption></figure>"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


def _repeat_rows(data: Rows, *, sort: bool) -> Rows:
    """Return the data with rows repeated by their weights, if these are small whole numbers.

    A dropout mask belongs to a row of the batch. So that a weight of 2 is a row that occurs twice,
    and, where rows are shuffled, the result does not depend on their order, rows are repeated and
    sorted by a hash of their values.
    """
    X, targets, _, weights = data
    rows = np.arange(len(targets))
    if weights is not None:
        whole = np.array_equal(weights, np.rint(weights)) and weights.max() <= MAX_REPEATED
        rows = np.repeat(rows, weights.astype(int) if whole else weights != 0)
        data = data._replace(weights=None) if whole else data
    if sort:
        hashes = [
            _hash_rows(X[start : start + HASHED], targets[start : start + HASHED])
            for start in range(0, len(targets), HASHED)
        ]
        rows = rows[np.argsort(np.concatenate(hashes)[rows], kind="stable")]
    return data.take(rows)


def _hash_rows(X: Any, targets: Array) -> Array:
    """Return 64 bits for each row, (N,): the sum of its values' bits times odd constants."""
    dense = X.toarray() if hasattr(X, "toarray") else X
    values = np.hstack([dense, targets.reshape(len(targets), -1)]).astype(np.float64) + 0.0
    factors = random.generator(0, "order").integers(2**63, size=values.shape[1], dtype=np.uint64)
    return np.asarray(np.sum(values.view(np.uint64) * (2 * factors + 1), axis=1, dtype=np.uint64))


def _store(model: Any, arguments: dict[str, Any]) -> None:
    """Set the arguments of ``__init__`` as attributes, as scikit-learn expects them."""
    vars(model).update({name: value for name, value in arguments.items() if name != "self"})


def _choose(name: str, value: Any, known: dict[str, Any], other: str) -> Any:
    try:
        return known[validation.one_of(name, value, known)]
    except ValueError as error:
        raise ValueError(f"{error}; or {other}") from None


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Begin the message of an error with the name of a parameter."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _warn(message: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn(message, category, stacklevel=6)


class MLPClassifier(ClassifierMixin, _MLP):
    """A classifier: softmax for several classes, a sigmoid for two and for several labels.

    The parameters up to ``max_fun`` are those of ``sklearn.neural_network.MLPClassifier``.

    Parameters
    ----------
    activation : str, Layer, or one for each hidden layer, default "relu"
        ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``,
        ``"gelu"``, ``"softplus"``, or a layer such as ``nn.ELU(0.5)``.
    alpha : float, default 1e-4
        Strength of L2, which scikit-learn divides by the rows of the batch. ``l1`` and
        ``group_lasso`` are never divided.
    keep_prob : float, or one for each hidden layer, default 1.0
        Probability that dropout keeps a hidden unit.
    input_keep_prob : float, default 1.0
        Probability that dropout keeps an input.
    l1 : float, default 0.0
        Strength of L1 on all weights; with ``alpha``, an elastic net.
    l1_method : {"proximal", "subgradient"}, default "proximal"
        Proximal steps make weights exactly zero.
    group_lasso : float, default 0.0
        Strength of a group lasso on the first layer: all weights of an input become zero together.
    max_norm : float, optional
        Limit of the norm of each unit's weights.
    scoring : str or function (estimator, X, y) -> float, optional
        The score for ``early_stopping``; by default accuracy, or R² in a regression.
    callbacks : callbacks of nnreg, or functions of the ``TrainingState``, default ()
    class_weight : dict or "balanced", optional

    Attributes
    ----------
    network_ : Network
    coefs_, intercepts_ : lists of ndarrays
    classes_, feature_importances_ : ndarray
    history_ : History
    loss_curve_, validation_loss_curve_ : lists of float

    Examples
    --------
    >>> import nnreg as nn
    >>> (X, y), (X_test, y_test) = nn.datasets.load_digits()
    >>> model = MLPClassifier((32,), keep_prob=0.8, max_iter=300, random_state=0).fit(X, y)
    >>> model.score(X_test, y_test) > 0.9
    True
    """

    _default_score = staticmethod(accuracy_score)

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15_000,
        keep_prob: Any = 1.0,
        input_keep_prob: float = 1.0,
        l1: float = 0.0,
        l1_method: str = "proximal",
        group_lasso: float = 0.0,
        max_norm: float | None = None,
        scoring: Any = None,
        callbacks: Any = (),
        class_weight: Any = None,
    ) -> None:
        _store(self, locals())

    @available_if(lambda model: model._check_solver())  # type: ignore[untyped-decorator]  # of scikit-learn
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch. ``n`` calls equal a ``fit`` of ``n`` epochs, bit for bit.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like of shape (n_classes,), optional
            All classes; needed in the first call.

        Returns
        -------
        self
        """
        if classes is not None:
            classes = unique_labels(classes)
            if hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes must be those of the first call, {self.classes_}, got {classes}"
                )
        elif not hasattr(self, "classes_"):
            raise ValueError("classes must be passed in the first call of partial_fit")
        if hasattr(self, "classes_"):
            classes = None
        elif type_of_target(y).startswith("multilabel"):
            classes = y
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _fit_classes(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _validate(
        self, X: Any, y: Any, *, first: bool, incremental: bool
    ) -> tuple[Any, Array, Array]:
        """Return ``X``, ``y`` and the targets of the loss."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        y = y.toarray() if hasattr(y, "toarray") else y
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (first and not incremental):
            self._fit_classes(y)
        elif unknown := set(classes := unique_labels(y)) ^ set(self.classes_):
            if self.warm_start and not incremental:
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
            if unknown - set(self.classes_):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                    f"'y' has {classes}."
                )
        targets = self._label_binarizer.transform(y)
        self.n_outputs_ = targets.shape[1]
        several = self._label_binarizer.y_type_ == "multiclass"
        self.out_activation_ = "softmax" if several else "logistic"
        self._loss: Loss = SoftmaxCrossEntropy() if several else SigmoidCrossEntropy()
        return X, y, targets.argmax(axis=1) if several else targets.astype(X.dtype)

    def _weigh_classes(self, y: Array, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        if y.ndim == 2:
            raise ValueError("class_weight needs one label per row; use sample_weight instead")
        with _naming("class_weight"):
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            validation.sample_weights("the weight of each class", of_class, len(of_class))
        weights = of_class[np.searchsorted(self.classes_, y)]
        return weights if sample_weight is None else weights * sample_weight

    def _strata(self, data: Rows) -> Any:
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return None
        return data.targets.astype(bool) if self.n_outputs_ == 1 else data.targets

    def _convert(self, outputs: Array) -> Array:
        proba = self._loss.probabilities(outputs)
        proba = proba.ravel() if self.n_outputs_ == 1 else proba
        return np.asarray(self._label_binarizer.inverse_transform(proba))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n_samples, n_classes)."""
        outputs = self._outputs(X)
        proba: Array = self._loss.probabilities(outputs)
        return np.hstack([1 - proba, proba]) if self.n_outputs_ == 1 else proba

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MLP):
    """A regressor: the squared error and other losses.

    Parameters
    ----------
    loss : str or Loss, default "squared_error"
        ``"squared_error"``, ``"poisson"``, ``"huber"``, ``"quantile"`` (the median), or a loss such
        as ``nn.Quantile(0.9)``.
    activation, keep_prob, l1, group_lasso
        As for :class:`MLPClassifier`, like the remaining ones.

    Examples
    --------
    >>> X = np.linspace(0.0, 1.0, 50)[:, np.newaxis]
    >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(X, 3 * X[:, 0])
    >>> model.predict([[0.5]]).round(1)
    array([1.5])
    """

    _default_score = staticmethod(r2_score)

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15_000,
        keep_prob: Any = 1.0,
        input_keep_prob: float = 1.0,
        l1: float = 0.0,
        l1_method: str = "proximal",
        group_lasso: float = 0.0,
        max_norm: float | None = None,
        scoring: Any = None,
        callbacks: Any = (),
    ) -> None:
        _store(self, locals())

    @available_if(lambda model: model._check_solver())  # type: ignore[untyped-decorator]  # of scikit-learn
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch. ``n`` calls equal a ``fit`` of ``n`` epochs, bit for bit.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _validate(
        self, X: Any, y: Any, *, first: bool, incremental: bool
    ) -> tuple[Any, Array, Array]:
        """Return ``X``, ``y`` and the targets of the loss."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if isinstance(self.loss, Loss):
            self._loss = self.loss
        else:
            self._loss = _choose("loss", self.loss, LOSSES, "a Loss such as nn.Quantile(0.9)")()
        if predicts_classes(self._loss):
            raise ValueError(f"loss must be one for numbers, got {self._loss!r}")
        self.out_activation_ = "exp" if isinstance(self._loss, Poisson) else "identity"
        targets = y.astype(X.dtype).reshape(len(y), -1)
        self.n_outputs_ = targets.shape[1]
        return X, y, targets

    def _convert(self, outputs: Array) -> Array:
        if self.out_activation_ == "exp":
            outputs = np.exp(outputs)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
