"""Formulas: the mathematics of a layer or a loss in one line, with the shapes of its arrays.

A formula is looked up by method: a subclass that overrides ``forward`` has no formula. A layer
without a formula is described by its name, its shapes, and the first line of its docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnreg._support.typing import Array
from nnreg.layers.activations import ELU, GELU, LeakyReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout, GaussianDropout
from nnreg.losses import (
    Huber,
    Loss,
    MeanSquaredError,
    Poisson,
    Quantile,
    RowLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)

Shape = tuple[int, ...]

#: Short names in the formulas; other parameters keep the names in their layer.
SYMBOLS = {"weight": "w", "bias": "b"}


@dataclass(frozen=True)
class Formula:
    """A formula and the shapes of its arrays.

    Examples
    --------
    >>> print(Formula("y = max(x, 0)", "(2, 3) -> (2, 3)"))
    y = max(x, 0): (2, 3) -> (2, 3)
    """

    text: str
    shapes: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.shapes}" if self.shapes else self.text


_ELEMENTWISE: dict[Callable[..., Any], Callable[[Any], str]] = {
    LeakyReLU.forward: lambda layer: (
        f"y = x where x > 0, else {layer.slope:g}·x" if layer.slope else "y = max(x, 0)"
    ),
    LeakyReLU.backward: lambda layer: (
        f"dx = dy where x > 0, else {layer.slope:g}·dy" if layer.slope else "dx = dy·[x > 0]"
    ),
    ELU.forward: lambda layer: f"y = x where x > 0, else {layer.alpha:g}·(eˣ - 1)",
    ELU.backward: lambda layer: f"dx = dy where x > 0, else dy·{layer.alpha:g}·eˣ",
    GELU.forward: lambda _: "y = x·Φ(x)",
    GELU.backward: lambda _: "dx = dy·(Φ(x) + x·φ(x))",
    Tanh.forward: lambda _: "y = tanh(x)",
    Tanh.backward: lambda _: "dx = dy·(1 - y²)",
    Sigmoid.forward: lambda _: "y = 1/(1 + e⁻ˣ)",
    Sigmoid.backward: lambda _: "dx = dy·y(1 - y)",
    Softplus.forward: lambda _: "y = log(1 + eˣ)",
    Softplus.backward: lambda _: "dx = dy·(1 - e⁻ʸ)",
    Dropout.forward: lambda layer: "y = x·m" if layer.keep_prob < 1 else "y = x",
    Dropout.backward: lambda layer: "dx = dy·m" if layer.keep_prob < 1 else "dx = dy",
    GaussianDropout.forward: lambda layer: "y = x·m" if layer.keep_prob < 1 else "y = x",
    GaussianDropout.backward: lambda layer: "dx = dy·m" if layer.keep_prob < 1 else "dx = dy",
}

_LOSSES: dict[Callable[..., Any], Callable[[Any], tuple[str, str]]] = {
    SoftmaxCrossEntropy.compute_rows: lambda loss: (
        "L = -1/N Σₙ Σₖ tₙₖ log softmax(zₙ)ₖ" + _smoothed(loss),
        "dz = (softmax(z) - t)/N",
    ),
    SigmoidCrossEntropy.compute_rows: lambda _: (
        "L = 1/N Σₙ Σₖ (log(1 + e^zₙₖ) - tₙₖ zₙₖ)",
        "dz = (σ(z) - t)/N",
    ),
    MeanSquaredError.compute_rows: lambda _: (
        "L = 1/(N·M) Σₙ Σₘ (zₙₘ - tₙₘ)²",
        "dz = 2(z - t)/(N·M)",
    ),
    Huber.compute_rows: lambda loss: (
        f"L = 1/(N·M) Σₙ Σₘ c(r - c/2), r = z - t, c = r within ±{loss.delta:g}",
        "dz = c/(N·M)",
    ),
    Quantile.compute_rows: lambda loss: (
        f"L = 1/(N·M) Σₙ Σₘ c·r, r = z - t, c = {1 - loss.q:g} if r > 0, {-loss.q:g} if r < 0",
        "dz = c/(N·M), c by the sign of z - t",
    ),
    Poisson.compute_rows: lambda _: ("L = 1/N Σₙ Σₘ (e^zₙₘ - tₙₘ zₙₘ)", "dz = (e^z - t)/N"),
}


def _smoothed(loss: SoftmaxCrossEntropy) -> str:
    a = loss.label_smoothing
    return f", t = {1 - a:g}·[label] + {a:g}/K" if a else ""


def forward_of(layer: Layer, x: Shape, y: Shape, parameters: Mapping[str, Array]) -> Formula:
    """Return the formula of ``layer.forward`` for inputs of shape ``x``.

    >>> import numpy as np
    >>> print(forward_of(Dense(3), (5, 2), (5, 3), {"weight": np.ones((2, 3)), "bias": np.ones(3)}))
    y = x w + b: (5, 2) (2, 3) + (3,) -> (5, 3)
    """
    method = type(layer).forward
    shapes = [view.shape for view in parameters.values()]
    if method is Dense.forward:
        text, bias = ("y = x w + b", f" + {shapes[1]}") if len(shapes) > 1 else ("y = x w", "")
        return Formula(text, f"{x} {shapes[0]}{bias} -> {y}")
    if method in _ELEMENTWISE:
        return Formula(_ELEMENTWISE[method](layer), f"{x} -> {y}")
    named = ", ".join(f"{name} {view.shape}" for name, view in parameters.items())
    return Formula(
        f"y = {type(layer).__name__}.forward(x)", f"{x}{' with ' * bool(named)}{named} -> {y}"
    )


def backward_of(layer: Layer, x: Shape, y: Shape, parameters: Mapping[str, Array]) -> Formula:
    """Return the formula of ``layer.backward`` for ``dy`` of shape ``y``.

    >>> import numpy as np
    >>> print(backward_of(Dense(3), (5, 2), (5, 3), {"weight": np.ones((2, 3))}))
    dx = dy wᵀ: (5, 3) (3, 2) -> (5, 2)
    """
    method = type(layer).backward
    if method is Dense.backward:
        return Formula("dx = dy wᵀ", f"{y} {parameters['weight'].T.shape} -> {x}")
    if method in _ELEMENTWISE:
        return Formula(_ELEMENTWISE[method](layer), f"{y} -> {x}")
    return Formula(f"dx = {type(layer).__name__}.backward(dy)", f"{y} -> {x}")


def gradient_of(layer: Layer, x: Shape, y: Shape, parameters: Mapping[str, Array]) -> list[Formula]:
    """Return the formulas of ``layer.gradient``, one per parameter.

    >>> import numpy as np
    >>> [formula] = gradient_of(Dense(3, bias=False), (5, 2), (5, 3), {"weight": np.ones((2, 3))})
    >>> print(formula)
    dw = xᵀ dy: (2, 5) (5, 3) -> (2, 3)
    """
    if type(layer).gradient is not Dense.gradient:
        call = f"{type(layer).__name__}.gradient(dy)"
        return [
            Formula(f"d{SYMBOLS.get(name, name)} = {call}", f"{y} -> {view.shape}")
            for name, view in parameters.items()
        ]
    texts = {
        "weight": Formula("dw = xᵀ dy", f"{x[::-1]} {y} -> {parameters['weight'].shape}"),
        "bias": Formula("db = Σₙ dyₙ", f"{y} -> {y[1:]}"),
    }
    return [texts[name] for name in parameters]


def loss_formulas(loss: Loss, z: Shape, t: Shape) -> tuple[Formula, Formula]:
    """Return the formulas of a loss's value and gradient for outputs ``z`` and targets ``t``.

    >>> print(loss_formulas(MeanSquaredError(), (4, 1), (4, 1))[1])
    dz = 2(z - t)/(N·M): (4, 1), (4, 1) -> (4, 1)
    """
    formulas = None
    if isinstance(loss, RowLoss) and type(loss).compute is RowLoss.compute:
        formulas = _LOSSES.get(type(loss).compute_rows)
    name = type(loss).__name__
    value, gradient = (
        formulas(loss) if formulas else (f"L = {name}(z, t)", f"dz = ∂{name}(z, t)/∂z")
    )
    return Formula(value, f"{z}, {t} -> ()"), Formula(gradient, f"{z}, {t} -> {z}")


def docstring_of(thing: object) -> list[str]:
    """Return the first line of the docstring of a class outside nnreg, if it has one."""
    kind = type(thing)
    shipped = kind.__module__.partition(".")[0] == "nnreg"
    return [] if shipped else (kind.__doc__ or "").strip().replace("``", "").splitlines()[:1]
