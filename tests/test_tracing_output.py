"""The trace as text, as a page to step through, and in a notebook."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from pages import Page

import nnreg as nn

X = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]])
Y = np.array([[1.0], [-2.0]])


class Bad(nn.Layer):
    """y = <x>."""

    def forward(self, x, cache):
        return x * 2

    def backward(self, dy, cache):
        return dy


def worked():
    """Return the trace of a step whose every number can be worked out by hand."""
    net = nn.Network(
        [nn.Dense(2), nn.ReLU(), nn.Dense(1)], inputs=3, penalty=nn.L2(0.5), dtype="float64"
    )
    p = net.parameters
    p["dense_1.weight"][...] = [[1.0, -1.0], [0.5, 1.0], [-1.0, 0.5]]
    p["dense_1.bias"][...] = [0.0, 0.5]
    p["dense_2.weight"][...], p["dense_2.bias"][...] = [[1.0], [-2.0]], [1.0]
    return nn.explain(net, X, Y, nn.MeanSquaredError())


def large(*middle, rows=40, penalty=None):
    middle = middle or (nn.ReLU(), nn.Dropout(keep_prob=0.8))
    rng = np.random.default_rng(0)
    net = nn.Network([nn.Dense(70), *middle, nn.Dense(10)], inputs=20, penalty=penalty, seed=0)
    x, y = rng.standard_normal((rows, 20)), rng.integers(0, 10, rows)
    return nn.explain(net, x, y, nn.SoftmaxCrossEntropy(), check=False)


def escaped():
    named = type("<u>Name", (Bad,), {"__doc__": "y = <x>."})
    net = nn.Network([nn.Dense(2), named(), nn.Dense(1)], inputs=3)
    return nn.explain(net, X, Y, nn.MeanSquaredError())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.html"
    worked().save(path)
    return path.read_text("utf-8")


# --- Text -----------------------------------------------------------------------------------------

# Worked by hand: z1 = [[2, 1.5], [-1.5, 2.5]], y1 = [[2, 1.5], [0, 2.5]], z = [[0], [-4]],
# dz = [[-1], [-2]], dw2 = y1ᵀ dz = [[-2], [-6.5]], dx2 = dz w2ᵀ = [[-1, 2], [-2, 4]],
# dx1 = [[-1, 2], [0, 4]]; Σ w² = 4.5 + 5 = 9.5, so the penalty is 0.25·9.5.
LINES = [
    "A 3-2-1 network in float64; 2 rows, dropout as in step 0.",
    "Data loss 2.5 + penalty 2.375 = 4.875.",
    "Derivatives: ✓ all correct.",
    "y = x w + b: (2, 3) (3, 2) + (2,) -> (2, 2)",
    "y = max(x, 0): (2, 2) -> (2, 2)",
    "L = 1/(N·M) Σₙ Σₘ (zₙₘ - tₙₘ)²: (2, 1), (2, 1) -> ()",
    "L + R = 2.5 + 2.375 = 4.875",
    "dense_1.weight: L2(strength=0.5) has the value 1.125.",
    "Skipped, since only weights are penalized: dense_1.bias, dense_2.bias.",
    "dx = dy·[x > 0]: (2, 2) -> (2, 2)",
    "‖dx‖/‖dy‖ = 2.24; ‖dx‖ is 2.24 times ‖dz‖.",
    "dx is not computed: no earlier layer has parameters.",
]


def test_the_worked_example_is_told_with_its_numbers():
    text = worked_text()
    for line in LINES:
        assert line in text
    assert "dw = [[-2. ]\n         [-6.5]]" in text
    assert "dx = [[-1.  2.]\n         [ 0.  4.]]" in text


def worked_text():
    made = worked()
    assert repr(made) == str(made)
    return str(made)


def test_the_overview_has_a_row_a_layer():
    rows = [line.split() for line in worked_text().splitlines()]
    # √(2² + 1.5² + 1.5² + 2.5²), √(1 + 4 + 16), over √5
    assert ["dense_1", "(2,", "2)", "3.841", "0.0", "%", "4.583", "2.05", "✓"] in rows
    assert ["dense_2", "(2,", "1)", "4", "50.0", "%", "2.236", "1", "✓"] in rows


def test_text_is_at_most_100_characters_wide():
    for trace in (worked(), large(penalty=nn.L1(0.1)), escaped()):
        assert max(map(len, str(trace).splitlines())) <= 100


def test_large_arrays_are_summarized_not_listed():
    trace = large()
    assert "w  (20, 70)" in str(trace)
    assert "w = [[" not in str(trace)
    w = trace["forward", "dense_1"].arrays["w"]
    numbers = f"{np.linalg.norm(w):.4g}  {abs(w).max():.4g}  0.0 %"
    assert numbers.split() == next(
        line.split()[-4:] for line in str(trace).splitlines() if line.startswith("   w  (20, 70)")
    )


def test_a_zero_has_no_sign():
    net = nn.Network([nn.Dense(2), nn.Dropout(keep_prob=0.5)], inputs=3, seed=0, dtype="float64")
    net.parameters["dense_1.weight"][...] = -1.0
    trace = nn.explain(net, X, np.ones((2, 2)), nn.MeanSquaredError())
    y = trace["forward", "dropout_1"].arrays["y"]
    assert (np.signbit(y) & (y == 0)).any()  # else there is nothing to see
    assert not re.search(r"-0\.?[ \]]", str(trace))
    assert "-0" not in Page(trace._repr_html_()).cells


# --- The page -------------------------------------------------------------------------------------


def test_the_page_is_whole_and_loads_nothing(saved):
    page = Page(saved)
    assert page.loads() == []
    assert "link" not in page.tags
    assert not re.search(r"url\(|@import|https?:", saved)
    assert ("html", "lang", "en") in page.attributes


def test_every_stage_is_a_section_with_a_link_and_a_heading(saved):
    page, stages = Page(saved), worked().stages
    assert page.tags.count("section") == len(stages) == 10
    ids = [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")]
    assert [f"#{name}" for name in ids] == page.values("href")
    titles = page.values("aria-labelledby")
    assert all(page.values("id").count(title) == 1 for title in titles)
    assert len(set(page.values("id"))) == len(page.values("id"))
    names = [f"{stage.name}, {stage.part}" for stage in stages]
    assert page.values("data-name") == names


def test_the_links_of_a_layer_stand_one_below_the_other(saved):
    places = re.findall(r'grid-area:(\d) / (\d+)"><a href="#stage-(\d+)"', saved)
    columns = {int(stage): (row, column) for row, column, stage in places}
    assert columns[1] == ("1", "2")  # dense_1, forward
    assert columns[9] == ("2", "2")  # dense_1, backward
    assert columns[5] == ("1", "6")  # the penalty
    assert columns[10] == ("2", "6")


def test_without_a_script_every_stage_is_to_be_seen(saved):
    style = saved.partition("<style>")[2].partition("</style>")[0]
    hiding = [line for line in style.splitlines() if "display: none" in line]
    assert all(
        line.startswith((".controls", ".stepping section", "@media print")) for line in hiding
    )
    assert '<html lang="en">' in saved  # the class that hides is set by the script alone


def test_it_has_both_palettes_and_a_narrow_form(saved):
    assert "prefers-color-scheme: dark" in saved
    assert "width=device-width" in saved
    assert "max-width: 600px" in saved


def test_formulas_and_numbers_are_on_the_page(saved):
    page = Page(saved)
    for line in ("y = x w + b", "(2, 3) (3, 2) + (2,) -> (2, 2)", "dw += strength · w"):
        assert line in page.text
    assert "-6.5" in page.cells
    assert "4.583" in page.cells


def test_a_wrong_layer_has_a_cross_on_its_link_and_a_sentence(tmp_path):
    escaped().save(tmp_path / "t.html")
    source = (tmp_path / "t.html").read_text("utf-8")
    [bad] = re.findall(r'<a href="#stage-\d+" class="bad">([^<]*)</a>', source)
    assert bad == "&lt;u&gt;name_1 ✗"
    assert "(ratio 0.5)" in Page(source).text


@pytest.mark.parametrize("show", ["page", "notebook"])
def test_names_and_docstrings_are_escaped(show, tmp_path):
    trace = escaped()
    trace.save(tmp_path / "t.html")
    source = (tmp_path / "t.html").read_text("utf-8") if show == "page" else trace._repr_html_()
    page = Page(source)
    assert not {"u", "x"} & set(page.tags)
    assert "<u>name_1" in page.text
    assert "y = <x>." in page.text


def test_a_mask_is_drawn_a_square_a_unit_for_the_first_rows_and_units():
    trace = large()
    page = Page(trace._repr_html_())
    squares = [value for tag, name, value in page.attributes if (tag, name) == ("rect", "fill")]
    mask = trace["forward", "dropout_1"].arrays["m"]
    assert mask.shape == (40, 70)
    assert [value == "currentColor" for value in squares] == (mask[:16, :64] != 0).ravel().tolist()
    assert "rows 0 to 15, units 0 to 63" in page.text


def test_factors_without_zeros_are_not_drawn():
    assert "rect" not in Page(large(nn.GaussianDropout(keep_prob=0.5))._repr_html_()).tags


def test_a_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "trace.html"
    trace = worked()
    trace.save(path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        trace.save(path)
    trace.save(str(path), overwrite=True)
    with pytest.raises(FileNotFoundError, match="no folder"):
        trace.save(tmp_path / "nowhere" / "trace.html")


# --- The notebook ---------------------------------------------------------------------------------


def test_a_notebook_gets_every_stage_and_no_script():
    trace = worked()
    page = Page(trace._repr_html_())
    assert page.tags.count("details") == len(trace.stages)
    assert "script" not in page.tags
    assert page.loads() == []
    assert page.values("id") == []  # two traces in one notebook do not collide
    assert "4. loss" in page.text


def test_alarms_stand_at_the_top():
    net = nn.Network([nn.Dense(2), nn.ReLU(), nn.Dense(1)], inputs=3)
    net.parameters["dense_1.bias"][...] = -99
    trace = nn.explain(net, X, Y, nn.MeanSquaredError())
    text = Page(trace._repr_html_()).text
    assert text.index("relu_1, forward: 2 of 2 units dead") < text.index("Forward pass")
    assert "! relu_1, forward: 2 of 2 units dead" in str(trace)


# --- In a browser ---------------------------------------------------------------------------------

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

STEPS = """
<script>
const said = [], find = name => document.querySelector(name);
const press = key => dispatchEvent(new KeyboardEvent("keydown", {key, cancelable: true}));
const shown = () => [...document.querySelectorAll("section")]
  .filter(s => getComputedStyle(s).display !== "none").map(s => s.id.slice(6)).join("+");
const note = () => said.push(shown());
note(); press("ArrowRight"); note(); press("End"); note(); press("ArrowRight"); note();
press("ArrowLeft"); note(); press("Home"); note(); find("#on").click(); note();
find('a[href="#stage-7"]').click(); note();
find("#back").click(); note();
said.push(find("[aria-current]").hash, find("#where").textContent);
find("#all").click(); note();
document.body.textContent = "said " + said.join(" ") + " end";
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_keys_buttons_and_links_step_through_it(saved, tmp_path):
    path = tmp_path / "driven.html"
    path.write_text(saved.replace("</body>", STEPS + "</body>"), encoding="utf-8")
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ]
    done = subprocess.run(
        [BROWSER, *options, f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    [announced] = re.findall("said (.*) end", done.stdout)
    everything = "+".join(map(str, range(1, 11)))
    assert announced == f"1 2 10 10 9 1 2 7 6 #stage-6 6 of 10: loss, backward {everything}"
