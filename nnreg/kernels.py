r"""Kernels: the formulas of the engine as pure functions of arrays.

Proximal maps are in :mod:`nnreg.proximal`.

Notation. ``N`` rows in a batch, ``D`` inputs, ``M`` outputs, ``K`` classes. ``L`` is the scalar
loss, and ``d`` before a name means the derivative of ``L`` with respect to that variable: ``dy`` is
∂L/∂y, of the shape of ``y``. ``[c]`` is 1 where the condition ``c`` is true and 0 elsewhere.

Three rules apply to all functions:

* No argument is modified except ``out`` (the result) and ``work`` (a second array of the result's
  shape, if a formula needs one). Both are optional and may have any memory order; with them, the
  formulas of the layers allocate no array of the batch's size. ``out`` may be one of the arguments,
  but must not overlap one partially.
* Backward formulas use the *output* of the forward pass where that is exact, because it is stored
  anyway.
* Forward formulas are *complex-safe*: for ``z + ih`` with a tiny ``h`` the imaginary part of the
  result, divided by ``h``, is the derivative up to an error of order ``h²`` (Squire & Trapp, SIAM
  Review 40, 1998), free of cancellation. So conditions and signs use real parts,
  ``max(z, 0)`` is written ``z·[z > 0]`` and ``|z|`` as ``sign(z)·z``, and nothing is conjugated.
  The gradient check therefore differentiates the same code that is used in training.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg._support.blas import find_axpby
from nnreg._support.typing import Array

# --- Affine map -----------------------------------------------------------------------------------


def affine(x: Array, w: Array, b: Array | None = None, out: Array | None = None) -> Array:
    """Return ``y = x w + b``: (N, D) times (D, M) plus (M,) on each row gives (N, M).

    >>> affine(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    y = _multiply(x, w, out)
    if b is not None:
        np.add(y, b, out=y)
    return y


def affine_dx(dy: Array, w: Array, out: Array | None = None) -> Array:
    """Return ``dx = dy wᵀ`` of shape (N, D). Scalar rule: ``y = x*w + b`` gives ``dx = dy*w``."""
    return _multiply(dy, w.T, out)


def affine_dw(x: Array, dy: Array, out: Array | None = None) -> Array:
    """Return ``dw = xᵀ dy`` of shape (D, M). Scalar rule: ``dw = x*dy``, summed over rows."""
    return _multiply(x.T, dy, out)


def affine_db(dy: Array, out: Array | None = None) -> Array:
    """Return ``db = Σₙ dyₙ`` of shape (M,). Scalar rule: ``db = dy``, summed over rows.

    The sum is computed as the product ``1ᵀ dy``, because BLAS is faster than NumPy's sum.
    """
    return _multiply(_ones(len(dy), dy.dtype), dy, out)


def _multiply(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return ``a b``.

    ``dot`` and ``np.matmul`` call the same function of BLAS. The first takes a microsecond less,
    but its ``out`` must be contiguous.
    """
    if out is None or out.flags.c_contiguous:
        return a.dot(b, out)
    return np.matmul(a, b, out=out)


@functools.lru_cache(maxsize=4)
def _ones(size: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(size, dtype)
    ones.flags.writeable = False
    return ones


# --- Activations: elementwise, so x, y, dy, dx all have one shape ---------------------------------


def rectifier(
    x: Array, slope: float = 0.0, out: Array | None = None, work: Array | None = None
) -> Array:
    """Return ``y = x·f`` with ``f = max([x > 0], slope)``, which is stored in ``work``.

    ``f`` is the derivative, so the backward pass needs nothing else. ``slope = 0`` is ReLU, a small
    positive one LeakyReLU; the derivative at the kink, ``x = 0``, is taken to be ``slope``.

    >>> rectifier(np.array([-2.0, 0.0, 3.0]), 0.1)
    array([-0.2,  0. ,  3. ])
    """
    factor = np.greater(x.real, 0, out=np.empty_like(x) if work is None else work)
    if slope:
        np.maximum(factor, slope, out=factor)
    y: Array = np.multiply(x, factor, out=out)
    y += 0.0  # in IEEE arithmetic -1 * 0 is -0; adding 0 gives +0
    return y


def rectifier_dx(dy: Array, factor: Array, out: Array | None = None) -> Array:
    """Return ``dx = dy·f`` with the factor ``f`` that :func:`rectifier` stored in ``work``."""
    return np.multiply(dy, factor, out=out)


def elu(x: Array, alpha: float = 1.0, out: Array | None = None, work: Array | None = None) -> Array:
    """Return ``y = x`` where ``x > 0``, else ``α(eˣ - 1)`` (Clevert et al., 2016, eq. 15).

    With ``r = max(x, 0)`` both branches are one expression: ``y = r + α·expm1(x - r)``.

    >>> elu(np.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    positive = _positive_part(x, work)
    y = np.subtract(x, positive, out=out)
    np.expm1(y, out=y)
    y *= alpha
    y += positive
    return y


def elu_dx(
    dy: Array, x: Array, alpha: float = 1.0, out: Array | None = None, work: Array | None = None
) -> Array:
    """Return ``dx = dy·e^min(x, 0)·(α + (1 - α)[x > 0])``.

    The factor is 1 above zero and ``αeˣ`` below. It is not computed from ``y``, because ``y + α``
    cancels where ``eˣ`` is small.
    """
    slope = np.minimum(x, 0, out=np.empty_like(x) if work is None else work)
    np.exp(slope, out=slope)
    slope *= dy
    step = np.greater(x, 0, out=np.empty_like(x) if out is None else out)
    step *= 1.0 - alpha
    step += alpha
    return np.multiply(step, slope, out=step)


def _positive_part(x: Array, out: Array | None = None) -> Array:
    """Return ``max(x, 0)``, as ``[x > 0]·x``."""
    positive: Array = np.greater(x.real, 0, out=np.empty_like(x) if out is None else out)
    positive *= x
    return positive


def gelu(x: Array, cdf: Array, out: Array | None = None) -> Array:
    """Return ``y = x·Φ(x)`` (Hendrycks & Gimpel, 2016), with ``cdf`` from :func:`normal_cdf`."""
    return np.multiply(x, cdf, out=out)


def normal_cdf(x: Array, erfc: Callable[..., Array], out: Array | None = None) -> Array:
    """Return ``Φ(x) = erfc(-x/√2)/2``; ``erfc`` is SciPy's, imported by the layer.

    It equals ``(1 + erf(x/√2))/2``, which cancels for large negative ``x``.
    """
    cdf = np.multiply(x, -math.sqrt(0.5), out=out)
    erfc(cdf, out=cdf)
    cdf *= 0.5
    return cdf


def gelu_dx(dy: Array, x: Array, cdf: Array, out: Array | None = None) -> Array:
    """Return ``dx = dy·(Φ(x) + x·φ(x))`` with the normal density ``φ(x) = exp(-x²/2)/√(2π)``."""
    slope = np.multiply(x, x, out=_unless(out, dy, x, cdf))
    slope *= -0.5
    np.exp(slope, out=slope)
    slope *= 1.0 / math.sqrt(2.0 * math.pi)
    slope *= x
    slope += cdf
    return np.multiply(slope, dy, out=out)


def tanh_dx(dy: Array, y: Array, out: Array | None = None) -> Array:
    """Return ``dx = dy·(1 - y²)`` for ``y = tanh(x)``.

    The error of ``1 - y²`` is about one rounding error of 1, so it is 0 where ``y`` is rounded to
    1. A formula without cancellation needs an exponential, and takes several times as long.
    """
    slope = np.multiply(y, y, out=_unless(out, dy))
    np.subtract(1.0, slope, out=slope)
    return np.multiply(slope, dy, out=out)


def _unless(out: Array | None, *arguments: Array) -> Array | None:
    """Return ``out``, or None if it is one of these arguments, which are still needed."""
    return None if any(out is argument for argument in arguments) else out


def sigmoid(z: Array, out: Array | None = None, work: Array | None = None) -> Array:
    """Return ``σ(z) = 1/(1 + e⁻ᶻ)``, and store ``e⁻ᶻ`` in ``work``.

    The exponent ``-z`` is limited to the range of the dtype, 87 in float32 and 708 in float64. So
    nothing overflows, and no result is below the smallest normal number.

    >>> sigmoid(np.array([0.0, 1e4, -1e4])).round(9)
    array([0.5, 1. , 0. ])
    """
    e = np.negative(z, out=out if work is None else work)
    np.minimum(e, math.floor(math.log(np.finfo(z.dtype).max)) - 1.0, out=e)
    np.exp(e, out=e)
    y = np.add(e, 1.0, out=e if work is None else out)
    return np.divide(1.0, y, out=y)


def sigmoid_dx(dy: Array, y: Array, e: Array, out: Array | None = None) -> Array:
    """Return ``dx = dy·y(1 - y)`` for ``y = σ(x)``, with ``e`` that :func:`sigmoid` stored.

    ``1 - y`` is computed as ``e·y``, because it cancels where ``y`` is close to 1.
    """
    slope = np.multiply(e, y, out=_unless(out, dy, y))
    slope *= y
    return np.multiply(slope, dy, out=out)


def softplus(z: Array, out: Array | None = None, work: Array | None = None) -> Array:
    """Return ``log(1 + eᶻ)``, computed as ``r + log1p(e^(z - 2r))`` with ``r = max(z, 0)``.

    Since ``z - 2r = -|z|``, the exponential never exceeds 1.

    >>> softplus(np.array([-1e4, 0.0, 1e4])).round(4).tolist()
    [0.0, 0.6931, 10000.0]
    """
    positive = _positive_part(z, work)
    y = np.subtract(z, positive, out=out)
    y -= positive
    np.exp(y, out=y)
    np.log1p(y, out=y)
    y += positive
    return y


def softplus_dx(dy: Array, y: Array, out: Array | None = None) -> Array:
    """Return ``dx = dy·σ(x) = dy·(1 - e⁻ʸ)`` for ``y = softplus(x)``."""
    slope = np.negative(y, out=_unless(out, dy))
    np.expm1(slope, out=slope)
    np.negative(slope, out=slope)
    return np.multiply(slope, dy, out=out)


# --- Dropout (Srivastava et al., JMLR 15, 2014, section 10: the inverted form) --------------------


def keep_threshold(keep_prob: float) -> int:
    """Return ``t = round(65536·keep_prob)``, at least 1.

    A unit is kept when its 16 random bits, read as a number from 0 to 65535, are below ``t``. That
    happens with probability ``t/65536``, and the kept units are multiplied by ``65536/t``, so
    the expectation is exact: ``t/65536 · 65536/t = 1``.

    >>> keep_threshold(0.8), keep_threshold(1.0)
    (52429, 65536)
    """
    return max(1, round(65536 * keep_prob))


def keep_mask(bits: Array, threshold: int, out: Array | None = None) -> Array:
    """Return the mask ``[bits < t]·65536/t`` for ``bits`` of type uint16.

    Forward is then ``y = x·mask``, backward ``dx = dy·mask``.

    >>> keep_mask(np.array([0, 32767, 32768, 65535], np.uint16), 32768, out=np.empty(4))
    array([2., 2., 0., 0.])
    """
    # (The last value that is kept fits into 16 bits; NumPy 2.0 crashes with 65536 here.)
    limit = np.array(threshold - 1, np.uint16)  # an int would be converted, and the bits
    kept = np.less_equal(bits, limit)
    mask = np.empty(bits.shape) if out is None else out
    np.copyto(mask, kept)  # faster than a comparison that converts its result
    mask *= 65536 / threshold
    return mask


# --- Losses: one value per row, (N,), and its gradient with respect to the outputs z, (N, K) ------


def softmax(z: Array, out: Array | None = None) -> Array:
    """Return ``pₖ = e^(zₖ - m)/Σⱼ e^(zⱼ - m)`` for each row, with ``m`` the row's maximum.

    ``e^(-m)`` cancels in the fraction; without it ``e^zₖ`` could overflow.

    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    p: Array = np.subtract(z, z.real.max(axis=-1, keepdims=True), out=out)
    np.exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    return p


def softmax_cross_entropy(z: Array, labels: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = -log pₙₖ`` at the label ``k`` of row ``n``, and ``dz = p - t``.

    ``p = softmax(z)``, and ``t`` is the one-hot row of the label. Near ``pₙₖ = 1`` both would
    cancel. With ``s = z - max z``, ``e = e^sₙₖ``, and ``q`` the sum of ``e^s`` over the other
    classes, they are ``Lₙ = log(1 + (q + e - 1)) - sₙₖ`` and ``dzₙₖ = -q/(q + e)``.

    >>> value, dz = softmax_cross_entropy(np.zeros((1, 3)), np.array([2]))
    >>> value.round(4), dz.round(4)  # log 3, and p - t
    (array([1.0986]), array([[ 0.3333,  0.3333, -0.6667]]))
    """
    s = np.subtract(z, np.maximum.reduce(z.real, axis=1, keepdims=True), out=out)
    flat, index = _flatten(s), _first_of_rows(*z.shape) + labels  # a flat index is faster
    chosen = flat[index]
    np.exp(s, out=s)
    flat[index] = 0.0
    q, e = np.add.reduce(s, axis=1), np.exp(chosen)
    flat[index] = -q
    s /= (q + e)[:, np.newaxis]
    return np.log1p(q + (e - 1.0)) - chosen, s


def _flatten(a: Array) -> Any:
    """Return a one-dimensional view, which is faster, or if there is none, an iterator."""
    return a.reshape(-1) if a.flags.c_contiguous else a.flat


@functools.lru_cache(maxsize=4)
def _first_of_rows(rows: int, columns: int) -> Array:
    """Return the flat index of the first value of each row."""
    index = np.arange(0, rows * columns, columns)
    index.flags.writeable = False
    return index


def soft_cross_entropy(z: Array, t: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = -Σₖ tₙₖ log pₙₖ`` and ``dzₙₖ = Tₙ pₙₖ - tₙₖ``, with ``p = softmax(z)``.

    ``Tₙ = Σₖ tₙₖ`` is 1 if the row ``t`` contains probabilities; then ``dz = p - t``. One-hot rows
    ``t`` are labels. At the largest output ``k`` of a row, where this would cancel, it is computed
    as ``dzₙₖ = ((Tₙ - tₙₖ)e - tₙₖ q)/(q + e)``, with ``e`` and ``q`` as above.

    >>> value, dz = soft_cross_entropy(np.zeros((1, 2)), np.array([[0.5, 0.5]]))
    >>> value.round(4), dz  # log 2, and p - t
    (array([0.6931]), array([[0., 0.]]))
    """
    largest = _first_of_rows(*z.shape) + z.real.argmax(axis=1)
    s = np.subtract(z, z.real.flat[largest][:, np.newaxis], out=_unless(out, t))
    np.maximum(s, np.finfo(z.dtype).min, out=s)  # 0 times -inf would be NaN
    mass, at = np.add.reduce(t, axis=1), t.flat[largest]
    chosen = np.einsum("nk,nk->n", s, t)
    e = np.exp(s, out=s).flat[largest]
    s.flat[largest] = 0.0
    q = np.add.reduce(s, axis=1)
    total = q + e
    s *= (mass / total)[:, np.newaxis]
    dz = np.subtract(s, t, out=out)
    dz.flat[largest] = ((mass - at) * e - at * q) / total
    return mass * np.log1p(q + (e - 1.0)) - chosen, dz


def sigmoid_cross_entropy(z: Array, y: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = Σₖ (log(1 + e^zₙₖ) - yₙₖ zₙₖ)`` and ``dz = σ(z) - y``, for ``y`` in [0, 1].

    The first is ``-y log σ(z) - (1 - y) log(1 - σ(z))`` for each output, with the terms collected.
    Without cancellation it is ``l + ([z > 0] - y)·z`` with ``l = log(1 + e^-|z|)``; and because
    ``1 - e^-l`` is ``σ(-|z|)``, ``dz = [z > 0] - y - sign(z)·(1 - e^-l)``.

    >>> sigmoid_cross_entropy(np.array([[0.0]]), np.array([[1.0]]))[1]
    array([[-0.5]])
    """
    side = np.greater(z.real, 0, out=np.empty_like(z))
    s = np.multiply(side, -2.0, out=_unless(out, z, y))
    s += 1.0
    s *= z  # -|z|
    np.log1p(np.exp(s, out=s), out=s)
    value = s.sum(axis=1)
    np.expm1(np.negative(s, out=s), out=s)
    side -= 0.5
    s *= side  # -sign(z)·σ(-|z|)/2
    s *= 2.0
    np.greater(z.real, 0, out=side)
    side -= y
    value += np.einsum("nk,nk->n", side, z)
    return value, np.add(side, s, out=out)


def squared_error(z: Array, y: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = Σₘ (zₙₘ - yₙₘ)²`` and ``dz = 2(z - y)``."""
    dz = np.subtract(z, y, out=out)
    value = np.einsum("nm,nm->n", dz, dz)
    dz *= 2.0
    return value, dz


def huber(z: Array, y: Array, delta: float = 1.0, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = Σₘ c(r - c/2)`` and ``dz = c``, with ``r = z - y`` clipped to ``c``.

    ``c`` is ``r`` where ``|r| <= δ``, and ``±δ`` beyond. So the value for each output is
    ``r²/2`` where ``|r| <= δ``, and ``δ|r| - δ²/2`` beyond (Huber, 1964).

    >>> huber(np.array([[0.5, -3.0]]), np.zeros((1, 2)))  # 0.125 + 2.5
    (array([2.625]), array([[ 0.5, -1. ]]))
    """
    r = z - y
    c = np.maximum(r, -delta, out=out)
    np.minimum(c, delta, out=c)
    value = np.einsum("nm,nm->n", c, r)
    value -= np.einsum("nm,nm->n", c, c) * 0.5
    return value, c


def quantile(z: Array, y: Array, q: float = 0.5, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = Σₘ c·r`` and ``dz = c``, with ``r = z - y``; ``c`` is ``1 - q`` or ``-q``.

    ``c`` is ``1 - q`` where ``r > 0``, ``-q`` where ``r < 0``, and 0 where ``r = 0``, a subgradient
    there. The minimum over ``z`` is the ``q``-quantile of ``y`` (Koenker & Bassett, 1978).

    >>> quantile(np.array([[1.0, -1.0]]), np.zeros((1, 2)), 0.75)  # 0.25·1 + 0.75·1
    (array([1.]), array([[ 0.25, -0.75]]))
    """
    r = z - y
    c = np.greater(r.real, 0, out=np.empty_like(r) if out is None else out)
    value = np.einsum("nm,nm->n", c, r) - q * np.add.reduce(r, axis=1)
    np.not_equal(r.real, 0, out=r)
    r *= q
    c -= r  # c = [r > 0] - q·[r is not 0]
    return value, c


def poisson(z: Array, y: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return ``Lₙ = Σₘ (e^zₙₘ - yₙₘ zₙₘ)`` and ``dz = eᶻ - y``, for counts ``y`` with mean ``eᶻ``.

    It is the negative log-likelihood without ``log y!``, which does not depend on ``z``.

    >>> poisson(np.array([[0.0]]), np.array([[3.0]]))
    (array([1.]), array([[-2.]]))
    """
    cross = np.einsum("nm,nm->n", y, z)
    mean = np.exp(z, out=_unless(out, y))
    return mean.sum(axis=1) - cross, np.subtract(mean, y, out=out)


# --- Penalties on weights -------------------------------------------------------------------------


def l2(w: Array) -> Any:
    """Return ``½ Σ w²``, whose gradient is ``w`` itself."""
    flat = w.reshape(-1)
    return 0.5 * np.dot(flat, flat)


def l1(w: Array) -> Any:
    """Return ``Σ |w|`` as ``Σ sign(w)·w``; its subgradient is ``sign(w)``, with ``sign(0) = 0``."""
    flat = w.reshape(-1)
    return np.dot(np.sign(flat.real), flat)


# --- Linear combinations of parts of the vector ---------------------------------------------------


MIN_AXPBY = 4096  # values


def axpby(a: float, x: Array, b: float, y: Array, work: Array | None = None) -> None:
    """Set ``y = a·x + b·y`` in place.

    An update of parameters is limited by memory, so what counts is the number of passes over it.
    With NumPy this takes three, ``y *= b``, ``work = a·x`` and ``y += work``; OpenBLAS has a
    function for it that takes one, and rounds in the same way. The call itself takes as long as
    two of NumPy's, so it is used for arrays of at least ``MIN_AXPBY`` values.

    Parameters
    ----------
    a, b : float
    x, y : ndarray of shape (n,)
    work : ndarray of shape (n,), optional
        For ``a·x``, if the function is not available; may be ``x``, which is then overwritten.

    Examples
    --------
    >>> y = np.array([1.0, 2.0])
    >>> axpby(10.0, np.array([3.0, 4.0]), 0.5, y)
    >>> y
    array([30.5, 41. ])
    """
    if y.size >= MIN_AXPBY and x.flags.carray and y.flags.carray and x.dtype is y.dtype:
        combine = find_axpby(y.dtype)
        if combine is not None:
            combine(a, x, b, y)
            return
    if b != 1.0:
        y *= b
    y += x if a == 1.0 else np.multiply(x, a, out=work)


# --- Subnormal numbers ----------------------------------------------------------------------------


def flush_denormals(v: Array, limit: float, work: Array | None = None) -> None:
    """Set to zero, in place, every value smaller than ``limit``: ``v = v·[|v| > limit]``.

    Below about 1e-38 float32 has only *subnormal* numbers, for which a multiplication takes about a
    hundred times as long. Where a gradient is zero, momentum becomes subnormal: ``0.9ᵗ·v`` after
    about 830 steps, and it remains so, because 0.9 times the smallest one is rounded to itself.

    >>> v = np.array([1.0, -1e-35, 1e-20])
    >>> flush_denormals(v, 1e-30)
    >>> v
    array([ 1.e+00, -0.e+00,  1.e-20])
    """
    size = np.absolute(v, out=work)
    np.greater(size, limit, out=size)
    v *= size
