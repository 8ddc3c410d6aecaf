"""The commands `nnreg compare`, `nnreg path` and `nnreg bias-variance`."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from nnreg import datasets
from nnreg.commands.shared import Commands, fail, in_words, number, numbers, whole, widths
from nnreg.lab.bias_variance import report as bias_variance_report
from nnreg.lab.bias_variance.experiment import SamplingDesign, bias_variance_sweep
from nnreg.lab.bias_variance.learners import AXES, NetworkLearner, sweep
from nnreg.lab.bias_variance.processes import PROCESSES
from nnreg.lab.comparison import report as comparison_report
from nnreg.lab.comparison.experiment import compare
from nnreg.lab.comparison.selection import KEEP_GRID, L1_GRID, L2_GRID
from nnreg.lab.path import report as path_report
from nnreg.lab.path.study import PathSettings, study_path
from nnreg.lab.preprocessing import MAX_DEVIATION, TEST_SHARE
from nnreg.lab.reporting.folder import open_folder, written_files
from nnreg.lab.reporting.report import Report
from nnreg.lab.reporting.results import Progress, WorkerDiedError, list_results
from nnreg.lab.settings import DEMONSTRATION, OPTIMIZERS, Settings
from nnreg.lab.verdicts import FIT_RULE
from nnreg.penalties import METHODS
from nnreg.training.step import NonFiniteLossError

Options = Mapping[str, Mapping[str, Any]]
"""By name: the arguments of ``add_argument``."""


DATA_OPTIONS: Options = {
    "data": {
        "default": "digits",
        "metavar": "DATA",
        "help": f"{', '.join(datasets.NAMES)}, FILE.csv, FILE.npz, or a FOLDER of IDX files "
        "(default: digits); see also: nnreg data",
    },
    "target": {
        "default": None,
        "metavar": "COLUMN",
        "help": "the column of labels in a CSV file (default: the last)",
    },
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


def make_network_options(defaults: Mapping[str, str]) -> Options:
    """Return the options of a network and its training, with their defaults in words."""
    options: Mapping[str, tuple[Callable[[str], object], str, str]] = {
        "hidden": (widths, "UNITS,...", "units of the hidden layers"),
        "optimizer": (str, "NAME", ", ".join(OPTIMIZERS)),
        "learning-rate": (number, "RATE", "learning rate of the optimizer, above 0"),
        "epochs": (whole, "N", "passes over the training rows"),
        "batch-size": (whole, "N", "training rows in a step"),
    }
    return {
        name: {"type": read, "metavar": metavar, "help": f"{text} (default: {defaults[name]})"}
        for name, (read, metavar, text) in options.items()
    }


NETWORK_OPTIONS: Options = {
    **make_network_options(
        {
            "hidden": ",".join(map(str, Settings.hidden)),
            "optimizer": Settings.optimizer,
            "learning-rate": ", ".join(
                f"{rate:g} for {name}" for name, (_, rate) in OPTIMIZERS.items()
            ),
            "epochs": "about 1,000 steps, 10 to 100 epochs",
            "batch-size": f"{Settings.batch_size}",
        }
    ),
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
    }


def make_jobs_option(jobs: str) -> Options:
    """Return the option of the number of processes, which ``jobs`` describes."""
    text = f"{jobs} (default: 1; more need joblib: pip install 'nnreg[parallel]')"
    return {"jobs": {"type": whole, "default": 1, "metavar": "N", "help": text}}


def join_numbers(values: Iterable[float]) -> str:
    """Return numbers with commas between them.

    >>> join_numbers([0.1, 2.0])
    '0.1, 2'
    """
    return ", ".join(f"{value:g}" for value in values)


COMPARE: Mapping[str, Options] = {
    "data": DATA_OPTIONS,
    "network and training": NETWORK_OPTIONS,
    "strengths (selected, unless given)": {
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
    "output": make_output_options("nnreg-compare"),
}

COMPARE_RULES = {
    "rows": "Data that come with test rows are tested on those; of other data "
    f"{TEST_SHARE * 100:g} % are split off first. Features are standardized by mean and deviation "
    "of the training rows; one that is constant there is divided by 1, and values beyond "
    f"{MAX_DEVIATION:g} deviations are clipped. Test labels are never made wrong.",
    "strengths": "A third of the training rows are held out for validation; the lowest data loss "
    "on them selects the strength; then they are training rows again. With N training rows the "
    f"grids are {join_numbers(L2_GRID)}, divided by N, for L2; {join_numbers(L1_GRID)}, divided by "
    f"N, for L1; and {join_numbers(KEEP_GRID)} for keep_prob. dropout + L2 takes the keep_prob "
    "selected for dropout and tries the grid of L2 again.",
    "verdict": f"{FIT_RULE} The models are all variants after every epoch. With label noise, the "
    "test loss in this rule is the noisy one.",
    "noise": comparison_report.NOISE_RULE,
}

PATH: Mapping[str, Options] = {
    "data": DATA_OPTIONS,
    "network and training": {
        **NETWORK_OPTIONS,
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
            "help": f"the weakest strength over the strongest (default: {PathSettings.ratio:g})",
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
        **make_jobs_option("repeats at once, each in a process of its own"),
        "resume": {
            "action": "store_true",
            "default": False,
            "help": "go on in the folder in which the same command was interrupted",
        },
    },
}

_NOISE = ", ".join(f"{kind().noise:g} for {name}" for name, kind in PROCESSES.items())

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
            "default": "width",
            "choices": AXES,
            "help": "the quantity that varies: units of one hidden layer, a strength, or the "
            "degree of a polynomial (default: width)",
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
            f"(default: {_NOISE})",
        },
        **{
            name: {
                "type": whole,
                "metavar": "N",
                "help": f"{text} (default: {getattr(SamplingDesign, name)})",
            }
            for name, text in _DRAWS.items()
        },
    },
    "network, where the sweep does not vary it": {
        "l2": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of L2, in strength/2 * sum(w**2) (default: 0)",
        },
        "l1": {
            "type": number,
            "metavar": "STRENGTH",
            "help": "strength of L1, in strength * sum(abs(w)) (default: 0)",
        },
        "keep-prob": {
            "type": number,
            "metavar": "P",
            "help": "probability that dropout keeps a hidden unit (default: 1)",
        },
        **make_network_options(
            {
                "hidden": ",".join(map(str, NetworkLearner.hidden)),
                "optimizer": NetworkLearner.optimizer,
                "learning-rate": f"{NetworkLearner.learning_rate:g}",
                "epochs": f"{NetworkLearner.epochs}",
                "batch-size": f"{NetworkLearner.batch_size}",
            }
        ),
    },
    "output": {**make_output_options("nnreg-bias-variance"), **make_jobs_option("processes")},
}


def run_compare(given: argparse.Namespace) -> int:
    """Compare, print the table, write the folder, and return the exit status."""
    settings = Settings(**{**DEMONSTRATION.get(given.data, {}), **select(given, Settings)})
    dataset = datasets.load(given.data, target=given.target)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        return comparison_report.make_report(compare(dataset, settings, progress))

    return run_experiment(given, experiment, comparison_report.PICTURES, "epochs")


def run_path(given: argparse.Namespace) -> int:
    """Compute the path, print the table, write the folder, and return the exit status."""
    chosen = select(given, PathSettings)
    if given.linear:
        chosen |= {"hidden": (), "repeats": chosen.get("repeats", 1)}  # there is one optimum
    settings = PathSettings(**{**DEMONSTRATION.get(given.data, {}), **chosen})
    dataset = datasets.load(given.data, target=given.target)
    fresh = given.out.exists() and not given.force and not list_results(given.out, "path")
    if given.resume and fresh:
        raise ValueError(f"resume: {given.out} has no points of an interrupted path")

    def experiment(folder: Path, progress: Progress | None) -> Report:
        study = study_path(dataset, settings, folder=folder, jobs=given.jobs, progress=progress)
        return path_report.make_report(study)

    return run_experiment(
        given,
        experiment,
        path_report.PICTURES,
        "points",
        kind="path",
        resume=given.resume,
        hint="the same command with --out {} --resume goes on from there",
    )


def run_bias_variance(given: argparse.Namespace) -> int:
    """Sweep, print the table, write the folder, and return the exit status."""
    process = PROCESSES[given.process](**select(given, PROCESSES[given.process]))
    design = SamplingDesign(**select(given, SamplingDesign))
    base = NetworkLearner(**select(given, NetworkLearner))
    learners = sweep(given.sweep, vars(given).get("values"), base)

    def experiment(folder: Path, progress: Progress | None) -> Report:
        results = bias_variance_sweep(
            learners, process, design, jobs=given.jobs, folder=folder, progress=progress
        )
        return bias_variance_report.make_report(results, AXES[given.sweep][0])

    return run_experiment(
        given,
        experiment,
        bias_variance_report.PICTURES,
        "data sets",
        kind="bias-variance",
        resume=True,
        hint="the same command goes on from there",
    )


def select(given: argparse.Namespace, kind: Any) -> dict[str, Any]:
    """Return the given options that are fields of a dataclass."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in vars(given).items() if name in names}


