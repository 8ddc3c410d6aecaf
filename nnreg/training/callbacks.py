"""Callbacks: what happens around an epoch, other than training.

A plain function ``f(run)`` serves as one; it is called after each epoch.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnreg._support import hyperparameters, validation
from nnreg._support.files import write_whole
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.training.history import History


@dataclass
class TrainingState:
    """What a callback sees of a call of ``fit``.

    Attributes
    ----------
    net, loss, optimizer
        What is being trained, and how.
    history : History
    epochs, batches : int
        How many epochs were asked for, and how many batches make one.
    columns : tuple of str
        What the history will hold.
    reason : str
        Set by :meth:`stop`; training ends after the epoch.

    Examples
    --------
    >>> import nnreg as nn
    >>> run = TrainingState(
    ...     nn.Network([nn.Dense(1)], inputs=1), nn.Huber(), nn.Adam(), 9, 4, ("epoch",)
    ... )
    >>> run.stop("enough")
    >>> run.reason
    'enough'
    """

    net: Network
    loss: Loss
    optimizer: Optimizer
    epochs: int
    batches: int
    columns: tuple[str, ...]
    history: History = field(default_factory=History)
    reason: str = ""

    def stop(self, reason: str) -> None:
        """End training after this epoch, for this reason."""
        self.reason = reason


class Callback:
    """To write one, redefine what it should react to.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Say(nn.Callback):
    ...     def on_epoch_end(self, run):
    ...         print("epoch", run.history.last["epoch"])
    >>> net = nn.Network([nn.Dense(1)], inputs=1)
    >>> _ = nn.fit(
    ...     net,
    ...     [[1.0]],
    ...     [[1.0]],
    ...     loss=nn.MeanSquaredError(),
    ...     optimizer=nn.SGD(0.1),
    ...     epochs=2,
    ...     callbacks=[Say()],
    ... )
    epoch 1
    epoch 2
    """

    def on_train_begin(self, run: TrainingState) -> None:
        """React to the start of ``fit``."""

    def on_batch_begin(self, run: TrainingState) -> None:
        """React before each step."""

    def on_epoch_end(self, run: TrainingState) -> None:
        """React to the end of each epoch; its figures are ``run.history.last``."""

    def on_train_end(self, run: TrainingState) -> None:
        """React to the end of ``fit``, however it comes: also after an interruption or an error."""


class FunctionCallback(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[TrainingState], Any]) -> None:
        self.function = function

    def on_epoch_end(self, run: TrainingState) -> None:
        """Call the function."""
        self.function(run)


class HyperparameterScheduler(Callback):
    """Set a hyper-parameter from a schedule of ``net.steps``, before each step.

    Parameters
    ----------
    target : object
        An optimizer, a penalty, a dropout layer: what has the attribute.
    attribute : str
        Such as ``"learning_rate"``, ``"strength"``, ``"keep_prob"``.
    schedule : function (step) -> float

    Examples
    --------
    >>> import nnreg as nn
    >>> sgd = nn.SGD(0.1)
    >>> HyperparameterScheduler(sgd, "learning_rat", nn.ConstantSchedule(0.1))
    Traceback (most recent call last):
        ...
    ValueError: attribute must be one of 'learning_rate', 'momentum', got 'learning_rat' (did you
    mean 'learning_rate'?)
    """

    def __init__(self, target: object, attribute: str, schedule: Callable[[int], float]) -> None:
        adjustable = (
            name
            for kind in reversed(type(target).__mro__)
            for name, value in vars(kind).items()
            if isinstance(value, hyperparameters.Checked) and value.is_number
        )
        names = list(adjustable)
        if not names:
            raise TypeError(
                "target must be an object with hyper-parameters, such as an optimizer, a penalty "
                f"or a Dropout, got {target!r}"
            )
        self.attribute = validation.one_of("attribute", attribute, names)
        if not callable(schedule):
            raise TypeError(
                f"schedule must be a schedule or a function of the step, got {schedule!r}"
            )
        self.target, self.schedule = target, schedule

    def on_batch_begin(self, run: TrainingState) -> None:
        """Set the value for the step that comes."""
        setattr(self.target, self.attribute, self.schedule(run.net.steps))


class EarlyStopping(Callback):
    """Stop when a figure no longer improves, and put the best epoch's parameters back.

    They are put back at the end of ``fit``, however it comes.

    Parameters
    ----------
    monitor : str, default "val_data_loss"
        A column of the history.
    patience : int, default 5
        Epochs without an improvement after which training stops.
    min_delta : float, default 0
        What counts as an improvement must exceed this.
    mode : {"min", "max"}, optional
        Which way is better. Needed for a metric of one's own; known for losses, errors and
        accuracy.

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
    >>> stop = EarlyStopping(patience=2)
    >>> history = nn.fit(
    ...     net,
    ...     x[:200],
    ...     y[:200],
    ...     loss=nn.SoftmaxCrossEntropy(),
    ...     optimizer=nn.Adam(0.1),
    ...     epochs=50,
    ...     validation_data=test,
    ...     callbacks=[stop],
    ... )
    >>> len(history) == stop.best_epoch + 2 or len(history) == 50
    True
    """

    def __init__(
        self,
        monitor: str = "val_data_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a column of the history, got {monitor!r}")
        self.monitor = monitor
        self.patience = validation.whole("patience", patience, 1)
        self.min_delta = validation.number("min_delta", min_delta, 0)
        if mode is None:
            if monitor.endswith(("loss", "penalty", "total", "error")):
                mode = "min"
            elif monitor.endswith("accuracy"):
                mode = "max"
            else:
                raise ValueError(
                    f'mode must be "min" or "max" for {monitor!r}: which way is better?'
                )
        self.sign = {"min": -1.0, "max": 1.0}[validation.one_of("mode", mode, ["min", "max"])]

    def on_train_begin(self, run: TrainingState) -> None:
        """Forget earlier runs."""
        figures = [name for name in run.columns if name not in ("epoch", "seconds")]
        validation.one_of("monitor", self.monitor, figures)
        self.best, self.best_epoch, self.waited = -self.sign * float("inf"), 0, 0
        self._vector: Array | None = None

    def on_epoch_end(self, run: TrainingState) -> None:
        """Keep the parameters if this is the best epoch; stop if patience is at its end."""
        value = run.history[self.monitor][-1]
        if math.isfinite(value) and self.sign * (value - self.best) > self.min_delta:
            self.best, self.best_epoch, self.waited = value, run.history["epoch"][-1], 0
            self._vector = run.net.parameters.vector.copy()
        else:
            self.waited += 1
            if self.waited >= self.patience:
                run.stop(
                    f"no better {self.monitor} than {self.best:.6g} of epoch {self.best_epoch}"
                )

    def on_train_end(self, run: TrainingState) -> None:
        """Put the best parameters back."""
        if self._vector is not None:
            run.net.parameters.vector[...] = self._vector


class CSVLog(Callback):
    """Write the history as CSV, whole, after every epoch.

    Parameters
    ----------
    path : path
    overwrite : bool, default False
        Unless True an existing file is an error, raised before training.

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
        self.path, self.overwrite = Path(path), overwrite

    def on_train_begin(self, run: TrainingState) -> None:
        """Refuse to overwrite, or to write where nothing can be, early."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"CSVLog: there is no folder {self.path.parent}")
        if self.path.exists() and not self.overwrite:
            raise FileExistsError(f"{self.path} exists; CSVLog(path, overwrite=True) replaces it")

    def on_epoch_end(self, run: TrainingState) -> None:
        """Write all rows so far."""
        import csv

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(run.history.columns)
        writer.writerows(zip(*run.history.columns.values(), strict=True))
        write_whole(self.path, text.getvalue().encode(), overwrite=True)


class Progress(Callback):
    """A progress bar with the newest figures, on a terminal; silent elsewhere.

    It needs ``nnreg[progress]``.

    Examples
    --------
    >>> Progress().bar is None
    True
    """

    def __init__(self) -> None:
        self.bar: Any = None

    def on_train_begin(self, run: TrainingState) -> None:
        """Open the bar."""
        try:
            from tqdm import tqdm
        except ImportError:
            raise ImportError("Progress needs tqdm: pip install 'nnreg[progress]'") from None
        self.bar = tqdm(total=run.epochs, unit="epoch", disable=None, file=sys.stderr)

    def on_epoch_end(self, run: TrainingState) -> None:
        """Move it."""
        figures = {k: v for k, v in run.history.last.items() if k not in ("epoch", "seconds")}
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update()

    def on_train_end(self, run: TrainingState) -> None:
        """Close it."""
        self.bar.close()
