"""Activations: elementwise functions between the affine maps.

Each is a layer; its formulas are in :mod:`nnreg.kernels`.
"""

from __future__ import annotations

import numpy as np

from nnreg import kernels
from nnreg._support import hyperparameters, validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.initializers import he_normal
from nnreg.layers.base import Layer


class LeakyReLU(Layer):
    """``y = x`` where ``x > 0``, else ``slope·x`` (Maas et al., 2013).

    Parameters
    ----------
    slope : float, default 0.01
        In [0, 1).

    Examples
    --------
    >>> LeakyReLU(0.1).forward(np.array([[-2.0, 3.0]]), Cache("float64"))
    array([[-0.2,  3. ]])
    """

    initializer_before = staticmethod(he_normal)
    slope = hyperparameters.Checked(validation.number, 0, 1, open_high=True)

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·f``, and store the factor ``f``."""
        cache.factor = cache.array("factor", x.shape)
        return kernels.rectifier(x, self.slope, cache.array("y", x.shape), cache.factor)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·f``."""
        return kernels.rectifier_dx(dy, cache.factor, out=cache.array("dx", dy.shape))


class ReLU(LeakyReLU):
    """``y = max(x, 0)``; the derivative at 0 is 0.

    Examples
    --------
    >>> ReLU().forward(np.array([[-2.0, 3.0]]), Cache("float64"))
    array([[0., 3.]])
    """

    def __init__(self) -> None:
        super().__init__(0.0)


class ELU(Layer):
    """``y = x`` where ``x > 0``, else ``alpha·(eˣ - 1)`` (Clevert et al., 2016).

    Parameters
    ----------
    alpha : float, default 1
        Positive.

    Examples
    --------
    >>> ELU().forward(np.array([[-1.0, 3.0]]), Cache("float64")).round(4)
    array([[-0.6321,  3.    ]])
    """

    initializer_before = staticmethod(he_normal)
    alpha = hyperparameters.Checked(validation.number, 0, open_low=True)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``elu(x)``."""
        cache.x = x
        work = cache.array("work", x.shape)
        return kernels.elu(x, self.alpha, cache.array("y", x.shape), work)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy`` times 1 above zero, ``alpha·eˣ`` below."""
        work = cache.array("work", dy.shape)
        return kernels.elu_dx(dy, cache.x, self.alpha, cache.array("dx", dy.shape), work)


class GELU(Layer):
    """``y = x·Φ(x)`` with the exact normal distribution function (Hendrycks & Gimpel, 2016).

    Examples
    --------
    >>> GELU().forward(np.array([[-1.0, 1.0]]), Cache("float64")).round(4)
    array([[-0.1587,  0.8413]])
    """

    initializer_before = staticmethod(he_normal)

    def __init__(self) -> None:
        from scipy.special import erfc  # takes 300 ms, so not at module level

        self._erfc = erfc

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·Φ(x)``, and store ``x`` and ``Φ(x)``."""
        cache.x = x
        cache.cdf = kernels.normal_cdf(x, self._erfc, out=cache.array("cdf", x.shape))
        return kernels.gelu(x, cache.cdf, out=cache.array("y", x.shape))

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(Φ(x) + x·φ(x))``."""
        return kernels.gelu_dx(dy, cache.x, cache.cdf, out=cache.array("dx", dy.shape))


class Tanh(Layer):
    """``y = tanh(x)``.

    Examples
    --------
    >>> Tanh().forward(np.array([[0.0, 1.0]]), Cache("float64")).round(4)
    array([[0.    , 0.7616]])
    """

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``tanh(x)``."""
        y = cache.y = np.tanh(x, out=cache.array("y", x.shape))
        return y

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(1 - y²)``."""
        return kernels.tanh_dx(dy, cache.y, out=cache.array("dx", dy.shape))


class Sigmoid(Layer):
    """``y = 1/(1 + e⁻ˣ)``.

    Examples
    --------
    >>> Sigmoid().forward(np.array([[0.0, 2.0]]), Cache("float64")).round(4)
    array([[0.5   , 0.8808]])
    """

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``σ(x)``, and store ``e⁻ˣ``."""
        cache.e = cache.array("e", x.shape)
        y = cache.y = kernels.sigmoid(x, cache.array("y", x.shape), cache.e)
        return y

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·y(1 - y)``."""
        return kernels.sigmoid_dx(dy, cache.y, cache.e, out=cache.array("dx", dy.shape))


class Softplus(Layer):
    """``y = log(1 + eˣ)``, a smooth rectifier.

    Examples
    --------
    >>> Softplus().forward(np.array([[0.0, 100.0]]), Cache("float64")).round(4)
    array([[  0.6931, 100.    ]])
    """

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``log(1 + eˣ)``."""
        work = cache.array("work", x.shape)
        y = cache.y = kernels.softplus(x, cache.array("y", x.shape), work)
        return y

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·(1 - e⁻ʸ)``."""
        return kernels.softplus_dx(dy, cache.y, out=cache.array("dx", dy.shape))
