"""Output folders: the commands change and remove nothing that nnreg did not write."""

import os
import shutil
from pathlib import Path

import pytest
from experiments import fake_pictures

import nnreg.plots
from nnreg.commands.main import main
from nnreg.lab import bias_variance, comparison, path
from nnreg.lab.reporting.folder import open_folder, report_files, seal, written_files

pytest.importorskip("matplotlib")

COMMANDS = {
    "compare": "--hidden 4 --l2 0.01 --l1 0.01 --keep-prob 0.5 --train-size 40 --epochs 1 "
    "--repeats 1",
    "path": "--hidden 4 --points 2 --train-size 40 --epochs 1 --repeats 1 --label-noise 0",
    "bias-variance": "--hidden 2 --sweep width --values 1,2 --datasets 3 --seeds 1 --points 9 "
    "--epochs 1",
}
REPORTS = {"compare": comparison.report, "path": path.report, "bias-variance": bias_variance.report}
FILES = {name: report_files(report.PICTURES) for name, report in REPORTS.items()}

DECOYS = {
    "a file": lambda name: name.write_text("years of work"),
    "an empty file": Path.touch,
    "a read-only file": lambda name: name.touch(mode=0o444),
    "a folder": Path.mkdir,
    "a folder with files": lambda name: (name / "report.json").mkdir(parents=True),
    "a link to a file": lambda name: name.symlink_to(__file__),
    "a link to a folder": lambda name: name.symlink_to(Path(__file__).parent),
    "a dangling link": lambda name: name.symlink_to("missing"),
    "a changed report": lambda name: name.write_bytes(seal({"a": 1, "files": {}})[:-4] + b"0"),
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_pictures(monkeypatch)


def run(command, options=""):
    return main([command, *COMMANDS[command].split(), *options.split()])


def snapshot(folder):
    """Return everything in a folder: type and permissions, and content or target."""
    entries = {}
    for name in folder.rglob("*"):
        content = os.readlink(name) if name.is_symlink() else name.is_file() and name.read_bytes()
        entries[name] = oct(name.lstat().st_mode), content
    return entries


@pytest.mark.reliability(
    input="The output folder has a file of the user's with the name of a report's file",
    sees="One line that names it, exit status 2, before training; also with `--force`",
)
@pytest.mark.parametrize("decoy", DECOYS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_the_report_that_is_the_users_is_an_error_before_training(
    capsys, monkeypatch, tmp_path, command, decoy
):
    monkeypatch.setattr("nnreg.training.loop.TrainingStep", None)
    for name in FILES[command]:
        out = tmp_path / f"folder of {name}"
        out.mkdir()
        DECOYS[decoy](out / name)
        before = snapshot(tmp_path)
        for option in ["--force", "--force --resume"][: 1 + (command != "bias-variance")]:
            assert main([command, "--out", str(out), *option.split()]) == 2
            err = capsys.readouterr().err
            assert f"{out / name} was not written by nnreg" in err
            assert err.count("\n") == 1
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_the_user_changed_later_is_the_users(command, tmp_path):
    assert run(command, "--out out") == 0
    assert written_files(tmp_path / "out").keys() == set(FILES[command])
    for name in FILES[command]:
        changed = tmp_path / f"changed {name}"
        shutil.copytree("out", changed)
        (changed / name).write_bytes((changed / name).read_bytes() + b" ")
        before = snapshot(changed)
        with pytest.raises(FileExistsError, match="changed since"):
            open_folder(changed, REPORTS[command].PICTURES, force=True).__enter__()
        assert snapshot(changed) == before


@pytest.mark.reliability(
    fault="A file appears in the output folder while a command runs",
    sees="It stays; one line lists what was written; exit status 1",
)
def test_a_file_that_appears_while_nnreg_draws_is_kept(capsys, monkeypatch):
    def render(figure, kind):
        Path("out/report.html").write_text("years of work")
        return b""

    monkeypatch.setattr(nnreg.plots, "render", render)
    assert run("path", "--out out") == 1
    assert Path("out/report.html").read_text() == "years of work"
    assert "out has report.json" in capsys.readouterr().err


def test_a_report_that_names_files_elsewhere_has_none_of_them(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "thesis").touch()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / "out/report.json").write_bytes(seal({"files": {"../thesis": empty}}))
    assert written_files(tmp_path / "out").keys() == {"report.json"}


@pytest.mark.parametrize("numbers", [{}, {"files": None}, {"files": {"a" * 999: 1}}], ids=str)
def test_a_report_without_its_list_of_files_is_the_users(numbers, tmp_path):
    (tmp_path / "report.json").write_bytes(seal({"a": 1, **numbers}))
    assert written_files(tmp_path).keys() <= {"report.json"}


FITS = [
    f"nnreg.lab.{module}.fit"
    for module in (
        "comparison.experiment",
        "comparison.validation",
        "path.study",
        "bias_variance.learners",
    )
]
BREAKDOWN = nnreg.NonFiniteLossError("the loss is nan", 3, "loss")
WRITERS = [f"nnreg.lab.reporting.{module}.write_whole" for module in ("report", "results")]
OUTCOMES = {  # what raises which error in which call, and the exit status
    "success": ([], None, 0, 0),
    "breakdown": (FITS, BREAKDOWN, 1, 1),
    "full disk": (WRITERS, OSError(28, "No space left on device", "report.json"), 1, 1),
    "early Ctrl-C": (FITS, KeyboardInterrupt(), 1, 130),
    "Ctrl-C": (FITS, KeyboardInterrupt(), 2, 130),
    "Ctrl-C while drawing": (["nnreg.plots.render"], KeyboardInterrupt(), 1, 130),
}


def fail_at(monkeypatch, names, error, number):
    calls = []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) >= number:
            raise error
        return nnreg.fit(*arguments, **options)

    for name in names:
        monkeypatch.setattr(name, failing)


