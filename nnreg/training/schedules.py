"""Schedules: a hyper-parameter as a function of the number of steps.

It may be a learning rate, a penalty's strength, a keep probability.
The callback ``nn.HyperparameterScheduler(optimizer, "learning_rate", nn.CosineDecay(0.1, 1000))``
applies one.

A function of one's own will do: here L1 sets in after 30 steps, towards the end of training, and
the weight that nobody needs goes to zero.

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

from nnreg._support import hyperparameters, validation


class Schedule(hyperparameters.Configurable):
    """A function of ``net.steps``; a plain function serves as well."""

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        raise NotImplementedError


class ConstantSchedule(Schedule):
    """``value``, always.

    >>> ConstantSchedule(0.1)(1000)
    0.1
    """

    def __init__(self, value: float) -> None:
        self.value = validation.number("value", value)

    def __call__(self, step: int) -> float:
        """Return ``value``."""
        return self.value


class StepDecay(Schedule):
    """``start · factor^⌊step/every⌋``.

    >>> [StepDecay(1.0, factor=0.1, every=100)(s) for s in (0, 99, 100)]
    [1.0, 1.0, 0.1]
    """

    def __init__(self, start: float, *, factor: float, every: int) -> None:
        self.start = validation.number("start", start)
        self.factor = validation.number("factor", factor, 0)
        self.every = validation.whole("every", every, 1)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return self.start * self.factor ** (step // self.every)


class ExponentialDecay(StepDecay):
    """``start · factor^(step/every)``: as :class:`StepDecay`, without the steps.

    >>> ExponentialDecay(1.0, factor=0.25, every=100)(50)
    0.5
    """

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return float(self.start * self.factor ** (step / self.every))


class CosineDecay(Schedule):
    """``end + (start - end)·(1 + cos(π·step/steps))/2`` until ``steps``, then ``end``.

    It is the schedule of Loshchilov & Hutter (2017), without their restarts.

    >>> [round(CosineDecay(1.0, 100)(s), 9) for s in (0, 50, 100, 200)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, start: float, steps: int, *, end: float = 0.0) -> None:
        self.start, self.end = validation.number("start", start), validation.number("end", end)
        self.steps = validation.whole("steps", steps, 1)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        share = min(step / self.steps, 1.0)
        return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * share))


class InverseTimeDecay(Schedule):
    """``start/(1 + step/half)``: half of ``start`` after ``half`` steps.

    >>> InverseTimeDecay(1.0, half=100)(300)
    0.25
    """

    def __init__(self, start: float, *, half: float) -> None:
        self.start = validation.number("start", start)
        self.half = validation.number("half", half, 0, open_low=True)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return self.start / (1.0 + step / self.half)


class Warmup(Schedule):
    """``after(0)·step/steps`` until ``steps``, afterwards ``after(step - steps)``.

    A straight line from 0 to where the schedule ``after`` begins, and that schedule from there on.

    >>> warm = Warmup(10, ConstantSchedule(0.5))
    >>> [warm(s) for s in (0, 5, 10, 99)]
    [0.0, 0.25, 0.5, 0.5]
    """

    def __init__(self, steps: int, after: Schedule) -> None:
        self.steps = validation.whole("steps", steps, 1)
        if not callable(after):
            raise TypeError(f"after must be a schedule or a function of the step, got {after!r}")
        self.after = after

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        if step < self.steps:
            return float(self.after(0)) * step / self.steps
        return float(self.after(step - self.steps))
