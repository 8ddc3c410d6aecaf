"""Gradient samples: at one point, the gradient that code returns, and the right one.

The right one is measured by moving the inputs of ``forward``. Measured is the whole Jacobian, every
output by every entry, so that the part of each row of the batch is known too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck import tree
from nnreg.gradcheck.check import computes_in_float32, make_problem
from nnreg.gradcheck.numerical import NotComplexSafe, directional_derivatives
from nnreg.gradcheck.subjects import Problem
from nnreg.gradcheck.tree import Path
from nnreg.layers.base import Layer
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.penalties import Penalty
from nnreg.testing.diagnosis import identify
from nnreg.testing.known_bugs.base import FormulaInputs, close
from nnreg.testing.known_bugs.losses import one_hot

SINGLE = 1e-2  # the tolerance for code that computes in float32
LARGEST = 2_000  # entries that are moved, one by one and several times each
STEP = 1  # so that there is a step before


@dataclass(frozen=True)
class GradientSample:
    """One gradient at one point.

    Attributes
    ----------
    block : str
        What it is the derivative by.
    subject : str
        What the code computes, as the known bugs name it; empty if it is not known.
    family : str
        ``"any layer"``, ``"any activation"``, ``"any loss"`` or ``"any penalty"``.
    role : str
        What the block is as the known bugs name it: ``"weight"``, ``"bias"``, ``"inputs"``, ...
    point : FormulaInputs
        With the right gradient.
    returned : ndarray
        The gradient that the code returns.
    """

    block: str
    subject: str
    family: str
    role: str
    point: FormulaInputs
    returned: Array

    @property
    def right(self) -> bool:
        """Whether the two are equal."""
        return close(self.returned, self.point.right, self.point.tolerance)


def jacobian(outputs: Callable[[Array], Any], at: Array, *, single: bool = False) -> Array:
    """Return every output's derivative by every entry of ``at``: (entries, outputs).

    >>> jacobian(lambda a: a**2, np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    if at.size > LARGEST:
        raise ValueError(
            f"diagnose moves every entry several times: give it at most {LARGEST} entries, "
            f"a few rows and columns; got {at.size}"
        )

    def values(array: Array) -> dict[str, Any]:
        return {str(i): value for i, value in enumerate(np.ravel(outputs(array)))}

    def along(method: str) -> tuple[Array, Array]:
        directions = np.eye(at.size).reshape(at.size, *at.shape)
        returned = (
            directional_derivatives(values, at, direction, method) for direction in directions
        )
        both = np.array([list(row.values()) for row in returned])
        return both[..., 0], both[..., 1]

    if single:
        return along("float32")[0]
    real, jumps = along("richardson")
    try:
        exact, _ = along("complex")
    except NotComplexSafe:
        return real
    # Code that treats complex numbers wrongly shows in a difference that is not a kink's; then the
    # real ones count.
    size = float(np.abs(real).max(initial=0.0))
    return exact if (np.abs(exact - real) <= 1e-5 * size + jumps).all() else real


def of_layer(layer: Layer, x: Array, rng: Any) -> list[GradientSample]:
    """Return the gradients of an nnreg layer, at its own parameters or random ones."""
    net = Network([copy.deepcopy(layer.clone())], inputs=x.shape[1], dtype="float64")
    parameters = net.parameters.of(net.layers[0].name)
    for name, view in parameters.items():
        own = getattr(layer, name) if layer._bound else rng.standard_normal(view.shape)
        view[...] = _move(np.asarray(own, dtype=np.float64), rng)
    x = _move_from_zero(_move(x, rng), rng)
    points = {**parameters, "inputs": x}

    def forward(block: str, array: Array, step: int = STEP) -> Array:
        moved = net.copy(array.dtype)
        inputs = array if block == "inputs" else x.astype(array.dtype)
        if block in parameters:
            moved.parameters.of(moved.layers[0].name)[block][...] = array
        return moved.layers[0].forward(inputs.copy(), _cache(array.dtype, step)).copy()

    y = forward("inputs", x)
    dy = rng.standard_normal(y.shape)
    returned = _answers(net, x, dy)
    others = [forward("inputs", x, step) for step in (STEP - 1, STEP + 1)]
    return _describe(
        {
            block: (points[block], returned[block], jacobian(partial(forward, block), at))
            for block, at in points.items()
        },
        "inputs",
        y,
        dy,
        others,
    )


def _cache(dtype: Any, step: int = STEP, first_row: int = 0) -> Cache:
    cache = Cache(dtype)
    cache.reset(training=True, step=step, first_row=first_row)
    return cache


class _Forgiving(np.ndarray[Any, Any]):
    """An array that keeps what is assigned to it in another shape, instead of refusing it."""

    refused: Array | None = None

    def __setitem__(self, where: Any, value: Any) -> None:
        try:
            super().__setitem__(where, value)
        except ValueError:
            self.refused = np.array(value)


def _answers(net: Network, x: Array, dy: Array) -> dict[str, Array]:
    """Return what the layer says of its parameters and inputs."""
    placed = net.copy()
    layer, cache = placed.layers[0], _cache("float64")
    layer.forward(x.copy(), cache)
    returned = {"inputs": np.array(layer.backward(dy.copy(), cache), dtype=np.float64)}
    views = {
        name: np.zeros(view.shape).view(_Forgiving)
        for name, view in placed.parameters.of(layer.name).items()
    }
    given: dict[str, Array] = dict(views)
    if views:
        layer.gradient(dy.copy(), cache, given)
    for name, view in views.items():
        returned[name] = np.array(given[name]) if view.refused is None else view.refused
    return returned


def of_functions(
    subject: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    paths: Mapping[str, Path],
    rng: Any,
) -> list[GradientSample]:
    """Return the gradients of functions, at a random point near the arguments.

    Parameters
    ----------
    subject, arguments, options
        As for :func:`nnreg.check_gradients`.
    paths : mapping of block to path
        The arguments that are moved. They are moved in place, since the functions may know the
        objects, and put back.
    """
    given, undo = list(arguments), []
    is_pair = bool(arguments) and callable(arguments[0])
    try:
        for path in paths.values():
            if is_pair:
                path = (("item", path[0][1] + 1), *path[1:])
            leaf = tree.get(given, path)
            moved = _move(np.array(leaf, dtype=np.float64), rng)
            # At zero a rectifier has no derivative; a penalty's zeros are kept.
            moved = _move_from_zero(moved, rng) if is_pair else moved
            undo.append(tree.put(given, path, tree.as_leaf(leaf, moved)))
        problem = make_problem(subject, tuple(given), rng, "frozen", options)
        try:
            return _of_problem(problem, given[is_pair:])
        finally:
            problem.close()
    finally:
        for put_back in reversed(undo):
            put_back()


def _of_problem(problem: Problem, arguments: list[Any]) -> list[GradientSample]:
    assert problem.outputs is not None
    assert problem.dout is not None
    dy, answers = problem.dout, problem.gradients["output"]
    y = problem.outputs(None, None)
    single = problem.single or computes_in_float32(problem)
    measured = {
        block: (at, answers[block], jacobian(partial(problem.outputs, block), at, single=single))
        for block, at in problem.blocks.items()
    }
    tolerance = SINGLE if single else 1e-6
    returned = _samples_of(measured, y, dy, problem, arguments, tolerance)
    return [replace(s, point=replace(s.point, tolerance=tolerance)) for s in returned]


def _samples_of(
    measured: dict[str, tuple[Array, Array, Array]],
    y: Array,
    dy: Array,
    problem: Problem,
    arguments: list[Any],
    tolerance: float,
) -> list[GradientSample]:
    reachable = problem.arrays()
    counts = tuple(sorted({n for array in reachable for n in array.shape}))
    if y.ndim:
        return _describe(measured, next(iter(measured)), y, dy, [], counts, tolerance)
    arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.ndim]
    result = []
    for block, (x, answer, slope) in measured.items():
        right = slope.reshape(x.shape)
        sample = next(
            (
                sample
                for t in (*arrays, *reachable)
                if _may_be_targets(t, x)
                if (sample := _of_loss(block, x, t, answer, right, tolerance)).subject
            ),
            None,
        )
        targets = [a for a in arrays if _may_be_targets(a, x)]
        if sample is None and len(measured) == 1 and len(arrays) > 1 and len(targets) > 1:
            sample = _of_loss(block, x, targets[-1], answer, right, tolerance)
        penalized = identify.penalty(x, right, tolerance)[0] or not right.any()
        if sample is None and len(measured) == 1 and len(arrays) == 1 and penalized:
            sample = _of_penalty(block, x, answer, right, tolerance)
        if sample is None:
            role = "bias" if x.ndim < 2 or 1 in x.shape else "weight"
            inputs = FormulaInputs(right, x=x, own=x, counts=counts)
            sample = GradientSample(block, "", "any gradient", role, inputs, answer)
        result.append(sample)
    return result


