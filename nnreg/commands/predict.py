"""The command `nnreg predict`: a model's predictions for rows, as CSV or NPZ."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnreg import datasets
from nnreg._support.files import check_target, write_whole
from nnreg._support.labels import choose_labels
from nnreg._support.tables import printable
from nnreg._support.typing import Array
from nnreg.commands.shared import (
    DATA_FORMS,
    FORM,
    TABLE_OPTIONS,
    Commands,
    Failure,
    Options,
    add_command,
    get_options,
    in_words,
)
from nnreg.datasets.columns import choose
from nnreg.datasets.loading import find_names
from nnreg.lab.model import MODEL, Model
from nnreg.lab.reporting.folder import list_checkpoints

DESCRIPTION = (
    "Predict the class or the value of every row with a model of nnreg train, or with a network "
    "saved by nn.save. The features are standardized as in training. Prints CSV with one line for "
    "each row, or writes it to FILE.csv, or writes arrays to FILE.npz."
)

OPTIONS: Mapping[str, Options] = {
    "data": {name: TABLE_OPTIONS[name] for name in ("drop", *FORM)},
    "output": {
        "probabilities": {
            "action": "store_true",
            "default": False,
            "help": "write the probability of each class too",
        },
        "out": {
            "type": Path,
            "default": None,
            "metavar": "FILE",
            "help": "FILE.csv or FILE.npz (default: print CSV)",
        },
        "force": {
            "action": "store_true",
            "default": False,
            "help": "replace the file if it exists",
        },
    },
}

RULES = {
    "columns": "If the file and the training data have a header, columns are matched by name, in "
    "any order; a missing or unknown column is an error. Columns that training left out, such as "
    "the target, are ignored. Otherwise the file must have the features alone, in the order of the "
    "training, or all columns of the training data if neither has a header. If the data include "
    "test rows, only these are predicted.",
    "files": "FILE.csv has the column prediction, and with --probabilities a column such as "
    '"probability cat" for each class. FILE.npz has the arrays prediction, classes and '
    "probabilities.",
}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parts = {
        "run": run,
        "help": "predict the classes or values of rows with a trained model",
        "description": DESCRIPTION,
        "options": OPTIONS,
        "rules": RULES,
    }
    command = add_command(commands, "predict", parts)
    command.add_argument(
        "model", type=Path, metavar="MODEL", help="FOLDER of nnreg train, or FILE of nn.save"
    )
    command.add_argument("data", metavar="DATA", help=DATA_FORMS)


def run(args: argparse.Namespace) -> int:
    """Predict, write the predictions and return the exit status."""
    if args.out is not None:
        if args.out.suffix not in (".csv", ".npz"):
            raise ValueError(f"out must be a file that ends in .csv or .npz, got {args.out}")
        check_target(args.out, overwrite=args.force)
    model = read_model(args.model)
    if args.probabilities and model.net.classes is None:
        raise ValueError(f"probabilities: {args.model} has no classes")
    outputs = model.predict(read_inputs(args, model))
    columns = tabulate(model, outputs, probabilities=args.probabilities)
    if args.out is None:
        print(encode_csv(columns, escaped=sys.stdout.isatty()), end="")
        return 0
    content = encode_csv(columns).encode() if args.out.suffix == ".csv" else encode_npz(columns)
    try:
        write_whole(args.out, content, overwrite=args.force)
    except OSError as error:
        raise Failure(f"the predictions could not be written: {in_words(error)}", 1) from error
    return 0


def read_model(path: Path) -> Model:
    """Read the model of a file or of a folder."""
    if not path.is_dir():
        return Model.read(path)
    if not (path / MODEL).exists():
        hint = "; its run is not finished: the same nnreg train continues it"
        raise FileNotFoundError(
            f"{path} has no {MODEL}{hint if list_checkpoints(path) else ', as nnreg train writes'}"
        )
    return Model.read(path / MODEL)


def read_inputs(args: argparse.Namespace, model: Model) -> Array:
    """Read the rows that are predicted, with the columns in the order of the model's inputs."""
    options = get_options(args, (*FORM, "drop"))
    form = get_options(args, FORM)
    if names := find_names(args.data, **form):
        drop = options.get("drop", ())
        kept, _ = choose(args.data, names, target=False, columns=None, drop=drop)
        found = model.find_columns(args.data, [names[number] for number in kept])
        options = {**form, "columns": [kept[number] for number in found]}
    dataset = datasets.load(args.data, target=False, **options)
    x = dataset.x if dataset.x_test is None else dataset.x_test
    if x.shape[1] != model.net.inputs:
        raise ValueError(
            f"{args.data}: {x.shape[1]} features, but the model has {model.net.inputs} inputs"
        )
    return x


def tabulate(model: Model, outputs: Array, *, probabilities: bool) -> dict[str, Array]:
    """Return the predictions as columns by name, and the classes."""
    if model.net.classes is None:
        return {"prediction": outputs[:, 0] if outputs.shape[1] == 1 else outputs}
    columns = {
        "prediction": choose_labels(outputs, model.net.classes),
        "classes": np.array(model.net.classes),
    }
    return columns | ({"probabilities": model.probabilities(outputs)} if probabilities else {})


def encode_csv(columns: Mapping[str, Array], *, escaped: bool = False) -> str:
    """Return the predictions as lines, on a terminal with control characters escaped.

    >>> print(encode_csv({"prediction": np.array([0.5, 1.5])}), end="")
    prediction
    0.5
    1.5
    """
    values = columns["prediction"]
    heads = ["prediction"] if values.ndim == 1 else [f"output {i}" for i in range(values.shape[1])]
    parts = [values.reshape(len(values), -1)]
    if "probabilities" in columns:
        heads += [f"probability {name}" for name in columns["classes"]]
        parts.append(columns["probabilities"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in zip(*parts, strict=True):
        writer.writerow([value for part in row for value in part.tolist()])
    if escaped:
        lines = text.getvalue().splitlines()
        return "".join(f"{printable(line, len(line))}\n" for line in lines)
    return text.getvalue()


def encode_npz(columns: Mapping[str, Array]) -> bytes:
    """Return the predictions as an ``.npz`` file."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **columns)
    return content.getvalue()
