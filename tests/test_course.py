"""The course: the solution earns every point, and each mistake costs its own, with a hint."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from handed_in import COURSE, EVERY, MISTAKES, SOLUTION, changed

import nnreg as nn

SKELETON = (COURSE / "exercise_1.py").read_text(encoding="utf-8")
NOTEBOOK = json.loads((COURSE / "exercise_1.ipynb").read_text(encoding="utf-8"))


def imported(name):
    spec = importlib.util.spec_from_file_location(f"course_{name}", COURSE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kit = imported("conftest")


@pytest.fixture(scope="module")
def checks(request):
    request.config.addinivalue_line("markers", "points(n): as the course's conftest declares it")
    grader = vars(imported("test_exercise_1"))
    return {name[5:]: check for name, check in grader.items() if name.startswith("test_")}


@pytest.fixture
def lost(checks, tmp_path):
    """Return a function that says, by check, why a submission loses points."""

    def lost(text, name="submitted.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        reasons = {}
        for title, check in checks.items():
            try:
                check(kit.load(path))
            except (Exception, pytest.fail.Exception) as error:
                reasons[title] = kit.reason(error)
        return reasons

    return lost


def test_the_checks_are_worth_a_hundred_points(checks):
    assert sum(check.pytestmark[0].args[0] for check in checks.values()) == 100


def test_the_solution_loses_nothing(lost):
    assert lost(SOLUTION) == {}


def test_what_is_blank_is_not_written_yet(lost, checks):
    reasons = lost(SKELETON)
    assert list(reasons) == list(checks)
    assert set(reasons.values()) == {
        f"{name} is not written yet."
        for name in ("affine_forward", "relu_forward", "dropout_forward")
    }


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_costs_its_points_and_gets_its_hint(mistake, lost, checks):
    replacements, costs, words = MISTAKES[mistake]
    reasons = lost(changed(*replacements))
    assert list(reasons) == (list(checks) if costs == EVERY else costs), reasons
    assert re.search(words, "\n".join(reasons.values()), re.DOTALL), reasons


def test_loops_and_real_buffers_are_welcome(lost):
    loop = "np.array([[max(float(v), 0.0) for v in row] for row in x]), x"
    buffer = (
        "dw = np.zeros(w.shape)\n"
        "    for row, d in zip(x, dy, strict=True):\n"
        "        dw += np.outer(row, d)"
    )
    assert lost(changed(("np.maximum(x, 0), x", loop), ("dw = x.T @ dy", buffer))) == {}


def test_numpys_global_generator_is_not_rng(lost):
    state = np.random.get_state()  # noqa: NPY002
    reasons = lost(changed(("rng.random(x.shape)", "np.random.rand(*x.shape)")))
    np.random.set_state(state)  # noqa: NPY002
    assert list(reasons) == ["dropout_draws"]
    assert "not from np.random" in reasons["dropout_draws"]


# --- The notebook ---------------------------------------------------------------------------------


def functions(text):
    """Return the source of each function, by name."""
    tree = ast.parse(text)
    return {
        node.name: ast.get_source_segment(text, node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def code_cells(solved):
    """Return the code of the notebook's cells, by id, with the blanks filled or not."""
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    blanks, filled = functions(SKELETON), functions(SOLUTION)
    for name in blanks:
        assert sources[name.replace("_", "-")] == blanks[name]
        if solved:
            sources[name.replace("_", "-")] = filled[name]
    return sources


def shown(code, names):
    """Run a cell and return what its last line shows, if it shows something."""
    *body, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        body.append(last)
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return None


