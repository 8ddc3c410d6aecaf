"""The layer contract: correct gradients and no side effects.

A layer does not modify its arguments, stores state in the cache only, returns the same result for a
row alone and in a batch, and preserves the dtype. :func:`assert_layer_contract` runs the checks in
order: first the side effects, since they would make the results of later checks meaningless, then
the correctness of the gradients.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck.check import check_gradients
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.testing.known_bugs.base import close

NEW_ARRAY = "write the result into a new array."


class ContractError(AssertionError):
    """A layer violates the contract.

    Attributes
    ----------
    code : str
        Identifier of the violated rule; known bugs have the same codes.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, str(self)), self.__dict__


def require(condition: Any, code: str, message: str) -> None:
    """Raise :class:`ContractError` unless ``condition``."""
    if not condition:
        raise ContractError(code, message)


@dataclass
class Pass:
    """The arrays and the cache of one forward and backward pass."""

    x: Array
    y: Array
    dy: Array
    dx: Array
    gradients: dict[str, Array]
    cache: Cache

    def equals(self, other: Pass) -> bool:
        """Return whether ``dx`` and the gradients equal those of another pass."""
        pairs = [(self.dx, other.dx), *((g, other.gradients[n]) for n, g in self.gradients.items())]
        return all(close(a, b, 1e-12) for a, b in pairs)


