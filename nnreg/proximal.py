"""The mathematics, page two: proximal maps, stationarity residuals and the secular root.

The rules of page one, :mod:`nnreg.kernels`, hold here too. ``λ`` is a penalty's strength, ``s`` a
step size, ``t = s·λ`` a threshold. A rule for a column ``w_j`` of ``w`` (D, M) is for each of them.
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
    squares *= squares.real > 0  # so that a column of zeros has the derivative 0 by a complex step
    return np.sqrt(squares)


def group_threshold(w: Array, threshold: float | Array, out: Array | None = None) -> Array:
    """Return, for each column, the ``u`` that minimizes ``Σ ½(u - w)²/s + λ‖u‖``; ``t = s·λ``.

    It is zero where ``‖w/t‖ <= 1``. Elsewhere ``(u - w)/s + λu/r = 0`` with ``r = ‖u‖``, and so
    ``u = w·r/(r + t)``: for one ``t`` just ``w·(1 - t/‖w‖)``, and for a threshold for each weight
    with the ``r`` that makes ``‖u‖ = r``, which is ``Σ w²/(r + t)² = 1``.

    >>> group_threshold(np.array([[3.0, 0.3], [4.0, 0.4]]), 1.0)
    array([[2.4, 0. ],
           [3.2, 0. ]])
    """
    if not isinstance(threshold, np.ndarray):
        length = column_norms(w)
        share = np.divide(threshold, length, out=np.ones_like(length), where=length > threshold)
        shrunk: Array = np.multiply(w, 1.0 - share, out=out)
        shrunk += 0.0  # for -1 * 0 = -0, as in rectifier
        return shrunk
    if not threshold.any():
        return np.positive(w, out=out)
    alive = np.flatnonzero(column_norms(w / threshold) > 1.0)
    v, t = w[:, alive], threshold[:, alive]
    root = secular_root(v, t, np.ones_like(v))
    result = np.empty_like(w) if out is None else out
    result[...] = 0.0
    result[:, alive] = v * (root / (root + t))
    return result


def clip_norms(
    w: Array, limit: float, step: float | Array = 1.0, out: Array | None = None
) -> Array:
    """Return, for each column, the ``u`` with ``‖u‖ <= c`` that minimizes ``Σ (u - w)²/s``.

    Where ``‖w‖ <= c`` that is ``w``. Elsewhere ``(u - w)/s + μu = 0`` with a multiplier ``μ >= 0``,
    so ``u = w/(1 + μs)``: for one ``s`` just ``w·c/‖w‖``, and for a step size for each weight with
    the ``μ`` that makes ``‖u‖ = c``.

    >>> clip_norms(np.array([[3.0, 0.3], [4.0, 0.4]]), 1.0)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """
    length = column_norms(w)
    # Where a learning rate is 0, so are the steps, and any distance will do.
    if not isinstance(step, np.ndarray) or not step.all():
        return np.multiply(w, limit / np.maximum(length, limit), out=out)
    long = np.flatnonzero(length > limit)
    far, s = w[:, long], step[:, long]
    result: Array = np.positive(w, out=out)
    if long.size:
        s /= s.max(axis=0)
        multiplier = secular_root(far / limit, np.ones_like(far), s)
        result[:, long] = far / (1.0 + multiplier * s)
    return result


def lasso_residual(w: Array, dw: Array, strength: float) -> Array:
    """Return the smallest element of ``dw + λ ∂Σ|w|``: how far from a minimum each weight is.

    That is ``dw + λ·sign(w)``. Only at 0, where the subgradient may be anything from -λ to λ, it is
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
    length = column_norms(w)
    length[length == 0] = 1.0
    return np.multiply(w, strength / length, out=out)


def group_residual(w: Array, dw: Array, strength: float, out: Array | None = None) -> Array:
    """Return the smallest element of ``dw + λ ∂Σⱼ‖w_j‖``, as :func:`lasso_residual` for columns.

    That is ``dw + λ·w_j/‖w_j‖``, or where ``w_j`` is zero, ``dw_j·max(1 - λ/‖dw_j‖, 0)``.
    """
    dead = column_norms(w) == 0
    excess = group_threshold(dw[:, dead], strength)
    result: Array = np.add(group_gradient(w, strength), dw, out=out)
    result[:, dead] = excess
    return result


def clip_residual(w: Array, dw: Array, limit: float, out: Array | None = None) -> Array:
    """Return the smallest ``dw_j + μw_j``, ``μ >= 0``, of each column that is at its limit.

    ``μ = -dw_j·w_j/‖w_j‖²`` removes the part of ``-dw_j`` that points outwards. ``μ`` is 0 for the
    other columns. Within 1e-6, rounding in float32, a length is the limit.

    >>> clip_residual(np.array([[1.0, 0.5], [0.0, 0.0]]), np.array([[-2.0, -2.0], [3.0, 3.0]]), 1.0)
    array([[ 0., -2.],
           [ 3.,  3.]])
    """
    square = np.einsum("dm,dm->m", w, w)
    outwards = np.maximum(-np.einsum("dm,dm->m", dw, w), 0)
    edge = square >= (limit * (1.0 - 1e-6)) ** 2
    multiplier = np.divide(outwards, square, out=np.zeros_like(square), where=edge)
    result: Array = np.add(w * multiplier, dw, out=out)
    return result


def secular_root(a: Array, d: Array, b: Array) -> Array:
    """Return, for each column, the ``r >= 0`` with ``Σ a²/(d + r·b)² = 1``; 0 if there is none.

    ``a`` is of any sign, ``d`` and ``b`` are positive, all of shape (D, M). With ``q(r)`` the root
    of the sum, ``1/q`` grows and is concave, nearly a straight line (Moré & Sorensen, 1983,
    section 3). So Newton's rule for ``1/q = 1``, started to the left of the root, never steps
    beyond it and converges in a few steps; ``(‖a‖ - max d)/max b`` is to the left. It stops when no
    column grows by more than rounding.

    >>> secular_root(np.array([[3.0], [4.0]]), np.ones((2, 1)), np.ones((2, 1)))  # 5/(1 + r) = 1
    array([4.])
    """
    root: Array = np.maximum(column_norms(a) - d.max(axis=0), 0) / b.max(axis=0)
    while True:
        y = d + root * b
        share = b / y
        np.divide(a, y, out=y)
        np.multiply(y, y, out=y)
        square = y.sum(axis=0)
        y *= share
        slope = y.sum(axis=0)
        growth = np.divide(
            np.maximum(np.sqrt(square) - 1.0, 0) * square,
            slope,
            out=np.zeros_like(root),
            where=slope > 0,
        )
        root = root + growth
        if not (growth > 4.0 * np.finfo(root.dtype).eps * root).any():
            return root
