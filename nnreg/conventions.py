r"""Conventions: what the same strength means elsewhere, as code.

Everybody writes "L2 with strength s" and means something else: a factor of two, a division by the
rows of the data or of the batch, biases included or not, added to the gradient or taken off the
weights. What matters in training is what a strength ``s`` adds to the derivative by one weight:
``c·s·w`` for L2 and ``c·s·sign(w)`` for L1. Here each source's ``c`` is written down, and
:func:`convert_penalty` is a quotient of two of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnreg._support import validation


@dataclass(frozen=True)
class Convention:
    """One source's definition of a penalty.

    Attributes
    ----------
    source : str
        The name by which :func:`convert_penalty` knows it.
    kind : {"l2", "l1"}
    formula : str
        As the source writes it, ``s`` the strength.
    factor : float
        The number in ``c``.
    divided_by : {"", "n", "batch"}
        What ``c`` is divided by: nothing, the rows of the training set, or those of a batch.
    biases : str
        Whether biases are penalized.
    decoupled : bool
        Whether the decay is taken off the weights instead of being added to the gradient. The two
        are the same for plain SGD and for nothing else.
    held_by : str
        Which library was made to take a step of training that came out as the same step here; where
        there is none, the formula alone was compared, as its source documents it.
    note : str

    Examples
    --------
    >>> find("sklearn").coefficient(batch=200)
    0.005
    """

    source: str
    kind: str
    formula: str
    factor: float = 1.0
    divided_by: str = ""
    biases: str = "no"
    decoupled: bool = False
    held_by: str = ""
    note: str = ""

    def coefficient(self, *, n: int | None = None, batch: int | None = None) -> float:
        """Return ``c``: what a strength of 1 adds to the derivative, times ``w`` or ``sign(w)``."""
        if not self.divided_by:
            return self.factor
        rows = {"n": n, "batch": batch}[self.divided_by]
        if rows is None:
            what = {"n": "rows of the training set", "batch": "rows of a batch"}[self.divided_by]
            raise ValueError(f"{self.source} divides by the {what}: give {self.divided_by}=")
        return self.factor / validation.whole(self.divided_by, rows, 1)


CONVENTIONS = (
    Convention("nnreg", "l2", "s/2 sum w^2"),
    Convention("article", "l2", "s/2 sum w^2", note="the article that nnreg grew from"),
    Convention("tf.nn.l2_loss", "l2", "s sum(w^2)/2", biases="as called", held_by="TensorFlow"),
    Convention(
        "tf.contrib",
        "l2",
        "s sum(w^2)/2",
        biases="as called",
        note="l2_regularizer of TensorFlow 1, which is gone",
    ),
    Convention(
        "keras",
        "l2",
        "s sum w^2",
        2.0,
        biases="own argument",
        held_by="Keras",
        note="regularizers.L2",
    ),
    Convention(
        "keras-weight-decay",
        "l2",
        "w -= lr s w",
        biases="yes",
        decoupled=True,
        held_by="Keras",
        note="weight_decay= of an optimizer",
    ),
    Convention(
        "torch",
        "l2",
        "g += s w",
        biases="yes",
        held_by="PyTorch",
        note="weight_decay= of SGD and Adam",
    ),
    Convention(
        "torch-adamw",
        "l2",
        "w -= lr s w",
        biases="yes",
        decoupled=True,
        held_by="PyTorch",
        note="weight_decay= of AdamW",
    ),
    Convention(
        "sklearn",
        "l2",
        "s/(2 batch) sum w^2",
        divided_by="batch",
        held_by="scikit-learn",
        note="alpha of MLPClassifier with sgd or adam",
    ),
    Convention(
        "sklearn-lbfgs",
        "l2",
        "s/(2n) sum w^2",
        divided_by="n",
        held_by="scikit-learn",
        note="alpha of MLPClassifier with lbfgs",
    ),
    Convention(
        "thinc",
        "l2",
        "w -= lr s w",
        biases="yes",
        decoupled=True,
        held_by="thinc",
        note="L2= of an optimizer; w is the updated weight already",
    ),
    Convention(
        "thinc-coupled",
        "l2",
        "g += s w",
        biases="yes",
        held_by="thinc",
        note="L2= with L2_is_weight_decay=False",
    ),
    Convention("nnfs", "l2", "s sum w^2", 2.0, biases="own argument"),
    Convention("tf-playground", "l2", "s/2 w^2", note="subtracts lr s w, not divided by the batch"),
    Convention("cs231n", "l2", "s/2 sum w^2", note="the assignments"),
    Convention(
        "cs231n-notes",
        "l2",
        "s sum w^2",
        2.0,
        note="the elastic net of the notes, which halve plain L2",
    ),
    Convention("nielsen", "l2", "s/(2n) sum w^2", divided_by="n", note="chapter 3 of his book"),
    Convention("deeplearning.ai", "l2", "s/(2n) sum w^2", divided_by="n", note="the assignments"),
    Convention("nnreg", "l1", "s sum abs(w)"),
    Convention("article", "l1", "s sum abs(w)", note="the article that nnreg grew from"),
    Convention(
        "keras",
        "l1",
        "s sum abs(w)",
        biases="own argument",
        held_by="Keras",
        note="regularizers.L1",
    ),
    Convention("nielsen", "l1", "s/n sum abs(w)", divided_by="n"),
    Convention(
        "nnfs", "l1", "s sum abs(w)", biases="own argument", note="its derivative at 0 is +1"
    ),
    Convention("tf-playground", "l1", "s abs(w)", note="a link once clipped at 0 stays dead"),
    Convention("cos495", "l1", "s/2 sum abs(w)", 0.5, note="Princeton's course"),
)


def find(source: str, kind: str = "l2") -> Convention:
    """Return the convention of a source.

    Raises
    ------
    ValueError
        If there is none; the error names the nearest.
    """
    kind = validation.one_of("kind", kind, ["l2", "l1"])
    known = {c.source: c for c in CONVENTIONS if c.kind == kind}
    return known[validation.one_of("source", source, known)]


def convert_penalty(
    strength: float,
    *,
    from_: str,
    to: str,
    kind: str = "l2",
    n: int | None = None,
    batch: int | None = None,
    plain_sgd: bool = False,
) -> float:
    """Return the strength that does in one source what ``strength`` does in another.

    Parameters
    ----------
    strength : float
    from_, to : str
        Sources of the table ``CONVENTIONS``: ``"nnreg"``, ``"keras"``, ``"sklearn"``, ...
    kind : {"l2", "l1"}, default "l2"
    n, batch : int, optional
        Rows of the training set and of a batch, for sources that divide by them.
    plain_sgd : bool, default False
        Says that the optimizer is plain SGD, for which decoupled decay and a penalty are the same.

    Raises
    ------
    ValueError
        If a source is unknown, a number of rows is missing, or exactly one of the two is decoupled.

    Examples
    --------
    >>> convert_penalty(0.01, from_="nnreg", to="keras")
    0.005
    >>> convert_penalty(5.0, from_="nielsen", to="nnreg", n=50_000)
    0.0001
    >>> convert_penalty(0.01, from_="nnreg", to="torch-adamw")
    Traceback (most recent call last):
        ...
    ValueError: torch-adamw takes its decay off the weights, which equals a penalty for plain SGD
    only: \
