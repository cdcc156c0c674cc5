"""Recommends what to serve: the fastest form that keeps the accuracy, whatever its model and precision."""

from collections.abc import Sequence

from compaware.components.benchmark.results import Benchmark, Measured, Recommended, fastest
from compaware.components.core.evaluation.criterion import sort_key


def recommend(benchmark: Benchmark) -> Recommended:
    """Returns the forms to serve: at each batch size the fastest of those that meet their criterion.

    If none does, it is the fastest of the dense FP32 model, or else of all models. A floor is never recommended.
    """
    keeping = [item for item in benchmark.models if benchmark.meets_criterion(item)]
    pool = keeping or benchmark.dense() or benchmark.models
    best = {size: fastest_and_smallest(pool, size).id for size in benchmark.batch_sizes}
    return Recommended(id=best[benchmark.batch_sizes[0]], by_batch=best)


def fastest_and_smallest(forms: Sequence[Measured], batch_size: int) -> Measured:
    """Returns the fastest form; of those that are not clearly slower, the smallest, and then the most accurate."""
    return min(
        equally_fast(forms, batch_size),
        key=lambda item: (item.size_bytes, -sort_key(item.metric), item.batches[batch_size].p50_ms),
    )


def equally_fast(forms: Sequence[Measured], batch_size: int) -> list[Measured]:
    """Returns the forms that the fastest one is not clearly faster than, itself included."""
    first = fastest(forms, batch_size)
    return [item for item in forms if not first.batches[batch_size].speed_over(item.batches[batch_size]).faster]


def best_int8(benchmark: Benchmark, batch_size: int) -> Measured:
    """Returns the fastest INT8 form that meets its criterion, or the fastest of all if none does."""
    int8 = benchmark.of("int8")
    return fastest([item for item in int8 if benchmark.meets_criterion(item)] or int8, batch_size)
