"""What every exercise's grader shares: which file is graded, and the score.

A check is a test marked ``@pytest.mark.points(8)``; the first line of its docstring is what the
student reads. ``--submission FILE`` names a Python file or a notebook; without it the file beside
the grader is taken, ``exercise_1.py`` for ``test_exercise_1.py``. Points and reasons are also in
the file that ``--junitxml FILE`` writes.

A submission is run as it is, with the rights of whoever grades it: this is no sandbox.
"""

import ast
import json
import traceback
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

NAME = "submission"  # what error messages and tracebacks call it


def pytest_addoption(parser):
    """Add ``--submission``."""
    parser.addoption("--submission", type=Path, help="what to grade: a .py file or an .ipynb")


def pytest_configure(config):
    """Declare the mark, and leave the telling of failures to the score."""
    config.addinivalue_line("markers", "points(n): what a check is worth")
    graded = config.getoption("--submission")
    if graded and not graded.is_file():
        raise pytest.UsageError(f"--submission: there is no file {graded}")
    config.option.reportchars = ""
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"


@pytest.fixture(scope="module")
def submission(request):
    """Return the submission as a module."""
    beside = request.path.with_name(request.path.name.removeprefix("test_"))
    return load(request.config.getoption("--submission") or beside)


def load(path):
    """Run a Python file, or the imports and definitions of a notebook, and return the module."""
    module = ModuleType(NAME)
    text = path.read_text(encoding="utf-8-sig")
    notebook = path.suffix == ".ipynb"
    for name, code in cells(text) if notebook else [(NAME, ast.parse(text, NAME))]:
        exec(compile(code, name, "exec"), vars(module))
    return module


def cells(text):
    """Yield the name of each code cell, and what it imports and defines: nothing else is run."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    code_cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code_cells, start=1):
        lines = "".join(cell["source"]).split("\n")
        python = ["" if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines]
        name = f"{NAME}, code cell {number}"
        tree = ast.parse("\n".join(python), name)
        tree.body = [node for node in tree.body if isinstance(node, kept)]
        yield name, tree


def reason(error):
    """Return in words, for a student, why a check failed."""
    if isinstance(error, pytest.fail.Exception):
        return str(error)
    if isinstance(error, NotImplementedError):
        return f"{error} is not written yet."
    if isinstance(error, AttributeError) and getattr(error.obj, "__name__", "") == NAME:
        return f"The submission has no function {error.name}."
    text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename.startswith(NAME)]
    if theirs:
        text += f" ({theirs[-1].filename}, line {theirs[-1].lineno}, in {theirs[-1].name})"
    return text


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    """Note with each check its points and, if they are lost, why."""
    mark = item.get_closest_marker("points")
    if mark and (call.when == "call" or call.excinfo):
        item.user_properties += [
            ("check", item.function.__doc__.partition("\n")[0]),
            ("of", mark.args[0]),
            ("earned", 0 if call.excinfo else mark.args[0]),
            ("reason", reason(call.excinfo.value) if call.excinfo else ""),
        ]


def pytest_terminal_summary(terminalreporter, config):
    """Print a line for each check, with the reason where points were lost, and the score."""
    outcomes = map(terminalreporter.getreports, ("passed", "failed", "error"))
    reports = sorted(chain.from_iterable(outcomes), key=lambda report: report.location[:2])
    results = [dict(report.user_properties) for report in reports]
    results = [result for result in results if "of" in result]
    if not results:
        return
    terminalreporter.section("Points")
    said = ""
    for result in results:
        terminalreporter.line("{earned:3} of {of:2}  {check}".format(**result))
        if result["reason"] not in ("", said):
            said = result["reason"]
            terminalreporter.line("           " + said.replace("\n", "\n           "))
    earned, possible = (sum(result[key] for result in results) for key in ("earned", "of"))
    graded = config.getoption("--submission")
    name = f" ({graded})" if graded else ""
    terminalreporter.line(f"Score: {earned} of {possible}{name}")
