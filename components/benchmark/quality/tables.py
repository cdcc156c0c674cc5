"""Tables of the report about the predictions."""

import math

from compaware.components.benchmark.quality.results import CalibrationErrors, Quality, Slice
from compaware.components.benchmark.report.formatting import (
    display_name,
    format_change_interval,
    format_interval,
    runtime_and_precision,
)
from compaware.components.benchmark.report.tables import Table
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.base.rendering import cut, cut_short
from compaware.components.core.evaluation.intervals import Difference, Interval
from compaware.components.core.evaluation.metrics import REGRESSION_METRICS, in_points, metric_label

_NONE = "–"


def class_table(benchmark: Benchmark, quality: Quality) -> Table:
    """Returns precision, recall and F1 of the model to serve by class or label, and F1 of the others."""
    served = benchmark.by_id(quality.served).name
    own = quality.classes[served]
    others = [name for name in quality.classes if name != served]
    columns = ["rows", "precision", "recall (95 %)", f"F1 {display_name(served)}"]
    is_compared = any(score.recall_change for score in own.values())
    columns += [*(f"F1 {display_name(name)}" for name in others), *(["recall change, points"] if is_compared else [])]
    rows = []
    for name, score in own.items():
        change = [_change(score.recall_change, "recall")] if is_compared else []
        recall = _with_interval(score.recall)
        cells = [f"{quality.class_rows[name]:,}", _figure(score.precision), recall, _figure(score.f1)]
        rows.append([name, *cells, *(_figure(quality.classes[other][name].f1) for other in others), *change])
    noun = "label" if benchmark.candidates[0].f1_by_label else "class"
    return Table(f"By {noun}", [noun, *columns], rows, [])


def calibration_table(benchmark: Benchmark, quality: Quality) -> Table:
    """Returns the calibration errors of each model, also at the temperature of those that have one."""
    has_confidence = any(item.confidence is not None for item in quality.calibration.values())
    rows: list[list[str]] = []
    roles: list[str] = []
    for name, item in quality.calibration.items():
        form = benchmark.by_id(quality.forms[name])
        means = [_figure(item.confidence), _figure(item.accuracy)] if has_confidence else []
        cells = [display_name(name), runtime_and_precision(form)]
        rows.append([*cells, _NONE, *_errors(item.errors), *means])
        if item.errors_at_temperature:
            changed = [_NONE] * len(means)
            rows.append([*cells, f"{item.temperature:.2f}", *_errors(item.errors_at_temperature), *changed])
        roles += [form.role] * (len(rows) - len(roles))
    columns = ["candidate", "runtime", "temperature", "ECE", "Brier", "NLL"]
    return Table(
        "Calibration",
        [*columns, *(["mean confidence", "accuracy"] if has_confidence else [])],
        rows,
        roles,
        text_columns=2,
    )


def slice_table(benchmark: Benchmark, quality: Quality) -> Table:
    """Returns the metric of the model to serve on each slice, beside that of the dense FP32 model."""
    served = display_name(benchmark.by_id(quality.served).name)
    metric = benchmark.data["metric"]
    is_error = metric in REGRESSION_METRICS
    title = "mean absolute error" if is_error else metric_label(metric)
    columns = ["slice", "value", "rows", f"{title}, {served} (95 %)"]
    if quality.reference and any(item.difference for item in quality.slices):
        reference = display_name(benchmark.by_id(quality.reference).name)
        columns += [f"FP32 {reference}", "change, points (95 %)" if in_points(metric) else "change (95 %)"]
    rows = []
    for item in quality.slices:
        cells = [item.column, cut(item.value), f"{item.rows:,}", _with_interval(item.score)]
        rows.append([*cells, *([] if len(columns) == 4 else _comparison(item, metric))])
    return Table("By slice", columns, rows, [], text_columns=2)


def drift_table(quality: Quality) -> Table:
    """Returns how far the INT8 model's scores are from the dense FP32 model's."""
    rows = [
        [
            item.split,
            f"{item.rows:,}",
            _NONE if item.agreement is None else f"{100 * item.agreement:.2f} %",
            _figure(item.mean_difference),
            _figure(item.max_difference),
            _largest_shift(item.shares),
        ]
        for item in quality.drift
    ]
    columns = ["split", "rows", "same decision", "mean difference", "largest difference", "largest shift of a class"]
    return Table("Difference of the scores", columns, rows, []).without_empty_columns()


def disagreement_table(benchmark: Benchmark, quality: Quality) -> Table:
    """Returns the rows with the largest differences, with their texts."""
    reference = display_name(benchmark.by_id(quality.reference or "").name)
    is_value = not quality.classes
    rows = []
    for item in quality.disagreements:
        decisions = [item.int8, item.fp32]
        if not is_value:
            scores = (item.int8_score, item.fp32_score)
            decisions = [f"{cut_short(name)} ({score:.3f})" for name, score in zip(decisions, scores, strict=True)]
        rows.append([str(item.row), cut_short(item.label), *decisions, f"{item.difference:.3f}", item.text])
    columns = ["row", "label", "INT8", f"FP32 {reference}", "difference", "text"]
    return Table("Largest disagreements", columns, rows, [], text_columns=6, prose=(5,))


def _largest_shift(shares: dict[str, tuple[float, float]]) -> str:
    if not shares:
        return _NONE
    name, (before, after) = max(shares.items(), key=lambda item: abs(item[1][1] - item[1][0]))
    if before == after:
        return _NONE
    return f"{cut_short(name)}: {100 * before:.1f} → {100 * after:.1f} %"


def _comparison(item: Slice, metric: str) -> list[str]:
    if item.reference is None or item.difference is None:
        return [_NONE, _NONE]
    change = item.difference
    if metric in REGRESSION_METRICS:
        return [_figure(item.reference), f"{change.value:+.4f} ({change.low:+.4f} to {change.high:+.4f})"]
    return [_figure(item.reference), _change(change, metric)]


def _errors(errors: CalibrationErrors) -> list[str]:
    return [_figure(errors.ece), _figure(errors.brier), _figure(errors.nll)]


def _figure(value: float | None) -> str:
    return _NONE if value is None or math.isnan(value) else f"{value:.4f}"


def _with_interval(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.value):
        return _NONE
    return f"{interval.value:.4f} ({format_interval(interval)})"


def _change(change: Difference | None, metric: str) -> str:
    return _NONE if change is None else format_change_interval(change, metric)
