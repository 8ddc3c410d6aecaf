"""The playground: its runs repeat to the bit, its numbers are those of nnreg, its presets hold."""

import base64
import json
import math
import re

import numpy as np
import pytest

import nnreg as nn
from nnreg.playground import Session
from nnreg.playground.presets import CURES, PRESETS
from nnreg.playground.settings import CHOICES, DEFAULTS, MAX_VALIDATION_ROWS, check
from nnreg.playground.training import Training

POINTS = [[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1], [2, 2, 0], [2, 1, 1]]
PETS = "size,weight,kind\n" + "".join(
    f"{i % 7},{i * i % 11},{'cat' if i % 7 > 3 else 'dog'}\n" for i in range(40)
)
SIZES = "size,weight,legs\n" + "".join(f"{i % 7},{i * i % 11},{i % 7 / 2}\n" for i in range(40))
ALL = [  # changes during training, one knob of each kind
    {"learning_rate": 0.03, "l2": 0.01},
    {"optimizer": "momentum", "learning_rate": 0.02},
    {"l1": 0.002, "l1_method": "proximal", "batch_size": 7},
    {"compare": True, "max_norm": 1.5},
    {"layers": [{"units": 5, "keep_prob": 0.5, "penalty": {"l2": 0.1}}, {"units": 4}]},
    {"weight": [3, 0.7]},
    {"patience": 500},
]
START = {"data": "spirals", "label_noise": 0.1, "layers": [{"units": 5}, {"units": 4}]}


def open_session(**settings):
    session = Session()
    ask(session, "set", knobs=settings)
    return session


def ask(session, do, **fields):
    """Send a message as JSON, and return the reply as a page receives it."""
    reply = json.loads(json.dumps(session.handle(json.loads(json.dumps({"do": do, **fields})))))
    assert "error" not in reply, reply
    return reply


def vector(session, run=0):
    return session.training.runs[run].net.parameters.vector


def decode(field):
    [(kind, text)] = field.items()
    return np.frombuffer(base64.b64decode(text), {"f32": "<f4", "u8": np.uint8}[kind])


@pytest.fixture(scope="module")
def changed():
    """A session in which every knob was changed during training."""
    session = open_session(**START)
    for knobs in ALL:
        ask(session, "play", steps=33)
        ask(session, "set", knobs=knobs)
    ask(session, "play", steps=33)
    return session


# --- Training and its repetition ------------------------------------------------------------------


def test_a_run_without_changes_is_that_of_fit():
    session = open_session(l2=0.01, layers=[{"units": 8, "keep_prob": 0.8}])
    ask(session, "play", steps=30)
    data = session.training.data
    layers = [nn.Dense(8), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(2)]
    net = nn.Network(layers, inputs=2, penalty=nn.L2(0.01), seed=0, dtype="float64")
    loss, optimizer = nn.SoftmaxCrossEntropy(), nn.Adam(0.01)
    nn.fit(net, data.x, data.y, loss=loss, optimizer=optimizer, epochs=3, batch_size=10, threads=1)
    assert (net.parameters.vector == vector(session)).all()
    status = ask(session, "play", steps=0)["status"]
    assert status["train"] == pytest.approx(
        nn.evaluate(net, data.x, data.y, loss=loss).pop("data_loss")
    )


def test_every_change_is_repeated_to_the_bit(changed):
    state, again = ask(changed, "state")["state"], Session()
    assert ask(again, "restore", state=state)["status"]["replaying"] == 33 * len(ALL) + 33
    for _ in range(3):  # in parts, and not beyond the end
        ask(again, "play", steps=100)
    assert again.training.target is None
    for run in (0, 1):
        assert (vector(again, run) == vector(changed, run)).all()
    assert ask(again, "state")["state"] == state
    for session in (again, changed):
        ask(session, "play", steps=20)
    assert (vector(again) == vector(changed)).all()


def test_a_repetition_ends_if_training_does():
    settings = {"data": "sine", "optimizer": "sgd", "learning_rate": 1e6}
    session = Session()
    ask(session, "restore", state={"settings": settings, "steps": 500})
    status = ask(session, "play", steps=500)["status"]
    assert (status["stopped"]["why"], status["replaying"]) == ("diverged", 0)
    ask(session, "set", knobs={"l2": 0.1})


