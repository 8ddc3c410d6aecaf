"""Tools for testing layers and gradients: contract, known bugs, diagnosis, random examples.

``assert_gradients`` is the gradient check for unit tests; ``assert_layer_contract`` checks a
layer's gradient and its side effects. ``KNOWN_BUGS`` are wrong backward passes to try a gradient
check on, and ``diagnose`` identifies which of them a wrong gradient has. The strategies
(``shapes``, ``batches``, ``labels``, ``layers``, ``networks``, ``penalties``, ``losses``) draw
random examples with Hypothesis, which ``pip install 'nnreg[testing]'`` installs; the rest works
without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnreg.gradcheck.check import assert_gradients
from nnreg.testing.contract import ContractError, assert_layer_contract
from nnreg.testing.diagnosis import Diagnosis, diagnose
from nnreg.testing.known_bugs import KNOWN_BUGS
from nnreg.testing.known_bugs.base import FormulaInputs, KnownBug

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
    "KNOWN_BUGS",
    "ContractError",
    "Diagnosis",
    "FormulaInputs",
    "KnownBug",
    "assert_gradients",
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
    # Imported on access, so that the rest of the package does not require Hypothesis.
    if name in __all__:
        from nnreg.testing import strategies

        return getattr(strategies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
