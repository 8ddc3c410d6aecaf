"""The report of a comparison: text, numbers, page and pictures."""

import dataclasses
import json
import re
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from experiments import QUICK, fake_pictures, needs_matplotlib, quick
from pages import Page

import nnreg
from nnreg import plots
from nnreg.datasets import Dataset, load
from nnreg.lab import VARIANTS, Settings, compare
from nnreg.lab.comparison.decisions import SHOWN, find_regions
from nnreg.lab.comparison.figures import COLUMNS
from nnreg.lab.comparison.report import (
    NOISE_RULE,
    draw_curves,
    draw_decisions,
    draw_weights,
    make_report,
    shows_decisions,
)
from nnreg.lab.comparison.validation import VALIDATION_RULE
from nnreg.lab.preprocessing import Standardization, standardize
from nnreg.lab.verdicts import FIT_RULE

FILES = ["report.json", "report.html", "curves.png", "weights.png", "decisions.png"]


def page(comparison):
    return make_report(comparison).make_page({})


@pytest.fixture(scope="module")
def small():
    return quick()


@pytest.fixture(scope="module")
def searched():
    return compare(load("digits"), Settings(**(QUICK | {"l2": None, "l1": None, "repeats": 1})))


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        fake_pictures(patch)
        expected = FILES if find_spec("matplotlib") else FILES[:2]
        assert make_report(small).write(folder) == expected
    return folder


@pytest.fixture
def without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


class TestText:
    @pytest.mark.parametrize("width", [40, 60, 80, 200])
    @pytest.mark.parametrize("details", [False, True])
    def test_it_is_as_wide_as_the_terminal_at_most(self, small, searched, width, details):
        for comparison in (small, searched):
            text = make_report(comparison).to_text(width, details=details)
            longest = 0 if details and width < 80 else max(map(len, text.splitlines()))
            assert longest <= width
            assert all(column.head in text for column in COLUMNS if details)

    def test_the_first_screen_is_one_table_of_means_with_the_verdict(self, small):
        rows = str(small).split("\n\n")[1].splitlines()[2:]
        heads = ["train loss", "test loss", "gap", "test acc %", "zeros %"]
        assert [row.split("  ")[0] for row in rows] == list(VARIANTS)
        assert all(head in str(small) for head in ["verdict", *heads])
        assert "±" not in "".join(rows)
        assert len(str(small).splitlines()) < 30

    def test_large_numbers_have_an_exponent_and_no_thirty_digits(self, small):
        runs = {v: [_with(small, test_loss=1.234e29, gap=12345.6)] for v in VARIANTS}
        text = str(dataclasses.replace(small, runs=runs))
        assert "  1.23e+29  " in text
        assert "  12,346  " in text

    def test_digits_align_with_and_without_the_mark_of_noise(self, small):
        table = make_report(small).details["All figures"].to_text(1000).splitlines()[2:]
        places = [[match.start() for match in re.finditer("±", line)] for line in table]
        assert all(row == places[0] for row in places)

    def test_a_time_has_no_mark_of_significance(self, small):
        column = next(column for column in COLUMNS if column.key == "seconds")
        assert not any("~" in small.cell(variant, column) for variant in VARIANTS)

    def test_a_difference_inside_the_noise_is_marked(self, small):
        """A repeat that differs the other way round makes any difference noise."""
        column = next(column for column in COLUMNS if column.key == "gap")
        near, far = (
            {
                "none": [_with(small, gap=0.0)] * 3,
                "L2": [_with(small, gap=gap) for gap in gaps],
            }
            for gaps in ((-1.0, 0.0, 1.1), (0.9, 1.0, 1.1))
        )
        marks = [
            dataclasses.replace(small, runs=runs).cell("L2", column)[-1] for runs in (near, far)
        ]
        assert marks == ["~", " "]

    def test_what_was_chosen_is_said_and_from_what(self, searched):
        text = make_report(searched).to_text(details=True)
        result = re.search(r"^L2 +(L2 \S+) +(\S+, \S+, \S+, \S+, \S+)", text, re.MULTILINE)
        grid = [candidate.strengths.l2 for candidate in searched.selection.tried("L2")]
        assert result[1] == str(searched.selection.strengths["L2"])
        assert [float(value) for value in result[2].split(", ")] == grid
        assert "67 validation rows, held out of the 200" in " ".join(text.split())
        assert re.search(r"^dropout +keep_prob 0.5 +\(set\)", text, re.MULTILINE)

    def test_a_choice_at_the_end_of_its_grid_is_pointed_out(self, searched):
        tried = searched.selection.tried("L2")
        strengths = searched.selection.strengths | {"L2": tried[0].strengths}
        selection = dataclasses.replace(searched.selection, strengths=strengths)
        assert "At the end of its grid: L2" in " ".join(
            str(dataclasses.replace(searched, selection=selection)).split()
        )

    def test_one_repeat_has_no_deviation(self, searched):
        report = make_report(searched)
        tables = report.tables["Results"], report.details["All figures"]
        assert "±" not in "".join(map(str, tables))
        assert "the noise is not measured" in str(searched)

    def test_given_strengths_and_the_l1_method_are_named(self, small):
        assert "All set, none selected" in " ".join(str(small).split())
        assert "L1 uses its proximal map" in str(small)

    @pytest.mark.parametrize(
        ("best", "end"),
        [
            ("none", "No regularizer is better on test rows."),
            ("L1", "is L1 with 90.0 %, 10.0 points more, which may be chance."),
        ],
    )
    def test_the_headline_says_what_is_best_and_when_it_may_be_chance(self, small, best, end):
        accuracy = dict.fromkeys(VARIANTS, 0.8) | {best: 0.9}
        runs = {v: [_with(small, test_accuracy=accuracy[v])] for v in VARIANTS}
        assert dataclasses.replace(small, runs=runs).headline().endswith(end)

    def test_data_without_noise_have_no_word_of_it_and_subgradients_are_named(self):
        result = str(quick(label_noise=0.0, repeats=1, l1_method="subgradient"))
        assert "noisy" not in result
        assert "wrong" not in result
        assert "L1 uses subgradients" in result


