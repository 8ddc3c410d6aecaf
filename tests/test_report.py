"""What a comparison leaves: a text, numbers, a page, pictures, in a folder."""

import base64
import dataclasses
import html.parser
import json
import re
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from nnreg.lab.comparison.columns import shown
from nnreg.lab.comparison.page import page
from nnreg.lab.comparison.pictures import PICTURES
from nnreg.lab.comparison.verdicts import FIT_RULE, NOISE_RULE, verdict
from small_comparison import QUICK, quick

from nnreg import plots
from nnreg.datasets import load
from nnreg.lab import VARIANTS, Settings, compare
from nnreg.lab.comparison.report import as_dict, cell, headline, text
from nnreg.lab.reporting.folder import FILES, reserved, write

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="needs matplotlib, as nnreg[plots] has it"
)


@pytest.fixture(scope="module")
def small():
    return quick()


@pytest.fixture(scope="module")
def searched():
    return compare(load("digits"), Settings(**(QUICK | {"l2": None, "l1": None, "repeats": 1})))


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write(small, folder)
    return folder


@pytest.fixture
def without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


class TestText:
    def test_it_is_at_most_100_characters_wide(self, small, searched):
        lines = [*text(small).splitlines(), *text(searched).splitlines()]
        assert max(map(len, lines)) <= 100

    def test_every_variant_has_a_row_in_both_tables(self, small):
        for variant in VARIANTS:
            rows = [ln for ln in text(small).splitlines() if ln.startswith(variant + "  ")]
            assert sum("±" in row for row in rows) == 2

    def test_every_column_is_there(self, small):
        assert all(column.head in text(small) for column in shown(0.1))

    def test_digits_align_with_and_without_the_mark_of_noise(self, small):
        lines = [ln for ln in text(small).splitlines() if "±" in ln and "Mean" not in ln]
        for table in (lines[:5], lines[5:]):
            places = [[match.start() for match in re.finditer("±", line)] for line in table]
            assert all(row == places[0] for row in places)

    def test_a_difference_inside_the_noise_is_marked(self, small):
        """A repeat that differs the other way round makes any difference noise."""
        column = next(column for column in shown(0.1) if column.key == "gap")
        near, far = (
            {
                "none": [_with_gap(small, 0.0)] * 3,
                "L2": [_with_gap(small, gap) for gap in gaps],
            }
            for gaps in ((-1.0, 0.0, 1.1), (0.9, 1.0, 1.1))
        )
        marks = [
            cell(dataclasses.replace(small, runs=runs), "L2", column)[-1] for runs in (near, far)
        ]
        assert marks == ["~", "0"]

    def test_what_was_chosen_is_said_and_from_what(self, searched):
        found = re.search(r"^L2 +(L2 \S+) +(\S+, \S+, \S+, \S+, \S+)", text(searched), re.MULTILINE)
        grid = [candidate.strengths.l2 for candidate in searched.choice.tried("L2")]
        assert found[1] == str(searched.choice.strengths["L2"])
        assert [float(value) for value in found[2].split(", ")] == grid
        assert "20 validation rows, held out of the 60" in text(searched)
        assert re.search(r"^dropout +keep_prob 0.5 +\(given\)", text(searched), re.MULTILINE)

    def test_what_was_given_is_called_given(self, small):
        assert "all given, none chosen" in text(small)

    def test_a_choice_at_the_end_of_its_grid_is_pointed_out(self, searched):
        tried = searched.choice.tried("L2")
        strengths = searched.choice.strengths | {"L2": tried[0].strengths}
        choice = dataclasses.replace(searched.choice, strengths=strengths)
        assert "end of the grid" in text(dataclasses.replace(searched, choice=choice))

    def test_one_repeat_has_no_deviation(self, searched):
        assert "±" not in text(searched).replace("Mean ±", "")
        assert "nothing is known about the noise" in text(searched)

    def test_the_l1_method_is_named(self, small):
        assert "L1 uses its proximal map" in text(small)
        assert "L1 uses subgradients" in text(quick(l1_method="subgradient", repeats=1))

    def test_the_headline_says_when_nothing_helps(self, small):
        best = {"none": 0.9} | dict.fromkeys(VARIANTS[1:], 0.8)
        found = dataclasses.replace(
            small, runs={v: [_with(small, test_accuracy=best[v])] for v in VARIANTS}
        )
        assert headline(found).endswith("No regularization does better on test rows.")

    def test_the_headline_says_when_it_may_be_chance(self, small):
        best = dict.fromkeys(VARIANTS, 0.8) | {"L1": 0.9}
        found = dataclasses.replace(
            small, runs={v: [_with(small, test_accuracy=best[v])] for v in VARIANTS}
        )
        assert "Best on test rows is L1 with 90.0 %, 10.0 points more, which may be" in headline(
            found
        )

    def test_data_without_noise_have_no_word_of_it(self):
        found = text(quick(label_noise=0.0, repeats=1))
        assert "noisy" not in found
        assert "wrong" not in found


