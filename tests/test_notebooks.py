"""HTML representations in notebooks: networks, histories, reports, comparisons, without scripts."""

import re

import numpy as np
import pytest
from experiments import quick
from pages import Page

import nnreg as nn
from nnreg._support import tables
from nnreg.lab import VARIANTS

BOLD = type("<b>", (nn.ReLU,), {"__init__": lambda self: super(nn.ReLU, self).__init__(0.0)})


def history(*losses, **columns):
    made = nn.History()
    for epoch, loss in enumerate(losses):
        made.append({"epoch": epoch + 1, "data_loss": loss, **columns})
    return made


def network():
    return nn.Network(
        [nn.Dense(3), nn.ReLU(), nn.Dense(2, penalty=None)], inputs=4, penalty=nn.L2(0.1)
    )


def shown(thing):
    return Page(thing._repr_html_())


SHOWN = {
    "network": network,
    "history": lambda: history(1.0, 0.5),
    "history of nothing": nn.History,
    "report": lambda: nn.check_gradients(nn.L2(0.1), np.ones(2)),
    "comparison": quick,
}


@pytest.mark.parametrize("make", SHOWN.values(), ids=SHOWN)
def test_it_is_small_closed_and_needs_nothing(make):
    source = make()._repr_html_()
    page = Page(source)
    assert page.loads() == []
    assert not {"script", "link", "iframe", "style"} & set(page.tags)
    assert len(source) < 12_000


def test_a_network_is_its_summary(capsys):
    net = network()
    cells = shown(net).cells
    net.summary()
    printed = capsys.readouterr().out
    assert cells[:7] == ["layer", "outputs", "parameter", "shape", "values", "initial", "penalty"]
    assert cells[7:14] == ["dense_1", "3", "weight", "(4, 3)", "12", "he_normal", repr(net.penalty)]
    assert all(cell in printed for cell in cells)
    assert "23 values: 18 weights, 5 others" in shown(net).text


def test_a_layers_name_is_escaped():
    net = nn.Network([BOLD()], inputs=2)
    assert "b" not in shown(net).tags
    assert "<b>_1" in shown(net).cells


def test_a_history_shows_the_rows_that_it_prints():
    made = history(*np.linspace(2, 1, 9).tolist())
    page = shown(made)
    assert page.cells[:2] == ["epoch", "data_loss"]
    assert len(page.cells) == 2 * (1 + 7)
    assert all(cell in repr(made) for cell in page.cells)
    assert page.text.endswith("9 epochs, stopped: epochs")


def test_a_history_draws_its_losses_from_left_to_right_and_high_to_low():
    made = history(3.0, 1.0, 2.0)
    [points] = re.findall(r'points="([^"]*)"', made._repr_html_())
    x, y = np.array([point.split(",") for point in points.split()], float).T
    assert x[1] - x[0] == x[2] - x[1] > 0
    assert (y[1] - y[2]) == pytest.approx(y[2] - y[0])  # a lower loss stands lower: y grows down
    assert y[1] > y[0]


def test_a_validation_loss_is_drawn_dashed_and_named():
    page = shown(history(3.0, 1.0, val_data_loss=2.0))
    assert page.tags.count("polyline") == 2
    assert page.values("stroke-dasharray") == ["none", "4 3"]
    assert page.values("aria-label") == ["data_loss by epoch; dashed: val_data_loss by epoch"]


def test_a_history_without_losses_has_no_picture():
    made = nn.History()
    made.append({"epoch": 1, "<score>": 0.5})
    assert "svg" not in shown(made).tags
    assert "<score>" in shown(made).cells


def test_a_loss_that_is_not_finite_leaves_a_gap():
    page = shown(history(3.0, float("nan"), 2.0, 1.0, float("inf")))
    assert [len((points or "").split()) for points in page.values("points")] == [1, 2]


@pytest.mark.parametrize("curves", [[[1.0]], [[1.0, 1.0]], [[float("nan")]], [[]], []])
def test_a_curve_of_any_kind_can_be_drawn(curves):
    assert "nan" not in tables.sparkline(curves, "a label")


def test_a_report_shows_what_is_wrong_in_red_and_says_why():
    report = nn.check_gradients(np.sin, lambda dout: -dout * np.cos(np.ones(3)), np.ones(3))
    source = report._repr_html_()
    assert source.count(f'<tr style="outline:2px solid {tables.WRONG}') == 1
    assert report.rows[0].sentence() in Page(source).text


def test_a_comparison_has_every_variant_and_the_result_in_words():
    page = shown(quick())
    assert [page.cells.count(variant) for variant in VARIANTS] == [1, 1, 1, 1, 1]
    assert "Without regularization the network " in page.text


def test_a_table_escapes_every_part():
    page = Page(tables.html_table(["<i>"], [["<script>"]], caption="<u>"))
    assert page.cells == ["<i>", "<script>"]
    assert not {"i", "script", "u"} & set(page.tags)
    assert Page(tables.paragraphs(["<u>"])).text == "<u>"
    assert Page(tables.sparkline([], '"><u>')).values("aria-label") == ['"><u>']
