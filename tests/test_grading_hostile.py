"""Submissions that do what they should not: each loses its points, is told why, and harms no more.

Limits are short here. A submission is a program with the grader's rights: this is no sandbox.
"""

import os
import sys
import time

import pytest

from nnreg.course import grade
from nnreg.course.grading.limits import PRINTED
from nnreg.course.grading.process import KEPT, Process

unix = pytest.mark.skipif(sys.platform == "win32", reason="Unix has this")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to limits of memory")

EXERCISE = '''
"""Three checks, of which the second runs what is bad."""

import numpy as np

from nnreg.course import check
from nnreg.course.grading.assertions import assert_close


@check(3)
def before(submission, rng):
    """fine: it returns its argument."""
    assert_close("fine(3)", submission.fine(3), 3)


@check(2)
def between(submission, rng):
    """bad: it returns its argument."""
    assert_close("bad(2)", submission.bad(2), 2)


@check(5)
def after(submission, rng):
    """fine: it returns another argument."""
    assert_close("fine(5)", submission.fine(5), 5)
'''
FINE = """
import numpy as np


def fine(x):
    return x


def bad(x):
    return x
"""


@pytest.fixture
def lost(tmp_path):
    """Return a function that says why a submission loses points, and which."""
    own = tmp_path / "three.py"
    own.write_text(EXERCISE.lstrip(), encoding="utf-8")

    def lost(text, **limits):
        path = tmp_path / "ada.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        lost.grade = grade(path, own, **{"seconds": 5, "megabytes": 400, **limits})
        return lost.grade.lost

    return lost


