"""Renders the report of a sweep: its charts, its tables, and the chosen member in large type."""

from dataclasses import replace

from compaware.components.benchmark.report.formatting import display_name, runtime_and_precision
from compaware.components.benchmark.report.render import Card, Parts, cards, render_page, render_text
from compaware.components.benchmark.report.scatter_charts import Point, pareto
from compaware.components.benchmark.report.sections import (
    floor_section,
    speed_section,
    table_section,
    unmeasured_section,
)
from compaware.components.benchmark.report.tables import Table, score_cells, score_columns
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.serving.sections import serving_sections
from compaware.components.sweep_benchmark.sweep_results import Sweep


def render(benchmark: Benchmark, sweep: Sweep, headline: str) -> tuple[str, str]:
    """Renders the report as a self-contained HTML page and as Markdown."""
    failed = [table_section(_failed(sweep), is_open=True)] if sweep.failed else []
    sections = [
        *failed,
        *unmeasured_section(benchmark),
        *serving_sections(benchmark),
        speed_section(benchmark),
        *floor_section(benchmark),
    ]
    parts = Parts(headline, _members(benchmark, sweep), sections)
    page = render_page(benchmark, _drawings(benchmark, sweep), _cards(benchmark, sweep), parts)
    return page, render_text(benchmark, parts)


def _drawings(benchmark: Benchmark, sweep: Sweep) -> list[str]:
    """Draws accuracy against latency and against size, each with its Pareto front, with the teacher for comparison."""
    size = benchmark.batch_sizes[0]
    by_latency: list[Point] = []
    by_size: list[Point] = []
    if teacher := benchmark.best_teacher(size):
        by_latency.append((teacher.batches[size].p50_ms, teacher.metric, teacher))
        by_size.append((teacher.size_bytes / 1e6, teacher.metric, teacher))
    latency_front, size_front = [], []
    for item in sweep.standings:
        measured = benchmark.by_id(item.id)
        by_latency.append((item.latency_ms, item.accuracy, measured))
        by_size.append((item.size_mb, item.accuracy, measured))
        latency_front += by_latency[-1:] if item.on_latency_front else []
        size_front += by_size[-1:] if item.on_size_front else []
    limits, least = sweep.constraint, sweep.constraint.min_accuracy
    axis = f"p50 latency at batch {size}, ms"
    return [
        pareto(by_latency, latency_front, benchmark, axis, (limits.max_latency_ms, least)),
        pareto(by_size, size_front, benchmark, "size on disk, MB", (limits.max_size_mb, least)),
    ]


def _cards(benchmark: Benchmark, sweep: Sweep) -> list[Card]:
    """Returns the chosen member's figures; it is called the nearest if it does not meet the constraint."""
    first, *others = cards(benchmark, benchmark.by_id(sweep.chosen))
    return [first if sweep.is_met else replace(first, name="nearest"), *others]


def _members(benchmark: Benchmark, sweep: Sweep) -> Table:
    ordered = sorted(sweep.standings, key=lambda item: item.latency_ms)
    measured = [benchmark.by_id(item.id) for item in ordered]
    size = benchmark.batch_sizes[0]
    marked = next((index for index, item in enumerate(ordered) if item.id == sweep.chosen), None)
    rows = []
    for item, candidate in zip(ordered, measured, strict=True):
        fronts = [name for name, on in (("latency", item.on_latency_front), ("size", item.on_size_front)) if on]
        figures = [f"{item.latency_ms:.2f}", f"{item.size_mb:.1f}", ", ".join(fronts) or "–"]
        rows.append([display_name(item.name), runtime_and_precision(candidate), *score_cells(candidate), *figures])
    return Table(
        "Members in their fastest form that keeps the accuracy",
        ["member", "runtime", *score_columns(benchmark), f"p50 ms, batch {size}", "MB", "Pareto front"],
        rows,
        [candidate.role for candidate in measured],
        marked if sweep.is_met else None,
        text_columns=2,
    )


def _failed(sweep: Sweep) -> Table:
    rows = [[display_name(member.name), member.failure] for member in sweep.failed]
    return Table("Members that failed", ["member", "reason"], rows, [], text_columns=2, prose=(1,))
