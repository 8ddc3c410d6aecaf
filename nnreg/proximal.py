"""Proximal maps, stationarity residuals and the secular root.

The rules of :mod:`nnreg.kernels` apply here too. ``λ`` is a penalty's strength, ``s`` a step size,
``t = s·λ`` a threshold. A formula for a column ``w_j`` of ``w`` (D, M) is for each of them.
"""

from __future__ import annotations

import numpy as np

from nnreg._support.typing import Array


def soft_threshold(w: Array, threshold: float | Array, out: Array | None = None) -> Array:
    """Return ``sign(w)·max(|w| - t, 0)``, the ``u`` that minimizes ``½(u - w)² + t|u|``.

    It is computed as ``w - c`` where ``c`` is ``w`` clipped to ``[-t, t]`` and ``t`` the
    threshold. Where ``|w| <= t`` that is ``w - w``: an exact zero.

    >>> soft_threshold(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-2.,  0.,  1.])
    """
    clipped: Array = np.clip(w, -threshold, threshold)
    return np.subtract(w, clipped, out=out)


def column_norms(w: Array) -> Array:
    """Return ``‖w_j‖ = √Σᵢ wᵢⱼ²`` for each column ``j`` of ``w`` (D, M): shape (M,).

    >>> column_norms(np.array([[3.0, 0.0], [4.0, 0.0]]))
    array([5., 0.])
    """
    squares: Array = np.einsum("dm,dm->m", w, w)
    squares *= squares.real > 0  # gives a column of zeros the complex-step derivative 0
    return np.sqrt(squares)


def group_threshold(w: Array, threshold: float | Array, out: Array | None = None) -> Array:
    """Return, for each column, the ``u`` that minimizes ``Σ ½(u - w)²/s + λ‖u‖``; ``t = s·λ``.

    It is zero where ``‖w/t‖ <= 1``. Elsewhere ``(u - w)/s + λu/r = 0`` with ``r = ‖u‖``, and so
    ``u = w·r/(r + t)``. For one ``t`` this is ``w·(1 - t/‖w‖)``; with a threshold for each weight,
    ``r`` is the solution of ``‖u‖ = r``, that is, of ``Σ w²/(r + t)² = 1``.

    >>> group_threshold(np.array([[3.0, 0.3], [4.0, 0.4]]), 1.0)
    array([[2.4, 0. ],
           [3.2, 0. ]])
    """
    if not isinstance(threshold, np.ndarray):
        norms = column_norms(w)
        ratio = np.divide(threshold, norms, out=np.ones_like(norms), where=norms > threshold)
        shrunk: Array = np.multiply(w, 1.0 - ratio, out=out)
        shrunk += 0.0  # -0 becomes +0, as in rectifier
        return shrunk
    if not threshold.any():
        return np.positive(w, out=out)
    nonzero = np.flatnonzero(column_norms(w / threshold) > 1.0)
    v, t = w[:, nonzero], threshold[:, nonzero]
    root = secular_root(v, t, np.ones_like(v))
    result = np.empty_like(w) if out is None else out
    result[...] = 0.0
    result[:, nonzero] = v * (root / (root + t))
    return result


def clip_norms(
    w: Array, limit: float, step: float | Array = 1.0, out: Array | None = None
) -> Array:
    """Return, for each column, the ``u`` with ``‖u‖ <= c`` that minimizes ``Σ (u - w)²/s``.

    Where ``‖w‖ <= c`` that is ``w``. Elsewhere ``(u - w)/s + μu = 0`` with a multiplier ``μ >= 0``,
    so ``u = w/(1 + μs)``. For one ``s`` this is ``w·c/‖w‖``; with a step size for each weight,
    ``μ`` is the solution of ``‖u‖ = c``.

    >>> clip_norms(np.array([[3.0, 0.3], [4.0, 0.4]]), 1.0)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """
    norms = column_norms(w)
    # If the learning rate is 0, all steps are 0, and any metric is valid.
    if not isinstance(step, np.ndarray) or not step.all():
        return np.multiply(w, limit / np.maximum(norms, limit), out=out)
    outside = np.flatnonzero(norms > limit)
    v, s = w[:, outside], step[:, outside]
    result: Array = np.positive(w, out=out)
    if outside.size:
        s /= s.max(axis=0)
        multiplier = secular_root(v / limit, np.ones_like(v), s)
        result[:, outside] = v / (1.0 + multiplier * s)
    return result


