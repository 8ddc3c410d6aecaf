"""A submission: a file or notebook, of which only what an answer needs is run.

The text is divided into statements. An answer that is asked for by name is made by running the
statements that bind this name, after those that bind the names which they use, and no others.
What cannot be read or run is skipped, with a line for the report.

The worker uses this module and must not import nnreg, so it imports the standard library only.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import codecs
import difflib
import io
import json
import re
import symtable
import sys
import tokenize
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

NAME = "submission"  # its name in error messages and tracebacks
LONGEST = 2_000  # characters of a reason
MAX_SKIPPED = 20  # lines of the report
MAX_PIECES = 30  # pieces, each with a line that is not indented, of one statement

#: Cell magics below which the cell is Python; below others there is another language.
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")

#: What every exercise allows of the standard library: nothing that reaches files or processes.
STANDARD = frozenset(
    (
        *("__future__", "abc", "bisect", "cmath", "collections", "copy", "dataclasses"),
        *("datetime", "decimal", "enum", "fractions", "functools", "heapq", "itertools", "math"),
        *("numbers", "operator", "pprint", "random", "re", "statistics", "string", "textwrap"),
        *("time", "typing", "warnings"),
    )
)


class MissedError(AssertionError):
    """A requirement of a check is not met; the message is for the student."""


class MissingError(AttributeError):
    """An answer is not there; the message tells a student why."""


@dataclass(eq=False)
class Statement:
    """A statement outside functions and classes.

    Attributes
    ----------
    origin : str
        The file name in tracebacks: the submission, or one of its cells.
    node : ast.stmt
    allowed : bool
        Whether it imports no module that the exercise does not allow.
    binds, uses : set of str
        The global names that it assigns and reads; functions inside it included in ``uses``.
    run : bool
        Whether it has been run.
    """

    origin: str
    node: ast.stmt
    allowed: bool
    binds: set[str]
    uses: set[str]
    run: bool = False

    @property
    def place(self) -> str:
        """The place of its first line, as tracebacks name it."""
        return f"{self.origin}, line {self.node.lineno}"


class Submission:
    """The answers of a file or notebook, by name.

    Parameters
    ----------
    raw : bytes
        The file.
    notebook : bool
        Whether it is an ``.ipynb``, not a ``.py``.
    modules : tuple of str
        The packages that may be imported besides `STANDARD`.

    Attributes
    ----------
    names : dict
        The global names of the submission.
    skipped : list of str
        What was not taken, a line each.

    Raises
    ------
    ValueError
        If the file is a notebook that cannot be read.
    """

    def __init__(self, raw: bytes, notebook: bool, modules: tuple[str, ...]) -> None:
        self._modules = modules
        self.skipped: list[str] = []
        self._reasons: dict[str, str] = {}  # why a name is not there
        own_builtins = {**vars(builtins), "__import__": self._import}
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": own_builtins}
        self._flags = __future__.annotations.compiler_flag  # what annotates need not be there
        text = self._decode(raw)
        cells = read_cells(text) if notebook else [(NAME, text)]
        self._statements = [s for origin, code in cells for s in self._divide(origin, code)]
        for statement in self._statements:
            node = statement.node
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for feature in node.names:
                    self._flags |= getattr(__future__, feature.name).compiler_flag
            if not statement.allowed:
                self._skip(statement.place, ast.unparse(node), self._terms(), statement.binds)

    def get(self, name: str) -> Any:
        """Return the value of a global name, after running the statements that it needs.

        Raises
        ------
        MissingError
            If there is none; the message says why.
        """
        self._resolve(name)
        if name not in self.names:
            self._take_method(name)
        if name in self.names:
            return self.names[name]
        if name in self._reasons:
            raise MissingError(self._reasons[name])
        stars = [s for s in self._statements if _is_star(s.node) and not s.allowed]
        if stars:
            raise MissingError(
                f"The submission has no {name} of its own, and {ast.unparse(stars[0].node)!r} is "
                f"not run: {self._terms()}."
            )
        known = {bound for statement in self._statements for bound in statement.binds}
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        raise MissingError(f"The submission has no {name}{f' ({near[0]}?)' if near else ''}.")

    def report(self) -> list[str]:
        """Return what was skipped so far, a line each."""
        rest = [
            s
            for s in self._statements
            if not s.run and not isinstance(s.node, _DEFINITIONS) and not _is_text(s.node)
        ]
        lines = self.skipped[:MAX_SKIPPED]
        if len(self.skipped) > MAX_SKIPPED:
            lines.append(f"and {len(self.skipped) - MAX_SKIPPED} more")
        if rest:
            places = ", ".join(s.place for s in rest[:3]) + (", ..." if len(rest) > 3 else "")
            lines.append(f"{len(rest)} statement(s) that no answer uses: {places}")
        return lines

    def explain(self, error: BaseException) -> str:
        """Return why a call failed, with the reason for a name that is not there."""
        why = self._reasons.get(error.name or "") if isinstance(error, NameError) else None
        return f"{reason(error)}. {why}" if why else reason(error)

    # --- Reading ----------------------------------------------------------------------------------

    def _skip(self, location: str, what: str, why: str, names: set[str] | None = None) -> None:
        line = what.strip().partition("\n")[0]
        self.skipped.append(f"{location}: {line[:80]}{'...' if len(line) > 80 else ''} ({why})")
        for name in names or ():
            self._reasons[name] = f"{name} is not taken from {location}: {why}."

    def _decode(self, raw: bytes) -> str:
        try:
            if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                text = raw.decode("utf-16")
            else:
                text = raw.decode(tokenize.detect_encoding(io.BytesIO(raw).readline)[0])
        except (SyntaxError, ValueError, LookupError) as error:
            text = raw.decode("latin-1")
            self.skipped.append(f"the encoding: read as Latin-1 ({error})")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _divide(self, origin: str, code: str) -> Iterator[Statement]:
        """Yield the statements of a cell; lines that are not Python are skipped."""
        lines = code.split("\n")
        first = next((line.split()[0] for line in lines if line.strip()), "")
        if first.startswith("%%") and first not in PYTHON_MAGICS:
            self._skip(origin, first, "a cell of another language")
            return
        for node in self._parse(origin, lines):
            allowed = self._allowed(_imported(node))
            try:
                yield Statement(origin, node, allowed, *_symbols(node))
            except (SyntaxError, ValueError, RecursionError) as error:
                self._skip(f"{origin}, line {node.lineno}", type(node).__name__, reason(error))

    def _parse(self, origin: str, lines: list[str]) -> Iterator[ast.stmt]:
        """Yield the statements of the longest runs of lines that are Python; skip the others."""
        starts = [i for i, line in enumerate(lines) if re.match(r"[^\s#)\]}]", line)]
        ends = [*starts[1:], len(lines)]
        at, last = 0, len(starts) - 1
        while at <= last:
            failure: Exception | None = None
            for stop in (last, *range(at, min(at + MAX_PIECES, last))):
                try:
                    source = "\n" * starts[at] + "\n".join(lines[starts[at] : ends[stop]])
                    yield from ast.parse(source, origin).body
                    break
                except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                    failure = error if failure is None or stop == at else failure
            else:
                stop, source = at, "\n".join(lines[starts[at] : ends[at]])
                names = set(re.findall(r"^(?:async )?(?:def|class) (\w+)", source))
                names |= set(re.findall(r"^(\w+)\s*(?::[^=]*)?=", source))
                why = "" if source[0] in "%!?" or failure is None else f": {reason(failure)}"
                self._skip(f"{origin}, line {starts[at] + 1}", source, f"no Python{why}", names)
            at = stop + 1

    # --- Running ----------------------------------------------------------------------------------

    def _resolve(self, name: str) -> None:
        """Run the statements that bind a name, after those that bind what they use."""
        for statement in self._statements:
            if statement.run or not (name in statement.binds or _is_star(statement.node)):
                continue
            statement.run = True
            for used in sorted(statement.uses - {name}):
                self._resolve(used)
            if statement.allowed:
                self._execute(statement)

    def _execute(self, statement: Statement) -> None:
        node = statement.node
        try:
            code = compile(ast.Module([node], []), statement.origin, "exec", self._flags, True)
            exec(code, self.names)
        except BaseException as error:  # a statement may raise anything
            if isinstance(node, ast.ImportFrom) and _is_star(node):  # a submodule is refused
                found = vars(sys.modules.get(str(node.module), self))
                public = (name for name in found.get("__all__", ()) if name in found)
                self.names.update({name: found[name] for name in public})
            decorated = getattr(node, "decorator_list", [])
            missing = set() if decorated else statement.binds.difference(self.names)
            self._skip(statement.place, ast.unparse(node), reason(error), missing)
            if decorated:
                decorated.clear()
                self._execute(statement)

    def _take_method(self, name: str) -> None:
        """Take an answer that is a method of a class."""
        classes = [s.node for s in self._statements if isinstance(s.node, ast.ClassDef)]
        methods = [(owner, method) for owner in classes for method in owner.body]
        for node, method in methods:
            if isinstance(method, ast.FunctionDef) and method.name == name:
                self._resolve(node.name)
                first = ast.unparse(method.args).partition(",")[0]
                try:
                    made = self.names[node.name]
                    bound = first == "self" and not method.decorator_list
                    self.names[name] = getattr(made() if bound else made, name)
                    self.skipped.append(f"{name}: the method of the class {node.name} is taken")
                except Exception as error:  # the constructor is the submission's
                    self._reasons[name] = (
                        f"{name} is a method of the class {node.name}, of which no object can be "
                        f"made: {reason(error)}"
                    )

    # --- Imports ----------------------------------------------------------------------------------

    def _terms(self) -> str:
        return f"this exercise allows {', '.join(self._modules)} and simple standard modules"

    def _allowed(self, modules: list[str]) -> bool:
        return all(allowed(module, self._modules) for module in modules)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] = (),
        level: int = 0,
    ) -> ModuleType:
        """Import for the submission's own code."""
        modules = [name, *(f"{name}.{item}" for item in fromlist or ())]
        if level or not self._allowed(modules):
            raise ImportError(f"{name} cannot be imported: {self._terms()}")
        return builtins.__import__(name, globals, locals, fromlist, level)


