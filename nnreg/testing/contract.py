"""A layer on trial: how it is made, what it is given, how it is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck.check import check_gradients
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.testing.known_bugs.base import close

# MERGED DOCSTRING: The promises about answers: the gradient, for many rows and one, at zero, and
# by chance.
#
# One a function; each raises a sentence where it is broken.
#

# MERGED DOCSTRING: The promises about manners: what a layer changes, shares and remembers.
#
# One a function; each raises a sentence where it is broken. Their order matters: what would make
# later questions meaningless is asked first.
#

# MERGED DOCSTRING: What every layer promises, asked of one: its gradient, and its manners.
#
# A layer among others changes nothing that it was given, keeps nothing of a pass but what it
# writes
# into the cache, answers for one row as for many, and takes and returns one dtype.
#


class ContractError(AssertionError):
    """A promise is broken.

    Attributes
    ----------
    code : str
        Which, in a word or two; the gallery's mistakes carry the same words.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def promise(kept: Any, code: str, sentence: str) -> None:
    """Raise :class:`ContractError` unless ``kept``."""
    if not kept:
        raise ContractError(code, sentence)


@dataclass
class Pass:
    """What one pass through a layer took and gave."""

    x: Array
    y: Array
    dy: Array
    dx: Array
    gradients: dict[str, Array]
    cache: Cache


