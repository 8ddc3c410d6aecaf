"""Synthetic data with a known truth.

Real data show how well a method predicts; only data from a known model show whether it *finds* the
relevant inputs, the noise and the wrong labels. Each function draws from a generator with the
specified seed and returns the truth with the data. All arrays are float64; a network casts them to
its dtype.
"""

from __future__ import annotations

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array


def sparse_linear(
    n: int, *, inputs: int = 1000, relevant: int = 100, noise: float = 0.1, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Make a linear regression problem in which most inputs are irrelevant.

    ``y = x @ coefficients + noise * e``, all ``x`` and ``e`` standard normal. The coefficients
    that are not zero have random positions; their magnitudes are uniform in [0.5, 1.5] divided by
    ``sqrt(relevant)``, their signs random. So the explained part of ``y`` has a
    variance near 1 (13/12 on average).

    Parameters
    ----------
    n : int
        Rows.
    inputs : int
        Columns.
    relevant : int
        Number of relevant columns, 1 to ``inputs``.
    noise : float
        Standard deviation of the noise.
    seed : int
        Seed of the generator.

    Returns
    -------
    x : ndarray of shape (n, inputs)
        The inputs.
    y : ndarray of shape (n, 1)
        The targets, shaped as the outputs of a network with one unit.
    coefficients : ndarray of shape (inputs, 1)
        The true coefficients, shaped as that network's weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Examples
    --------
    >>> x, y, coefficients = sparse_linear(50, inputs=20, relevant=3, noise=0.0)
    >>> int(np.count_nonzero(coefficients)), bool(np.allclose(x @ coefficients, y))
    (3, True)
    """
    n = validation.whole("n", n, 1)
    inputs = validation.whole("inputs", inputs, 1)
    relevant = validation.whole("relevant", relevant, 1, inputs)
    noise = validation.number("noise", noise, 0)
    rng = _generator(seed)
    coefficients = np.zeros((inputs, 1))
    sizes = rng.uniform(0.5, 1.5, relevant) * rng.choice((-1.0, 1.0), relevant)
    coefficients[rng.permutation(inputs)[:relevant], 0] = sizes / np.sqrt(relevant)
    x = rng.standard_normal((n, inputs))
    y = x @ coefficients + noise * rng.standard_normal((n, 1))
    return x, y, coefficients


def noisy_sine(n: int, *, noise: float = 0.3, seed: int = 0) -> tuple[Array, Array, Array]:
    """Make points near one period of the sine.

    ``truth = sin(x)`` with ``x`` uniform in [-π, π), and ``y = truth + noise * e``, ``e``
    standard normal.

    Parameters
    ----------
    n : int
        Points.
    noise : float
        Standard deviation of the noise.
    seed : int
        Seed of the generator.

    Returns
    -------
    x : ndarray of shape (n, 1)
        Not sorted.
    y : ndarray of shape (n, 1)
        The noisy observations.
    truth : ndarray of shape (n, 1)
        The sine at these points.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Examples
    --------
    >>> x, y, truth = noisy_sine(5, noise=0.0)
    >>> bool((y == np.sin(x)).all())
    True
    """
    n = validation.whole("n", n, 1)
    noise = validation.number("noise", noise, 0)
    rng = _generator(seed)
    x = rng.uniform(-np.pi, np.pi, (n, 1))
    truth = np.sin(x)
    return x, truth + noise * rng.standard_normal((n, 1)), truth


def two_moons(n: int, *, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Make two interleaved half circles, which are not linearly separable.

    Class 0 is the upper half of the unit circle around (0, 0), class 1 the lower half of the one
    around (1, 1/2); ``noise`` times a standard normal vector is added to each point.

    Parameters
    ----------
    n : int
        Points, at least 2; half of them (rounded down) are class 1.
    noise : float
        Standard deviation of the noise in each coordinate.
    seed : int
        Seed of the generator.

    Returns
    -------
    x : ndarray of shape (n, 2)
        In random order.
    y : ndarray of shape (n,)
        0 or 1, int64.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Examples
    --------
    >>> x, y = two_moons(7, noise=0.0)
    >>> np.bincount(y).tolist()
    [4, 3]
    >>> bool(np.allclose(np.hypot(*x[y == 0].T), 1.0))
    True
    """
    rng, y, noise = _draw_classes(n, 2, noise, seed)
    angle = rng.uniform(0.0, np.pi, n)
    side = 1.0 - 2.0 * y
    x = np.column_stack((side * np.cos(angle) + y, side * np.sin(angle) + 0.5 * y))
    return x + noise * rng.standard_normal((n, 2)), y


def rings(n: int, *, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Make a disc and a ring around it, which no line separates.

    Class 0 has distances from the origin that are uniform in [0, 0.8], class 1 in [1.2, 2];
    ``noise`` times a standard normal vector is added to each point.

    Parameters
    ----------
    n : int
        Points, at least 2; half of them (rounded down) are class 1.
    noise : float
        Standard deviation of the noise in each coordinate.
    seed : int
        Seed of the generator.

    Returns
    -------
    x : ndarray of shape (n, 2)
        In random order.
    y : ndarray of shape (n,)
        0 or 1, int64.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Examples
    --------
    >>> x, y = rings(7, noise=0.0)
    >>> bool(np.hypot(*x[y == 0].T).max() < np.hypot(*x[y == 1].T).min())
    True
    """
    rng, y, noise = _draw_classes(n, 2, noise, seed)
    radius, angle = 1.2 * y + rng.uniform(0.0, 0.8, n), rng.uniform(0.0, 2 * np.pi, n)
    x = np.column_stack((radius * np.cos(angle), radius * np.sin(angle)))
    return x + noise * rng.standard_normal((n, 2)), y


def spirals(n: int, *, classes: int = 3, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Make arms of a spiral, one per class.

    On arm k of K, a point at the distance ``r``, uniform in [0.2, 2], has the angle
    ``2π(k/K + r/4)``, about half a turn from the inner to the outer end; ``noise`` times a standard
    normal vector is added to each point.

    Parameters
    ----------
    n : int
        Points, at least ``classes``; the classes have equal numbers of them, up to one.
    classes : int
        Number of classes K, at least 2.
    noise : float
        Standard deviation of the noise in each coordinate.
    seed : int
        Seed of the generator.

    Returns
    -------
    x : ndarray of shape (n, 2)
        In random order.
    y : ndarray of shape (n,)
        0 to K-1, int64.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Examples
    --------
    >>> x, y = spirals(7, noise=0.0)
    >>> np.bincount(y).tolist(), bool(np.hypot(*x.T).max() <= 2)
    ([3, 2, 2], True)
    """
    classes = validation.whole("classes", classes, 2)
    rng, y, noise = _draw_classes(n, classes, noise, seed)
    radius = rng.uniform(0.2, 2.0, n)
    angle = 2 * np.pi * (y / classes + radius / 4)
    x = np.column_stack((radius * np.cos(angle), radius * np.sin(angle)))
    return x + noise * rng.standard_normal((n, 2)), y


def flip_labels(y: Array, share: float, *, classes: int, seed: int = 0) -> tuple[Array, Array]:
    """Replace an exact share of the labels by a wrong class.

    Parameters
    ----------
    y : ndarray of shape (N,)
        Class numbers, 0 to ``classes - 1``. They are not modified.
    share : float
        In [0, 1]; exactly ``round(share * N)`` labels are changed.
    classes : int
        Number of classes K, at least 2. Each of the K - 1 wrong ones is equally likely.
    seed : int
        Seed of the generator.

    Returns
    -------
    flipped : ndarray of shape (N,)
        The new labels, int64.
    rows : ndarray of shape (round(share * N),)
        The rows with changed labels, in ascending order.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range; the message has the first invalid label.

    Examples
    --------
    >>> y = np.array([0, 1, 0, 1, 0, 1])
    >>> flipped, rows = flip_labels(y, 0.5, classes=2)
    >>> np.flatnonzero(flipped != y).tolist() == rows.tolist(), len(rows)
    (True, 3)
    """
    y = np.asarray(y)
    share = validation.number("share", share, 0, 1)
    classes = validation.whole("classes", classes, 2)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"y must be integers of shape (N,), got {y.dtype} of shape {y.shape}")
    validation.reject("y", y, (y < 0) | (y >= classes), f"be from 0 to {classes - 1}")
    rng = _generator(seed)
    rows = np.sort(rng.permutation(len(y))[: round(share * len(y))]).astype(np.int64)
    flipped = y.astype(np.int64)
    flipped[rows] = (flipped[rows] + rng.integers(1, classes, len(rows))) % classes
    return flipped, rows


def _draw_classes(
    n: int, classes: int, noise: float, seed: int
) -> tuple[np.random.Generator, Array, float]:
    """Check the arguments; return the generator, classes of equal numbers of points, and noise."""
    n = validation.whole("n", n, classes)
    noise = validation.number("noise", noise, 0)
    rng = _generator(seed)
    return rng, rng.permutation(np.arange(n, dtype=np.int64) % classes), noise


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(validation.whole("seed", seed)))
