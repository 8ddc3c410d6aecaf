r"""The gradient check: the gradients of ``backward`` against numerical derivatives of ``forward``.

The training code itself is checked: inputs and parameters are changed by complex numbers
(:mod:`nnreg.gradcheck.numerical`), and the derivatives are compared. A pass means that the two
agree at this point, not that the forward pass is the intended one.

A problem of up to ``ENTRIES`` values is compared entry by entry. In a larger problem, small blocks
are compared entry by entry, other blocks along ``DIRECTIONS`` random directions: one complex
forward pass gives the whole directional derivative ``v·b`` of a block of any size. A wrong gradient
can pass there only by chance: if the block's gradient has the error ``e``, a vector, then along
direction ``v`` (independent standard normal entries) the error is ``e·v``, which is normal with
standard deviation ``‖e‖``. It is smaller than ``‖e‖/100`` with probability below 0.008; in all of 8
directions at once, with probability below 2e-17.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.gradcheck import numerical, subjects
from nnreg.gradcheck.functions import from_functions
from nnreg.gradcheck.numerical import (
    FLOOR,
    TOLERANCES,
    NotComplexSafe,
    Values,
    complex_steps,
    directional_derivatives,
)
from nnreg.gradcheck.report import ERROR_METRICS, GradientReport, Row
from nnreg.gradcheck.subjects import Problem
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
    gradients: Callable[[], Mapping[str, Array]] | Mapping[str, Array] | None = None,
    wrt: str | Sequence[str | None] | Mapping[str, str | None] | None = None,
    dtype: str | None = None,
    tolerance: float | None = None,
    error_metric: str | None = None,
    **named: Any,
) -> GradientReport:
    """Compare every derivative that ``subject`` computes with a numerical derivative.

    ``check_gradients(net, x, y, loss)``
        The derivatives of the data loss, the penalty and the total with respect to every parameter
        and the inputs, in training mode. The masks of dropout are frozen: all passes replay the
        next training step.
    ``check_gradients(layer, x)``
        The derivatives of ``Σ r·y``, with a random ``r``, with respect to the parameters and the
        inputs.
    ``check_gradients(loss, outputs, targets)``
        The derivative with respect to the outputs.
    ``check_gradients(penalty, w)``
        The derivative with respect to the weights.
    ``check_gradients(forward, backward, *arguments)``
        Functions that were not written for nnreg. ``forward(*arguments)`` returns the output, or
        ``(output, cache)``. How ``backward`` is called depends on its signature:
        ``backward(dout)``, ``backward(dout, cache)``, ``backward(dA, Z)``, ``backward(grad,
        learning_rate)`` with a rate of 0, or as the derivative ``f_prime(z)``. It returns the
        gradients in the order of the arguments, or a dictionary with the names of the arguments or
        ``d`` and these names.
    ``check_gradients(layer.forward, layer.backward, x)``
        An object with state. Attributes with a gradient attribute, such as ``W`` with ``dW``, are
        checked too; for other arrays pass ``parameters`` and ``gradients``.
    ``check_gradients(function, *arguments)``
        A function that returns ``(value, gradient)``, the value being one number.
    ``check_gradients(net, x, y)`` or ``check_gradients(net.loss, x, y)``
        An object whose ``loss(x, y)`` returns the value and the gradients with respect to its
        parameters, by name.

    Arguments and gradients may be arrays, numbers, or dictionaries, lists and objects that contain
    them; a block is then named by its expression, such as ``params["fc1"]["W"]``.

    Parameters
    ----------
    subject : Network, Layer, Loss, Penalty or callable
        It is not changed, nor are the arguments and the random generators. Networks and layers are
        checked as float64 copies.
    *arguments
        As above.
    method : {"complex", "central", "richardson"}, default "complex"
        See :mod:`nnreg.gradcheck.numerical`. For a function that is not complex-safe
        ``"richardson"`` is used, and a disagreement of the complex step counts only if
        ``"richardson"`` confirms it; the report has a note in both cases.
    seed : int, default 0
        For ``r`` and the directions.
    dropout : {"frozen", "off"}, default "frozen"
        ``"off"`` checks a network or layer with dropout as in inference mode. It is not the
        default: a check without a mask cannot find a wrong mask.
    parameters : mapping of str to ndarray, optional
        For an object with state: its parameter arrays.
    gradients : function () -> mapping of str to ndarray, or mapping, optional
        Returns their gradients, after ``backward``; or these gradients.
    wrt : str, sequence or mapping, optional
        With respect to which argument each returned gradient is the derivative, if it does not
        follow from names and positions: ``wrt=["y_pred"]``, or ``wrt={"delta": "W"}``. None
        excludes a gradient.
    dtype : {"float32", "float64"}, optional
        Functions are called with float64 arrays, and compared with ``TOLERANCES["float32"]`` if
        their values show that they compute in float32. With ``"float32"``, float32 arrays are
        passed without a cast.
    tolerance : float, optional
        The largest relative error that passes, instead of
        :data:`nnreg.gradcheck.numerical.TOLERANCES`.
    error_metric : {"cs231n", "deeplearning.ai", "allclose"}, optional
        Show the error measure of this course or framework too, and where its verdict differs.
    **named : object, optional
        Further arguments of the function, by name.

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
    - the derivative of the output with respect to inputs (1, 1) has the relative error 5.0e-01, \
