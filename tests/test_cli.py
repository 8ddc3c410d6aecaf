"""The command line: options, errors of one line, exit statuses and signals."""

import dataclasses
import functools
import io
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from experiments import fake_pictures, needs_matplotlib

import nnreg
import nnreg_command
from nnreg import datasets
from nnreg.commands import experiments
from nnreg.commands.main import main
from nnreg.commands.shared import in_words
from nnreg.lab import NetworkLearner, PathSettings, SamplingDesign, Settings
from nnreg.lab.bias_variance.learners import AXES
from nnreg.lab.comparison.figures import NOISE_RULE
from nnreg.lab.path import report as path_report
from nnreg.lab.settings import ModelSettings
from nnreg.lab.verdicts import FIT_RULE

QUICK = "--hidden 8 --l2 0.01 --l1 0.01 --keep-prob 0.5 --train-size 200 --epochs 2 --repeats 2"

COMMANDS = [
    "train",
    "predict",
    "inspect",
    "convert",
    "compare",
    "path",
    "bias-variance",
    "grade",
    "course",
    "data",
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def pictures_take_no_time(monkeypatch):
    fake_pictures(monkeypatch)


def output(capsys):
    """Return what was printed, on one line."""
    return " ".join(capsys.readouterr().out.split())


def compare(options=QUICK):
    return main(["compare", *options.split()])


@pytest.fixture
def seen(monkeypatch):
    """The settings with which a comparison was asked for; it is then interrupted."""
    result = []

    def compare(dataset, settings, *, jobs, **options):
        result.append((jobs, settings))
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "compare", compare)
    return result


