"""Training: epochs of steps, and what is measured between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.training import data
from nnreg.training.callbacks import Callback, FunctionCallback, TrainingState
from nnreg.training.history import History
from nnreg.training.lanes import split
from nnreg.training.metrics import Metric, check_metrics, compute_metrics, get_metrics
from nnreg.training.step import NonFiniteLossError, TrainingStep


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
    n, batch_size = validation.whole("n", n, 1), validation.whole("batch_size", batch_size, 1)
    _network(net)
    if shuffle:
        order = random.generator(net.seed, "order", net.epochs).permutation(n)
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
    callbacks: Iterable[Callback | Callable[[TrainingState], Any]] = (),
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
        seed, the same rows in every fit.
    metrics : names or functions, default ()
        ``"accuracy"``, ``"mean_absolute_error"``, ``"mean_squared_error"``, or functions (outputs,
        targets) -> number. Measured at each epoch's end in inference mode, on training and
        validation data.
    callbacks : callbacks, or functions of the ``TrainingState``, default ()
    sample_weight : array_like of shape (N,), optional
        A weight of zero is a removed row, a whole number repeated rows.
    class_weight : dict of class to weight, or "balanced", optional
        For targets that are class numbers, (N,) or (N, 1); multiplies the rows' weights. Classes
        that are not named have weight 1. ``"balanced"`` gives every class the same sum.
    shuffle : bool, default True
    threads : int, optional
        So many lanes share each large step, with BLAS held to one thread: steady on a machine that
        does other things too. With 1, the bits are those of the taught loop under one thread of
        BLAS. Unless given, there is one lane, and BLAS has its own threads, which is faster on a
        quiet machine.

    Returns
    -------
    History
        After a ``KeyboardInterrupt`` too: up to the last whole epoch, with
        ``stopped = "interrupted"``. The parameters are those of that moment, which may be in the
        middle of an update.

    Raises
    ------
    ValueError, TypeError
        Before anything is changed.
    NonFiniteLossError
        If a loss is not finite, or the parameters at an epoch's end. Network and optimizer are put
        back to the last good epoch's end; the error holds the history.

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
    _network(net)
    _loss(loss)
    validation.instance("optimizer", optimizer, Optimizer, "an Optimizer such as nn.Adam()")
    x, y = data.validate_data(net, loss, x, y)
    measures = get_metrics(metrics)
    check_metrics(measures, net, x, y, loss)
    epochs = validation.whole("epochs", epochs)
    batch_size = validation.whole("batch_size", batch_size, 1)
    threads = None if threads is None else validation.whole("threads", threads, 1)
    weights = data.compute_sample_weight(net, loss, y, sample_weight, class_weight)
    x, y, weights, held_out = data.split_validation(
        net, loss, x, y, weights, validation_data, validation_split
    )
    acting = _callbacks(callbacks)
    columns = ["epoch", "data_loss", "penalty", "total", *measures]
    columns += [f"val_{name}" for name in ("data_loss", *measures)] if held_out else []
    optimizer.prepare(net.parameters)
    run = TrainingState(
        net, loss, optimizer, epochs, -(-len(x) // batch_size), (*columns, "seconds")
    )
    lanes, blas = split(3 * net.parameters.weights.size * min(batch_size, len(x)), threads)
    with ExitStack() as stack:
        stack.enter_context(blas_threads(blas))
        step = stack.enter_context(TrainingStep(net, loss, optimizer, lanes=lanes))
        for callback in acting:
            callback.on_train_begin(run)
            stack.callback(callback.on_train_end, run)
        try:
            while len(run.history) < epochs and not run.reason:
                started = time.perf_counter()
                row = _epoch(run, step, acting, batch_size, x, y, weights, shuffle)
                if measures:
                    found = compute_metrics(net, x, y, loss, measures)
                    row |= {name: found[name] for name in measures}
                if held_out is not None:
                    found = compute_metrics(net, *held_out, loss, measures)
                    row |= {f"val_{name}": value for name, value in found.items()}
                run.history.append(row | {"seconds": time.perf_counter() - started})
                for callback in acting:
                    callback.on_epoch_end(run)
            run.history.stopped = run.reason or "epochs"
        except KeyboardInterrupt:
            run.history.stopped = "interrupted"
        except NonFiniteLossError as error:
            run.history.stopped = "non-finite loss"
            error.history = run.history
            raise
    return run.history


def _epoch(
    run: TrainingState,
    step: TrainingStep,
    callbacks: list[Callback],
    batch_size: int,
    x: Array,
    y: Array,
    weights: Array | None,
    shuffle: bool,
) -> dict[str, Any]:
    """Train for one epoch and return its row of the history."""
    net, good = run.net, _Snapshot(run.net, run.optimizer)
    loss_sum = weight_sum = 0.0
    try:
        for batch in batches(len(x), batch_size, net, shuffle=shuffle):
            for callback in callbacks:
                callback.on_batch_begin(run)
            share = len(batch) if weights is None else float(weights[batch].sum())
            loss_sum += share * step(x, y, batch, weights)
            weight_sum += share
        _finite_parameters(net)
    except NonFiniteLossError as error:
        good.restore()
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


class _Snapshot:
    """What training changes, as it is now: net and optimizer can be put back to it."""

    def __init__(self, net: Network, optimizer: Optimizer) -> None:
        self.net, self.optimizer = net, optimizer
        self.vector = net.parameters.vector.copy()
        self.state = {name: values.copy() for name, values in optimizer.state.items()}
        self.counts = net.steps, net.epochs, optimizer.steps

    def restore(self) -> None:
        self.net.parameters.vector[...] = self.vector
        for name, values in self.optimizer.state.items():
            values[...] = self.state.get(name, 0)
        self.net.steps, self.net.epochs, self.optimizer.steps = self.counts


def _finite_parameters(net: Network) -> None:
    """Raise unless they are: the last update of an epoch is followed by no loss that would show."""
    for name in net.parameters:
        if not np.isfinite(net.parameters[name]).all():
            raise NonFiniteLossError(
                f"after step {net.steps - 1} the parameters are not finite, first {name}",
                net.steps - 1,
                name.rpartition(".")[0],
            )


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
    _network(net)
    _loss(loss)
    x, y = data.validate_data(net, loss, x, y)
    measures = get_metrics(metrics)
    check_metrics(measures, net, x, y, loss)
    found = compute_metrics(net, x, y, loss, measures)
    data_loss, penalty = found.pop("data_loss"), net.penalty_value()
    return {"data_loss": data_loss, "penalty": penalty, "total": data_loss + penalty, **found}


def _network(net: Any) -> None:
    validation.instance("net", net, Network, "a Network")


def _loss(loss: Any) -> None:
    validation.instance("loss", loss, Loss, "a Loss such as nn.SoftmaxCrossEntropy()")


def _callbacks(callbacks: Any) -> list[Callback]:
    """Return callbacks as a list; one alone is welcome, and functions are wrapped."""
    if isinstance(callbacks, Callback) or callable(callbacks):
        callbacks = [callbacks]
    wanted = "callbacks must be Callbacks or functions of the run"
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"{wanted}, got {callbacks!r}")
    acting = []
    for callback in callbacks:
        if isinstance(callback, type) or not (isinstance(callback, Callback) or callable(callback)):
            raise TypeError(f"{wanted}, got {callback!r}")
        acting.append(callback if isinstance(callback, Callback) else FunctionCallback(callback))
    return acting
