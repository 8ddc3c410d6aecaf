"""Kernels: values, derivatives, stability, complex steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from strategies import (
    affine_maps,
    away_from,
    classified,
    matrices,
    targets_for,
    vectors,
)

from nnreg import kernels, proximal
from nnreg._support.blas import find_axpby

# Forward formula, derivative formula (dy, x, y), the truth by other means.
ELEMENTWISE = {
    "relu": (
        kernels.rectifier,
        lambda dy, x, y: kernels.rectifier_dx(dy, (x > 0).astype(x.dtype)),
        lambda x: np.maximum(x, 0),
    ),
    "leaky relu": (
        lambda x, **k: kernels.rectifier(x, 0.1, **k),
        lambda dy, x, y: kernels.rectifier_dx(dy, np.where(x > 0, 1, 0.1).astype(x.dtype)),
        lambda x: np.where(x > 0, x, 0.1 * x),
    ),
    "elu": (
        kernels.elu,
        lambda dy, x, y: kernels.elu_dx(dy, x),
        lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    ),
    "elu, alpha 0.5": (
        lambda x, **k: kernels.elu(x, 0.5, **k),
        lambda dy, x, y: kernels.elu_dx(dy, x, 0.5),
        lambda x: np.where(x > 0, x, 0.5 * (np.exp(np.minimum(x, 0)) - 1)),
    ),
    "gelu": (
        lambda x, out=None, work=None: kernels.gelu(
            x, kernels.normal_cdf(x, special.erfc, out=work), out
        ),
        lambda dy, x, y: kernels.gelu_dx(dy, x, kernels.normal_cdf(x, special.erfc)),
        lambda x: x * stats.norm.cdf(x),
    ),
    "tanh": (
        lambda x, out=None, work=None: np.tanh(x, out=out),
        lambda dy, x, y: kernels.tanh_dx(dy, y),
        lambda x: 1 - 2 / (np.exp(2 * x) + 1),
    ),
    "sigmoid": (
        kernels.sigmoid,
        lambda dy, x, y: kernels.sigmoid_dx(dy, y, np.exp(-np.maximum(x, -87))),
        special.expit,
    ),
    "softplus": (
        kernels.softplus,
        lambda dy, x, y: kernels.softplus_dx(dy, y),
        lambda x: np.logaddexp(0, x),
    ),
}

# Loss kernels by the entry of `targets_for` that makes their targets.
ROWS = {
    "SoftmaxCrossEntropy": kernels.softmax_cross_entropy,
    "SoftmaxCrossEntropy, soft": kernels.soft_cross_entropy,
    "SigmoidCrossEntropy": kernels.sigmoid_cross_entropy,
    "MeanSquaredError": kernels.squared_error,
    "Huber": lambda z, y, **k: kernels.huber(z, y, 0.7, **k),
    "Quantile": lambda z, y, **k: kernels.quantile(z, y, 0.3, **k),
    "Poisson": kernels.poisson,
}

elementwise = pytest.mark.parametrize(
    ("forward", "backward", "truth"), ELEMENTWISE.values(), ids=ELEMENTWISE
)
rows = pytest.mark.parametrize(("name", "kernel"), ROWS.items(), ids=ROWS)


# --- Affine map -----------------------------------------------------------------------------------


@given(affine_maps())
def test_affine_is_a_sum_over_inputs_plus_the_bias(case):
    x, w, b, _ = case
    N, M = len(x), w.shape[1]
    expected = [
        [sum(x[n, d] * w[d, m] for d in range(len(w))) + b[m] for m in range(M)] for n in range(N)
    ]
    np.testing.assert_allclose(kernels.affine(x, w, b), expected, atol=1e-12)
    np.testing.assert_allclose(kernels.affine(x, w), expected - b, atol=1e-12)


# --- Activations ----------------------------------------------------------------------------------


@elementwise
@given(x=matrices(-6, 6))
def test_an_activation_has_the_value_of_its_definition(forward, backward, truth, x):
    np.testing.assert_allclose(forward(x), truth(x), rtol=1e-12, atol=1e-12)


@elementwise
@given(x=matrices(-6, 6))
def test_the_imaginary_part_of_a_tiny_complex_step_is_the_derivative(forward, backward, truth, x):
    x = away_from(x)
    y = forward(x)
    h = 1e-30
    stepped = forward(x + 1j * h)
    np.testing.assert_allclose(stepped.imag / h, backward(np.ones_like(x), x, y), rtol=1e-10)
    np.testing.assert_allclose(stepped.real, y, rtol=1e-14, atol=1e-14)


@elementwise
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_activation_is_finite_and_keeps_its_dtype_far_out(forward, backward, truth, dtype):
    x = np.array([[-1e4, -100, -88, -1, 0, 1, 88, 100, 1e4]], dtype)
    with np.errstate(all="raise", under="ignore"):
        y = forward(x)
        dx = backward(np.ones_like(x), x, y)
    assert y.dtype == dx.dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert abs(dx).max() < 1.2  # GELU's slope peaks at 1.13


@pytest.mark.parametrize(
    "formula",
    [
        kernels.rectifier,
        kernels.elu,
        kernels.sigmoid,
        kernels.softplus,
        lambda x, **memory: kernels.elu_dx(x, x, 0.5, **memory),
    ],
    ids=["rectifier", "elu", "sigmoid", "softplus", "elu_dx"],
)
def test_a_formula_that_needs_a_second_array_writes_to_work(formula, rng):
    x, work = rng.normal(size=(3, 4)), np.full((3, 4), np.nan)
    formula(x, out=np.empty((3, 4)), work=work)
    assert np.isfinite(work).all()


def test_sigmoid_never_falls_below_the_normal_numbers_of_float32():
    assert kernels.sigmoid(np.array([-1e4], np.float32))[0] >= np.finfo(np.float32).tiny


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_of_a_negative_number_is_plus_zero(dtype):
    y = kernels.rectifier(np.array([-1.0, -0.0], dtype))
    assert not np.signbit(y).any()


@pytest.mark.parametrize(("slope", "expected"), [(0.0, 0.0), (0.1, 0.1)])
def test_the_rectifier_derivative_at_its_kink_is_the_lower_slope(slope, expected):
    factor = np.empty(1)
    kernels.rectifier(np.zeros(1), slope, work=factor)
    assert kernels.rectifier_dx(np.ones(1), factor) == expected


@given(vectors(-37, 37))
def test_the_normal_distribution_function_is_exact_far_below_zero_too(x):
    cdf = kernels.normal_cdf(x, special.erfc)
    np.testing.assert_allclose(cdf, stats.norm.cdf(x), rtol=1e-12)


@given(matrices(-40, 40))
def test_sigmoid_of_minus_x_is_one_minus_sigmoid_of_x(x):
    np.testing.assert_allclose(kernels.sigmoid(-x), 1 - kernels.sigmoid(x), atol=1e-15)


@given(matrices(-700, 700))
def test_softplus_of_x_minus_softplus_of_minus_x_is_x(x):
    np.testing.assert_allclose(
        kernels.softplus(x) - kernels.softplus(-x), x, rtol=1e-12, atol=1e-12
    )


# --- Dropout --------------------------------------------------------------------------------------


@given(st.floats(1e-6, 1))
def test_the_threshold_is_the_nearest_of_65536_and_never_zero(keep_prob):
    t = kernels.keep_threshold(keep_prob)
    assert 1 <= t <= 65536
    assert t == 1 or abs(t / 65536 - keep_prob) <= 0.5 / 65536


# --- Losses ---------------------------------------------------------------------------------------


@given(matrices(-50, 50))
def test_softmax_is_scipys_and_each_row_adds_up_to_one(z):
    p = kernels.softmax(z)
    np.testing.assert_allclose(p, special.softmax(z, axis=1), rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-14)


def test_softmax_takes_each_row_by_itself_however_far_apart_they_are():
    z = np.array([[1e4, 0.0], [-1e4, -1e4]])
    out = np.empty_like(z)
    assert kernels.softmax(z, out=out) is out
    np.testing.assert_array_equal(out, [[1.0, 0.0], [0.5, 0.5]])


@given(classified(), st.floats(-1e3, 1e3))
def test_a_number_added_to_a_row_changes_no_probability_and_no_loss(case, shift):
    z, t = case
    np.testing.assert_allclose(kernels.softmax(z + shift), kernels.softmax(z), rtol=1e-9)
    for ours, shifted in zip(
        kernels.softmax_cross_entropy(z, t),
        kernels.softmax_cross_entropy(z + shift, t),
        strict=True,
    ):
        np.testing.assert_allclose(shifted, ours, atol=1e-9)


def test_soft_cross_entropy_holds_for_targets_that_are_no_probabilities(rng):
    z, t = rng.normal(size=(4, 3)), rng.uniform(0, 3, (4, 3))
    value, dz = kernels.soft_cross_entropy(z, t)
    np.testing.assert_allclose(value, -(t * special.log_softmax(z, axis=1)).sum(axis=1))
    total = t.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(dz, total * special.softmax(z, axis=1) - t, atol=1e-14)


def test_one_hot_rows_are_labels_at_the_largest_numbers_too():
    z = np.array([[3e38, -3e38], [-3e38, 3e38]], np.float32)
    with np.errstate(over="ignore"):
        labels = kernels.softmax_cross_entropy(z, np.array([0, 1]))
        rows = kernels.soft_cross_entropy(z, np.eye(2, dtype=np.float32))
    np.testing.assert_array_equal(rows[0], labels[0])
    np.testing.assert_array_equal(rows[1], labels[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(z=matrices(-60, 60))
def test_sigmoid_cross_entropy_is_the_same_for_yes_and_no_and_never_cancels(dtype, z):
    z = z.astype(dtype)
    yes, no = (
        kernels.sigmoid_cross_entropy(s * z, np.full_like(z, y)) for s, y in ((1, 1), (-1, 0))
    )
    np.testing.assert_array_equal(yes[0], no[0])
    np.testing.assert_array_equal(yes[1], -no[1])
    exact, tolerance = z.astype(np.longdouble), 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(yes[1], -1 / (1 + np.exp(exact)), rtol=tolerance)
    np.testing.assert_allclose(yes[0], np.logaddexp(0, -exact).sum(axis=1), rtol=tolerance)


@rows
def test_a_loss_kernel_is_complex_safe(name, kernel, rng):
    z, t = rng.normal(size=(4, 3)), targets_for(name, rng, 4, 3)
    value, dz = kernel(z, t)
    assert value.shape == (4,)
    for i in np.ndindex(z.shape):
        stepped = z.astype(complex)
        stepped[i] += 1e-30j
        assert kernel(stepped, t)[0].sum().imag / 1e-30 == pytest.approx(
            dz[i], rel=1e-12, abs=1e-15
        )


# --- Penalties ------------------------------------------------------------------------------------


@given(vectors(), st.floats(0, 2))
def test_the_soft_threshold_moves_by_the_threshold_or_to_exactly_zero(w, t):
    expected = [0.0 if abs(v) <= t else v - t if v > 0 else v + t for v in w]
    np.testing.assert_array_equal(proximal.soft_threshold(w, t), expected)


# --- Linear combinations --------------------------------------------------------------------------


@pytest.fixture(params=["OpenBLAS", "NumPy"])
def combination(request, monkeypatch):
    if request.param == "NumPy":
        monkeypatch.setattr(kernels, "find_axpby", lambda dtype: None)
    elif find_axpby(np.dtype("float32")) is None:
        pytest.skip("NumPy's BLAS is not OpenBLAS")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 4099])
def test_axpby_is_the_sum_of_two_products(combination, rng, dtype, size):
    x, y = rng.normal(size=(2, size)).astype(dtype)
    before, a, b = x.copy(), 0.7, 0.9
    expected = a * x + b * y
    kernels.axpby(a, x, b, y)
    np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)
    np.testing.assert_array_equal(x, before)


def test_axpby_of_a_whole_is_that_of_its_pieces(combination, rng):
    x, y = rng.normal(size=(2, 1003)).astype("float32")
    pieces = y.copy()
    kernels.axpby(0.7, x, 0.9, y)
    for start in range(0, 1003, 31):
        kernels.axpby(0.7, x[start : start + 31], 0.9, pieces[start : start + 31])
    np.testing.assert_array_equal(pieces, y)


@pytest.mark.parametrize(
    "change",
    [lambda v: np.repeat(v, 2)[::2], lambda v: v.astype(complex), lambda v: v.astype("float16")],
    ids=["not contiguous", "complex", "float16"],
)
def test_axpby_is_right_for_arrays_that_blas_does_not_take(rng, change):
    x, y = map(change, rng.normal(size=(2, 5)))
    expected = 2 * x + 3 * y
    kernels.axpby(2.0, x, 3.0, y)
    np.testing.assert_allclose(y, expected, rtol=1e-2)
