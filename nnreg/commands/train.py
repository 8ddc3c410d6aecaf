"""The command `nnreg train`: a network trained on a table, in a folder with its report."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnreg import plots
from nnreg._support.system import reserve_folder
from nnreg._support.tables import listed, printable
from nnreg._support.typing import Array
from nnreg.checkpoint import load
from nnreg.commands.shared import (
    DATA_FORMS,
    FORM,
    INTERRUPTED,
    SEED_OPTION,
    STRENGTH_OPTIONS,
    TABLE_OPTIONS,
    Commands,
    Failure,
    Options,
    add_command,
    get_options,
    in_words,
    load_data,
    make_network_options,
    number,
    progress_bar,
    select,
    terminal_width,
    whole,
)
from nnreg.datasets import Dataset, split_rows
from nnreg.datasets.loading import find_names
from nnreg.lab.model import MODEL, Model
from nnreg.lab.preprocessing import MAX_DEVIATION, Standardization
from nnreg.lab.reporting.folder import (
    PAGE,
    list_checkpoints,
    open_model_folder,
    read_numbers,
    remove_run,
)
from nnreg.lab.reporting.report import Report, Table, describe_training
from nnreg.lab.settings import ACTIVATIONS, ModelSettings, Strengths, build_network
from nnreg.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from nnreg.training.callbacks import Callback, EarlyStopping, FunctionCallback, TrainingState
from nnreg.training.data import Data
from nnreg.training.history import History
from nnreg.training.loop import evaluate, fit
from nnreg.training.resume import BEST, Checkpoint, fingerprint
from nnreg.training.step import NonFiniteLossError

HISTORY, CURVES = "history.csv", "curves"
FIRST = f"checkpoint-{0:09d}.npz"  # of no step
SECONDS = 60  # a long epoch is saved so often

DESCRIPTION = (
    "Train a network on the data, and write a folder with model.npz, history.csv, report.json, "
    "report.html and curves.png. The run is saved after every epoch, and in long epochs once a "
    "minute. If it is interrupted, the same command resumes it, and the final model is the same "
    "to the last bit. A larger --epochs continues a finished run."
)

RULES = {
    "rows": "The validation rows are drawn at random, stratified by class. They are not used for "
    "training, only for the validation loss and --early-stopping. If the data include test rows, "
    "they are used once, at the end.",
    "features": "Features are standardized by the mean and the standard deviation of the training "
    "rows; a constant feature is only centered, and values beyond "
    f"{MAX_DEVIATION:g} standard deviations are clipped. The model file contains the mean and the "
    "standard deviation, and nnreg predict applies them.",
    "loss": "Softmax cross-entropy; for a regression, the mean squared error of the standardized "
    "target.",
}

FITTING = make_network_options(ModelSettings)

OPTIONS: Mapping[str, Options] = {
    "data": {
        **TABLE_OPTIONS,
        "regression": {
            "action": "store_true",
            "help": "the target is a number to predict (default: a class)",
        },
        "validation": {
            "metavar": "FILE",
            "help": "file of validation rows with the same columns, instead of a split",
        },
        "validation-split": {
            "type": number,
            "metavar": "SHARE",
            "help": "share of the rows held out for validation, 0 for none "
            f"(default: {ModelSettings.validation_split:g})",
        },
        "standardize": {
            "action": argparse.BooleanOptionalAction,
            "help": "standardize the features (default: yes)",
        },
    },
    "network": {
        "hidden": FITTING["hidden"],
        "activation": {
            "metavar": "NAME",
            "help": f"{', '.join(ACTIVATIONS)} (default: {ModelSettings.activation})",
        },
        **STRENGTH_OPTIONS,
    },
    "training": {
        **{name: arguments for name, arguments in FITTING.items() if name != "hidden"},
        "early-stopping": {
            "type": whole,
            "metavar": "N",
            "help": "stop after N epochs without a lower validation loss, and restore the weights "
            "of the best epoch (default: no)",
        },
        **SEED_OPTION,
    },
    "output": {
        "out": {
            "type": Path,
            "required": True,
            "metavar": "FOLDER",
            "help": "folder for the model; an interrupted run in it is resumed",
        },
        "force": {
            "action": "store_true",
            "default": False,
            "help": "start from the beginning in a folder that exists; only unchanged files that "
            "nnreg wrote are replaced",
        },
    },
}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parts = {
        "run": run,
        "help": "train a network on a table, and save it with its history and a report",
        "description": DESCRIPTION,
        "options": OPTIONS,
        "rules": RULES,
    }
    command = add_command(commands, "train", parts)
    command.add_argument("data", metavar="DATA", help=DATA_FORMS)


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained: an untrained model, and rows by the names of their parts."""

    dataset: Dataset
    model: Model
    loss: Loss
    rows: Mapping[str, Data]
    settings: ModelSettings


