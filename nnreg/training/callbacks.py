"""Callbacks: early stopping, schedules, logs and other actions around a training step.

A function ``f(state)`` may be passed as a callback; it is called at the end of each epoch.
"""

from __future__ import annotations

import io
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support import hyperparameters, validation
from nnreg._support.files import check_target, write_whole
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.training.history import History
from nnreg.training.schedules import SCHEDULE


@dataclass
class TrainingState:
    """The state of a call of ``fit``, passed to the callbacks.

    Attributes
    ----------
    net, loss, optimizer
        The arguments of ``fit``.
    epochs, batches : int
        The number of requested epochs, and of batches per epoch; the latter is 0 if an iterable of
        batches has no length.
    columns : tuple of str
        The columns of the history.
    history : History
    batch : int
        The number of the current batch in its epoch, starting at 0.
    batch_rows : ndarray of int
        The rows of the current batch, as row numbers of the training data; in an iterable of
        batches, those within the batch.
    batch_loss : float
        The data loss of the last batch.
    reason : str
        Set by :meth:`stop`; training ends after the epoch.
    restored : str
        A description of the parameters that a callback has restored, empty if none has.
    resumed : bool
        True if the run continues from a checkpoint.
    finished : int
        The number of batches of the current epoch that are done.
    loss_sum, weight_sum : float
        Sums over their rows: of each batch's loss times its weights, and of the weights.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1)
    >>> state = TrainingState(net, nn.Huber(), nn.Adam(), 9, 4, ("epoch",))
    >>> state.stop("enough")
    >>> state.reason
    'enough'
    """

    net: Network
    loss: Loss
    optimizer: Optimizer
    epochs: int
    batches: int
    columns: tuple[str, ...]
    history: History = field(default_factory=History)
    batch: int = 0
    batch_rows: Array = field(default_factory=lambda: np.empty(0, np.int64))
    batch_loss: float = math.nan
    reason: str = ""
    restored: str = ""
    resumed: bool = False
    finished: int = 0
    loss_sum: float = 0.0
    weight_sum: float = 0.0

    def stop(self, reason: str) -> None:
        """End training after this epoch, and record the reason in the history."""
        self.reason = reason


