"""Schedules against the published formulas, and at the ends one knows by heart."""

import math

import keras
import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.objectives.schedules import build_schedule


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in range(steps)])


def loop_one_cycle(peak, steps, warm_up=0.3, start_divisor=25, end_divisor=1e4):
    """PyTorch's OneCycleLR, phase by phase, as its source reads."""
    start = peak / start_divisor
    end = start / end_divisor
    top, last = warm_up * steps - 1, steps - 1
    found = []
    for step in range(steps):
        if step <= top:
            low, high, part = start, peak, step / top
        else:
            low, high, part = peak, end, (step - top) / (last - top)
        found.append(high + (low - high) / 2 * (1 + math.cos(math.pi * part)))
    return found


@pytest.mark.parametrize("steps", [4, 10, 33, 100, 1001])
def test_one_cycle_equals_the_published_formula(steps):
    found = rates(build_schedule("one_cycle", 1e-3, steps), steps)
    np.testing.assert_allclose(found, loop_one_cycle(1e-2, steps), rtol=1e-4)


def test_one_cycle_by_heart():
    """Base 1, 10 steps: from 10 / 25 to the peak 10 at step 2, to 0.4 / 1e4 at step 9, and no further."""
    schedule = build_schedule("one_cycle", 1.0, 10)
    np.testing.assert_allclose([float(schedule(step)) for step in (0, 1, 2)], [0.4, 5.2, 10], rtol=1e-5)
    np.testing.assert_allclose([float(schedule(step)) for step in (9, 10, 1000)], [4e-5] * 3, rtol=1e-5)


def test_one_cycle_takes_other_settings():
    schedule = build_schedule("one_cycle", 1.0, 100, peak_factor=4, warm_up=0.5, start_divisor=2, end_divisor=8)
    np.testing.assert_allclose(rates(schedule, 100), loop_one_cycle(4.0, 100, 0.5, 2, 8), rtol=1e-5)


@pytest.mark.parametrize("name", ["one_cycle", "warmup_cosine"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_short_runs_have_finite_rates(name, steps):
    found = rates(build_schedule(name, 1.0, steps), steps)
    assert np.isfinite(found).all() and (found > 0).all()


def test_warmup_cosine_by_heart():
    """10 steps, a fifth of them up: 1/3, 2/3, then 1 and the cosine through 1/2 in the middle to 0 at step 10."""
    schedule = build_schedule("warmup_cosine", 1.0, 10)
    expected = [1 / 3, 2 / 3] + [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)]
    np.testing.assert_allclose(rates(schedule, 11), expected, atol=1e-6)
    np.testing.assert_allclose(float(schedule(50)), 0, atol=1e-6)


def test_constant_is_a_number():
    assert build_schedule("constant", 0.25, 10) == 0.25


@pytest.mark.parametrize("name", ["one_cycle", "warmup_cosine"])
def test_schedules_work_in_an_optimizer_and_survive_their_config(name):
    schedule = build_schedule(name, 0.1, 20, warm_up=0.25)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    model = keras.Sequential([keras.layers.Dense(1, name="output")])
    model.compile(keras.optimizers.SGD(again), "mse")
    model.fit(np.ones((5, 1)), np.ones(5), batch_size=1, verbose=0)
    np.testing.assert_allclose(float(model.optimizer.learning_rate), float(schedule(5)), rtol=1e-6)


def test_mistakes_say_what_is_allowed():
    with pytest.raises(KcarsError, match="step.*one_cycle, warmup_cosine, constant"):
        build_schedule("step", 1.0, 10)
    with pytest.raises(KcarsError, match="peek.*peak_factor, warm_up"):
        build_schedule("one_cycle", 1.0, 10, peek=3)
    with pytest.raises(KcarsError, match="none"):
        build_schedule("constant", 1.0, 10, warm_up=0.1)
    with pytest.raises(KcarsError, match="at least 1 step"):
        build_schedule("one_cycle", 1.0, 0)
    with pytest.raises(KcarsError, match="below 1"):
        build_schedule("warmup_cosine", 1.0, 10, warm_up=1.0)