class TestCompare:
    @needs_matplotlib
    def test_it_prints_a_table_and_writes_a_folder(self, capsys, tmp_path):
        assert compare() == 0
        out, err = capsys.readouterr()
        assert re.search(r"^dropout \+ L2 +(\w+fit|right fit|not known)", out, re.MULTILINE)
        assert (
            "Written to nnreg-compare: report.json, report.html, curves.png, weights.png"
            in " ".join(out.split())
        )
        assert err == ""
        assert len(list((tmp_path / "nnreg-compare").iterdir())) == 5

    def test_the_folder_has_a_number_when_it_exists(self, capsys, tmp_path):
        (tmp_path / "nnreg-compare").mkdir()
        assert compare() == 0
        assert "Written to nnreg-compare-2" in capsys.readouterr().out

    def test_without_matplotlib_one_line_names_the_extra(self, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        assert compare() == 0
        out = capsys.readouterr().out
        assert "Written to nnreg-compare: report.json, report.html\n" in out
        assert "No pictures without matplotlib: pip install 'nnreg[plots]'" in out

    @pytest.mark.parametrize(
        ("options", "settings"),
        [
            ("", Settings(train_size=300, label_noise=0.15)),
            ("--data breast-cancer", Settings()),
            ("--data digits.csv", Settings()),
        ],
    )
    def test_of_the_digits_alone_few_rows_are_taken_and_some_labels_made_wrong(
        self, seen, tmp_path, options, settings
    ):
        (tmp_path / "digits.csv").write_text("a,b\n1,x\n2,y\n1,x\n2,y\n")
        compare(options)
        assert seen[0][1] == settings

    def test_every_option_reaches_its_setting(self, seen):
        compare(
            "--hidden 5,6 --l2 0.1 --l1 0.2 --keep-prob 0.3 --l1-method subgradient --epochs 7 "
            "--batch-size 9 --learning-rate 0.4 --optimizer sgd --train-size 50 --label-noise 0.25 "
            "--repeats 4 --seed 11 --jobs 3"
        )
        assert seen[0][0] == 3
        assert seen[0][1] == Settings(
            *((5, 6), 7, 9, 0.4, "sgd", 50, 0.25, 4, 11, 0.1, 0.2, 0.3, "subgradient")
        )

    def test_a_csv_file_with_options_of_a_table(self, capsys, rng, tmp_path):
        x = rng.normal(size=(40, 2))
        lines = [f"{'no' if a < 0 else 'yes'};{a};{b};x" for a, b in x]
        (tmp_path / "pets.csv").write_text("answer;a;b;remark\n" + "\n".join(lines))
        table = "--data pets.csv --target answer --drop remark --separator ; --header"
        assert compare(f"{QUICK} --train-size 20 {table}") == 0
        out = output(capsys)
        assert "2 features, 2 classes; 20 training rows" in out
        assert "10 test rows, split off" in out

    def test_an_npz_file_with_test_rows(self, capsys, rng, tmp_path):
        x, y = rng.normal(size=(30, 3)), np.arange(30) % 3
        np.savez(tmp_path / "pets.npz", x=x, y=y, x_test=x[:6], y_test=y[:6])
        assert compare(f"{QUICK} --train-size 24 --data pets.npz") == 0
        assert "6 test rows, which come with the data" in output(capsys)

    @pytest.mark.mnist
    def test_a_folder_of_idx_files(self, capsys, mnist_folder):
        assert compare(f"{QUICK} --data {mnist_folder}") == 0
        assert "784 features, 10 classes; 200 training rows; 10,000" in output(capsys)


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                "compare --hidden a,b",
                "argument --hidden: must be whole numbers separated by commas",
            ),
            ("compare --epochs ten", "argument --epochs: must be a whole number, got 'ten'"),
            ("compare --epochs 0", "--epochs must be a whole number of at least 1, got 0"),
            ("compare --l2 -1", "--l2 must be a number in [0, inf), got -1.0"),
            ("compare --l2 much", "argument --l2: must be a number, got 'much'"),
            ("compare --keep-prob 1.5", "--keep-prob must be a number in (0, 1], got 1.5"),
            ("compare --label-noise 0.5", "--label-noise must be a number in [0, 0.5), got 0.5"),
            ("compare --train-size 1298", "--train-size must be at most 1297"),
            ("compare --optimizer adm", "--optimizer must be one of 'sgd'"),
            ("compare --data digit", "--data: unknown data 'digit' (did you mean 'digits'?)"),
            ("compare --data no.csv", "No such file or directory: no.csv"),
            ("compare --target x", "--target: only a file has a choice of columns"),
            ("compare --learning-rat", "--learning-rate"),
            ("compare --no-such-option", "unrecognized arguments: --no-such-option"),
            (
                "compare a.csv",
                "unrecognized arguments: a.csv (use --data a.csv) (see nnreg compare",
            ),
            ("compare --hiden 8", "unrecognized arguments: --hiden (did you mean '--hidden'?)"),
            ("train --hiden 8", "nnreg train: unrecognized arguments: --hiden (did you mean"),
            ("comparre", "comparre is not a command (did you mean 'compare'?)"),
            ("--hiden 8 compare", "the command comes before its options, as in nnreg compare"),
            ("predict a b c", "nnreg predict: unrecognized arguments: c (see nnreg predict"),
            ("grade exercise_1.py", "there is no file exercise_1.py"),
            ("compare --batchsize=8", "--batchsize=8 (did you mean '--batch-size'?)"),
            ("compare --hiden 8", "(see nnreg compare --help)"),
            ("path --points 1", "--points must be a whole number of at least 2, got 1"),
            ("path --ratio 2", "--ratio must be a number in (0, 1), got 2.0"),
            ("path --epochs 1 --jobs 0", "--jobs must be a whole number of at least 1, got 0"),
            ("path --data digit", "--data: unknown data 'digit'"),
            (
                "bias-variance --values 1,x",
                "argument --values: must be numbers separated by commas",
            ),
            ("bias-variance --sweep depth", "argument --sweep: invalid choice: 'depth'"),
            (
                "bias-variance --sweep width --values 1.5",
                "width must be a whole number of at least 1, got 1.5",
            ),
            ("bias-variance --noise -1", "--noise must be a number in [0, inf), got -1.0"),
            (
                "bias-variance --datasets 2",
                "--datasets must be a whole number of at least 3",
            ),
            ("bias-variance --keep-prob 2", "--keep-prob must be a number in (0, 1], got 2.0"),
            ("bias-variance --sweep l1 --l2 0.1", "--l1 must be 0 unless l2 is 0"),
            ("bias-variance --jobs 0", "--jobs must be a whole number of at least 1, got 0"),
            ("bias-variance --optimizer adm", "--optimizer must be one of"),
        ],
    )
    def test_a_wrong_argument_is_one_line_and_exit_2(self, capsys, tmp_path, arguments, message):
        try:
            status = main(arguments.split())
        except SystemExit as exit:
            status = exit.code
        out, err = capsys.readouterr()
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert message in err
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_value_in_a_csv_file_is_named(self, capsys, tmp_path):
        (tmp_path / "pets.csv").write_text("a,b\n1,x\n,y\n1,x\n2,y\n")
        assert compare("--data pets.csv") == 2
        err = capsys.readouterr().err
        assert re.search(r"pets\.csv.*(row|line) \d.*a", err)
        assert err.count("\n") == 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--optimizer sgd --learning-rate 1e30", "none (none), repeat 1: the loss of step"),
            (f"--hidden {10**15}", "Unable to allocate"),
        ],
    )
    def test_training_that_breaks_down_is_one_line_and_exit_1(
        self, capsys, tmp_path, options, message
    ):
        assert compare(f"{QUICK} {options}") == 1
        err = capsys.readouterr().err
        assert err.startswith(f"nnreg: {message}")
        assert err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("targets", ["0.5 0.7 0.9 1.5", "1 2 3 4"])
    def test_a_quantity_as_target_names_the_command_that_predicts_it(
        self, capsys, tmp_path, targets
    ):
        lines = "\n".join(f"1,{value}" for value in targets.split())
        (tmp_path / "prices.csv").write_text(f"size,price\n{lines}\n")
        assert compare("--data prices.csv") == 2
        assert "a quantity, nnreg train --regression predicts it" in capsys.readouterr().err

    def test_an_error_without_a_file_is_said_as_it_is(self):
        assert in_words(OSError("no mirror answers")) == "no mirror answers"


