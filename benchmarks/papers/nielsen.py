"""M. Nielsen, *Neural Networks and Deep Learning* (2015), chapter 3: the runs with a figure.

All have sigmoid units, the cross-entropy of a yes or no for each class, plain gradient descent in
batches of 10. His penalty is ``λ/2n · Σ w²`` for n training rows, so the strength here is ``λ/n``.
His own initial values are "large": weights and biases from N(0, 1). Figures are accuracies.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.papers.recipes import Recipe, Row

SMALL = 1_000
FULL = 50_000

BASE = Recipe(
    hidden=(30,),
    epochs=30,
    learning_rate=0.5,
    batch_size=10,
    activation="sigmoid",
    loss="sigmoid",
    initial="normal",
    rows=FULL,
    each_epoch=True,
)
FEW = replace(BASE, rows=SMALL, epochs=400)
WIDE = replace(BASE, hidden=(100,), l2=5.0 / FULL, measured="validation")
SLOW = replace(BASE, learning_rate=0.1, l2=5.0 / FULL)

ROWS = (
    Row("30 units, 1,000 rows, λ = 0", FEW, 82.27, "best"),
    Row("30 units, 1,000 rows, λ = 0.1", replace(FEW, l2=0.1 / SMALL), 87.1, "best"),
    Row("30 units, λ = 0", BASE, 95.49, "best"),
    Row("30 units, λ = 5", replace(BASE, l2=5.0 / FULL), 96.49, "best"),
    Row("100 units, λ = 5", WIDE, 97.92),
    Row("100 units, λ = 5, η = 0.1", replace(WIDE, learning_rate=0.1, epochs=60), 98.04, "best"),
    Row("30 units, λ = 5, η = 0.1", SLOW, 96.0, "best", at_least=True),
    Row(
        "30 units, λ = 5, η = 0.1, scaled start",
        replace(SLOW, initial="scaled"),
        96.0,
        "best",
        at_least=True,
    ),
)

PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7))
"""Rows that differ in one thing."""
