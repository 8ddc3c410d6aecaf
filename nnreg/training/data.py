"""Training data: checked, split into training and validation rows, then weighted.

:class:`Data` contains all rows, in any form of :mod:`nnreg._support.rows`; :class:`Stream` reads
batches from an iterable. Both yield the batches of an epoch, and predict all rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import Any, NamedTuple, Protocol

import numpy as np

from nnreg._support import frames, labels, rows, validation
from nnreg._support.typing import Array
from nnreg.losses import Loss, predicts_classes
from nnreg.network import Network
from nnreg.training.order import draw_batches, split_validation


class Data(NamedTuple):
    """Inputs, targets, and a weight for each row or None.

    ``x`` is an array or :class:`~nnreg._support.rows.Rows`.
    """

    x: Any
    y: Array
    weights: Array | None = None

    def take(self, selected: Array) -> Data:
        """Return the rows selected by their numbers; the inputs are not copied."""
        weights = None if self.weights is None else self.weights[selected]
        return Data(rows.select(self.x, selected), self.y[selected], weights)

    def without_removed_rows(self) -> Data:
        """Return the rows whose weight is not zero."""
        if self.weights is None or self.weights.all():
            return self
        return self.take(np.flatnonzero(self.weights))

    def count_batches(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.y) // batch_size)

    def choose_shuffle(self, shuffle: bool | str) -> bool | str:
        """Return ``"blocks"`` in the place of True for data in a memory-mapped file."""
        return "blocks" if shuffle is True and rows.is_memory_mapped(self.x) else shuffle

    def draw_batches(
        self, net: Network, batch_size: int, shuffle: bool | str
    ) -> Iterator[tuple[Data, Array]]:
        """Yield the batches of an epoch: data, and the numbers of the rows in them."""
        for numbers in draw_batches(len(self.y), batch_size, net, shuffle):
            yield self, numbers

    def predict(self, net: Network) -> tuple[Array, Array, Array | None]:
        """Return outputs, targets and weights of all rows."""
        return net.run_predict(self.x), self.y, self.weights


class Batches(Protocol):
    """Data that come batch by batch: what ``fit`` takes in place of ``x`` and ``y``.

    Any object whose ``__iter__`` starts at the first batch each time, and yields pairs ``(x, y)``
    or triples ``(x, y, weights)``, in any form that ``fit`` takes. If ``__len__`` is defined, it
    must return the number of batches.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Files:
    ...     def __init__(self, net):
    ...         self.net = net
    ...
    ...     def __iter__(self):
    ...         x = np.arange(4.0).reshape(4, 1)  # for example from a database
    ...         for rows in nn.batches(4, 2, self.net):  # another order in each epoch
    ...             yield x[rows], 2 * x[rows]
    >>> net = nn.Network([nn.Dense(1)], inputs=1)
    >>> history = nn.fit(net, Files(net), loss=nn.MeanSquaredError(), optimizer=nn.Adam(), epochs=2)
    >>> net.steps, net.epochs
    (4, 2)
    """

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch, from the first one."""
        ...


