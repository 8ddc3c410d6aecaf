"""A submission: a file or notebook, divided into statements.

Only the statements on which a requested name depends are executed, in the order of dependence.
Statements that cannot be read or executed are skipped and reported.

The worker uses this module and must not import nnreg, so it imports the standard library only.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import codecs
import codeop
import difflib
import io
import json
import re
import symtable
import sys
import tokenize
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

NAME = "submission"  # file and module name in error messages and tracebacks
MAX_MESSAGE = 2_000  # characters
MAX_SKIPPED = 20  # lines of the report
MAX_PIECES = 30  # top-level lines that are joined, at most, to find one statement
MAX_JOINS = 300  # times that lines are joined, at most
MAX_CODE = 200_000  # characters of all cells

#: Lines, outside functions and classes, with which a statement may begin or may go on.
STATEMENT = re.compile(r"[^\s#)\]}]")
CONTINUED = re.compile(r"(?:else|elif|except|finally)\b")

#: Magics of cells that contain Python; cells with other magics are skipped.
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")

#: Modules of the standard library that every exercise allows: none accesses files or processes.
STANDARD = frozenset(
    (
        *("__future__", "abc", "bisect", "cmath", "collections", "copy", "dataclasses"),
        *("datetime", "decimal", "enum", "fractions", "functools", "heapq", "itertools", "math"),
        *("numbers", "operator", "pprint", "random", "re", "statistics", "string", "textwrap"),
        *("time", "typing", "warnings"),
    )
)


class CheckFailedError(AssertionError):
    """A requirement of a check is not met; the message is for the student."""


class MissingAnswerError(AttributeError):
    """A requested name is not defined; the message, for the student, is the reason."""


@dataclass(eq=False)
class Statement:
    """A statement outside functions and classes.

    Attributes
    ----------
    origin : str
        The file name in tracebacks: the submission, or one of its cells.
    node : ast.stmt
    allowed : bool
        Whether the exercise allows every module that it imports.
    binds, uses : set of str
        The global names that it assigns and reads; ``uses`` includes functions inside it.
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
    def location(self) -> str:
        """The file or cell and the number of its first line."""
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
        Skipped statements, one line each.

    Raises
    ------
    ValueError
        If the file is a notebook that cannot be read, or has more than `MAX_CODE` characters of
        code.
    """

    def __init__(self, raw: bytes, notebook: bool, modules: tuple[str, ...]) -> None:
        self._modules = modules
        self.skipped: list[str] = []
        self._reasons: dict[str, str] = {}  # by name, why it is not defined
        self._objects: dict[str, Any] = {}  # by class, the object whose methods are answers
        patched = {**vars(builtins), "__import__": self._import}
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": patched}
        self._joins = MAX_JOINS
        self._flags = __future__.annotations.compiler_flag  # skips annotations
        text = self._decode(raw)
        cells = read_cells(text) if notebook else [(NAME, text)]
        if (size := sum(len(code) for _, code in cells)) > MAX_CODE:
            raise ValueError(f"The code has {size:,} characters; at most {MAX_CODE:,} are read.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            self._statements = [s for origin, code in cells for s in self._divide(origin, code)]
        for statement in self._statements:
            node = statement.node
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for feature in node.names:
                    self._flags |= getattr(__future__, feature.name).compiler_flag
            if not statement.allowed:
                self._skip(
                    statement.location,
                    ast.unparse(node),
                    self._describe_allowed(),
                    statement.binds,
                )

    def get(self, name: str) -> Any:
        """Return the value of a global name, after running the statements that it needs.

        Raises
        ------
        MissingAnswerError
            If the name is not defined; the message is the reason.
        """
        self._resolve(name)
        if name not in self.names:
            self._find_method(name)
        if name in self.names:
            return self.names[name]
        if name in self._reasons:
            raise MissingAnswerError(self._reasons[name])
        stars = [s for s in self._statements if _is_star(s.node) and not s.allowed]
        if stars:
            raise MissingAnswerError(
                f"The submission does not define {name}, and {ast.unparse(stars[0].node)!r} is "
                f"not run: {self._describe_allowed()}."
            )
        known = {bound for statement in self._statements for bound in statement.binds}
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        raise MissingAnswerError(f"The submission has no {name}{f' ({near[0]}?)' if near else ''}.")

    def report(self) -> list[str]:
        """Return the skipped statements so far, one line each."""
        rest = [
            s
            for s in self._statements
            if not s.run and not isinstance(s.node, _DEFINITIONS) and not _is_text(s.node)
        ]
        lines = self.skipped[:MAX_SKIPPED]
        if len(self.skipped) > MAX_SKIPPED:
            lines.append(f"and {len(self.skipped) - MAX_SKIPPED} more")
        if rest:
            locations = ", ".join(s.location for s in rest[:3]) + (", ..." if len(rest) > 3 else "")
            lines.append(f"{len(rest)} statement(s) not needed by any check: {locations}")
        return lines

    def explain(self, error: BaseException) -> str:
        """Return why a call failed, with the reason if a name is not defined."""
        why = self._reasons.get(error.name or "") if isinstance(error, NameError) else None
        return f"{reason(error)}. {why}" if why else reason(error)

    # --- Reading ----------------------------------------------------------------------------------

    def _skip(self, location: str, what: str, why: str, names: set[str] | None = None) -> None:
        line = what.strip().partition("\n")[0]
        self.skipped.append(f"{location}: {line[:80]}{'...' if len(line) > 80 else ''} ({why})")
        for name in names or ():
            self._reasons[name] = f"{name} was skipped in {location}: {why}."

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
            self._skip(origin, first, "not a Python cell")
            return
        for node in self._parse(origin, lines):
            allowed = self._allowed(_imported(node))
            try:
                yield Statement(origin, node, allowed, *_symbols(node))
            except (SyntaxError, ValueError, RecursionError) as error:
                self._skip(f"{origin}, line {node.lineno}", type(node).__name__, reason(error))

    def _parse(self, origin: str, lines: list[str]) -> Iterator[ast.stmt]:
        """Yield the statements of the longest runs of lines that are Python; skip the others.

        The rest is read as a whole at first, and after some lines that are skipped; otherwise
        one line is, with those that an unfinished statement needs. So the time is linear.
        """
        starts = [i for i, line in enumerate(lines) if STATEMENT.match(line)]
        ends = [*starts[1:], len(lines)]
        at, last, skips, rest = 0, len(starts) - 1, 0, True
        while at <= last:
            failure: Exception | None = None
            nodes: list[ast.stmt] | None = None
            end = at
            near = range(at, min(at + MAX_PIECES, last) + 1)
            for stop in (last, *near) if rest else near:
                source = "\n".join(lines[starts[at] : ends[stop]])
                try:
                    nodes, end = ast.parse(source, origin).body, stop
                    go_on = stop < last and CONTINUED.match(lines[starts[stop + 1]])
                except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                    failure = error if failure is None or stop == at else failure
                    go_on = rest or (nodes is None and _is_unfinished(source))
                if not go_on or not (rest or self._joins):
                    break
                self._joins -= not rest
                rest = False
            if nodes is None:
                source = "\n".join(lines[starts[at] : ends[at]])
                names = set(re.findall(r"^(?:async )?(?:def|class) (\w+)", source))
                names |= set(re.findall(r"^(\w+)\s*(?::[^=]*)?=", source))
                if isinstance(failure, SyntaxError) and failure.lineno:
                    failure.lineno += starts[at]
                why = "" if source[0] in "%!?" or failure is None else f": {reason(failure)}"
                self._skip(
                    f"{origin}, line {starts[at] + 1}", source, f"not valid Python{why}", names
                )
                skips += 1
            rest = nodes is None and skips in (1, 4, 16, 64, 256)
            yield from (ast.increment_lineno(node, starts[at]) for node in nodes or ())
            at = end + 1

    # --- Running ----------------------------------------------------------------------------------

    def _resolve(self, name: str) -> None:
        """Run the statements that bind a name, after those on which they depend."""
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
            if isinstance(node, ast.ImportFrom) and _is_star(node) and node.module in sys.modules:
                exported = vars(sys.modules[node.module])  # one of its names is not allowed
                public = (name for name in exported.get("__all__", ()) if name in exported)
                self.names.update({name: exported[name] for name in public})
                return
            decorated = getattr(node, "decorator_list", [])
            missing = set() if decorated else statement.binds.difference(self.names)
            self._skip(statement.location, ast.unparse(node), reason(error), missing)
            if decorated:
                decorated.clear()
                self._execute(statement)

    def _find_method(self, name: str) -> None:
        """Use a method of a class as the answer of that name."""
        classes = [s.node for s in self._statements if isinstance(s.node, ast.ClassDef)]
        methods = [(node, method) for node in classes for method in node.body]
        for node, method in methods:
            if isinstance(method, ast.FunctionDef) and method.name == name:
                self._resolve(node.name)
                first = ast.unparse(method.args).partition(",")[0]
                try:
                    owner = self.names[node.name]
                    if first == "self" and not method.decorator_list:
                        owner = self._objects.get(node.name) or owner()
                        self._objects[node.name] = owner
                    self.names[name] = getattr(owner, name)
                    self.skipped.append(f"{name}: the method of the class {node.name} is used")
                except Exception as error:  # the constructor is the submission's
                    self._reasons[name] = (
                        f"{name} is a method of the class {node.name}, which cannot be "
                        f"instantiated: {reason(error)}"
                    )

    # --- Imports ----------------------------------------------------------------------------------

    def _describe_allowed(self) -> str:
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
        """Import a module for the submission, if it is allowed."""
        modules = [name, *(f"{name}.{item}" for item in fromlist or ())]
        if level or not self._allowed(modules):
            raise ImportError(f"{name} cannot be imported: {self._describe_allowed()}")
        return builtins.__import__(name, globals, locals, fromlist, level)


_DEFINITIONS = (
    ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass
)


def allowed(module: str, modules: tuple[str, ...]) -> bool:
    """Return whether a submission may import a module; `nnreg.course` is never allowed.

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
        notebook = json.loads(text.removeprefix("\ufeff"))
        worksheets = [notebook] if "cells" in notebook else notebook["worksheets"]
        cells = [c for sheet in worksheets for c in sheet["cells"] if c["cell_type"] == "code"]
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
        at_module_level = table.get_type() == "module"
        for symbol in table.get_symbols():
            if at_module_level and (symbol.is_assigned() or symbol.is_imported()):
                binds.add(symbol.get_name())
            if symbol.is_referenced() and (at_module_level or symbol.is_global()):
                uses.add(symbol.get_name())
        for child in table.get_children():
            visit(child)

    visit(symtable.symtable(ast.unparse(node), NAME, "exec"))
    return binds, uses


