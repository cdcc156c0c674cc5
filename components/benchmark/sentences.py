"""Sentences of the report, pure functions of a `Benchmark`. They also say where a technique brings nothing."""

from compaware.components.benchmark.formatting import (
    capitalized,
    display_name,
    format_points,
    format_quotient,
    format_ratio,
    format_size,
    join_with_and,
    name_and_runtime,
    runtime_label,
)
from compaware.components.benchmark.results import Benchmark, Measured, Recommended, fastest
from compaware.components.benchmark.timing import Ratio, relative_spread
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.metrics import metric_label

# Above this relative spread of the rounds, small ratios mean nothing.
_NOISY_SPREAD = 0.25
# With fewer calls than this, the 99th percentile is about the slowest call.
_CALLS_FOR_P99 = 100
_INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8")
_BF16_FLAGS = ("avx512_bf16", "amx_bf16")


def recommend(benchmark: Benchmark) -> Recommended:
    """Returns the candidates to serve: the fastest INT8 ones that meet their criterion, or else the fastest that do."""
    keeping = [item for item in benchmark.candidates if benchmark.meets_criterion(item)]
    pool = (
        [item for item in keeping if item.role == "int8"]
        or [item for item in keeping if item.role != "teacher"]
        or benchmark.dense()
        or benchmark.candidates
    )
    best = {size: fastest(pool, size).id for size in benchmark.batch_sizes}
    return Recommended(id=best[benchmark.batch_sizes[0]], by_batch=best)


def headline(benchmark: Benchmark) -> str:
    """Returns one sentence that compares the recommended candidate with the teacher."""
    chosen = benchmark.by_id(recommend(benchmark).id)
    size = benchmark.batch_sizes[0]
    reference = benchmark.reference("teacher") or benchmark.reference("student")
    name = capitalized(name_and_runtime(chosen))
    metric = metric_label(chosen.metric_name)
    if reference is None or reference is chosen:
        rate = chosen.batches[size].samples_per_s
        return f"{name}: {rate:.0f} sentences per second at batch {size}, {metric} {chosen.metric:.4f}"
    speed = chosen.batches[size].speed_over(reference.batches[size]).median
    return (
        f"{name}: {format_quotient(speed, 'faster', 'slower')} than the {display_name(reference.name)} "
        f"at batch {size}, "
        f"{format_quotient(reference.size_bytes / chosen.size_bytes, 'smaller', 'larger')}, "
        f"{format_points(chosen.metric, reference.metric)} of {metric}"
    )


def sentences(benchmark: Benchmark) -> list[str]:
    """Returns what a reader should know before using the figures, the most useful first."""
    return [
        _serve(benchmark),
        *unmeasured(benchmark),
        *_int8_speed(benchmark),
        *_int8_accuracy(benchmark),
        *_int8_size(benchmark),
        *_sparse(benchmark),
        *_teacher(benchmark),
        *caveats(benchmark),
    ]


def unmeasured(benchmark: Benchmark) -> list[str]:
    """Returns which candidates could not be measured, and why."""
    runtimes: dict[tuple[str, str], list[str]] = {}
    for item in benchmark.unmeasured:
        runtimes.setdefault((item.name, item.reason), []).append(item.runtime)
    return [
        f"{capitalized(display_name(name))}{f' in {join_with_and(dict.fromkeys(where))}' if all(where) else ''} could "
        f"not be measured: {reason.rstrip('.')}."
        for (name, reason), where in runtimes.items()
    ]


def caveats(benchmark: Benchmark) -> list[str]:
    """Returns what was not measured, and which figures are less reliable."""
    return [*_bf16(benchmark), *_cut_rows(benchmark), *_few_calls(benchmark), *_noise(benchmark)]


def _serve(benchmark: Benchmark) -> str:
    recommended = recommend(benchmark)
    chosen = benchmark.by_id(recommended.id)
    sizes_by_id: dict[str, list[int]] = {}
    for size, identifier in recommended.by_batch.items():
        sizes_by_id.setdefault(identifier, []).append(size)
    parts = [
        f"{name_and_runtime(benchmark.by_id(identifier))} at batch {join_with_and(sizes)}"
        for identifier, sizes in sizes_by_id.items()
    ]
    reason = f"the fastest {'INT8 candidate' if chosen.role == 'int8' else 'candidate'}"
    if chosen.role in ("teacher", "student") and chosen.precision == "fp32":
        reason = f"the fastest runtime of the {display_name(chosen.name)}"
    elif chosen.name in benchmark.criteria and benchmark.meets_criterion(chosen):
        reason += f" that {_stays_within(benchmark, chosen)}"
    text = f"Serve {join_with_and(parts)}: {reason}."
    int8 = benchmark.of("int8")
    if int8 and not any(benchmark.meets_criterion(item) for item in int8):
        return f"No INT8 candidate {_stays_within(benchmark, int8[0])}. {text}"
    return text


