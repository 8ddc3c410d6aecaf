"""A traced step as text, as an HTML page to step through, and as a fragment for a notebook.

Without JavaScript the page shows all stages, and its links scroll to them; the script shows one
stage at a time and handles the keys.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from html import escape
from string import Template

import numpy as np

from nnreg._support import tables
from nnreg._support.page import render_page
from nnreg._support.typing import Array
from nnreg.gradcheck.report import GradientReport
from nnreg.tracing.diagnostics import RULES, norm
from nnreg.tracing.stages import Stage, StepData

WIDTH = 100

#: Largest numbers of values and columns of an array that is shown completely.
SHOWN_VALUES, SHOWN_COLUMNS = 24, 8

TITLES = {"forward": "Forward pass", "backward": "Backward pass"}

ARRAY_HEAD = ["", "shape", "norm", "largest", "zeros"]

OVERVIEW_HEAD = ["layer", "outputs", "‖y‖", "zeros", "‖dy‖", "‖dy‖/‖dz‖", "check"]


def render_text(trace: StepData) -> str:
    """Return the text of ``print(trace)``, 100 characters wide unless names are long."""
    lines = ["One training step", "=================", "", *map(_wrap, summarize(trace)), ""]
    lines += [tables.text_table(OVERVIEW_HEAD, overview(trace), right=range(2, 6)), ""]
    lines += [_wrap(rule) for rule in RULES]
    for part, stages in trace.parts().items():
        lines += ["", TITLES[part], "-" * len(TITLES[part])]
        for number, stage in stages:
            lines += ["", f"{number}. {stage.name}  {stage.subject}"]
            lines += [textwrap.indent(line, "   ") for line in _body(stage)]
    return "\n".join(lines)


def summarize(trace: StepData) -> list[str]:
    """Return the size of the step, its loss, and the verdict of the gradient check."""
    if trace.report is None:
        verdict = "not checked" if trace.finite else "not checked: some values overflow"
    else:
        wrong = [s.name for s in trace.stages if s.check and not s.check.passed]
        if wrong:
            verdict = f"✗ wrong: {', '.join(wrong)}"
        elif trace.report.passed:
            verdict = "✓ all correct"
        else:
            verdict = "✗ wrong, although each single layer is correct"
    widths = "-".join(map(str, trace.widths))
    return [
        f"A {widths} network in {trace.dtype}; {trace.rows:,} rows, "
        f"dropout as in step {trace.step}.",
        f"Data loss {trace.data_loss:.6g} + penalty {trace.penalty:.6g} = {trace.total:.6g}.",
        f"Derivatives: {verdict}.",
        *(f"! {alarm}" for alarm in trace.alarms),
    ]


def overview(trace: StepData) -> list[list[str]]:
    """Return one row per layer: norms of its output and derivative, and the check's result."""
    norm_dz = norm(trace["backward", "loss"].arrays["dz"])
    rows = []
    for name in trace.layers:
        y, backward = trace["forward", name].arrays["y"], trace["backward", name]
        dy = backward.arrays.get("dy")
        norm_dy = norm(dy) if dy is not None else None
        rows.append(
            [
                name,
                str(y.shape),
                f"{norm(y):.4g}",
                share_of_zeros(y),
                "" if norm_dy is None else f"{norm_dy:.4g}",
                f"{norm_dy / norm_dz:.3g}" if norm_dy is not None and norm_dz else "",
                mark(backward.check),
            ]
        )
    return rows


def mark(check: GradientReport | None) -> str:
    """Return a check mark, a cross, or an empty string.

    >>> mark(None), mark(GradientReport("a layer"))  # a check without rows has not passed
    ('', '✗')
    """
    return "" if check is None else "✓" if check.passed else "✗"


def remarks(stage: Stage) -> list[str]:
    """Return the notes, the alarms, and the result of the check, one sentence per mistake."""
    lines = [*stage.notes, *(f"! {alarm}" for alarm in stage.alarms)]
    check = stage.check
    if check is None:
        return lines
    if check.passed:
        error = f"relative error at most {check.max_error:.1e}"
        return [*lines, f"✓ checked by differentiation: {error}"]
    return lines + [f"✗ wrong: {row.sentence()}" for row in check.rows if not row.passed]