def test_a_repetition_must_end_before_the_next_change(changed):
    again = Session()
    ask(again, "restore", state=ask(changed, "state")["state"])
    for do in ("set", "epoch", "batch", "phase", "judge", "export"):
        reply = again.handle({"do": do, "knobs": {"l2": 1}, "what": "nnreg"})
        assert "steps are left" in reply["error"]["message"]


@pytest.mark.parametrize(
    ("knobs", "reset"),
    [
        *(({name: DEFAULTS[name]}, False) for name in DEFAULTS),
        ({"rows": 50}, True),
        ({"seed": 1}, True),
        ({"layers": [{"units": 8}]}, True),
        ({"layers": [{"units": 8, "activation": "tanh"}, {"units": 8}]}, True),
        *((knobs, False) for knobs in ALL if "layers" not in knobs),
    ],
)
def test_only_data_and_initial_weights_need_a_new_run(knobs, reset):
    session = Session()
    ask(session, "play", steps=5)
    reply = ask(session, "set", knobs=knobs)
    assert reply.get("reset", False) == reset
    assert reply["status"]["step"] == (0 if reset else 5)


def test_twins_have_the_same_rows_masks_and_seed_and_only_the_proximal_one_has_zeros():
    layers = [{"units": 8, "keep_prob": 0.8}]
    session = open_session(layers=layers, l1=0.02, l1_method="proximal", compare=True)
    status = ask(session, "play", steps=300)["status"]
    assert status["zeros"] > 0 == status["twin"]["zeros"]
    ask(session, "set", knobs={"l1_method": "subgradient"})  # they exchange the methods
    status = ask(session, "play", steps=300)["status"]
    assert status["twin"]["zeros"] > 0 == status["zeros"]
    ask(session, "set", knobs={"l1": 0.0})  # without L1 they are equal from equal weights on
    ask(session, "set", knobs={"compare": False})
    ask(session, "set", knobs={"compare": True})
    ask(session, "play", steps=50)
    assert (vector(session, 0) == vector(session, 1)).all()


def test_a_link_at_zero_can_be_revived():
    session = open_session(layers=[], l1=0.1, l1_method="proximal", data="sparse")
    ask(session, "play", steps=300)
    zero = int(np.flatnonzero(vector(session) == 0)[0])
    ask(session, "set", knobs={"weight": [zero, 0.5]})
    assert vector(session)[zero] == 0.5
    ask(session, "set", knobs={"l1": 0.0})
    ask(session, "play", steps=50)
    assert vector(session)[zero] != 0


def test_early_stopping_restores_the_best_epoch():
    session = open_session(**PRESETS["early-stopping"]["settings"])
    status = ask(session, "play", steps=10_000)["status"]
    stopped = status["stopped"]
    assert stopped["why"] == "early stopping"
    assert stopped["best"] + 20 == stopped["epoch"]
    best = min(figures[0][1] for _, figures in session.training.curve.points)
    assert status["val"] == best
    assert ask(session, "play", steps=10)["status"]["step"] == status["step"]


def test_the_curve_is_bounded_and_keeps_its_last_epoch():
    session = open_session(rows=10, layers=[])
    for steps in (400, 401, 3):
        ask(session, "play", steps=steps)
        epochs = decode(
            ask(session, "play", steps=0, want={"curves": 1})["pictures"]["curves"]["epochs"]
        )
        assert len(epochs) <= 401
        assert epochs[0] == 0
        assert epochs[-1] == session.training.epoch


# --- Phases ---------------------------------------------------------------------------------------