class TestNumbers:
    def test_every_repeat_is_there_with_its_history(self, small):
        for variant, result in make_report(small).numbers["variants"].items():
            assert [repeat["seed"] for repeat in result["repeats"]] == [0, 1]
            for number, repeat in enumerate(result["repeats"]):
                assert repeat["figures"] == small.runs[variant][number].figures
                assert len(repeat["curves"]["test_loss"]) == 2
            total = sum(result["weight_counts"]) + result["zero_weights"]
            assert total == small.runs[variant][0].weights.size

    def test_verdicts_settings_data_and_versions_are_in_the_file(self, small, written):
        result = json.loads((written / "report.json").read_text("utf-8"))
        assert result["variants"]["L2"]["verdict"] == small.verdict("L2")
        assert result["settings"]["learning_rate"] == 0.001
        assert result["settings"]["hidden"] == [16]
        assert result["data"]["source"].startswith("UCI 80")
        assert result["data"]["wrong_labels"] == 20
        assert result["versions"]["numpy"] == np.__version__
        assert result["rules"] == {"verdict": f"{FIT_RULE} {VALIDATION_RULE}", "noise": NOISE_RULE}

    def test_every_candidate_is_there_and_an_infinite_loss_is_null(self, searched, tmp_path):
        first, *others = searched.selection.candidates
        candidates = (dataclasses.replace(first, loss=np.inf), *others)
        selection = dataclasses.replace(searched.selection, candidates=candidates)
        make_report(dataclasses.replace(searched, selection=selection)).write_numbers(tmp_path)
        result = json.loads((tmp_path / "report.json").read_text("utf-8"))["selection"]
        assert result["validation_rows"] == 67
        assert len(result["candidates"]) == 14
        assert result["candidates"][0]["variant"] == "L2"
        assert result["candidates"][0]["validation_loss"] is None


class TestPage:
    @needs_matplotlib
    def test_it_has_a_picture_for_every_screen_and_loads_nothing(self, written):
        text = (written / "report.html").read_text("utf-8")
        loads = Page(text).loads()
        assert loads == ["data:image/svg+xml;base64,c3Zn"] * 12
        assert not {"script", "link"} & set(Page(text).tags)
        assert text.count('media="(prefers-color-scheme: dark) and (max-width: 700px)"') == 3

    def test_it_shows_every_figure_and_both_rules(self, small):
        result = Page(page(small))
        for column in COLUMNS:
            for variant in VARIANTS:
                mean = column.format([small.values(variant, column.key).mean()])
                assert any(cell.startswith(mean) for cell in result.cells)
        assert "underfit if its loss on new rows is lower with more capacity" in result.text
        assert "Student" in result.text
        assert result.loads() == []

    def test_names_from_outside_are_escaped(self, small):
        dataset = dataclasses.replace(small.dataset, name="<script>", source="a & b")
        result = page(dataclasses.replace(small, dataset=dataset))
        assert "<script" not in result
        assert "a &amp; b" in result

    def test_validation_losses_are_listed(self, searched, small):
        loss = searched.selection.candidates[0].loss
        assert f"{loss:.3f}" in page(searched)
        assert "Validation losses" not in page(small)


class TestFolder:
    @needs_matplotlib
    def test_without_matplotlib_pictures_of_an_earlier_report_do_not_stay(
        self, small, tmp_path, monkeypatch
    ):
        fake_pictures(monkeypatch)
        make_report(small).write(tmp_path)
        (tmp_path / "mine.png").touch()
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*FILES, "mine.png"])
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        make_report(small).write(tmp_path)
        names = sorted(p.name for p in tmp_path.iterdir())
        assert names == ["mine.png", "report.html", "report.json"]


