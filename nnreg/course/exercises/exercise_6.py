"""Exercise 6: a custom layer, Swish with a learned slope."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import kernels
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.course.grading.assertions import (
    assert_close,
    assert_contract,
    assert_diagnosed,
    expect,
    library,
)
from nnreg.course.grading.exercises import check
from nnreg.initializers import ones
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.parameters import Parameter

MODULES = ("numpy", "matplotlib", "nnreg")
RNG = np.random.default_rng(6)
X, BETA = RNG.standard_normal((5, 4)), RNG.uniform(0.5, 1.5, 4)


def swish(x: Array, beta: Array) -> Any:
    """Return the correct output."""
    return x * kernels.sigmoid(beta * x)


class Swish(Layer):
    """Wrapper of the submission's layer, which may run in another process."""

    beta: Array

    def __init__(self, submission: Any) -> None:
        self.layer, self.cache = submission.Swish(), library(submission).Cache

    def outputs(self, inputs: int) -> int:
        """Return the number of outputs."""
        return int(self.layer.outputs(inputs))

    def parameters(self, inputs: int) -> dict[str, Parameter]:
        """Return the declared parameters; the check `declares` tests their initial values."""
        declared = self.layer.parameters(inputs)
        return {n: Parameter(tuple(p.shape), ones, weight=False) for n, p in declared.items()}

    def forward(self, x: Array, cache: Cache) -> Any:
        """Return the outputs, with a cache in the same process."""
        cache.remote = self.cache(x.dtype.name)
        cache.remote.reset(training=cache.training, step=cache.step, first_row=cache.first_row)
        self.layer.beta = self.beta
        return self.layer.forward(x, cache.remote)

    def backward(self, dy: Array, cache: Cache) -> Any:
        """Return ``dx``."""
        return self.layer.backward(dy, cache.remote)

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write the derivative with respect to beta."""
        self.layer.gradient(dy, cache.remote, gradients)


class CorrectedSwish(Swish):
    """The submission's layer with the correct output and without side effects."""

    def forward(self, x: Array, cache: Cache) -> Any:
        """Return the correct outputs, for complex numbers too."""
        if x.dtype.kind == "f":
            super().forward(x.copy(), cache)
        return swish(x, self.beta)

    def backward(self, dy: Array, cache: Cache) -> Any:
        """Return ``dx``."""
        return super().backward(dy.copy(), cache)

    def gradient(self, dy: Array, cache: Cache, gradients: dict[str, Array]) -> None:
        """Write the derivative with respect to beta."""
        derivatives, beta = {"beta": np.zeros_like(self.beta)}, self.beta.copy()
        super().gradient(dy.copy(), cache, derivatives)
        gradients["beta"][...], self.beta[...] = derivatives["beta"], beta


def in_network(layer: Swish) -> Swish:
    """Return the layer in a network whose slopes differ."""
    net = Network([layer], inputs=4, dtype="float64")
    net.parameters.vector[...] = BETA
    return layer


@check(10)
def declares(submission: Any, rng: np.random.Generator) -> None:
    """Swish.parameters: beta, one per input, starts at 1 and is not a weight."""
    declared = submission.Swish().parameters(4)
    expect(
        isinstance(declared, dict) and declared.keys() == {"beta"},
        'parameters must return a dictionary with one name, "beta".',
    )
    beta = declared["beta"]
    expect(beta.shape == (4,), f"beta has the shape {beta.shape}, expected (4,), one per input.")
    expect(np.all(beta.initializer((4,), rng) == 1), "beta must start at 1: nn.ones.")
    expect(
        not beta.weight,
        "beta is declared as a weight, so penalties would shrink it.\nHint: weight=False.",
    )


@check(17)
def forward(submission: Any, rng: np.random.Generator) -> None:
    """Swish.forward: y is x times the sigmoid of beta x."""
    y = run_pass(submission)[2]
    right, s = swish(X, BETA), kernels.sigmoid(BETA * X)
    known_errors = {
        "beta is missing: sigmoid(beta * x).": swish(X, np.ones(4)),
        "x is missing: it is multiplied by the sigmoid.": s,
        "beta belongs inside the sigmoid only.": BETA * right,
    }
    assert_close("y", y, right, known_errors)


@check(22)
def dx(submission: Any, rng: np.random.Generator) -> None:
    """Swish.backward: dx is the derivative with respect to x."""
    layer, cache, y = run_pass(submission)
    s = kernels.sigmoid(BETA * X)
    known_errors = {
        "A product has two terms: dx also has x * s'.": s,
        "A product has two terms: dx also has s itself.": BETA * X * s * (1 - s),
        "The sigmoid's argument is beta * x: its derivative is beta.": s + X * s * (1 - s),
    }
    result = layer.backward(np.ones_like(y), cache)
    assert_diagnosed(
        "inputs",
        in_network(CorrectedSwish(submission)),
        X,
        result=result,
        known_errors=known_errors,
    )


@check(22)
def dbeta(submission: Any, rng: np.random.Generator) -> None:
    """Swish.gradient: the gradient is the derivative with respect to beta."""
    layer, cache, y = run_pass(submission)
    s, result = kernels.sigmoid(BETA * X), {"beta": np.zeros(4)}
    slope = s * (1 - s)
    known_errors = {
        "beta * x has the derivative x with respect to beta: x * x.": (X * slope).sum(axis=0),
        "The factor of the chain rule is x, not beta.": (BETA * X * slope).sum(axis=0),
        "The sigmoid must be differentiated: s * (1 - s).": (X * X * s).sum(axis=0),
    }
    layer.gradient(np.ones_like(y), cache, result)
    assert_diagnosed(
        "beta",
        in_network(CorrectedSwish(submission)),
        X,
        result=result["beta"],
        known_errors=known_errors,
    )


def run_pass(submission: Any) -> tuple[Any, Cache, Array]:
    """Return the submission's layer after a training pass, its cache, and the outputs."""
    layer, cache = in_network(Swish(submission)), Cache("float64")
    cache.reset(training=True, step=0)
    return layer, cache, layer.forward(X.copy(), cache)


@check(8)
def changes_nothing(submission: Any, rng: np.random.Generator) -> None:
    """Swish: x, dy, the parameters and the cache are not modified."""
    assert_contract(
        lambda: Swish(submission),
        *("changes x", "changes dy", "changes y", "changes the parameters", "backward once"),
        "shares memory",
    )


@check(8)
def overwrites(submission: Any, rng: np.random.Generator) -> None:
    """Swish.gradient: it overwrites the previous values of the array."""
    assert_contract(lambda: Swish(submission), "accumulates", "rebinds", "not written")


@check(8)
def remembers_nothing(submission: Any, rng: np.random.Generator) -> None:
    """Swish: what backward needs is stored in the cache, not on the layer."""
    assert_contract(
        lambda: CorrectedSwish(submission), "stale", "one memory", "remembers inference", "replay"
    )


@check(5)
def keeps_dtype(submission: Any, rng: np.random.Generator) -> None:
    """Swish: float32 in, float32 out; a batch of one row works."""
    assert_contract(lambda: Swish(submission), "shape", "dtype", "one row", "one column")
