"""All figures of a benchmark as flat numbers, for KFP."""

from collections.abc import Iterable

from compaware.components.benchmark.quality.flat import quality_metrics
from compaware.components.benchmark.recommendation import best_int8
from compaware.components.benchmark.results import Benchmark, Measured, SplitScore, fastest
from compaware.components.benchmark.serving.flat import serving_metrics
from compaware.components.core.evaluation.intervals import Interval


def flat_metrics(benchmark: Benchmark) -> dict[str, float]:
    """Returns flat numbers whose names depend only on data, models and settings, so that runs can be compared.

    BF16 forms have no metrics of their own, since not every CPU has BF16. They count for the best figures of a model,
    and are a reference of INT8's speed.
    """
    metrics: dict[str, float] = {"unmeasured": len(benchmark.unmeasured)}
    for name in dict.fromkeys(item.name for item in benchmark.candidates):
        forms = benchmark.forms(name)
        first = forms[0]
        metrics |= score_metrics(name, first.metric_name, first.metric, first.interval, first.test)
        for item in forms:
            if "bf16" not in item.precision:
                metrics |= _form(item)
        for size in benchmark.batch_sizes:
            best = fastest(benchmark.accurate_forms(name), size).batches[size]
            metrics[f"{name}_best_batch{size}_p50_ms"] = best.p50_ms
            metrics[f"{name}_best_batch{size}_samples_per_s"] = best.samples_per_s
    if benchmark.recommended:
        metrics |= serving_metrics(benchmark.serving, benchmark.recommended.id)
    return metrics | dict(_int8_speedups(benchmark)) | quality_metrics(benchmark.quality)


def score_metrics(
    name: str, metric: str, value: float, interval: Interval | None, test: SplitScore | None
) -> dict[str, float]:
    """Returns a model's score on the rows that decide and on test, each with its interval, as flat numbers."""
    scores = {f"{name}_{metric}": value}
    if interval:
        scores |= {f"{name}_{metric}_low": interval.low, f"{name}_{metric}_high": interval.high}
    return scores | (score_metrics(f"{name}_test", metric, test.metric, test.interval, None) if test else {})


def _form(item: Measured) -> dict[str, float]:
    metrics: dict[str, float] = {
        f"{item.id}_size_bytes": item.size_bytes,
        f"{item.id}_peak_memory_bytes": item.peak_memory_bytes,
    }
    if item.loaded_memory_bytes is not None:
        metrics[f"{item.id}_loaded_memory_bytes"] = item.loaded_memory_bytes
    for size, batch in item.batches.items():
        metrics[f"{item.id}_batch{size}_p50_ms"] = batch.p50_ms
        metrics[f"{item.id}_batch{size}_p99_ms"] = batch.p99_ms
        metrics[f"{item.id}_batch{size}_samples_per_s"] = batch.samples_per_s
    return metrics


def _int8_speedups(benchmark: Benchmark) -> Iterable[tuple[str, float]]:
    """Yields the speed of the best INT8 form over each reference, at each batch size."""
    for size in benchmark.batch_sizes if benchmark.of("int8") else []:
        best = best_int8(benchmark, size).batches[size]
        for reference, item in {
            "teacher": benchmark.reference("teacher"),
            "best_teacher": benchmark.best_teacher(size),
            "best_fp32": fastest(benchmark.dense(), size) if benchmark.dense() else None,
            "best_bf16": fastest(benchmark.dense("bf16"), size) if benchmark.dense("bf16") else None,
        }.items():
            if item:
                yield f"best_int8_speedup_vs_{reference}_batch{size}", best.speed_over(item.batches[size]).median