class Callback(hyperparameters.Stateful):
    """The base class of callbacks. A subclass overrides the methods that it needs.

    Each method receives the :class:`TrainingState`. A callback belongs to one call of ``fit`` at a
    time; it can be reused after that call. A callback with a state returns it in ``get_state``,
    as a dictionary of attributes; in a resumed run, ``set_state`` restores it after
    :meth:`on_train_begin`.

    Examples
    --------
    >>> import nnreg as nn
    >>> class PrintEpoch(nn.Callback):
    ...     def on_epoch_end(self, state):
    ...         print("epoch", state.history.last["epoch"])
    >>> net = nn.Network([nn.Dense(1)], inputs=1)
    >>> _ = nn.fit(
    ...     net,
    ...     [[1.0]],
    ...     [[1.0]],
    ...     loss=nn.MeanSquaredError(),
    ...     optimizer=nn.SGD(0.1),
    ...     epochs=2,
    ...     callbacks=[PrintEpoch()],
    ... )
    epoch 1
    epoch 2
    """

    def on_train_begin(self, state: TrainingState) -> None:
        """Act before the first epoch."""

    def on_epoch_begin(self, state: TrainingState) -> None:
        """Act before each epoch."""

    def on_batch_begin(self, state: TrainingState) -> None:
        """Act before each step; ``batch`` and ``batch_rows`` are set."""

    def on_batch_end(self, state: TrainingState) -> None:
        """Act after each step; ``batch_loss`` is set."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """Act after each epoch; its figures are ``state.history.last``."""

    def on_train_end(self, state: TrainingState) -> None:
        """Act at the end of ``fit``, also after an interruption or an error."""


class FunctionCallback(Callback):
    """A callback that calls a function of the state at the end of each epoch."""

    def __init__(self, function: Callable[[TrainingState], Any]) -> None:
        self.on_epoch_end = function  # type: ignore[assignment]  # an attribute of this object


class EpochLines(Callback):
    """Print a line after each epoch: ``fit(..., verbose=True)``."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """Print the figures of the epoch."""
        last = state.history.last.items()
        figures = [f"{name} {v:.4g}" for name, v in last if name != "epoch"]
        print(f"epoch {len(state.history)}/{state.epochs}: {', '.join(figures)}", flush=True)


class HyperparameterScheduler(Callback):
    """Set a hyperparameter before each step, as a function of ``net.steps``.

    Parameters
    ----------
    target : object
        The object with the hyperparameter: an optimizer, a penalty, a dropout layer.
    attribute : str
        Its name, such as ``"learning_rate"``, ``"strength"``, ``"keep_prob"``.
    schedule : function (step) -> float

    Examples
    --------
    >>> import nnreg as nn
    >>> sgd = nn.SGD(0.1)
    >>> HyperparameterScheduler(sgd, "momentun", nn.ConstantSchedule(0.9))
    Traceback (most recent call last):
        ...
    ValueError: attribute must be one of ... 'momentum', got 'momentun' (did you mean 'momentum'?)
    """

    schedule = hyperparameters.Checked(validation.instance, Callable, SCHEDULE)

    def __init__(self, target: Any, attribute: str, schedule: Callable[[int], float]) -> None:
        names = hyperparameters.number_names(target.__class__)
        if not names:
            raise TypeError(
                "target must be an object with hyperparameters, such as an optimizer, a penalty "
                f"or a Dropout, got {target!r}"
            )
        self.attribute = validation.one_of("attribute", attribute, names)
        self.target, self.schedule = target, schedule

    def on_batch_begin(self, state: TrainingState) -> None:
        """Set the value for this step."""
        value = self.schedule(state.net.steps)
        try:
            setattr(self.target, self.attribute, value)
        except (TypeError, ValueError) as error:
            place = f"the schedule for step {state.net.steps}"
            raise type(error)(f"{error} from {place}") from None


# The direction of improvement, by the last part of the figure's name.
MODES = {
    "min": ("loss", "penalty", "total", "error", "mae", "mse"),
    "max": ("accuracy", "acc"),
}


class Monitor(Callback):
    """The common base class of :class:`EarlyStopping` and :class:`ReduceLROnPlateau`."""

    patience = hyperparameters.Checked(validation.whole, 1)
    min_delta = hyperparameters.Checked(validation.number, 0)
    mode = hyperparameters.Checked(validation.one_of, ("min", "max"))

    STATE = ("best", "best_epoch", "waited", "best_vector")
    restore_best_weights: Any = False

    def __init__(self, monitor: str, patience: int, min_delta: float, mode: str | None) -> None:
        validation.instance("monitor", monitor, str, "the name of a column of the history")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        if mode is None:
            modes = [mode for mode, ends in MODES.items() if monitor.endswith(ends)]
            if not modes:
                raise ValueError(
                    f'mode must be "min" or "max" for {monitor!r}: its name implies neither'
                )
            mode = modes[0]
        self.mode = mode

    def on_train_begin(self, state: TrainingState) -> None:
        """Check the monitored column and reset the state of earlier runs."""
        figures = [name for name in state.columns if name not in ("epoch", "seconds")]
        figures += ["loss", *(["val_loss"] if "val_data_loss" in figures else [])]
        if self.monitor.startswith("val_") and "val_data_loss" not in figures:
            raise ValueError(
                f"monitor={self.monitor!r} needs validation data: fit(..., validation_split=0.2) "
                "or validation_data=(x, y)"
            )
        validation.one_of("monitor", self.monitor, figures)
        self.best = math.inf if self.mode == "min" else -math.inf
        self.best_epoch = self.waited = 0
        self.best_vector: Array | None = None

    def on_epoch_end(self, state: TrainingState) -> None:
        """Compare the epoch's figure with the best one; a non-finite figure is not better."""
        epoch, value = state.history.last["epoch"], state.history.last[self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        self.waited += 1
        if math.isfinite(value) and gain > self.min_delta:
            vector = state.net.parameters.vector.copy() if self.restore_best_weights else None
            self.best, self.best_epoch, self.best_vector = value, epoch, vector
            self.waited = min(self.waited, 0)
        elif self.waited >= self.patience:
            self.on_plateau(state)

    def get_state(self) -> dict[str, Any]:
        """Return the best figure, its epoch and parameters, and the epochs since."""
        return {name: value for name in self.STATE if (value := getattr(self, name)) is not None}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for name, value in state.items():
            validation.one_of("state", name, {*Monitor.STATE, *self.get_state()})
            validation.instance(name, value, (int, float, np.ndarray), "a number or an array")
        vars(self).update(state)

    def on_plateau(self, state: TrainingState) -> None:
        """Act after ``patience`` epochs without improvement."""


class EarlyStopping(Monitor):
    """Stop when a figure no longer improves, and restore the parameters of the best epoch.

    They are restored at the end of ``fit``, also after an interruption or an error. The state of
    the optimizer and of other objects, ``net.steps`` and ``net.epochs`` remain those of the last
    epoch.

    Parameters
    ----------
    monitor : str, default "val_data_loss"
        A column of the history, or ``"loss"`` or ``"val_loss"``.
    patience : int, default 5
        Number of epochs without improvement after which training stops.
    min_delta : float, default 0
        Minimum change that counts as an improvement; it must be exceeded.
    mode : {"min", "max"}, optional
        The direction of improvement. Inferred for losses, errors and accuracy.
    restore_best_weights : bool, default True

    Attributes
    ----------
    best : float
    best_epoch : int
        As in the history's column ``epoch``.

    Examples
    --------
    >>> import nnreg as nn
    >>> (x, y), test = nn.datasets.load_digits()
    >>> net = nn.Network([nn.Dense(10)], inputs=64)
    >>> stopping = EarlyStopping(patience=2)
    >>> history = nn.fit(
    ...     net,
    ...     x[:200],
    ...     y[:200],
    ...     loss=nn.SoftmaxCrossEntropy(),
    ...     optimizer=nn.Adam(0.1),
    ...     epochs=50,
    ...     validation_data=test,
    ...     callbacks=[stopping],
    ... )
    >>> len(history) == stopping.best_epoch + 2 or len(history) == 50
    True
    """

    restore_best_weights = hyperparameters.Checked(validation.flag)

    def __init__(
        self,
        monitor: str = "val_data_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best_weights: bool = True,
    ) -> None:
        super().__init__(monitor, patience, min_delta, mode)
        self.restore_best_weights = restore_best_weights

    def on_plateau(self, state: TrainingState) -> None:
        """Stop training."""
        state.stop(f"no better {self.monitor} than {self.best:.6g} of epoch {self.best_epoch}")

    def on_train_end(self, state: TrainingState) -> None:
        """Restore the best parameters."""
        if self.best_vector is not None and len(state.history):  # not if a run is not resumed
            state.net.parameters.vector[...] = self.best_vector
            state.restored = f"epoch {self.best_epoch}, the best by {self.monitor}"


class ReduceLROnPlateau(Monitor):
    """Multiply the optimizer's ``learning_rate`` by ``factor`` when a figure no longer improves.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A column of the history, or ``"loss"`` or ``"val_loss"``.
    factor : float, default 0.1
        In (0, 1).
    patience : int, default 10
        Number of epochs without improvement after which the learning rate is reduced.
    min_delta : float, default 1e-4
        Minimum change that counts as an improvement; it must be exceeded.
    cooldown : int, default 0
        Number of epochs after a reduction that do not count towards ``patience``, except the last
        one, as in Keras.
    min_learning_rate : float, default 0
    mode : {"min", "max"}, optional
        The direction of improvement. Inferred for losses, errors and accuracy.

    Notes
    -----
    A :class:`HyperparameterScheduler` of the same learning rate would set it again before the next
    step. The optimizer keeps the reduced rate after ``fit``.

    Examples
    --------
    >>> import nnreg as nn
    >>> sgd = nn.SGD(0.5)
    >>> _ = nn.fit(
    ...     nn.Network([nn.Dense(1, initializer=nn.zeros)], inputs=1),
    ...     [[1.0]],
    ...     [[0.0]],
    ...     loss=nn.MeanSquaredError(),
    ...     optimizer=sgd,
    ...     epochs=3,
    ...     callbacks=[ReduceLROnPlateau("loss", patience=2)],
    ... )
    >>> sgd.learning_rate
    0.05
    """

    factor = hyperparameters.Checked(validation.number, 0, 1, open_low=True, open_high=True)
    cooldown = hyperparameters.Checked(validation.whole, 0)
    min_learning_rate = hyperparameters.Checked(validation.number, 0)

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_learning_rate: float = 0.0,
        mode: str | None = None,
    ) -> None:
        super().__init__(monitor, patience, min_delta, mode)
        self.factor, self.cooldown = factor, cooldown
        self.min_learning_rate = min_learning_rate

    def on_plateau(self, state: TrainingState) -> None:
        """Reduce the learning rate; never increase it."""
        rate = state.optimizer.learning_rate
        reduced = max(rate * self.factor, self.min_learning_rate)
        state.optimizer.learning_rate = min(rate, reduced)
        self.waited = min(0, 1 - self.cooldown)


