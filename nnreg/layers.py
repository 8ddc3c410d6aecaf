"""Layers. Backpropagation is two questions, and they are asked apart.

``forward`` computes. Then, given ``dy``, the derivative of the loss by the layer's output,
``backward`` answers *what does the loss want of my input?* and ``gradient`` answers *what does it
want of my parameters?* Asked apart, the input's answer is not computed where nobody needs it, below
the first layer that has parameters.

A layer holds hyper-parameters and views of its parameters. What a forward pass leaves for the
backward pass it writes into the cache, and results go into arrays that the cache gives.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from nnreg import checks, kernels, streams
from nnreg.cache import Cache
from nnreg.constraints import Constraint
from nnreg.initializers import glorot_uniform, zeros
from nnreg.kernels import Array
from nnreg.parameters import Initializer, Parameter
from nnreg.penalties import Penalty


class Layer:
    """One step of a network; to write one, give ``forward`` and ``backward``.

    A layer that has parameters also gives ``parameters`` and ``gradient``; one that changes the
    number of columns gives ``outputs``.

    Attributes
    ----------
    name : str
        Given by the network: the class's name in small letters and a number, such as ``dense_1``.
    independent_rows : bool, default True
        False says that a row's output depends on other rows; then a step is never split by rows.
        True also means that what ``gradient`` finds in the cache has a row for each row of the
        batch, or is the same for all rows.
    stochastic : bool, default False
        True says that training mode draws at random, with a probability ``keep_prob`` to keep.
    initializer_before : function or None, default glorot_uniform
        What the weights of the layer before are drawn with, when nobody says. None looks past this
        layer.
    penalty : "inherit", Penalty or None
        What applies to this layer's weights: the network's penalty, its own, or none.
    constraint : "inherit", Constraint or None
        What limits this layer's weights, in the same way.

    Examples
    --------
    >>> import nnreg as nn
    >>> class Scale(nn.Layer):
    ...     def parameters(self, inputs):
    ...         return {"factor": nn.Parameter((inputs,), nn.ones, weight=False)}
    ...
    ...     def forward(self, x, cache):
    ...         cache.x = x
    ...         return x * self.factor
    ...
    ...     def backward(self, dy, cache):
    ...         return dy * self.factor
    ...
    ...     def gradient(self, dy, cache, gradients):
    ...         gradients["factor"][...] = (dy * cache.x).sum(axis=0)
    >>> nn.Network([Scale()], inputs=2).predict([[3.0, 4.0]])
    array([[3., 4.]], dtype=float32)
    """

    name = ""
    independent_rows = True
    stochastic = False
    initializer_before: Initializer | None = staticmethod(glorot_uniform)
    penalty: Penalty | str | None = "inherit"
    constraint: Constraint | str | None = "inherit"
    _bound: tuple[str, ...] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a bound parameter's values are written into the network's vector."""
        if self._bound and name in self._bound:
            getattr(self, name)[...] = value
        else:
            super().__setattr__(name, value)

    def outputs(self, inputs: int) -> int:
        """Return the number of outputs for this number of inputs; unless redefined, the same."""
        return inputs

    def parameters(self, inputs: int) -> dict[str, Parameter]:
        """Return what each parameter is called and how it begins; unless redefined, none."""
        return {}

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return the outputs (N, M) for inputs ``x`` (N, D)."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, cache)")

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dx`` (N, D) for ``dy`` (N, M)."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy, cache)")

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Overwrite each ``gradients[name]`` with that parameter's derivative, summed over rows."""
        raise NotImplementedError(
            f"{type(self).__name__} has parameters and must define gradient(dy, cache, gradients)"
        )

    def bind(self, name: str, views: dict[str, Array], seed: int, place: int) -> None:
        """Take a name, the views of the parameters, the seed, and the number of the layer's place.

        The network calls it, once.
        """
        self.name = name
        for own_name, view in views.items():
            setattr(self, own_name, view)
        self._bound = tuple(views)

    def unbound(self) -> Layer:
        """Return a copy that belongs to no network: the same hyper-parameters, no parameters."""
        new = copy.copy(self)
        for own_name in self._bound or ():
            delattr(new, own_name)
        new._bound = None
        new.name = ""
        return new

    def settings(self) -> dict[str, Any]:
        """Return the arguments that would construct this layer again."""
        return checks.settings(self)

    def __repr__(self) -> str:
        return checks.described(self, self.settings())


def _inherited(kind: type) -> checks.Checked:
    """Return an attribute that is "inherit", None or of this kind."""

    def check(name: str, value: Any) -> Any:
        if (
            value is None
            or isinstance(value, kind)
            or (isinstance(value, str) and value == "inherit")
        ):
            return value
        raise TypeError(f'{name} must be "inherit", None or a {kind.__name__}, got {value!r}')

    return checks.Checked(check)


