"""Hypothesis strategies: random layers, losses, penalties and whole networks, with data for them.

Shapes are drawn first, then bounded values of these shapes, so a failing example is shrunk to few
rows and columns, and then to simple numbers. No value is drawn within ``MARGIN`` of zero, where
rectifiers and L1 have their kinks and a difference quotient is the derivative of neither side.

The inputs of a rectifier inside a network are not drawn. Kinks are avoided by rejection: parameters
and inputs come from a generator, whose seed Hypothesis draws, and numbers for which a rectifier's
input is within ``MARGIN`` of its kink are rejected. A zero from dropout or an earlier rectifier is
accepted: it does not depend on parameters or inputs.

Requires Hypothesis: ``pip install 'nnreg[testing]'``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.losses import (
    Huber,
    Loss,
    MeanSquaredError,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from nnreg.network import Network
from nnreg.penalties import L1, L2, ElasticNet, Penalty

try:
    import hypothesis.extra.numpy as hnp
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "the strategies of nnreg.testing require Hypothesis: pip install 'nnreg[testing]'"
    ) from error

#: Smallest absolute value.
MARGIN = 1e-3


def shapes(max_rows: int = 5, max_columns: int = 5) -> st.SearchStrategy[tuple[int, int]]:
    """Draw the shape (N, D) of a batch, one row and one column included.

    Parameters
    ----------
    max_rows, max_columns : int, default 5

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(shapes(max_rows=3))
    ... def test_rows(shape):
    ...     assert 1 <= shape[0] <= 3
    >>> test_rows()
    """
    return st.tuples(st.integers(1, max_rows), st.integers(1, max_columns))


def batches(
    shape: tuple[int, ...] | None = None, *, bound: float = 3.0, dtype: Any = np.float64
) -> st.SearchStrategy[Array]:
    """Draw an array of numbers of either sign, with absolute values from ``MARGIN`` to ``bound``.

    Parameters
    ----------
    shape : tuple of int, optional
        By default drawn from :func:`shapes`.
    bound : float, default 3
    dtype : {"float32", "float64"}, default "float64"

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(batches((2, 3)))
    ... def test_values(x):
    ...     assert x.shape == (2, 3) and (abs(x) >= MARGIN).all()
    >>> test_values()
    """
    if shape is None:
        return shapes().flatmap(lambda drawn: batches(drawn, bound=bound, dtype=dtype))
    kind = np.dtype(dtype)
    low, high = np.nextafter(kind.type(MARGIN), kind.type(1)), kind.type(bound)
    width: Any = 8 * kind.itemsize
    size = st.floats(float(low), float(high), width=width)
    return hnp.arrays(kind, shape, elements=st.one_of(size, size.map(lambda a: -a)))


def labels(rows: int, classes: int) -> st.SearchStrategy[Array]:
    """Draw class numbers (N,), int64, from 0 to ``classes - 1``.

    Parameters
    ----------
    rows, classes : int

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(labels(4, 3))
    ... def test_range(y):
    ...     assert y.shape == (4,) and y.max() < 3
    >>> test_range()
    """
    return hnp.arrays(np.int64, rows, elements=st.integers(0, classes - 1))


def layers(max_units: int = 5) -> st.SearchStrategy[Layer]:
    """Draw a new layer of any type in nnreg, with any hyper-parameters.

    Parameters
    ----------
    max_units : int, default 5
        Units of a dense layer.

    Examples
    --------
    >>> from hypothesis import given
    >>> from nnreg.testing import assert_layer_contract
    >>> @given(layers())
    ... def test_contract(layer):
    ...     assert_layer_contract(layer.clone)
    >>> test_contract()
    """
    return st.one_of(_dense(max_units), _between())


def _dense(max_units: int) -> st.SearchStrategy[Layer]:
    return st.builds(Dense, st.integers(1, max_units), bias=st.booleans())


def _between() -> st.SearchStrategy[Layer]:
    """Draw a layer that preserves the number of columns."""
    plain = st.sampled_from([ReLU, GELU, Tanh, Sigmoid, Softplus]).map(lambda kind: kind())
    return st.one_of(
        plain,
        st.builds(LeakyReLU, st.floats(0.05, 0.5)),
        st.builds(ELU, st.floats(0.25, 2.0)),
        st.builds(Dropout, keep_prob=st.floats(0.25, 1.0)),
        st.builds(GaussianDropout, keep_prob=st.floats(0.25, 1.0)),
    )


def penalties() -> st.SearchStrategy[Penalty]:
    """Draw a penalty: L2, L1 or the elastic net, with strengths from 0.01 to 1.

    Examples
    --------
    >>> import nnreg as nn
    >>> from hypothesis import given
    >>> @given(penalties(), batches())
    ... def test_gradient(penalty, w):
    ...     nn.check_gradients(penalty, w).assert_ok()
    >>> test_gradient()
    """
    strength = st.floats(0.01, 1.0)
    return st.one_of(
        st.builds(L2, strength), st.builds(L1, strength), st.builds(ElasticNet, strength, strength)
    )


def losses(
    shape: tuple[int, int] | None = None,
) -> st.SearchStrategy[tuple[Loss, Array, Array]]:
    """Draw ``(loss, outputs, targets)``, the arguments of :func:`nnreg.check_gradients`.

    Parameters
    ----------
    shape : tuple (N, M), optional
        Shape of the outputs, by default drawn from :func:`shapes`.

    Examples
    --------
    >>> import nnreg as nn
    >>> from hypothesis import given
    >>> @given(losses())
    ... def test_gradient(example):
    ...     nn.check_gradients(*example).assert_ok()
    >>> test_gradient()
    """
    if shape is None:
        return shapes().flatmap(losses)
    rows, columns = shape

    def of(kind: type[Loss], targets: st.SearchStrategy[Array], **options: Any) -> Any:
        return st.tuples(st.builds(kind, **options), batches(shape), targets)

    def numbers(low: float, high: float) -> st.SearchStrategy[Array]:
        return hnp.arrays(np.float64, shape, elements=st.floats(low, high))

    counts = hnp.arrays(np.float64, shape, elements=st.integers(0, 5).map(float))
    return st.one_of(
        of(SoftmaxCrossEntropy, labels(rows, columns), label_smoothing=st.floats(0.0, 0.5)),
        of(SigmoidCrossEntropy, numbers(0.0, 1.0)),
        of(MeanSquaredError, numbers(-3.0, 3.0)),
        of(Huber, numbers(-3.0, 3.0), delta=st.floats(0.5, 2.0)),
        of(Quantile, numbers(-3.0, 3.0), q=st.floats(0.1, 0.9)),
        of(Poisson, counts),
    )


def networks(
    *, max_rows: int = 3, max_width: int = 3, max_layers: int = 5
) -> st.SearchStrategy[tuple[Network, Array, Array, Loss]]:
    """Draw ``(net, x, y, loss)``, the arguments of :func:`nnreg.check_gradients`.

    The network is float64, with any layers, dropout included, and any penalties; no rectifier's
    input and no weight is within ``MARGIN`` of zero in the next training pass.

    Parameters
    ----------
    max_rows, max_width, max_layers : int

    Examples
    --------
    >>> import nnreg as nn
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(networks())
    ... def test_gradients(example):
    ...     nn.check_gradients(*example).assert_ok()
    >>> test_gradients()
    """
    return _networks(max_rows, max_width, max_layers)


@st.composite
def _networks(
    draw: st.DrawFn, max_rows: int, max_width: int, max_layers: int
) -> tuple[Network, Array, Array, Loss]:
    rows, inputs = draw(shapes(max_rows, max_width))
    kinds = st.one_of(_dense(max_width), _between())
    drawn = draw(st.lists(kinds, min_size=1, max_size=max_layers))
    penalty = draw(st.one_of(st.just("inherit"), st.none(), penalties()))
    for layer in drawn:
        if isinstance(layer, Dense):
            layer.penalty = penalty
    net = Network(
        drawn,
        inputs=inputs,
        penalty=draw(st.one_of(st.none(), penalties())),
        seed=draw(st.integers(0, 2**16)),
        dtype="float64",
    )
    loss, _, y = draw(losses((rows, net.widths[-1])))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    while True:
        x = _away_from_zero(rng.uniform, (rows, inputs))
        net.parameters.vector[...] = _away_from_zero(rng.uniform, net.parameters.vector.shape)
        if not _touches_a_kink(net, x):
            return net, x, y, loss


def _away_from_zero(uniform: Callable[..., Array], shape: tuple[int, ...]) -> Array:
    sign = np.where(uniform(size=shape) < 0.5, -1.0, 1.0)
    away: Array = sign * uniform(2 * MARGIN, 1.0, shape)
    return away


def _touches_a_kink(net: Network, x: Array) -> bool:
    """Return whether a rectifier has an input near zero, but not exactly zero."""
    cache = Cache(net.dtype)
    for layer in net.layers:
        if isinstance(layer, LeakyReLU | ELU) and ((x != 0) & (np.abs(x) < MARGIN)).any():
            return True
        layer_cache = cache[layer.name]
        layer_cache.reset(training=True, step=net.steps)
        x = layer.forward(x, layer_cache)
    return False
