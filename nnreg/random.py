"""Counter-based randomness: every draw is a function of (seed, purpose, counter) alone.

A counter-based generator (Philox 4x64-10; Salmon et al., SC 2011) computes random words from
a key and a counter, so any word of any stream can be computed directly, without the words before
it. The key is computed from the seed and the purpose ("initial values of layer 2", "masks of layer
1"); the counter is the number of the draw. NumPy's global state is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnreg._support.typing import Array

WORDS_PER_BLOCK = 4  # 64-bit words for one value of the counter,
BITS_PER_BLOCK = 16  # and 16-bit numbers in them
PIECE = 512  # blocks per draw, if a row has no more

PURPOSES = {"initial": 0, "order": 1, "mask": 2, "split": 3, "check": 4, "sampling": 5}


def key(seed: int, purpose: str, index: int = 0) -> Array:
    """Return the 128-bit key, (2,) uint64, of a stream: ``purpose`` number ``index``, ``seed``.

    >>> bool((key(0, "mask", 1) != key(0, "mask", 2)).any())
    True
    """
    return np.random.SeedSequence([seed, PURPOSES[purpose], index]).generate_state(2, np.uint64)


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return a NumPy generator for the stream; its draws depend on the arguments only.

    >>> orders = [generator(0, "order", 3).permutation(4).tolist() for _ in range(2)]
    >>> orders[0] == orders[1]
    True
    """
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, index)))


class RandomBits:
    """The raw bits of one stream, from any block of any counter.

    Each draw sets the position of one generator, so two threads must not share it.

    Parameters
    ----------
    key : ndarray of shape (2,), uint64

    Examples
    --------
    >>> bits = RandomBits(key(0, "mask"))
    >>> whole = bits.at(7, block=0).random_raw(8)
    >>> part = bits.at(7, block=1).random_raw(4)  # skips the first block
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

        Every row of the *whole* batch has the same number of blocks, so its bits do not depend on
        how the batch is split. Raw words cannot be drawn in place, so few rows are drawn at a time
        to limit memory.
        """
        rows, columns = shape
        blocks = -(-columns // BITS_PER_BLOCK)
        chunk_rows = max(1, PIECE // blocks)
        philox = self.at(counter, first_row * blocks)
        for start in range(0, rows, chunk_rows):
            count = min(chunk_rows, rows - start)
            words = philox.random_raw(count * blocks * WORDS_PER_BLOCK)
            bits = words.view(np.uint16).reshape(count, blocks * BITS_PER_BLOCK)
            yield slice(start, start + count), bits[:, :columns]
