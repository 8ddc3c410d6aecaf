"""The command `nnreg inspect`: what is in a file of nnreg or of data."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnreg._support.files import open_regular
from nnreg._support.npz import ArrayFile
from nnreg._support.tables import listed, printable, text_table
from nnreg.checkpoint import load, name_file, read_checkpoint
from nnreg.commands.shared import (
    FORM,
    TABLE_OPTIONS,
    Commands,
    Options,
    add_command,
    get_options,
    wrap,
)
from nnreg.datasets.idx import read_idx
from nnreg.datasets.loading import TEXT_ENDINGS
from nnreg.datasets.overview import summarize_columns
from nnreg.lab.model import MODEL, Model
from nnreg.summary import NUMBERS, summarize

MOST = 50  # columns or arrays that are shown

DESCRIPTION = (
    "Describe a file: a network or checkpoint saved by nnreg (.npz, .safetensors), a CSV file, an "
    "NPZ file with arrays, or an IDX file. Prints a summary and the SHA-256; for a network also "
    "the conventions and whether the checksum is correct. Nothing in the file is executed."
)

OPTIONS: Mapping[str, Options] = {"CSV files": {name: TABLE_OPTIONS[name] for name in FORM}}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parts = {
        "run": run,
        "help": "describe a file: a model, a checkpoint, CSV, NPZ or IDX",
        "description": DESCRIPTION,
        "options": OPTIONS,
        "rules": {},
    }
    command = add_command(commands, "inspect", parts)
    command.add_argument(
        "file", type=Path, metavar="FILE", help="a file, or a FOLDER of nnreg train"
    )


def run(args: argparse.Namespace) -> int:
    """Print the description of a file, and return the exit status."""
    path = args.file / MODEL if (args.file / MODEL).is_file() else args.file
    with open_regular(str(path)) as stream:
        start = stream.read(4)
        size = stream.seek(0, 2)
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    facts, *blocks = describe(path, start, get_options(args, FORM))
    facts = {"file": str(path), **facts, "size": f"{size:,} bytes", "SHA-256": digest}
    width = max(map(len, facts)) + 2
    lines = [wrap(f"{name:{width}}{printable(text, 2000)}", width) for name, text in facts.items()]
    for block in ["\n".join(lines), *blocks]:
        for line in (*block.splitlines(), ""):
            print(printable(line, len(line)))
    return 0


def describe(path: Path, start: bytes, form: Mapping[str, Any]) -> Iterator[Any]:
    """Yield facts about a file, then blocks of text."""
    name = str(path)
    if name.lower().endswith(TEXT_ENDINGS):
        yield from describe_table(name, form)
    elif start == b"PK\3\4" or name.lower().endswith(".safetensors"):
        arrays: tuple[str, ...] = ("description", "checksum")
        if start == b"PK\3\4":
            with ArrayFile(name) as file:
                arrays = file.names
                headers = [file.header(array) for array in arrays[:MOST]]
        if "description" in arrays:
            yield from describe_network(path, checked="checksum" in arrays)
            return
        yield {"content": f"NPZ with {len(arrays)} arrays"}
        rows = [[n, str(h.dtype), str(h.shape)] for n, h in zip(arrays, headers, strict=False)]
        yield text_table(["array", "dtype", "shape"], rows + [["..."] * 3] * (len(arrays) > MOST))
    elif start[:2] in (b"\0\0", b"\x1f\x8b"):
        values = read_idx(path)
        yield {
            "content": f"IDX, {values.dtype} of shape {values.shape}",
            "values": f"from {values.min():g} to {values.max():g}" if values.size else "none",
        }
    else:
        raise ValueError(
            f"{path} is no file that nnreg reads: a network or arrays (.npz, .safetensors), a "
            f"table ({', '.join(TEXT_ENDINGS)}) or IDX"
        )


def describe_table(name: str, form: Mapping[str, Any]) -> Iterator[Any]:
    """Yield facts about a CSV file, and a table of its columns."""
    rows, separator, columns = summarize_columns(name, **form)
    yield {"content": f"table, separated by {separator}; {rows:,} rows, {len(columns):,} columns"}
    heads = ["column", "numbers", "missing", "text", "distinct", "lowest", "highest"]
    cells = [
        [
            *(printable(column.name, 24), f"{column.numbers:,}", f"{column.missing:,}"),
            *(f"{column.texts:,}", column.distinct),
            *(f"{value:.6g}" if column.numbers else "" for value in (column.low, column.high)),
        ]
        for column in columns[:MOST]
    ]
    yield text_table(heads, cells + [["..."] * 7] * (len(columns) > MOST), right=range(1, 7))


def describe_network(path: Path, *, checked: bool) -> Iterator[Any]:
    """Yield facts about a network, a table of its layers and its conventions."""
    fields, _ = read_checkpoint(path)
    with name_file(path):
        run = fields.get("run", {})
        is_checkpoint = "settings" in run
        model = Model(load(path)) if is_checkpoint else Model.read(path)
        net = model.net
        head, rows, remarks = summarize(net)
        facts = {
            "content": f"{'checkpoint of a run' if is_checkpoint else 'network'}, "
            f"saved by nnreg {fields.get('nnreg', '0.1')}",
            "checksum": "correct" if checked else "none, as in files of version 0.1",
            "trained": f"{net.steps:,} steps, {net.epochs:,} epochs finished",
        }
        if model.features:
            facts["inputs"] = listed(model.features, 8)
            facts["inputs"] += "; standardized" * (model.standardization is not None)
        if net.classes is not None:
            facts["classes"] = listed(net.classes)
        if model.target_scale != (0.0, 1.0):
            facts["outputs"] = "{1:g} * output + {0:g}".format(*model.target_scale)
        facts |= describe_rules(net, rows)
        for name in ("optimizer", "loss"):
            part = fields.get(name) or run.get("settings", {}).get(name)
            if part:
                facts[name] = part if isinstance(part, str) else describe_object(part)
        if is_checkpoint and run["history"]:
            last = run["history"][-1]
            facts["last epoch"] = ", ".join(f"{n} {v:.4g}" for n, v in last.items())
        conventions = dict(fields.get("conventions", {})).items()
    yield facts
    table = text_table(head[:6], [row[:6] for row in rows], right=NUMBERS)
    yield f"{table}\n{remarks[0]}"
    if conventions:
        width = max(len(name) for name, _ in conventions) + 2
        yield "\n".join(
            ["Conventions", *(wrap(f"{name:{width}}{text}", width) for name, text in conventions)]
        )


def describe_rules(net: Any, rows: list[list[str]]) -> dict[str, str]:
    """Return each penalty and constraint with the parameters that have it."""
    result: dict[str, str] = {}
    for kind, column in (("penalty", 6), ("constraint", 7)):
        parameters: dict[str, list[str]] = {}
        layer = ""
        for row in rows:
            layer = row[0] or layer
            if len(row) > column and row[column] not in ("", "none"):
                parameters.setdefault(row[column], []).append(f"{layer}.{row[2]}")
        result |= {kind: "; ".join(f"{r} on {listed(n)}" for r, n in parameters.items()) or "none"}
    return result


def describe_object(entry: Mapping[str, Any]) -> str:
    """Return an object of a description as its ``repr``.

    >>> describe_object({"kind": "SGD", "settings": {"learning_rate": 0.1}})
    'SGD(learning_rate=0.1)'
    """
    settings = ", ".join(f"{name}={value!r}" for name, value in entry["settings"].items())
    return f"{entry['kind']}({settings})"
