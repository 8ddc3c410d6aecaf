"""What every layer promises, asked of one: its gradient, and its manners.

A layer among others changes nothing that it was given, keeps nothing of a pass but what it writes
into the cache, answers for one row as for many, and takes and returns one dtype.
"""

from __future__ import annotations

from collections.abc import Callable

from nnreg.layers import Layer
from nnreg.testing.answers import ANSWERS
from nnreg.testing.manners import MANNERS
from nnreg.testing.trial import Trial


def assert_layer_contract(
    layer_factory: Callable[[], Layer], *, inputs: int = 4, rows: int = 5, seed: int = 0
) -> None:
    """Raise ``AssertionError``, with a sentence, for the first promise that a layer breaks.

    The promises: shapes and dtype (float32 and float64); ``x``, ``dy``, the output, the cache and
    the parameters are not changed; results share no memory with them or with each other, the
    identity excepted; ``gradient`` overwrites; a step can be replayed; nothing is remembered but in
    the cache; the gradient is right (:func:`nnreg.check_gradients`); rows are independent and their
    gradients add up, unless ``independent_rows`` is False; where ``gradient`` takes a ``part``, the
    parts make up the whole; one row and one column work; inference keeps nothing; of a rectifier
    (``y = x`` above zero, not falling below) with a kink, the derivative at exactly zero is the one
    to the left; and a stochastic layer keeps the share of units that ``keep_prob`` says, or
    multiplies by noise of the variance that goes with it, drawn anew each step, its mean being the
    output of inference.

    Parameters
    ----------
    layer_factory : function () -> Layer
        Returns a new layer at each call; the class itself, where it needs no arguments.
    inputs : int, default 4
    rows : int, default 5
        At least 2.
    seed : int, default 0
        For inputs, parameters and ``dy``.

    Raises
    ------
    AssertionError
        If a promise is broken.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Rectifier(nn.Layer):
    ...     def forward(self, x, cache):
    ...         cache.positive = x.real > 0
    ...         return x * cache.positive
    ...
    ...     def backward(self, dy, cache):
    ...         dy *= cache.positive
    ...         return dy
    >>> assert_layer_contract(nn.ReLU)
    >>> assert_layer_contract(Rectifier)
    Traceback (most recent call last):
        ...
    nnreg.testing.trial.ContractError: Rectifier.backward changes dy, which others still need: \
write the result into a new array.
    """
    trial = Trial(layer_factory, inputs, max(2, rows), seed)
    for promise in (*MANNERS, *ANSWERS):
        promise(trial)
