"""Row numbers drawn from the network's seed: the batches of an epoch, and validation rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.network import Network

# Upper bound of n: a permutation of more rows does not fit into memory.
MAX_ROWS = 2**48

BLOCK_ROWS = 256  # consecutive rows that are moved together, if rows are shuffled by blocks
WINDOW_BLOCKS = 64  # at least so many blocks have their rows mixed


def batches(
    n: int, batch_size: int, net: Network, *, shuffle: bool | str = True
) -> Iterator[Array]:
    """Yield row numbers, batch by batch, in an order drawn from ``net.seed`` and ``net.epochs``.

    ``net.epochs`` is increased by one after the last batch.

    Parameters
    ----------
    n : int
        Number of rows in the data.
    batch_size : int
        Number of rows in a batch; the last batch may have fewer. It may exceed ``n``.
    net : Network
    shuffle : bool or "blocks", default True
        If False, the rows keep their order. ``"blocks"`` reads data in a file from
        fewer places.

    Notes
    -----
    With ``shuffle="blocks"``, the rows of a batch are in few places of the file, and no array with
    all row numbers is needed. The rows are cut into blocks of 256, the blocks are permuted, and the
    rows of at least 64 consecutive blocks (16,384 rows) are permuted among themselves. Each row
    occurs once per epoch. A row moves by n/3 places on average, as in a permutation of all rows.
    Two rows of a batch are from one block with a probability of at most 1.6 % (255 of 16,383),
    where a permutation has 255 of n - 1. If the rows of a block are alike, as in a file that is
    sorted by class, the mean of a batch of B rows has a variance of up to ``s²(1/B + 1/64)``
    instead of ``s²/B``; such a file should be shuffled once when it is written. Below 32,768 rows,
    the order is that of ``shuffle=True``.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, seed=0)
    >>> [rows.tolist() for rows in nn.batches(5, 2, net)], net.epochs
    ([[3, 1], [4, 2], [0]], 1)
    """
    n = validation.whole("n", n, 1, MAX_ROWS)
    batch_size = validation.whole("batch_size", batch_size, 1)
    validation.instance("net", net, Network, "a Network")
    shuffle = check_shuffle(shuffle)

    def yield_batches() -> Iterator[Array]:
        yield from draw_batches(n, batch_size, net, shuffle)
        net.epochs += 1

    return yield_batches()


def check_shuffle(shuffle: Any) -> bool | str:
    """Return ``shuffle`` if it is True, False or "blocks".

    >>> check_shuffle("block")
    Traceback (most recent call last):
        ...
    TypeError: shuffle must be True, False or 'blocks', got 'block'
    """
    if isinstance(shuffle, bool | np.bool_):
        return bool(shuffle)
    if not isinstance(shuffle, str) or shuffle != "blocks":
        got = validation.show(shuffle)
        raise TypeError(f"shuffle must be True, False or 'blocks', got {got}")
    return shuffle


def draw_batches(n: int, batch_size: int, net: Network, shuffle: bool | str) -> Iterator[Array]:
    """Yield the batches of the epoch ``net.epochs``, which does not change.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1)], inputs=1, seed=0)
    >>> [rows.tolist() for rows in draw_batches(5, 2, net, False)]
    [[0, 1], [2, 3], [4]]
    """
    if shuffle == "blocks" and n >= 2 * WINDOW_BLOCKS * BLOCK_ROWS:
        yield from _regroup(_draw_windows(n, net), batch_size)
    elif shuffle:
        order = random.generator(net.seed, "order", net.epochs).permutation(n)
        for start in range(0, n, batch_size):
            yield order[start : start + batch_size]
    else:
        for start in range(0, n, batch_size):
            yield np.arange(start, min(start + batch_size, n))


def _draw_windows(n: int, net: Network) -> Iterator[Array]:
    """Yield the shuffled rows of one window after the other."""
    generator = random.generator(net.seed, "order", net.epochs)
    order = generator.permutation(-(-n // BLOCK_ROWS))
    for window in np.array_split(order, len(order) // WINDOW_BLOCKS):
        rows = (window[:, np.newaxis] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).ravel()
        yield generator.permutation(rows[rows < n])


def _regroup(parts: Iterator[Array], size: int) -> Iterator[Array]:
    """Yield the rows of the parts in arrays of this size, except the last."""
    rest = np.empty(0, np.int64)
    for part in parts:
        rest = np.concatenate([rest, part])
        whole = len(rest) - len(rest) % size
        for start in range(0, whole, size):
            yield rest[start : start + size]
        rest = rest[whole:]
    if len(rest):
        yield rest


def split_validation(net: Network, rows: int, share: float) -> tuple[Array, Array]:
    """Return the numbers of the training rows and of the validation rows, drawn from ``net.seed``.

    >>> import nnreg as nn
    >>> split_validation(nn.Network([nn.Dense(1)], inputs=1, seed=0), 4, 0.25)
    (array([0, 2, 3]), array([1]))
    """
    count = round(share * rows)
    if count in (0, rows):
        empty = "training" if count else "validation"
        raise ValueError(f"validation_split={share:g} leaves none of {rows} rows for {empty}")
    order = random.generator(net.seed, "split").permutation(rows)
    return np.sort(order[count:]), np.sort(order[:count])
