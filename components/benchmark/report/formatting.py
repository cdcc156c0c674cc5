"""Formats numbers and names for the reports."""

import math
from collections.abc import Iterable

from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.benchmark.timing import BatchSpeed, Ratio
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.intervals import Difference, Interval, describe_difference
from compaware.components.core.evaluation.metrics import in_points, metric_label


def display_name(name: str) -> str:
    """Returns a candidate's name as reports show it: `INT8` for `int8`, `TF-IDF` for `tfidf`, any other unchanged."""
    return {"int8": "INT8", "tfidf": "TF-IDF"}.get(name, name)


def runtime_and_precision(item: Measured) -> str:
    """Returns for example `openvino FP32` or `openvino INT8+BF16`."""
    return f"{item.runtime} {item.precision.upper().replace('_', '+')}"


def runtime_label(item: Measured) -> str:
    """Returns the runtime, with BF16 where it is used: `openvino` or `openvino with BF16`."""
    return f"{item.runtime} with BF16" if "bf16" in item.precision else item.runtime


def name_and_runtime(item: Measured) -> str:
    """Returns for example `INT8 in onnxruntime`."""
    return f"{display_name(item.name)} in {runtime_label(item)}"


def format_change(value: float, reference: float, metric: str) -> str:
    """Returns the difference of two scores with its sign: `-0.5 points` (hundredths), or of a correlation `-0.005`."""
    if math.isnan(value - reference):
        return "undefined"
    if not in_points(metric):
        difference = round(value - reference, 3)
        return f"{difference:+.3f}" if difference else "±0.000"
    difference = round(100 * (value - reference), 1)
    return f"{difference:+.1f} points" if difference else "±0.0 points"


def reported_split(benchmark: Benchmark) -> str:
    """Returns the split whose accuracy is reported: test where it was scored, or else the one that decides."""
    return TEST if benchmark.data.get("test_rows") else str(benchmark.data["split"])


def format_interval(interval: Interval) -> str:
    """Returns the ends of an interval: `0.876 to 0.905`."""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def format_score(score: float, interval: Interval | None = None) -> str:
    """Returns a score, with its interval if there is one: `0.8914 (0.876 to 0.905)`, or `undefined`."""
    if math.isnan(score):
        return "undefined"
    return f"{score:.4f} ({format_interval(interval)})" if interval else f"{score:.4f}"


def format_change_interval(difference: Difference, metric: str) -> str:
    """Returns a difference with its interval, in points except for a correlation: `-0.5 (-1.2 to +0.2)`."""
    factor, digits = (100, 1) if in_points(metric) else (1, 3)
    ends = (difference.value, difference.low, difference.high)
    if math.isnan(difference.value):
        return "undefined"
    value, low, high = (f"{round(factor * number, digits) + 0.0:+.{digits}f}" for number in ends)  # No -0.0.
    return f"{value} ({low} to {high})"


def format_loss(difference: Difference, metric: str, split: str) -> str:
    """Returns a difference for headlines: `between 0.1 and 0.9 points worse in accuracy on test`.

    If the interval contains 0, its lower end follows, since few rows measure little.
    """
    where = f"in {metric_label(metric)} on {split}"
    if math.isnan(difference.value):
        return f"not comparable {where}"
    if difference.low <= 0 <= difference.high:
        most = f"{abs(100 * difference.low):.1f} points" if in_points(metric) else f"{abs(difference.low):.3f}"
        return f"no measurable loss {where} (at most {most})"
    return f"{describe_difference(difference, metric)} {where}"


def format_ratio(ratio: Ratio) -> str:
    """Returns a ratio with its spread: `1.83x (1.78–1.88)`."""
    return f"{ratio.median:.2f}x ({ratio.low:.2f}–{ratio.high:.2f})"


def format_batch_ratio(batch: BatchSpeed, field: str) -> str:
    """Returns one of a batch's ratios with its spread, or a dash if there is no reference."""
    median = getattr(batch, field)
    return "–" if median is None else format_ratio(Ratio(median, *batch.spread[field]))


def format_quotient(quotient: float, better: str, worse: str) -> str:
    """Returns `2.1x faster`, `1.20x slower`, or `no faster` if the two are about equal."""
    if 0.95 < quotient < 1.05:
        return f"no {better}"
    factor = max(quotient, 1 / quotient)
    return f"{factor:.{1 if round(factor, 2) >= 2 else 2}f}x {better if quotient > 1 else worse}"


def format_size(size: int) -> str:
    """Returns a size in MB, or in kB below 0.1 MB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def join_with_and(items: Iterable[object]) -> str:
    """Returns `a`, `a and b`, or `a, b and c`."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def capitalized(text: str) -> str:
    """Returns the text with a capital first letter; a name such as `three_t2` at its start stays unchanged."""
    return text if "_" in text.split()[0] else text[0].upper() + text[1:]