def array_rows(stage: Stage) -> list[list[str]]:
    """Return one row per array: name, shape, norm, largest magnitude, share of zeros."""
    return [
        [name, str(a.shape), f"{norm(a):.4g}", f"{float(np.abs(a).max()):.4g}", share_of_zeros(a)]
        if a.dtype.kind == "f"
        else [name, str(a.shape), "", "", ""]  # class numbers have no norm
        for name, a in stage.arrays.items()
    ]


def share_of_zeros(a: Array) -> str:
    """Return the share of zeros.

    >>> share_of_zeros(np.array([0.0, 1.0]))
    '50.0 %'
    """
    return f"{100 * float((a == 0).mean()):.1f} %"


def is_small(a: Array) -> bool:
    """Return whether an array is shown completely."""
    return a.size <= SHOWN_VALUES and a.ndim <= 2 and a.shape[-1] <= SHOWN_COLUMNS


def _body(stage: Stage) -> list[str]:
    lines = [str(formula) for formula in stage.formulas]
    if stage.arrays:
        lines += tables.text_table(ARRAY_HEAD, array_rows(stage), right=range(2, 5)).splitlines()
    for name, a in stage.arrays.items():
        if is_small(a):
            # -0 + 0 is 0: the sign of a zero is not shown.
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


#: Largest numbers of rows and units in a drawing of a mask.
MASK_ROWS, MASK_UNITS = 16, 64

#: The style of a stage, on the page and in a notebook, with the notebook's colours.
STAGE_STYLE = """\
.nnreg-formula { display: block; margin: .35rem 0; padding: .5rem .75rem; overflow-x: auto;
  border-left: 3px solid #3b8fd0; background: rgba(128, 128, 128, .12); font-size: .95rem;
  white-space: nowrap; }
.nnreg-shapes { display: block; opacity: .8; }
.nnreg-alarm { border-left: 3px solid #db4545; padding-left: .75rem; font-weight: 600; }
.nnreg-wrong { color: #db4545; font-weight: 600; }
.nnreg-values { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; }
.nnreg-trace svg { display: block; max-width: 100%; height: auto; margin-bottom: 1rem; }
.nnreg-trace div { margin-bottom: .75rem; }
.nnreg-trace table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.nnreg-trace th, .nnreg-trace td { padding: .25rem .6rem; white-space: nowrap; }
.nnreg-trace caption { text-align: left; font-weight: 600; }
"""

#: The style of the page, in addition to that of all pages.
PAGE_STYLE = """\
:root { --now: #0b5cad; --on: #ffffff; --bad: #c4262e; }
@media (prefers-color-scheme: dark) { :root { --now: #6cb6ff; --on: #10151a; --bad: #ff8086; } }
body { max-width: 62rem; padding: 1.5rem 1.25rem 6rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 1.5rem 0 .5rem; }
h2 small { display: block; font-size: .85rem; font-weight: 400; color: var(--soft);
  overflow-wrap: anywhere; }
p { margin: .5rem 0; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.nnreg-trace td, .nnreg-trace th { border-bottom: 1px solid var(--line); }
.nnreg-trace .nnreg-wrong { color: var(--bad); }
nav { margin: 1.25rem 0 0; overflow-x: auto; }
nav ol { display: grid; gap: .35rem;
  grid-template-columns: max-content repeat(var(--columns), minmax(max-content, 1fr));
  list-style: none; margin: 0; padding: 3px; }
nav .part { grid-column: 1; padding-right: .4rem; color: var(--soft); font-size: .85rem;
  align-self: center; }
nav a { display: block; padding: .4rem .5rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--band); color: inherit; text-decoration: none; text-align: center;
  font-size: .85rem; white-space: nowrap; }
nav a[aria-current] { background: var(--now); border-color: var(--now); color: var(--on); }
nav a.bad { border-color: var(--bad); border-width: 2px; }
.controls { display: none; gap: .5rem; align-items: center; flex-wrap: wrap; margin: 1rem 0 0; }
.scripted .controls { display: flex; }
button { font: inherit; padding: .4rem .9rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--band); color: inherit; cursor: pointer; }
button:disabled { opacity: .45; cursor: default; }
button[aria-pressed="true"] { background: var(--now); color: var(--on); }
a:focus-visible, button:focus-visible, section:focus-visible { outline: 3px solid var(--now);
  outline-offset: 1px; }
.stepping section:not(.now) { display: none; }
@media (max-width: 600px) {
  .controls { position: fixed; left: 0; right: 0; bottom: 0; margin: 0; padding: .6rem 1.25rem;
    background: var(--back); border-top: 1px solid var(--line); z-index: 1; }
}
@media print { .stepping section:not(.now) { display: block; } .controls, nav { display: none; } }
"""

