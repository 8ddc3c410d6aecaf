"""Data-parallel training: each batch is cut into shards, which the ranks of MPI compute.

Every rank runs the same script with the same parameters. In a step, a rank computes the sum of the
gradients over its rows, the sums of all ranks are added by one collective, and every rank makes the
same update. A shard's losses are divided by the size (or the weights) of the whole batch, and its
dropout masks are those of its rows in the whole batch, so the result is that of one process.

Floating-point sums depend on their order. Without ``shards=``, each rank has one shard, and MPI
chooses the order. With ``shards=n``, the gradients of the n shards are gathered and added in their
order, so the result is the same to the last bit on every number of ranks.

MPI is used through the communicator that ``fit`` receives; nothing is imported for it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from nnreg._support import rows, validation
from nnreg._support.tables import listed
from nnreg._support.typing import Array
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.training.callbacks import TrainingState
from nnreg.training.data import Data, takes_argument
from nnreg.training.order import draw_batches
from nnreg.training.step import NonFiniteLossError

# What a communicator must have; those of mpi4py do.
METHODS = ("rank", "size", "allgather", "Allreduce", "Allgatherv", "Abort")

PAUSE = 0.5  # seconds in which a launcher forwards what a rank has printed


class RankError(RuntimeError):
    """Raised on every rank, after one of them has raised another error, or if they differ."""


class Shards:
    """The shards of each batch, and the ranks that compute them.

    Parameters
    ----------
    communicator : mpi4py communicator, or None for one process
    shards : int, optional
        The number of shards; by default one for each rank.
    partitioned : bool
        Whether each rank has only a part of the data.

    Attributes
    ----------
    rank, size : int
        The number of this rank, and of all ranks.
    mine : range
        The shards of this rank.

    Examples
    --------
    >>> Shards(None, 4, False).mine
    range(0, 4)
    """

    def __init__(self, communicator: Any, shards: int | None, partitioned: bool) -> None:
        missing = [name for name in METHODS if not hasattr(communicator, name)]
        if communicator is not None and missing:
            raise TypeError(
                "communicator must be one of mpi4py, such as nn.distributed.world(), got "
                f"{validation.show(communicator)}"
            )
        self.communicator = communicator
        self.rank: int = 0 if communicator is None else communicator.rank
        self.size: int = 1 if communicator is None else communicator.size
        self.training = False  # then an error of one rank ends the others
        self.fixed = shards is not None
        self.partitioned, self.count = validation.flag("partitioned", partitioned), self.size
        if shards is not None:
            self.count = validation.whole("shards", shards, 1)
        self.mine = range(*(self.count * r // self.size for r in (self.rank, self.rank + 1)))

    # --- Collectives ------------------------------------------------------------------------------

    def gather(self, value: Any, error: str = "") -> list[Any]:
        """Return the values of all ranks.

        Raises
        ------
        RankError
            If another rank has called this method with an error.
        """
        if self.size == 1:
            return [value]
        values, errors = zip(*self.communicator.allgather((value, error)), strict=True)
        for rank, text in enumerate(errors):
            if text and not error:
                raise RankError(f"rank {rank} of {self.size} has raised {text}")
        return list(values)

    def add(self, parts: Array, out: Array) -> None:
        """Write the sum over all shards; ``parts`` are those of this rank, one in each row."""
        if self.size > 1 and not self.fixed:
            self.communicator.Allreduce(parts, out)
            return
        if self.size > 1:
            columns = parts.shape[1]
            edges = [self.count * r // self.size for r in range(self.size + 1)]
            counts = [columns * count for count in np.diff(edges)]
            parts, mine = np.empty((self.count, columns), parts.dtype), parts
            self.communicator.Allgatherv(mine, [parts, counts])
        np.add.reduce(parts, axis=0, out=out)

    def end(self, error: BaseException) -> None:
        """End the other ranks after an error of this one.

        Before training, they raise a :class:`RankError`; during training they wait for this rank,
        so the error is printed and all processes are ended.
        """
        if self.size == 1 or isinstance(error, RankError):
            return
        if not self.training:
            self.gather(None, f"{type(error).__name__}: {error}")
        elif not isinstance(error, NonFiniteLossError):  # which is raised on every rank
            traceback.print_exception(error)
            print(f"rank {self.rank} of {self.size} ends all ranks", file=sys.stderr)
            end_all_ranks(self.communicator)

    # --- Before training --------------------------------------------------------------------------

    def check(
        self, net: Network, loss: Loss, data: Any, held_out: Any, options: dict[str, Any]
    ) -> None:
        """Raise if batches cannot be cut.

        ``options`` are the arguments of ``fit`` that need all rows on every rank.
        """
        if self.count < self.size:
            raise ValueError(
                f"shards must be at least the number of ranks, {self.size}, got {self.count}"
            )
        for layer in net.layers:
            if not layer.independent_rows:
                raise ValueError(
                    "communicator= and shards= cut each batch, and the rows of a batch depend on "
                    f"each other in {layer.name} (independent_rows = False): train the network in "
                    "one process, without them"
                )
        if not (isinstance(data, Data) and isinstance(held_out, Data | None)):
            raise TypeError(
                "communicator= and shards= need the rows by their numbers, and batches come one by "
                "one; give x and y, which may be memory-mapped, or with partitioned=True the rows "
                "of this rank"
            )
        if not takes_argument(loss, "normalizer"):
            raise TypeError(
                "communicator= and shards= need a loss whose __call__ takes normalizer, the "
                f"divisor of the whole batch; {type(loss).__name__} does not"
            )
        for name, option in options.items() if self.partitioned else ():
            if option:
                raise ValueError(
                    f"{name} needs all rows at once, and with partitioned=True each rank has a "
                    f"part; {INSTEAD[name]}"
                )

    def join(
        self,
        state: TrainingState,
        settings: dict[str, Any],
        environment: dict[str, Any],
        *parts: Data | None,
    ) -> list[Any]:
        """Return the training and validation data of all ranks, as :class:`ShardedData` or None.

        Raises
        ------
        ValueError
            Unless all ranks have the same code, versions, settings, parameters and data.
        """
        if self.partitioned:
            settings["data"] = [
                p
                and f"{p.x.shape[1]} columns {p.x.dtype}{'' if p.weights is None else ' weighted'}"
                for p in parts
            ]
        blas = re.sub(r", \d+ threads", "", environment["blas"])  # fit sets their number
        here = {
            "code of nnreg": _hash_code(),
            "script": _hash_script(),
            **environment,
            "blas": blas,
            "python": platform.python_version(),
            **settings,
            "epochs": state.epochs,
            "parameters and state": _hash_training(state),
        }
        self._compare(_flatten("", here))
        shared = [part and self._share(part) for part in parts]
        if self.partitioned:
            sums = self.gather([part and _add_up(part) for part in shared])
            settings["data"] = [
                part and f"{part.edges[-1]} rows, {sum(values) % 2**64:016x}"
                for part, values in zip(shared, zip(*sums, strict=True), strict=True)
            ]
        return shared

    def _compare(self, here: dict[str, Any]) -> None:
        """Raise unless all ranks have the same values."""
        there, different = self.gather((platform.node(), here)), []
        for name in {name: None for _, values in there for name in values}:
            found: dict[str, list[str]] = {}
            for rank, (node, values) in enumerate(there):
                found.setdefault(repr(values.get(name)), []).append(f"{rank} ({node})")
            if len(found) > 1:
                on = [f"{value:.200} on rank {listed(ranks, 3)}" for value, ranks in found.items()]
                different.append(f"{name} is {' and '.join(on[:3])}")
        if different:
            hint = ""
            if not self.partitioned and any(text.startswith("data ") for text in different):
                hint = ". If each rank has a part of the data, say so: partitioned=True"
            raise ValueError(
                "all ranks must run the same script with the same data: "
                f"{'; '.join(different[:5])}{hint}"
            )

    def _share(self, data: Data) -> ShardedData:
        """Return the data of all ranks, of which this rank may have a part."""
        counts = [len(data.y)]
        weights = data.weights
        if self.partitioned:
            answers = self.gather((len(data.y), weights))
            counts = [count for count, _ in answers]
            if weights is not None:
                weights = np.concatenate([part for _, part in answers])
        ends = np.cumsum([0, *counts])
        edges = ends[-1] * np.arange(self.count + 1) // self.count
        if self.partitioned and not self.fixed:
            edges = ends
        elif self.partitioned:
            wanted = edges[[self.count * r // self.size for r in range(self.size + 1)]]
            for rank in np.flatnonzero((wanted != ends)[1:])[:1]:
                raise ValueError(
                    f"with shards={self.count} and {self.size} ranks, rank {rank} must have rows "
                    f"{wanted[rank]} to {wanted[rank + 1] - 1} of {ends[-1]}, got {ends[rank]} to "
                    f"{ends[rank + 1] - 1}"
                )
        first = int(ends[self.rank]) if self.partitioned else 0
        return ShardedData(data.x, data.y, weights, first, edges, self)

    # --- During training --------------------------------------------------------------------------

    def share_row(self, row: dict[str, Any], state: TrainingState) -> dict[str, Any]:
        """Return the figures of rank 0, after checking that all ranks have the same parameters."""
        figures, hashes = zip(*self.gather((row, _hash_training(state))), strict=True)
        other = [rank for rank, value in enumerate(hashes) if value != hashes[0]]
        if other:
            raise RankError(
                f"after epoch {row['epoch']}, the parameters, the optimizer or the state of a "
                f"layer of rank {listed(other)} differ from those of rank 0: a callback must do "
                "the same on every rank"
            )
        return dict(figures[0])

    def share_reason(self, state: TrainingState) -> None:
        """Stop all ranks if a callback of one of them has called ``state.stop``."""
        state.reason = next(filter(None, self.gather(state.reason)), "")


# What to do where an option needs all rows.
INSTEAD = {
    "validation_split": "give validation_data, of which each rank has a part, too",
    "class_weight": "give sample_weight",
    "classes=True": "give the labels: classes=[...]",
}


@dataclass(frozen=True)
class ShardedData:
    """Data of which each rank computes a part.

    Attributes
    ----------
    x, y
        The rows of this rank: all rows, unless the data are partitioned.
    weights : ndarray of shape (N,) or None
        Those of all rows.
    first : int
        The number of the first row of ``y``.
    edges : ndarray of int, (shards + 1,)
        The numbers of the rows at which the shards begin, and N.
    shards : Shards
    """

    x: Any
    y: Array
    weights: Array | None
    first: int
    edges: Array
    shards: Shards

    def count_batches(self, batch_size: int) -> int:
        """Return the number of batches in an epoch."""
        return -(-int(self.edges[-1]) // batch_size)

    def draw_batches(
        self, net: Network, batch_size: int, shuffle: bool | str
    ) -> Iterator[tuple[ShardedData, Array]]:
        """Yield the batches of an epoch: data, and the numbers of the rows in them.

        The rows of partitioned data are sorted, so that those of each rank are consecutive.
        """
        for numbers in draw_batches(int(self.edges[-1]), batch_size, net, shuffle):
            yield self, np.sort(numbers) if self.shards.partitioned else numbers

    def cut(self, rows: Array) -> Iterator[tuple[int, Array]]:
        """Yield the batch's rows of each shard of this rank, with the place of the first one.

        Partitioned data are cut where the shards of all data begin, other batches into equal parts.
        """
        n, count = len(rows), self.shards.count
        edges = [n * shard // count for shard in range(count + 1)]
        if self.shards.partitioned:
            edges = np.searchsorted(rows, self.edges).tolist()
        for shard in self.shards.mine:
            yield edges[shard], rows[edges[shard] : edges[shard + 1]]

    def without_removed_rows(self) -> ShardedData:
        """Return the rows whose weight is not zero."""
        if self.weights is None or self.weights.all():
            return self
        kept = np.flatnonzero(self.weights)
        first, stop = np.searchsorted(kept, [self.first, self.first + len(self.y)])
        part = Data(self.x, self.y).take(kept[first:stop] - self.first)
        edges = np.searchsorted(kept, self.edges)
        return replace(
            self, x=part.x, y=part.y, weights=self.weights[kept], first=int(first), edges=edges
        )

    def predict(self, net: Network) -> tuple[Array, Array, Array | None]:
        """Return outputs, targets and weights of all rows; each rank computes those of its own."""
        data, parts = Data(self.x, self.y), []
        for shard in self.shards.mine:
            part = data.take(np.arange(*self.edges[shard : shard + 2]) - self.first)
            parts.append(part.predict(net)[:2])
        outputs, y = zip(
            *(part for rank in self.shards.gather(parts) for part in rank), strict=True
        )
        return np.concatenate(outputs), np.concatenate(y), self.weights


def end_all_ranks(communicator: Any) -> NoReturn:
    """End the processes of all ranks, after what this one has printed has reached the launcher."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    time.sleep(PAUSE)
    communicator.Abort(1)
    os._exit(1)  # since Abort may return before the launcher has ended this process


