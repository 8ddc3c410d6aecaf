"""Argument validation. Public functions check their arguments here, once.

Each function returns the value in the form that the engine uses, or raises a ``ValueError`` or
``TypeError`` that names the argument, the expected and the actual value, and if possible a remedy.
Internal functions do not check again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnreg._support import frames
from nnreg._support.typing import Array

# Arguments of other libraries, and their replacements.
TRANSLATIONS = {
    "lr": "write learning_rate=",
    "betas": "write beta_1= and beta_2=",
    "eps": "write epsilon=",
    "params": "pass parameters to update(net.parameters, gradients), not to the optimizer",
    "clipnorm": "write clip_norm=, for the whole gradient, or clip_value=",
    "global_clipnorm": "write clip_norm=",
    "max_norm": "write clip_norm= in an optimizer, limit= in nn.MaxNorm",
    "clipvalue": "write clip_value=",
    "weight_decay": "write penalty=nn.L2(strength) in nn.Network; only nn.AdamW has a weight_decay",
    "decay": "write a schedule, such as nn.InverseTimeDecay",
    "lambda_": "write strength=",
    "alpha": "write strength=",
    "l": "write strength=",
    "l1": "write strength=",
    "l2": "write strength=",
    "max_value": "write limit=",
    "from_logits": "every loss takes raw outputs (logits)",
    "reduction": "every loss is a mean over rows; weights= are row weights",
    "kernel_regularizer": "write penalty=",
    "kernel_constraint": "write constraint=",
    "kernel_initializer": "write initializer=",
    "use_bias": "write bias=",
    "activation": "activations are separate layers, such as nn.ReLU()",
    "in_features": "the previous layer determines the number of inputs; write nn.Dense(units)",
    "input_dim": "write inputs= in nn.Network",
    "input_shape": "write inputs= in nn.Network",
    "negative_slope": "write slope=",
    "keep_prob": "write keep_prob=, the probability that a unit is kept: keep_prob = 1 - rate",
    "rate": "write keep_prob=, the probability that a unit is kept: keep_prob = 1 - rate",
    "p": "write keep_prob=, the probability that a unit is kept: keep_prob = 1 - rate, or 1 - p",
}

# Names of losses and optimizers in other libraries, and their equivalents.
EQUIVALENTS = {
    "adam": "Adam()",
    "adamw": "AdamW()",
    "sgd": "SGD(0.01)",
    "rmsprop": "RMSprop()",
    "mse": "MeanSquaredError()",
    "meansquarederror": "MeanSquaredError()",
    "huber": "Huber()",
    "quantile": "Quantile(0.5)",
    "pinball": "Quantile(0.5)",
    "poisson": "Poisson()",
    "crossentropy": "SoftmaxCrossEntropy()",
    "categoricalcrossentropy": "SoftmaxCrossEntropy()",
    "sparsecategoricalcrossentropy": "SoftmaxCrossEntropy()",
    "softmaxcrossentropy": "SoftmaxCrossEntropy()",
    "binarycrossentropy": "SigmoidCrossEntropy()",
    "sigmoidcrossentropy": "SigmoidCrossEntropy()",
}


def show(value: object) -> str:
    """Return a line about a value that is wrong: its ``repr``, or the shape of a large array.

    >>> show(np.zeros((20, 2))), show("two")
    ('ndarray of shape (20, 2)', "'two'")
    """
    text = repr(value)
    if "\n" in text and hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {value.shape}"
    return f"{' '.join(text.split()):.500}"


def number(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return ``value`` as a Python float within the bounds.

    A Python float, unlike a NumPy one, never promotes float32 arrays.

    >>> number("momentum", 1.0, 0, 1, open_high=True)
    Traceback (most recent call last):
        ...
    ValueError: momentum must be a number in [0, 1), got 1.0
    """
    open_low, open_high = open_low or math.isinf(low), open_high or math.isinf(high)
    begin, end = "(" if open_low else "[", ")" if open_high else "]"
    expected = f"a number in {begin}{low:g}, {high:g}{end}"
    if isinstance(value, (bool, np.bool_, str, bytes, complex, np.complexfloating)):
        raise TypeError(f"{name} must be {expected}, got {show(value)}")
    try:
        result = float(value)  # type: ignore[arg-type]  # any object with __float__ is accepted
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {expected}, got {show(value)}") from None
    except OverflowError:
        result = math.inf
    at_bound = (result == low and not open_low) or (result == high and not open_high)
    if not (low < result < high or at_bound):  # no comparison with NaN is true
        raise ValueError(f"{name} must be {expected}, got {show(value)}")
    return result


