"""The promises about manners: what a layer changes, shares and remembers.

One a function; each raises a sentence where it is broken. Their order matters: what would make
later questions meaningless is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnreg.kernels import Array
from nnreg.testing.mistakes import close
from nnreg.testing.trial import Trial, promise


def _shapes_and_dtype(trial: Trial) -> None:
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


def _array(trial: Trial, method: str, array: Any, shape: tuple[int, ...], dtype: str) -> None:
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


def _nothing_is_changed(trial: Trial) -> None:
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


def _gradient_overwrites(trial: Trial) -> None:
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


def _memory_is_not_shared(trial: Trial) -> None:
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


def _a_step_can_be_replayed(trial: Trial) -> None:
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


def _nothing_is_remembered(trial: Trial) -> None:
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


def _inference_keeps_nothing(trial: Trial) -> None:
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
        cache.forget()
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


MANNERS: tuple[Callable[[Trial], None], ...] = (
    _shapes_and_dtype,
    _nothing_is_changed,
    _gradient_overwrites,
    _memory_is_not_shared,
    _a_step_can_be_replayed,
    _nothing_is_remembered,
    _inference_keeps_nothing,
)
