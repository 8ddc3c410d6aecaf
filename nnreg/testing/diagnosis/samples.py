"""Gradient samples: the gradient that code returns at one point, and the right one.

The right one is computed by numerical differentiation of ``forward``. The whole Jacobian is
computed, of every output with respect to every entry, and with it the contribution of each row of
the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.gradcheck import tree
from nnreg.gradcheck.check import make_problem
from nnreg.gradcheck.numerical import NotComplexSafe, complex_steps, directional_derivatives
from nnreg.gradcheck.subjects import Problem
from nnreg.layers.base import Layer
from nnreg.testing.diagnosis import identify
from nnreg.testing.known_bugs.base import NOTHING, FormulaInputs, close
from nnreg.testing.known_bugs.losses import one_hot

SINGLE = 1e-2  # the tolerance for code that computes in float32
MAX_ENTRIES = 2_000  # of a Jacobian, which requires several calls of forward per entry
STEP, OTHER_STEPS = 1, (0, 2)


@dataclass(frozen=True)
class Call:
    """Functions with their arguments.

    Attributes
    ----------
    subject, arguments, options
        As for :func:`nnreg.check_gradients`.
    penalty : bool
        Whether the function is known to be a penalty.
    others : tuple of ndarray
        For a layer: outputs at other steps.
    """

    subject: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    penalty: bool = False
    others: tuple[Array, ...] = ()


@dataclass(frozen=True)
class GradientSample:
    """One gradient at one point.

    Attributes
    ----------
    block : str
        The array with respect to which it is the gradient.
    subject : str
        What the code computes, in the terms of the known bugs; empty if it is unknown.
    family : str
        ``"any layer"``, ``"any activation"``, ``"any loss"``, ``"any penalty"`` or
        ``"any gradient"``.
    role : str
        What the block is, in the terms of the known bugs: ``"weight"``, ``"bias"``, ``"inputs"``,
        ...
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
        """Whether the returned gradient is right."""
        return close(self.returned, self.point.right, self.point.tolerance)


Measured = tuple[Array, Array, Array]  # the point, the gradient returned, the Jacobian