BODY = Template("""\
<header>
<h1>One training step</h1>
$summary
</header>
<main class="nnreg-trace">
<details><summary>All layers in numbers</summary>
$overview
$rules
</details>
<nav aria-label="Stages of the step"><ol style="--columns:$columns">
$links
</ol></nav>
<div class="controls">
<button type="button" id="back">&#8592; Back</button>
<button type="button" id="on">Next &#8594;</button>
<button type="button" id="all" aria-pressed="false">All</button>
<span class="soft" role="status" id="where"></span>
</div>
$stages
</main>
""")

FOOTER = "Keys: &#8592; previous stage, &#8594; next stage, Home first stage, End last stage."

SCRIPT = """\
"use strict";
const root = document.documentElement;
const stages = [...document.querySelectorAll("section")];
const links = [...document.querySelectorAll("nav a")];
const [back, on, all, where] = ["back", "on", "all", "where"].map(i => document.getElementById(i));
let now = 0;
function show(number, move) {
  now = Math.max(0, Math.min(stages.length - 1, number));
  stages.forEach((stage, i) => stage.classList.toggle("now", i === now));
  links.forEach((link, i) => i === now ? link.setAttribute("aria-current", "step")
    : link.removeAttribute("aria-current"));
  const bar = links[now].closest("nav"), item = links[now].parentElement;
  bar.scrollLeft = item.offsetLeft - bar.offsetLeft - (bar.clientWidth - item.offsetWidth) / 2;
  back.disabled = now === 0;
  on.disabled = now === stages.length - 1;
  where.textContent = (now + 1) + " of " + stages.length + ": " + stages[now].dataset.name;
  if (move) {
    history.replaceState(null, "", "#" + stages[now].id);
    if (!root.classList.contains("stepping")) stages[now].scrollIntoView();
  }
}
function named() { return stages.findIndex(stage => "#" + stage.id === location.hash); }
links.forEach((link, i) => link.addEventListener("click", event => {
  event.preventDefault();
  show(i, true);
}));
back.addEventListener("click", () => show(now - 1, true));
on.addEventListener("click", () => show(now + 1, true));
all.addEventListener("click", () => {
  all.setAttribute("aria-pressed", String(!root.classList.toggle("stepping")));
});
addEventListener("hashchange", () => show(named(), false));
addEventListener("keydown", event => {
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: stages.length - 1 };
  const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
  if (modified || !(event.key in to)) return;
  event.preventDefault();
  show(to[event.key], true);
});
root.classList.add("scripted", "stepping");
show(named(), false);
"""


def render_html(trace: StepData) -> str:
    """Return the page that ``trace.save`` writes."""
    body = BODY.substitute(
        columns=len(trace.layers) + 2,
        summary=_lines(summarize(trace)),
        overview=_overview(trace),
        rules=tables.paragraphs(RULES),
        links="\n".join(_links(trace)),
        stages="\n".join(
            f'<section id="stage-{number}" data-name="{escape(stage.name)}, {stage.part}" '
            f'aria-labelledby="title-{number}"><h2 id="title-{number}">'
            f"{number}. {escape(stage.name)} {_direction(stage)}"
            f"<small>{escape(stage.subject)}</small></h2>\n{_stage(stage)}</section>"
            for number, stage in enumerate(trace.stages, 1)
        ),
    )
    widths = "-".join(map(str, trace.widths))
    return render_page(
        f"One training step of a {widths} network",
        body,
        style=PAGE_STYLE + STAGE_STYLE,
        script=SCRIPT,
        footer=FOOTER,
    )


