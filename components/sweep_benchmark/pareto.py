"""Who is on the Pareto front, and who is recommended: pure functions of a few figures."""

from collections.abc import Sequence

from pydantic import BaseModel

# Without a constraint, so much accuracy is given up for speed.
TOLERANCE = 0.01
# Metrics are quotients of counts; the slack keeps an exact tie on the right side.
_SLACK = 1e-9


class Standing(BaseModel):
    """A member in its fastest runtime.

    Attributes:
        id: Of its figures in benchmark.json.
        name: The member's.
        accuracy: The primary metric, whatever it is called.
        latency_ms: Median latency at the smallest batch size.
        size_mb: Of the files that the runtime reads, in MB (10^6 bytes).
        on_latency_front: No other is at least as accurate and as fast, and better in one of the two.
        on_size_front: Likewise with the size.
    """

    id: str
    name: str
    accuracy: float
    latency_ms: float
    size_mb: float
    on_latency_front: bool = False
    on_size_front: bool = False


class Constraint(BaseModel):
    """What the user asks of the model to serve; None is not asked for.

    Attributes:
        max_latency_ms: Longest median latency at the smallest batch size.
        max_size_mb: Largest size in MB.
        min_accuracy: Least primary metric.
    """

    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    min_accuracy: float | None = None

    @property
    def is_given(self) -> bool:
        """Whether anything is asked for."""
        return any(limit is not None for limit in self.model_dump().values())

    def excess(self, item: Standing) -> float:
        """By how much a member misses the limit that it misses most; 0 where it meets all.

        Latency and size count as parts of their limits, accuracy as a difference: 5 % too slow is as far as 5 points.
        """
        missed = [0.0]
        if self.max_latency_ms is not None:
            missed.append(item.latency_ms / self.max_latency_ms - 1)
        if self.max_size_mb is not None:
            missed.append(item.size_mb / self.max_size_mb - 1)
        if self.min_accuracy is not None:
            missed.append(self.min_accuracy - item.accuracy - _SLACK)
        return max(missed)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other beats.

    Args:
        points: (cost, value) of each: less cost is better, more value is better.

    Returns:
        For each point, whether none is at least as good in both and better in one.
    """
    return [
        not any(
            other_cost <= cost and other_value >= value and (other_cost, other_value) != (cost, value)
            for other_cost, other_value in points
        )
        for cost, value in points
    ]


def recommend(standings: Sequence[Standing], constraint: Constraint) -> tuple[Standing, bool]:
    """Chooses what to serve.

    Of the members that meet the constraint: the fastest where an accuracy is asked for, the most accurate where only
    latency or size are limited, and where nothing is asked for, the fastest within a point of the most accurate.

    Args:
        standings: All members, at least one.
        constraint: What is asked for.

    Returns:
        The member, and whether it meets the constraint; where none does, it is the one that is nearest.
    """
    meeting = [item for item in standings if constraint.excess(item) <= 0]
    if not meeting:
        return min(standings, key=lambda item: (constraint.excess(item), item.latency_ms)), False
    if constraint.is_given and constraint.min_accuracy is None:
        return max(meeting, key=lambda item: (item.accuracy, -item.latency_ms, -item.size_mb)), True
    floor = constraint.min_accuracy
    if floor is None:
        floor = max(item.accuracy for item in meeting) - TOLERANCE
    keeping = [item for item in meeting if item.accuracy >= floor - _SLACK]
    return min(keeping, key=lambda item: (item.latency_ms, -item.accuracy, item.size_mb)), True