_DEFINITIONS = (
    ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass
)


def allowed(module: str, modules: tuple[str, ...]) -> bool:
    """Return whether a submission may import a module; the course's own is never allowed.

    >>> allowed("numpy.linalg", ("numpy",)), allowed("os", ("numpy",))
    (True, False)
    >>> allowed("nnreg", ("nnreg",)), allowed("nnreg.course.cs231n", ("nnreg",))
    (True, False)
    """
    package, *rest = module.split(".")
    of_course = package == "nnreg" and rest[:1] == ["course"]
    return package in STANDARD.union(modules) and not of_course


def read_cells(text: str) -> list[tuple[str, str]]:
    """Return the name and the text of each code cell of a notebook, of format 3 or 4."""
    try:
        book = json.loads(text.removeprefix("\ufeff"))
        sheets = [book] if "cells" in book else book["worksheets"]
        cells = [c for sheet in sheets for c in sheet["cells"] if c["cell_type"] == "code"]
        codes = ["".join(cell["source" if "source" in cell else "input"]) for cell in cells]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"The notebook cannot be read: it is not JSON of the notebook format 3 or 4 ({error!r})"
        ) from None
    return [(f"{NAME}, code cell {number}", code) for number, code in enumerate(codes, start=1)]


def _symbols(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Return the global names that a statement binds and uses."""
    binds: set[str] = set()
    uses: set[str] = set()

    def visit(table: symtable.SymbolTable) -> None:
        outside = table.get_type() == "module"
        for symbol in table.get_symbols():
            if outside and (symbol.is_assigned() or symbol.is_imported()):
                binds.add(symbol.get_name())
            if symbol.is_referenced() and (outside or symbol.is_global()):
                uses.add(symbol.get_name())
        for child in table.get_children():
            visit(child)

    visit(symtable.symtable(ast.unparse(node), NAME, "exec"))
    return binds, uses


def _imported(node: ast.stmt) -> list[str]:
    """Return the modules that a statement imports; those beside the submission begin with a dot."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return []


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def as_module(submission: Any) -> Any:
    """Return a mapping as a module, whose name distinguishes it from others in a message.

    >>> as_module({"double": abs}).double(-1)
    1
    """
    if not isinstance(submission, Mapping):
        return submission
    module = ModuleType(NAME)
    vars(module).update(submission, __name__=NAME)
    return module


def reason(error: BaseException) -> str:
    """Return in words, for a student, why a check failed.

    >>> reason(NotImplementedError("relu_forward"))
    'relu_forward is not written yet.'
    """
    if isinstance(error, MissingError) or hasattr(error, "explained"):
        text = getattr(error, "explained", str(error))
    elif isinstance(error, AttributeError) and getattr(error.obj, "__name__", "") == NAME:
        text = f"The submission has no {error.name}."
    elif isinstance(error, AssertionError) and not _location(error):
        text = _message(error) or "It is not as the check asks."
    else:
        form = next(form for kind, form in REASONS.items() if isinstance(error, kind))
        text = form.format(
            kind=type(error).__name__, message=_message(error), location=_location(error)
        )
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


#: What a student is told of an exception; the first class that fits counts.
REASONS: dict[type[BaseException], str] = {
    NotImplementedError: "{message} is not written yet.",
    SystemExit: "The submission ends the program: remove exit() and sys.exit().",
    MemoryError: "It asks for more memory than the grader allows.",
    RecursionError: "A function calls itself without end{location}.",
    BaseException: "{kind}: {message}{location}",
}


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # an exception class of the submission may fail here too
        return "(its message cannot be shown)"


def _location(error: BaseException) -> str:
    """Return the line of the submission that raised an error, if one did."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename.startswith(NAME)]
    if not theirs:
        return ""
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno}, in {theirs[-1].name})"
