"""Runs that are saved while they train, and resumed as if they had not been interrupted.

A run's files are called ``checkpoint-`` and the number of steps. Each has the network, the
optimizer and its state, the history, the state of the callbacks, and the sums of an epoch that is
not finished. The order of rows and the dropout masks are functions of the network's seed and
counters, so they come back with it.
"""

from __future__ import annotations

import copy
import platform
import re
import sys
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support import rows, validation
from nnreg._support.blas import describe_blas
from nnreg._support.files import check_path, check_target
from nnreg._support.hyperparameters import Checked, named_parameters
from nnreg._support.states import find_lost, hash_attributes, set_states
from nnreg._support.system import reserve_folder
from nnreg._support.tables import printable
from nnreg._support.typing import Array
from nnreg._support.validation import show
from nnreg.checkpoint import describe, name_file, read_checkpoint, restore, write_checkpoint
from nnreg.training.callbacks import (
    Callback,
    CSVLog,
    EarlyStopping,
    EpochLines,
    HyperparameterScheduler,
    Monitor,
    Progress,
    ReduceLROnPlateau,
    TrainingState,
)
from nnreg.training.data import Data, Stream
from nnreg.training.shards import Shards

FILE_NAME = re.compile(r"checkpoint-(\d{9,})\.npz")
BEST = "best.npz"

DISPLAYS = (CSVLog, EpochLines, Progress)  # a run may be resumed with others

# Fields of a network that may differ between a run and the call that resumes it.
COUNTERS = frozenset(["steps", "epochs", "nnreg", "conventions", "initializers"])


class Checkpoint:
    """Where, and how often, ``fit`` saves a run.

    If the folder contains files of the same run, ``fit`` continues from the newest intact one, and
    prints its name. On the same machine, with the same NumPy and number of threads, the result
    equals that of an uninterrupted run to the last bit. Ctrl-C saves the last step. While a run
    uses a folder, a second run in it is an error, also in another process.

    Layers, penalties, losses and optimizers are restored by the arguments of their ``__init__``, an
    optimizer by its ``state`` too, and these and callbacks by what ``get_state`` returns: numbers,
    texts and arrays by attribute. Another attribute that training changes is an error when the run
    is saved; in a callback it is not recognized.

    Parameters
    ----------
    folder : path
        Created if it does not exist.
    every_steps : int, optional
        Save also after every ``every_steps`` steps, not only after each epoch.
    every_seconds : float, optional
        Save also after a step that ends at least this many seconds after the last save.
    keep : int, default 2
        The number of files that are kept; older ones of this run are removed.
    monitor : str, optional
        A column of the history, or ``"loss"`` or ``"val_loss"``. The state after the epoch with
        its best value is kept as ``best.npz``. Default: ``val_data_loss`` if there are validation
        data, otherwise there is no such file.
    mode : {"min", "max"}, optional
        Whether the lowest or the highest value is best. Inferred for losses, errors and accuracy.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> folder = Path(tempfile.mkdtemp())
    >>> x, y = [[0.0], [1.0], [2.0]], [[1.0], [2.0], [3.0]]
    >>> def train(epochs, checkpoint):
    ...     net = nn.Network([nn.Dense(1)], inputs=1)
    ...     options = dict(loss=nn.MeanSquaredError(), optimizer=nn.Adam(0.1), batch_size=2)
    ...     history = nn.fit(net, x, y, epochs=epochs, checkpoint=checkpoint, **options)
    ...     return net.parameters.vector, len(history)
    >>> _ = train(3, folder)  # as if the process had ended here
    >>> vector, epochs = train(5, nn.Checkpoint(folder))
    >>> epochs, bool((vector == train(5, None)[0]).all())
    (5, True)
    >>> sorted(path.name for path in folder.iterdir())
    ['checkpoint-000000008.npz', 'checkpoint-000000010.npz']
    """

    every_steps = Checked(validation.whole, 1, optional=True)
    every_seconds = Checked(validation.number, 0, optional=True)
    keep = Checked(validation.whole, 1)

    def __init__(
        self,
        folder: str | Path,
        *,
        every_steps: int | None = None,
        every_seconds: float | None = None,
        keep: int = 2,
        monitor: str | None = None,
        mode: str | None = None,
    ) -> None:
        self.folder = Path(check_path("folder", folder)).absolute()
        self.every_steps, self.every_seconds, self.keep = every_steps, every_seconds, keep
        self.monitor, self.mode = monitor, mode


