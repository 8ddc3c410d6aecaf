"""Synthetic data follow the documented formulas, and depend on the seed only."""

import numpy as np
import pytest

from nnreg.datasets import (
    flip_labels,
    noisy_sine,
    rings,
    sparse_linear,
    spirals,
    two_moons,
)

MAKERS = [sparse_linear, noisy_sine, two_moons, rings, spirals]


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_seed_gives_the_same_bits(make):
    for first, second in zip(make(30, seed=5), make(30, seed=5), strict=True):
        assert first.tobytes() == second.tobytes()
    assert not np.array_equal(make(30, seed=5)[0], make(30, seed=6)[0])


def test_sparse_linear_has_exactly_the_relevant_inputs():
    x, y, w = sparse_linear(20, inputs=200, relevant=30, noise=0.0, seed=1)
    assert (x.shape, y.shape, w.shape) == ((20, 200), (20, 1), (200, 1))
    sizes = np.abs(w[w != 0]) * np.sqrt(30)
    assert len(sizes) == 30
    assert sizes.min() >= 0.5
    assert sizes.max() <= 1.5
    assert np.array_equal(y, x @ w)
    assert {x.dtype, y.dtype, w.dtype} == {np.dtype(np.float64)}


def test_the_relevant_inputs_lie_anywhere_and_have_both_signs():
    _, _, w = sparse_linear(1, inputs=1000, relevant=100)
    places = np.flatnonzero(w)
    assert places.min() < 200
    assert places.max() > 800
    assert 30 < np.count_nonzero(w > 0) < 70


@pytest.mark.parametrize("noise", [0.1, 2.0])
def test_noise_is_a_standard_deviation(noise):
    x, y, w = sparse_linear(4000, inputs=10, relevant=5, noise=noise)
    assert np.std(y - x @ w) == pytest.approx(noise, rel=0.05)
    x, y, w = noisy_sine(4000, noise=noise)
    assert np.std(y - w) == pytest.approx(noise, rel=0.05)


def test_the_explained_part_of_sparse_linear_has_a_variance_near_1():
    coefficients = [sparse_linear(1, inputs=200, relevant=100, seed=seed)[2] for seed in range(50)]
    assert np.mean([np.sum(w**2) for w in coefficients]) == pytest.approx(13 / 12, rel=0.03)


def test_the_sine_is_returned_beside_the_points():
    x, y, w = noisy_sine(1000, noise=0.2)
    assert x.shape == y.shape == w.shape == (1000, 1)
    assert np.array_equal(w, np.sin(x))
    assert -np.pi <= x.min() < -3
    assert 3 < x.max() < np.pi


def test_moons_without_noise_lie_on_their_half_circles():
    x, y = two_moons(500, noise=0.0)
    centres = np.array([[0.0, 0.0], [1.0, 0.5]])
    away = x - centres[y]
    assert np.allclose(np.hypot(*away.T), 1.0)
    assert (away[y == 0, 1] >= 0).all()
    assert (away[y == 1, 1] <= 1e-15).all()
    assert y.dtype == np.int64


@pytest.mark.parametrize("n", [2, 7, 100])
def test_half_of_the_points_rounded_down_are_in_the_second_moon(n):
    _, y = two_moons(n)
    assert np.bincount(y).tolist() == [n - n // 2, n // 2]


def test_rings_without_noise_have_a_gap_between_them():
    x, y = rings(1000, noise=0.0)
    radius = np.hypot(*x.T)
    assert radius[y == 0].max() <= 0.8
    assert radius[y == 1].min() >= 1.2
    assert radius.max() <= 2
    assert np.bincount(y).tolist() == [500, 500]


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_arms_of_spirals_are_one_curve_turned(classes):
    x, y = spirals(1000, classes=classes, noise=0.0)
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    turned = angle - 2 * np.pi * (y / classes + radius / 4)
    assert np.allclose(np.exp(1j * turned), 1.0)
    assert 0.2 <= radius.min() < 0.25
    assert 1.95 < radius.max() <= 2
    assert np.bincount(y).max() - np.bincount(y).min() <= 1


@pytest.mark.parametrize("make", [two_moons, rings, spirals])
def test_noise_moves_the_points_by_its_standard_deviation(make):
    exact, noisy = (make(4000, noise=noise, seed=3)[0] for noise in (0.0, 0.3))
    assert np.std(noisy - exact) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 1.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_exactly_the_share_of_labels_is_wrong_afterwards(share, classes):
    y = np.arange(99) % classes
    before = y.copy()
    flipped, rows = flip_labels(y, share, classes=classes, seed=2)
    assert np.flatnonzero(flipped != y).tolist() == rows.tolist()
    assert len(rows) == round(share * 99)
    assert flipped.min() >= 0
    assert flipped.max() < classes
    assert np.array_equal(y, before)
    assert (flipped.dtype, rows.dtype) == (np.int64, np.int64)


def test_every_wrong_class_is_equally_likely():
    flipped, _ = flip_labels(np.full(9000, 1, dtype=np.uint8), 1.0, classes=4)
    counts = np.bincount(flipped, minlength=4)
    assert counts[1] == 0
    assert np.abs(counts[[0, 2, 3]] - 3000).max() < 250


def test_another_seed_flips_other_rows():
    y = np.zeros(100, dtype=int)
    first, second = (flip_labels(y, 0.5, classes=2, seed=seed)[1] for seed in (0, 1))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sparse_linear(0), ValueError, "n must be a whole number of at least 1, got 0"),
        (lambda: sparse_linear(2.5), TypeError, r"n must be a whole number .*, got 2\.5"),
        (lambda: sparse_linear(2, inputs=3, relevant=4), ValueError, "relevant .* from 1 to 3"),
        (lambda: sparse_linear(2, noise=-1), ValueError, r"noise must be a number in \[0, "),
        (lambda: noisy_sine(2, noise=np.inf), ValueError, "noise must be a number .* got inf"),
        (lambda: noisy_sine(2, noise="much"), TypeError, "noise must be a number .* got 'much'"),
        (lambda: rings(1), ValueError, "n must be a whole number of at least 2, got 1"),
        (lambda: spirals(2), ValueError, "n must be a whole number of at least 3, got 2"),
        (lambda: spirals(9, classes=1), ValueError, "classes must be a whole number of at least 2"),
        (lambda: two_moons(1), ValueError, "n must be a whole number of at least 2, got 1"),
        (lambda: two_moons(2, seed=-1), ValueError, "seed must be a whole number of at least 0"),
        (lambda: flip_labels([0, 1], 1.1, classes=2), ValueError, r"share .* \[0, 1\], got 1\.1"),
        (lambda: flip_labels([0, 1], 0.5, classes=1), ValueError, "classes .* at least 2, got 1"),
        (lambda: flip_labels([0, 2], 0.5, classes=2), ValueError, "from 0 to 1, got 2 at index"),
        (lambda: flip_labels([0, -1], 0.5, classes=2), ValueError, "got -1 at index"),
        (lambda: flip_labels([0.0], 0.5, classes=2), ValueError, "integers .* got float64"),
        (lambda: flip_labels([[0]], 0.5, classes=2), ValueError, r"got int64 of shape \(1, 1\)"),
    ],
)
def test_a_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
