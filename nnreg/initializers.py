"""Initializers: functions ``(shape, rng) -> array`` that return initial values.

A layer with D inputs and M outputs should preserve the variance of values and of derivatives. He et
al. derive this for a rectifier, which sets half of its inputs to zero; Glorot & Bengio average the
forward and the backward condition for an activation that is the identity near zero. Initial biases
are zero.
"""

from __future__ import annotations

import math

import numpy as np

from nnreg._support.typing import Array


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return zeros.

    >>> zeros((2,), None)
    array([0., 0.])
    """
    return np.zeros(shape)


def ones(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return ones.

    >>> ones((2,), None)
    array([1., 1.])
    """
    return np.ones(shape)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from N(0, 2/D), D the first axis (He et al., 2015, eq. 10).

    >>> he_normal((1000, 50), np.random.default_rng(0)).std().round(3)  # sqrt(2/1000)
    np.float64(0.045)
    """
    return rng.standard_normal(shape) * math.sqrt(2.0 / shape[0])


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from U(-a, a) with ``a = sqrt(6/(D + M))`` (Glorot & Bengio, 2010, eq. 16).

    >>> glorot_uniform((3, 3), np.random.default_rng(0)).max() < 1.0
    np.True_
    """
    a = math.sqrt(6.0 / (shape[0] + shape[-1]))
    return rng.uniform(-a, a, shape)


def standard_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from N(0, 1), the "large" initial values of Nielsen's chapter 3.

    >>> standard_normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return rng.standard_normal(shape)
