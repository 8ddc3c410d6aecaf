"""The training loop, and evaluation."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support import hyperparameters, validation
from nnreg._support.blas import MIN_MULTIPLICATIONS, blas_threads
from nnreg._support.interrupts import Interrupts, defer_interrupts
from nnreg._support.typing import Array
from nnreg.losses import Loss, predicts_classes
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.training.callbacks import Callback, EpochLines, FunctionCallback, TrainingState
from nnreg.training.data import Data, Stream, prepare
from nnreg.training.history import Figures, History
from nnreg.training.metrics import Metric, compute_metrics, get_metrics
from nnreg.training.order import check_shuffle
from nnreg.training.resume import (
    DISPLAYS,
    Checkpoint,
    Run,
    describe_run,
    environment,
    fingerprint,
    open_run,
)
from nnreg.training.sharded_step import ShardedStep
from nnreg.training.shards import Shards
from nnreg.training.step import IGNORE_FLOAT_ERRORS, NonFiniteLossError, TrainingStep

# Upper bound of threads: BLAS counts them in 32 bits.
MAX_THREADS = 2**31 - 1


def fit(
    net: Network,
    x: Any,
    y: Any = None,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 128,
    validation_data: tuple[Any, Any] | Iterable[Any] | None = None,
    validation_split: float = 0.0,
    metrics: Iterable[str | Metric] = (),
    callbacks: Iterable[Callback | Callable[[TrainingState], Any]] = (),
    sample_weight: Any = None,
    class_weight: Mapping[Any, float] | str | None = None,
    classes: Sequence[Any] | bool | None = None,
    shuffle: bool | str = True,
    threads: int | None = None,
    verbose: bool | int = False,
    checkpoint: str | Path | Checkpoint | None = None,
    communicator: Any = None,
    shards: int | None = None,
    partitioned: bool = False,
) -> History:
    """Train a network. One call for n epochs equals n calls for one.

    Parameters
    ----------
    net : Network
    x : array_like of shape (N, D), or Batches
        An array, which may be memory-mapped; a data frame of numbers; a sparse matrix, which is
        converted to dense arrays batch by batch; or an iterable of batches with their targets, see
        :class:`~nnreg.Batches`.
    y : array_like of shape (N,) or (N, M), optional
        Targets in the form that the loss requires: class numbers (N,), or (N, M); or labels, if
        the network has classes. Omitted if ``x`` is an iterable of batches.
    loss : Loss
    optimizer : Optimizer
        Its state is kept between calls.
    epochs : int
    batch_size : int, default 128
        Not used if ``x`` is an iterable of batches.
    validation_data : tuple (x, y) or Batches, optional
    validation_split : float, default 0
        Share of rows, in [0, 1), that are held out for validation; drawn at random from the
        network's seed, the same rows in every fit. They keep their sample weights.
    metrics : names or functions, default ()
        ``"accuracy"``, ``"mean_absolute_error"``, ``"mean_squared_error"``, metrics of
        scikit-learn, or functions (outputs, targets) -> number. Computed at the end of each epoch
        in inference mode, on training and validation data.
    callbacks : callbacks, or functions of the ``TrainingState``, default ()
    sample_weight : array_like of shape (N,), optional
        A weight of zero removes its row, in validation too; an integer weight repeats it. Metrics
        do not weight the remaining rows.
    class_weight : dict of class to weight, or "balanced", optional
        For targets that are class numbers or labels, (N,) or (N, 1); multiplies the weights of the
        training rows. Classes that are not named have weight 1. ``"balanced"`` gives every class
        the same sum.
    classes : sequence of str or int, or True, optional
        The labels in ``y``, in the order of the network's outputs. True: those of the network, or
        if it has none, the sorted labels of the data. Sets ``net.classes``.
    shuffle : bool or "blocks", default True
        True shuffles memory-mapped data by blocks, and other data row by row; ``"blocks"`` shuffles
        any data by blocks. See :func:`~nnreg.batches`. Batches of an iterable keep their order.
    threads : int, optional
        The number of BLAS threads. With 1, the result equals that of the loop in the README with
        one BLAS thread, bit for bit. By default, small steps use one thread, and large ones as
        many as BLAS is configured to use.
    verbose : bool or int, default False
        If True, print a line after each epoch.
    checkpoint : path or Checkpoint, optional
        A folder in which the run is saved after every epoch. If it contains files of this run, the
        run is resumed and ends after ``epochs`` epochs in total. A :class:`Checkpoint` sets how
        often the run is saved, and which files are kept.
    communicator : mpi4py communicator, optional
        The ranks of MPI that train together, see :func:`nnreg.distributed.world`: each computes its
        rows of every batch. Only rank 0 writes files.
    shards : int, optional
        Cut each batch into this many parts, and add their gradients in a fixed order, so that the
        result has the same bits on every number of ranks up to this one.
    partitioned : bool, default False
        If True, the rows of ``x``, ``y``, ``sample_weight`` and ``validation_data`` are those of
        this rank, and the data are those of all ranks in their order.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid; nothing has been changed. The batches of an iterable are
        checked when they are read, the first one before training.
    NonFiniteLossError
        If a loss, a penalty or a parameter is not finite. Network and optimizer are restored to
        the end of the last complete epoch; the error has the ``history``.
    KeyboardInterrupt
        After Ctrl-C, with the ``history`` of the complete epochs. In the main thread, the current
        step is finished first. So parameters, optimizer, ``net.steps`` and ``net.epochs`` agree,
        and a further ``fit`` continues from there. A second Ctrl-C ends a step or callback that
        hangs; after an unfinished step, the end of the last complete epoch is restored.
    Exception
        What a callback, a metric or a layer raises, with the ``history`` of the complete epochs,
        and a note that names the epoch and the batch.

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
    history = History()
    ranks = None
    if communicator is not None or shards is not None or partitioned:
        ranks = Shards(communicator, shards, partitioned)
    try:
        validation.instance("optimizer", optimizer, Optimizer, "an Optimizer such as nn.Adam()")
        epochs = validation.whole("epochs", epochs)
        batch_size = validation.whole("batch_size", batch_size, 1)
        if threads is not None:
            threads = validation.whole("threads", threads, 1, MAX_THREADS)
        shuffle = check_shuffle(shuffle)
        first = ranks is None or ranks.rank == 0
        callbacks = get_callbacks(callbacks, verbose, displays=first)
        if isinstance(metrics, Iterator):
            metrics = list(metrics)
        data, held_out, labels = prepare(
            *(net, loss, x, y, sample_weight, class_weight, validation_data, validation_split),
            classes,
            passes=(epochs * (2 if metrics else 1), epochs),
        )
        if ranks is not None:
            weighted, named = class_weight is not None, classes is True and net.classes is None
            options = {"validation_split": validation_split, "class_weight": weighted}
            ranks.check(net, loss, data, held_out, options | {"classes=True": named})
        if isinstance(data, Data):
            shuffle = data.choose_shuffle(shuffle)
        elif shuffle == "blocks":
            raise ValueError(
                "shuffle='blocks' needs all rows at once, and batches come one by one; shuffle "
                "them in their __iter__, for example by nn.batches"
            )
        whole = isinstance(data, Data) and not partitioned
        measures = get_metrics(metrics, net, data.y, loss, whole=whole)
        rules = [segment.rule for segment in net.regularization.resolve().all]
        hyperparameters.check_dtype(net.dtype, loss, optimizer, *net.layers, *rules)
        optimizer.prepare(net.parameters)
        columns = ["epoch", "data_loss", "penalty", "total", *measures]
        if held_out is not None:
            columns += [f"val_{name}" for name in ("data_loss", *measures)]
        state = TrainingState(
            *(net, loss, optimizer, epochs, data.count_batches(batch_size)),
            (*columns, "seconds"),
            history,
        )
        settings: dict[str, Any] = {
            "batch_size": batch_size,
            "shuffle": shuffle,
            "threads": threads,
            "classes": None if labels is None else list(labels),
            "shards": shards,
            "partitioned": partitioned or None,
        }
        if checkpoint is not None or ranks is not None:
            settings = describe_run(state, callbacks) | settings
            settings["data"] = fingerprint(data, held_out)
        if ranks is None:
            step = TrainingStep(net, loss, optimizer)
        else:
            data, held_out = ranks.join(state, settings, environment(), data, held_out)
            state.batches = data.count_batches(batch_size)
            step = ShardedStep(net, loss, optimizer, data)
        evaluated = {"": data.without_removed_rows()} if measures else {}
        if held_out is not None:
            evaluated["val_"] = held_out
        order = partial(data.draw_batches, net, batch_size, shuffle)
        rows = len(data.y) if isinstance(data, Stream) else min(batch_size, len(data.y))
        multiplications = 3 * net.parameters.weights.size * rows
        if threads is None and (ranks is not None or multiplications < MIN_MULTIPLICATIONS):
            threads = 1
        with (
            defer_interrupts() as interrupts,
            _reserve([net, optimizer, *callbacks]),
            open_run(checkpoint, state, callbacks, settings, ranks) as run,
            blas_threads(threads),
            np.errstate(),
        ):
            net.classes = labels
            if ranks is not None:
                ranks.training = True
            _train(state, step, callbacks, interrupts, order, evaluated, measures, run, ranks)
    except (KeyboardInterrupt, NonFiniteLossError) as error:
        history.stopped = STOPPED.get(type(error), "interrupted")
        if isinstance(error, NonFiniteLossError) and error.history is history:
            place = f"in epoch {net.epochs + 1}, batch {state.batch} (counted from 0)"
            error.args = (f"{error}, {place}. {_describe_parameters(state, error)}",)
        error.history = history  # type: ignore[union-attr]  # documented above
        if ranks is not None:
            ranks.end(error)
        raise
    except BaseException as error:
        if ranks is not None:
            ranks.end(error)
        raise
    return history


