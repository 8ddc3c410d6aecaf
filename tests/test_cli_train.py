"""`nnreg train`, `predict` and `inspect`: a table becomes a model, and the model predictions."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from experiments import needs_matplotlib

import nnreg as nn
from nnreg import plots
from nnreg.checkpoint import encode_checkpoint
from nnreg.commands.main import main
from nnreg.lab.model import Model

QUICK = "--hidden 4 --epochs 2"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with tables of pets, in several forms, and with a model of them."""
    folder = tmp_path_factory.mktemp("made")
    rng, kinds = np.random.default_rng(0), np.arange(30) % 3
    rows = [
        (f"{w:.2f}", ("cat", "dog", "bird")[k], f"{2 + 2 * (k < 2)}")
        for k, w in zip(kinds, rng.uniform(1, 2, 30) + 9 * kinds, strict=True)
    ]
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "render", lambda figure, kind: kind.encode())
        write("pets.csv", ["weight,kind,legs", *map(",".join, rows)])
        write("semicolons.csv", ["weight;legs;kind", *(f"{w};{n};{k}" for w, k, n in rows)])
        write("plain.csv", [f"{k},{w},{n}" for w, k, n in rows])
        write("new.csv", ["legs,weight", *(f"{n},{w}" for w, _, n in rows[:3])])
        write("less.csv", ["legs", "4"])
        write("more.csv", ["legs,size,weight", "4,1,3.5"])
        write("other.csv", ["weight,kind,size", "1,cat,2", "1,cat,2", "1,dog,2", "1,dog,2"])
        write("wolf.csv", ["weight,kind,legs", "1,cat,2", "1,cat,2", "1,wolf,2", "1,wolf,2"])
        write("text", ["no magic"])
        np.savez("pets.npz", x=rng.normal(size=(30, 2)), y=kinds)
        Path("damaged.npz").write_bytes(Path("pets.npz").read_bytes()[:-40])
        Path("empty").mkdir()
        assert main(f"train pets.csv --target kind {QUICK} --l2 0.1 --out done".split()) == 0
    return folder


