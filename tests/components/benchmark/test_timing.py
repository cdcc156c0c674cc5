"""Percentiles, ratios and rounds of any times."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.benchmark.timing import (
    MIN_ROUNDS,
    BatchSpeed,
    latency_percentiles,
    plan_rounds,
    ratio,
    relative_spread,
    shuffled_orders,
)

SECONDS = st.floats(1e-5, 10.0)
ROUNDS = st.lists(SECONDS, min_size=MIN_ROUNDS, max_size=20)


@given(ROUNDS, st.floats(0.1, 10.0))
def test_a_ratio_is_how_many_times_faster_whatever_the_machine_does_between_rounds(rounds: list[float], speed: float):
    found = ratio(rounds, [second / speed for second in rounds])
    assert np.allclose([found.low, found.median, found.high], speed)


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=MIN_ROUNDS, max_size=20))
def test_the_spread_encloses_the_median_and_is_inverted_with_the_ratio(pairs: list[tuple[float, float]]):
    one, other = zip(*pairs, strict=True)
    there, back = ratio(one, other), ratio(other, one)
    assert there.low <= there.median <= there.high
    assert not (there.faster and there.slower)
    if len(pairs) % 2:
        # The median of an odd number of rounds is one of them, so its reciprocal is the reciprocal's median.
        assert np.isclose(there.median, 1 / back.median)


@given(st.floats(0.98, 1.02), st.integers(MIN_ROUNDS, 20))
def test_speeds_that_are_about_equal_are_called_neither_faster_nor_slower(speed: float, rounds: int):
    found = ratio([speed] * rounds, [1.0] * rounds)
    assert not found.faster and not found.slower


@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=300))
def test_percentiles_are_in_order_and_among_the_calls(milliseconds: list[float]):
    p50, p90, p99 = latency_percentiles(milliseconds)
    assert min(milliseconds) <= p50 <= p90 <= p99 <= max(milliseconds)


@given(st.lists(st.lists(SECONDS, min_size=1, max_size=9), min_size=MIN_ROUNDS, max_size=9), st.integers(1, 64))
def test_throughput_counts_every_sentence_and_every_second(rounds: list[list[float]], batch_size: int):
    batch = BatchSpeed.from_rounds(rounds, batch_size)
    seconds = sum(map(sum, rounds))
    assert batch.calls == sum(map(len, rounds)) and len(batch.round_ms) == len(rounds)
    assert np.isclose(batch.samples_per_s * seconds, batch.calls * batch_size)


@given(st.lists(SECONDS, min_size=1, max_size=12), st.floats(0.01, 1000), st.integers(3, 50), st.integers(1, 1000))
def test_the_time_budget_is_kept_except_for_three_rounds_of_one_call(
    seconds: list[float], budget: float, wanted: int, most_calls: int
):
    rounds, calls = plan_rounds(seconds, budget, wanted, most_calls)
    assert MIN_ROUNDS <= rounds <= wanted and 1 <= calls <= most_calls
    spent = rounds * (calls + 1) * sum(seconds)
    assert spent <= budget * (1 + 1e-9) or (rounds, calls) == (MIN_ROUNDS, 1)


@given(st.integers(1, 12), st.integers(3, 20), st.integers(0, 99))
def test_in_each_round_everyone_has_one_turn_and_the_seed_decides_the_order(workers: int, rounds: int, seed: int):
    orders = shuffled_orders(workers, rounds, seed)
    assert all(sorted(order) == list(range(workers)) for order in orders) and len(orders) == rounds
    assert orders == shuffled_orders(workers, rounds, seed)


def test_the_relative_spread_is_zero_on_an_idle_machine_and_large_on_a_busy_one():
    assert relative_spread([2.0] * 5) == 0
    assert relative_spread([1.0, 1.0, 1.0, 3.0, 3.0]) > 1
