"""Metrics: figures that are reported in addition to the loss and are not optimized.

Internally a metric is a function ``(outputs, targets, loss) -> number``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.losses import Loss, Poisson, predicts_classes
from nnreg.network import Network
from nnreg.training.data import Data, Stream

Metric = Callable[..., Any]


def accuracy(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the share of rows whose predicted class is correct.

    If a row has several binary labels, it is the share of correct labels.

    >>> import nnreg as nn
    >>> accuracy(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), nn.SoftmaxCrossEntropy())
    0.5
    """
    if not predicts_classes(loss):
        raise TypeError(
            f"the metric accuracy needs a loss that predicts classes, got {loss!r}; "
            'for a regression use metrics=["mean_absolute_error"]'
        )
    labels, predicted = _classes(outputs, targets, loss)
    return float(np.mean(predicted == labels))


def mean_absolute_error(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the mean of ``|z - y|``.

    >>> import nnreg as nn
    >>> mean_absolute_error(np.array([[1.0]]), np.array([[3.0]]), nn.MeanSquaredError())
    2.0
    """
    return _mean_error("mean_absolute_error", np.abs, outputs, targets)


def mean_squared_error(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the mean of ``(z - y)²``.

    >>> import nnreg as nn
    >>> mean_squared_error(np.array([[1.0]]), np.array([[3.0]]), nn.Huber())
    4.0
    """
    return _mean_error("mean_squared_error", np.square, outputs, targets)


def _mean_error(name: str, function: np.ufunc, outputs: Array, targets: Array) -> float:
    """Return the mean of a function of ``z - y``; nothing broadcasts."""
    if targets.shape != outputs.shape:
        wanted, got = (re.sub(r"\d+", "N", str(a.shape), count=1) for a in (outputs, targets))
        raise ValueError(
            f"the metric {name} needs targets of the outputs' shape, {wanted}, got {got}"
        )
    return float(np.mean(function(outputs - targets)))


NAMED: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "acc": accuracy,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
}

RESERVED = ("epoch", "data_loss", "penalty", "total", "loss", "seconds")


def get_metrics(
    metrics: str | Metric | Iterable[str | Metric],
    net: Network,
    y: Array,
    loss: Loss,
    *,
    whole: bool = True,
) -> dict[str, Metric]:
    """Return metrics by the name of the function, or of the object's class.

    Metrics of nnreg and scikit-learn are evaluated on perfect predictions, so that an unsuitable
    one raises an error before training. Other functions are not: they may count their calls; nor
    are those of scikit-learn if ``y`` is not the whole, because they may need every class.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2)], inputs=1)
    >>> list(get_metrics(["accuracy", np.ptp], net, np.array([0, 1]), nn.SoftmaxCrossEntropy()))
    ['accuracy', 'ptp']
    """
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        metrics = [metrics]
    result: dict[str, Metric] = {}
    for metric in metrics:
        if callable(metric):
            function = metric.func if isinstance(metric, partial) else metric
            name = getattr(function, "__name__", type(function).__name__)
            measure = _adapt(name, metric, str(getattr(function, "__module__", "")))
        else:
            name = validation.one_of("metrics", metric, NAMED)
            measure = NAMED[name]
        if name in result or name in RESERVED or name.startswith("val_"):
            reason = "twice" if name in result else "(a column of the history)"
            raise ValueError(f"metrics must have different names, got {name!r} {reason}")
        adapter = getattr(measure, "func", None)
        if adapter is not _call_function and (whole or adapter is not _call_sklearn):
            # Metrics of scikit-learn may need rows of every class, those of nnreg need one row.
            targets = perfect = y if adapter is _call_sklearn else y[:1]
            if y.ndim == 1:
                perfect = np.zeros((len(targets), net.widths[-1]), net.dtype)
                perfect[np.arange(len(targets)), targets] = 1
            measure(perfect, targets, loss)
        result[name] = measure
    return result


def compute_metrics(
    net: Network, data: Data | Stream, loss: Loss, metrics: dict[str, Metric]
) -> dict[str, float]:
    """Return ``data_loss`` and each metric, in inference mode. Only the loss is weighted.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=1)
    >>> compute_metrics(net, Data(np.ones((2, 1)), np.zeros((2, 1))), nn.MeanSquaredError(), {})
    {'data_loss': 1.0}
    """
    with np.errstate(over="ignore", invalid="ignore"):  # visible in the figures
        outputs, y, weights = data.predict(net)
        weights = None if weights is None else weights.astype(outputs.dtype)
        targets = y if y.dtype.kind == "i" else y.astype(outputs.dtype, copy=False)
        result = {"data_loss": float(loss.compute(outputs, targets, weights)[0])}
        return result | {name: metric(outputs, y, loss) for name, metric in metrics.items()}