def test_five_phases_are_the_stages_of_explain_and_one_step():
    session, other = (open_session(l2=0.1, layers=[{"units": 4, "keep_prob": 0.5}]) for _ in "ab")
    for one in (session, other):
        ask(one, "play", steps=3)
    training, rows = session.training, session.training.next_rows()
    run, data = training.main, training.data
    trace = nn.explain(run.net, data.x[rows], data.y[rows], run.loss)
    phases = [ask(session, "phase")["phase"] for _ in range(5)]
    assert [phase["name"] for phase in phases] == [
        "forward",
        "loss",
        "backward",
        "penalty",
        "update",
    ]
    assert phases[0]["rows"] == rows.tolist()
    assert phases[0]["total"] == trace.total
    stages = [stage for phase in phases[:-1] for stage in phase["stages"]]
    assert len(stages) == len(trace.stages)
    for shown in stages:
        stage = trace[shown["part"], shown["name"]]
        assert [formula["text"] for formula in shown["formulas"]] == [
            f.text for f in stage.formulas
        ]
        for array in shown["arrays"]:
            values = stage.arrays[array["name"]]
            assert array["values"] == values.reshape(-1, values.shape[-1])[:8, :8].tolist()
            assert array["norm"] == float(np.linalg.norm(values))
        if shown["check"]:
            assert shown["check"]["passed"]
            assert shown["check"]["error"] < 1e-10
    assert sum(bool(stage["check"]) for stage in stages) >= 5
    ask(other, "batch")
    assert (vector(session) == vector(other)).all()
    arrays = {array["name"]: array for array in phases[-1]["stages"][0]["arrays"]}
    before = np.array(arrays["dense_1.weight"]["values"])
    change = np.array(arrays["change of dense_1.weight"]["values"])
    assert np.allclose(before + change, run.net.parameters["dense_1.weight"], rtol=1e-12)


def test_phases_that_are_left_open_train_nothing():
    session = Session()
    for do in ("phase", "phase", "judge", "state", "hello"):  # the last three keep them open
        ask(session, do)
    assert ask(session, "phase")["phase"]["name"] == "backward"
    assert ask(session, "set", knobs={"l2": 0.1})["status"]["step"] == 0
    assert ask(session, "phase")["phase"]["name"] == "forward"
    assert ask(session, "epoch")["status"]["step"] == 10


# --- Pictures -------------------------------------------------------------------------------------

WANT = {"grid": 12, "units": 10, "links": 1, "mask": 1, "spread": 8, "curves": 1}
WANT |= {"histogram": 20, "verdict": 1, "inputs": 1, "predictions": 1}


def test_pictures_are_the_predictions_of_the_network(changed):
    reply = ask(changed, "play", steps=0, want=WANT)
    pictures, run = reply["pictures"], changed.training.main
    low, high = np.array(ask(changed, "hello")["data"]["box"]).T
    x = np.stack(np.meshgrid(*np.linspace(low, high, 12).T), axis=-1).reshape(-1, 2)
    outputs = run.net.predict(x)
    p = run.loss.probabilities(outputs)
    assert (decode(pictures["grid"]["class"]) == p.argmax(axis=1)).all()
    assert (decode(pictures["grid"]["confidence"]) == (255 * p.max(axis=1)).astype(int)).all()
    twin = changed.training.runs[1].net.predict(x).argmax(axis=1)
    assert (decode(pictures["grid"]["twin"]["class"]) == twin).all()
    assert pictures["grid"]["twin"]["size"] == 12
    predicted = run.net.predict(changed.training.data.x_val).argmax(axis=1)
    assert (decode(pictures["predictions"]["val"]) == predicted).all()
    assert [unit["units"] for unit in pictures["units"]] == [5, 4]
    assert len(decode(pictures["units"][0]["values"])) == 5 * 100
    assert np.allclose(decode(pictures["links"]["vector"]), vector(changed))
    assert len(pictures["mask"][0]) == 5
    assert pictures["mask"][1] is None
    assert sum(pictures["histogram"]["counts"]) == reply["status"]["weights"]
    assert len(decode(pictures["spread"]["values"])) == 64
    assert pictures["verdict"]["word"] in nn.lab.verdicts.VERDICTS


@pytest.mark.parametrize("knob", ["optimizer", "batch_size", "l1_method", "compare", "max_norm"])
def test_all_pictures_can_be_drawn_between_a_change_and_the_next_step(knob):
    session = open_session(layers=[{"units": 3, "keep_prob": 0.5}], rows=30, compare=False)
    ask(session, "play", steps=3)
    value = {"optimizer": "sgd", "batch_size": 7, "compare": True, "max_norm": 1.0}
    changed = {knob: value.get(knob, "proximal")}
    pictures = ask(session, "set", knobs=changed, want=WANT)["pictures"]
    assert set(pictures) == set(WANT)
    assert pictures["mask"] == [None] or knob != "optimizer"


