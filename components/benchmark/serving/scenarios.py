"""Measures candidates in the scenarios, one process at a time."""

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from compaware.components.benchmark.config import MeasuringOptions
from compaware.components.benchmark.results import BatchSpeed, Benchmark, Measured, fastest
from compaware.components.benchmark.serving.load import (
    LEAST_SECONDS,
    offline_batches,
    poisson_arrivals,
    search_rates,
)
from compaware.components.benchmark.serving.results import Offline, Probe, ServedForm, Server, Serving, SingleStream
from compaware.components.benchmark.workers.tokenized_split import TokenizedSplit
from compaware.components.benchmark.workers.worker_process import Variant, Worker
from compaware.components.core.base.errors import UserError

# Seconds for all candidates.
_MOST_SECONDS = 60.0
_MOST_FORMS = 3
# Shares of a candidate's time; the rest is for the Server scenario.
_SINGLE_STREAM_SHARE = 0.15
_OFFLINE_SHARE = 0.2
# Share of the Server scenario's time for one rate, unless its queries are too few for a p99.
_PROBE_SHARE = 1 / 12
_LEAST_QUERIES = 200
# A slow model has no time for more queries, one after another.
_LEAST_STREAM_QUERIES = 30
log = logging.getLogger(__name__)


def measure_serving(
    benchmark: Benchmark,
    chosen: Iterable[str],
    dense: Sequence[Measured],
    variants: Sequence[Variant],
    options: MeasuringOptions,
    work: Path,
) -> Serving | None:
    """Measures the chosen candidates and a reference: a dense FP32 model in its fastest runtime at the smallest batch.

    Args:
        benchmark: The figures of the rounds.
        chosen: Ids of the recommended candidates, the most important one first.
        dense: The reference in all its runtimes.
        variants: The measured variants.
        options: The options of the measurement.
        work: Folder for logs.

    Returns:
        The figures; None if the time budget is too small for a p99.
    """
    seconds = min(options.time_budget_s, _MOST_SECONDS)
    if seconds < LEAST_SECONDS:
        log.info("the time budget of %g s is too small for the scenarios of a server", options.time_budget_s)
        return None
    reference = fastest(dense, benchmark.batch_sizes[0]).id if dense else None
    by_id = {variant.id: variant for variant in variants}
    ids = [identifier for identifier in dict.fromkeys(chosen) if identifier in by_id]
    if reference and reference not in ids:
        ids = [*ids[: _MOST_FORMS - 1], reference]
    ids = ids[:_MOST_FORMS]
    serving = Serving(latency_bound_ms=options.latency_bound_ms, reference=reference)
    for identifier in ids:
        batches = benchmark.by_id(identifier).batches
        try:
            serving.forms.append(_measure(by_id[identifier], batches, benchmark, options, seconds / len(ids), work))
        except UserError as error:
            log.warning("%s cannot be measured as a server: %s", identifier, error)
            serving.failures[identifier] = str(error)
    return serving


def _measure(
    variant: Variant,
    batches: dict[int, BatchSpeed],
    benchmark: Benchmark,
    options: MeasuringOptions,
    seconds: float,
    work: Path,
) -> ServedForm:
    inputs = TokenizedSplit.load(variant.inputs(options.split))
    width = benchmark.settings["max_length_tokens"] if options.padded else None
    threads = benchmark.machine["threads"]
    with Worker(variant, threads, work / f"{variant.id}-serving.log") as worker:
        worker.start_loading(options.split, width)
        worker.receive()
        single = _single_stream(worker, len(inputs.lengths), batches, options, _SINGLE_STREAM_SHARE * seconds)
        log.info("%s, SingleStream: p99 %.2f ms of %d queries", variant.id, single.p99_ms, single.queries)
        offline = _offline(worker, inputs.lengths, batches, threads, options, _OFFLINE_SHARE * seconds)
        log.info("%s, Offline: %.1f samples/s at batch %d", variant.id, offline.samples_per_s, offline.batch_size)
        rest = (1 - _SINGLE_STREAM_SHARE - _OFFLINE_SHARE) * seconds
        server = Server(most_queries_per_call=max(batches))
        # If single queries miss the bound, so does every rate.
        if single.p99_ms <= options.latency_bound_ms:
            server.probes = _server(worker, len(inputs.lengths), offline.samples_per_s, max(batches), options, rest)
    return ServedForm(id=variant.id, single_stream=single, offline=offline, server=server)


def _single_stream(
    worker: Worker, rows: int, batches: dict[int, BatchSpeed], options: MeasuringOptions, seconds: float
) -> SingleStream:
    # The smallest batch size may be larger than 1; a query alone takes no longer.
    queries = max(_LEAST_STREAM_QUERIES, int(1000 * seconds / batches[min(batches)].p50_ms))
    chosen = np.random.default_rng(options.seed).integers(rows, size=queries)
    return SingleStream.from_seconds(worker.request(time=[[row] for row in chosen.tolist()])["seconds"])


def _offline(
    worker: Worker,
    lengths: np.ndarray,
    batches: dict[int, BatchSpeed],
    threads: int,
    options: MeasuringOptions,
    seconds: float,
) -> Offline:
    """Measures each batch size for an equal time and returns the fastest; large batches only if there is time."""
    found: list[Offline] = []
    for size in sorted(batches):
        samples = batches[size].samples_per_s * seconds / len(batches)
        at_once = size * threads
        if found and samples < 2 * at_once:
            break
        # An untimed pass warms the runtime up, and three timed passes follow, or fewer if a pass takes longer.
        passed = offline_batches(lengths, size, max(at_once, int(samples / 4)), np.random.default_rng(options.seed))
        rows = sum(map(len, passed))
        passes = max(1, int(samples / rows) - 1)
        response = worker.request(offline=passed, passes=passes)
        found.append(
            Offline(
                samples_per_s=passes * rows / response["seconds"],
                samples=passes * rows,
                batch_size=size,
                streams=response["streams"],
            )
        )
    return max(found, key=lambda item: item.samples_per_s)


def _server(
    worker: Worker, rows: int, highest: float, most_queries: int, options: MeasuringOptions, seconds: float
) -> list[Probe]:
    """Searches the highest rate below `highest` that keeps the bound, and returns all probes."""
    generator = np.random.default_rng(options.seed)
    deadline = time.monotonic() + seconds

    def serve(rate: float, queries: int) -> Probe:
        served = worker.request(
            arrivals=poisson_arrivals(rate, queries, generator),
            rows=generator.integers(rows, size=queries).tolist(),
            most_queries=most_queries,
            bound_s=options.latency_bound_ms / 1000,
        )
        return Probe.from_latencies(
            rate, served["latencies"], served["calls"], served["unserved"], options.latency_bound_ms
        )

    def measure(rate: float) -> Probe | None:
        queries = max(_LEAST_QUERIES, int(rate * seconds * _PROBE_SHARE))
        if time.monotonic() + queries / rate > deadline:
            return None
        probe = serve(rate, queries)
        log.info("%s, Server: %.1f queries/s, p99 %.1f ms", worker.variant.id, rate, probe.p99_ms)
        return probe

    # Untimed, since the first calls with batches of new shapes are slow.
    serve(highest / 2, max(1, int(highest / 2 * seconds * _PROBE_SHARE)))
    return search_rates(measure, highest)
