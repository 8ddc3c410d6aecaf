"""The public strategies: values within bounds, and correct networks pass the check."""

import itertools
import os
import subprocess
import sys
import textwrap

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import nnreg as nn
import nnreg.testing
from nnreg.testing import (
    assert_layer_contract,
    batches,
    diagnose,
    labels,
    layers,
    losses,
    networks,
    penalties,
    shapes,
    strategies,
)
from nnreg.testing.strategies import MARGIN

# NNREG_EXAMPLES=10000 draws more.
EXAMPLES = int(os.environ.get("NNREG_EXAMPLES", "150"))


def find(strategy, condition):
    """Return a drawn value that fulfils the condition, the first one, not the simplest."""
    first = settings(phases=[Phase.generate], max_examples=1000)
    return hypothesis.find(strategy, condition, settings=first)


@given(shapes(3, 7))
def test_shapes_are_within_their_bounds(shape):
    rows, columns = shape
    assert 1 <= rows <= 3
    assert 1 <= columns <= 7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_batches_keep_away_from_zero_and_within_the_bound(dtype, data):
    x = data.draw(batches((3, 2), bound=2.0, dtype=dtype))
    assert x.dtype == dtype
    assert x.shape == (3, 2)
    assert (abs(x) > MARGIN).all()
    assert (abs(x) <= 2).all()
    assert data.draw(batches()).ndim == 2


@pytest.mark.parametrize("sign", [1, -1])
def test_batches_have_both_signs(sign):
    assert find(batches((1, 1)), lambda x: (x * sign > 0).all()) is not None


@given(labels(6, 3))
def test_labels_are_class_numbers(y):
    assert y.shape == (6,)
    assert y.dtype == np.int64
    assert set(y) <= {0, 1, 2}


@given(layers())
def test_every_drawn_layer_keeps_the_contract(layer):
    assert_layer_contract(layer.clone)


@pytest.mark.parametrize(
    "kind",
    [
        *(nn.Dense, nn.Dropout, nn.GaussianDropout, nn.ReLU, nn.LeakyReLU),
        *(nn.ELU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softplus),
    ],
)
def test_every_kind_of_layer_is_drawn(kind):
    assert find(layers(), lambda layer: type(layer) is kind) is not None


@given(penalties(), batches())
def test_every_drawn_penalty_is_right(penalty, w):
    nn.check_gradients(penalty, w).assert_ok()


@given(losses())
def test_every_drawn_loss_is_right(example):
    loss, outputs, targets = example
    assert len(outputs) == len(targets)
    nn.check_gradients(loss, outputs, targets).assert_ok()
    assert np.isfinite(loss(outputs, targets)[0])


@given(losses((2, 3)))
def test_losses_take_a_shape(example):
    assert example[1].shape == (2, 3)


@given(networks(max_rows=2, max_width=4, max_layers=3))
def test_networks_are_within_their_bounds(example):
    net, x, _, _ = example
    assert len(net.layers) <= 3
    assert max(net.widths) <= 4
    assert len(x) <= 2
    assert (abs(net.parameters.vector) > MARGIN).all()


@given(networks())
def test_real_differences_meet_no_kink_in_a_drawn_network(example):
    net, x, y, loss = example
    if isinstance(loss, nn.Huber | nn.Quantile):
        return  # its gradient has kinks, and differences of higher order meet them
    report = nn.check_gradients(net, x, y, loss, method="central")
    report.assert_ok()
    assert sum(row.kinks for row in report.rows) == 0


def test_numbers_that_bring_a_rectifier_to_its_kink_give_way_to_others(monkeypatch):
    net = nn.Network([nn.Dense(1, initializer=nn.ones), nn.ReLU()], inputs=2, dtype="float64")
    assert strategies._touches_a_kink(net, np.array([[1.0, -1.0 + MARGIN / 2]]))
    assert not strategies._touches_a_kink(net, np.array([[1.0, -1.0]]))
    answers = itertools.cycle([True, True, False])
    monkeypatch.setattr(strategies, "_touches_a_kink", lambda net, x: next(answers))
    assert find(networks(), lambda example: True) is not None
    assert next(answers)


@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_right_network_raises_an_alarm(example):
    nn.check_gradients(*example).assert_ok()


@pytest.mark.slow
@settings(max_examples=EXAMPLES // 10, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_right_network_is_diagnosed_as_wrong(example):
    assert diagnose(*example).right


# --- Without Hypothesis ---------------------------------------------------------------------------


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout


def test_all_but_the_strategies_works_without_hypothesis():
    output = run(
        """
        import sys
        sys.modules["hypothesis"] = None  # importing it now fails
        import nnreg as nn
        from nnreg.testing import KNOWN_BUGS, assert_layer_contract, diagnose
        assert_layer_contract(nn.ReLU)
        print(diagnose(*KNOWN_BUGS["ReLU: no mask"].example()).known_bug.name)
        """
    )
    assert output.splitlines() == ["ReLU: no mask"]


def test_importing_it_loads_neither_hypothesis_nor_pytest():
    loaded = run("import sys, nnreg.testing; print(*sys.modules)").split()
    assert "nnreg.testing.known_bugs" in loaded
    assert not {"hypothesis", "pytest", "_pytest"} & set(loaded)


def test_its_names_are_those_that_it_says():
    assert all(getattr(nnreg.testing, name) is not None for name in nnreg.testing.__all__)
    with pytest.raises(AttributeError, match=r"nnreg\.testing.* has no attribute 'nothing'"):
        _ = nnreg.testing.nothing
