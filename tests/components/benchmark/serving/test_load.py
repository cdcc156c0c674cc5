"""Arrivals, batches, and the search for the highest rate, on a server whose capacity is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from compaware.components.benchmark.serving import batching
from compaware.components.benchmark.serving.batching import serve_queue
from compaware.components.benchmark.serving.load import curve, offline_batches, poisson_arrivals, search_rates
from compaware.components.benchmark.serving.results import Probe, Server

BOUND_MS = 50.0


class Clock:
    """Time that passes only while a fake model computes and while the server's loop sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(batching, "time", fake)
    return fake


def model(clock: Clock, sizes: list[int]):
    """Returns a model that takes 1 ms for a call and 0.5 ms more for each row, and notes the sizes of its batches."""

    def predict(rows: Sequence[int]) -> None:
        sizes.append(len(rows))
        clock.now += 0.001 + 0.0005 * len(rows)

    return predict


def test_arrivals_come_at_the_rate_with_the_gaps_of_a_poisson_process_and_the_seed_decides_them() -> None:
    arrivals = poisson_arrivals(200.0, 50_000, np.random.default_rng(1))
    gaps = np.diff(arrivals)
    assert arrivals == sorted(arrivals) == poisson_arrivals(200.0, 50_000, np.random.default_rng(1))
    assert np.mean(gaps) == pytest.approx(1 / 200, rel=0.02) and np.std(gaps) == pytest.approx(1 / 200, rel=0.02)


def test_offline_batches_hold_every_row_once_and_rows_of_similar_length_together() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=101)
    batches = offline_batches(lengths, 8, 1000, np.random.default_rng(0))
    assert sorted(row for batch in batches for row in batch) == list(range(101))
    assert all(len(batch) == 8 for batch in batches[:-1])
    flat = [lengths[row] for batch in batches for row in batch]
    assert flat == sorted(flat, reverse=True)
    few = offline_batches(lengths, 8, 24, np.random.default_rng(0))
    assert len({row for batch in few for row in batch}) == 24


def test_a_call_takes_all_queries_that_have_arrived_up_to_the_largest_batch(clock: Clock) -> None:
    sizes: list[int] = []
    arrivals = [0.0, 0.0005, 0.001, *[0.1] * 10]
    latencies, calls, unserved = serve_queue(model(clock, sizes), arrivals, range(13), 8, 0.05)
    assert sizes == [1, 2, 8, 2] and calls == 4 and unserved == 0
    # The second call starts when the first ends, after 1.5 ms, and takes 2 ms.
    assert latencies[:3] == pytest.approx([0.0015, 0.003, 0.0025])
    assert latencies[3:] == pytest.approx([0.005] * 8 + [0.007] * 2)


def test_a_server_that_falls_behind_stops_when_the_last_query_is_late(clock: Clock) -> None:
    arrivals = np.linspace(0, 0.1, 1000).tolist()
    latencies, _, unserved = serve_queue(model(clock, []), arrivals, range(1000), 1, BOUND_MS / 1000)
    assert len(latencies) == 1000 and unserved == pytest.approx(900, abs=5)
    assert clock.now == pytest.approx(0.15, abs=0.01)
    assert all(latency > BOUND_MS / 1000 for latency in latencies[-unserved:])
    assert not Probe.from_latencies(1e4, latencies, 100, unserved, BOUND_MS).is_held


def test_the_search_finds_the_capacity_of_a_server(clock: Clock) -> None:
    generator = np.random.default_rng(0)

    def measure(rate: float) -> Probe:
        arrivals, sizes = poisson_arrivals(rate, 3000, generator), []
        clock.now = 0.0
        latencies, calls, unserved = serve_queue(model(clock, sizes), arrivals, range(3000), 8, BOUND_MS / 1000)
        return Probe.from_latencies(rate, latencies, calls, unserved, BOUND_MS)

    # Batches of 8 take 5 ms, which makes 1600 queries per second. Just below it, the queue is already long.
    probes = search_rates(measure, 4000.0)
    best = Server(most_queries_per_call=8, probes=probes).best
    assert best is not None and 1350 < best.queries_per_s < 1600
    assert best.p99_ms <= BOUND_MS and best.queries_per_call > 3
    low, *_, high = curve(probes)
    assert low.queries_per_s < best.queries_per_s / 3 and low.p99_ms < best.p99_ms < high.p99_ms


def probe(rate: float, *, held: bool, overloaded: bool = False) -> Probe:
    return Probe(
        queries_per_s=rate,
        queries=200,
        p50_ms=1.0,
        p99_ms=2.0,
        queries_per_call=1.0,
        overloaded=overloaded,
        is_held=held,
    )


def test_a_rate_that_misses_once_is_tried_again_unless_it_was_too_high_by_far() -> None:
    tried: list[float] = []

    def measure(rate: float) -> Probe:
        tried.append(rate)
        # A pause of the machine makes the first probe late.
        return probe(rate, held=len(tried) > 1 and rate < 300, overloaded=rate >= 300)

    probes = search_rates(measure, 400.0)
    assert tried[:3] == [200, 200, 300] and tried.count(300) == 1
    assert max(item.queries_per_s for item in probes if item.is_held) > 290


@pytest.mark.parametrize("affordable", [0, 3])
def test_a_search_without_time_returns_what_it_has(affordable: int) -> None:
    left = iter([True] * affordable)
    probes = search_rates(lambda rate: probe(rate, held=True) if next(left, False) else None, 400.0)
    assert [item.queries_per_s for item in probes] == [200.0, 300.0, 350.0][:affordable]


def test_no_rate_is_held_by_a_server_that_is_always_late() -> None:
    probes = search_rates(lambda rate: probe(rate, held=False, overloaded=True), 400.0)
    assert Server(most_queries_per_call=8, probes=probes).best is None
    assert min(item.queries_per_s for item in probes) < 4