class Stream:
    """Batches of an iterable, each checked when it is read.

    Parameters
    ----------
    net : Network
    loss : Loss
    batches : iterable of (x, y) or (x, y, weights)
    classes : tuple, optional
        The labels of the targets.
    name : str
        The name of the data in errors.
    passes : int
        How often it is read; an iterator can be read once.

    Attributes
    ----------
    first : Data
        The first batch, which is read at once.
    """

    def __init__(
        self,
        net: Network,
        loss: Loss,
        batches: Any,
        classes: labels.Classes | None = None,
        name: str = "x",
        passes: int = 1,
    ) -> None:
        self.net, self.loss, self.batches, self.name = net, loss, batches, name
        self.classes = classes
        if isinstance(batches, str | bytes | Mapping) or hasattr(batches, "__array__"):
            raise TypeError(
                f"{name} without y must be an iterable of batches (x, y), "
                f"got {validation.show(batches):.80}; give y, too"
            )
        try:
            iterator = iter(batches)
        except TypeError:
            cure = f"; {_start_again(batches)}" if callable(batches) else ""
            raise TypeError(
                f"{name} without y must be an iterable of batches (x, y), got {batches!r:.60}{cure}"
            ) from None
        once = iterator is batches
        if once and passes > 1:
            raise ValueError(
                f"{name} is a {type(batches).__name__}, which can be read once, and this call "
                f"reads it {passes} times; {_start_again(batches)}"
            )
        try:
            self.first = self._check(0, next(iterator))
        except StopIteration:
            raise ValueError(f"{name} must have a batch, got none{_EXHAUSTED}") from None
        self._rest: Iterator[Any] | None = iterator if once else None

    @property
    def y(self) -> Array:
        """The targets of the first batch."""
        return self.first.y

    def _check(self, number: int, batch: Any) -> Data:
        """Return a batch as arrays."""
        is_batch = isinstance(batch, tuple | list) and len(batch) in (2, 3)
        if not is_batch or isinstance(batch[0], int | float):
            raise TypeError(
                f"batch {number} of {self.name} must be (x, y) or (x, y, weights), "
                f"got {validation.show(batch):.60}; if {self.name} has all rows, give y, too"
            )
        prefix = f"batch {number} of {self.name}: "
        x, y = batch[:2]
        data = Data(*validate_rows(self.net, self.loss, x, y, prefix, self.classes))
        if len(batch) == 2:
            return data
        _check_takes_weights(self.loss)
        weights = validation.sample_weights(f"{prefix}weights", batch[2], len(data.y))
        return _check_weights(self.net, data._replace(weights=weights), f"{prefix}weights")

    def __iter__(self) -> Iterator[Data]:
        epoch, number = self.net.epochs, -1
        if self._rest is None:
            checked: Iterable[Data] = map(self._check, count(), self.batches)
        else:
            checked = chain([self.first], map(self._check, count(1), self._rest))
        for number, batch in enumerate(checked):  # noqa: B007  # read after the loop
            yield batch
        if number < 0:
            raise ValueError(f"{self.name} has no more batches{_EXHAUSTED}")
        self.net.epochs = epoch  # `nn.batches` inside it may have counted the epoch

    def without_removed_rows(self) -> Stream:
        """Return the same batches; :meth:`predict` omits rows whose weight is zero."""
        return self

    def count_batches(self, batch_size: int) -> int:
        """Return the number of batches in an epoch, or 0 if it is not known."""
        return len(self.batches) if hasattr(self.batches, "__len__") else 0

    def draw_batches(
        self, net: Network, batch_size: int, shuffle: bool | str
    ) -> Iterator[tuple[Data, Array]]:
        """Yield the batches of an epoch: data, and the numbers of the rows in them."""
        for batch in self:
            yield batch, np.arange(len(batch.y))

    def predict(self, net: Network) -> tuple[Array, Array, Array | None]:
        """Return outputs, targets and weights of all rows."""
        parts = [batch.without_removed_rows().predict(net) for batch in self]
        outputs, y, weights = zip(*parts, strict=True)
        weighted = any(part is not None for part in weights)
        all_weights = [
            np.ones(len(part)) if w is None else w for part, w in zip(y, weights, strict=True)
        ]
        return (
            np.concatenate(outputs),
            np.concatenate(y),
            np.concatenate(all_weights) if weighted else None,
        )


def _start_again(batches: Any) -> str:
    """Return the line that makes an iterable of a generator or of its function."""
    if isinstance(batches, type):
        return f"write {batches.__name__}()"
    name = str(getattr(batches, "__name__", ""))
    function = name if name.isidentifier() else "read_batches"
    return (
        f"give Data(), an object that starts again: class Data: __iter__ = lambda self: "
        f"{function}(...)"
    )


_EXHAUSTED = (
    "; an object whose __iter__ starts again, such as a list or a class with __iter__, can be read "
    "in every epoch"
)


