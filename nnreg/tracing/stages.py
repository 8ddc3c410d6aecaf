"""The stages of a training step: formulas, arrays and remarks of every layer, loss and penalty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck.report import GradientReport
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.parameters import Parameters
from nnreg.penalties import Penalty
from nnreg.tracing import diagnostics, formulas
from nnreg.tracing.formulas import SYMBOLS, Formula


@dataclass(eq=False)
class Stage:
    """One stage of a step: a layer, the loss or the penalty, in the forward or backward pass.

    Attributes
    ----------
    part : {"forward", "backward"}
    name : str
        The layer's name, ``"loss"`` or ``"penalty"``.
    subject : str
        The `repr` of the layer, the loss or the penalty.
    formulas : list of Formula
    arrays : dict of str to ndarray
        By their names in the formulas; copies.
    notes : list of str
    alarms : list of str
        Problems, such as dead units or values that are not finite.
    check : GradientReport or None
        In the backward pass, the check of this derivative.

    Examples
    --------
    >>> Stage("forward", "relu_1", "ReLU()").arrays
    {}
    """

    part: str
    name: str
    subject: str
    formulas: list[Formula] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    check: GradientReport | None = None


@dataclass(eq=False)
class StepData:
    """One training step as plain data: its stages, and the figures of the whole step.

    Attributes
    ----------
    layers : list of str
        Names of the layers.
    widths : list of int
        Numbers of inputs, and of outputs of each layer with parameters.
    rows, step : int
        Number of rows of the batch, and number of the step, which determines the masks.
    dtype : str
    data_loss, penalty, total : float
    stages : list of Stage
        In the order of the step.
    finite : bool
        Whether all values are finite.
    report : GradientReport or None
        The check of the whole network; None if it was not requested or not possible.
    """

    layers: list[str]
    widths: list[int]
    rows: int
    step: int
    dtype: str
    data_loss: float
    penalty: float
    stages: list[Stage]
    finite: bool = True
    report: GradientReport | None = None

    @property
    def total(self) -> float:
        """The objective: data loss plus penalty."""
        return self.data_loss + self.penalty

    def parts(self) -> dict[str, list[tuple[int, Stage]]]:
        """Return the stages of each part, numbered from 1 over the whole step."""
        numbered = list(enumerate(self.stages, 1))
        return {
            part: [pair for pair in numbered if pair[1].part == part]
            for part in ("forward", "backward")
        }

    @property
    def passed(self) -> bool | None:
        """Whether all checked derivatives are correct; None if none was checked."""
        if self.report is None:
            return None
        single = [stage.check.passed for stage in self.stages if stage.check]
        return self.report.passed and all(single)

    @property
    def alarms(self) -> list[str]:
        """All alarms, with their stages."""
        return [f"{s.name}, {s.part}: {alarm}" for s in self.stages for alarm in s.alarms]

    def __getitem__(self, key: tuple[str, str]) -> Stage:
        """Return a stage by its part and name: ``trace["backward", "dense_1"]``."""
        for stage in self.stages:
            if (stage.part, stage.name) == key:
                return stage
        known = ", ".join(dict.fromkeys(stage.name for stage in self.stages))
        raise KeyError(f'no stage {key!r}; there are "forward" and "backward" of {known}')


Method = Callable[[Array, Cache], Array]

#: Names in the cache of the random factors of a layer.
MASKS = ("mask", "factors")


class RecordedStep:
    """One step, forward and backward, with copies of the inputs and outputs of the layers.

    It calls the same methods as :mod:`nnreg.training.step`, up to the update.

    Parameters
    ----------
    net : Network
        A separate copy, since the methods of its layers are replaced by recording ones.
    x : ndarray of shape (N, D)
    y : ndarray
        Targets.
    loss : Loss
    step : int
        Number of the step, which determines the masks.

    Attributes
    ----------
    seen : dict of layer name to dict of str to ndarray
        ``x`` and ``y``, and ``dx`` if it was computed.
    masks : dict of layer name to ndarray
        The random factors in the caches of the layers.
    outputs, doutputs : ndarray of shape (N, M)
    data_loss : float
    gradients : Parameters
        Gradients of the data loss.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2)
    >>> x, y = np.ones((1, 2), np.float32), np.zeros((1, 1))
    >>> step = RecordedStep(net, x, y, nn.MeanSquaredError(), 0)
    >>> step.seen["dense_1"]["y"], step.gradients["dense_1.bias"]
    (array([[2.]], dtype=float32), array([4.], dtype=float32))
    """

    def __init__(self, net: Network, x: Array, y: Array, loss: Loss, step: int) -> None:
        self.net, self.x, self.y, self.step = net, x, y, step
        self.seen = {layer.name: _record(layer) for layer in net.layers}
        cache = Cache(net.dtype)
        outputs = net.run_forward(x.copy(), cache, training=True, step=step)
        self.outputs = outputs.copy()
        self.masks = {
            layer.name: value.copy()
            for layer in net.layers
            for name, value in vars(cache[layer.name]).items()
            if name in MASKS and isinstance(value, np.ndarray)
        }
        data_loss, doutputs = loss.compute(outputs, y)
        self.data_loss, self.doutputs = float(data_loss), np.array(doutputs, net.dtype)
        net.run_backward(self.doutputs.copy(), cache)
        self.gradients = net.parameters.like()
        for layer in net.trainable_layers():
            net.run_gradient(layer, cache, self.gradients)

    def downward(self) -> Iterator[tuple[Layer, Array | None]]:
        """Yield the layers from the last to the first, with ``dy``, None if it is not computed."""
        dy: Array | None = self.doutputs
        for layer in reversed(self.net.layers):
            yield layer, dy
            dy = self.seen[layer.name].get("dx")


def _record(layer: Layer) -> dict[str, Array]:
    """Replace the two methods of a layer by ones that copy their arrays."""
    seen: dict[str, Array] = {}

    def recording(method: Method, argument: str, result: str) -> Method:
        def recorded(values: Array, cache: Cache) -> Array:
            seen[argument] = values.copy()
            results = method(values, cache)
            seen[result] = np.array(results)
            return results

        return recorded

    vars(layer).update(
        forward=recording(layer.forward, "x", "y"), backward=recording(layer.backward, "dy", "dx")
    )
    return seen


def build_stages(step: RecordedStep, loss: Loss) -> list[Stage]:
    """Return the stages in the order of the step: forward, loss, penalty, backward."""
    net = step.net
    return [
        *(_forward(step, layer) for layer in net.layers),
        *_loss(step, loss),
        *(_backward(step, layer, dy) for layer, dy in step.downward()),
        _penalty_gradient(step),
    ]


def _arrays_of(layer: Layer, values: Parameters, prefix: str = "") -> dict[str, Array]:
    """Return a layer's parameters or their gradients, by their names in the formulas."""
    return {
        prefix + SYMBOLS.get(name, name): view.copy()
        for name, view in values.of(layer.name).items()
    }


