"""Numerical derivatives: their values, the points evaluated, jumps of the slope at kinks."""

import warnings

import numpy as np
import pytest

from nnreg.gradcheck.numerical import (
    STEPS,
    NotComplexSafe,
    complex_steps,
    directional_derivatives,
)

DIFFERENCES = ("central", "richardson", "float32")
ONE = np.ones(1)


def cube(x):
    return {"cube": (x**3).sum()}


@pytest.mark.parametrize(
    ("method", "accuracy"),
    [("complex", 1e-15), ("central", 1e-9), ("richardson", 1e-11), ("float32", 1e-12)],
)
def test_a_derivative_is_that_along_the_direction(method, accuracy):
    point, direction = np.array([0.5, -0.25]), np.array([0.1, 0.3])
    (value, jump) = directional_derivatives(cube, point, direction, method)["cube"]
    assert value == pytest.approx(3 * (point**2 * direction).sum(), rel=accuracy)
    assert jump == 0 if method == "complex" else 0 < jump < 0.1


@pytest.mark.parametrize("method", DIFFERENCES)
@pytest.mark.parametrize(
    ("point", "direction", "scale"),
    [([0.5], [0.1], 10), ([4.0, -8.0], [0.0, 2.0], 4), ([1.5], [4.0], 0.375), ([0.0], [1.0], 1)],
)
def test_the_largest_change_is_a_step_relative_to_the_largest_entry(
    method, point, direction, scale
):
    point, direction, points = np.array(point), np.array(direction), []

    def record(x):
        points.append(x)
        return cube(x)

    directional_derivatives(record, point, direction, method, cube(point))
    steps = [1, -1] if method == "central" else [1, -1, 0.5, -0.5]
    expected = [point + s * STEPS[method] * scale * direction for s in steps]
    np.testing.assert_allclose(points, expected, rtol=1e-15)
    directional_derivatives(record, point, direction, method)
    np.testing.assert_array_equal(points[len(steps)], point)


@pytest.mark.parametrize(
    ("method", "kink", "value", "jump"),
    [
        ("central", 0.0, 0.0, 2.0),
        ("central", 0.75, -0.75, 0.5),
        ("central", 2.0, -1.0, 0.0),
        ("richardson", 0.0, 0.0, 2.0),
        ("richardson", 0.75, (-4 + 0.75) / 3, 0.25),  # between the half step and the whole one
        ("richardson", 2.0, -1.0, 0.0),
    ],
)
def test_a_kink_within_the_step_is_a_jump_of_the_slope(method, kink, value, jump):
    def values(x):
        return {"abs": np.abs(x - kink * STEPS[method]).sum()}

    found = directional_derivatives(values, 0 * ONE, ONE, method)["abs"]
    assert found == pytest.approx((value, jump), abs=1e-9)


def raises(error):
    def values(x):
        raise error

    return values


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (raises(ValueError("only floats")), "^ValueError: only floats$"),
        (raises(AssertionError()), "^AssertionError: it requires real numbers$"),
        (lambda x: cube(x.astype(float)), "^ComplexWarning: "),
    ],
)
def test_a_function_of_real_numbers_alone_is_refused_with_the_reason(values, reason):
    with pytest.raises(NotComplexSafe, match=reason):
        complex_steps(values, ONE, [ONE])


def test_other_warnings_of_the_function_are_no_reason():
    def values(x):
        warnings.warn("slow", UserWarning, stacklevel=1)
        return cube(x)

    with pytest.warns(UserWarning, match="slow"):
        assert complex_steps(values, ONE, [ONE, -ONE]) == [{"cube": 3.0}, {"cube": -3.0}]
