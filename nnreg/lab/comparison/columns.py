"""The columns of the table: what is measured, and what it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One measured figure.

    Parameters
    ----------
    key : str
        Its name in `Run.figures`.
    head : str
        Its name in a table.
    text : str
        What it is, in a sentence.
    digits : int, default 3
        After the point.
    percent : bool, default False
        Whether a share is shown as a percentage.

    Examples
    --------
    >>> Column("gap", "gap", "", digits=2).show(0.5, 0.013)
    '0.50 ± 0.01'
    >>> Column("zeros", "zeros", "", digits=1, percent=True).show(0.25, None)
    '25.0'
    """

    key: str
    head: str
    text: str
    digits: int = 3
    percent: bool = False

    def show(self, mean: float, sd: float | None) -> str:
        """Return mean and standard deviation as a table shows them; there is none of one repeat."""
        factor = 100.0 if self.percent else 1.0
        text = f"{mean * factor:.{self.digits}f}"
        return text if sd is None else f"{text} ± {sd * factor:.{self.digits}f}"


_ACCURACY = "The share of {} rows whose most probable class is the labelled one."
_LOSS = (
    "The mean cross-entropy of the {} rows, without the penalty, in inference mode: dropout off."
)

FIT = (
    Column("train_accuracy", "train acc %", _ACCURACY.format("training"), 1, True),
    Column("test_accuracy", "test acc %", _ACCURACY.format("test"), 1, True),
    Column("train_loss", "train loss", _LOSS.format("training")),
    Column("test_loss", "test loss", _LOSS.format("test")),
    Column(
        "gap",
        "gap",
        "The generalization gap: test loss minus train loss. Wrong training labels raise the train "
        "loss of a network that does not believe them, so with label noise it can be below 0.",
    ),
)
"""How well the network does."""

NOISY = Column(
    "test_loss_noisy",
    "test, noisy",
    "What the test loss would be if test labels were wrong as often as training labels: the mean "
    "over all ways to make them wrong. It compares like with like; the verdict is made with it.",
)
"""Shown where there is label noise; without, it is the test loss."""

WEIGHTS = (
    Column(
        "penalty",
        "penalty",
        "L2: strength/2 · Σ w². L1: strength · Σ |w|. Over all weights, never over biases; dropout "
        "has none.",
    ),
    Column("total", "total", "Train loss plus penalty: what training makes small."),
    Column("weight_norm", "weight norm", "√(Σ w²) over all weights.", 1),
    Column("zeros", "zero weights %", "The share of weights that are exactly 0.", 1, True),
    Column("seconds", "seconds", "Training time of one run, without the measuring.", 1),
)
"""What regularization does to the objective and to the weights."""


def shown(label_noise: float) -> tuple[Column, ...]:
    """Return all columns that a comparison with so much label noise has.

    >>> [column.head for column in shown(0.0)][4:6]
    ['gap', 'penalty']
    """
    return (*FIT, *((NOISY,) if label_noise else ()), *WEIGHTS)