@contextmanager
def open_run(
    checkpoint: str | Path | Checkpoint | None,
    state: TrainingState,
    callbacks: list[Callback],
    settings: dict[str, Any],
    ranks: Shards | None = None,
) -> Iterator[Run | None]:
    """Reserve the folder of a run for the block, and yield the :class:`Run`; None without one.

    Of several ranks, only rank 0 uses the folder.

    Raises
    ------
    OSError
        If the folder cannot be created or written to, or if another run is using it.
    """
    if checkpoint is None:
        yield None
        return
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)
    if ranks is not None and ranks.rank > 0:
        yield Run(checkpoint, state, callbacks, settings, ranks)
        return
    try:
        checkpoint.folder.mkdir(exist_ok=True)
    except (FileExistsError, FileNotFoundError) as error:
        raise type(error)(
            "checkpoint must be a folder, or a new one inside of a folder that exists, "
            f"got {checkpoint.folder}"
        ) from None
    with reserve_folder(checkpoint.folder):
        yield Run(checkpoint, state, callbacks, settings, ranks)


def describe_run(state: TrainingState, callbacks: list[Callback]) -> dict[str, Any]:
    """Return the settings of a run by name: network, optimizer, loss, columns and callbacks."""
    description = describe(state.net, state.optimizer)
    description["optimizer"]["steps"] = 0
    kept = [callback for callback in callbacks if not isinstance(callback, DISPLAYS)]
    return {
        **description,
        "loss": repr(state.loss),
        "columns": list(state.columns),
        "callbacks": [_describe_callback(callback) for callback in kept],
    }


