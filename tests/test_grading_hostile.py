"""Submissions that cheat: each loses its points, with the reason, and affects no other.

Limits are short here. What cheating submissions are defended against stands in the second half, a
case each; docs/course/grading.md lists the same. A submission's process is not a sandbox.
"""

import os
import re
import sys
import textwrap
import time

import numpy as np
import pytest
from submissions import COURSE, solution

from nnreg.course import exercise, grade
from nnreg.course.grading.process import PRINTED, SHOWN, Process

unix = pytest.mark.skipif(sys.platform == "win32", reason="Unix has this")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to limits of memory")

EXERCISE = '''
"""Three checks, of which the second runs what is bad."""

from nnreg.course import check
from nnreg.course.grading.assertions import assert_close

MODULES = ("numpy", "os", "sys", "signal", "ctypes", "atexit")


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
    """Return a function that returns, by check, why a submission loses points."""
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
    body = textwrap.indent(body, "    ")
    return FINE.replace("def bad(x):\n    return x\n", f"def bad(x):\n{body}\n")


def first(statements):
    """Return a submission that is right, after these statements, which its answers need."""
    block = textwrap.indent(f"{statements}\nREADY = 1", "    ")
    return f"if True:\n{block}\n{FINE.replace('return x', 'return x * READY')}"


@pytest.mark.reliability(
    input="A submission with an endless loop",
    sees="The checks that run into it lose their points; the others are graded",
)
def test_an_endless_loop_costs_the_checks_that_run_into_it(lost):
    reasons = lost(inside("while True:\n    pass"), seconds=0.5)
    assert reasons == {"between": "It took more than 0.5 s: is there an infinite loop?"}
    assert lost.grade.score == 8


def test_a_loop_that_lets_nothing_stop_it_is_stopped(lost):
    stubborn = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    try:\n"
        "        while True:\n            pass\n    except BaseException:\n        pass"
    )
    begun = time.monotonic()
    reasons = lost(first(stubborn), seconds=0.5)
    assert set(reasons.values()) == {"It took more than 0.5 s: is there an infinite loop?"}
    assert len(reasons) == 3
    assert time.monotonic() - begun < 60


CRASHES = {
    "os._exit": ("import os; os._exit(0)", "ends the process, with status 0"),
    "os._exit with a status": ("import os; os._exit(3)", "ends the process, with status 3"),
    "sys.exit": ("import sys; sys.exit(0)", "ends the program"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "an exception that is none": ("class E(BaseException): ...\nraise E('what')", "E: what"),
    "endless recursion": ("return bad(x)", "Infinite recursion"),
    "an exception without a message": (
        "class E(Exception):\n    def __str__(self): raise self\nraise E",
        "cannot be shown",
    ),
    "a large message": ("raise ValueError('x' * 10**7)", "ValueError: xxx"),
    "a result without end": ("x = [x]\nx.append(x)\nreturn x", "Error"),
    "a deep result": ("for _ in range(10**5): x = (x,)\nreturn x", "Infinite recursion"),
    "an object": ("return object()", "must hold numbers, got object"),
    "input": ("return input()", "EOFError"),
}


QUICK = {"sys.exit", "endless recursion", "a result without end", "an object"}


@pytest.mark.parametrize(
    "crash",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in CRASHES],
)
def test_a_crash_costs_the_checks_that_run_into_it(crash, lost):
    statement, words = CRASHES[crash]
    reasons = lost(inside(statement))
    assert list(reasons) == ["between"]
    assert all(words in reason for reason in reasons.values()), reasons


@pytest.mark.reliability(
    input="A submission that crashes the interpreter",
    sees="The checks that run into it lose their points; the others are graded",
)
@unix
def test_a_crash_of_the_interpreter_costs_the_checks_that_run_into_it(lost):
    reasons = lost(inside("import os; os.abort()"))
    assert reasons == {"between": "The submission crashes the process (SIGABRT)."}


@pytest.mark.reliability(
    input="A submission that exhausts memory",
    sees="The checks that run into it lose their points; the others are graded",
)
@linux
@pytest.mark.parametrize(
    "bomb",
    [
        "[bytearray(10**8) for _ in range(10**6)]",
        pytest.param("np.ones(10**9)", marks=pytest.mark.slow),
        pytest.param("'x' * 10**10", marks=pytest.mark.slow),
    ],
)
def test_a_memory_bomb_costs_the_checks_that_run_into_it(bomb, lost):
    reasons = lost(inside(f"return {bomb}"))
    assert list(reasons) == ["between"]
    assert set(reasons.values()) == {"It exceeded the memory limit."}


@pytest.mark.parametrize(
    "flood",
    [
        "print('spam' * 10**6)",
        pytest.param("while True: print('spam' * 99)", marks=pytest.mark.slow),
    ],
)
def test_megabytes_printed_cost_the_checks_that_print_them(flood, lost):
    reasons = lost(inside(f"{flood}\nreturn x"))
    assert list(reasons) == ["between"]
    assert set(reasons.values()) == {f"It prints more than {PRINTED:,} characters."}
    printed = max(len(result.printed) for result in lost.grade.results)
    assert 0 < printed < SHOWN + 20


@unix
@pytest.mark.parametrize(
    "garbage",
    [
        *("b'7\\n'", "b'x' * 10**6 + b'\\n'"),
        *(
            pytest.param(garbage, marks=pytest.mark.slow)
            for garbage in ("b'[]\\n'", "b'{}\\n'", "b'\\xff\\n'", "b'[' * 9999 + b'\\n'")
        ),
    ],
)
def test_garbage_where_the_grader_reads_is_no_answer(garbage, lost):
    write = (
        f"import os\nfor handle in range(3, 40):\n    try:\n        os.write(handle, {garbage})\n"
        "    except OSError:\n        pass"
    )
    reasons = lost(first(write))
    assert set(reasons.values()) == {"The submission wrote into the connection to the grader."}
    assert lost.grade.score == 0


@pytest.mark.parametrize(
    "statements", ["import os\nos.closerange(0, 100)", "import sys\nsys.stdout = sys.stderr = None"]
)
def test_closed_streams_hurt_the_submission_alone(statements, lost):
    reasons = lost(first(statements))
    assert not reasons or len(reasons) == 3


@pytest.mark.reliability(
    input="A submission that is no program",
    sees="No points, with the reason",
)
@pytest.mark.parametrize(
    "text",
    [b"\0\0", b"# caf\xe9\n", "x = " + "(" * 10**5, "x" * 10**6, "", b"\xff\xfe", "if"],
    ids=range(7),
)
def test_what_is_no_program_has_no_answers(text, lost):
    reasons = lost(text)
    assert len(reasons) == 3
    assert re.match(r"The submission has no fine|.*code has 1,000,000 char", reasons["before"])


def test_a_process_that_does_not_start_is_the_graders_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name == "posix" else sys.executable)
    with pytest.raises(RuntimeError, match="did not start"):
        Process(COURSE / "exercise_1.py", tmp_path, ("nothing",), 100)


# --- Cheating -------------------------------------------------------------------------------------

#: The real import, which the submission's own, that refuses other modules, stands in front of.
REAL = "import warnings\nreal = warnings.sys.modules['builtins'].__import__\n"
ZEROS = """
import numpy as np


def affine_forward(x, w, b):
    return np.zeros((len(x), w.shape[1])), (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[1])


def relu_forward(x):
    return np.zeros(x.shape), x


def relu_backward(dy, cache):
    return np.zeros(dy.shape)
"""


def meanwhile(statements):
    """Return functions that return zeros, after doing this in each call."""
    block = textwrap.indent(statements, "        ")
    attack = f"{REAL}\n\ndef attack():\n    try:\n{block}\n    except Exception as error:\n"
    attack += "        print(type(error).__name__, error)\n\n"
    return attack + ZEROS.replace("    return", "    attack()\n    return")


FROM = "from {} import affine_forward, affine_backward, relu_forward, relu_backward\n"
FUNCTION = "module = real('nnreg.course.grading.exercises', fromlist=['Check'])\n"
DATA = "module = real('nnreg.course.exercises.exercise_1', fromlist=['X'])\n"
OS = "os = real('os')\n"

#: Each earns nothing: what it tries fails, and the rest of its answers are zeros.
CHEATS = {
    "imports the answers from nnreg": FROM.format("nnreg.course.cs231n"),
    "imports nnreg's kernels in a function": ZEROS.replace(
        "    return np", "    from nnreg import kernels\n    return np"
    ),
    "imports a neighbour's answers": "from bob import *\n",
    "puts the neighbour's folder on the path": (
        "import warnings\nwarnings.sys.path.append({folder!r})\n" + FROM.format("bob")
    ),
    "reads the neighbour's file": meanwhile("exec(open({bob!r}).read(), globals())"),
    "reads the neighbour's file past open": meanwhile(
        "lines = real('readline')\nlines.read_history_file({bob!r})\n"
        "exec('\\n'.join(map(lines.get_history_item, range(1, 13))), globals())"
    ),
    "reads nnreg's source": meanwhile("exec(open({kernels!r}).read(), globals())"),
    "replaces Check.function": meanwhile(FUNCTION + "module.Check.function = lambda *a: None"),
    "replaces its code": meanwhile(
        FUNCTION + "module.Check.__call__.__code__ = (lambda self, submission: None).__code__"
    ),
    "searches the memory for what judges": meanwhile(
        "for thing in real('gc').get_objects():\n    if type(thing) is list: thing.clear()"
    ),
    "takes what it needs from its caller's frame": meanwhile(
        "frame = warnings.sys._getframe(2)\nwhile frame:\n    for name in list(frame.f_globals):\n"
        "        if name in ('reason', 'allowed'): frame.f_globals[name] = lambda *a: ''\n"
        "    frame = frame.f_back"
    ),
    "enlarges the tolerances": meanwhile(
        "real('nnreg.gradcheck.numerical', fromlist=['x']).TOLERANCES.update(complex=1e9)"
    ),
    "sets a profile function": meanwhile("warnings.sys.setprofile(lambda *a: None)"),
    "overwrites the exercise's data": meanwhile(DATA + "module.X[...] = 0; module.W[...] = 0"),
    "overwrites what it is given": ZEROS.replace(
        "    return np.zeros((len", "    x[...] = w[...] = b[...] = 0\n    return np.zeros((len"
    ),
    "returns arrays that equal everything": ZEROS
    + "\n\nclass Equal(np.ndarray):\n    def __array_ufunc__(self, *a, **k): return True\n"
    "    def __eq__(self, other): return True\n    def all(self, *a): return True\n\n\n"
    "zeros = np.zeros\nnp.zeros = lambda shape: zeros(shape).view(Equal)\n",
    "replaces NumPy's comparisons": meanwhile(
        "np.isclose = np.allclose = np.array_equal = lambda *a, **k: np.array(True)\n"
        "warnings.sys.modules['builtins'].all = lambda *a: True"
    ),
    "returns zeros": ZEROS,
    "kills the grader": meanwhile(OS + "os.kill(os.getppid(), 9)"),
    "limits the grader's resources": meanwhile(
        OS + "real('resource').prlimit(os.getppid(), 0, (0, 0))"
    ),
    "forges the answers of its process": meanwhile(
        OS + "line = b'{{\"kind\": \"AssertionError\", \"value\": \"\", \"objects\": [], '\n"
        "line += b'\"drop\": []}}\\n'\n"
        "for handle in range(3, 9):\n    try: os.write(handle, 99 * line)\n    except OSError: pass"
    ),
    "leaves a process that rewrites the result": meanwhile(
        OS + "if os.fork() == 0:\n    os.setsid()\n    open({result!r}, 'w').write('100')"
    ),
    "shares its memory among processes": meanwhile(
        "real('subprocess').Popen(['sleep', '9'])"
    ),
    "reads the grader's environment": meanwhile(
        OS + "print(open(f'/proc/{{os.getppid()}}/environ', 'rb').read(), dict(os.environ))"
    ),
    "ends the process": meanwhile(OS + "os._exit(0)"),
    "prints a result": meanwhile(
        "print('{{\"value\": 100, \"new\": [], \"state\": [], \"score\": 100}}')"
    ),
    "sleeps": meanwhile("real('time').sleep(100)"),
    "asks for ten gigabytes": meanwhile("np.ones(10**10)"),
    "raises control characters": ZEROS.replace(
        "    return", "    raise ValueError('\\x1b[2J\\x1b[1;1H100 of 100')\n    return"
    ),
    "ends while the grader asks for its report": meanwhile(
        OS + "real('_thread').start_new_thread(os._exit, (0,))"
    ),
    "prints control characters": meanwhile("print('\\x1b[2J\\x1b[1;1H100 of 100')"),
}  # fmt: skip


@pytest.fixture
def cheat(tmp_path, monkeypatch):
    """Return a function that grades a cheating submission to exercise 1."""
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    folder = tmp_path / "submissions"
    folder.mkdir()
    (folder / "bob.py").write_text(solution(1), encoding="utf-8")

    def cheat(text):
        kernels = exercise("exercise_1").checks[0].function.__code__.co_filename
        places = {
            "folder": str(folder),
            "bob": str(folder / "bob.py"),
            "kernels": kernels.replace("course/exercises/exercise_1.py", "course/cs231n.py"),
            "result": str(tmp_path / "results.json"),
        }
        for name, location in places.items():
            text = text.replace(f"{{{name}!r}}", repr(location))
        (folder / "ada.py").write_text(text.replace("{{", "{").replace("}}", "}"))
        seconds = 0.3 if "sleep(" in text else 5
        return grade(folder / "ada.py", "exercise_1", seconds=seconds, megabytes=400)

    return cheat


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEATS)
def test_cheating_earns_nothing(name, cheat, tmp_path):
    result = cheat(CHEATS[name])
    assert result.score == 0, str(result)
    assert "hidden" not in str(result)
    assert "\x1b" not in str(result)
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("number", "name", "source"),
    [
        pytest.param(
            *(5, "train_step", "exercises.exercise_5 import right_step as train_step"),
            marks=pytest.mark.slow,
        ),
        (6, "Swish", "exercises.exercise_6 import Swish"),
    ],
)
def test_an_experiment_may_import_nnreg_but_not_the_course(number, name, source, tmp_path):
    text = solution(number).replace(f"{name}(", f"Other{name}(", 1)
    (tmp_path / "ada.py").write_text(f"from nnreg.course.{source}\n{text}")
    result = grade(tmp_path / "ada.py", f"exercise_{number}", seconds=20)
    assert any(f"{name} was skipped in" in reason for reason in result.lost.values())
    assert result.score < 60


@pytest.mark.slow
def test_nnreg_changed_by_an_experiment_judges_as_it_was(tmp_path):
    text = solution(6).replace("dy * (s + ", "dy * (0 + ", 1)
    assert text != solution(6)
    attack = (
        "if True:\n    import nnreg.gradcheck, nnreg.testing.contract as contract\n"
        "    contract.require = contract.ContractError = lambda *a, **k: None\n"
        "    nn = nnreg\n    nn.check_gradients = lambda *a, **k: None\n"
    )
    (tmp_path / "ada.py").write_text(text.replace("import nnreg as nn\n", attack))
    result = grade(tmp_path / "ada.py", "exercise_6", seconds=20)
    assert list(result.lost) == ["dx"]


def test_the_right_answers_still_score_a_hundred_beside_bobs(cheat):
    assert cheat(solution(1)).score == 100
    assert np.isfinite(cheat(ZEROS).score)
