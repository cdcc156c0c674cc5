"""Percentiles of timed calls, ratios between rounds, and the number of rounds that fit the time budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel

MIN_ROUNDS = 3
# Quantiles of the latency that are stored for each batch size.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Speeds that differ by less than this count as equal, however small their spread is.
_EQUAL = 0.03


@dataclass(frozen=True)
class Ratio:
    """How many times faster a candidate is than its reference, over the rounds.

    Attributes:
        median: Median over rounds; the candidate is faster if it is above 1.
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
        """Whether it is faster in nearly every round, and by more than the tolerance for equal speeds."""
        return self.low > 1.0 and self.median > 1.0 + _EQUAL

    @property
    def slower(self) -> bool:
        """Whether it is slower in nearly every round, and by more than that tolerance."""
        return self.high < 1.0 and self.median < 1.0 - _EQUAL


def ratio(reference: Sequence[float], candidate: Sequence[float]) -> Ratio:
    """Returns the speed of `candidate` over that of `reference`.

    Both times of a round are measured within seconds. A machine that slows down for a while slows both, so the ratio is
    more stable than the times.

    Args:
        reference: Time of the reference in each round.
        candidate: Time of the candidate in the same rounds and unit.
    """
    low, median, high = np.percentile(np.asarray(reference) / np.asarray(candidate), [10, 50, 90])
    return Ratio(float(median), float(low), float(high))


def latency_percentiles(milliseconds: Sequence[float]) -> tuple[float, float, float]:
    """Returns the 50th, 90th and 99th percentile over all timed calls."""
    p50, p90, p99 = np.percentile(np.asarray(milliseconds), [50, 90, 99])
    return float(p50), float(p90), float(p99)


class BatchSpeed(BaseModel):
    """Speed of one candidate at one batch size.

    Attributes:
        p50_ms: Median time of a call, in milliseconds; `p90_ms` and `p99_ms` likewise.
        samples_per_s: Sentences per second over all timed calls.
        ratio_to_teacher: Speed over the teacher's (FP32, torch eager), median of the rounds; None without a teacher.
        ratio_to_best_teacher: Speed over the teacher's fastest form at this batch size; None without a teacher.
        ratio_to_fp32_student: Speed over the FP32 student's (torch eager), median of the rounds; None without one.
        spread: 10th and 90th percentile over the rounds, by name of the ratio.
        calls: Number of timed calls.
        round_ms: Mean time of a call in each round, from which the ratios are computed.
        quantiles_ms: Time of a call at the quantiles `QUANTILES`.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    samples_per_s: float
    ratio_to_teacher: float | None = None
    ratio_to_best_teacher: float | None = None
    ratio_to_fp32_student: float | None = None
    spread: dict[str, tuple[float, float]] = {}
    calls: int
    round_ms: list[float]
    quantiles_ms: list[float]

    @classmethod
    def from_rounds(cls, rounds: list[list[float]], batch_size: int) -> "BatchSpeed":
        """Summarizes the seconds of each call in each round."""
        calls = [second for seconds in rounds for second in seconds]
        p50, p90, p99 = latency_percentiles([1000 * second for second in calls])
        return cls(
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            samples_per_s=batch_size * len(calls) / sum(calls),
            calls=len(calls),
            quantiles_ms=[1000 * value for value in np.quantile(calls, QUANTILES).tolist()],
            round_ms=[1000 * sum(seconds) / len(seconds) for seconds in rounds],
        )

    def speed_over(self, other: "BatchSpeed") -> Ratio:
        """Returns how many times faster this is than `other`, which took turns with it or with the same reference."""
        rounds = min(len(self.round_ms), len(other.round_ms))
        return ratio(other.round_ms[:rounds], self.round_ms[:rounds])


def relative_spread(rounds: Sequence[float]) -> float:
    """Returns (p90 - p10) / median of a candidate's rounds, which is near 0 on an idle machine."""
    low, median, high = np.percentile(np.asarray(rounds), [10, 50, 90])
    return float((high - low) / median)


def plan_rounds(seconds_per_call: Sequence[float], budget_s: float, rounds: int, most_calls: int) -> tuple[int, int]:
    """Divides a time budget evenly among the rounds of one batch size.

    Args:
        seconds_per_call: Time of a call of each worker, from its warm-up.
        budget_s: Seconds for all rounds of all workers.
        rounds: Requested rounds; reduced, but not below `MIN_ROUNDS`, if even one call per round exceeds the budget.
        most_calls: Number of different batches.

    Returns:
        The number of rounds, and of timed calls of each worker in each round.
    """
    one_call_each = sum(seconds_per_call)
    # Each turn begins with an untimed call.
    calls = int(budget_s / (rounds * one_call_each)) - 1
    if calls < 1:
        return max(MIN_ROUNDS, min(rounds, int(budget_s / (2 * one_call_each)))), 1
    return rounds, min(calls, most_calls)


def shuffled_orders(workers: int, rounds: int, seed: int) -> list[list[int]]:
    """Returns an order of the workers for each round, so that a worker does not always follow the same one."""
    generator = np.random.default_rng(seed)
    return [generator.permutation(workers).tolist() for _ in range(rounds)]