def run_experiment(
    given: argparse.Namespace,
    experiment: Callable[[Path, Progress | None], Report],
    pictures: Iterable[str],
    unit: str,
    *,
    kind: str = "",
    resume: bool = False,
    hint: str = "",
) -> int:
    """Run an experiment, print its table, write its report and return the exit status.

    Parameters
    ----------
    given : Namespace
        With ``out`` and ``force``.
    experiment : function (folder, progress) -> Report
    pictures : iterable of str
        Names of the report's pictures.
    unit : str
        Unit of progress, in the plural.
    kind : str, optional
        The kind of the results that the experiment keeps in the folder until it is finished.
    resume : bool, default False
        Use a folder with such results again.
    hint : str, optional
        How to go on after an interruption; ``{}`` stands for the folder.
    """
    unfinished = kind if resume else ""
    with open_folder(given.out, pictures, force=given.force, resume=unfinished) as folder:
        before = written_files(folder)
        try:
            with progress_bar(f" {unit}") as progress:
                report = experiment(folder, progress)
            report.write_numbers(folder)
            print(report)
            names = report.write(folder)
        except (KeyboardInterrupt, NonFiniteLossError, WorkerDiedError, OSError) as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            written = [name for name, d in written_files(folder).items() if before.get(name) != d]
            parts = ["interrupted" if interrupted else in_words(error)]
            if written:
                parts.append(f"{folder} has {' and '.join(written)}")
            if finished := list_results(folder, kind):
                n = len(finished)
                count = f"{n} {unit} are" if n > 1 else f"1 {unit.removesuffix('s')} is"
                parts += [f"{count} kept in {folder}", hint.format(folder)]
            if interrupted and len(parts) == 1:
                parts.append("nothing was kept")
            return fail("; ".join(parts), 130 if interrupted else 1)
        for path in list_results(folder, kind):
            path.unlink(missing_ok=True)
    print(f"\nRules: nnreg {given.command} --help")
    print(f"Written to {folder}: {', '.join(names)}")
    if len(names) == 2:
        print("No pictures without matplotlib: pip install 'nnreg[plots]'")
    if report.numbers.get("interrupted"):
        repeats = f"{report.numbers['repeats']} of {report.numbers['settings']['repeats']} repeats"
        return fail(f"interrupted; the report has the {repeats} that were finished", 130)
    return 0