def _may_be_targets(t: Array, z: Array) -> bool:
    """Return whether an array has the form of targets for outputs ``z``."""
    if z.ndim not in (1, 2) or not t.ndim or len(t) != len(z):
        return False
    if t.dtype.kind in "iu" and z.ndim == 2:
        return t.ndim == 1 and bool(((t >= 0) & (t < z.shape[1])).all())
    return t.dtype.kind in "fiu" and t.shape == z.shape


def of_loss(loss: Loss, outputs: Array, targets: Array, rng: Any) -> list[GradientSample]:
    """Return the gradient of an nnreg loss."""
    z = _move(outputs, rng)
    returned = np.array(loss.compute(z.copy(), targets)[1], dtype=np.float64)
    right = jacobian(lambda a: loss.compute(a.copy(), targets)[0], z).reshape(z.shape)
    return [_of_loss("outputs", z, targets, returned, right)]


def of_penalty(penalty: Penalty, w: Array, rng: Any) -> list[GradientSample]:
    """Return the gradient of an nnreg penalty."""
    w = _move(w, rng)
    returned = np.empty_like(w)
    penalty.gradient(w.copy(), returned)
    right = jacobian(lambda a: penalty.value(a.copy()), w).reshape(w.shape)
    return [_of_penalty("w", w, returned, right)]


