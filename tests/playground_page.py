"""The whole of the playground's page in a browser: `python -m pytest tests/playground_page.py`.

Every tab that is opened is checked for requests to other addresses and for errors in the console.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from browser import opened, running_browser, running_server, shown

import nnreg as nn
from nnreg.playground.pictures import make_box
from nnreg.playground.presets import PRESETS
from nnreg.playground.settings import CHOICES

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser():
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


@pytest.fixture
def tab(browser, server):
    with opened(browser, server) as tab:
        yield tab


# --- Controls ------------------------------------------------------------------------------------

LIVE = {
    "learning_rate": 0.003,
    "optimizer": "rmsprop",
    "batch_size": 25,
    "patience": 500,
    "l2": 0.02,
    "l1": 0.003,
    "l1_method": "proximal",
    "max_norm": 2.5,
    "compare": True,
}
ANEW = {"rows": 60, "noise": 0.35, "label_noise": 0.1, "data_seed": 3, "seed": 7, "data": "rings"}


def test_each_control_takes_effect_and_only_some_start_anew(tab):
    tab.open()
    for knob, value in LIVE.items():
        tab.click("#batch").set(knob, value)
        assert tab.session.training.settings[knob] == value, knob
        assert tab.net.steps > 0, knob
    assert "0.02" in repr(tab.net.penalty)
    assert "0.003" in repr(tab.net.penalty)
    assert tab.page.is_visible("#twin")
    for knob, value in ANEW.items():
        tab.click("#batch").set(knob, value)
        assert tab.session.training.settings[knob] == value, knob
        assert tab.net.steps == 0, knob


def test_controls_change_during_training(tab):
    tab.open()
    tab.page.select_option("#speed", "fastest")
    tab.page.click("#play")
    tab.set("l2", 0.03).set("layers.0.keep_prob", 0.5).set("optimizer", "sgd")
    tab.page.wait_for_timeout(200)
    tab.page.click("#play")
    tab.settle()
    settings, steps = tab.session.training.settings, [at for at, _ in tab.session.training.changes]
    assert (settings["l2"], settings["layers"][0]["keep_prob"]) == (0.03, 0.5)
    assert settings["optimizer"] == "sgd"
    assert steps == sorted(steps)
    assert tab.net.steps > steps[-1] > 0


def test_a_slider_sets_its_number(tab):
    tab.open()
    slider = tab.page.locator("[data-knob=l2] input[type=range]")
    slider.focus()
    slider.press("End")
    tab.settle()
    assert tab.session.training.settings["l2"] == 10
    slider.press("Home")
    tab.settle()
    assert tab.session.training.settings["l2"] == 0


def test_layers_are_added_removed_and_set_one_by_one(tab):
    tab.open().click("#add-layer").set("layers.2.units", 5)
    tab.set("layers.2.activation", "tanh").set("layers.2.keep_prob", 0.6)
    tab.set("layers.2.penalty", True).set("layers.2.l1", 0.02)
    layer = tab.session.training.settings["layers"][2]
    assert (layer["units"], layer["activation"], layer["keep_prob"]) == (5, "tanh", 0.6)
    assert layer["penalty"] == {"l1": 0.02, "l2": 0.01}
    for _ in range(3):
        tab.click("#add-layer")
    assert tab.page.is_disabled("#add-layer")
    for _ in range(6):
        tab.click("#remove-layer")
    assert tab.page.is_disabled("#remove-layer")
    tab.click("#epoch")
    assert tab.net.layers[0].units == 2


@pytest.mark.parametrize("data", [name for name in CHOICES["data"] if name != "csv"])
def test_each_data_set_is_drawn_and_trained(tab, data):
    tab.open().set("data", data).click("#epoch").click("#phase")
    assert tab.session.training.settings["data"] == data
    drawn = tab.page.eval_on_selector(
        "#regions",
        "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 8",
    )
    assert drawn
    assert "training rows" in tab.page.get_attribute("#regions", "aria-label")


def test_a_link_is_cut_and_revived_by_form_and_by_a_click(tab):
    tab.open().click("#batch")
    weight = tab.net.parameters["dense_1.weight"]
    form = tab.page.locator("#weight")
    form.locator("[name=from]").fill("1")
    form.locator("[name=to]").fill("2")
    form.locator("[name=value]").fill("0")
    tab.click("#weight button")
    assert weight[1, 2] == 0
    assert tab.text("#zeros").startswith("1 of 96")
    assert tab.number("zeros") == 1
    form.locator("[name=from]").fill("2")  # of 2 inputs
    tab.click("#weight button")
    assert tab.number("zeros") == 1
    width = tab.page.eval_on_selector("#network", "c => c.clientWidth")
    tab.page.click("#network", position={"x": width / 2, "y": 160})
    assert form.locator("[name=parameter]").input_value() == "dense_2.weight"


def test_own_points_are_placed_by_click_and_by_form(tab):
    tab.open().click("#own-points")
    before = len(tab.session.training.settings["points"])
    assert before == 150
    tab.page.fill("#points [name=class]", "2")
    tab.page.locator("#regions").scroll_into_view_if_needed()
    tab.click("#regions")
    *place, label = tab.session.training.settings["points"][-1]
    box = make_box(tab.session.training.data)
    assert label == 2
    assert all(low < x < high for x, (low, high) in zip(place, box, strict=True))
    tab.click("#points button:has-text('Add')")
    assert tab.session.training.settings["points"][-1] == [0, 0, 2]
    tab.click("#undo")
    assert len(tab.session.training.settings["points"]) == before + 1
    assert tab.net.parameters["dense_3.bias"].shape == (3,)


def test_an_own_file_is_read(tab, tmp_path, rng):
    x = rng.standard_normal((60, 3))
    lines = [f"{a:.3f},{b:.3f},{c:.3f},{'yes' if a > 0 else 'no'}" for a, b, c in x]
    file = tmp_path / "own.csv"
    file.write_text("\n".join(["height,width,depth,answer", *lines]))
    tab.open()
    tab.page.set_input_files("#file", file)
    tab.settle().click("#epoch")
    assert tab.session.training.data.names == ["height", "width", "depth"]
    values = tmp_path / "values.csv"
    values.write_text("a,b\n" + "".join(f"{i},{i / 7}\n" for i in range(40)))
    tab.page.set_input_files("#file", values)
    tab.page.wait_for_selector("#alarm:visible")
    assert "mark 'The target is a number'" in tab.text("#alarm")
    tab.open().set("regression", True)
    tab.page.set_input_files("#file", values)
    tab.page.wait_for_selector("#output-title:has-text('Function')")
    tab.page.set_input_files("#file", file)  # of classes
    tab.page.wait_for_selector("#output-title:has-text('inputs'), #output-title:has-text('Norm')")
    short = tmp_path / "short.csv"
    short.write_text("a,b\n1,2\n")
    tab.page.set_input_files("#file", short)
    tab.page.wait_for_selector("#alarm:visible")
    assert "different labels" in tab.text("#alarm")
    assert tab.session.training.data.names == ["height", "width", "depth"]


def test_a_wrong_number_is_refused_with_the_reason(tab):
    tab.open()
    tab.page.fill("#knob-l2", "-1")
    tab.page.press("#knob-l2", "Tab")
    assert not tab.page.eval_on_selector("#knob-l2", "input => input.validity.valid")
    assert tab.session.training.settings["l2"] == 0


# --- Lessons -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_a_lesson_with_its_cures(tab, name):
    preset = PRESETS[name]
    tab.open(f"#preset={name}")
    assert tab.page.is_visible("#lesson")
    assert len(tab.text("#lesson p")) > 60
    assert len(tab.page.query_selector_all("[data-cure]")) == len(preset["cures"])
    tab.play(preset["steps"])
    assert tab.net.steps == preset["steps"] or tab.session.training.stopped
    for cure in preset["cures"]:
        assert cure not in tab.text(f"[data-cure='{cure}']")  # a text, and not the key


def test_divergence_is_named_and_cured(tab):
    tab.open("#preset=divergence").play(100)
    stopped = tab.session.training.stopped
    assert tab.text("#alarm p") == stopped["message"]
    assert f"step {stopped['step']}" in stopped["message"]
    rate = tab.session.training.settings["learning_rate"]
    tab.click("#alarm button")
    assert tab.session.training.settings["learning_rate"] == rate / 10
    assert (tab.net.steps, tab.page.is_visible("#alarm")) == (0, False)


def test_both_l1_methods_are_shown_with_their_zeros(tab):
    tab.open("#preset=selection").play(PRESETS["selection"]["steps"])
    main, twin = tab.session.training.runs
    zeros, weights = main.zeros, len(main.net.parameters.weights)
    assert zeros >= 15
    assert twin.zeros == 0
    assert tab.text("#zeros") == f"proximal: {zeros} of {weights} weights are exactly 0"
    assert tab.text("#twin-zeros") == f"subgradient: 0 of {weights} weights are exactly 0"
    assert (tab.number("zeros"), tab.number("zeros", 1)) == (zeros, 0)


def test_dropout_masks_and_uncertainty_are_shown(tab):
    tab.open("#preset=dropout").click("#batch")
    assert tab.page.is_visible("#spread")
    before = tab.page.eval_on_selector("#regions", "c => c.toDataURL()")
    tab.page.check("#spread")
    tab.settle()
    assert tab.text("#output-title").startswith("Uncertainty")
    assert tab.page.eval_on_selector("#regions", "c => c.toDataURL()") != before


def test_a_students_path_from_overfitting_to_the_reason_of_its_cure(tab):
    tab.open()
    tab.page.select_option("#preset", "overfit")
    tab.page.wait_for_selector("#lesson:visible")
    steps = PRESETS["overfit"]["steps"]
    tab.settle().play(steps)
    wide = {row: tab.number(row) for row in ("train", "val", "gap", "norm", "total")}
    assert tab.text("#verdict strong").lower() == "overfit:"
    assert wide["gap"] == pytest.approx(wide["val"] - wide["train"])
    assert wide["gap"] > wide["train"]

    tab.page.click("[data-cure=l2]")
    tab.page.wait_for_selector("#play:has-text('Pause')")
    while tab.session.training.steps < steps:
        tab.page.wait_for_timeout(50)
    tab.settle()
    cured = {row: tab.number(row) for row in ("train", "val", "gap", "norm", "penalty", "total")}
    previous = {row: tab.number(row, 1) for row in ("train", "val", "gap")}
    assert previous == {row: wide[row] for row in previous}
    # The reason: smaller weights fit the wrong labels less closely, and the new points better.
    assert cured["val"] < previous["val"] / 1.5
    assert cured["train"] > previous["train"]
    assert cured["norm"] < wide["norm"] / 2
    assert cured["total"] == pytest.approx(cured["train"] + cured["penalty"])
    weights = tab.net.parameters.weights
    assert cured["penalty"] == pytest.approx(0.01 / 2 * np.sum(weights**2))
    assert cured["norm"] == pytest.approx(np.linalg.norm(weights), rel=1e-5)


# --- One phase at a time -------------------------------------------------------------------------

CASES = {
    "default": {},
    "l2 and dropout": {"l2": 0.01, "layers.0.keep_prob": 0.5},
    "l1": {"l1": 0.01, "layers.1.activation": "tanh"},
    "regression": {"data": "sine", "layers.0.activation": "softplus"},
}


@pytest.mark.parametrize("knobs", CASES.values(), ids=CASES)
def test_the_numbers_of_each_phase_are_those_of_explain(tab, knobs):
    tab.open()
    for knob, value in knobs.items():
        tab.set(knob, value)
    tab.click("#batch")
    training = tab.session.training
    rows, data, before = training.next_rows(), training.data, tab.net.copy()
    trace = nn.explain(before, data.x[rows], data.y[rows], training.main.loss)
    seen = set()
    for name in ("Forward", "Loss", "Backward", "Penalty"):
        tab.click("#phase")
        assert tab.text("#steps [aria-current]") == name
        for key, arrays in tab.stages().items():
            seen.add(key)
            for array, values in arrays.items():
                np.testing.assert_array_equal(values, shown(trace[key].arrays[array]), str(key))
        for card in tab.page.query_selector_all("#stages article"):
            stage = trace[card.get_attribute("data-part"), card.get_attribute("data-stage")]
            if stage.check:
                assert "✓" in card.inner_text()
            for formula in stage.formulas:
                assert formula.text in card.inner_text()
                assert formula.shapes in card.inner_text()
    assert seen == {(stage.part, stage.name) for stage in trace.stages}
    assert before.steps == tab.net.steps  # nothing has been trained yet
    tab.click("#phase")
    assert tab.text("#steps [aria-current]") == "Update"
    assert tab.net.steps == before.steps + 1


# --- Address, assignment, export ---------------------------------------------------------------


def test_the_address_repeats_a_run_to_the_bit_in_another_tab(browser, server, tab):
    tab.open("#preset=overfit").click("#epoch").set("l1", 0.01).set("l1_method", "proximal")
    tab.set("layers.1.keep_prob", 0.8).click("#epoch").set("optimizer", "sgd").set("compare", True)
    tab.click("#weight button").click("#batch")
    vectors = [run.net.parameters.vector.copy() for run in tab.session.training.runs]
    first = tab.session
    with opened(browser, server) as other:
        other.open(tab.hash)
        assert other.session is not first
        for run, vector in zip(other.session.training.runs, vectors, strict=True):
            np.testing.assert_array_equal(run.net.parameters.vector, vector)
        assert other.text("#numbers") == tab.text("#numbers")
        assert other.text("#lesson h2") == tab.text("#lesson h2")


WRONG = {
    "cut off": "#%7Bnonsense",
    "nothing": "#null",
    "half a sign": "#preset=%",
    "another preset": "#preset=nope",
    "another version": '#{"state": {"settings": {"new": 1}}, "page": {"locked": ["l2"]}}',
    "a long one": "#" + 100_000 * "x",
}


@pytest.mark.parametrize("part", WRONG.values(), ids=WRONG)
def test_an_address_that_cannot_be_read_says_so_and_begins_a_new_run(tab, part):
    tab.open(part)
    assert "This is a new run" in tab.text("#alarm")
    tab.click("#batch").set("l2", 0.1)
    assert (tab.net.steps, tab.session.training.settings["l2"]) == (1, 0.1)


def test_wrong_parts_of_an_address_are_left_out(tab):
    page = {"locked": 5, "question": {"a": 1}, "speed": "warp"}
    tab.open("#" + json.dumps({"state": {"steps": 20}, "page": page, "preset": {"name": {}}}))
    assert (tab.net.steps, tab.page.input_value("#speed")) == (20, "fast")
    tab.page.click("#play")
    tab.page.wait_for_selector("#counters:has-text('pictures')")
    tab.page.evaluate("() => { location.hash = 'preset=l1'; }")  # while it trains
    tab.page.wait_for_selector("#lesson:visible")
    tab.settle()
    assert (tab.net.steps, tab.text("#lesson h2")) == (0, "Cure: L1")


def test_clicks_that_follow_each_other_quickly_are_all_taken(tab):
    tab.open("#preset=overfit")
    tab.page.select_option("#speed", "fastest")
    for cure in ("l2", "dropout"):  # the second one without the first one
        tab.page.dblclick(f"[data-cure={cure}]")
        while tab.session.training.steps < PRESETS["overfit"]["steps"]:
            tab.page.wait_for_timeout(50)
        tab.settle()
    settings = tab.session.training.settings
    assert (settings["l2"], settings["layers"][0]["keep_prob"]) == (0, 0.7)
    tab.page.evaluate(
        "() => { for (let k = 0; k < 4; k++) document.getElementById('play').click() }"
    )
    tab.settle()
    tab.click("#own-points")
    before = len(tab.session.training.settings["points"])
    tab.page.evaluate(
        """() => { for (let k = 0; k < 10; k++) document.getElementById("regions").dispatchEvent(
            new MouseEvent("click", {clientX: 900 + 9 * k, clientY: 300})); }"""
    )
    tab.settle()
    tab.page.wait_for_timeout(500)
    tab.settle()
    assert len(tab.session.training.settings["points"]) == before + 10


def test_an_assignment_shows_its_question_and_locks_settings(browser, server, tab):
    tab.open("#preset=overfit")
    tab.page.click("#assignment summary")
    tab.page.fill("#question-text", "Why does L2 reduce the gap?")
    for lock in ("data", "rows", "seed", "layers", "preset"):
        tab.page.check(f"[data-lock={lock}]")
    tab.click("#copy-address")
    address = tab.page.input_value("#address")
    assert address.startswith(server.address)
    with opened(browser, server) as student:
        student.open(address.removeprefix(server.address))
        assert "Why does L2 reduce the gap?" in student.text("#question")
        for locked in ("#knob-data", "#knob-rows", "#knob-seed", "#add-layer", "#preset",
                       "[id='knob-layers.0.units']"):  # fmt: skip
            assert student.page.is_disabled(locked), locked
        for locked in ("#own-csv", "#own-points"):
            assert student.page.is_disabled(locked), locked
        assert not student.page.is_visible("#assignment")
        student.set("l2", 0.01).click("#epoch")
        assert student.session.training.settings["l2"] == 0.01
        student.open(student.hash)
        assert student.page.is_disabled("#knob-rows")


def test_the_exported_program_and_weights_are_those_of_the_run(tab, tmp_path):
    tab.open("#preset=overfit").click("#epoch").set("l2", 0.01).click("#epoch")
    tab.page.click("#export summary")
    tab.click("[data-what=nnreg]")
    script = tmp_path / "run.py"
    script.write_text(tab.text("#code") + "\nnn.save(net, 'repeated.npz')\n")
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, capture_output=True)
    repeated = nn.load(tmp_path / "repeated.npz")
    np.testing.assert_array_equal(repeated.parameters.vector, tab.net.parameters.vector)
    for what, start in (("weights", b"PK"), ("picture", b"\x89PNG")):
        tab.page.click(f"[data-what={what}]")
        with tab.page.expect_download() as download:
            tab.page.click("#download")
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.read_bytes().startswith(start)
    loaded = nn.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.parameters.vector, tab.net.parameters.vector)
    for what, word in (("keras", "import keras"), ("torch", "import torch")):
        tab.click(f"[data-what={what}]")
        assert word in tab.text("#code")
    tab.click("#reset")
    assert not tab.page.is_visible("#code")


# --- Everyone ------------------------------------------------------------------------------------


def test_every_control_has_a_name_and_every_picture_a_description(tab):
    tab.open("#preset=selection").click("#epoch").click("#phase")
    nameless = tab.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea")]
            .filter(each => each.offsetParent && !each.textContent.trim() && !each.labels?.length
                && !each.ariaLabel).map(each => each.outerHTML)"""
    )
    assert nameless == []
    for picture in tab.page.query_selector_all("canvas:visible"):
        assert picture.get_attribute("role") == "img"
        assert len(picture.get_attribute("aria-label")) > 40
    assert tab.page.get_attribute("#status", "role") == "status"


