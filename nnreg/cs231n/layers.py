"""Forward and backward functions: ``out, cache`` on the way there, gradients on the way back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg import checks, kernels, streams
from nnreg.kernels import Array

MODES = ("train", "test")


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return ``out = x w + b``, the rows of ``x`` laid flat, and the cache ``(x, w, b)``.

    Parameters
    ----------
    x : ndarray of shape (N, d_1, ..., d_k)
    w : ndarray of shape (D, M)
        ``D`` is the product of the ``d``.
    b : ndarray of shape (M,)

    Returns
    -------
    out : ndarray of shape (N, M)
    cache : tuple

    Examples
    --------
    >>> out, cache = affine_forward(np.ones((1, 2, 2)), np.ones((4, 1)), np.zeros(1))
    >>> out
    array([[4.]])
    >>> [gradient.shape for gradient in affine_backward(np.ones((1, 1)), cache)]
    [(1, 2, 2), (4, 1), (1,)]
    """
    return kernels.affine(_flat(x), w, b), (x, w, b)


def affine_backward(dout: Array, cache: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return ``dx, dw, db``, in the shapes of ``x``, ``w`` and ``b``.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
    cache : tuple
        Of :func:`affine_forward`.
    """
    x, w, _ = cache
    dx = kernels.affine_dx(dout, w).reshape(x.shape)
    return dx, kernels.affine_dw(_flat(x), dout), kernels.affine_db(dout)


def relu_forward(x: Array) -> tuple[Array, Array]:
    """Return ``out = max(x, 0)`` and the cache, ``x``.

    Parameters
    ----------
    x : ndarray of any shape

    Examples
    --------
    >>> out, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> out, relu_backward(np.ones(3), cache)
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """
    return kernels.rectifier(x), x


def relu_backward(dout: Array, cache: Array) -> Array:
    """Return ``dx = dout * (x > 0)``.

    Parameters
    ----------
    dout : ndarray of the shape of x
    cache : ndarray
        Of :func:`relu_forward`.
    """
    factor = np.empty_like(cache)
    kernels.rectifier(cache, work=factor)
    return kernels.rectifier_dx(dout, factor)


def affine_relu_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Any, Array]]:
    """Return ``out`` of an affine map and ReLU, and both caches.

    Parameters
    ----------
    x, w, b : ndarray
        As for :func:`affine_forward`.

    Examples
    --------
    >>> affine_relu_forward(np.ones((1, 2)), -np.ones((2, 1)), np.zeros(1))[0]
    array([[0.]])
    """
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout: Array, cache: tuple[Any, Array]) -> tuple[Array, Array, Array]:
    """Return ``dx, dw, db``.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
    cache : tuple
        Of :func:`affine_relu_forward`.
    """
    fc_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), fc_cache)


def softmax_loss(x: Array, y: Array) -> tuple[Any, Array]:
    """Return the mean cross-entropy of softmax, and its derivative by the scores.

    Parameters
    ----------
    x : ndarray of shape (N, C)
    y : ndarray of shape (N,)
        The right classes, from 0 to C - 1.

    Returns
    -------
    loss : float
    dx : ndarray of shape (N, C)

    Examples
    --------
    >>> loss, dx = softmax_loss(np.zeros((2, 4)), np.array([0, 3]))
    >>> round(float(loss), 4)  # log 4
    1.3863
    >>> dx[0]
    array([-0.375,  0.125,  0.125,  0.125])
    """
    value, dx = kernels.softmax_cross_entropy(x, np.asarray(y))
    dx /= len(x)
    return value.mean(), dx


def dropout_forward(
    x: Array, dropout_param: Mapping[str, Any]
) -> tuple[Array, tuple[Mapping[str, Any], Array | None]]:
    """Return ``out`` of inverted dropout, and the cache ``(dropout_param, mask)``.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
    dropout_param : mapping
        ``"p"``, the probability to *keep* a unit, as in the course's present edition (in early
        ones, to drop it); ``"mode"``, ``"train"`` or ``"test"``; and optionally ``"seed"``, with
        which every call has the same mask. It is not the one that NumPy's global generator would
        draw from that seed.

    Returns
    -------
    out : ndarray of the shape of x
    cache : tuple
        Its mask has the scale ``1/p`` in it; it is None in test mode.

    Raises
    ------
    ValueError
        If ``"p"`` is not in (0, 1], or the mode is another.

    Examples
    --------
    >>> out, cache = dropout_forward(np.ones((1, 6)), {"p": 0.5, "mode": "train", "seed": 1})
    >>> out
    array([[2., 0., 2., 2., 0., 2.]])
    >>> bool((dropout_backward(np.ones((1, 6)), cache) == out).all())
    True
    """
    p = checks.number('dropout_param["p"]', dropout_param["p"], 0, 1, open_low=True)
    mode = checks.one_of('dropout_param["mode"]', dropout_param["mode"], MODES)
    if mode == "test":
        return x, (dropout_param, None)
    seed = dropout_param.get("seed")
    words = streams.Words(streams.key(secrets.randbits(32) if seed is None else seed, "mask"))
    mask = np.empty(_flat(x).shape, x.real.dtype)
    for where, bits in words.rows(0, 0, mask.shape):
        kernels.keep_mask(bits, kernels.keep_threshold(p), out=mask[where])
    mask = mask.reshape(x.shape)
    return x * mask, (dropout_param, mask)


def dropout_backward(dout: Array, cache: tuple[Mapping[str, Any], Array | None]) -> Array:
    """Return ``dx``: ``dout`` times the mask, or in test mode ``dout``.

    Parameters
    ----------
    dout : ndarray of the shape of x
    cache : tuple
        Of :func:`dropout_forward`.
    """
    mask = cache[1]
    return dout if mask is None else dout * mask


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)
