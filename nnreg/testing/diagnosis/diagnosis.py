"""Diagnosis: the known bug behind a wrong gradient.

:func:`diagnose` runs the gradient check. Where it fails, it measures the right gradient at two
random points and looks among the known bugs for the formula that gives, digit by digit, what the
code returns at both. Where the check passes, it looks for side effects.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck import tree
from nnreg.gradcheck.calling import bind_backward, name_of, names_of, output_of
from nnreg.gradcheck.check import check_gradients, make_problem
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.gradcheck.subjects import Problem
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty
from nnreg.testing.contract import ContractError, assert_layer_contract
from nnreg.testing.diagnosis import identify, samples
from nnreg.testing.diagnosis.samples import GradientSample
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
        What is wrong, or that nothing is.
    hint : str
        Advice on the cause; empty where no known bug matches.
    known_bug : KnownBug or None
    block : str or None
        Whose gradient is wrong.
    right : bool
        Whether nothing wrong was found.
    others : tuple of Diagnosis
        The same for further gradients that are wrong.

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
    gradients: Callable[[], Mapping[str, Array]] | None = None,
    wrt: str | Sequence[str | None] | Mapping[str, str | None] | None = None,
) -> Diagnosis:
    """Identify the bug of a wrong backward pass.

    Call it as :func:`nnreg.check_gradients` is called, with few rows and columns, and different
    numbers of them: ``diagnose(layer, x)``, ``diagnose(loss, outputs, targets)``,
    ``diagnose(penalty, w)``, ``diagnose(net, x, y, loss)``, or with functions that were never
    written for nnreg, ``diagnose(forward, backward, *arguments)``. The
    function is identified from its values and derivatives. The verdict is that of the check; a
    known bug is named only if its formula gives the returned gradient at two random points near the
    arguments, so that the hint, followed, gives the right gradient.

    Parameters
    ----------
    subject : Network, Layer, Loss, Penalty or callable
    *arguments
        As for :func:`nnreg.check_gradients`.
    seed : int, default 0
    parameters : mapping of str to ndarray, optional
        For an object with state, as for :func:`nnreg.check_gradients`.
    gradients, wrt : optional
        Likewise.

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
      Hint: Only the loss divides by N, and dy has that 1/N in it already: use sum, not mean.
    """
    rng = random.generator(validation.whole("seed", seed), "check")
    if isinstance(subject, Network):
        return _of_network(subject, *arguments, seed=seed)
    kinds: tuple[tuple[type, Callable[..., Diagnosis]], ...]
    kinds = ((Layer, _of_layer), (Loss, _of_loss), (Penalty, _of_penalty))
    for kind, of_kind in kinds:
        if isinstance(subject, kind):
            return of_kind(subject, *arguments, rng=rng)
    if not callable(subject) or isinstance(subject, type):
        raise TypeError(
            f"subject must be a Network, Layer, Loss, Penalty or a function, got {subject!r}"
        )
    options = {"parameters": parameters, "gradients": gradients, "wrt": wrt}
    return _of_functions(subject, arguments, options, seed, rng)


def _of_functions(
    subject: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    seed: int,
    rng: Any,
) -> Diagnosis:
    name = name_of(subject)
    report = check_gradients(subject, *arguments, seed=seed, **options)
    failed = {row.block: row for row in report.rows if not row.passed}
    problem = make_problem(subject, arguments, rng, "frozen", options)
    problem.close()
    if report.passed and arguments and callable(arguments[0]):
        code = check_functions(subject, arguments, problem)
        return _of_code(name, code, "") if code else Diagnosis(name, RIGHT, right=True)
    if report.passed:
        return Diagnosis(name, RIGHT, right=True)
    if not failed:
        gradient, reason = next(iter(report.unmatched.items()))
        return Diagnosis(name, f"A gradient was not checked: {gradient}: {reason}.", block=gradient)
    points = [
        samples.of_functions(subject, arguments, options, problem.paths, rng) for _ in range(2)
    ]
    blocks = [list(block) for block in zip(*points, strict=True) if block[0].block in failed]
    wrong = [_explain(name, block, failed[block[0].block].sentence()) for block in blocks]
    return replace(wrong[0], others=tuple(wrong[1:]))


def _of_layer(layer: Layer, x: Any, *, rng: Any) -> Diagnosis:
    x = validation.matrix("x", x).astype(np.float64)
    name = type(layer).__name__
    # The second point has a row less, so that N and another number are not taken for each other.
    batches = (x, x[:-1] if len(x) > 2 else x)
    try:
        diagnosis = _explain_all(name, [samples.of_layer(layer, batch, rng) for batch in batches])
    except Exception:  # the layer may raise anything; its contract says in which method
        broken = _find_broken_rule(layer, x)
        if broken is None:
            raise
        return broken
    return diagnosis or _find_broken_rule(layer, x) or Diagnosis(name, RIGHT, right=True)


def _find_broken_rule(layer: Layer, x: Array) -> Diagnosis | None:
    """Return the rule of the layer contract that is broken, or None."""
    try:
        assert_layer_contract(lambda: copy.deepcopy(layer.clone()), inputs=x.shape[1], rows=len(x))
    except ContractError as error:
        return _of_code(type(layer).__name__, error.code, str(error))
    return None


def _of_loss(loss: Loss, outputs: Any, targets: Any, *, rng: Any) -> Diagnosis:
    z = validation.matrix("outputs", outputs).astype(np.float64)
    t = loss.check_targets(targets, z.shape[1])
    validation.same_rows("targets", t, "outputs", len(z))
    name, fewer = type(loss).__name__, slice(0, -1) if len(z) > 2 else slice(None)
    points = [samples.of_loss(loss, z[rows], t[rows], rng) for rows in (slice(None), fewer)]
    return _explain_all(name, points) or Diagnosis(name, RIGHT, right=True)


def _of_penalty(penalty: Penalty, w: Any, *, rng: Any) -> Diagnosis:
    w = validation.numeric("w", w).astype(np.float64)
    with_zero = w.copy()
    with_zero.flat[0] = 0.0
    name = type(penalty).__name__
    points = [samples.of_penalty(penalty, at, rng) for at in (w, w, with_zero)]
    return _explain_all(name, points) or Diagnosis(name, RIGHT, right=True)


def _of_network(net: Network, x: Any, y: Any, loss: Loss, *, seed: int) -> Diagnosis:
    """Look at the layers, the loss and the penalties one by one, then at what the network adds."""
    copied, cache = net.copy("float64"), Cache("float64")
    outputs = validation.matrix("x", x, net.inputs).astype(np.float64)
    parts: list[tuple[str, tuple[Any, ...]]] = []
    for layer in copied.layers:
        parts.append((layer.name, (layer, outputs)))
        own = cache[layer.name]
        own.reset(training=True, step=net.steps)
        outputs = layer.forward(outputs.copy(), own).copy()
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
    penalty_rows = [row for row in rows if row.quantity == "penalty"]
    if any(not net.parameters.declared[row.block].weight for row in penalty_rows):
        return _of_code(name, "penalty: on biases", "")
    if penalty_rows:
        returned = np.concatenate([row.all_analytic for row in penalty_rows])
        right = np.concatenate([row.all_measured for row in penalty_rows])
        if not returned.any():
            return _of_code(name, "penalty: not added", "")
        if close(returned, returned[0] / right[0] * right):
            return _of_code(name, "penalty: divided", "")
    elif all(row.quantity == "total" for row in rows):
        return _of_code(name, "penalty: overwrites", "")
    return Diagnosis(
        name,
        "Layers, loss and penalties are right one by one; the network joins them wrongly: "
        f"{rows[0].sentence()}.",
        block=rows[0].block,
    )


def _of_code(name: str, code: str, sentence: str) -> Diagnosis:
    """Return the diagnosis of what is no formula."""
    for bug in KNOWN_BUGS.values():
        if bug.code == code:
            return Diagnosis(name, bug.description, bug.hint, bug)
    return Diagnosis(name, sentence)


def _explain_all(name: str, points: list[list[GradientSample]]) -> Diagnosis | None:
    """Return what is wrong with the gradients, or None; one list of samples a point."""
    wrong = [
        _explain(name, list(block))
        for block in zip(*points, strict=True)
        if not all(e.right for e in block)
    ]
    return replace(wrong[0], others=tuple(wrong[1:])) if wrong else None


def _explain(name: str, block: list[GradientSample], sentence: str = "") -> Diagnosis:
    first = block[0]
    for bug in _suspects(first):
        if all(bug.explains(e.point, e.returned) for e in block):
            own = OWN_NAME.get(first.block, f"d{first.block}")
            own = own if own.isidentifier() else f"the gradient by {first.block}"
            pattern = rf"\b{OWN_NAME.get(bug.block, 'dw')}\b"
            text = re.sub(pattern, lambda _: own, bug.description)  # noqa: B023  # used at once
            text = text[0].upper() + text[1:] if text.startswith("the ") else text
            if "penalty" in bug.name and (sk := coefficients(first.point, first.returned)):
                text += f" The difference is {sk[1]:.4g} times {first.block}."
            return Diagnosis(name, text, bug.hint, bug, first.block)
    wrong = next((e for e in block if not e.right), None)
    difference = describe_difference(wrong.returned, wrong.point.right) if wrong else sentence
    return Diagnosis(
        name,
        f"The gradient by {first.block} is wrong, and no known bug matches: {difference}.",
        block=first.block,
    )


#: How the descriptions call the gradient by a block.
OWN_NAME: dict[str | None, str] = {"weight": "dw", "bias": "db", "inputs": "dx"}


def _suspects(e: GradientSample) -> Iterator[KnownBug]:
    """Yield the bugs that are possible there, the more specific first."""
    families = [e.subject, e.family]
    if e.family == "any activation":
        families.append("any layer")
    if "any layer" in families:
        families.append("any gradient")
    for family in families:
        for bug in KNOWN_BUGS.values():
            # A parameter of an unknown layer can be wrong as a weight can.
            fits = bug.block in (None, e.role) or (e.role == "parameter" and bug.block == "weight")
            if bug.subject == family and fits:
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
    judged = np.abs(right) > 1e-9 * size
    if returned[~judged].any():
        return "entries that should be zero are not"
    ratio = np.divide(returned, right, out=np.ones_like(right), where=judged)
    if _constant(ratio):
        return f"every entry is {ratio.flat[0]:.6g} times the right one"
    if ratio.ndim == 2:
        for words, lines in (("row", ratio), ("column", ratio.T)):
            if all(_constant(line) for line in lines):
                factors = ", ".join(f"{line[0]:.4g}" for line in lines[:6])
                return f"each {words} has its own factor: {factors}" + ", ..." * (len(lines) > 6)
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


def check_functions(
    forward: Callable[..., Any], arguments: tuple[Any, ...], problem: Problem
) -> str | None:
    """Return the code of the rule that a pair of functions with a right gradient breaks, or None.

    They must not change the arrays that are differentiated by, or ``dout``; and the derivative of a
    rectifier at exactly zero is the one to the left.
    """
    backward, given = arguments[0], list(copy.deepcopy(arguments[1:]))
    owners = [getattr(function, "__self__", None) for function in (forward, backward)]
    names = names_of(forward, len(given))
    snapshot = Snapshot(*owners, forward, backward)
    watched = list(problem.paths.values())

    def run() -> tuple[Array, Array, Any]:
        result = forward(*given)
        y = output_of(result, owners[0], name_of(forward))
        call, _ = bind_backward(forward, backward, given, names, result, y)
        dy = np.ones_like(y, dtype=np.float64)
        return y, dy, call(dy)

    try:
        y, dy, _ = run()
        before = list(arguments[1:])
        if not all(np.array_equal(tree.get(given, p), tree.get(before, p)) for p in watched):
            return "changes x"
        if not (dy == 1).all():
            return "changes dy"
        slope = _rectifier_slope(np.asarray(given[0]), y) if given else None
        if slope is not None:
            given[0][...] = 0.0
            dx = run()[2]
            dx = np.asarray(dx[0] if isinstance(dx, tuple) else dx)
            if not close(dx, np.full(given[0].shape, slope)):
                return "at zero"
        return None
    finally:
        snapshot.restore(everything=True)


def _rectifier_slope(x: Array, y: Array) -> float | None:
    """Return the slope to the left of zero, if ``y`` is a rectifier of ``x``."""
    if x.shape != y.shape or x.dtype.kind != "f" or not (x < 0).any():
        return None
    subject, constant = identify.activation(x, y, y / np.where(x == 0, 1.0, x))
    return constant if subject in ("ReLU", "LeakyReLU", "ELU") else None
