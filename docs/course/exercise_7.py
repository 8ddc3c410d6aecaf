"""Exercise 7: a whole network for digits in NumPy, from the initial weights to the accuracy.

Replace every ``# your code here`` and the line below it. Do not change the names, and do not
modify the arrays that your functions receive. The layers are a list of pairs (w, b); every layer
but the last one ends with ReLU.
"""

import numpy as np


def initialize(sizes, rng):
    """Return the layers, a list of pairs (w, b): w (D, M) of He's scale, b (M,) zeros.

    sizes are the numbers of units, from the inputs to the classes.
    """
    # your code here
    raise NotImplementedError("initialize")


def forward(layers, x):
    """Return the activations, a list: x, the output of ReLU of each hidden layer, the logits."""
    # your code here
    raise NotImplementedError("forward")


def objective(layers, x, labels, strength):
    """Return ``(value, gradients)``: cross-entropy plus L2, and a list of pairs (dw, db)."""
    # your code here
    raise NotImplementedError("objective")


def train(layers, x, labels, *, strength, learning_rate, epochs, batch_size, rng):
    """Return the trained layers, and a list of each epoch's mean objective."""
    # your code here
    raise NotImplementedError("train")


def accuracy(layers, x, labels):
    """Return the share of rows whose largest logit is at their label."""
    # your code here
    raise NotImplementedError("accuracy")