# --- Functions of other libraries and of the user -------------------------------------------------


def _adapt(name: str, metric: Metric, module: str) -> Metric:
    """Return a function as a metric ``(outputs, targets, loss)``, by its library's convention."""
    if module.startswith("sklearn.metrics"):
        for arguments, code, names in SKLEARN:
            if name in names:
                return partial(_call_sklearn, name, metric, arguments, code)
        raise TypeError(_explain(name, "is not supported", "outputs"))
    try:
        first = next(iter(inspect.signature(metric).parameters), "")
    except (TypeError, ValueError):  # for example a function implemented in C
        first = ""
    targets_first = re.fullmatch("y_?true|y_?test|targets?|labels?|actuals?|truth", first)
    if targets_first or module.startswith(("keras", "tensorflow")):
        raise TypeError(_explain(name, "takes the targets first", "outputs"))
    return partial(_call_function, name, metric)


def _call_function(name: str, metric: Metric, outputs: Array, targets: Array, _: Loss) -> float:
    return _number(name, metric(outputs, targets))


def _call_sklearn(
    name: str,
    metric: Metric,
    arguments: Metric,
    code: str,
    outputs: Array,
    targets: Array,
    loss: Loss,
) -> float:
    if (arguments is _values) == predicts_classes(loss):
        raise TypeError(_explain(name, f"does not fit {loss!r}", code))
    try:
        return _number(name, metric(*arguments(outputs, targets, loss)))
    except (TypeError, ValueError) as error:
        raise ValueError(_explain(name, f"raised: {error}", code)) from error


def _explain(name: str, reason: str, argument: str) -> str:
    return (
        f"the metric {name!r} {reason}. A metric is a function of (outputs, targets), so write for "
        f"example metrics=[lambda outputs, targets: {name}(targets, {argument})]"
    )


def _number(name: str, value: Any) -> float:
    if np.ndim(value) or np.asarray(value).dtype.kind not in "fiub":
        got = f"shape {np.shape(value)}" if np.ndim(value) else repr(value)
        raise TypeError(f"the metric {name!r} must return a number, got {got}")
    return float(value)


def _values(outputs: Array, targets: Array, loss: Loss) -> tuple[Array, Array]:
    """Return the targets and the predicted values; the outputs of Poisson are logarithms."""
    return targets, np.exp(outputs) if isinstance(loss, Poisson) else outputs


def _classes(outputs: Array, targets: Array, loss: Loss) -> tuple[Array, Array]:
    """Return the true and the predicted classes, (N,), or (N, K) for several labels per row."""
    predicted = loss.classes(outputs)
    if targets.ndim > predicted.ndim:
        return targets.argmax(axis=1), predicted
    labels = np.round(targets).astype(np.int64)
    single = predicted.ndim == 2 and predicted.shape[1] == 1
    return (labels.ravel(), predicted.ravel()) if single else (labels, predicted)


def _probabilities(outputs: Array, targets: Array, loss: Loss) -> tuple[Array, Array]:
    """Return the true classes and the probabilities; for two classes, those of the second one."""
    labels, _ = _classes(outputs, targets, loss)
    probabilities = loss.probabilities(outputs)
    if labels.ndim == 1 and probabilities.shape[1] <= 2:
        return labels, probabilities[:, -1]
    return labels, probabilities


# Metrics of scikit-learn: a function that returns their arguments, the code for the second of them,
# and their names.
SKLEARN: list[tuple[Metric, str, set[str]]] = [
    (
        _values,
        "outputs",
        {
            *("r2_score", "explained_variance_score", "max_error", "mean_absolute_error"),
            *("median_absolute_error", "mean_squared_error", "root_mean_squared_error"),
            *("mean_squared_log_error", "root_mean_squared_log_error"),
            *("mean_absolute_percentage_error", "mean_pinball_loss", "mean_poisson_deviance"),
            *("mean_gamma_deviance", "mean_tweedie_deviance", "d2_absolute_error_score"),
            *("d2_pinball_score", "d2_tweedie_score"),
        },
    ),
    (
        _classes,
        "loss.classes(outputs)",
        {
            *("accuracy_score", "balanced_accuracy_score", "f1_score", "fbeta_score"),
            *("precision_score", "recall_score", "jaccard_score", "matthews_corrcoef"),
            *("cohen_kappa_score", "zero_one_loss", "hamming_loss"),
        },
    ),
    (
        _probabilities,
        "loss.probabilities(outputs)",
        {
            *("roc_auc_score", "average_precision_score", "log_loss", "brier_score_loss"),
            *("top_k_accuracy_score", "d2_log_loss_score", "d2_brier_score"),
        },
    ),
]
