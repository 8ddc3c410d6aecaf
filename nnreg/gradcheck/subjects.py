"""Problems: networks, layers, losses and penalties as functions of named blocks.

A block is one array with respect to which derivatives are computed: a parameter, the inputs.
Everything is computed on float64 copies, in training mode, with the masks of dropout frozen by
replaying one step.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nnreg._support import labels, validation
from nnreg._support.typing import Array, Initializer
from nnreg.cache import Cache
from nnreg.gradcheck.numerical import Values, filter_warnings
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.gradcheck.tree import Path
from nnreg.layers.base import Layer
from nnreg.layers.dropout import disable_dropout
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty


@dataclass
class Problem:
    """Gradients to check, and the functions from which they are derived.

    Attributes
    ----------
    name : str
    blocks : dict of block to ndarray, float64
        The point.
    gradients : dict of quantity to dict of block to ndarray
        The gradients that the backward pass returned.
    values : function (block, array) -> dict of quantity to scalar
        The quantities, with one block replaced by an array, real or complex.
    notes : list of str
    not_checked, unmatched : dict of str to str
        Arrays without a gradient, and gradients without an array, each with the reason.
    outputs : function (block, array) -> ndarray, optional
        For functions: returns the output, whose projection is the quantity.
    dout : ndarray, optional
        For functions: the derivative of the projection with respect to the output.
    others : dict of block to ndarray
        Arguments without a gradient.
    stale : list of str
        Blocks that forward does not use.
    single : bool
        Whether float32 was requested.
    close : function ()
        Restores what the problem's functions changed.
    paths : dict of block to path
        For functions: the path of each block in the arguments.
    arrays : function () -> list of ndarray
        For functions: returns all arrays to which they have access.
    """

    name: str
    blocks: dict[str, Array]
    gradients: dict[str, dict[str, Array]]
    values: Callable[[str, Array], Values]
    notes: list[str] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)
    outputs: Callable[[str | None, Array | None], Array] | None = None
    dout: Array | None = None
    others: dict[str, Array] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    single: bool = False
    close: Callable[[], None] = lambda: None
    paths: Mapping[str, Path] = field(default_factory=dict)
    arrays: Callable[[], list[Array]] = field(default_factory=lambda: list)


def of_network(net: Network, x: Any, y: Any, loss: Loss, *, rng: Any, dropout: str) -> Problem:
    """Return the problem of a network with a batch and a loss: data loss, penalty and total."""
    x = validation.matrix("x", x, net.inputs)
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a Loss such as nn.SoftmaxCrossEntropy(), got {loss!r}")
    if net.classes is not None:
        y = labels.number_labels("y", y, net.classes, net.widths[-1])
    y = loss.check_targets(y, net.widths[-1])
    validation.same_rows("y", y, "x", len(x))
    problem = _propagated(net.copy("float64"), x, y, loss, dropout)
    if net.dtype != np.float64:
        problem.notes.append(f"a float64 copy of the {net.dtype} network was checked")
    return problem


def of_layer(layer: Layer, x: Any, *, rng: Any, dropout: str) -> Problem:
    """Return the problem of a layer: a network of its copy, whose loss is a random projection."""
    x = validation.matrix("x", x)
    copied = layer.clone()
    if layer._bound:  # its initializers, which may be generators, are not called again
        declared = {
            name: dataclasses.replace(parameter, initializer=_copy_values(getattr(layer, name)))
            for name, parameter in layer.parameters(x.shape[1]).items()
        }
        vars(copied)["parameters"] = lambda inputs: declared
    net = Network([copied], inputs=x.shape[1], dtype="float64")
    projection = _Projection(rng.standard_normal((len(x), net.widths[-1])))
    problem = _propagated(net, x, np.zeros(len(x)), projection, dropout)
    full = {name.rpartition(".")[2]: name for name in problem.blocks}
    gradients = problem.gradients["data loss"]
    return Problem(
        repr(layer),
        {short: problem.blocks[name] for short, name in full.items()},
        {"output": {short: gradients[name] for short, name in full.items()}},
        lambda block, array: {"output": problem.values(full[block], array)["data loss"]},
        close=problem.close,
    )


def _copy_values(values: Array) -> Initializer:
    return lambda shape, rng: values.astype(np.float64)


class _Projection(Loss):
    """The loss ``Σ r·z`` of a layer's outputs z, whose gradient is ``r``."""

    def __init__(self, weights: Array) -> None:
        self.weights = weights

    def compute(self, outputs: Array, targets: Array, *_: Any, **__: Any) -> tuple[Any, Array]:
        return (self.weights * outputs).sum(), self.weights.copy()


