"""The report of a path study: ``report.json``, ``report.html`` and a picture."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from html import escape
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
    ACCURACY,
    LOSS,
    Column,
    describe_data,
    format_percent,
    get_data_facts,
    get_provenance,
    wrap,
    wrap_facts,
)

if TYPE_CHECKING:
    from nnreg.plots.frame import Figure

TOLERANCE = 0.01  # of accuracy
MAX_WEIGHTS = 5000  # that are drawn

SIZES = (
    Column("zeros", "zero weights %", "The share of weights that are exactly 0.", 1, True),
    Column("inputs", "inputs", "The inputs that are still used after pruning, at least one.", 0),
    Column("units", "units", "The hidden units that pruning leaves, at least one a layer.", 0),
)
FIT = (
    Column("accuracy", "train acc %", ACCURACY.format("training"), 1, True),
    Column("test_accuracy", "test acc %", ACCURACY.format("test"), 1, True),
    Column("data_loss", "train loss", LOSS.format("training")),
    Column("test_data_loss", "test loss", LOSS.format("test")),
)
COLUMNS = (
    *SIZES,
    *FIT,
    Column("penalty", "penalty", "What the penalty adds to the objective."),
    Column(
        "residual",
        "residual",
        "The KKT residual: the largest element of the smallest subgradient of the objective. It is "
        "0 at a minimum, and near one small compared with the strength.",
        6,
    ),
)

RULES = {
    "strengths": (
        "A geometric grid. A linear model starts at the strength from which on zero weights are "
        "optimal, which is computed, and goes on to weaker ones. A network with hidden layers goes "
        "from weak to strong, because zero weights have zero derivatives there and never grow: it "
        "is trained from its initial weights under the weakest penalty, then under stronger ones, "
        "each from the weights of the one before. The strongest is the largest absolute derivative "
        "of the data loss at the initial weights."
    ),
    "selection": (
        "No strength is selected. The summary names the strongest penalty whose mean test accuracy "
        f"is at most {100 * TOLERANCE:g} point below the highest of the path; this uses the test "
        "rows."
    ),
}

PICTURES = {
    "path": {
        "title": "Weights by the strength of the penalty",
        "alt": "Losses, exact zeros and weights by the strength of the penalty.",
        "caption": "From strong on the left to weak on the right. Thick lines are means of the "
        "repeats, thin lines the repeats; single weights are those of the first repeat.",
    }
}


def make_report(study: PathStudy) -> Report:
    """Return the report of a study."""
    return Report(
        text=make_text(study),
        numbers=as_dict(study),
        pictures={"path": partial(draw_path, study)},
        page=partial(make_page, study),
    )


def make_text(study: PathStudy) -> str:
    """Return what `nnreg path` prints."""
    tables = [
        text_table(head, rows, right=range(len(head)))
        for head, rows in (_table(study, columns) for columns in (SIZES, FIT))
    ]
    note = f"{_repeats_note(study)} Rules: nnreg path --help."
    return "\n\n".join([wrap_facts(_facts(study)), *tables, wrap(note), wrap(make_headline(study))])


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


def make_page(study: PathStudy, pictures: Pictures) -> str:
    """Return ``report.html``.

    Parameters
    ----------
    study : PathStudy
    pictures : Pictures
        ``"path"``, or none.
    """
    head, means = _table(study, COLUMNS)
    repeats = [
        [f"{strength:.3g}", str(study.settings.seed + repeat)]
        + [column.format(float(study.figures[column.key][repeat, i]), None) for column in COLUMNS]
        for i, strength in enumerate(study.strengths)
        for repeat in range(study.settings.repeats)
    ]
    body = [
        "<h1>A regularization path</h1>",
        f'<p class="lead">{escape(make_headline(study))}</p>',
        render_definitions(_facts(study)),
        "<h2>Results</h2>",
        render_table(head, means, note=_repeats_note(study)),
        *(render_figure(files, **PICTURES[name]) for name, files in pictures.items()),
        "<h2>How to read the table</h2>",
        render_definitions(RULES | {column.head: column.text for column in COLUMNS}),
        "<details><summary>Every repeat</summary>",
        render_table(["L1", "seed", *head[1:]], repeats),
        "</details>",
    ]
    return render_report(f"Regularization path: {study.dataset.name}", "\n".join(body))


def draw_path(study: PathStudy, *, columns: int = 3, theme: plots.Theme = plots.LIGHT) -> Figure:
    """Draw losses, exact zeros and, unless they are too many, the weights."""
    return plots.regularization_path(
        study.strengths,
        train=study.figures["data_loss"],
        test=study.figures["test_data_loss"],
        zeros=study.figures["zeros"],
        weights=study.weights if study.weights.shape[1] <= MAX_WEIGHTS else None,
        columns=columns,
        theme=theme,
    )


def _facts(study: PathStudy) -> dict[str, str]:
    """Return the data, the network and its training, and the strengths."""
    settings, rows, s = study.settings, study.rows, study.strengths
    widths = "-".join(map(str, (rows.x.shape[1], *settings.hidden, rows.classes)))
    seeds = ", ".join(str(settings.seed + repeat) for repeat in range(settings.repeats))
    training = "linear, trained to its optimum at each strength"
    order = "from strong to weak"
    if settings.hidden:
        training = (
            f"with ReLU; {settings.optimizer} with learning rate {settings.rate:g}, "
            f"batches of {settings.batch_size}, {settings.epochs} epochs at each strength"
        )
        order = "from weak to strong"
    l2 = f", beside L2 {settings.l2:g}" if settings.l2 else ""
    return {
        "data": describe_data(study.dataset, rows),
        "network": f"{widths} {training}; seeds {seeds}; features standardized by the training "
        f"rows, clipped at {MAX_DEVIATION:g} deviations",
        "path": f"{len(s)} strengths of proximal L1 from {s[0]:.3g} to {s[-1]:.3g}{l2}, trained "
        f"{order}",
    }


def make_headline(study: PathStudy) -> str:
    """Return the best strength on the test rows, and the strongest that is nearly as good."""
    accuracy, zeros = (study.figures[name].mean(axis=0) for name in ("test_accuracy", "zeros"))
    best = int(accuracy.argmax())
    sparse = int(np.flatnonzero(accuracy >= accuracy[best] - TOLERANCE)[0])
    text = (
        f"Best on test rows is L1 {study.strengths[best]:.2g} with "
        f"{format_percent(accuracy[best])}, {format_percent(zeros[best])} of the weights exactly "
        "zero. "
    )
    if sparse == best:
        return f"{text}No stronger penalty of the path comes within {100 * TOLERANCE:g} point."
    return (
        f"{text}L1 {study.strengths[sparse]:.2g} has {format_percent(accuracy[sparse])}, with "
        f"{format_percent(zeros[sparse])} exactly zero."
    )


def _repeats_note(study: PathStudy) -> str:
    if not study.settings.hidden:
        return "A linear model has one optimum, whatever the seed."
    if study.settings.repeats == 1:
        return "One repeat: its variation is not known."
    return f"Mean ± standard deviation of {study.settings.repeats} repeats."


def _table(study: PathStudy, columns: tuple[Column, ...]) -> tuple[list[str], list[list[str]]]:
    """Return the head, and a row for each strength with mean and deviation over the repeats."""
    means = {column.key: study.figures[column.key].mean(axis=0) for column in columns}
    sds: dict[str, Any] = {column.key: [None] * len(study.strengths) for column in columns}
    if study.settings.repeats > 1:
        sds = {column.key: study.figures[column.key].std(axis=0, ddof=1) for column in columns}
    rows = [
        [f"{strength:.3g}"]
        + [column.format(means[column.key][i], sds[column.key][i]) for column in columns]
        for i, strength in enumerate(study.strengths)
    ]
    return ["L1", *(column.head for column in columns)], rows
