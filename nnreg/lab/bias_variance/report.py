"""A sweep in words: the text for a terminal, `report.json`, `report.html`, and the pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from nnreg._support.tables import text_table
from nnreg.lab.bias_variance.decomposition import Estimate
from nnreg.lab.bias_variance.experiment import BiasVariance
from nnreg.lab.bias_variance.pictures import can_be_drawn, plot_fits, plot_terms
from nnreg.lab.bias_variance.processes import Classification
from nnreg.lab.bias_variance.verdicts import RULE, best, verdicts
from nnreg.lab.reporting.folder import Pictures, Report
from nnreg.lab.reporting.page import (
    mark_verdict,
    render_definitions,
    render_figure,
    render_report,
    render_table,
)
from nnreg.lab.reporting.text import get_provenance, wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MEANINGS = {
    "bias²": "The squared distance of the mean of all models from the truth, without bias: what "
    "finitely many models add to it is subtracted, so it can come out below 0.",
    "variance": "How far the models scatter around their mean, squared.",
    "of data sets": "The part of the variance that another data set makes.",
    "of seeds": "The part that another seed makes on the same data set: initial values, order of "
    "the rows, dropout.",
    "noise": "What the truth itself leaves open. It is known, and nobody can do better.",
    "sum": "Bias² + variance + noise.",
    "risk": "The mean loss on fresh rows, measured without knowing the truth.",
    "risk - sum": "Should be chance: its standard error is that of the inputs and fresh targets, "
    "which the two do not share. Within a sweep the inputs are the same, so the differences are "
    "often on the same side.",
    "train loss": "The mean loss on the training rows, in inference mode, without penalty.",
}
"""What the columns are."""

PICTURES = {
    "terms": (
        "Bias and variance along the sweep",
        "On the left bias², variance, noise and their sum, on the right risk and train loss.",
        "From stiff to flexible. Bands are Monte-Carlo standard errors; the dotted line marks the "
        "lowest measured risk; what is far higher is cut off.",
    ),
    "fits": (
        "Underfit, right fit, overfit",
        "Models as curves through points, a panel for each fit.",
        "Dots: one data set, and the model of it. Thin lines: models of other data sets; how they "
        "scatter is the variance. Thick line: the mean of all models; dashed: the truth; from one "
        "to the other is the bias. Of classes, the truth is the probability of the second and the "
        "mean the share of models that say so.",
    ),
}


def settings_lines(found: Mapping[str, BiasVariance]) -> dict[str, str]:
    """Return what was drawn, and what learned from it."""
    result = found[best(found)]
    design = result.design
    seeds = f"{design.seeds} seeds" if design.seeds > 1 else "1 seed"
    loss = "0-1 loss" if isinstance(result.process, Classification) else "squared error"
    return {
        "process": f"{result.process!r}; {loss}",
        "draws": f"{design.datasets} data sets of {design.rows} rows, each learned with {seeds}; "
        f"{design.points:,} common inputs, as many fresh rows each; seed {design.seed}",
        "best": repr(result.learner),
    }


def headline(found: Mapping[str, BiasVariance], axis: str) -> str:
    """Return the result in a sentence or two."""
    name = best(found)
    terms, said = found[name].terms, verdicts(found)
    shares = f"bias² {terms.bias.value:.3f}, variance {terms.variance.value:.3f}"
    text = f"Best is {name} ({axis}): {shares}, beside noise of {terms.noise.value:.3f}."
    for verdict, why in (("underfit", "too stiff"), ("overfit", "too flexible")):
        names = [name for name in found if said[name] == verdict]
        if names:
            text += f" {', '.join(names)} {'is' if len(names) == 1 else 'are'} {why}."
    return text


def text(found: Mapping[str, BiasVariance], axis: str) -> str:
    """Return what `nnreg bias-variance` prints.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, sweep, bias_variance_sweep
    >>> found = bias_variance_sweep(sweep("degree", [0, 3]), Sine(), SamplingDesign(seeds=1))
    >>> print(" ".join(text(found, "degree").splitlines()[-2:]))
    Best is 3 (degree): bias² 0.004, variance 0.065, beside noise of 0.160. 0 is too stiff.
    """
    lines = [wrap(f"{k:9}{line}", " " * 9) for k, line in settings_lines(found).items()]
    said = verdicts(found)
    first = [[name, said[name], *map(_cell, _risk_terms(result))] for name, result in found.items()]
    second = [[name, *_parts(result)] for name, result in found.items()]
    heads = [axis, "verdict", "bias²", "variance", "noise", "sum", "risk"]
    parts = [axis, *_heads(found)]
    return "\n\n".join(
        (
            "\n".join(lines),
            text_table(heads, first, right=range(2, len(heads))),
            text_table(parts, second, right=range(1, len(parts))),
            wrap(
                "Value ± Monte-Carlo standard error. What the columns and verdicts mean: "
                "nnreg bias-variance --help."
            ),
            wrap(headline(found, axis)),
        )
    )


def as_dict(found: Mapping[str, BiasVariance], axis: str) -> dict[str, Any]:
    """Return every number of a sweep in lists and dictionaries, ready for JSON."""
    result, said = found[best(found)], verdicts(found)
    return {
        **get_provenance(),
        "axis": axis,
        "process": repr(result.process),
        "design": asdict(result.design),
        "best": best(found),
        "columns": MEANINGS,
        "rule": RULE,
        "values": {
            name: {
                "learner": repr(result.learner),
                "verdict": said[name],
                **asdict(result.terms),
                "risk": asdict(result.risk),
                "difference": asdict(result.difference),
                "train_loss": asdict(result.train),
            }
            for name, result in found.items()
        },
    }


def page(found: Mapping[str, BiasVariance], axis: str, pictures: Pictures) -> str:
    """Return the page.

    Parameters
    ----------
    found : mapping of str to BiasVariance
    axis : str
        What the names are values of.
    pictures : Pictures
        ``"terms"`` and ``"fits"``, where there are pictures.
    """
    said = verdicts(found)
    rows = [
        [name, mark_verdict(said[name]), *map(_cell, _risk_terms(result)), *_parts(result)]
        for name, result in found.items()
    ]
    heads = [axis, "verdict", *("bias²", "variance", "noise", "sum", "risk"), *_heads(found)]
    body = "\n".join(
        (
            "<h1>Bias and variance, measured</h1>",
            f'<p class="lead">{escape(headline(found, axis))}</p>',
            render_definitions(settings_lines(found)),
            "<h2>Results</h2>",
            render_table(heads, rows, words=2, note="Value ± Monte-Carlo standard error."),
            *(
                render_figure(files, title=title, alt=alt, caption=caption)
                for name, files in pictures.items()
                for title, alt, caption in [PICTURES[name]]
            ),
            "<h2>How to read the table</h2>",
            render_definitions({"verdict": RULE, **MEANINGS}),
        )
    )
    return render_report(f"Bias and variance: {axis}", body)


def make_report(found: Mapping[str, BiasVariance], axis: str) -> Report:
    """Return the report of a sweep; models of more than one input are not drawn as curves."""
    draw: dict[str, Callable[..., Figure]] = {"terms": plot_terms, "fits": plot_fits}
    if not all(map(can_be_drawn, found.values())):
        del draw["fits"]
    return Report(
        text=text(found, axis),
        numbers=as_dict(found, axis),
        pictures={name: partial(picture, found, axis=axis) for name, picture in draw.items()},
        page=partial(page, found, axis),
    )


def _risk_terms(result: BiasVariance) -> tuple[Estimate, ...]:
    terms = result.terms
    return terms.bias, terms.variance, terms.noise, terms.total, result.risk


def _parts(result: BiasVariance) -> list[str]:
    split = (result.terms.data_variance, result.terms.seed_variance)
    cells = [_cell(part) for part in split if part is not None]
    return [*cells, _cell(result.difference), _cell(result.train)]


def _heads(found: Mapping[str, BiasVariance]) -> list[str]:
    """Return the heads of what `_parts` returns: of one seed the variance is not split."""
    split = all(result.design.seeds > 1 for result in found.values())
    return [*(["of data sets", "of seeds"] if split else []), "risk - sum", "train loss"]


def _cell(estimate: Estimate) -> str:
    digits = ".3g" if abs(estimate.value) >= 10 else ".3f"
    known = estimate.error < 1e-9  # the noise, where it is the same at every input
    return f"{estimate.value:{digits}}" + ("" if known else f" ± {estimate.error:{digits}}")
