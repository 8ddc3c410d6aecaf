"""Known bugs of inverted dropout: ``y = x·m``, ``dx = dy·m``, with ``m = [kept]/keep_prob``.

The same mask, scale and all, on both ways; a new one for every step; none outside training.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.dropout import Dropout
from nnreg.random import RandomBits
from nnreg.testing.known_bugs.base import Formula, FormulaInputs, KnownBug, close

KEEP = 0.75


class KeepsThree(Dropout):
    """Dropout that keeps three units of four."""

    def __init__(self) -> None:
        super().__init__(keep_prob=KEEP)


class WrongDropout(Dropout):
    """Dropout with the right forward pass, and another backward formula."""

    def __init__(self, wrong: Formula) -> None:
        super().__init__(keep_prob=KEEP)
        self.wrong = wrong

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return the wrong ``dx``."""
        right = super().backward(dy, cache)
        masks = tuple((self._mask_of(s, cache, dy) > 0) * 1.0 for s in (cache.step, cache.step + 1))
        point = FormulaInputs(right, x=dy, dy=dy, constant=float(cache.mask.max()), masks=masks)
        return self.wrong(point).astype(dy.dtype)

    def _mask_of(self, step: int, cache: Cache, x: Array) -> Array:
        other = Cache(cache.dtype)
        other.reset(training=True, step=step, first_row=cache.first_row)
        return Dropout.forward(self, np.ones_like(x), other)


class Redrawn(KeepsThree):
    """Draws a mask in forward, and another in backward."""

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy`` times a new mask."""
        new = np.random.default_rng(12345).random(dy.shape) < KEEP
        dx: Array = (dy * new * float(cache.mask.max())).astype(dy.dtype)
        return dx


class ScaledAtInference(KeepsThree):
    """Inverts in training, and scales outside it too."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m``, or ``keep_prob·x``."""
        y = super().forward(x, cache)
        return y if cache.training else KEEP * y


class NotScaled(KeepsThree):
    """Scales nowhere."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·[kept]``, or ``x``."""
        y = super().forward(x, cache)
        if cache.mask is None:
            return y
        np.sign(cache.mask, out=cache.mask)
        kept: Array = x * cache.mask
        return kept


class OnAtInference(KeepsThree):
    """Drops units outside training too."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m`` always."""
        training, cache.training = cache.training, True
        y = super().forward(x, cache)
        cache.training = training
        return y


class DropsForKeeps(KeepsThree):
    """Takes the probability to keep for the probability to drop."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m`` with a mask that keeps the wrong share."""
        keep_prob, self.keep_prob = self.keep_prob, 1 - self.keep_prob
        y = super().forward(x, cache)
        self.keep_prob = keep_prob
        return y


class OneMaskForAllSteps(KeepsThree):
    """Seeds its generator anew in every pass."""

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m`` with the mask of step 0."""
        step, cache.step = cache.step, 0
        y = super().forward(x, cache)
        cache.step = step
        return y


class OwnGenerator(Dropout):
    """Draws from a generator that runs on, so that no step can be replayed."""

    def __init__(self) -> None:
        super().__init__(keep_prob=KEEP)
        self.generator = np.random.default_rng(0)

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m`` with the next mask."""
        cache.rng = RandomBits(self.generator.integers(0, 2**63, 2, dtype=np.uint64))
        return super().forward(x, cache)


def _redrawn(point: FormulaInputs, returned: Array) -> bool:
    """Return whether ``returned`` is ``dy`` times an unknown mask of the right scale."""
    if returned.shape != point.dy.shape or not point.masks:
        return False
    factor = returned / point.dy
    scale = float(factor.max())
    kept = np.abs(factor - scale) < 1e-6 * scale
    return bool(scale > 0 and not kept.all() and (kept | (np.abs(factor) < 1e-9)).all())


def _another_step(point: FormulaInputs, returned: Array) -> bool:
    return any(close(returned, point.dy * mask * point.constant) for mask in point.masks[1:])


