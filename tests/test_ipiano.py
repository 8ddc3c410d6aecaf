"""Inertial SGD: the weights have momentum, after the proximal map, and the objective descends."""

import numpy as np
import pytest
from small import everything, fit, network, problem
from strategies import filled

import nnreg as nn
from nnreg.training.step import TrainingStep


def test_the_whole_last_step_is_carried_on_proximal_map_and_projection_included(rng):
    net = network(penalty=nn.ElasticNet(0.05, 0.1, method="proximal"))
    net.constraint = nn.MaxNorm(1.0)
    optimizer = nn.IPiano(0.1, momentum=0.6)
    w, before = net.parameters.vector.copy(), net.parameters.vector.copy()
    by_hand = net.copy()
    for _ in range(4):
        g = filled(net.parameters, rng)
        optimizer.update(net.parameters, g)
        net.apply_proximal(optimizer.step_size)
        by_hand.parameters.vector[:] = w - 0.1 * g.vector + 0.6 * (w - before)
        by_hand.apply_proximal(0.1)
        w, before = by_hand.parameters.vector.copy(), w
        np.testing.assert_allclose(net.parameters.vector, w, rtol=1e-12, atol=1e-14)


def test_a_weight_at_zero_gathers_no_momentum_while_the_penalty_holds_it():
    """The velocity of SGD does, and throws the weight far out once it is let go."""
    lengths = []
    for optimizer in (nn.IPiano(0.01), nn.SGD(0.01, momentum=0.9)):
        penalty = nn.L1(2.0, method="proximal")
        net = nn.Network([nn.Dense(1, bias=False)], inputs=1, penalty=penalty, dtype="float64")
        net.parameters.weights[:] = 0
        gradients = net.parameters.like()
        gradients.vector[:] = -1.9
        for strength in (*[2.0] * 50, 0.0):
            penalty.strength = strength
            optimizer.update(net.parameters, gradients)
            net.apply_proximal(optimizer.step_size)
            assert net.parameters.weights[0] == 0 or strength == 0
        lengths.append(net.parameters.weights[0])
    assert lengths[0] == pytest.approx(0.01 * 1.9)
    assert lengths[1] == pytest.approx(10 * lengths[0], rel=0.01)


def test_total_and_last_step_together_never_rise_on_a_network_with_a_hidden_layer(rng):
    """The proof's function: total + c‖w - before‖², here with c = (1 - momentum)/(2·rate)."""
    x, y = rng.normal(size=(60, 5)), rng.normal(size=(60, 1))
    penalty = nn.L1(0.01, method="proximal")
    layers = [nn.Dense(6), nn.Tanh(), nn.Dense(1)]
    net = nn.Network(layers, inputs=5, penalty=penalty, dtype="float64")
    loss, optimizer = nn.MeanSquaredError(), nn.IPiano(0.02, momentum=0.8)
    step, every = TrainingStep(net, loss, optimizer), np.arange(60)
    values, before = [], net.parameters.vector.copy()
    for _ in range(300):
        last = net.parameters.vector.copy()
        total = loss(net.predict(x), y)[0] + net.penalty_value()
        values.append(total + 0.2 / 0.04 * ((last - before) ** 2).sum())
        step(x, y, every)
        before = last
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] < values[0] / 2


def test_after_an_epoch_that_blew_up_it_begins_at_rest_again():
    x, y = problem()
    net, optimizer = network(), nn.IPiano(0.1)
    start = net.copy()
    bad = np.array(x)
    bad[30:] = 1e200
    with pytest.raises(nn.NonFiniteLossError):
        fit(net, bad, y, optimizer=optimizer, shuffle=False, epochs=5)
    fresh = nn.IPiano(0.1)
    fit(net, x, y, optimizer=optimizer)
    fit(start, x, y, optimizer=fresh)
    assert everything(net, optimizer) == everything(start, fresh)
