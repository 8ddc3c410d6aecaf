"""`report.html`: the whole comparison on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template

from nnreg.lab.comparison.columns import Column, shown
from nnreg.lab.comparison.experiment import Comparison
from nnreg.lab.comparison.report import (
    ZEROS_NOTE,
    choice_line,
    choice_rows,
    data_line,
    headline,
    network_line,
    repeats_note,
)
from nnreg.lab.comparison.verdicts import FIT_RULE, NOISE_RULE, summarize, verdict
from nnreg.lab.reporting.html import definitions, document, html_figure, html_table
from nnreg.lab.settings import VARIANTS

WORDS = ("variant", "verdict", "strengths", "from")

BODY = Template("""\
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
    body = BODY.substitute(
        headline=escape(headline(comparison)),
        data=escape(data_line(comparison.dataset, comparison.rows)),
        network=escape(network_line(comparison)),
        choice=escape(choice_line(comparison)),
        warning=warning,
        results=_results(comparison, columns),
        zeros=escape(ZEROS_NOTE[comparison.settings.l1_method]),
        pictures="".join(_figure(name, files) for name, files in pictures.items()),
        strengths=_strengths(comparison),
        fit_rule=escape(FIT_RULE),
        noise_rule=escape(NOISE_RULE),
        columns=definitions({column.head: column.text for column in columns}),
        repeats=_repeats(comparison, columns),
    )
    return document(
        f"Regularization compared: {comparison.dataset.name}",
        body,
        "All numbers, and the losses of every epoch, are in report.json beside this file.",
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
    return html_table(
        ["variant", "verdict", *(column.head for column in columns)],
        rows,
        repeats_note(comparison),
        words=WORDS,
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
    return html_table(["variant", "strengths", "from"], rows, "", words=WORDS) + (
        tried if losses else ""
    )


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
    return html_table(
        ["variant", "seed", *(column.head for column in columns)], rows, "", words=WORDS
    )


def _figure(name: str, files: Mapping[str, bytes]) -> str:
    title, alt, caption = TITLES[name]
    return html_figure(files, title=title, alt=alt, caption=caption)
