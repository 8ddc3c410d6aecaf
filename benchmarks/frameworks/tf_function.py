"""TensorFlow without Keras: the whole step is one ``tf.function``, with XLA or without.

The data live in tensors and the step counts itself, so a call passes no arrays. The updates are
TensorFlow's own fused kernels; its Adam adds epsilon to the root of the uncorrected moment.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.frameworks.stepwise import Stepwise
from benchmarks.problem import BETA_1, BETA_2, MASKS, Array, Problem


class TfFunction(Stepwise):
    """One compiled step."""

    def __init__(self, problem: Problem, xla: bool) -> None:
        self.problem = problem
        x, y = problem.data()
        self.x, self.y = tf.constant(x), tf.constant(y, tf.int32)
        self.batches = tf.constant(problem.order().reshape(-1, problem.batch), tf.int32)
        self.layers = [(tf.Variable(w), tf.Variable(b)) for w, b in problem.weights()]
        self.flat = [value for layer in self.layers for value in layer]
        self.slots = [
            [tf.Variable(tf.zeros_like(value)) for value in self.flat]
            for _ in range({"sgd": 0, "momentum": 1, "adam": 2}[problem.optimizer])
        ]
        self.count = tf.Variable(0, dtype=tf.int32)
        given = problem.drops and problem.given_masks
        self.masks = [tf.constant(masks) for masks in problem.masks()] if given else None
        self.step = tf.function(self.one_step, jit_compile=xla, autograph=False)

    def apply_dropout(self, y: Any, index: int) -> Any:
        """Return a hidden layer's output after dropout."""
        if self.masks is not None:
            return y * tf.gather(self.masks[index], self.count % MASKS)
        return tf.nn.dropout(y, 1 - self.problem.keep) if self.problem.drops else y

    def one_step(self) -> Any:
        """Gather, differentiate, update."""
        problem = self.problem
        # A slice would make XLA compile anew for every place where it begins.
        rows = tf.gather(self.batches, self.count % problem.batches)
        y, labels = tf.gather(self.x, rows), tf.gather(self.y, rows)
        with tf.GradientTape() as tape:
            for index, (w, b) in enumerate(self.layers):
                y = tf.nn.bias_add(tf.matmul(y, w), b)
                if index < len(self.layers) - 1:
                    y = self.apply_dropout(tf.nn.relu(y), index)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=y)
            )
            total = loss
            if problem.l2:
                total += problem.l2 * tf.add_n([tf.nn.l2_loss(w) for w, _ in self.layers])
            if problem.l1:
                total += problem.l1 * tf.add_n([tf.reduce_sum(tf.abs(w)) for w, _ in self.layers])
        gradients = tape.gradient(total, self.flat)
        self.count.assign_add(1)
        self.update(gradients)
        return loss

    def update(self, gradients: list[Any]) -> None:
        """Apply the fused kernel to each array."""
        raw, problem, slots = tf.raw_ops, self.problem, self.slots

        def number(value: Any) -> Any:
            return tf.constant(value, problem.dtype)

        rate = number(problem.rate)
        steps = tf.cast(self.count, problem.dtype)
        for i, (value, g) in enumerate(zip(self.flat, gradients, strict=True)):
            var = value.handle
            if problem.optimizer == "sgd":
                raw.ResourceApplyGradientDescent(var=var, alpha=rate, delta=g)
            elif problem.optimizer == "momentum":
                raw.ResourceApplyMomentum(
                    var=var,
                    accum=slots[0][i].handle,
                    lr=rate,
                    grad=g,
                    momentum=number(problem.momentum),
                )
            else:
                raw.ResourceApplyAdam(
                    var=var,
                    m=slots[0][i].handle,
                    v=slots[1][i].handle,
                    beta1_power=tf.pow(number(BETA_1), steps),
                    beta2_power=tf.pow(number(BETA_2), steps),
                    lr=rate,
                    beta1=number(BETA_1),
                    beta2=number(BETA_2),
                    epsilon=number(problem.epsilon),
                    grad=g,
                )

    def parameters(self) -> list[Array]:
        """Return them layer by layer."""
        return [value.numpy() for value in self.flat]
