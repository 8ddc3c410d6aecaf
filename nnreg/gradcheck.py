r"""The gradient check: what ``backward`` returns against the derivative of what ``forward`` does.

Both are the code that trains; the check only moves its inputs and parameters, with complex numbers
(``differences``), and compares. It says "the two agree at this point", not "the forward pass is
what you meant".

A subject of up to ``ENTRIES`` values is compared entry by entry. Of a larger one, small blocks are,
and of the others ``DIRECTIONS`` random directions: one complex forward pass gives the whole
directional derivative ``v·b`` of a block of any size. What can hide from that? If the block's
gradient is off by a vector ``e``, direction ``v`` (independent standard normal entries) shows
``e·v``, which is normal with standard deviation ``‖e‖``. It is smaller than ``‖e‖/100`` with
probability below 0.008; in all of 8 directions at once, with probability below 2e-17.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg import checks, differences, streams
from nnreg.cache import Cache
from nnreg.differences import FLOORS, TOLERANCES, NotComplexSafe, Values, slopes
from nnreg.gradreport import GradientReport, Row
from nnreg.kernels import Array
from nnreg.layers import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty

ENTRIES = 5_000
SMALL_BLOCK = 64
DIRECTIONS = 8


@dataclass
class Subject:
    """Whatever is checked, as functions of named blocks.

    Attributes
    ----------
    name : str
    blocks : dict of block to ndarray, float64
        The point.
    gradients : dict of quantity to dict of block to ndarray
        What the backward pass says.
    values : function (block, array) -> dict of quantity to scalar
        The quantities, with one block replaced by an array, real or complex.
    """

    name: str
    blocks: dict[str, Array]
    gradients: dict[str, dict[str, Array]]
    values: Callable[[str, Array], Values]
    notes: list[str] = field(default_factory=list)


def check_gradients(
    subject: Network | Layer | Loss | Penalty,
    *arguments: Any,
    method: str = "complex",
    seed: int = 0,
) -> GradientReport:
    """Compare every derivative that ``subject`` computes with a measured one.

    ``check_gradients(net, x, y, loss)``
        By every parameter and by the inputs, in training mode, of the data loss, the penalty and
        the total apart. The masks of dropout are frozen: all passes are replays of the step that
        comes next.
    ``check_gradients(layer, x)``
        By the parameters and the inputs, of ``Σ r·y`` with a random ``r``.
    ``check_gradients(loss, outputs, targets)``
        By the outputs.
    ``check_gradients(penalty, w)``
        By the weights.

    Parameters
    ----------
    subject : Network, Layer, Loss or Penalty
        It is left as it is, to the bit: copies are checked, in float64.
    *arguments
        As above.
    method : {"complex", "central", "richardson"}, default "complex"
        See :mod:`nnreg.differences`. A function that is not complex-safe falls back to
        ``"richardson"``, and a disagreement of the complex step is believed only if
        ``"richardson"`` confirms it; the report says so.
    seed : int, default 0
        For ``r`` and the directions.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> import nnreg as nn
    >>> class Square(nn.Layer):
    ...     def forward(self, x, cache):
    ...         cache.x = x
    ...         return x**2
    ...     def backward(self, dy, cache):
    ...         return dy * cache.x                              # the 2 is missing
    >>> nn.check_gradients(Square(), np.array([[3.0]])).assert_ok()
    Traceback (most recent call last):
        ...
    AssertionError: wrong gradient of Square():
    - the derivative of the output by inputs (1, 1) is off by a relative 5.0e-01, most at [0, 0]: \