@dataclass
class LayerHarness:
    """A layer to be tried: how to make it, and on what."""

    make: Callable[[], Layer]
    inputs: int
    rows: int
    seed: int
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = type(self.make()).__name__

    def place(self, dtype: Any = "float64", inputs: int | None = None) -> tuple[Network, Layer]:
        """Return a network of one new layer, with random parameters, and that layer."""
        net = Network([self.make()], inputs=inputs or self.inputs, dtype=dtype)
        values = np.random.default_rng(self.seed).normal(size=net.parameters.vector.size)
        net.parameters.vector[...] = values
        return net, net.layers[0]

    def batch(self, number: int = 0, shape: tuple[int, int] | None = None) -> Array:
        """Return inputs without zeros, float64."""
        rng = np.random.default_rng([self.seed, number])
        x = rng.standard_normal(shape or (self.rows, self.inputs))
        return np.sign(x) * (np.abs(x) + 0.01)

    def said(self, method: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the layer; an exception becomes a broken promise."""
        try:
            return call(*arguments)
        except Exception as error:
            raise ContractError(
                "raises", f"{self.name}.{method} raises {type(error).__name__}: {error}"
            ) from error

    def forward(
        self, layer: Layer, x: Array, *, step: int = 0, training: bool = True, first_row: int = 0
    ) -> tuple[Array, Cache]:
        """Return the output and a new cache."""
        cache = Cache(x.dtype)
        cache.reset(training=training, step=step, first_row=first_row)
        return self.said("forward", layer.forward, x, cache), cache

    def derivative(self, y: Array) -> Array:
        """Return a random ``dy`` for this output."""
        rng = np.random.default_rng([self.seed, 7])
        return rng.standard_normal(np.shape(y)).astype(y.dtype)

    def gradients(
        self, net: Network, dy: Array, cache: Cache, fill: float = np.nan
    ) -> dict[str, Array]:
        """Return what ``gradient`` makes of arrays full of ``fill``."""
        layer = net.layers[0]
        views = net.parameters.like().of(layer.name)
        for view in views.values():
            view[...] = fill
        if views:
            given = dict(views)
            self.said("gradient", layer.gradient, dy, cache, views)
            for name, array in given.items():
                promise(
                    views[name] is array,
                    "rebinds",
                    f"{self.name}.gradient puts a new array into gradients[{name!r}], which nobody "
                    f"else sees: write into the one that is there, gradients[{name!r}][...] = ...",
                )
        return views

    def run(self, net: Network, x: Array, *, dy: Array | None = None, **options: Any) -> Pass:
        """Return a whole pass in training mode."""
        layer = net.layers[0]
        y, cache = self.forward(layer, x, **options)
        dy = self.derivative(y) if dy is None else dy
        dx = self.said("backward", layer.backward, dy, cache)
        return Pass(x, y, dy, dx, self.gradients(net, dy, cache), cache)


def _the_gradient_is_right(trial: LayerHarness) -> None:
    _, layer = trial.place()
    report = trial.said("backward", check_gradients, layer, trial.batch())
    failed = [row.sentence() for row in report.rows if not row.passed]
    promise(not failed, "gradient", f"{trial.name}: {'; '.join(failed)}.")


def _rows_are_independent(trial: LayerHarness) -> None:
    net, layer = trial.place()
    if not layer.independent_rows:
        return
    whole = trial.run(net, trial.batch())
    total = {name: np.zeros_like(gradient) for name, gradient in whole.gradients.items()}
    for rows in (slice(0, 1), slice(1, None)):
        start = rows.start
        part = trial.run(net, whole.x[rows], dy=whole.dy[rows].copy(), first_row=start)
        for name, gradient in part.gradients.items():
            total[name] += gradient
        promise(
            close(part.y, whole.y[rows], 1e-10) and close(part.dx, whole.dx[rows], 1e-10),
            "rows",
            f"{trial.name} treats a row differently when other rows stand beside it. If that is "
            "meant, say independent_rows = False; otherwise look for a sum or mean over rows.",
        )
    for name, gradient in whole.gradients.items():
        promise(
            close(total[name], gradient, 1e-10),
            "sum",
            f"{trial.name}.gradient of {name!r} for a batch is not the sum of that of its parts: "
            "only the loss divides by N.",
        )


def _parts_make_the_whole(trial: LayerHarness) -> None:
    net, layer = trial.place()
    if "part" not in inspect.signature(layer.gradient).parameters:
        return
    done = trial.run(net, trial.batch())
    views = net.parameters.like().of(layer.name)
    gradient: Any = layer.gradient  # the keyword is optional
    for part in (slice(0, 1), slice(1, trial.inputs)):
        trial.said("gradient", partial(gradient, part=part), done.dy, done.cache, views)
    promise(
        all(close(view, done.gradients[name], 1e-12) for name, view in views.items()),
        "parts",
        f"{trial.name}.gradient, asked for the rows of the weights in parts, gives another result "
        "than asked for all.",
    )


def _one_row_and_one_column_work(trial: LayerHarness) -> None:
    for shape, words in (((1, trial.inputs), "one row"), ((trial.rows, 1), "one column")):
        net, layer = trial.place(inputs=shape[1])
        done = trial.run(net, trial.batch(0, shape))
        promise(
            done.y.shape == (shape[0], layer.outputs(shape[1])) and done.dx.shape == shape,
            words,
            f"{trial.name} returns shapes {done.y.shape} and {done.dx.shape} for a batch of "
            f"{words}, {shape}.",
        )


def _at_zero_the_derivative_is_the_left_one(trial: LayerHarness) -> None:
    net, layer = trial.place()
    if layer.stochastic or layer.outputs(trial.inputs) != trial.inputs:
        return

    def at(value: float) -> Array:
        return trial.forward(layer, np.full((trial.rows, trial.inputs), value))[0].copy()

    left = -at(-1e-7) / 1e-7
    rectifier = all(close(at(v), np.full_like(left, v)) for v in (0.5, 2.0)) and not at(0.0).any()
    if not rectifier or (left < -1e-6).any() or close(left, np.ones_like(left), 1e-3):
        return
    done = trial.run(net, np.zeros((trial.rows, trial.inputs)))
    promise(
        close(done.dx, left * done.dy, 1e-5),
        "at zero",
        f"{trial.name}.backward gives {done.dx.flat[0] / done.dy.flat[0]:.6g} as the derivative at "
        f"exactly x = 0, where {left.flat[0]:.6g} is wanted, that of the left side: "
        "compare with > 0, not >= 0.",
    )


def _chance_is_as_announced(trial: LayerHarness) -> None:
    _, layer = trial.place(inputs=64)
    if not layer.stochastic:
        return
    ones = np.ones((256, 64))  # the share kept is known to 0.004 (one standard deviation)
    y, _ = trial.forward(layer, ones, step=0)
    y = y.copy()
    other, _ = trial.forward(layer, ones, step=1)
    keep_prob = float(layer.keep_prob)  # type: ignore[attr-defined]  # stochastic promises it
    if keep_prob < 0.99:  # nearer to 1, two masks may well be the same
        promise(
            not np.array_equal(y, other),
            "one mask",
            f"{trial.name} has the same mask at every step: make it depend on cache.step.",
        )
    share, variance = float((y != 0).mean()), (1 - keep_prob) / keep_prob
    noisy = share == 1 and y.std() > 0  # nothing is dropped: all is multiplied by noise
    promise(
        noisy or abs(share - keep_prob) < 0.025,
        "share",
        f"{trial.name} keeps {share:.1%} of the units, though keep_prob is {keep_prob:g}.",
    )
    promise(
        not noisy or abs(y.var() - variance) < 0.1 * variance,
        "variance",
        f"{trial.name} multiplies by noise of variance {y.var():.3g}, though keep_prob is "
        f"{keep_prob:g}, which means (1 - keep_prob)/keep_prob = {variance:.3g}.",
    )
    inference, _ = trial.forward(layer, ones, training=False)
    for mean, where in ((float(inference.mean()), "inference"), (float(y.mean()), "training")):
        promise(
            abs(mean - 1) < 0.025 / keep_prob,
            f"expectation: {where}",
            f"{trial.name} makes a mean of {mean:.3g} out of ones in {where}: in training the kept "
            "units are divided by keep_prob, so that the mean stays, and in inference nothing is.",
        )


CORRECTNESS_CHECKS: tuple[Callable[[LayerHarness], None], ...] = (
    _the_gradient_is_right,
    _rows_are_independent,
    _parts_make_the_whole,
    _one_row_and_one_column_work,
    _at_zero_the_derivative_is_the_left_one,
    _chance_is_as_announced,
)


def _shapes_and_dtype(trial: LayerHarness) -> None:
    for dtype in ("float64", "float32"):
        _, layer = trial.place(dtype)
        x = trial.batch().astype(dtype)
        y, cache = trial.forward(layer, x)
        wanted = (trial.rows, layer.outputs(trial.inputs))
        _array(trial, "forward", y, wanted, dtype)
        dy = trial.derivative(y)
        dx = trial.said("backward", layer.backward, dy.copy(), cache)
        _array(trial, "backward", dx, x.shape, dtype)
        y, _ = trial.forward(layer, x, training=False)
        _array(trial, "forward", y, wanted, dtype)


def _array(
    trial: LayerHarness, method: str, array: Any, shape: tuple[int, ...], dtype: str
) -> None:
    got = np.shape(array)
    promise(
        isinstance(array, np.ndarray) and got == shape,
        "shape",
        f"{trial.name}.{method} must return an array of shape {shape}, got shape {got}.",
    )
    promise(
        array.dtype == dtype,
        "dtype",
        f"{trial.name}.{method} was given {dtype} and returns {array.dtype}.",
    )


def _nothing_is_changed(trial: LayerHarness) -> None:
    net, layer = trial.place()
    x, parameters = trial.batch(), net.parameters.vector.copy()
    x_before = x.copy()
    y, cache = trial.forward(layer, x)
    new = "write the result into a new array."
    promise(
        (x == x_before).all(),
        "changes x",
        f"{trial.name}.forward changes x, which others still need: {new}",
    )
    y_before, dy = y.copy(), trial.derivative(y)
    dy_before = dy.copy()
    dx = trial.said("backward", layer.backward, dy, cache)
    dx = dx.copy()
    promise(
        (dy == dy_before).all(),
        "changes dy",
        f"{trial.name}.backward changes dy, which others still need: {new}",
    )
    again = trial.said("backward", layer.backward, dy, cache)
    promise(
        np.array_equal(again, dx),
        "backward once",
        f"{trial.name}.backward, asked twice with the same dy and cache, gives two answers: "
        "it must not change what forward kept.",
    )
    trial.gradients(net, dy, cache)
    for name, kept in (
        ("x", (x == x_before).all()),
        ("dy", (dy == dy_before).all()),
        ("y", (y == y_before).all()),
        ("the parameters", (net.parameters.vector == parameters).all()),
    ):
        promise(kept, f"changes {name}", f"{trial.name}.gradient or backward changes {name}: {new}")


def _gradient_overwrites(trial: LayerHarness) -> None:
    net, _ = trial.place()
    done = trial.run(net, trial.batch())
    onto_zeros = trial.gradients(net, done.dy, done.cache, fill=0.0)
    onto_ones = trial.gradients(net, done.dy, done.cache, fill=1.0)
    for name, gradient in onto_zeros.items():
        added = onto_ones[name] - gradient
        promise(
            gradient.any() or not close(added, np.ones_like(added)),
            "not written",
            f"{trial.name}.gradient writes nothing into gradients[{name!r}].",
        )
        promise(
            not added.any(),
            "accumulates",
            f"{trial.name}.gradient adds to gradients[{name!r}], or leaves a part of it as it was; "
            "it must overwrite: the array holds the last batch's gradient.",
        )


def _memory_is_not_shared(trial: LayerHarness) -> None:
    net, _ = trial.place()
    done = trial.run(net, trial.batch())
    pairs: list[tuple[str, Array, str, Array]] = []
    if done.y is not done.x:  # the identity may return what it was given
        pairs.append(("the output", done.y, "x", done.x))
    if done.dx is not done.dy:
        pairs.append(("dx", done.dx, "dy", done.dy))
    pairs += [
        ("the output", done.y, "the parameters", net.parameters.vector),
        ("dx", done.dx, "the parameters", net.parameters.vector),
        ("dx", done.dx, "the output", done.y),
        ("dx", done.dx, "x", done.x),
    ]
    for one, a, other, b in pairs:
        promise(
            not np.shares_memory(a, b),
            "shares memory",
            f"{one} of {trial.name} shares memory with {other}: whoever changes one changes the "
            "other. Return a new array, or one that the cache gives.",
        )


def _a_step_can_be_replayed(trial: LayerHarness) -> None:
    _, layer = trial.place()
    x = trial.batch()
    first, _ = trial.forward(layer, x, step=3)
    first = first.copy()
    again, _ = trial.forward(layer, x, step=3)
    promise(
        np.array_equal(first, again),
        "replay",
        f"{trial.name}.forward gives two answers for one step: draw from a generator made of the "
        "seed and cache.step.",
    )


def _nothing_is_remembered(trial: LayerHarness) -> None:
    x, other = trial.batch(0), trial.batch(1)
    expected = trial.run(trial.place()[0], x)
    net, layer = trial.place()
    trial.run(net, other)
    second = trial.run(net, x)
    for before, after in ((expected.dx, second.dx), *_pairs(expected.gradients, second.gradients)):
        promise(
            close(after, before, 1e-12),
            "stale",
            f"{trial.name} answers for a batch as if it still saw the one before: what backward "
            "needs must be written into the cache in every forward pass.",
        )
    _, cache = trial.forward(layer, x)
    trial.forward(layer, other)
    dx = trial.said("backward", layer.backward, expected.dy, cache)
    gradients = trial.gradients(net, expected.dy, cache)
    for before, after in ((expected.dx, dx), *_pairs(expected.gradients, gradients)):
        promise(
            close(after, before, 1e-12),
            "one memory",
            f"{trial.name} keeps what backward needs on itself, so a second forward pass with "
            "another cache spoils the first: keep it in the cache.",
        )


def _pairs(one: dict[str, Array], other: dict[str, Array]) -> Iterator[tuple[Array, Array]]:
    return ((one[name], other[name]) for name in one)


def _inference_keeps_nothing(trial: LayerHarness) -> None:
    net, layer = trial.place()
    answers = []
    for number in (0, 1):
        y, cache = trial.forward(layer, trial.batch(number), training=False)
        again, _ = trial.forward(layer, trial.batch(number), training=False, step=1)
        promise(
            np.array_equal(y, again),
            "inference is random",
            f"{trial.name}.forward is random outside training: look at cache.training.",
        )
        cache.clear()
        views = net.parameters.like().of(layer.name)
        dy = trial.derivative(y)
        try:
            dx = layer.backward(dy, cache)
            if views:
                layer.gradient(dy, cache, views)
        except Exception:  # the cache is empty, so any answer but an error would be made up
            return
        answers.append([dx.copy(), *(view.copy() for view in views.values())])
    # A backward pass that needs nothing of the forward pass is the same for all inputs.
    promise(
        all(np.array_equal(a, b) for a, b in zip(*answers, strict=True)),
        "remembers inference",
        f"{trial.name}.backward works after a pass in inference mode, whose cache is empty: "
        "it keeps something on itself.",
    )


SIDE_EFFECT_CHECKS: tuple[Callable[[LayerHarness], None], ...] = (
    _shapes_and_dtype,
    _nothing_is_changed,
    _gradient_overwrites,
    _memory_is_not_shared,
    _a_step_can_be_replayed,
    _nothing_is_remembered,
    _inference_keeps_nothing,
)


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
    nnreg.testing.contract.ContractError: Rectifier.backward changes dy, which others still need: \
write the result into a new array.
    """
    trial = LayerHarness(layer_factory, inputs, max(2, rows), seed)
    for promise in (*SIDE_EFFECT_CHECKS, *CORRECTNESS_CHECKS):
        promise(trial)