def _forward(step: RecordedStep, layer: Layer) -> Stage:
    net, seen = step.net, step.seen[layer.name]
    x, y = seen["x"], seen["y"]
    stage = Stage(
        "forward",
        layer.name,
        repr(layer),
        [formulas.forward_of(layer, x.shape, y.shape, net.parameters.of(layer.name))],
        {"x": x} | _arrays_of(layer, net.parameters),
        formulas.docstring_of(layer),
    )
    mask = step.masks.get(layer.name)
    if mask is not None and mask.shape == x.shape:
        stage.arrays["m"] = mask
        stage.notes += diagnostics.describe_mask(mask)
    elif layer.stochastic:
        stage.notes.append("Random in training mode; no unit was removed.")
    elif not net.parameters.of(layer.name):  # units of a layer with parameters can recover
        notes, alarms = diagnostics.find_dead(x, y)
        stage.notes += notes
        stage.alarms += alarms
    stage.arrays["y"] = y
    return stage


def _backward(step: RecordedStep, layer: Layer, dy: Array | None) -> Stage:
    net, seen = step.net, step.seen[layer.name]
    stage = Stage("backward", layer.name, repr(layer))
    if dy is None:
        stage.notes.append("Not computed: neither this layer nor an earlier one has parameters.")
        return stage
    parameters = net.parameters.of(layer.name)
    x, y = seen["x"].shape, seen["y"].shape
    stage.arrays["dy"] = dy
    if parameters:
        stage.formulas += formulas.gradient_of(layer, x, y, parameters)
        stage.arrays |= _arrays_of(layer, step.gradients, "d")
    if (dx := seen.get("dx")) is None:
        stage.notes.append("dx is not computed: no earlier layer has parameters.")
    else:
        stage.formulas.append(formulas.backward_of(layer, x, y, parameters))
        stage.arrays["dx"] = dx
        notes, alarms = diagnostics.compare_norms(dy, dx, step.doutputs)
        stage.notes += notes
        stage.alarms += alarms
    return stage