class LayerHarness:
    """A layer under test: construction, inputs and calls.

    Parameters
    ----------
    make : function () -> Layer
        Returns a new layer at each call.
    inputs, rows : int
        The shape of the batches.
    seed : int
        For inputs, parameters and ``dy``.
    """

    def __init__(self, make: Callable[[], Layer], inputs: int, rows: int, seed: int) -> None:
        self.make, self.inputs, self.rows, self.seed = make, inputs, rows, seed
        layer = make()
        self.name, self.state = type(layer).__name__, copy.deepcopy(layer.get_state())

    def layer(self, dtype: Any = "float64", inputs: int | None = None) -> Layer:
        """Return a new layer with random parameters, views of one vector."""
        net = Network([self.make()], inputs=inputs or self.inputs, dtype=dtype)
        values = np.random.default_rng(self.seed).normal(size=net.parameters.vector.size)
        net.parameters.vector[...] = values
        return net.layers[0]

    def batch(self, number: int = 0, shape: tuple[int, int] | None = None) -> Array:
        """Return inputs without zeros, float64."""
        rng = np.random.default_rng([self.seed, number])
        x = rng.standard_normal(shape or (self.rows, self.inputs))
        return np.sign(x) * (np.abs(x) + 0.01)

    def call(self, method: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the layer; an exception is a violation of the contract."""
        try:
            return function(*arguments)
        except Exception as error:
            raise ContractError(
                "raises", f"{self.name}.{method} raises {type(error).__name__}: {error}"
            ) from error

    def forward(
        self, layer: Layer, x: Array, *, step: int = 0, training: bool = True, first_row: int = 0
    ) -> tuple[Array, Cache]:
        """Return the output and a new cache, from the state of a new layer."""
        if self.state:
            layer.set_state(copy.deepcopy(self.state))
        cache = Cache(x.dtype)
        cache.reset(training=training, step=step, first_row=first_row)
        return self.call("forward", layer.forward, x, cache), cache

    def derivative(self, y: Array) -> Array:
        """Return a random ``dy`` for this output."""
        rng = np.random.default_rng([self.seed, 7])
        return rng.standard_normal(np.shape(y)).astype(y.dtype)

    def gradients(
        self, layer: Layer, dy: Array, cache: Cache, fill: float = np.nan
    ) -> dict[str, Array]:
        """Return the gradient arrays, filled with ``fill`` before the call of ``gradient``."""
        views = {n: np.full_like(view, fill) for n, view in parameters_of(layer).items()}
        gradients = dict(views)
        if gradients:
            self.call("gradient", layer.gradient, dy, cache, gradients)
        for name, view in views.items():
            require(
                gradients[name] is view,
                "rebinds",
                f"{self.name}.gradient assigns a new array to gradients[{name!r}], which the "
                f"optimizer does not use: write into the array, gradients[{name!r}][...] = ...",
            )
        return views

    def run(self, layer: Layer, x: Array, *, dy: Array | None = None, first_row: int = 0) -> Pass:
        """Run forward and backward in training mode."""
        y, cache = self.forward(layer, x, first_row=first_row)
        return self.backward(layer, x, y, self.derivative(y) if dy is None else dy, cache)

    def backward(self, layer: Layer, x: Array, y: Array, dy: Array, cache: Cache) -> Pass:
        """Run backward and gradient with the cache of a forward pass."""
        dx = self.call("backward", layer.backward, dy, cache)
        return Pass(x, y, dy, dx, self.gradients(layer, dy, cache), cache)


def parameters_of(layer: Layer) -> dict[str, Array]:
    """Return the parameters of a layer that belongs to a network."""
    return {name: getattr(layer, name) for name in layer._bound or ()}


Check = Callable[[LayerHarness], None]

# --- Side effects -------------------------------------------------------------------------------


def check_shapes_and_dtype(harness: LayerHarness) -> None:
    """Check that outputs and ``dx`` have the declared shapes and the dtype of the inputs."""

    def check(method: str, array: Any, shape: tuple[int, ...]) -> None:
        require(
            isinstance(array, np.ndarray) and array.shape == shape,
            "shape",
            f"{harness.name}.{method} must return an array of shape {shape}, got shape "
            f"{np.shape(array)}.",
        )
        require(
            array.dtype == x.dtype,
            "dtype",
            f"{harness.name}.{method} returns {array.dtype} for inputs of {x.dtype}.",
        )

    for dtype in ("float64", "float32"):
        layer, x = harness.layer(dtype), harness.batch().astype(dtype)
        shape = (harness.rows, layer.outputs(harness.inputs))
        y, cache = harness.forward(layer, x)
        check("forward", y, shape)
        dx = harness.call("backward", layer.backward, harness.derivative(y), cache)
        check("backward", dx, x.shape)
        check("forward", harness.forward(layer, x, training=False)[0], shape)


def check_arguments_unchanged(harness: LayerHarness) -> None:
    """Check that the methods change no argument, output, cache or parameter."""
    layer, x = harness.layer(), harness.batch()
    before = {"x": x.copy(), "the parameters": _joined(layer)}
    y, cache = harness.forward(layer, x)
    require(
        (x == before["x"]).all(),
        "changes x",
        f"{harness.name}.forward changes x, which is also the output of the previous layer: "
        f"{NEW_ARRAY}",
    )
    dy = harness.derivative(y)
    before |= {"y": y.copy(), "dy": dy.copy()}
    dx = harness.call("backward", layer.backward, dy, cache).copy()
    require(
        (dy == before["dy"]).all(),
        "changes dy",
        f"{harness.name}.backward changes dy, which gradient uses too: {NEW_ARRAY}",
    )
    require(
        np.array_equal(harness.call("backward", layer.backward, dy, cache), dx),
        "backward once",
        f"{harness.name}.backward, called twice with the same dy and cache, returns different "
        "results: it must not change arrays of the cache.",
    )
    harness.gradients(layer, dy, cache)
    after = {"x": x, "dy": dy, "y": y, "the parameters": _joined(layer)}
    for name, array in after.items():
        require(
            (array == before[name]).all(),
            f"changes {name}",
            f"{harness.name}.gradient or backward changes {name}: {NEW_ARRAY}",
        )


def _joined(layer: Layer) -> Array:
    return np.concatenate([np.empty(0), *map(np.ravel, parameters_of(layer).values())])


def check_gradient_overwrites(harness: LayerHarness) -> None:
    """Check that ``gradient`` overwrites its arrays."""
    layer = harness.layer()
    result = harness.run(layer, harness.batch())
    from_zeros = harness.gradients(layer, result.dy, result.cache, fill=0.0)
    from_ones = harness.gradients(layer, result.dy, result.cache, fill=1.0)
    again = harness.gradients(layer, result.dy, result.cache, fill=0.0)
    if any((again[name] != gradient).any() for name, gradient in from_zeros.items()):
        return  # two calls differ for another reason
    for name, gradient in from_zeros.items():
        difference = from_ones[name] - gradient
        require(
            gradient.any() or not close(difference, np.ones_like(difference)),
            "not written",
            f"{harness.name}.gradient writes nothing into gradients[{name!r}].",
        )
        require(
            not difference.any(),
            "accumulates",
            f"{harness.name}.gradient adds to gradients[{name!r}], or does not write all of it; "
            "it must overwrite: the array contains the gradient of the previous batch.",
        )


def check_memory_not_shared(harness: LayerHarness) -> None:
    """Check that results share no memory, unless the layer is the identity."""
    layer = harness.layer()
    result = harness.run(layer, harness.batch())
    results = {"the output": result.y, "dx": result.dx}
    others = {"x": result.x, "dy": result.dy, "the output": result.y}
    others |= {f"the parameter {name}": view for name, view in parameters_of(layer).items()}
    for (one, a), (other, b) in itertools.product(results.items(), others.items()):
        require(
            one == other or (a is b and other in ("x", "dy")) or not np.shares_memory(a, b),
            "shares memory",
            f"{one} of {harness.name} shares memory with {other}: a change of one changes the "
            "other. Return a new array, or one from cache.array(...).",
        )


def check_step_replayable(harness: LayerHarness) -> None:
    """Check that one step run twice has one result."""
    layer = harness.layer()
    x = harness.batch()
    first = harness.forward(layer, x, step=3)[0].copy()
    require(
        np.array_equal(first, harness.forward(layer, x, step=3)[0]),
        "replay",
        f"{harness.name}.forward returns different results for the same step: seed the generator "
        "with the layer's seed and cache.step, and return attributes that training changes in "
        "get_state().",
    )


def check_state_in_cache(harness: LayerHarness) -> None:
    """Check that ``backward`` and ``gradient`` depend on the pass of their cache alone."""
    x, other = harness.batch(0), harness.batch(1)
    expected = harness.run(harness.layer(), x)
    layer = harness.layer()
    harness.run(layer, other)
    require(
        harness.run(layer, x).equals(expected),
        "stale",
        f"{harness.name} uses values of the previous batch: write the values for backward into the "
        "cache in every forward pass.",
    )
    y, cache = harness.forward(layer, x)
    harness.forward(layer, other)
    require(
        harness.backward(layer, x, y, expected.dy, cache).equals(expected),
        "one memory",
        f"{harness.name} stores state in attributes, so a second forward pass with another cache "
        "overwrites the state of the first: store it in the cache.",
    )


def check_inference_keeps_nothing(harness: LayerHarness) -> None:
    """Check that a pass in inference mode is not random and stores no state."""
    layer, passes = harness.layer(), []
    for x in (harness.batch(0), harness.batch(1)):
        y, cache = harness.forward(layer, x, training=False)
        again, _ = harness.forward(layer, x, training=False, step=1)
        require(
            np.array_equal(y, again),
            "inference is random",
            f"{harness.name}.forward is random outside training: use cache.training.",
        )
        cache.clear()
        try:
            passes.append(harness.backward(layer, x, y, harness.derivative(y), cache))
        except ContractError:  # expected: the cache is empty
            return
    # A backward pass that uses no values of the forward pass is the same for all inputs.
    require(
        passes[0].equals(passes[1]),
        "remembers inference",
        f"{harness.name}.backward works after a pass in inference mode, whose cache is empty: "
        "the layer stores state in attributes.",
    )


SIDE_EFFECT_CHECKS: tuple[Check, ...] = (
    check_shapes_and_dtype,
    check_arguments_unchanged,
    check_gradient_overwrites,
    check_memory_not_shared,
    check_step_replayable,
    check_state_in_cache,
    check_inference_keeps_nothing,
)

# --- Correctness --------------------------------------------------------------------------------


def check_gradient(harness: LayerHarness) -> None:
    """Check that the gradient check passes."""
    layer = harness.layer()
    report = harness.call("backward", check_gradients, layer, harness.batch())
    failed = [row.sentence() for row in report.rows if not row.passed]
    require(not failed, "gradient", f"{harness.name}: {'; '.join(failed)}.")


def check_rows_independent(harness: LayerHarness) -> None:
    """Check that rows are independent, and that the gradients of parts of a batch add up."""
    layer = harness.layer()
    if not layer.independent_rows:
        return
    whole = harness.run(layer, harness.batch())
    total = {name: np.zeros_like(gradient) for name, gradient in whole.gradients.items()}
    for rows in (slice(0, 1), slice(1, None)):
        part = harness.run(layer, whole.x[rows], dy=whole.dy[rows].copy(), first_row=rows.start)
        for name, gradient in part.gradients.items():
            total[name] += gradient
        require(
            close(part.y, whole.y[rows], 1e-10) and close(part.dx, whole.dx[rows], 1e-10),
            "rows",
            f"{harness.name} gives a row a different result in a different batch. If that is "
            "intended, set independent_rows = False; otherwise look for a sum or mean over rows.",
        )
    for name, gradient in whole.gradients.items():
        require(
            close(total[name], gradient, 1e-10),
            "sum",
            f"{harness.name}.gradient of {name!r} for a batch is not the sum of that of its parts: "
            "only the loss divides by N.",
        )


def check_one_row_and_one_column(harness: LayerHarness) -> None:
    """Check that batches of one row and of one column work."""
    for shape, name in (((1, harness.inputs), "one row"), ((harness.rows, 1), "one column")):
        layer = harness.layer(inputs=shape[1])
        result = harness.run(layer, harness.batch(0, shape))
        require(
            result.y.shape == (shape[0], layer.outputs(shape[1])) and result.dx.shape == shape,
            name,
            f"{harness.name} returns shapes {result.y.shape} and {result.dx.shape} for a batch of "
            f"{name}, {shape}.",
        )


def check_derivative_at_zero(harness: LayerHarness) -> None:
    """Check that the derivative of a rectifier at exactly zero is the left derivative."""
    layer = harness.layer()
    if layer.stochastic or layer.outputs(harness.inputs) != harness.inputs:
        return

    def evaluate(value: float) -> Array:
        return harness.forward(layer, np.full((harness.rows, harness.inputs), value))[0].copy()

    left = -evaluate(-1e-7) / 1e-7
    identity = all(close(evaluate(v), np.full_like(left, v)) for v in (0.5, 2.0))
    decreasing, differentiable = (left < -1e-6).any(), close(left, np.ones_like(left), 1e-3)
    if not identity or evaluate(0.0).any() or decreasing or differentiable:
        return
    result = harness.run(layer, np.zeros((harness.rows, harness.inputs)))
    require(
        close(result.dx, left * result.dy, 1e-5),
        "at zero",
        f"the derivative of {harness.name}.backward at exactly x = 0 is "
        f"{result.dx.flat[0] / result.dy.flat[0]:.6g}; the left derivative, {left.flat[0]:.6g}, is "
        "expected: compare with > 0, not >= 0.",
    )


def check_randomness(harness: LayerHarness) -> None:
    """Check that a stochastic layer draws a new mask in each step, with probability keep_prob."""
    layer = harness.layer(inputs=64)
    if not layer.stochastic:
        return
    ones = np.ones((256, 64))  # the share of kept units has a standard deviation of 0.004
    y = harness.forward(layer, ones, step=0)[0].copy()
    keep_prob = float(layer.keep_prob)  # type: ignore[attr-defined]  # stochastic declares it
    if keep_prob < 0.99:  # for larger keep_prob two masks are often equal
        require(
            not np.array_equal(y, harness.forward(layer, ones, step=1)[0]),
            "one mask",
            f"{harness.name} has the same mask at every step: make it depend on cache.step.",
        )
    share, variance = float((y != 0).mean()), (1 - keep_prob) / keep_prob
    noisy = share == 1 and y.std() > 0  # nothing is dropped, but units are multiplied by noise
    require(
        noisy or abs(share - keep_prob) < 0.025,
        "share",
        f"{harness.name} keeps {share:.1%} of the units, though keep_prob is {keep_prob:g}.",
    )
    require(
        not noisy or abs(y.var() - variance) < 0.1 * variance,
        "variance",
        f"{harness.name} multiplies by noise of variance {y.var():.3g}, though keep_prob is "
        f"{keep_prob:g}, which means (1 - keep_prob)/keep_prob = {variance:.3g}.",
    )
    inference, _ = harness.forward(layer, ones, training=False)
    for mean, mode in ((float(inference.mean()), "inference"), (float(y.mean()), "training")):
        require(
            abs(mean - 1) < 0.025 / keep_prob,
            f"expectation: {mode}",
            f"the outputs of {harness.name} in {mode} have the mean {mean:.3g} for inputs of one: "
            "divide the kept units by keep_prob in training, so that the mean is preserved, and do "
            "not scale in inference.",
        )


CORRECTNESS_CHECKS: tuple[Check, ...] = (
    check_gradient,
    check_rows_independent,
    check_one_row_and_one_column,
    check_derivative_at_zero,
    check_randomness,
)


def assert_layer_contract(
    layer_factory: Callable[[], Layer], *, inputs: int = 4, rows: int = 5, seed: int = 0
) -> None:
    """Raise ``AssertionError`` for the first rule of the layer contract that is violated.

    The rules: shapes and dtype (float32 and float64); ``x``, ``dy``, the output, the cache and
    the parameters are not changed; results share no memory with them or with each other, the
    identity excepted; ``gradient`` overwrites; a step can be replayed; all state is in the cache or
    in ``get_state()``;
    the gradient is correct (:func:`nnreg.check_gradients`); rows are independent and their
    gradients add up, unless ``independent_rows`` is False; one row and one column work; inference
    stores no state; for a rectifier (``y = x`` above zero, not decreasing below) with a kink, the
    derivative at exactly zero is the left derivative; and a stochastic layer keeps the share
    ``keep_prob`` of the units, or multiplies by noise of the corresponding variance, drawn for each
    step, with the output of inference as its mean.

    Parameters
    ----------
    layer_factory : function () -> Layer
        Returns a new layer at each call; the class itself, if it needs no arguments.
    inputs : int, default 4
    rows : int, default 5
        At least 2.
    seed : int, default 0
        For inputs, parameters and ``dy``.

    Raises
    ------
    ContractError
        An ``AssertionError`` with the ``code`` of the rule.

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
    nnreg.testing.contract.ContractError: Rectifier.backward changes dy, which gradient uses \
too: write the result into a new array.
    """
    harness = LayerHarness(layer_factory, inputs, max(2, rows), seed)
    for check in (*SIDE_EFFECT_CHECKS, *CORRECTNESS_CHECKS):
        check(harness)