class Run:
    """The files of one call of ``fit``.

    Parameters
    ----------
    checkpoint : Checkpoint
    state : TrainingState
    callbacks : list of Callback
    settings : dict
        Those of :func:`describe_run`, and others that must be equal for a run to be resumed, as
        JSON can represent them.
    ranks : Shards, optional
        Rank 0 reads and writes the files, and the others receive what it has read.

    Raises
    ------
    ValueError
        If the folder has the files of another run.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        state: TrainingState,
        callbacks: list[Callback],
        settings: dict[str, Any],
        ranks: Shards | None = None,
    ) -> None:
        self.checkpoint, self.state = checkpoint, state
        self.writes = ranks is None or ranks.rank == 0
        self.settings = settings | {"monitor": checkpoint.monitor}
        callbacks = [callback for callback in callbacks if not isinstance(callback, DISPLAYS)]
        name = checkpoint.monitor or ("val_data_loss" if "val_data_loss" in state.columns else None)
        self.monitor = None if name is None else Monitor(name, 1, 0.0, checkpoint.mode)
        if self.monitor is not None:
            self.monitor.on_train_begin(state)
            callbacks = [*callbacks, self.monitor]
        self.others: dict[str, Any] = {"loss": state.loss}
        self.others |= {f"callback {index}": item for index, item in enumerate(callbacks)}
        self.files: list[Path] = []
        self.saved_at = time.monotonic()
        self.has_best, found = False, None
        if self.writes:
            found, best = self._find(), checkpoint.folder / BEST
            check_target(best, overwrite=True)
            if self.monitor is not None and best.exists():
                self.has_best = self._read(best) is not None
        self.found = found if ranks is None else ranks.gather(found)[0]
        state.resumed = self.found is not None

    def _find(self) -> tuple[Path, dict[str, Any], dict[str, Array]] | None:
        """Return the newest intact file, with its contents."""
        found = None
        numbers = {
            int(match[1]): path
            for path in self.checkpoint.folder.iterdir()
            if (match := FILE_NAME.fullmatch(path.name))
        }
        for _, path in sorted(numbers.items(), reverse=True):
            if (content := self._read(path)) is not None:
                self.files.insert(0, path)
                found = found or (path, *content)
        return found

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, Array]] | None:
        """Return the contents of a file of this run; rename a damaged one, and return None."""
        try:
            fields, arrays = read_checkpoint(path)
        except ValueError as error:
            names = (path.with_name(f"{path.name}.damaged{n or ''}") for n in count())
            damaged = next(name for name in names if not name.exists())
            warnings.warn(
                f"{error}. It is now called {damaged.name}, and is not used",
                stacklevel=2,
            )
            path.rename(damaged)
            return None
        self._check_same_run(path, fields)
        return fields, arrays

    def _check_same_run(self, path: Path, fields: dict[str, Any]) -> None:
        with name_file(path):
            if "run" not in fields:
                raise ValueError("it has no run; give another folder to checkpoint=")
            saved = dict(fields["run"]["settings"])
            # in a notebook, the objects may be those that the interrupted run has changed
            changed = {**saved, **fields, "optimizer": {**fields.get("optimizer", {}), "steps": 0}}
        for name, here in self.settings.items():
            there = saved.get(name)
            if name not in COUNTERS and here not in (there, changed.get(name)):
                raise ValueError(
                    f"{path} belongs to another run: its {name} is {show(there)}, here it is "
                    f"{show(here)}. Give another folder to checkpoint=; if an earlier fit has "
                    "changed these objects, create them again"
                )
        self.settings = saved  # which the older files have too

    def begin(self) -> None:
        """Continue from the file that was found, or write the first one."""
        self.hashes = {name: hash_attributes(thing) for name, thing in self._objects().items()}
        if self.found is None:
            self.save()
            return
        path, fields, arrays = self.found
        self.found = None
        state, run = self.state, fields["run"]
        with name_file(path):  # what could fail is tried first, on copies
            restore(*copy.deepcopy((state.net, state.optimizer)), fields, arrays)
            here, there = environment(), run["environment"]
            rows, (finished, *sums) = run["history"], run["epoch"]
            for row in rows:
                numbers = all(type(value) in (int, float) for value in row.values())
                if tuple(row) != state.columns or not numbers:
                    raise ValueError(
                        f"its history must have numbers in the columns {state.columns}"
                    )
            finished = validation.whole("finished", finished, 0, state.batches or None)
            loss_sum, weight_sum = (validation.number("sum", value) for value in sums)
            reason, arguments = printable(str(run["reason"])), dict(run["loss"])
            if unknown := sorted(arguments.keys() - self._get_loss().keys()):
                raise ValueError(f"the loss has no argument {unknown[0]!r}")
        if len(rows) + (finished > 0) > state.epochs:
            raise ValueError(
                f"epochs must be at least {len(rows) + (finished > 0)}, since the run in {path} "
                f"has finished {len(rows)}, got {state.epochs}; a shorter run needs another folder"
            )
        if self.writes and here != there:
            warnings.warn(
                f"{path} was written with {show(there)}, now there is {show(here)}: "
                "the resumed run agrees to rounding, not to the bit",
                stacklevel=2,
            )
        with name_file(path):
            for name, value in arguments.items():
                setattr(state.loss, name, value)
            set_states(self.others, fields, arrays)
        restore(state.net, state.optimizer, fields, arrays)
        for row in rows:
            state.history.append(row)
        state.reason = reason
        state.finished, state.loss_sum, state.weight_sum = finished, loss_sum, weight_sum
        if self.writes:
            print(
                f"resumed from {path}: {len(state.history)} of {state.epochs} epochs, "
                f"{state.net.steps} steps",
                file=sys.stderr,
            )

    def _objects(self) -> dict[str, Any]:
        """Return the objects whose attributes are compared: all but the callbacks."""
        objects: dict[str, Any] = {"loss": self.state.loss}
        describe(self.state.net, self.state.optimizer, objects)
        return objects

    def _get_loss(self) -> dict[str, Any]:
        """Return those arguments of the loss that are numbers or texts."""
        loss = self.state.loss
        values = {p.name: vars(loss).get(p.name) for p in named_parameters(type(loss).__init__)}
        return {name: v for name, v in values.items() if isinstance(v, int | float | str)}

    def end_step(self, interrupted: bool) -> None:
        """Save after a step, if it is time to or if the run is going to end."""
        steps, seconds = self.checkpoint.every_steps, self.checkpoint.every_seconds
        if (
            interrupted
            or (steps and self.state.net.steps % steps == 0)
            or (seconds is not None and time.monotonic() - self.saved_at >= seconds)
        ):
            self.save()

    def end_epoch(self) -> None:
        """Save after an epoch; the best one also as ``best.npz``."""
        if self.monitor is not None:
            self.monitor.on_epoch_end(self.state)
            if self.monitor.best_epoch == self.state.history.last["epoch"]:
                written = self._write(self.checkpoint.folder / BEST, overwrite=self.has_best)
                self.has_best = self.has_best or written
        self.save()

    def save(self) -> None:
        """Write the next file, and remove the oldest beyond those that are kept."""
        path = self.checkpoint.folder / f"checkpoint-{self.state.net.steps:09d}.npz"
        if not self._write(path, overwrite=path in self.files):
            return
        self.saved_at = time.monotonic()
        self.files = [file for file in self.files if file != path] + [path]
        while len(self.files) > self.checkpoint.keep:
            with suppress(OSError):  # it is gone, or in use
                self.files.pop(0).unlink()

    def _write(self, path: Path, *, overwrite: bool) -> bool:
        """Write a file; if the disk is full or a value not finite, warn and return False."""
        if not self.writes:
            return False
        state, net, optimizer = self.state, self.state.net, self.state.optimizer
        for name, thing in self._objects().items():
            if lost := find_lost(thing, self.hashes.get(name, {})):
                raise TypeError(lost)
        run = {
            "settings": self.settings,
            "environment": environment(),
            "history": state.history.rows,
            "reason": state.reason,
            "loss": self._get_loss(),
            "epoch": [state.finished, state.loss_sum, state.weight_sum],
        }
        try:
            for name, vector in {"parameters": net.parameters.vector, **optimizer.state}.items():
                validation.finite(name, vector)  # or the file could not be resumed
            write_checkpoint(path, net, optimizer, run, self.others, overwrite=overwrite)
        except FileExistsError:
            raise FileExistsError(
                f"{path} exists, and this run has not written it: another fit may be using the "
                "folder. Give another folder to checkpoint="
            ) from None
        except (OSError, ValueError) as error:
            warnings.warn(f"{path} could not be written: {error}", stacklevel=2)
            return False
        return True


def environment() -> dict[str, Any]:
    """Return what the exact result of a run depends on besides its settings."""
    return {"numpy": np.__version__, "machine": platform.machine(), "blas": describe_blas()}


def fingerprint(*parts: Data | Stream | None) -> list[str]:
    """Return shapes and checksums; they are computed in blocks.

    Of batches from an iterable, the number of columns and the dtype.

    >>> x = np.zeros((2, 1))
    >>> fingerprint(Data(x, x)) == fingerprint(Data(x, x + 1))
    False
    """
    result = []
    for part in parts:
        if isinstance(part, Stream):  # its batches may come in another order
            result.append(f"batches of {part.first.x.shape[1]} columns {part.first.x.dtype}")
            continue
        for values in part or ():
            if values is not None:
                checksum = 0
                for array in rows.get_arrays(values):
                    for _, block in rows.blocks(array):
                        checksum = zlib.crc32(np.ascontiguousarray(block).data, checksum)
                result.append(f"{values.shape} {values.dtype} {checksum:08x}")
    return result


def _describe_callback(callback: Callback) -> str:
    """Return the class, and of nnreg's also the arguments that training does not change."""
    kind = type(callback)
    arguments = []
    if kind in (EarlyStopping, ReduceLROnPlateau, HyperparameterScheduler):
        for name in (p.name for p in named_parameters(kind.__init__) if p.name != "target"):
            value = vars(callback)[name]
            shown = getattr(value, "__name__", None) or repr(value)
            arguments.append(f"{name}={shown.partition(' at 0x')[0]}")
    return f"{kind.__name__}({', '.join(arguments)})"
