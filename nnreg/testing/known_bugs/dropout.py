"""Known bugs of inverted dropout: ``y = x·m``, ``dx = dy·m``, with ``m = [kept]/keep_prob``.

The same mask and scale in forward and backward; a new mask for every step; none in inference.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.dropout import Dropout
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, KnownBug, bugs, close

KEEP = 0.75


class WrongDropout(Dropout):
    """Dropout with ``keep_prob = 0.75`` and a wrong ``m`` or a wrong ``dx``.

    Parameters
    ----------
    mask : function (layer, x, cache) -> ndarray or float, optional
        Returns ``m``.
    wrong : function (FormulaInputs) -> ndarray, optional
        Returns ``dx``.
    """

    def __init__(self, mask: Mask | None = None, wrong: Formula | None = None) -> None:
        super().__init__(keep_prob=KEEP)
        self.mask, self.wrong = mask, wrong
        self.generator = np.random.default_rng(0)

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m``."""
        if self.mask is None:
            return super().forward(x, cache)
        cache.mask = (np.ones(x.shape) * self.mask(self, x, cache)).astype(x.dtype)
        y: Array = x * cache.mask
        return y

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·m``, or the wrong ``dx``."""
        right = super().backward(dy, cache)
        if self.wrong is None:
            return right
        masks = tuple((draw(self, dy, cache, s) > 0) * 1.0 for s in (cache.step, cache.step + 1))
        point = FormulaInputs(right, x=dy, dy=dy, constant=float(cache.mask.max()), masks=masks)
        return self.wrong(point).astype(dy.dtype)


Mask: TypeAlias = Callable[[WrongDropout, Array, Cache], Any]


def draw(
    layer: Dropout, x: Array, cache: Cache, step: int | None = None, keep_prob: float = KEEP
) -> Array:
    """Return the factors of a dropout with this layer's key at a step."""
    other, new_cache = Dropout(keep_prob=keep_prob), Cache(x.dtype)
    other._key = layer._key
    step = cache.step if step is None else step
    new_cache.reset(training=True, step=step, first_row=cache.first_row)
    return other.forward(np.ones_like(x), new_cache)


def draw_anew(layer: WrongDropout, x: Array, cache: Cache) -> Array:
    """Return a mask from a generator that is not reset at each step."""
    return (layer.generator.random(x.shape) < KEEP) / KEEP


def _redrawn(point: FormulaInputs, returned: Array) -> bool:
    """Return whether ``returned`` is ``dy`` times an unknown mask with the right scale."""
    if returned.shape != point.dy.shape or not point.masks:
        return False
    factor = returned / (point.dy * point.constant)
    kept = np.abs(factor - 1) < 1e-6
    drawn = kept.any() and (kept | (np.abs(factor) < 1e-9)).all()
    return bool(drawn and (kept != point.mask).any() and not kept.all())


def _another_step(point: FormulaInputs, returned: Array) -> bool:
    return any(close(returned, point.dy * mask * point.constant) for mask in point.masks[1:])


BOTH_WAYS = "y = x·m, so dx = dy·m: store the mask in the cache, with its scale."

DROPOUT = (
    *bugs(
        "dropout",
        partial(WrongDropout, None),
        "inputs",
        (
            "mask and scale missing in backward",
            "dx is dy: the mask is not applied in backward.",
            f"{BOTH_WAYS} The output does not depend on a dropped unit, so its derivative is 0.",
            lambda p: p.dy * 1.0,
        ),
        (
            "mask missing in backward",
            "dx is dy/keep_prob for all units: the scale is applied in backward, the mask is not.",
            f"{BOTH_WAYS} The output does not depend on a dropped unit, so its derivative is 0.",
            lambda p: p.dy * p.constant,
        ),
        (
            "scale missing in backward",
            "dx is dy times [kept]: the scale 1/keep_prob is missing in backward.",
            BOTH_WAYS,
            lambda p: p.dy * p.mask,
        ),
        (
            "scale twice",
            "dx has the scale 1/keep_prob twice.",
            "The mask in the cache contains the scale: do not divide again.",
            lambda p: p.dy * p.mask * p.constant**2,
        ),
        (
            "dropped units in backward",
            "dx is nonzero at the dropped units and zero at the kept ones.",
            "Does the mask mark the kept or the dropped units? It must be the same in both passes.",
            lambda p: p.dy * (1 - p.mask) * p.constant,
        ),
        (
            "mask of another step",
            "dx has the mask of another step.",
            "Store the mask of the forward pass in the cache; a mask that is computed again must "
            "use the number of the same step.",
            lambda p: p.dy * p.masks[1] * p.constant,
            _another_step,
        ),
        (
            "mask redrawn in backward",
            "dx has another mask than y: a new one was drawn in backward.",
            "Draw once, in forward, and store the mask in the cache.",
            lambda p: p.dy * (np.random.default_rng(12345).random(p.dy.shape) < KEEP) * p.constant,
            _redrawn,
        ),
    ),
    *(
        KnownBug(
            f"dropout: {name}",
            "dropout",
            description,
            hint,
            make=partial(WrongDropout, mask),
            code=code,
        )
        for name, code, description, hint, mask in (
            (
                "scaled at inference",
                "expectation: inference",
                "The output is scaled in inference, although training scales already.",
                "Inverted dropout divides by keep_prob in training; in inference it is the "
                "identity.",
                lambda layer, x, cache: draw(layer, x, cache) if cache.training else KEEP,
            ),
            (
                "not scaled",
                "expectation: training",
                "Training does not divide by keep_prob, and inference does not compensate for it.",
                "The mean over all masks must be the output of inference: divide the kept units by "
                "keep_prob.",
                lambda layer, x, cache: draw(layer, x, cache) * KEEP if cache.training else 1.0,
            ),
            (
                "on at inference",
                "inference is random",
                "Units are dropped in inference too.",
                "if not cache.training: return x",
                draw,
            ),
            (
                "keeps with the probability to drop",
                "share",
                "keep_prob is used as the probability to drop: the wrong share of units is kept.",
                "keep_prob = 0.8 keeps four units of five: mask = random < keep_prob.",
                lambda layer, x, cache: (
                    draw(layer, x, cache, keep_prob=1 - KEEP) if cache.training else 1.0
                ),
            ),
            (
                "one mask for all steps",
                "one mask",
                "Every step has the same mask: the same smaller network is trained in every step.",
                "Do not use a fixed seed in forward. Make the mask a function of the seed and "
                "cache.step.",
                lambda layer, x, cache: draw(layer, x, cache, step=0) if cache.training else 1.0,
            ),
            (
                "cannot be replayed",
                "replay",
                "The same step run twice has two masks.",
                "Seed the generator with (seed, cache.step), so that a check can repeat the pass.",
                lambda layer, x, cache: draw_anew(layer, x, cache) if cache.training else 1.0,
            ),
        )
    ),
)