@pytest.mark.parametrize("kind", CHOICES["data"])
def test_every_kind_of_data_has_its_pictures_or_none(kind):
    session = open_session(data=kind, points=POINTS, csv=PETS, layers=[{"units": 3}], rows=30)
    ask(session, "epoch")
    pictures = ask(session, "play", steps=3, want=WANT)["pictures"]
    flat = session.training.data.x.shape[1] <= 2
    assert (pictures["grid"] is None) == (pictures["units"] is None) == (not flat)
    assert math.isfinite(ask(session, "play", steps=0)["status"]["val"])
    assert pictures["spread"] is None  # without dropout


def test_a_table_can_be_a_regression():
    session = open_session(data="csv", csv=SIZES, regression=True)
    status = ask(session, "play", steps=200)["status"]
    assert status["val"] < 0.3
    assert status["train_accuracy"] is None


ROWS = [(i % 7, i * i % 11, "xy"[i % 2]) for i in range(40)]
FILES = {  # that are not as the playground reads them, and the cure that is named
    "numbers first": ("1,2,x\n", ROWS, "write the names of the columns into the first line"),
    "text": ("a,b,c\n", [(1, "red", "x"), (2, "blue", "y")], "leave the column out"),
    "a missing value": ("a,b,c\n", [*ROWS, (1, "", "x")], "fill the cell or leave the row out"),
    "decimal commas": ("a;b\n", ["0,5;x", "1,5;y"], "write decimal points"),
    "numbers last": ("a,b\n", [(i, i / 7) for i in range(40)], "mark 'The target is a number'"),
    "one class": ("a,b\n", [(i, "x") for i in range(40)], "2 to 20"),
    "one column": ("a\n", [(i,) for i in range(40)], "separated by commas"),
    "few rows": ("a,b,c\n", ROWS[:6], "at least 8 rows"),
    "huge numbers": ("a,b,c\n", [(f"{x}e300", y, z) for x, y, z in ROWS], "from -1e+100 to 1e+100"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_refused_is_explained_by_what_the_page_can_do(name):
    head, rows, words = FILES[name]
    lines = [row if isinstance(row, str) else ",".join(map(str, row)) for row in rows]
    message = {"do": "set", "knobs": {"data": "csv", "csv": head + "\n".join(lines)}}
    error = Session().handle(message)["error"]["message"]
    assert error.startswith("data.csv")
    assert words in error
    assert not re.search(r"\w=|pandas", error)  # no argument of a function


def test_a_long_table_has_a_bounded_number_of_validation_rows():
    text = "a,b\n" + "".join(f"{i % 7},{i % 2}\n" for i in range(5000))
    session = open_session(data="csv", csv=text)
    assert len(session.training.data.x_val) == MAX_VALIDATION_ROWS


@pytest.mark.parametrize("classes", [2, 3])
def test_one_input_with_classes_is_drawn_as_a_line(classes):
    text = "a,b\n" + "".join(f"{i},{'xyz'[i * classes // 40]}\n" for i in range(40))
    session = open_session(data="csv", csv=text, layers=[{"units": 4, "keep_prob": 0.5}])
    pictures = ask(session, "epoch", want=WANT)["pictures"]
    y = decode(pictures["grid"]["y"])
    assert len(y) == 12
    assert ((y >= 0) & (y <= classes - 1)).all()
    if classes == 2:
        band = pictures["spread"]
        assert len(decode(band["mean"])) == len(decode(band["std"])) == 8
    else:
        assert pictures["spread"] is None
        assert set(y) <= {0, 1, 2}


@pytest.mark.parametrize(
    "knobs",
    [
        {"l2": 1000.0, "learning_rate": 0.1, "optimizer": "sgd"},
        {"learning_rate": 1e6, "data": "sine", "optimizer": "momentum"},
        {"learning_rate": 1e6, "data": "digits", "layers": [{"units": 8, "keep_prob": 0.05}]},
        {"l1": 1000.0, "compare": True, "optimizer": "sgd", "max_norm": 1e-300},
    ],
)
def test_extreme_settings_give_no_warning(knobs):  # warnings are errors in the tests
    session = open_session(**knobs)
    for _ in range(12):
        ask(session, "play", steps=20, want=WANT)


def test_a_large_step_is_explained_without_a_check():
    session = open_session(rows=1000, batch_size=1000)
    stages = [stage for _ in range(5) for stage in ask(session, "phase")["phase"]["stages"]]
    assert not any(stage["check"] for stage in stages)
    assert any("not checked" in note for stage in stages for note in stage["notes"])


# --- Presets --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown():
    """The training of every preset."""
    runs = {}
    for name, preset in PRESETS.items():
        runs[name] = Training(check(preset["settings"]))
        runs[name].train(preset["steps"])
    return runs


def test_the_network_that_overfits_is_cured_by_each_cure(shown):
    train, val = shown["overfit"].figures[0][:2]
    assert shown["overfit"].judge()["word"] == "overfit"
    assert val > 3 * train
    for name in CURES:
        assert shown[name].figures[0][1] < 0.65 * val
        assert shown[name].judge()["word"] != "overfit"
        assert PRESETS["overfit"]["cures"][name].items() <= PRESETS[name]["settings"].items()


def test_dead_units_have_an_alarm_and_a_smaller_rate_prevents_it(shown):
    def alarms(training):
        data, run = training.data, training.main
        return nn.explain(run.net, data.x, data.y, run.loss, check=False).alarms

    assert any("8 of 8 units dead" in alarm for alarm in alarms(shown["dead-relus"]))
    preset = PRESETS["dead-relus"]
    cured = Training(check({**preset["settings"], **preset["cures"]["slower"]}))
    cured.train(preset["steps"])
    assert not alarms(cured)


def test_divergence_is_named_by_step_and_layer(shown):
    stopped = shown["divergence"].stopped
    assert (stopped["why"], stopped["step"], stopped["layer"]) == ("diverged", 5, "dense_2")
    assert shown["divergence"].judge()["word"] == "diverged"
    session = Session()
    ask(session, "preset", name="divergence")
    status = ask(session, "play", steps=100, want=WANT)["status"]
    assert status["step"] == 5
    assert "step 5" in status["stopped"]["message"]
    assert "ended" in session.handle({"do": "phase"})["error"]["message"]
    cure = PRESETS["divergence"]["cures"]["slower"]
    ask(session, "set", knobs=cure)
    ask(session, "reset")
    assert ask(session, "play", steps=100)["status"]["stopped"] is None


def test_a_strong_penalty_underfits_and_only_a_comparison_shows_it(shown):
    training = shown["strong-penalty"]
    assert training.judge()["word"] == "not known"
    verdict = training.judge(more=True)
    assert verdict["word"] == "underfit"
    assert "no regularization" in verdict["reason"]


def test_l1_selects_the_two_relevant_inputs_of_twenty(shown):
    training = shown["selection"]
    w = training.main.net.parameters["dense_1.weight"]
    assert np.flatnonzero(w).tolist() == training.data.relevant
    assert training.runs[1].zeros == 0  # by the subgradient


# --- Messages that are refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (None, "a message must be an object"),
        ([1], "a message must be an object"),
        ({}, "do must be one of"),
        ({"do": "__init__"}, "do must be one of"),
        ({"do": "plai"}, "did you mean 'play'"),
        ({"do": "play", "steps": -1}, "steps must be a whole number"),
        ({"do": "play", "steps": 10**9}, "steps must be a whole number from 0 to 10000"),
        ({"do": "play", "ms": "soon"}, "ms must be a number"),
        ({"do": "play", "want": [1]}, "want must be an object"),
        ({"do": "play", "want": {"grid": 10**6}}, "grid must be a whole number from 1 to 100"),
        ({"do": "play", "want": {"secrets": 1}}, "want must be one of"),
        ({"do": "set"}, "knobs must be an object"),
        ({"do": "set", "knobs": {"lr": 1}}, "there is no setting 'lr'"),
        ({"do": "set", "knobs": {"l2": math.nan}}, "l2 must be"),
        ({"do": "set", "knobs": {"rows": 10**9}}, "rows must be a whole number from 4 to 1000"),
        ({"do": "set", "knobs": {"layers": [{}] * 7}}, "layers must be a list of at most 6"),
        ({"do": "set", "knobs": {"layers": [{"units": 10**6}]}}, "units must be"),
        ({"do": "set", "knobs": {"layers": [{"unit": 1}]}}, "a layer must have"),
        ({"do": "set", "knobs": {"layers": [{"penalty": 3}]}}, "penalty must be null or"),
        ({"do": "set", "knobs": {"data": "points"}}, "place at least 6 points"),
        ({"do": "set", "knobs": {"data": "points", "points": [[0, 0, 1]] * 6}}, "got 6 of 1"),
        ({"do": "set", "knobs": {"data": "points", "points": [[1, 2]]}}, "a point must be"),
        ({"do": "set", "knobs": {"data": "csv"}}, "data.csv"),
        ({"do": "set", "knobs": {"data": "csv", "csv": "a,b\n1,x\n2,"}}, "data.csv"),
        ({"do": "set", "knobs": {"csv": 3}}, "csv must be text"),
        ({"do": "set", "knobs": {"weight": [10**6, 0.0]}}, "the index of weight"),
        ({"do": "set", "knobs": {"weight": 1}}, "weight must be"),
        ({"do": "restore"}, "state must be an object"),
        ({"do": "restore", "state": {"steps": 10**12}}, "steps must be"),
        ({"do": "restore", "state": {"changes": [[1, {"l2": 1}]]}}, "the step of a change"),
        ({"do": "restore", "state": {"changes": [[0, {"rows": 9}]]}}, "needs a new run"),
        ({"do": "restore", "state": {"changes": [3]}}, "a change must be"),
        ({"do": "preset", "name": "fun"}, "name must be one of"),
        ({"do": "export", "what": "excel"}, "what must be one of"),
    ],
)
def test_a_wrong_message_changes_nothing_and_is_explained(message, words):
    session = Session()
    ask(session, "play", steps=3)
    before = vector(session).copy(), ask(session, "state")["state"]
    error = session.handle(message)["error"]["message"]
    assert words in error, error
    assert (vector(session) == before[0]).all()
    assert ask(session, "state")["state"] == before[1]