# `history.stopped` by exception type.
STOPPED = {KeyboardInterrupt: "interrupted", NonFiniteLossError: "non-finite loss"}


def _describe_parameters(state: TrainingState, error: NonFiniteLossError) -> str:
    """Describe the parameters that are left after a loss that was not finite, and a remedy."""
    end = f"the end of epoch {state.net.epochs} again"
    if state.finished:
        end = f"step {state.net.steps} again, from which the run was resumed"
    if state.restored:
        end = f"{state.restored}; the optimizer and the counters are those of {end}"
    cure = "strength" if error.layer == "penalty" else "learning rate"
    return f"The parameters are those of {end}; a smaller {cure} usually helps"


def _train(
    state: TrainingState,
    step: TrainingStep,
    callbacks: list[Callback],
    interrupts: Interrupts,
    order: Callable[[], Iterator[tuple[Data, Array]]],
    evaluated: dict[str, Any],
    metrics: dict[str, Metric],
    run: Run | None,
    ranks: Shards | None,
) -> None:
    """Train epoch by epoch, and call the callbacks.

    The row is appended and ``net.epochs`` incremented together, after all figures are computed.
    """
    net, history, epoch = state.net, state.history, 0

    def notify(event: str) -> None:
        for callback in callbacks:
            interrupts.call(getattr(callback, event), state)

    with ExitStack() as ends:
        try:
            for callback in callbacks:
                interrupts.call(callback.on_train_begin, state)
                ends.callback(interrupts.call, callback.on_train_end, state)
            if run is not None:
                run.begin()  # not to be ended by a second Ctrl-C, halfway
            interrupts.check()
            while len(history) < state.epochs and not state.reason:
                started, epoch, state.batch = time.perf_counter(), net.epochs + 1, 0
                notify("on_epoch_begin")
                row = _train_epoch(state, step, notify, interrupts, order(), run)
                for prefix, part in evaluated.items():
                    figures = interrupts.call(compute_metrics, net, part, state.loss, metrics)
                    new = {prefix + name: value for name, value in figures.items()}
                    row |= {name: value for name, value in new.items() if name not in row}
                row["seconds"] = time.perf_counter() - started
                history.append(row if ranks is None else ranks.share_row(row, state))
                net.epochs += 1
                notify("on_epoch_end")
                if ranks is not None:
                    ranks.share_reason(state)
                if run is not None:
                    interrupts.call(run.end_epoch)
                interrupts.check()
            history.stopped = state.reason or "epochs"
        except BaseException as error:
            history.stopped = STOPPED.get(type(error), "error")
            if history.stopped == "error" and epoch:
                error.history = history  # type: ignore[attr-defined]  # documented in fit
                batch = max(state.batch, state.finished)  # or the next one, while it is read
                error.add_note(
                    f"fit ended in epoch {epoch}, batch {batch} (counted from 0); the parameters "
                    f"are those of step {net.steps}, and error.history has {len(history)} of "
                    f"{state.epochs} epochs"
                )
            raise