class TestNumbers:
    def test_they_are_json_without_nan(self, small, searched, written):
        for comparison in (small, searched):
            json.dumps(as_dict(comparison), allow_nan=False)
        stored = json.loads((written / "report.json").read_text("utf-8"))
        assert stored["variants"]["L2"]["verdict"] == verdict(small, "L2")

    def test_every_repeat_is_there_with_its_history(self, small):
        for variant, found in as_dict(small)["variants"].items():
            assert [repeat["seed"] for repeat in found["repeats"]] == [0, 1]
            for number, repeat in enumerate(found["repeats"]):
                assert repeat["figures"] == small.runs[variant][number].figures
                assert len(repeat["curves"]["test_loss"]) == 3

    def test_settings_data_and_versions_are_there(self, small):
        found = as_dict(small)
        assert found["settings"]["learning_rate"] == 0.001
        assert found["settings"]["hidden"] == (16,)
        assert found["data"]["source"].startswith("UCI 80")
        assert found["data"]["wrong_labels"] == 6
        assert found["versions"]["numpy"] == np.__version__
        assert found["rules"] == {"verdict": FIT_RULE, "noise": NOISE_RULE}

    def test_every_candidate_is_there(self, searched):
        found = as_dict(searched)["choice"]
        assert found["validation_rows"] == 20
        assert len(found["candidates"]) == 14
        assert found["candidates"][0]["variant"] == "L2"

    def test_a_candidate_that_broke_down_has_no_loss(self, searched):
        broken = dataclasses.replace(searched.choice.candidates[0], loss=np.inf)
        choice = dataclasses.replace(searched.choice, candidates=(broken,))
        found = as_dict(dataclasses.replace(searched, choice=choice))
        assert found["choice"]["candidates"][0]["validation_loss"] is None

    def test_every_weight_is_counted(self, small):
        found = as_dict(small)
        for variant in VARIANTS:
            counted = found["variants"][variant]
            total = sum(counted["weight_counts"]) + counted["zero_weights"]
            assert total == small.runs[variant][0].weights.size


