"""The report of a path study: ``report.json``, ``report.html`` and a picture."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np

from nnreg import plots
from nnreg.lab.path.study import NETWORK_TOP, PathStudy
from nnreg.lab.reporting.report import (
    ACCURACY,
    LOSS,
    Column,
    Report,
    Table,
    describe_data,
    describe_network,
    describe_training,
    format_percent,
    get_data_facts,
)
from nnreg.plots.frame import Figure

TOLERANCE = 0.01  # of accuracy
MAX_WEIGHTS = 5000  # drawn as single lines

RESULTS = (
    Column("zeros", "zeros %", "The share of weights that are exactly 0.", 1, True),
    Column(
        "units", "units", "The number of hidden units after pruning, at least one per layer.", 0
    ),
    Column("data_loss", "train loss", LOSS.format("training")),
    Column("test_data_loss", "test loss", LOSS.format("test")),
    Column("test_accuracy", "test acc %", ACCURACY.format("test"), 1, True),
)
OTHERS = (
    Column("accuracy", "train acc %", ACCURACY.format("training"), 1, True),
    Column("inputs", "inputs", "The number of inputs after pruning, at least one.", 0),
    Column("penalty", "penalty", "The penalty term of the objective."),
    Column(
        "residual",
        "residual",
        "The KKT residual: the largest element of the smallest subgradient of the objective. It is "
        "0 at a minimum; near a minimum it is small compared with the strength.",
        6,
    ),
)

COLUMNS = (*RESULTS, *OTHERS)

RULES = {
    "strengths": (
        "A geometric grid. The path of a linear model starts at the smallest strength for which "
        "zero weights are optimal, which is computed, and continues with weaker ones. The path of "
        "a network with hidden layers goes from weak to strong, because at zero weights all "
        "derivatives of such a network are zero: it is trained from its initial weights with the "
        "weakest penalty, then with stronger ones, each from the weights of the one before. The "
        f"greatest strength is {NETWORK_TOP:g} times the largest absolute derivative of the data "
        "loss at the initial weights."
    ),
    "selection": (
        "No strength is selected. The summary shows the strongest penalty whose mean test accuracy "
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
    settings, figures, count = study.settings, study.figures, study.settings.repeats
    seeds = [settings.seed + repeat for repeat in range(count)]
    note = f"Mean ± standard deviation of {count} repeats."
    if count == 1:
        note = "One repeat: the variation between repeats is not measured."
    if not settings.hidden:
        note = "The optimum of a linear model does not depend on the seed."
    names = [f"{strength:.3g}" for strength in study.strengths]
    results, others = (
        Table(
            ["L1"],
            [column.head for column in columns],
            [
                [name, *(column.format(figures[column.key][:, i]) for column in columns)]
                for i, name in enumerate(names)
            ],
        )
        for columns in (RESULTS, OTHERS)
    )
    repeats = [
        [name, str(seed), *(column.format(figures[column.key][[r], i]) for column in COLUMNS)]
        for i, name in enumerate(names)
        for r, seed in enumerate(seeds)
    ]
    heads = [column.head for column in COLUMNS]
    return Report(
        title=f"Regularization path: {study.dataset.name}",
        headline=make_headline(study),
        facts=_facts(study),
        tables={"Results": results},
        notes=[note],
        rules=RULES | {column.head: column.text for column in COLUMNS},
        details={"Other figures": others, "Every repeat": Table(["L1", "seed"], heads, repeats)},
        numbers={
            "data": get_data_facts(study.dataset, study.rows),
            "settings": asdict(settings) | {"learning_rate": settings.rate},
            "rules": RULES,
            "columns": {column.key: column.text for column in COLUMNS},
            "strengths": study.strengths.tolist(),
            "repeats": [
                {"seed": seed, **{name: values[r].tolist() for name, values in figures.items()}}
                for r, seed in enumerate(seeds)
            ],
        },
        pictures=PICTURES,
        draw={"path": partial(draw_path, study)},
    )


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
    settings, s = study.settings, study.strengths
    training = "linear, trained to its optimum at each strength"
    order = "from strong to weak"
    if settings.hidden:
        training = f"with ReLU; {describe_training(settings)} at each strength"
        order = "from weak to strong"
    l2 = f", with L2 {settings.l2:g}" if settings.l2 else ""
    return {
        "data": describe_data(study.dataset, study.rows),
        "network": describe_network(settings, study.rows, training),
        "path": f"{len(s)} strengths of proximal L1 from {s[0]:.3g} to {s[-1]:.3g}{l2}, trained "
        f"{order}",
    }


def make_headline(study: PathStudy) -> str:
    """Return the best strength on the test rows, and the strongest within the tolerance."""
    accuracy, zeros = (study.figures[name].mean(axis=0) for name in ("test_accuracy", "zeros"))
    best = int(accuracy.argmax())
    sparse = int(np.flatnonzero(accuracy >= accuracy[best] - TOLERANCE)[0])
    text = (
        f"Best on test rows is L1 {study.strengths[best]:.3g} with "
        f"{format_percent(accuracy[best])}, {format_percent(zeros[best])} of the weights exactly "
        "zero. "
    )
    if sparse == best:
        return f"{text}No stronger penalty of the path is within {100 * TOLERANCE:g} point."
    return (
        f"{text}L1 {study.strengths[sparse]:.3g} has {format_percent(accuracy[sparse])}, with "
        f"{format_percent(zeros[sparse])} exactly zero."
    )
