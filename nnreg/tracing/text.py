"""A traced step as text, and the cells of the tables that the page shows too."""

from __future__ import annotations

import textwrap

import numpy as np

from nnreg._support.tables import text_table
from nnreg._support.typing import Array
from nnreg.gradcheck.report import GradientReport
from nnreg.tracing.diagnostics import RULES, norm
from nnreg.tracing.stages import Stage, StepData

WIDTH = 100

#: Arrays of up to so many values, in up to so many columns, are shown whole.
SHOWN_VALUES, SHOWN_COLUMNS = 24, 8

TITLES = {"forward": "Forward: values go up", "backward": "Backward: derivatives come down"}

ARRAY_HEAD = ["", "shape", "norm", "largest", "zeros"]

OVERVIEW_HEAD = ["layer", "outputs", "‖y‖", "zeros", "‖dy‖", "‖dy‖/‖dz‖", "check"]


def render_text(trace: StepData) -> str:
    """Return what ``print(trace)`` shows, 100 characters wide unless names are long."""
    lines = ["One training step", "=================", "", *map(_wrap, summarize(trace)), ""]
    lines += [text_table(OVERVIEW_HEAD, overview(trace), right=range(2, 6)), ""]
    lines += [_wrap(rule) for rule in RULES]
    for part, stages in trace.parts().items():
        lines += ["", TITLES[part], "-" * len(TITLES[part])]
        for number, stage in stages:
            lines += ["", f"{number}. {stage.name}  {stage.thing}"]
            lines += [textwrap.indent(line, "   ") for line in _body(stage)]
    return "\n".join(lines)


def summarize(trace: StepData) -> list[str]:
    """Return the size of the step, its loss, and the verdict of the gradient check."""
    if trace.report is None:
        verdict = "not checked" if trace.finite else "not checked: there are values that overflow"
    else:
        wrong = [s.name for s in trace.stages if s.check and not s.check.passed]
        if wrong:
            verdict = f"✗ wrong: {', '.join(wrong)}"
        elif trace.report.passed:
            verdict = "✓ all right"
        else:
            verdict = "✗ wrong, though each layer alone is right"
    widths = "-".join(map(str, trace.widths))
    lines = [
        f"A {widths} network in {trace.dtype}; {trace.rows:,} rows, "
        f"dropout as in step {trace.step}.",
        f"Data loss {trace.data_loss:.6g} + penalty {trace.penalty:.6g} = {trace.total:.6g}.",
        f"Derivatives: {verdict}.",
    ]
    return lines + [f"! {alarm}" for alarm in trace.alarms]


def overview(trace: StepData) -> list[list[str]]:
    """Return a row a layer: its output's size, its derivative's size, and the check's verdict."""
    top = norm(trace["backward", "loss"].arrays["dz"])
    rows = []
    for name in trace.layers:
        up, down = trace["forward", name].arrays["y"], trace["backward", name]
        dy = down.arrays.get("dy")
        size = norm(dy) if dy is not None else None
        rows.append(
            [
                name,
                str(up.shape),
                f"{norm(up):.4g}",
                share_of_zeros(up),
                "" if size is None else f"{size:.4g}",
                f"{size / top:.3g}" if size is not None and top else "",
                mark(down.check),
            ]
        )
    return rows


def mark(check: GradientReport | None) -> str:
    """Return a check mark, a cross, or nothing.

    >>> mark(None), mark(GradientReport("a layer"))  # a check without rows has not passed
    ('', '✗')
    """
    return "" if check is None else "✓" if check.passed else "✗"


def remarks(stage: Stage) -> list[str]:
    """Return the notes, the alarms, and the result of the check, a sentence for each mistake."""
    lines = [*stage.notes, *(f"! {alarm}" for alarm in stage.alarms)]
    check = stage.check
    if check is None:
        return lines
    if check.passed:
        error = f"relative error at most {check.max_error:.1e}"
        return [*lines, f"✓ checked by differentiation: {error}"]
    return lines + [f"✗ wrong: {row.sentence()}" for row in check.rows if not row.passed]


def array_rows(stage: Stage) -> list[list[str]]:
    """Return a row an array: name, shape, norm, largest magnitude, share of zeros."""
    return [
        [name, str(a.shape), f"{norm(a):.4g}", f"{float(np.abs(a).max()):.4g}", share_of_zeros(a)]
        if a.dtype.kind == "f"
        else [name, str(a.shape), "", "", ""]  # class numbers have no size
        for name, a in stage.arrays.items()
    ]


def share_of_zeros(a: Array) -> str:
    """Return the share of zeros.

    >>> share_of_zeros(np.array([0.0, 1.0]))
    '50.0 %'
    """
    return f"{100 * float((a == 0).mean()):.1f} %"


def is_small(a: Array) -> bool:
    """Return whether an array is shown whole."""
    return a.size <= SHOWN_VALUES and a.ndim <= 2 and a.shape[-1] <= SHOWN_COLUMNS


def _body(stage: Stage) -> list[str]:
    lines = [str(formula) for formula in stage.formulas]
    if stage.arrays:
        lines += text_table(ARRAY_HEAD, array_rows(stage), right=range(2, 5)).splitlines()
    for name, a in stage.arrays.items():
        if is_small(a):
            # -0 + 0 is 0: the sign of a zero means nothing here.
            values = np.array2string(a + 0, precision=4, suppress_small=True, prefix=f"{name} = ")
            lines += f"{name} = {values}".splitlines()
    return lines + [_wrap(remark) for remark in remarks(stage)]


def _wrap(line: str) -> str:
    return textwrap.fill(
        line,
        WIDTH - 3,
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
