"""The report of a gradient check: one row per block, and a sentence for each failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from nnreg._support.tables import html_table, paragraphs, text_table
from nnreg._support.typing import Array


def _norm_ratio(a: Array, b: Array) -> Any:
    norms = np.linalg.norm(a) + np.linalg.norm(b)
    return np.linalg.norm(a - b) / norms if norms else 0.0


#: Other error measures: the formula, the largest value that passes, and the function.
ERROR_METRICS: dict[str, tuple[str, float, Callable[[Array, Array], Any]]] = {
    "cs231n": (
        "max |a - b| / max(1e-8, |a| + |b|)",
        1e-7,
        lambda a, b: (np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))).max(),
    ),
    "deeplearning.ai": ("‖a - b‖ / (‖a‖ + ‖b‖) over all blocks", 2e-7, _norm_ratio),
    "allclose": (
        "max |a - b| / (1e-5 + 1e-3·|b|)",
        1.0,
        lambda a, b: (np.abs(a - b) / (1e-5 + 1e-3 * np.abs(b))).max(),
    ),
}
HEAD = ["derivative of", "wrt", "shape", "compared", "method", "error", "kinks", "verdict"]


@dataclass
class Row:
    """One block of one quantity's gradient.

    Attributes
    ----------
    quantity : str
        What was differentiated: ``"data loss"``, ``"penalty"``, ``"total"``, ``"loss"``, ...
    block : str
        With respect to what: a parameter's name, ``"inputs"``, ``"outputs"``, ``"w"``.
    shape : tuple of int
    method : str
        ``"complex"``, ``"central"``, ``"richardson"``, or ``"float32"`` for differences of
        single-precision values.
    points : str
        What was compared: all entries, or a number of random directions.
    tolerance : float
        The largest error that passes.
    error : float
        ``max|a - b| / max(max|b|, floor)``, ``a`` from the backward pass and ``b`` numerical.
    kinks : int
        Number of points that are not counted, because a kink lies within the step.
    all_analytic, all_measured : ndarray of shape (P,)
        All values that were compared: those of the backward pass, and the numerical derivatives.
    worst : int
        Index of the value with the largest difference.
    note : str
        A possible cause of the failure.
    """

    quantity: str
    block: str
    shape: tuple[int, ...]
    method: str
    points: str
    tolerance: float
    error: float
    kinks: int = 0
    all_analytic: Array = field(default_factory=lambda: np.full(1, np.nan), repr=False)
    all_measured: Array = field(default_factory=lambda: np.full(1, np.nan), repr=False)
    worst: int = 0
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the block agrees; False if all its points are kinks, so that none is compared."""
        return self.error <= self.tolerance and self.kinks < max(1, self.all_measured.size)

    @property
    def index(self) -> tuple[int, ...] | None:
        """Index of the entry with the largest difference; None along a direction."""
        if not self.points.startswith("all"):
            return None
        return tuple(int(i) for i in np.unravel_index(self.worst, self.shape))

    @property
    def analytic(self) -> float:
        """The value of the backward pass with the largest difference."""
        return float(self.all_analytic[self.worst])

    @property
    def measured(self) -> float:
        """The numerical derivative there."""
        return float(self.all_measured[self.worst])

    def sentence(self) -> str:
        """Return a description of the failure."""
        name = f"the derivative of the {self.quantity} with respect to {self.block}"
        if self.points.startswith("shape"):
            text = f"{name} must have the shape of {self.block}, {self.shape}, got {self.points}"
            return text + self.note
        if self.error <= self.tolerance:
            return f"{name} was not compared: every entry is within a step of a kink"
        at = "along a random direction" if self.index is None else f"at {list(self.index)}"
        text = (
            f"{name} {self.shape} has the relative error {self.error:.1e}, largest {at}: backward "
            f"returns {self.analytic:.10g}, {self.method} differentiation of forward "
            f"{self.measured:.10g}"
        )
        if self.measured and 1e-3 < abs(self.analytic / self.measured) < 1e3:
            text += f" (ratio {self.analytic / self.measured:.6g})"
        return text + self.note


@dataclass
class GradientReport:
    """The result of :func:`nnreg.check_gradients`.

    Attributes
    ----------
    rows : list of Row
    notes : list of str
        Remarks: that a float64 copy was checked, that a function is not complex-safe, ...
    not_checked : dict of str to str
        Arrays and returned gradients that were not compared, each with the reason.
    unmatched : dict of str to str
        The returned gradients among them; if there is any, the check does not pass.

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
    not_checked: dict[str, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every returned gradient was compared, and agrees."""
        return bool(self.rows) and not self.unmatched and all(row.passed for row in self.rows)

    @property
    def max_error(self) -> float:
        """The largest relative error of all blocks."""
        return max((row.error for row in self.rows), default=0.0)

    def measured_by(self, error_metric: str) -> list[tuple[str, str, float, bool]]:
        """Return ``(quantity, block, value, passed)`` for a measure of :data:`ERROR_METRICS`.

        These measures count kinks. A measure over all blocks has one tuple per quantity.
        """
        _, limit, measure = ERROR_METRICS[error_metric]
        groups = {(row.quantity, row.block): [row] for row in self.rows}
        if error_metric == "deeplearning.ai":
            quantities = dict.fromkeys(row.quantity for row in self.rows)
            groups = {
                (q, "all"): [row for row in self.rows if row.quantity == q] for q in quantities
            }
        lines = []
        for (quantity, block), rows in groups.items():
            a = np.concatenate([row.all_analytic for row in rows])
            b = np.concatenate([row.all_measured for row in rows])
            value = float(measure(a, b))
            lines.append((quantity, block, value, value <= limit))
        return lines

    def assert_ok(self) -> None:
        """Raise ``AssertionError`` with a sentence for each block that disagrees."""
        if not self.passed:
            lines = [*self._failures(), *self.notes]
            raise AssertionError("\n".join([f"wrong gradient of {self.subject}:", *lines]))

    def _failures(self) -> list[str]:
        failed = [f"- {row.sentence()}" for row in self.rows if not row.passed]
        return failed + [
            f"- returned, but not checked: {gradient}: {reason}"
            for gradient, reason in self.unmatched.items()
        ]

    def _cells(self) -> list[list[str]]:
        return [
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
        """Return the lines below the table: notes, failures, the other error measure."""
        remarks = [*self.notes, *(line.removeprefix("- ") for line in self._failures())]
        if self.error_metric is None:
            return remarks
        formula, limit, _ = ERROR_METRICS[self.error_metric]
        remarks.append(f"{self.error_metric}: {formula}, passes up to {limit:g}")
        verdict = {True: "passed", False: "failed"}
        for quantity, block, value, passed in self.measured_by(self.error_metric):
            rows = [row for row in self.rows if row.quantity == quantity]
            ours = all(row.passed for row in rows if block in (row.block, "all"))
            differs = "" if ours == passed else f"; this check: {verdict[ours]}"
            remarks.append(f"  {quantity}, {block}: {value:.2e}, {verdict[passed]}{differs}")
        return remarks

    @property
    def _heading(self) -> str:
        return f"{self.subject}: {'passed' if self.passed else 'FAILED'}"

    def __str__(self) -> str:
        table = text_table(HEAD, self._cells(), right=[5, 6])
        return "\n".join([self._heading, table, *self._remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        wrong = [i for i, row in enumerate(self.rows) if not row.passed]
        return (
            f"<p><b>{escape(self._heading)}</b></p>"
            + html_table(HEAD, self._cells(), right=[5, 6], wrong=wrong)
            + paragraphs(self._remarks())
        )
