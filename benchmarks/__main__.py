"""The command `python -m benchmarks`: run one mode, or all modes one after the other."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import machine, plots
from benchmarks.busy import busy
from benchmarks.frameworks import ENTRIES
from benchmarks.modes import ablation, growth, job, own, predict, smoke, step, sweep, threads
from benchmarks.problem import OPTIMIZERS, Problem
from benchmarks.results import Results, Settings
from benchmarks.workers import WorkerPool

MODES = {
    "step": step,
    "sweep": sweep,
    "threads": threads,
    "job": job,
    "predict": predict,
    "growth": growth,
    "ablation": ablation,
}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "mode",
        nargs="?",
        default="all",
        choices=["all", *MODES, "run", "plot"],
        help="what to measure (default: all but run); plot draws the plots again from results.json",
    )
    parser.add_argument("--quick", action="store_true", help="a first look, under three minutes")
    parser.add_argument("--smoke", action="store_true", help="only check that everything runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks-out"), help="output folder")
    parser.add_argument(
        "--busy",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="in the background, a program on each core that uses this share of it (default: none)",
    )
    parser.add_argument(
        "--cores", type=int, metavar="N", help="use the first N cores only (Linux; default: all)"
    )
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="for each mode")
    parser.add_argument(
        "--frameworks", metavar="NAME,...", help=f"in step and sweep; of {', '.join(ENTRIES)}"
    )
    group = parser.add_argument_group("run, a network of your own")
    group.add_argument("--layers", default="784,256,10", help="widths, inputs first")
    group.add_argument("--batch", type=int, default=64)
    group.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    group.add_argument("--keep", type=float, default=1.0, help="probability to keep a hidden unit")
    group.add_argument("--l2", type=float, default=0.0)
    group.add_argument("--l1", type=float, default=0.0)
    parser.add_argument(
        "--against",
        metavar="PATH|NAME,...",
        help="step: a checkout of another nnreg, timed in the same rounds; run: libraries or "
        "frameworks (default: tensorflow,torch,jax,sklearn)",
    )
    return parser.parse_args()


def main() -> int:
    """Run the modes, draw the plots, and return the exit code."""
    given = arguments()
    names = tuple(given.frameworks.split(",")) if given.frameworks else None
    for name in names or ():
        if name not in ENTRIES:
            raise SystemExit(f"--frameworks {name}: known are {', '.join(ENTRIES)}")
    checkout = given.against if given.mode == "step" else None
    if checkout:
        if not (Path(checkout) / "nnreg" / "__init__.py").is_file():
            raise SystemExit(f"--against {checkout}: there is no nnreg in this folder")
        names = ("nnreg", "other")
    settings = Settings(given.out, names, given.quick, given.smoke, given.budget)
    if given.cores:
        machine.use_cores(given.cores)
    begun = time.monotonic()
    with (
        busy(given.busy),
        tempfile.TemporaryDirectory() as scratch,
        WorkerPool(checkout) as pool,
    ):
        if given.smoke:
            settings.out = Path(scratch)
            return smoke.measure(settings, Results.load(settings.out), pool)
        results = Results.load(settings.out, busy=given.busy, cores=given.cores)
        if given.mode == "run":
            problem = Problem(
                batch=given.batch,
                widths=tuple(map(int, given.layers.split(","))),
                keep=given.keep,
                optimizer=given.optimizer,
                l1=float(np.float32(given.l1)),  # Keras keeps it in float32
                l2=float(np.float32(given.l2)),
            )
            own.measure(
                settings,
                results,
                pool,
                problem,
                (given.against or "tensorflow,torch,jax,sklearn").split(","),
            )
        elif given.mode != "plot":
            for name in MODES if given.mode == "all" else [given.mode]:
                print(f"== {name}")
                MODES[name].measure(settings, results, pool)
    for path in plots.draw(results.modes, settings.out):
        print(path)
    minutes, seconds = divmod(round(time.monotonic() - begun), 60)
    print(f"{results.path}, after {minutes} min {seconds} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
