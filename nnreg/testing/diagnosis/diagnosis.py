"""Diagnosis: the known bug behind a wrong gradient.

:func:`diagnose` runs the gradient check. If it fails, :func:`diagnose` computes the right gradient
numerically at two random points, and searches the known bugs for a formula whose values equal those
that the code returns at both. If the check passes, it searches for side effects.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import labels, validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck import tree
from nnreg.gradcheck.calling import bind_arguments, bind_backward, name_of, names_of, output_of
from nnreg.gradcheck.check import check_gradients, make_problem
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty
from nnreg.testing.contract import ContractError, assert_layer_contract
from nnreg.testing.diagnosis import identify, samples
from nnreg.testing.diagnosis.samples import Call, GradientSample
from nnreg.testing.known_bugs import KNOWN_BUGS
from nnreg.testing.known_bugs.base import KnownBug, close
from nnreg.testing.known_bugs.gradients import coefficients

RIGHT = "The gradient is right at the points that were tried."


@dataclass(frozen=True)
class Diagnosis:
    """The result of :func:`diagnose`; it prints as text.

    Attributes
    ----------
    subject : str
        The name of the code.
    sentence : str
        A description of the error, or the statement that there is none.
    hint : str
        Advice on the cause; empty if no known bug matches.
    known_bug : KnownBug or None
    block : str or None
        The array whose gradient is wrong.
    right : bool
        Whether the gradient is right: for functions, the verdict of
        :func:`nnreg.check_gradients`; a layer of nnreg must also satisfy the layer contract.
    others : tuple of Diagnosis
        The diagnoses of further wrong gradients.

    Examples
    --------
    >>> Diagnosis("f", "dx has the wrong sign.", hint="Prediction minus target.")
    f: dx has the wrong sign.
      Hint: Prediction minus target.
    """

    subject: str
    sentence: str
    hint: str = ""
    known_bug: KnownBug | None = None
    block: str | None = None
    right: bool = False
    others: tuple[Diagnosis, ...] = field(default=())

    def __str__(self) -> str:
        lines = [f"{self.subject}: {self.sentence}"]
        if self.hint:
            lines.append(f"  Hint: {self.hint}")
        return "\n".join([*lines, *map(str, self.others)])

    __repr__ = __str__


def diagnose(
    subject: Network | Layer | Loss | Penalty | Callable[..., Any],
    *arguments: Any,
    seed: int = 0,
    parameters: Mapping[str, Array] | None = None,
    gradients: Callable[[], Mapping[str, Array]] | Mapping[str, Array] | None = None,
    wrt: str | Sequence[str | None] | Mapping[str, str | None] | None = None,
    **named: Any,
) -> Diagnosis:
    """Identify the bug of a wrong backward pass.

    The arguments are those of :func:`nnreg.check_gradients`, with few rows and columns, and
    different numbers of both: ``diagnose(layer, x)``, ``diagnose(loss, outputs, targets)``,
    ``diagnose(penalty, w)``, ``diagnose(net, x, y, loss)``, or, with functions that were not
    written for nnreg, ``diagnose(forward, backward, *arguments)``. The function is identified from
    its values and derivatives. The verdict is that of the check; a known bug is reported only if
    its formula gives the returned gradient at two random points near the arguments.

    Parameters
    ----------
    subject : Network, Layer, Loss, Penalty or callable
    *arguments
        As for :func:`nnreg.check_gradients`.
    seed : int, default 0
    parameters : mapping of str to ndarray, optional
        For an object with state, as for :func:`nnreg.check_gradients`.
    gradients, wrt, **named : optional
        As for :func:`nnreg.check_gradients`.

    Returns
    -------
    Diagnosis

    Examples
    --------
    >>> def affine_forward(x, w, b):
    ...     return x @ w + b, (x, w)
    >>> def affine_backward(dout, cache):
    ...     x, w = cache
    ...     return dout @ w.T, x.T @ dout, dout.mean(axis=0)
    >>> rng = np.random.default_rng(0)
    >>> x, w, b = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), np.zeros(3)
    >>> diagnose(affine_forward, affine_backward, x, w, b)
    affine_forward: db is the mean over the batch; it should be the sum.
      Hint: Only the loss divides by N, and dy already contains this 1/N: use sum, not mean.
    """
    seed = validation.whole("seed", seed)
    name = type(subject).__name__
    if isinstance(subject, Network):
        return _of_network(subject, *arguments, seed=seed)
    if isinstance(subject, Layer):
        diagnosis = _of_layer(subject, *arguments, seed=seed)
    elif isinstance(subject, Loss):
        diagnosis = _find_wrong_gradient(name, _calls_of_loss(subject, *arguments), seed)
    elif isinstance(subject, Penalty):
        diagnosis = _find_wrong_gradient(name, _calls_of_penalty(subject, *arguments), seed)
    else:
        pair = arguments[:1] if arguments and callable(arguments[0]) else ()
        backward = pair[0] if pair else None
        if not isinstance(subject, type):
            rest, parameters = bind_arguments(
                subject, backward, arguments[len(pair) :], named, parameters
            )
            arguments = (*pair, *rest)
        options = {"parameters": parameters, "gradients": gradients, "wrt": wrt}
        name, call = name_of(subject), Call(subject, arguments, options)
        diagnosis = _find_wrong_gradient(name, [call, call], seed)
        diagnosis = diagnosis or _find_side_effect(name, call, seed)
    return diagnosis or Diagnosis(name, RIGHT, right=True)


def _of_layer(layer: Layer, x: Any, *, seed: int) -> Diagnosis | None:
    x = validation.matrix("x", x).astype(np.float64)
    rng = random.generator(seed, "check")
    parameters = {
        name: np.array(getattr(layer, name), dtype=np.float64)
        if layer._bound
        else rng.standard_normal(parameter.shape)
        for name, parameter in layer.parameters(x.shape[1]).items()
    }
    more = (parameters,) if parameters else ()
    forward, backward = samples.as_functions(layer)
    try:
        calls = []
        # The second point has one row less, to distinguish N from other constants.
        for rows in (x, x[:-1] if len(x) > 2 else x):
            others = [samples.as_functions(layer, step)[0] for step in samples.OTHER_STEPS]
            masked = tuple(other(np.ones_like(rows), *more)[0] for other in others)
            calls.append(Call(forward, (backward, rows, *more), others=masked))
        wrong = _find_wrong_gradient(type(layer).__name__, calls, seed)
    except Exception:  # the layer may raise anything; its contract names the method
        broken = _find_broken_rule(layer, x)
        if broken is None:
            raise
        return broken
    return wrong or _find_broken_rule(layer, x)


def _find_broken_rule(layer: Layer, x: Array) -> Diagnosis | None:
    """Return the diagnosis of the rule of the layer contract that is violated, or None."""
    try:
        assert_layer_contract(lambda: copy.deepcopy(layer.clone()), inputs=x.shape[1], rows=len(x))
    except ContractError as error:
        return _of_code(type(layer).__name__, error.code, str(error))
    return None


def _calls_of_loss(loss: Loss, outputs: Any, targets: Any) -> list[Call]:
    z = validation.matrix("outputs", outputs).astype(np.float64)
    t = loss.check_targets(targets, z.shape[1])
    validation.same_rows("targets", t, "outputs", len(z))
    fewer = slice(0, -1) if len(z) > 2 else slice(None)
    return [Call(loss.compute, (z, t)), Call(loss.compute, (z[fewer], t[fewer]))]


def _calls_of_penalty(penalty: Penalty, w: Any) -> list[Call]:
    w = validation.numeric("w", w).astype(np.float64)
    with_zero = w.copy()
    with_zero.flat[0] = 0.0

    def value_and_gradient(w: Array) -> tuple[Any, Array]:
        gradient = np.empty(w.shape)
        if w.dtype.kind == "f":
            penalty.gradient(w.copy(), gradient)
        return penalty.value(w.copy()), gradient

    return [Call(value_and_gradient, (at,), penalty=True) for at in (with_zero, w)]


def _find_wrong_gradient(name: str, calls: list[Call], seed: int) -> Diagnosis | None:
    """Return the diagnosis if the check of the first call fails, None if it passes."""
    call, rng = calls[0], random.generator(seed, "check")
    report = check_gradients(call.subject, *call.arguments, seed=seed, **call.options)
    failed = {row.block: row.sentence() for row in report.rows if not row.passed}
    if report.passed:
        return None
    if not failed:
        gradient, reason = next(iter(report.unmatched.items()))
        return Diagnosis(name, f"A gradient was not checked: {gradient}: {reason}.", block=gradient)
    methods = {row.block: row.method for row in report.rows}
    points = [samples.draw_samples(call, methods, rng) for call in calls]
    wrong = [
        _explain(name, block, failed[block[0].block])
        for block in zip(*points, strict=True)
        if block[0].block in failed
    ]
    return replace(wrong[0], others=tuple(wrong[1:]))


def _of_network(net: Network, x: Any, y: Any, loss: Loss, *, seed: int) -> Diagnosis:
    """Diagnose the layers, the loss and the penalties one by one, then the whole network."""
    copied, cache = net.copy("float64"), Cache("float64")
    outputs = validation.matrix("x", x, net.inputs).astype(np.float64)
    rng = random.generator(seed, "check")
    parts: list[tuple[str, tuple[Any, ...]]] = []
    for layer in copied.layers:
        # At zeros alone, which another rectifier may leave, a rectifier has no derivative.
        at = outputs if outputs.any() else samples.replace_near_zero(outputs, rng)
        parts.append((layer.name, (layer, at)))
        layer_cache = cache[layer.name]
        layer_cache.reset(training=True, step=net.steps)
        outputs = layer.forward(outputs.copy(), layer_cache).copy()
    if net.classes is not None:
        y = labels.number_labels("y", y, net.classes, net.widths[-1])
        net = net.copy()
        net.classes = None
    parts.append(("the loss", (loss, outputs, y)))
    for penalty, where, shape in copied.regularization.penalties:
        parts.append(("the penalty", (penalty, copied.parameters.vector[where].reshape(shape))))
    for name, part in parts:
        diagnosis = diagnose(*part, seed=seed)
        if not diagnosis.right:
            return replace(diagnosis, subject=f"{name}, {diagnosis.subject}")
    name = type(net).__name__
    rows = [row for row in check_gradients(net, x, y, loss).rows if not row.passed]
    if not rows:
        return Diagnosis(name, RIGHT, right=True)
    code = ""
    if penalty_rows := [row for row in rows if row.quantity == "penalty"]:
        returned = np.concatenate([row.all_analytic for row in penalty_rows])
        right = np.concatenate([row.all_measured for row in penalty_rows])
        if any(not net.parameters.declared[row.block].weight for row in penalty_rows):
            code = "on biases"
        elif not returned.any():
            code = "not added"
        elif close(returned, returned[0] / right[0] * right):
            code = "divided"
    elif all(row.quantity == "total" for row in rows):
        code = "overwrites"
    if code:
        return _of_code(name, f"penalty: {code}", "")
    return Diagnosis(
        name,
        "Layers, loss and penalties are right; their combination in the network is wrong: "
        f"{rows[0].sentence()}.",
        block=rows[0].block,
    )


def _of_code(name: str, code: str, sentence: str) -> Diagnosis:
    """Return the diagnosis of a bug without a formula."""
    for bug in KNOWN_BUGS.values():
        if bug.code == code:
            return Diagnosis(name, bug.description, bug.hint, bug)
    return Diagnosis(name, sentence)


def _explain(name: str, points: tuple[GradientSample, ...], sentence: str) -> Diagnosis:
    """Return the known bug with the gradients returned at all points, or the differences."""
    first = points[0]
    block = first.block
    wrong = next((sample for sample in points if not sample.right), None)
    for bug in _candidates(first) if wrong else ():
        if all(bug.explains(sample.point, sample.returned) for sample in points):
            gradient = GRADIENTS.get(block, f"d{block}")
            gradient = (
                gradient if gradient.isidentifier() else f"the gradient with respect to {block}"
            )
            pattern = rf"\b{GRADIENTS.get(bug.block, 'dw')}\b"
            text = re.sub(pattern, lambda _: gradient, bug.description)  # noqa: B023  # used at once
            text = text[0].upper() + text[1:] if text.startswith("the ") else text
            if bug.name.startswith("gradient: penalty") and (
                k := coefficients(first.point, first.returned)[1]
            ):
                text += f" The difference is {k:.4g} times {block}."
            return Diagnosis(name, text, bug.hint, bug, block)
    difference = describe_difference(wrong.returned, wrong.point.right) if wrong else sentence
    return Diagnosis(
        name,
        f"The gradient with respect to {block} is wrong, and no known bug matches: {difference}.",
        block=block,
    )


#: The names of the gradients in the descriptions.
GRADIENTS: dict[str | None, str] = {"weight": "dw", "bias": "db", "inputs": "dx"}


def _candidates(sample: GradientSample) -> Iterator[KnownBug]:
    """Yield the bugs of the sample's subject, family and role, the more specific first."""
    families = [sample.subject, sample.family]
    if sample.family == "any activation":
        families.append("any layer")
    if "any layer" in families:
        families.append("any gradient")
    # Bugs of weights are possible for any parameter of an unknown layer.
    blocks = (None, "weight" if sample.role == "parameter" else sample.role, sample.role)
    for family in families:
        for bug in KNOWN_BUGS.values():
            if bug.subject == family and bug.block in blocks:
                yield bug


