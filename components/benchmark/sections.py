"""Sections of the report below its overview: folded parts with sentences, charts and tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compaware.components.benchmark import charts
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.tables import (
    Table,
    difference_table,
    fact_tables,
    label_table,
    speed_table,
    unmeasured_table,
)
from compaware.components.core.base.summary import Summary


@dataclass(frozen=True)
class Section:
    """A part of the report that the reader unfolds.

    Attributes:
        name: Heading.
        notes: Sentences below the heading.
        drawings: Charts (SVG); Markdown leaves them out.
        tables: Tables; their own headings are shown if there are several.
        is_open: Whether the page shows it unfolded.
    """

    name: str
    notes: Sequence[str] = ()
    drawings: Sequence[Markup] = ()
    tables: Sequence[Table] = ()
    is_open: bool = False


def table_section(table: Table, *, is_open: bool = False) -> Section:
    """Returns a section of one table, with the table's heading."""
    return Section(table.name, tables=[table], is_open=is_open)


def speed_section(benchmark: Benchmark) -> Section:
    """Returns the tables of speed at each batch size."""
    return Section("Speed by batch size", tables=[speed_table(benchmark, size) for size in benchmark.batch_sizes])


def model_sections(benchmark: Benchmark, summaries: Mapping[str, Summary]) -> list[Section]:
    """Returns the sections of a benchmark for which there are data, those about speed first."""
    found = [
        *(table_section(table, is_open=True) for table in unmeasured_table(benchmark)),
        *map(table_section, difference_table(benchmark)),
        speed_section(benchmark),
        Section(
            "Spread of the latency",
            ["Median (dot), middle 50 % (thick) and middle 90 % (thin) of the calls."],
            [Markup(charts.latency_distribution(benchmark, size)) for size in benchmark.batch_sizes],
        ),
        *map(table_section, label_table(benchmark)),
        Section("Learning curves", drawings=list(_learning_curves(benchmark, summaries))),
        Section("Sparsity by layer", drawings=list(_sparsity(summaries))),
        *map(table_section, fact_tables(benchmark, summaries)),
    ]
    return [section for section in found if section.drawings or section.tables]


def _learning_curves(benchmark: Benchmark, summaries: Mapping[str, Summary]) -> Iterable[Markup]:
    roles = {item.name: item.role for item in benchmark.candidates}
    for name, summary in summaries.items():
        if training := summary.facts.get("training"):
            yield Markup(charts.learning_curves(name, roles[name], benchmark.candidates[0].metric_name, training))


def _sparsity(summaries: Mapping[str, Summary]) -> Iterable[Markup]:
    for name, summary in summaries.items():
        if layers := summary.facts.get("layers"):
            yield Markup(charts.sparsity_by_layer(name, [layer["sparsity"] for layer in layers]))