class TestProgress:
    def test_there_is_a_bar_on_a_terminal(self, monkeypatch):
        tqdm = pytest.importorskip("tqdm").tqdm
        monkeypatch.setattr("tqdm.tqdm", functools.partial(tqdm, mininterval=0.0, miniters=1))

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert compare() == 0
        assert re.search(r"runs: +\d+%.* 10/40 ", terminal.getvalue())

    @pytest.mark.parametrize("tqdm", [True, False])
    def test_in_a_pipe_and_without_tqdm_there_is_none(self, capsys, monkeypatch, tqdm):
        if not tqdm:
            monkeypatch.setitem(sys.modules, "tqdm", None)
        assert compare() == 0
        assert capsys.readouterr().err == ""


class TestTheRest:
    def test_data_lists_what_there_is(self, capsys):
        assert main(["data"]) == 0
        assert capsys.readouterr().out.startswith("Bundled with nnreg\n  digits")

    def test_a_terminal_without_unicode_gets_question_marks(self, monkeypatch):
        text = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", text)
        assert compare(f"{QUICK} --details") == 0
        text.seek(0)
        assert "?" in text.read()

    def test_an_interruption_elsewhere_is_quiet_too(self, capsys, monkeypatch):
        def describe():
            raise KeyboardInterrupt

        monkeypatch.setattr(datasets, "describe", describe)
        assert main(["data"]) == 130
        assert capsys.readouterr().err.count("\n") == 1

    def test_without_a_command_it_lists_them_with_an_example(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            main([])
        out, err = capsys.readouterr()
        assert all(f"\n    {name}" in out for name in COMMANDS)
        assert "examples:\n  nnreg train" in out
        assert "exit status:\n  0  success" in out
        assert not err

    @pytest.mark.parametrize(
        ("name", "settings", "texts"),
        [
            ("data", (), []),
            ("train", (ModelSettings,), ["stratified by class"]),
            ("predict", (), ["matched by name"]),
            ("inspect", (), []),
            ("convert", (), []),
            ("compare", (Settings,), [FIT_RULE, NOISE_RULE]),
            ("path", (PathSettings,), [path_report.RULES["strengths"]]),
            ("bias-variance", (NetworkLearner, SamplingDesign), ["Expected to be 0", *AXES]),
            ("grade", (), []),
            ("course", (), []),
        ],
    )
    def test_help_explains_every_option_and_states_the_rules(self, capsys, name, settings, texts):
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        out = capsys.readouterr().out
        helps = re.findall(
            r"^  (--[\w-]+)(?:, --[\w-]+)?(?: [A-Z][\w.,]*)?\s+(\S.*)$", out, re.MULTILINE
        )
        options = set(re.findall(r"^  (--[\w-]+)", out, re.M))
        assert all(not text.startswith("(default") for _, text in helps)
        assert {option for option, _ in helps} == options
        fields = {field.name for kind in settings for field in dataclasses.fields(kind)}
        assert {f"--{field.replace('_', '-')}" for field in fields} <= options
        assert all(text in " ".join(out.split()) for text in texts)

    def test_python_m_nnreg_is_the_same(self):
        result = subprocess.run(
            [sys.executable, "-m", "nnreg", "--version"], capture_output=True, text=True, check=True
        )
        assert result.stdout == f"nnreg {nnreg.__version__}\n"

    def test_ctrl_c_during_the_import_is_one_line(self, tmp_path):
        package = tmp_path / "nnreg" / "commands"
        package.mkdir(parents=True)
        for folder in (package, package.parent):
            (folder / "__init__.py").touch()
        (package / "main.py").write_text("import signal; signal.raise_signal(signal.SIGINT)")
        (tmp_path / "nnreg_command.py").write_bytes(Path(nnreg_command.__file__).read_bytes())
        code = "import sys, nnreg_command; sys.exit(nnreg_command.main())"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert result.returncode == 130
        assert result.stderr == "nnreg: interrupted; nothing was written\n"

    def test_importing_it_loads_no_optional_package(self):
        code = "import sys, nnreg.commands.main; print({'matplotlib', 'tqdm'} & set(sys.modules))"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert result.stdout == "set()\n"


def find_workers(process):
    """Return the numbers of joblib's worker processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"popen_loky" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def interrupt(process):
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does


def kill_worker(process):
    os.kill(find_workers(process.pid)[0], signal.SIGKILL)


LONG = {  # commands that take some seconds after their first result, and how they continue
    "bias-variance": (
        "--values 2,4 --datasets 40 --seeds 1 --rows 50 --epochs 800",
        r"data sets? (are|is) kept in out; the same command",
    ),
    "path": (
        "--hidden 64 --points 12 --train-size 400 --epochs 200 --repeats 2",
        r"points? (are|is) kept in out; the same command with --out out --resume",
    ),
    "compare": (
        "--hidden 64 --epochs 100",
        r"runs? (are|is) kept in out; the same command with --out out --resume",
    ),
}
DEAD = "a worker process was killed, perhaps for lack of memory; use fewer jobs"
ENDS = {  # the command, the number of jobs, what ends it, the exit status, and the message
    "Ctrl-C": ("bias-variance", 1, interrupt, 130, "interrupted"),
    "Ctrl-C, 2 jobs": ("bias-variance", 2, interrupt, 130, "interrupted"),
    "Ctrl-C, 2 jobs of compare": ("compare", 2, interrupt, 130, "interrupted"),
    "SIGTERM": ("path", 1, subprocess.Popen.terminate, 143, "interrupted"),
    "SIGTERM, 2 jobs": ("bias-variance", 2, subprocess.Popen.terminate, 143, "interrupted"),
    "SIGKILL, 2 jobs": ("bias-variance", 2, subprocess.Popen.kill, -9, ""),
    "worker of bias-variance": ("bias-variance", 2, kill_worker, 1, DEAD),
    "worker of path": ("path", 2, kill_worker, 1, DEAD),
    "worker of compare": ("compare", 2, kill_worker, 1, DEAD),
}


@pytest.mark.reliability(
    fault="A command with `--jobs 2` is killed by SIGKILL",
    sees="Its workers end within seconds; the finished results are kept",
)
@pytest.mark.reliability(
    fault="Ctrl-C or SIGTERM during a command (`--jobs 2` too)",
    sees="One line that says how many results are kept and how to continue; exit status 130 or "
    "143; no worker process lives on",
)
@pytest.mark.reliability(
    fault="A worker process of a command with `--jobs 2` is killed",
    sees="One line: that it was killed, how many results are kept, how to continue; exit status 1; "
    "no other worker lives on",
)
@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(("command", "jobs", "end", "status", "words"), ENDS.values(), ids=ENDS)
def test_a_command_that_is_ended_leaves_no_process_and_says_what_is_kept(
    tmp_path, command, jobs, end, status, words
):
    if jobs > 1:
        pytest.importorskip("joblib")
    if end is kill_worker and not Path("/proc").exists():
        pytest.skip("workers are found in /proc")
    options, kept = LONG[command]
    options = f"{command} {options} --out out --jobs {jobs}"
    process = subprocess.Popen(
        [sys.executable, "-m", "nnreg", *options.split()],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.1)
    end(process)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == status
    # joblib's resource tracker, which the signal reaches too, may add a warning
    if words:
        assert re.match(rf"nnreg: {words}; \d+ {kept} continues from there\n", err), err
    assert "Traceback" not in err
    while time.monotonic() < deadline:  # the system takes a moment to remove dead processes
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process is left")


@pytest.mark.slow
@pytest.mark.posix
def test_a_worker_that_dies_at_once_is_one_line(capsys, monkeypatch, tmp_path):
    pytest.importorskip("joblib")
    monkeypatch.setattr(experiments, "sweep", lambda *given: {"1": _Dies(), "2": _Dies()})
    options = "--sweep degree --datasets 3 --seeds 1 --points 9 --jobs 2"
    assert main(["bias-variance", *options.split()]) == 1
    assert re.fullmatch("nnreg: a worker process was killed, .*\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@dataclasses.dataclass(frozen=True)
class _Dies:
    """A learner whose process is killed."""

    def __call__(self, x, y, outputs, seed):
        os.kill(os.getpid(), signal.SIGKILL)
