"""Plots of dropout: the plotted numbers equal the arguments."""

import numpy as np
import pytest

import nnreg as nn
from nnreg import plots
from nnreg.layers.dropout import draw_factors

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("kind", [nn.Dropout, nn.GaussianDropout])
@pytest.mark.parametrize("row", [0, 5])
def test_drawn_factors_are_those_of_training(kind, row):
    net = nn.Network([kind(keep_prob=0.7), kind(keep_prob=0.5)], inputs=6, seed=4, dtype="float64")
    factors = draw_factors(net.layers[1], 6, steps=4, row=row)
    for step in range(4):
        both, _ = net.forward(np.ones((row + 1, 6)), training=True)
        first = draw_factors(net.layers[0], 6, steps=4, row=row)[step]
        np.testing.assert_array_equal(both[row], first * factors[step])


@pytest.mark.parametrize("layer", [nn.Dropout(keep_prob=0.5), nn.ReLU()])
def test_a_layer_that_draws_nothing_or_is_nowhere_is_refused(layer):
    with pytest.raises(ValueError, match="layer must be a stochastic layer of a network, got"):
        draw_factors(layer, 3, steps=1)


def test_masks_are_shown_with_steps_across_and_units_down():
    factors = np.arange(6.0).reshape(3, 2)
    figure = plots.dropout_masks({"a": factors, "b": factors}, notes={"a": "keep_prob 0.5"})
    for axes in figure.axes[:2]:
        np.testing.assert_array_equal(axes.images[0].get_array(), factors.T)
        assert axes.images[0].get_clim() == (0, 2)
    assert "keep_prob 0.5" in [text.get_text() for text in figure.axes[0].texts]


def test_filters_are_the_units_of_largest_weight_all_on_one_scale(rng):
    weights = {"small": rng.normal(size=(6, 9)), "large": 3 * rng.normal(size=(6, 9))}
    figure = plots.first_layer_filters(weights, shape=(2, 3), count=4)
    reach = 0.0
    for axes, w in zip(figure.axes, weights.values(), strict=False):
        picture = axes.images[0].get_array()
        assert picture.shape == (5, 7)
        order = np.argsort(-np.linalg.norm(w, axis=0))
        np.testing.assert_array_equal(picture[:2, :3], w[:, order[0]].reshape(2, 3))
        np.testing.assert_array_equal(picture[3:, 4:], w[:, order[3]].reshape(2, 3))
        assert picture.mask[2].all()
        assert picture.mask[:, 3].all()
        reach = max(reach, abs(w[:, order[:4]]).max())
    for axes in figure.axes[:2]:
        assert axes.images[0].get_clim() == (-reach, reach)


def test_a_band_is_one_and_two_standard_deviations_about_the_mean(rng):
    x, outputs = np.linspace(0, 1, 5), rng.normal(size=(8, 5))
    figure = plots.prediction_band(x, {"a": outputs}, data=(x, x), truth=x, columns=1)
    (axes,) = figure.axes
    mean, std = outputs.mean(axis=0), outputs.std(axis=0, ddof=1)
    for times, band in zip((1, 2), axes.collections, strict=True):
        ys = band.get_paths()[0].vertices[:, 1]
        assert ys.max() == pytest.approx((mean + times * std).max())
        assert ys.min() == pytest.approx((mean - times * std).min())
    lines = [line.get_ydata() for line in axes.lines]
    np.testing.assert_array_equal(lines, [x, mean, x])
