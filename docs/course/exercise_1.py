"""Exercise 1: an affine map and ReLU, each forward and backward.

Replace every ``# your code here`` and the line below it. Each forward function returns the pair
``(y, cache)``: its output, and the values that its backward function needs. Each backward function
receives ``dy``, the gradient of the loss with respect to ``y``, and that cache.

NumPy is enough, and no loop is needed. Do not change the names, and do not modify the arrays that
your functions receive.
"""

import numpy as np


def affine_forward(x, w, b):
    """Return ``y = x w + b`` and a cache.

    x (N, D), w (D, M), b (M,); y (N, M).
    """
    # your code here
    raise NotImplementedError("affine_forward")


def affine_backward(dy, cache):
    """Return ``dx, dw, db``.

    dy (N, M); dx (N, D), dw (D, M), db (M,).
    """
    # your code here
    raise NotImplementedError("affine_backward")


def relu_forward(x):
    """Return ``y = max(x, 0)``, entry by entry, and a cache."""
    # your code here
    raise NotImplementedError("relu_forward")


def relu_backward(dy, cache):
    """Return ``dx``. At exactly ``x = 0`` the derivative is taken to be 0."""
    # your code here
    raise NotImplementedError("relu_backward")