class _Page(html.parser.HTMLParser):
    """Collects what a test asks about."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.open, self.headings = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "img", "source", "!doctype"):
            self.open.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "srcset", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class TestPage:
    @needs_matplotlib
    def test_it_loads_nothing_from_anywhere(self, written):
        found = _Page((written / "report.html").read_text("utf-8"))
        assert len(found.links) == 8
        assert all(link.startswith("data:image/svg+xml;base64,") for link in found.links)
        assert "script" not in found.tags
        assert "link" not in found.tags

    def test_every_tag_is_closed(self, written):
        assert _Page((written / "report.html").read_text("utf-8")).open == []

    @needs_matplotlib
    def test_pictures_fit_light_and_dark_wide_and_narrow(self, written):
        page_text = (written / "report.html").read_text("utf-8")
        images = set(re.findall(r"base64,([^\"]+)", page_text))
        assert len(images) == 8
        assert all(base64.b64decode(image).startswith(b"<?xml") for image in images)
        assert page_text.count('media="(prefers-color-scheme: dark) and (max-width: 700px)"') == 2

    def test_it_shows_every_figure_and_both_rules(self, small):
        found = page(small, {})
        for column in shown(0.1):
            for variant in VARIANTS:
                mean = column.show(small.values(variant, column.key).mean(), None)
                assert f"<td>{mean}" in found
        assert "most of what it loses" in found
        assert "Student" in found

    def test_names_from_outside_are_escaped(self, small):
        dataset = dataclasses.replace(small.dataset, name="<script>", source="a & b")
        found = page(dataclasses.replace(small, dataset=dataset), {})
        assert "<script" not in found
        assert "a &amp; b" in found

    def test_without_pictures_it_is_whole(self, small):
        found = _Page(page(small, {}))
        assert found.links == []
        assert found.open == []

    def test_an_interrupted_comparison_says_so(self, small):
        assert "Interrupted" in page(dataclasses.replace(small, interrupted=True), {})
        assert "Interrupted" not in page(small, {})

    def test_validation_losses_are_listed(self, searched):
        loss = searched.choice.candidates[0].loss
        assert f"{loss:.3f}" in page(searched, {})


class TestFolder:
    @needs_matplotlib
    def test_it_holds_four_files(self, written):
        assert sorted(path.name for path in written.iterdir()) == sorted(FILES)
        assert (written / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert (written / "weights.png").read_bytes().startswith(b"\x89PNG")

    def test_a_number_is_added_until_the_name_is_free(self, tmp_path):
        names = []
        for _ in range(3):
            with reserved(tmp_path / "a" / "results") as folder:
                (folder / "something").touch()
                names.append(folder.name)
        assert names == ["results", "results-2", "results-3"]

    def test_force_takes_the_folder_that_exists(self, tmp_path):
        (tmp_path / "kept").touch()
        with reserved(tmp_path, force=True) as folder:
            assert folder == tmp_path
        assert (tmp_path / "kept").exists()

    def test_force_does_not_replace_a_file_by_a_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(FileExistsError), reserved(tmp_path / "file", force=True):
            pass

    def test_a_folder_that_stays_empty_is_removed(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), reserved(tmp_path / "results"):
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_without_matplotlib_numbers_and_page_are_written(
        self, small, tmp_path, without_matplotlib
    ):
        assert write(small, tmp_path) == ["report.json", "report.html"]

    def test_and_pictures_of_an_earlier_comparison_do_not_stay(
        self, small, tmp_path, without_matplotlib
    ):
        (tmp_path / "curves.png").touch()
        (tmp_path / "mine.png").touch()
        write(small, tmp_path)
        assert not (tmp_path / "curves.png").exists()
        assert (tmp_path / "mine.png").exists()


class TestPictures:
    @needs_matplotlib
    @pytest.mark.parametrize("name", ["curves", "weights"])
    @pytest.mark.parametrize("columns", [1, 2, 3, 5])
    def test_there_is_a_panel_for_each_variant_on_the_same_axes(self, small, name, columns):
        axes = PICTURES[name](small, columns=columns).axes
        panels = [panel for panel in axes if panel.get_title(loc="left")]
        assert [panel.get_title(loc="left") for panel in panels] == list(VARIANTS)
        assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
        assert panels[-1].get_xlabel() in ("epoch", "weight")

    @needs_matplotlib
    def test_curves_are_the_mean_losses_and_named_at_their_ends(self, small):
        panel = PICTURES["curves"](small).axes[1]
        drawn = [line.get_ydata() for line in panel.lines if line.get_linewidth() == 2.0]
        assert np.allclose(drawn[0], small.curves("L2", "train_loss").mean(axis=0))
        assert np.allclose(drawn[1], small.curves("L2", "test_loss").mean(axis=0))
        names = {note.get_text(): note.get_color() for note in panel.texts}
        assert names["train"] == plots.LIGHT.train
        assert names["test"] == plots.LIGHT.test

    @needs_matplotlib
    def test_names_do_not_overlap_where_the_lines_meet(self):
        flat = np.ones((1, 5))
        panel = plots.loss_curves({"a": (flat, flat)}).axes[0]
        heights = [note.xy[1] for note in panel.texts if note.get_text() in ("train", "test")]
        assert abs(heights[0] - heights[1]) >= 0.09 * panel.get_ylim()[1]

    @needs_matplotlib
    def test_the_share_of_exact_zeros_is_written(self, small):
        panel = PICTURES["weights"](small).axes[2]
        share = 100 * (small.runs["L1"][0].weights == 0).mean()
        assert f"{share:.1f} % exactly 0" in [note.get_text() for note in panel.texts]
        assert len(panel.patches) == 2  # the histogram, and the bar of zeros

    @needs_matplotlib
    def test_one_epoch_and_one_repeat_can_be_drawn(self):
        figure = plots.loss_curves({"a": (np.ones((1, 1)), np.ones((1, 1)))})
        assert plots.render(figure, "png")

    @needs_matplotlib
    def test_weights_that_are_all_zero_can_be_drawn(self):
        assert plots.render(plots.weight_histograms({"a": np.zeros(4)}), "png")

    @needs_matplotlib
    @pytest.mark.parametrize("kind", ["png", "svg"])
    def test_the_same_comparison_gives_the_same_bytes(self, small, kind):
        first, second = (plots.render(PICTURES["curves"](small), kind) for _ in range(2))
        assert first == second

    def test_matplotlib_that_is_missing_is_named_with_its_extra(self, without_matplotlib):
        with pytest.raises(ImportError, match=r"pip install 'nnreg\[plots\]'"):
            plots.loss_curves({"a": (np.ones((1, 1)), np.ones((1, 1)))})


def _with(comparison, **figures):
    run = comparison.runs["none"][0]
    return dataclasses.replace(run, figures=run.figures | figures)


def _with_gap(comparison, gap):
    return _with(comparison, gap=gap)
