"""Hyperparameters: attributes that are checked whenever they are set, and their configuration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg._support import memory, validation


class Checked:
    """An attribute that is checked whenever it is set, also during training.

    Parameters
    ----------
    check : function (name, value, ...) -> value
        A function of :mod:`~nnreg._support.validation`, such as ``number``, ``whole``, ``one_of``.
    *arguments, **options
        Further arguments of ``check``, such as bounds.
    optional : bool, default False
        If True, None is accepted as well.

    Examples
    --------
    >>> class Step:
    ...     size = Checked(validation.number, 0)
    >>> step = Step()
    >>> step.size = 2
    >>> type(step.size).__name__
    'float'
    """

    def __init__(
        self, check: Callable[..., Any], *arguments: Any, optional: bool = False, **options: Any
    ) -> None:
        self.check, self.arguments, self.options = check, arguments, options
        self.optional = optional

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # without a __get__ Python reads the instance's dictionary, which is faster

        def __get__(self, instance: object, owner: type | None = None) -> Any: ...

    def __set__(self, instance: object, value: object) -> None:
        if value is not None or not self.optional:
            value = self.check(self.name, value, *self.arguments, **self.options)
        instance.__dict__[self.name] = value


@functools.lru_cache
def number_names(kind: type) -> list[str]:
    """Return the names of a class's numeric hyperparameters.

    >>> class Step:
    ...     size = Checked(validation.number, 0)
    ...     method = Checked(validation.one_of, ["fixed"])
    >>> number_names(Step)
    ['size']
    """
    return [
        name
        for base in reversed(kind.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, Checked) and value.check is validation.number
    ]


def check_dtype(dtype: Any, *owners: Any) -> None:
    """Raise ``ValueError`` if a hyperparameter would become zero or infinite in ``dtype``.

    >>> class Step:
    ...     size = Checked(validation.number, 0)
    >>> step = Step()
    >>> step.size = 1e-46
    >>> check_dtype("float32", step)
    Traceback (most recent call last):
        ...
    ValueError: size of Step must be 0 or from 1.4e-45 to 3.4e+38 in a network of float32,
    got 1e-46
    """
    limits = np.finfo(dtype)
    low, high = float(limits.smallest_subnormal), float(limits.max)
    for owner in owners:
        for name in number_names(owner.__class__):
            value = getattr(owner, name, None) or 0.0
            if value and not low <= abs(value) <= high:
                raise ValueError(
                    f"{name} of {type(owner).__name__} must be 0 or from {low:.2g} to {high:.2g} "
                    f"in a network of {dtype}, got {value!r}"
                )


def named_parameters(init: Callable[..., None]) -> list[inspect.Parameter]:
    """Return the parameters of an ``__init__`` except ``self``, ``*args`` and ``**kwargs``."""
    parameters = list(inspect.signature(init).parameters.values())[1:]
    return [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _explain_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Return ``init`` with errors that name the correct argument."""
    parameters = named_parameters(init)
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    takes_any = len(parameters) < len(inspect.signature(init).parameters) - 1

    @functools.wraps(init)
    def explained(self: object, *args: Any, **options: Any) -> None:
        if not takes_any:
            validation.unknown_arguments(type(self).__name__, options, [p.name for p in parameters])
            if by_name and len(args) > len(parameters) - len(by_name):
                raise TypeError(
                    f"{type(self).__name__} takes {', '.join(by_name)} by name, got {args[-1]!r}: "
                    f"{validation.TRANSLATIONS.get(by_name[0], f'write {by_name[0]}=')}"
                )
        init(self, *args, **options)

    return explained


class Stateful:
    """An object that training may change beyond the arguments of its ``__init__``.

    A class whose attributes change in training overrides :meth:`get_state`, so that they are saved.

    Examples
    --------
    >>> class Counter(Stateful):
    ...     count = 0
    ...
    ...     def get_state(self):
    ...         return {"count": self.count}
    >>> counter = Counter()
    >>> counter.set_state({"count": 3})
    >>> counter.count
    3
    """

    _saved: frozenset[str] = frozenset()  # attributes that are in files besides, or need not be

    def get_state(self) -> dict[str, Any]:
        """Return the attributes to save: numbers, texts and arrays by name; by default none."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned; by default set these attributes."""
        if unknown := sorted(state.keys() - self.get_state().keys()):
            raise ValueError(f"{type(self).__name__}.get_state() has no {unknown[0]!r}")
        for name, value in state.items():
            setattr(self, name, value)


class Configurable(Stateful, memory.Copyable):
    """An object that is described by the arguments of its ``__init__``.

    Each argument is stored as an attribute of the same name. ``repr`` shows the call that
    constructs the object; an unknown argument raises an error that names the correct one. Copies
    are independent.

    Examples
    --------
    >>> class Window(Configurable):
    ...     def __init__(self, width, *, height=2):
    ...         self.width, self.height = width, height
    >>> Window(3)
    Window(width=3, height=2)
    >>> Window(3, hight=2)
    Traceback (most recent call last):
        ...
    TypeError: Window has no argument 'hight' (did you mean 'height'?)
    """

    @_explain_arguments
    def __init__(self) -> None:
        """Take no arguments by default."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _explain_arguments(cls.__init__)  # type: ignore[method-assign]  # wrapped

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that construct an equal object.

        An argument that is None by default and in this object is omitted.
        """
        config = {}
        for p in named_parameters(type(self).__init__):
            if not hasattr(self, p.name):
                raise TypeError(
                    f"{type(self).__name__} must store its argument {p.name!r} "
                    "as an attribute of that name to be saved"
                )
            if (value := getattr(self, p.name)) is not None or p.default is not None:
                config[p.name] = value
        return config

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            config = self.get_config()
        except TypeError:
            return f"<{name}>"
        shown = (f"{k}={getattr(v, '__name__', None) or repr(v)}" for k, v in config.items())
        return f"{name}({', '.join(shown)})"
