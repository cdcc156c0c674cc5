"""Tables of the report."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from compaware.components.benchmark.report.formatting import (
    display_name,
    format_batch_ratio,
    format_change_interval,
    format_score,
    format_size,
    name_and_runtime,
    runtime_and_precision,
)
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.metrics import in_points, metric_label

# Tables in the facts of the candidates' summaries, with their titles.
_FACT_TABLES = {
    "mixed_precision": "Mixed precision statistics",
    "tune_results": "Tune result",
}
# Titles of the columns whose keys are too short to understand.
_COLUMN_TITLES = {
    "duration_s": "validation s",
    "agreement": "agreement with simulated INT8",
    "made_in_s": "quantization s",
    "difference": "against FP32 (95 %)",
    "passed": "criterion",
}


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Heading of the table.
        columns: Headings of the columns.
        rows: Cells as text.
        roles: Role of each row's candidate, for its colour; empty if the rows are not candidates.
        marked: Index of the recommended row, or None.
        text_columns: Number of leading text columns; the others hold numbers.
        prose: Indices of the text columns whose cells hold sentences, which are wrapped.
    """

    name: str
    columns: list[str]
    rows: list[list[str]]
    roles: list[str]
    marked: int | None = None
    text_columns: int = 1
    prose: tuple[int, ...] = ()

    def without_empty_columns(self) -> "Table":
        """Returns the table without the columns of numbers that hold a dash in every row."""
        kept = [
            index
            for index, cells in enumerate(zip(*self.rows, strict=True))
            if index < self.text_columns or set(cells) != {"–"}
        ]
        rows = [[row[index] for index in kept] for row in self.rows]
        return replace(self, columns=[self.columns[index] for index in kept], rows=rows)


def _marked(benchmark: Benchmark, identifier: str | None) -> int | None:
    return next((index for index, item in enumerate(benchmark.candidates) if item.id == identifier), None)


def _name_cells(item: Measured) -> list[str]:
    return [display_name(item.name), runtime_and_precision(item)]


def overview_table(benchmark: Benchmark) -> Table:
    """Returns the metric, size and memory of all candidates."""
    return Table(
        "All candidates",
        ["candidate", "runtime", *score_columns(benchmark), "size", "deflated", "memory", "peak memory"],
        [
            [
                *_name_cells(item),
                *score_cells(item),
                format_size(item.size_bytes),
                format_size(item.compressed_bytes),
                "–" if item.loaded_memory_bytes is None else format_size(item.loaded_memory_bytes),
                format_size(item.peak_memory_bytes),
            ]
            for item in benchmark.candidates
        ],
        [item.role for item in benchmark.candidates],
        _marked(benchmark, benchmark.recommended.id if benchmark.recommended else None),
        text_columns=2,
    )


def score_columns(benchmark: Benchmark) -> list[str]:
    """Returns the headings of the metric on the split that decides and, where it was scored, on test."""
    first = benchmark.candidates[0]
    splits = [str(benchmark.data["split"]), *([TEST] if first.test else [])]
    return [f"{metric_label(first.metric_name)}, {split}" for split in splits]


def score_cells(item: Measured) -> list[str]:
    """Returns the metric with its interval, in the columns of `score_columns`."""
    cells = [format_score(item.metric, item.interval)]
    if item.test:
        cells.append(format_score(item.test.metric, item.test.interval))
    return cells


def difference_table(benchmark: Benchmark) -> Iterable[Table]:
    """Returns a table of the paired differences of all candidates from the references, if they were computed."""
    rows: list[list[str]] = []
    roles: list[str] = []
    for item in benchmark.candidates:
        for identifier, differences in item.differences.items():
            both = [differences.validation, *([differences.test] if differences.test else [])]
            p_value = differences.reported.p_value
            cells = [*_name_cells(item), name_and_runtime(benchmark.by_id(identifier))]
            cells += [format_change_interval(each, item.metric_name) for each in both]
            rows.append([*cells, "–" if p_value is None else f"{p_value:.2g}"])
            roles.append(item.role)
    if rows:
        metric = benchmark.candidates[0].metric_name
        change = "points" if in_points(metric) else "change"
        splits = [name.rpartition(", ")[2] for name in score_columns(benchmark)]
        yield Table(
            f"Differences of {metric_label(metric)}, with 95 % intervals",
            ["candidate", "runtime", "compared with", *(f"{change}, {split}" for split in splits), "McNemar p"],
            rows,
            roles,
            text_columns=3,
        ).without_empty_columns()


def speed_table(benchmark: Benchmark, size: int) -> Table:
    """Returns the speed of all candidates at one batch size."""
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
            "over best teacher",
            "over FP32 student",
        ],
        [
            [
                *_name_cells(item),
                *(f"{value:.2f}" for value in (batch.p50_ms, batch.p90_ms, batch.p99_ms)),
                f"{batch.samples_per_s:.1f}",
                format_batch_ratio(batch, "ratio_to_teacher"),
                format_batch_ratio(batch, "ratio_to_best_teacher"),
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
    """Returns a table of the candidates that could not be measured, if there are any."""
    if benchmark.unmeasured:
        rows = [[display_name(item.name), item.runtime or "all", item.reason] for item in benchmark.unmeasured]
        yield Table("Not measured", ["candidate", "runtime", "reason"], rows, [], text_columns=3, prose=(2,))


def fact_tables(benchmark: Benchmark, name: str, summary: Summary) -> Iterable[Table]:
    """Returns the tables from the summary of a candidate, except that of its layers."""
    for key, heading in _FACT_TABLES.items():
        rows = summary.facts.get(key)
        if rows:
            yield _fact_table(f"{heading}: {display_name(name)}", rows, benchmark.candidates[0].metric_name)


def layer_table(benchmark: Benchmark, name: str, layers: list[dict[str, Any]]) -> Table:
    """Returns the sparsity of each layer of a candidate."""
    return _fact_table(f"Sparsity by layer: {display_name(name)}", layers, benchmark.candidates[0].metric_name)


def _fact_table(heading: str, rows: list[dict[str, Any]], metric_name: str) -> Table:
    metric = metric_label(metric_name)
    titles = {**_COLUMN_TITLES, "metric": metric, "test_metric": f"{metric}, test"}
    columns = list(dict.fromkeys(column for row in rows for column in row))
    texts = list(itertools.takewhile(lambda column: isinstance(rows[0].get(column), str), columns))
    return Table(
        heading,
        [titles.get(column, column.removesuffix("_bytes").replace("_", " ")) for column in columns],
        [[_cell(column, row.get(column)) for column in columns] for row in rows],
        [],
        text_columns=len(texts),
    )


def machine_table(benchmark: Benchmark) -> Table:
    """Returns the node, if it is known, the CPU, the threads and the versions of the libraries."""
    machine = benchmark.machine
    node = {"node": machine.get("node"), "instance type": machine.get("node_type")}
    rows = [
        *([title, str(name)] for title, name in node.items() if name),
        ["CPU", str(machine["cpu"])],
        ["relevant CPU flags", ", ".join(machine["flags"]) or "none"],
        ["threads", str(machine["threads"])],
        *([["CPUs of the processes", machine["affinity"]]] if "affinity" in machine else []),
        *([name, str(value)] for name, value in machine["versions"].items()),
    ]
    return Table("Machine", ["property", "value"], rows, [], text_columns=2)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if column.endswith("_bytes"):
        return format_size(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
