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
