"""Statistical rules of the comparison, each as a sentence and as a function."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
DEVIATIONS = 3.0

DEVIATION_RULE = (
    f"the published figure is within {DEVIATIONS:g} standard deviations, over the seeds, "
    "of our mean, or is a lower bound and below it"
)
NOISE_RULE = (
    "the published figure, which is of one run, lies where one more run of ours would, at "
    f"{CONFIDENCE * 100:g} % confidence: mean ± t·sd·√(1 + 1/n), with n seeds, the standard "
    "deviation pooled over all rows, and Student's t of its degrees of freedom"
)
PAIRED_RULE = (
    "that of Student's paired t-test over the seeds, two-sided; a run and its partner have "
    "the same seed, so the same initial values and the same order of rows"
)


def within_deviations(published: float, values: Sequence[float]) -> bool:
    """Return whether a published figure keeps the rule of deviations.

    >>> within_deviations(13.0, [9, 10, 11]), within_deviations(13.1, [9, 10, 11])
    (True, False)
    """
    distance = abs(published - statistics.fmean(values))
    return distance <= DEVIATIONS * statistics.stdev(values)


def pooled(table: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return the standard deviation within the rows of a table, and its degrees of freedom.

    >>> pooled([[1, 2, 3], [11, 12, 13]])
    (1.0, 4)
    """
    degrees = sum(len(values) - 1 for values in table)
    squares = sum((len(values) - 1) * statistics.variance(values) for values in table)
    return (squares / degrees) ** 0.5, degrees


def within_noise(published: float, values: Sequence[float], sd: float, degrees: int) -> bool:
    """Return whether a published figure keeps the rule of noise.

    >>> within_noise(14.9, [9, 10, 11], 1.0, 2), within_noise(15.0, [9, 10, 11], 1.0, 2)
    (True, False)
    """
    from scipy.stats import t

    reach = float(t.ppf((1 + CONFIDENCE) / 2, degrees)) * sd * (1 + 1 / len(values)) ** 0.5
    return abs(published - statistics.fmean(values)) <= reach


@dataclass(frozen=True)
class Paired:
    """Mean difference of two rows' figures, and its p-value."""

    difference: float
    p: float


def paired(values: Sequence[float], others: Sequence[float]) -> Paired:
    """Return the mean of ``values - others`` and the p of the paired test.

    Without any spread there is nothing to test: p is 1 if all differences are 0, and 0 otherwise.

    >>> paired([1.0, 2.0], [1.0, 2.0])
    Paired(difference=0.0, p=1.0)
    """
    from scipy.stats import ttest_rel

    differences = [a - b for a, b in zip(values, others, strict=True)]
    mean = statistics.fmean(differences)
    if max(differences) - min(differences) <= 1e-9:
        return Paired(mean, 1.0 if abs(mean) <= 1e-9 else 0.0)
    return Paired(mean, float(ttest_rel(values, others).pvalue))
