"""Sentences of the report on INT8 and sparsity, which also say where they bring nothing."""

from compaware.components.benchmark.recommendation import best_int8, recommend
from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    format_change,
    format_quotient,
    format_ratio,
    format_score,
    format_size,
    join_with_and,
    name_and_runtime,
    reported_split,
    runtime_label,
)
from compaware.components.benchmark.results import Benchmark, Measured, fastest
from compaware.components.benchmark.timing import Ratio
from compaware.components.core.base import cpu
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.intervals import describe_difference
from compaware.components.core.evaluation.metrics import metric_label


def int8_speed(benchmark: Benchmark) -> list[str]:
    """Returns how much faster INT8 is than the best FP32 form and, where the CPU has BF16, the best BF16 form."""
    dense = benchmark.dense()
    if not dense or not benchmark.of("int8"):
        return []
    faster: list[str] = []
    slower: list[str] = []
    equal: list[str] = []
    for size in benchmark.batch_sizes:
        int8, fp32 = best_int8(benchmark, size), fastest(dense, size)
        speed = int8.batches[size].speed_over(fp32.batches[size])
        where = f"batch {size} ({runtime_label(int8)} over {fp32.runtime}: {format_ratio(speed)})"
        (faster if speed.faster else slower if speed.slower else equal).append(where)
    than = f"than the best FP32 runtime of the {display_name(dense[0].name)}"
    texts = []
    if faster:
        texts.append(f"INT8 is faster {than} at {join_with_and(faster)}.")
    if slower:
        texts.append(
            f"On this CPU INT8 is slower {than} at {join_with_and(slower)}. It only makes the file smaller there."
        )
    if equal:
        texts.append(
            f"On this CPU INT8 is not clearly faster {than} at {join_with_and(equal)}. Treat the two as equally fast "
            "there."
        )
    if bf16 := benchmark.dense("bf16"):
        texts.append(_over_bf16(benchmark, bf16))
    if not any(flag in benchmark.machine["flags"] for flag in cpu.INT8_FLAGS):
        texts.append("This CPU has no INT8 dot products (VNNI or AMX), which give INT8 most of its speed.")
    return texts


def _over_bf16(benchmark: Benchmark, bf16: list[Measured]) -> str:
    speeds = []
    for size in benchmark.batch_sizes:
        int8, other = best_int8(benchmark, size), fastest(bf16, size)
        speed = int8.batches[size].speed_over(other.batches[size])
        speeds.append(f"{format_ratio(speed)} at batch {size}")
    return (
        f"This CPU has BF16: over the best BF16 form of the {display_name(bf16[0].name)}, the speed of INT8 is "
        f"{join_with_and(speeds)}."
    )


def int8_accuracy(benchmark: Benchmark) -> list[str]:
    """Returns whether the INT8 forms keep the accuracy, on the rows that decide."""
    groups: dict[tuple[Criterion, bool], list[Measured]] = {}
    for item in benchmark.of("int8"):
        if item.name in benchmark.criteria:
            groups.setdefault((benchmark.criteria[item.name], benchmark.meets_criterion(item)), []).append(item)
    dense = benchmark.dense()
    reference = display_name(dense[0].name) if dense else "model that was quantized"
    texts = []
    for (criterion, is_met), items in sorted(groups.items(), key=lambda group: not group[0][1]):
        values = join_with_and(
            f"{name_and_runtime(item)} {format_score(item.metric)} "
            f"({format_change(item.metric, criterion.baseline, criterion.metric_name)})"
            for item in items
        )
        judged = ", judged on the upper end of the loss's 95 % interval" if criterion.gate_on == "interval" else ""
        texts.append(
            f"{capitalized(metric_label(criterion.metric_name))} on {benchmark.data['split']}: {values}, against "
            f"{format_score(criterion.baseline)} of the FP32 {reference}. This is {'' if is_met else 'NOT '}within the "
            f"allowed loss of {criterion.allowance(points=True)}{judged}."
        )
    return texts


def bf16_accuracy(benchmark: Benchmark, chosen: Measured) -> list[str]:
    """Returns how BF16 changes the metric of the forms that are to be served or that speeds are compared with.

    Args:
        benchmark: The benchmark.
        chosen: The recommended candidate, which another sentence is about.
    """
    forms: list[Measured | None] = []
    for size, identifier in recommend(benchmark).by_batch.items():
        forms += [benchmark.by_id(identifier), benchmark.best_teacher(size)]
        if benchmark.of("int8") and (bf16 := benchmark.dense("bf16")):
            forms.append(fastest(bf16, size))
    references = {item.name: item for item in benchmark.references()}
    texts = []
    for item in {item.id: item for item in forms if item and item.precision == "bf16" and item is not chosen}.values():
        reference = references.get(item.name)
        if reference and reference.id in item.differences:
            words = describe_difference(item.differences[reference.id].reported, item.metric_name)
            texts.append(f"{display_name(item.name)} in {item.runtime}: {words}")
    return [f"BF16 against FP32 on {reported_split(benchmark)}: {'; '.join(texts)}."] if texts else []


def int8_size(benchmark: Benchmark) -> list[str]:
    """Returns how much smaller INT8 is."""
    dense = benchmark.dense()
    if not dense or not benchmark.of("int8"):
        return []
    smallest = min(benchmark.of("int8"), key=lambda item: item.size_bytes)
    smaller = format_quotient(dense[0].size_bytes / smallest.size_bytes, "smaller", "larger")
    return [
        f"The INT8 file for {smallest.runtime} is {smaller} than the FP32 {display_name(dense[0].name)} "
        f"({format_size(smallest.size_bytes)} against {format_size(dense[0].size_bytes)})."
    ]


def sparsity(benchmark: Benchmark) -> list[str]:
    """Returns what sparsity brings in speed and size."""
    dense_by_runtime = {item.runtime: item for item in benchmark.dense()}
    speeds: dict[str, list[Ratio]] = {}
    for item in benchmark.of("sparse"):
        dense = dense_by_runtime.get(item.runtime)
        # A sparse model is compared only with a dense model of the same shape.
        if dense is None or item.precision != "fp32" or abs(item.size_bytes / dense.size_bytes - 1) > 0.05:
            continue
        speeds[item.runtime] = [item.batches[size].speed_over(dense.batches[size]) for size in benchmark.batch_sizes]
    texts = []
    # At every batch size, because one of many comparisons comes out ahead by chance.
    faster_runtimes = [runtime for runtime, ratios in speeds.items() if all(ratio.faster for ratio in ratios)]
    if faster_runtimes:
        least = {runtime: min(speeds[runtime], key=lambda ratio: ratio.median) for runtime in faster_runtimes}
        values = [f"{format_ratio(ratio)} or more in {runtime}" for runtime, ratio in least.items()]
        texts.append(f"The sparse model is faster than the dense one of the same shape: {join_with_and(values)}.")
    elif speeds:
        medians = sorted(ratio.median for ratios in speeds.values() for ratio in ratios)
        texts.append(
            f"Sparsity brings no speed here: in the same runtime the sparse model runs at {medians[0]:.2f}x to "
            f"{medians[-1]:.2f}x the speed of the dense one. These runtimes multiply zeros like any other number."
        )
    for item in {item.name: item for item in benchmark.of("sparse")}.values():
        name = "the sparse model" if item.name == "sparse" else item.name
        texts.append(
            f"Zeros reduce the compressed size of {name}: {format_size(item.size_bytes)} on disk, "
            f"{format_size(item.compressed_bytes)} deflated."
        )
    return texts
