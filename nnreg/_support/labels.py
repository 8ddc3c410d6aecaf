"""Class labels: text or whole numbers, and the class numbers that stand for them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from nnreg._support import frames, validation
from nnreg._support.typing import Array

Classes = tuple[str, ...] | tuple[int, ...]


def check_classes(name: str, classes: Any, outputs: int) -> Classes:
    """Return labels as a tuple, one for each output, or two for a single output.

    Bools become 0 and 1.

    >>> check_classes("classes", ["cat", "dog"], 1)
    ('cat', 'dog')
    >>> check_classes("classes", ["cat", "dog"], 3)
    Traceback (most recent call last):
        ...
    ValueError: classes must be 3 labels, one for each output of the network, got 2: ['cat', 'dog']
    """
    if isinstance(classes, str | bytes | Mapping | Set) or not hasattr(classes, "__len__"):
        raise TypeError(
            f"{name} must be a sequence of labels in their order, such as ['cat', 'dog'], "
            f"got {validation.show(classes)}"
        )
    values = _to_list(name, classes)
    labels = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    labels = [int(v) if isinstance(v, bool) else v for v in labels]
    for index, label in enumerate(labels):
        if not isinstance(label, str | int):
            raise TypeError(
                f"{name} must be texts or whole numbers, got {label!r} at index [{index}]"
            )
    if len({isinstance(label, str) for label in labels}) > 1:
        raise TypeError(f"{name} must be all text or all whole numbers, got {shorten(labels)}")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"{name} must be different, got {twice!r} more than once")
    wanted = max(outputs, 2)
    if len(labels) != wanted:
        each = "one for each output of the network" if outputs > 1 else "for the single output"
        raise ValueError(
            f"{name} must be {wanted} labels, {each}, got {len(labels)}: {shorten(labels)}"
        )
    return tuple(labels)


def find_classes(name: str, y: Any) -> list[Any]:
    """Return the different labels of the data, sorted.

    >>> find_classes("y", np.array(["dog", "cat", "dog"]))
    ['cat', 'dog']
    """
    labels = _to_list(name, y)
    try:
        return sorted(set(labels))
    except TypeError:
        raise TypeError(f"{name} must have labels that are all text or all numbers") from None


def number_labels(name: str, y: Any, classes: Classes, outputs: int) -> Any:
    """Return the numbers of the labels: (N,), or (N, 1) for a network with one output.

    Targets with several columns, such as probabilities, are returned as they are.

    >>> number_labels("y", ["dog", "cat", "dog"], ("cat", "dog"), 2)
    array([1, 0, 1])
    """
    if len(np.shape(y)) == 2 and np.shape(y)[1] != 1:
        return y
    labels, numbers = _to_list(name, y), {label: index for index, label in enumerate(classes)}
    if unknown := set(labels) - numbers.keys():
        index = next(i for i, label in enumerate(labels) if label in unknown)
        hint = ""
        if set(labels) <= set(range(len(classes))):
            hint = f"; np.array(net.classes)[{name}] are the labels of class numbers"
        raise ValueError(
            f"{name} must have labels of net.classes, {shorten(list(classes))}, "
            f"got {labels[index]!r} at index [{index}]{hint}"
        )
    result = np.fromiter(map(numbers.__getitem__, labels), np.int64, len(labels))
    return result if outputs > 1 else result[:, np.newaxis]


def require_classes(classes: Classes | None) -> Classes:
    """Return the classes of a network; raise if it has none.

    >>> require_classes(("cat", "dog"))
    ('cat', 'dog')
    """
    if classes is None:
        raise ValueError(
            "classes=True needs a network with classes: fit(..., classes=True) takes them from "
            "the data, net.classes = [...] sets them"
        )
    return classes


def choose_labels(outputs: Array, classes: Classes) -> Array:
    """Return the label of each row's largest output; of a single one, the second if positive.

    >>> choose_labels(np.array([[2.0], [-1.0]]), ("no", "yes"))
    array(['yes', 'no'], dtype='<U3')
    """
    single = outputs.shape[1] == 1
    indices = (outputs[:, 0] > 0).astype(np.int64) if single else outputs.argmax(axis=1)
    return np.asarray(np.array(classes)[indices])


def _to_list(name: str, y: Any) -> list[Any]:
    """Return labels, (N,) or (N, 1), as a list of Python's texts and numbers."""
    if np.ma.is_masked(y):
        raise ValueError(f"{name} must not have masked values: {name}.filled(value) replaces them")
    if frames.is_series(y):
        array = frames.series_to_array(name, y)
    else:  # not text for 1 in [1, "a"]
        array = np.asarray(y, object if isinstance(y, list | tuple) else None)
    if array.shape[1:] == (1,):
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (N,), one label per row, got {array.shape}")
    result = (array.astype(str) if array.dtype.kind == "S" else array).tolist()
    if array.dtype.kind == "O":
        result = [value.item() if isinstance(value, np.generic) else value for value in result]
    try:
        missing = any(map(frames.is_missing, set(result)))
    except TypeError:
        raise TypeError(f"{name} must have one label per row, got {result[0]!r:.60}") from None
    if missing:
        index = next(index for index, value in enumerate(result) if frames.is_missing(value))
        raise ValueError(f"{name} must have a label in each row, got {result[index]} at [{index}]")
    return list(result)


def shorten(labels: list[Any]) -> str:
    """Return at most ten labels as text.

    >>> shorten([1, 2])
    '[1, 2]'
    """
    return str(labels) if len(labels) <= 10 else f"[{', '.join(map(repr, labels[:10]))}, ...]"