@contextmanager
def progress_bar(unit: str) -> Iterator[Progress | None]:
    """Give a progress bar on stderr, if that is a terminal and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(unit=unit, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(text: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(text, refresh=False)
            bar.update(done - bar.n)

        yield progress


COMMANDS: Mapping[str, Mapping[str, Any]] = {
    "compare": {
        "run": run_compare,
        "help": "compare no regularization, L2, L1, dropout, and dropout + L2",
        "description": (
            "Train one network in five ways: without regularization, with L2, with L1, with "
            "dropout, and with dropout + L2. Within a repeat all five start from the same weights"
            " and see the same batches in the same order. Prints a table, and writes report.json,"
            " report.html, curves.png and weights.png into a folder."
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
        "help": "measure bias and variance of a known process, along a size or a strength",
        "description": (
            "Learn from many data sets drawn from a known process, with many seeds, and decompose"
            " the error into bias², variance and noise. Sweeps a size or a strength, prints a "
            "table, and writes report.json, report.html, terms.png and fits.png into a folder. "
            "Finished results are kept there; after an interruption the same command goes on from"
            " them."
        ),
        "options": BIAS_VARIANCE,
        "rules": {**bias_variance_report.MEANINGS, "verdict": FIT_RULE},
    },
}


def add(commands: Commands) -> None:
    """Add the commands to the parser; their help ends with the rules of the experiment."""
    for name, parts in COMMANDS.items():
        rules = (
            f"{rule}:\n{textwrap.indent(textwrap.fill(text, 76), '  ')}"
            for rule, text in parts["rules"].items()
        )
        command = commands.add_parser(
            name,
            help=parts["help"],
            description=textwrap.fill(parts["description"], 78),
            epilog="\n\n".join(rules),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
        )
        for title, options in parts["options"].items():
            group = command.add_argument_group(title)
            for option, arguments in options.items():
                group.add_argument(f"--{option}", **arguments)
        command.set_defaults(run=parts["run"])
