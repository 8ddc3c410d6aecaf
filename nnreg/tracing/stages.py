"""The stages of a step: what each did, in formulas, arrays and remarks."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnreg._support.typing import Array
from nnreg.gradcheck.report import GradientReport
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.parameters import Parameters
from nnreg.tracing import diagnostics, formulas
from nnreg.tracing.formulas import SYMBOLS, Formula
from nnreg.tracing.recorder import Done


@dataclass(eq=False)
class Stage:
    """One stage of a step: a layer, the loss or the penalty, on the way up or down.

    Attributes
    ----------
    part : {"forward", "backward"}
    name : str
        The layer's name, ``"loss"`` or ``"penalty"``.
    thing : str
        The layer, the loss or the penalty as the call that makes it.
    formulas : list of Formula
    arrays : dict of str to ndarray
        By their names in the formulas; copies.
    notes : list of str
    alarms : list of str
        What is wrong, or soon will be.
    check : GradientReport or None
        On the way down, whether this derivative is right.

    Examples
    --------
    >>> Stage("forward", "relu_1", "ReLU()").arrays
    {}
    """

    part: str
    name: str
    thing: str
    formulas: list[Formula] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    check: GradientReport | None = None


def told(done: Done, loss: Loss) -> list[Stage]:
    """Return the stages in the order of the step: up the layers, loss, penalty, and down again."""
    net = done.net
    return [
        *(_forward(done, layer) for layer in net.layers),
        *_loss(done, loss),
        *(_backward(done, layer, dy) for layer, dy in done.downward()),
        _penalty_gradient(done),
    ]


def _own(net: Network, layer: Layer, values: Parameters, prefix: str = "") -> dict[str, Array]:
    """Return a layer's parameters or their gradients, by the names that formulas use."""
    return {
        prefix + SYMBOLS.get(name, name): view.copy()
        for name, view in values.of(layer.name).items()
    }


def _forward(done: Done, layer: Layer) -> Stage:
    net, seen = done.net, done.seen[layer.name]
    x, y = seen["x"], seen["y"]
    formula = formulas.forward_of(layer, x.shape, y.shape, net.parameters.of(layer.name))
    arrays = {"x": x} | _own(net, layer, net.parameters)
    stage = Stage("forward", layer.name, repr(layer), [formula], arrays)
    stage.notes += [line for line in [formulas.docstring_of(layer)] if line]
    mask = done.masks.get(layer.name)
    if mask is not None and mask.shape == x.shape:
        stage.arrays["m"] = mask
        stage.notes += diagnostics.multiplied(mask)
    elif layer.stochastic:
        stage.notes.append("Draws at random in training mode; nothing was removed.")
    elif not net.parameters.of(layer.name):  # one with parameters can bring its units back itself
        notes, alarms = diagnostics.dead(x, y)
        stage.notes += notes
        stage.alarms += alarms
    stage.arrays["y"] = y
    return stage


def _backward(done: Done, layer: Layer, dy: Array | None) -> Stage:
    net, seen = done.net, done.seen[layer.name]
    stage = Stage("backward", layer.name, repr(layer))
    if dy is None:
        stage.notes.append("Nobody asks: no layer from here down has parameters.")
        return stage
    own = net.parameters.of(layer.name)
    x, y = seen["x"].shape, seen["y"].shape
    stage.arrays["dy"] = dy
    if own:
        stage.formulas += formulas.gradient_of(layer, x, y, own)
        stage.arrays |= _own(net, layer, done.gradients, "d")
    if (dx := seen.get("dx")) is None:
        stage.notes.append("dx is not formed: no layer below has parameters.")
    else:
        stage.formulas.append(formulas.backward_of(layer, x, y, own))
        stage.arrays["dx"] = dx
        notes, alarms = diagnostics.passed_down(dy, dx, done.doutputs)
        stage.notes += notes
        stage.alarms += alarms
    return stage


def _loss(done: Done, loss: Loss) -> tuple[Stage, Stage, Stage]:
    """Return the loss and the penalty on the way up, and the loss on the way down."""
    value, gradient = formulas.loss_formulas(loss, done.outputs.shape, done.y.shape)
    up = Stage("forward", "loss", repr(loss), [value], {"z": done.outputs, "t": done.y})
    up.notes += [line for line in [formulas.docstring_of(loss)] if line]
    up.notes.append(f"L = {done.data_loss:.6g}, the data loss.")
    down = Stage("backward", "loss", repr(loss), [gradient], {"dz": done.doutputs})
    if not done.doutputs.any():
        down.notes.append("The loss asks for nothing: its derivative is 0.")
    return up, _penalty_value(done), down


def _penalty_value(done: Done) -> Stage:
    net = done.net
    stage = Stage("forward", "penalty", diagnostics.penalties(net))
    penalties = {name: net.penalty_of(name) for name in net.parameters}
    texts = dict.fromkeys(diagnostics.docstring_formula(p.value) for p in penalties.values() if p)
    stage.formulas += [Formula(f"R = {text}") for text in texts]
    for name, penalty in penalties.items():
        if penalty is not None:
            stage.arrays[name] = net.parameters[name].copy()
            value = float(penalty.value(net.parameters[name]))
            stage.notes.append(f"{name}: {penalty!r} costs {value:.6g}.")
    stage.notes += diagnostics.unpenalized(net)
    value = float(net.penalty_value())
    stage.formulas.append(
        Formula(f"L + R = {done.data_loss:.6g} + {value:.6g} = {done.data_loss + value:.6g}")
    )
    return stage


def _penalty_gradient(done: Done) -> Stage:
    net = done.net
    stage = Stage("backward", "penalty", diagnostics.penalties(net))
    added = net.parameters.like()
    net.add_penalty_gradient(added)
    for name in net.parameters:
        penalty = net.penalty_of(name)
        if penalty is None:
            continue
        if penalty.method == "proximal":
            stage.notes.append(
                f"{name}: {penalty!r} adds nothing here; its proximal map moves the weights after "
                "the optimizer's step."
            )
            continue
        formula = Formula(f"dw += {diagnostics.docstring_formula(penalty.gradient)}")
        stage.formulas += [formula] if formula not in stage.formulas else []
        stage.arrays[f"∂R/∂{name}"] = added[name].copy()
        stage.notes.append(diagnostics.share(name, added[name], done.gradients[name]))
    stage.notes += diagnostics.unpenalized(net)
    stage.notes += [
        f"{name}: {net.constraint_of(name)!r} holds the weights after the optimizer's step."
        for name in net.parameters
        if net.constraint_of(name) is not None
    ]
    return stage
