"""Schedules: hyperparameters as functions of the number of steps.

The callback ``nn.HyperparameterScheduler(optimizer, "learning_rate", nn.CosineDecay(0.1, 1000))``
applies a schedule to a learning rate, a penalty's strength or a keep probability.

Any function of the step is a schedule. Here the L1 penalty begins after 30 steps, and the weight of
the input that is only noise becomes zero.

>>> import nnreg as nn
>>> penalty = nn.L1(0.0, method="proximal")
>>> net = nn.Network([nn.Dense(1)], inputs=2, penalty=penalty)
>>> late = nn.HyperparameterScheduler(penalty, "strength", lambda step: 0.3 if step >= 30 else 0.0)
>>> x, y = [[1.0, 0.1], [-1.0, 0.2], [0.5, -0.1]], [[1.0], [-1.0], [0.5]]
>>> training = {"loss": nn.MeanSquaredError(), "optimizer": nn.SGD(0.1), "callbacks": [late]}
>>> for epochs in (30, 30):  # of one step each
...     history = nn.fit(net, x, y, epochs=epochs, **training)
...     print(int((net.parameters.weights != 0).sum()))
2
1
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nnreg._support.hyperparameters import Checked, Configurable
from nnreg._support.validation import instance, number, whole

SCHEDULE = "a schedule or a function of the step"  # in error messages


class Schedule(Configurable):
    """The base class of schedules, which are functions of ``net.steps``."""

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


class ConstantSchedule(Schedule):
    """The constant ``value``.

    >>> ConstantSchedule(0.1)(1000)
    0.1
    """

    value = Checked(number)

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, step: int) -> float:
        """Return ``value``."""
        return float(self.value)


class StepDecay(Schedule):
    """``start · factor^⌊step/every⌋``.

    >>> [StepDecay(1.0, factor=0.1, every=100)(s) for s in (0, 99, 100)]
    [1.0, 1.0, 0.1]
    """

    start = Checked(number)
    factor = Checked(number, 0)
    every = Checked(whole, 1)

    def __init__(self, start: float, *, factor: float, every: int) -> None:
        self.start, self.factor, self.every = start, factor, every

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return float(self.start * self.factor ** (step // self.every))


class ExponentialDecay(StepDecay):
    """``start · factor^(step/every)``: a continuous :class:`StepDecay`.

    >>> ExponentialDecay(1.0, factor=0.25, every=100)(50)
    0.5
    """

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return float(self.start * self.factor ** (step / self.every))


class CosineDecay(Schedule):
    """``end + (start - end)·(1 + cos(π·step/steps))/2`` until ``steps``, then ``end``.

    The schedule of Loshchilov & Hutter (2017), without restarts.

    >>> [round(CosineDecay(1.0, 100)(s), 9) for s in (0, 50, 100, 200)]
    [1.0, 0.5, 0.0, 0.0]
    """

    start = Checked(number)
    end = Checked(number)
    steps = Checked(whole, 1)

    def __init__(self, start: float, steps: int, *, end: float = 0.0) -> None:
        self.start, self.steps, self.end = start, steps, end

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        angle = math.pi * min(step / self.steps, 1.0)
        return float(self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(angle)))


class InverseTimeDecay(Schedule):
    """``start/(1 + step/half)``: half of ``start`` after ``half`` steps.

    >>> InverseTimeDecay(1.0, half=100)(300)
    0.25
    """

    start = Checked(number)
    half = Checked(number, 0, open_low=True)

    def __init__(self, start: float, *, half: float) -> None:
        self.start, self.half = start, half

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return float(self.start / (1.0 + step / self.half))


class Warmup(Schedule):
    """``after(0)·step/steps`` until ``steps``, afterwards ``after(step - steps)``.

    The value grows linearly from 0 to the first value of ``after``, then follows ``after``.

    >>> warm = Warmup(10, ConstantSchedule(0.5))
    >>> [warm(s) for s in (0, 5, 10, 99)]
    [0.0, 0.25, 0.5, 0.5]
    """

    steps = Checked(whole, 1)
    after = Checked(instance, Callable, SCHEDULE)

    def __init__(self, steps: int, after: Callable[[int], float]) -> None:
        self.steps, self.after = steps, after

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        if step < self.steps:
            return float(self.after(0) * step / self.steps)
        return float(self.after(step - self.steps))
