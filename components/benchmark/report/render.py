"""Renders the report, as a self-contained HTML page and as Markdown, from a `Benchmark` and the models' summaries."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compaware.components.benchmark.quality.sections import quality_sections
from compaware.components.benchmark.report import charts, scatter_charts
from compaware.components.benchmark.report.formatting import (
    display_name,
    format_change,
    format_interval,
    format_score,
    format_size,
    reported_split,
    runtime_and_precision,
)
from compaware.components.benchmark.report.method import describe_method
from compaware.components.benchmark.report.sections import (
    Section,
    difference_section,
    floor_section,
    speed_section,
    spread_section,
    stage_sections,
    unmeasured_section,
)
from compaware.components.benchmark.report.sentences import headline
from compaware.components.benchmark.report.tables import Table, machine_table, overview_table
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.benchmark.serving.sections import serving_sections
from compaware.components.core.base.rendering import render
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.metrics import metric_label

# A longer summary shows its first sentences only, and folds the others.
_MOST_WORDS = 8
_FIRST_WORDS = 6
# Longer tables are left to the HTML page.
_MOST_MARKDOWN_ROWS = 30


@dataclass(frozen=True)
class Card:
    """One figure in large type, with a name above and a note below."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Parts:
    """The parts that differ between the reports of a benchmark and a sweep.

    Attributes:
        headline: The title.
        overview: The table below the charts.
        sections: The folded parts below it.
    """

    headline: str
    overview: Table
    sections: list[Section]


def render_html(benchmark: Benchmark, summaries: dict[str, Summary]) -> str:
    """Renders the report as an HTML page that needs no scripts and loads nothing from the network.

    Args:
        benchmark: A complete benchmark, with recommendation and words.
        summaries: Summaries of the candidates that have one, by name.
    """
    assert benchmark.recommended is not None
    drawings = [
        scatter_charts.accuracy_against_latency(benchmark, benchmark.batch_sizes[0]),
        scatter_charts.accuracy_against_size(benchmark),
        charts.throughput_by_batch(benchmark),
    ]
    return render_page(
        benchmark, drawings, cards(benchmark, benchmark.by_id(benchmark.recommended.id)), _parts(benchmark, summaries)
    )


def render_markdown(benchmark: Benchmark, summaries: dict[str, Summary]) -> str:
    """Renders the report as Markdown without raw HTML."""
    return render_text(benchmark, _parts(benchmark, summaries))


def _parts(benchmark: Benchmark, summaries: dict[str, Summary]) -> Parts:
    sections = [
        *unmeasured_section(benchmark),
        *difference_section(benchmark),
        *serving_sections(benchmark),
        speed_section(benchmark),
        spread_section(benchmark),
        *floor_section(benchmark),
        *quality_sections(benchmark),
        *stage_sections(benchmark, summaries),
    ]
    return Parts(headline(benchmark), overview_table(benchmark), sections)


def render_page(benchmark: Benchmark, drawings: list[str], figures: list[Card], parts: Parts) -> str:
    """Renders the HTML page of a report, with figures in large type and charts (SVG) above the tables."""
    return _render(
        "report.html.j2",
        benchmark,
        parts,
        charts=[Markup(drawing) for drawing in drawings],
        cards=figures,
        shapes=sorted({item.runtime for item in benchmark.candidates}),
        roles=list(dict.fromkeys(item.role for item in benchmark.candidates)),
    )


def render_text(benchmark: Benchmark, parts: Parts) -> str:
    """Renders the Markdown of a report."""
    return _render("report.md.j2", benchmark, parts, most_rows=_MOST_MARKDOWN_ROWS)


def _render(template: str, benchmark: Benchmark, parts: Parts, **more: Any) -> str:
    first = len(benchmark.words) if len(benchmark.words) <= _MOST_WORDS else _FIRST_WORDS
    return render(
        template,
        "benchmark.report",
        headline=parts.headline,
        words=benchmark.words[:first],
        more_words=benchmark.words[first:],
        data=benchmark.data,
        overview=parts.overview,
        sections=parts.sections,
        machine=machine_table(benchmark),
        method=describe_method(benchmark),
        **more,
    )


def cards(benchmark: Benchmark, chosen: Measured) -> list[Card]:
    """Returns a candidate's figures in large type, compared with the teacher's if there is one."""
    size = benchmark.batch_sizes[0]
    batch = chosen.batches[size]
    figures = [Card("serve", display_name(chosen.name), runtime_and_precision(chosen))]
    teacher = benchmark.reference("teacher")
    if teacher and batch.ratio_to_teacher is not None:
        low, high = batch.spread["ratio_to_teacher"]
        note = f"over the {display_name(teacher.name)} ({low:.1f}–{high:.1f})"
        if batch.ratio_to_best_teacher is not None:
            note += f"; {batch.ratio_to_best_teacher:.1f}x over its best form"
        figures.append(Card(f"speed, batch {size}", f"{batch.ratio_to_teacher:.1f}x", note))
    figures.append(Card(f"latency, batch {size}", f"{batch.p50_ms:.2f} ms", f"p50; p99 {batch.p99_ms:.2f} ms"))
    note = f"{format_size(chosen.compressed_bytes)} deflated"
    if teacher:
        note = f"{display_name(teacher.name)}: {format_size(teacher.size_bytes)}"
    figures.append(Card("size", format_size(chosen.size_bytes), note))
    figures.append(_score_card(benchmark, chosen))
    return figures


def _score_card(benchmark: Benchmark, chosen: Measured) -> Card:
    metric = metric_label(chosen.metric_name)
    if chosen.reported_interval is None:
        reference = benchmark.reference("teacher") or benchmark.dense()[0] if benchmark.dense() else chosen
        change = format_change(chosen.metric, reference.metric, chosen.metric_name)
        difference = f"{change} from the {display_name(reference.name)}"
        return Card(metric, format_score(chosen.metric), difference)
    note = f"{format_interval(chosen.reported_interval)} with 95 % confidence"
    if math.isnan(chosen.reported_metric):
        note = "see the notes"
    if chosen.test:
        note += f"; {format_score(chosen.metric)} on {benchmark.data['split']}"
    return Card(f"{metric}, {reported_split(benchmark)}", format_score(chosen.reported_metric), note)


def load_summaries(folders: dict[str, Path]) -> dict[str, Summary]:
    """Loads the summaries of the model folders that have one."""
    return {name: Summary.load(folder) for name, folder in folders.items() if (folder / "summary.json").is_file()}