def prepare(
    net: Network,
    loss: Loss,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: Any = 0.0,
    classes: Any = None,
    passes: tuple[int, int] = (1, 1),
) -> tuple[Any, Any, labels.Classes | None]:
    """Return training data, validation data or None, and the labels of the classes or None.

    The data are :class:`Data` or :class:`Stream`. The arguments are those of
    :func:`~nnreg.training.loop.fit`; ``passes`` is the number of times that each is read.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, seed=0)
    >>> x = np.arange(4.0).reshape(4, 1)
    >>> training, held_out, _ = prepare(net, nn.MeanSquaredError(), x, x, validation_split=0.25)
    >>> training.x[:].ravel(), held_out.x[:].ravel()
    (array([0., 2., 3.]), array([1.]))
    """
    share = validation.number("validation_split", validation_split, 0, 1, open_high=True)
    validation.instance("net", net, Network, "a Network")
    validation.instance("loss", loss, Loss, "a Loss such as nn.SoftmaxCrossEntropy()")
    classes = _get_classes(net, loss, y, classes)
    held_out = None
    if validation_data is not None:
        if share:
            raise ValueError("validation_data and validation_split exclude each other, got both")
        held_out = _prepare_validation(net, loss, validation_data, classes, passes[1])
    if y is None:
        options = {
            "sample_weight": sample_weight,
            "class_weight": class_weight,
            "validation_split": share or None,
        }
        for name, option in options.items():
            if option is not None:
                raise ValueError(
                    f"{name} needs all rows at once, and batches come one by one; {_INSTEAD[name]}"
                )
        return Stream(net, loss, x, classes, passes=passes[0]), held_out, classes
    if rows.is_batches(x):
        raise TypeError(
            f"x is a {type(x).__name__}; batches come with their targets, fit(net, batches, ...), "
            "so omit y"
        )
    data = Data(*validate_rows(net, loss, x, y, classes=classes))
    if sample_weight is not None or class_weight is not None:
        _check_takes_weights(loss)
    if sample_weight is not None:
        weights = validation.sample_weights("sample_weight", sample_weight, len(data.y))
        data = data._replace(weights=weights.astype(np.float64))
    suffix = ""
    if share:
        training_rows, held_out_rows = split_validation(net, len(data.y), share)
        if class_weight is not None:
            missing = np.setdiff1d(data.y, data.y[training_rows])
            if missing.size:
                named = f"{missing[0]:g}" if classes is None else repr(classes[int(missing[0])])
                raise ValueError(
                    f"validation_split={share:g} leaves no row of class {named} for "
                    "training, which class_weight needs; use another share, or validation_data="
                )
        suffix = " of training rows"
        held_out = data.take(held_out_rows)
        data = data.take(training_rows)
        held_out = _check_weights(net, held_out, "sample_weight of validation rows")
        held_out = held_out.without_removed_rows()
    name = f"sample_weight{suffix}"
    if class_weight is not None:
        name = f"sample_weight times class_weight{suffix}"
        weights = np.ones(len(data.y)) if data.weights is None else data.weights
        by_class = compute_class_weight(data.y, class_weight, weights, classes)
        data = data._replace(weights=weights * by_class)
    return _check_weights(net, data, name), held_out, classes


# What to do where an option needs all rows.
_INSTEAD = {
    "sample_weight": "give the weights with each batch: (x, y, weights)",
    "class_weight": "give the weights with each batch: (x, y, weights)",
    "validation_split": "give validation_data",
}


def _prepare_validation(
    net: Network, loss: Loss, given: Any, classes: labels.Classes | None, passes: int
) -> Data | Stream:
    """Return validation data that were given as a pair (x, y) or as an iterable of batches."""
    if isinstance(given, tuple | list) and len(given) == 2:
        x, y = given
        return Data(*validate_rows(net, loss, x, y, "validation ", classes))
    if isinstance(given, list) or rows.is_batches(given):
        return Stream(net, loss, given, classes, "validation_data", passes)
    raise TypeError(
        "validation_data must be a pair (x, y) or an iterable of batches, "
        f"got {validation.show(given):.60}"
    )


def _get_classes(net: Network, loss: Loss, y: Any, classes: Any) -> labels.Classes | None:
    """Return the labels of the targets: those of the network, or those given to ``fit``."""
    known: labels.Classes | None = net.classes
    if classes is None or classes is False:
        return known
    if not predicts_classes(loss):
        raise TypeError(f"classes= needs a loss that predicts classes, got {loss!r}")
    if classes is True:
        if known is not None:
            return known
        if y is None:
            raise ValueError(
                "classes=True needs all labels at once, and batches come one by one; give them in "
                "their order: classes=[...]"
            )
        found = labels.find_classes("y", y)
        return labels.check_classes("classes=True: the labels of y", found, net.widths[-1])
    checked = labels.check_classes("classes", classes, net.widths[-1])
    if known not in (None, checked):
        raise ValueError(f"classes must be those of the network, {known}, got {checked}")
    return checked


def validate_data(
    net: Network, loss: Loss, x: Any, y: Any, prefix: str = ""
) -> tuple[Array, Array]:
    """Return inputs and targets as arrays that are valid for the network and the loss.

    Arrays are not copied; each batch is cast when it is used. Sparse inputs are made dense.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2)], inputs=1)
    >>> validate_data(net, nn.SoftmaxCrossEntropy(), [[1.0], [2.0]], [0, 2], "validation ")
    Traceback (most recent call last):
        ...
    ValueError: validation y: targets must be class numbers from 0 to 1, got 2 at index [1]; ...
    """
    validation.instance("net", net, Network, "a Network")
    validation.instance("loss", loss, Loss, "a Loss such as nn.SoftmaxCrossEntropy()")
    x, y = validate_rows(net, loss, x, y, prefix, net.classes)
    return np.asarray(x), y


