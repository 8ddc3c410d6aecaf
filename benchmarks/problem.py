"""Training problem given to every framework: a network, its initial weights, data, order of rows.

All of it follows from the fields of :class:`Problem`, so a framework in another process creates the
same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Every hyper-parameter is exact in float32 too, since Keras lets some pass through it. Rates are
# small, so that rounding errors stay small over ten steps of a deep network.
RATES = {"sgd": 2**-7, "momentum": 2**-7, "adam": 2**-13}
MOMENTUM = 0.875
BETA_1, BETA_2 = 0.875, 1 - 2**-10
EPSILON = 2**-27  # 7e-9
OPTIMIZERS = tuple(RATES)

REGULARIZATIONS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "l2": ("l2",),
    "l1": ("l1",),
    "dropout": ("keep",),
    "dropout+l2": ("keep", "l2"),
}
STRENGTHS = {"l1": 2**-17, "l2": 2**-13}  # 8e-6 and 1e-4

ROWS = 16_384  # of data, unless a batch needs more
MASKS = 4  # sets of given masks, taken in turn


@dataclass(frozen=True)
class Problem:
    """A network of ReLU layers that is trained on softmax cross-entropy.

    ``widths`` begins with the inputs and ends with the classes. ``keep`` is the probability that a
    hidden unit is kept. The objective has ``l1·Σ|w| + l2/2·Σw²`` over weights, not biases. With
    ``given_masks`` a framework draws no masks but takes those of :meth:`masks` in turn.
    """

    batch: int
    widths: tuple[int, ...]
    keep: float = 1.0
    optimizer: str = "adam"
    l1: float = 0.0
    l2: float = 0.0
    dtype: str = "float32"
    given_masks: bool = False
    epsilon: float = EPSILON

    def regularized(self, name: str) -> Problem:
        """Return the problem with one of ``REGULARIZATIONS``; its ``keep`` is used or dropped."""
        parts = REGULARIZATIONS[name]
        strengths = {part: STRENGTHS[part] for part in parts if part in STRENGTHS}
        return replace(
            self,
            **{"l1": 0.0, "l2": 0.0, "keep": self.keep if "keep" in parts else 1.0, **strengths},
        )

    @property
    def rate(self) -> float:
        """The learning rate."""
        return RATES[self.optimizer]

    @property
    def momentum(self) -> float:
        """The momentum, of ``sgd`` zero."""
        return MOMENTUM if self.optimizer == "momentum" else 0.0

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        return self.widths[1:-1]

    @property
    def drops(self) -> bool:
        """Whether there is dropout."""
        return self.keep < 1.0

    @property
    def batches(self) -> int:
        """How many batches the data make."""
        return max(4, min(500, ROWS // self.batch))

    def data(self) -> tuple[Array, Array]:
        """Return inputs with the mean square of MNIST, and class numbers of which half are random.

        Random labels keep the loss and the gradients from vanishing in long runs.
        """
        rng = np.random.default_rng(1)
        rows, inputs, classes = self.batches * self.batch, self.widths[0], self.widths[-1]
        x = rng.random((rows, inputs), dtype=np.float32) * np.float32(0.6)
        taught = (x @ rng.normal(size=(inputs, classes)).astype(np.float32)).argmax(axis=1)
        by_chance = rng.integers(0, classes, rows)
        y = np.where(rng.random(rows) < 0.5, taught, by_chance)
        return x.astype(self.dtype), y.astype(np.int64)

    def order(self) -> Array:
        """Return row numbers: step ``i`` takes batch ``i``, cyclically."""
        return np.random.default_rng(2).permutation(self.batches * self.batch)

    def rows(self, step: int) -> Array:
        """Return the row numbers of a step."""
        return self.order().reshape(self.batches, self.batch)[step % self.batches]

    def weights(self) -> list[tuple[Array, Array]]:
        """Return ``(w, b)`` of each layer, of shapes (inputs, outputs) and (outputs,)."""
        rng = np.random.default_rng(3)
        return [
            (
                (rng.normal(size=(d, m)) * (2 / d) ** 0.5).astype(self.dtype),
                np.zeros(m, self.dtype),
            )
            for d, m in zip(self.widths[:-1], self.widths[1:], strict=True)
        ]

    def masks(self) -> list[Array]:
        """Return, for each hidden layer, given masks (MASKS, batch, width) of 0 and ``1/keep``."""
        rng = np.random.default_rng(4)
        return [
            ((rng.random((MASKS, self.batch, width)) < self.keep) / self.keep).astype(self.dtype)
            for width in self.hidden
        ]

    def __str__(self) -> str:
        runs = [(width, len(list(same))) for width, same in groupby(self.widths)]
        widths = "-".join(
            f"{count}×{width}" if count > 3 else "-".join([str(width)] * count)
            for width, count in runs
        )
        words = [f"{widths} by {self.batch}", self.optimizer]
        words += [f"L1 {self.l1:.1g}"] if self.l1 else []
        words += [f"L2 {self.l2:.1g}"] if self.l2 else []
        words += [f"keep {self.keep:g}"] if self.drops else []
        words += ["given masks"] if self.given_masks and self.drops else []
        return ", ".join(words)


CONFIGURATIONS = {
    "tiny": Problem(16, (64, 32, 10), 0.8),
    "class": Problem(32, (784, 128, 10), 0.8),
    "narrow": Problem(24, (120, 96, 4), 0.8),
    "middle": Problem(64, (300, 450, 300, 7), 0.8),
    "seed": Problem(128, (784, 512, 512, 10), 0.5),
    "table9": Problem(128, (784, 1024, 1024, 2048, 10), 0.5),
}
