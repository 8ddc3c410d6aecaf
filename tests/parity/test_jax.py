"""The same numbers as JAX's automatic differentiation, in float64.

JAX has no layers, losses or penalties, only functions, so there is nothing to convert. But two of
them take another derivative at their kink, 0, than ours do: see ``absolute`` and ``leaky_relu``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from parity import architectures, as_written, one_step, shared
from parity.shared import Array

import nnreg as nn
from nnreg.conventions import find

jax = pytest.importorskip("jax")
jnp = jax.numpy
pytestmark = pytest.mark.jax


@pytest.fixture(autouse=True)
def float64_on_the_processor() -> Iterator[None]:
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        yield


def absolute(x: Any) -> Any:
    """``|x|`` with the derivative 0 at 0, like our L1; JAX's own has 1."""
    return jnp.sign(x) * x


def leaky_relu(x: Any, slope: float) -> Any:
    """``x`` or ``slope·x``, with the derivative ``slope`` at 0, like ours; JAX's own has 1."""
    return jnp.where(x > 0, x, slope * x)


FUNCTIONS: dict[type, Callable[[Any, Any], Any]] = {
    nn.ReLU: lambda layer, x: jax.nn.relu(x),
    nn.LeakyReLU: lambda layer, x: leaky_relu(x, layer.slope),
    nn.ELU: lambda layer, x: jax.nn.elu(x, layer.alpha),
    nn.GELU: lambda layer, x: jax.nn.gelu(x, approximate=False),
    nn.Tanh: lambda layer, x: jnp.tanh(x),
    nn.Sigmoid: lambda layer, x: jax.nn.sigmoid(x),
    nn.Softplus: lambda layer, x: jax.nn.softplus(x),
}


def softmax(z: Any, t: Any, smoothing: float = 0.0) -> Any:
    t = t if t.ndim == 2 else jax.nn.one_hot(t, z.shape[1], dtype=z.dtype)
    t = (1 - smoothing) * t + smoothing / z.shape[1]
    return -(t * jax.nn.log_softmax(z)).sum(axis=1)


def smoothed(z: Any, t: Any) -> Any:
    return softmax(z, t, shared.SMOOTHING)


def sigmoid(z: Any, y: Any) -> Any:
    return -(y * jax.nn.log_sigmoid(z) + (1 - y) * jax.nn.log_sigmoid(-z)).sum(axis=1)


def huber(z: Any, y: Any) -> Any:
    r = abs(z - y)
    line = shared.DELTA * (r - shared.DELTA / 2)
    return jnp.where(r <= shared.DELTA, r * r / 2, line).mean(axis=1)


ROW_LOSSES = {
    "softmax, labels": softmax,
    "softmax, labels, smoothed": smoothed,
    "softmax, probabilities": softmax,
    "softmax, probabilities, smoothed": smoothed,
    "sigmoid": sigmoid,
    "squared error": lambda z, y: ((z - y) ** 2).mean(axis=1),
    "Huber": huber,
    "quantile": lambda z, y: jnp.maximum((1 - shared.Q) * (z - y), shared.Q * (y - z)).mean(axis=1),
    "Poisson": lambda z, y: (jnp.exp(z) - y * z).sum(axis=1),
}

ARITHMETIC = architectures.Arithmetic(
    array=jnp.asarray,
    add_up=jnp.sum,
    absolute=absolute,
    activate=lambda layer, x: FUNCTIONS[type(layer)](layer, x),
    row_losses=ROW_LOSSES,
)


def differentiate(
    function: Callable[[Any], Any], values: dict[str, Array]
) -> tuple[Any, dict[str, Any]]:
    arrays = {name: jnp.asarray(value) for name, value in values.items()}
    return jax.jit(jax.value_and_grad(function))(arrays)  # one compilation instead of dozens


@pytest.mark.parametrize("name", shared.ACTIVATIONS)
def test_activation_and_its_derivative_equal_jaxs(name: str, rng: np.random.Generator) -> None:
    layer, cache = shared.ACTIVATIONS[name](), nn.Cache("float64")
    x = shared.activation_points(rng)
    dy = rng.normal(size=x.shape)
    their_y, derivative = jax.vjp(lambda x: FUNCTIONS[type(layer)](layer, x), jnp.asarray(x))
    shared.assert_close(their_y, layer.forward(x, cache))
    shared.assert_close(derivative(jnp.asarray(dy))[0], layer.backward(dy, cache))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", shared.LOSSES)
def test_loss_and_its_gradient_equal_jaxs(
    name: str, weighted: bool, rng: np.random.Generator
) -> None:
    z = rng.normal(0, 3, (shared.ROWS, shared.CLASSES))
    targets = shared.targets_of(name, rng)
    weights = rng.random(shared.ROWS) if weighted else None
    w = np.ones(shared.ROWS) if weights is None else weights
    their_value, their_gradient = jax.value_and_grad(
        lambda z: (w * ROW_LOSSES[name](z, jnp.asarray(targets))).sum() / w.sum()
    )(jnp.asarray(z))
    value, gradient = shared.LOSSES[name](z, targets, weights)
    shared.assert_close(their_value, value)
    shared.assert_close(their_gradient, gradient)


@pytest.mark.parametrize("seed", architectures.SEEDS)
@pytest.mark.parametrize("loss", shared.LOSSES)
def test_gradient_of_a_random_network_equals_jaxs(loss: str, seed: int) -> None:
    architectures.assert_agree(ARITHMETIC, differentiate, loss, seed)


def test_jax_takes_another_derivative_at_the_kinks_of_l1_and_leaky_relu() -> None:
    assert jax.grad(jnp.abs)(0.0) == jax.grad(jax.nn.leaky_relu)(0.0) == 1.0
    assert jax.grad(absolute)(0.0) == 0.0
    assert jax.grad(leaky_relu)(0.0, 0.25) == 0.25


@pytest.mark.parametrize(("source", "kind"), as_written.FORMULAS)
def test_one_step_with_converted_strength_is_the_step_of_the_formula(
    source: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The penalties that no library has, as their sources write them, differentiated by JAX."""
    weight = np.where(
        one_step.WEIGHT == 0, 1.0, one_step.WEIGHT
    )  # JAX's derivative of |w| at 0 is 1
    monkeypatch.setattr(one_step, "WEIGHT", weight)

    def total(w: Any, b: Any, strength: float) -> Any:
        z = jnp.asarray(one_step.X) @ w + b
        rows = jax.nn.logsumexp(z, axis=1) - z[jnp.arange(len(z)), one_step.LABELS]
        return rows.mean() + as_written.FORMULAS[source, kind](w, strength, one_step.N)

    def step(strength: float) -> tuple[Array, Array]:
        dw, db = jax.grad(total, (0, 1))(jnp.asarray(weight), jnp.asarray(one_step.BIAS), strength)
        rate = one_step.RATE
        return np.asarray(weight - rate * dw), np.asarray(one_step.BIAS - rate * db)

    one_step.assert_same_step(find(source, kind), step)