def test_the_notebook_has_the_blanks_of_the_file_and_no_outputs():
    assert functions(SKELETON).keys() == functions(SOLUTION).keys()
    code_cells(solved=False)
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_the_notebooks_checks_pass_when_the_blanks_are_filled(capsys):
    names, results = {}, {}
    for name, code in code_cells(solved=True).items():
        results[name] = shown(code, names)
    reports = [r for name, r in results.items() if name.endswith("-check")]
    assert len(reports) == 4
    assert all(isinstance(r, nn.gradcheck.GradientReport) and r.passed for r in reports)
    diagnoses = [r for name, r in results.items() if name.endswith("-diagnosis")]
    assert len(diagnoses) == 3
    assert all(diagnosis.right for diagnosis in diagnoses)
    assert capsys.readouterr().out == (
        "[[11. 22. 34.]]\n[[0. 0. 3.]]\n[[0. 0. 1.]]\n0.8 1.0\nTrue\n"
    )


def test_the_notebooks_checks_say_what_is_not_written_yet():
    names = {}
    for name, code in code_cells(solved=False).items():
        if name.endswith(("-check", "-diagnosis")):
            with pytest.raises(NotImplementedError, match="_forward"):
                shown(code, names)
        else:
            shown(code, names)


def notebook(*sources):
    cells = [{"cell_type": "code", "source": source.splitlines(True)} for source in sources]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# no code"]}, *cells]})


def test_a_notebook_is_graded_by_what_it_imports_and_defines(lost):
    extras = ("%matplotlib inline\n!ls\n?np.dot", "1 / 0", "def mine():\n    return 1")
    cells = [*extras, *code_cells(solved=True).values()]
    assert lost(notebook(*cells), "submitted.ipynb") == {}


def test_a_line_of_a_notebook_is_named_by_its_cell(lost):
    cells = [*code_cells(solved=True).values(), "def relu_forward(x):\n    return y, x"]
    reasons = lost(notebook(*cells), "submitted.ipynb")
    assert reasons["relu_forward"] == (
        "NameError: name 'y' is not defined "
        f"(submission, code cell {len(cells)}, line 2, in relu_forward)"
    )


# --- The command, as it is used: two files in a folder somewhere ----------------------------------


def graded(folder, *options):
    for name in ("conftest.py", "test_exercise_1.py"):
        shutil.copy(COURSE / name, folder)
    path = os.pathsep.join([str(COURSE.parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_exercise_1.py"]
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_an_option_the_file_beside_the_grader_is_graded(tmp_path):
    (tmp_path / "exercise_1.py").write_text(SKELETON, encoding="utf-8")
    done = graded(tmp_path)
    assert "\nScore: 0 of 100\n" in done.stdout
    assert done.stdout.count("affine_forward is not written yet.") == 1  # not at each check
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 1


def test_an_option_names_another_file(tmp_path):
    (tmp_path / "ada.py").write_text(SOLUTION, encoding="utf-8")
    done = graded(tmp_path, "--submission", "ada.py")
    assert "\nScore: 100 of 100 (ada.py)\n" in done.stdout
    assert done.returncode == 0


def test_points_and_reasons_are_in_the_xml_too(tmp_path):
    wrong = changed(("dy.sum(axis=0)", "dy.mean(axis=0)"))
    (tmp_path / "exercise_1.py").write_text(wrong, encoding="utf-8")
    done = graded(tmp_path, "--junitxml", "result.xml")
    assert "\n  0 of  8  affine_backward: db is the derivative by b.\n" in done.stdout
    assert "\n           Hint: Only the loss divides by N" in done.stdout
    assert "\nScore: 92 of 100\n" in done.stdout
    properties = ElementTree.parse(tmp_path / "result.xml").iter("property")
    earned = [int(p.get("value")) for p in properties if p.get("name") == "earned"]
    assert sum(earned) == 92


def test_a_submission_that_ends_the_program_loses_its_points_and_nothing_else(tmp_path):
    (tmp_path / "exercise_1.py").write_text("print('no')\nexit()\n", encoding="utf-8")
    done = graded(tmp_path)
    assert "SystemExit" in done.stdout
    assert "\nScore: 0 of 100\n" in done.stdout


def test_a_file_that_is_not_there_is_the_graders_mistake(tmp_path):
    done = graded(tmp_path, "--submission", "nobody.py")
    assert "there is no file nobody.py" in done.stderr
    assert "Score" not in done.stdout
