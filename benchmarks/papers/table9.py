"""N. Srivastava et al., "Dropout" (JMLR 15, 2014), table 9: regularizations on MNIST, test error %.

784-1024-1024-2048-10 with rectifiers, trained by gradient descent with momentum 0.95. The paper
makes a million updates; here it is a few thousand, with a learning rate that falls to zero, so that
every row comes to rest in the time there is. Rows with dropout train longer, as the paper's
appendix A advises. The row without regularization is not in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.papers.recipes import Recipe, Row

SHORT, LONG = 4, 16

BASE = Recipe(
    hidden=(1024, 1024, 2048),
    epochs=SHORT,
    learning_rate=2e-3,
    batch_size=128,
    optimizer="adam",
    decays=True,
)
DROPOUT = replace(BASE, epochs=LONG, keep=(0.8, 0.7))

ROWS = (
    Row("none", BASE, None),
    Row("L2", replace(BASE, l2=1e-5), 1.62),
    Row("L2, then L1 too", replace(BASE, l2=1e-5, l1=1e-6), 1.60),
    Row("max-norm", replace(BASE, max_norm=2.0), 1.35),
    Row("dropout, L2", replace(DROPOUT, l2=1e-6), 1.25),
    Row("dropout, max-norm", replace(DROPOUT, max_norm=2.0), 1.05),
)

# What was tried on the validation rows, as changes of a recipe, with networks of half the width,
# which take a quarter of the time.
HALF = (512, 512, 1024)
EARLIER = {"learning_rate": 1e-3}
BRIEF = {"epochs": 8}
TRIALS: dict[str, tuple[dict[str, Any], ...]] = {
    "none": tuple({"learning_rate": rate} for rate in (5e-4, 1e-3, 2e-3)),
    "L2": tuple({"l2": l2} | EARLIER for l2 in (1e-5, 3e-5, 1e-4)),
    "L2, then L1 too": tuple({"l1": l1} | EARLIER for l1 in (1e-6, 3e-6, 1e-5)),
    "max-norm": tuple({"max_norm": limit} | EARLIER for limit in (1.0, 1.5, 2.0)),
    "dropout, L2": tuple({"l2": l2} | EARLIER | BRIEF for l2 in (1e-6, 1e-5)),
    "dropout, max-norm": (
        {"keep": (0.8, 0.7), "learning_rate": 2e-3} | BRIEF,
        {"keep": (0.9, 0.8), "learning_rate": 2e-3} | BRIEF,
        {"keep": (0.8, 0.7), "learning_rate": 4e-3} | BRIEF,
    ),
}


def candidates(row: Row) -> Iterator[tuple[dict[str, Any], Recipe]]:
    """Yield what was tried for a row: the changes, and the recipe on the validation rows."""
    for changed in TRIALS[row.name]:
        yield changed, replace(row.recipe, hidden=HALF, measured="validation", **changed)
