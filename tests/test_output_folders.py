"""Output folders: the commands change and remove nothing that nnreg did not write."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import nnreg.plots
from nnreg.commands import bias_variance, compare, path
from nnreg.commands.main import main
from nnreg.lab.reporting.folder import Report, open_folder, report_files, seal, written_files

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="needs matplotlib, as nnreg[plots] has it"
)

COMMANDS = {
    "compare": "--hidden 4 --l2 0.01 --l1 0.01 --keep-prob 0.5 --train-size 40 --epochs 1 "
    "--repeats 1",
    "path": "--hidden 4 --points 2 --train-size 40 --epochs 1 --repeats 1 --label-noise 0",
    "bias-variance": "--hidden 2 --sweep width --values 1,2 --datasets 3 --seeds 1 --points 9 "
    "--epochs 1",
}
MODULES = {"compare": compare, "path": path, "bias-variance": bias_variance}
FILES = {name: report_files(module.PICTURES) for name, module in MODULES.items()}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def pictures_take_no_time(monkeypatch):
    monkeypatch.setattr(nnreg.plots, "render", lambda figure, kind: b"picture")


def run(command, options=""):
    try:
        return main([command, *COMMANDS[command].split(), *options.split()])
    except SystemExit as exit:
        return exit.code


def snapshot(folder):
    """Return everything in a folder: type and permissions, and content or target."""
    entries = {}
    for name in sorted(folder.rglob("*")):
        kind = oct(name.lstat().st_mode)
        content = os.readlink(name) if name.is_symlink() else name.is_file() and name.read_bytes()
        entries[str(name.relative_to(folder))] = kind, content
    return entries


def make_file(decoy):
    decoy.write_text("years of work")


def make_read_only(decoy):
    make_file(decoy)
    decoy.chmod(0o444)


def make_empty_file(decoy):
    decoy.touch()


def make_folder(decoy):
    decoy.mkdir()
    (decoy / "thesis.txt").write_text("years of work")


def make_empty_folder(decoy):
    decoy.mkdir()


def make_link(decoy):
    (decoy.parent / "work.txt").write_text("years of work")
    decoy.symlink_to(decoy.parent / "work.txt")


def make_link_to_a_folder(decoy):
    make_folder(decoy.parent / "work")
    decoy.symlink_to(decoy.parent / "work")


def make_dangling_link(decoy):
    decoy.symlink_to(decoy.parent / "missing")


def make_changed_report(decoy):
    decoy.write_bytes(seal({"a": 1, "files": {}}).replace(b"1", b"2", 1))


DECOYS = [
    make_file,
    make_read_only,
    make_empty_file,
    make_folder,
    make_empty_folder,
    make_link,
    make_link_to_a_folder,
    make_dangling_link,
    make_changed_report,
]


class TestNamesOfTheReport:
    @pytest.mark.parametrize("decoy", DECOYS)
    @pytest.mark.parametrize("command", COMMANDS)
    def test_one_that_is_the_users_is_an_error_before_training(
        self, capsys, monkeypatch, tmp_path, command, decoy
    ):
        """With any options, and wherever the name stands in the list."""
        monkeypatch.setattr("nnreg.training.loop.TrainingStep", None)
        for name in FILES[command]:
            out = tmp_path / name.replace(".", "-") / "out"
            out.mkdir(parents=True)
            decoy(out / name)
            before = snapshot(tmp_path)
            options = ["--force", "--force --resume"] if command == "path" else ["--force"]
            for option in options:
                assert run(command, f"--out {out} {option}") == 2
                err = capsys.readouterr().err
                assert f"{out / name} was not written by nnreg" in err
                assert err.count("\n") == 1
            assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_file_that_the_user_changed_later_is_the_users(self, command, tmp_path):
        assert run(command, "--out out") == 0
        for name in FILES[command]:
            changed = tmp_path / f"changed {name}"
            shutil.copytree("out", changed)
            with (changed / name).open("ab") as file:
                file.write(b" ")
            before = snapshot(changed)
            with pytest.raises(FileExistsError, match="changed since"):
                open_folder(changed, MODULES[command].PICTURES, force=True).__enter__()
            assert snapshot(changed) == before

    def test_one_that_appears_while_nnreg_works_is_kept(self, capsys, monkeypatch, tmp_path):
        def render(figure, kind):
            Path("out/report.html").write_text("years of work")
            return b""

        monkeypatch.setattr(nnreg.plots, "render", render)
        assert run("path", "--out out") == 1
        assert Path("out/report.html").read_text() == "years of work"
        assert "out has report.json" in capsys.readouterr().err

    def test_a_report_that_names_files_elsewhere_has_none_of_them(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "thesis").touch()
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        (tmp_path / "out/report.json").write_bytes(seal({"files": {"../thesis": empty}}))
        assert written_files(tmp_path / "out").keys() == {"report.json"}


def breaks_down(monkeypatch):
    def fit(net, x, y, **options):
        raise nnreg.NonFiniteLossError("the loss is nan", 3, "loss")

    for module in ("comparison.experiment", "path.study", "bias_variance.learners"):
        monkeypatch.setattr(f"nnreg.lab.{module}.fit", fit)


def is_interrupted(monkeypatch):
    calls = []

    def fit(net, x, y, **options):
        calls.append(net)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return nnreg.fit(net, x, y, **options)

    for module in ("comparison.experiment", "path.study", "bias_variance.learners"):
        monkeypatch.setattr(f"nnreg.lab.{module}.fit", fit)


def is_interrupted_while_drawing(monkeypatch):
    def render(figure, kind):
        raise KeyboardInterrupt

    monkeypatch.setattr(nnreg.plots, "render", render)


def has_a_full_disk(monkeypatch):
    def write(path, content, overwrite=False):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("nnreg.lab.reporting.folder.write_whole", write)
    monkeypatch.setattr("nnreg.lab.reporting.results.write_whole", write)


def succeeds(monkeypatch):
    pass


OUTCOMES = {
    succeeds: 0,
    breaks_down: 1,
    has_a_full_disk: 1,
    is_interrupted: 130,
    is_interrupted_while_drawing: 130,
}


@needs_matplotlib
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("command", COMMANDS)
class TestEveryOutcome:
    def test_other_files_of_the_user_stay(self, monkeypatch, tmp_path, command, outcome):
        """Folders with former names of partial results, and files with the present ones."""
        mine = tmp_path / "mine"
        (mine / "results").mkdir(parents=True)
        for name in ("pieces", "points"):
            make_folder(mine / name)
        make_dangling_link(mine / "link")
        make_file(mine / "report.txt")
        make_file(mine / f"nnreg-{command}-0123456789abcdef-0123456789abcdef.npz")
        make_link_to_a_folder(mine / f"nnreg-{command}-fedcba9876543210-0123456789abcdef.npz")
        before = snapshot(mine)
        outcome(monkeypatch)
        assert run(command, "--out mine --force") == OUTCOMES[outcome]
        run(command, "--out mine")
        run(command, "--out mine --force")
        assert {name: snapshot(mine)[name] for name in before} == before

    def test_an_empty_folder_of_the_user_stays(self, monkeypatch, tmp_path, command, outcome):
        (tmp_path / "mine").mkdir()
        outcome(monkeypatch)
        assert run(command, "--out mine --force") == OUTCOMES[outcome]
        assert (tmp_path / "mine").is_dir()

    def test_new_folders_that_stay_empty_are_removed(self, monkeypatch, tmp_path, command, outcome):
        (tmp_path / "mine").mkdir()
        outcome(monkeypatch)
        assert run(command, "--out mine/n1/n2/n3") == OUTCOMES[outcome]
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        left = {tmp_path / "mine", *files}
        left.update(path for file in files for path in file.parents if tmp_path in path.parents)
        assert set(tmp_path.rglob("*")) == left

    def test_the_message_says_what_is_there(self, capsys, monkeypatch, command, outcome):
        outcome(monkeypatch)
        run(command, "--out out")
        err = capsys.readouterr().err
        there = sorted(path.name for path in Path("out").glob("*"))
        results = sum(name.endswith(".npz") for name in there)
        if outcome is succeeds:
            assert err == ""
            assert there == sorted(FILES[command])
            return
        assert err.count("\n") == 1
        assert ("out has report.json" in err) == ("report.json" in there)
        assert (f"; {results} " in err and " are kept in out" in err) == (results > 0)
        if OUTCOMES[outcome] == 130:
            assert ("nothing was kept" in err) == (there == [])


@needs_matplotlib
@pytest.mark.parametrize("command", COMMANDS)
class TestReplacing:
    def test_force_replaces_the_files_of_an_earlier_report(self, command, tmp_path):
        out = tmp_path / "out"
        assert run(command, "--out out") == 0
        first = (out / "report.json").read_bytes()
        assert run(command, "--out out --force --seed 5") == 0
        assert (out / "report.json").read_bytes() != first
        assert sorted(p.name for p in out.iterdir()) == sorted(FILES[command])
        assert written_files(out).keys() == set(FILES[command])

    def test_an_interrupted_command_goes_on_and_leaves_only_its_report(
        self, command, monkeypatch, tmp_path
    ):
        with monkeypatch.context() as patch:
            is_interrupted(patch)
            assert run(command, "--out out") == 130
        assert run(command, "--out out" + " --resume" * (command == "path")) == 0
        assert sorted(os.listdir("out")) == sorted(FILES[command])
        assert os.listdir() == ["out"]


class TestTheName:
    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize("out", [".", "..", "./", "sub/.."])
    def test_a_folder_without_a_name_needs_force(self, capsys, tmp_path, command, out):
        (tmp_path / "sub").mkdir()
        before = snapshot(tmp_path)
        assert run(command, f"--out {out}") == 2
        assert "exists: name a new folder, or add --force" in capsys.readouterr().err
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("out", ["", "a\0b", "x" * 300, "file", "file/x", "link"])
    def test_one_that_cannot_be_a_folder_is_one_line(self, capsys, tmp_path, out):
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to(tmp_path / "missing")
        before = snapshot(tmp_path)
        with pytest.raises(SystemExit) if out in ("", "a\0b") else open(os.devnull):
            assert main(["compare", "--out", out, "--force"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert snapshot(tmp_path) == before

    def test_a_number_is_added_until_the_name_is_free(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a/results-2").symlink_to(tmp_path / "missing")
        names = []
        for _ in range(3):
            with open_folder(tmp_path / "a" / "results", []) as folder:
                (folder / "something").touch()
                names.append(folder.name)
        assert names == ["results", "results-3", "results-4"]

    def test_resuming_where_nothing_was_interrupted_is_an_error(self, capsys, tmp_path):
        make_folder(tmp_path / "points")
        before = snapshot(tmp_path)
        assert run("path", f"--out {tmp_path} --resume") == 2
        assert "has no points of an interrupted path" in capsys.readouterr().err
        assert snapshot(tmp_path) == before

    def test_a_read_only_folder_is_known_before_training(self, capsys, monkeypatch, tmp_path):
        (tmp_path / "mine").mkdir()
        monkeypatch.setattr(os, "access", lambda path, mode: path != Path("mine"))
        assert run("compare", "--out mine --force") == 2
        assert capsys.readouterr().err == "nnreg: mine is read-only: name another folder\n"


def test_a_report_has_the_digests_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    report = Report("", {"x": float("nan")}, {}, lambda pictures: "<p>")
    assert report.write(tmp_path) == ["report.json", "report.html"]
    assert written_files(tmp_path).keys() == {"report.json", "report.html"}
    (tmp_path / "report.html").write_text("<i>")
    assert written_files(tmp_path).keys() == {"report.json"}