@pytest.fixture(autouse=True)
def files(made, tmp_path, monkeypatch):
    """Enter a copy of the folder."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "files"))
    monkeypatch.setattr(plots, "render", lambda figure, kind: kind.encode())


def write(name, lines):
    Path(name).write_text("\n".join(lines) + "\n")


def run(capsys, command, status=0):
    """Run a command; return its output, or the line of its error."""
    capsys.readouterr()
    try:
        ended = main(command.split())
    except SystemExit as exit:
        ended = exit.code
    out, err = capsys.readouterr()
    assert ended == status, err
    if status:
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        return err
    return out


class TestTrain:
    @pytest.mark.parametrize(
        ("data", "inputs"),
        [
            ("pets.csv --target kind", ("weight", "legs")),
            ("pets.csv --target kind --columns legs", ("legs",)),
            ("semicolons.csv", ("weight", "legs")),
            ("semicolons.csv --drop legs --separator ; --encoding latin-1", ("weight",)),
            ("plain.csv --no-header --target 0", ("column 1", "column 2")),
            ("pets.npz", ("feature 0", "feature 1")),
            ("pets.csv --target weight --drop kind --regression", ("legs",)),
        ],
    )
    def test_a_table_becomes_a_folder_whose_model_predicts_it(self, capsys, data, inputs):
        out = run(capsys, f"train {data} {QUICK} --out model")
        assert "validation" in out
        assert max(map(len, out.splitlines())) <= 80
        assert {"model.npz", "history.csv", "report.json", "report.html"} <= set(
            os.listdir("model")
        )
        model = Model.read("model/model.npz")
        assert model.features == inputs
        header = " --no-header" * ("--no-header" in data)
        lines = run(capsys, f"predict model {data.split()[0]}{header}").splitlines()
        assert (lines[0], len(lines)) == ("prediction", 31)
        assert model.net.classes is None or set(lines[1:]) <= set(map(str, model.net.classes))

    def test_every_option_reaches_the_network_and_its_training(self, capsys):
        run(
            capsys,
            "train pets.csv --target kind --out m --hidden 5,6 --activation tanh --l2 0.1 --l1 0.2 "
            "--keep-prob 0.5 --optimizer sgd --learning-rate 0.3 --epochs 2 --batch-size 7 "
            "--seed 3 --validation-split 0.5 --no-standardize --early-stopping 4",
        )
        net = nn.load("m/model.npz")
        assert (net.seed, net.steps, net.epochs) == (3, 6, 2)
        assert [layer.units for layer in net.layers[::3]] == [5, 6, 3]
        assert repr(net.penalty) == "ElasticNet(l1=0.2, l2=0.1, method='proximal')"
        assert [repr(layer) for layer in net.layers[1:3]] == ["Tanh()", "Dropout(keep_prob=0.5)"]
        assert Model.read("m/model.npz").standardization is None
        assert nn.load("m/best.npz").epochs in (1, 2)
        assert repr(nn.load_optimizer("m/checkpoint-000000006.npz")).startswith(
            "SGD(learning_rate=0.3"
        )

    def test_validation_rows_may_be_another_file_with_the_columns_in_any_order(self, capsys):
        out = run(
            capsys, f"train pets.csv --target kind {QUICK} --out m --validation semicolons.csv"
        )
        assert "30 training rows, 30 validation rows" in " ".join(out.split())

    def test_test_rows_of_the_data_are_evaluated(self, capsys):
        out = run(capsys, "train digits --hidden none --epochs 1 --out m")
        assert "\ntest " in out
        assert len(run(capsys, "predict m digits").splitlines()) == 501

    def test_a_regression_predicts_in_the_unit_of_the_target(self, capsys):
        write("line.csv", ["x,y", *(f"{x},{1000 + 50 * x}" for x in range(40))])
        run(
            capsys,
            "train line.csv --regression --hidden none --learning-rate 0.05 --batch-size 4 "
            "--epochs 15 --out m",
        )
        values = np.array(run(capsys, "predict m line.csv").splitlines()[1:], float)
        np.testing.assert_allclose(values, 1000 + 50 * np.arange(40), atol=40)

    def test_a_finished_run_is_not_trained_again_and_goes_on_with_more_epochs(self, capsys):
        command = "train pets.csv --target kind --hidden 4 --out m --epochs"
        run(capsys, f"{command} 3")
        before = {path.name: path.read_bytes() for path in Path("m").iterdir()}
        assert "nothing was trained" in run(capsys, f"{command} 3")
        after = {path.name: path.read_bytes() for path in Path("m").iterdir()}
        assert {n for n in before.keys() | after.keys() if before[n] != after[n]} <= {"report.json"}
        run(capsys, f"{command} 5")
        assert nn.load("m/model.npz").epochs == 5
        run(capsys, f"{command.replace('m --', 'whole --')} 5")
        assert Path("m/model.npz").read_bytes() == Path("whole/model.npz").read_bytes()

    def test_force_trains_anew_and_keeps_the_users_files(self, capsys):
        Path("done").rename("m")
        Path("m/notes.txt").write_text("mine")
        run(capsys, "train semicolons.csv --hidden 3 --epochs 1 --out m --force")
        assert nn.load("m/model.npz").layers[0].units == 3
        assert Path("m/notes.txt").read_text() == "mine"
        assert len(list(Path("m").glob("checkpoint-*.npz"))) == 2

    @pytest.mark.reliability(
        fault="Ctrl-C, or a loss that is not finite, in `nnreg train`",
        sees="One line that says how many epochs the folder has, and how to go on; before the first"
        " step the folder is as before.",
    )
    @pytest.mark.parametrize("error", [KeyboardInterrupt, "nan"])
    def test_a_run_that_ends_early_keeps_its_epochs_or_leaves_nothing(
        self, capsys, monkeypatch, error
    ):
        if error == "nan":
            failing = (
                "train pets.csv --target kind --learning-rate 1e38 --optimizer sgd --batch-size 4"
            )
            assert "a smaller learning rate usually helps" in run(capsys, f"{failing} --out m", 1)
            assert not Path("m").exists()
            return
        real = nn.training.callbacks.FunctionCallback

        def interrupt(function):
            def stop(state):
                if len(state.history) == 2:
                    raise KeyboardInterrupt

            return real(stop)

        with monkeypatch.context() as patch:
            patch.setattr("nnreg.commands.train.FunctionCallback", interrupt)
            command = "train pets.csv --target kind --hidden 4 --epochs 4 --out m"
            err = run(capsys, command, 130)
        assert err == (
            "nnreg: interrupted; m has the run, 1 epoch finished; the same command continues it\n"
        )
        assert "not finished" in run(capsys, "predict m new.csv", 2)
        assert "accuracy" in run(capsys, command).lower()

    @needs_matplotlib
    def test_the_curves_are_drawn_and_without_matplotlib_one_line_names_the_extra(
        self, capsys, monkeypatch
    ):
        run(capsys, f"train pets.csv --target kind {QUICK} --out m")
        assert Path("m/curves.png").exists()
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        out = run(capsys, f"train pets.csv --target kind {QUICK} --out n")
        assert "No picture without matplotlib: pip install 'nnreg[plots]'" in out


class TestPredict:
    def test_columns_are_matched_by_name_and_probabilities_have_the_names_of_classes(self, capsys):
        lines = run(capsys, "predict done new.csv --probabilities").splitlines()
        assert lines[0] == "prediction,probability bird,probability cat,probability dog"
        whole = run(capsys, "predict done/model.npz pets.csv --probabilities").splitlines()
        assert lines == whole[:4]
        label, *shares = lines[1].split(",")
        assert label == ["bird", "cat", "dog"][int(np.argmax(np.array(shares, float)))]
        assert sum(map(float, shares)) == pytest.approx(1)

    def test_files_have_the_predictions_and_are_not_overwritten(self, capsys):
        printed = run(capsys, "predict done new.csv")
        run(capsys, "predict done new.csv --out p.csv")
        assert Path("p.csv").read_text() == printed
        assert "--force" in run(capsys, "predict done new.csv --out p.csv", 2)
        run(capsys, "predict done new.csv --out p.npz --probabilities")
        with np.load("p.npz") as arrays:
            assert arrays["classes"].tolist() == ["bird", "cat", "dog"]
            assert arrays["prediction"].tolist() == printed.split()[1:]
            assert arrays["probabilities"].shape == (3, 3)

    def test_the_network_of_a_python_program_predicts_raw_outputs(self, capsys):
        nn.save(nn.Network([nn.Dense(2, initializer=nn.ones)], inputs=2), "net.npz")
        assert "1 columns, but" in run(capsys, "predict net.npz new.csv --drop 0", 2)
        assert "has no classes" in run(capsys, "predict net.npz new.csv --probabilities", 2)
        out = run(capsys, "predict net.npz pets.npz")
        assert out.splitlines()[0] == "output 0,output 1"


class TestInspect:
    def test_it_describes_every_kind_of_file(self, capsys):
        texts = {
            "done": "network, saved by nnreg|checksum    correct|weight, legs; standardized|"
            "bird, cat, dog|L2(strength=0.1) on dense_1.weight, dense_2.weight|x @ w + b",
            "done/best.npz": "checkpoint of a run|Adam(learning_rate=0.001|SoftmaxCrossEntropy",
            "pets.csv": "separated by commas; 30 rows, 3 columns|kind          0        0    30",
            "semicolons.csv": "separated by semicolons",
            "plain.csv --no-header": "30 rows, 3 columns",
            "pets.npz": "NPZ with 2 arrays|float64  (30, 2)",
        }
        Path("a.idx").write_bytes(b"\0\0\x08\1\0\0\0\3abc")
        texts["a.idx"] = "IDX, uint8 of shape (3,)|from 97 to 99|SHA-256"
        for name, parts in texts.items():
            out = run(capsys, f"inspect {name}")
            assert all(part in out for part in parts.split("|")), out
            assert max(map(len, out.splitlines())) <= 80

    @pytest.mark.reliability(
        input="a CSV file with control sequences of a terminal, for `nnreg inspect`",
        sees="The table of its columns, with the sequences escaped (`\\x1b[2J`).",
    )
    def test_text_of_files_is_escaped(self, capsys):
        write("evil.csv", ["\x1b[2Jweight,kind", "1,\x1b]0;title\x07", "2,b", "3,b"])
        out = run(capsys, "inspect evil.csv")
        assert "\x1b" not in out
        assert "\\x1b[2Jweight" in out


ERRORS = {
    "train": "the following arguments are required: --out, DATA",
    "train pets.csv": "the following arguments are required: --out",
    "train no.csv --out m": "No such file or directory: no.csv",
    "train pet.csv --out pets.csv": "No such file or directory: pet.csv",
    "train semicolons.csv --out pets.csv": "File exists: pets.csv",
    "train pets --out m": "DATA: unknown data 'pets'",
    "train plain.csv --out m": "'dog' is not a finite number; --target 'cat' if it is the column "
    "of labels; --drop cat leaves the column out",
    "train plain.csv --target 0 --out m": "If the file has no header, set --no-header",
    "train pets.csv --out m": "column \"kind\": 'cat' is not a finite number; --target 'kind'",
    "train pets.csv --target kin --out m": "--target: pets.csv has no column 'kin' (did you mean",
    "train pets.csv --target kind --regression --out m": "'cat' is not a finite number",
    "train pets.csv --target kind --out m --epochs 0": "--epochs must be a whole number of at",
    "train pets.csv --target kind --out m --activation rel": "--activation must be one of 'relu'",
    "train pets.csv --target kind --out m --validation-split 0.001": "--validation-split of 0.001",
    "train pets.csv --target kind --out m --validation-split 0 --early-stopping 2": (
        "--early-stopping needs validation rows"
    ),
    "train pets.csv --target kind --out m --validation new.csv": "--target: new.csv has no column",
    "train pets.csv --target kind --out m --validation other.csv": "has other columns: legs, ",
    "train pets.csv --target kind --out m --validation wolf.csv": "the unknown class 'wolf'",
    "train pets.csv --target kind --out m --validation wolf.csv --validation-split 0.1": (
        "--validation: leave out --validation-split"
    ),
    "predict empty new.csv": "empty has no model.npz, as nnreg train writes",
    "train pets.csv --target kind --out .": "has other files, such as damaged.npz: name a new",
    "train pets.csv --target kind --out done --hidden 5": "a run with --hidden 4, not 5: name",
    f"train semicolons.csv {QUICK} --l2 0.1 --drop legs --out done": "a run with other data: name",
    "train pets.csv --target kind --hidden 4 --epochs 1 --l2 0.1 --out done": (
        "--epochs must be at least 2"
    ),
    "predict done": "the following arguments are required: DATA",
    "predict nothing new.csv": "No such file or directory: nothing",
    "predict pets.npz new.csv": "pets.npz cannot be read as a network saved by nnreg",
    "predict done/best.npz new.csv": "it is a checkpoint of a run; its model is model.npz",
    "predict done plain.csv --no-header": "3 columns, but the model has 2 inputs",
    "predict done less.csv": "less.csv: no column weight; the model has the inputs weight, legs",
    "predict done more.csv": "the model has no input size; the model has the inputs weight, legs; "
    "--drop size leaves other columns out",
    "predict done new.csv --out p.txt": "--out must be a file that ends in .csv or .npz, got p.txt",
    "predict done new.csv --out no/p.csv": "there is no folder",
    "inspect no.csv": "No such file or directory: no.csv",
    "inspect text": "text is no file that nnreg reads",
    "inspect damaged.npz": "damaged.npz",
    "inspect .": "Is a directory",
}


@pytest.mark.parametrize("command", ERRORS)
def test_an_error_is_one_line_that_names_the_option_and_the_cure(capsys, command):
    assert ERRORS[command] in run(capsys, command, 2)
    assert not Path("m").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ["a"]}, "1 names for 2 inputs"),
        ({"features": ["a", "a"]}, "2 names for 2 inputs"),
        ({"features": ["a", 1]}, "must be text"),
        ({"ignored": 3}, "not iterable"),
        ({"target_scale": [0.0]}, "not enough values"),
        ({"target_scale": [0.0, -1.0]}, "scale must be a number in [0, inf), got -1.0"),
        ({"mean": np.zeros(3)}, "float64 of shape (2,)"),
        ({"mean": np.array([0.0, np.nan])}, "must be finite"),
        ({"scale": np.array([1.0, 0.0])}, "scale must be above 0"),
    ],
)
def test_an_altered_model_is_an_error_that_names_the_file(capsys, changes, message):
    model = Model.read("done/model.npz")
    state = model.get_state() | changes
    altered = SimpleNamespace(get_state=lambda: state)
    Path("m.npz").write_bytes(encode_checkpoint("m.npz", model.net, others={"data": altered}))
    err = run(capsys, "predict m.npz new.csv", 2)
    assert "m.npz cannot be read as a network saved by nnreg: " in err
    assert message in err


def test_a_fault_of_nnreg_is_one_line_too(capsys, monkeypatch):
    monkeypatch.setattr("nnreg.datasets.describe", lambda: {}["key"])
    assert run(capsys, "data", 1) == (
        "nnreg: KeyError: 'key' (a fault of nnreg; --debug shows its place)\n"
    )


def test_debug_shows_the_traceback_too(capsys):
    assert main(["inspect", "no.csv", "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("nnreg: No such file or directory: no.csv\n")


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "nnreg", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.reliability(
    fault="`nnreg train` is killed by SIGKILL",
    sees="The same command continues the run, says so, and writes the same bytes of `model.npz`.",
)
@pytest.mark.slow
def test_a_killed_run_is_continued_to_the_same_bytes(capsys):
    command = "train pets.csv --target kind --hidden 8 --keep-prob 0.8 --epochs 60 --out"
    process = start(*command.split(), "killed")
    deadline = time.monotonic() + 60
    while len(list(Path("killed").glob("checkpoint-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    process = start(*command.split(), "killed")
    assert os.path.join("killed", "checkpoint-") in process.communicate()[1]
    run(capsys, f"{command} whole")
    assert Path("killed/model.npz").read_bytes() == Path("whole/model.npz").read_bytes()


@pytest.mark.reliability(
    fault="the reader of a command's output ends first, as in `nnreg train ... | head -1`",
    sees="No message, exit status 141; the folder is complete.",
)
def test_a_closed_output_ends_the_command_quietly_with_all_files():
    process = start(
        *f"train pets.csv --target kind {QUICK} --out m".split(),
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 141
    process.stderr.close()
    assert {"model.npz", "report.json"} <= set(os.listdir("m"))


@pytest.mark.reliability(
    fault="the disk is full while a command prints",
    sees="One line, `the output could not be written: No space left on device`; exit status 1.",
)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_exit_1():
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "nnreg", "data"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == ("nnreg: the output could not be written: No space left on device\n")
