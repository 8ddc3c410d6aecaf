"""The cache: attributes for one pass, buffers that are reused by all passes."""

import pickle

import numpy as np
import pytest

import nnreg as nn


def test_a_new_cache_is_that_of_no_network_and_no_training_pass():
    cache = nn.Cache()
    assert (cache.training, cache.step, cache.first_row) == (False, 0, 0)
    assert (cache.owner, cache.gradients, cache.rng) == (None, None, None)


def test_what_a_layer_keeps_is_dropped_when_the_next_pass_begins():
    cache = nn.Cache()
    cache.reset(training=True, step=4, first_row=2)
    cache.x = np.ones(3)
    assert (cache.training, cache.step, cache.first_row) == (True, 4, 2)
    cache.reset(training=False, step=5)
    assert (cache.training, cache.step, cache.first_row) == (False, 5, 0)
    with pytest.raises(AttributeError, match="the cache has no 'x': the forward pass did not"):
        cache.x  # noqa: B018  (looking is the test)


def test_forgetting_drops_what_was_kept_but_not_the_buffers_nor_the_pass():
    cache = nn.Cache()
    cache.reset(training=True, step=4)
    buffer = cache.array("y", (2, 3))
    cache.y = buffer
    cache.clear()
    assert (cache.training, cache.step) == (True, 4)
    assert cache.array("y", (2, 3)) is buffer
    with pytest.raises(AttributeError):
        cache.y  # noqa: B018


def test_an_array_of_the_same_name_and_shape_is_the_same_array():
    cache = nn.Cache()
    assert cache.array("y", (4, 2)) is cache.array("y", (4, 2))
    assert not np.shares_memory(cache.array("y", (4, 2)), cache.array("dx", (4, 2)))


def test_a_smaller_batch_takes_the_first_rows_and_a_larger_one_grows_the_buffer_once():
    cache = nn.Cache()
    whole = cache.array("y", (4, 2))
    part = cache.array("y", (3, 2))
    assert part.shape == (3, 2)
    assert cache.array("y", (3, 2)) is part
    assert np.shares_memory(part[0], whole[0])
    assert part.flags.c_contiguous
    assert cache.array("y", (4, 2)) is whole
    grown = cache.array("y", (5, 2))
    assert not np.shares_memory(grown, whole)
    assert np.shares_memory(cache.array("y", (4, 2)), grown)


@pytest.mark.parametrize(("shape", "dtype"), [((4, 3), np.float32), ((4, 2), np.int64)])
def test_another_width_or_dtype_is_another_buffer(shape, dtype):
    cache = nn.Cache()
    first = cache.array("y", (4, 2))
    other = cache.array("y", shape, dtype)
    assert (other.shape, other.dtype) == (shape, dtype)
    assert not np.shares_memory(first, other)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_arrays_have_the_dtype_of_the_cache(dtype):
    assert nn.Cache(dtype).array("y", (1,)).dtype == dtype
    assert nn.Cache(dtype)["dense_1"].array("y", (1,)).dtype == dtype


def test_each_layer_has_a_cache_of_its_own():
    cache = nn.Cache()
    cache["dense_1"].x = 1
    cache["dense_2"].x = 2
    assert cache["dense_1"] is cache["dense_1"]
    assert (cache["dense_1"].x, cache["dense_2"].x) == (1, 2)


def test_a_copy_has_the_values_and_no_buffers():
    cache = nn.Cache("float64")
    cache.reset(training=True, step=4)
    cache.array("y", (4, 2))[...] = 1.0
    cache.x = np.arange(3)
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.training, copy.step, copy.x.tolist()) == (True, 4, [0, 1, 2])
    assert copy._buffers == copy._latest == {}


def test_another_network_finds_no_values_of_the_first():
    cache, first, second = nn.Cache(), object(), object()
    cache["dense_1"].x, cache.gradients = 1, "those of the first"
    cache.bind(first)
    cache.bind(first)
    assert (cache["dense_1"].x, cache.gradients) == (1, "those of the first")
    cache.bind(second)
    assert (cache.layers, cache.gradients, cache.owner) == ({}, None, second)
