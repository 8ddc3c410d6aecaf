"""Exercise 5, solved."""

import numpy as np


def batches(n, batch_size, rng):
    """Return a list of arrays: the rows 0 to n - 1 in random order, cut into batches.

    Each has batch_size rows, except the last, which has the remaining rows.
    """
    order = rng.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]


def train_step(net, loss, x, y, learning_rate):
    """Make one step of gradient descent; return the objective before it.

    The objective is the data loss plus the penalty. x (N, D), y (N,).
    """
    outputs, cache = net.forward(x, training=True)
    value, doutputs = loss(outputs, y)
    total = value + net.penalty_value()
    gradients = net.backward(doutputs, cache)
    net.add_penalty_gradient(gradients)
    net.parameters.vector -= learning_rate * gradients.vector
    return total


def train(net, loss, x, y, *, learning_rate, epochs, batch_size, rng):
    """Train for so many epochs; return a list of each epoch's mean objective."""
    history = []
    for _ in range(epochs):
        values = [
            train_step(net, loss, x[batch], y[batch], learning_rate)
            for batch in batches(len(x), batch_size, rng)
        ]
        history.append(np.mean(values))
    return history


def accuracy(net, x, y):
    """Return the share of rows whose largest output is at their label, without dropout."""
    return np.mean(net.predict(x).argmax(axis=1) == y)