def describe_difference(returned: Array, right: Array) -> str:
    """Return, in a sentence, how ``returned`` differs from ``right``.

    >>> describe_difference(np.array([3.0, 6.0]), np.array([1.0, 2.0]))
    'every entry is 3 times the right one'
    >>> describe_difference(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    '1 of 3 entries is wrong, at [2]'
    """
    if returned.shape != right.shape:
        return f"it has the shape {returned.shape}, and should have {right.shape}"
    if not np.isfinite(returned).all():
        return "it has entries that are not finite numbers"
    size = float(np.abs(right).max(initial=0.0)) or 1.0
    wrong = np.abs(returned - right) > 1e-6 * size
    nonzero = np.abs(right) > 1e-9 * size
    if returned[~nonzero].any():
        return "entries that should be zero are not"
    ratio = np.divide(returned, right, out=np.ones_like(right), where=nonzero)
    if _constant(ratio):
        return f"every entry is {ratio.flat[0]:.6g} times the right one"
    if ratio.ndim == 2:
        for name, lines in (("row", ratio), ("column", ratio.T)):
            if all(_constant(line) for line in lines):
                factors = ", ".join(f"{line[0]:.4g}" for line in lines[:6])
                return f"the factor differs by {name}: {factors}" + ", ..." * (len(lines) > 6)
    count = int(wrong.sum())
    if count == 1:
        where = [int(i) for i in np.argwhere(wrong)[0]]
        return f"1 of {wrong.size} entries is wrong, at {where}"
    return (
        f"{count} of {wrong.size} entries are wrong; they are {ratio[wrong].min():.4g} to "
        f"{ratio[wrong].max():.4g} times the right ones"
    )


