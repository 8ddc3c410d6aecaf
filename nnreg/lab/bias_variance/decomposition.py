r"""Bias-variance decomposition: a prediction's expected loss as bias² + variance + noise.

A learner is trained on many data sets of one process. At an input, its predictions ``g`` vary
around their mean ``E g``, which differs from the process's mean ``f``. For the squared error
(Geman, Bienenstock & Doursat, 1992, eq. 3.2)

    E (y - g)² = (E g - f)²  +  E (g - E g)²  +  E (y - f)²
       risk    =    bias²    +    variance    +    noise

For the 0-1 loss it is the decomposition of Kohavi & Wolpert (1996, eq. 2). With the probabilities
``pₖ`` of the labels and ``qₖ`` of the predicted classes,

    P(y ≠ g)   = ½ Σₖ (qₖ - pₖ)²  +  ½ (1 - Σₖ qₖ²)  +  ½ (1 - Σₖ pₖ²)

which is the same formula for one-hot vectors (see ``processes.py``). Its terms add up without case
distinctions and have unbiased estimators, unlike those of Domingos (2000). If labels are noisy,
even the best class has some bias, because it is a class and not a probability.

**Estimators.** One model is trained on each of D data sets with each of R seeds:
``g_dr = mean + a_d + b_dr``. The squared distance between ``f`` and the mean of finitely many
models is too large by the variance over D, which is subtracted. With R at least 2 the variance is
split by the law of total variance into the parts of the data set and of the seed; the variance of
the seeds over R is subtracted from the data set's part. All estimators are unbiased, so one may be
below zero if its true value is near zero.

**Standard errors.** The squared error of a term is the sum of two parts: over the data sets, by the
jackknife, and over the inputs at which it is evaluated. It is conservative: on average the sum is
too large rather than too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array


@dataclass(frozen=True)
class Estimate:
    """A number and its Monte-Carlo standard error.

    Parameters
    ----------
    value : float
    error : float

    Examples
    --------
    >>> print(Estimate(0.5, 0.012))
    0.5000 ± 0.0120
    """

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.error:.4f}"


@dataclass(frozen=True)
class Decomposition:
    """The terms of the expected risk, each a mean over the inputs.

    Parameters
    ----------
    bias : Estimate
        The squared bias.
    variance : Estimate
    data_variance, seed_variance : Estimate or None
        The parts of the variance that come from the data set and from the seed (initial values,
        order of the rows, dropout). None if there is one seed.
    noise : Estimate
        Known exactly at every input; its error comes from the choice of inputs alone.
    total : Estimate
        Bias² + variance + noise.
    input_error : float
        The part of the error of ``total`` that comes from the inputs.

    Examples
    --------
    >>> models = np.array([[[[0.5]]], [[[1.5]]], [[[1.0]]]])  # 3 data sets, 1 seed, 1 input
    >>> terms = decompose(np.repeat(models, 2, axis=2), np.ones((2, 1)), np.zeros(2))
    >>> round(terms.variance.value, 4), round(terms.bias.value, 4), round(terms.total.value, 4)
    (0.25, -0.0833, 0.1667)
    """

    bias: Estimate
    variance: Estimate
    data_variance: Estimate | None
    seed_variance: Estimate | None
    noise: Estimate
    total: Estimate
    input_error: float


def decompose(predictions: Any, expected: Any, noise: Any, scale: float = 1.0) -> Decomposition:
    """Decompose the expected risk.

    Parameters
    ----------
    predictions : array_like of shape (D, R, N, M)
        Of models for D data sets, at least 3, with R seeds each, at N inputs, at least 2.
    expected : array_like of shape (N, M)
        The mean of the targets at these inputs.
    noise : array_like of shape (N,)
        The expected loss of predicting ``expected``.
    scale : float, default 1
        The factor from a squared distance to the loss.

    Returns
    -------
    Decomposition

    Raises
    ------
    ValueError, TypeError
        If the arrays are not finite numbers of these shapes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> models = 0.5 + 0.2 * rng.standard_normal((1000, 1, 2, 1))  # the expected target is 0
    >>> terms = decompose(models, np.zeros((2, 1)), np.full(2, 0.1))
    >>> print(terms.bias, "|", terms.variance)
    0.2444 ± 0.0044 | 0.0401 ± 0.0020
    """
    predictions = validation.numeric("predictions", predictions)
    shape = predictions.shape
    if len(shape) != 4 or shape[0] < 3 or shape[2] < 2 or 0 in shape:
        raise ValueError(
            "predictions must have shape (D, R, N, M), with D at least 3 and N at least 2, "
            f"got shape {shape}"
        )
    d, r, n, m = shape
    expected = validation.numeric("expected", expected)
    noise = validation.numeric("noise", noise)
    for name, array, required in (
        ("predictions", predictions, shape),
        ("expected", expected, (n, m)),
        ("noise", noise, (n,)),
    ):
        if array.shape != required:
            raise ValueError(f"{name} must have shape {required}, got {array.shape}")
        validation.finite(name, array)
    by_dataset = predictions.mean(axis=1)
    within = predictions.var(axis=1, ddof=1) if r > 1 else np.zeros_like(by_dataset)
    mean = by_dataset.mean(axis=0)
    squares = ((by_dataset - mean) ** 2).sum(axis=0)
    at_inputs = _estimate_terms(mean, squares, within.mean(axis=0), expected, (d, r), scale)
    leave_one_out = _estimate_terms(  # each data set left out in turn
        (d * mean - by_dataset) / (d - 1),
        squares - (by_dataset - mean) ** 2 * (d / (d - 1)),
        (d * within.mean(axis=0) - within) / (d - 1),
        expected,
        (d - 1, r),
        scale,
    )
    for terms in (at_inputs, leave_one_out):
        terms["noise"] = np.broadcast_to(noise, terms["bias"].shape)
        terms["total"] = terms["bias"] + terms["variance"] + noise
    input_variance = {name: float(term.var(ddof=1)) / n for name, term in at_inputs.items()}
    estimates = {}
    for name, term in at_inputs.items():
        jackknife = (d - 1) * float(leave_one_out[name].mean(axis=1).var())
        estimates[name] = Estimate(float(term.mean()), (jackknife + input_variance[name]) ** 0.5)
    return Decomposition(
        bias=estimates["bias"],
        variance=estimates["variance"],
        data_variance=estimates["data"] if r > 1 else None,
        seed_variance=estimates["seed"] if r > 1 else None,
        noise=estimates["noise"],
        total=estimates["total"],
        input_error=input_variance["total"] ** 0.5,
    )


def _estimate_terms(
    mean: Array,
    squares: Array,
    within: Array,
    expected: Array,
    counts: tuple[int, int],
    scale: float,
) -> dict[str, Array]:
    """Return unbiased estimates of the terms at every input, (..., N).

    ``mean`` is the mean of the data sets' means, ``squares`` the sum of their squared distances
    from it, ``within`` the mean variance over the seeds, each (..., N, M).
    """
    d, r = counts
    between = squares / (d - 1)
    terms = {
        "bias": (mean - expected) ** 2 - between / d,
        "data": between - within / r,
        "seed": within,
    }
    terms["variance"] = terms["data"] + terms["seed"]
    return {name: scale * term.sum(axis=-1) for name, term in terms.items()}