def _train_epoch(
    state: TrainingState,
    step: TrainingStep,
    notify: Callable[[str], None],
    interrupts: Interrupts,
    order: Iterator[tuple[Data, Array]],
    run: Run | None,
) -> dict[str, Any]:
    """Train for one epoch and return its row of the history.

    An exception inside a step restores the network and the optimizer to the start of the epoch.
    """
    net, optimizer = state.net, state.optimizer

    def keep(name: str, values: Array) -> Array:
        kept = step.cache.array(f"{name} before the epoch", values.shape, values.dtype)
        np.copyto(kept, values)
        return kept

    vector, counts = keep("parameters", net.parameters.vector), (net.steps, optimizer.steps)
    progress = state.finished, state.loss_sum, state.weight_sum
    arrays = {name: keep(name, values) for name, values in optimizer.state.items()}
    rules = [segment.rule for segment in net.regularization.resolve().all]
    objects = [state.loss, optimizer, *net.layers, *rules]
    states = [(thing, copy.deepcopy(kept)) for thing in objects if (kept := thing.get_state())]

    def call_or_restore(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return interrupts.call(function, *arguments)
        except BaseException as error:
            net.parameters.vector[...] = vector
            for name, values in optimizer.state.items():
                values[...] = arrays.get(name, 0)
            net.steps, optimizer.steps = counts
            for thing, kept in states:
                thing.set_state(kept)
            state.finished, state.loss_sum, state.weight_sum = progress
            if isinstance(error, NonFiniteLossError):
                error.history = state.history
            raise

    for batch, (data, rows) in enumerate(order):
        if batch < state.finished:
            continue
        state.batch, state.batch_rows = batch, rows
        notify("on_batch_begin")
        state.batch_loss = call_or_restore(step, data.x, data.y, rows, data.weights)
        share = len(rows) if data.weights is None else float(data.weights[rows].sum())
        state.loss_sum += share * state.batch_loss
        state.weight_sum += share
        notify("on_batch_end")
        state.finished += 1
        if run is not None:
            interrupts.call(run.end_step, interrupts.pending)
        interrupts.check()
    penalty = call_or_restore(_finite_penalty, net)
    data_loss = state.loss_sum / state.weight_sum
    state.finished, state.loss_sum, state.weight_sum = 0, 0.0, 0.0
    return {
        "epoch": net.epochs + 1,
        "data_loss": data_loss,
        "penalty": penalty,
        "total": data_loss + penalty,
    }


def _finite_penalty(net: Network) -> float:
    """Check parameters and penalty: no loss is computed after the last update of an epoch."""
    with np.errstate(**IGNORE_FLOAT_ERRORS):
        penalty: float = net.penalty_value()
    if math.isfinite(penalty) and np.isfinite(net.parameters.vector).all():
        return penalty
    names = [name for name, values in net.parameters.items() if not np.isfinite(values).all()]
    step, name = net.steps - 1, [*names, "penalty"][0]
    raise NonFiniteLossError(f"after step {step}, {name} is not finite", step, name.split(".")[0])


def evaluate(
    net: Network,
    x: Any,
    y: Any = None,
    *,
    loss: Loss,
    metrics: Iterable[str | Metric] | None = None,
) -> Figures:
    """Compute losses and metrics in inference mode.

    Parameters
    ----------
    net : Network
    x : array_like of shape (N, D), or Batches
    y : array_like of shape (N,) or (N, M), optional
        As in :func:`fit`.
    loss : Loss
    metrics : names or functions, optional
        As in :func:`fit`. By default accuracy if the loss predicts classes, otherwise none.

    Returns
    -------
    dict of str to float
        ``data_loss``, ``penalty``, ``total`` (also as ``loss``), and each metric by its name.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1)
    >>> nn.evaluate(
    ...     net, [[1.0]], [[2.0]], loss=nn.MeanSquaredError(), metrics=["mean_absolute_error"]
    ... )
    {'data_loss': 4.0, 'penalty': 0.0, 'total': 4.0, 'mean_absolute_error': 2.0}
    """
    data = prepare(net, loss, x, y)[0]
    if metrics is None:
        metrics = ["accuracy"] if predicts_classes(loss) else []
    measures = get_metrics(metrics, net, data.y, loss, whole=isinstance(data, Data))
    figures = compute_metrics(net, data, loss, measures)
    data_loss, penalty = figures.pop("data_loss"), net.penalty_value()
    return Figures(data_loss=data_loss, penalty=penalty, total=data_loss + penalty, **figures)


_reserved: dict[tuple[int, int], object] = {}  # objects in use, by process and id


@contextmanager
def _reserve(objects: list[Any]) -> Iterator[None]:
    """Raise if another ``fit`` is using one of the objects."""
    with ExitStack() as ends:
        for thing in objects:
            key, token = (os.getpid(), id(thing)), object()
            if _reserved.setdefault(key, token) is not token:
                kind = type(thing).__name__
                raise ValueError(
                    f"this {kind} is in use by a fit that has not ended; create another {kind}"
                )
            ends.callback(_reserved.pop, key)
        yield


def get_callbacks(callbacks: Any, verbose: Any, *, displays: bool = True) -> list[Callback]:
    """Return a list of callbacks; a single callback is accepted, and functions are wrapped.

    Without ``displays``, those that only print or write a file are left out.
    """
    if not isinstance(verbose, int | np.integer | np.bool_) or verbose not in (0, 1, 2):
        got = validation.show(verbose)
        raise ValueError(f"verbose must be True or False, or 0, 1 or 2, got {got}")
    result: list[Callback] = []
    for callback in callbacks if isinstance(callbacks, Iterable) else [callbacks]:
        if isinstance(callback, type) or not (isinstance(callback, Callback) or callable(callback)):
            raise TypeError(
                f"callbacks must be Callbacks or functions of the state, got {callback!r}"
            )
        result.append(callback if isinstance(callback, Callback) else FunctionCallback(callback))
    result += [EpochLines()] if verbose else []
    return result if displays else [item for item in result if not isinstance(item, DISPLAYS)]
