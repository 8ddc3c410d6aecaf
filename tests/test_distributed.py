"""Data-parallel training: one run on any number of ranks, faults, and ranks that differ."""

import functools
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import ranks
from small import Centred, callback, error_of, fit, linear, network, problem

import nnreg as nn

RANKS = Path(ranks.__file__)
MPIEXEC = which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
mpi = [
    pytest.mark.mpi,
    pytest.mark.slow,
    pytest.mark.skipif(not (find_spec("mpi4py") and MPIEXEC), reason="mpi4py is not installed"),
]


def start(size, *arguments):
    """Run Python on this many ranks, and return what is left of it."""
    command = [MPIEXEC, "-n", str(size), sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What 2 ranks and then 4 have written."""
    folder = tmp_path_factory.mktemp("ranks")
    for size in (2, 4):
        ended = start(size, RANKS, folder)
        assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return {size: json.loads((folder / f"{size}.json").read_text()) for size in (2, 4)}


@functools.cache
def expected(name, shards=None):
    """Return the run of one process."""
    return ranks.train(ranks.RUNS[name](), shards=shards)


def assert_close(run, name):
    """Compare parameters and history to a tolerance."""
    tolerance = 1e-4 if name == "float32" else 1e-12
    whole = expected(name)
    np.testing.assert_allclose(run[0], whole[0], rtol=tolerance, atol=tolerance)
    for row, other in zip(run[1], whole[1], strict=True):
        assert row == pytest.approx(other, rel=tolerance, abs=tolerance)
    assert run[2] == whole[2]


# --- Equality -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ranks.RUNS)
def test_the_shards_of_one_process_give_its_run(name):
    assert expected(name, 1) == expected(name)
    assert_close(expected(name, 4), name)


@pytest.mark.parametrize("name", ranks.RUNS)
@pytest.mark.parametrize("size", [pytest.param(size, marks=mpi) for size in (2, 4)])
def test_fixed_shards_give_the_bits_of_one_process_on_any_number_of_ranks(size, name, results):
    assert results[size]["by shard"][name] == expected(name, 4)


@pytest.mark.parametrize(
    ("size", "name"),
    [
        *(pytest.param(2, name, marks=mpi) for name in ranks.RUNS),
        *(pytest.param(4, name, marks=mpi) for name in ranks.ON_FOUR),
    ],
)
def test_ranks_give_the_run_of_one_process_to_rounding(size, name, results):
    assert_close(results[size]["by rank"][name], name)


@pytest.mark.parametrize("size", [pytest.param(4, marks=mpi)])
def test_a_run_is_resumed_on_more_ranks_and_rank_0_writes_the_files(size, results, folder):
    options = ranks.with_callbacks() | {"epochs": 5}
    assert results[size]["resumed"] == ranks.train(options, shards=4)
    assert sorted(path.name for path in (folder / "run").iterdir()) == [
        "best.npz",
        "checkpoint-000000018.npz",
        "checkpoint-000000020.npz",
    ]
    assert len((folder / "log.csv").read_text().splitlines()) == 6


def test_partitioned_rows_are_those_of_each_batch_in_their_order():
    plain, sorted_rows = ([], []), ([], [])
    for seen, partitioned in ((plain, False), (sorted_rows, True)):
        watch = lambda state, seen=seen: seen[0].append(state.batch_rows.tolist())
        fit(network(), partitioned=partitioned, callbacks=callback(on_batch_end=watch))
    assert sorted_rows[0] == [sorted(rows) for rows in plain[0]]


# --- Errors ---------------------------------------------------------------------------------------

SAME = "ValueError: all ranks must run the same script with the same data: "
DATA = SAME + r"data is .*{}.* on rank .*say so: partitioned=True$"

# By name, in ranks.py: the beginning of the error on rank 1 and on the others.
ERRORS = {
    "differing seed": (SAME + r"seed is 0 on rank 0 \(.* and 7 on rank 1 \(\S+\);",) * 2,
    "differing values": (DATA.format(r"\(50, 2\)"),) * 2,
    "fewer rows": (DATA.format(r"\(40, 2\)"),) * 2,
    "differing settings": (SAME + "epochs is 1 on .* 2 on .*batch_size is 16 on .* 8 on rank 1",)
    * 2,
    "differing rate": (SAME + "optimizer settings learning_rate is 0.01 on .* 0.1 on rank 1",) * 2,
    "differing parameters": (SAME + "parameters and state is",) * 2,
    "differing code": (SAME + "code of nnreg is 'code' on .* 'other' on rank 1",) * 2,
    "differing numpy": (SAME + "numpy is .* on rank 0 .* '1.0' on rank 1",) * 2,
    "invalid on one rank": (
        r"ValueError: x must be finite, got nan at index \[0, 0\]$",
        r"RankError: rank 1 of \d has raised ValueError: x must be finite, got nan",
    ),
    "dependent rows": (r"ValueError: communicator= and .* in centred_1 \(independent_rows",) * 2,
    "rate changed on one rank": ("RankError: after epoch 3, the parameters, .* of rank 1 differ",)
    * 2,
    "stopped on one rank": ("no error: enough$",) * 2,
    "not finite on one rank": (
        "NonFiniteLossError: the loss of step 5 is nan; the first .* are those of watch_1,",
    )
    * 2,
    "parts beside the shards": (
        r"ValueError: with shards=4 and \d ranks, rank 0 must have rows 0 to \d+ of 47, got 0 to",
    )
    * 2,
    "too few shards": (r"ValueError: shards must be at least the number of ranks, \d, got 1",) * 2,
    "two runs in one folder": ("RankError: rank 0 of . has raised BlockingIOError: .* in use",) * 2,
}


@pytest.mark.reliability(
    input="Ranks of MPI with other code, versions, seeds, settings, parameters or data",
    sees="`ValueError` on every rank, with the rank, the name and both values, before training",
)
@pytest.mark.reliability(
    fault="A callback on one rank of MPI changes what the others do not change",
    sees="`RankError` on every rank at the end of the epoch, with the rank",
)
@pytest.mark.parametrize("name", ranks.ERRORS)
@pytest.mark.parametrize("size", [pytest.param(size, marks=mpi) for size in (2, 4)])
def test_every_rank_raises_an_error_that_names_the_rank(size, name, results):
    first, one, *others = results[size]["errors"][name]
    wanted, wanted_of_others = (f"(?s){text}" for text in ERRORS[name])
    assert re.match(wanted, one)
    if name == "two runs in one folder":
        assert first.startswith("BlockingIOError")
    else:
        assert re.match(wanted_of_others, first)
    assert all(re.match(wanted_of_others, other) for other in others)


SCRIPT = """
import sys
import nnreg as nn

world = nn.distributed.world()

def fail(state):
    if world.rank == 1:
        raise OSError("the disk of rank 1 is full")

if sys.argv[1] == "script":
    fail(None)
net = nn.Network([nn.Dense(1)], inputs=1)
options = {"loss": nn.MeanSquaredError(), "optimizer": nn.SGD(0.1), "epochs": 99}
try:
    nn.fit(net, [[1.0]], [[1.0]], callbacks=[fail], communicator=world, **options)
except OSError:
    print("it goes on alone")
"""


@pytest.mark.parametrize("place", [pytest.param(name, marks=mpi) for name in ("script", "fit")])
@pytest.mark.reliability(
    fault="One rank of MPI raises an exception",
    sees="Its traceback and the number of the rank; all ranks end, and the run can be resumed",
)
def test_a_rank_that_raises_ends_the_others_with_its_message(place, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    ended = start(2, script, place)
    assert ended.returncode != 0
    assert "OSError: the disk of rank 1 is full" in ended.stderr
    assert "alone" not in ended.stdout


# --- Arguments ------------------------------------------------------------------------------------

NO_SHARDS: list[tuple[dict, type, str]] = [
    ({"communicator": 4}, TypeError, "communicator must be one of mpi4py, .* got 4"),
    ({"shards": 0}, ValueError, "shards must be"),
    ({"partitioned": 1}, TypeError, "partitioned must be"),
    ({"partitioned": True, "validation_split": 0.2}, ValueError, "give validation_data"),
    ({"partitioned": True, "class_weight": "balanced"}, ValueError, "give sample_weight"),
    ({"partitioned": True, "classes": True}, ValueError, r"give the labels: classes=\["),
]


@pytest.mark.parametrize(("options", "kind", "match"), NO_SHARDS)
def test_invalid_arguments(options, kind, match):
    error_of(kind, network(), *problem(), match=match, **options)


def test_a_loss_without_normalizer_is_an_error():
    class Quartic(nn.Loss):
        def __call__(self, outputs, targets):
            r = outputs - targets
            return (r**4).mean(), 4 * r**3 / r.size

    x = np.ones((4, 1))
    error_of(TypeError, linear(1), x, x, loss=Quartic(), shards=2, match="takes normalizer")


def test_rows_that_depend_on_each_other_are_not_cut():
    net = nn.Network([Centred(), nn.Dense(3)], inputs=2)
    error_of(ValueError, net, shards=2, match=r"each other in centred_1 \(independent_rows = False")


def test_batches_of_an_iterable_are_not_cut():
    error_of(TypeError, network(), [problem()], shards=2, match="batches come one by one")
