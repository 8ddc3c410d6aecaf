"""Exercise 7, solved."""

import numpy as np


def initialize(sizes, rng):
    """Return the layers, a list of pairs (w, b): w (D, M) of He's scale, b (M,) zeros.

    sizes are the numbers of units, from the inputs to the classes.
    """
    layers = []
    for i in range(len(sizes) - 1):
        d, m = sizes[i], sizes[i + 1]
        layers.append((rng.standard_normal((d, m)) * np.sqrt(2 / d), np.zeros(m)))
    return layers


def forward(layers, x):
    """Return the activations, a list: x, the output of ReLU of each hidden layer, the logits."""
    activations = [x]
    for w, b in layers[:-1]:
        activations.append(np.maximum(activations[-1] @ w + b, 0))
    w, b = layers[-1]
    return [*activations, activations[-1] @ w + b]


def objective(layers, x, labels, strength):
    """Return ``(value, gradients)``: cross-entropy plus L2, and a list of pairs (dw, db)."""
    *inputs, z = forward(layers, x)
    rows = np.arange(len(x))
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    penalty = strength / 2 * sum(np.sum(w**2) for w, _ in layers)
    value = -log_p[rows, labels].mean() + penalty
    dy = np.exp(log_p)
    dy[rows, labels] -= 1
    dy /= len(x)
    gradients = []
    for a, (w, _) in zip(reversed(inputs), reversed(layers), strict=True):
        gradients.insert(0, (a.T @ dy + strength * w, dy.sum(axis=0)))
        dy = dy @ w.T * (a > 0)
    return value, gradients


def train(layers, x, labels, *, strength, learning_rate, epochs, batch_size, rng):
    """Return the trained layers, and a list of each epoch's mean objective."""
    history = []
    for _ in range(epochs):
        order, values = rng.permutation(len(x)), []
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            value, gradients = objective(layers, x[rows], labels[rows], strength)
            layers = [
                (w - learning_rate * dw, b - learning_rate * db)
                for (w, b), (dw, db) in zip(layers, gradients, strict=True)
            ]
            values.append(value)
        history.append(np.mean(values))
    return layers, history


def accuracy(layers, x, labels):
    """Return the share of rows whose largest logit is at their label."""
    return np.mean(forward(layers, x)[-1].argmax(axis=1) == labels)
