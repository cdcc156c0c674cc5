"""Sentences that say how a benchmark was measured."""

from compaware.components.benchmark.floor.words import describe_training
from compaware.components.benchmark.report.formatting import join_with_and
from compaware.components.benchmark.results import Benchmark


def describe_method(benchmark: Benchmark) -> list[str]:
    """Returns the sentences about data, processes, rounds and figures."""
    settings, data = benchmark.settings, benchmark.data
    lengths = (
        f"Every sentence is padded to {settings['max_length_tokens']} tokens."
        if settings["padded"]
        else f"Sentences keep their real lengths (median {data['median_length_tokens']:.0f} tokens, at most "
        f"{settings['max_length_tokens']}); a batch is padded to its longest sentence."
    ) + f" Rows that are longer and were cut: {data['cut_rows']} of {data['rows']}."
    return [
        f"Split {data['split']} of {data['task']}, {data['rows']} rows. {lengths}",
        "Each candidate in each runtime and precision has a process with a fixed number of threads "
        f"({benchmark.machine['threads']}); only one process works at a time.",
        f"In each round all take turns on the same batches, in a new random order (seed {settings['seed']}). Each turn "
        f"begins with an untimed call. Timed per candidate: {_rounds(benchmark)}. The limits were {settings['rounds']} "
        f"rounds and {settings['time_budget_s']:.0f} s for all of them, but at least 3 rounds.",
        *_groups(benchmark),
        "A call is one forward pass from token ids to logits. Tokenization and padding are not timed.",
        *describe_training(benchmark),
        "The metric is computed over the whole split, from the logits of the process that is timed. Intervals are from "
        "a bootstrap over rows (10,000 resamples), or a jackknife (500 groups) if more than 5,000 rows differ in "
        "labels and predictions. Both models of a difference have the same rows, and p is McNemar's exact test.",
        f"Of the forms that keep the accuracy on {data['split']}, whatever their runtime and precision, the fastest "
        "counts; of forms that are equally fast in these rounds, the smallest.",
        "Size is the size of the files that the runtime reads; deflated is their size after deflate compression. "
        "Memory is that of the whole process, including its libraries, after loading and a first prediction. Peak "
        "memory is its highest value until the last timed call; other splits are scored after it.",
    ]


def _rounds(benchmark: Benchmark) -> str:
    """Returns the rounds and calls really done, for example `10 rounds with 200 calls at batch 1`."""
    parts = []
    for size in benchmark.batch_sizes:
        batches = [item.batches[size] for item in benchmark.candidates]
        rounds, calls = ({len(batch.round_ms) for batch in batches}, {batch.calls for batch in batches})
        parts.append(f"{_range(rounds)} rounds with {_range(calls)} calls at batch {size}")
    return join_with_and(parts)


def _range(values: set[int]) -> str:
    """Returns the only value, or the lowest and the highest if groups differ."""
    return "–".join(map(str, sorted({min(values), max(values)})))


def _groups(benchmark: Benchmark) -> list[str]:
    if len(benchmark.groups) < 2:
        return []
    scales = [scale for group in benchmark.groups[1:] for scale in group.scales.values()]
    text = (
        f"Memory did not hold all processes at once: they were measured in {len(benchmark.groups)} groups, each with "
        f"{benchmark.groups[0].candidates[0]} as the reference."
    )
    if scales:
        text += (
            f" Times of the later groups are scaled by the reference's times, with factors from {min(scales):.2f} to "
            f"{max(scales):.2f}."
        )
    if any(not group.scales for group in benchmark.groups[1:]):
        text += " Groups in which the reference failed are not scaled: compare their times with care."
    return [text]
