"""For other people's tests: a contract for layers, wrong backward passes, grades, random examples.

``assert_layer_contract`` tries a layer's gradient and manners. ``GALLERY`` holds classic mistakes,
to try a checker or a student on, and ``diagnose`` says which of them a wrong gradient makes.
The strategies (``shapes``, ``batches``, ``labels``, ``layers``, ``networks``, ``penalties``,
``losses``) draw random examples with Hypothesis, which ``pip install nnreg[testing]`` brings; the
rest works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnreg.testing.contract import ContractError, assert_layer_contract
from nnreg.testing.diagnosis import Diagnosis, diagnose
from nnreg.testing.known_bugs import GALLERY
from nnreg.testing.known_bugs.base import Mistake, Point

if TYPE_CHECKING:
    from nnreg.testing.strategies import (
        batches,
        labels,
        layers,
        losses,
        networks,
        penalties,
        shapes,
    )

__all__ = [
    "GALLERY",
    "ContractError",
    "Diagnosis",
    "Mistake",
    "Point",
    "assert_layer_contract",
    "batches",
    "diagnose",
    "labels",
    "layers",
    "losses",
    "networks",
    "penalties",
    "shapes",
]


def __getattr__(name: str) -> Any:
    # Only now, so that the rest of the package does without Hypothesis.
    if name in __all__:
        from nnreg.testing import strategies

        return getattr(strategies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
