"""Underfit, right fit, overfit: what a sweep says of each size or strength."""

from __future__ import annotations

from collections.abc import Mapping

from nnreg.lab.bias_variance.experiment import BiasVariance

TOLERANCE = 1.1

RULE = (
    f"A value is a right fit if its bias² + variance + noise is at most {TOLERANCE:g} times the "
    "lowest. Otherwise it is underfit if its train loss is above that of the lowest, for it does "
    "badly on the very rows it was trained on, and overfit if it is below."
)


def best(found: Mapping[str, BiasVariance]) -> str:
    """Return the name of what has the lowest bias² + variance.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, sweep, bias_variance_sweep
    >>> best(bias_variance_sweep(sweep("degree", [0, 3, 6]), Sine(), SamplingDesign(seeds=1)))
    '3'
    """
    return min(found, key=lambda name: found[name].reducible_error)


def verdicts(found: Mapping[str, BiasVariance]) -> dict[str, str]:
    """Return ``"underfit"``, ``"right fit"`` or ``"overfit"`` for everything, by `RULE`.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, sweep, bias_variance_sweep
    >>> list(
    ...     verdicts(
    ...         bias_variance_sweep(sweep("degree", [0, 3, 6]), Sine(), SamplingDesign(seeds=1))
    ...     ).values()
    ... )
    ['underfit', 'right fit', 'overfit']
    """
    least = found[best(found)]
    return {name: _verdict(result, least) for name, result in found.items()}


def _verdict(result: BiasVariance, least: BiasVariance) -> str:
    if result.terms.total.value <= TOLERANCE * least.terms.total.value:
        return "right fit"
    return "underfit" if result.train.value > least.train.value else "overfit"


def select_fits(found: Mapping[str, BiasVariance]) -> dict[str, str]:
    """Return what to show, with its verdict: the worst underfit, the best, the worst overfit.

    Examples
    --------
    >>> from nnreg.lab import SamplingDesign, Sine, sweep, bias_variance_sweep
    >>> select_fits(bias_variance_sweep(sweep("degree"), Sine(), SamplingDesign(seeds=1)))
    {'0': 'underfit', '3': 'right fit', '6': 'overfit'}
    """
    said = verdicts(found)
    shown: dict[str, str] = {}
    for wanted in ("underfit", "right fit", "overfit"):
        names = [name for name, verdict in said.items() if verdict == wanted]
        if wanted == "right fit":
            shown[best(found)] = wanted
        elif names:
            shown[max(names, key=lambda name: found[name].reducible_error)] = wanted
    return shown
