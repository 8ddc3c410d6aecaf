"""The result of a comparison: its verdicts, and its report with pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from nnreg import plots
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.comparison.decisions import find_image_shape, find_mistakes, find_regions
from nnreg.lab.comparison.figures import (
    COLUMNS,
    MARKED,
    NOISE_RULE,
    STORY,
    VariantRun,
    is_inside_noise,
)
from nnreg.lab.comparison.selection import ModelSelection
from nnreg.lab.comparison.validation import VALIDATION_RULE, ValidatedVariant
from nnreg.lab.preprocessing import PreparedRows
from nnreg.lab.reporting.report import (
    Column,
    Report,
    Table,
    describe_data,
    describe_network,
    describe_training,
    format_percent,
    get_data_facts,
)
from nnreg.lab.settings import VARIANTS, Settings, Strengths
from nnreg.lab.verdicts import FIT_RULE, Verdict, compute_baseline, has_diverged
from nnreg.plots import LIGHT, Theme, histogram_edges
from nnreg.plots.frame import Figure

ZEROS_NOTE = {
    "proximal": "L1 uses its proximal map, which makes weights exactly 0.",
    "subgradient": "L1 uses subgradients, which make weights small but not exactly 0; the proximal "
    "map (--l1-method proximal) does.",
}

PICTURES = {
    "curves": {
        "title": "The losses by epoch",
        "alt": "Train and test loss by epoch, one panel per variant, on the same axes.",
        "caption": "Data loss in inference mode at the end of each epoch. Thick lines are means of "
        "the repeats, thin lines the repeats; the dot is the lowest test loss; the shaded area is "
        "the generalization gap. Dashed: the validation loss, on which the verdict is based.",
    },
    "weights": {
        "title": "The final weights",
        "alt": "Histograms of the weights, one panel per variant, on the same axes.",
        "caption": "All weights of all repeats, on a logarithmic scale. Those that are exactly 0 "
        "have a separate bar.",
    },
    "decisions": {
        "title": "What was learned",
        "alt": "Decision regions, or misclassified images, one panel per variant.",
        "caption": "The networks of the first repeat. Of two features: the class that is predicted "
        "at each point, and the training rows. Of images: the test rows that are misclassified "
        "with the highest probability, each with its true class, the predicted one and its "
        "probability.",
    },
}

FAIRNESS = (
    "Within a repeat every variant starts from the same weights and is trained on the same batches "
    "in the same order. Repeats differ in initial weights, order and dropout masks; rows and "
    "labels are the same in all of them, so their differences measure the noise of training, not "
    "that of drawing other data."
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All results of a comparison.

    Parameters
    ----------
    dataset : Dataset
    rows : PreparedRows
    settings : Settings
        With the number of epochs filled in.
    selection : ModelSelection
    validation_rows : int
        Training rows that the selection held out.
    runs : dict of str to list of VariantRun
        By variant, in the order of the repeats.
    validated : dict of str to ValidatedVariant
        By variant: the verdict, and the losses on validation rows that it was made with.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> from nnreg.lab import compare
    >>> settings = Settings(l2=0.1, l1=0.001, keep_prob=0.5, epochs=1, train_size=50, repeats=1)
    >>> list(compare(load("digits"), settings).runs)
    ['none', 'L2', 'L1', 'dropout', 'dropout + L2']
    """

    dataset: Dataset
    rows: PreparedRows
    settings: Settings
    selection: ModelSelection
    validation_rows: int
    runs: dict[str, list[VariantRun]]
    validated: dict[str, ValidatedVariant]

    def values(self, variant: str, figure: str) -> Array:
        """Return one figure of all repeats, of shape (R,)."""
        return np.array([run.figures[figure] for run in self.runs[variant]])

    def curves(self, variant: str, curve: str) -> Array:
        """Return one curve of all repeats, of shape (R, epochs)."""
        return np.array([run.curves[curve] for run in self.runs[variant]])

    def summarize(self, variant: str, figure: str) -> dict[str, float | bool | None]:
        """Return a figure's ``mean`` and ``sd``, and whether a difference may be chance.

        ``sd`` (with R - 1) is None of one repeat. ``inside_noise`` is True if the difference from
        ``none`` may be chance; it is None where there is no difference to test: for ``none``
        itself, where all differences are 0, and with one repeat.
        """
        values = self.values(variant, figure)
        several = len(values) > 1
        differences = values - self.values(VARIANTS[0], figure)
        testable = several and bool(differences.any())
        return {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)) if several else None,
            "inside_noise": is_inside_noise(differences) if testable else None,
        }

    def verdict_curves(self) -> dict[str, Array]:
        """Return the validation loss by epoch, on which each verdict is based."""
        return {variant: part.curves for variant, part in self.validated.items()}

    def explain_verdict(self, variant: str) -> Verdict:
        """Return the verdict on a variant and its reason, by `nnreg.lab.verdicts.FIT_RULE`."""
        train, test = (
            float(self.values(variant, name).mean()) for name in ("train_loss", "test_loss")
        )
        if has_diverged(train, test, compute_baseline(self.rows.y)):
            return Verdict("diverged", f"train loss {train:.3g}, test loss {test:.3g}")
        return self.validated[variant].verdict

    def verdict(self, variant: str) -> str:
        """Return the verdict on a variant, one of `nnreg.lab.verdicts.VERDICTS`."""
        return self.explain_verdict(variant).word

    def headline(self) -> str:
        """Return the result in two sentences."""
        train, test = (
            {v: float(self.values(v, name).mean()) for v in VARIANTS}
            for name in ("train_accuracy", "test_accuracy")
        )
        fit = {
            "right fit": "is a right fit",
            "mixed": "is underfit in one respect and overfit in another",
            "diverged": "has diverged",
            "not known": "has a fit that is not known",
        }
        verdict = self.verdict("none")
        first = (
            f"Without regularization the network {fit.get(verdict, f'is {verdict}')}: "
            f"{format_percent(train['none'])} of the training rows right, "
            f"{format_percent(test['none'])} of the test rows."
        )
        best = max(VARIANTS, key=lambda variant: test[variant])
        if best == "none":
            return f"{first} No regularizer is better on test rows."
        gain = round(100 * test[best], 1) - round(100 * test["none"], 1)
        unsure = self.summarize(best, "test_accuracy")["inside_noise"] is not False
        return (
            f"{first} Best on test rows is {best} with {format_percent(test[best])}, "
            f"{gain:.1f} points more{', which may be chance' if unsure else ''}."
        )

    def notes(self) -> list[str]:
        """Return explanations of the numbers in the tables."""
        note = (
            f"Means of {self.settings.repeats} repeats; the table of all figures has their "
            "standard deviations too. ~ marks a difference from none that may be chance."
        )
        if self.settings.repeats == 1:
            note = "One repeat: the noise is not measured."
        notes = [note, ZEROS_NOTE[self.settings.l1_method]]
        if self.settings.label_noise:
            notes.append(
                "Test labels are clean, so the gap can be below 0. The verdict uses validation "
                "rows, whose labels are wrong as often as those of the other training rows."
            )
        return notes

    def cell(self, variant: str, column: Column, deviation: bool = True) -> str:
        """Return a cell of a table, marked where the difference from ``none`` may be chance."""
        values = self.values(variant, column.key)
        inside = column.key in MARKED and self.summarize(variant, column.key)["inside_noise"]
        # If any cell can have a mark, cells without one have a space, so that digits align.
        mark = "~" if inside else " " * (self.settings.repeats > 1 and column.key in MARKED)
        return column.format(values if deviation else [values.mean()]) + mark

    def __str__(self) -> str:
        return str(make_report(self))

    def _repr_html_(self) -> str:
        return make_report(self)._repr_html_()


