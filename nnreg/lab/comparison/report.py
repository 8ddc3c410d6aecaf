"""A comparison in words: the text for a terminal, and `report.json`, which holds every number."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg._support import tables
from nnreg._support.tables import text_table
from nnreg._support.typing import Array
from nnreg._support.version import __version__
from nnreg.datasets import Dataset
from nnreg.lab.comparison.columns import FIT, NOISY, WEIGHTS, Column, shown
from nnreg.lab.comparison.selection import at_the_edge
from nnreg.lab.comparison.verdicts import FIT_RULE, NOISE_RULE, summarize, verdict
from nnreg.lab.preprocessing import FARTHEST, Prepared
from nnreg.lab.settings import VARIANTS, Strengths
from nnreg.plots import histogram_edges

if TYPE_CHECKING:
    from nnreg.lab.comparison.experiment import Comparison


WIDTH = 100

ZEROS_NOTE = {
    "proximal": "L1 uses its proximal map, which makes weights exactly 0; subgradients "
    "(--l1-method subgradient) make them small only.",
    "subgradient": "L1 uses subgradients, which make weights small but not exactly 0; the proximal "
    "map (--l1-method proximal) does.",
}


def data_line(dataset: Dataset, rows: Prepared) -> str:
    """Return where the data come from, and how many they are."""
    wrong = f", {rows.flipped:,} of them given a wrong label" if rows.flipped else ""
    test = "which come with the data" if rows.own_test else "split off first"
    return (
        f"{dataset.name} ({dataset.source}); {rows.x.shape[1]:,} features, {rows.classes} classes; "
        f"{len(rows.x):,} training rows{wrong}; {len(rows.x_test):,} test rows, {test}"
    )


def network_line(comparison: Comparison) -> str:
    """Return what was trained, and how."""
    settings, rows = comparison.settings, comparison.rows
    widths = "-".join(map(str, (rows.x.shape[1], *settings.hidden, rows.classes)))
    seeds = ", ".join(str(settings.seed + repeat) for repeat in range(comparison.repeats))
    return (
        f"{widths} with ReLU, dropout after each hidden layer; {settings.optimizer} with learning "
        f"rate {settings.rate:g}, batches of {settings.batch_size}, {settings.epochs} epochs; "
        f"seeds {seeds}; features standardized by the training rows, held within {FARTHEST:g} "
        "deviations"
    )


def choice_line(comparison: Comparison) -> str:
    """Return how strengths were chosen, or that they were given."""
    if not comparison.choice.candidates:
        return "all given, none chosen"
    n, held = len(comparison.rows.x), comparison.validation_rows
    return (
        f"chosen by the lowest data loss on {held:,} validation rows, held out of the {n:,} "
        f"training rows, after one training on the other {n - held:,}; the final runs train on all "
        f"{n:,}, and no test row was looked at"
    )


def choice_rows(comparison: Comparison) -> list[list[str]]:
    """Return for each variant: its name, its strengths, and what they were chosen from."""
    choice = comparison.choice
    rows = []
    for variant in VARIANTS[1:]:
        tried = [asdict(candidate.strengths) for candidate in choice.tried(variant)]
        varied = [name for name in asdict(Strengths()) if len({t[name] for t in tried}) > 1]
        grid = ", ".join(f"{values[varied[0]]:g}" for values in tried) if varied else "(given)"
        if at_the_edge(choice, variant):
            grid += "  (chosen at the end of the grid)"
        rows.append([variant, str(choice.strengths[variant]), grid])
    return rows


def percent(share: float) -> str:
    """Return a share in percent.

    >>> percent(0.5)
    '50.0 %'
    """
    return f"{100 * share:.1f} %"


def headline(comparison: Comparison) -> str:
    """Return the result in two sentences."""
    plain = {
        name: comparison.values("none", name).mean() for name in ("train_accuracy", "test_accuracy")
    }
    scores = {v: comparison.values(v, "test_accuracy").mean() for v in VARIANTS}
    fit = verdict(comparison, "none").replace("right fit", "a right fit")
    best = max(VARIANTS, key=lambda variant: scores[variant])
    first = (
        f"Without regularization the network is {fit}: "
        f"{percent(plain['train_accuracy'])} of the training rows right, "
        f"{percent(plain['test_accuracy'])} of the test rows."
    )
    if best == "none":
        return f"{first} No regularization does better on test rows."
    gain = round(100 * scores[best], 1) - round(100 * scores["none"], 1)
    unsure = summarize(comparison, best, "test_accuracy").inside_noise is not False
    return (
        f"{first} Best on test rows is {best} with {percent(scores[best])}, {gain:.1f} points more"
        f"{', which may be chance' if unsure else ''}."
    )


def repeats_note(comparison: Comparison) -> str:
    """Return what the figures of the table are."""
    if comparison.repeats == 1:
        return "One repeat: nothing is known about the noise."
    return (
        f"Mean ± standard deviation of {comparison.repeats} repeats; ~ marks a difference from "
        "none that is inside the noise."
    )


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader of the table should know."""
    found = [f"{repeats_note(comparison)} Rules: nnreg compare --help."]
    if comparison.settings.label_noise:
        found.append(
            "Test labels are clean, so the gap can be below 0; 'test, noisy' is the test loss if "
            "they were wrong as often as training labels. The verdict is made with it."
        )
    return [*found, ZEROS_NOTE[comparison.settings.l1_method]]


