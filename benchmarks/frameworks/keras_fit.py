"""Keras as most people run it: ``compile`` and ``fit``.

Its L2 has no half; biases are left alone. Dropout follows each hidden ReLU. ``compile`` chooses by
itself whether XLA is used.
"""

from __future__ import annotations

from typing import Any

import keras

from benchmarks.frameworks.stepwise import Stamps, plan
from benchmarks.problem import BETA_1, BETA_2, Array, Problem


class Clock(keras.callbacks.Callback):
    """Stamps the beginning of each call of the training function."""

    def __init__(self, stamps: Stamps) -> None:
        super().__init__()
        self.stamps = stamps

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Stamp."""
        self.stamps()


def optimizer(problem: Problem) -> Any:
    """Return the problem's optimizer."""
    if problem.optimizer == "adam":
        return keras.optimizers.Adam(problem.rate, BETA_1, BETA_2, epsilon=problem.epsilon)
    return keras.optimizers.SGD(problem.rate, momentum=problem.momentum)


def model(problem: Problem) -> Any:
    """Return the problem's network with its weights."""
    layers: list[Any] = [keras.Input((problem.widths[0],), dtype=problem.dtype)]
    penalty = keras.regularizers.L1L2(problem.l1, problem.l2 / 2)
    for index, width in enumerate(problem.widths[1:], 1):
        last = index == len(problem.widths) - 1
        layers.append(
            keras.layers.Dense(
                width,
                activation=None if last else "relu",
                kernel_regularizer=penalty if problem.l1 or problem.l2 else None,
                dtype=problem.dtype,
            )
        )
        if problem.drops and not last:
            layers.append(keras.layers.Dropout(1 - problem.keep, dtype=problem.dtype))
    net = keras.Sequential(layers)
    net.set_weights([values for pair in problem.weights() for values in pair])
    return net


class KerasFit:
    """``fit``, its steps timed from within."""

    def __init__(self, problem: Problem, steps_per_execution: int = 1) -> None:
        self.problem, self.together = problem, steps_per_execution
        keras.config.set_floatx(problem.dtype)
        self.x, self.y = problem.data()
        self.model = model(problem)
        self.model.compile(
            optimizer(problem),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=problem.dtype),
            steps_per_execution=steps_per_execution,
        )

    def fit(self, x: Array, y: Array, epochs: int = 1, **others: Any) -> Any:
        """Train."""
        keras.config.set_floatx(self.problem.dtype)
        return self.model.fit(x, y, self.problem.batch, epochs=epochs, verbose=0, **others)

    def follow(self, steps: int) -> list[float]:
        """Fit batch by batch; Keras reports data loss and penalty together."""
        losses = []
        for step in range(steps):
            rows = self.problem.rows(step)
            penalty = float(sum(self.model.losses)) if self.model.losses else 0.0
            history = self.fit(self.x[rows], self.y[rows], shuffle=False).history
            losses.append(float(history["loss"][-1]) - penalty)
        return losses

    def chunk(self, steps: int, warm: int) -> float:
        """Fit once, and time its calls from the first after ``warm`` on."""
        calls, warm = -(-steps // self.together), -(-warm // self.together)
        stamps = Stamps(warm, warm + calls)
        rows, epochs = plan(self.problem, (warm + calls + 1) * self.together)
        self.fit(self.x[:rows], self.y[:rows], epochs, callbacks=[Clock(stamps)])
        return stamps.seconds / self.together

    def parameters(self) -> list[Array]:
        """Return them layer by layer."""
        return self.model.get_weights()