def jacobian(outputs: Callable[[Array], Any], at: Array, method: str = "complex") -> Array:
    """Return the derivative of every output with respect to every entry: (entries, outputs).

    >>> jacobian(lambda a: a**2, np.array([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    if at.size > MAX_ENTRIES:
        raise ValueError(
            f"diagnose requires arrays of at most {MAX_ENTRIES} entries, because it calls forward "
            f"several times for each: pass a few rows and columns; got {at.size}"
        )

    def values(array: Array) -> dict[str, Any]:
        return {str(i): value for i, value in enumerate(np.ravel(outputs(array)))}

    directions = np.eye(at.size).reshape(at.size, *at.shape)
    if method == "complex":
        try:
            steps = complex_steps(values, at, directions)
            return np.array([[*step.values()] for step in steps])
        except NotComplexSafe:
            method = "richardson"
    center = values(at.copy())
    slopes = [directional_derivatives(values, at, d, method, center) for d in directions]
    return np.array([[slope for slope, _ in by_output.values()] for by_output in slopes])


class AnyShape(np.ndarray[Any, Any]):
    """An array that stores an assigned value of a wrong shape, instead of raising an error."""

    refused: Array | None = None

    def __setitem__(self, where: Any, value: Any) -> None:
        try:
            super().__setitem__(where, value)
        except ValueError:
            self.refused = np.array(value)


def as_functions(
    layer: Layer, step: int = STEP
) -> tuple[Callable[..., tuple[Array, Any]], Callable[[Array, Any], Any]]:
    """Return a layer as ``forward(inputs, parameters)`` and ``backward(dy, cache)``.

    ``parameters`` is a dictionary; without it, backward returns ``dx`` alone.
    """

    def forward(inputs: Array, parameters: Mapping[str, Array] | None = None) -> tuple[Array, Any]:
        values, copied = parameters or {}, layer.clone()
        cache = Cache(np.result_type(inputs, *values.values()))
        cache.reset(training=True, step=step)
        views = {name: value.astype(cache.dtype, copy=False) for name, value in values.items()}
        copied.bind("layer", views, seed=0, index=0)
        return copied.forward(inputs.astype(cache.dtype), cache).copy(), (copied, cache, views)

    def backward(dy: Array, memory: Any) -> Any:
        copied, cache, views = memory
        dx = np.array(copied.backward(dy.copy(), cache), dtype=np.float64)
        if not views:
            return dx
        gradients = {name: np.zeros(view.shape).view(AnyShape) for name, view in views.items()}
        copied.gradient(dy.copy(), cache, gradients)
        refused = {name: getattr(g, "refused", None) for name, g in gradients.items()}
        return dx, {
            name: np.array(g if refused[name] is None else refused[name])
            for name, g in gradients.items()
        }

    return forward, backward


def draw_samples(call: Call, methods: Mapping[str, str], rng: Any) -> list[GradientSample]:
    """Return the gradients of functions, at a random point near the arguments.

    ``methods`` are the methods of differentiation by block. The arguments are changed in place,
    because the functions may refer to the objects, and restored.
    """
    subject, options = call.subject, call.options
    problem = make_problem(subject, call.arguments, rng, "frozen", options)
    problem.close()
    arguments, undo = list(call.arguments), []
    is_pair = bool(arguments) and callable(arguments[0])
    try:
        for path in problem.paths.values():
            if is_pair:
                path = (("item", path[0][1] + 1), *path[1:])
            leaf = tree.get(arguments, path)
            changed = _perturb(np.array(leaf, dtype=np.float64), rng)
            # A rectifier has no derivative at zero; zeros of losses and penalties are not changed.
            changed = (
                replace_near_zero(changed, rng)
                if problem.dout is not None and problem.dout.ndim
                else changed
            )
            undo.append(tree.put(arguments, path, tree.as_leaf(leaf, changed)))
        problem = make_problem(subject, tuple(arguments), rng, "frozen", options)
        try:
            return _compute_samples(problem, arguments[is_pair:], call, methods)
        finally:
            problem.close()
    finally:
        for restore in reversed(undo):
            restore()


def _perturb(a: Array, rng: Any) -> Array:
    """Return ``a`` with each entry multiplied by a random factor from 0.75 to 1.25."""
    changed: Array = a * rng.uniform(0.75, 1.25, a.shape)
    return changed


def replace_near_zero(a: Array, rng: Any) -> Array:
    """Return ``a`` with random entries for those near zero, to avoid kinks."""
    size = max(1.0, float(np.abs(a).max(initial=0.0)))
    new = size * rng.choice([-1, 1], a.shape) * rng.uniform(0.25, 1.0, a.shape)
    return np.where(np.abs(a) < 0.1 * size, new, a)


def _compute_samples(
    problem: Problem, arguments: list[Any], call: Call, methods: Mapping[str, str]
) -> list[GradientSample]:
    assert problem.outputs is not None
    assert problem.dout is not None
    returned = problem.gradients["output"]
    measured = {
        block: (at, returned[block], jacobian(partial(problem.outputs, block), at, methods[block]))
        for block, at in problem.blocks.items()
        if at.size
    }
    accessible = problem.arrays()
    y = problem.outputs(None, None)
    common = FormulaInputs(
        NOTHING,
        NOTHING,
        problem.dout,
        y,
        counts=tuple(sorted({n for array in accessible for n in array.shape})),
        arrays=tuple(
            {(a.shape, a.tobytes()): a for a in (*problem.blocks.values(), *accessible)}.values()
        ),
        tolerance=SINGLE if "float32" in methods.values() else 1e-6,
    )
    if y.ndim:
        return _of_output(measured, common, call.others)
    arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.ndim]
    alone = len(measured) == 1
    return [
        _of_value(block, m, common, arrays, alone, call.penalty) for block, m in measured.items()
    ]


# --- Functions with one number as output ----------------------------------------------------------


def _of_value(
    block: str,
    measured: Measured,
    common: FormulaInputs,
    arguments: list[Array],
    alone: bool,
    penalty: bool,
) -> GradientSample:
    """Return the sample of a block, with its role in the function that is identified.

    ``alone`` is True if there is no gradient with respect to another block.
    """
    x, returned, slope = measured
    common = replace(common, right=slope.reshape(x.shape), x=x, own=x)
    for t in (*arguments, *common.arrays):
        if not penalty and _may_be_targets(t, x):
            sample = _of_loss(block, t, common, returned)
            if sample.subject:
                return sample
    targets = [a for a in arguments if _may_be_targets(a, x)]
    if alone and len(targets) > 1:
        return _of_loss(block, targets[-1], common, returned)
    name, first, second = identify.penalty(x, common.right, common.tolerance)
    constant = not common.right.any() and len(arguments) < 2
    if penalty or (alone and (name or constant)):
        point = replace(common, constant=first, second=second)
        return GradientSample(block, name, "any penalty", "w", point, returned)
    role = "bias" if x.ndim < 2 or 1 in x.shape else "weight"
    return GradientSample(block, "", "any gradient", role, common, returned)


def _may_be_targets(t: Array, z: Array) -> bool:
    """Return whether an array has the form of targets for outputs ``z``."""
    if z.ndim not in (1, 2) or not t.ndim or len(t) != len(z):
        return False
    if t.dtype.kind in "iu" and z.ndim == 2:
        return t.ndim == 1 and bool(((t >= 0) & (t < z.shape[1])).all())
    return t.dtype.kind in "fiu" and t.shape == z.shape


def _of_loss(block: str, t: Array, common: FormulaInputs, returned: Array) -> GradientSample:
    t = one_hot(t, common.x.shape[1]) if t.ndim < common.x.ndim else t
    subject, constant = identify.loss(common.x, t, common.right, common.tolerance)
    point = replace(common, t=t, constant=constant)
    return GradientSample(block, subject, "any loss", "outputs", point, returned)


# --- Functions with an array as output ------------------------------------------------------------


def _of_output(
    measured: dict[str, Measured], common: FormulaInputs, others: tuple[Array, ...]
) -> list[GradientSample]:
    """Return a sample per block, with its role in the function; the first block is the inputs."""
    inputs, (x, _, by_inputs) = next(iter(measured.items()))
    y, dy, tolerance = common.y, common.dy, common.tolerance
    point = replace(common, x=_rows(x), dy=_rows(dy), y=_rows(y))
    rights = {name: (of @ dy.ravel()).reshape(at.shape) for name, (at, _, of) in measured.items()}
    roles = _affine_roles(rights, inputs, point)
    subject, family = "dense" if roles else "", "any layer"
    if not roles and x.shape == y.shape and _is_diagonal(by_inputs, tolerance):
        family, slope = "any activation", np.diag(by_inputs).reshape(x.shape)
        subject, constant = identify.activation(x, y, slope, tolerance)
        masks = tuple(_rows(a != 0) * 1.0 for a in (slope, *others))
        point = replace(point, constant=constant, masks=masks if subject == "dropout" else ())
    elif not roles and x.shape == y.shape and x.ndim == 2:
        subject = identify.normalization(x, y, tolerance)
    for block, role in roles.items():
        if role == "weight":
            point = replace(point, w=measured[block][0])
    samples = []
    for block, (values, returned, of) in measured.items():
        shape = values.shape
        if block == inputs:
            shape = point.x.shape
            returned = returned.reshape(shape) if returned.size == x.size else returned
        at = replace(
            point,
            right=rights[block].reshape(shape),
            own=values.reshape(shape),
            pull=partial(_pull, of, shape),
        )
        role = roles.get(block, "inputs" if block == inputs else "parameter")
        samples.append(GradientSample(block, subject, family, role, at, returned))
    return samples


def _is_diagonal(by_entry: Array, tolerance: float) -> bool:
    rest = np.abs(by_entry - np.diag(np.diag(by_entry)))
    return bool(rest.max() <= (0 if tolerance < SINGLE else tolerance * np.abs(by_entry).max()))


def _rows(a: Array) -> Array:
    return a.reshape(len(a) if a.ndim else 1, -1)


def _pull(by_entry: Array, shape: tuple[int, ...], dy: Array) -> Array:
    """Return the gradient for another derivative with respect to the output."""
    return (by_entry @ dy.ravel()).reshape(shape)


def _affine_roles(rights: dict[str, Array], inputs: str, point: FormulaInputs) -> dict[str, str]:
    """Return the blocks that are the weights and the bias of an affine map, with their roles."""
    roles = {}
    if len(point.x) == len(point.dy):
        for block, right in rights.items():
            if block != inputs and close(right, point.x.T @ point.dy, point.tolerance):
                roles[block] = "weight"
            elif block != inputs and close(right, point.dy.sum(axis=0), point.tolerance):
                roles[block] = "bias"
    return roles
