"""The command `nnreg bias-variance` and the report of a sweep."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from experiments import fake_pictures, needs_matplotlib
from pages import Page

from nnreg import plots
from nnreg.commands import experiments
from nnreg.commands.main import main
from nnreg.lab import (
    Bands,
    NetworkLearner,
    Polynomial,
    Regression,
    SamplingDesign,
    Sine,
    bias_variance_sweep,
    sweep,
)
from nnreg.lab.bias_variance.experiment import classify_fits, find_best
from nnreg.lab.bias_variance.report import (
    PICTURES,
    draw_fits,
    draw_terms,
    is_curve,
    make_report,
    select_fits,
)
from nnreg.lab.reporting.folder import report_files

FILES = report_files(PICTURES)
QUICK = "--sweep degree --values 0,3,6 --datasets 5 --points 50"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def without_pictures(monkeypatch):
    fake_pictures(monkeypatch)


def command(options=QUICK):
    return main(["bias-variance", *options.split()])


@pytest.fixture
def calls(monkeypatch):
    """The arguments of sweeps, which are interrupted."""
    result = []

    def sweep(learners, process, design, **options):
        result.append((learners, process, design, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "bias_variance_sweep", sweep)
    return result


@pytest.fixture(scope="module")
def sine():
    return bias_variance_sweep(sweep("degree"), Sine(), SamplingDesign(seeds=1))


@pytest.fixture(scope="module")
def two_seeds():
    return bias_variance_sweep(
        sweep("degree", (0, 3, 6)), Sine(), SamplingDesign(datasets=10, points=100)
    )


@pytest.fixture(scope="module")
def bands():
    return bias_variance_sweep(
        sweep("degree", (0, 7, 15)), Bands(), SamplingDesign(rows=40, seeds=1)
    )


@pytest.mark.usefixtures("without_pictures")
class TestCommand:
    def test_every_option_reaches_its_place(self, calls):
        command(
            "--process bands --noise 0.2 --rows 7 --datasets 8 --seeds 3 --points 9 --seed 11 "
            "--sweep keep-prob --values 0.5,1 --hidden 5,6 --l2 0.1 --epochs 7 --batch-size 9 "
            "--learning-rate 0.4 --optimizer sgd --jobs 2"
        )
        learners, process, design, options = calls[0]
        assert process == Bands(0.2)
        assert design == SamplingDesign(7, 8, 3, 9, 11)
        assert learners["0.5"] == NetworkLearner((5, 6), 0.1, 0.0, 0.5, 7, 9, 0.4, "sgd")
        assert list(learners) == ["0.5", "1"]
        assert options["jobs"] == 2
        command("--sweep width --values 3,4")
        assert calls[1][0]["3"] == NetworkLearner(hidden=(3,))
        command("--sweep degree --values 3")
        assert calls[2][0]["3"] == Polynomial(3)

    def test_several_jobs_without_joblib_are_one_line_that_names_the_extra(
        self, capsys, monkeypatch, tmp_path
    ):
        monkeypatch.setitem(sys.modules, "joblib", None)
        assert command(f"{QUICK} --jobs 2") == 2
        assert "pip install 'nnreg[parallel]'" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_pictures")
class TestInterruption:
    def interrupt(self, monkeypatch, after):
        calls = []
        real = Polynomial.__call__

        def learner(self, *arguments):
            calls.append(self.degree)
            if len(calls) == after:
                raise KeyboardInterrupt
            return real(self, *arguments)

        monkeypatch.setattr(Polynomial, "__call__", learner)
        return calls

    def test_early_it_keeps_nothing_and_says_so(self, capsys, monkeypatch, tmp_path):
        self.interrupt(monkeypatch, 1)
        assert command() == 130
        assert capsys.readouterr().err == "nnreg: interrupted; nothing was kept\n"
        assert list(tmp_path.iterdir()) == []

    def test_later_the_same_command_goes_on_and_finds_the_same(self, capsys, monkeypatch, tmp_path):
        calls = self.interrupt(monkeypatch, 8)
        assert command(f"{QUICK} --seeds 1") == 130
        assert capsys.readouterr().err == (
            "nnreg: interrupted; 7 data sets are kept in nnreg-bias-variance; the same command "
            "continues from there\n"
        )
        assert command(f"{QUICK} --seeds 1") == 0
        assert len(calls) == 16
        resumed = capsys.readouterr().out
        assert "Written to nnreg-bias-variance:" in resumed
        assert not list((tmp_path / "nnreg-bias-variance").glob("*.npz"))
        assert command(f"{QUICK} --seeds 1") == 0
        afresh = capsys.readouterr().out
        assert afresh.replace("variance-2:", "variance:") == resumed


class TestReport:
    def test_the_text_is_at_most_80_characters_wide(self, two_seeds):
        assert max(map(len, str(make_report(two_seeds, "degree")).splitlines())) <= 80

    def test_every_number_of_the_table_is_in_the_json(self, two_seeds):
        result = json.loads(json.dumps(make_report(two_seeds, "degree").numbers, allow_nan=False))
        assert list(result["values"]) == ["0", "3", "6"]
        for name, values in result["values"].items():
            terms = two_seeds[name].terms
            assert values["bias"] == {"value": terms.bias.value, "error": terms.bias.error}
            total = sum(values[term]["value"] for term in ("bias", "variance", "noise"))
            assert values["total"]["value"] == pytest.approx(total)
        assert result["design"]["datasets"] == 10
        assert result["best"] == "3"

    def test_of_one_seed_the_parts_of_the_variance_are_left_out(self, two_seeds):
        one = bias_variance_sweep(sweep("degree", [1]), Sine(), SamplingDesign(seeds=1, points=50))
        one, two = (make_report(r, "degree").to_text(details=True) for r in (one, two_seeds))
        assert "of seeds" not in one
        assert "of seeds" in two
        assert ", 1 seed for each;" in one

    def test_the_loss_is_named(self, two_seeds, bands):
        assert "0-1 loss" in str(make_report(bands, "degree"))
        assert "squared error" in str(make_report(two_seeds, "degree"))

    @needs_matplotlib
    @pytest.mark.usefixtures("without_pictures")
    def test_the_page_holds_its_pictures_and_loads_nothing(self, two_seeds, tmp_path):
        assert make_report(two_seeds, "degree").write(tmp_path) == list(FILES)
        page = Page((tmp_path / "report.html").read_text("utf-8"))
        assert page.loads() == ["data:image/svg+xml;base64,c3Zn"] * 8

    def test_a_name_is_escaped(self):
        result = bias_variance_sweep(
            {"<b>": lambda x, y, outputs, seed: np.sin},
            Sine(),
            SamplingDesign(datasets=3, points=20),
        )
        page = make_report(result, "<i>").make_page({})
        assert "<b>" not in page
        assert "<i>" not in page


class TestVerdicts:
    def test_from_stiff_to_flexible_fits_are_under_right_and_over_by_bias_and_variance(self, sine):
        verdicts = classify_fits(sine)
        # A parabola fits an odd function no better than a line, and has a larger variance.
        order = ["underfit", "mixed", "right fit", "overfit"]
        assert list(verdicts.values()) == sorted(verdicts.values(), key=order.index)
        assert set(verdicts.values()) == set(order)
        for name, verdict in verdicts.items():
            excess = sine[name].terms.bias.value - sine[name].terms.variance.value
            assert verdict in ("right fit", "mixed") or (excess > 0) == (verdict == "underfit")

    def test_the_train_loss_says_which_of_the_others_fit_more_closely(self, sine):
        low, high = dataclasses.replace(sine["3"].train, value=0.0), sine["0"].train
        worse = {
            name: dataclasses.replace(sine["6"], train=train)
            for name, train in (("low", low), ("high", high))
        }
        verdicts = classify_fits({"3": sine["3"], **worse})
        assert verdicts == {"3": "right fit", "low": "overfit", "high": "underfit"}

    def test_the_best_at_an_end_of_the_sweep_is_not_known(self, sine):
        assert classify_fits({name: sine[name] for name in ("3", "6")})["3"] == "not known"

    def test_the_best_and_the_worst_of_each_side_are_shown(self, sine):
        assert find_best(sine) == "3"
        assert select_fits(sine) == {"0": "underfit", "3": "right fit", "6": "overfit"}
        assert select_fits({"3": sine["3"]}) == {"3": "not known"}


@needs_matplotlib
class TestTerms:
    def test_the_lines_are_the_terms(self, sine):
        left, right = draw_terms(sine, axis="degree").axes[:2]
        lines = [line.get_ydata() for line in left.lines[:4]]
        for drawn, name in zip(lines, ("bias", "variance", "noise", "total"), strict=True):
            expected = [getattr(result.terms, name).value for result in sine.values()]
            np.testing.assert_array_equal(drawn, expected)
        for drawn, name in zip(right.lines[:2], ("train", "risk"), strict=True):
            expected = [getattr(result, name).value for result in sine.values()]
            np.testing.assert_array_equal(drawn.get_ydata(), expected)

    def test_the_axis_has_the_values_and_its_name_and_a_steep_end_does_not_flatten_it(self, sine):
        axes = draw_terms(sine, axis="degree").axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == list(sine)
        assert axes.get_xlabel() == "degree"
        assert axes.get_ylim()[1] <= 4 * min(result.risk.value for result in sine.values())

    def test_the_labels_do_not_overlap_and_stay_in_the_picture(self, sine):
        axes = draw_terms(sine).axes[0]
        heights = sorted(text.xy[1] for text in axes.texts if text.get_text() in NAMES)
        assert len(heights) == 4
        assert min(np.diff(heights)) >= 0.08 * axes.get_ylim()[1]
        assert heights[-1] <= axes.get_ylim()[1]


NAMES = {"bias²", "variance", "noise", "sum"}


@needs_matplotlib
class TestFits:
    def test_each_panel_has_points_truth_mean_and_models(self, sine):
        panels = draw_fits(sine, axis="degree").axes[:3]
        titles = [axes.get_title(loc="left") for axes in panels]
        assert titles == ["underfit: degree 0", "right fit: degree 3", "overfit: degree 6"]
        axes = panels[1]
        result = sine["3"]
        *others, mean, model, truth, points = [line.get_ydata() for line in axes.lines]
        np.testing.assert_array_equal(model, result.predictions[0, 0, :, 0])
        np.testing.assert_array_equal(truth, np.sin(result.points[:, 0]))
        np.testing.assert_array_equal(points, result.training_rows()[1][:, 0])
        np.testing.assert_allclose(mean, result.predictions[:, 0, :, 0].mean(axis=0))
        np.testing.assert_array_equal(others[0], result.predictions[1, 0, :, 0])

    def test_of_classes_the_truth_is_a_probability_and_the_mean_a_share(self, bands):
        axes = draw_fits(bands).axes[1]
        mean, _, truth, _ = [line.get_ydata() for line in axes.lines][-4:]
        assert set(truth) == {0.1, 0.9}
        assert ((mean >= 0) & (mean <= 1)).all()

    def test_a_truth_of_two_inputs_is_no_curve(self):
        class Plane(Regression):
            noise = 0.0

            def draw_inputs(self, n, rng):
                return rng.uniform(size=(n, 2))

            def function(self, x):
                return x[:, :1]

        result = bias_variance_sweep(
            {"a": lambda x, y, outputs, seed: lambda x: x[:, 1:]},
            Plane(),
            SamplingDesign(datasets=3),
        )
        assert not is_curve(result["a"])
        with pytest.raises(ValueError, match="one input"):
            draw_fits(result)


@needs_matplotlib
@pytest.mark.parametrize(("theme", "columns"), [(plots.LIGHT, 1), (plots.DARK, 3)])
def test_every_picture_can_be_rendered(sine, theme, columns):
    for figure in (
        draw_terms(sine, columns=columns, theme=theme),
        draw_fits(sine, columns=columns, theme=theme),
    ):
        assert plots.render(figure, "svg").startswith(b"<?xml")


def test_polynomials_are_exact_where_nothing_is_noisy():
    result = bias_variance_sweep({"3": Polynomial(3)}, Sine(0.0), SamplingDesign(rows=50, seeds=1))[
        "3"
    ]
    assert result.terms.noise.value == 0.0
    assert result.risk.value < 0.02
