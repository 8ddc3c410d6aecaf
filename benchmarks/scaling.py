"""Time of a data-parallel training step: a model, and the measurements that it is fitted to.

``python -m benchmarks.scaling --out FOLDER`` measures steps of one process, the all-reduce of MPI,
and weak and strong scaling, and writes ``scaling.json``. It needs mpi4py and ``mpiexec`` (the extra
``mpi``), and takes a minute. `StepModel` is fitted to the first two of these measurements.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

import nnreg as nn
from benchmarks import machine
from benchmarks.results import microseconds, table

INPUTS, CLASSES, BYTES = 784, 10, 4  # float32
WIDTHS, BATCHES = (64, 256, 512, 1024), (16, 64, 256)
SIZES = tuple(4**i for i in range(1, 13))  # bytes, 4 B to 16 MB
SCALED = ((256, 64), (512, 128), (1024, 128))  # width, batch
STEPS = 24


@dataclass(frozen=True)
class Network:
    """A network between ranks.

    Parameters
    ----------
    latency : float
        Seconds from the call to the arrival of an empty message.
    bandwidth : float
        Bytes per second, of sending and adding what was received.
    """

    latency: float
    bandwidth: float

    def allreduce(self, size: float, ranks: int) -> dict[str, float]:
        """Return the seconds of an all-reduce of ``size`` bytes, by algorithm.

        ``doubling`` sends the whole vector in each of log2(p) rounds. ``halving`` and ``ring`` send
        2(p - 1)/p of it, which is the least possible, in 2 log2(p) and in 2(p - 1) messages.

        >>> Network(1.0, 1.0).allreduce(8, 4)
        {'doubling': 18.0, 'halving': 16.0, 'ring': 18.0}
        """
        rounds = math.ceil(math.log2(ranks))
        least = 2 * (ranks - 1) / ranks * size / self.bandwidth
        return {
            "doubling": rounds * (self.latency + size / self.bandwidth),
            "halving": 2 * rounds * self.latency + least,
            "ring": 2 * (ranks - 1) * self.latency + least,
        }


@dataclass(frozen=True)
class StepModel:
    """The time of a training step without communication, in seconds.

    Parameters
    ----------
    call : float
        Per step: calls of Python and NumPy functions.
    operation : float
        Per floating-point operation of the matrix products.
    parameter : float
        Per parameter: the optimizer's passes over the vector.
    """

    call: float
    operation: float
    parameter: float

    def compute(self, width: int, rows: float) -> float:
        """Return the seconds of a step of one process."""
        return float(np.dot(list(asdict(self).values()), features(width, rows)))

    def step(self, width: int, rows: float, ranks: int, network: Network) -> float:
        """Return the seconds of a step in which each rank has ``rows`` rows.

        The all-reduce begins after the backward pass and is not overlapped.
        """
        size = BYTES * count_parameters(width)
        return self.compute(width, rows) + min(network.allreduce(size, ranks).values())


def count_parameters(width: int) -> int:
    """Return the number of parameters of the network 784-width-width-10.

    >>> count_parameters(512)
    669706
    """
    return INPUTS * width + width**2 + width * CLASSES + 2 * width + CLASSES


def features(width: int, rows: float) -> tuple[float, float, float]:
    """Return what a step is made of: calls (one), operations, parameters.

    The three matrix products of a layer have 2 operations per weight and row each; the first layer
    has no gradient of its inputs, so it has two products.
    """
    weights = 3 * (width**2 + width * CLASSES) + 2 * INPUTS * width
    return 1.0, 2.0 * rows * weights, float(count_parameters(width))


def fit_step(measured: list[dict[str, Any]], communicator: bool = True) -> StepModel:
    """Fit the model to steps of one process, by their relative errors.

    With a communicator, a step copies the gradients, which are not added block by block to the
    parameters; so it is fitted apart.

    >>> model = StepModel(1e-4, 1e-11, 1e-9)
    >>> cells = [
    ...     {"width": w, "batch": b, "seconds": model.compute(w, b)}
    ...     for w in (64, 512)
    ...     for b in (16, 64)
    ... ]
    >>> round(fit_step(cells).call, 9)
    0.0001
    """
    cells = [c for c in measured if c["communicator"] == communicator]
    rows = [np.array(features(c["width"], c["batch"])) / c["seconds"] for c in cells]
    scale = np.max(rows, axis=0)
    return StepModel(*(nnls(np.array(rows) / scale, np.ones(len(rows)))[0] / scale).tolist())


def fit_network(measured: list[dict[str, float]]) -> Network:
    """Fit latency and bandwidth to all-reduces of two ranks, by their relative errors.

    On two ranks the least of the algorithms is one message of the vector in each direction.

    >>> round(fit_network([{"size": s, "seconds": 1 + s / 4} for s in (4, 8, 16)]).bandwidth, 6)
    4.0
    """
    rows = np.array([[1.0, c["size"]] for c in measured]) / [[c["seconds"]] for c in measured]
    scale = rows.max(axis=0)
    latency, inverse = nnls(rows / scale, np.ones(len(rows)))[0] / scale
    return Network(float(latency), float(1 / inverse))


class Clock(nn.Callback):
    """The beginnings of the steps."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_batch_begin(self, state: Any) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def time_step(width: int, batch: int, communicator: Any = None) -> float:
    """Return the median time of a step of ``fit`` with Adam, in seconds, on one BLAS thread."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * STEPS, INPUTS)).astype(np.float32)
    y = rng.integers(CLASSES, size=len(x))
    layers = [nn.Dense(width), nn.ReLU(), nn.Dense(width), nn.ReLU(), nn.Dense(CLASSES)]
    clock = Clock()
    options = {} if communicator is None else {"communicator": communicator}
    nn.fit(
        nn.Network(layers, inputs=INPUTS),
        x,
        y,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=nn.Adam(1e-3),
        epochs=1,
        batch_size=batch,
        callbacks=[clock],
        threads=1,
        **options,
    )
    return statistics.median(np.diff(clock.times)[3:].tolist())


def run_rank() -> dict[str, Any]:
    """Measure as a rank; a single one measures the steps that the model is fitted to."""
    communicator = nn.distributed.world()
    ranks = communicator.size
    single = [
        {"width": w, "batch": b, "communicator": c is not None, "seconds": time_step(w, b, c)}
        for w in WIDTHS
        for b in BATCHES
        for c in (None, communicator)
        if ranks == 1
    ]
    reduces = []
    for size in SIZES if ranks > 1 else ():
        part, out = np.ones((2, size // BYTES), np.float32)
        times = []
        for _ in range(300 if size < 1e5 else 40):
            communicator.Barrier()
            begun = time.perf_counter()
            communicator.Allreduce(part, out)
            times.append(time.perf_counter() - begun)
        slowest = np.max(communicator.allgather(times), axis=0)
        reduces.append({"size": size, "seconds": float(np.median(slowest))})
    scaling = [
        {
            "kind": kind,
            "width": width,
            "batch": batch,
            "ranks": ranks,
            "seconds": time_step(width, batch * (ranks if kind == "weak" else 1), communicator),
        }
        for width, batch in SCALED
        for kind in ("strong", "weak")
    ]
    if communicator.rank:
        return {}
    return {"steps": single, "allreduce": reduces, "scaling": scaling}


def measure(ranks: tuple[int, ...] = (1, 2, 4)) -> dict[str, Any]:
    """Measure everything on this machine; more ranks than cores share them."""
    result: dict[str, Any] = {"about": machine.about(), "steps": [], "allreduce": [], "scaling": []}
    for count in ranks:
        program = [sys.executable, "-m", "benchmarks.scaling", "--rank"]
        command = ["mpiexec", "-n", str(count), *program]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        measured = json.loads(output[output.index("{") :])
        result["steps"] += measured["steps"]
        result["scaling"] += measured["scaling"]
        result["allreduce"] += [cell | {"ranks": count} for cell in measured["allreduce"]]
    return result


def show(result: dict[str, Any]) -> None:
    """Print the measurements beside the model."""
    models = {used: fit_step(result["steps"], used) for used in (False, True)}
    network = fit_network([cell for cell in result["allreduce"] if cell["ranks"] == 2])
    print(*models.values(), network, sep="\n")
    rows = [
        (
            f"784-{cell['width']}-{cell['width']}-10, {cell['batch']} rows"
            + ", communicator" * cell["communicator"],
            microseconds(1e6 * cell["seconds"]),
            microseconds(1e6 * models[cell["communicator"]].compute(cell["width"], cell["batch"])),
        )
        for cell in result["steps"]
    ]
    table(("one process", "µs", "model"), rows)
    rows = [
        (
            f"{cell['size']} B, {cell['ranks']} ranks",
            microseconds(1e6 * cell["seconds"]),
            microseconds(1e6 * min(network.allreduce(cell["size"], cell["ranks"]).values())),
        )
        for cell in result["allreduce"]
    ]
    table(("all-reduce", "µs", "model"), rows)
    rows = []
    for cell in result["scaling"]:
        width, ranks = cell["width"], cell["ranks"]
        local = cell["batch"] / ranks if cell["kind"] == "strong" else cell["batch"]
        name = f"{cell['kind']}, width {width}, batch {cell['batch']}, {ranks} ranks"
        predicted = models[True].step(width, local, ranks, network)
        rows.append((name, microseconds(1e6 * cell["seconds"]), microseconds(1e6 * predicted)))
    table(("scaling", "µs", "model"), rows)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks-out"), help="output folder")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank:
        if result := run_rank():
            print(json.dumps(result))
        return
    result = measure()
    show(result)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "scaling.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
