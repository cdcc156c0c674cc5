"""The section of the report about serving."""

from collections.abc import Iterator

from markupsafe import Markup

from compaware.components.benchmark.report import charts
from compaware.components.benchmark.report.sections import Section
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.serving.load import curve
from compaware.components.benchmark.serving.tables import load_table, scenario_table


def serving_sections(benchmark: Benchmark) -> Iterator[Section]:
    """Yields the section; nothing if the scenarios were not measured."""
    serving = benchmark.serving
    if serving is None or not serving.forms:
        return
    curves = [
        (
            benchmark.by_id(form.id),
            [(probe.queries_per_s, probe.p50_ms, probe.p99_ms) for probe in curve(form.server.probes)],
        )
        for form in serving.forms
        if form.server.probes
    ]
    drawings = [Markup(charts.latency_by_load(curves, serving.latency_bound_ms))] if curves else []
    tables = [scenario_table(benchmark, serving)]
    yield Section(
        "Speed as a server",
        _method(serving.latency_bound_ms),
        drawings,
        [*tables, load_table(benchmark, serving)] if curves else tables,
    )


def _method(bound_ms: float) -> list[str]:
    return [
        "Three scenarios as MLPerf inference defines them. The runs are shorter and without MLPerf's load generator, "
        "so these are not MLPerf results. Only one process runs, with all threads.",
        "SingleStream: one query after another, of one sentence each. Offline: all sentences are there, sorted by "
        "length and already padded. The runtime divides the threads into streams, and the best of the measured batch "
        "sizes counts.",
        "Server: queries of one random sentence arrive at random times (a Poisson process). One loop takes all queries "
        "that have arrived, up to the largest measured batch, pads them and runs the model. A latency is the time from "
        "the scheduled arrival to the logits. No HTTP server is in the loop: its cost for a request is about that of a "
        "small model, and differs between servers.",
        "The chart shows the latency at each rate: the 99th percentile (with markers), the median (thin) and the bound "
        f"of {bound_ms:g} ms (dashed).",
    ]
