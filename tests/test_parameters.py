"""One vector, weights first, with named views; a gradient is the same kind of object."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnreg as nn

DECLARED = {
    "a.bias": nn.Parameter((2,), nn.zeros, weight=False),
    "a.weight": nn.Parameter((3, 2), nn.zeros),
    "b.scale": nn.Parameter((1,), nn.ones, weight=False),
    "b.weight": nn.Parameter((2, 4), None),
}

declarations = st.lists(
    st.tuples(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans()),
    min_size=1,
    max_size=6,
).map(
    lambda drawn: {
        f"layer.p{i}": nn.Parameter(tuple(shape), None, weight=weight)
        for i, (shape, weight) in enumerate(drawn)
    }
)


def test_a_parameter_is_a_weight_unless_it_says_otherwise():
    assert nn.Parameter((2,), nn.zeros).weight
    with pytest.raises(TypeError):
        nn.Parameter((2,), nn.zeros, False)


def test_weights_come_first_and_everything_else_after_them():
    p = nn.Parameters(DECLARED, "float64")
    p.vector[:] = np.arange(17)
    np.testing.assert_array_equal(p["a.weight"], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(p["b.weight"], [[6, 7, 8, 9], [10, 11, 12, 13]])
    np.testing.assert_array_equal(p["a.bias"], [14, 15])
    np.testing.assert_array_equal(p["b.scale"], [16])
    np.testing.assert_array_equal(p.weights, np.arange(14))
    np.testing.assert_array_equal(p.biases, [14, 15, 16])


@given(declarations)
def test_the_views_cover_the_vector_once_declared_weights_first(declared):
    p = nn.Parameters(declared, "float64")
    for name, parameter in declared.items():
        p[name][...] += 1.0 if parameter.weight else -1.0
    assert (p.weights == 1.0).all()
    assert (p.biases == -1.0).all()
    size = sum(math.prod(parameter.shape) for parameter in declared.values())
    assert p.weights.size + p.biases.size == p.vector.size == size
    assert p.vector.flags.c_contiguous


def test_iteration_gives_the_names_in_layer_order():
    p = nn.Parameters(DECLARED, "float64")
    assert list(p) == list(DECLARED)
    assert len(p) == 4
    assert p["b.weight"].shape == (2, 4)


def test_a_layer_is_given_its_own_views_by_its_own_names():
    p = nn.Parameters(DECLARED, "float64")
    assert list(p.of("b")) == ["scale", "weight"]
    p.of("b")["scale"][...] = 7.0
    assert p["b.scale"] == 7.0
    assert p.of("c") == {}


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"'a.wait'.*a\.bias, a\.weight, b\.scale, b\.weight"):
        nn.Parameters(DECLARED, "float64")["a.wait"]


def test_like_gives_zeros_of_the_same_names_and_shapes():
    p = nn.Parameters(DECLARED, "float32")
    p.vector[:] = 1.0
    g = p.like()
    assert g.vector.dtype == np.float32
    assert not g.vector.any()
    assert {name: g[name].shape for name in g} == {name: p[name].shape for name in p}
    assert p.like("complex128").vector.dtype == np.complex128


def test_a_copy_is_independent_and_can_be_cast():
    p = nn.Parameters(DECLARED, "float32")
    p.vector[:] = np.arange(17)
    q = p.copy("float64")
    np.testing.assert_array_equal(q.vector, p.vector)
    assert q.vector.dtype == np.float64
    q["a.weight"][...] = -1.0
    np.testing.assert_array_equal(p.vector, np.arange(17))


def test_memory_that_is_given_is_the_memory_that_is_used():
    vector = np.arange(17.0)
    p = nn.Parameters(DECLARED, "float64", vector)
    p["b.scale"][...] = -1.0
    assert vector[16] == -1.0


def test_scratch_is_the_same_memory_every_time():
    p = nn.Parameters(DECLARED, "float32")
    big = p.scratch(10)
    assert big.shape == (10,)
    assert big.dtype == np.float32
    assert np.shares_memory(big, p.scratch(4))
    assert not np.shares_memory(big, p.vector)


def test_the_repr_names_shapes_and_size():
    assert repr(nn.Parameters(DECLARED, "float32")) == (
        "<Parameters: 17 values of float32: "
        "a.bias (2,), a.weight (3, 2), b.scale (1,), b.weight (2, 4)>"
    )


NOT_VALUES = {
    "None": None,
    "a text": "1",
    "not a number": np.nan,
    "too large": 1e300,
    "complex": np.full(17, 1j),
    "dates": np.zeros(17, "M8[D]"),
    "masked": np.ma.masked_array(np.ones(17), mask=True),
    "another shape": np.ones(3),
    "to be broadcast": np.ones((1, 17)),
}


@pytest.mark.parametrize("values", NOT_VALUES.values(), ids=NOT_VALUES)
def test_assignments_write_through_and_are_checked(values):
    p = nn.Parameters(DECLARED, "float32")
    vector = p.vector
    p.vector = np.arange(17)
    p["b.scale"] = [8.0]
    p.biases += 1
    for name, write in (
        ("vector", lambda: setattr(p, "vector", values)),
        (r"b\.weight", lambda: p.__setitem__("b.weight", values)),
    ):
        with pytest.raises((TypeError, ValueError), match=name):
            write()
    assert p.vector is vector
    np.testing.assert_array_equal(vector, [*range(14), 15, 16, 9])


def test_parameters_are_a_mapping_that_is_compared_by_identity():
    p = nn.Parameters(DECLARED, "float32")
    assert dict(p).keys() == DECLARED.keys()
    assert "a.bias" in p
    assert "a.wait" not in p
    assert p != p.copy()
    assert len({p, p.copy()}) == 2


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        (("abc", nn.zeros), {}, "shape"),
        (((2.5,), nn.zeros), {}, "shape"),
        (((-1,), nn.zeros), {}, "shape"),
        (((2,), 5), {}, "initializer"),
        (((2,), nn.zeros), {"weight": "no"}, "weight"),
    ],
)
def test_a_declaration_of_something_else_is_an_error(arguments, options, name):
    with pytest.raises((TypeError, ValueError), match=name):
        nn.Parameter(*arguments, **options)
