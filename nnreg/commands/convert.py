"""The command `nnreg convert`: a network from one file format to another."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnreg._support.tables import listed
from nnreg.checkpoint import save
from nnreg.commands.shared import Commands, add_command
from nnreg.interop import load_keras, save_keras, save_onnx
from nnreg.lab.model import Model
from nnreg.network import Network


def _read_model(path: Path) -> Network:
    """Return the network of a file of nnreg, with a warning if `nnreg train` scaled its data."""
    model = Model.read(path)
    if model.standardization is not None or model.target_scale != (0.0, 1.0):
        warnings.warn(
            f"{path} has scales of the data, which are not converted: the network's inputs are "
            "(x - mean) / scale, with the arrays data.mean and data.scale of that file",
            stacklevel=2,
        )
    return model.net


FORMATS: Mapping[str, tuple[Callable[..., Network] | None, Callable[..., None] | None]] = {
    ".npz": (_read_model, save),
    ".safetensors": (_read_model, save),
    ".keras": (load_keras, save_keras),
    ".onnx": (None, save_onnx),
}
"""By the end of a file's name: what reads it, and what writes it."""

DESCRIPTION = (
    "Convert a network from one format to another: .npz and .safetensors are nnreg's formats, "
    ".keras is that of Keras 3, .onnx is for inference. Weights, layers, penalties, constraints "
    "and dropout are converted, or the command ends with an error that names what the other format "
    "cannot express. Nothing in a file is executed, and the other library need not be installed."
)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parts = {
        "run": run,
        "help": "convert a network to or from a format of another library",
        "description": DESCRIPTION,
        "options": {},
        "rules": {},
    }
    command = add_command(commands, "convert", parts)
    for name, column in (("source", 0), ("result", 1)):
        ends = ", ".join(end for end, functions in FORMATS.items() if functions[column])
        command.add_argument(name, type=Path, metavar=name.upper(), help=f"a file: {ends}")
    command.add_argument(
        "--force", action="store_true", default=False, help="replace the file if it exists"
    )


def run(args: argparse.Namespace) -> int:
    """Convert the file, and return the exit status."""
    read, write = _find(args.source, 0, "read"), _find(args.result, 1, "written")
    net = read(args.source)
    write(net, args.result, overwrite=args.force)
    print(
        f"wrote {args.result}: {net.inputs} inputs, {net.widths[-1]} outputs, "
        f"{net.parameters.vector.size:,} parameters, {net.dtype}"
    )
    return 0


def _find(path: Path, column: int, verb: str) -> Any:
    """Return the function for a file of this name."""
    known = {end: functions[column] for end, functions in FORMATS.items() if functions[column]}
    if path.suffix.lower() not in known:
        raise ValueError(f"{path} cannot be {verb}: its name must end in {listed(list(known))}")
    return known[path.suffix.lower()]
