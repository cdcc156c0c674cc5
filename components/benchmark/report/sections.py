"""Sections of the report below its overview: folded parts with sentences, charts and tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compaware.components.benchmark.floor.words import floor_table
from compaware.components.benchmark.report import charts
from compaware.components.benchmark.report.tables import (
    Table,
    difference_table,
    fact_tables,
    layer_table,
    speed_table,
    unmeasured_table,
)
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.base.summary import Summary


@dataclass(frozen=True)
class Section:
    """A part of the report that the reader unfolds.

    Attributes:
        name: Heading.
        notes: Sentences below the heading.
        drawings: Charts (SVG); Markdown leaves them out.
        tables: Tables; their own headings are shown if there are several.
        page_tables: Further tables, which Markdown leaves out.
        is_open: Whether the page shows it unfolded.
    """

    name: str
    notes: Sequence[str] = ()
    drawings: Sequence[Markup] = ()
    tables: Sequence[Table] = ()
    page_tables: Sequence[Table] = ()
    is_open: bool = False


def table_section(table: Table, *, is_open: bool = False) -> Section:
    """Returns a section of one table, with the table's heading."""
    return Section(table.name, tables=[table], is_open=is_open)


def unmeasured_section(benchmark: Benchmark) -> list[Section]:
    """Returns the candidates that could not be measured, if there are any."""
    return [table_section(table, is_open=True) for table in unmeasured_table(benchmark)]


def speed_section(benchmark: Benchmark) -> Section:
    """Returns the tables of speed at each batch size."""
    return Section("Speed by batch size", tables=[speed_table(benchmark, size) for size in benchmark.batch_sizes])


def difference_section(benchmark: Benchmark) -> list[Section]:
    """Returns the differences of the metric with their intervals, if there are any."""
    return [table_section(table) for table in difference_table(benchmark)]


def floor_section(benchmark: Benchmark) -> list[Section]:
    """Returns the table of the floors, if there are any."""
    return [table_section(table) for table in floor_table(benchmark)]


def spread_section(benchmark: Benchmark) -> Section:
    """Returns the charts of the latency's distribution."""
    return Section(
        "Spread of the latency",
        ["Median (dot), middle 50 % (thick) and middle 90 % (thin) of the calls."],
        [Markup(charts.latency_distribution(benchmark, size)) for size in benchmark.batch_sizes],
    )


def stage_sections(benchmark: Benchmark, summaries: Mapping[str, Summary]) -> Iterator[Section]:
    """Yields the learning curves, and the tables from the summaries of the stages with their charts."""
    curves = list(_learning_curves(benchmark, summaries))
    if curves:
        yield Section("Learning curves", drawings=curves)
    for name, summary in summaries.items():
        for table in fact_tables(benchmark, name, summary):
            yield table_section(table)
        if layers := summary.facts.get("layers"):
            chart = charts.sparsity_by_layer(name, [layer["sparsity"] for layer in layers])
            table = layer_table(benchmark, name, layers)
            yield Section(table.name, drawings=[Markup(chart)], tables=[table])


def _learning_curves(benchmark: Benchmark, summaries: Mapping[str, Summary]) -> Iterator[Markup]:
    roles = {item.name: item.role for item in benchmark.candidates}
    for name, summary in summaries.items():
        if training := summary.facts.get("training"):
            yield Markup(charts.learning_curves(name, roles[name], benchmark.candidates[0].metric_name, training))
