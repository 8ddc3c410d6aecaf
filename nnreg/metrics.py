"""Metrics: what to watch besides the loss.

They are functions ``(outputs, targets, loss) -> number``; nothing is trained on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nnreg import checks
from nnreg.kernels import Array
from nnreg.losses import Loss

Metric = Callable[..., Any]


def accuracy(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the share of right classes.

    Where a row has several yes-or-no outputs, it is the share of right answers.

    >>> import nnreg as nn
    >>> accuracy(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), nn.SoftmaxCrossEntropy())
    0.5
    """
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
    return float(np.mean(np.abs(outputs - targets)))


def mean_squared_error(outputs: Array, targets: Array, loss: Loss) -> float:
    """Return the mean of ``(z - y)²``.

    >>> import nnreg as nn
    >>> mean_squared_error(np.array([[1.0]]), np.array([[3.0]]), nn.Huber())
    4.0
    """
    return float(np.mean(np.square(outputs - targets)))


NAMED: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
}


def resolve(metrics: Iterable[str | Metric]) -> dict[str, Metric]:
    """Return metrics by name.

    A function of one's own takes ``(outputs, targets)`` and goes by its own name.

    >>> list(resolve(["accuracy", np.ptp]))
    ['accuracy', 'ptp']
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    found: dict[str, Metric] = {}
    for metric in metrics:
        if callable(metric):
            own = metric
            found[getattr(metric, "__name__", repr(metric))] = lambda z, y, loss, own=own: own(z, y)
        else:
            name = checks.one_of("metrics", metric, NAMED)
            found[name] = NAMED[name]
    return found
