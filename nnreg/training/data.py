"""The rows that training works on: looked at once, held out for validation, and weighed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network


def validate_data(net: Network, loss: Loss, x: Any, y: Any, where: str = "") -> tuple[Array, Array]:
    """Return a whole data set as arrays that the network and the loss can take, batch by batch.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2)], inputs=1)
    >>> validate_data(net, nn.SoftmaxCrossEntropy(), [[1.0], [2.0]], [0, 2], "validation ")
    Traceback (most recent call last):
        ...
    ValueError: validation y: targets must be class numbers from 0 to 1, got 2 at index [1]
    """
    x = validation.matrix(f"{where}x", x, net.inputs)
    validation.finite(f"{where}x", x)
    validation.fits(f"{where}x", x, net.dtype)
    try:
        y = loss.check_targets(y, net.widths[-1])
        validation.fits("targets", y, net.dtype)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where}y: {error}") from error
    validation.same_rows(f"{where}y", y, f"{where}x", len(x))
    return x, y


def split_validation(
    net: Network,
    loss: Loss,
    x: Array,
    y: Array,
    weights: Array | None,
    data: Any,
    share: Any,
) -> tuple[Array, Array, Array | None, tuple[Array, Array] | None]:
    """Return ``x, y, weights`` for training, and the validation data: given, held out, or None.

    >>> import nnreg as nn
    >>> x = np.arange(4.0).reshape(4, 1)
    >>> net = nn.Network([nn.Dense(1)], inputs=1, seed=0)
    >>> kept, _, _, (out, _) = split_validation(net, nn.MeanSquaredError(), x, x, None, None, 0.25)
    >>> kept.ravel(), out.ravel()
    (array([0., 2., 3.]), array([1.]))
    """
    share = validation.number("validation_split", share, 0, 1, open_high=True)
    if data is not None:
        if share:
            raise ValueError("validation_data and validation_split exclude each other, got both")
        if not isinstance(data, tuple | list) or len(data) != 2:
            got = f"{len(data)} things" if isinstance(data, tuple | list) else type(data).__name__
            raise TypeError(f"validation_data must be a pair (x, y), got {got}")
        return x, y, weights, validate_data(net, loss, data[0], data[1], "validation ")
    if not share:
        return x, y, weights, None
    held = round(share * len(x))
    if held in (0, len(x)):
        none = "training" if held else "validation"
        raise ValueError(f"validation_split={share:g} leaves none of {len(x)} rows for {none}")
    order = random.generator(net.seed, "split").permutation(len(x))
    kept, out = np.sort(order[held:]), np.sort(order[:held])
    if weights is not None:
        weights = validation.sample_weights(
            "sample_weight of the rows kept", weights[kept], len(kept)
        )
    return x[kept], y[kept], weights, (x[out], y[out])


def compute_sample_weight(
    net: Network, loss: Loss, y: Array, sample_weight: Any, class_weight: Any
) -> Array | None:
    """Return one weight a row, or None where all count the same.

    >>> import nnreg as nn
    >>> net, loss = nn.Network([nn.Dense(2)], inputs=1), nn.SoftmaxCrossEntropy()
    >>> compute_sample_weight(net, loss, np.array([0, 0, 0, 1]), None, "balanced").round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """
    if sample_weight is None and class_weight is None:
        return None
    taken = inspect.signature(loss.__call__).parameters.values()
    if not any(a.name == "weights" or a.kind is a.VAR_KEYWORD for a in taken):
        raise TypeError(
            "sample_weight and class_weight need a loss whose __call__ takes weights, "
            f"{type(loss).__name__} does not"
        )
    weights = np.ones(len(y))
    if sample_weight is not None:
        weights = validation.sample_weights("sample_weight", sample_weight, len(y)).astype(
            np.float64
        )
        validation.fits("sample_weight", weights, net.dtype)
    if class_weight is not None:
        weights = weights * _by_class(y, class_weight)
        validation.sample_weights("sample_weight times class_weight", weights, len(y))
        validation.fits("sample_weight times class_weight", weights, net.dtype)
    return weights


def _by_class(y: Array, class_weight: Any) -> Array:
    """Return each row's class weight."""
    if y.shape not in ((len(y),), (len(y), 1)):
        raise ValueError(
            "class_weight needs targets that are one class number a row, (N,) or (N, 1), "
            f"got shape {y.shape}"
        )
    labels = y.reshape(-1)
    bad = labels != np.floor(labels)
    if bad.any():
        at = validation.first_index(bad)
        raise ValueError(
            f"class_weight needs targets that are class numbers, got {labels[at]} "
            f"at index {list(at)}"
        )
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.ones(len(classes))
    if isinstance(class_weight, str):
        validation.one_of("class_weight", class_weight, ["balanced"])
        by_class = len(y) / (len(classes) * counts)
    elif isinstance(class_weight, Mapping):
        numbers = {int(label): place for place, label in enumerate(classes)}
        for label, weight in class_weight.items():
            if label not in numbers:
                raise ValueError(
                    f"class_weight must name classes that y has, {list(numbers)}, got {label!r}"
                )
            by_class[numbers[label]] = validation.number(f"class_weight[{label!r}]", weight, 0)
    else:
        raise TypeError(f'class_weight must be a dict or "balanced", got {class_weight!r}')
    by_row: Array = by_class[places]
    return by_row
