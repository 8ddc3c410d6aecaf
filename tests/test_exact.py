"""Activations and losses against their definitions in exact arithmetic, at the extremes too."""

import numpy as np
import pytest
from strategies import LAYERS, LOSSES

exact = pytest.importorskip("exact", reason="needs mpmath", exc_type=ImportError)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", exact.NAMES)
def test_a_formula_is_exact_to_two_rounding_errors_from_the_smallest_numbers_to_1e38(name, dtype):
    assert max(exact.largest_errors(name, dtype).values()) < 2


def test_every_activation_and_loss_is_compared():
    functions = {type(make()).__name__ for make in [*LAYERS.values(), *LOSSES.values()]}
    compared = {name.partition("(")[0].partition(",")[0] for name in exact.NAMES}
    assert functions - compared == {"Dense", "Dropout", "GaussianDropout"}