backward says ..., richardson differentiation of forward says ... (ratio 0.5)
    """
    checks.one_of("method", method, differences.METHODS)
    rng = streams.generator(checks.whole("seed", seed), "check")
    made = _subject(subject, arguments, rng)
    report = GradientReport(made.name, notes=list(made.notes))
    for block, point in made.blocks.items():
        report.rows += _check_block(made, block, point, method, rng, report.notes)
    order = list(made.gradients)
    report.rows.sort(key=lambda row: order.index(row.quantity))
    return report


def _check_block(
    subject: Subject, block: str, point: Array, method: str, rng: Any, notes: list[str]
) -> list[Row]:
    """Compare one block, and give the complex step's verdict a second opinion where it is bad."""
    total = sum(values.size for values in subject.blocks.values())
    entries = total <= ENTRIES or point.size <= SMALL_BLOCK
    if entries:
        directions = list(np.eye(point.size).reshape(-1, *point.shape))
    else:
        directions = [rng.standard_normal(point.shape) for _ in range(DIRECTIONS)]
    try:
        rows = _compare(subject, block, point, directions, method, entries)
    except NotComplexSafe:
        note = f"{subject.name} cannot compute with complex numbers: checked by differences instead"
        if note not in notes:
            notes.append(note)
        return _compare(subject, block, point, directions, "richardson", entries)
    if method == "complex" and not all(row.passed for row in rows):
        second = _compare(subject, block, point, directions, "richardson", entries)
        if all(row.passed for row in second):
            notes.append(
                f"the complex step disagrees by {block}, real differences do not: "
                "the code is not complex-safe there, and differences count"
            )
        return [first if first.passed else other for first, other in zip(rows, second, strict=True)]
    return rows


def _compare(
    subject: Subject,
    block: str,
    point: Array,
    directions: list[Array],
    method: str,
    entries: bool,
) -> list[Row]:
    found = [
        slopes(lambda array: subject.values(block, array), point, direction, method)
        for direction in directions
    ]
    rows = []
    for quantity, gradients in subject.gradients.items():
        if block not in gradients:
            continue
        gradient = gradients[block]
        analytic = np.array([np.vdot(gradient, direction) for direction in directions])
        measured = np.array([slope[quantity][0] for slope in found])
        jumps = np.array([slope[quantity][1] for slope in found])
        difference = np.abs(analytic - measured)
        tolerance, floor = TOLERANCES[method], FLOORS[method]
        # Along a random direction the derivative is of the size of the gradient's norm.
        size = max(np.abs(measured).max(), np.linalg.norm(gradient) if not entries else 0.0, floor)
        kinks = (difference > tolerance * size) & (difference <= jumps)
        error = np.where(kinks, 0.0, difference) / size
        worst = int(np.argmax(np.where(np.isfinite(error), error, np.inf)))
        index = np.unravel_index(worst, point.shape) if entries else None
        rows.append(
            Row(
                quantity,
                block,
                point.shape,
                method,
                f"all {point.size}" if entries else f"{len(directions)} directions",
                float(error[worst]),
                None if index is None else tuple(int(i) for i in index),
                float(analytic[worst]),
                float(measured[worst]),
                int(kinks.sum()),
                bool(np.isfinite(error[worst]) and error[worst] <= tolerance),
            )
        )
    return rows


def _subject(subject: Any, arguments: tuple[Any, ...], rng: Any) -> Subject:
    wanted: tuple[type, int, str, Callable[..., Subject]]
    for wanted in (
        (Network, 3, "check_gradients(net, x, y, loss)", _network),
        (Layer, 1, "check_gradients(layer, x)", _layer),
        (Loss, 2, "check_gradients(loss, outputs, targets)", _loss),
        (Penalty, 1, "check_gradients(penalty, w)", _penalty),
    ):
        kind, count, call, make = wanted
        if isinstance(subject, kind):
            if len(arguments) != count:
                raise TypeError(f"call {call}, got {len(arguments)} arguments after the first")
            return make(subject, *arguments, rng=rng)
    raise TypeError(f"subject must be a Network, Layer, Loss or Penalty, got {subject!r}")


def _network(net: Network, x: Any, y: Any, loss: Loss, rng: Any) -> Subject:
    x = checks.matrix("x", x, net.inputs)
    y = loss.check_targets(y, net.widths[-1])
    checks.same_rows("y", y, "x", len(x))
    made = _propagated(net, x, y, loss)
    if net.dtype != np.float64:
        made.notes.append(f"a float64 copy of the {net.dtype} network was checked")
    return made


