"""The pictures of bias, variance and gaps show what was found, and the verdicts name it."""

import dataclasses
from importlib.util import find_spec

import numpy as np
import pytest

from nnreg import plots
from nnreg.lab import (
    Bands,
    Polynomial,
    Regression,
    SamplingDesign,
    Sine,
    bias_variance_sweep,
    sweep,
)
from nnreg.lab.bias_variance.experiment import classify_fits, find_best
from nnreg.lab.bias_variance.report import draw_fits, draw_terms, is_curve, select_fits

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="needs matplotlib, as nnreg[plots] has it"
)


@pytest.fixture(scope="module")
def sine():
    return bias_variance_sweep(sweep("degree"), Sine(), SamplingDesign(seeds=1))


@pytest.fixture(scope="module")
def bands():
    return bias_variance_sweep(
        sweep("degree", (0, 7, 15)), Bands(), SamplingDesign(rows=40, seeds=1)
    )


class TestVerdicts:
    def test_from_stiff_to_flexible_fits_are_under_right_and_over(self, sine):
        said = list(classify_fits(sine).values())
        assert said == sorted(said, key=["underfit", "right fit", "overfit"].index)
        assert set(said) == {"underfit", "right fit", "overfit"}

    def test_underfit_is_bias_and_overfit_is_variance(self, sine):
        for name, verdict in classify_fits(sine).items():
            terms = sine[name].terms
            if verdict == "underfit":
                assert terms.bias.value > terms.variance.value
            if verdict == "overfit":
                assert terms.variance.value > terms.bias.value

    def test_it_is_the_train_loss_that_tells_them_apart(self, sine):
        low, high = dataclasses.replace(sine["3"].train, value=0.0), sine["0"].train
        worse = {
            name: dataclasses.replace(sine["6"], train=train)
            for name, train in (("low", low), ("high", high))
        }
        said = classify_fits({"3": sine["3"], **worse})
        assert said == {"3": "right fit", "low": "overfit", "high": "underfit"}

    def test_the_best_and_the_worst_of_each_side_are_shown(self, sine):
        assert select_fits(sine) == {"0": "underfit", "3": "right fit", "6": "overfit"}
        assert find_best(sine) == "3"

    def test_where_nothing_overfits_nothing_is_shown_for_it(self, sine):
        assert select_fits({"3": sine["3"]}) == {"3": "right fit"}


@needs_matplotlib
class TestTerms:
    def test_the_lines_are_the_terms(self, sine):
        left, right = draw_terms(sine, axis="degree").axes[:2]
        lines = [line.get_ydata() for line in left.lines[:4]]
        for drawn, name in zip(lines, ("bias", "variance", "noise", "total"), strict=True):
            expected = [getattr(found.terms, name).value for found in sine.values()]
            np.testing.assert_array_equal(drawn, expected)
        for drawn, name in zip(right.lines[:2], ("train", "risk"), strict=True):
            expected = [getattr(found, name).value for found in sine.values()]
            np.testing.assert_array_equal(drawn.get_ydata(), expected)

    def test_the_axis_has_the_values_and_its_name(self, sine):
        axes = draw_terms(sine, axis="degree").axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == list(sine)
        assert axes.get_xlabel() == "degree"

    def test_one_steep_end_does_not_flatten_the_rest(self, sine):
        lowest = min(found.risk.value for found in sine.values())
        assert draw_terms(sine).axes[0].get_ylim()[1] <= 4 * lowest

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
        axes = draw_fits(sine, axis="degree").axes[1]
        found = sine["3"]
        *others, mean, own, truth, points = [line.get_ydata() for line in axes.lines]
        np.testing.assert_array_equal(own, found.predictions[0, 0, :, 0])
        np.testing.assert_array_equal(truth, np.sin(found.points[:, 0]))
        np.testing.assert_array_equal(points, found.training_rows()[1][:, 0])
        np.testing.assert_allclose(mean, found.predictions[:, 0, :, 0].mean(axis=0))
        np.testing.assert_array_equal(others[0], found.predictions[1, 0, :, 0])

    def test_the_titles_say_which_fit_it_is(self, sine):
        titles = [axes.get_title(loc="left") for axes in draw_fits(sine, axis="degree").axes[:3]]
        assert titles == ["underfit: degree 0", "right fit: degree 3", "overfit: degree 6"]

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

        found = bias_variance_sweep(
            {"a": lambda x, y, outputs, seed: lambda x: x[:, 1:]},
            Plane(),
            SamplingDesign(datasets=3),
        )
        assert not is_curve(found["a"])
        with pytest.raises(ValueError, match="one input"):
            draw_fits(found)


@needs_matplotlib
@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("columns", [1, 3])
def test_every_picture_is_curve_in_every_layout(sine, theme, columns):
    for figure in (
        draw_terms(sine, columns=columns, theme=theme),
        draw_fits(sine, columns=columns, theme=theme),
    ):
        assert plots.render(figure, "svg").startswith(b"<?xml")


def test_polynomials_are_exact_where_nothing_is_noisy():
    found = bias_variance_sweep({"3": Polynomial(3)}, Sine(0.0), SamplingDesign(rows=50, seeds=1))[
        "3"
    ]
    assert found.terms.noise.value == 0.0
    assert found.risk.value < 0.02
