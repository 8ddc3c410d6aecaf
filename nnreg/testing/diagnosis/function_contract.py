"""How a pair of functions behaves: what it does to its arguments, and at exactly zero."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.testing.known_bugs.base import close


def check_functions(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: tuple[Any, ...],
    rectifier_slope: float | None,
) -> str | None:
    """Return the finding about a pair of functions whose gradient is right, if there is one.

    ``rectifier_slope`` is what the derivative at zero should be, if they are a rectifier.
    """
    owners = (getattr(function, "__self__", None) for function in (forward, backward))
    snapshot = Snapshot(*owners)
    given = copy.deepcopy(arguments)

    def passes() -> tuple[Array, Array, Any]:
        result = forward(*given)
        y, left = (result[0], (result[1],)) if isinstance(result, tuple) else (result, ())
        dy = np.ones_like(y)
        return dy, np.array(dy), backward(dy, *left)

    try:
        dy, before, _ = passes()
        if not _same(given, arguments):
            return "changes x"
        if not np.array_equal(dy, before):
            return "changes dy"
        if rectifier_slope is not None:
            given[0][...] = 0.0
            dx = passes()[2]
            dx = dx[0] if isinstance(dx, tuple) else dx
            if not close(np.asarray(dx), np.full(given[0].shape, rectifier_slope)):
                return "at zero"
        return None
    finally:
        snapshot.restore()


def _same(one: Any, other: Any) -> bool:
    """Return whether two structures hold equal arrays; all else is taken to be equal."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, Mapping):
        return all(_same(one[key], other[key]) for key in other)
    if isinstance(one, tuple | list):
        return all(map(_same, one, other))
    return True