def make_report(comparison: Comparison) -> Report:
    """Return the report of a comparison."""
    selection = comparison.selection
    story = [column for column in COLUMNS if column.key in STORY]
    results, figures = (
        Table(
            ["variant", "verdict"],
            [column.head for column in shown],
            [
                [v, comparison.verdict(v), *(comparison.cell(v, c, deviation) for c in shown)]
                for v in VARIANTS
            ],
        )
        for shown, deviation in ((story, False), (COLUMNS, True))
    )
    repeats = [
        [v, str(run.seed), *(column.format([run.figures[column.key]]) for column in COLUMNS)]
        for v in VARIANTS
        for run in comparison.runs[v]
    ]
    changes = [
        [v, change.side, str(change)]
        for v in comparison.validated
        for change in comparison.validated[v].changes
    ]
    reasons = [
        [variant, comparison.verdict(variant), reason]
        for variant in VARIANTS
        for reason in comparison.explain_verdict(variant).reason.split("; ")
    ]
    tried = [[c.variant, str(c.strengths), f"{c.loss:.3f}"] for c in selection.candidates]
    heads = [column.head for column in COLUMNS]
    draw: dict[str, Callable[..., Figure]] = {
        "curves": partial(draw_curves, comparison),
        "weights": partial(draw_weights, comparison),
    }
    if shows_decisions(comparison):
        draw["decisions"] = partial(draw_decisions, comparison)
    rules = {"verdict": f"{FIT_RULE} {VALIDATION_RULE}", "~": NOISE_RULE, "repeats": FAIRNESS}
    return Report(
        title=f"Regularization compared: {comparison.dataset.name}",
        headline=comparison.headline(),
        facts=_facts(comparison),
        tables={"Results": results},
        notes=comparison.notes(),
        rules=rules | {column.head: column.text for column in COLUMNS},
        details={
            "Reasons of the verdicts": Table(["variant", "verdict", "reason"], [], reasons),
            "All figures": figures,
            "Strengths": _tabulate_strengths(comparison.selection),
            "Changes on validation rows": Table(
                ["variant", "fits training rows"], ["validation loss"], changes
            ),
            "Every repeat": Table(["variant", "seed"], heads, repeats),
            "Validation losses": Table(["variant", "strengths"], ["loss"], tried),
        },
        numbers=_numbers(comparison),
        pictures=PICTURES,
        draw=draw,
    )


