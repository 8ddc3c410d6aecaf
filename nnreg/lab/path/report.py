"""A study of a path in words and numbers: a table, `report.json`, `report.html`, a picture."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg import plots
from nnreg._support.tables import text_table
from nnreg.lab.path.study import PathStudy
from nnreg.lab.preprocessing import MAX_DEVIATION
from nnreg.lab.reporting.folder import Pictures, Report
from nnreg.lab.reporting.page import (
    render_definitions,
    render_figure,
    render_report,
    render_table,
)
from nnreg.lab.reporting.text import (
    Column,
    describe_data,
    format_percent,
    get_data_facts,
    get_provenance,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PICTURES = ("path",)
TOLERATED = 0.01  # of accuracy
FEW = 5000  # weights that are drawn

_LOSS = "The mean cross-entropy of the {} rows, without the penalty, in inference mode."
_ACCURACY = "The share of {} rows whose most probable class is the labelled one."

COLUMNS = (
    Column("zeros", "zero weights %", "The share of weights that are exactly 0.", 1, True),
    Column(
        "inputs",
        "inputs",
        "The inputs that are still read when idle units are taken out; one stays in any case.",
        0,
    ),
    Column("units", "units", "The hidden units that stay; one a layer in any case.", 0),
    Column("accuracy", "train acc %", _ACCURACY.format("training"), 1, True),
    Column("test_accuracy", "test acc %", _ACCURACY.format("test"), 1, True),
    Column("data_loss", "train loss", _LOSS.format("training")),
    Column("test_data_loss", "test loss", _LOSS.format("test")),
    Column("penalty", "penalty", "What the penalty adds to the objective."),
    Column(
        "residual",
        "residual",
        "How far from stationary the network is: the largest derivative of the objective by a "
        "parameter, where a weight of zero counts with what the penalty does not hold. 0 at a "
        "minimum, and small beside the strength near one.",
        6,
    ),
)

RULES = {
    "strengths": (
        "A geometric grid. A linear model is walked down from the strength at which zero weights "
        "are optimal, which is computed. A network with hidden layers is walked up, since zero "
        "weights would have no slopes there and never grow: it is trained from its initial weights "
        "under the weakest penalty, then under stronger ones, each from what the one before has "
        "left; the strongest is the largest slope of the data loss at the initial weights."
    ),
    "choice": (
        "Nothing is chosen. The summary names the strongest penalty whose mean test accuracy is at "
        f"most {100 * TOLERATED:g} point below the highest of the path; the test rows were looked "
        "at for it."
    ),
}

BODY = Template("""\
<h1>A regularization path</h1>
<p class="lead">$headline</p>
<dl>
<dt>Data</dt><dd>$data</dd>
<dt>Network</dt><dd>$network</dd>
<dt>Path</dt><dd>$walk</dd>
</dl>
<h2>Results</h2>
$results
$picture
<h2>How to read the table</h2>
$rules
<details><summary>Every repeat</summary>
$repeats
</details>
""")


def network_line(study: PathStudy) -> str:
    """Return what was trained, and how."""
    settings, rows = study.settings, study.rows
    widths = "-".join(map(str, (rows.x.shape[1], *settings.hidden, rows.classes)))
    seeds = ", ".join(str(settings.seed + repeat) for repeat in range(settings.repeats))
    how = "linear, brought to its optimum at each strength"
    if settings.hidden:
        how = (
            f"with ReLU; {settings.optimizer} with learning rate {settings.rate:g}, "
            f"batches of {settings.batch_size}, {settings.epochs} epochs at each strength"
        )
    return (
        f"{widths} {how}; seeds {seeds}; features standardized by the training rows, held within "
        f"{MAX_DEVIATION:g} deviations"
    )


def walk_line(study: PathStudy) -> str:
    """Return which strengths were walked, and in which direction."""
    s, l2 = study.strengths, study.settings.l2
    direction = "upwards" if study.settings.hidden else "downwards"
    also = f", with L2 {l2:g} at each" if l2 else ""
    return f"{len(s)} strengths of proximal L1 from {s[0]:.3g} to {s[-1]:.3g}, {direction}{also}"


def headline(study: PathStudy) -> str:
    """Return the result in two sentences."""
    accuracy = study.figures["test_accuracy"].mean(axis=0)
    zeros = study.figures["zeros"].mean(axis=0)
    best = int(accuracy.argmax())
    sparse = int(np.flatnonzero(accuracy >= accuracy[best] - TOLERATED)[0])
    first = (
        f"Best on test rows is L1 {study.strengths[best]:.2g} with "
        f"{format_percent(accuracy[best])}, "
        f"{format_percent(zeros[best])} of the weights exactly zero."
    )
    if sparse == best:
        return f"{first} No stronger penalty of the path comes within {100 * TOLERATED:g} point."
    return (
        f"{first} L1 {study.strengths[sparse]:.2g} has {format_percent(accuracy[sparse])}, with "
        f"{format_percent(zeros[sparse])} exactly zero."
    )


def repeats_note(study: PathStudy) -> str:
    """Return what the figures of the table are."""
    repeats = study.settings.repeats
    if not study.settings.hidden:
        return "A linear model has one optimum, whatever the seed."
    if repeats == 1:
        return "One repeat: nothing is known about the noise."
    return f"Mean ± standard deviation of {repeats} repeats."


def text(study: PathStudy) -> str:
    """Return what `nnreg path` prints."""
    lines = (
        ("data", describe_data(study.dataset, study.rows)),
        ("network", network_line(study)),
        ("path", walk_line(study)),
    )
    columns = COLUMNS[:-2]  # all of them are wider than a terminal
    head = ["L1", *(column.head for column in columns)]
    rows = [
        [f"{strength:.3g}", *(_cell(study, column, place) for column in columns)]
        for place, strength in enumerate(study.strengths)
    ]
    parts = [
        "\n".join(wrap(f"{name:11}{line}", " " * 11) for name, line in lines),
        text_table(head, rows, right=range(len(head))),
        wrap(f"{repeats_note(study)} Rules: nnreg path --help.", "  "),
        wrap(headline(study)),
    ]
    return "\n\n".join(parts)


def as_dict(study: PathStudy) -> dict[str, Any]:
    """Return every number of a study in lists and dictionaries, ready for JSON."""
    return {
        **get_provenance(),
        "data": get_data_facts(study.dataset, study.rows),
        "settings": asdict(study.settings) | {"learning_rate": study.settings.rate},
        "rules": RULES,
        "columns": {column.key: column.text for column in COLUMNS},
        "strengths": study.strengths.tolist(),
        "repeats": [
            {"seed": study.settings.seed + repeat}
            | {name: values[repeat].tolist() for name, values in study.figures.items()}
            for repeat in range(study.settings.repeats)
        ],
    }


def picture(study: PathStudy, *, columns: int = 3, theme: plots.Theme = plots.LIGHT) -> Figure:
    """Draw losses, exact zeros and, where they are few, the weights."""
    return plots.regularization_path(
        study.strengths,
        train=study.figures["data_loss"],
        test=study.figures["test_data_loss"],
        zeros=study.figures["zeros"],
        weights=study.weights if study.weights.shape[1] <= FEW else None,
        columns=columns,
        theme=theme,
    )


def page(study: PathStudy, pictures: Pictures) -> str:
    """Return `report.html`.

    Parameters
    ----------
    study : PathStudy
    pictures : Pictures
        ``"path"``, or none.
    """
    figures = [
        render_figure(
            files,
            title="How weights run to zero",
            alt="Losses, exact zeros and weights by the strength of the penalty.",
            caption="From strong on the left to weak on the right. Thick lines are means of the "
            "repeats, thin lines the repeats; single weights are those of the first repeat.",
        )
        for files in pictures.values()
    ]
    head = ["L1", *(column.head for column in COLUMNS)]
    means = [
        [f"{strength:.3g}", *(_cell(study, column, place) for column in COLUMNS)]
        for place, strength in enumerate(study.strengths)
    ]
    singles = [
        [
            f"{strength:.3g}",
            str(study.settings.seed + repeat),
            *(
                column.format(float(study.figures[column.key][repeat, place]), None)
                for column in COLUMNS
            ),
        ]
        for place, strength in enumerate(study.strengths)
        for repeat in range(study.settings.repeats)
    ]
    body = BODY.substitute(
        headline=escape(headline(study)),
        data=escape(describe_data(study.dataset, study.rows)),
        network=escape(network_line(study)),
        walk=escape(walk_line(study)),
        results=render_table(head, means, note=repeats_note(study)),
        picture="".join(figures),
        rules=render_definitions(RULES | {column.head: column.text for column in COLUMNS}),
        repeats=render_table(["L1", "seed", *head[1:]], singles),
    )
    return render_report(f"Regularization path: {study.dataset.name}", body)


def make_report(study: PathStudy) -> Report:
    """Return the report of a study."""
    return Report(
        text(study), as_dict(study), {"path": partial(picture, study)}, partial(page, study)
    )


def _cell(study: PathStudy, column: Column, place: int) -> str:
    values = study.figures[column.key][:, place]
    return column.format(
        float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None
    )