def _loss(step: RecordedStep, loss: Loss) -> tuple[Stage, Stage, Stage]:
    """Return the forward stages of loss and penalty, and the backward stage of the loss."""
    value, gradient = formulas.loss_formulas(loss, step.outputs.shape, step.y.shape)
    notes = [*formulas.docstring_of(loss), f"L = {step.data_loss:.6g}, the data loss."]
    up = Stage("forward", "loss", repr(loss), [value], {"z": step.outputs, "t": step.y}, notes)
    down = Stage("backward", "loss", repr(loss), [gradient], {"dz": step.doutputs})
    if not step.doutputs.any():
        down.notes.append("The derivative of the loss is 0.")
    return up, _penalty_value(step), down


def _penalty_value(step: RecordedStep) -> Stage:
    net, value = step.net, float(step.net.penalty_value())
    penalties = _penalties(net)
    texts = dict.fromkeys(diagnostics.docstring_formula(p.value) for p in penalties.values())
    total = f"L + R = {step.data_loss:.6g} + {value:.6g} = {step.data_loss + value:.6g}"
    values = [
        f"{name}: {penalty!r} has the value {float(penalty.value(net.parameters[name])):.6g}."
        for name, penalty in penalties.items()
    ]
    return Stage(
        "forward",
        "penalty",
        diagnostics.list_penalties(net),
        [*(Formula(f"R = {text}") for text in texts), Formula(total)],
        {name: net.parameters[name].copy() for name in penalties},
        values + diagnostics.list_unpenalized(net),
    )


def _penalties(net: Network) -> dict[str, Penalty]:
    """Return the penalties by the names of their parameters."""
    penalties = {name: net.regularization.penalty_of(name) for name in net.parameters}
    return {name: penalty for name, penalty in penalties.items() if penalty is not None}


def _penalty_gradient(step: RecordedStep) -> Stage:
    net = step.net
    stage = Stage("backward", "penalty", diagnostics.list_penalties(net))
    added = net.parameters.like()
    net.add_penalty_gradient(added)
    for name, penalty in _penalties(net).items():
        if penalty.method == "proximal":
            stage.notes.append(
                f"{name}: {penalty!r} has no gradient here; its proximal map is applied after "
                "the optimizer's step."
            )
            continue
        formula = Formula(f"dw += {diagnostics.docstring_formula(penalty.gradient)}")
        stage.formulas += [formula] if formula not in stage.formulas else []
        stage.arrays[f"∂R/∂{name}"] = added[name].copy()
        stage.notes.append(diagnostics.compare_penalty(name, added[name], step.gradients[name]))
    stage.notes += diagnostics.list_unpenalized(net)
    stage.notes += [
        f"{name}: {constraint!r} limits the weights after the optimizer's step."
        for name in net.parameters
        if (constraint := net.regularization.constraint_of(name)) is not None
    ]
    return stage


def mark_not_finite(stages: list[Stage], data_loss: float) -> bool:
    """Add an alarm to the first stage with non-finite values; return whether there is one."""
    for stage in stages:
        for name, array in stage.arrays.items():
            count = int((~np.isfinite(array)).sum())
            if count:
                stage.alarms.append(f"Not finite: {count:,} of {array.size:,} values of {name}.")
                return True
        if stage.name == "loss" and not np.isfinite(data_loss):
            stage.alarms.append(f"Not finite: the loss is {data_loss}.")
            return True
    return False
