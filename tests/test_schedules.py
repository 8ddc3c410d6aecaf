"""Schedules: their values where they can be worked out by hand, and their limits."""

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


def test_stepwise_falls_at_multiples():
    schedule = nn.StepDecay(8.0, factor=0.5, every=3)
    assert [schedule(step) for step in range(7)] == [8, 8, 8, 4, 4, 4, 2]


def test_exponential_meets_stepwise_at_multiples():
    smooth, steps = (
        nn.ExponentialDecay(1.0, factor=0.1, every=50),
        nn.StepDecay(1.0, factor=0.1, every=50),
    )
    for step in (0, 50, 100):
        assert smooth(step) == pytest.approx(steps(step), rel=1e-14)
    assert smooth(25) == pytest.approx(math.sqrt(0.1), rel=1e-14)


def test_cosine_goes_from_start_to_end_and_stays():
    schedule = nn.CosineDecay(1.0, 8, end=0.2)
    assert schedule(0) == 1.0
    assert schedule(4) == pytest.approx(0.6, rel=1e-14)
    assert schedule(2) == pytest.approx(0.6 + 0.4 * math.sqrt(0.5), rel=1e-14)
    assert schedule(8) == schedule(1000) == pytest.approx(0.2, rel=1e-14)


def test_cosine_may_rise():
    rising = nn.CosineDecay(0.0, 10, end=1.0)
    assert [rising(0), rising(10)] == [0.0, pytest.approx(1.0)]


def test_inverse_time_halves_after_half():
    schedule = nn.InverseTimeDecay(6.0, half=10)
    assert [schedule(0), schedule(10), schedule(20)] == [6.0, 3.0, 2.0]


def test_warm_up_rises_in_a_line_and_then_follows():
    schedule = nn.Warmup(4, nn.StepDecay(1.0, factor=0.5, every=2))
    assert [schedule(step) for step in range(8)] == [0, 0.25, 0.5, 0.75, 1, 1, 0.5, 0.5]


def test_warm_up_takes_a_plain_function():
    assert nn.Warmup(2, lambda step: 1 + step)(4) == 3.0


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
