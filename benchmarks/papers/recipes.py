"""Rows of a published table: a recipe of plain values, and the published figure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """Everything that a trained network's error depends on, but the seed and the data.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    epochs, batch_size : int
    learning_rate : float
        With ``decays``, the highest one.
    optimizer : {"sgd", "adam"}
    activation : {"relu", "sigmoid"}
    loss : {"softmax", "sigmoid"}
        The cross-entropy of one class of all, or of a yes or no for each class.
    initial : {"he", "normal", "scaled"}
        Weights from He's N(0, 2/D) with biases of 0; weights and biases from N(0, 1); or weights
        from N(0, 1/D) and biases from N(0, 1), D being a layer's inputs.
    decays : bool
        Whether the learning rate rises over the first twentieth of the steps, then falls to 0 along
        a cosine.
    l2, l1 : float
        Strengths, with ``l2/2 · Σ w²`` and ``l1 · Σ |w|``. L1 is proximal, and applied in the last
        third of the steps only.
    max_norm : float or None
        How long the vector of a unit's incoming weights may be.
    keep : (float, float)
        Probabilities to keep an input and a hidden unit.
    rows : int or None
        Train on the first so many rows of what is not kept for validation; None takes them all.
    measured : {"test", "validation"}
        Which rows the error is measured on. The last sixth of the training rows (10,000 of MNIST)
        is for validation, and only a recipe without ``rows`` that is measured on the test rows
        trains on it.
    each_epoch : bool
        Whether the error is measured after each epoch, not after the last one only.
    """

    hidden: tuple[int, ...]
    epochs: int
    learning_rate: float
    batch_size: int
    optimizer: str = "sgd"
    activation: str = "relu"
    loss: str = "softmax"
    initial: str = "he"
    decays: bool = False
    l2: float = 0.0
    l1: float = 0.0
    max_norm: float | None = None
    keep: tuple[float, float] = (1.0, 1.0)
    rows: int | None = None
    measured: str = "test"
    each_epoch: bool = False


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    name : str
    recipe : Recipe
    paper : float or None
        The published figure in percent; None where the table has no such row.
    figure : {"best", "last"}
        Which of the epochs the published figure is of.
    at_least : bool
        Whether ``paper`` is a bound: "above 96 %".
    """

    name: str
    recipe: Recipe
    paper: float | None
    figure: str = "last"
    at_least: bool = False


def with_epochs(rows: tuple[Row, ...], epochs: int | None) -> tuple[Row, ...]:
    """Return the rows with another number of epochs, or as they are."""
    if epochs is None:
        return rows
    return tuple(replace(row, recipe=replace(row.recipe, epochs=epochs)) for row in rows)