def validate_rows(
    net: Network,
    loss: Loss,
    x: Any,
    y: Any,
    prefix: str = "",
    classes: labels.Classes | None = None,
) -> tuple[Any, Array]:
    """Return inputs as an array or :class:`~nnreg._support.rows.Rows`, and targets as an array.

    Both are valid for the network and the loss.
    """
    x = rows.as_rows(f"{prefix}x", x, net.inputs)
    rows.check_values(f"{prefix}x", x, net.dtype)
    outputs = net.widths[-1]
    if classes is not None:
        y = labels.number_labels(f"{prefix}y", y, classes, outputs)
    elif frames.is_series(y):
        y = frames.series_to_array(f"{prefix}y", y)
    elif frames.is_frame(y):
        y = frames.frame_to_array(f"{prefix}y", y)
    try:
        targets = _check_targets(loss, y, outputs)
        for first, block in rows.blocks(targets):
            validation.fits("targets", block, net.dtype, first)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        hint = "" if classes is not None else _suggest_classes(loss, y, outputs)
        raise kind(f"{prefix}y: {error}{hint}") from error
    validation.same_rows(f"{prefix}y", targets, f"{prefix}x", len(x))
    return x, targets


def _check_targets(loss: Loss, y: Any, outputs: int) -> Array:
    """Return targets that the loss accepts; a matrix in a file is checked in blocks."""
    if not (rows.is_memory_mapped(y) and y.ndim == 2 and y.dtype.kind == "f" and y.size):
        return loss.check_targets(y, outputs)
    values: Array = np.asarray(y)
    for _, block in rows.blocks(values):
        try:
            unchanged = np.array_equal(loss.check_targets(block, outputs), block)
        except (TypeError, ValueError):
            unchanged = False
        if not unchanged:  # all rows at once, for an error with the right index
            return loss.check_targets(y, outputs)
    return values


def _suggest_classes(loss: Loss, y: Any, outputs: int) -> str:
    """Return a hint if the targets are labels that ``classes=True`` would number."""
    if not predicts_classes(loss):
        return ""
    try:
        found = labels.check_classes("y", labels.find_classes("y", y), outputs)
    except (TypeError, ValueError):
        return ""
    return f"; fit(..., classes=True) numbers the labels {labels.shorten(list(found))}"


def takes_argument(loss: Loss, name: str) -> bool:
    """Return whether a loss can be called with this argument; a custom loss may not."""
    parameters = inspect.signature(loss.__call__).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def _check_takes_weights(loss: Loss) -> None:
    """Raise ``TypeError`` unless the loss supports row weights."""
    if not takes_argument(loss, "weights"):
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


def compute_class_weight(
    y: Array, class_weight: Any, weights: Array, names: labels.Classes | None = None
) -> Array:
    """Return the class weight of each row; "balanced" takes row weights into account.

    >>> compute_class_weight(np.array([0, 0, 0, 1]), "balanced", np.ones(4)).round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """
    if y.shape not in ((len(y),), (len(y), 1)):
        raise ValueError(
            "y with class_weight must have shape (N,) or (N, 1), one class number per row, "
            f"got shape {y.shape}"
        )
    flat = y.reshape(-1)
    validation.reject("y with class_weight", flat, flat != np.floor(flat), "be class numbers")
    classes, indices = np.unique(flat, return_inverse=True)
    by_class = np.ones(len(classes))
    if isinstance(class_weight, str):
        validation.one_of("class_weight", class_weight, ["balanced"])
        sums = np.bincount(indices, weights)
        present = sums > 0
        by_class[present] = sums.sum() / (present.sum() * sums[present])
    elif isinstance(class_weight, Mapping):
        numbers: dict[Any, int] = {
            int(label) if names is None else names[int(label)]: index
            for index, label in enumerate(classes)
        }
        for label, weight in class_weight.items():
            if label not in numbers:
                raise ValueError(
                    f"class_weight must name classes in y, {list(numbers)}, got {label!r}"
                )
            by_class[numbers[label]] = validation.number(f"class_weight[{label!r}]", weight, 0)
    else:
        raise TypeError(f'class_weight must be a dict or "balanced", got {class_weight!r}')
    return np.asarray(by_class[indices])
