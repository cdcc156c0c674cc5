"""The report: one self-contained HTML page and the same in Markdown, from a `Benchmark` and the models' summaries."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compaware.components.benchmark import charts
from compaware.components.benchmark.formatting import (
    display_name,
    format_batch_ratio,
    format_points,
    format_size,
    runtime_and_precision,
)
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.benchmark.sentences import headline
from compaware.components.core.base.rendering import render
from compaware.components.core.base.summary import Summary

# Facts of the candidates' summaries that are tables, with their titles.
_FACT_TABLES = {
    "mixed_precision": "Mixed precision statistics",
    "tune_results": "Tune result",
    "layers": "Sparsity by layer",
}


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Its heading.
        columns: Heads.
        rows: Cells as text.
        roles: Role of each row's candidate, for its colour; empty when rows are not candidates.
        marked: Index of the recommended row, or None.
        text_columns: How many of the first columns are text; the others are figures.
    """

    name: str
    columns: list[str]
    rows: list[list[str]]
    roles: list[str]
    marked: int | None = None
    text_columns: int = 1


@dataclass(frozen=True)
class Card:
    """One figure in large type."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Gallery:
    """Charts under one heading."""

    name: str
    drawings: list[Markup]


@dataclass(frozen=True)
class Parts:
    """What differs between reports.

    Attributes:
        headline: The title.
        overview: The first table.
        facts: The last tables.
        galleries: More charts, below the overview.
    """

    headline: str
    overview: Table
    facts: list[Table]
    galleries: list[Gallery]


def render_html(benchmark: Benchmark, summaries: dict[str, Summary]) -> str:
    """The report as a page without scripts, styles or images from elsewhere.

    Args:
        benchmark: Complete, with recommendation and words.
        summaries: Of those candidates that have one, by name.
    """
    assert benchmark.recommended is not None
    drawings = [
        charts.accuracy_against_latency(benchmark, benchmark.batch_sizes[0]),
        charts.accuracy_against_size(benchmark),
        charts.throughput_by_batch(benchmark),
    ]
    return render_page(
        benchmark, drawings, cards(benchmark, benchmark.by_id(benchmark.recommended.id)), _parts(benchmark, summaries)
    )


def _galleries(benchmark: Benchmark, summaries: dict[str, Summary]) -> list[Gallery]:
    """The charts below the overview, those that there is something for."""
    roles = {item.name: item.role for item in benchmark.candidates}
    metric = benchmark.candidates[0].metric_name
    galleries = [
        Gallery(
            "Latency: median, middle half and middle 90 % of the calls",
            [Markup(charts.latency_distribution(benchmark, size)) for size in benchmark.batch_sizes],
        ),
        Gallery(
            "Learning curves",
            [
                Markup(charts.learning_curves(name, roles[name], metric, summary.facts["training"]))
                for name, summary in summaries.items()
                if summary.facts.get("training")
            ],
        ),
        Gallery(
            "Sparsity by layer",
            [
                Markup(charts.sparsity_by_layer(name, [layer["sparsity"] for layer in summary.facts["layers"]]))
                for name, summary in summaries.items()
                if summary.facts.get("layers")
            ],
        ),
    ]
    return [gallery for gallery in galleries if gallery.drawings]


def render_markdown(benchmark: Benchmark, summaries: dict[str, Summary]) -> str:
    """The report as Markdown tables, without raw HTML."""
    return render_text(benchmark, _parts(benchmark, summaries))


def _parts(benchmark: Benchmark, summaries: dict[str, Summary]) -> Parts:
    facts = [*unmeasured_table(benchmark), *_label_table(benchmark), *_fact_tables(benchmark, summaries)]
    return Parts(headline(benchmark), _overview(benchmark), facts, _galleries(benchmark, summaries))


def render_page(benchmark: Benchmark, drawings: list[str], large: list[Card], parts: Parts) -> str:
    """The page of a report: charts (SVG) and figures in large type above the tables."""
    return _render(
        "report.html.j2",
        benchmark,
        parts,
        charts=[Markup(drawing) for drawing in drawings],
        galleries=parts.galleries,
        cards=large,
        shapes=sorted({item.runtime for item in benchmark.candidates}),
        roles=list(dict.fromkeys(item.role for item in benchmark.candidates)),
    )


def render_text(benchmark: Benchmark, parts: Parts) -> str:
    """The Markdown of a report."""
    return _render("report.md.j2", benchmark, parts)


def _render(template: str, benchmark: Benchmark, parts: Parts, **more: Any) -> str:
    return render(
        template,
        "benchmark",
        headline=parts.headline,
        words=benchmark.words,
        data=benchmark.data,
        overview=parts.overview,
        speeds=[_speed(benchmark, size) for size in benchmark.batch_sizes],
        facts=parts.facts,
        machine=_machine(benchmark),
        method=_method(benchmark),
        **more,
    )


def cards(benchmark: Benchmark, chosen: Measured) -> list[Card]:
    """A candidate's figures in large type, against the teacher's where there is one."""
    size = benchmark.batch_sizes[0]
    batch = chosen.batches[size]
    found = [Card("serve", display_name(chosen.name), runtime_and_precision(chosen))]
    teacher = benchmark.reference("teacher")
    if teacher and batch.ratio_to_teacher is not None:
        low, high = batch.spread["ratio_to_teacher"]
        found.append(
            Card(
                f"speed, batch {size}",
                f"{batch.ratio_to_teacher:.1f}x",
                f"over the {display_name(teacher.name)} ({low:.1f}–{high:.1f})",
            )
        )
    found.append(Card(f"latency, batch {size}", f"{batch.p50_ms:.2f} ms", f"p50; p99 {batch.p99_ms:.2f} ms"))
    less = f"{format_size(chosen.compressed_bytes)} deflated"
    if teacher:
        less = f"{display_name(teacher.name)}: {format_size(teacher.size_bytes)}"
    found.append(Card("size", format_size(chosen.size_bytes), less))
    reference = teacher or benchmark.dense()[0] if benchmark.dense() else chosen
    difference = f"{format_points(chosen.metric, reference.metric)} from the {display_name(reference.name)}"
    found.append(Card(chosen.metric_name.replace("_", " "), f"{chosen.metric:.4f}", difference))
    return found


def _marked(benchmark: Benchmark, identifier: str | None) -> int | None:
    return next((place for place, item in enumerate(benchmark.candidates) if item.id == identifier), None)


def _name_cells(item: Measured) -> list[str]:
    return [display_name(item.name), runtime_and_precision(item)]


def _overview(benchmark: Benchmark) -> Table:
    return Table(
        "All candidates",
        ["candidate", "runtime", benchmark.candidates[0].metric_name, "size", "deflated", "peak memory"],
        [
            [
                *_name_cells(item),
                f"{item.metric:.4f}",
                format_size(item.size_bytes),
                format_size(item.compressed_bytes),
                format_size(item.peak_memory_bytes),
            ]
            for item in benchmark.candidates
        ],
        [item.role for item in benchmark.candidates],
        _marked(benchmark, benchmark.recommended.id if benchmark.recommended else None),
        text_columns=2,
    )


def _speed(benchmark: Benchmark, size: int) -> Table:
    return Table(
        f"Batch size {size}",
        [
            "candidate",
            "runtime",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "samples/s",
            "over teacher",
            "over FP32 student",
        ],
        [
            [
                *_name_cells(item),
                *(f"{value:.2f}" for value in (batch.p50_ms, batch.p90_ms, batch.p99_ms)),
                f"{batch.samples_per_s:.1f}",
                format_batch_ratio(batch, "ratio_to_teacher"),
                format_batch_ratio(batch, "ratio_to_fp32_student"),
            ]
            for item in benchmark.candidates
            for batch in [item.batches[size]]
        ],
        [item.role for item in benchmark.candidates],
        _marked(benchmark, benchmark.recommended.by_batch[size] if benchmark.recommended else None),
        text_columns=2,
    )


def unmeasured_table(benchmark: Benchmark) -> Iterable[Table]:
    """The candidates that could not be measured, where there are any."""
    if benchmark.unmeasured:
        rows = [[display_name(item.name), item.runtime or "all", item.reason] for item in benchmark.unmeasured]
        yield Table("Not measured", ["candidate", "runtime", "why"], rows, [], text_columns=3)


def _label_table(benchmark: Benchmark) -> Iterable[Table]:
    """F1 of each label of multi-label data, of each model in its first runtime."""
    models = list({item.name: item for item in reversed(benchmark.candidates)}.values())[::-1]
    if models[0].f1_by_label:
        yield Table(
            "F1 by label",
            ["label", *(display_name(item.name) for item in models)],
            [[label, *(f"{item.f1_by_label[label]:.4f}" for item in models)] for label in models[0].f1_by_label],
            [],
        )


def _fact_tables(benchmark: Benchmark, summaries: dict[str, Summary]) -> Iterable[Table]:
    for name, summary in summaries.items():
        for key, heading in _FACT_TABLES.items():
            rows = summary.facts.get(key)
            if rows:
                yield _fact_table(f"{heading}: {display_name(name)}", rows)


def _fact_table(heading: str, rows: list[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    texts = list(itertools.takewhile(lambda column: isinstance(rows[0].get(column), str), columns))
    return Table(
        heading,
        [column.removesuffix("_bytes").replace("_", " ") for column in columns],
        [[_cell(column, row.get(column)) for column in columns] for row in rows],
        [],
        text_columns=len(texts),
    )


def _machine(benchmark: Benchmark) -> Table:
    machine = benchmark.machine
    rows = [
        ["CPU", str(machine["cpu"])],
        ["flags that matter", ", ".join(machine["flags"]) or "none"],
        ["threads", str(machine["threads"])],
        *([name, str(value)] for name, value in machine["versions"].items()),
    ]
    return Table("Machine", ["fact", "value"], rows, [], text_columns=2)


def _method(benchmark: Benchmark) -> list[str]:
    settings, data = benchmark.settings, benchmark.data
    lengths = (
        f"Every sentence is padded to {settings['max_length_tokens']} tokens."
        if settings["padded"]
        else f"Sentences keep their real lengths (cut at {settings['max_length_tokens']} tokens, median "
        f"{data['median_length_tokens']:.0f}); a batch is padded to its longest."
    ) + f" {data['cut_rows']} of {data['rows']} rows are longer and were cut."
    return [
        f"Split {data['split']} of {data['task']}, {data['rows']} rows. {lengths}",
        "One process for each candidate, runtime and precision, with a fixed number of threads "
        f"({benchmark.machine['threads']}); only one works at a time.",
        f"Up to {settings['rounds']} rounds within {settings['time_budget_s']:.0f} s, never fewer than 3. In each, all "
        f"take turns on the same batches, in an order drawn anew (seed {settings['seed']}). Each turn begins with a "
        "call that is not timed.",
        *_groups(benchmark),
        "A call is one forward pass from token ids to logits; tokenization and padding are done before.",
        "The metric is computed over the whole split from the logits of the same process on the same files.",
        "Size is that of the files that the runtime reads; deflated, the same after deflate. Peak memory is that of "
        "the whole process, libraries included.",
    ]


def _groups(benchmark: Benchmark) -> list[str]:
    if len(benchmark.groups) < 2:
        return []
    scales = [scale for group in benchmark.groups[1:] for scale in group.scales.values()]
    said = (
        f"Memory did not hold all at once: they took turns in {len(benchmark.groups)} groups, with "
        f"{benchmark.groups[0].candidates[0]} in each."
    )
    if scales:
        said += f" Times of the later groups are scaled by its own ({min(scales):.2f} to {max(scales):.2f})."
    if any(not group.scales for group in benchmark.groups[1:]):
        said += " Where it failed they are not: compare those times with care."
    return [said]


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if column.endswith("_bytes"):
        return format_size(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def load_summaries(folders: dict[str, Path]) -> dict[str, Summary]:
    """Summaries of those model folders that a component of ours wrote."""
    return {name: Summary.load(folder) for name, folder in folders.items() if (folder / "summary.json").is_file()}
