"""`report.html`: the whole comparison on one page, in one file, without a script.

Pictures are inside the page, each drawn four times: for a light and a dark screen, for a wide and a
narrow one. The browser takes the one that fits.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template

from nnreg.lab.columns import Column, shown
from nnreg.lab.comparison import Comparison
from nnreg.lab.judgement import FIT_RULE, NOISE_RULE, summarize, verdict
from nnreg.lab.report import (
    ZEROS_NOTE,
    choice_line,
    choice_rows,
    data_line,
    headline,
    network_line,
    repeats_note,
)
from nnreg.lab.settings import VARIANTS
from nnreg.version import __version__

NARROW = "(max-width: 700px)"
DARK = "(prefers-color-scheme: dark)"

PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Regularization compared: $name</title>
<style>
:root { --back: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d8dde3; --band: #f5f7f9;
  --over: #b34700; --right: #00694d; --under: #6b4fa0; }
@media $dark { :root { --back: #15181c; --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a4149;
  --band: #1c2025; --over: #ffa45c; --right: #4fd0a5; --under: #c3aef0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 2rem 1.25rem 4rem; background: var(--back);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; }
p, dl, .facts { max-width: 46rem; }
.lead { font-size: 1.15rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
dt { font-weight: 600; margin-top: .6rem; }
dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .55rem; text-align: right; white-space: nowrap; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); white-space: normal;
  line-height: 1.25; }
th:first-child, td.text, th.text { text-align: left; }
th:first-child { position: sticky; left: 0; background: var(--back); }
tbody tr:nth-child(odd) > * { background: var(--band); }
abbr { text-decoration: none; margin-right: -.55em; }
.sd { display: block; color: var(--soft); font-size: .82em; font-style: normal; }
tr.none > * { font-style: italic; }
.fit { font-weight: 600; }
.overfit { color: var(--over); } .right { color: var(--right); } .underfit { color: var(--under); }
figure { margin: 1rem 0 0; }
img { display: block; width: 100%; height: auto; }
summary { cursor: pointer; font-weight: 600; }
details { margin-top: 1rem; }
</style>
</head>
<body>
<main>
<h1>One network, five ways to regularize it</h1>
<p class="lead">$headline</p>
<dl>
<dt>Data</dt><dd>$data</dd>
<dt>Network</dt><dd>$network</dd>
<dt>Strengths</dt><dd>$choice</dd>
</dl>
$warning
<h2>Results</h2>
$results
<p class="soft">$zeros</p>
$pictures
<h2>Strengths</h2>
$strengths
<h2>How to read the table</h2>
<dl>
<dt>verdict</dt><dd>$fit_rule</dd>
<dt>~</dt><dd>$noise_rule</dd>
$columns
</dl>
<h2>How fair is the comparison?</h2>
<p>Within a repeat every variant starts from the same weights and sees the same batches in the same
order. Repeats differ in initial weights, order and dropout masks; rows and labels are the same in
all of them, so the noise that they show is that of training, not that of drawing other
data.</p>
<details><summary>Every repeat</summary>
$repeats
</details>
</main>
<footer><p class="soft">Made by nnreg $version. All numbers, and the losses of every epoch, are in
report.json beside this file.</p></footer>
</body>
</html>
""")

FIGURE = Template("""\
<h2>$title</h2>
<figure>
<picture>
<source media="$dark and $narrow" srcset="$dark_narrow">
<source media="$narrow" srcset="$light_narrow">
<source media="$dark" srcset="$dark_wide">
<img src="$light_wide" alt="$alt">
</picture>
<figcaption>$caption</figcaption>
</figure>
""")

TITLES = {
    "curves": (
        "How the losses ran",
        "Train and test loss by epoch, one panel for each variant, on the same axes.",
        "Data loss in inference mode at the end of each epoch. Thick lines are means of the "
        "repeats, thin lines the repeats; the dot is the lowest test loss; what is shaded is the "
        "generalization gap.",
    ),
    "weights": (
        "What the weights became",
        "Histograms of the weights, one panel for each variant, on the same axes.",
        "All weights of the first repeat, on a logarithmic scale. Those that are exactly 0 have a "
        "bar of their own.",
    ),
}