def _hash_training(state: TrainingState) -> str:
    """Return a hash of what training changes: parameters, optimizer, states of layers and loss."""
    result = hashlib.sha256(state.net.parameters.vector.tobytes())
    result.update(repr((state.net.steps, state.net.epochs, state.optimizer.steps)).encode())
    things = {"optimizer": state.optimizer.state, "loss": state.loss.get_state()}
    things |= {layer.name: layer.get_state() for layer in state.net.layers}
    for name, values in things.items():
        for key, value in sorted(values.items()):
            content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            result.update(f"{name}.{key}".encode() + content)
    return result.hexdigest()[:16]


def _flatten(name: str, value: Any) -> dict[str, Any]:
    """Return the values in nested dictionaries, and in lists of them, by their place.

    >>> _flatten("", {"seed": 0, "layers": [{"settings": {"units": 3}}], "columns": ["epoch"]})
    {'seed': 0, 'layers 0 settings units': 3, 'columns': ['epoch']}
    """
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    parts = [_flatten(f"{name} {key}".strip(), part) for key, part in value.items()]
    return {key: part for values in parts for key, part in values.items()}


def _add_up(data: ShardedData) -> int:
    """Return a checksum of this rank's rows; the sum over the ranks is that of all rows.

    >>> x, shards = np.arange(6.0).reshape(3, 2), Shards(None, None, True)
    >>> parts = [
    ...     ShardedData(x[a:b], x[a:b], None, a, np.array([0, 3]), shards)
    ...     for a, b in [(0, 3), (0, 1), (1, 3)]
    ... ]
    >>> whole, first, second = map(_add_up, parts)
    >>> (first + second - whole) % 2**64
    0
    """
    total, weights = 0, data.weights
    if weights is not None:
        weights = weights[data.first : data.first + len(data.y)]
    for values in (data.x, data.y, weights):
        for start, block in () if values is None else rows.blocks(values):
            bits = np.ascontiguousarray(block, np.float64).reshape(len(block), -1).view(np.uint64)
            bits = bits ^ (bits >> np.uint64(32))
            places = np.arange(bits.size, dtype=np.uint64).reshape(bits.shape)
            places += np.uint64((data.first + start) * bits.shape[1])
            total += int(np.add.reduce(bits * (2 * places + 1), axis=None))
    return total % 2**64


@functools.cache
def _hash_code() -> str:
    """Return a hash of the files of nnreg."""
    result = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        result.update(path.read_bytes())
    return result.hexdigest()[:16]


def _hash_script() -> str:
    """Return a hash of the script that is run, or an empty text if it is not in a file."""
    path = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""
