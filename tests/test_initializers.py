"""Initial values: shape, variance and bounds as in their papers."""

import math

import numpy as np
import pytest

import nnreg as nn

ALL = [nn.zeros, nn.ones, nn.he_normal, nn.glorot_uniform, nn.standard_normal]


@pytest.mark.parametrize("initializer", ALL)
@pytest.mark.parametrize("shape", [(1,), (3,), (1, 1), (4, 3)])
def test_values_have_the_shape_asked_for(initializer, shape, rng):
    values = initializer(shape, rng)
    assert values.shape == shape
    assert np.isfinite(values).all()


@pytest.mark.parametrize("initializer", ALL)
def test_the_same_generator_state_gives_the_same_values(initializer):
    first, again = (initializer((4, 3), np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_zeros_and_ones_are_what_they_are_called(rng):
    assert not nn.zeros((3, 2), rng).any()
    assert (nn.ones((3, 2), rng) == 1).all()


@pytest.mark.parametrize(
    ("initializer", "shape", "deviation"),
    [
        (nn.he_normal, (200, 500), math.sqrt(2 / 200)),
        (nn.glorot_uniform, (200, 600), math.sqrt(2 / 800)),  # the uniform's a / sqrt(3)
        (nn.standard_normal, (200, 500), 1.0),
    ],
)
def test_the_mean_is_zero_and_the_variance_its_papers(initializer, shape, deviation, rng):
    values = initializer(shape, rng)
    assert values.std() == pytest.approx(deviation, rel=0.01)
    assert abs(values.mean()) < 5 * deviation / math.sqrt(values.size)


def test_glorot_values_fill_the_interval_and_stay_in_it(rng):
    a = math.sqrt(6 / (30 + 70))
    values = nn.glorot_uniform((30, 70), rng)
    assert abs(values).max() <= a
    assert values.min() < -0.98 * a
    assert values.max() > 0.98 * a


@pytest.mark.parametrize("initializer", [nn.he_normal, nn.standard_normal])
def test_normal_values_have_normal_tails(initializer, rng):
    values = initializer((100, 1000), rng)
    beyond = (abs(values) > 2 * values.std()).mean()
    assert beyond == pytest.approx(0.0455, abs=0.005)


def test_he_keeps_the_mean_square_through_a_rectified_layer(rng):
    x = rng.normal(size=(2000, 100))
    w = nn.he_normal((100, 300), rng)
    assert (np.maximum(x @ w, 0) ** 2).mean() == pytest.approx((x**2).mean(), rel=0.05)
