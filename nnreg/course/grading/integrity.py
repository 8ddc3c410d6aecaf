"""Whether a submission has changed what it is judged by.

It runs in one process with the checks, so ``np.isclose = lambda *_: True`` would pass them all.
What callable things there are in Python, NumPy and nnreg is noted before the submission is read,
and looked at after each check. This stops the tricks that are easy; it is no sandbox.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

OWN = "nnreg_exercise"  # what an exercise of somebody's own is called while it is used

#: Modules that checks rest on, with all that is inside them.
WATCHED = ("__main__", "builtins", "copy", "functools", "json", "math", "nnreg", "numpy", "os", OWN)


class Watch:
    """Notes what there is when it is made.

    Examples
    --------
    >>> import math
    >>> watch, right = Watch(), math.sqrt
    >>> math.sqrt = abs
    >>> watch.changed()
    'math.sqrt'
    >>> math.sqrt = right
    >>> watch.changed()
    ''
    """

    def __init__(self) -> None:
        names = [name for name in sys.modules if name.partition(".")[0] in WATCHED]
        self._modules = {name: sys.modules[name] for name in names}
        self._seen = list(self._callables())

    def _callables(self) -> Iterator[tuple[str, dict[str, Any], str, Any, CodeType | None]]:
        for module_name, module in self._modules.items():
            yield from _inside(module_name, vars(module))
            for name, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == module_name:
                    yield from _inside(f"{module_name}.{name}", vars(value))

    def changed(self) -> str:
        """Return the name of something that is not what it was, or nothing."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                return name
        for owner, inside, name, value, code in self._seen:
            now = inside.get(name)
            if now is not value or (code and now.__code__ is not code):
                return f"{owner}.{name}"
        return ""


def _inside(owner: str, inside: Any) -> Iterator[tuple[str, Any, str, Any, CodeType | None]]:
    for name, value in list(inside.items()):
        if callable(value) or isinstance(value, property | staticmethod | classmethod):
            code = value.__code__ if isinstance(value, FunctionType) else None
            yield owner, inside, name, value, code
