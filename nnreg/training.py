"""Training: epochs of steps, and what is measured between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from nnreg import checks, streams
from nnreg.callbacks import Callback, FunctionCallback, Run
from nnreg.history import History
from nnreg.kernels import Array
from nnreg.losses import Loss
from nnreg.metrics import Metric, resolve
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.step import NonFiniteLossError, TrainingStep
from nnreg.threads import blas_threads


def batches(n: int, batch_size: int, net: Network, *, shuffle: bool = True) -> Iterator[Array]:
    """Yield row numbers, batch by batch, in the order of (seed, epoch).

    The epoch is counted when it is used up.

    Parameters
    ----------
    n : int
        Rows in the data.
    batch_size : int
        Rows in a batch; the last one may have fewer. It may exceed ``n``.
    net : Network
        Its seed and ``epochs`` fix the order; ``epochs`` is counted.
    shuffle : bool, default True

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, seed=0)
    >>> [rows.tolist() for rows in nn.batches(5, 2, net)], net.epochs
    ([[3, 1], [4, 2], [0]], 1)
    """
    n, batch_size = checks.whole("n", n, 1), checks.whole("batch_size", batch_size, 1)
    if shuffle:
        order = streams.generator(net.seed, "order", net.epochs).permutation(n)
    else:
        order = np.arange(n)
    for start in range(0, n, batch_size):
        yield order[start : start + batch_size]
    net.epochs += 1


def fit(
    net: Network,
    x: Any,
    y: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 128,
    validation_data: tuple[Any, Any] | None = None,
    validation_split: float = 0.0,
    metrics: Iterable[str | Metric] = (),
    callbacks: Iterable[Callback | Callable[[Run], Any]] = (),
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | str | None = None,
    shuffle: bool = True,
    threads: int | None = None,
) -> History:
    """Train a network. ``fit`` for n epochs is n times ``fit`` for one.

    Parameters
    ----------
    net : Network
    x : array_like of shape (N, D)
    y : array_like
        What the loss wants: class numbers (N,), or (N, M).
    loss : Loss
    optimizer : Optimizer
        It keeps its state from one call to the next.
    epochs : int
    batch_size : int, default 128
    validation_data : tuple (x, y), optional
    validation_split : float, default 0
        Share of rows, in [0, 1), held out for validation instead; drawn at random by the network's
        seed.
    metrics : names or functions, default ()
        ``"accuracy"``, ``"mean_absolute_error"``, ``"mean_squared_error"``, or functions (outputs,
        targets) -> number. Measured at each epoch's end in inference mode, on training and
        validation data.
    callbacks : callbacks or functions of the :class:`~nnreg.callbacks.Run`, default ()
    sample_weight : array_like of shape (N,), optional
        A weight of zero is a removed row, a whole number repeated rows.
    class_weight : dict of class to weight, or "balanced", optional
        For targets that are class numbers; multiplies the rows' weights. Classes that are not named
        have weight 1. ``"balanced"`` gives every class the same sum.
    shuffle : bool, default True
    threads : int, optional
        Threads that BLAS may use while training; unless given, as it is set.

    Returns
    -------
    History
        After a ``KeyboardInterrupt`` too: up to the last whole epoch, with
        ``stopped = "interrupted"``.

    Raises
    ------
    ValueError, TypeError
        Before anything is changed.
    NonFiniteLossError
        If a loss is not finite. The parameters of the last good epoch's end are put back; the error
        holds the history.

    Examples
    --------
    >>> import nnreg as nn
    >>> (x, y), test = nn.datasets.load_digits()
    >>> net = nn.Network([nn.Dense(32), nn.ReLU(), nn.Dense(10)], inputs=64, seed=0)
    >>> history = nn.fit(
    ...     net,
    ...     x,
    ...     y,
    ...     loss=nn.SoftmaxCrossEntropy(),
    ...     optimizer=nn.Adam(0.01),
    ...     epochs=5,
    ...     validation_data=test,
    ...     metrics=["accuracy"],
    ... )
    >>> history.last["val_accuracy"] > 0.9
    True
    """
    x, y = _data("x", x, "y", y, net, loss)
    measures = resolve(metrics)
    epochs = checks.whole("epochs", epochs)
    batch_size = checks.whole("batch_size", batch_size, 1)
    threads = None if threads is None else checks.whole("threads", threads, 1)
    weights = _weights(sample_weight, class_weight, y, len(x))
    x, y, weights, validation = _validation(
        net, loss, x, y, weights, validation_data, validation_split
    )
    acting = [_callback(callback) for callback in callbacks]
    run = Run(net, loss, optimizer, epochs, -(-len(x) // batch_size))
    step = TrainingStep(net, loss, optimizer)
    with ExitStack() as stack:
        stack.enter_context(blas_threads(threads))
        for callback in acting:
            callback.on_begin(run)
            stack.callback(callback.on_end, run)
        try:
            while len(run.history) < epochs and not run.reason:
                started = time.perf_counter()
                row = _epoch(run, step, acting, batch_size, x, y, weights, shuffle)
                row |= _measured(net, x, y, loss, measures) if measures else {}
                if validation is not None:
                    found = _measured(net, *validation, loss, measures, with_loss=True)
                    row |= {f"val_{name}": value for name, value in found.items()}
                run.history.append(row | {"seconds": time.perf_counter() - started})
                for callback in acting:
                    callback.on_epoch(run)
            run.history.stopped = run.reason or "epochs"
        except KeyboardInterrupt:
            run.history.stopped = "interrupted"
        except NonFiniteLossError as error:
            error.history = run.history
            raise
    return run.history


def _epoch(
    run: Run,
    step: TrainingStep,
    callbacks: list[Callback],
    batch_size: int,
    x: Array,
    y: Array,
    weights: Array | None,
    shuffle: bool,
) -> dict[str, Any]:
    """Train for one epoch and return its row of the history."""
    net = run.net
    good_vector, good_steps = net.parameters.vector.copy(), net.steps
    loss_sum = weight_sum = 0.0
    try:
        for rows in batches(len(x), batch_size, net, shuffle=shuffle):
            for callback in callbacks:
                callback.on_step(run)
            share = len(rows) if weights is None else float(weights[rows].sum())
            loss_sum += share * step(x, y, rows, weights)
            weight_sum += share
    except NonFiniteLossError as error:
        net.parameters.vector[...], net.steps = good_vector, good_steps
        error.args = (
            f"{error}. The parameters are those of the end of epoch {net.epochs} again; "
            "a smaller learning rate is the usual cure",
        )
        raise
    data_loss, penalty = loss_sum / weight_sum, net.penalty_value()
    return {
        "epoch": net.epochs,
        "data_loss": data_loss,
        "penalty": penalty,
        "total": data_loss + penalty,
    }


def evaluate(
    net: Network, x: Any, y: Any, *, loss: Loss, metrics: Iterable[str | Metric] = ("accuracy",)
) -> dict[str, float]:
    """Measure a network in inference mode.

    Parameters
    ----------
    net : Network
    x, y : array_like
    loss : Loss
    metrics : names or functions, default ("accuracy",)
        As for :func:`fit`.

    Returns
    -------
    dict of str to float
        ``data_loss``, ``penalty``, ``total``, and each metric by its name.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1)
    >>> nn.evaluate(
    ...     net, [[1.0]], [[2.0]], loss=nn.MeanSquaredError(), metrics=["mean_absolute_error"]
    ... )
    {'data_loss': 4.0, 'penalty': 0.0, 'total': 4.0, 'mean_absolute_error': 2.0}
    """
    x, y = _data("x", x, "y", y, net, loss)
    measures = resolve(metrics)
    found = _measured(net, x, y, loss, measures, with_loss=True)
    data_loss, penalty = found.pop("data_loss"), net.penalty_value()
    return {"data_loss": data_loss, "penalty": penalty, "total": data_loss + penalty, **found}


def _measured(
    net: Network,
    x: Array,
    y: Array,
    loss: Loss,
    measures: dict[str, Metric],
    *,
    with_loss: bool = False,
) -> dict[str, float]:
    outputs = net.predict(x)
    found: dict[str, float] = {}
    if with_loss:
        targets = y if y.dtype.kind == "i" else y.astype(outputs.dtype, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            found["data_loss"] = float(loss.compute(outputs, targets)[0])
    return found | {name: float(measure(outputs, y, loss)) for name, measure in measures.items()}


def _data(
    x_name: str, x: Any, y_name: str, y: Any, net: Network, loss: Loss
) -> tuple[Array, Array]:
    """Look at a whole data set once."""
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a Loss such as nn.SoftmaxCrossEntropy(), got {loss!r}")
    x = checks.matrix(x_name, x, net.inputs)
    if x.dtype == bool:
        x = x.astype(net.dtype)
    checks.finite(x_name, x)
    if x.dtype.kind == "f" and abs(x).max() > np.finfo(net.dtype).max:
        raise ValueError(f"{x_name} holds values beyond {net.dtype}: up to {abs(x).max():g}")
    y = loss.check_targets(y, net.widths[-1])
    checks.same_rows(y_name, y, x_name, len(x))
    return x, y


def _weights(sample_weight: Any, class_weight: Any, y: Array, rows: int) -> Array | None:
    """Return one weight a row, or None where all count the same."""
    weights = None
    if sample_weight is not None:
        weights = checks.sample_weights("sample_weight", sample_weight, rows).astype(np.float64)
    if class_weight is None:
        return weights
    labels = y if y.ndim == 1 else y[:, 0]
    if y.size != rows or (labels != np.floor(labels)).any():
        raise ValueError("class_weight needs targets that are one class number a row")
    labels = labels.astype(np.int64)
    counts = np.bincount(labels)
    table = np.ones(len(counts))
    if isinstance(class_weight, str):
        checks.one_of("class_weight", class_weight, ["balanced"])
        present = counts > 0
        table[present] = rows / (present.sum() * counts[present])
    elif isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            if not (isinstance(label, int | np.integer) and 0 <= label < len(counts)):
                raise ValueError(f"class_weight names class {label!r}, which y does not have")
            table[label] = checks.number(f"class_weight[{label}]", weight, 0)
    else:
        raise TypeError(f'class_weight must be a dict or "balanced", got {class_weight!r}')
    weights = table[labels] if weights is None else weights * table[labels]
    return checks.sample_weights("sample_weight times class_weight", weights, rows)


def _validation(
    net: Network,
    loss: Loss,
    x: Array,
    y: Array,
    weights: Array | None,
    data: tuple[Any, Any] | None,
    split: float,
) -> tuple[Array, Array, Array | None, tuple[Array, Array] | None]:
    """Return the training rows, and the validation data that were given or are split off."""
    split = checks.number("validation_split", split, 0, 1, open_high=True)
    if data is not None:
        if split:
            raise ValueError("validation_data and validation_split exclude each other, got both")
        if len(data) != 2:
            raise TypeError("validation_data must be a pair (x, y)")
        return x, y, weights, _data("validation x", data[0], "validation y", data[1], net, loss)
    held = round(split * len(x))
    if not held:
        return x, y, weights, None
    if held == len(x):
        raise ValueError(f"validation_split={split:g} leaves none of {len(x)} rows for training")
    order = streams.generator(net.seed, "split").permutation(len(x))
    kept, out = np.sort(order[held:]), np.sort(order[:held])
    return x[kept], y[kept], None if weights is None else weights[kept], (x[out], y[out])


def _callback(callback: Callback | Callable[[Run], Any]) -> Callback:
    if isinstance(callback, Callback):
        return callback
    if callable(callback):
        return FunctionCallback(callback)
    raise TypeError(f"callbacks must be Callbacks or functions of the run, got {callback!r}")