def render_fragment(trace: StepData) -> str:
    """Return HTML for a notebook: the overview, and every stage in a collapsed element."""
    stages = "".join(
        f"<p><b>{TITLES[part]}</b></p>"
        + "".join(
            f"<details><summary>{number}. {escape(stage.name)} {' '.join(_signs(stage))}</summary>"
            f"{_stage(stage)}</details>"
            for number, stage in members
        )
        for part, members in trace.parts().items()
    )
    return (
        f'<div class="nnreg-trace"><style>{STAGE_STYLE}</style><p><b>One training step</b></p>'
        f"{_lines(summarize(trace))}{_overview(trace)}{stages}</div>"
    )


def _lines(lines: Iterable[str]) -> str:
    """Return paragraphs, with failures in red and alarms beside a bar."""
    return "".join(
        f'<p class="nnreg-alarm">{escape(line[2:])}</p>'
        if line.startswith("! ")
        else f'<p class="nnreg-wrong">{escape(line)}</p>'
        if "✗" in line
        else f"<p>{escape(line)}</p>"
        for line in lines
    )


def _overview(trace: StepData) -> str:
    rows = overview(trace)
    wrong = [i for i, row in enumerate(rows) if row[-1] == "✗"]
    return tables.html_table(OVERVIEW_HEAD, rows, right=range(2, 6), wrong=wrong)


def _direction(stage: Stage) -> str:
    return "&#8594; forward" if stage.part == "forward" else "&#8592; backward"


def _signs(stage: Stage) -> list[str]:
    """Return the check mark or cross of a stage, and an exclamation mark if it has an alarm."""
    return [sign for sign in (mark(stage.check), "!" if stage.alarms else "") if sign]


def _links(trace: StepData) -> Iterable[str]:
    """Yield one link per stage, aligned by layer: forward above, backward below."""
    columns = {name: column for column, name in enumerate([*trace.layers, "loss", "penalty"], 2)}
    for row, members in enumerate(trace.parts().values(), 1):
        arrow = "forward &#8594;" if row == 1 else "&#8592; backward"
        yield f'<li class="part" style="grid-row:{row}">{arrow}</li>'
        for number, stage in members:
            signs = _signs(stage)
            bad = ' class="bad"' if "✗" in signs or "!" in signs else ""
            yield (
                f'<li style="grid-area:{row} / {columns[stage.name]}"><a href="#stage-{number}"'
                f"{bad}>{escape(stage.name)} {' '.join(signs)}</a></li>"
            )


def _stage(stage: Stage) -> str:
    parts = [
        f'<code class="nnreg-formula">{escape(formula.text)}'
        + (f' <span class="nnreg-shapes">{escape(formula.shapes)}</span>' * bool(formula.shapes))
        + "</code>"
        for formula in stage.formulas
    ]
    parts.append(_lines(remarks(stage)))
    if stage.arrays:
        parts.append(tables.html_table(ARRAY_HEAD, array_rows(stage), right=range(2, 5)))
    if "m" in stage.arrays and not stage.arrays["m"].all():
        parts.append(_mask(stage.arrays["m"]))
    shown = [_values(name, a) for name, a in stage.arrays.items() if is_small(a)]
    if shown:
        parts.append(f'<div class="nnreg-values">{"".join(shown)}</div>')
    return "".join(parts)


def _values(name: str, a: Array) -> str:
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:right">{v:.4g}</td>' for v in row) + "</tr>"
        for row in np.atleast_2d(a + 0).tolist()
    )
    return (
        '<div style="overflow-x:auto"><table class="docutils">'
        f"<caption>{escape(name)}</caption><tbody>{body}</tbody></table></div>"
    )


def _mask(mask: Array) -> str:
    """Draw a mask: one line per row, one square per unit, empty if the unit is removed."""
    part = mask[:MASK_ROWS, :MASK_UNITS] != 0
    rows, units = part.shape
    size = 10
    squares = "".join(
        f'<rect x="{m * size + 1}" y="{n * size + 1}" width="8" height="8" '
        f'fill="{"currentColor" if kept else "none"}"/>'
        for n, row in enumerate(part.tolist())
        for m, kept in enumerate(row)
    )
    label = f"The mask: rows 0 to {rows - 1}, units 0 to {units - 1}; a filled square is kept."
    return (
        f'<p>{label}</p><svg role="img" aria-label="{label}" width="{units * size}" '
        f'height="{rows * size}" viewBox="0 0 {units * size} {rows * size}" '
        f'stroke="currentColor" stroke-opacity=".35">{squares}</svg>'
    )
