"""Sentences of a sweep's report."""

import math

from compaware.components.benchmark.floor.words import floor_sentences
from compaware.components.benchmark.report.caveats import caveats, trivial
from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    format_change,
    format_ratio,
    format_score,
    join_with_and,
    name_and_runtime,
)
from compaware.components.benchmark.report.sentences import accuracy, compare_scores, which_rows
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.benchmark.serving.sentences import serving_sentences
from compaware.components.core.evaluation.criterion import sort_key
from compaware.components.core.evaluation.metrics import in_points, metric_label
from compaware.components.sweep_benchmark.pareto import TOLERANCE, Constraint, Standing
from compaware.components.sweep_benchmark.sweep_results import Sweep


def headline(benchmark: Benchmark, sweep: Sweep) -> str:
    """Returns one sentence without its full stop: the member to serve, or the nearest one."""
    chosen = benchmark.by_id(sweep.chosen)
    figures = _figures(sweep.by_id(sweep.chosen), benchmark)
    name = name_and_runtime(chosen)
    if sweep.is_met:
        return f"Serve {name}: {figures}"
    return f"No member of the sweep has {_limits(sweep.constraint, benchmark)}; the nearest is {name}: {figures}"


def _figures(item: Standing, benchmark: Benchmark) -> str:
    metric = metric_label(benchmark.candidates[0].metric_name)
    batch = benchmark.batch_sizes[0]
    score = format_score(item.accuracy)
    if item.test:
        score = f"{format_score(item.test.metric)} on test ({score} on {benchmark.data['split']})"
    return f"{metric} {score}, {item.latency_ms:.2f} ms at batch {batch}, {item.size_mb:.1f} MB"


def _limits(constraint: Constraint, benchmark: Benchmark) -> str:
    """Returns the user's limits, to follow 'has'."""
    metric = metric_label(benchmark.candidates[0].metric_name)
    limits = [
        (constraint.max_latency_ms, f"at most {constraint.max_latency_ms} ms at batch {benchmark.batch_sizes[0]}"),
        (constraint.max_size_mb, f"at most {constraint.max_size_mb} MB"),
        (constraint.min_accuracy, f"{metric} of at least {constraint.min_accuracy}"),
    ]
    return join_with_and([text for limit, text in limits if limit is not None] or [f"a {metric} that is defined"])


def sentences(benchmark: Benchmark, sweep: Sweep) -> list[str]:
    """Returns what a reader should know before using the figures, besides the headline."""
    teacher, chosen = benchmark.reference("teacher"), benchmark.by_id(sweep.chosen)
    return [
        _why(benchmark, sweep),
        *trivial(benchmark, chosen, [*([teacher] if teacher else []), *benchmark.of("floor")]),
        *accuracy(benchmark, chosen, [teacher] if teacher else []),
        *floor_sentences(benchmark, chosen),
        which_rows(benchmark, "the member to serve and its form"),
        _counts(benchmark, sweep),
        *_inaccurate_forms(benchmark, sweep),
        *serving_sentences(benchmark),
        *_teacher(benchmark, sweep),
        *caveats(benchmark),
    ]


def _why(benchmark: Benchmark, sweep: Sweep) -> str:
    constraint = sweep.constraint
    if math.isnan(sweep.by_id(sweep.chosen).accuracy):
        return f"{capitalized(metric_label(benchmark.candidates[0].metric_name))} of every member is undefined."
    if not constraint.is_given:
        is_share = in_points(benchmark.candidates[0].metric_name)
        margin = f"{100 * TOLERANCE:.0f} point" if is_share else f"{TOLERANCE:g}"
        return (
            "No limit was given (max_latency_ms, max_size_mb, min_accuracy), so this is the fastest member within "
            f"{margin} of the most accurate."
        )
    if sweep.is_met:
        best = "the most accurate" if constraint.min_accuracy is None else "the fastest"
        return f"It is {best} member that has {_limits(constraint, benchmark)}."
    return (
        "The nearest member has the smallest excess over its worst limit: "
        f"{100 * constraint.excess(sweep.by_id(sweep.chosen)):.1f} % of a latency or size, or points of a metric."
    )


def _counts(benchmark: Benchmark, sweep: Sweep) -> str:
    metric = metric_label(benchmark.candidates[0].metric_name)
    measured, failed = len(sweep.standings), len(sweep.failed)
    latency_front = [display_name(item.name) for item in sweep.standings if item.on_latency_front]
    size_front = [display_name(item.name) for item in sweep.standings if item.on_size_front]
    if not latency_front:
        return f"{measured} of {measured + failed} members were measured."
    missing = f"; {failed} failed for the reasons below" if failed else ""
    return (
        f"{measured} of {measured + failed} members were measured{missing}. The Pareto front of {metric} and latency: "
        f"{join_with_and(latency_front)}. The Pareto front of {metric} and size: {join_with_and(size_front)}. Lines in "
        "the charts are the fronts, and dashed lines the limits."
    )


def _inaccurate_forms(benchmark: Benchmark, sweep: Sweep) -> list[str]:
    """Returns the forms that do not count."""
    lost = [
        f"{name_and_runtime(form)} ({format_change(form.metric, max(forms, key=_metric).metric, form.metric_name)})"
        for forms in (benchmark.forms(item.name) for item in sweep.standings)
        for form in forms
        if form not in benchmark.accurate_forms(form.name)
    ]
    text = "These forms do not count, since they lose more accuracy than allowed against the same member's best form"
    return [f"{text}: {join_with_and(lost)}."] if lost else []


def _metric(item: Measured) -> float:
    return sort_key(item.metric)


def _teacher(benchmark: Benchmark, sweep: Sweep) -> list[str]:
    teacher, chosen = benchmark.reference("teacher"), benchmark.by_id(sweep.chosen)
    if teacher is None:
        return []
    size = benchmark.batch_sizes[0]
    speed = chosen.batches[size].speed_over(teacher.batches[size])
    text = (
        f"{name_and_runtime(chosen)} runs at {format_ratio(speed)} the speed of the teacher in FP32 and torch eager, "
        f"which computes the whole last layer, at batch {size}, {compare_scores(benchmark, chosen, teacher)}."
    )
    return [capitalized(text)]
