"""Counter-based randomness: every draw is a function of (seed, purpose, counter) alone.

A counter-based generator (Philox 4x64-10; Salmon et al., SC 2011) turns a key and a counter into
random words, so any word of any stream can be computed at once, without the words before it. The
key is made from the seed and the purpose ("initial values of layer 2", "masks of layer 1"); the
counter says which draw it is. NumPy's global state is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnreg._support.typing import Array

WORDS_PER_BLOCK = 4  # one value of the counter gives four 64-bit words,
BITS_PER_BLOCK = 16  # that is sixteen numbers of 16 bits
PIECE = 512  # blocks drawn at once, where a row has no more

PURPOSES = {"initial": 0, "order": 1, "mask": 2, "split": 3, "check": 4, "sampling": 5}


def key(seed: int, purpose: str, index: int = 0) -> Array:
    """Return the 128-bit key, (2,) uint64, of a stream: ``purpose`` number ``index``, ``seed``.

    >>> bool((key(0, "mask", 1) != key(0, "mask", 2)).any())
    True
    """
    return np.random.SeedSequence([seed, PURPOSES[purpose], index]).generate_state(2, np.uint64)


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return a NumPy generator for the stream: the same one for the same arguments.

    >>> orders = [generator(0, "order", 3).permutation(4).tolist() for _ in range(2)]
    >>> orders[0] == orders[1]
    True
    """
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, index)))


class RandomBits:
    """The raw bits of one stream, from any block of any counter.

    It has one generator, set to a new position for each draw, so two threads must not share it.

    Parameters
    ----------
    key : ndarray of shape (2,), uint64

    Examples
    --------
    >>> bits = RandomBits(key(0, "mask"))
    >>> whole = bits.at(7, block=0).random_raw(8)
    >>> part = bits.at(7, block=1).random_raw(4)  # jumps over the first block
    >>> bool((whole[4:] == part).all())
    True
    """

    def __init__(self, key: Array) -> None:
        self.key = key
        self._philox = np.random.Philox(key=key)
        self._state = self._philox.state

    def __reduce__(self) -> tuple[Any, ...]:
        return RandomBits, (self.key,)

    def at(self, counter: int, block: int) -> np.random.Philox:
        """Return the generator set to ``block`` of the stream's draw number ``counter``."""
        position = self._state["state"]["counter"]
        position[0], position[2] = block, counter
        self._philox.state = self._state
        return self._philox

    def rows(
        self, counter: int, first_row: int, shape: tuple[int, int]
    ) -> Iterator[tuple[slice, Array]]:
        """Yield ``(index, bits)``, random uint16 that cover an array of this shape by its rows.

        Every row of the *whole* batch owns the same number of blocks, so rows from ``first_row`` on
        are the same bits in however many parts they are drawn. Raw words cannot be drawn in place,
        so few rows are drawn at once.
        """
        rows, columns = shape
        blocks = -(-columns // BITS_PER_BLOCK)
        height = max(1, PIECE // blocks)
        philox = self.at(counter, first_row * blocks)
        for top in range(0, rows, height):
            count = min(height, rows - top)
            words = philox.random_raw(count * blocks * WORDS_PER_BLOCK)
            bits = words.view(np.uint16).reshape(count, blocks * BITS_PER_BLOCK)
            yield slice(top, top + count), bits[:, :columns]