def _stays_within(benchmark: Benchmark, item: Measured) -> str:
    allowance = benchmark.criteria[item.name].allowance(points=True)
    return f"stays within {allowance} of the FP32 model's {metric_label(item.metric_name)}"


def _int8_speed(benchmark: Benchmark) -> list[str]:
    dense = benchmark.dense()
    if not dense or not benchmark.of("int8"):
        return []
    faster: list[str] = []
    slower: list[str] = []
    equal: list[str] = []
    for size in benchmark.batch_sizes:
        int8, fp32 = fastest(benchmark.of("int8"), size), fastest(dense, size)
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
    if not any(flag in benchmark.machine["flags"] for flag in _INT8_FLAGS):
        texts.append("This CPU has no INT8 dot products (VNNI or AMX), which give INT8 most of its speed.")
    return texts


def _int8_accuracy(benchmark: Benchmark) -> list[str]:
    groups: dict[tuple[Criterion, bool], list[Measured]] = {}
    for item in benchmark.of("int8"):
        if item.name in benchmark.criteria:
            groups.setdefault((benchmark.criteria[item.name], benchmark.meets_criterion(item)), []).append(item)
    dense = benchmark.dense()
    reference = display_name(dense[0].name) if dense else "model that was quantized"
    texts = []
    for (criterion, is_met), items in sorted(groups.items(), key=lambda group: not group[0][1]):
        values = join_with_and(
            f"{name_and_runtime(item)} {item.metric:.4f} ({format_points(item.metric, criterion.baseline)})"
            for item in items
        )
        texts.append(
            f"{capitalized(metric_label(criterion.metric_name))}: {values}, against {criterion.baseline:.4f} of the "
            f"FP32 {reference}. This is {'' if is_met else 'NOT '}within the allowed loss of "
            f"{criterion.allowance(points=True)}."
        )
    return texts


def _int8_size(benchmark: Benchmark) -> list[str]:
    dense = benchmark.dense()
    if not dense or not benchmark.of("int8"):
        return []
    smallest = min(benchmark.of("int8"), key=lambda item: item.size_bytes)
    smaller = format_quotient(dense[0].size_bytes / smallest.size_bytes, "smaller", "larger")
    return [
        f"The INT8 file for {smallest.runtime} is {smaller} than the FP32 {display_name(dense[0].name)} "
        f"({format_size(smallest.size_bytes)} against {format_size(dense[0].size_bytes)})."
    ]


def _sparse(benchmark: Benchmark) -> list[str]:
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


def _teacher(benchmark: Benchmark) -> list[str]:
    teacher = benchmark.reference("teacher")
    if teacher is None:
        return []
    text = (
        "Speed over the teacher compares with the teacher in FP32 and torch eager, on the same batches in the same "
        "round. Each ratio is the median over the rounds; its spread is the 10th to the 90th percentile."
    )
    chosen, size = benchmark.by_id(recommend(benchmark).id), benchmark.batch_sizes[0]
    best = fastest([item for item in benchmark.of("teacher") if item.name == teacher.name], size)
    if best is not teacher and chosen.role != "teacher":
        speed = chosen.batches[size].speed_over(best.batches[size])
        text += (
            f" {capitalized(name_and_runtime(chosen))} runs at {format_ratio(speed)} the speed of the teacher's own "
            f"fastest runtime ({runtime_label(best)}) at batch {size}."
        )
    return [text]


def _bf16(benchmark: Benchmark) -> list[str]:
    if any(flag in benchmark.machine["flags"] for flag in _BF16_FLAGS):
        return []
    return ["BF16 was not measured: this CPU has no avx512_bf16 or AMX and would only emulate it."]


def _cut_rows(benchmark: Benchmark) -> list[str]:
    cut, rows, length = benchmark.data["cut_rows"], benchmark.data["rows"], benchmark.settings["max_length_tokens"]
    if not cut:
        return []
    if benchmark.settings.get("length_limited_by_model"):
        return [f"{cut} of {rows} rows are longer than {length} tokens, the limit of one of the models, and were cut."]
    return [
        f"{cut} of {rows} rows are longer than {length} tokens and were cut. Raise max_length_tokens if the ends of "
        "these texts matter."
    ]


def _few_calls(benchmark: Benchmark) -> list[str]:
    calls = {size: batch.calls for size, batch in benchmark.candidates[0].batches.items()}
    few = [f"{count} calls at batch {size}" for size, count in calls.items() if count < _CALLS_FOR_P99]
    return [f"The p99 figures come from only {join_with_and(few)}: they are about the slowest call."] if few else []


def _noise(benchmark: Benchmark) -> list[str]:
    worst = max(relative_spread(batch.round_ms) for item in benchmark.candidates for batch in item.batches.values())
    if worst < _NOISY_SPREAD:
        return []
    return [
        f"The machine was busy: the rounds of one candidate differ by up to {100 * worst:.0f} %. "
        "Trust the ratios with their spread more than the milliseconds."
    ]
