"""What a gradient check found, for people: a row a block, and a sentence for each failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import numpy as np

from nnreg._support.tables import text_table
from nnreg._support.typing import Array

#: Other measures of agreement: what they are, and the largest value that passes.
ERROR_METRICS = {
    "cs231n": ("max |a - b| / max(1e-8, |a| + |b|)", 1e-7),
    "deeplearning.ai": ("‖a - b‖ / (‖a‖ + ‖b‖) over all blocks", 2e-7),
    "allclose": ("max |a - b| / (1e-5 + 1e-3·|b|)", 1.0),
}


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
    all_analytic, all_measured : ndarray of shape (P,)
        Every value that was compared.
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
    all_analytic: Array = field(repr=False, compare=False)
    all_measured: Array = field(repr=False, compare=False)

    @classmethod
    def misshapen(
        cls, quantity: str, block: str, shape: tuple[int, ...], method: str, found: tuple[int, ...]
    ) -> Row:
        """Return the row of a gradient whose shape, ``found``, is not its block's."""
        nan, none = float("nan"), np.full(1, np.nan)
        points = f"shape {found}"
        return cls(
            quantity, block, shape, method, points, np.inf, None, nan, nan, 0, False, none, none
        )

    def sentence(self) -> str:
        """Return the failure in words."""
        if np.isnan(self.all_measured).all():
            return (
                f"the derivative of the {self.quantity} by {self.block} must have the shape "
                f"of {self.block}, {self.shape}, got {self.points}"
            )
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
    error_metric: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every block agrees."""
        return all(row.passed for row in self.rows)

    @property
    def max_error(self) -> float:
        """The largest relative error of all blocks."""
        return max((row.error for row in self.rows), default=0.0)

    def measured_by(self, error_metric: str) -> list[tuple[str, str, float, bool]]:
        """Return ``(quantity, block, value, passed)`` by another measure of :data:`ERROR_METRICS`.

        Kinks are not excused there. A measure over all blocks has one line a quantity.
        """
        limit = ERROR_METRICS[error_metric][1]
        lines = []
        if error_metric == "deeplearning.ai":
            for quantity in dict.fromkeys(row.quantity for row in self.rows):
                rows = [row for row in self.rows if row.quantity == quantity]
                a = np.concatenate([row.all_analytic for row in rows])
                b = np.concatenate([row.all_measured for row in rows])
                norms = float(np.linalg.norm(a) + np.linalg.norm(b))
                value = float(np.linalg.norm(a - b)) / norms if norms else 0.0
                lines.append((quantity, "all", value, value <= limit))
            return lines
        for row in self.rows:
            a, b = row.all_analytic, row.all_measured
            if error_metric == "cs231n":
                ratio = np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))
            else:
                ratio = np.abs(a - b) / (1e-5 + 1e-3 * np.abs(b))
            value = float(ratio.max())
            lines.append((row.quantity, row.block, value, value <= limit))
        return lines

    def assert_ok(self) -> None:
        """Raise ``AssertionError`` with a sentence for each block that disagrees."""
        if not self.passed:
            failed = [f"- {row.sentence()}" for row in self.rows if not row.passed]
            raise AssertionError(
                "\n".join([f"wrong gradient of {self.subject}:", *failed, *self.notes])
            )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        head = ["derivative of", "by", "shape", "compared", "method", "error", "kinks", "verdict"]
        return head, [
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

    def _remarks(self) -> list[str]:
        """Return what stands below the table: notes, failures, the other measure."""
        remarks = [*self.notes, *(row.sentence() for row in self.rows if not row.passed)]
        if self.error_metric is None:
            return remarks
        formula, limit = ERROR_METRICS[self.error_metric]
        remarks.append(f"{self.error_metric}: {formula}, passes up to {limit:g}")
        ours = {(row.quantity, row.block): row.passed for row in self.rows}
        for quantity, block, value, passed in self.measured_by(self.error_metric):
            here = ours.get((quantity, block))
            if here is None:
                here = all(ok for (other, _), ok in ours.items() if other == quantity)
            differs = "" if here == passed else f", though the verdict here is {_verdict(here)}"
            remarks.append(f"  {quantity} by {block}: {value:.2e}, {_verdict(passed)}{differs}")
        return remarks

    def __str__(self) -> str:
        head, rows = self._cells()
        verdict = "passed" if self.passed else "FAILED"
        return "\n".join(
            [f"{self.subject}: {verdict}", text_table(head, rows, right=[5, 6]), *self._remarks()]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        from nnreg._support import tables

        head, rows = self._cells()
        verdict = "passed" if self.passed else "FAILED"
        wrong = [i for i, row in enumerate(self.rows) if not row.passed]
        return (
            f"<p><b>{escape(self.subject)}: {verdict}</b></p>"
            + tables.html_table(head, rows, right=[5, 6], wrong=wrong)
            + tables.paragraphs(self._remarks())
        )


def _verdict(passed: bool) -> str:
    return "passed" if passed else "failed"