def text(comparison: Comparison) -> str:
    """Return what `nnreg compare` prints: 100 characters wide, unless names are long."""
    lines = (
        ("data", data_line(comparison.dataset, comparison.rows)),
        ("network", network_line(comparison)),
        ("strengths", choice_line(comparison)),
    )
    noisy = (NOISY,) if comparison.settings.label_noise else ()
    parts = [
        "\n".join(wrapped(f"{name:11}{line}", " " * 11) for name, line in lines),
        text_table(["variant", "strengths", "from"], choice_rows(comparison)),
        _table(comparison, FIT, verdicts=True),
        _table(comparison, noisy + WEIGHTS),
        "\n".join(wrapped(note, "  ") for note in notes(comparison)),
        wrapped(headline(comparison)),
    ]
    return "\n\n".join(parts)


def notebook(comparison: Comparison) -> str:
    """Return what a notebook shows: the result in two sentences, the table, and its notes."""
    noisy = (NOISY,) if comparison.settings.label_noise else ()
    cells = [_cells(comparison, FIT, verdicts=True), _cells(comparison, noisy + WEIGHTS)]
    return "".join(
        [
            tables.paragraphs([headline(comparison)]),
            *(tables.html_table(head, rows, right=right) for head, rows, right in cells),
            tables.paragraphs(notes(comparison)),
        ]
    )


def cell(comparison: Comparison, variant: str, column: Column) -> str:
    """Return one cell of the table, marked where the difference from ``none`` may be chance."""
    summary = summarize(comparison, variant, column.key)
    return column.show(summary.mean, summary.sd) + ("~" if summary.inside_noise else "")


def _table(comparison: Comparison, columns: Sequence[Column], *, verdicts: bool = False) -> str:
    head, rows, right = _cells(comparison, columns, verdicts=verdicts)
    return text_table(head, rows, right=right)


def _cells(
    comparison: Comparison, columns: Sequence[Column], *, verdicts: bool = False
) -> tuple[list[str], list[list[str]], range]:
    """Return head and rows, and which columns are flush right."""
    stub = {v: [v, verdict(comparison, v)] if verdicts else [v] for v in VARIANTS}
    rows = [list(stub[variant]) for variant in VARIANTS]
    for column in columns:
        cells = [cell(comparison, variant, column) for variant in VARIANTS]
        # The place of the mark stays free in a column that has one, so that digits align.
        marked = any(text.endswith("~") for text in cells)
        for row, content in zip(rows, cells, strict=True):
            row.append(content + " " * (marked and not content.endswith("~")))
    head = ["variant", "verdict"][: 1 + verdicts] + [column.head for column in columns]
    return head, rows, range(1 + verdicts, len(head))


def wrapped(line: str, indent: str = "") -> str:
    """Return a line folded at the width of the report."""
    return textwrap.fill(
        line, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Return every number of a comparison in lists and dictionaries, ready for JSON."""
    dataset, rows, choice = comparison.dataset, comparison.rows, comparison.choice
    columns = shown(comparison.settings.label_noise)
    edges = histogram_edges([comparison.runs[variant][0].weights for variant in VARIANTS])
    return {
        **provenance(),
        "interrupted": comparison.interrupted,
        "repeats": comparison.repeats,
        "data": data_facts(dataset, rows),
        "settings": asdict(comparison.settings) | {"learning_rate": comparison.settings.rate},
        "choice": {
            "validation_rows": comparison.validation_rows,
            "candidates": [
                {"variant": candidate.variant, **asdict(candidate.strengths)}
                | {"validation_loss": _finite(candidate.loss)}
                for candidate in choice.candidates
            ],
        },
        "rules": {"verdict": FIT_RULE, "noise": NOISE_RULE},
        "columns": {column.key: column.text for column in columns},
        "weight_bins": edges.tolist(),
        "variants": {variant: _variant(comparison, variant, edges) for variant in VARIANTS},
    }


def provenance() -> dict[str, Any]:
    """Return what made a report, and when, ready for JSON."""
    return {
        "versions": {
            "nnreg": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def data_facts(dataset: Dataset, rows: Prepared) -> dict[str, Any]:
    """Return what the data are, ready for JSON."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "features": rows.x.shape[1],
        "class_names": list(dataset.class_names),
        "training_rows": len(rows.x),
        "wrong_labels": rows.flipped,
        "test_rows": len(rows.x_test),
        "test_part": "own" if rows.own_test else "split off",
    }


def _variant(comparison: Comparison, variant: str, edges: Array) -> dict[str, Any]:
    runs = comparison.runs[variant]
    weights = runs[0].weights
    return {
        "verdict": verdict(comparison, variant),
        "strengths": asdict(comparison.choice.strengths[variant]),
        "figures": {name: asdict(summarize(comparison, variant, name)) for name in runs[0].figures},
        "repeats": [
            {"seed": run.seed, "figures": run.figures, "curves": run.curves} for run in runs
        ],
        "weight_counts": np.histogram(weights[weights != 0], edges)[0].tolist(),
        "zero_weights": int((weights == 0).sum()),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