def page(comparison: Comparison, pictures: Mapping[str, Mapping[str, bytes]]) -> str:
    """Return the page.

    Parameters
    ----------
    comparison : Comparison
    pictures : mapping of str to mapping of str to bytes
        For ``"curves"`` and ``"weights"``, if there are pictures, four SVG files: ``light_wide``,
        ``light_narrow``, ``dark_wide`` and ``dark_narrow``.
    """
    warning = (
        "<p><strong>Interrupted: fewer repeats than asked for.</strong></p>"
        if comparison.interrupted
        else ""
    )
    columns = shown(comparison.settings.label_noise)
    return PAGE.substitute(
        name=escape(comparison.dataset.name),
        dark=DARK,
        headline=escape(headline(comparison)),
        data=escape(data_line(comparison)),
        network=escape(network_line(comparison)),
        choice=escape(choice_line(comparison)),
        warning=warning,
        results=_results(comparison, columns),
        zeros=escape(ZEROS_NOTE[comparison.settings.l1_method]),
        pictures="".join(_figure(name, files) for name, files in pictures.items()),
        strengths=_strengths(comparison),
        fit_rule=escape(FIT_RULE),
        noise_rule=escape(NOISE_RULE),
        columns="\n".join(
            f"<dt>{escape(column.head)}</dt><dd>{escape(column.text)}</dd>" for column in columns
        ),
        repeats=_repeats(comparison, columns),
        version=__version__,
    )


def _results(comparison: Comparison, columns: Sequence[Column]) -> str:
    rows = []
    for variant in VARIANTS:
        fit = verdict(comparison, variant)
        cells = [f'<td class="text fit {fit.split()[0]}">{fit}</td>']
        for column in columns:
            summary = summarize(comparison, variant, column.key)
            mean, plus, sd = column.show(summary.mean, summary.sd).partition(" ± ")
            spread = f' <span class="sd">± {sd}</span>' if plus else ""
            mark = '<abbr title="inside the noise">~</abbr>' if summary.inside_noise else ""
            cells.append(f"<td>{mean}{mark}{spread}</td>")
        rows.append((variant, cells))
    return _table(
        ["variant", "verdict", *(column.head for column in columns)], rows, repeats_note(comparison)
    )


def _strengths(comparison: Comparison) -> str:
    rows = [
        (variant, [f'<td class="text">{escape(part)}</td>' for part in (strengths, grid)])
        for variant, strengths, grid in choice_rows(comparison)
    ]
    losses = "; ".join(
        f"{candidate.variant} with {candidate.strengths}: {candidate.loss:.3f}"
        for candidate in comparison.choice.candidates
    )
    tried = f"<details><summary>Validation losses</summary><p>{losses}</p></details>"
    return _table(["variant", "strengths", "from"], rows, "") + (tried if losses else "")


def _repeats(comparison: Comparison, columns: Sequence[Column]) -> str:
    rows = [
        (
            variant,
            [f"<td>{run.seed}</td>"]
            + [f"<td>{column.show(run.figures[column.key], None)}</td>" for column in columns],
        )
        for variant in VARIANTS
        for run in comparison.runs[variant]
    ]
    return _table(["variant", "seed", *(column.head for column in columns)], rows, "")


def _table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], caption: str) -> str:
    text = ("variant", "verdict", "strengths", "from")
    heads = "".join(
        f'<th scope="col"{" class=text" if name in text else ""}>'
        f"{escape(name).replace(' %', '&nbsp;%')}</th>"
        for name in head
    )
    body = "\n".join(
        f'<tr class="{"none" if name == "none" else "other"}"><th scope="row">{name}</th>'
        f"{''.join(cells)}</tr>"
        for name, cells in rows
    )
    title = f'<p class="soft">{escape(caption)}</p>\n' if caption else ""
    return (
        f'{title}<div class="scroll" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _figure(name: str, files: Mapping[str, bytes]) -> str:
    title, alt, caption = TITLES[name]
    sources = {
        key: f"data:image/svg+xml;base64,{b64encode(content).decode()}"
        for key, content in files.items()
    }
    return FIGURE.substitute(
        sources, title=title, alt=alt, caption=caption, dark=DARK, narrow=NARROW
    )