def test_the_page_is_used_with_the_keyboard_alone(tab):
    tab.open()
    reached = set()
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        reached.add(tab.page.evaluate("() => document.activeElement.id"))
    assert {"preset", "play", "epoch", "batch", "phase", "reset", "knob-l2", "log"} <= reached
    tab.page.focus("#epoch")
    tab.page.keyboard.press("Enter")
    tab.settle()
    assert tab.session.training.epoch == 1
    assert "epoch 1" in tab.text("#status")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1400])
def test_nothing_is_cut_off_at_any_width(browser, server, width, scheme):
    viewport = {"width": width, "height": 844}
    with opened(browser, server, viewport=viewport, color_scheme=scheme) as tab:
        tab.open("#preset=selection").click("#epoch").click("#phase")
        tab.page.click("#export summary")
        tab.click("[data-what=nnreg]")
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= width
        paper = tab.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]


def test_a_server_that_ends_is_reported(browser):
    with running_server() as server, opened(browser, server) as tab:
        tab.open()
        tab.page.route("**/api", lambda route: route.abort())
        tab.page.click("#epoch")
        tab.page.wait_for_selector("#alarm:visible")
        assert "Is nnreg playground still running?" in tab.text("#alarm")
        assert tab.faults
        tab.faults.clear()  # the browser's lines about the refused request