def whole(name: str, value: object, low: int = 0, high: int | None = None) -> int:
    """Return ``value`` as an int of at least ``low`` and, unless None, at most ``high``.

    NumPy integers are accepted, floats and bools are not.

    >>> whole("units", 2.5, 1)
    Traceback (most recent call last):
        ...
    TypeError: units must be a whole number of at least 1, got 2.5
    """
    bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
    message = f"{name} must be a whole number {bounds}, got {show(value)}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(message)
    try:
        result = operator.index(value)  # type: ignore[arg-type]  # it raises TypeError for others
    except TypeError:
        raise TypeError(message) from None
    if result < low or (high is not None and result > high):
        raise ValueError(message)
    return result


def flag(name: str, value: object) -> bool:
    """Return ``value`` as a bool; anything but True and False is an error.

    >>> flag("bias", "no")
    Traceback (most recent call last):
        ...
    TypeError: bias must be True or False, got 'no'
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {show(value)}")


def one_of(name: str, value: object, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of the ``known`` names; the error suggests the nearest one.

    >>> one_of("method", "proximl", ["subgradient", "proximal"])
    Traceback (most recent call last):
        ...
    ValueError: method must be one of 'subgradient', 'proximal', got 'proximl' (did you mean
    'proximal'?)
    """
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    hint = nearest(str(value), names)
    raise ValueError(
        f"{name} must be one of {', '.join(map(repr, names))}, got {show(value)}{hint}"
    )


def float_dtype(value: Any, *known: str) -> np.dtype[Any]:
    """Return a name, a type or a dtype as a dtype, if it is one of the known ones.

    >>> float_dtype(np.float64, "float32", "float64")
    dtype('float64')
    """
    name = getattr(value, "__name__", None) or str(value)
    return np.dtype(one_of("dtype", name, known))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known name nearest to ``name``, or "" if none is near.

    >>> nearest("digit", ["digits", "mnist"])
    " (did you mean 'digits'?)"
    """
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def reject(
    name: str, values: Array, wrong: Array, expected: str, hint: str = "", first: int = 0
) -> None:
    """Raise ``ValueError``, with the first value and its index, if any entry of ``wrong`` is true.

    ``first`` is the row number of the first row.

    >>> reject("x", np.array([1, -2]), np.array([False, True]), "be positive")
    Traceback (most recent call last):
        ...
    ValueError: x must be positive, got -2 at index [1]
    """
    if wrong.any():
        index = [int(i) for i in np.argwhere(wrong)[0]]
        place = [index[0] + first, *index[1:]] if index else index
        raise ValueError(
            f"{name} must {expected}, got {values[tuple(index)]} at index {place}{hint}"
        )


def finite(name: str, values: Array, first: int = 0) -> None:
    """Raise ``ValueError``, with the first index that is not, unless every value is finite.

    If the sum is finite, so is every value. Only otherwise (large finite values may overflow too) a
    mask of the array's size is created. ``first`` is the row number of the first row.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(abs(complex(np.add.reduce(values, axis=None)))):
            return
    reject(name, values, ~np.isfinite(values), "be finite", first=first)


