"""Statistics of the benchmark: percentiles of calls, ratios of rounds, and how many rounds the time allows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_ROUNDS = 3
# Speeds closer than this are called equal, however small their spread.
_EQUAL = 0.03


@dataclass(frozen=True)
class Ratio:
    """How many times faster something is than its reference, round by round.

    Attributes:
        median: Median over rounds; above 1 is faster than the reference.
        low: 10th percentile over rounds.
        high: 90th percentile over rounds.
    """

    median: float
    low: float
    high: float

    @property
    def spread(self) -> tuple[float, float]:
        """`low` and `high`."""
        return self.low, self.high

    @property
    def faster(self) -> bool:
        """Faster in (nearly) every round, and by more than anyone would call equal."""
        return self.low > 1.0 and self.median > 1.0 + _EQUAL

    @property
    def slower(self) -> bool:
        """Slower in (nearly) every round, likewise."""
        return self.high < 1.0 and self.median < 1.0 - _EQUAL


def ratio(reference: Sequence[float], candidate: Sequence[float]) -> Ratio:
    """Speed of `candidate` over `reference`.

    Each round compares times that lie seconds apart, so a machine that slows down for a while slows both: the ratio
    stands where the times do not.

    Args:
        reference: Time of the reference in each round.
        candidate: Time of the candidate in each round, same rounds and unit.
    """
    low, median, high = np.percentile(np.asarray(reference) / np.asarray(candidate), [10, 50, 90])
    return Ratio(float(median), float(low), float(high))


def latency_percentiles(milliseconds: Sequence[float]) -> tuple[float, float, float]:
    """The 50th, 90th and 99th percentile over all timed calls."""
    p50, p90, p99 = np.percentile(np.asarray(milliseconds), [50, 90, 99])
    return float(p50), float(p90), float(p99)


def relative_spread(rounds: Sequence[float]) -> float:
    """How far one runtime's rounds lie apart: (p90 - p10) / median. Near 0 on a quiet machine."""
    low, median, high = np.percentile(np.asarray(rounds), [10, 50, 90])
    return float((high - low) / median)


def plan_rounds(seconds_per_call: Sequence[float], budget_s: float, rounds: int, most_calls: int) -> tuple[int, int]:
    """Shares a time budget evenly among the rounds of one batch size.

    Args:
        seconds_per_call: Of every worker, as seen while warming up.
        budget_s: For all rounds of all workers.
        rounds: Wanted; fewer (never under `MIN_ROUNDS`) when one call a round is already too much.
        most_calls: Different batches that there are.

    Returns:
        Rounds, and timed calls of each worker in each round.
    """
    one_call_each = sum(seconds_per_call)
    # Each turn begins with one call that is not timed.
    calls = int(budget_s / (rounds * one_call_each)) - 1
    if calls < 1:
        return max(MIN_ROUNDS, min(rounds, int(budget_s / (2 * one_call_each)))), 1
    return rounds, min(calls, most_calls)


def shuffled_orders(workers: int, rounds: int, seed: int) -> list[list[int]]:
    """The order of the workers in each round: shuffled anew, so that nobody always follows the same neighbour."""
    generator = np.random.default_rng(seed)
    return [generator.permutation(workers).tolist() for _ in range(rounds)]
