"""What each rank of MPI does for tests/test_distributed.py.

``mpiexec -n 4 python tests/ranks.py FOLDER`` runs every case below and writes ``FOLDER/4.json``.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from small import OPTIMIZERS, Centred, Watch, everything, network, problem

import nnreg as nn
from nnreg._support.system import reserve_folder
from nnreg.training import shards as module

ROWS, EPOCHS = 50, 2  # of batches of 16, 16, 16 and 2 rows

Options = dict[str, Any]


def deep(*, dtype: str = "float64", dropout: type = nn.Dropout) -> nn.Network:
    layers = [nn.Dense(8), nn.ReLU(), dropout(keep_prob=0.8), nn.Dense(3)]
    return nn.Network(layers, inputs=2, seed=3, dtype=dtype)


def penalized(
    penalty: nn.Penalty | None = None, constraint: nn.Constraint | None = None
) -> Options:
    net = deep()
    net.penalty, net.constraint = penalty, constraint
    return {"net": net}


def wide() -> Options:
    """Return a network that is updated in several blocks, with a penalty on whole arrays."""
    net = nn.Network(
        [nn.Dense(300), nn.ReLU(), nn.Dense(450), nn.Dense(3)],
        inputs=2,
        penalty=nn.GroupLasso(1e-3, groups="inputs", method="proximal"),
        constraint=nn.MaxNorm(2.0),
        dtype="float64",
    )
    return {"net": net, "epochs": 1}


def with_weights() -> Options:
    return {"sample_weight": np.arange(ROWS) % 3 / 2}


def with_callbacks() -> Options:
    optimizer = nn.SGD(0.3)
    schedule = nn.ExponentialDecay(0.9, factor=0.5, every=100)
    net = deep()
    return {
        "net": net,
        "optimizer": optimizer,
        "validation_data": problem(30, seed=1),
        "metrics": ["accuracy"],
        "callbacks": [
            nn.HyperparameterScheduler(net.layers[2], "keep_prob", schedule),
            nn.ReduceLROnPlateau(patience=1, min_delta=0.1, factor=0.7),
            nn.EarlyStopping(patience=9),
        ],
    }


def in_a_file() -> Options:
    x, y = problem()
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, x)
        file.flush()
        return {"x": np.load(file.name, mmap_mode="r"), "y": y}


# Options of `fit`, made anew for each call; the others are those of `train`.
RUNS: dict[str, Callable[[], Options]] = {
    "52 steps": lambda: {"epochs": 13},
    **{
        f"optimizer {name}": lambda make=make: {"optimizer": make()}
        for name, make in OPTIMIZERS.items()
    },
    "optimizer with clipping": lambda: {"optimizer": nn.Adam(0.01, clip_norm=0.1)},
    "penalty L2": lambda: penalized(nn.L2(0.1)),
    "penalty L1": lambda: penalized(nn.L1(0.01)),
    "penalty proximal L1": lambda: penalized(nn.L1(0.01, method="proximal")),
    "penalty group lasso": lambda: penalized(
        nn.GroupLasso(0.02, groups="units", method="proximal")
    ),
    "constraint max-norm": lambda: penalized(constraint=nn.MaxNorm(0.5)),
    "several blocks": wide,
    "Gaussian dropout": lambda: {"net": deep(dropout=nn.GaussianDropout)},
    "float32": lambda: {"net": deep(dtype="float32")},
    "sample weights": with_weights,
    "class weights": lambda: {"class_weight": "balanced"},
    "weights, metrics and a split": lambda: (
        with_weights() | {"metrics": ["accuracy"], "validation_split": 0.3}
    ),
    "callbacks": with_callbacks,
    "batches of two rows": lambda: {"batch_size": 2, "epochs": 2},
    "no shuffling": lambda: {"shuffle": False},
    "shuffled blocks of a file": in_a_file,
    "sparse rows": lambda: {"x": scipy.sparse.csr_matrix(problem()[0])},
    "partitioned rows": lambda: {"partitioned": True},
    "partitioned weights and validation rows": lambda: (
        with_weights()
        | {"partitioned": True, "metrics": ["accuracy"], "validation_data": problem(30, seed=1)}
    ),
}

# Those that four ranks run without fixed shards, too.
ON_FOUR = ("52 steps", "float32", "batches of two rows", "partitioned rows")


def take_part(values: Any, communicator: Any, shards: int) -> Any:
    """Return the rows of this rank, at the edges of the shards."""
    edges = [shards * (communicator.rank + i) // communicator.size for i in (0, 1)]
    return values[slice(*(len(values) * edge // shards for edge in edges))]


def train(options: Options, communicator: Any = None, shards: int | None = None) -> list[Any]:
    """Train and return about 50 parameters, the history, and a hash of all that this changes."""
    x, y = problem()
    chosen = {
        "x": x,
        "y": y,
        "loss": nn.SoftmaxCrossEntropy(),
        "optimizer": nn.Adam(0.01),
        "epochs": EPOCHS,
        "batch_size": 16,
        **options,
    }
    net = chosen.pop("net", None) or deep()
    if chosen.get("partitioned") and communicator is not None:
        for name in ("x", "y", "sample_weight", "validation_data"):
            if name == "validation_data" and name in chosen:
                chosen[name] = [take_part(part, communicator, 4) for part in chosen[name]]
            elif name in chosen:
                chosen[name] = take_part(chosen[name], communicator, 4)
    history = nn.fit(net, communicator=communicator, shards=shards, **chosen)
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]
    bits = repr(everything(net, chosen["optimizer"])).encode()
    vector = net.parameters.vector[:: len(net.parameters.vector) // 50]
    return [vector.tolist(), rows, history.stopped, hashlib.sha256(bits).hexdigest()]


# --- Ranks that differ, and errors ----------------------------------------------------------------


def only(rank: int, world: Any, value: Any, other: Any) -> Any:
    return value if world.rank == rank else other


def differing_seed(world: Any) -> Any:
    return train({"net": network(seed=only(1, world, 7, 0))}, world)


def differing_values(world: Any) -> Any:
    x, y = problem()
    x[5] += only(1, world, 1, 0)
    return train({"x": x, "y": y}, world)


def fewer_rows(world: Any) -> Any:
    x, y = problem(only(1, world, 40, 50))
    return train({"x": x, "y": y}, world)


def differing_settings(world: Any) -> Any:
    return train({"batch_size": only(1, world, 8, 16), "epochs": only(1, world, 2, 1)}, world)


def differing_rate(world: Any) -> Any:
    return train({"optimizer": nn.Adam(only(1, world, 0.1, 0.01))}, world)


def differing_parameters(world: Any) -> Any:
    net = deep()
    net.parameters.vector[0] += only(1, world, 1, 0)
    return train({"net": net}, world)


def differing_code(world: Any) -> Any:
    original = module._hash_code
    module._hash_code = lambda: only(1, world, "other", "code")
    try:
        return train({}, world)
    finally:
        module._hash_code = original


def differing_numpy(world: Any) -> Any:
    version = np.__version__
    np.__version__ = only(1, world, "1.0", version)
    try:
        return train({}, world)
    finally:
        np.__version__ = version


def invalid_on_one_rank(world: Any) -> Any:
    return train({"x": only(1, world, [[np.nan, 0.0]] * ROWS, problem()[0])}, world)


def dependent_rows(world: Any) -> Any:
    return train({"net": nn.Network([Centred(), nn.Dense(3)], inputs=2)}, world)


def rate_changed_on_one_rank(world: Any) -> Any:
    optimizer = nn.Adam(0.01)

    def change(state: nn.TrainingState) -> None:
        if world.rank == 1 and state.net.epochs == 2:
            optimizer.learning_rate = 0.02

    return train({"optimizer": optimizer, "callbacks": change, "epochs": 4}, world)


def stopped_on_one_rank(world: Any) -> Any:
    def stop(state: nn.TrainingState) -> None:
        if world.rank == 1 and state.net.epochs == 2:
            state.stop("enough")

    return train({"callbacks": stop, "epochs": 4}, world)[2]


def not_finite_on_one_rank(world: Any) -> Any:
    def act(x: Any, cache: Any) -> Any:  # the last row of the batch
        if cache.step == 5 and cache.first_row + len(x) == 16:
            return np.where(np.arange(len(x))[:, None] == len(x) - 1, np.inf, x)
        return None

    layers = [nn.Dense(8), Watch(act), nn.ReLU(), nn.Dense(3)]
    return train({"net": nn.Network(layers, inputs=2, dtype="float64")}, world)


def parts_beside_the_shards(world: Any) -> Any:
    x, y = take_part(np.arange(ROWS), world, 4), problem()[1]
    part = x[: len(x) - only(0, world, 3, 0)]
    return nn.fit(
        deep(),
        problem()[0][part],
        y[part],
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=nn.Adam(),
        epochs=1,
        communicator=world,
        shards=4,
        partitioned=True,
    )


def too_few_shards(world: Any) -> Any:
    return train({}, world, shards=1)


def two_runs_in_one_folder(world: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder, reserve_folder(folder):
        return train({"checkpoint": world.bcast(folder)}, world)


# By name: what is done on every rank; the error of each rank is written.
ERRORS: dict[str, Callable[[Any], Any]] = {
    name.replace("_", " "): function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__annotations__", {}).keys() == {"world", "return"}
}


def resume(world: Any, folder: Path) -> Any:
    """Train for 2 epochs on 2 ranks, and continue for 3 on another number of them."""
    options = with_callbacks()
    options["callbacks"].append(nn.CSVLog(folder / "log.csv"))
    options |= {"checkpoint": nn.Checkpoint(folder / "run", every_steps=3)}
    return train(options | {"epochs": 2 if world.size == 2 else 5}, world, shards=4)


def main(folder: Path) -> None:
    world = nn.distributed.world()
    results: dict[str, Any] = {"by rank": {}, "by shard": {}, "errors": {}}
    for name, make in RUNS.items():
        if world.size == 2 or name in ON_FOUR:
            results["by rank"][name] = train(make(), world)
        results["by shard"][name] = train(make(), world, shards=4)
    for name, function in ERRORS.items():
        try:
            answer = f"no error: {function(world)}"
        except Exception as error:  # the test compares it
            answer = f"{type(error).__name__}: {error}"
        results["errors"][name] = world.allgather(answer)
    results["resumed"] = resume(world, folder)
    if world.rank == 0:
        (folder / f"{world.size}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