def lasso_residual(w: Array, dw: Array, strength: float) -> Array:
    """Return the smallest element of ``dw + λ ∂Σ|w|``, which is zero at a minimum.

    That is ``dw + λ·sign(w)``, except at 0, where the subdifferential is ``[-λ, λ]``: there it is
    the excess of ``dw`` over λ, ``sign(dw)·max(|dw| - λ, 0)``.

    >>> lasso_residual(np.array([2.0, 0.0, 0.0]), np.array([-1.0, 0.9, -1.5]), 1.0)
    array([ 0. ,  0. , -0.5])
    """
    return np.where(w == 0, soft_threshold(dw, strength), np.sign(w) * strength + dw)


def group_gradient(w: Array, strength: float, out: Array | None = None) -> Array:
    """Return ``λ·w_j/‖w_j‖`` for each column, and 0 for a column of zeros.

    >>> group_gradient(np.array([[3.0, 0.0], [4.0, 0.0]]), 1.0)
    array([[0.6, 0. ],
           [0.8, 0. ]])
    """
    norms = column_norms(w)
    norms[norms == 0] = 1.0
    return np.multiply(w, strength / norms, out=out)


def group_residual(w: Array, dw: Array, strength: float, out: Array | None = None) -> Array:
    """Return the smallest element of ``dw + λ ∂Σⱼ‖w_j‖``, as :func:`lasso_residual` for columns.

    That is ``dw + λ·w_j/‖w_j‖``, or where ``w_j`` is zero, ``dw_j·max(1 - λ/‖dw_j‖, 0)``.
    """
    zero = column_norms(w) == 0
    excess = group_threshold(dw[:, zero], strength)
    result: Array = np.add(group_gradient(w, strength), dw, out=out)
    result[:, zero] = excess
    return result


def clip_residual(w: Array, dw: Array, limit: float, out: Array | None = None) -> Array:
    """Return the smallest ``dw_j + μw_j``, ``μ >= 0``, of each column that is at its limit.

    ``μ = -dw_j·w_j/‖w_j‖²`` removes the part of ``-dw_j`` that points outwards. ``μ`` is 0 for the
    other columns. A norm within a relative 1e-6 (rounding in float32) of the limit is at it.

    >>> clip_residual(np.array([[1.0, 0.5], [0.0, 0.0]]), np.array([[-2.0, -2.0], [3.0, 3.0]]), 1.0)
    array([[ 0., -2.],
           [ 3.,  3.]])
    """
    square = np.einsum("dm,dm->m", w, w)
    outwards = np.maximum(-np.einsum("dm,dm->m", dw, w), 0)
    at_limit = square >= (limit * (1.0 - 1e-6)) ** 2
    multiplier = np.divide(outwards, square, out=np.zeros_like(square), where=at_limit)
    result: Array = np.add(w * multiplier, dw, out=out)
    return result


def secular_root(a: Array, d: Array, b: Array) -> Array:
    """Return, for each column, the ``r >= 0`` with ``Σ a²/(d + r·b)² = 1``; 0 if there is none.

    ``a`` is of any sign, ``d`` and ``b`` are positive, all of shape (D, M). With ``q(r)`` the root
    of the sum, ``1/q`` increases and is concave, nearly linear (Moré & Sorensen, 1983, section 3).
    So Newton's method for ``1/q = 1``, started to the left of the root, never exceeds it and
    converges in a few iterations; ``(‖a‖ - max d)/max b`` is to the left. The iteration stops when
    no column increases by more than rounding.

    >>> secular_root(np.array([[3.0], [4.0]]), np.ones((2, 1)), np.ones((2, 1)))  # 5/(1 + r) = 1
    array([4.])
    """
    root: Array = np.maximum(column_norms(a) - d.max(axis=0), 0) / b.max(axis=0)
    while True:
        y = d + root * b
        ratio = b / y
        np.divide(a, y, out=y)
        np.multiply(y, y, out=y)
        square = y.sum(axis=0)
        y *= ratio
        slope = y.sum(axis=0)
        increase = np.divide(
            np.maximum(np.sqrt(square) - 1.0, 0) * square,
            slope,
            out=np.zeros_like(root),
            where=slope > 0,
        )
        root = root + increase
        if not (increase > 4.0 * np.finfo(root.dtype).eps * root).any():
            return root
