"""Hyperparameters: attributes that are checked whenever they are set, and their configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nnreg._support.validation import number


class Checked:
    """An attribute that passes the same check whenever it is set, in mid-training too.

    Parameters
    ----------
    check : function (name, value) -> value
        Called with the attribute's name and what is being assigned.

    Examples
    --------
    >>> class Step:
    ...     size = Checked(lambda name, value: number(name, value, 0))
    >>> step = Step()
    >>> step.size = np.float64(0.5)
    >>> type(step.size).__name__
    'float'
    """

    def __init__(self, check: Callable[[str, Any], Any]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # without a __get__ Python looks into the instance, as fast as ever

        def __get__(self, instance: object, owner: type | None = None) -> Any: ...

    def __set__(self, instance: object, value: object) -> None:
        instance.__dict__[self.name] = self.check(self.name, value)


class Hyperparameter(Checked):
    """A number that may be changed at any time, by a schedule too."""


def bounded(
    low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False
) -> Hyperparameter:
    """Return a :class:`Hyperparameter` whose values are floats within the bounds."""
    return Hyperparameter(
        lambda name, value: number(name, value, low, high, open_low=open_low, open_high=open_high)
    )


def settings(thing: object) -> dict[str, Any]:
    """Return the arguments that would construct ``thing`` again.

    The names are those of its ``__init__``, the values its attributes of these names.

    >>> class Window:
    ...     def __init__(self, width, *, height=2):
    ...         self.width, self.height = width, height
    >>> settings(Window(3))
    {'width': 3, 'height': 2}
    """
    import inspect

    if type(thing).__init__ is object.__init__:
        return {}
    arguments = list(inspect.signature(type(thing).__init__).parameters.values())[1:]
    named = [a.name for a in arguments if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)]
    missing = [name for name in named if not hasattr(thing, name)]
    if missing:
        raise TypeError(
            f"{type(thing).__name__} must keep its argument {missing[0]!r} "
            "as an attribute of that name to be saved"
        )
    return {name: getattr(thing, name) for name in named}


def described(thing: object, arguments: dict[str, Any] | None = None) -> str:
    """Return ``thing`` as the call that makes it, for a ``__repr__``."""
    try:
        arguments = settings(thing) if arguments is None else arguments
    except TypeError:
        return f"<{type(thing).__name__}>"
    shown = (f"{k}={getattr(v, '__name__', None) or repr(v)}" for k, v in arguments.items())
    return f"{type(thing).__name__}({', '.join(shown)})"