largest at [0, 0]: backward returns 3.99..., complex differentiation of forward 7.99... (ratio 0.5)
    """
    validation.one_of("method", method, numerical.METHODS)
    validation.one_of("dropout", dropout, ["frozen", "off"])
    if error_metric is not None:
        validation.one_of("error_metric", error_metric, ERROR_METRICS)
    if dtype is not None:
        name = getattr(dtype, "__name__", None) or str(dtype)  # np.float32 is a class
        dtype = validation.one_of("dtype", name, ["float32", "float64"])
    if tolerance is not None:
        tolerance = validation.number("tolerance", tolerance, 0, open_low=True)
    rng = random.generator(validation.whole("seed", seed), "check")
    options = {"parameters": parameters, "gradients": gradients, "wrt": wrt, "dtype": dtype}
    options["named"] = named
    problem = make_problem(subject, arguments, rng, dropout, options)
    try:
        return _Check(problem, method, tolerance, rng).report(error_metric)
    finally:
        problem.close()


def assert_gradients(subject: Any, *arguments: Any, **options: Any) -> GradientReport:
    """Raise ``AssertionError`` with the whole report unless :func:`check_gradients` passes.

    For unit tests: pytest prints the report if a test fails.

    Parameters
    ----------
    subject, *arguments, **options
        As for :func:`nnreg.check_gradients`.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> import nnreg.testing
    >>> def test_sine():
    ...     nnreg.testing.assert_gradients(np.sin, lambda dout: dout * np.cos(1.0), np.ones(3))
    >>> test_sine()
    """
    report = check_gradients(subject, *arguments, **options)
    if not report.passed:
        raise AssertionError(f"wrong gradient of {report}")
    return report


def make_problem(
    subject: Any, arguments: tuple[Any, ...], rng: Any, dropout: str, options: dict[str, Any]
) -> Problem:
    """Return the gradients to check as a :class:`Problem`."""
    expected: tuple[type, int, str, Callable[..., Problem]]
    for expected in (
        (Network, 3, "check_gradients(net, x, y, loss)", subjects.of_network),
        (Layer, 1, "check_gradients(layer, x)", subjects.of_layer),
        (Loss, 2, "check_gradients(loss, outputs, targets)", subjects.of_loss),
        (Penalty, 1, "check_gradients(penalty, w)", subjects.of_penalty),
    ):
        kind, count, call, make = expected
        if isinstance(subject, kind):
            if len(arguments) != count:
                raise TypeError(f"call {call}, got {len(arguments)} arguments after the first")
            if any(isinstance(argument, Loss) for argument in arguments[:-1]):
                raise TypeError(f"call {call}, got the loss in another place")
            if options.get("named"):
                raise TypeError(f"call {call}, without {', '.join(options['named'])}=")
            return make(subject, *arguments, rng=rng, dropout=dropout)
    if not callable(subject) and callable(getattr(subject, "forward", None)):
        arguments = (subject.backward, *arguments)  # an object with the two methods
        subject = subject.forward
    elif not callable(subject) and callable(getattr(subject, "loss", None)):
        subject = subject.loss  # as in CS231n
    if not callable(subject) or isinstance(subject, type):
        got = repr(subject) if isinstance(subject, str) else f"a {type(subject).__name__}"
        cure = ""
        if isinstance(subject, type):
            name = subject.__name__
            got = f"the class {name}"
            cure = f". Make an object: check_gradients({name}(...), ...)"
        elif isinstance(subject, tuple):
            cure = (
                ", the result of a call. Pass the function and its arguments: "
                "check_gradients(net.loss, X, y)"
            )
        elif isinstance(subject, Mapping):
            cure = (
                ". Pass a function of the parameters that returns the cost and the gradients: "
                "check_gradients(f, parameters)"
            )
        raise TypeError(
            f"subject must be a Network, Layer, Loss, Penalty or a function, got {got}{cure}"
        )
    is_pair = bool(arguments) and callable(arguments[0])
    backward, rest = (arguments[0], arguments[1:]) if is_pair else (None, arguments)
    return from_functions(subject, backward, rest, rng=rng, **options)


class _Check:
    """The comparison of a problem's gradients with numerical derivatives."""

    def __init__(self, problem: Problem, method: str, tolerance: float | None, rng: Any) -> None:
        self.problem, self.tolerance, self.rng = problem, tolerance, rng
        self.method = "float32" if problem.single else method
        self.notes = list(problem.notes)
        self.size = sum(point.size for point in problem.blocks.values())
        self._value_at_point: Values | None = None

    def report(self, error_metric: str | None) -> GradientReport:
        """Compare every block of every quantity, and return the report."""
        rows, not_checked = [], dict(self.problem.not_checked)
        for block, point in self.problem.blocks.items():
            if point.size:
                rows += self._check_block(block)
            else:
                not_checked[block] = "it is empty"
        if not rows and not self.problem.unmatched:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in not_checked.items())
            raise ValueError(f"there is nothing to check: {reasons or 'no gradient'}")
        order = list(self.problem.gradients)
        rows.sort(key=lambda row: order.index(row.quantity))
        for row in rows:
            if not row.passed:
                row.note = self._explain(row)
        self.notes += [f"not checked, since {r}: {name}" for name, r in not_checked.items()]
        return GradientReport(
            self.problem.name,
            rows,
            self.notes,
            error_metric,
            not_checked | self.problem.unmatched,
            dict(self.problem.unmatched),
        )

    def _check_block(self, block: str) -> list[Row]:
        """Compare one block; errors of the complex step are confirmed by real differences."""
        shape, size = self.problem.blocks[block].shape, self.problem.blocks[block].size
        wrong_shape = [
            Row(quantity, block, shape, self.method, f"shape {gradients[block].shape}", 0.0, np.inf)
            for quantity, gradients in self.problem.gradients.items()
            if block in gradients and gradients[block].shape != shape
        ]
        if wrong_shape:
            return wrong_shape
        entrywise = self.size <= ENTRIES or size <= SMALL_BLOCK
        directions = self._directions(shape, entrywise)
        compare = partial(self._compare, block, directions, entrywise)
        rows, note = [], ""
        if self.method == "complex":
            try:
                rows = compare("complex")
                if all(row.passed for row in rows) and self._is_complex_safe(
                    rows, directions, entrywise
                ):
                    return rows
                note = (
                    f"complex and real differentiation with respect to {block} disagree; the real "
                    "differences are used"
                )
            except NotComplexSafe as reason:
                note = f"not complex-safe, checked by differences: {reason}"
        # Either the gradient is wrong, or the code is not complex-safe: real differences decide.
        by_differences = compare("richardson" if self.method == "complex" else self.method)
        if rows and all(_agree(a, b) for a, b in zip(rows, by_differences, strict=True)):
            return rows
        uncertain = any(not row.passed or row.kinks for row in by_differences)
        if uncertain and self.method != "float32" and self._computes_in_float32:
            return compare("float32")
        if note and note not in self.notes:
            self.notes.append(note)
        return by_differences

    @cached_property
    def _computes_in_float32(self) -> bool:
        result = self.problem.outputs is not None and computes_in_float32(self.problem)
        if result:
            self.notes.append(
                f"{self.problem.name} computes in float32 (a change of 1e-10 does not change its "
                f"output): the tolerance is {TOLERANCES['float32']:g}"
            )
        return result

    def _directions(self, shape: tuple[int, ...], entrywise: bool) -> Array:
        if entrywise:
            return _units(shape)
        rng = np.random.Generator(np.random.Philox(int(self.rng.integers(2**32))))
        return rng.standard_normal((DIRECTIONS, *shape))

    def _along(self, block: str, direction: Array, method: str) -> dict[str, tuple[float, float]]:
        is_checked = block in self.problem.blocks
        point = (self.problem.blocks if is_checked else self.problem.others)[block]
        values = partial(self.problem.values, block)
        if self._value_at_point is None:
            self._value_at_point = values(point.copy())
        return directional_derivatives(values, point, direction, method, self._value_at_point)

    def _is_complex_safe(self, rows: list[Row], directions: Array, entrywise: bool) -> bool:
        """Return whether complex and real differentiation agree along one random direction.

        Code may drop an imaginary part without a warning, as ``np.var`` and ``abs`` do. A backward
        pass in which the same term is missing would then agree with the complex step.
        """
        block, shape = rows[0].block, rows[0].shape
        direction = self.rng.standard_normal(shape) if entrywise else directions[0]
        by_differences = self._along(block, direction, "central")
        for row in rows:
            real, jump = by_differences[row.quantity]
            b = row.all_measured
            by_complex = b @ direction.ravel() if entrywise else b[0]
            if not abs(by_complex - real) <= jump + 1e-3 * max(abs(real), FLOOR):
                return False
        return True

    def _compare(self, block: str, directions: Array, entrywise: bool, method: str) -> list[Row]:
        """Return one row per quantity, with the block's analytic and numerical derivatives."""
        point = self.problem.blocks[block]
        derivatives: list[Any]
        if method == "complex":
            derivatives = complex_steps(partial(self.problem.values, block), point, directions)
        else:
            derivatives = [self._along(block, direction, method) for direction in directions]
        tolerance = TOLERANCES[method] if self.tolerance is None else self.tolerance
        points = f"all {point.size}" if entrywise else f"{DIRECTIONS} directions"
        rows = []
        for quantity, gradients in self.problem.gradients.items():
            if block not in gradients:
                continue
            a, norm = gradients[block].ravel(), 0.0
            if not entrywise:
                # Along a random direction a derivative is of the size of the gradient's norm.
                norm = float(np.linalg.norm(a))
                a = np.array([np.vdot(a, direction) for direction in directions])
            along = np.array([values[quantity] for values in derivatives])
            b, jumps = (along, 0.0) if method == "complex" else along.T
            size = max(float(np.abs(b).max()), norm, FLOOR)
            difference = np.abs(a - b)
            kinks = (difference > tolerance * size) & (difference <= jumps)
            difference[kinks] = 0.0
            worst = int(difference.argmax())
            error = float(difference[worst] / size)
            error = error if error < np.inf else np.inf  # not a number
            kink_count = int(kinks.sum())
            rows.append(
                Row(
                    quantity,
                    block,
                    point.shape,
                    method,
                    points,
                    tolerance,
                    error,
                    kink_count,
                    a,
                    b,
                    worst,
                )
            )
        return rows

    def _explain(self, row: Row) -> str:
        """Return a possible cause of a failure, if the numbers show one."""
        if row.block in self.problem.stale:
            return (
                f". forward does not use the array passed as parameters[{row.block!r}]: the object "
                "now has a different array; take it from the object when calling the check"
            )
        gradient = self.problem.gradients[row.quantity][row.block]
        if self.problem.outputs is None or not 0 < gradient.size <= SMALL_BLOCK:
            return ""
        for other, point in (self.problem.blocks | self.problem.others).items():
            if other == row.block or point.shape != gradient.shape:
                continue
            expected = [
                self._along(other, unit, "richardson")[row.quantity][0]
                for unit in _units(point.shape)
            ]
            size = max(float(np.abs(expected).max()), FLOOR)
            if (np.abs(gradient.ravel() - expected) <= 1e-6 * size).all():
                return (
                    f". It is the derivative with respect to {other}: if that is intended, write "
                    f"wrt={[other]}"
                )
        return ""


