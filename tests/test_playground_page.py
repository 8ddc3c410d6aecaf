"""The playground's page in a browser: the path on which everything else depends.

`python -m pytest tests/playground_page.py` tests every control, preset and export.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import opened, running_browser, running_server, shown

import nnreg as nn
from nnreg.playground.presets import PRESETS
from nnreg.playground.server import read_page

DOCS = Path(__file__).parents[1] / "docs"


def test_each_preset_has_a_text_and_each_lesson_of_the_docs_shows_a_preset():
    texts = read_page()["texts.js"].decode()
    for name in PRESETS:
        assert re.search(rf'^    "?{name}"?: {{ title: "', texts, re.MULTILINE), name
    named = {}
    for page in (*DOCS.glob("learn/[01]*.md"), DOCS / "do" / "playground.md"):
        text = page.read_text()
        named[page.name] = set(re.findall(r"nnreg playground --preset ([\w-]+)", text))
        pictures = re.findall(r"/(images/playground_[\w-]+\.png)", text)
        assert pictures, page.name
        assert all((DOCS / picture).is_file() for picture in pictures)
    assert all(named.values())
    assert set.union(*named.values()) == named["playground.md"] == set(PRESETS)


def luminance(color):
    """As WCAG 2.1 defines it."""
    c = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_texts_and_lines_have_the_contrast_that_wcag_wants(mode):
    style = read_page()["style.css"].decode()
    rules = style.split(":root {")[1 if mode == "light" else 2].partition("}")[0]
    light = {name: luminance(color) for name, color in re.findall(r"--([\w-]+): (#\w{6})", rules)}

    def contrast(*names):
        low, high = sorted(light[name] for name in names)
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "grey", "accent", "good", "bad"):
        assert min(contrast(text, "paper"), contrast(text, "panel")) >= 4.5, text
    assert contrast("on-accent", "accent") >= 4.5
    for line in ("train", "val", "positive", "negative"):
        assert contrast(line, "paper") >= 3, line


@pytest.mark.browser
def test_a_page_trains_explains_a_step_and_repeats_a_run_from_its_address():
    with running_browser() as browser, running_server() as server, opened(browser, server) as tab:
        tab.open("#preset=overfit").click("#epoch")
        tab.set("l2", 0.01).click("#batch")
        assert repr(tab.net.penalty) == repr(nn.L2(0.01))
        assert tab.number("train") == tab.session.training.figures[0][0]

        training = tab.session.training
        rows, data = training.next_rows(), training.data
        trace = nn.explain(tab.net, data.x[rows], data.y[rows], training.main.loss)
        tab.click("#phase")
        stage = tab.stages()["forward", "dense_1"]
        expected = trace["forward", "dense_1"].arrays
        for name in ("x", "w", "y"):
            np.testing.assert_array_equal(stage[name], shown(expected[name]))

        vector, steps = tab.net.parameters.vector.copy(), tab.net.steps
        tab.open(tab.hash)
        assert tab.session.training is not training
        assert (tab.net.steps, tab.net.parameters.vector.tobytes()) == (steps, vector.tobytes())
