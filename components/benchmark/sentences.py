"""What the figures say, in sentences: pure functions from a `Benchmark`, honest where a technique brings nothing."""

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

# Above this, one runtime's rounds lie so far apart that small ratios mean nothing.
_RESTLESS = 0.25
# Below this many calls the 99th percentile is about the slowest call.
_CALLS_FOR_P99 = 100
_INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8")
_BF16_FLAGS = ("avx512_bf16", "amx_bf16")


def recommend(benchmark: Benchmark) -> Recommended:
    """Names what to serve: the fastest INT8 candidate that keeps its accuracy, or else the fastest that does."""
    keeping = [item for item in benchmark.candidates if benchmark.keeps(item)]
    pool = (
        [item for item in keeping if item.role == "int8"]
        or [item for item in keeping if item.role != "teacher"]
        or benchmark.dense()
        or benchmark.candidates
    )
    best = {size: fastest(pool, size).id for size in benchmark.batch_sizes}
    return Recommended(id=best[benchmark.batch_sizes[0]], by_batch=best)


def headline(benchmark: Benchmark) -> str:
    """One sentence: the recommended candidate against the teacher."""
    chosen = benchmark.by_id(recommend(benchmark).id)
    size = benchmark.batch_sizes[0]
    reference = benchmark.reference("teacher") or benchmark.reference("student")
    name = capitalized(name_and_runtime(chosen))
    metric = display_name(chosen.metric_name)
    if reference is None or reference is chosen:
        rate = chosen.batches[size].samples_per_s
        return f"{name}: {rate:.0f} sentences a second at batch {size}, {metric} {chosen.metric:.4f}"
    speed = chosen.batches[size].speed_over(reference.batches[size]).median
    return (
        f"{name}: {format_quotient(speed, 'faster', 'slower')} than the {display_name(reference.name)} "
        f"at batch {size}, "
        f"{format_quotient(reference.size_bytes / chosen.size_bytes, 'smaller', 'larger')}, "
        f"{format_points(chosen.metric, reference.metric)} of {metric}"
    )


def sentences(benchmark: Benchmark) -> list[str]:
    """Everything a reader should know before using the figures, the most useful first."""
    return [
        _serving(benchmark),
        *unmeasured(benchmark),
        *_int8_speed(benchmark),
        *_int8_accuracy(benchmark),
        *_int8_size(benchmark),
        *_sparse(benchmark),
        *_teacher(benchmark),
        *caveats(benchmark),
    ]


def unmeasured(benchmark: Benchmark) -> list[str]:
    """What could not be measured, and why."""
    runtimes: dict[tuple[str, str], list[str]] = {}
    for item in benchmark.unmeasured:
        runtimes.setdefault((item.name, item.reason), []).append(item.runtime)
    return [
        f"{capitalized(display_name(name))}{f' in {join_with_and(dict.fromkeys(where))}' if all(where) else ''} could "
        f"not be measured: {reason.rstrip('.')}."
        for (name, reason), where in runtimes.items()
    ]


def caveats(benchmark: Benchmark) -> list[str]:
    """What was not measured, and which figures to trust less."""
    return [*_bf16(benchmark), *_cut(benchmark), *_tails(benchmark), *_unrest(benchmark)]


def _serving(benchmark: Benchmark) -> str:
    found = recommend(benchmark)
    chosen = benchmark.by_id(found.id)
    where: dict[str, list[int]] = {}
    for size, identifier in found.by_batch.items():
        where.setdefault(identifier, []).append(size)
    parts = []
    for identifier, sizes in where.items():
        item = benchmark.by_id(identifier)
        precision = "" if item.precision == item.name else f" {item.precision.upper().replace('_', '+')}"
        parts.append(f"{display_name(item.name)}{precision} in {item.runtime} at batch {join_with_and(sizes)}")
    kind = "INT8 candidate" if chosen.role == "int8" else "candidate"
    is_reference = chosen.role in ("teacher", "student") and chosen.precision == "fp32"
    why = f"the fastest {kind}"
    if is_reference:
        why = f"the fastest runtime of the {display_name(chosen.name)}"
    elif chosen.name in benchmark.criteria and benchmark.keeps(chosen):
        why += f" that {_keeps(benchmark, chosen)}"
    text = f"Serve {join_with_and(parts)}: {why}."
    int8 = benchmark.of("int8")
    return f"No INT8 candidate {_keeps(benchmark, int8[0])}. {text}" if int8 and not _any_keeps(benchmark) else text


def _keeps(benchmark: Benchmark, item: Measured) -> str:
    allowance = benchmark.criteria[item.name].allowance(points=True)
    return f"stays within {allowance} of the FP32 model's {display_name(item.metric_name)}"


def _any_keeps(benchmark: Benchmark) -> bool:
    return any(benchmark.keeps(item) for item in benchmark.of("int8"))


def _int8_speed(benchmark: Benchmark) -> list[str]:
    dense = benchmark.dense()
    if not dense or not benchmark.of("int8"):
        return []
    faster: list[str] = []
    slower: list[str] = []
    level: list[str] = []
    for size in benchmark.batch_sizes:
        small, plain = fastest(benchmark.of("int8"), size), fastest(dense, size)
        found = small.batches[size].speed_over(plain.batches[size])
        where = f"batch {size} ({runtime_label(small)} over {plain.runtime}: {format_ratio(found)})"
        (faster if found.faster else slower if found.slower else level).append(where)
    than = f"than the best FP32 runtime of the {display_name(dense[0].name)}"
    said = []
    if faster:
        said.append(f"INT8 is faster {than} at {join_with_and(faster)}.")
    if slower:
        said.append(
            f"On this CPU INT8 is slower {than} at {join_with_and(slower)}: its gain there is the smaller "
            "file, not speed."
        )
    if level:
        said.append(
            f"On this CPU INT8 is not clearly faster {than} at {join_with_and(level)}: take the two as equal there."
        )
    if not any(flag in benchmark.machine["flags"] for flag in _INT8_FLAGS):
        said.append("This CPU has no INT8 dot products (VNNI or AMX), where most of INT8's speed comes from.")
    return said


