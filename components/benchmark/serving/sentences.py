"""What the report says about serving."""

from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    format_quotient,
    name_and_runtime,
)
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.serving.results import ServedForm


def serving_sentences(benchmark: Benchmark) -> list[str]:
    """Returns the rate that the model to serve sustains, and which candidates could not be measured."""
    serving = benchmark.serving
    if serving is None:
        return []
    failed = [
        f"{capitalized(name_and_runtime(benchmark.by_id(identifier)))} could not be measured as a server: "
        f"{reason.rstrip('.')}."
        for identifier, reason in serving.failures.items()
    ]
    return [*(_held(benchmark, form) for form in serving.forms[:1]), *failed]


def _held(benchmark: Benchmark, form: ServedForm) -> str:
    assert benchmark.serving is not None
    name, bound = capitalized(name_and_runtime(benchmark.by_id(form.id))), benchmark.serving.latency_bound_ms
    best = form.server.best
    if best is None:
        return f"{name} does not keep p99 under {bound:g} ms at any measured rate: {reason(form, bound)}."
    text = f"{name} as a server sustains {best.queries_per_s:,.0f} queries per second with p99 under {bound:g} ms"
    reference = benchmark.serving.of(benchmark.serving.reference)
    if reference is None or reference is form:
        return f"{text}."
    other = display_name(benchmark.by_id(reference.id).name)
    if reference.server.best is None:
        return f"{text}. The FP32 {other} does not keep this bound at any measured rate."
    quotient = best.queries_per_s / reference.server.best.queries_per_s
    return f"{text}: {format_quotient(quotient, 'more', 'fewer')} than the FP32 {other}."


def reason(form: ServedForm, bound_ms: float) -> str:
    """Returns why no rate holds the bound."""
    if form.single_stream.p99_ms > bound_ms:
        return f"p99 is {form.single_stream.p99_ms:.1f} ms even for one query at a time"
    if not form.server.probes:
        return "time_budget_s is too small for one rate"
    lowest = min(probe.queries_per_s for probe in form.server.probes)
    return f"{lowest:,.1f} queries per second were too many"
