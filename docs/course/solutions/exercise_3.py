"""Exercise 3, solved."""

import numpy as np


def l2(w, strength):
    """Return ``(value, gradient)`` of ``strength/2 * sum(w**2)``; w any shape."""
    return strength / 2 * np.sum(w**2), strength * w


def l1(w, strength):
    """Return ``(value, gradient)`` of ``strength * sum(abs(w))``; w any shape.

    At exactly ``w = 0`` the gradient is taken to be 0.
    """
    return strength * np.sum(np.abs(w)), strength * np.sign(w)


def l1_proximal(w, threshold):
    """Return w with each entry moved towards zero by threshold, and none past zero."""
    return np.sign(w) * np.maximum(np.abs(w) - threshold, 0)


def add_l2(gradients, parameters, strength):
    """Return new gradients: L2's is added to those of the weights, those of the biases are equal.

    Both dictionaries have the same names; a weight's begins with "w", a bias's with "b".
    """
    total = {}
    for name, gradient in gradients.items():
        total[name] = gradient
        if name.startswith("w"):
            total[name] = gradient + l2(parameters[name], strength)[1]
    return total
