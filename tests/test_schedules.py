"""Schedules: values computed by hand, and limits."""

import math

import pytest

import nnreg as nn
from nnreg.training.schedules import Schedule

EACH = [
    nn.ConstantSchedule(0.1),
    nn.StepDecay(0.1, factor=0.5, every=10),
    nn.ExponentialDecay(0.1, factor=0.5, every=10),
    nn.CosineDecay(0.1, 100, end=0.01),
    nn.InverseTimeDecay(0.1, half=10),
    nn.Warmup(10, nn.CosineDecay(0.1, 100)),
]
each = pytest.mark.parametrize("schedule", EACH, ids=lambda schedule: type(schedule).__name__)


@each
def test_values_are_python_floats_at_every_step(schedule):
    for step in (0, 1, 9, 10, 11, 99, 100, 101, 10**9):
        value = schedule(step)
        assert type(value) is float
        assert 0 <= value <= 0.1


@each
def test_it_prints_as_the_call_that_makes_it(schedule):
    again = eval(repr(schedule), vars(nn))
    assert [again(step) for step in range(200)] == [schedule(step) for step in range(200)]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (nn.StepDecay(8.0, factor=0.5, every=3), {0: 8, 2: 8, 3: 4, 5: 4, 6: 2}),
        (
            nn.ExponentialDecay(1.0, factor=0.1, every=50),
            {0: 1, 25: math.sqrt(0.1), 50: 0.1, 100: 0.01},
        ),
        (
            nn.CosineDecay(1.0, 8, end=0.2),
            {0: 1, 2: 0.6 + 0.4 * math.sqrt(0.5), 4: 0.6, 8: 0.2, 1000: 0.2},
        ),
        (nn.CosineDecay(0.0, 10, end=1.0), {0: 0, 10: 1}),
        (nn.CosineDecay(1.0, 4), {2: 0.5, 4: 0}),
        (nn.InverseTimeDecay(8.0, half=2), {0: 8, 2: 4, 6: 2}),
        (nn.Warmup(2, lambda step: 1 + step), {0: 0, 1: 0.5, 2: 1, 4: 3}),
    ],
    ids=repr,
)
def test_a_schedule_has_the_values_of_its_formula(schedule, values):
    assert [schedule(step) for step in values] == pytest.approx([*values.values()], rel=1e-14)


def test_the_first_value_after_the_warmup_is_not_rounded():
    assert nn.Warmup(3, nn.ConstantSchedule(0.1))(3) == 0.1  # 0.1 * 3 / 3 is not


def test_a_schedule_of_ones_own_gives_one_method():
    class Triangle(Schedule):
        def __call__(self, step):
            return abs(step % 10 - 5) / 5

    assert Triangle()(5) == 0.0
    assert repr(Triangle()) == "Triangle()"


SETTABLE = [
    *[(schedule, name) for schedule in EACH for name in vars(schedule)],
    *[(nn.EarlyStopping(), n) for n in ("patience", "min_delta", "mode", "restore_best_weights")],
    *[(nn.ReduceLROnPlateau(), n) for n in ("factor", "cooldown", "min_learning_rate")],
    (nn.HyperparameterScheduler(nn.SGD(0.1), "momentum", EACH[0]), "schedule"),
]


@pytest.mark.parametrize(
    ("thing", "name"), SETTABLE, ids=[f"{type(t).__name__}.{n}" for t, n in SETTABLE]
)
def test_what_can_be_set_is_checked_when_it_is_set(thing, name):
    before = getattr(thing, name)
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        setattr(thing, name, "wrong")
    assert getattr(thing, name) is before
