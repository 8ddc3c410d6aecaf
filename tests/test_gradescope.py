"""The autograder for Gradescope: what is in the archive, and the file that each run leaves."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from submissions import COURSE, changed, solution

from nnreg.commands.main import main
from nnreg.course import write_archive

pytestmark = pytest.mark.posix


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Return a folder like /autograder, with the archive of exercise 1 unpacked."""
    folder = tmp_path_factory.mktemp("autograder")
    write_archive("exercise_1", folder / "out.zip")
    with zipfile.ZipFile(folder / "out.zip") as archive:
        archive.extractall(folder / "source")
    script = (folder / "source" / "run_autograder").read_text()
    script = script.replace("/autograder", str(folder)).replace("/opt/nnreg", str(folder))
    (folder / "run_autograder").write_text(script)
    (folder / "bin").mkdir()
    return folder


@pytest.fixture
def run(machine):
    """Return a function that runs the autograder on files, and returns its results.json."""

    def run(files, python=sys.executable):
        python_file, submission = machine / "bin" / "python", machine / "submission"
        python_file.write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
        python_file.chmod(0o755)
        shutil.rmtree(submission, ignore_errors=True)
        submission.mkdir()
        for name, text in files.items():
            (submission / name).write_text(text, encoding="utf-8")
        command = ["bash", machine / "run_autograder"]
        subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
        return json.loads((machine / "results" / "results.json").read_text(encoding="utf-8"))

    return run


def test_the_scripts_install_the_versions_of_this_machine_and_are_executable(machine, tmp_path):
    with zipfile.ZipFile(machine / "out.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        setup = archive.read("setup.sh").decode()
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    assert "nnreg/course/exercises/exercise_1.py" in modes
    assert not any("__pycache__" in name for name in modes)
    assert f"--python {sys.version_info[0]}.{sys.version_info[1]} " in setup
    assert re.search(r" numpy==\S+ scipy==\S+ threadpoolctl==\S+\n", setup)
    for script in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", machine / "source" / script], check=True)
    write_archive("exercise_1", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (machine / "out.zip").read_bytes()


NOTEBOOK = (COURSE / "exercise_1.ipynb").read_text(encoding="utf-8")
WRONG = changed(1, ("dy.sum(axis=0)", "dy.mean(axis=0)"))
UPLOADED = {
    "a name with spaces": ({"Ada's homework (final) é.PY": solution(1)}, 100, ""),
    "a notebook with blanks": ({"-x; rm.ipynb": NOTEBOOK}, 0, "is not written yet"),
    "two files": ({"a.py": WRONG, "exercise_1.py": solution(1)}, 100, "a.py: 88 points"),
    "nothing": ({}, 0, "it is empty"),
    "a syntax error": ({"a.py": "def affine_forward(:\n"}, 0, "not valid Python"),
}
SLOW = {"a notebook with blanks", "a syntax error", "two files"}  # graded as any other way


@pytest.mark.parametrize(
    ("files", "score", "words"),
    [
        pytest.param(*of, id=name, marks=[pytest.mark.slow] * (name in SLOW))
        for name, of in UPLOADED.items()
    ],
)
def test_every_submission_gets_a_score_or_a_reason(run, files, score, words):
    result = run(files)
    assert result["score"] == score
    assert words in json.dumps(result)


def test_there_is_a_file_where_the_grader_does_not_even_start(run):
    result = run({"a.py": solution(1)}, python="/bin/false")
    assert result["score"] == 0
    assert "Ask your instructor" in result["output"]


OWN = """'''{title}'''
from nnreg.course import check

EXTENDS = "{extended}"


@check(9)
def {name}(submission, rng):
    '''It is there.'''
"""


def test_a_custom_exercise_is_packed_with_what_it_extends(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("base.py").write_text(OWN.format(title="Base", extended="exercise_1", name="a"))
    Path("it's more.py").write_text(OWN.format(title="More", extended="base.py", name="b"))
    assert main(["course", "gradescope", "it's more.py", "out.zip"]) == 0
    assert capsys.readouterr().out.startswith("wrote out.zip: upload it")
    assert main(["course", "gradescope", "it's more.py", "out.zip", "--force"]) == 0
    with zipfile.ZipFile("out.zip") as archive:
        names = {name for name in archive.namelist() if name.startswith("exercise/")}
        script = archive.read("run_autograder").decode()
    assert names == {"exercise/base.py", "exercise/it's more.py"}
    assert """--exercise '/autograder/source/exercise/it'"'"'s more.py'""" in script


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("gradescope exercise_1 there.zip", "--force replaces it"),
        ("gradescope exercise_0 new.zip", "did you mean 'exercise_"),
        ("moodle exercise_1 new.zip", "choose from"),
    ],
)
def test_an_error_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("there.zip").write_text("kept")
    with suppress(SystemExit):  # of the parser
        assert main(["course", *arguments.split()]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.zip"]
    assert Path("there.zip").read_text() == "kept"
