"""One step of a 3-2-1 network, every number worked out by hand.

Two rows, three inputs, two rectified hidden units, one output, mean squared error::

    x = [1 2 0]      w1 = [ 1.0 -1.0]    b1 = [0.0 0.5]    w2 = [ 1]    b2 = [1]    y = [ 1]
        [0 1 2]           [ 0.5  1.0]                           [-2]                    [-2]
                          [-1.0  0.5]
"""

import numpy as np
import pytest

import nnreg as nn

X = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]])
Y = np.array([[1.0], [-2.0]])
W1 = np.array([[1.0, -1.0], [0.5, 1.0], [-1.0, 0.5]])
W2 = np.array([[1.0], [-2.0]])


def network(penalty=None):
    net = nn.Network(
        [nn.Dense(2), nn.ReLU(), nn.Dense(1)], inputs=3, penalty=penalty, dtype="float64"
    )
    p = net.parameters
    p["dense_1.weight"][...], p["dense_1.bias"][...] = W1, [0.0, 0.5]
    p["dense_2.weight"][...], p["dense_2.bias"][...] = W2, [1.0]
    return net


def step(net, optimizer):
    outputs, cache = net.forward(X, training=True)
    _, doutputs = nn.MeanSquaredError()(outputs, Y)
    gradients = net.backward(doutputs, cache)
    net.add_penalty_gradient(gradients)
    optimizer.update(net.parameters, gradients)
    net.apply_proximal(optimizer.step_size)
    return net.parameters


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_forward():
    # z1, row 1:  1*1.0 + 2*0.5 + 0*-1 + 0.0 =  2.0      1*-1 + 2*1 + 0*0.5 + 0.5 = 1.5
    #     row 2:  0*1.0 + 1*0.5 + 2*-1 + 0.0 = -1.5      0*-1 + 1*1 + 2*0.5 + 0.5 = 2.5
    # The rectifier makes -1.5 a 0. Then z2 = 2 - 2*1.5 + 1 = 0 and 0 - 2*2.5 + 1 = -4.
    close(network().predict(X), [[0.0], [-4.0]])


def test_loss():
    # Residuals 0 - 1 = -1 and -4 + 2 = -2: the mean square is (1 + 4)/2, its gradient 2r/2 = r.
    value, doutputs = nn.MeanSquaredError()(network().predict(X), Y)
    assert value == 2.5
    close(doutputs, [[-1.0], [-2.0]])


def test_backward():
    net = network()
    _, cache = net.forward(X, training=True)
    g = net.backward([[-1.0], [-2.0]], cache)
    # dw2 = hT dz2:  2*-1 + 0*-2 = -2,  1.5*-1 + 2.5*-2 = -6.5;   db2 = -1 - 2.
    close(g["dense_2.weight"], [[-2.0], [-6.5]])
    close(g["dense_2.bias"], [-3.0])
    # dh = dz2 w2T = [[-1, 2], [-2, 4]]; a unit that was off passes nothing:
    # dz1 = [[-1, 2], [0, 4]].
    close(g["dense_1.bias"], [-1.0, 6.0])
    # dw1 = xT dz1:  input 1 is (1, 0), input 2 is (2, 1), input 3 is (0, 2).
    close(g["dense_1.weight"], [[-1.0, 2.0], [-2.0, 4.0 + 4.0], [0.0, 8.0]])


def test_penalties():
    # Squares:  w1: 1 + 1 + 0.25 + 1 + 1 + 0.25 = 4.5;  w2: 1 + 4 = 5.   0.1/2 * 9.5 = 0.475.
    assert network(nn.L2(0.1)).penalty_value() == pytest.approx(0.475, abs=1e-12)
    # Absolute values:  1 + 1 + 0.5 + 1 + 1 + 0.5 = 5;  1 + 2 = 3.   0.1 * 8.
    assert network(nn.L1(0.1)).penalty_value() == pytest.approx(0.8, abs=1e-12)


def test_a_step_of_gradient_descent():
    p = step(network(), nn.SGD(0.1))
    close(p["dense_1.weight"], [[1.1, -1.2], [0.7, 0.2], [-1.0, -0.3]])
    close(p["dense_1.bias"], [0.1, -0.1])
    close(p["dense_2.weight"], [[1.2], [-1.35]])
    close(p["dense_2.bias"], [1.3])


def test_a_step_with_l2():
    # Each weight moves by a further -0.1 * 0.1 * w, one hundredth of itself; the biases do not.
    p = step(network(nn.L2(0.1)), nn.SGD(0.1))
    close(p["dense_1.weight"], [[1.09, -1.19], [0.695, 0.19], [-0.99, -0.305]])
    close(p["dense_1.bias"], [0.1, -0.1])
    close(p["dense_2.weight"], [[1.19], [-1.33]])
    close(p["dense_2.bias"], [1.3])


def test_a_step_with_l1():
    # Each weight moves by a further -0.1 * 2.5 * sign(w), a quarter.
    p = step(network(nn.L1(2.5)), nn.SGD(0.1))
    close(p["dense_1.weight"], [[0.85, -0.95], [0.45, -0.05], [-0.75, -0.55]])
    close(p["dense_2.weight"], [[0.95], [-1.10]])


def test_a_step_with_proximal_l1():
    # After the step each weight comes nearer to zero by a quarter, and 0.2 stops there.
    p = step(network(nn.L1(2.5, method="proximal")), nn.SGD(0.1))
    close(p["dense_1.weight"], [[0.85, -0.95], [0.45, 0.0], [-0.75, -0.05]])
    assert p["dense_1.weight"][1, 1] == 0.0
    close(p["dense_1.bias"], [0.1, -0.1])
    close(p["dense_2.weight"], [[0.95], [-1.10]])
    close(p["dense_2.bias"], [1.3])


def test_a_step_of_adam():
    # At first m/(1 - beta_1) is g and the root of v/(1 - beta_2) is |g|: everything moves by 0.1
    # against the sign of its gradient, whatever its size, and what has none stays.
    p = step(network(), nn.Adam(0.1, epsilon=1e-15))
    close(p["dense_1.weight"], [[1.1, -1.1], [0.6, 0.9], [-1.0, 0.4]])
    close(p["dense_1.bias"], [0.1, 0.4])
    close(p["dense_2.weight"], [[1.1], [-1.9]])
    close(p["dense_2.bias"], [1.1])


def test_a_second_step_with_momentum():
    # The velocity after one step is g. A second step, with a gradient of zero, halves it and moves
    # every value on by 0.1 * g/2.
    net, optimizer = network(), nn.SGD(0.1, momentum=0.5)
    step(net, optimizer)
    optimizer.update(net.parameters, net.parameters.like())
    close(net.parameters["dense_1.weight"], [[1.15, -1.3], [0.8, -0.2], [-1.0, -0.7]])
    close(net.parameters["dense_2.bias"], [1.45])


def test_a_classifier_of_equal_outputs():
    # Outputs (0, 0, 0): probabilities 1/3, loss log 3, gradient p - t; divided by one row.
    net = nn.Network([nn.Dense(3, initializer=nn.zeros)], inputs=2, dtype="float64")
    outputs, cache = net.forward([[1.0, 2.0]], training=True)
    value, doutputs = nn.SoftmaxCrossEntropy()(outputs, [0])
    assert value == pytest.approx(1.0986122886681098)
    g = net.backward(doutputs, cache)
    close(g["dense_1.bias"], [-2 / 3, 1 / 3, 1 / 3])
    close(g["dense_1.weight"], [[-2 / 3, 1 / 3, 1 / 3], [-4 / 3, 2 / 3, 2 / 3]])