def run(args: argparse.Namespace) -> int:
    """Train, or continue, write the folder, print the results and return the exit status."""
    settings = ModelSettings(**select(args, ModelSettings))
    task = prepare(args, settings)
    net, out, rows = task.model.net, args.out, task.rows
    identity = describe_run(task)
    if not args.force:
        check_same_run(out, identity)
    callbacks: list[Callback] = []
    if settings.early_stopping:
        callbacks.append(EarlyStopping(patience=settings.early_stopping))
    names = (MODEL, HISTORY, PAGE, f"{CURVES}.png")
    trained: list[int] = []
    with open_model_folder(out, names, identity, force=args.force) as folder:
        try:
            with progress_bar(" epochs") as progress:

                def count(state: TrainingState) -> None:
                    trained.append(len(state.history))
                    if progress is not None:
                        loss = state.history.last["data_loss"]
                        progress(f"loss {loss:.4f}", len(state.history), state.epochs)

                history = fit(
                    net,
                    *rows["training"][:2],
                    loss=task.loss,
                    optimizer=task.settings.new_optimizer(),
                    epochs=task.settings.epochs or 0,
                    batch_size=settings.batch_size,
                    validation_data=rows["validation"][:2] if "validation" in rows else None,
                    metrics=["accuracy"] if task.dataset.class_names else [],
                    callbacks=[*callbacks, FunctionCallback(count)],
                    checkpoint=Checkpoint(folder, every_seconds=SECONDS),
                )
            report = make_report(task, history, identity)
            with suppress(BrokenPipeError):  # the files are written nevertheless
                print(report.to_text(terminal_width()), flush=True)
            net.classes = make_labels(task.dataset.class_names)
            files = {MODEL: task.model.encode(), HISTORY: encode_history(history)}
            written = report.write(folder, files)
        except (KeyboardInterrupt, NonFiniteLossError, MemoryError, OSError) as error:
            raise explain_end(error, folder) from error
    if not trained:
        print("\nThe run was finished before: nothing was trained.", end="")
    print(f"\nWritten to {out}: {', '.join(written)}")
    if f"{CURVES}.png" not in written:
        print("No picture without matplotlib: pip install 'nnreg[plots]'")
    print(f"To predict new rows: nnreg predict {out} NEW.csv")
    return 0


def prepare(args: argparse.Namespace, settings: ModelSettings) -> Task:
    """Read the data, split and standardize them, and return them with an untrained model."""
    dataset = load_data(args, args.data)
    x, y = dataset.x, dataset.y
    parts = {"training": (x, y)}
    if "validation" in vars(args):
        if "validation_split" in vars(args):
            raise ValueError("validation: leave out --validation-split, which it replaces")
        held_out = load_data(args, args.validation)
        parts["validation"] = match_rows(dataset, held_out)
    elif settings.validation_split:
        strata = y if dataset.class_names else np.zeros(len(y), int)
        try:
            training, held = split_rows(
                strata, test_size=settings.validation_split, seed=settings.seed
            )
        except ValueError:
            raise ValueError(
                f"validation_split of {settings.validation_split:g} leaves none of {len(y)} rows "
                "for training or for validation"
            ) from None
        parts = {"training": (x[training], y[training]), "validation": (x[held], y[held])}
    if settings.early_stopping and "validation" not in parts:
        raise ValueError("early_stopping needs validation rows: --validation or --validation-split")
    if dataset.x_test is not None and dataset.y_test is not None:
        parts["test"] = (dataset.x_test, dataset.y_test)
    x, y = parts["training"]
    scale = (0.0, 1.0)
    if not dataset.class_names:
        scale = (float(y.mean()), float(y.std()) or 1.0)
    form = get_options(args, FORM)
    names = find_names(args.data, **form)
    net = build_network(
        settings.hidden,
        Strengths(settings.l2, settings.l1, settings.keep_prob),
        inputs=x.shape[1],
        outputs=len(dataset.class_names) or 1,
        seed=settings.seed,
        activation=settings.activation,
    )
    standardization = Standardization.of(x) if settings.standardize else None
    features = set(dataset.feature_names)
    model = Model(
        net,
        features=dataset.feature_names,
        ignored=tuple(name for name in names if name not in features),
        standardization=standardization,
        target_scale=scale,
    )
    rows = {}
    for name, (x, y) in parts.items():
        target = y if dataset.class_names else (y - scale[0]) / scale[1]
        rows[name] = Data(model.prepare(x), target)
    settings = replace(settings, epochs=settings.epochs_for(len(rows["training"].x)))
    loss = SoftmaxCrossEntropy() if dataset.class_names else MeanSquaredError()
    return Task(dataset, model, loss, rows, settings)