def _agree(complex_row: Row, real_row: Row) -> bool:
    """Return whether two numerical derivatives agree within the tolerance of the less accurate."""
    size = max(float(np.abs(real_row.all_measured).max()), FLOOR)
    difference = np.abs(complex_row.all_measured - real_row.all_measured)
    return bool((difference <= 10 * TOLERANCES["richardson"] * size).all())


def computes_in_float32(problem: Problem) -> bool:
    """Return whether code computes in single precision, as the outputs of forward show.

    In float64 a change of the inputs by a relative 1e-10 changes the outputs; a cast to float32
    removes it.
    """
    assert problem.outputs is not None
    out = problem.outputs(None, None)
    if out.dtype in (np.float32, np.float16, np.complex64):
        return True
    rng = np.random.default_rng(0)
    same = changed = 0
    for name, point in problem.blocks.items():
        for _ in range(2):
            direction = point * rng.uniform(0.5, 1.5, point.shape)
            fine = problem.outputs(name, point + 1e-10 * direction)
            moves = problem.outputs(name, point + 1e-3 * direction) != out
            changed += int(moves.sum())
            same += int((moves & (fine == out)).sum())
    return same > 0.5 * changed


def _units(shape: tuple[int, ...]) -> Array:
    """Return the directions of single entries, in flat order."""
    size = math.prod(shape)
    return np.eye(size).reshape(size, *shape)
