"""Intervals contain the true value as often as they say, never close on what is unknown, and words follow them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.interval_coverage import POPULATIONS, simulate
from compaware.components.core.evaluation import intervals
from compaware.components.core.evaluation.intervals import (
    Difference,
    Interval,
    describe_difference,
    paired_difference,
    score_interval,
)
from compaware.components.core.evaluation.metrics import METRIC_NAMES, compute_metrics, why_undefined
from compaware.components.core.evaluation.row_weights import score_weighted


def sample(metric: str, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return POPULATIONS[metric][1](np.random.default_rng(seed), rows)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_an_interval_is_around_the_metric_itself_and_the_same_for_a_seed(metric: str) -> None:
    labels, logits, reference = sample(metric, 200)
    score, difference = score_interval(metric, logits, labels), paired_difference(metric, logits, reference, labels)
    values = [compute_metrics(metric, each, labels)[metric] for each in (logits, reference)]
    assert score.value == values[0] and difference.value == values[0] - values[1]
    assert score.low < score.value < score.high and difference.low < difference.value < difference.high
    assert difference.rows == 200 and (difference.p_value is not None) == (metric == "accuracy")
    assert paired_difference(metric, logits, reference, labels) == difference
    assert paired_difference(metric, reference, logits, labels).low == pytest.approx(-difference.high, abs=0.005)


@pytest.mark.parametrize("metric", METRIC_NAMES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_row_of_weight_two_counts_like_two_rows(metric: str, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 8))
    whole = st.integers(-2, 2) if metric in ("pearson", "spearman") else st.integers(0, 2)
    if metric == "f1_micro" or (metric == "f1_macro" and data.draw(st.booleans())):
        labels, predicted = np.array(
            data.draw(st.lists(st.integers(0, 1), min_size=rows * 6, max_size=rows * 6))
        ).reshape(2, rows, 3)
        logits = predicted - 0.5
    else:
        values = st.lists(st.integers(0, 1) if metric == "f1" else whole, min_size=rows, max_size=rows)
        labels, predicted = np.array(data.draw(values)), np.array(data.draw(values))
        regression = metric in ("pearson", "spearman")
        logits = predicted[:, None].astype(float) if regression else np.eye(3)[predicted]
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows).filter(any)))
    repeated = np.repeat(np.arange(rows), weights)
    expected = compute_metrics(metric, logits[repeated], labels[repeated])[metric]
    # A resample without a positive row, or of one row that is repeated, counts as 0.
    expected = 0.0 if math.isnan(expected) else expected
    assert score_weighted(metric, weights[None].astype(float), predicted, labels) == pytest.approx([expected])


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 872])
@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_no_error_and_no_disagreement_leave_an_interval_that_narrows_with_the_rows(metric: str, rows: int) -> None:
    labels, *_ = sample(metric, rows)
    logits = labels[:, None] if metric in ("pearson", "spearman") else labels - 0.5
    logits = np.eye(5)[labels] if labels.ndim == 1 and logits.ndim == 1 else logits
    score, difference = score_interval(metric, logits, labels), paired_difference(metric, logits, logits, labels)
    if why_undefined(metric, labels):
        assert rows <= 3 and math.isnan(score.low) and math.isnan(difference.high)
        return
    least, most = min(0.5, 1 / rows), min(4.0, 60 / rows)
    assert least <= score.high - score.low <= most
    assert difference.value == 0 and difference.low < 0 < difference.high
    assert least <= difference.high - difference.low <= most


def test_zero_of_872_decided_differently_is_bounded_like_the_rule_of_three() -> None:
    labels, logits, _ = sample("accuracy", 872)
    found = paired_difference("accuracy", logits, logits, labels)
    assert found.p_value == 1.0
    assert -4 / 872 < found.low < -2.5 / 872 and 2.5 / 872 < found.high < 4 / 872
    assert describe_difference(found, "accuracy") == "no measurable loss (between 0.3 points worse and 0.3 better)"


def test_mcnemars_test_is_exact() -> None:
    labels = np.zeros(100, int)
    predicted, reference = np.zeros((2, 100), int)
    predicted[:8], reference[8:10] = 1, 1
    found = paired_difference("accuracy", np.eye(2)[predicted], np.eye(2)[reference], labels)
    # Twice the probability of at most 2 heads in 10 throws.
    assert found.p_value == pytest.approx(2 * (1 + 10 + 45) / 2**10)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_a_nan_logit_makes_the_interval_nan_through_json(metric: str) -> None:
    labels, logits, reference = sample(metric, 20)
    broken = logits.astype(float)
    broken[3] = math.nan
    score = Interval.model_validate_json(score_interval(metric, broken, labels).model_dump_json())
    pairs = [paired_difference(metric, *pair, labels) for pair in ((broken, reference), (reference, broken))]
    for found in (score, *pairs):
        assert all(map(math.isnan, (found.value, found.low, found.high)))
    assert describe_difference(pairs[0], metric) == "not comparable, since a score is not a number"


def test_classification_with_a_class_without_rows_or_constant_predictions_has_intervals() -> None:
    labels = np.array([0, 0, 0, 2, 2, 2, 2, 2])
    for metric in ("accuracy", "f1_macro", "matthews_correlation"):
        found = score_interval(metric, np.tile(np.eye(4)[2], (8, 1)), labels)
        assert found.low < found.high


@pytest.mark.parametrize("metric", ["accuracy", "f1", "f1_macro", "matthews_correlation", "pearson", "spearman"])
def test_intervals_contain_the_true_value_95_times_in_100(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "_RESAMPLES", 300)
    found = simulate(*POPULATIONS[metric], rows=300, trials=300, seed=2)
    assert found.score == pytest.approx(0.95, abs=0.02) and found.difference == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (-0.005, -0.009, -0.001, "between 0.1 and 0.9 points worse"),
        (0.005, 0.001, 0.009, "between 0.1 and 0.9 points better"),
        (-0.01, -0.06, 0.04, "no measurable loss (between 6.0 points worse and 4.0 better)"),
        (0.0, 0.0, 0.04, "no measurable loss (between 0.0 points worse and 4.0 better)"),
        (-0.001, -0.002, -0.0002, "between 0.02 and 0.20 points worse"),
        (-0.5, -0.9, -0.1, "between 10.0 and 90.0 points worse"),
    ],
)
def test_words_follow_the_interval(value: float, low: float, high: float, words: str) -> None:
    assert describe_difference(Difference(value=value, low=low, high=high, rows=40), "f1_macro") == words


@pytest.mark.parametrize("metric", ["pearson", "spearman", "matthews_correlation"])
def test_differences_of_a_correlation_are_not_in_points(metric: str) -> None:
    worse, equal, small = (
        Difference(value=value, low=low, high=high, rows=40)
        for value, low, high in ((-0.03, -0.06, -0.01), (-0.01, -0.06, 0.04), (-0.001, -0.002, -0.0002))
    )
    assert describe_difference(worse, metric) == "between 0.010 and 0.060 worse"
    assert describe_difference(equal, metric) == "no measurable loss (between 0.060 worse and 0.040 better)"
    assert describe_difference(small, metric) == "between 0.0002 and 0.0020 worse"


def test_blocks_of_rows_give_the_interval_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    labels = generator.normal(size=6_000)
    reference = labels + generator.normal(size=6_000)
    candidate = reference + 0.05 * generator.normal(size=6_000)  # As INT8 differs from FP32.
    for pair in ((candidate, reference), (candidate, -labels)):
        predictions = [values[:, None] for values in pair]
        blocks = paired_difference("pearson", *predictions, labels)
        with monkeypatch.context() as patch:
            patch.setattr(intervals, "_LARGE_SPLIT_ROWS", 10_000)
            rows = paired_difference("pearson", *predictions, labels)
        assert (blocks.low, blocks.high) == pytest.approx((rows.low, rows.high), abs=0.06 * (rows.high - rows.low))


@pytest.mark.parametrize("metric", ["f1_micro", "spearman"])
def test_the_jackknife_of_a_large_table_is_as_wide_as_its_bootstrap(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, logits, reference = sample(metric, 800)
    found = []
    for cells in (0, 5000):
        monkeypatch.setattr(intervals, "_JACKKNIFE_CELLS", cells)
        difference = paired_difference(metric, logits, reference, labels)
        found.append([difference.low, difference.high])
    assert found[0] == pytest.approx(found[1], abs=0.1 * (found[1][1] - found[1][0]))