def instance(name: str, value: Any, kind: Any, expected: str) -> Any:
    """Return ``value`` if it is a ``kind``, a class or ``collections.abc.Callable``.

    For a class instead of an object, and for names of other libraries, the error has a hint.

    >>> instance("optimizer", float, int, "an int such as 3")
    Traceback (most recent call last):
        ...
    TypeError: optimizer must be an int such as 3, got <class 'float'>
    >>> instance("optimizer", bool, int, "an int such as 3")
    Traceback (most recent call last):
        ...
    TypeError: optimizer must be an int such as 3, got <class 'bool'>, a class: write bool(...)
    """
    if not isinstance(value, kind):
        hint = ""
        if isinstance(value, type) and issubclass(value, kind):
            hint = f", a class: write {value.__name__}(...)"
        elif (known := str(value).lower().replace("_", "")) in EQUIVALENTS:
            hint = f": write {name}=nn.{EQUIVALENTS[known]}"
        raise TypeError(f"{name} must be {expected}, got {show(value)}{hint}")
    return value


# The conversion to numbers for each kind of dtype.
CONVERSIONS = {
    "O": "astype(float) converts it if every value is a number",
    "U": "astype(float) converts numbers written as text, "
    "np.unique(labels, return_inverse=True)[1] converts class names",
    "c": "use .real, or .real and .imag as separate columns",
    "M": "(x - np.datetime64('2000-01-01')) / np.timedelta64(1, 'D') counts days",
    "m": "x / np.timedelta64(1, 'D') counts days",
    "V": "np.lib.recfunctions.structured_to_unstructured converts it to a matrix",
}