def _constant(values: Array) -> bool:
    return bool(np.ptp(values) <= 1e-6 * max(float(np.abs(values).max()), 1e-12))


def _find_side_effect(name: str, call: Call, seed: int) -> Diagnosis | None:
    """Return the rule that a pair of functions with a right gradient violates, or None.

    They must not change ``dout`` or the arrays with respect to which derivatives are computed; and
    the derivative of a rectifier at exactly zero must be the left derivative.
    """
    forward, arguments = call.subject, call.arguments
    if not arguments or not callable(arguments[0]):
        return None
    problem = make_problem(
        forward, arguments, random.generator(seed, "check"), "frozen", call.options
    )
    problem.close()
    backward, before, copied = arguments[0], arguments[1:], list(copy.deepcopy(arguments[1:]))
    owners = [getattr(function, "__self__", None) for function in (forward, backward)]
    names = names_of(forward, len(copied))
    snapshot = Snapshot(*owners, forward, backward)

    def run() -> tuple[Array, Array, Any]:
        result = forward(*copied)
        y = output_of(result, owners[0], name)
        call_backward, _ = bind_backward(forward, backward, copied, names, result, y)
        dy = np.ones_like(y, dtype=np.float64)
        return y, dy, call_backward(dy)

    code = ""
    try:
        y, dy, _ = run()
        paths = problem.paths.values()
        if not all(np.array_equal(tree.get(copied, p), tree.get(before, p)) for p in paths):
            code = "changes x"
        elif not (dy == 1).all():
            code = "changes dy"
        elif copied and (slope := _rectifier_slope(np.asarray(copied[0]), y)) is not None:
            copied[0][...] = 0.0
            dx = run()[2]
            dx = np.asarray(dx[0] if isinstance(dx, tuple) else dx)
            code = "" if close(dx, np.full(copied[0].shape, slope)) else "at zero"
    finally:
        snapshot.restore(everything=True)
    if not code:
        return None
    diagnosis = _of_code(name, code, "")
    return replace(diagnosis, sentence=f"{RIGHT[:-1]}, but: {diagnosis.sentence}", right=True)


def _rectifier_slope(x: Array, y: Array) -> float | None:
    """Return the slope to the left of zero, if ``y`` is a rectifier of ``x``."""
    if x.shape != y.shape or x.dtype.kind != "f" or not (x < 0).any():
        return None
    subject, constant = identify.activation(x, y, y / np.where(x == 0, 1.0, x))
    return constant if subject in ("ReLU", "LeakyReLU", "ELU") else None
