"""The promises about answers: the gradient, for many rows and one, at zero, and by chance.

One a function; each raises a sentence where it is broken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnreg.gradcheck import check_gradients
from nnreg.kernels import Array
from nnreg.testing.mistakes import close
from nnreg.testing.trial import Trial, promise


def _the_gradient_is_right(trial: Trial) -> None:
    _, layer = trial.place()
    report = trial.said("backward", check_gradients, layer, trial.batch())
    failed = [row.sentence() for row in report.rows if not row.passed]
    promise(not failed, "gradient", f"{trial.name}: {'; '.join(failed)}.")


def _rows_are_independent(trial: Trial) -> None:
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


def _parts_make_the_whole(trial: Trial) -> None:
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


def _one_row_and_one_column_work(trial: Trial) -> None:
    for shape, words in (((1, trial.inputs), "one row"), ((trial.rows, 1), "one column")):
        net, layer = trial.place(inputs=shape[1])
        done = trial.run(net, trial.batch(0, shape))
        promise(
            done.y.shape == (shape[0], layer.outputs(shape[1])) and done.dx.shape == shape,
            words,
            f"{trial.name} returns shapes {done.y.shape} and {done.dx.shape} for a batch of "
            f"{words}, {shape}.",
        )


def _at_zero_the_derivative_is_the_left_one(trial: Trial) -> None:
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


def _chance_is_as_announced(trial: Trial) -> None:
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


ANSWERS: tuple[Callable[[Trial], None], ...] = (
    _the_gradient_is_right,
    _rows_are_independent,
    _parts_make_the_whole,
    _one_row_and_one_column_work,
    _at_zero_the_derivative_is_the_left_one,
    _chance_is_as_announced,
)
