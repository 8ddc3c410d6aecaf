"""The dense layer: an affine map."""

from __future__ import annotations

from typing import Any

from nnreg import kernels
from nnreg._support import validation
from nnreg._support.typing import Array, Initializer
from nnreg.cache import Cache
from nnreg.initializers import zeros
from nnreg.layers.base import Layer
from nnreg.parameters import Parameter, check_initializer
from nnreg.penalties import Constraint, Penalty


class Dense(Layer):
    """The affine map ``y = x w + b``, fully connected.

    Parameters
    ----------
    units : int
        The number of outputs, M.
    penalty : "inherit", Penalty or None, default "inherit"
        For ``weight``; ``bias`` never has one.
    constraint : "inherit", Constraint or None, default "inherit"
        For ``weight``; ``bias`` never has one.
    initializer : function (shape, rng) -> array, optional
        For ``weight``. By default He normal before the ReLU family (dropout in between is ignored),
        otherwise Glorot uniform.
    bias : bool, default True
        Whether the layer has a ``b``; its initial value is zero.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(3)], inputs=2, seed=0)
    >>> {name: net.parameters[name].shape for name in net.parameters}
    {'dense_1.weight': (2, 3), 'dense_1.bias': (3,)}
    """

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
        self.units = validation.whole("units", units, 1)
        self.penalty, self.constraint = penalty, constraint
        check_initializer(initializer)
        self.initializer = initializer
        self.use_bias = validation.flag("bias", bias)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that construct an equal layer."""
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
        """Return ``weight`` (D, M) and, if the layer has one, ``bias`` (M,)."""
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

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write ``xᵀ dy`` and ``Σₙ dyₙ``."""
        kernels.affine_dw(cache.x, dy, out=gradients["weight"])
        if self.use_bias:
            kernels.affine_db(dy, out=gradients["bias"])
