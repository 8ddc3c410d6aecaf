"""nnreg through its public ``nn.fit``."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnreg as nn
from benchmarks.frameworks.stepwise import Stamps, plan
from benchmarks.problem import BETA_1, BETA_2, MASKS, Array, Problem


class Given(nn.Layer):
    """Dropout whose masks are given, (MASKS, batch, width), and taken in turn."""

    initializer_before = None

    def __init__(self, masks: Array) -> None:
        self.masks = masks

    def forward(self, x: Array, cache: nn.Cache) -> Array:
        """Return ``x·m``."""
        cache.mask = self.masks[cache.step % MASKS][cache.first_row : cache.first_row + len(x)]
        return np.multiply(x, cache.mask, out=cache.array("y", x.shape))

    def backward(self, dy: Array, cache: nn.Cache) -> Array:
        """Return ``dy·m``."""
        return np.multiply(dy, cache.mask, out=cache.array("dx", dy.shape))


class Clock(nn.Callback):
    """Stamps the beginning of each step."""

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps

    def on_batch_begin(self, run: Any) -> None:
        """Stamp."""
        self.stamps()

    on_step = on_batch_begin  # its name in nnreg 0.1, for step --against


def network(problem: Problem) -> nn.Network:
    """Return the problem's network with its weights."""
    layers: list[nn.Layer] = []
    masks = problem.masks() if problem.drops and problem.given_masks else None
    for index, width in enumerate(problem.hidden):
        layers += [nn.Dense(width), nn.ReLU()]
        if masks is not None:
            layers.append(Given(masks[index]))
        elif problem.drops:
            layers.append(nn.Dropout(keep_prob=problem.keep))
    layers.append(nn.Dense(problem.widths[-1]))
    penalty = nn.L2(problem.l2) if problem.l2 else nn.L1(problem.l1) if problem.l1 else None
    net = nn.Network(layers, inputs=problem.widths[0], penalty=penalty, dtype=problem.dtype)
    for number, (w, b) in enumerate(problem.weights(), 1):
        net.parameters[f"dense_{number}.weight"][...] = w
        net.parameters[f"dense_{number}.bias"][...] = b
    return net


def optimizer(problem: Problem) -> nn.Optimizer:
    """Return the problem's optimizer."""
    if problem.optimizer == "adam":
        return nn.Adam(problem.rate, beta_1=BETA_1, beta_2=BETA_2, epsilon=problem.epsilon)
    return nn.SGD(problem.rate, momentum=problem.momentum)


class NnregFit:
    """``nn.fit`` with its default number of threads."""

    def __init__(self, problem: Problem, threads: int | None = None) -> None:
        self.problem, self.threads = problem, threads
        self.x, self.y = problem.data()
        self.net = network(problem)
        self.optimizer = optimizer(problem)
        self.loss = nn.SoftmaxCrossEntropy()

    def fit(self, x: Array, y: Array, epochs: int = 1, **others: Any) -> nn.History:
        """Train."""
        return nn.fit(
            self.net,
            x,
            y,
            loss=self.loss,
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=self.problem.batch,
            threads=self.threads,
            **others,
        )

    def follow(self, steps: int) -> list[float]:
        """Fit batch by batch."""
        losses = []
        for step in range(steps):
            rows = self.problem.rows(step)
            losses.append(self.fit(self.x[rows], self.y[rows], shuffle=False).last["data_loss"])
        return losses

    def chunk(self, steps: int, warm: int) -> float:
        """Fit once, and time its steps from the first after ``warm`` on."""
        stamps = Stamps(warm, warm + steps)
        rows, epochs = plan(self.problem, warm + steps + 1)
        self.fit(self.x[:rows], self.y[:rows], epochs, callbacks=[Clock(stamps)])
        return stamps.seconds

    def parameters(self) -> list[Array]:
        """Return them layer by layer."""
        return [
            self.net.parameters[f"dense_{number}.{kind}"]
            for number in range(1, len(self.problem.widths))
            for kind in ("weight", "bias")
        ]
