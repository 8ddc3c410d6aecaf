"""The course: the solutions earn every point, and each mistake costs one check, with a hint."""

import ast
import itertools
import json
import os
import re

import numpy as np
import pytest
from submissions import COURSE, EVERY, MISTAKES, changed, solution

import nnreg as nn
from nnreg.course import exercise, grade
from nnreg.course.exercises import exercise_7, exercise_8
from nnreg.course.grading.submission import Submission

NUMBERS = range(1, 9)
every_exercise = pytest.mark.parametrize("number", NUMBERS)
each = pytest.mark.parametrize("number", [*NUMBERS[:-1], pytest.param(8, marks=pytest.mark.slow)])
TRAIN = {5, 7, 8}  # the exercises that train networks
mistakes = pytest.mark.parametrize(
    ("number", "mistake"),
    [
        pytest.param(
            *case, id=f"{case[0]}: {case[1]}", marks=[pytest.mark.slow] * (case[0] in TRAIN)
        )
        for case in MISTAKES
    ],
)


@pytest.fixture(autouse=True)
def numpys_global_generator():
    """Leave it as it was: a submission that runs here may draw from it."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


class Local:
    """A submission in this process; otherwise as the grader has it."""

    def __init__(self, text, suffix, modules):
        self._submission = Submission(text.encode(), suffix == ".ipynb", modules)

    def __getattr__(self, name):
        return self._submission.get(name)


def lost(number, text, suffix=".py"):
    """Return, by check, why a submission loses points."""
    tested = exercise(f"exercise_{number}")
    submission = Local(text, suffix, tested.modules)
    reasons = {check.name: failure(check, submission) for check in tested}
    return {name: reason for name, reason in reasons.items() if reason}


def failure(check, submission):
    try:
        check(submission)
    except AssertionError as error:
        return str(error)
    return ""


def skeleton(number):
    return (COURSE / f"exercise_{number}.py").read_text(encoding="utf-8")


@every_exercise
def test_the_checks_are_worth_a_hundred_points(number):
    tested = exercise(f"exercise_{number}")
    assert tested.points == 100
    assert tested.title.startswith(f"Exercise {number}: ")
    assert len({check.title for check in tested}) == len(tested.checks)


@pytest.mark.parametrize(
    "number", [1, 2, 3, *(pytest.param(number, marks=pytest.mark.slow) for number in NUMBERS[3:])]
)
def test_the_solution_scores_a_hundred(number):
    result = grade(COURSE / "solutions" / f"exercise_{number}.py", f"exercise_{number}")
    assert result.lost == {}
    assert result.score == result.max_score == 100
    assert result.skipped == ()


def test_gradients_may_come_in_a_list():
    text = solution(1).replace("return dx, dw, db", "return [dx, dw, db]")
    assert text != solution(1)
    assert lost(1, text) == {}


NAMED = "from collections import namedtuple\n\nCache = namedtuple('Cache', 'x w')\n"
DATACLASS = "from dataclasses import dataclass\n\n\n@dataclass\nclass Cache:\n    x: object\n"
SUBCLASSES = "class Cache(list): size = 1\n\n\nclass Gradients(tuple): pass\n\n\n"


@pytest.mark.parametrize(
    ("number", "before", "replacements"),
    [
        (1, NAMED, [("b, (x, w)", "b, Cache(x, w)"), ("x, w = cache", "x, w = cache.x, cache.w")]),
        (1, SUBCLASSES, [("b, (x, w)", "b, Cache([x, w])"), ("x, w = cache", "x, w = cache[:]"),
                         ("return dx, dw, db", "return Gradients([dx, dw, db][:3 * cache.size])")]),
        (1, DATACLASS, [("x, 0), x", "x, 0), Cache(x)"), ("x = cache", "x = cache.x")]),
        pytest.param(
            4, NAMED, [("return x, None", "return x, Cache(None, 0)"),
                       ("mask = cache", "mask = cache.x"),
                       ("mask, mask", "mask, Cache(mask, (keep_prob, Cache(x, 1)))")],
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_cache_of_any_class_comes_back_as_it_is(number, before, replacements, tmp_path):
    (tmp_path / "ada.py").write_text(f"{before}\n{changed(number, *replacements)}")
    assert grade(tmp_path / "ada.py", f"exercise_{number}", seconds=30).lost == {}


@every_exercise
def test_what_is_blank_is_not_written_yet_and_earns_nothing(number):
    reasons = lost(number, skeleton(number))
    assert list(reasons) == [check.name for check in exercise(f"exercise_{number}")]
    assert all(reason.endswith(" is not written yet.") for reason in reasons.values()), reasons


def test_there_are_more_than_a_hundred_mistakes():
    assert len(MISTAKES) > 100


@mistakes
def test_a_mistake_costs_its_points_and_gets_its_hint(number, mistake):
    replacements, costs, words = MISTAKES[number, mistake]
    reasons = lost(number, changed(number, *replacements))
    every = [check.name for check in exercise(f"exercise_{number}")]
    assert sorted(reasons) == sorted(every if costs == EVERY else costs), reasons
    assert re.search(words, "\n".join(reasons.values()), re.DOTALL), reasons


#: Mistakes that together give the numbers of a third one, with its hint.
THIRD = {
    ("scale missing", "scaled at inference too"),
    ("scale missing", "halved"),
    ("scaled at inference instead", "halved"),
    ("divided by the wrong number", "halved"),
    ("negative units dropped too", "keeps with the probability to drop"),
    ("negative units dropped too", "never drops"),
}


def together(number, *mistakes):
    """Return the solution with two mistakes, or None if their lines overlap."""
    replacements = [r for mistake in mistakes for r in MISTAKES[number, mistake][0]]
    text = solution(number)
    spans = sorted((text.find(old), text.find(old) + len(old)) for old, _ in replacements)
    apart = all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    if not apart:
        return None
    for old, new in replacements:
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return text


def changes(number, mistake):
    """Return the beginnings of the names of the functions that a mistake changes."""
    right, wrong = definitions(solution(number)), changed(number, *MISTAKES[number, mistake][0])
    return {name.split("_")[0] for name, source in right.items() if source not in wrong}


def hint_in(reason):
    return reason.partition("Hint: ")[2]


@pytest.mark.slow
@every_exercise
def test_a_hint_is_shown_only_if_to_mend_its_mistake_alone_earns_the_points(number):
    """Pairs of mistakes in functions that work together, such as forward and backward.

    All pairs with NNREG_ALL_PAIRS=1 in the environment, which takes ten minutes; else every eighth.
    A hint for both is that of one of them, and the other alone costs this check nothing, or its
    cure is the same, or it has no effect beside the first: the numbers are those of the first.
    """
    names = [name for of, name in MISTAKES if of == number and name != "a syntax error"]
    alone = {name: lost(number, together(number, name)) for name in names}
    pairs = list(itertools.combinations(names, 2))
    for pair in pairs if os.environ.get("NNREG_ALL_PAIRS") else pairs[number::8]:
        text = together(number, *pair)
        if text is None or pair in THIRD or not changes(number, pair[0]) & changes(number, pair[1]):
            continue
        for check, reason in lost(number, text).items():
            singles = [alone[name].get(check, "") for name in pair]
            if not hint_in(reason) or any("Error: " in single for single in singles):
                continue  # a mistake that crashes alone is another one beside a second
            hints = [hint_in(single) for single in singles]
            assert hint_in(reason) in hints, (pair, check, reason, singles)
            only = "" in singles or hints[0] == hints[1]
            assert only or reason in singles, (pair, check, reason, singles)


@pytest.mark.slow
@every_exercise
def test_a_mistake_costs_the_same_where_the_submission_runs_in_a_process_of_its_own(
    number, tmp_path
):
    name = [name for of, name in MISTAKES if of == number][3]
    text = changed(number, *MISTAKES[number, name][0])
    (tmp_path / "submitted.py").write_text(text, encoding="utf-8")
    result = grade(tmp_path / "submitted.py", f"exercise_{number}", seconds=60)
    assert result.lost == lost(number, text)


def test_loops_and_real_buffers_are_welcome():
    loop = "np.array([[max(float(v), 0.0) for v in row] for row in x]), x"
    buffer = (
        "dw = np.zeros(w.shape)\n"
        "    for row, d in zip(x, dy, strict=True):\n"
        "        dw += np.outer(row, d)"
    )
    assert lost(1, changed(1, ("np.maximum(x, 0), x", loop), ("dw = x.T @ dy", buffer))) == {}


# --- The notebooks --------------------------------------------------------------------------------


def notebook(number):
    return json.loads((COURSE / f"exercise_{number}.ipynb").read_text(encoding="utf-8"))


def definitions(text):
    """Return the source of each function and class, by name."""
    kinds = ast.FunctionDef | ast.ClassDef
    nodes = [node for node in ast.parse(text).body if isinstance(node, kinds)]
    return {node.name: ast.get_source_segment(text, node) for node in nodes}


def code_cells(number, solved):
    """Return the code of the notebook's cells, by id, with the blanks filled or not."""
    if number == 8:
        pytest.importorskip("matplotlib")  # for its figure
    cells = [cell for cell in notebook(number)["cells"] if cell["cell_type"] == "code"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    blanks, filled = definitions(skeleton(number)), definitions(solution(number))
    assert blanks.keys() == filled.keys()
    for name in blanks:
        cell = name.replace("_", "-").lower()
        assert sources[cell] == blanks[name]
        if solved:
            sources[cell] = filled[name]
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


@every_exercise
def test_a_notebook_has_the_blanks_of_the_file_and_no_outputs(number):
    code_cells(number, solved=False)
    cells = [cell for cell in notebook(number)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def missing_files(**options):
    """Raise, as `load_mnist` does without its files."""
    raise OSError("there are no files of MNIST")


PRINTED = {
    1: "[[11. 22. 34.]]\n[[0. 0. 3.]]\n[[0. 0. 1.]]\n",
    2: "[[0.5 0.5]]\n[[1. 0.]]\n1.0 1.0 1.0 1.0\n1.0986 20000.0\nTrue True\n",
    3: "1.25\n3.5\n[0. 0.]\nTrue\n{'w1': [1.5, 2.0], 'b1': [1.0]}\n",
    4: "0.8 1.0\nTrue\n[0.0, 3.0] 1.5\n",
    5: r"\[3, 3, 3, 1\]\nTrue\n1.0986 1.0986\n0\.\d+\n\[.*, 0\.[012]\d?\]\n0\.9\d+\n",
    6: r"\[\[0\.     0\.7311\]\]\n0\.9\d\n\[.*\]\n",
    7: r"True True\n\[\(\(200, 100\), \(100,\)\), \(\(100, 10\), \(10,\)\)\] 0\.1\n"
    r"\[\[\[1.0\]\], \[\[1.0, 0.0\]\], \[\[-1.0\]\]\]\n2\.3026\n\[.*, 0\.[12]\d?\]\n0\.9\d+\n",
    8: r"300 60\n\{'train': 0\.\d+, 'validation': 1\.\d+, 'zeros': 0\}\n0\.1\n"
    r"(.*±.*\n){6}best: 0\.01\n",
}


@each
def test_a_notebooks_checks_pass_when_the_blanks_are_filled(number, capsys, monkeypatch):
    monkeypatch.setattr(nn.datasets, "load_mnist", missing_files)
    names, results = {}, {}
    for name, code in code_cells(number, solved=True).items():
        results[name] = shown(code, names)
    reports = [r for r in results.values() if isinstance(r, nn.GradientReport)]
    assert all(report.passed for report in reports)
    assert len(reports) == {1: 3, 2: 1, 3: 2, 4: 1, 5: 0, 6: 1, 7: 1, 8: 0}[number]
    diagnoses = [r for name, r in results.items() if name.endswith("-diagnosis")]
    assert all(diagnosis.right for diagnosis in diagnoses)
    out = capsys.readouterr().out
    assert out == PRINTED[number] if number < 5 else re.fullmatch(PRINTED[number], out), out


@every_exercise
def test_a_notebooks_checks_say_what_is_not_written_yet(number, monkeypatch):
    monkeypatch.setattr(nn.datasets, "load_mnist", missing_files)
    names = {}
    for name, code in code_cells(number, solved=False).items():
        if name.endswith(("-check", "-diagnosis")):
            with pytest.raises((NotImplementedError, AssertionError)):
                shown(code, names)
        elif not name.startswith(("against", "mean")):
            shown(code, names)


@each
def test_a_notebook_is_graded_as_the_file_is(number):
    text = notebook(number)
    filled = code_cells(number, solved=True)
    for cell in text["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = filled[cell["id"]].splitlines(keepends=True)
    assert lost(number, json.dumps(text), ".ipynb") == {}


def test_the_reference_of_exercise_7_has_the_right_gradients():
    def of_parameters(*arrays):
        layers = list(zip(arrays[::2], arrays[1::2], strict=True))
        value, gradients = exercise_7.right_objective(
            layers, exercise_7.X, exercise_7.LABELS, exercise_7.STRENGTH
        )
        return value, [array for pair in gradients for array in pair]

    arrays = [array for pair in exercise_7.LAYERS for array in pair]
    assert nn.check_gradients(of_parameters, *arrays).passed


@pytest.mark.slow
def test_the_findings_of_exercise_8_are_clear_of_the_noise():
    """No seed and no rounding of another machine may make another strength or variant the best."""
    runs = {s: exercise_8.experiment("L2", s) for s in exercise_8.STRENGTHS}
    best = runs[exercise_8.BEST].validation
    assert all(
        other.validation.min() > best.max() + best.std()
        for strength, other in runs.items()
        if strength != exercise_8.BEST
    )
    gaps = [runs[exercise_8.BEST], exercise_8.experiment("L1"), exercise_8.experiment("dropout")]
    none = (runs[0.0].validation - runs[0.0].train).min()
    assert all((other.validation - other.train).max() < none for other in gaps)
