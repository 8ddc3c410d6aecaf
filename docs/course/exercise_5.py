"""Exercise 5: a whole training loop, for a network of nnreg.

Replace every ``# your code here`` and the line below it. Do not change the names. ``nn.fit``,
``nn.batches`` and the optimizers do the same; here you write it yourself.
"""

import numpy as np


def batches(n, batch_size, rng):
    """Return a list of arrays: the rows 0 to n - 1 in random order, cut into batches.

    Each has batch_size rows, except the last, which has the remaining rows.
    """
    # your code here
    raise NotImplementedError("batches")


def train_step(net, loss, x, y, learning_rate):
    """Make one step of gradient descent; return the objective before it.

    The objective is the data loss plus the penalty. x (N, D), y (N,).
    """
    # your code here
    raise NotImplementedError("train_step")


def train(net, loss, x, y, *, learning_rate, epochs, batch_size, rng):
    """Train for so many epochs; return a list of each epoch's mean objective."""
    # your code here
    raise NotImplementedError("train")


def accuracy(net, x, y):
    """Return the share of rows whose largest output is at their label, without dropout."""
    # your code here
    raise NotImplementedError("accuracy")
