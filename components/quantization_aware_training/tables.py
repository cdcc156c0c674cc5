"""The two tables of the component: mixed-precision statistics and the tune result."""

from collections.abc import Collection, Iterable
from typing import Any

from tabulate import tabulate

from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.evaluate import Evaluation
from compaware.components.core.evaluation.intervals import describe_difference
from compaware.components.core.evaluation.metrics import metric_label
from compaware.components.core.int8.mixed_precision import COLUMNS
from compaware.components.core.runtimes.formats import RuntimeName
from compaware.components.quantization_aware_training.candidate import QuantizedCandidate

_STATISTICS_TITLES = ("Op Type", "Total", "INT8", "BF16", "FP32")
_RESULT_COLUMNS = {
    "candidate": "Candidate",
    "runtime": "Runtime",
    "metric": "Metric",
    "test_metric": "Metric on test",
    "duration_s": "Duration (s)",
    "size_bytes": "Bytes",
    "difference": "Against FP32, 95 % interval",
    "agreement": "Agreement with simulation",
    "made_in_s": "Quantization (s)",
    "passed": "Criterion",
}


def tune_results(
    baseline: Evaluation,
    baseline_bytes: int,
    candidates: list[QuantizedCandidate],
    criterion: Criterion,
    chosen: RuntimeName,
) -> list[dict[str, Any]]:
    """Returns rows for the FP32 model, PTQ and QAT, each INT8 model in both runtimes, the chosen runtime first.

    `duration_s` is the time to predict the validation split after warm-up, with the same batches for all rows.
    """
    name = criterion.metric_name
    rows: list[dict[str, Any]] = [
        {
            "candidate": "Baseline FP32",
            "runtime": "torch" if baseline.device == "cpu" else f"torch, {baseline.device}",
            "metric": criterion.baseline,
            "duration_s": baseline.seconds,
            "size_bytes": baseline_bytes,
        }
    ]
    for candidate in candidates:
        for runtime, served in sorted(candidate.served.items(), key=lambda item: item[0] != chosen):
            rows.append(
                {
                    "candidate": candidate.name,
                    "runtime": runtime,
                    "metric": served.metrics[name],
                    "duration_s": served.seconds,
                    "size_bytes": served.size_bytes,
                    "difference": describe_difference(served.difference, name),
                    "agreement": served.agreement,
                    "made_in_s": round(candidate.made_in_s, 1),
                    "passed": "met" if criterion.passes(served.metrics[name], served.difference) else "missed",
                }
            )
    return rows


def statistics_table(rows: list[dict[str, Any]]) -> str:
    """Returns mixed-precision statistics as Markdown."""
    return _table(rows, COLUMNS, _STATISTICS_TITLES)


def tune_result_table(rows: list[dict[str, Any]], metric_name: str) -> str:
    """Returns the tune result as Markdown."""
    titles = {
        **_RESULT_COLUMNS,
        "metric": metric_label(metric_name),
        "test_metric": f"{metric_label(metric_name)}, test",
    }
    if not any("test_metric" in row for row in rows):
        del titles["test_metric"]
    return _table(rows, titles.keys(), titles.values())


def statistics_markdown(statistics: dict[str, str], tune_result: str, rows: str) -> str:
    """Returns the component's Markdown: the statistics of each runtime, the tune result, and which rows decided."""
    parts = [f"## Mixed Precision Statistics: {runtime}\n\n{table}" for runtime, table in statistics.items()]
    return "\n\n".join([*parts, "## Tune Result", tune_result, f"{rows}\n"])


def _table(rows: Iterable[dict[str, Any]], columns: Collection[str], titles: Iterable[str]) -> str:
    """Formats rows as a Markdown table; a value that a row lacks is shown as a dash."""
    cells = [[row.get(column) for column in columns] for row in rows]
    align = ("left", *["right"] * (len(columns) - 1))
    return tabulate(cells, list(titles), "pipe", floatfmt=".4f", missingval="-", colalign=align)
