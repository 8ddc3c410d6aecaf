"""Exercise 4: inverted dropout, forward and backward.

Replace every ``# your code here`` and the line below it. The forward function returns the pair
``(y, cache)``: its output, and the values that the backward function needs. NumPy is enough, and
no loop is needed. Do not change the names, and do not modify the arrays that your functions
receive.
"""

import numpy as np


def dropout_forward(x, keep_prob, training, rng):
    """Return ``y`` and a cache.

    In training, each entry of x is kept with probability keep_prob and divided by it,
    or else set to zero; rng is a np.random.Generator to draw from. Otherwise y is x.
    """
    # your code here
    raise NotImplementedError("dropout_forward")


def dropout_backward(dy, cache):
    """Return ``dx``, for the pass that made this cache."""
    # your code here
    raise NotImplementedError("dropout_backward")
