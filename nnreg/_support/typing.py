"""Type aliases, in a separate module so that their import loads no mathematics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.random import Generator

Array: TypeAlias = NDArray[Any]
Initializer: TypeAlias = Callable[[tuple[int, ...], "Generator"], Array]
