"""The Pareto front by its definition, and the choice of a member by the limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.sweep_benchmark.pareto import Constraint, Standing, choose_member, pareto_front

# Few values, so that ties are many.
POINTS = st.lists(st.tuples(st.integers(0, 6).map(float), st.integers(0, 6).map(float)), min_size=1, max_size=12)
STANDINGS = st.lists(
    st.builds(
        lambda latency, size, accuracy: member("any", latency=latency, size=size, accuracy=accuracy / 100),
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(80, 90),
    ),
    min_size=1,
    max_size=10,
)
LIMIT = st.none() | st.integers(1, 9).map(float)
CONSTRAINTS = st.builds(
    Constraint,
    max_latency_ms=LIMIT,
    max_size_mb=LIMIT,
    min_accuracy=st.none() | st.integers(80, 95).map(lambda percent: percent / 100),
)


def member(name: str, latency: float, size: float, accuracy: float) -> Standing:
    return Standing(id=f"{name}_openvino", name=name, accuracy=accuracy, latency_ms=latency, size_mb=size)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """At least as cheap and as good, and better in one of the two."""
    as_good = one[0] <= other[0] and one[1] >= other[1]
    return as_good and (one[0] < other[0] or one[1] > other[1])


@given(POINTS)
def test_a_point_is_on_the_front_when_no_other_beats_it(points):
    assert pareto_front(points) == [not any(beats(other, point) for other in points) for point in points]


@given(POINTS)
def test_a_point_off_the_front_is_beaten_by_one_on_it(points):
    on = pareto_front(points)
    front = [point for point, is_on in zip(points, on, strict=True) if is_on]
    assert front
    assert all(any(beats(other, point) for other in front) for point in points if point not in front)


@given(STANDINGS, CONSTRAINTS)
def test_the_chosen_member_meets_every_limit_unless_none_does(standings, constraint):
    chosen, is_met = choose_member(standings, constraint)
    meeting = [
        item
        for item in standings
        if (constraint.max_latency_ms is None or item.latency_ms <= constraint.max_latency_ms)
        and (constraint.max_size_mb is None or item.size_mb <= constraint.max_size_mb)
        and (constraint.min_accuracy is None or item.accuracy >= constraint.min_accuracy)
    ]
    assert is_met == bool(meeting)
    assert chosen in (meeting or standings)
    # No other member that meets the limits beats it.
    assert not any(beats((other.latency_ms, other.accuracy), (chosen.latency_ms, chosen.accuracy)) for other in meeting)


LARGE = member("large", latency=9, size=90, accuracy=0.900)
MIDDLE = member("middle", latency=5, size=40, accuracy=0.893)
SMALL = member("small", latency=2, size=10, accuracy=0.850)


@pytest.mark.parametrize(
    ("asked", "chosen", "is_met"),
    [
        ({}, MIDDLE, True),
        ({"max_latency_ms": 6}, MIDDLE, True),
        ({"max_size_mb": 100}, LARGE, True),
        ({"min_accuracy": 0.85}, SMALL, True),
        ({"min_accuracy": 0.86, "max_latency_ms": 9}, MIDDLE, True),
        ({"max_latency_ms": 1.9}, SMALL, False),
        ({"min_accuracy": 0.91}, LARGE, False),
        ({"min_accuracy": 0.89, "max_size_mb": 39}, MIDDLE, False),
    ],
)
def test_the_limits_decide_which_member_is_chosen(asked, chosen, is_met):
    assert choose_member([LARGE, MIDDLE, SMALL], Constraint(**asked)) == (chosen, is_met)
