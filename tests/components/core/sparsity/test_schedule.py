"""The fraction of zeros grows from the first to the last step of the schedule, and never falls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.core.sparsity.schedule import CubicSchedule


@given(st.integers(1, 5000), st.floats(0, 0.5), st.floats(0.5, 0.99), st.floats(0, 0.9), st.floats(0, 1))
def test_any_schedule_grows_to_its_target_within_the_training(steps, initial, target, begin, end):
    schedule = CubicSchedule.over(steps, initial, target, begin, end)
    due = [step for step in range(1, steps + 1) if schedule.is_due(step)]
    values = [schedule.sparsity(step) for step in due]
    assert due[-1] == schedule.end <= steps
    assert values[-1] == target
    assert values == sorted(values)
    assert len(due) <= 101


def test_the_growth_is_cubic():
    schedule = CubicSchedule(initial=0.2, target=0.8, begin=100, end=300)
    assert schedule.sparsity(0) == schedule.sparsity(100) == pytest.approx(0.2)
    assert schedule.sparsity(200) == pytest.approx(0.8 - 0.6 / 8)
    assert schedule.sparsity(999) == 0.8