say plain_sgd=True if that is what you use
    """
    strength = validation.number("strength", strength, 0)
    source, target = find(from_, kind), find(to, kind)
    if source.decoupled != target.decoupled and not plain_sgd:
        name = (source if source.decoupled else target).source
        raise ValueError(
            f"{name} takes its decay off the weights, which equals a penalty for plain SGD only: "
            "say plain_sgd=True if that is what you use"
        )
    return strength * source.coefficient(n=n, batch=batch) / target.coefficient(n=n, batch=batch)


def markdown_table(kind: str = "l2") -> str:
    """Return the conventions as a Markdown table, for the documentation.

    >>> print(markdown_table("l1").splitlines()[2])
    | `nnreg` | `s sum abs(w)` | `s sign(w)` | no | its formula |  |
    """
    slope = {"l2": "w", "l1": "sign(w)"}[validation.one_of("kind", kind, ["l2", "l1"])]
    lines = [
        "| source | penalty as written | derivative by a weight | biases | compared with | note |",
        "|---|---|---|---|---|---|",
    ]
    for c in (c for c in CONVENTIONS if c.kind == kind):
        number = "" if c.factor == 1 else f"{c.factor:g} "
        derivative = f"{number}s {slope}" + (f" / {c.divided_by}" if c.divided_by else "")
        derivative = f"`{derivative}`" + (", decoupled" if c.decoupled else "")
        held_by = f"a step of {c.held_by}" if c.held_by else "its formula"
        cells = (f"`{c.source}`", f"`{c.formula}`", derivative, c.biases, held_by, c.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