class CSVLog(Callback):
    """Write the history as a CSV file after every epoch.

    The file is replaced atomically, so it is always complete. If it cannot be written during
    training, for example because the disk is full, a warning is issued and training continues.

    Parameters
    ----------
    path : path
    overwrite : bool, default False
        If False, an existing file is an error, raised before training.

    Examples
    --------
    >>> import tempfile, pathlib, nnreg as nn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
    >>> net = nn.Network([nn.Dense(1)], inputs=1)
    >>> _ = nn.fit(
    ...     net,
    ...     [[1.0]],
    ...     [[1.0]],
    ...     loss=nn.MeanSquaredError(),
    ...     optimizer=nn.SGD(0.1),
    ...     epochs=2,
    ...     callbacks=[CSVLog(path)],
    ... )
    >>> path.read_text().splitlines()[0]
    'epoch,data_loss,penalty,total,seconds'
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path, self.overwrite = Path(path), validation.flag("overwrite", overwrite)

    def on_train_begin(self, state: TrainingState) -> None:
        """Raise if the path cannot be written, or if the file must not be overwritten."""
        head = ",".join(state.columns).encode()
        is_log = state.resumed and self.path.is_file() and self.path.read_bytes().startswith(head)
        self._replaces = self.overwrite or is_log
        check_target(self.path, overwrite=self._replaces)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Write all rows of the history."""
        import csv

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(state.history.last)
        writer.writerows(row.values() for row in state.history.rows)
        try:
            write_whole(self.path, text.getvalue().encode(), overwrite=self._replaces)
            self._replaces = True
        except OSError as error:
            warnings.warn(f"CSVLog could not write {self.path}: {error}", stacklevel=2)


class Progress(Callback):
    """A progress bar with the latest figures, on a terminal or in a notebook; silent elsewhere.

    In a notebook it is a widget, or text without ipywidgets. It needs tqdm (extra ``progress``).
    ``fit(..., verbose=True)`` prints lines instead.

    Raises
    ------
    ImportError
        By ``fit``, if tqdm is not installed.

    Examples
    --------
    >>> Progress().bar is None
    True
    """

    bar: Any = None

    def on_train_begin(self, state: TrainingState) -> None:
        """Open the progress bar."""
        try:
            from tqdm.auto import tqdm
        except ImportError:
            raise ImportError("Progress needs tqdm: pip install 'nnreg[progress]'") from None
        disable = False if "ipykernel.zmqshell" in sys.modules else None  # if it is no terminal
        self.bar = tqdm(total=state.epochs, unit="epoch", disable=disable, file=sys.stderr)

    def on_epoch_end(self, state: TrainingState) -> None:
        """Advance the progress bar."""
        figures = {k: v for k, v in state.history.last.items() if k not in ("epoch", "seconds")}
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update()

    def on_train_end(self, state: TrainingState) -> None:
        """Close the progress bar."""
        self.bar.close()
