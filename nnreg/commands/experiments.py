"""The commands `nnreg compare`, `nnreg path` and `nnreg bias-variance`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from nnreg._support.version import __version__
from nnreg.commands.shared import (
    DATA_FORMS,
    INTERRUPTED,
    STRENGTH_OPTIONS,
    TABLE_OPTIONS,
    Commands,
    Failure,
    Options,
    add_command,
    in_words,
    load_data,
    make_network_options,
    number,
    numbers,
    print_error,
    progress_bar,
    select,
    terminal_width,
    whole,
    wrap,
)
from nnreg.lab.bias_variance import report as bias_variance_report
from nnreg.lab.bias_variance.experiment import SamplingDesign, bias_variance_sweep
from nnreg.lab.bias_variance.learners import AXES, NetworkLearner, sweep
from nnreg.lab.bias_variance.processes import PROCESSES
from nnreg.lab.comparison import report as comparison_report
from nnreg.lab.comparison.experiment import compare
from nnreg.lab.comparison.figures import NOISE_RULE
from nnreg.lab.comparison.selection import KEEP_GRID, L1_GRID, L2_GRID
from nnreg.lab.comparison.validation import VALIDATION_RULE
from nnreg.lab.path import report as path_report
from nnreg.lab.path.study import PathSettings, study_path
from nnreg.lab.preprocessing import MAX_DEVIATION, TEST_SHARE
from nnreg.lab.reporting.folder import open_folder, written_files
from nnreg.lab.reporting.report import Report
from nnreg.lab.reporting.results import Progress, WorkerDiedError, list_results
from nnreg.lab.settings import DEMONSTRATION, Settings
from nnreg.lab.verdicts import FIT_RULE
from nnreg.penalties import METHODS
from nnreg.training.step import NonFiniteLossError

DATA_OPTIONS: Options = {
    "data": {
        "default": "digits",
        "metavar": "DATA",
        "help": f"{DATA_FORMS} (default: digits); see also: nnreg data",
    },
    **TABLE_OPTIONS,
    "train-size": {
        "type": whole,
        "metavar": "N",
        "help": f"training rows to use (default: {DEMONSTRATION['digits']['train_size']} of the "
        "digits, so that the network overfits; all rows of other data)",
    },
    "label-noise": {
        "type": number,
        "metavar": "SHARE",
        "help": "share of the training labels to make wrong, below 0.5 "
        f"(default: {DEMONSTRATION['digits']['label_noise']:g} for the digits, 0 for other data)",
    },
}


NETWORK_OPTIONS: Options = {
    **make_network_options(Settings),
    "repeats": {
        "type": whole,
        "metavar": "N",
        "help": f"number of seeds with which everything is trained (default: {Settings.repeats})",
    },
    "seed": {
        "type": whole,
        "metavar": "N",
        "help": "selects rows and wrong labels, and is the seed of the first repeat "
        f"(default: {Settings.seed})",
    },
}


def make_output_options(folder: str) -> Options:
    """Return the options of the output folder."""
    return {
        "out": {
            "type": Path,
            "default": Path(folder),
            "metavar": "FOLDER",
            "help": f"output folder (default: {folder}; a number is added if it exists)",
        },
        "force": {
            "action": "store_true",
            "default": False,
            "help": "write into the folder even if it exists; only unchanged files that nnreg "
            "wrote are replaced",
        },
        "details": {
            "action": "store_true",
            "default": False,
            "help": "print all tables of the report",
        },
    }


def make_process_options(jobs: str) -> Options:
    """Return the options of the processes, with ``jobs`` as the description of their number."""
    return {
        "jobs": {
            "type": whole,
            "default": None,
            "metavar": "N",
            "help": f"{jobs} (default: 1; more need joblib: pip install 'nnreg[parallel]')",
        },
        "dask": {
            "default": None,
            "metavar": "ADDRESS",
            "help": "use the workers of this Dask scheduler, such as tcp://head:8786 "
            "(pip install 'nnreg[dask]')",
        },
    }


RESUME: Options = {
    "resume": {
        "action": "store_true",
        "default": False,
        "help": "continue in the folder in which the same command was interrupted",
    },
}


@contextmanager
def dask_workers(address: str | None) -> Iterator[None]:
    """Compute on the workers of a Dask scheduler inside the block; without an address, here."""
    if address is None:
        yield
        return
    try:
        from distributed import Client
        from joblib import parallel_config
    except ImportError:
        raise ImportError("--dask needs distributed: pip install 'nnreg[dask]'") from None
    if not address.rpartition(":")[2].isdigit():
        raise ValueError(f"--dask must be like tcp://head:8786, with the port, got {address!r}")
    for logger in ("distributed.client", "tornado.application"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # the errors are raised too
    client: Any = Client(address, set_as_default=False)  # type: ignore[no-untyped-call]  # untyped
    with client:
        if not client.scheduler_info()["workers"]:
            print_error(f"waiting for the first worker of {address}")
            client.wait_for_workers(1)
        found = client.run(lambda: import_module("nnreg").__version__, on_error="return")
        for worker, version in found.items():
            if version != __version__:
                raise ValueError(
                    f"--dask {address}: nnreg on the worker {worker} is {version!r}, here it is "
                    f"{__version__!r}; install the same version on all machines"
                )
        with parallel_config(backend="dask", client=client):
            yield


def join_numbers(values: Iterable[float]) -> str:
    """Return numbers separated by commas.

    >>> join_numbers([0.1, 2.0])
    '0.1, 2'
    """
    return ", ".join(f"{value:g}" for value in values)


COMPARE: Mapping[str, Options] = {
    "data": DATA_OPTIONS,
    "network and training": NETWORK_OPTIONS,
    "strengths (selected by default)": {
        "l2": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of L2, in strength/2 * sum(w**2), at least 0",
        },
        "l1": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of L1, in strength * sum(abs(w)), at least 0",
        },
        "keep-prob": {
            "type": number,
            "metavar": "P",
            "help": "probability that dropout keeps a hidden unit, above 0, at most 1",
        },
        "l1-method": {
            "metavar": "METHOD",
            "help": f"{' or '.join(METHODS)} (default: {Settings.l1_method}, which makes weights "
            "exactly 0; subgradient does not)",
        },
    },
    "output": {
        **make_output_options("nnreg-compare"),
        **make_process_options("number of networks that are trained in parallel processes"),
        **RESUME,
    },
}

COMPARE_RULES = {
    "rows": "If the data include test rows, these are used; of other data "
    f"{TEST_SHARE * 100:g} % are split off first. Features are standardized by the mean and the "
    "standard deviation of the training rows; a constant feature is only centered, and values "
    f"beyond {MAX_DEVIATION:g} standard deviations are clipped. Test labels are never made wrong.",
    "strengths": "A third of the training rows are used for validation; the strength with the "
    "lowest data loss on them is selected; then they are training rows again. With N training rows "
    f"the grids are {join_numbers(L2_GRID)}, divided by N, for L2; {join_numbers(L1_GRID)}, "
    f"divided by N, for L1; and {join_numbers(KEEP_GRID)} for keep_prob. dropout + L2 takes the "
    "keep_prob selected for dropout and the grid of L2.",
    "verdict": f"{FIT_RULE} {VALIDATION_RULE}",
    "noise": NOISE_RULE,
}

PATH: Mapping[str, Options] = {
    "data": DATA_OPTIONS,
    "network and training": {
        **NETWORK_OPTIONS,
        **make_network_options(PathSettings),
        "linear": {
            "action": "store_true",
            "default": False,
            "help": "no hidden layers: a softmax regression, trained to its optimum at each "
            "strength",
        },
    },
    "path": {
        "points": {
            "type": whole,
            "metavar": "N",
            "help": f"number of strengths (default: {PathSettings.points})",
        },
        "ratio": {
            "type": number,
            "metavar": "SHARE",
            "help": "ratio of the weakest to the strongest strength "
            f"(default: {PathSettings.ratio:g})",
        },
        "l2": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of an L2 penalty at every point, in strength/2 * sum(w**2) "
            "(default: none)",
        },
    },
    "output": {
        **make_output_options("nnreg-path"),
        **make_process_options("number of repeats that run in parallel processes"),
        **RESUME,
    },
}

_NOISE = ", ".join(f"{kind().noise:g} for {name}" for name, kind in PROCESSES.items())

EXAMPLE = {"rows": 15, "datasets": 20, "noise": 0.6}
"""Of the default sweep, in which a network with a weak penalty overfits."""

_DRAWS = {
    "rows": "training rows of a data set",
    "datasets": "number of data sets, at least 3",
    "seeds": "models of each data set; with 1 the variance is not split",
    "points": "number of common inputs, and of fresh rows of each data set",
    "seed": "seed of all draws",
}

BIAS_VARIANCE: Mapping[str, Options] = {
    "sweep": {
        "sweep": {
            "default": "l2",
            "choices": AXES,
            "help": "the quantity that varies: units of one hidden layer, a strength, or the "
            "degree of a polynomial (default: l2)",
        },
        "values": {
            "type": numbers,
            "metavar": "VALUE,...",
            "help": "its values, from underfit to overfit (default: "
            + "; ".join(f"{name}: {join_numbers(values)}" for name, (_, values) in AXES.items())
            + ")",
        },
    },
    "draws": {
        "process": {
            "default": "sine",
            "choices": PROCESSES,
            "help": "sine: numbers, squared error; bands: two classes, 0-1 loss (default: sine)",
        },
        "noise": {
            "type": number,
            "metavar": "SIZE",
            "help": "standard deviation around the sine, or share of wrong labels "
            f"(default: {_NOISE}; {EXAMPLE['noise']:g} for the sine and l2)",
        },
        **{
            name: {
                "type": whole,
                "metavar": "N",
                "help": f"{text} (default: {getattr(SamplingDesign, name)}"
                + (f"; {EXAMPLE[name]} for the sine and l2)" if name in EXAMPLE else ")"),
            }
            for name, text in _DRAWS.items()
        },
    },
    "network, where the sweep does not vary it": {
        **STRENGTH_OPTIONS,
        **make_network_options(NetworkLearner),
    },
    "output": {**make_output_options("nnreg-bias-variance"), **make_process_options("processes")},
}


def run_compare(args: argparse.Namespace) -> int:
    """Compare, print the table, write the folder, and return the exit status."""
    settings = Settings(**{**DEMONSTRATION.get(args.data, {}), **select(args, Settings)})
    dataset = load_data(args, args.data)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        comparison = compare(dataset, settings, folder=folder, jobs=args.jobs, progress=progress)
        return comparison_report.make_report(comparison)

    return run_experiment(args, experiment, comparison_report.PICTURES, "runs")


def run_path(args: argparse.Namespace) -> int:
    """Compute the path, print the table, write the folder, and return the exit status."""
    chosen = select(args, PathSettings)
    if args.linear:
        chosen |= {"hidden": (), "repeats": chosen.get("repeats", 1)}  # the optimum is unique
    settings = PathSettings(**{**DEMONSTRATION.get(args.data, {}), **chosen})
    dataset = load_data(args, args.data)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        study = study_path(dataset, settings, folder=folder, jobs=args.jobs, progress=progress)
        return path_report.make_report(study)

    return run_experiment(args, experiment, path_report.PICTURES, "points")


def run_bias_variance(args: argparse.Namespace) -> int:
    """Sweep, print the table, write the folder, and return the exit status."""
    if args.sweep == "l2" and args.process == "sine":
        args = argparse.Namespace(**EXAMPLE | vars(args))
    process = PROCESSES[args.process](**select(args, PROCESSES[args.process]))
    design = SamplingDesign(**select(args, SamplingDesign))
    base = NetworkLearner(**select(args, NetworkLearner))
    learners = sweep(args.sweep, vars(args).get("values"), base)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        results = bias_variance_sweep(
            learners, process, design, jobs=args.jobs, folder=folder, progress=progress
        )
        return bias_variance_report.make_report(results, AXES[args.sweep][0])

    return run_experiment(args, experiment, bias_variance_report.PICTURES, "data sets")


def run_experiment(
    args: argparse.Namespace,
    experiment: Callable[[Path, Progress | None], Report],
    pictures: Iterable[str],
    unit: str,
) -> int:
    """Run an experiment, print its table, write its report and return the exit status.

    Parameters
    ----------
    args : Namespace
        With ``command``, ``out``, ``force``, ``dask`` and, unless results of an interrupted
        command are always used again, ``resume``.
    experiment : function (folder, progress) -> Report
    pictures : iterable of str
        Names of the report's pictures.
    unit : str
        Unit of the results that are kept in the folder until the experiment is finished, plural.
    """
    kind, resume = args.command, vars(args).get("resume")
    if resume and args.out.exists() and not args.force and not list_results(args.out, kind):
        raise ValueError(f"resume: {args.out} has no {unit} of an interrupted command")
    unfinished = "" if resume is False else kind
    with open_folder(args.out, pictures, force=args.force, resume=unfinished) as folder:
        before = written_files(folder)
        try:
            with (
                progress_bar(f" {unit}") as progress,
                dask_workers(args.dask),
            ):
                report = experiment(folder, progress)
            report.write_numbers(folder)
            with suppress(BrokenPipeError):  # the pictures are drawn nevertheless
                print(report.to_text(terminal_width(), details=args.details), flush=True)
            names = report.write(folder)
        except (
            KeyboardInterrupt,
            NonFiniteLossError,
            WorkerDiedError,
            MemoryError,
            OSError,
        ) as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            written = [name for name, d in written_files(folder).items() if before.get(name) != d]
            parts = ["interrupted" if interrupted else in_words(error)]
            if written:
                parts.append(f"{folder} has {' and '.join(written)}")
            if finished := list_results(folder, kind):
                n = len(finished)
                count = f"{n} {unit} are" if n > 1 else f"1 {unit.removesuffix('s')} is"
                options = "" if resume is None else f" with --out {folder} --resume"
                parts.append(
                    f"{count} kept in {folder}; the same command{options} continues from there"
                )
            if interrupted and len(parts) == 1:
                parts.append("nothing was kept")
            raise Failure("; ".join(parts), INTERRUPTED if interrupted else 1) from error
        for path in list_results(folder, kind):
            path.unlink(missing_ok=True)
    print()
    print(wrap(f"More figures: --details, or report.html. Rules: nnreg {args.command} --help"))
    print(wrap(f"Written to {folder}: {', '.join(names)}"))
    if len(names) == 2:
        print("No pictures without matplotlib: pip install 'nnreg[plots]'")
    return 0


COMMANDS: Mapping[str, Mapping[str, Any]] = {
    "compare": {
        "run": run_compare,
        "help": "compare no regularization, L2, L1, dropout, and dropout + L2",
        "description": (
            "Train one network in five ways: without regularization, with L2, with L1, with "
            "dropout, and with dropout + L2. Within a repeat all five start from the same weights"
            " and use the same batches in the same order. Prints a table, and writes report.json,"
            " report.html and pictures into a folder."
        ),
        "options": COMPARE,
        "rules": COMPARE_RULES,
    },
    "path": {
        "run": run_path,
        "help": "compute the regularization path: zeros and losses by the strength of L1",
        "description": (
            "Train one network under many strengths of proximal L1, each from the weights of the "
            "one before, and count the weights that are exactly zero. Prints a table, and writes "
            "report.json, report.html and path.png into a folder."
        ),
        "options": PATH,
        "rules": path_report.RULES,
    },
    "bias-variance": {
        "run": run_bias_variance,
        "help": "measure bias and variance for a known process, by model size or penalty strength",
        "description": (
            "Learn from many data sets drawn from a known process, with many seeds, and decompose"
            " the error into bias², variance and noise. Sweeps a size or a strength, prints a "
            "table, and writes report.json, report.html, terms.png and fits.png into a folder. "
            "Finished results are kept there; after an interruption the same command continues from"
            " them."
        ),
        "options": BIAS_VARIANCE,
        "rules": {**bias_variance_report.MEANINGS, "verdict": FIT_RULE},
    },
}


def add(commands: Commands) -> None:
    """Add the commands to the parser; their help ends with the rules of the experiment."""
    for name, parts in COMMANDS.items():
        add_command(commands, name, parts)
