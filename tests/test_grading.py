"""Grading: checks, custom exercises, results, and the command."""

import ast
import inspect
import json
import os
import pickle
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from submissions import COURSE, changed, solution

from nnreg.commands.main import main
from nnreg.course import check, exercise, grade, grade_all
from nnreg.course.grading.assertions import assert_close, patched
from nnreg.course.grading.exercises import VISIBILITIES
from nnreg.course.grading.process import Process
from nnreg.course.grading.submission import MAX_MESSAGE, Submission, reason

OWN = '''
"""Doubling: twice a number."""

import time

import numpy as np

from nnreg.course import check


@check(6)
def doubles(submission, rng):
    """double: it returns twice its argument."""
    number = rng.integers(1, 10)
    assert submission.double(number) == 2 * number, f"double({number}) should be {2 * number}."


@check(3, visibility="hidden", seed=7)
def arrays(submission, rng):
    """double: of an array, too."""
    x = rng.normal(size=3)
    assert np.allclose(submission.double(x), 2 * x)


@check(1, seconds=0.5)
def quick(submission, rng):
    """double: it is quick."""
    submission.double(1)
'''


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def graded(tmp_path):
    """Return a function that grades a text to the exercise above."""
    (tmp_path / "doubling.py").write_text(OWN.lstrip(), encoding="utf-8")

    def graded(text, name="ada.py"):
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
        return grade(name, "doubling.py", seconds=5, megabytes=500)

    return graded


# --- Exercises ------------------------------------------------------------------------------------


def test_an_exercise_of_ones_own_is_a_file_with_checks(graded):
    result = graded("def double(x):\n    return 2 * x\n")
    assert str(result) == (
        "Doubling: twice a number.\n"
        "  6 of  6  double: it returns twice its argument.\n"
        "  3 of  3  double: of an array, too. (hidden)\n"
        "  1 of  1  double: it is quick.\n"
        "Score: 10 of 10 (ada.py)"
    )


def test_a_plain_assertion_with_words_is_what_the_student_reads(graded):
    result = graded("def double(x):\n    return x + 5\n")
    assert list(result.lost) == ["doubles", "arrays"]
    assert re.fullmatch(r"double\(\d\) should be \d+\.", result.lost["doubles"])
    assert result.lost["arrays"] == "The check failed."
    assert result.score == 1


def test_a_check_can_be_called_wherever_assertions_are():
    exercise_ = exercise("exercise_1")
    names = {"np": np}
    exec(changed(1, ("dy.sum(axis=0)", "dy.mean(axis=0)")), names)
    exercise_["affine_dw"](names)
    with pytest.raises(AssertionError, match="db is the mean over the batch"):
        exercise_["affine_db"](names)
    with pytest.raises(AssertionError, match=r"The submission has no affine_forward\."):
        exercise_["affine_db"]({})


def test_otters_test_file_in_the_documents_is_one(monkeypatch):
    """The file's functions get the student's names as ``env``, as otter-grader gives them."""

    def test_case(points):
        return lambda function: cases.append((points, function))

    cases, stub = [], ModuleType("otter.test_files")
    stub.test_case = test_case
    monkeypatch.setitem(sys.modules, "otter", ModuleType("otter"))
    monkeypatch.setitem(sys.modules, "otter.test_files", stub)
    text = (COURSE / "grading.md").read_text(encoding="utf-8")
    file = {}
    exec(re.search(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1], file)
    assert sum(points for points, _ in cases) == file["points"] == 36
    env = {}
    exec(changed(1, ("dy.sum(axis=0)", "dy.mean(axis=0)")), env)
    (_, dx), (_, dw), (_, db) = cases
    dx(env)
    dw(env)
    with pytest.raises(AssertionError, match="db is the mean over the batch"):
        db(env)


def test_nbgraders_cell_in_the_documents_is_one():
    text = (COURSE / "grading.md").read_text(encoding="utf-8")
    cell = text.split("## nbgrader")[1].split("```py\n")[1].split("```")[0]
    names = {}
    exec(solution(1), names)
    exec(cell, names)
    exec(changed(1, ("dy.sum(axis=0)", "dy.mean(axis=0)")), names)
    with pytest.raises(AssertionError, match="db is the mean over the batch"):
        exec(cell, names)


