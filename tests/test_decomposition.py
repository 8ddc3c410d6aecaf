"""Bias, variance and noise: unbiased estimates with standard errors, which add up to the risk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg.lab.bias_variance.decomposition import decompose

TERMS = ("bias", "variance", "data_variance", "seed_variance", "noise", "total")


def models(rng, d, r, n=40, *, offset=0.5, data=0.4, seed=0.3):
    """Return predictions of a truth 0 with known bias², data variance and seed variance."""
    of_data = data * rng.standard_normal((d, 1, n, 1))
    return offset + of_data + seed * rng.standard_normal((d, r, n, 1))


def estimates(rng, repeats, d=5, r=2, **known):
    """Return, for each term, its estimates and their errors over many repeats, (2, repeats)."""
    result = [
        decompose(models(rng, d, r, **known), np.zeros((40, 1)), np.full(40, 0.2))
        for _ in range(repeats)
    ]
    return {
        name: np.array([(getattr(f, name).value, getattr(f, name).error) for f in result]).T
        for name in TERMS
    }


@pytest.fixture(scope="module")
def many():
    return estimates(np.random.default_rng(7), 400)


@pytest.mark.parametrize(
    ("term", "truth"),
    [
        ("bias", 0.25),
        ("data_variance", 0.16),
        ("seed_variance", 0.09),
        ("variance", 0.25),
        ("noise", 0.2),
        ("total", 0.70),
    ],
)
def test_every_estimate_is_right_on_average_even_with_few_models(many, term, truth):
    values = many[term][0]
    assert abs(values.mean() - truth) < 4 * values.std() / len(values) ** 0.5 + 1e-12


def test_the_plain_squared_distance_of_the_mean_would_not_be(rng):
    """The correction matters: without it bias² is too large by the variance over D."""
    plain = [(models(rng, 5, 2).mean(axis=(0, 1)) ** 2).mean() for _ in range(400)]
    too_large = (0.16 + 0.09 / 2) / 5
    assert np.mean(plain) == pytest.approx(0.25 + too_large, abs=4 * np.std(plain) / 20)
    assert too_large > 8 * np.std(plain) / 20


@pytest.mark.parametrize("term", ["bias", "variance", "data_variance", "seed_variance", "total"])
def test_the_stated_error_is_not_below_the_scatter_of_the_estimates(many, term):
    values, errors = many[term]
    assert values.std() <= 1.1 * np.sqrt((errors**2).mean()) <= 2.5 * values.std()


@given(
    st.integers(3, 6),
    st.integers(1, 3),
    st.integers(2, 5),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_the_terms_add_up_to_the_mean_loss_of_the_models(d, r, n, m, seed):
    rng = np.random.default_rng(seed)
    predictions, expected = rng.standard_normal((d, r, n, m)), rng.standard_normal((n, m))
    noise = rng.uniform(size=n)
    result = decompose(predictions, expected, noise, 1 / m)
    loss = ((predictions - expected) ** 2).mean() + noise.mean()
    total = result.bias.value + result.variance.value + result.noise.value
    assert total == pytest.approx(loss, rel=1e-12)
    assert result.total.value == pytest.approx(loss, rel=1e-12)


def test_the_parts_of_the_variance_add_up_to_it_and_of_one_seed_it_has_none(many, rng):
    parts = many["data_variance"][0] + many["seed_variance"][0]
    np.testing.assert_allclose(parts, many["variance"][0], rtol=1e-12)
    result = decompose(models(rng, 4, 1), np.zeros((40, 1)), np.zeros(40))
    assert result.data_variance is result.seed_variance is None


def test_models_that_all_agree_have_no_variance_and_the_whole_bias():
    result = decompose(np.full((3, 2, 4, 1), 2.0), np.zeros((4, 1)), np.zeros(4))
    assert (result.bias.value, result.variance.value, result.total.value) == (4.0, 0.0, 4.0)
    assert result.bias.error == result.variance.error == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 1, 2)), np.zeros((2, 1)), np.zeros(2)), "predictions must have shape"),
        ((np.zeros((2, 1, 2, 1)), np.zeros((2, 1)), np.zeros(2)), "D at least 3"),
        ((np.zeros((3, 0, 2, 1)), np.zeros((2, 1)), np.zeros(2)), "predictions must have shape"),
        ((np.zeros((3, 1, 2, 1)), np.zeros(2), np.zeros(2)), r"expected must have shape \(2, 1\)"),
        ((np.zeros((3, 1, 2, 1)), np.zeros((2, 1)), 0.0), r"noise must have shape \(2,\)"),
        ((np.full((3, 1, 2, 1), np.nan), np.zeros((2, 1)), np.zeros(2)), "predictions must be fin"),
    ],
)
def test_arrays_of_other_shapes_do_not_broadcast(arguments, message):
    with pytest.raises(ValueError, match=message):
        decompose(*arguments)


@pytest.mark.parametrize("name", ["predictions", "expected", "noise"])
def test_text_is_refused_by_name(name):
    arrays = {"predictions": np.zeros((3, 1, 2, 1)), "expected": np.zeros((2, 1))}
    arrays |= {"noise": np.zeros(2)}
    arrays[name] = arrays[name].astype(str)
    with pytest.raises((TypeError, ValueError), match=f"^{name} must contain real numbers"):
        decompose(**arrays)


def test_leaving_a_data_set_out_is_what_the_error_does(rng):
    """The jackknife, restated with the estimator itself, for every term."""
    predictions, expected = models(rng, 6, 3), rng.standard_normal((40, 1))
    result = decompose(predictions, expected, np.zeros(40))
    others = [
        decompose(np.delete(predictions, left, axis=0), expected, np.zeros(40)) for left in range(6)
    ]
    of_data, seed = predictions.mean(axis=1), predictions.var(axis=1, ddof=1).mean(axis=0)
    between = of_data.var(axis=0, ddof=1)
    bias, data = (of_data.mean(axis=0) - expected) ** 2 - between / 6, between - seed / 3
    at_inputs = {"bias": bias, "data_variance": data, "seed_variance": seed}
    at_inputs |= {"variance": data + seed, "total": bias + data + seed}
    for name, values in at_inputs.items():
        left_out = np.array([getattr(other, name).value for other in others])
        jackknife = 5 / 6 * ((left_out - left_out.mean()) ** 2).sum()
        error = getattr(result, name).error
        assert error**2 == pytest.approx(jackknife + values.var(ddof=1) / 40), name
    assert result.input_error**2 == pytest.approx(at_inputs["total"].var(ddof=1) / 40)
