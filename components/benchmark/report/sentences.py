"""Sentences of the report, pure functions of a `Benchmark`: what to serve, how sure that is, what brings nothing."""

import math
from collections.abc import Iterable

from compaware.components.benchmark.floor.words import floor_sentences
from compaware.components.benchmark.quality.sentences import quality_sentences
from compaware.components.benchmark.recommendation import recommend
from compaware.components.benchmark.report.caveats import caveats, trivial, unmeasured
from compaware.components.benchmark.report.compression_sentences import (
    bf16_accuracy,
    int8_accuracy,
    int8_size,
    int8_speed,
    sparsity,
)
from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    format_change,
    format_interval,
    format_loss,
    format_quotient,
    format_ratio,
    format_score,
    join_with_and,
    name_and_runtime,
    reported_split,
    runtime_label,
)
from compaware.components.benchmark.results import Benchmark, Measured, fastest
from compaware.components.benchmark.serving.sentences import serving_sentences
from compaware.components.core.evaluation.held_out import describe_split_use
from compaware.components.core.evaluation.intervals import describe_difference
from compaware.components.core.evaluation.metrics import metric_label


def headline(benchmark: Benchmark) -> str:
    """Returns one sentence that compares the recommended candidate with the teacher."""
    chosen = benchmark.by_id(recommend(benchmark).id)
    size = benchmark.batch_sizes[0]
    reference = benchmark.reference("teacher") or benchmark.reference("student")
    name = capitalized(name_and_runtime(chosen))
    metric = metric_label(chosen.metric_name)
    if reference is None or reference is chosen:
        rate = chosen.batches[size].samples_per_s
        score = f"{metric} {format_score(chosen.reported_metric)}{' on test' if chosen.test else ''}"
        return f"{name}: {rate:.0f} sentences per second at batch {size}, {score}"
    speed = chosen.batches[size].speed_over(reference.batches[size]).median
    if reference.name == chosen.name:
        return (
            f"{name}: {format_quotient(speed, 'faster', 'slower')} than in {runtime_label(reference)} at batch {size}, "
            f"{compare_scores(benchmark, chosen, reference)}"
        )
    return (
        f"{name}: {format_quotient(speed, 'faster', 'slower')} than the {display_name(reference.name)} "
        f"at batch {size}, "
        f"{format_quotient(reference.size_bytes / chosen.size_bytes, 'smaller', 'larger')}, "
        f"{compare_scores(benchmark, chosen, reference)}"
    )


def sentences(benchmark: Benchmark) -> list[str]:
    """Returns what a reader should know before using the figures, the most useful first."""
    chosen = benchmark.by_id(recommend(benchmark).id)
    return [
        _serve(benchmark),
        *trivial(benchmark, chosen, benchmark.candidates),
        *accuracy(benchmark, chosen, benchmark.references()),
        *floor_sentences(benchmark, (benchmark.dense() or benchmark.models)[0]),
        which_rows(benchmark, "the form to serve"),
        *unmeasured(benchmark),
        *int8_speed(benchmark),
        *serving_sentences(benchmark),
        *int8_accuracy(benchmark),
        *quality_sentences(benchmark),
        *int8_size(benchmark),
        *sparsity(benchmark),
        *bf16_accuracy(benchmark, chosen),
        *_other_differences(benchmark),
        *_teacher(benchmark),
        *caveats(benchmark),
    ]


def compare_scores(benchmark: Benchmark, item: Measured, reference: Measured) -> str:
    """Returns the difference of two metrics with its interval, or without one in files of earlier versions.

    If the candidate predicts the same for every row, it says this in place of the difference.
    """
    if benchmark.trivial and (prediction := benchmark.trivial.constant.get(item.id)):
        return f"but it predicts {prediction} for every row of {reported_split(benchmark)}"
    if reference.id in item.differences:
        return format_loss(item.differences[reference.id].reported, item.metric_name, reported_split(benchmark))
    return f"{format_change(item.metric, reference.metric, item.metric_name)} of {metric_label(item.metric_name)}"


def accuracy(benchmark: Benchmark, chosen: Measured, references: Iterable[Measured]) -> Iterable[str]:
    """Returns the metric of a candidate with its interval, and its differences from the references."""
    if chosen.reported_interval is None or math.isnan(chosen.reported_metric):
        return
    text = (
        f"The {metric_label(chosen.metric_name)} of {name_and_runtime(chosen)} on {reported_split(benchmark)} is "
        f"{chosen.reported_metric:.4f} (95 % interval {format_interval(chosen.reported_interval)})."
    )
    for reference in references:
        if reference.id not in chosen.differences or (reference.name, reference.precision) == (
            chosen.name,
            chosen.precision,
        ):
            continue
        words = describe_difference(chosen.differences[reference.id].reported, chosen.metric_name)
        other = f"the {display_name(reference.name)}" if reference.name != chosen.name else "its FP32 form"
        text += f" Against {other}: {words}."
    yield text