def _int8_accuracy(benchmark: Benchmark) -> list[str]:
    groups: dict[tuple[Criterion, bool], list[Measured]] = {}
    for item in benchmark.of("int8"):
        if item.name in benchmark.criteria:
            groups.setdefault((benchmark.criteria[item.name], benchmark.keeps(item)), []).append(item)
    dense = benchmark.dense()
    reference = display_name(dense[0].name) if dense else "model that it was made of"
    said = []
    for (criterion, keeps), items in sorted(groups.items(), key=lambda group: not group[0][1]):
        each = join_with_and(
            f"{name_and_runtime(item)} {item.metric:.4f} ({format_points(item.metric, criterion.baseline)})"
            for item in items
        )
        verdict = "within" if keeps else "NOT within"
        said.append(
            f"{capitalized(display_name(criterion.metric_name))}: {each}, against {criterion.baseline:.4f} of the FP32 "
            f"{reference}: {verdict} the allowed loss of {criterion.allowance(points=True)}."
        )
    return said


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
    dense = {item.runtime: item for item in benchmark.dense()}
    speeds: dict[str, list[Ratio]] = {}
    for item in benchmark.of("sparse"):
        plain = dense.get(item.runtime)
        # Zeros are compared only with a dense model of the same shape.
        if plain is None or item.precision != "fp32" or abs(item.size_bytes / plain.size_bytes - 1) > 0.05:
            continue
        speeds[item.runtime] = [item.batches[size].speed_over(plain.batches[size]) for size in benchmark.batch_sizes]
    said = []
    # At every batch size: of many comparisons, one comes out ahead by chance.
    gaining = [runtime for runtime, found in speeds.items() if all(speed.faster for speed in found)]
    if gaining:
        least = {runtime: min(speeds[runtime], key=lambda speed: speed.median) for runtime in gaining}
        each = [f"{format_ratio(speed)} or more in {runtime}" for runtime, speed in least.items()]
        said.append(f"The sparse model is faster than the dense one of the same shape: {join_with_and(each)}.")
    elif speeds:
        medians = sorted(speed.median for found in speeds.values() for speed in found)
        said.append(
            f"Sparsity brings no speed here: in the same runtime the sparse model runs at {medians[0]:.2f}x to "
            f"{medians[-1]:.2f}x the speed of the dense one. These runtimes multiply zeros like any number."
        )
    for item in {item.name: item for item in benchmark.of("sparse")}.values():
        said.append(
            f"The zeros of {display_name(item.name)} show in transport: {format_size(item.size_bytes)} on disk, "
            f"{format_size(item.compressed_bytes)} deflated."
        )
    return said


def _teacher(benchmark: Benchmark) -> list[str]:
    teacher = benchmark.reference("teacher")
    if teacher is None:
        return []
    said = (
        "Speed over the teacher is against the teacher in FP32, torch eager, on the same batches in the same round; "
        "each ratio is the median over the rounds, its spread the 10th to the 90th percentile."
    )
    chosen, size = benchmark.by_id(recommend(benchmark).id), benchmark.batch_sizes[0]
    best = fastest([item for item in benchmark.of("teacher") if item.name == teacher.name], size)
    if best is not teacher and chosen.role != "teacher":
        found = chosen.batches[size].speed_over(best.batches[size])
        said += (
            f" Against the teacher's own fastest runtime ({runtime_label(best)}), {name_and_runtime(chosen)} runs at "
            f"{format_ratio(found)} at batch {size}."
        )
    return [said]


def _bf16(benchmark: Benchmark) -> list[str]:
    if any(flag in benchmark.machine["flags"] for flag in _BF16_FLAGS):
        return []
    return ["BF16 was not measured: this CPU has no avx512_bf16 or AMX and would only emulate it."]


def _cut(benchmark: Benchmark) -> list[str]:
    cut, rows, length = benchmark.data["cut_rows"], benchmark.data["rows"], benchmark.settings["max_length_tokens"]
    if not cut:
        return []
    return [
        f"{cut} of {rows} rows are longer than {length} tokens and were cut: where their ends matter, raise "
        "max_length_tokens."
    ]


def _tails(benchmark: Benchmark) -> list[str]:
    calls = {size: batch.calls for size, batch in benchmark.candidates[0].batches.items()}
    few = [f"{count} calls at batch {size}" for size, count in calls.items() if count < _CALLS_FOR_P99]
    return [f"The p99 figures rest on {join_with_and(few)}: read them as about the slowest call."] if few else []


def _unrest(benchmark: Benchmark) -> list[str]:
    worst = max(relative_spread(batch.round_ms) for item in benchmark.candidates for batch in item.batches.values())
    if worst < _RESTLESS:
        return []
    return [
        f"The machine was not quiet: one candidate's rounds lie up to {100 * worst:.0f} % apart. "
        "Trust the ratios with their spread more than the milliseconds."
    ]