def _facts(comparison: Comparison) -> dict[str, str]:
    """Return the data, the network and the selection of strengths in words."""
    rows, settings = comparison.rows, comparison.settings
    n, k = len(rows.x), comparison.validation_rows
    training = f"with ReLU, dropout after each hidden layer; {describe_training(settings)}"
    selected = comparison.selection.strengths
    strengths = "; ".join(str(selected[v]) for v in VARIANTS[1:]) + ". "
    if comparison.selection.candidates:
        strengths += (
            f"Selected by the loss on {k:,} validation rows, held out of the {n:,} training rows; "
            f"then trained on all {n:,}"
        )
        edges = [v for v in VARIANTS[1:] if comparison.selection.is_at_grid_edge(v)]
        strengths += f". At the end of its grid: {', '.join(edges)}" if edges else ""
    else:
        strengths += "All set, none selected"
    return {
        "data": describe_data(comparison.dataset, rows),
        "network": describe_network(settings, rows, training),
        "strengths": strengths,
    }


def _tabulate_strengths(selection: ModelSelection) -> Table:
    """Return one row per variant: its strengths, and the values that were tried."""
    rows = []
    for variant in VARIANTS[1:]:
        tried = [asdict(candidate.strengths) for candidate in selection.tried(variant)]
        varied = [name for name in asdict(Strengths()) if len({t[name] for t in tried}) > 1]
        grid = ", ".join(f"{values[varied[0]]:g}" for values in tried) if varied else "(set)"
        if selection.is_at_grid_edge(variant):
            grid += "  (end of grid)"
        rows.append([variant, str(selection.strengths[variant]), grid])
    return Table(["variant", "strengths", "from"], [], rows)


