"""Exercise 3: L2 and L1, their gradients, and the proximal step.

Replace every ``# your code here`` and the line below it. NumPy is enough, and no loop over entries
is needed. Do not change the names, and do not modify the arrays that your functions receive.
"""

import numpy as np


def l2(w, strength):
    """Return ``(value, gradient)`` of ``strength/2 * sum(w**2)``; w any shape."""
    # your code here
    raise NotImplementedError("l2")


def l1(w, strength):
    """Return ``(value, gradient)`` of ``strength * sum(abs(w))``; w any shape.

    At exactly ``w = 0`` the gradient is taken to be 0.
    """
    # your code here
    raise NotImplementedError("l1")


def l1_proximal(w, threshold):
    """Return w with each entry moved towards zero by threshold, and none past zero."""
    # your code here
    raise NotImplementedError("l1_proximal")


def add_l2(gradients, parameters, strength):
    """Return new gradients: L2's is added to those of the weights, those of the biases are equal.

    Both dictionaries have the same names; a weight's begins with "w", a bias's with "b".
    """
    # your code here
    raise NotImplementedError("add_l2")
