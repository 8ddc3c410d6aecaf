"""Metrics: what to watch besides the loss.

They are functions ``(outputs, targets, loss) -> number``; nothing is trained on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network

Metric = Callable[..., Any]


def accuracy(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the share of right classes.

    Where a row has several yes-or-no outputs, it is the share of right answers.

    >>> import nnreg as nn
    >>> accuracy(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), nn.SoftmaxCrossEntropy())
    0.5
    """
    if type(loss).classes is Loss.classes:
        raise TypeError(
            f"the metric accuracy needs a loss that predicts classes, got {loss!r}; "
            "metrics= chooses others"
        )
    classes = loss.classes(outputs)
    if targets.ndim > classes.ndim:
        targets = targets.argmax(axis=1)
    return float(np.mean(classes == np.round(targets)))


def mean_absolute_error(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the mean of ``|z - y|``.

    >>> import nnreg as nn
    >>> mean_absolute_error(np.array([[1.0]]), np.array([[3.0]]), nn.MeanSquaredError())
    2.0
    """
    return float(np.mean(np.abs(_errors("mean_absolute_error", outputs, targets))))


def mean_squared_error(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the mean of ``(z - y)²``.

    >>> import nnreg as nn
    >>> mean_squared_error(np.array([[1.0]]), np.array([[3.0]]), nn.Huber())
    4.0
    """
    return float(np.mean(np.square(_errors("mean_squared_error", outputs, targets))))


def _errors(name: str, outputs: Array, targets: Array) -> Array:
    """Return ``z - y``; nothing broadcasts."""
    if targets.shape != outputs.shape:
        raise ValueError(
            f"the metric {name} needs targets of the outputs' shape, {outputs.shape}, "
            f"got {targets.shape}"
        )
    errors: Array = outputs - targets
    return errors


NAMED: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
}


TAKEN = ("epoch", "data_loss", "penalty", "total", "seconds")


def get_metrics(metrics: str | Metric | Iterable[str | Metric]) -> dict[str, Metric]:
    """Return metrics by name. A function of one's own takes ``(outputs, targets)``.

    It goes by its own name, an object by that of its class.

    >>> list(get_metrics(["accuracy", np.ptp]))
    ['accuracy', 'ptp']
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be names or functions, got {metrics!r}")
    found: dict[str, Metric] = {}
    for metric in metrics:
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            measure = _own(name, metric)
        else:
            name = validation.one_of("metrics", metric, NAMED)
            measure = NAMED[name]
        if name in found or name in TAKEN or name.startswith("val_"):
            whose = "twice" if name in found else "(a column of the history)"
            raise ValueError(f"metrics must have different names, got {name!r} {whose}")
        found[name] = measure
    return found


def _own(name: str, metric: Metric) -> Metric:
    def measure(outputs: Array, targets: Array, loss: Loss) -> float:
        value = metric(outputs, targets)
        if np.ndim(value) or np.asarray(value).dtype.kind not in "fiub":
            got = f"shape {np.shape(value)}" if np.ndim(value) else repr(value)
            raise TypeError(f"the metric {name!r} must return a number, got {got}")
        return float(value)

    return measure


def check_metrics(metrics: dict[str, Metric], net: Network, x: Array, y: Array, loss: Loss) -> None:
    """Show the named metrics one row, so that one that does not fit the loss is refused early."""
    for metric in metrics.values():
        if metric in NAMED.values():
            metric(np.zeros((1, net.widths[-1]), net.dtype), y[:1], loss)


def compute_metrics(
    net: Network, x: Array, y: Array, loss: Loss, metrics: dict[str, Metric]
) -> dict[str, float]:
    """Return ``data_loss`` and each metric, in inference mode.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=1)
    >>> compute_metrics(net, np.ones((2, 1)), np.zeros((2, 1)), nn.MeanSquaredError(), {})
    {'data_loss': 1.0}
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a network that diverges says so in figures
        outputs = net.predict(x)
        targets = y if y.dtype.kind == "i" else y.astype(outputs.dtype, copy=False)
        found = {"data_loss": float(loss.compute(outputs, targets)[0])}
        return found | {name: metric(outputs, y, loss) for name, metric in metrics.items()}