class TestPictures:
    @needs_matplotlib
    @pytest.mark.parametrize("draw", [draw_curves, draw_weights])
    @pytest.mark.parametrize("columns", [1, 2, 3, 5])
    def test_there_is_a_panel_for_each_variant_on_the_same_axes(self, small, draw, columns):
        axes = draw(small, columns=columns).axes
        panels = [panel for panel in axes if panel.get_title(loc="left")]
        assert [panel.get_title(loc="left") for panel in panels] == list(VARIANTS)
        assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
        assert panels[-1].get_xlabel() in ("epoch", "weight")

    @needs_matplotlib
    def test_curves_are_the_mean_losses_and_named_at_their_ends(self, small):
        panel = draw_curves(small).axes[1]
        drawn = [line.get_ydata() for line in panel.lines if line.get_linewidth() == 2.0]
        assert np.allclose(drawn[0], small.curves("L2", "train_loss").mean(axis=0))
        assert np.allclose(drawn[1], small.curves("L2", "test_loss").mean(axis=0))
        names = {note.get_text(): note.get_color() for note in panel.texts}
        assert names["train"] == plots.LIGHT.train
        assert names["test"] == plots.LIGHT.test
        judged = next(line for line in panel.lines if line.get_linestyle() == "--")
        assert np.allclose(judged.get_ydata(), small.verdict_curves()["L2"].mean(axis=0))

    @needs_matplotlib
    def test_names_do_not_overlap_where_the_lines_meet_and_one_point_can_be_drawn(self):
        for epochs in (1, 5):
            flat = np.ones((1, epochs))
            panel = plots.loss_curves({"a": (flat, flat)}).axes[0]
            heights = [note.xy[1] for note in panel.texts if note.get_text() in ("train", "test")]
            assert abs(heights[0] - heights[1]) >= 0.09 * panel.get_ylim()[1]
        assert plots.weight_histograms({"a": np.zeros(4)}).axes

    @needs_matplotlib
    def test_the_share_of_exact_zeros_is_written(self, small):
        panel = draw_weights(small).axes[2]
        share = 100 * small.values("L1", "zeros").mean()
        assert f"{share:.1f} % exactly 0" in [note.get_text() for note in panel.texts]
        assert len(panel.patches) == 2  # the histogram, and the bar of zeros
        column = next(column for column in COLUMNS if column.key == "weight_norm")
        norm = column.format([small.values("L1", "weight_norm").mean()])
        assert any(note.get_text().startswith(f"norm {norm} ") for note in panel.texts)

    @needs_matplotlib
    def test_of_images_the_most_certain_mistakes_are_shown(self, small):
        panel = draw_decisions(small).axes[0]
        assert len(panel.images) == SHOWN
        run, rows = small.runs["none"][0], standardize(small.rows)
        chances = nnreg.softmax(run.network.predict(rows.x_test))
        predicted = chances.argmax(axis=1)
        wrong = predicted != rows.y_test
        first = np.where(wrong, chances.max(axis=1), 0).argmax()
        caption = f"{rows.y_test[first]} as {predicted[first]}: {100 * chances[first].max():.0f} %"
        texts = [note.get_text() for note in panel.texts]
        assert caption in texts
        assert f"first repeat: {wrong.sum()} of 500 wrong" in texts
        assert (panel.images[0].get_array().ravel() == small.rows.x_test[first]).all()

    @needs_matplotlib
    def test_of_two_features_regions_are_the_predicted_classes(self, rng):
        x = rng.normal(size=(40, 2))
        data = Dataset("signs", x, (x[:, 0] > 0).astype(int), ("a", "b"), ("-", "+"), "here")
        result = compare(data, Settings(**(QUICK | {"train_size": None, "repeats": 1})))
        assert [axes.get_xlabel() for axes in draw_decisions(result).axes[2:5]] == ["a"] * 3
        net, rows = result.runs["L2"][0].network, result.rows
        grid = find_regions({"L2": net}, rows)["L2"]
        row, column = 17, 90
        z = Standardization.of(rows.x).apply(np.array([[grid.x[column], grid.y[row]]]))
        assert grid.classes[row, column] == net.predict(z).argmax()

    def test_other_data_have_no_such_picture(self, small):
        data = dataclasses.replace(small.dataset, feature_names=tuple("abc"))
        assert not shows_decisions(dataclasses.replace(small, dataset=data))

    @needs_matplotlib
    @pytest.mark.parametrize("kind", ["png", "svg"])
    def test_the_same_curves_give_the_same_bytes(self, kind):
        curves = {"a": (np.ones((2, 3)), np.zeros((2, 3)))}
        first, second = (plots.render(plots.loss_curves(curves), kind) for _ in range(2))
        assert first == second

    def test_matplotlib_that_is_missing_is_named_with_its_extra(self, without_matplotlib):
        with pytest.raises(ImportError, match=r"pip install 'nnreg\[plots\]'"):
            plots.loss_curves({"a": (np.ones((1, 1)), np.ones((1, 1)))})


def _with(comparison, **figures):
    run = comparison.runs["none"][0]
    return dataclasses.replace(run, figures=run.figures | figures)