def _backward(name: str, description: str, hint: str, wrong: Formula, **more: Any) -> KnownBug:
    return KnownBug(
        f"dropout: {name}",
        "dropout",
        description,
        hint,
        make=lambda: WrongDropout(wrong),
        block="inputs",
        wrong=wrong,
        **more,
    )


BOTH_WAYS = "y = x·m, so dx = dy·m: keep the mask in the cache, its scale included."

DROPOUT = (
    _backward(
        "mask and scale missing in backward",
        "dx is dy: the mask is not applied in backward.",
        f"{BOTH_WAYS} A dropped unit had no part in the output, so it gets no derivative.",
        lambda p: p.dy * 1.0,
    ),
    _backward(
        "mask missing in backward",
        "dx is dy/keep_prob for all units: the scale is applied in backward, the mask is not.",
        f"{BOTH_WAYS} A dropped unit had no part in the output, so it gets no derivative.",
        lambda p: p.dy * p.constant,
    ),
    _backward(
        "scale missing in backward",
        "dx is dy times [kept]: the scale 1/keep_prob is missing in backward.",
        BOTH_WAYS,
        lambda p: p.dy * p.mask,
    ),
    _backward(
        "scale twice",
        "dx has the scale 1/keep_prob twice.",
        "The mask in the cache has the scale in it: do not divide again.",
        lambda p: p.dy * p.mask * p.constant**2,
    ),
    _backward(
        "dropped units in backward",
        "dx passes through the dropped units and is zero at the kept ones.",
        "Is the mask of the kept, or of the dropped? Forward and backward must mean the same.",
        lambda p: p.dy * (1 - p.mask) * p.constant,
    ),
    _backward(
        "mask of another step",
        "dx has the mask of another step.",
        "Keep this pass's mask in the cache; a mask computed again must use this step's number.",
        lambda p: p.dy * p.masks[1] * p.constant,
        seen=_another_step,
    ),
    KnownBug(
        "dropout: mask redrawn in backward",
        "dropout",
        "dx has another mask than y: a new one was drawn in backward.",
        "Draw once, in forward, and keep the mask in the cache.",
        make=Redrawn,
        block="inputs",
        seen=_redrawn,
    ),
    KnownBug(
        "dropout: scaled at inference",
        "dropout",
        "Outside training the output is scaled, though training scales already.",
        "Inverted dropout divides by keep_prob in training so that inference need do nothing.",
        make=ScaledAtInference,
        code="expectation: inference",
    ),
    KnownBug(
        "dropout: not scaled",
        "dropout",
        "Training does not divide by keep_prob, and inference does not make up for it.",
        "The mean over all masks must be the output of inference: divide the kept by keep_prob.",
        make=NotScaled,
        code="expectation: training",
    ),
    KnownBug(
        "dropout: on at inference",
        "dropout",
        "Units are dropped outside training too.",
        "if not cache.training: return x",
        make=OnAtInference,
        code="inference is random",
    ),
    KnownBug(
        "dropout: keeps with the probability to drop",
        "dropout",
        "keep_prob is used as the probability to drop: the wrong share of units is kept.",
        "keep_prob = 0.8 keeps four units of five: mask = random < keep_prob.",
        make=DropsForKeeps,
        code="share",
    ),
    KnownBug(
        "dropout: one mask for all steps",
        "dropout",
        "Every step has the same mask: a smaller network is trained, always the same one.",
        "Do not seed in forward. Make the mask a function of (seed, step), as cache.step allows.",
        make=OneMaskForAllSteps,
        code="one mask",
    ),
    KnownBug(
        "dropout: cannot be replayed",
        "dropout",
        "The same step run twice gives two masks.",
        "Draw from a generator made of (seed, cache.step), so that a check can repeat the pass.",
        make=OwnGenerator,
        code="replay",
    ),
)