def _propagated(real: Network, x: Array, y: Array, loss: Loss, dropout: str) -> Problem:
    """Return the problem of a float64 network, which is modified."""
    step = real.steps
    if dropout == "off":
        disable_dropout(real.layers)
    copies = {"f": real, "c": real.copy("complex128")}
    caches = {kind: Cache(copied.dtype) for kind, copied in copies.items()}
    # Random numbers that layers draw, also from NumPy's global generator, are equal in every pass.
    layers = [layer for copied in copies.values() for layer in copied.layers]
    snapshot = Snapshot(
        *(
            {n: v for n, v in vars(layer).items() if n not in (layer._bound or ())}
            for layer in layers
        )
    )
    x = validation.cast("x", x, real.dtype)
    blocks = {name: real.parameters[name].copy() for name in real.parameters} | {"inputs": x}
    outputs, cache = real.forward(x.copy(), training=True, step=step)  # a layer may modify it
    _, doutputs = loss.compute(outputs, y)
    cache.gradients = real.parameters.like()
    cache.gradients.vector.fill(np.nan)  # reveals a layer that adds instead of overwriting
    gradient = real.backward(doutputs, cache)
    data = {name: gradient[name] for name in gradient}
    data["inputs"] = real.run_backward(doutputs, cache, inputs=True).copy()
    gradients = {"data loss": data}
    smooth = [p for p in real.regularization.penalties if p.rule.method != "proximal"]
    if smooth:
        penalty, total = real.parameters.like(), gradient.copy()
        for added in (penalty, total):
            real.add_penalty_gradient(added)
        gradients |= {"penalty": dict(penalty), "total": dict(total)}
    # The comparison reports a layer that is not complex-safe.
    with filter_warnings("ignore", Warning), contextlib.suppress(Exception):
        copies["c"].run_forward(x.astype(complex), caches["c"], training=True, step=step)
    snapshot.settle()

    def values(block: str, array: Array) -> Values:
        kind = array.dtype.kind
        copied, inputs = copies[kind], x.astype(array.dtype)
        if block == "inputs":
            inputs = array.copy()  # a layer may modify it
        else:
            copied.parameters[block][...] = array
        try:
            z = copied.run_forward(inputs, caches[kind], training=True, step=step)
            data_loss = loss.compute(z, y)[0]
            vector = copied.parameters.vector
            penalty = sum(p.value(vector[where].reshape(shape)) for p, where, shape in smooth)
        finally:
            snapshot.restore()
            if block != "inputs":
                copied.parameters[block][...] = blocks[block]
        return {"data loss": data_loss, "penalty": penalty, "total": data_loss + penalty}

    close = partial(snapshot.restore, everything=True)
    return Problem("the network", blocks, gradients, values, close=close)


def of_loss(loss: Loss, outputs: Any, targets: Any, **_: Any) -> Problem:
    """Return the problem of a loss as a function of the outputs."""
    z = validation.cast("outputs", validation.matrix("outputs", outputs), np.dtype(np.float64))
    t = loss.check_targets(targets, z.shape[1])
    validation.same_rows("targets", t, "outputs", len(z))
    _, gradient = loss.compute(z, t)
    return Problem(
        repr(loss),
        {"outputs": z},
        {"loss": {"outputs": np.array(gradient)}},
        lambda block, array: {"loss": loss.compute(array, t)[0]},
    )


def of_penalty(penalty: Penalty, w: Any, **_: Any) -> Problem:
    """Return the problem of a penalty as a function of one array of weights."""
    w = validation.numeric("w", w).astype(np.float64)
    validation.finite("w", w)
    gradient = np.empty_like(w)
    penalty.gradient(w.copy(), gradient)
    return Problem(
        repr(penalty),
        {"w": w},
        {"penalty": {"w": gradient}},
        lambda block, array: {"penalty": penalty.value(array)},
    )
