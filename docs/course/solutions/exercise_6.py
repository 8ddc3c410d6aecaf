"""Exercise 6, solved."""

import nnreg as nn


class Swish(nn.Layer):
    """``y = x * sigmoid(beta * x)``, with one learned beta for each feature."""

    def parameters(self, inputs):
        """Return ``{"beta": ...}``: shape (inputs,), ones at first, not a weight."""
        return {"beta": nn.Parameter((inputs,), nn.ones, weight=False)}

    def forward(self, x, cache):
        """Return ``y``; x (N, D), y (N, D)."""
        s = nn.sigmoid(self.beta * x)
        cache.x, cache.s = x, s
        return x * s

    def backward(self, dy, cache):
        """Return ``dx``; dy (N, D), dx (N, D)."""
        x, s = cache.x, cache.s
        return dy * (s + self.beta * x * s * (1 - s))

    def gradient(self, dy, cache, gradients):
        """Write the derivative with respect to beta, (D,), into ``gradients["beta"]``."""
        x, s = cache.x, cache.s
        gradients["beta"][...] = (dy * x * x * s * (1 - s)).sum(axis=0)
