"""Dropout: layers that multiply their inputs by random factors in training.

The factors are a function of the seed, the layer's index, the step and the row of the whole batch,
so they do not depend on how the batch is split.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import numpy as np

from nnreg import kernels, random
from nnreg._support import hyperparameters, validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer


class Dropout(Layer):
    """In training, keep each unit with probability ``keep_prob``, and scale the kept units.

    ``y = x·m`` with ``m = [kept]/keep_prob``, drawn in every step, so that ``E[y] = x`` and
    inference needs no scaling (Srivastava et al., 2014, section 10): there ``y = x``.

    Parameters
    ----------
    keep_prob : float, default 1
        In (0, 1], rounded to a multiple of 1/65536. Keyword only, because in other libraries a
        positional number is the probability to drop: their ``rate=0.2`` is ``keep_prob=0.8``. May
        be changed at any time, with effect from the next batch.

    Raises
    ------
    ValueError, TypeError
        If ``keep_prob`` is outside its bounds, or passed under another name or by position.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dropout(keep_prob=0.5)], inputs=8, seed=0)
    >>> net.forward(np.ones((1, 8)), training=True)[0]
    array([[2., 2., 2., 0., 2., 2., 0., 0.]], dtype=float32)
    >>> net.predict(np.ones((1, 8)))
    array([[1., 1., 1., 1., 1., 1., 1., 1.]], dtype=float32)
    """

    stochastic = True
    initializer_before = None
    keep_prob = hyperparameters.Checked(validation.number, 0, 1, open_low=True)

    def __init__(self, *, keep_prob: float = 1.0) -> None:
        self.keep_prob = keep_prob
        self._key = random.key(0, "mask")

    def bind(self, name: str, views: dict[str, Array], seed: int, index: int) -> None:
        """Bind the layer to a network, and create the key of its masks."""
        super().bind(name, views, seed, index)
        self._key = random.key(seed, "mask", index)

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m`` in training mode, otherwise ``x``."""
        cache.mask = None
        if not cache.training or self.keep_prob == 1:
            return x
        if cache.rng is None:
            cache.rng = random.RandomBits(self._key)
        mask = cache.mask = cache.array("mask", x.shape)
        for index, bits in cache.rng.rows(cache.step, cache.first_row, x.shape):
            self._write_mask(bits, mask[index])
        return np.multiply(x, mask, out=cache.array("y", x.shape))

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·m``."""
        if cache.mask is None:
            return dy
        dx: Array = np.multiply(dy, cache.mask, out=cache.array("dx", dy.shape))
        return dx

    def _write_mask(self, bits: Array, out: Array) -> None:
        """Write the factors ``m``, each computed from 16 random bits."""
        kernels.keep_mask(bits, kernels.keep_threshold(self.keep_prob), out=out)


LOOKUPS = 4096  # units per call of np.take, which converts their 16 bits to 64


class GaussianDropout(Dropout):
    """In training, multiply each unit by a normal factor of mean 1 and variance ``(1-p)/p``.

    ``y = x·m`` with ``m ~ N(1, (1-p)/p)`` and ``p = keep_prob``, drawn in every step, so that
    ``E[y] = x``. In inference ``y = x``. A factor is a function of the seed, the layer's index, the
    step and the row, like a mask of :class:`nnreg.Dropout`.

    Parameters
    ----------
    keep_prob : float, default 1
        In (0, 1]; 1 is the identity. The variance of the noise equals that of
        :class:`nnreg.Dropout` with the same ``keep_prob``. Other libraries use
        ``rate = 1 - keep_prob``. May be changed at any time, with effect from the next batch.

    Raises
    ------
    ValueError, TypeError
        If ``keep_prob`` is outside its bounds, or passed under another name or by position.

    Notes
    -----
    A factor is computed from 16 random bits and a table of 65,536 quantiles of the normal
    distribution, with mean 0 and variance 1 up to rounding. The largest deviation is 4.33 standard
    deviations.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.GaussianDropout(keep_prob=0.8)], inputs=4, seed=0)
    >>> net.forward(np.ones((1, 4)), training=True)[0].round(2)
    array([[ 0.45, -0.11,  0.76,  1.59]], dtype=float32)
    >>> net.predict(np.ones((1, 4)))
    array([[1., 1., 1., 1.]], dtype=float32)
    """

    def _write_mask(self, bits: Array, out: Array) -> None:
        quantiles = normal_quantiles(out.dtype)
        chunk_rows = max(1, LOOKUPS // bits.shape[1])
        for start in range(0, len(bits), chunk_rows):
            rows = slice(start, start + chunk_rows)
            np.take(quantiles, bits[rows], mode="clip", out=out[rows])
        out *= math.sqrt((1 - self.keep_prob) / self.keep_prob)
        out += 1.0


@functools.cache
def normal_quantiles(dtype: np.dtype[Any]) -> Array:
    """Return 65,536 equally likely values, (65536,), of a standard normal variable.

    They are the quantiles at ``(k + ½)/65536``, scaled by 1 part in 100,000 so that their
    variance is 1.

    >>> z = normal_quantiles(np.dtype("float64"))
    >>> z[[0, 32768, 65535]].round(5), round(float(z @ z) / 65536, 12)
    (array([-4.32496e+00,  2.00000e-05,  4.32496e+00]), 1.0)
    """
    quantile = NormalDist().inv_cdf
    half = np.array([quantile((k + 0.5) / 65536) for k in range(32768)])
    half /= math.sqrt(float(half @ half) / 32768)
    table = np.concatenate([half, -half[::-1]]).astype(dtype)
    table.flags.writeable = False
    return table


def draw_factors(layer: Layer, units: int, *, steps: int, row: int = 0) -> Array:
    """Return the factors of the units of one row at each of the first steps.

    Parameters
    ----------
    layer : Layer
        A stochastic layer of a network.
    units : int
        The number of its inputs.
    steps : int
        Number of steps, from step 0.
    row : int, default 0
        The number of the row within the batch.

    Returns
    -------
    ndarray of shape (steps, units), float64

    Raises
    ------
    ValueError
        If the layer is not stochastic, or belongs to no network.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dropout(keep_prob=0.5)], inputs=8)
    >>> factors = draw_factors(net.layers[0], 8, steps=30)
    >>> factors.shape, np.unique(factors)
    ((30, 8), array([0., 2.]))
    """
    if not layer.stochastic or not layer.name:
        raise ValueError(f"layer must be a stochastic layer of a network, got {layer!r}")
    factors = np.empty((validation.whole("steps", steps, 1), validation.whole("units", units, 1)))
    row, cache = validation.whole("row", row), Cache("float64")
    for step, row_factors in enumerate(factors):
        cache.reset(training=True, step=step, first_row=row)
        row_factors[...] = layer.forward(np.ones((1, units)), cache)[0]
    return factors


def disable_dropout(layers: Iterable[Layer]) -> None:
    """Set ``keep_prob`` of every stochastic layer to 1.

    >>> layer = Dropout(keep_prob=0.5)
    >>> disable_dropout([layer])
    >>> layer.keep_prob
    1.0
    """
    for layer in layers:
        if layer.stochastic:
            setattr(layer, "keep_prob", 1.0)  # noqa: B010  # not an attribute of Layer
