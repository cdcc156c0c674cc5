"""Sentences of the report about the predictions: only those that say that something got worse."""

from compaware.components.benchmark.quality.results import Quality
from compaware.components.benchmark.quality.slices import LENGTH
from compaware.components.benchmark.report.formatting import capitalized, display_name, join_with_and
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.base.rendering import cut_short
from compaware.components.core.evaluation.intervals import Difference, describe_difference
from compaware.components.core.evaluation.metrics import REGRESSION_METRICS

_MOST_NAMED = 3
# Probability of one wrong claim among all classes, or among all slices (Bonferroni).
_CHANCE = 0.05
# Below these, calibration and drift are of no concern.
_WORSE_ECE = 0.01
_LEAST_AGREEMENT = 0.97


def quality_sentences(benchmark: Benchmark) -> list[str]:
    """Returns what is worse than the metric says, compared with the dense FP32 model; often nothing."""
    quality = benchmark.quality
    if quality is None or quality.reference is None:
        return []
    return [
        *_classes(benchmark, quality),
        *_slices(benchmark, quality),
        *_calibration(benchmark, quality),
        *_drift(benchmark, quality),
    ]


def _classes(benchmark: Benchmark, quality: Quality) -> list[str]:
    served = benchmark.by_id(quality.served)
    changes = {name: score.recall_change for name, score in quality.classes.get(served.name, {}).items()}
    worse = {
        _named(name): change
        for name, change in changes.items()
        if change and change.high < 0 and (change.p_value or 0.0) * len(changes) < _CHANCE
    }
    if not worse:
        return []
    pair = (
        f"{_subject(benchmark, quality.served)} finds fewer rows of some classes than {_reference(benchmark, quality)}"
    )
    return [f"{pair}: recall of {_list(worse, 'recall')}."]


def _slices(benchmark: Benchmark, quality: Quality) -> list[str]:
    is_error = benchmark.data["metric"] in REGRESSION_METRICS
    worse = {}
    for item in quality.slices:
        change = item.difference
        if change is None or item.p_value is None or not item.p_value * len(quality.slices) < _CHANCE:
            continue
        if change.low > 0 if is_error else change.high < 0:
            name = item.value if item.column == LENGTH else f"{cut_short(item.column)} {_named(item.value)}"
            worse[f"{name} ({item.rows} rows)"] = change
    if not worse:
        return []
    than = f"{_subject(benchmark, quality.served)} is worse than {_reference(benchmark, quality)} on some slices of "
    if is_error:
        values = [f"{name}: error {change.value:+.3g}" for name, change in list(worse.items())[:_MOST_NAMED]]
        return [f"{than}{quality.split}: {join_with_and(values)}."]
    return [f"{than}{quality.split}: {_list(worse, benchmark.data['metric'])}."]


def _calibration(benchmark: Benchmark, quality: Quality) -> list[str]:
    served, reference = benchmark.by_id(quality.served), benchmark.by_id(quality.reference or "")
    own, other = quality.calibration.get(served.name), quality.calibration.get(reference.name)
    if own is None or other is None or own.nll_change is None or not own.nll_change.low > 0:
        return []
    errors = [(item.errors_at_temperature or item.errors).ece for item in (own, other)]
    if errors[0] - errors[1] < _WORSE_ECE:
        return []
    return [
        f"The probabilities of {display_name(served.name)} are less reliable than those of "
        f"{_reference(benchmark, quality)}: calibration error (ECE) {errors[0]:.3f} against {errors[1]:.3f}."
    ]


def _drift(benchmark: Benchmark, quality: Quality) -> list[str]:
    for drift in reversed(quality.drift):
        if drift.agreement is None or drift.agreement >= _LEAST_AGREEMENT:
            continue
        text = (
            f"{_subject(benchmark, quality.int8 or '')} and {_reference(benchmark, quality)} decide differently on "
            f"{100 * (1 - drift.agreement):.1f} % of {drift.rows} {drift.split} rows"
        )
        name, (before, after) = max(drift.shares.items(), key=lambda item: abs(item[1][1] - item[1][0]))
        if round(100 * abs(after - before), 1):
            text += f"; the share of {_named(name)} goes from {100 * before:.1f} % to {100 * after:.1f} %"
        return [f"{text}."]
    return []


def _subject(benchmark: Benchmark, identifier: str) -> str:
    return capitalized(display_name(benchmark.by_id(identifier).name))


def _reference(benchmark: Benchmark, quality: Quality) -> str:
    return f"the FP32 {display_name(benchmark.by_id(quality.reference or '').name)}"


def _named(name: str) -> str:
    return f"'{cut_short(name)}'"


def _list(changes: dict[str, Difference], metric: str) -> str:
    """Returns the largest losses: `'a' between 1.0 and 2.0 points worse and 'b' …`."""
    ordered = sorted(changes.items(), key=lambda item: item[1].value)
    texts = [f"{name} {describe_difference(change, metric)}" for name, change in ordered[:_MOST_NAMED]]
    more = len(ordered) - len(texts)
    return join_with_and([*texts, f"{more} more"] if more else texts)
