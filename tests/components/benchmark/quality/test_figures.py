"""The figures of the predictions, on logits made by hand."""

import math

import numpy as np
import pytest

from compaware.components.benchmark.quality.calibration import calibration, mean_interval
from compaware.components.benchmark.quality.class_scores import class_rows, class_scores
from compaware.components.benchmark.quality.disagreements import disagreements, drift
from compaware.components.benchmark.quality.slices import Part, by_length, by_value, score_part

NAMES = ["no", "yes"]
# The model decides right, wrong, right, wrong.
LABELS = np.array([0, 0, 1, 1])
LOGITS = np.array([[2.0, 0], [0, 1], [0, 3], [1, 0]])


def many(classes: int, rows: int = 600, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits of a model that is usually right, and labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, rows)
    return 3 * np.eye(classes)[labels] + noise * generator.normal(size=(rows, classes)), labels


def test_precision_recall_and_f1_of_each_class() -> None:
    names, labels = ["a", "b", "c", "d"], np.array([0, 0, 0, 1, 1, 2])
    found = class_scores(np.eye(4)[[0, 0, 1, 1, 1, 1]], labels, names)
    assert class_rows(labels, names) == {"a": 3, "b": 2, "c": 1, "d": 0}
    assert (found["a"].precision, found["a"].f1) == (1, pytest.approx(0.8))
    assert found["a"].recall and found["a"].recall.value == pytest.approx(2 / 3)
    assert (found["b"].precision, found["b"].f1) == (0.5, pytest.approx(2 / 3))
    assert found["c"].recall and (found["c"].precision, found["c"].recall.value, found["c"].f1) == (0, 0, 0)
    assert found["d"].recall is None and found["d"].recall_change is None


def test_a_recall_of_one_row_is_not_certain() -> None:
    one = class_scores(np.eye(2)[[1, 0, 0]], np.array([1, 0, 0]), NAMES)["yes"].recall
    assert one and one.value == 1 and one.high - one.low > 0.3


def test_labels_of_multi_label_data_are_classes_of_their_own() -> None:
    labels = np.array([[1, 1], [0, 1], [1, 0], [0, 0]], np.int8)
    found = class_scores(np.array([[1, -1], [1.0, 1], [1, -1], [-1, -1]]), labels, NAMES)
    assert class_rows(labels, NAMES) == {"no": 2, "yes": 2}
    assert found["no"].precision == pytest.approx(2 / 3) and found["no"].recall and found["no"].recall.value == 1
    assert found["yes"].precision == 1 and found["yes"].recall and found["yes"].recall.value == 0.5


def test_the_change_of_recall_is_that_from_the_reference() -> None:
    logits, labels = many(3)
    worse = logits.copy()
    worse[np.flatnonzero(labels == 2)[:40]] = np.eye(3)[0]
    found = class_scores(worse, labels, ["a", "b", "c"], logits)
    changed, same = found["c"].recall_change, found["a"].recall_change
    assert changed and changed.high < 0 and changed.rows == (labels == 2).sum()
    assert same and same.value == 0 and same.low < 0 < same.high


def test_calibration_before_and_after_the_temperature() -> None:
    logits, labels = many(2, rows=4000, noise=2.0)
    found = calibration(5 * logits, labels, temperature=5.0)
    plain = calibration(logits, labels)
    assert found.errors_at_temperature and plain.errors_at_temperature is None
    assert found.errors_at_temperature.nll == pytest.approx(plain.errors.nll)
    assert found.errors.ece > found.errors_at_temperature.ece
    assert found.confidence and found.accuracy and found.confidence > found.accuracy
    assert found.nll_change is None


def test_the_change_of_likelihood_has_an_interval() -> None:
    logits, labels = many(2, rows=2000, noise=2.0)
    worse = calibration(4 * logits, labels, reference=logits).nll_change
    same = calibration(logits, labels, reference=logits).nll_change
    assert worse and 0 < worse.low < worse.value < worse.high
    assert same and (same.low, same.value, same.high) == (0, 0, 0)


def test_calibration_of_labels() -> None:
    labels = np.array([[1, 0], [0, 1], [1, 1]], np.int8)
    found = calibration(np.where(labels, 9.0, -9.0), labels)
    assert found.errors.ece < 0.01 and found.confidence is None and found.accuracy is None


def test_rows_are_divided_by_quartile_of_the_length() -> None:
    parts = list(by_length(np.array([5, 5, 6, 7, 8, 9, 20, 30])))
    assert [part.value for part in parts] == ["5 tokens", "6–7 tokens", "8–9 tokens", "20–30 tokens"]
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(8))
    assert [part.value for part in by_length(np.full(10, 4))] == ["4 tokens"]
    assert [part.value for part in by_length(np.array([1]))] == ["1 token"]


def test_the_largest_values_of_a_column_have_a_slice_and_the_rest_share_one() -> None:
    values = [str(number) for number in range(13) for _ in range(20 - number)] + [""]
    parts = list(by_value("shop", values))
    assert [part.value for part in parts] == [*map(str, range(10)), "4 other values"]
    assert sum(len(part.rows) for part in parts) == len(values)
    assert [part.value for part in by_value("shop", ["", "a", ""])] == ["(empty)", "a"]


def test_a_slice_that_lost_differs_from_one_that_did_not() -> None:
    logits, labels = many(2)
    worse = logits.copy()
    worse[:60] = -worse[:60]
    lost = score_part(Part("shop", "a", np.arange(100)), "accuracy", worse, labels, logits)
    kept = score_part(Part("shop", "b", np.arange(100, 600)), "accuracy", worse, labels, logits)
    assert lost.difference and lost.difference.high < 0 and lost.p_value is not None and lost.p_value < 0.01
    assert kept.difference and kept.difference.value == 0 and kept.p_value == 1
    assert score_part(Part("shop", "a", np.arange(9)), "accuracy", logits, labels).difference is None