def written(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return name


REFUSED = {
    "no points": (lambda: check(0), r"points must be a number in \(0"),
    "no seconds": (lambda: check(1, seconds=0), r"seconds must be a number in \(0"),
    "a negative seed": (lambda: check(1, seed=-1), "seed"),
    "no visibility": (lambda: check(1, visibility="visble"), "did you mean 'visible'"),
    "no docstring": (lambda: check(1)(lambda submission, rng: None), "must have a docstring"),
    "no exercise": (lambda: exercise("exercise_9"), r"1, .*\(did you mean 'exercise_\d'"),
    "an empty file": (lambda: exercise(written("empty.py", "")), "there are no checks"),
    "no Python file": (lambda: exercise(written("own.txt", OWN)), "must be a Python file"),
    "no check": (lambda: exercise("exercise_1")["nothing"], "the check must be one of"),
    "no submission": (lambda: grade("missing.py", "exercise_1"), "there is no file missing.py"),
    "no file to grade": (
        lambda: grade(written("ada.txt", ""), "exercise_1"),
        "must be a .py file or an .ipynb, got ada.txt",
    ),
    "an exit": (
        lambda: exercise("exercise_1")["relu_forward"]({"relu_forward": sys.exit}),
        "ends the program",
    ),
    "another shape": (
        lambda: assert_close("y", [1, 2, 3], [1, 2]), r"y has the shape \(3,\), expected \(2,\)"
    ),
    "no numbers": (lambda: assert_close("y", ["a"], [1]), "y must hold numbers, got <U1"),
    "another number": (
        lambda: assert_close("y", [1, np.nan], [1.0, 2.0]), r"y\[1\] is nan, expected 2"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    call, message = REFUSED[case]
    with pytest.raises((ValueError, OSError, AssertionError), match=message):
        call()


# --- Submissions ----------------------------------------------------------------------------------


def _indent(text):
    return textwrap.indent(text, "    ")


def notebook(*sources):
    cells = [{"cell_type": "code", "source": source.splitlines(True)} for source in sources]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# no code"]}, *cells]})


LOST = {
    "an assertion of the submission": (
        "def double(x):\n    assert x is None, 'why'\n",
        {"doubles", "arrays", "quick"},
        r"AssertionError: why \(submission, line 2, in double\)$",
    ),
    "a line of a notebook": (
        notebook("import math", "def double(x):\n    return y"),
        {"doubles", "arrays", "quick"},
        r"NameError: name 'y' is not defined \(submission, code cell 2, line 2, in double\)$",
    ),
    "an import within an answer": (
        "def double(x):\n    import os\n    return 2 * x\n",
        {"doubles", "arrays", "quick"},
        "ImportError: os cannot be imported: this exercise allows",
    ),
    "an exit": (
        "def double(x):\n    raise SystemExit\n", {"doubles", "arrays", "quick"}, "ends the program"
    ),
    "the limit of time of one check": (
        "import time\n\ndef double(x):\n    time.sleep(isinstance(x, int))\n    return 2 * x\n",
        {"quick"},
        r"It took more than 0\.5 s: is there an infinite loop\?$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOST)
def test_points_are_lost_with_the_reason(case, graded):
    text, checks, message = LOST[case]
    result = graded(text, f"ada.{'ipynb' if text.startswith('{') else 'py'}")
    assert set(result.lost) == checks
    assert all(re.search(message, reason) for reason in result.lost.values())


def test_what_a_failed_check_printed_is_shown(graded):
    result = graded(
        "print('not run')\n\n\ndef double(x):\n    print('called with', x)\n    return x\n"
    )
    assert "It printed:\n             called with" in str(result)
    assert "not run\n" not in str(result)


RIGHT = "def double(x):\n    return 2 * x\n"

#: Right submissions as they come: each file has every point, and the report has the words.
RIGHT_AS_THEY_COME = {
    "a scratch cell": (notebook("print 3", RIGHT), "print 3"),
    "a scratch line in the cell": (notebook(f"x = (\n{RIGHT}\nprint 'spam'\n"), "print 'spam'"),
    "an unclosed bracket above": (notebook(f"print(3\n{RIGHT}"), "print(3"),
    "magics": (notebook(f"%time\n!ls 'a\n?sum\nsum?\nsum??\nf = !ls\n%time f(')\n{RIGHT}"), "!ls"),
    "a magic in a block": (notebook(f"if True:\n    %timeit 1\n{RIGHT}"), "if True"),
    "a cell magic": (notebook(f"%%time\n{RIGHT}"), ""),
    "a cell that is not Python": (notebook("%%bash\nfi )", RIGHT), "%%bash"),
    "get_ipython": ("get_ipython().system('ls')\n" + RIGHT, "line 1"),
    "get_ipython in a notebook": (notebook("get_ipython().magic('x')", RIGHT), "code cell 1"),
    "a line that goes on with %": (
        notebook(f"%time\n{RIGHT.replace('2 * x', '(2 * x')} +  0 * (7\n   % 3))"), "%time"
    ),
    "a backslash before %": (notebook(f"%time\none = 7 \\\n% 3\n{RIGHT}"), "%time"),
    "a text with % lines": (notebook(f'%time\ns = """\n%d\n!\n"""\n{RIGHT}'), "%time"),
    "a package that is not there": (notebook("from google.colab import drive", RIGHT), "google"),
    "a package that is not allowed": ("import pandas as pd, os\n" + RIGHT, "allows numpy"),
    "drawing": ("import matplotlib.pyplot as plt\nplt.plot([1], [2])\n" + RIGHT, "line 2"),
    "format 3": (
        json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": [RIGHT]}]}]}), ""
    ),
    "format 4, one string": (
        json.dumps({"cells": [{"cell_type": "code", "source": RIGHT}], "nbformat": 4}), ""
    ),
    "a byte-order mark": ("\ufeff" + RIGHT, ""),
    "an encoding cookie": (f"# -*- coding: latin-1 -*-\n# é\n{RIGHT}".encode("latin-1"), ""),
    "an encoding that is not said": (f"# é\n{RIGHT}".encode("latin-1"), "Latin-1"),
    "an unknown encoding": (f"# coding: nonsense\n{RIGHT}", "Latin-1"),
    "UTF-16": (RIGHT.encode("utf-16"), ""),
    "Windows line ends": (RIGHT.replace("\n", "\r\n"), ""),
    "a lambda": ("double = lambda x: 2 * x\n", ""),
    "an annotated lambda": ("double: object = lambda x: 2 * x\n", ""),
    "an assignment": ("def two(x):\n    return 2 * x\n\ndouble = also = two\n", ""),
    "a tuple of answers": ("double, half = (lambda x: 2 * x), (lambda x: x / 2)\n", ""),
    "a partial function": (
        "import functools, operator\ndouble = functools.partial(operator.mul, 2)\n", ""
    ),
    "a static method": (f"class Answers:\n    @staticmethod\n{_indent(RIGHT)}", "class Answers"),
    "a method": (f"class Answers:\n{_indent(RIGHT.replace('(x', '(self, x'))}", "class Answers"),
    "a function in a class": (f"class Answers:\n{_indent(RIGHT)}", "class Answers"),
    "an assigned method": (
        f"class A:\n{_indent(RIGHT.replace('(x', '(self, x'))}\ndouble = A().double\n", ""
    ),
    "an object that is called": (
        "class D:\n    def __call__(self, x):\n        return 2 * x\n\ndouble = D()\n", ""
    ),
    "plain values": (f"A, B = 2, 'b'\nC: int = 1\n{RIGHT.replace('2 *', 'A * C *')}", ""),
    "computed values": (f"import numpy as np\nA = np.full(1, 2)[0]\n{RIGHT.replace('2', 'A')}", ""),
    "a value changed later": (f"A = 1\nA += 1\n{RIGHT.replace('2', 'A')}", ""),
    "a star import": (f"from math import *\n{RIGHT.replace('2', '2 * cos(0)')}", ""),
    "a star import of a builtin's name": (
        "from numpy import *\ndef double(x):\n    return sum([[x, x]], axis=1)[0]\n", ""
    ),
    "a decorator that is not there": (f"from numba import njit\n\n@njit\n{RIGHT}", "@njit"),
    "annotations that are not there": (RIGHT.replace("(x)", "(x: torch.Tensor) -> None"), ""),
    "a global that a call sets": (
        "def double(x):\n    keep(x)\n    return 2 * LAST\n\ndef keep(x):\n    global LAST\n"
        "    LAST = x\n", ""
    ),
    "return and await outside functions": (notebook("return 3", "await x", RIGHT), "code cell"),
    "a helper below": (f"{RIGHT.replace('2 *', 'two() *')}\ndef two():\n    return 2\n", ""),
    "a condition": (f"try:\n    import nothing\nexcept ImportError:\n{_indent(RIGHT)}", ""),
    "a main block": (f"if __name__ == '__main__':\n{_indent(RIGHT)}", ""),
    "a second try": ("def double(x):\n    raise NotImplementedError\n\n" + RIGHT, ""),
    "a future import": ("from __future__ import annotations\n" + RIGHT.replace("x)", "x: N)"), ""),
    "a crash elsewhere": (f"1 / 0\nz = 1 / 0\n{RIGHT}", "2 statement(s)"),
    "an endless loop elsewhere": (f"while True: pass\n{RIGHT}", "line 1"),
    "an exit elsewhere": (f"import sys\nsys.exit()\nexit()\n{RIGHT}", "import sys"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT_AS_THEY_COME)
def test_a_right_submission_loses_nothing_for_what_stands_beside_its_answers(name):
    text, words = RIGHT_AS_THEY_COME[name]
    raw = text if isinstance(text, bytes) else text.encode()
    submission = Submission(raw, raw.startswith(b"{"), ("numpy", "matplotlib"))
    assert submission.get("double")(3) == 6
    assert words in "\n".join(submission.report())


@pytest.mark.parametrize(
    "line",
    ["a b", "x(", '"""', "@f", "else:", "(" * 300, "x = 0777", "\0", "lambda:" * 99, "if 1:"],
)
def test_lines_that_are_not_python_take_linear_time_and_are_skipped(line, monkeypatch):
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda s, *rest: parsed.append(len(s)) or parse(s, *rest))
    lines = f"{line}\n" * min(2_500, 30_000 // len(line))
    submission = Submission((RIGHT + lines).encode(), False, ("numpy",))
    assert submission.get("double")(3) == 6
    assert sum(parsed) < 20 * len(lines)


@pytest.mark.reliability(
    input="A submission with more than 200,000 characters of code",
    sees="0 points, and the reason",
)
def test_code_of_more_than_the_limit_is_refused():
    with pytest.raises(ValueError, match=r"The code has 200,001 characters; at most 200,000"):
        Submission(b"#" * 200_001, False, ())


def test_the_report_says_what_was_not_run(graded):
    text = notebook("%matplotlib inline\nimport pandas", "print(1 / 0)", "print 3", RIGHT)
    result = graded(text, "ada.ipynb")
    assert result.lost == {}
    expected = (
        "Not run:",
        "code cell 1, line 1: %matplotlib inline (not valid Python)",
        "code cell 1, line 2: import pandas (this exercise allows numpy, matplotlib and",
        "code cell 3, line 1: print 3 (not valid Python: SyntaxError: ",
        "1 statement(s) not needed by any check: submission, code cell 2, line 1",
    )
    for words in expected:
        assert words in str(result)
        assert words in result.gradescope()["output"]


MISSING = {
    "nothing": ("x = 1\n", r"The submission has no double\.$"),
    "another spelling": ("def doubel(x): ...\n", r"has no double \(doubel\?\)\."),
    "in a neighbour's file": (
        "from bob import double\n",
        "double was skipped in .*: this exercise",
    ),
    "in a neighbour's file, all": ("from bob import *\n", "not define double, and 'from bob"),
    "beside it": ("from .bob import double\n", "double was skipped in"),
    "no Python": ("def double(x):\n    return 2 x\n", "double was skipped in.*SyntaxError.*line 2"),
    "a crash": ("double = 1 / 0\n", "double was skipped in .*, line 1: ZeroDivisionError"),
    "an object of a class": (
        "class A:\n    def __init__(self, a): ...\n    def double(self, x): ...\n",
        "double is a method of the class A, which cannot be instantiated: TypeError",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_an_answer_that_is_not_there_is_missed_with_the_reason(name):
    text, message = MISSING[name]
    with pytest.raises(AttributeError, match=message):
        Submission(text.encode(), False, ("numpy",)).get("double")


@pytest.mark.parametrize("text", ["", "[]", "{}", "no JSON", '{"cells": [{}]}', "[" * 10**5])
def test_a_notebook_that_is_none_is_said_to_be_none(text):
    with pytest.raises(ValueError, match="notebook cannot be read"):
        Submission(text.encode(), True, ())


def test_a_star_import_gives_what_is_not_refused(graded):
    uses = "maximum(x, x) + minimum(x, x) + zeros(1)[0] + absolute(0) + sin(0) + outer(0, 0)[0, 0]"
    result = graded(f"from numpy import *\n\ndef double(x):\n    return {uses}\n")
    assert (result.lost, result.skipped) == ({}, ())


def test_methods_of_one_class_are_those_of_one_object():
    text = b"class A:\n    def keep(self, x): self.x = x\n    def double(self): return 2 * self.x\n"
    submission = Submission(text, False, ())
    submission.get("keep")(3)
    assert submission.get("double")() == 6


def test_an_exercise_declares_what_a_submission_may_import(graded, tmp_path):
    text = "import calendar\n\ndef double(x):\n    return 2 * x * (calendar.MONDAY == 0)\n"
    assert "calendar was skipped" in graded(text).lost["doubles"]
    text = (tmp_path / "doubling.py").read_text(encoding="utf-8")
    (tmp_path / "open.py").write_text(text + "\n\nMODULES = ('numpy', 'calendar')\n")
    assert grade("ada.py", "open.py").lost == {}


@pytest.mark.parametrize("source", ["exercise_1", "doubling.py"])
def test_an_exercise_and_its_checks_and_grades_can_be_pickled(source, graded):
    exercise_ = exercise(source)
    again = pickle.loads(pickle.dumps(exercise_))
    assert [check.name for check in again] == [check.name for check in exercise_]
    assert pickle.loads(pickle.dumps(exercise_.checks[0])).title == exercise_.checks[0].title
    result = graded("def double(x):\n    return x\n")
    assert str(pickle.loads(pickle.dumps(result))) == str(result)


def test_draws_from_the_global_generators_are_the_same_each_time(graded):
    text = """
        import random
        import numpy as np


        def double(x):
            raise ValueError(f"{np.random.rand()} {random.random()}")
        """
    assert graded(text).lost == graded(text).lost


# --- What an assertion says -----------------------------------------------------------------------


def test_a_reason_is_short_whatever_the_error_says():
    class MuteError(Exception):
        def __str__(self):
            raise ValueError

    assert len(reason(ValueError("x" * 10**6))) < MAX_MESSAGE + 10
    assert reason(MuteError()) == "MuteError: (its message cannot be shown)"
    assert reason(MemoryError()) == "It exceeded the memory limit."


def test_a_function_is_called_in_place_of_another_only_for_a_while():
    names = {}
    exec("def a():\n    return 1\n\n\ndef b():\n    return a()\n", names)
    with patched(names["b"], a=lambda: 2, other=lambda: 3):
        assert names["b"]() == 2
    assert names["b"]() == 1
    assert "other" not in names


KEEPING = """
KEPT = []

def keep(x):
    x += 1
    KEPT.append(x)
    return x, (x, {"a": [x.T]})

def change(cache):
    cache[1]["a"].append(KEPT[0])
    KEPT[0][0] = 9
    return cache[0]

def call(function, x, *, times=1):
    return function(x) * times

class Point:
    def __init__(self, x):
        self.x = x
"""


def test_arrays_lists_and_dictionaries_keep_their_identity_on_the_way_to_a_submission(tmp_path):
    (tmp_path / "keeping.py").write_text(KEEPING)
    with Process(tmp_path / "keeping.py", tmp_path, ("numpy",), 500) as process:
        process.load(9)
        answers, x = process.answers, np.zeros(2)
        y, cache = answers.keep(x)
        assert y is x
        assert x.tolist() == [1, 1]
        assert answers.change(cache) is x
        assert x.tolist() == cache[1]["a"][0].tolist() == [9, 1]
        assert cache[1]["a"][1] is x
        assert answers.call(lambda v: v + 1j, np.float32(2), times=3) == 6 + 3j
        with pytest.raises(ZeroDivisionError):
            answers.call(lambda v: 1 / v, 0)
        point = answers.Point(x)
        point.x = (1, None, "é", 2**70, np.nan)
        assert repr(point.x) == repr((1, None, "é", 2**70, np.nan))
        assert list(inspect.signature(answers.call).parameters) == ["function", "x", "times"]
        for _ in range(200):  # what is no longer used is dropped
            answers.keep(np.zeros(3))
        assert len(process.answers.wire._objects) < 600


# --- Gradescope, and the command ------------------------------------------------------------------


def test_gradescopes_file_has_every_check(graded):
    result = graded("def double(x):\n    print('hello')\n    return x\n").gradescope()
    assert json.loads(json.dumps(result)) == result
    assert (result["score"], result["max_score"]) == (1, 10)
    assert result["execution_time"] >= 0
    first, hidden, last = result["tests"]
    assert first["name"] == "double: it returns twice its argument."
    assert (first["score"], first["max_score"], first["status"]) == (0, 6, "failed")
    assert "should be" in first["output"]
    assert "hello" in first["output"]
    assert (first["visibility"], hidden["visibility"]) == ("visible", "hidden")
    assert (last["score"], last["status"]) == (1, "passed")
    assert set(first) == {"name", "score", "max_score", "status", "output", "visibility"}
    assert {test["visibility"] for test in result["tests"]} <= set(VISIBILITIES)


def test_the_command_takes_the_exercise_from_the_name_and_writes_the_file(tmp_path, capsys):
    text = changed(1, ("dy.sum(axis=0)", "dy.mean(axis=0)"))
    (tmp_path / "exercise_1.py").write_text(text, encoding="utf-8")
    assert main(["grade", "exercise_1.py", "--json", "results.json"]) == 0
    out, err = capsys.readouterr()
    assert "  0 of 12  affine_backward: db is the derivative with respect to b.\n" in out
    assert "           db is the mean over the batch; it should be the sum.\n" in out
    assert out.endswith("Score: 88 of 100 (exercise_1.py)\n")
    assert err == ""
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["score"] == 88


def test_one_reason_for_many_checks_is_said_once(tmp_path, capsys):
    (tmp_path / "ada.py").write_text((COURSE / "exercise_1.py").read_text(encoding="utf-8"))
    assert main(["grade", "ada.py", "--exercise", "exercise_1"]) == 0
    out = capsys.readouterr().out
    assert out.count("affine_forward is not written yet.") == 1
    assert "Score: 0 of 100 (ada.py)" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("missing.py --exercise exercise_1", "there is no file missing.py"),
        ("missing.py", "there is no file missing.py"),
        ("ada.py", "--exercise must be one of exercise_1"),
        ("ada.py --exercise exercise_1 --seconds 0", "--seconds must be a number in (0"),
        ("ada.py --exercise exercise_1 --megabytes 0", "--megabytes must be"),
        ("ada.py --exercise exercise_1 --json there.json", "--force replaces it"),
        ("--exercise exercise_1", "pass either a submission or --all FOLDER"),
        ("ada.py --all .", "pass either a submission or --all FOLDER"),
        ("--all .", "--all needs --exercise"),
        ("--all . --exercise exercise_1 --json new.json", "--csv but no --json"),
        ("--all nowhere --exercise exercise_1", "there is no folder nowhere"),
        ("--all empty --exercise exercise_1", "no .py file, no .ipynb and no folder in empty"),
        ("--all . --exercise exercise_1 --csv there.json", "--force replaces it"),
        ("ada.py --exercise exercise_1 --csv new.csv", "--csv needs --all FOLDER"),
    ],
)
def test_an_error_is_one_line(tmp_path, capsys, options, message):
    (tmp_path / "ada.py").write_text(solution(1), encoding="utf-8")
    (tmp_path / "there.json").write_text("kept")
    (tmp_path / "empty").mkdir()
    assert main(["grade", *options.split()]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""
    assert (tmp_path / "there.json").read_text() == "kept"


def test_where_there_is_nothing_to_grade_the_file_says_why(tmp_path, capsys):
    assert main(["grade", "hw1.ipynb", "--exercise", "exercise_1", "--json", "new.json"]) == 2
    report = json.loads((tmp_path / "new.json").read_text())
    assert report["score"] == 0
    assert "there is no file hw1.ipynb" in report["output"]


def test_force_replaces_the_file(tmp_path, capsys):
    (tmp_path / "exercise_1.py").write_text(solution(1), encoding="utf-8")
    (tmp_path / "there.json").write_text('{"score": 0, "output": "old"}')
    assert main(["grade", "exercise_1.py", "--json", "there.json", "--force"]) == 0
    assert json.loads((tmp_path / "there.json").read_text())["score"] == 100


@pytest.mark.parametrize("text", ["old", "[1]", '{"score": 0}', "3", "submission;score"])
@pytest.mark.parametrize(
    "arguments",
    [
        "grade exercise_1.py --json there --force",
        "grade --all . --exercise exercise_1 --csv there --force",
        "course gradescope exercise_1 there --force",
    ],
)
def test_force_replaces_no_file_of_another_program(tmp_path, capsys, arguments, text):
    (tmp_path / "exercise_1.py").write_text("", encoding="utf-8")
    (tmp_path / "there").write_text(text)
    assert main(arguments.split()) == 2
    assert "there exists and is not what this command writes" in capsys.readouterr().err
    assert (tmp_path / "there").read_text() == text


# --- Folders, classes and hidden checks -----------------------------------------------------------

DOUBLE, TRIPLE = (f"def double(x):\n    return {n} * x\n" for n in (2, 3))


def write_files(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_of_several_files_the_best_counts_whatever_their_names(graded, tmp_path):
    files = {"a.py": TRIPLE, "Ada's (2) é.PY": DOUBLE, ".hidden.py": "", "notes.txt": ""}
    write_files(tmp_path / "ada", **files)
    graded(DOUBLE)
    if os.name == "posix":
        (tmp_path / "ada" / "link.py").symlink_to(tmp_path / "doubling.py")
    result = grade(tmp_path / "ada", "doubling.py")
    assert (result.score, result.submission) == (10, "Ada's (2) é.PY")
    assert result.skipped == ("a.py: 1 points; Ada's (2) é.PY counts",)


def test_of_many_files_the_first_are_graded(graded, tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.course.grading.grader.MAX_FILES", 1)
    write_files(tmp_path / "ada", **{"a.py": TRIPLE, "b.py": DOUBLE})
    graded(DOUBLE)
    result = grade(tmp_path / "ada", "doubling.py")
    assert result.score == 1
    assert result.skipped == ("1 more file(s): at most 1 are graded",)


@pytest.mark.parametrize(
    ("files", "message"), [(["a.docx", "b.zip"], "it has a.docx, b.zip"), ([], "it is empty")]
)
def test_a_folder_without_a_submission_is_an_error_that_names_its_files(tmp_path, files, message):
    write_files(tmp_path / "ada", **dict.fromkeys(files, ""))
    with pytest.raises(FileNotFoundError, match=message):
        grade(tmp_path / "ada", "exercise_1")


def test_a_class_is_a_table_and_its_commonest_mistakes(graded, tmp_path, capsys):
    graded(DOUBLE)
    write_files(tmp_path / "class", **{"ada.py": DOUBLE, "Bob.py": TRIPLE, "notes.txt": ""})
    write_files(tmp_path / "class" / "carol", **{"hw.py": TRIPLE})
    write_files(tmp_path / "class" / "dora", **{"hw.docx": ""})
    write_files(tmp_path / "class" / "=1+1", **{"hw.py": DOUBLE})
    command = "grade --all class --exercise doubling.py --csv points.csv"
    assert main(command.split()) == 0
    rows = [
        "=1+1           10",
        "ada.py         10",
        "Bob.py          1  doubles, arrays",
        "carol           1  doubles",
    ]
    out = capsys.readouterr().out
    assert all(f"\n{row}" in out for row in rows)
    assert re.search(r"\ndora +-  there is no \.py file and no \.ipynb in dora", out)
    assert "\nNeither .py nor .ipynb, so not graded: notes.txt\n" in out
    assert "4 of 5 graded, of 10 points: mean 5.5, median 5.5, lowest 1, highest 10." in out
    mistakes = out.partition("The commonest mistakes:\n\n")[2]
    assert mistakes.startswith(
        "  2 of 4  double: it returns twice its argument.\n          double("
    )
    assert max(map(len, out.splitlines())) <= 80
    lines = (tmp_path / "points.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "submission,score,doubles,arrays,quick,not graded"
    assert lines[1] == "'=1+1,10,6,3,1,"  # a spreadsheet shows it, and does not compute it
    assert lines[2:5] == ["ada.py,10,6,3,1,", "Bob.py,1,0,0,1,", "carol,1,0,0,1,"]
    assert lines[5].startswith("dora,,,,,there is no")
    assert main([*command.split(), "--force"]) == 0


def test_mistakes_are_one_if_they_have_the_same_hint_or_differ_in_numbers(graded, tmp_path):
    graded(DOUBLE)
    report = "def double(x):\n    raise ValueError('{} rows\\nHint: {}')\n"
    texts = [report.format(*words) for words in (("3", "a"), ("no", "a"), ("3", "b"))]
    texts += ["def double(x):\n    raise ValueError(f'{id(x)} is odd')\n"] * 2
    write_files(tmp_path / "class", **{f"{n}.py": text for n, text in enumerate(texts)})
    mistakes = grade_all("class", "doubling.py").mistakes()
    assert [(count, title) for count, title, _ in mistakes] == [
        (2, "3 checks"),
        (2, "3 checks"),
        (1, "3 checks"),
    ]


HIDDEN = """
'''Doubling, with hidden checks.'''
from nnreg.course import check

EXTENDS = "doubling.py"


@check(20, visibility="hidden")
def text(submission, rng):
    '''double: of text, too.'''
    assert submission.double("a") == "aa"


@check(2)
def quick(submission, rng):
    '''double: it is called.'''
    submission.double(1)
"""


def test_a_file_extends_an_exercise_by_hidden_checks_and_replaces_others(graded, tmp_path):
    graded(DOUBLE)
    write_files(tmp_path, **{"hidden.py": HIDDEN})
    extended = exercise("hidden.py")
    points = {check.name: check.points for check in extended}
    assert points == {"doubles": 6, "arrays": 3, "quick": 2, "text": 20}
    assert [Path(file).name for file in extended.files] == ["hidden.py", "doubling.py"]
    result = grade("ada.py", "hidden.py")
    assert result.score == 31
    assert " 20 of 20  double: of text, too. (hidden)\n" in str(result)
    assert result.gradescope()["tests"][3]["visibility"] == "hidden"


def test_an_exercise_that_comes_with_nnreg_can_be_extended(tmp_path):
    write_files(tmp_path, **{"hidden.py": HIDDEN.replace("doubling.py", "exercise_6")})
    extended = exercise("hidden.py")
    assert extended.points == 122
    assert extended.modules == exercise("exercise_6").modules
    assert len(extended.files) == 1
    write_files(tmp_path, **{"hidden.py": HIDDEN.replace("doubling.py", "other/own.py")})
    with pytest.raises(ValueError, match="other/own"):
        exercise("hidden.py")
