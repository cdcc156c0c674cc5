"""Tables of the serving figures."""

from compaware.components.benchmark.report.formatting import display_name, runtime_and_precision
from compaware.components.benchmark.report.tables import Table
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.serving.load import curve
from compaware.components.benchmark.serving.results import Probe, Serving


def scenario_table(benchmark: Benchmark, serving: Serving) -> Table:
    """Returns the figures of each candidate in all scenarios."""
    return Table(
        "Scenarios",
        [
            "candidate",
            "runtime",
            "Server queries/s",
            "Offline samples/s",
            "batch",
            "streams",
            "SingleStream p50 ms",
            "p90 ms",
            "p99 ms",
            "queries",
        ],
        [
            [
                *_names(benchmark, form.id),
                f"{form.server.best.queries_per_s:,.1f}" if form.server.best else "none",
                f"{form.offline.samples_per_s:,.1f}",
                str(form.offline.batch_size),
                str(form.offline.streams),
                f"{form.single_stream.p50_ms:.2f}",
                f"{form.single_stream.p90_ms:.2f}",
                f"{form.single_stream.p99_ms:.2f}",
                f"{form.single_stream.queries:,}",
            ]
            for form in serving.forms
        ],
        [benchmark.by_id(form.id).role for form in serving.forms],
        text_columns=2,
    )


def load_table(benchmark: Benchmark, serving: Serving) -> Table:
    """Returns the latency of each candidate at each rate that was tried."""
    rows = [(form.id, probe) for form in serving.forms for probe in curve(form.server.probes)]
    return Table(
        "Server: latency by load",
        ["candidate", "runtime", "queries/s", "queries", "p50 ms", "p99 ms", "queries per call", "bound"],
        [[*_names(benchmark, identifier), *_probe(probe)] for identifier, probe in rows],
        [benchmark.by_id(identifier).role for identifier, _ in rows],
        text_columns=2,
    )


def _names(benchmark: Benchmark, identifier: str) -> list[str]:
    item = benchmark.by_id(identifier)
    return [display_name(item.name), runtime_and_precision(item)]


def _probe(probe: Probe) -> list[str]:
    at_least = "≥ " if probe.overloaded else ""
    return [
        f"{probe.queries_per_s:,.1f}",
        f"{probe.queries:,}",
        f"{at_least}{probe.p50_ms:.2f}",
        f"{at_least}{probe.p99_ms:.2f}",
        f"{probe.queries_per_call:.1f}",
        "held" if probe.is_held else "missed",
    ]
