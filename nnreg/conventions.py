"""Penalty conventions of other libraries, courses and books.

"L2 with strength s" has many definitions. They differ by a factor of two, by a division by the rows
of the data or of the batch, in whether biases are included, and in whether the decay is added to
the gradient or subtracted from the weights. For training only the derivative with respect to one
weight matters: ``c·s·w`` for L2 and ``c·s·sign(w)`` for L1. The table states ``c`` for each source,
and :func:`convert_penalty` returns a quotient of two of them.
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
        The name that :func:`convert_penalty` takes.
    kind : {"l2", "l1"}
    formula : str
        The formula of the source, with strength ``s``.
    factor : float
        The constant factor of ``c``.
    divided_by : {"", "n", "batch"}
        What ``c`` is divided by: nothing, the rows of the training set, or those of a batch.
    biases : str
        Whether biases are penalized.
    decoupled : bool
        Whether the decay is subtracted from the weights instead of being added to the gradient. The
        two are the same for plain SGD only.
    verified_with : str
        The library whose training step was compared with the same step here. Empty where only the
        documented formula was compared.
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
    verified_with: str = ""
    note: str = ""

    def coefficient(self, *, n: int | None = None, batch: int | None = None) -> float:
        """Return ``c``, the factor of ``s·w`` or ``s·sign(w)`` in the derivative."""
        rows = {"": 1, "n": n, "batch": batch}[self.divided_by]
        if rows is None:
            raise ValueError(f"{self.source} divides by a number of rows: pass {self.divided_by}=")
        return self.factor / rows


CONVENTIONS = (
    Convention("nnreg", "l2", "s/2 sum w^2"),
    Convention("article", "l2", "s/2 sum w^2", note="the article on which nnreg is based"),
    Convention(
        "tf.nn.l2_loss", "l2", "s sum(w^2)/2", biases="if passed", verified_with="TensorFlow"
    ),
    Convention(
        "tf.contrib",
        "l2",
        "s sum(w^2)/2",
        biases="if passed",
        note="l2_regularizer of TensorFlow 1, removed since",
    ),
    Convention(
        "keras",
        "l2",
        "s sum w^2",
        2.0,
        biases="separate argument",
        verified_with="Keras",
        note="regularizers.L2",
    ),
    Convention(
        "keras-weight-decay",
        "l2",
        "w -= lr s w",
        biases="yes",
        decoupled=True,
        verified_with="Keras",
        note="weight_decay= of an optimizer",
    ),
    Convention(
        "torch",
        "l2",
        "g += s w",
        biases="yes",
        verified_with="PyTorch",
        note="weight_decay= of SGD and Adam",
    ),
    Convention(
        "torch-adamw",
        "l2",
        "w -= lr s w",
        biases="yes",
        decoupled=True,
        verified_with="PyTorch",
        note="weight_decay= of AdamW",
    ),
    Convention(
        "sklearn",
        "l2",
        "s/(2 batch) sum w^2",
        divided_by="batch",
        verified_with="scikit-learn",
        note="alpha of MLPClassifier with sgd or adam",
    ),
    Convention(
        "sklearn-lbfgs",
        "l2",
        "s/(2n) sum w^2",
        divided_by="n",
        verified_with="scikit-learn",
        note="alpha of MLPClassifier with lbfgs",
    ),
    Convention(
        "thinc",
        "l2",
        "w -= lr s w",
        biases="yes",
        decoupled=True,
        verified_with="thinc",
        note="L2= of an optimizer; w is the updated weight already",
    ),
    Convention(
        "thinc-coupled",
        "l2",
        "g += s w",
        biases="yes",
        verified_with="thinc",
        note="L2= with L2_is_weight_decay=False",
    ),
    Convention("nnfs", "l2", "s sum w^2", 2.0, biases="separate argument"),
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
    Convention("article", "l1", "s sum abs(w)", note="the article on which nnreg is based"),
    Convention(
        "keras",
        "l1",
        "s sum abs(w)",
        biases="separate argument",
        verified_with="Keras",
        note="regularizers.L1",
    ),
    Convention("nielsen", "l1", "s/n sum abs(w)", divided_by="n"),
    Convention(
        "nnfs", "l1", "s sum abs(w)", biases="separate argument", note="its derivative at 0 is +1"
    ),
    Convention("tf-playground", "l1", "s abs(w)", note="a weight that is clipped at 0 remains 0"),
    Convention("cos495", "l1", "s/2 sum abs(w)", 0.5, note="Princeton's course"),
)


def find(source: str, kind: str = "l2", argument: str = "source") -> Convention:
    """Return the convention of a source, for the argument of this name.

    Raises
    ------
    ValueError
        If the source is unknown; the error suggests the nearest name.
    """
    kind = validation.one_of("kind", kind, ["l2", "l1"])
    known = {c.source: c for c in CONVENTIONS if c.kind == kind}
    return known[validation.one_of(argument, source, known)]


def convert_penalty(
    strength: float,
    *,
    source: str,
    target: str,
    kind: str = "l2",
    n: int | None = None,
    batch: int | None = None,
    plain_sgd: bool = False,
) -> float:
    """Convert a penalty's strength from one source's definition to another's.

    Parameters
    ----------
    strength : float
        The strength in the source's definition.
    source, target : str
        Names in the table ``CONVENTIONS``: ``"nnreg"``, ``"keras"``, ``"sklearn"``, ...
    kind : {"l2", "l1"}, default "l2"
    n, batch : int, optional
        Rows of the training set and of a batch, for sources that divide by them.
    plain_sgd : bool, default False
        True if the optimizer is plain SGD, for which decoupled decay and a penalty are the same.

    Returns
    -------
    float
        The strength with the same effect in the target's definition.

    Raises
    ------
    ValueError
        If a source is unknown, a number of rows is missing, or exactly one of the two is decoupled.

    Examples
    --------
    >>> convert_penalty(0.01, source="nnreg", target="keras")
    0.005
    >>> convert_penalty(5.0, source="nielsen", target="nnreg", n=50_000)
    0.0001
    >>> convert_penalty(0.01, source="nnreg", target="torch-adamw")
    Traceback (most recent call last):
        ...
    ValueError: torch-adamw subtracts its decay from the weights, which equals a penalty for plain
    SGD only: pass plain_sgd=True if you use that
    """
    strength = validation.number("strength", strength, 0)
    plain_sgd = validation.flag("plain_sgd", plain_sgd)
    for name, rows in (("n", n), ("batch", batch)):
        if rows is not None:
            validation.whole(name, rows, 1)
    old, new = find(source, kind, "source"), find(target, kind, "target")
    if old.decoupled != new.decoupled and not plain_sgd:
        name = (old if old.decoupled else new).source
        raise ValueError(
            f"{name} subtracts its decay from the weights, which equals a penalty for plain SGD "
            "only: pass plain_sgd=True if you use that"
        )
    return strength * old.coefficient(n=n, batch=batch) / new.coefficient(n=n, batch=batch)


def markdown_table(kind: str = "l2") -> str:
    """Return the conventions as a Markdown table, for the documentation.

    >>> print(markdown_table("l1").splitlines()[2])
    | `nnreg` | `s sum abs(w)` | `s sign(w)` | no | its formula |  |
    """
    slope = {"l2": "w", "l1": "sign(w)"}[validation.one_of("kind", kind, ["l2", "l1"])]
    lines = [
        "| source | penalty as written | derivative with respect to w | biases | compared with "
        "| note |",
        "|---|---|---|---|---|---|",
    ]
    for c in (c for c in CONVENTIONS if c.kind == kind):
        number = "" if c.factor == 1 else f"{c.factor:g} "
        derivative = f"{number}s {slope}" + (f" / {c.divided_by}" if c.divided_by else "")
        derivative = f"`{derivative}`" + (", decoupled" if c.decoupled else "")
        verified_with = f"a step of {c.verified_with}" if c.verified_with else "its formula"
        cells = (f"`{c.source}`", f"`{c.formula}`", derivative, c.biases, verified_with, c.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
