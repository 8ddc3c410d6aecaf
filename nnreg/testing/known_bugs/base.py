"""Known bugs of backward passes: the base class, and the inputs of their formulas.

A wrong gradient has a formula too: ``dy·(1 - y)`` instead of ``dy·(1 - y²)``. A :class:`KnownBug`
has this formula as a function of :class:`FormulaInputs`, and it is used twice: ``make()`` returns a
layer, loss or penalty that computes it, and :func:`nnreg.testing.diagnose` compares it with a wrong
gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.losses import MeanSquaredError
from nnreg.network import Network
from nnreg.penalties import Penalty

NOTHING = np.empty(0)


@dataclass(frozen=True)
class FormulaInputs:
    """The values that a formula, right or wrong, may use.

    Attributes
    ----------
    right : ndarray
        The right gradient.
    x : ndarray
        The inputs (N, D) of a layer, the outputs (N, M) of a loss, or the weights of a penalty.
    dy, y : ndarray of shape (N, M)
        For a layer: the derivative of the loss with respect to the output, and the output.
    w : ndarray of shape (D, M)
        For an affine map: the weights.
    t : ndarray of shape (N, M)
        For a loss: the targets, class numbers as one-hot rows.
    constant : float
        The slope of LeakyReLU, alpha of ELU, scale of dropout, delta of Huber, strength of a
        penalty (of the elastic net's L1 part).
    second : float
        The strength of the elastic net's L2 part.
    masks : tuple of ndarray
        For dropout: 1 where a unit was kept, else 0, at this step; then at other steps.
    pull : function (dy) -> ndarray
        Returns the gradient for another derivative with respect to the output.
    own : ndarray
        The array with respect to which ``right`` is the gradient.
    tolerance : float
        The relative tolerance for comparing gradients.
    counts : tuple of int
        For a function: the numbers of rows and columns of its arguments.
    arrays : tuple of ndarray
        For a function: the arrays to which it has access.
    """

    right: Array
    x: Array
    dy: Array = field(default_factory=lambda: NOTHING)
    y: Array = field(default_factory=lambda: NOTHING)
    w: Array = field(default_factory=lambda: NOTHING)
    t: Array = field(default_factory=lambda: NOTHING)
    constant: float = 1.0
    second: float = 0.0
    masks: tuple[Array, ...] = ()
    pull: Callable[[Array], Array] = field(default=lambda dy: NOTHING)
    own: Array = field(default_factory=lambda: NOTHING)
    counts: tuple[int, ...] = ()
    arrays: tuple[Array, ...] = ()
    tolerance: float = 1e-6

    def row(self, n: int) -> Array:
        """Return the part of ``right`` that comes from row ``n`` of the batch."""
        only = np.zeros_like(self.dy)
        only[n] = self.dy[n]
        return self.pull(only)

    @property
    def N(self) -> int:
        """The number of rows."""
        return len(self.x)

    @property
    def M(self) -> int:
        """The number of outputs of a loss."""
        return int(np.prod(self.x.shape[1:]))

    @property
    def p(self) -> Array:
        """``softmax(x)``."""
        return kernels.softmax(self.x)

    @property
    def mask(self) -> Array:
        """The mask of this step."""
        return self.masks[0]


Formula: TypeAlias = Callable[[FormulaInputs], Array]


@dataclass(frozen=True)
class KnownBug:
    """One classic bug.

    Attributes
    ----------
    name : str
        Unique.
    subject : str
        What has the bug: ``"dense"``, ``"ReLU"``, ``"softmax cross-entropy"``, ``"L2"``, ...;
        ``"any layer"``, ``"any activation"``, ``"any loss"``, ``"any penalty"``, ``"network"``.
    description : str
        The error of the gradient, as a sentence.
    hint : str
        Advice on the cause.
    make : function () -> Layer, Loss, Penalty or Network
        Returns a new object with this bug.
    block : str or None
        The array whose gradient is wrong: ``"weight"``, ``"bias"``, ``"inputs"``; None for any.
    wrong : function (FormulaInputs) -> ndarray, or None
        The wrong gradient.
    seen : function (FormulaInputs, returned) -> bool, or None
        For bugs without a fixed formula: whether ``returned`` is a gradient with this bug.
    code : str or None
        For bugs of behaviour, whose gradient at a generic point is right: the code that
        :func:`~nnreg.testing.assert_layer_contract` or :func:`~nnreg.testing.diagnose` reports.

    Examples
    --------
    >>> import nnreg as nn
    >>> from nnreg.testing import KNOWN_BUGS
    >>> bug = KNOWN_BUGS["tanh: 1 - y"]
    >>> bug.description
    'dx is dy·(1 - y); the derivative of tanh is 1 - y².'
    >>> nn.check_gradients(*bug.example()).passed
    False
    """

    name: str
    subject: str
    description: str
    hint: str
    make: Callable[[], Any] = field(repr=False)
    block: str | None = None
    wrong: Formula | None = field(default=None, repr=False)
    seen: Callable[[FormulaInputs, Array], bool] | None = field(default=None, repr=False)
    code: str | None = None

    def example(self, seed: int = 0) -> tuple[Any, ...]:
        """Return ``(subject, *arguments)``, for ``check_gradients`` and ``diagnose``."""
        made = self.make()
        rng = np.random.default_rng(seed)
        if hasattr(made, "example"):
            return tuple(made.example(rng))
        x = rng.standard_normal((5, 4))
        if isinstance(made, Penalty):
            x[0, 0] = 0.0
        if isinstance(made, Layer | Penalty):
            return made, x
        if isinstance(made, Network):
            return made, x, rng.standard_normal((5, made.widths[-1])), MeanSquaredError()
        targets = {
            "softmax cross-entropy": np.array([3, 0, 2, 1, 2]),
            "sigmoid cross-entropy": rng.integers(0, 2, (5, 4)).astype(np.float64),
            "Poisson": rng.poisson(2.0, (5, 4)).astype(np.float64),
        }
        return made, x, targets.get(self.subject, 2 * rng.standard_normal((5, 4)))

    def explains(self, point: FormulaInputs, returned: Array) -> bool:
        """Return whether ``returned`` is the gradient with this bug at this point."""
        with np.errstate(all="ignore"):
            if self.seen is not None:
                return self.seen(point, returned)
            if self.wrong is None:
                return False
            try:
                predicted = self.wrong(point)
            except (ValueError, IndexError, TypeError):  # shapes that do not match the formula
                return False
        return close(returned, predicted, point.tolerance)


class WrongLayer(Layer):
    """A mixin that replaces one gradient of a layer class by a wrong formula."""

    block: str
    wrong: Formula
    constant: float

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return the output of the right layer."""
        y = super().forward(x, cache)
        cache.inputs, cache.outputs = x, y
        return y

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dx``, right or wrong."""
        return self._compute("inputs", dy, cache)

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write the gradients with respect to the parameters, at most one of them wrong."""
        for name in gradients:
            gradients[name][...] = self._compute(name, dy, cache)

    def _compute(self, block: str, dy: Array, cache: Cache) -> Array:
        right = self._right(block, dy, cache)
        if block != self.block:
            return right
        w = getattr(self, "weight", NOTHING)
        pull = partial(self._right, block, cache=cache)
        x, y = cache.inputs, cache.outputs
        return self.wrong(FormulaInputs(right, x, dy, y, w, constant=self.constant, pull=pull))

    def _right(self, block: str, dy: Array, cache: Cache) -> Array:
        if block == "inputs":
            return np.array(super().backward(dy, cache))
        names = self.parameters(cache.inputs.shape[1])
        gradients: dict[str, Array] = {name: np.empty_like(getattr(self, name)) for name in names}
        super().gradient(dy, cache, gradients)
        return gradients[block]


def make_wrong(
    kind: type[Layer],
    arguments: tuple[Any, ...],
    wrong: Formula,
    *,
    block: str = "inputs",
    constant: float = 1.0,
) -> Layer:
    """Return a layer ``kind(*arguments)`` whose gradient with respect to ``block`` is ``wrong``.

    >>> import nnreg as nn
    >>> type(make_wrong(nn.Dense, (3,), lambda p: -p.right, block="bias")).__name__
    'WrongDense'
    """
    replaced = {"block": block, "wrong": staticmethod(wrong), "constant": constant}
    made: Layer = type(f"Wrong{kind.__name__}", (WrongLayer, kind), replaced)(*arguments)
    return made


def bugs(
    subject: str, make: Callable[[Formula], Any], block: str | None, *rows: tuple[Any, ...]
) -> list[KnownBug]:
    """Return the bugs of one subject.

    Parameters
    ----------
    subject, block
        As for :class:`KnownBug`.
    make : function (wrong) -> Layer, Loss, Penalty or callable
        Returns code with this wrong formula.
    *rows : tuple
        Name, description, hint, the wrong formula and, for some, ``seen``.
    """
    return [
        KnownBug(
            f"{subject.removeprefix('any ')}: {name}",
            subject,
            description,
            hint,
            make=partial(make, wrong),
            block=block,
            wrong=wrong,
            seen=seen[0] if seen else None,
        )
        for name, description, hint, wrong, *seen in rows
    ]


def close(a: Array, b: Array, tolerance: float = 1e-6) -> bool:
    """Return whether two arrays have one shape and are equal within a relative ``tolerance``.

    Absolute differences up to 1e-14 are ignored: rounding errors of terms of size 1 that cancel.

    >>> close(np.ones(2), np.ones(2) + 1e-9), close(np.ones(2), np.ones(3))
    (True, False)
    """
    if a.shape != b.shape or not np.isfinite(a).all():
        return False
    size = float(np.abs(b).max(initial=0.0))
    return bool((np.abs(a - b) <= max(tolerance * size, 1e-14)).all())
