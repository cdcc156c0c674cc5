"""Sentences that say what was not measured, and which figures are less reliable."""

import math
from collections.abc import Iterable

from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    join_with_and,
    name_and_runtime,
    reported_split,
)
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.benchmark.serving.load import LEAST_SECONDS
from compaware.components.benchmark.timing import relative_spread
from compaware.components.core.base import cpu
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.metrics import CORRELATIONS, metric_label

# Above this relative spread of the rounds, small ratios mean nothing.
_NOISY_SPREAD = 0.25
# With fewer calls than this, the 99th percentile is about the slowest call.
_CALLS_FOR_P99 = 100


def trivial(benchmark: Benchmark, chosen: Measured, others: Iterable[Measured] = ()) -> list[str]:
    """Returns which candidates predict the same for every row, and whether the chosen one is better than such ones.

    Args:
        benchmark: The benchmark.
        chosen: The recommended candidate.
        others: The other candidates to name.
    """
    if benchmark.trivial is None:
        return []
    constant, split = benchmark.trivial.constant, reported_split(benchmark)
    ids = {item.id for item in (chosen, *others)}
    texts = []
    for prediction in dict.fromkeys(text for identifier, text in constant.items() if identifier in ids):
        forms = [item for item in benchmark.candidates if constant.get(item.id) == prediction and item.id in ids]
        names = list(dict.fromkeys(_model_or_form(benchmark, item) for item in forms))
        verb = "predicts" if len(names) == 1 else "predict"
        texts.append(f"{capitalized(join_with_and(names))} {verb} {prediction} for every row of {split}.")
    interval, score = chosen.reported_interval, benchmark.trivial.score
    if chosen.id not in constant and interval and interval.low <= score:
        texts.append(
            f"{capitalized(name_and_runtime(chosen))} is not measurably better than predictions that ignore the text: "
            f"their {metric_label(chosen.metric_name)} is {score:.4f} on {split}."
        )
    return texts


def _model_or_form(benchmark: Benchmark, item: Measured) -> str:
    """Returns the name of a model whose forms all predict the same for every row, or else that of the form."""
    assert benchmark.trivial is not None
    constant = benchmark.trivial.constant
    forms = {constant.get(form.id) for form in benchmark.forms(item.name)}
    return display_name(item.name) if len(forms) == 1 else name_and_runtime(item)


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
    return [
        *_undefined(benchmark),
        *_bf16(benchmark),
        *_cut_rows(benchmark),
        *_few_calls(benchmark),
        *_noise(benchmark),
        *_no_server(benchmark),
    ]


def _no_server(benchmark: Benchmark) -> list[str]:
    if benchmark.serving or benchmark.settings["time_budget_s"] >= LEAST_SECONDS:
        return []
    return [f"Speed as a server was not measured: it takes a time_budget_s of at least {LEAST_SECONDS:g}."]


def _undefined(benchmark: Benchmark) -> list[str]:
    """Returns of which models the metric is undefined; `scoring` has refused logits that are NaN."""
    metric = benchmark.candidates[0].metric_name
    reason = "its labels or the predictions are all the same" if metric in CORRELATIONS else "no row is positive"
    undefined = [
        (
            benchmark.data["split"],
            ": no criterion is met",
            [item for item in benchmark.candidates if math.isnan(item.metric)],
        ),
        (TEST, "", [item for item in benchmark.candidates if item.test and math.isnan(item.test.metric)]),
    ]
    texts = []
    for split, effect, items in undefined:
        names = list(dict.fromkeys(display_name(item.name) for item in items))
        if names:
            texts.append(
                f"{capitalized(metric_label(metric))} of {join_with_and(names)} is undefined on {split}, since {reason}"
                f"{effect}."
            )
    return texts


def _bf16(benchmark: Benchmark) -> list[str]:
    if any(flag in benchmark.machine["flags"] for flag in cpu.BF16_FLAGS):
        return []
    return ["BF16 was not measured: this CPU has no avx512_bf16 or AMX and would only emulate it."]


def _cut_rows(benchmark: Benchmark) -> list[str]:
    cut, rows, length = benchmark.data["cut_rows"], benchmark.data["rows"], benchmark.settings["max_length_tokens"]
    if not cut:
        return []
    longer = f"{cut} of {rows} rows {'is' if cut == 1 else 'are'} longer than {length} tokens"
    were = "was" if cut == 1 else "were"
    if benchmark.settings.get("length_limited_by_model"):
        return [f"{longer}, the limit of one of the models, and {were} cut."]
    return [f"{longer} and {were} cut. Raise max_length_tokens if the ends of long texts matter."]


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
