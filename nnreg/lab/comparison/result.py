"""The result of a comparison: its figures, verdicts, table and summary in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from nnreg._support import tables
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.comparison.selection import ModelSelection
from nnreg.lab.preprocessing import MAX_DEVIATION, PreparedRows
from nnreg.lab.reporting.text import (
    ACCURACY,
    LOSS,
    Column,
    describe_data,
    format_percent,
    wrap,
    wrap_facts,
)
from nnreg.lab.settings import VARIANTS, Settings, Strengths
from nnreg.lab.verdicts import classify_fit, compute_baseline

CONFIDENCE = 0.95

NOISE_RULE = (
    "A difference from 'none' is inside the noise, and marked ~, if the "
    f"{CONFIDENCE * 100:g} % confidence interval of its mean (Student's t, over the paired "
    "differences within the repeats) contains 0. One repeat says nothing about noise."
)

ZEROS_NOTE = {
    "proximal": "L1 uses its proximal map, which makes weights exactly 0; subgradients "
    "(--l1-method subgradient) only make them small.",
    "subgradient": "L1 uses subgradients, which make weights small but not exactly 0; the proximal "
    "map (--l1-method proximal) does.",
}

ACCURACIES = (
    Column("train_accuracy", "train acc %", ACCURACY.format("training"), 1, True),
    Column("test_accuracy", "test acc %", ACCURACY.format("test"), 1, True),
    Column(
        "gap",
        "gap",
        "The generalization gap: test loss minus train loss. Wrong training labels raise the train "
        "loss of a network that does not fit them, so with label noise it can be below 0.",
    ),
)
LOSSES = (
    Column("train_loss", "train loss", LOSS.format("training")),
    Column("test_loss", "test loss", LOSS.format("test")),
    Column(
        "test_loss_noisy",
        "test, noisy",
        "The test loss if test labels were wrong as often as training labels: the mean over all "
        "ways to make them wrong. The verdict uses it, so that both losses have the same noise.",
    ),
    Column(
        "penalty",
        "penalty",
        "L2: strength/2 · Σ w². L1: strength · Σ |w|. Over all weights, never over biases; dropout "
        "has none.",
    ),
)
WEIGHTS = (
    Column("total", "total", "Train loss plus penalty: the objective of training."),
    Column("weight_norm", "weight norm", "√(Σ w²) over all weights.", 1),
    Column("zeros", "zero weights %", "The share of weights that are exactly 0.", 1, True),
    Column("seconds", "seconds", "Training time of one run, without the measuring.", 1),
)


@dataclass(frozen=True, eq=False)
class VariantRun:
    """One trained network, measured.

    Parameters
    ----------
    seed : int
    figures : dict of str to float
        At the end: ``train_accuracy``, ``test_accuracy``, ``train_loss``, ``test_loss``,
        ``test_loss_noisy``, ``gap``, ``penalty``, ``total``, ``weight_norm``, ``zeros`` and
        ``seconds``; see `Comparison.columns`.
    curves : dict of str to list of float
        The first five, and the penalty, at the end of every epoch.
    weights : ndarray of shape (P,)
        The final weights, without the biases.

    Examples
    --------
    >>> VariantRun(0, {"gap": 0.5}, {}, np.zeros(1)).figures["gap"]
    0.5
    """

    seed: int
    figures: dict[str, float]
    curves: dict[str, list[float]]
    weights: Array


@dataclass(frozen=True)
class Summary:
    """One figure of one variant, over the repeats.

    Parameters
    ----------
    mean : float
    sd : float or None
        Standard deviation (with R - 1); None of one repeat.
    inside_noise : bool or None
        Whether the difference from ``none`` may be chance; None where there is no difference to
        test: for ``none`` itself, where all differences are 0, and with one repeat.

    Examples
    --------
    >>> Summary(0.5, None, None).mean
    0.5
    """

    mean: float
    sd: float | None
    inside_noise: bool | None


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
    interrupted : bool
        Whether there are fewer repeats than the settings say.

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
    interrupted: bool = False

    @property
    def repeats(self) -> int:
        """Finished repeats."""
        return len(self.runs[VARIANTS[0]])

    @property
    def columns(self) -> tuple[Column, ...]:
        """All measured figures, as columns; without label noise there is no noisy test loss."""
        return tuple(column for group in self._column_groups() for column in group)

    def values(self, variant: str, figure: str) -> Array:
        """Return one figure of all repeats, of shape (R,)."""
        return np.array([run.figures[figure] for run in self.runs[variant]])

    def curves(self, variant: str, curve: str) -> Array:
        """Return one curve of all repeats, of shape (R, epochs)."""
        return np.array([run.curves[curve] for run in self.runs[variant]])

    def summarize(self, variant: str, figure: str) -> Summary:
        """Return mean, deviation, and whether the difference from ``none`` is inside the noise."""
        values = self.values(variant, figure)
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        differences = values - self.values(VARIANTS[0], figure)
        testable = len(values) > 1 and bool(differences.any())
        return Summary(float(values.mean()), sd, is_inside_noise(differences) if testable else None)

    def verdict(self, variant: str) -> str:
        """Return ``"underfit"``, ``"right fit"``, ``"overfit"`` or ``"diverged"``.

        The rule is `nnreg.lab.verdicts.FIT_RULE`; the model with the lowest test loss is that of
        any variant after any epoch, in the mean of the repeats.
        """
        train, test = (
            np.array([self.curves(v, curve).mean(axis=0) for v in VARIANTS]).ravel()
            for curve in ("train_loss", "test_loss_noisy")
        )
        best = int(np.nan_to_num(test, nan=np.inf).argmin())
        return classify_fit(
            float(self.values(variant, "train_loss").mean()),
            float(self.values(variant, "test_loss_noisy").mean()),
            best_train=float(train[best]),
            best_test=float(test[best]),
            baseline=compute_baseline(self.rows.y),
        )

    def facts(self) -> dict[str, str]:
        """Return the data, the network and the selection of strengths in words."""
        settings, n = self.settings, len(self.rows.x)
        widths = "-".join(map(str, (self.rows.x.shape[1], *settings.hidden, self.rows.classes)))
        seeds = ", ".join(str(settings.seed + repeat) for repeat in range(self.repeats))
        strengths = "all given, none selected"
        if self.selection.candidates:
            k = self.validation_rows
            strengths = (
                f"selected by the lowest data loss on {k:,} validation rows, held out of the "
                f"{n:,} training rows, after one training on the other {n - k:,}; the final "
                f"runs train on all {n:,}; test rows are not used"
            )
        return {
            "data": describe_data(self.dataset, self.rows),
            "network": f"{widths} with ReLU, dropout after each hidden layer; {settings.optimizer} "
            f"with learning rate {settings.rate:g}, batches of {settings.batch_size}, "
            f"{settings.epochs} epochs; seeds {seeds}; features standardized by the training rows "
            f"and clipped to {MAX_DEVIATION:g} deviations",
            "strengths": strengths,
        }

    def strengths_table(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows: each variant, its strengths, and the values that were tried."""
        rows = []
        for variant in VARIANTS[1:]:
            tried = [asdict(candidate.strengths) for candidate in self.selection.tried(variant)]
            varied = [name for name in asdict(Strengths()) if len({t[name] for t in tried}) > 1]
            grid = ", ".join(f"{values[varied[0]]:g}" for values in tried) if varied else "(given)"
            if self.selection.is_at_grid_edge(variant):
                grid += "  (end of grid)"
            rows.append([variant, str(self.selection.strengths[variant]), grid])
        return ["variant", "strengths", "from"], rows

    def headline(self) -> str:
        """Return the result in two sentences."""
        train, test = (
            {v: float(self.values(v, name).mean()) for v in VARIANTS}
            for name in ("train_accuracy", "test_accuracy")
        )
        fit = {"right fit": "is a right fit", "diverged": "has diverged"}
        verdict = self.verdict("none")
        first = (
            f"Without regularization the network {fit.get(verdict, f'is {verdict}')}: "
            f"{format_percent(train['none'])} of the training rows right, "
            f"{format_percent(test['none'])} of the test rows."
        )
        best = max(VARIANTS, key=lambda variant: test[variant])
        if best == "none":
            return f"{first} No regularization does better on test rows."
        gain = round(100 * test[best], 1) - round(100 * test["none"], 1)
        unsure = self.summarize(best, "test_accuracy").inside_noise is not False
        return (
            f"{first} Best on test rows is {best} with {format_percent(test[best])}, "
            f"{gain:.1f} points more{', which may be chance' if unsure else ''}."
        )

    def repeats_note(self) -> str:
        """Return what the numbers of the table are."""
        if self.repeats == 1:
            return "One repeat: nothing is known about the noise."
        return (
            f"Mean ± standard deviation of {self.repeats} repeats; ~ marks a difference from none "
            "that is inside the noise."
        )

    def notes(self) -> list[str]:
        """Return the notes below the table."""
        notes = [f"{self.repeats_note()} Rules: nnreg compare --help."]
        if self.settings.label_noise:
            notes.append(
                "Test labels are clean, so the gap can be below 0; 'test, noisy' is the test loss "
                "if they were wrong as often as training labels. The verdict uses it."
            )
        return [*notes, ZEROS_NOTE[self.settings.l1_method]]

    def cell(self, variant: str, column: Column) -> str:
        """Return a cell of the table, marked where the difference from ``none`` may be chance."""
        summary = self.summarize(variant, column.key)
        return column.format(summary.mean, summary.sd) + ("~" if summary.inside_noise else "")

    def __str__(self) -> str:
        parts = [
            wrap_facts(self.facts()),
            tables.text_table(*self.strengths_table()),
            *(tables.text_table(head, rows, right=right) for head, rows, right in self._tables()),
            "\n".join(wrap(note, "  ") for note in self.notes()),
            wrap(self.headline()),
        ]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        return "".join(
            [
                tables.paragraphs([self.headline()]),
                *(
                    tables.html_table(head, rows, right=right)
                    for head, rows, right in self._tables()
                ),
                tables.paragraphs(self.notes()),
            ]
        )

    def _column_groups(self) -> list[Sequence[Column]]:
        losses = [c for c in LOSSES if c.key != "test_loss_noisy" or self.settings.label_noise]
        return [ACCURACIES, losses, WEIGHTS]

    def _tables(self) -> list[tuple[list[str], list[list[str]], range]]:
        """Return heads, rows and right-aligned columns of tables that fit 80 characters."""
        parts = []
        for columns in self._column_groups():
            words = 2 if columns is ACCURACIES else 1
            rows = [[variant, self.verdict(variant)][:words] for variant in VARIANTS]
            for column in columns:
                cells = [self.cell(variant, column) for variant in VARIANTS]
                # A column with marks has a space in the other cells, so that digits align.
                marked = any(text.endswith("~") for text in cells)
                for row, text in zip(rows, cells, strict=True):
                    row.append(text + " " * (marked and not text.endswith("~")))
            head = ["variant", "verdict"][:words] + [column.head for column in columns]
            parts.append((head, rows, range(words, len(head))))
        return parts


def is_inside_noise(differences: Array) -> bool:
    """Return whether the confidence interval of the mean contains 0.

    Parameters
    ----------
    differences : ndarray of shape (R,)
        At least two.

    Examples
    --------
    >>> is_inside_noise(np.array([0.9, 1.0, 1.1])), is_inside_noise(np.array([-1.0, 0.0, 2.0]))
    (False, True)
    """
    from scipy.special import stdtrit  # 300 ms, only where a difference is tested

    r = len(differences)
    error = float(differences.std(ddof=1)) / r**0.5
    reach = float(stdtrit(r - 1, (1 + CONFIDENCE) / 2)) * error
    return bool(abs(differences.mean()) <= reach)
