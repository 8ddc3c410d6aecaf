"""Exercise 6: a custom layer, Swish with a learned slope.

Replace every ``# your code here`` and the line below it. Do not change the names, do not
modify the arrays that your methods receive, and store what backward needs in the cache only.
"""

import nnreg as nn


class Swish(nn.Layer):
    """``y = x * sigmoid(beta * x)``, with one learned beta for each feature."""

    def parameters(self, inputs):
        """Return ``{"beta": ...}``: shape (inputs,), ones at first, not a weight."""
        # your code here
        raise NotImplementedError("Swish.parameters")

    def forward(self, x, cache):
        """Return ``y``; x (N, D), y (N, D)."""
        # your code here
        raise NotImplementedError("Swish.forward")

    def backward(self, dy, cache):
        """Return ``dx``; dy (N, D), dx (N, D)."""
        # your code here
        raise NotImplementedError("Swish.backward")

    def gradient(self, dy, cache, gradients):
        """Write the derivative with respect to beta, (D,), into ``gradients["beta"]``."""
        # your code here
        raise NotImplementedError("Swish.gradient")