@pytest.mark.reliability(
    fault="A command ends early: the loss is not finite, the disk is full, Ctrl-C",
    sees="One line: why, and what was kept; exit status 1 or 130; files and folders of the user "
    "are as before, no empty folder is left",
)
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("command", COMMANDS)
def test_after_every_outcome_the_users_files_and_folders_are_as_before(
    capsys, monkeypatch, tmp_path, command, outcome
):
    """Former names of partial results, files named like results, an empty and a new folder."""
    mine, empty = tmp_path / "mine", tmp_path / "empty"
    for folder in ("pieces/a", "points/b", ".nnreg"):
        (mine / folder).mkdir(parents=True)
    for number, decoy in enumerate(DECOYS.values()):
        decoy(mine / f"nnreg-{command}-{number}0123456789abcdef-0123456789abcdef.npz")
        decoy(mine / f"report-{number}.json")
    empty.mkdir()
    before = snapshot(tmp_path)
    *failure, status = OUTCOMES[outcome]
    for out in ("mine --force", "empty --force", "empty/n1/n2/n3", "new"):
        capsys.readouterr()
        with monkeypatch.context() as patch:
            fail_at(patch, *failure)
            assert run(command, f"--out {out}") == status
        folder = Path(out.split()[0])
        err = capsys.readouterr().err
        results = [] if out.startswith("mine") else list(folder.glob("*.npz"))
        written = written_files(folder)
        assert err.count("\n") == (status > 0)
        assert ("has report.json" in err) == ("report.json" in written and status > 0)
        if not out.startswith("mine"):
            assert (" kept in " in err) == (results != [])
        assert folder.exists() == (
            folder in (Path("mine"), Path("empty")) or bool(written or results)
        )
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before} == before
    new = [name for name in after.keys() - before.keys() if not after[name][1]]
    assert all(any(name.iterdir()) for name in new), "an empty folder is left"


@pytest.mark.reliability(
    fault="An interrupted command is repeated (`compare` and `path` with `--resume`)",
    sees="It continues from the results that were kept",
)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupted_command_goes_on_and_force_replaces_its_report(command, monkeypatch):
    with monkeypatch.context() as patch:
        fail_at(patch, FITS, KeyboardInterrupt(), 2)
        assert run(command, "--out out") == 130
    assert run(command, "--out out" + " --resume" * (command != "bias-variance")) == 0
    first = Path("out/report.json").read_bytes()
    assert run(command, "--out out --force --seed 5") == 0
    assert Path("out/report.json").read_bytes() != first
    assert sorted(os.listdir("out")) == sorted(FILES[command])
    assert os.listdir() == ["out"]


@pytest.mark.reliability(
    input="`--out` is a file, too long, or no path at all",
    sees="One line, exit status 2, before training",
)
@pytest.mark.parametrize(
    ("out", "message"),
    [
        (".", "exists: name a new one, or add --force"),
        ("", "exists: name a new one, or add --force"),
        ("sub/..", "exists: name a new one, or add --force"),
        ("a\0b", "null"),
        ("new/" + "x" * 300, "name too long"),
        ("file/x", "Not a directory"),
        ("file --force", "File exists"),
        ("link --force", "File exists"),
        ("sub --resume", "has no points of an interrupted command"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(capsys, tmp_path, out, message):
    (tmp_path / "file").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    before = snapshot(tmp_path)
    assert main(["path", "--out", *(out.split() or [out])]) == 2
    err = capsys.readouterr().err
    assert message.lower() in err.lower()
    assert err.count("\n") == 1
    assert snapshot(tmp_path) == before


@pytest.mark.reliability(
    fault="The output folder of a command is read-only",
    sees="One line, exit status 2, before training",
)
def test_a_read_only_folder_is_an_error_before_training(capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert run("compare", "--out new") == 2
    assert capsys.readouterr().err == "nnreg: new is read-only: name another folder\n"
    assert os.listdir() == []


def test_a_number_is_added_until_the_name_is_free(tmp_path):
    (tmp_path / "results-2").symlink_to(tmp_path / "missing")
    names = []
    for _ in range(3):
        with open_folder(tmp_path / "results", []) as folder:
            (folder / "something").touch()
            names.append(folder.name)
    assert names == ["results", "results-3", "results-4"]