def test_few_rows_give_a_wide_interval() -> None:
    logits, labels = many(2, noise=0.1)
    few = score_part(Part("shop", "a", np.arange(5)), "accuracy", logits, labels).score
    more = score_part(Part("shop", "a", np.arange(500)), "accuracy", logits, labels).score
    assert few.value == more.value == 1
    assert few.high - few.low > 0.2 > more.high - more.low


@pytest.mark.parametrize("metric", ["f1", "f1_macro", "matthews_correlation"])
def test_other_metrics_have_slices(metric: str) -> None:
    logits, labels = many(2)
    found = score_part(Part("shop", "a", np.arange(100)), metric, logits, labels, logits)
    assert 0 < found.score.low <= found.score.value and found.difference and found.difference.value == 0


def test_a_correlation_of_one_class_is_undefined() -> None:
    found = score_part(Part("shop", "a", np.arange(2)), "matthews_correlation", LOGITS, LABELS, LOGITS)
    assert math.isnan(found.score.value) and found.difference is None


def test_slices_of_regression_give_the_mean_absolute_error() -> None:
    labels = np.linspace(0, 5, 200)
    logits = (labels + np.tile([0.5, -0.5], 100))[:, None]
    worse = (labels + np.tile([1.0, -0.9], 100))[:, None]
    found = score_part(Part("length", "5 tokens", np.arange(100)), "pearson", worse, labels, logits)
    assert found.score.value == pytest.approx(0.95) and found.reference == pytest.approx(0.5)
    assert found.difference and found.difference.low > 0.4 and found.p_value is not None and found.p_value < 0.01


def test_the_mean_of_equal_values_is_certain() -> None:
    assert mean_interval(np.full(5, 0.25)).model_dump() == {"value": 0.25, "low": 0.25, "high": 0.25}


def test_disagreements_are_the_rows_that_differ_most() -> None:
    int8 = np.array([[2.0, 0], [0.1, 0], [3, 0], [1, 0]])
    found = disagreements(int8, LOGITS, LABELS, NAMES)
    assert [item.row for item in found] == [2, 1]
    first = found[0]
    assert (first.label, first.int8, first.fp32) == ("yes", "no", "yes")
    assert first.int8_score == pytest.approx(1 / (1 + math.exp(-3))) == first.fp32_score
    assert first.difference == pytest.approx(2 * first.int8_score - 1)


def test_disagreements_of_labels_name_the_label() -> None:
    labels = np.array([[1, 0], [0, 0]], np.int8)
    [found] = disagreements(np.array([[2.0, -1], [-1, 0.2]]), np.array([[2.0, -1], [-1, -0.4]]), labels, NAMES)
    assert (found.row, found.label, found.int8, found.fp32) == (1, "not yes", "yes", "not yes")
    # Both are probabilities of what was decided, so both are above one half.
    assert (round(found.int8_score, 3), round(found.fp32_score, 3)) == (0.55, 0.599)


def test_disagreements_of_regression_are_differences_of_the_value() -> None:
    found = disagreements(np.array([[1.0], [2.5], [3]]), np.array([[1.1], [2], [3]]), np.array([1.0, 2, 3]), [])
    assert [(item.row, round(item.difference, 3), item.int8, item.label) for item in found] == [
        (1, 0.5, "2.5", "2"),
        (0, 0.1, "1", "1"),
        (2, 0.0, "3", "3"),
    ]


def test_at_most_twenty_disagreements() -> None:
    logits, labels = many(2, rows=100)
    assert len(disagreements(-logits, logits, labels, NAMES)) == 20
    assert disagreements(logits, logits, labels, NAMES) == []


def test_drift_of_classes() -> None:
    found = drift("unlabelled", np.array([[2.0, 0], [0, 1], [3, 0], [1, 0]]), LOGITS, NAMES, multi_label=False)
    assert (found.rows, found.agreement) == (4, 0.75)
    assert found.shares == {"no": (0.5, 0.75), "yes": (0.5, 0.25)}
    assert found.max_difference == pytest.approx(4 * found.mean_difference)


def test_drift_of_labels_and_of_values() -> None:
    labels = drift("test", np.array([[1.0, 1], [1, 1]]), np.array([[1.0, 1], [1, -1]]), NAMES, multi_label=True)
    assert (labels.agreement, labels.shares) == (0.75, {"no": (1, 1), "yes": (0.5, 1)})
    values = drift("test", np.array([[1.0], [3]]), np.array([[1.0], [2]]), [], multi_label=False)
    assert (values.agreement, values.mean_difference, values.max_difference, values.shares) == (None, 0.5, 1, {})


def test_the_points_of_the_calibration_chart_are_drawn_at_the_temperature_and_give_the_ece() -> None:
    logits, labels = many(3)
    plain, heated = calibration(logits, labels), calibration(logits, labels, 2.0)
    for item, errors in ((plain, plain.errors), (heated, heated.errors_at_temperature)):
        rows = sum(count for *_, count in item.reliability)
        distance = sum(abs(mean - frequency) * count for mean, frequency, count in item.reliability)
        assert rows == len(labels) and errors and distance / rows == pytest.approx(errors.ece)
    assert plain.confidence == pytest.approx(sum(mean * count for mean, _, count in plain.reliability) / len(labels))
    assert calibration(np.full((2, 2), math.nan), np.array([0, 1])).reliability == []