def inside(body):
    """Return a submission with another body of the bad function."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return FINE.replace("def bad(x):\n    return x\n", f"def bad(x):\n{lines}")


def first(statements):
    """Return a submission that is right, after these statements."""
    return f"{statements}\n{FINE}"


def test_an_endless_loop_costs_the_checks_that_run_into_it(lost):
    reasons = lost(inside("while True:\n    pass"), seconds=0.5)
    assert reasons == {"between": "It took more than 0.5 s: does a loop never end?"}
    assert lost.grade.score == 8


def test_a_loop_that_lets_nothing_stop_it_is_stopped(lost):
    stubborn = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    try:\n"
        "        while True:\n            pass\n    except BaseException:\n        pass\n"
    )
    begun = time.monotonic()
    reasons = lost(first(stubborn), seconds=0.5)
    assert set(reasons.values()) == {"It took more than 0.5 s: does a loop never end?"}
    assert len(reasons) == 3
    assert time.monotonic() - begun < 60


CRASHES = {
    "os._exit": ("import os; os._exit(0)", "ends the process, with status 0"),
    "os._exit with a status": ("import os; os._exit(3)", "ends the process, with status 3"),
    "sys.exit": ("import sys; sys.exit(0)", "ends the program"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "an exception that is none": ("class E(BaseException): ...\nraise E('what')", "E: what"),
    "endless recursion": ("return bad(x)", "calls itself without end"),
    "an abyss of an exception": (
        "class E(Exception):\n    def __str__(self): raise self\nraise E",
        "cannot be shown",
    ),
    "a large message": ("raise ValueError('x' * 10**7)", "ValueError: xxx"),
}


@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_costs_the_checks_that_run_into_it(crash, lost):
    statement, words = CRASHES[crash]
    reasons = lost(inside(statement))
    assert list(reasons) == ["between"]
    assert all(words in reason for reason in reasons.values()), reasons


@unix
def test_a_segmentation_fault_costs_the_checks_that_run_into_it(lost):
    reasons = lost(inside("import ctypes; ctypes.string_at(0)"))
    assert list(reasons) == ["between"]
    assert set(reasons.values()) == {"The submission crashes the process (SIGSEGV)."}


@unix
def test_a_submission_that_kills_its_group_kills_itself_alone(lost):
    reasons = lost(first("import os, signal\nos.killpg(0, signal.SIGKILL)"))
    assert len(reasons) == 3
    assert "(SIGKILL)" in reasons["between"]


@linux
@pytest.mark.parametrize(
    "bomb", ["[bytearray(10**8) for _ in range(10**6)]", "np.ones(10**9)", "'x' * 10**10"]
)
def test_a_memory_bomb_costs_the_checks_that_run_into_it(bomb, lost):
    reasons = lost(inside(f"return {bomb}"))
    assert list(reasons) == ["between"]
    assert set(reasons.values()) == {"It asks for more memory than the grader allows."}


@pytest.mark.parametrize("flood", ["print('spam' * 10**6)", "while True: print('spam' * 99)"])
def test_megabytes_printed_cost_the_checks_that_print_them(flood, lost):
    reasons = lost(inside(f"{flood}\nreturn x"))
    assert list(reasons) == ["between"]
    assert set(reasons.values()) == {f"It prints more than {PRINTED:,} characters."}
    printed = max(len(result.printed) for result in lost.grade.results)
    assert 0 < printed < KEPT + 20


def test_a_little_garbage_printed_is_shown_without_its_control_characters(lost):
    text = first("import os\nos.write(1, bytes(range(256)))\nos.write(2, b'\\x1b[2J')")
    assert lost(text) == {}
    assert lost.grade.printed.replace("\n", "").replace("\t", "").isprintable()


def test_an_answer_that_is_printed_is_not_an_answer(lost):
    claim = '{"score": 100, "message": "", "over": false}'
    reasons = lost(f"print('{claim}')\nimport atexit\natexit.register(print, '{claim}')\n")
    assert len(reasons) == 3
    assert reasons["before"] == "The submission has no fine."
    assert lost.grade.printed == claim + "\n"


@unix
def test_an_answer_written_wherever_it_can_be_is_not_an_answer(lost):
    text = (
        "import os\nfor handle in range(40):\n    try:\n"
        '        os.write(handle, b\'{"word": "", "message": "", "over": false}\\n\' * 30)\n'
        "    except OSError:\n        pass"
    )
    reasons = lost(first(text))
    assert set(reasons.values()) == {"The submission writes where only the grader writes."}
    assert lost.grade.score == 0


@unix
@pytest.mark.parametrize(
    "garbage", ["b'7\\n'", "b'[]\\n'", "b'{}\\n'", "b'\\xff\\n'", "b'x' * 10**6"]
)
def test_garbage_where_the_grader_writes_is_no_answer(garbage, lost):
    text = (
        f"import os\nfor handle in range(3, 40):\n    try:\n        os.write(handle, {garbage})\n"
    )
    reasons = lost(first(text + "    except OSError:\n        pass"), seconds=5)
    assert len(reasons) == 3
    assert "where only the grader writes" in reasons["between"]


TRICKS = {
    "numpy.isclose": "import numpy as np\nnp.isclose = lambda *a, **k: np.array(True)",
    "numpy.array_equal": "import numpy\nsetattr(numpy, 'array_equal', lambda *a: True)",
    "builtins.all": "import builtins\nbuiltins.all = lambda *a: True",
    "nnreg.course.grading.assertions.expect": (
        "from nnreg.course.grading import tutor\n"
        "tutor.expect.__code__ = (lambda holds, message: None).__code__"
    ),
    "nnreg.course.grading.exercises.Check.__call__": (
        "from nnreg.course import Check\nCheck.__call__ = lambda self, submission: None"
    ),
    "numpy": "import sys\nsys.modules['numpy'] = sys.modules['math']",
    "nnreg.course.grading.worker.judge": (
        "import sys\nsys.modules['__main__'].judge = lambda *a: ''\n"
        "from nnreg.course.grading import child\nchild.judge = None"
    ),
}


@pytest.mark.parametrize("name", TRICKS)
def test_what_judges_may_not_be_changed(name, lost):
    reasons = lost(first(TRICKS[name]))
    assert len(reasons) == 3
    assert all("by which it is judged" in reason for reason in reasons.values()), reasons
    if "child" not in name:
        assert set(reasons.values()) == {
            f"The submission changes {name}, by which it is judged: leave it as it is."
        }


def test_who_changes_it_later_loses_the_check_in_which_it_does(lost):
    reasons = lost(inside("np.isclose = lambda *a, **k: np.array(True)"))
    assert list(reasons) == ["between"]
    assert all("changes numpy.isclose" in reason for reason in reasons.values())


@unix
def test_a_copy_of_the_process_says_nothing(lost):
    forking = "import os\nos.fork()\n" + inside("return 0")
    assert list(lost(forking)) == ["between"]


@unix
def test_what_a_submission_has_started_is_ended_with_it(lost, tmp_path):
    mark = tmp_path / "alive"
    text = (
        "import os, time\nif os.fork() == 0:\n    time.sleep(1.5)\n"
        f"    open({str(mark)!r}, 'w').close()\n    os._exit(0)"
    )
    lost(first(text))
    time.sleep(2)
    assert not mark.exists()


@pytest.mark.parametrize(
    "statements", ["import os\nos.closerange(0, 100)", "import sys\nsys.stdout = sys.stderr = None"]
)
def test_closed_ways_out_hurt_the_submission_alone(statements, lost):
    reasons = lost(first(statements))
    assert not reasons or len(reasons) == 3


@pytest.mark.parametrize(
    "text",
    [b"\0\0", b"# caf\xe9\n", "x = " + "(" * 10**5, "x" * 10**6, "", b"\xff\xfe", "if"],
    ids=range(7),
)
def test_what_is_no_program_is_told_so(text, lost):
    reasons = lost(text)
    assert len(reasons) == 3
    assert all(len(reason) > 10 for reason in reasons.values())


def test_it_knows_nothing_of_the_graders_environment_and_folder(lost, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    monkeypatch.chdir(tmp_path)
    text = "import os\nprint(os.environ.get('SECRET_TOKEN'), os.getcwd(), os.listdir())"
    lost(first(text))
    assert lost.grade.printed.startswith("None ")
    assert lost.grade.printed.endswith(" []\n")
    assert str(tmp_path) not in lost.grade.printed


def test_it_has_no_input(lost):
    assert "EOFError" in lost(first("input()"))["between"]


def test_a_process_that_does_not_start_is_the_graders_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name == "posix" else sys.executable)
    with pytest.raises(RuntimeError, match="did not start"):
        Process({"exercise": "nothing"}, tmp_path)