def which_rows(benchmark: Benchmark, chosen: str) -> str:
    """Returns a sentence that says what the rows of each split were used for.

    Args:
        benchmark: The benchmark.
        chosen: What was chosen on the split that decides, such as `the form to serve`.
    """
    data, without_test = benchmark.data, "No other labelled split was scored"
    return describe_split_use(capitalized(data["split"]), data["rows"], data.get("test_rows"), chosen, without_test)


def _serve(benchmark: Benchmark) -> str:
    recommended = recommend(benchmark)
    sizes_by_id: dict[str, list[int]] = {}
    for size, identifier in recommended.by_batch.items():
        sizes_by_id.setdefault(identifier, []).append(size)
    parts = [
        f"{name_and_runtime(benchmark.by_id(identifier))} at batch {join_with_and(sizes)}"
        for identifier, sizes in sizes_by_id.items()
    ]
    chosen = benchmark.by_id(recommended.id)
    forms = [benchmark.by_id(identifier) for identifier in sizes_by_id]
    text = f"Serve {join_with_and(parts)}: {_reason(benchmark, forms)}."
    size = benchmark.batch_sizes[0]
    first = fastest([item for item in benchmark.models if benchmark.meets_criterion(item)] or [chosen], size)
    if first is not chosen:
        than = "larger" if first.size_bytes > chosen.size_bytes else "less accurate"
        text += f" {capitalized(name_and_runtime(first))} is not clearly faster at batch {size}, and it is {than}."
    int8 = benchmark.of("int8")
    if int8 and not any(benchmark.meets_criterion(item) for item in int8):
        return f"No INT8 candidate {_stays_within(benchmark, int8[0])}. {text}"
    return text


def _reason(benchmark: Benchmark, forms: list[Measured]) -> str:
    """Returns why to serve these forms, one or several for the batch sizes."""
    dense = benchmark.dense()
    # The reason for another form than the dense ones holds for them, too.
    chosen = next((item for item in forms if item not in dense), forms[0])
    if len({item.name for item in benchmark.models}) == 1 and chosen.precision == "fp32":
        return f"the fastest runtime of the {display_name(chosen.name)}"
    if chosen in dense:
        name = display_name(chosen.name)
        return f"the fastest runtime of the {name}, and no form that keeps its accuracy is clearly faster"
    if chosen.name in benchmark.criteria and benchmark.meets_criterion(chosen):
        return f"the fastest form that {_stays_within(benchmark, chosen)}"
    return "the fastest of all forms, since none is known to keep the accuracy"


def _stays_within(benchmark: Benchmark, item: Measured) -> str:
    criterion = benchmark.criteria[item.name]
    text = f"stays within {criterion.allowance(points=True)} of the FP32 model's {metric_label(item.metric_name)}"
    return text if criterion.gate_on == "point" else f"{text} with 95 % confidence"


def _other_differences(benchmark: Benchmark) -> Iterable[str]:
    """Returns the differences of the models that are not recommended, each in its first form.

    The student is compared with the teacher, and the others with the student.
    """
    chosen, teacher, dense = benchmark.by_id(recommend(benchmark).id), benchmark.reference("teacher"), benchmark.dense()
    texts = []
    for name in dict.fromkeys(item.name for item in benchmark.models):
        item = benchmark.forms(name)[0]
        if item.role == "teacher":
            continue
        reference = teacher if dense and name == dense[0].name else next(iter(dense), None)
        if reference and name not in (chosen.name, reference.name) and reference.id in item.differences:
            words = describe_difference(item.differences[reference.id].reported, item.metric_name)
            texts.append(f"{name_and_runtime(item)} against the {display_name(reference.name)}: {words}")
    if texts:
        yield f"The other models on {reported_split(benchmark)}: {'; '.join(texts)}."


def _teacher(benchmark: Benchmark) -> list[str]:
    teacher = benchmark.reference("teacher")
    if teacher is None:
        return []
    text = (
        "Speed over the teacher compares with the teacher in FP32 and torch eager, on the same batches in the same "
        "round. Torch eager computes the whole last layer; the other forms of BERT-like models compute it for the "
        "first token alone. Each ratio is the median over the rounds; its spread is the 10th to the 90th percentile."
    )
    chosen, size = benchmark.by_id(recommend(benchmark).id), benchmark.batch_sizes[0]
    best = benchmark.best_teacher(size)
    if best and best is not teacher and chosen.role != "teacher":
        speed = chosen.batches[size].speed_over(best.batches[size])
        text += (
            f" {capitalized(name_and_runtime(chosen))} runs at {format_ratio(speed)} the speed of the teacher's own "
            f"fastest runtime ({runtime_label(best)}) at batch {size}."
        )
    return [text]
