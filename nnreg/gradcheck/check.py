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

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.gradcheck import numerical, subjects
from nnreg.gradcheck.functions import foreign
from nnreg.gradcheck.numerical import FLOORS, TOLERANCES, NotComplexSafe, directional_derivatives
from nnreg.gradcheck.report import ERROR_METRICS, GradientReport, Row
from nnreg.gradcheck.subjects import Subject
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty

ENTRIES = 5_000
SMALL_BLOCK = 64
DIRECTIONS = 8


def check_gradients(
    subject: Network | Layer | Loss | Penalty | Callable[..., Any],
    *arguments: Any,
    method: str = "complex",
    seed: int = 0,
    dropout: str = "frozen",
    parameters: Mapping[str, Array] | None = None,
    gradients: Callable[[], Mapping[str, Array]] | None = None,
    error_metric: str | None = None,
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
    ``check_gradients(forward, backward, *arguments)``
        Code that was never written for this check: ``forward(*arguments)`` returns the output, or
        the pair ``(output, cache)``; ``backward(dout)``, or ``backward(dout, cache)``, returns the
        gradients by the floating-point arrays among the arguments, in order, or in a dictionary
        with their names or ``d`` and their names. Other arguments are passed on.
    ``check_gradients(layer.forward, layer.backward, x, parameters={"W": layer.W}, \
    gradients=lambda: {"W": layer.dW})``
        The same for an object with state.
    ``check_gradients(function, *arguments)``
        A function that returns ``(scalar, gradient)``.

    Parameters
    ----------
    subject : Network, Layer, Loss, Penalty or callable
        It is left as it is, to the bit, and so are the arguments and every generator. Networks and
        layers are checked as float64 copies.
    *arguments
        As above.
    method : {"complex", "central", "richardson"}, default "complex"
        See :mod:`nnreg.gradcheck.numerical`. A function that is not complex-safe falls back to
        ``"richardson"``, and a disagreement of the complex step is believed only if
        ``"richardson"`` confirms it; the report says so.
    seed : int, default 0
        For ``r`` and the directions.
    dropout : {"frozen", "off"}, default "frozen"
        ``"off"`` checks a network or layer with dropout as it is in inference. That has to be
        asked for: a check that never sees a mask cannot find a wrong one.
    parameters : mapping of str to ndarray, optional
        For an object with state: the arrays that it holds.
    gradients : function () -> mapping of str to ndarray, optional
        Returns their gradients, after ``backward``.
    error_metric : {"cs231n", "deeplearning.ai", "allclose"}, optional
        Show this course's or framework's measure too, and where its verdict differs.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        If the arguments do not fit the subject.

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
backward says 3.99..., complex differentiation of forward says 7.99... (ratio 0.5)
    """
    validation.one_of("method", method, numerical.METHODS)
    validation.one_of("dropout", dropout, ["frozen", "off"])
    if error_metric is not None:
        validation.one_of("error_metric", error_metric, ERROR_METRICS)
    rng = random.generator(validation.whole("seed", seed), "check")
    made = _subject(subject, arguments, rng, dropout, parameters, gradients)
    report = GradientReport(made.name, notes=list(made.notes), error_metric=error_metric)
    for block in made.blocks:
        report.rows += _check_block(made, block, method, rng, report.notes)
    order = list(made.gradients)
    report.rows.sort(key=lambda row: order.index(row.quantity))
    return report


def _check_block(
    subject: Subject, block: str, method: str, rng: Any, notes: list[str]
) -> list[Row]:
    """Compare one block, with a second opinion where the complex step finds it wrong."""
    seed = rng.integers(2**32)
    shape = subject.blocks[block].shape
    misshapen = [
        Row.misshapen(quantity, block, shape, method, gradients[block].shape)
        for quantity, gradients in subject.gradients.items()
        if block in gradients and gradients[block].shape != shape
    ]
    if misshapen:
        return misshapen
    if method != "complex":
        return _compare(subject, block, method, seed)
    try:
        rows = _compare(subject, block, "complex", seed)
    except NotComplexSafe as reason:
        rows = []
        note = f"not complex-safe, checked by differences: {reason}"
    if rows and all(row.passed for row in rows) and _complex_safe(subject, block, seed):
        return rows
    # Either the gradient is wrong, or the code treats complex numbers wrongly: real ones decide.
    second = _compare(subject, block, "richardson", seed)
    if rows and all(_agree(a, b) for a, b in zip(rows, second, strict=True)):
        return rows
    if rows:
        note = f"by {block} complex and real differentiation disagree; the real one counts"
    if note not in notes:
        notes.append(note)
    return second


def _complex_safe(subject: Subject, block: str, seed: int) -> bool:
    """Return whether both ways of differentiating agree along one random direction.

    Code may drop an imaginary part without a word, as ``np.var`` and ``abs`` do. A backward pass
    that forgets the same term would then agree with the complex step.
    """
    point = subject.blocks[block]
    direction = np.random.Generator(np.random.Philox(seed)).standard_normal(point.shape)
    by_complex = directional_derivatives(
        lambda a: subject.values(block, a), point, direction, "complex"
    )
    by_real = directional_derivatives(
        lambda a: subject.values(block, a), point, direction, "central"
    )
    return all(
        abs(by_complex[quantity][0] - real) <= jump + 1e-3 * max(abs(real), FLOORS["central"])
        for quantity, (real, jump) in by_real.items()
    )


def _agree(complex_row: Row, real_row: Row) -> bool:
    """Return whether two measurements of one derivative are the same, to the worse's accuracy."""
    size = max(float(np.abs(real_row.all_measured).max()), FLOORS["richardson"])
    apart = np.abs(complex_row.all_measured - real_row.all_measured)
    return bool((apart <= 10 * TOLERANCES["richardson"] * size).all())


def _compare(subject: Subject, block: str, method: str, seed: int) -> list[Row]:
    """Return a row a quantity: the block's analytic and measured derivatives side by side."""
    point = subject.blocks[block]
    entries = (
        sum(values.size for values in subject.blocks.values()) <= ENTRIES
        or point.size <= SMALL_BLOCK
    )
    directions = _units(point) if entries else _random(point, seed)
    analytic: dict[str, list[float]] = {quantity: [] for quantity in subject.gradients}
    found = []
    for direction in directions:
        found.append(
            directional_derivatives(lambda a: subject.values(block, a), point, direction, method)
        )
        for quantity, gradients in subject.gradients.items():
            if block in gradients:
                analytic[quantity].append(float(np.vdot(gradients[block], direction)))
    return [
        _row(
            quantity,
            block,
            point.shape,
            method,
            np.array(values),
            np.array([slope[quantity] for slope in found]),
            # Along a random direction a derivative is of the size of the gradient's norm.
            None if entries else float(np.linalg.norm(subject.gradients[quantity][block])),
        )
        for quantity, values in analytic.items()
        if values
    ]


def _units(point: Array) -> Iterator[Array]:
    """Yield the directions of single entries, in flat order."""
    for place in range(point.size):
        unit = np.zeros(point.shape)
        unit.flat[place] = 1.0
        yield unit


def _random(point: Array, seed: int) -> Iterator[Array]:
    rng = np.random.Generator(np.random.Philox(seed))
    for _ in range(DIRECTIONS):
        yield rng.standard_normal(point.shape)


def _row(
    quantity: str,
    block: str,
    shape: tuple[int, ...],
    method: str,
    analytic: Array,
    found: Array,
    norm: float | None,
) -> Row:
    measured, jumps = found[:, 0], found[:, 1]
    tolerance, floor = TOLERANCES[method], FLOORS[method]
    difference = np.abs(analytic - measured)
    size = max(float(np.abs(measured).max()), norm or 0.0, floor)
    kinks = (difference > tolerance * size) & (difference <= jumps)
    error = np.where(kinks, 0.0, difference) / size
    worst = int(np.argmax(np.where(np.isfinite(error), error, np.inf)))
    return Row(
        quantity,
        block,
        shape,
        method,
        f"all {len(measured)}" if norm is None else f"{len(measured)} directions",
        float(error[worst]),
        tuple(int(i) for i in np.unravel_index(worst, shape)) if norm is None else None,
        float(analytic[worst]),
        float(measured[worst]),
        int(kinks.sum()),
        bool(np.isfinite(error[worst]) and error[worst] <= tolerance),
        analytic,
        measured,
    )


def _subject(
    subject: Any,
    arguments: tuple[Any, ...],
    rng: Any,
    dropout: str,
    parameters: Mapping[str, Array] | None,
    gradients: Callable[[], Mapping[str, Array]] | None,
) -> Subject:
    wanted: tuple[type, int, str, Callable[..., Subject]]
    for wanted in (
        (Network, 3, "check_gradients(net, x, y, loss)", subjects.of_network),
        (Layer, 1, "check_gradients(layer, x)", subjects.of_layer),
        (Loss, 2, "check_gradients(loss, outputs, targets)", subjects.of_loss),
        (Penalty, 1, "check_gradients(penalty, w)", subjects.of_penalty),
    ):
        kind, count, call, make = wanted
        if isinstance(subject, kind):
            if len(arguments) != count:
                raise TypeError(f"call {call}, got {len(arguments)} arguments after the first")
            return make(subject, *arguments, rng=rng, dropout=dropout)
    if not callable(subject) or isinstance(subject, type):
        raise TypeError(
            f"subject must be a Network, Layer, Loss, Penalty or a function, got {subject!r}"
        )
    pair = bool(arguments) and callable(arguments[0])
    backward, rest = (arguments[0], arguments[1:]) if pair else (None, arguments)
    return foreign(subject, backward, rest, parameters, gradients, rng)
