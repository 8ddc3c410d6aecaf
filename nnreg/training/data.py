"""Training data: checked, split into training and validation rows, then weighted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network


class Data(NamedTuple):
    """Inputs, targets, and a weight for each row or None."""

    x: Array
    y: Array
    weights: Array | None = None

    def take(self, rows: Array) -> Data:
        """Return a copy of the rows selected by their numbers or by a mask."""
        weights = None if self.weights is None else self.weights[rows]
        return Data(self.x[rows], self.y[rows], weights)

    def without_removed_rows(self) -> Data:
        """Return the rows whose weight is not zero."""
        if self.weights is None or self.weights.all():
            return self
        return self.take(self.weights > 0)


def prepare(
    net: Network,
    loss: Loss,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: Any = 0.0,
) -> tuple[Data, Data | None]:
    """Return the training data, and the validation data if there are any.

    The arguments are those of :func:`~nnreg.training.loop.fit`.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, seed=0)
    >>> x = np.arange(4.0).reshape(4, 1)
    >>> training, held_out = prepare(net, nn.MeanSquaredError(), x, x, validation_split=0.25)
    >>> training.x.ravel(), held_out.x.ravel()
    (array([0., 2., 3.]), array([1.]))
    """
    data = Data(*validate_data(net, loss, x, y))
    if sample_weight is not None or class_weight is not None:
        _check_takes_weights(loss)
    if sample_weight is not None:
        weights = validation.sample_weights("sample_weight", sample_weight, len(data.y))
        data = data._replace(weights=weights.astype(np.float64))
    share = validation.number("validation_split", validation_split, 0, 1, open_high=True)
    held_out, suffix = None, ""
    if validation_data is not None:
        if share:
            raise ValueError("validation_data and validation_split exclude each other, got both")
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise TypeError(f"validation_data must be a pair (x, y), got {validation_data!r:.60}")
        x, y = validation_data
        held_out = Data(*validate_data(net, loss, x, y, "validation "))
    elif share:
        training_rows, rows = split_validation(net, len(data.x), share)
        if class_weight is not None:
            missing = np.setdiff1d(data.y, data.y[training_rows])
            if missing.size:
                raise ValueError(
                    f"validation_split={share:g} leaves no row of class {missing[0]:g} for "
                    "training, which class_weight needs; use another share, or validation_data="
                )
        data, held_out, suffix = data.take(training_rows), data.take(rows), " of training rows"
        held_out = _check_weights(net, held_out, "sample_weight of validation rows")
        held_out = held_out.without_removed_rows()
    name = f"sample_weight{suffix}"
    if class_weight is not None:
        name = f"sample_weight times class_weight{suffix}"
        weights = np.ones(len(data.y)) if data.weights is None else data.weights
        by_class = compute_class_weight(data.y, class_weight, weights)
        data = data._replace(weights=weights * by_class)
    return _check_weights(net, data, name), held_out


def validate_data(
    net: Network, loss: Loss, x: Any, y: Any, prefix: str = ""
) -> tuple[Array, Array]:
    """Return inputs and targets as arrays that are valid for the network and the loss.

    Arrays are not copied; each batch is cast when it is used.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2)], inputs=1)
    >>> validate_data(net, nn.SoftmaxCrossEntropy(), [[1.0], [2.0]], [0, 2], "validation ")
    Traceback (most recent call last):
        ...
    ValueError: validation y: targets must be class numbers from 0 to 1, got 2 at index [1]
    """
    validation.instance("net", net, Network, "a Network")
    validation.instance("loss", loss, Loss, "a Loss such as nn.SoftmaxCrossEntropy()")
    x = validation.matrix(f"{prefix}x", x, net.inputs)
    validation.finite(f"{prefix}x", x)
    validation.fits(f"{prefix}x", x, net.dtype)
    try:
        y = loss.check_targets(y, net.widths[-1])
        validation.fits("targets", y, net.dtype)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{prefix}y: {error}") from error
    validation.same_rows(f"{prefix}y", y, f"{prefix}x", len(x))
    return x, y


def split_validation(net: Network, rows: int, share: float) -> tuple[Array, Array]:
    """Return the numbers of the training rows and of the validation rows, drawn from ``net.seed``.

    >>> import nnreg as nn
    >>> split_validation(nn.Network([nn.Dense(1)], inputs=1, seed=0), 4, 0.25)
    (array([0, 2, 3]), array([1]))
    """
    count = round(share * rows)
    if count in (0, rows):
        empty = "training" if count else "validation"
        raise ValueError(f"validation_split={share:g} leaves none of {rows} rows for {empty}")
    order = random.generator(net.seed, "split").permutation(rows)
    return np.sort(order[count:]), np.sort(order[:count])


def _check_takes_weights(loss: Loss) -> None:
    """Raise ``TypeError`` unless the loss supports row weights; a custom loss may not."""
    parameters = inspect.signature(loss.__call__).parameters.values()
    if not any(p.name == "weights" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise TypeError(
            "sample_weight and class_weight need a loss whose __call__ takes weights, "
            f"{type(loss).__name__} does not"
        )


def _check_weights(net: Network, data: Data, name: str) -> Data:
    """Return the data with weights representable in the network's dtype; tiny ones become zero."""
    if data.weights is None:
        return data
    weights = validation.sample_weights(name, data.weights, len(data.y), net.dtype)
    return data._replace(weights=np.where(weights < np.finfo(net.dtype).tiny, 0.0, weights))


def compute_class_weight(y: Array, class_weight: Any, weights: Array) -> Array:
    """Return the class weight of each row; "balanced" takes row weights into account.

    >>> compute_class_weight(np.array([0, 0, 0, 1]), "balanced", np.ones(4)).round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """
    if y.shape not in ((len(y),), (len(y), 1)):
        raise ValueError(
            "y with class_weight must have shape (N,) or (N, 1), one class number per row, "
            f"got shape {y.shape}"
        )
    labels = y.reshape(-1)
    validation.reject("y with class_weight", labels, labels != np.floor(labels), "be class numbers")
    classes, indices = np.unique(labels, return_inverse=True)
    by_class = np.ones(len(classes))
    if isinstance(class_weight, str):
        validation.one_of("class_weight", class_weight, ["balanced"])
        sums = np.bincount(indices, weights)
        present = sums > 0
        by_class[present] = sums.sum() / (present.sum() * sums[present])
    elif isinstance(class_weight, Mapping):
        numbers = {int(label): index for index, label in enumerate(classes)}
        for label, weight in class_weight.items():
            if label not in numbers:
                raise ValueError(
                    f"class_weight must name classes in y, {list(numbers)}, got {label!r}"
                )
            by_class[numbers[label]] = validation.number(f"class_weight[{label!r}]", weight, 0)
    else:
        raise TypeError(f'class_weight must be a dict or "balanced", got {class_weight!r}')
    return np.asarray(by_class[indices])