# --- Programs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"data": "rings", "layers": [{"units": 3, "keep_prob": 0.5}]},
        {"data": "sine"},
        {"data": "sparse", "layers": [], "l1": 0.02, "l1_method": "proximal"},
        {"data": "digits", "layers": [{"units": 8}], "patience": 3, "label_noise": 0.2},
        {"data": "csv", "csv": PETS},
        {"data": "csv", "csv": SIZES, "regression": True},
        {"data": "points", "points": POINTS},
    ],
    ids=lambda settings: settings["data"],
)
def test_the_program_for_nnreg_repeats_the_run_to_the_bit(settings, tmp_path, monkeypatch, capsys):
    session = open_session(**settings)
    ask(session, "play", steps=47 if "patience" not in settings else 400)
    assert (
        run_program(session, tmp_path, monkeypatch)["net"].parameters.vector == vector(session)
    ).all()


def test_the_program_has_the_changes_of_the_settings(changed, tmp_path, monkeypatch, capsys):
    names = run_program(changed, tmp_path, monkeypatch)
    assert (names["net"].parameters.vector == vector(changed)).all()
    assert capsys.readouterr().out.count("data_loss") == 2


def run_program(session, folder, monkeypatch):
    (folder / "data.csv").write_text(session.training.settings["csv"])
    monkeypatch.chdir(folder)
    names = {}
    exec(ask(session, "export", what="nnreg")["text"], names)
    return names


def test_the_weights_are_a_file_of_nnreg(changed, tmp_path):
    reply = ask(changed, "export", what="weights")
    (tmp_path / reply["file"]).write_bytes(base64.b64decode(reply["base64"]))
    assert (nn.load(tmp_path / reply["file"]).parameters.vector == vector(changed)).all()
