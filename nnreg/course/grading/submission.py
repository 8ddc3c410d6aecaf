"""A submission becomes a module, and what goes wrong in it becomes a sentence."""

from __future__ import annotations

import ast
import json
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "submission"  # what error messages and tracebacks call it
LONGEST = 2_000  # characters of a reason

#: Cell magics below which Python stands; below others there is another language.
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")


class MissedError(AssertionError):
    """What a check asks for is not there; the message is for the student."""


def load(path: Path) -> ModuleType:
    """Run a Python file, or what a notebook imports and defines, and return the module.

    Parameters
    ----------
    path : Path
        A ``.py`` or ``.ipynb``.

    Raises
    ------
    Exception
        Whatever running it raises.
    """
    module = ModuleType(NAME)
    text = path.read_text(encoding="utf-8-sig")
    notebook = path.suffix == ".ipynb"
    for name, code in _cells(text) if notebook else [(NAME, ast.parse(text, NAME))]:
        exec(compile(code, name, "exec"), vars(module))
    return module


def _cells(text: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the name of each code cell, and of what stands in it the part that is run.

    That is imports, functions, classes, and names for plain values: nothing that computes.
    """
    codes = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    for number, cell in enumerate(codes, start=1):
        lines = "".join(cell["source"]).split("\n")
        magic = lines[0].split(maxsplit=1)[:1]
        if magic and magic[0].startswith("%%") and magic[0] not in PYTHON_MAGICS:
            continue
        python = ["" if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines]
        name = f"{NAME}, code cell {number}"
        tree = ast.parse("\n".join(python), name)
        tree.body = [node for node in tree.body if _defines(node)]
        yield name, tree


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) for t in node.targets):
        try:
            ast.literal_eval(node.value)
        except (ValueError, TypeError):
            return False
        return True
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def as_module(submission: ModuleType | Mapping[str, Any]) -> ModuleType:
    """Return a submission as a module, whose name tells it from others in a message.

    >>> as_module({"double": abs}).double(-1)
    1
    """
    if isinstance(submission, ModuleType):
        return submission
    module = ModuleType(NAME)
    vars(module).update(submission, __name__=NAME)
    return module


def reason(error: BaseException) -> str:
    """Return in words, for a student, why a check failed.

    >>> reason(NotImplementedError("relu_forward"))
    'relu_forward is not written yet.'
    """
    if isinstance(error, NotImplementedError):
        text = f"{_said(error)} is not written yet."
    elif isinstance(error, SystemExit):
        text = "The submission ends the program: remove exit() and sys.exit()."
    elif isinstance(error, MemoryError):
        text = "It asks for more memory than the grader allows."
    elif isinstance(error, RecursionError):
        text = f"A function calls itself without end{_place(error)}."
    elif isinstance(error, AttributeError) and _named(error.obj) == NAME:
        text = f"The submission has no {error.name}."
    elif isinstance(error, AssertionError) and not _place(error):
        text = _said(error) or "It is not as the check asks."
    else:
        text = f"{type(error).__name__}: {_said(error)}{_place(error)}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _named(thing: object) -> object:
    return getattr(thing, "__name__", "") if isinstance(thing, ModuleType) else ""


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # an exception of the submission's own may fail at this too
        return "(its message cannot be shown)"


def _place(error: BaseException) -> str:
    """Return where in the submission it was, if it was there."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename.startswith(NAME)]
    if not theirs:
        return ""
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno}, in {theirs[-1].name})"
