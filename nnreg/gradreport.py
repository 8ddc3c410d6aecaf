"""What a gradient check found, for people: a row a block, and a sentence for each failure."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnreg.summary import table


@dataclass(frozen=True)
class Row:
    """One block of one quantity's gradient.

    Attributes
    ----------
    quantity : str
        What was differentiated: ``"data loss"``, ``"penalty"``, ``"total"``, ``"loss"``, ...
    block : str
        By what: a parameter's name, ``"inputs"``, ``"outputs"``, ``"w"``.
    shape : tuple of int
    method : str
        ``"complex"``, ``"central"`` or ``"richardson"``.
    points : str
        What was compared: all entries, or so many random directions.
    error : float
        ``max|a - b| / max(max|b|, floor)``, ``a`` from the backward pass and ``b`` measured.
    index : tuple of int, or None
        Where the two differ most; None along a direction.
    analytic, measured : float
        The two values there.
    kinks : int
        Points not counted, since a kink lies within the step.
    passed : bool
    """

    quantity: str
    block: str
    shape: tuple[int, ...]
    method: str
    points: str
    error: float
    index: tuple[int, ...] | None
    analytic: float
    measured: float
    kinks: int
    passed: bool

    def sentence(self) -> str:
        """Return the failure in words."""
        where = "along a random direction" if self.index is None else f"at {list(self.index)}"
        text = (
            f"the derivative of the {self.quantity} by {self.block} {self.shape} is off by a "
            f"relative {self.error:.1e}, most {where}: backward says {self.analytic:.10g}, "
            f"{self.method} differentiation of forward says {self.measured:.10g}"
        )
        if self.measured and 1e-3 < abs(self.analytic / self.measured) < 1e3:
            text += f" (ratio {self.analytic / self.measured:.6g})"
        return text


@dataclass
class GradientReport:
    """The result of :func:`nnreg.check_gradients`.

    Attributes
    ----------
    rows : list of Row
    notes : list of str
        What a reader should know: that a float64 copy was checked, that a function is not
        complex-safe, ...

    Examples
    --------
    >>> import numpy as np, nnreg as nn
    >>> report = nn.check_gradients(nn.L2(0.5), np.array([1.0, -2.0]))
    >>> report.passed
    True
    """

    subject: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every block agrees."""
        return all(row.passed for row in self.rows)

    @property
    def worst(self) -> float:
        """The largest relative error of all blocks."""
        return max((row.error for row in self.rows), default=0.0)

    def assert_ok(self) -> None:
        """Raise ``AssertionError`` with a sentence for each block that disagrees."""
        if not self.passed:
            failed = [f"- {row.sentence()}" for row in self.rows if not row.passed]
            raise AssertionError(
                "\n".join([f"wrong gradient of {self.subject}:", *failed, *self.notes])
            )

    def __str__(self) -> str:
        head = ["derivative of", "by", "shape", "compared", "method", "error", "kinks", "verdict"]
        rows = [
            [
                row.quantity,
                row.block,
                str(row.shape),
                row.points,
                row.method,
                f"{row.error:.1e}",
                str(row.kinks),
                "ok" if row.passed else "WRONG",
            ]
            for row in self.rows
        ]
        verdict = "passed" if self.passed else "FAILED"
        lines = [f"{self.subject}: {verdict}", table(head, rows, right=[5, 6]), *self.notes]
        return "\n".join(lines + [row.sentence() for row in self.rows if not row.passed])

    __repr__ = __str__
