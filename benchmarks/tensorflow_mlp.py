"""A multilayer perceptron with L2 and dropout, in TensorFlow and in nnreg, line by line.

Both train 64-32-10 on the digits that nnreg ships, from the same weights, on the same rows, with
the same dropout masks, in float64. It prints the losses of both and the largest
difference; the exit code is 1 if they differ. Corresponding lines have the same comment::

    python -m benchmarks.tensorflow_mlp --steps 20
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import numpy as np

import nnreg as nn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

INPUTS, HIDDEN, CLASSES = 64, 32, 10
KEEP, STRENGTH, RATE = 0.75, 2**-10, 2**-4
BATCH = 128


class WithTensorFlow:
    """The network as variables, a collection of penalties, and a tape."""

    def __init__(self, net: nn.Network) -> None:
        import tensorflow as tf

        self.tf, self.penalized, self.variables = tf, [], []
        # create a layer's variables: its weights are penalized, its biases are not
        self.w1 = self.create_variable(net.parameters["dense_1.weight"], weight_decay=True)
        self.b1 = self.create_variable(net.parameters["dense_1.bias"])
        self.w2 = self.create_variable(net.parameters["dense_2.weight"], weight_decay=True)
        self.b2 = self.create_variable(net.parameters["dense_2.bias"])

    def create_variable(self, values: Any, weight_decay: bool = False) -> Any:
        """Return a new variable; with ``weight_decay`` it is penalized."""
        variable = self.tf.Variable(values)
        self.variables.append(variable)
        if weight_decay:
            self.penalized.append(variable)
        return variable

    def step(self, x: Any, labels: Any, mask: Any) -> tuple[float, float]:
        """Train on a batch; return data loss and penalty."""
        tf = self.tf
        with tf.GradientTape() as tape:
            # forward, with dropout on the hidden layer
            hidden = tf.nn.relu(x @ self.w1 + self.b1) * mask
            logits = hidden @ self.w2 + self.b2
            # the data loss
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            data_loss = tf.reduce_mean(cross_entropy)
            # the penalty: l2_loss has the half, like ours
            penalty = STRENGTH * tf.add_n([tf.nn.l2_loss(w) for w in self.penalized])
            total = data_loss + penalty
        # the gradient of the total
        gradients = tape.gradient(total, self.variables)
        # the update
        for variable, gradient in zip(self.variables, gradients, strict=True):
            variable.assign_sub(RATE * gradient)
        return float(data_loss), float(penalty)


class WithNnreg:
    """The network as layers and a penalty."""

    def __init__(self) -> None:
        # create a layer's variables: its weights are penalized, its biases are not
        self.net = nn.Network(
            [nn.Dense(HIDDEN), nn.ReLU(), nn.Dropout(keep_prob=KEEP), nn.Dense(CLASSES)],
            inputs=INPUTS,
            penalty=nn.L2(STRENGTH),
            dtype="float64",
        )
        self.loss, self.optimizer = nn.SoftmaxCrossEntropy(), nn.SGD(RATE)

    def step(self, x: Any, labels: Any) -> tuple[float, float]:
        """Train on a batch; return data loss and penalty."""
        # forward, with dropout on the hidden layer
        logits, cache = self.net.forward(x, training=True)
        # the data loss
        data_loss, dlogits = self.loss(logits, labels)
        # the penalty
        penalty = self.net.penalty_value()
        # the gradient of the total
        gradients = self.net.backward(dlogits, cache)
        self.net.add_penalty_gradient(gradients)
        # the update
        self.optimizer.update(self.net.parameters, gradients)
        return float(data_loss), float(penalty)

    def next_mask(self, rows: int) -> Any:
        """Return the mask of the next step: the output of dropout for ones."""
        dropout = next(layer for layer in self.net.layers if isinstance(layer, nn.Dropout))
        cache = nn.Cache("float64")
        cache.reset(training=True, step=self.net.steps)
        return dropout.forward(np.ones((rows, HIDDEN)), cache).copy()


def compare(steps: int) -> float:
    """Train both, print the losses, and return the largest difference of losses and parameters."""
    (x, y), _ = nn.datasets.load_digits()
    ours = WithNnreg()
    theirs = WithTensorFlow(ours.net)
    print(f"{'step':>4}  {'TensorFlow':>22}  {'nnreg':>22}  {'difference':>10}")
    worst = 0.0
    for step in range(steps):
        rows = np.arange(step * BATCH, (step + 1) * BATCH) % len(x)
        batch, labels = x[rows].astype(np.float64), y[rows]
        their_loss = theirs.step(batch, labels, ours.next_mask(BATCH))
        loss = ours.step(batch, labels)
        difference = max(abs(a - b) for a, b in zip(their_loss, loss, strict=True))
        worst = max(worst, difference)
        columns = [f"{data:.12f} + {penalty:.5f}" for data, penalty in (their_loss, loss)]
        print(f"{step:>4}  {columns[0]:>22}  {columns[1]:>22}  {difference:10.1e}")
    names = ("dense_1.weight", "dense_1.bias", "dense_2.weight", "dense_2.bias")
    for name, variable in zip(names, theirs.variables, strict=True):
        difference = float(np.abs(variable.numpy() - ours.net.parameters[name]).max())
        print(f"{name} differs by at most {difference:.1e}")
        worst = max(worst, difference)
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    worst = compare(parser.parse_args().steps)
    print(f"the largest difference is {worst:.1e}")
    return int(not worst < 1e-12)


if __name__ == "__main__":
    sys.exit(main())
