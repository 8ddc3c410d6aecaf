"""Exercise 1, solved."""

import numpy as np


def affine_forward(x, w, b):
    """Return ``y = x w + b`` and a cache.

    x (N, D), w (D, M), b (M,); y (N, M).
    """
    return x @ w + b, (x, w)


def affine_backward(dy, cache):
    """Return ``dx, dw, db``.

    dy (N, M); dx (N, D), dw (D, M), db (M,).
    """
    x, w = cache
    dx = dy @ w.T
    dw = x.T @ dy
    db = dy.sum(axis=0)
    return dx, dw, db


def relu_forward(x):
    """Return ``y = max(x, 0)``, entry by entry, and a cache."""
    return np.maximum(x, 0), x


def relu_backward(dy, cache):
    """Return ``dx``. At exactly ``x = 0`` the derivative is taken to be 0."""
    x = cache
    return dy * (x > 0)


def dropout_forward(x, keep_prob, training, rng):
    """Return ``y`` and a cache.

    In training, each entry of x is kept with probability keep_prob and divided by it,
    or else set to zero; rng is a np.random.Generator to draw from. Otherwise y is x.
    """
    if not training:
        return x, None
    mask = (rng.random(x.shape) < keep_prob) / keep_prob
    return x * mask, mask


def dropout_backward(dy, cache):
    """Return ``dx``, for the pass that made this cache."""
    mask = cache
    return dy if mask is None else dy * mask
