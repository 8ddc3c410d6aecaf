"""Losses: values computed independently, their gradients, row weights, targets."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats
from strategies import LOSSES, away_from, classified, slopes, targets_for

import nnreg as nn

losses = pytest.mark.parametrize("name", LOSSES)
sizes = pytest.mark.parametrize(("N", "M"), [(1, 1), (1, 4), (5, 1), (5, 4)])


def case(name, rng, N=5, M=4):
    """Return the loss, outputs and targets; residuals keep away from kinks."""
    z, t = rng.normal(size=(N, M)), targets_for(name, rng, N, M)
    if name == "Huber":
        z = t + away_from(away_from(z - t, 0.7), -0.7)
    if name == "Quantile":
        z = t + away_from(z - t, 0.0)
    return LOSSES[name](), z, t


# --- Values ---------------------------------------------------------------------------------------


@given(classified(-20, 20))
def test_softmax_cross_entropy_is_the_mean_negative_log_probability(drawn):
    z, t = drawn
    value, gradient = nn.SoftmaxCrossEntropy()(z, t)
    log_p = special.log_softmax(z, axis=1)
    assert value == pytest.approx(-np.mean([log_p[n, k] for n, k in enumerate(t)]), abs=1e-12)
    expected = (np.exp(log_p) - np.eye(z.shape[1])[t]) / len(z)
    np.testing.assert_allclose(gradient, expected, atol=1e-14)


VALUES = {  # the loss of each row, by SciPy's functions
    "SoftmaxCrossEntropy, soft": lambda z, t: -(t * special.log_softmax(z, axis=1)).sum(axis=1),
    "SoftmaxCrossEntropy, soft and smoothed": lambda z, t: (
        -((0.9 * t + 0.1 / 4) * special.log_softmax(z, axis=1)).sum(axis=1)
    ),
    "SigmoidCrossEntropy": lambda z, y: (
        -(special.xlogy(y, special.expit(z)) + special.xlogy(1 - y, special.expit(-z))).sum(axis=1)
    ),
    "MeanSquaredError": lambda z, y: ((z - y) ** 2).mean(axis=1),
    "Huber": lambda z, y: special.huber(0.7, z - y).mean(axis=1),
    "Quantile": lambda z, y: np.where(z > y, 0.7 * (z - y), 0.3 * (y - z)).mean(axis=1),
    "Poisson": lambda z, y: (
        -(
            stats.poisson.logpmf(y, np.exp(z)) + special.gammaln(y + 1)  # without the factorial
        ).sum(axis=1)
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_value_is_the_mean_over_rows_of_the_definition(name, rng):
    loss, z, t = case(name, rng)
    assert loss(z, t)[0] == pytest.approx(VALUES[name](z, t).mean(), rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@given(drawn=classified())
def test_labels_are_one_hot_targets(drawn, smoothing):
    z, t = drawn
    loss = nn.SoftmaxCrossEntropy(label_smoothing=smoothing)
    by_label, by_row = loss(z, t), loss(z, np.eye(z.shape[1])[t])
    assert by_label[0] == pytest.approx(by_row[0], abs=1e-12)
    np.testing.assert_allclose(by_label[1], by_row[1], atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "targets", "expected"),
    [
        (nn.SoftmaxCrossEntropy(), [1], math.log(3)),
        (nn.SigmoidCrossEntropy(), [[1.0, 0.0, 0.5]], 3 * math.log(2)),
        (nn.MeanSquaredError(), [[3.0, 0.0, 0.0]], 3.0),
        (nn.Huber(1.0), [[3.0, 0.0, 0.0]], 2.5 / 3),
        (nn.Quantile(0.75), [[3.0, -1.0, 0.0]], (0.75 * 3 + 0.25) / 3),
        (nn.Poisson(), [[7.0, 0.0, 0.0]], 3.0),
    ],
)
def test_the_value_at_outputs_zero_is_well_known(loss, targets, expected):
    assert loss(np.zeros((1, 3)), targets)[0] == pytest.approx(expected)


# --- Gradients ------------------------------------------------------------------------------------


@losses
@sizes
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_equals_the_difference_quotient_of_the_value(name, N, M, weighted, rng):
    loss, z, t = case(name, rng, N, M)
    options = {"weights": rng.uniform(0.1, 3, N), "normalizer": 7.0} if weighted else {}
    expected = slopes(lambda z: loss(z, t, **options)[0], z)
    np.testing.assert_allclose(loss(z, t, **options)[1], expected, rtol=1e-6, atol=1e-8)


@losses
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_the_outputs_and_float32_agrees_with_float64(name, dtype, rng):
    loss, z, t = case(name, rng)
    for weights in (None, np.ones(5)):
        value, gradient = loss(z.astype(dtype), t, weights)
        assert value.dtype == gradient.dtype == dtype
        assert (np.shape(value), gradient.shape) == ((), z.shape)
        exact = loss(z.astype(dtype).astype(float), t, weights)
        assert value == pytest.approx(exact[0], rel=1e-5)
        np.testing.assert_allclose(gradient, exact[1], rtol=1e-4, atol=1e-6)


@losses
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_of_ten_thousand_are_no_danger(name, dtype, rng):
    loss = LOSSES[name]()
    t = targets_for(name, rng, 6, 3)
    z = np.array(
        [[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [0, 0, -1e4], [1e4] * 3, [-1e4] * 3, [1, 1e4, -1]], dtype
    )
    if name == "Poisson":
        z = np.minimum(z, 80)  # e to the 1e4 is no number: the loss itself is infinite there
    with np.errstate(all="raise", under="ignore"):
        value, gradient = loss(z, t)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


# --- Rows and their weights -----------------------------------------------------------------------


@losses
def test_the_order_of_rows_does_not_matter(name, rng):
    loss, z, t = case(name, rng)
    order = rng.permutation(5)
    value, gradient = loss(z, t)
    shuffled = loss(z[order], t[order])
    assert shuffled[0] == pytest.approx(value)
    np.testing.assert_allclose(shuffled[1], gradient[order], atol=1e-15)


@losses
@example(whole=5 * [1])
@given(whole=st.lists(st.integers(0, 3), min_size=5, max_size=5).filter(any))
def test_an_integer_weight_repeats_its_row_and_zero_removes_it(name, whole):
    loss, z, t = case(name, np.random.default_rng(0))
    w = np.array(whole)
    value, gradient = loss(z, t, w)
    repeated, by_copy = loss(np.repeat(z, w, axis=0), np.repeat(t, w, axis=0))
    assert value == pytest.approx(repeated, rel=1e-12, abs=1e-12)
    row = np.repeat(np.arange(5), w)
    for n in range(5):
        np.testing.assert_allclose(gradient[n], by_copy[row == n].sum(axis=0), atol=1e-14)


@losses
def test_only_the_proportions_of_weights_matter(name, rng):
    loss, z, t = case(name, rng)
    w = rng.uniform(0.1, 1, 5)
    assert loss(z, t, 17 * w)[0] == pytest.approx(loss(z, t, w)[0])
    np.testing.assert_allclose(loss(z, t, 17 * w)[1], loss(z, t, w)[1], atol=1e-14)


@losses
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_with_the_wholes_normalizer_add_up_to_the_whole(name, weighted, rng):
    loss, z, t = case(name, rng)
    w = rng.uniform(size=5) if weighted else None
    normalizer = w.sum() if weighted else 5
    value, gradient = loss(z, t, w)
    parts = [
        loss(z[rows], t[rows], w[rows] if weighted else None, normalizer=normalizer)
        for rows in (slice(0, 2), slice(2, 5))
    ]
    assert sum(part[0] for part in parts) == pytest.approx(value)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), gradient, atol=1e-15)


@losses
def test_calling_and_computing_are_the_same(name, rng):
    loss, z, t = case(name, rng)
    w = rng.uniform(size=5)
    called, computed = loss(z, t, w), loss.compute(z, t, w)
    assert called[0] == computed[0]
    np.testing.assert_array_equal(called[1], computed[1])


# --- Links ----------------------------------------------------------------------------------------


def test_softmax_gives_probabilities_and_the_largest_outputs_class(rng):
    loss, z, _ = case("SoftmaxCrossEntropy", rng)
    np.testing.assert_allclose(loss.probabilities(z), special.softmax(z, axis=1))
    np.testing.assert_array_equal(loss.classes(z), [row.argmax() for row in z])


def test_sigmoid_gives_a_probability_and_a_yes_or_no_for_each_output(rng):
    loss, z, _ = case("SigmoidCrossEntropy", rng)
    np.testing.assert_allclose(loss.probabilities(z), special.expit(z))
    classes = loss.classes(np.vstack([z, np.zeros(4)]))
    np.testing.assert_array_equal(classes[:-1], loss.probabilities(z) > 0.5)
    assert not classes[-1].any()  # a draw is a no
    assert classes.dtype == np.int64


@pytest.mark.parametrize("loss", [nn.SoftmaxCrossEntropy(), nn.SigmoidCrossEntropy()])
def test_probabilities_and_classes_take_any_numbers_and_refuse_the_rest(loss):
    rows = [[1, 2], [0, -1]]
    for link in (loss.probabilities, loss.classes):
        expected = link(np.array(rows, float))
        for outputs in (rows, np.array(rows, np.longdouble)):
            np.testing.assert_allclose(link(outputs), expected, rtol=1e-15)
        with pytest.raises(TypeError, match="outputs must contain real numbers, got dtype <U1"):
            link([["a"]])
    np.testing.assert_allclose(loss.probabilities(0), loss.probabilities([[0]])[0])


@pytest.mark.parametrize(
    ("link", "truth"), [(nn.softmax, lambda z: special.softmax(z, -1)), (nn.sigmoid, special.expit)]
)
def test_a_link_takes_numbers_of_any_real_type_and_shape(link, truth, rng):
    for shape in [(4,), (3, 4), (2, 3, 4)]:
        z = rng.integers(-3, 4, shape)
        assert link(z).dtype == np.float64
        np.testing.assert_allclose(link(z.tolist()), truth(z))
        assert link(z.astype(np.float32)).dtype == np.float32
        np.testing.assert_array_equal(link(z.astype(np.longdouble)), link(z))
    with pytest.raises(TypeError, match="z must contain real numbers, got dtype complex128"):
        link([1j])


@pytest.mark.parametrize("loss", [nn.MeanSquaredError(), nn.Huber(), nn.Quantile(), nn.Poisson()])
def test_a_loss_for_numbers_predicts_no_classes(loss):
    for link in (loss.classes, loss.probabilities):
        with pytest.raises(TypeError, match=f"{type(loss).__name__} predicts no"):
            link(np.zeros((1, 2)))


def test_targets_in_their_form_are_not_copied_and_integers_become_floats():
    softmax, squared = nn.SoftmaxCrossEntropy(), nn.MeanSquaredError()
    labels = np.array([2, 0])
    assert softmax.check_targets(labels, 3) is labels
    for loss in (softmax, squared):
        for dtype in (np.float32, np.float64):
            rows = np.eye(3, dtype=dtype)
            assert loss.check_targets(rows, 3) is rows
        assert loss.check_targets(np.eye(3, dtype=int), 3).dtype == np.float64


def test_probabilities_add_up_to_one_within_a_thousandth():
    loss = nn.SoftmaxCrossEntropy()
    loss.check_targets(np.diag([1.0009, 0.9991]), 2)
    for wrong in (np.eye(2) * 1.002, np.eye(2) * 0.998, np.eye(2) / 2):
        with pytest.raises(ValueError, match="probabilities that add up to 1 in each row"):
            loss.check_targets(wrong, 2)


def test_lists_and_integers_are_taken_where_numbers_are():
    assert nn.MeanSquaredError()([[1, 2]], [[0, True]])[0] == 1.0


def test_a_users_loss_is_handed_the_weights_and_the_normalizer_only_where_there_are_any(rng):
    class Recorded(nn.Loss):
        def __call__(self, outputs, targets, **options):
            self.seen = outputs, targets, options
            return 2.0, np.ones(outputs.shape).tolist()

    loss, z, t, w = Recorded(), np.zeros((2, 3)), np.ones((2, 3)), np.ones(2)
    for options in ({}, {"weights": w}, {"normalizer": 7.0}, {"weights": w, "normalizer": 7.0}):
        value, gradient = loss.compute(z, t, **options)
        assert loss.seen[0] is z
        assert loss.seen[1] is t
        assert loss.seen[2] == options
        assert value == 2.0
        np.testing.assert_array_equal(gradient, np.ones((2, 3)), strict=True)


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (1.0, r"a float of shape \(\)"),
        (np.ones(3), r"a ndarray of shape \(3,\)"),
        ((1.0, np.ones(4)), r"a tuple of shapes \[\(\), \(4,\)\]"),
        ((np.ones(2), np.ones((2, 3))), r"a tuple of shapes \[\(2,\), \(2, 3\)\]"),
        ((1.0, np.ones((2, 3)), None), r"a tuple of shapes \[\(\), \(2, 3\), \(\)\]"),
        ((1.0, None), r"a tuple of shapes \[\(\), \(\)\]"),
    ],
)
def test_what_a_users_loss_returned_instead_is_said(returned, got):
    class Own(nn.Loss):
        def __call__(self, outputs, targets):
            return returned

    message = rf"^Own must return \(value, gradient\): .* of shape \(2, 3\), got {got}$"
    with pytest.raises(ValueError, match=message):
        Own().compute(np.zeros((2, 3)), np.zeros((2, 3)))