class Dense(Layer):
    """The affine map ``y = x w + b``, fully connected.

    Parameters
    ----------
    units : int
        The number of outputs, M.
    penalty : "inherit", Penalty or None, default "inherit"
        On ``weight``; ``bias`` never has one.
    constraint : "inherit", Constraint or None, default "inherit"
        On ``weight``; ``bias`` never has one.
    initializer : function (shape, rng) -> array, optional
        For ``weight``. Unless given: He normal before the ReLU family (dropout between them is
        looked past), otherwise Glorot uniform.
    bias : bool, default True
        Whether there is a ``b``; it begins at zero.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(3)], inputs=2, seed=0)
    >>> {name: net.parameters[name].shape for name in net.parameters}
    {'dense_1.weight': (2, 3), 'dense_1.bias': (3,)}
    """

    penalty = _inherited(Penalty)
    constraint = _inherited(Constraint)
    weight: Array
    bias: Array

    def __init__(
        self,
        units: int,
        *,
        penalty: Penalty | str | None = "inherit",
        constraint: Constraint | str | None = "inherit",
        initializer: Initializer | None = None,
        bias: bool = True,
    ) -> None:
        self.units = checks.whole("units", units, 1)
        self.penalty, self.constraint = penalty, constraint
        if initializer is not None and not callable(initializer):
            raise TypeError(
                f"initializer must be a function (shape, rng) -> array, got {initializer!r}"
            )
        self.initializer = initializer
        self.use_bias = checks.flag("bias", bias)

    def settings(self) -> dict[str, Any]:
        """Return the arguments that would construct this layer again."""
        return {
            "units": self.units,
            "penalty": self.penalty,
            "constraint": self.constraint,
            "initializer": self.initializer,
            "bias": self.use_bias,
        }

    def outputs(self, inputs: int) -> int:
        """Return ``units``."""
        return self.units

    def parameters(self, inputs: int) -> dict[str, Parameter]:
        """Return ``weight`` (D, M) and, unless switched off, ``bias`` (M,)."""
        declared = {"weight": Parameter((inputs, self.units), self.initializer)}
        if self.use_bias:
            declared["bias"] = Parameter((self.units,), zeros, weight=False)
        return declared

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x w + b``."""
        cache.x = x
        y = cache.array("y", (len(x), self.units))
        return kernels.affine(x, self.weight, self.bias if self.use_bias else None, out=y)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy wᵀ``."""
        return kernels.affine_dx(dy, self.weight, out=cache.array("dx", cache.x.shape))

    def gradient(
        self, dy: Array, cache: Cache, gradients: dict[str, Array], part: slice | None = None
    ) -> None:
        """Write ``xᵀ dy`` and ``Σₙ dyₙ``; with ``part``, those rows of the weights' gradient only.

        The bias's goes with the first part.
        """
        x, dw = cache.x, gradients["weight"]
        if part is not None:
            x, dw = x[:, part], dw[part]
        kernels.affine_dw(x, dy, out=dw)
        if self.use_bias and not (part and part.start):
            kernels.affine_db(dy, out=gradients["bias"])


class Dropout(Layer):
    """In training, keep each unit with probability ``keep_prob`` and scale what stays.

    ``y = x·m`` with ``m = [kept]/keep_prob``, drawn anew for every step, so that ``E[y] = x`` and
    nothing has to be rescaled afterwards (Srivastava et al., 2014, section 10). Outside training
    ``y = x``.

    Parameters
    ----------
    keep_prob : float, default 1
        In (0, 1], taken as the nearest multiple of 1/65536. Keyword only, since other libraries
        mean the opposite by a bare number: their ``rate=0.2`` is ``keep_prob=0.8``. May be changed
        at any time and holds from the next batch on.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dropout(keep_prob=0.5)], inputs=8, seed=0)
    >>> net.forward(np.ones((1, 8)), training=True)[0]
    array([[2., 2., 2., 0., 2., 2., 0., 0.]], dtype=float32)
    >>> net.predict(np.ones((1, 8)))
    array([[1., 1., 1., 1., 1., 1., 1., 1.]], dtype=float32)
    """

    stochastic = True
    initializer_before = None
    keep_prob = checks.bounded(0, 1, open_low=True)

    def __init__(self, *positional: object, keep_prob: float = 1.0, **others: object) -> None:
        if positional or "rate" in others or "p" in others:
            given = positional[0] if positional else others.get("rate", others.get("p"))
            raise TypeError(
                f"Dropout takes keep_prob=, the probability that a unit is kept, got {given!r}: "
                "a rate or p elsewhere is the probability that it is dropped, "
                "so write keep_prob = 1 - rate"
            )
        checks.unknown_arguments("Dropout", others, ["keep_prob"])
        self.keep_prob = keep_prob
        self._key = streams.key(0, "mask")

    def bind(self, name: str, views: dict[str, Array], seed: int, place: int) -> None:
        """Take the key of this layer's masks."""
        super().bind(name, views, seed, place)
        self._key = streams.key(seed, "mask", place)

    def forward(self, x: Array, cache: Cache) -> Array:
        """Return ``x·m`` in training, ``x`` itself otherwise."""
        threshold = kernels.keep_threshold(self.keep_prob)
        cache.mask = None
        if not cache.training or threshold == 65536:
            return x
        if cache.words is None:
            cache.words = streams.Words(self._key)
        mask = cache.mask = cache.array("mask", x.shape)
        for where, bits in cache.words.rows(cache.step, cache.first_row, x.shape):
            kernels.keep_mask(bits, threshold, out=mask[where])
        return np.multiply(x, mask, out=cache.array("y", x.shape))

    def backward(self, dy: Array, cache: Cache) -> Array:
        """Return ``dy·m``."""
        if cache.mask is None:
            return dy
        dx: Array = np.multiply(dy, cache.mask, out=cache.array("dx", dy.shape))
        return dx