def make_labels(names: tuple[str, ...]) -> list[Any] | None:
    """Return class names as the labels of a network: whole numbers if all are, None without any.

    >>> make_labels(("3", "8")), make_labels(("3", "cat")), make_labels(())
    ([3, 8], ['3', 'cat'], None)
    """
    whole = all(re.fullmatch("0|-?[1-9][0-9]{0,17}", name) for name in names)
    return [int(name) if whole else name for name in names] or None


def match_rows(dataset: Dataset, other: Dataset) -> tuple[Array, Array]:
    """Return the rows of a second file with the columns and the classes of the first."""
    if sorted(other.feature_names) != sorted(dataset.feature_names):
        differing = set(other.feature_names) ^ set(dataset.feature_names)
        raise ValueError(
            f"validation: {other.source} has other columns: {listed(sorted(differing))}"
        )
    numbers = {name: number for number, name in enumerate(other.feature_names)}
    y = other.y
    if dataset.class_names:
        if unknown := sorted(set(other.class_names) - set(dataset.class_names)):
            raise ValueError(f"validation: {other.source} has the unknown class {unknown[0]!r}")
        classes = {name: number for number, name in enumerate(dataset.class_names)}
        y = np.array([classes[name] for name in other.class_names])[y]
    return other.x[:, [numbers[name] for name in dataset.feature_names]], y


def describe_run(task: Task) -> dict[str, Any]:
    """Return what must agree for a run to be continued, as JSON has it."""
    settings = asdict(task.settings) | {"learning_rate": task.settings.rate}
    settings["data"] = fingerprint(*task.rows.values())
    decoded: dict[str, Any] = json.loads(json.dumps(settings))
    return decoded


def check_same_run(out: Path, identity: Mapping[str, Any]) -> None:
    """Raise if the folder has a run with other settings or other data."""
    earlier = read_numbers(out).get("run")
    if not isinstance(earlier, dict):
        return
    cure = "name another folder, or train anew with --force"
    for name, here in identity.items():
        there = earlier.get(name)
        if name == "data" and here != there:
            raise FileExistsError(f"{out} has a run with other data: {cure}")
        if name != "epochs" and here != there:
            option = f"--{name.replace('_', '-')}"
            raise FileExistsError(
                f"{out} has a run with {option} {show(there)}, not {show(here)}: {cure}"
            )


def show(value: Any) -> str:
    """Return a setting as on the command line.

    >>> show([64, 64]), show(None), show(0.5)
    ('64,64', 'none', '0.5')
    """
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def explain_end(error: BaseException, folder: Path) -> Failure:
    """Return the failure of a run: what ended it, and what is kept of it."""
    if isinstance(error, BlockingIOError):  # another run is using it
        return Failure(in_words(error), 2)
    interrupted = isinstance(error, KeyboardInterrupt)
    parts = ["interrupted" if interrupted else in_words(error)]
    saved = [name for name in list_checkpoints(folder) if name != BEST]
    if saved and saved[-1] != FIRST:
        epochs = load(folder / saved[-1]).epochs
        cure = "the same command continues it"
        if isinstance(error, NonFiniteLossError):
            cure = "--force trains anew"
        count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        parts.append(f"{folder} has the run, {count} finished; {cure}")
    else:
        with suppress(OSError), reserve_folder(folder):
            remove_run(folder)
        parts += ["nothing was kept"] if interrupted else []
    return Failure("; ".join(parts), INTERRUPTED if interrupted else 1)


