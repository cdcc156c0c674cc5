"""Sentences that say what was not measured, and which figures are less reliable."""

from compaware.components.benchmark.report.formatting import capitalized, display_name, join_with_and
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.serving.load import LEAST_SECONDS
from compaware.components.benchmark.timing import relative_spread
from compaware.components.core.base import cpu

# Above this relative spread of the rounds, small ratios mean nothing.
_NOISY_SPREAD = 0.25
# With fewer calls than this, the 99th percentile is about the slowest call.
_CALLS_FOR_P99 = 100


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


def _bf16(benchmark: Benchmark) -> list[str]:
    if any(flag in benchmark.machine["flags"] for flag in cpu.BF16_FLAGS):
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
