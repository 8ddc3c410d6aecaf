"""The same step as thinc's optimizers, in float32, the dtype of its layers."""

import numpy as np
import pytest
from parity import one_step
from parity.one_step import BIAS, CLASSES, INPUTS, LABELS, RATE, ROWS, WEIGHT, Array, X

from nnreg.conventions import Convention, find

thinc = pytest.importorskip("thinc.api")
pytestmark = pytest.mark.thinc


def step(strength: float, *, decoupled: bool) -> tuple[Array, Array]:
    optimizer = thinc.Optimizer(
        *(RATE,),
        L2=strength,
        L2_is_weight_decay=decoupled,
        beta1=0.0,
        beta2=0.0,
        grad_clip=0.0,
        use_averages=False,
    )
    model = thinc.Linear(CLASSES, INPUTS, init_W=thinc.zero_init).initialize()
    model.set_param("W", WEIGHT.T.astype("float32"))
    model.set_param("b", BIAS.astype("float32"))
    outputs, backward = model(X.astype("float32"), is_train=True)
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    gradient = exponentials / exponentials.sum(axis=1, keepdims=True)
    gradient[np.arange(ROWS), LABELS] -= 1
    backward((gradient / ROWS).astype("float32"))
    model.finish_update(optimizer)
    return model.get_param("W").T.astype("float64"), model.get_param("b").astype("float64")


def test_a_coupled_step_is_the_step_with_converted_strength() -> None:
    one_step.assert_same_step(
        find("thinc-coupled"), lambda s: step(s, decoupled=False), tolerance=1e-6
    )


def test_decoupled_decay_takes_its_share_of_the_updated_weights() -> None:
    """To first order in the rate that is plain SGD's step; the rest is ``rate²·s·gradient``."""
    decay = RATE * one_step.converted(find("thinc"))
    for ours, theirs in zip(
        one_step.here(None), step(one_step.STRENGTH, decoupled=True), strict=True
    ):
        np.testing.assert_allclose(theirs, (1 - decay) * ours, rtol=0, atol=1e-6)


def test_every_row_of_thinc_is_held_here() -> None:
    rows: list[Convention] = one_step.conventions("thinc").args[1]
    assert {c.source for c in rows} == {"thinc", "thinc-coupled"}