def encode_history(history: History) -> bytes:
    """Return the history as a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(history.last)
    writer.writerows(row.values() for row in history.rows)
    return text.getvalue().encode()


def make_report(task: Task, history: History, identity: Mapping[str, Any]) -> Report:
    """Return the report of a finished run."""
    model, settings, dataset = task.model, task.settings, task.dataset
    figures = {name: measure(task, data) for name, data in task.rows.items()}
    heads = list(next(iter(figures.values())))
    columns = history.columns
    widths = "-".join(map(str, (model.net.inputs, *settings.hidden, model.net.widths[-1])))
    strengths = Strengths(settings.l2, settings.l1, settings.keep_prob)
    scale = "standardized" if settings.standardize else "not standardized"
    kind = f"{len(dataset.class_names)} classes" if dataset.class_names else "a regression"
    features = f" ({listed(model.features)})" if len(model.features) <= 10 else ""
    last = list(figures)[-1]
    stopped = f"; ended after {len(history)}: {history.stopped}"
    stopped = stopped if len(history) < (settings.epochs or 0) else ""
    return Report(
        title=f"Network for {printable(dataset.name)}",
        headline=f"{heads[-1].capitalize().removesuffix(' %')} on {last} rows: "
        f"{figures[last][heads[-1]]}{' %' if heads[-1].endswith('%') else ''}.",
        facts={
            "data": f"{printable(dataset.name)} ({dataset.source}); "
            + f"{model.net.inputs:,} features{features}, {scale}; {kind}; "
            + ", ".join(f"{len(data.x):,} {name} rows" for name, data in task.rows.items()),
            "network": f"{widths} with {settings.activation}; regularization: {strengths}",
            "training": describe_training(settings) + stopped,
        },
        tables={
            "Results": Table(["rows"], heads, [[n, *row.values()] for n, row in figures.items()])
        },
        notes=[CLASSIFICATION if dataset.class_names else REGRESSION],
        rules=RULES,
        details={
            "History": Table(
                ["epoch"],
                [name for name in columns if name != "epoch"],
                [
                    [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()]
                    for row in history.rows
                ],
            )
        },
        numbers={
            "run": identity,
            "data": {"name": dataset.name, "source": dataset.source},
            "features": list(model.features),
            "class_names": list(dataset.class_names),
            "results": figures,
            "stopped": history.stopped,
            "history": columns,
        },
        pictures={
            CURVES: {
                "title": "Losses by epoch",
                "alt": "Training and validation loss by epoch.",
                "caption": "The training loss is the mean over the steps of an epoch, with "
                "dropout; the validation loss is measured at the end of the epoch.",
            }
        },
        draw={CURVES: partial(plots.history_curves, columns)} if len(history) else {},
    )


CLASSIFICATION = "Accuracy is the share of the rows whose most probable class is that of the data."
REGRESSION = (
    "The data loss is the mean squared error of the standardized target, RMSE its root in the "
    "unit of the target; R² is 1 - squared error / variance."
)


def measure(task: Task, data: Data) -> dict[str, str]:
    """Return the figures of some rows."""
    figures = evaluate(task.model.net, data.x, data.y, loss=task.loss)
    result = {"number": f"{len(data.x):,}", "data loss": f"{figures['data_loss']:.4f}"}
    if task.dataset.class_names:
        return result | {"accuracy %": f"{100 * figures['accuracy']:.1f}"}
    error, scale = figures["data_loss"], task.model.target_scale[1]
    variance, rmse = float(np.var(data.y)) or 1.0, scale * error**0.5
    return result | {
        "RMSE": f"{rmse:.4g}" if rmse < 1000 else f"{rmse:,.0f}",
        "R²": f"{1 - error / variance:.3f}",
    }
