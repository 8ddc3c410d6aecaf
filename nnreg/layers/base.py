"""The base class of layers."""

from __future__ import annotations

import copy
from typing import Any

from nnreg._support import hyperparameters
from nnreg._support.typing import Array, Initializer
from nnreg.cache import Cache
from nnreg.initializers import glorot_uniform
from nnreg.parameters import Parameter
from nnreg.penalties import Constraint, Penalty


class Layer(hyperparameters.Configurable):
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

    def bind(self, name: str, views: dict[str, Array], seed: int, index: int) -> None:
        """Take a name, the views of the parameters, the seed, and the number of the layer's place.

        The network calls it, once.
        """
        self.name = name
        for own_name, view in views.items():
            setattr(self, own_name, view)
        self._bound = tuple(views)

    def clone(self) -> Layer:
        """Return a copy that belongs to no network: the same hyper-parameters, no parameters."""
        new = copy.copy(self)
        for own_name in self._bound or ():
            delattr(new, own_name)
        new._bound = None
        new.name = ""
        return new

    def settings(self) -> dict[str, Any]:
        """Return the arguments that would construct this layer again."""
        return hyperparameters.get_config(self)

    def __repr__(self) -> str:
        return hyperparameters.repr_from_config(self, self.settings())


def inherited(kind: type) -> hyperparameters.Checked:
    """Return an attribute that is "inherit", None or of this kind."""

    def check(name: str, value: Any) -> Any:
        if (
            value is None
            or isinstance(value, kind)
            or (isinstance(value, str) and value == "inherit")
        ):
            return value
        raise TypeError(f'{name} must be "inherit", None or a {kind.__name__}, got {value!r}')

    return hyperparameters.Checked(check)
