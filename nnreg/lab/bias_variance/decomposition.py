r"""Where a prediction's error comes from: bias, variance and noise.

A method of learning is trained on many data sets, drawn from one truth. At an input the predictions
``g`` scatter around their mean; and the mean lies beside the truth ``f``. For squared error (Geman,
Bienenstock and Doursat 1992)

    E (y - g)² = (E g - f)²  +  E (g - E g)²  +  E (y - f)²
       risk    =    bias²    +    variance    +    noise

For the 0-1 loss this is the decomposition of Kohavi and Wolpert (1996): with the probabilities
``pₖ`` of the labels and ``qₖ`` of the predicted classes,

    P(y ≠ g)   = ½ Σₖ (qₖ - pₖ)²  +  ½ (1 - Σₖ qₖ²)  +  ½ (1 - Σₖ pₖ²)

the same formula, in vectors with a single 1 (see ``processes.py``). Its terms add up without
signs or factors that depend on each other, and have unbiased estimators, which those of Domingos
(2000) do not. Its price: where labels are noisy, even the best possible class has some bias, for it
is a class and not a probability.

**Unbiased.** There are D data sets, each learned with R seeds: ``g_dr = mean + a_d + b_dr``. The
mean of finitely many models scatters itself, so its squared distance from ``f`` is too large, by
the variance over D; that is subtracted. With R at least 2 the variance is split, by the law of
total variance, into what the data set does and what the seed does; the mean of R seeds scatters
too, and its part is taken off the data set's share. An estimate without bias may fall below zero
where the truth is near it.

**Errors.** The standard error of a term has two parts, added in squares: from the data sets (the
jackknife, which leaves each out once) and from the inputs at which it was evaluated. Together they
are rather too large than too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._support.typing import Array


@dataclass(frozen=True)
class Estimate:
    """A number, and its Monte-Carlo standard error.

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
        Squared, as it stands in the sum.
    variance : Estimate
    data_variance, seed_variance : Estimate or None
        Two parts of the variance: what it owes to the data set, and to the seed (initial values,
        order of the rows, dropout). None of one seed.
    noise : Estimate
        Known at every input; its error is that of the inputs alone.
    total : Estimate
        Bias² + variance + noise.
    input_error : float
        The part of the error of ``total`` that is due to the inputs.

    Examples
    --------
    >>> models = np.array([[[[0.5]]], [[[1.5]]], [[[1.0]]]])  # 3 data sets, 1 seed, 1 input
    >>> found = decompose(np.repeat(models, 2, axis=2), np.ones((2, 1)), np.zeros(2))
    >>> round(found.variance.value, 4), round(found.bias.value, 4), round(found.total.value, 4)
    (0.25, -0.0833, 0.1667)
    """

    bias: Estimate
    variance: Estimate
    data_variance: Estimate | None
    seed_variance: Estimate | None
    noise: Estimate
    total: Estimate
    input_error: float


def decompose(
    predictions: Array, expected: Array, noise: Array, scale: float = 1.0
) -> Decomposition:
    """Take the expected risk apart.

    Parameters
    ----------
    predictions : ndarray of shape (D, R, N, M)
        Of D data sets, at least 3, with R seeds each, at N inputs, at least 2.
    expected : ndarray of shape (N, M)
        The truth at these inputs.
    noise : ndarray of shape (N,)
        What is left to whoever predicts the truth.
    scale : float, default 1
        What a squared distance is multiplied by to be the loss.

    Returns
    -------
    Decomposition

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> models = 0.5 + 0.2 * rng.standard_normal((1000, 1, 2, 1))  # the truth is 0
    >>> found = decompose(models, np.zeros((2, 1)), np.full(2, 0.1))
    >>> print(found.bias, "|", found.variance)
    0.2444 ± 0.0044 | 0.0401 ± 0.0020
    """
    of_dataset = predictions.mean(axis=1)
    d, r, n, _ = predictions.shape
    within = predictions.var(axis=1, ddof=1) if r > 1 else np.zeros_like(of_dataset)
    mean = of_dataset.mean(axis=0)
    squares = ((of_dataset - mean) ** 2).sum(axis=0)
    at_inputs = _terms(mean, squares, within.mean(axis=0), expected, (d, r), scale)
    left_out = _terms(
        (d * mean - of_dataset) / (d - 1),
        squares - (of_dataset - mean) ** 2 * (d / (d - 1)),
        (d * within.mean(axis=0) - within) / (d - 1),
        expected,
        (d - 1, r),
        scale,
    )
    at_inputs["noise"] = noise
    at_inputs["total"] = at_inputs["bias"] + at_inputs["variance"] + noise
    left_out["noise"] = np.broadcast_to(noise, (d, n))
    left_out["total"] = left_out["bias"] + left_out["variance"] + noise
    scatter = {name: float(term.var(ddof=1)) / n for name, term in at_inputs.items()}
    found = {}
    for name, term in at_inputs.items():
        jackknife = (d - 1) * float(left_out[name].mean(axis=1).var())
        found[name] = Estimate(float(term.mean()), (jackknife + scatter[name]) ** 0.5)
    return Decomposition(
        bias=found["bias"],
        variance=found["variance"],
        data_variance=found["data"] if r > 1 else None,
        seed_variance=found["seed"] if r > 1 else None,
        noise=found["noise"],
        total=found["total"],
        input_error=scatter["total"] ** 0.5,
    )


def _terms(
    mean: Array,
    squares: Array,
    within: Array,
    expected: Array,
    counts: tuple[int, int],
    scale: float,
) -> dict[str, Array]:
    """Return unbiased estimates of the terms at every input, (..., N).

    ``mean`` is that of the data sets' means, ``squares`` the sum of their squared distances from
    it, ``within`` the mean variance over the seeds, each (..., N, M).
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