def numeric(name: str, value: object) -> Array:
    """Return ``value`` as an array of real numbers or bools; an array is not copied.

    A data frame whose columns are numbers or bools is accepted, and a sparse matrix, which is made
    dense.

    >>> numeric("y", ["cat", "dog"])
    Traceback (most recent call last):
        ...
    TypeError: y must contain real numbers, got dtype <U3: astype(float) converts numbers written as
    text, np.unique(labels, return_inverse=True)[1] converts class names
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value  # the usual case, in less time
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} must not have masked values, which would be used like others: "
            f"{name}.filled(value) replaces them"
        )
    if frames.is_frame(value):
        return frames.frame_to_array(name, value)
    if frames.is_series(value):
        value = frames.series_to_array(name, value)
    try:
        array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array of numbers, got rows of different lengths"
        ) from error
    real(name, value, array.dtype)
    return array


def real(name: str, value: object, dtype: np.dtype[Any]) -> None:
    """Raise ``TypeError`` unless ``dtype``, that of ``value``, is one of real numbers or bools."""
    if dtype.kind not in "fiub":
        hint = CONVERSIONS[dtype.kind.replace("S", "U")]
        if isinstance(value, Mapping):
            hint = f"{type(value).__name__} with the names {list(value)}; write data[name]"
        elif hasattr(value, "collect_schema"):
            hint = f"a {type(value).__name__} is a query; {name}.collect() returns its values"
        elif isinstance(value, Iterator):
            hint = f"a {type(value).__name__}; np.array(list({name})) has its rows"
        raise TypeError(f"{name} must contain real numbers, got dtype {dtype}: {hint}")


def matrix(name: str, value: object, columns: int | None = None) -> Array:
    """Return ``value`` as a non-empty numeric array of shape (N, columns).

    It is not cast, and not checked for NaN.

    >>> matrix("x", [1.0, 2.0], 2)
    Traceback (most recent call last):
        ...
    ValueError: x must have shape (N, 2), one row per example, got shape (2,)
    """
    array = numeric(name, value)
    check_shape(name, array, columns)
    return array


def check_shape(name: str, array: Any, columns: int | None = None) -> None:
    """Raise ``ValueError`` unless ``array``, an array or rows, has shape (N, columns)."""
    expected = f"(N, {'D' if columns is None else columns})"
    if array.ndim != 2 or (columns is not None and array.shape[1] != columns):
        raise ValueError(
            f"{name} must have shape {expected}, one row per example, got shape {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")


def same_rows(name: str, array: Array, other_name: str, rows: int) -> None:
    """Raise ``ValueError`` unless ``array`` has as many rows as the other array."""
    if array.shape[:1] != (rows,):
        got = len(array) if array.ndim else "a single number"
        raise ValueError(f"{name} and {other_name} must agree in rows, got {got} and {rows}")


def cast(name: str, array: Array, dtype: np.dtype[Any], first: int = 0) -> Array:
    """Return ``array`` in ``dtype``, each value finite before and after.

    If it already has that dtype, it is returned unchanged. ``first`` is the number of the first
    row.
    """
    if array.dtype != dtype:
        with np.errstate(over="ignore"):
            array, name = array.astype(dtype), f"{name} (as {dtype})"
    finite(name, array, first)
    return array


def fits(name: str, array: Array, dtype: np.dtype[Any], first: int = 0) -> None:
    """Raise ``ValueError`` where a finite value is too large for ``dtype``.

    ``first`` is the number of the first row.

    >>> fits("x", np.array([0.0, 1e300]), np.dtype("float32"))
    Traceback (most recent call last):
        ...
    ValueError: x must fit into float32, got 1e+300 at index [1]
    """
    if array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize:
        limit = np.finfo(dtype).max
        high, low = (
            reduce(array, axis=None, initial=0) for reduce in (np.fmax.reduce, np.fmin.reduce)
        )
        if max(high, -low) > limit:  # computed without an array of the data's size
            reject(name, array, abs(array) > limit, f"fit into {dtype}", first=first)


def sample_weights(name: str, value: object, rows: int, dtype: Any = np.float64) -> Array:
    """Return ``value`` as finite non-negative weights with a sum representable in ``dtype``."""
    weights = numeric(name, value)
    if weights.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one per row, got {weights.shape}")
    finite(name, weights)
    reject(name, weights, weights < 0, "not be negative")
    if not weights.any():
        raise ValueError(f"{name} must not all be zero")
    limits = np.finfo(dtype)
    largest = float(weights.max())
    if not 2.0**27 * float(limits.tiny) <= largest <= float(limits.max) / rows:
        raise ValueError(
            f"{name} must have a sum representable in {np.dtype(dtype)}, got a largest weight of "
            f"{largest:g}; only their proportions matter, so divide them by {largest:g}"
        )
    return weights


def output(name: str, out: Any, like: Array, *others: Array | None) -> None:
    """Raise unless ``out`` is a writeable array of the shape and dtype of ``like``.

    It must not share memory with ``like`` or the others.
    """
    instance(name, out, np.ndarray, "an array to write into")
    if out.shape != like.shape or out.dtype != like.dtype or not out.flags.writeable:
        kind = "writeable" if out.flags.writeable else "read-only"
        raise ValueError(
            f"{name} must be writeable and have shape {like.shape} and dtype {like.dtype}, "
            f"got a {kind} array of shape {out.shape} and dtype {out.dtype}"
        )
    if any(other is not None and np.shares_memory(out, other) for other in (like, *others)):
        raise ValueError(
            f"{name} must be a separate array, got one that shares memory with an argument"
        )


def unknown_arguments(function: str, arguments: dict[str, object], known: Collection[str]) -> None:
    """Raise ``TypeError`` for the first unknown argument, with the correct one if it is known.

    >>> unknown_arguments("Adam", {"lr": 0.1}, ["learning_rate"])
    Traceback (most recent call last):
        ...
    TypeError: Adam has no argument 'lr': write learning_rate=
    """
    for name in arguments:
        if name not in known:
            translation = TRANSLATIONS.get(name)
            hint = f": {translation}" if translation else nearest(name, known)
            raise TypeError(f"{function} has no argument {name!r}{hint}")