def _imported(node: ast.stmt) -> list[str]:
    """Return the modules that a statement imports; relative imports begin with a dot."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return []


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"


def _is_unfinished(source: str) -> bool:
    """Return whether more lines might make a statement of these."""
    try:
        flags = ast.PyCF_ONLY_AST | codeop.PyCF_ALLOW_INCOMPLETE_INPUT  # type: ignore[attr-defined]  # typeshed omits it
        compile(source, NAME, "exec", flags)
    except SyntaxError as error:
        return error.msg == "incomplete input"
    except (ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def as_module(submission: Any) -> Any:
    """Return a mapping as a module with the name of submissions.

    >>> as_module({"double": abs}).double(-1)
    1
    """
    if not isinstance(submission, Mapping):
        return submission
    module = ModuleType(NAME)
    vars(module).update(submission, __name__=NAME)
    return module


def reason(error: BaseException) -> str:
    """Return the reason for a failed check, as a message for the student.

    >>> reason(NotImplementedError("relu_forward"))
    'relu_forward is not written yet.'
    """
    if isinstance(error, MissingAnswerError) or hasattr(error, "explained"):
        text = getattr(error, "explained", str(error))
    elif isinstance(error, AttributeError) and getattr(error.obj, "__name__", "") == NAME:
        text = f"The submission has no {error.name}."
    elif isinstance(error, AssertionError) and not _location(error):
        text = _message(error)
    else:
        form = next(form for kind, form in REASONS.items() if isinstance(error, kind))
        text = form.format(
            kind=type(error).__name__, message=_message(error), location=_location(error)
        )
    text = text or "The check failed."
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} ..."


#: Messages for exceptions of a submission; the first class that matches is used.
REASONS: dict[type[BaseException], str] = {
    NotImplementedError: "{message} is not written yet.",
    SystemExit: "The submission ends the program: remove exit() and sys.exit().",
    MemoryError: "It exceeded the memory limit.",
    RecursionError: "Infinite recursion{location}.",
    BaseException: "{kind}: {message}{location}",
}


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # an exception class of the submission may fail here too
        return "(its message cannot be shown)"


def _location(error: BaseException) -> str:
    """Return the line of the submission that raised an error, if one did."""
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_filename.startswith(NAME):
            location = f" ({code.co_filename}, line {line}, in {code.co_name})"
    return location