def _of_loss(
    block: str, z: Array, targets: Array, returned: Array, right: Array, tolerance: float = 1e-6
) -> GradientSample:
    if z.ndim == 1 and targets.ndim == 1:  # one output
        z, targets, right = z[:, np.newaxis], targets[:, np.newaxis], right[:, np.newaxis]
        returned = returned[:, np.newaxis] if returned.ndim == 1 else returned
    t = one_hot(targets, z.shape[1]) if targets.ndim == 1 else targets
    subject, constant = identify.loss(z, t, right, tolerance)
    point = FormulaInputs(right, x=z, t=t, constant=constant)
    return GradientSample(block, subject, "any loss", "outputs", point, returned)


def _of_penalty(
    block: str, w: Array, returned: Array, right: Array, tolerance: float = 1e-6
) -> GradientSample:
    subject, constant, second = identify.penalty(w, right, tolerance)
    point = FormulaInputs(right, x=w, constant=constant, second=second)
    return GradientSample(block, subject, "any penalty", "w", point, returned)


def _move(a: Array, rng: Any) -> Array:
    """Return ``a`` with each entry up to a quarter larger or smaller, its sign and zeros kept."""
    moved: Array = a * rng.uniform(0.75, 1.25, a.shape)
    return moved


def _move_from_zero(a: Array, rng: Any) -> Array:
    """Return ``a`` with new entries for those near zero, where differences would meet a kink."""
    near = np.abs(a) < 0.01 * max(1.0, float(np.abs(a).max(initial=0.0)))
    return np.where(near, rng.choice([-1, 1], a.shape) * rng.uniform(0.25, 1.0, a.shape), a)


def _describe(
    measured: dict[str, tuple[Array, Array, Array]],
    inputs: str,
    y: Array,
    dy: Array,
    others: list[Array],
    counts: tuple[int, ...] = (),
    tolerance: float = 1e-6,
) -> list[GradientSample]:
    """Give each block its role in what the code seems to compute.

    ``measured`` holds, by block, the point, the gradient returned there and the Jacobian;
    ``others`` are outputs at other steps.
    """
    x, by_entry = measured[inputs][0], measured[inputs][2]
    point = FormulaInputs(dy, x=_rows(x), dy=_rows(dy), y=_rows(y), counts=counts)
    rights = {block: (of @ dy.ravel()).reshape(at.shape) for block, (at, _, of) in measured.items()}
    roles = _affine_roles(rights, inputs, point, tolerance)
    subject, family = "dense" if roles else "", "any layer"
    if not roles and x.shape == y.shape and _is_diagonal(by_entry, tolerance):
        family, slope = "any activation", np.diag(by_entry).reshape(x.shape)
        subject, constant = identify.activation(x, y, slope, tolerance)
        masks = tuple(_rows(a != 0) * 1.0 for a in (slope, *others))
        point = replace(point, constant=constant, masks=masks if subject == "dropout" else ())
    elif not roles and x.shape == y.shape and x.ndim == 2:
        subject = identify.normalization(x, y, tolerance)
    for block, role in roles.items():
        if role == "weight":
            point = replace(point, w=measured[block][0])
    described = []
    for block, (values, returned, of) in measured.items():
        shape = _rows(x).shape if block == inputs else rights[block].shape
        if returned.size == rights[block].size and block == inputs:
            returned = returned.reshape(shape)
        at = replace(
            point,
            right=rights[block].reshape(shape),
            own=values.reshape(shape),
            pull=partial(_pull, of, shape),
        )
        role = roles.get(block, "inputs" if block == inputs else "parameter")
        described.append(GradientSample(block, subject, family, role, at, returned))
    return described


def _is_diagonal(by_entry: Array, tolerance: float) -> bool:
    beside = np.abs(by_entry - np.diag(np.diag(by_entry)))
    return bool(beside.max() <= (0 if tolerance < SINGLE else tolerance * np.abs(by_entry).max()))


def _rows(a: Array) -> Array:
    return a.reshape(len(a) if a.ndim else 1, -1)


def _pull(by_entry: Array, shape: tuple[int, ...], dy: Array) -> Array:
    """Return the gradient for another derivative by the output."""
    return (by_entry @ dy.ravel()).reshape(shape)


def _affine_roles(
    rights: dict[str, Array], inputs: str, point: FormulaInputs, tolerance: float
) -> dict[str, str]:
    """Return which blocks are the weights and the bias of an affine map."""
    roles = {}
    if len(point.x) == len(point.dy):
        for block, right in rights.items():
            if block != inputs and close(right, point.x.T @ point.dy, tolerance):
                roles[block] = "weight"
            elif block != inputs and close(right, point.dy.sum(axis=0), tolerance):
                roles[block] = "bias"
    return roles
