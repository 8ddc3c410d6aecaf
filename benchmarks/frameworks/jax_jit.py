"""JAX: the whole step is one ``jit`` function whose donated state is updated in place.

The data live on the device and the state counts its steps, so a call passes no arrays. The
generator is JAX's default; XLA's own ("rbg") was not faster when tried.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.frameworks.stepwise import Stepwise
from benchmarks.problem import BETA_1, BETA_2, MASKS, Array, Problem

tree_map = jax.tree_util.tree_map


def apply_dropout(problem: Problem, y: Any, index: int, masks: Any, count: Any) -> Any:
    """Return a hidden layer's output after dropout."""
    if not problem.drops:
        return y
    if masks is not None:
        return y * masks[index][count % MASKS]
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), count), index)
    keep = jax.random.bernoulli(key, problem.keep, y.shape)
    return jnp.where(keep, y / problem.keep, 0)


def objective(
    layers: Any, problem: Problem, x: Any, labels: Any, masks: Any, count: Any
) -> tuple[Any, Any]:
    """Return the whole objective, and the data loss beside it."""
    for index, (w, b) in enumerate(layers):
        x = x @ w + b
        if index < len(layers) - 1:
            x = apply_dropout(problem, jax.nn.relu(x), index, masks, count)
    likelihoods = jax.nn.log_softmax(x)
    loss = -jnp.take_along_axis(likelihoods, labels[:, None], axis=1).mean()
    total = loss
    if problem.l2:
        total += problem.l2 / 2 * sum((w * w).sum() for w, _ in layers)
    if problem.l1:
        total += problem.l1 * sum(jnp.abs(w).sum() for w, _ in layers)
    return total, loss


def update(problem: Problem, layers: Any, slots: Any, gradients: Any, steps: Any) -> Any:
    """Return layers and slots after the optimizer's step."""
    rate = problem.rate
    if problem.optimizer == "sgd":
        return tree_map(lambda w, g: w - rate * g, layers, gradients), slots
    if problem.optimizer == "momentum":
        velocity = tree_map(lambda v, g: problem.momentum * v + g, slots[0], gradients)
        return tree_map(lambda w, v: w - rate * v, layers, velocity), (velocity,)
    mean = tree_map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, slots[0], gradients)
    square = tree_map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, slots[1], gradients)
    size, root = rate / (1 - BETA_1**steps), jnp.sqrt(1 - BETA_2**steps)
    layers = tree_map(
        lambda w, m, v: w - (size * m / (jnp.sqrt(v) / root + problem.epsilon)).astype(w.dtype),
        layers,
        mean,
        square,
    )
    return layers, (mean, square)


def one_step(problem: Problem, state: Any, x: Any, y: Any, order: Any, masks: Any) -> Any:
    """Gather, differentiate, update."""
    layers, slots, count = state
    begin = (count % problem.batches) * problem.batch
    rows = jax.lax.dynamic_slice(order, (begin,), (problem.batch,))
    derive = jax.value_and_grad(objective, has_aux=True)
    (_, loss), gradients = derive(layers, problem, x[rows], y[rows], masks, count)
    layers, slots = update(problem, layers, slots, gradients, count + 1)
    return (layers, slots, count + 1), loss


class JaxJit(Stepwise):
    """One compiled step a call."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        with self.precision():
            x, y = problem.data()
            layers = [(jnp.array(w), jnp.array(b)) for w, b in problem.weights()]
            number = {"sgd": 0, "momentum": 1, "adam": 2}[problem.optimizer]
            slots = tuple(tree_map(jnp.zeros_like, layers) for _ in range(number))
            self.state = (layers, slots, jnp.array(0, jnp.int32))
            given = problem.drops and problem.given_masks
            masks = [jnp.array(m) for m in problem.masks()] if given else None
            order = jnp.array(problem.order(), jnp.int32)
            self.fixed = (jnp.array(x), jnp.array(y, jnp.int32), order, masks)
            self.compiled = self.compile()

    def compile(self) -> Any:
        """Return the function of a call."""
        return jax.jit(partial(one_step, self.problem), donate_argnums=0)

    def precision(self) -> Any:
        """Return the context in which float64 exists, if it is wanted."""
        return jax.enable_x64(True) if self.problem.dtype == "float64" else nullcontext()

    def step(self) -> Any:
        """Call it; JAX goes on before it has ended."""
        self.state, loss = self.compiled(self.state, *self.fixed)
        return loss

    def wait(self, loss: Any) -> None:
        """Return when everything has ended."""
        jax.block_until_ready((self.state, loss))

    def follow(self, steps: int) -> list[float]:
        """As for any other framework."""
        with self.precision():
            return super().follow(steps)

    def parameters(self) -> list[Array]:
        """Return them layer by layer."""
        return [jax.device_get(value) for layer in self.state[0] for value in layer]


class JaxScan(JaxJit):
    """Twenty compiled steps a call: the losses in between are not available."""

    TOGETHER = 20

    def compile(self) -> Any:
        """Return a loop of steps."""

        def steps(state: Any, *fixed: Any) -> Any:
            def body(state: Any, _: Any) -> Any:
                return one_step(self.problem, state, *fixed)

            return jax.lax.scan(body, state, length=self.TOGETHER)

        return jax.jit(steps, donate_argnums=0)

    def follow(self, steps: int) -> list[float]:
        """Step one by one with the function that the loop repeats."""
        with self.precision():
            single = jax.jit(partial(one_step, self.problem))
            losses = []
            for _ in range(steps):
                self.state, loss = single(self.state, *self.fixed)
                losses.append(float(loss))
        return losses

    def chunk(self, steps: int, warm: int) -> float:
        """As for any other framework, of so many steps a call."""
        calls = math.ceil(steps / self.TOGETHER)
        return super().chunk(calls, math.ceil(warm / self.TOGETHER)) / self.TOGETHER

    def wait(self, loss: Any) -> None:
        """Return when everything has ended."""
        jax.block_until_ready((self.state, loss))