def _numbers(comparison: Comparison) -> dict[str, Any]:
    """Return every number of a comparison in lists and dictionaries, for JSON."""
    settings = comparison.settings
    edges = histogram_edges([comparison.runs[variant][0].weights for variant in VARIANTS])
    return {
        "repeats": comparison.settings.repeats,
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
        "rules": {"verdict": f"{FIT_RULE} {VALIDATION_RULE}", "noise": NOISE_RULE},
        "columns": {column.key: column.text for column in COLUMNS},
        "weight_bins": edges.tolist(),
        "variants": {variant: _variant(comparison, variant, edges) for variant in VARIANTS},
    }


def _variant(comparison: Comparison, variant: str, edges: Array) -> dict[str, Any]:
    runs = comparison.runs[variant]
    weights = runs[0].weights
    return {
        "verdict": comparison.verdict(variant),
        "reason": comparison.explain_verdict(variant).reason,
        "strengths": asdict(comparison.selection.strengths[variant]),
        "figures": {name: comparison.summarize(variant, name) for name in runs[0].figures},
        "repeats": [
            {"seed": run.seed, "figures": run.figures, "curves": run.curves} for run in runs
        ],
        "weight_counts": np.histogram(weights[weights != 0], edges)[0].tolist(),
        "zero_weights": int((weights == 0).sum()),
    }


def draw_curves(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw train and test loss by epoch."""
    losses = {
        variant: (comparison.curves(variant, "train_loss"), comparison.curves(variant, "test_loss"))
        for variant in VARIANTS
    }
    notes = {
        variant: f"{comparison.verdict(variant)}, gap "
        f"{comparison.values(variant, 'gap').mean():.3f}"
        for variant in VARIANTS
    }
    notes = _add_strengths(comparison, notes)
    judged = comparison.verdict_curves()
    return plots.loss_curves(losses, judged=judged, notes=notes, columns=columns, theme=theme)


def draw_weights(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw the distribution of the weights of all repeats."""
    runs = comparison.runs
    notes = {v: f"norm {comparison.values(v, 'weight_norm').mean():.1f}" for v in VARIANTS}
    return plots.weight_histograms(
        {variant: np.concatenate([run.weights for run in runs[variant]]) for variant in VARIANTS},
        notes=_add_strengths(comparison, notes),
        columns=columns,
        theme=theme,
    )


def shows_decisions(comparison: Comparison) -> bool:
    """Return whether the data have two features, or are images."""
    features = comparison.dataset.feature_names
    return len(features) == 2 or find_image_shape(features) is not None


def draw_decisions(comparison: Comparison, *, columns: int = 3, theme: Theme = LIGHT) -> Figure:
    """Draw decision regions of two features, or misclassified images, of the first repeat."""
    rows, dataset = comparison.rows, comparison.dataset
    networks = {variant: comparison.runs[variant][0].network for variant in VARIANTS}
    which = "first repeat: " if len(comparison.runs["none"]) > 1 else ""
    style: dict[str, Any] = {"columns": columns, "theme": theme}
    shape = find_image_shape(dataset.feature_names)
    if shape is None:
        accuracies = {v: comparison.runs[v][0].figures["test_accuracy"] for v in VARIANTS}
        notes = {
            v: f"{which}test accuracy {format_percent(share)}" for v, share in accuracies.items()
        }
        a, b = dataset.feature_names
        regions, points = find_regions(networks, rows), (rows.x, rows.y)
        return plots.decision_regions(regions, points, names=(a, b), notes=notes, **style)
    mistakes = {
        v: find_mistakes(net, rows, dataset.class_names, shape) for v, net in networks.items()
    }
    return plots.misclassified_images(
        {variant: (images, captions) for variant, (images, captions, _) in mistakes.items()},
        notes={
            v: f"{which}{count:,} of {len(rows.x_test):,} wrong"
            for v, (*_, count) in mistakes.items()
        },
        **style,
    )


def _add_strengths(comparison: Comparison, notes: Mapping[str, str]) -> dict[str, str]:
    strengths = comparison.selection.strengths
    return {v: f"{n} · {strengths[v]}" if v != "none" else n for v, n in notes.items()}
