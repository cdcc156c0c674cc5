"""Finds the Pareto front and chooses the member to serve: pure functions of a few figures."""

import math
from collections.abc import Sequence

from pydantic import BaseModel

from compaware.components.benchmark.results import SplitScore
from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.intervals import Interval

# Accuracy that is given up for speed if there is no constraint.
TOLERANCE = 0.01
# Metrics are quotients of counts; the slack makes an exact tie pass.
_SLACK = 1e-9


class Standing(BaseModel):
    """A member in its fastest form that keeps the accuracy of its most accurate one.

    Attributes:
        id: Id of its figures in benchmark.json.
        name: Name of the member.
        accuracy: The primary metric on the rows that decide.
        interval: The metric with its 95 % interval.
        test: The metric on the test split, which no choice is made on; None without one.
        latency_ms: Median latency at the smallest batch size.
        size_mb: Size of the files that the runtime reads, in MB (10^6 bytes).
        on_latency_front: Whether it is on the Pareto front of accuracy and latency.
        on_size_front: Whether it is on the Pareto front of accuracy and size.
    """

    id: str
    name: str
    accuracy: Score
    latency_ms: float
    size_mb: float
    interval: Interval | None = None
    test: SplitScore | None = None
    on_latency_front: bool = False
    on_size_front: bool = False


class Constraint(BaseModel):
    """The user's limits for the model to serve; None is no limit.

    Attributes:
        max_latency_ms: Maximum median latency at the smallest batch size.
        max_size_mb: Maximum size in MB.
        min_accuracy: Minimum of the primary metric.
    """

    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    min_accuracy: float | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is any limit."""
        return any(limit is not None for limit in self.model_dump().values())

    def excess(self, item: Standing) -> float:
        """Returns the largest excess of a member over a limit, 0 if it meets all limits.

        Excess latency and size are fractions of their limits, and excess accuracy is a difference: 5 % too slow counts
        as much as 5 points too inaccurate. It is infinite if the accuracy is undefined.
        """
        if math.isnan(item.accuracy):
            return math.inf
        excesses = [0.0]
        if self.max_latency_ms is not None:
            excesses.append(item.latency_ms / self.max_latency_ms - 1)
        if self.max_size_mb is not None:
            excesses.append(item.size_mb / self.max_size_mb - 1)
        if self.min_accuracy is not None:
            excesses.append(self.min_accuracy - item.accuracy - _SLACK)
        return max(excesses)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Finds the points that no other point dominates.

    Args:
        points: (cost, value) of each point; a lower cost and a higher value are better.

    Returns:
        For each point, whether no other is at least as good in both and better in one; never if its value is NaN.
    """
    return [
        not math.isnan(value)
        and not any(
            other_cost <= cost and other_value >= value and (other_cost, other_value) != (cost, value)
            for other_cost, other_value in points
        )
        for cost, value in points
    ]


def choose_member(standings: Sequence[Standing], constraint: Constraint) -> tuple[Standing, bool]:
    """Chooses the member to serve.

    Of the members that meet the constraint, it is the fastest if a minimum accuracy is given, and the most accurate if
    only latency or size is limited. Without a constraint, it is the fastest within one point of the most accurate.

    Args:
        standings: All members, at least one.
        constraint: The user's limits.

    Returns:
        The member, and whether it meets the constraint; if none does, the member with the smallest excess.
    """
    meeting = [item for item in standings if constraint.excess(item) <= 0]
    if not meeting:
        return min(standings, key=lambda item: (constraint.excess(item), item.latency_ms)), False
    if constraint.is_given and constraint.min_accuracy is None:
        return max(meeting, key=lambda item: (item.accuracy, -item.latency_ms, -item.size_mb)), True
    floor = constraint.min_accuracy
    if floor is None:
        floor = max(item.accuracy for item in meeting) - TOLERANCE
    accurate = [item for item in meeting if item.accuracy >= floor - _SLACK]
    return min(accurate, key=lambda item: (item.latency_ms, -item.accuracy, item.size_mb)), True
