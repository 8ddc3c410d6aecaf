"""Randomness: a draw is a function of seed, purpose and counter, however it is split."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg import random


def bits(
    stream_key: np.ndarray, counter: int, shape: tuple[int, int], first_row: int = 0
) -> np.ndarray:
    """Collect what ``RandomBits.rows`` yields; every entry must come exactly once."""
    result, times = np.zeros(shape, np.uint16), np.zeros(shape, int)
    for where, piece in random.RandomBits(stream_key).rows(counter, first_row, shape):
        result[where] = piece
        times[where] += 1
    assert (times == 1).all()
    return result


def expected_bits(stream_key: np.ndarray, counter: int, shape: tuple[int, int]) -> np.ndarray:
    """Draw the whole batch at once: blocks of four words, each word four numbers."""
    rows, columns = shape
    blocks = (columns + 15) // 16
    philox = np.random.Philox(key=stream_key, counter=np.array([0, 0, counter, 0], np.uint64))
    words = philox.random_raw(rows * blocks * 4)
    return words.view(np.uint16).reshape(rows, blocks * 16)[:, :columns]


def test_keys_differ_by_seed_purpose_and_index():
    keys = {
        tuple(random.key(*which))
        for which in itertools.product([0, 1, 2**40], random.PURPOSES, [0, 1, 2])
    }
    assert len(keys) == 3 * len(random.PURPOSES) * 3


def test_a_generator_repeats_itself_for_the_same_arguments_and_for_no_others():
    draws = [
        random.generator(*which).random(4).tolist()
        for which in [
            (0, "order", 1),
            (0, "order", 1),
            (0, "order", 2),
            (0, "split", 1),
            (1, "order", 1),
        ]
    ]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) == 4


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_a_jump_to_a_block_skips_exactly_the_words_before_it(seed, counter):
    words = random.RandomBits(random.key(seed, "mask"))
    whole = words.at(counter, 0).random_raw(40)
    for block in [9, 0, 3]:  # back and forth
        np.testing.assert_array_equal(
            words.at(counter, block).random_raw(40 - 4 * block), whole[4 * block :]
        )


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 10**12))
def test_rows_are_the_bits_of_one_draw_of_the_whole_batch(N, D, counter):
    key = random.key(3, "mask")
    np.testing.assert_array_equal(bits(key, counter, (N, D)), expected_bits(key, counter, (N, D)))


@pytest.mark.parametrize(
    "shape", [(3, 16384), (3, 16385), (2, 20000), (2, 40001), (1100, 16), (700, 33), (2, 16383)]
)
def test_rows_are_the_bits_of_one_draw_when_they_come_in_several_pieces(shape):
    key = random.key(3, "mask")
    np.testing.assert_array_equal(bits(key, 5, shape), expected_bits(key, 5, shape))


@given(st.integers(1, 40), st.integers(1, 70), st.data())
def test_rows_drawn_in_parts_are_the_rows_drawn_at_once(N, D, data):
    cut = data.draw(st.integers(0, N))
    key = random.key(0, "mask")
    parts = [bits(key, 7, (cut, D)), bits(key, 7, (N - cut, D), first_row=cut)]
    np.testing.assert_array_equal(np.concatenate(parts), bits(key, 7, (N, D)))


def test_wide_rows_drawn_one_by_one_are_the_rows_drawn_at_once():
    key = random.key(0, "mask")
    parts = [bits(key, 7, (1, 20001), first_row=row) for row in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), bits(key, 7, (3, 20001)))


def test_a_copy_draws_the_same_bits():
    words = random.RandomBits(random.key(0, "mask"))
    copy = pickle.loads(pickle.dumps(words))
    np.testing.assert_array_equal(copy.at(7, 1).random_raw(8), words.at(7, 1).random_raw(8))


def test_no_two_steps_share_words():
    words = random.RandomBits(random.key(0, "mask"))
    drawn = np.concatenate([words.at(step, 0).random_raw(4000) for step in range(10)])
    assert len(set(drawn.tolist())) == drawn.size


def test_no_piece_of_several_rows_is_larger_than_64_kib():
    for shape in [(1000, 512), (5, 100_000), (4000, 1)]:
        for _, piece in random.RandomBits(random.key(0, "mask")).rows(0, 0, shape):
            assert len(piece) == 1 or piece.base.nbytes <= 32 * 1024


def test_the_streams_are_the_ones_they_have_always_been():
    # A changed number here is a change of every result: it belongs into the changelog.
    assert random.key(0, "mask", 1).tolist() == [
        14406252260519237621,
        16479199726747462040,
    ]
    assert bits(random.key(0, "mask", 1), 2, (1, 4)).tolist() == [[32232, 56919, 48645, 42554]]
    assert random.key(0, "mask").tolist() == random.key(0, "mask", 0).tolist()
    assert random.generator(0, "initial").integers(1000, size=3).tolist() == [135, 14, 937]
