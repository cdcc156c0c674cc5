"""Figures as a person writes them."""

from collections.abc import Iterable

from compaware.components.benchmark.results import BatchSpeed, Measured
from compaware.components.benchmark.timing import Ratio


def display_name(name: str) -> str:
    """A candidate's or a metric's name: `int8_from_sparse` → `INT8 from sparse`."""
    return " ".join("INT8" if word == "int8" else word for word in name.split("_"))


def runtime_and_precision(item: Measured) -> str:
    """Runtime and precision: `openvino FP32`, `openvino INT8+BF16`."""
    return f"{item.runtime} {item.precision.upper().replace('_', '+')}"


def runtime_label(item: Measured) -> str:
    """Where it runs, to follow a name that tells INT8 from FP32: `openvino`, or with BF16 in it `openvino BF16`."""
    return f"{item.runtime} BF16" if "bf16" in item.precision else item.runtime


def name_and_runtime(item: Measured) -> str:
    """Name and runtime: `INT8 from sparse in onnxruntime`."""
    return f"{display_name(item.name)} in {runtime_label(item)}"


def format_points(value: float, reference: float) -> str:
    """Difference of two metrics in points (hundredths), with its sign."""
    difference = round(100 * (value - reference), 1)
    return f"{difference:+.1f} points" if difference else "±0.0 points"


def format_ratio(found: Ratio) -> str:
    """A ratio with its spread: `1.83x (1.78–1.88)`."""
    return f"{found.median:.2f}x ({found.low:.2f}–{found.high:.2f})"


def format_batch_ratio(batch: BatchSpeed, field: str) -> str:
    """One of a batch's ratios with its spread, or a dash where there is no reference."""
    median = getattr(batch, field)
    return "–" if median is None else format_ratio(Ratio(median, *batch.spread[field]))


def format_quotient(quotient: float, better: str, worse: str) -> str:
    """`2.1x faster`, `1.20x slower`, or `no faster` where the two are about equal."""
    if 0.95 < quotient < 1.05:
        return f"no {better}"
    factor = round(max(quotient, 1 / quotient), 2)
    return f"{factor:.{1 if factor >= 2 else 2}f}x {better if quotient > 1 else worse}"


def format_size(size: int) -> str:
    """A size in MB, small ones in kB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def join_with_and(items: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def capitalized(text: str) -> str:
    """With a capital at its start."""
    return text[0].upper() + text[1:]
