"""The report of a comparison: ``report.json``, ``report.html`` and two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg import plots
from nnreg._support.tables import Markup
from nnreg._support.typing import Array
from nnreg.lab.comparison.result import NOISE_RULE, ZEROS_NOTE, Comparison
from nnreg.lab.reporting.folder import Pictures, Report
from nnreg.lab.reporting.page import (
    mark_verdict,
    render_definitions,
    render_figure,
    render_report,
    render_table,
)
from nnreg.lab.reporting.text import Column, get_data_facts, get_provenance
from nnreg.lab.settings import VARIANTS
from nnreg.lab.verdicts import FIT_RULE
from nnreg.plots import LIGHT, Theme, histogram_edges

if TYPE_CHECKING:
    from nnreg.plots.frame import Figure

PICTURES = {
    "curves": {
        "title": "The losses by epoch",
        "alt": "Train and test loss by epoch, one panel for each variant, on the same axes.",
        "caption": "Data loss in inference mode at the end of each epoch. Thick lines are means of "
        "the repeats, thin lines the repeats; the dot is the lowest test loss; the shaded area is "
        "the generalization gap.",
    },
    "weights": {
        "title": "The final weights",
        "alt": "Histograms of the weights, one panel for each variant, on the same axes.",
        "caption": "All weights of the first repeat, on a logarithmic scale. Those that are "
        "exactly 0 have a bar of their own.",
    },
}

BODY = Template("""\
<h1>One network, five ways to regularize it</h1>
<p class="lead">$headline</p>
$facts
$warning
<h2>Results</h2>
$results
<p class="soft">$zeros</p>
$pictures
<h2>Strengths</h2>
$strengths
<h2>How to read the table</h2>
$rules
<h2>How fair is the comparison?</h2>
<p>Within a repeat every variant starts from the same weights and sees the same batches in the same
order. Repeats differ in initial weights, order and dropout masks; rows and labels are the same in
all of them, so the noise that they show is that of training, not that of drawing other
data.</p>
<details><summary>Every repeat</summary>
$repeats
</details>
""")


def make_report(comparison: Comparison) -> Report:
    """Return the report of a comparison."""
    return Report(
        text=str(comparison),
        numbers=as_dict(comparison),
        pictures={
            "curves": partial(draw_curves, comparison),
            "weights": partial(draw_weights, comparison),
        },
        page=partial(make_page, comparison),
    )


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Return every number of a comparison in lists and dictionaries, ready for JSON."""
    settings = comparison.settings
    edges = histogram_edges([comparison.runs[variant][0].weights for variant in VARIANTS])
    return {
        **get_provenance(),
        "interrupted": comparison.interrupted,
        "repeats": comparison.repeats,
        "data": get_data_facts(comparison.dataset, comparison.rows),
        "settings": asdict(settings) | {"learning_rate": settings.rate},
        "selection": {
            "validation_rows": comparison.validation_rows,
            "candidates": [
                {"variant": candidate.variant, **asdict(candidate.strengths)}
                | {"validation_loss": candidate.loss}
                for candidate in comparison.selection.candidates
            ],
        },
        "rules": {"verdict": FIT_RULE, "noise": NOISE_RULE},
        "columns": {column.key: column.text for column in comparison.columns},
        "weight_bins": edges.tolist(),
        "variants": {variant: _variant(comparison, variant, edges) for variant in VARIANTS},
    }


def make_page(comparison: Comparison, pictures: Pictures) -> str:
    """Return ``report.html``.

    Parameters
    ----------
    comparison : Comparison
    pictures : Pictures
        ``"curves"`` and ``"weights"``, or none.
    """
    columns = comparison.columns
    heads = [column.head for column in columns]
    repeats = [
        [variant, str(run.seed)]
        + [column.format(run.figures[column.key], None) for column in columns]
        for variant in VARIANTS
        for run in comparison.runs[variant]
    ]
    results = [
        [variant, mark_verdict(comparison.verdict(variant))]
        + [_cell(comparison, variant, column) for column in columns]
        for variant in VARIANTS
    ]
    definitions = {"verdict": FIT_RULE, "~": NOISE_RULE}
    losses = "; ".join(
        f"{candidate.variant} with {candidate.strengths}: {candidate.loss:.3f}"
        for candidate in comparison.selection.candidates
    )
    tried = f"<details><summary>Validation losses</summary><p>{losses}</p></details>"
    warning = "<p><strong>Interrupted: fewer repeats than asked for.</strong></p>"
    body = BODY.substitute(
        headline=escape(comparison.headline()),
        facts=render_definitions(comparison.facts()),
        warning=warning if comparison.interrupted else "",
        results=render_table(
            ["variant", "verdict", *heads], results, words=2, note=comparison.repeats_note()
        ),
        zeros=escape(ZEROS_NOTE[comparison.settings.l1_method]),
        pictures="".join(
            render_figure(files, **PICTURES[name]) for name, files in pictures.items()
        ),
        strengths=render_table(*comparison.strengths_table(), words=3) + (tried if losses else ""),
        rules=render_definitions(definitions | {column.head: column.text for column in columns}),
        repeats=render_table(["variant", "seed", *heads], repeats),
    )
    return render_report(f"Regularization compared: {comparison.dataset.name}", body)


def draw_curves(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw train and test loss by epoch."""
    losses = {
        variant: (comparison.curves(variant, "train_loss"), comparison.curves(variant, "test_loss"))
        for variant in VARIANTS
    }
    notes = {
        variant: f"{comparison.verdict(variant)}, gap "
        f"{comparison.values(variant, 'gap').mean():.2f}"
        for variant in VARIANTS
    }
    notes = _add_strengths(comparison, notes)
    return plots.loss_curves(losses, notes=notes, columns=columns, theme=theme)


def draw_weights(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw the distribution of the weights of the first repeat."""
    runs = {variant: comparison.runs[variant][0] for variant in VARIANTS}
    notes = {variant: f"norm {run.figures['weight_norm']:.1f}" for variant, run in runs.items()}
    return plots.weight_histograms(
        {variant: run.weights for variant, run in runs.items()},
        notes=_add_strengths(comparison, notes),
        columns=columns,
        theme=theme,
    )


def _add_strengths(comparison: Comparison, notes: Mapping[str, str]) -> dict[str, str]:
    strengths = comparison.selection.strengths
    return {v: f"{n} · {strengths[v]}" if v != "none" else n for v, n in notes.items()}


def _cell(comparison: Comparison, variant: str, column: Column) -> Markup:
    summary = comparison.summarize(variant, column.key)
    mean, plus, sd = column.format(summary.mean, summary.sd).partition(" ± ")
    mark = '<abbr title="inside the noise">~</abbr>' if summary.inside_noise else ""
    return Markup(mean + mark + (f' <span class="sd">± {sd}</span>' if plus else ""))


def _variant(comparison: Comparison, variant: str, edges: Array) -> dict[str, Any]:
    runs = comparison.runs[variant]
    weights = runs[0].weights
    return {
        "verdict": comparison.verdict(variant),
        "strengths": asdict(comparison.selection.strengths[variant]),
        "figures": {name: asdict(comparison.summarize(variant, name)) for name in runs[0].figures},
        "repeats": [
            {"seed": run.seed, "figures": run.figures, "curves": run.curves} for run in runs
        ],
        "weight_counts": np.histogram(weights[weights != 0], edges)[0].tolist(),
        "zero_weights": int((weights == 0).sum()),
    }
