"""From a wrong gradient to the mistake behind it.

``diagnose`` measures the right gradient and looks in the gallery for the wrong formula that gives,
digit by digit, what the code returns. It does so at two random points, so that a coincidence is not
taken for an explanation. Where the gradient is right, it tries the layer's manners.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnreg import random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck.check import check_gradients
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty
from nnreg.testing.contract import ContractError, assert_layer_contract
from nnreg.testing.diagnosis import samples
from nnreg.testing.diagnosis.difference import describe_difference
from nnreg.testing.diagnosis.function_contract import check_functions
from nnreg.testing.diagnosis.samples import GradientSample
from nnreg.testing.known_bugs import KNOWN_BUGS
from nnreg.testing.known_bugs.base import KnownBug, close

RIGHT = "The gradient is right at the points that were tried."


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found out; it prints as text.

    Attributes
    ----------
    subject : str
        What was looked at.
    sentence : str
        What is wrong, or that nothing is.
    hint : str
        What a tutor would say; empty where no known mistake matches.
    mistake : KnownBug or None
        From the gallery.
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
) -> Diagnosis:
    """Say which mistake a wrong backward pass makes.

    Call it as :func:`nnreg.check_gradients` is called, with few rows and columns, and different
    numbers of them: ``diagnose(layer, x)``, ``diagnose(loss, outputs, targets)``,
    ``diagnose(penalty, w)``, ``diagnose(net, x, y, loss)``, or with functions that were never
    written for nnreg, ``diagnose(forward, backward, *arguments)``. Nothing has to be known of the
    code: what it computes is told from its numbers. The arguments are starting points; the gradient
    is compared at random points near them.

    Parameters
    ----------
    subject : Network, Layer, Loss, Penalty or callable
    *arguments
        As for :func:`nnreg.check_gradients`.
    seed : int, default 0
    parameters : mapping of str to ndarray, optional
        For an object with state, as for :func:`nnreg.check_gradients`.
    gradients : function () -> mapping of str to ndarray, optional
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
    pair = bool(arguments) and callable(arguments[0])
    backward, rest = (arguments[0], arguments[1:]) if pair else (None, arguments)
    points = [
        samples.of_functions(subject, backward, rest, parameters, gradients, rng) for _ in range(2)
    ]
    name = getattr(subject, "__qualname__", repr(subject)).rpartition("<locals>.")[2]
    judged = _judged(name, points)
    if judged is None and backward is not None:
        first = points[0][0]
        slope = first.point.constant if first.subject in ("ReLU", "LeakyReLU", "ELU") else None
        code = check_functions(subject, backward, rest, slope)
        judged = _behaviour(name, code, "") if code else None
    return judged or Diagnosis(name, RIGHT, right=True)


def _of_layer(layer: Layer, x: Any, *, rng: Any) -> Diagnosis:
    x = validation.matrix("x", x).astype(np.float64)
    name = type(layer).__name__
    # The second point has a row less, so that N and another number are not taken for each other.
    batches = (x, x[:-1] if len(x) > 2 else x)
    try:
        judged = _judged(name, [samples.of_layer(layer, batch, rng) for batch in batches])
    except Exception:
        broken = _broken(layer, x)  # says in which method it was, if it was the layer's fault
        if broken is None:
            raise
        return broken
    return judged or _broken(layer, x) or Diagnosis(name, RIGHT, right=True)


def _broken(layer: Layer, x: Array) -> Diagnosis | None:
    """Return which promise of the layers' contract is broken, if one is."""
    try:
        assert_layer_contract(lambda: copy.deepcopy(layer.clone()), inputs=x.shape[1], rows=len(x))
    except ContractError as error:
        return _behaviour(type(layer).__name__, error.code, str(error))
    return None


def _of_loss(loss: Loss, outputs: Any, targets: Any, *, rng: Any) -> Diagnosis:
    z = validation.matrix("outputs", outputs).astype(np.float64)
    t = loss.check_targets(targets, z.shape[1])
    validation.same_rows("targets", t, "outputs", len(z))
    name, fewer = type(loss).__name__, slice(0, -1) if len(z) > 2 else slice(None)
    points = [samples.of_loss(loss, z[rows], t[rows], rng) for rows in (slice(None), fewer)]
    return _judged(name, points) or Diagnosis(name, RIGHT, right=True)


def _of_penalty(penalty: Penalty, w: Any, *, rng: Any) -> Diagnosis:
    w = validation.numeric("w", w).astype(np.float64)
    with_zero = w.copy()
    with_zero.flat[0] = 0.0
    name = type(penalty).__name__
    points = [samples.of_penalty(penalty, at, rng) for at in (w, w, with_zero)]
    return _judged(name, points) or Diagnosis(name, RIGHT, right=True)


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
        return _behaviour(name, "penalty: on biases", "")
    if penalty_rows:
        found = np.concatenate([row.all_analytic for row in penalty_rows])
        right = np.concatenate([row.all_measured for row in penalty_rows])
        if not found.any():
            return _behaviour(name, "penalty: not added", "")
        if close(found, found[0] / right[0] * right):
            return _behaviour(name, "penalty: divided", "")
    elif all(row.quantity == "total" for row in rows):
        return _behaviour(name, "penalty: overwrites", "")
    return Diagnosis(
        name,
        "Layers, loss and penalties are right one by one; the network joins them wrongly: "
        f"{rows[0].sentence()}.",
        block=rows[0].block,
    )


def _behaviour(name: str, code: str, sentence: str) -> Diagnosis:
    """Return the diagnosis of what is no formula."""
    for mistake in KNOWN_BUGS.values():
        if mistake.code == code:
            return Diagnosis(name, mistake.description, mistake.hint, mistake)
    return Diagnosis(name, sentence)


def _judged(name: str, points: list[list[GradientSample]]) -> Diagnosis | None:
    """Return what is wrong with the gradients, or None; one list of evidence a point."""
    found = [
        _explained(name, list(block))
        for block in zip(*points, strict=True)
        if not all(e.right for e in block)
    ]
    return replace(found[0], others=tuple(found[1:])) if found else None


def _explained(name: str, block: list[GradientSample]) -> Diagnosis:
    first = block[0]
    for mistake in _suspects(first):
        if all(mistake.explains(e.point, e.found) for e in block):
            sentence = re.sub(
                rf"\b{OWN_NAME.get(mistake.block, 'dw')}\b",
                OWN_NAME.get(first.block, f"d{first.block}"),
                mistake.description,
            )
            return Diagnosis(name, sentence, mistake.hint, mistake, first.block)
    wrong = next(e for e in block if not e.right)
    return Diagnosis(
        name,
        f"The gradient by {first.block} is wrong, and no known mistake matches: "
        f"{describe_difference(wrong.found, wrong.point.right)}.",
        block=first.block,
    )


#: How the symptoms call the gradient by a block.
OWN_NAME: dict[str | None, str] = {"weight": "dw", "bias": "db", "inputs": "dx"}


def _suspects(e: GradientSample) -> Iterator[KnownBug]:
    """Yield the mistakes that could be made there, the more specific first."""
    families = [e.subject, e.family]
    if e.family == "any activation":
        families.append("any layer")
    for family in families:
        for mistake in KNOWN_BUGS.values():
            # A parameter of a layer that is none of ours can be wrong as a weight can.
            fits = mistake.block in (None, e.role) or (
                e.role == "parameter" and mistake.block == "weight"
            )
            if mistake.subject == family and fits:
                yield mistake