def _layer(layer: Layer, x: Any, rng: Any) -> Subject:
    """Put a copy of the layer into a network of its own, whose loss is a random projection."""
    x = checks.matrix("x", x)
    net = Network([layer.unbound()], inputs=x.shape[1], dtype="float64")
    for name in layer._bound or ():
        getattr(net.layers[0], name)[...] = getattr(layer, name)
    projection = _Projection(rng.standard_normal((len(x), net.widths[-1])))
    made = _propagated(net, x, np.zeros(len(x)), projection)
    full = {name.rpartition(".")[2]: name for name in made.blocks}
    gradients = made.gradients["data loss"]
    return Subject(
        repr(layer),
        {short: made.blocks[name] for short, name in full.items()},
        {"output": {short: gradients[name] for short, name in full.items()}},
        lambda block, array: {"output": made.values(full[block], array)["data loss"]},
    )


class _Projection(Loss):
    """``Σ r·z``: turns a layer's outputs into a scalar whose gradient by them is ``r``."""

    def __init__(self, weights: Array) -> None:
        self.weights = weights

    def compute(self, outputs: Array, targets: Array, *_: Any, **__: Any) -> tuple[Any, Array]:
        return (self.weights * outputs).sum(), self.weights


def _propagated(net: Network, x: Array, y: Array, loss: Loss) -> Subject:
    """Return a network, a batch and a loss as functions of the parameters and the inputs."""
    step = net.steps
    real = net.copy("float64")
    x = checks.cast("x", x, real.dtype)
    outputs, cache = real.forward(x, training=True, step=step)
    _, doutputs = loss.compute(outputs, y)
    gradient = real.backward(doutputs, cache)
    data = {name: gradient[name] for name in gradient}
    data["inputs"] = real.run_deltas(doutputs, cache, inputs=True).copy()
    penalty = real.parameters.like()
    real.add_penalty_gradient(penalty)
    gradients = {"data loss": data}
    if any(p.method != "proximal" for p, _, _ in real.penalized()):
        gradients["penalty"] = {n: penalty[n] for n in penalty}
        gradients["total"] = {n: data[n] + penalty[n] for n in penalty}
    moved = {"f": real, "c": net.copy("complex128")}
    caches = {kind: Cache(copied.dtype) for kind, copied in moved.items()}

    def values(block: str, array: Array) -> Values:
        kind = array.dtype.kind
        copied, inputs = moved[kind], x.astype(array.dtype)
        if block == "inputs":
            inputs = array
        else:
            copied.parameters[block][...] = array
        try:
            z = copied.run_forward(inputs, caches[kind], training=True, step=step)
            data_loss, penalty_value = loss.compute(z, y)[0], _smooth_penalty(copied)
        finally:
            if block != "inputs":
                copied.parameters[block][...] = blocks[block]
        return {
            "data loss": data_loss,
            "penalty": penalty_value,
            "total": data_loss + penalty_value,
        }

    blocks = {name: net.parameters[name].astype(np.float64) for name in net.parameters}
    return Subject("the network", blocks | {"inputs": x}, gradients, values)


def _smooth_penalty(net: Network) -> Any:
    """Return the value of the penalties that add to the gradient, complex if the parameters are."""
    return sum(
        penalty.value(net.parameters.vector[where].reshape(shape))
        for penalty, where, shape in net.penalized()
        if penalty.method != "proximal"
    )


def _loss(loss: Loss, outputs: Any, targets: Any, rng: Any) -> Subject:
    z = checks.cast("outputs", checks.matrix("outputs", outputs), np.dtype(np.float64))
    t = loss.check_targets(targets, z.shape[1])
    checks.same_rows("targets", t, "outputs", len(z))
    _, gradient = loss.compute(z, t)
    return Subject(
        repr(loss),
        {"outputs": z},
        {"loss": {"outputs": np.array(gradient)}},
        lambda block, array: {"loss": loss.compute(array, t)[0]},
    )


def _penalty(penalty: Penalty, w: Any, rng: Any) -> Subject:
    w = checks.numeric("w", w).astype(np.float64)
    checks.finite("w", w)
    gradient = np.empty_like(w)
    penalty.gradient(w.copy(), gradient)
    return Subject(
        repr(penalty),
        {"w": w},
        {"penalty": {"w": gradient}},
        lambda block, array: {"penalty": penalty.value(array)},
    )
