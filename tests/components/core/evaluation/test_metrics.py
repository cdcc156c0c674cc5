"""Metrics on small cases with known values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.evaluation.metrics import compute_metrics, f1_by_label, majority_baseline


def one_hot(classes: list[int], width: int = 2) -> np.ndarray:
    return np.eye(width)[classes]


def test_the_primary_metric_comes_first_and_is_right() -> None:
    labels = np.array([0, 0, 1, 1])
    logits = one_hot([0, 1, 1, 1])
    assert compute_metrics("accuracy", logits, labels) == {"accuracy": 0.75}
    assert compute_metrics("f1", logits, labels) == {"f1": pytest.approx(0.8), "accuracy": 0.75}
    assert next(iter(compute_metrics("matthews_correlation", logits, labels))) == "matthews_correlation"
    assert compute_metrics("accuracy", one_hot([0, 1, 2], 3), np.array([0, 1, 2])) == {"accuracy": 1, "f1_macro": 1}


def test_correlations_of_regression() -> None:
    labels = np.array([0.0, 1.0, 2.0])
    assert compute_metrics("pearson", labels[:, None] * 2 + 1, labels) == {
        "pearson": pytest.approx(1),
        "spearman": pytest.approx(1),
        # Off by 1, 2 and 3.
        "rmse": pytest.approx((14 / 3) ** 0.5),
    }
    assert compute_metrics("pearson", np.zeros((3, 1)), labels)["pearson"] == 0.0


def test_multi_label_metrics_take_a_label_where_its_logit_is_above_0() -> None:
    labels = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    logits = np.array([[2.0, -1.0, -1.0], [-1.0, 3.0, -1.0], [1.0, -2.0, 0.5], [-1.0, -1.0, -1.0]])
    # Found are 3 of 5 labels, and one that is not there.
    assert compute_metrics("f1_micro", logits, labels) == {
        "f1_micro": pytest.approx(2 * 3 / (5 + 4)),
        "f1_macro": pytest.approx((1 + 2 / 3 + 0) / 3),
        "subset_accuracy": 0.5,
    }
    assert next(iter(compute_metrics("f1_macro", logits, labels))) == "f1_macro"
    assert f1_by_label(logits, labels) == pytest.approx([1, 2 / 3, 0])


def test_the_best_constant_answer_to_multi_label_data_is_the_most_frequent_labels() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0]])
    # The first label alone: 3 of 6 found, of 4 given. The first two: 5 of 6, of 8.
    assert majority_baseline("f1_micro", labels, 3) == pytest.approx(10 / 14)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_nan_logit_makes_every_metric_nan(broken: float) -> None:
    for metric, width, labels in (
        ("accuracy", 2, np.array([0, 1])),
        ("f1", 2, np.array([0, 1])),
        ("pearson", 1, np.array([0.0, 1.0])),
        ("f1_micro", 2, np.array([[0, 1], [1, 1]])),
    ):
        logits = np.ones((2, width), np.float32)
        logits[0, 0] = broken
        scores = compute_metrics(metric, logits, labels)
        assert next(iter(scores)) == metric and all(map(math.isnan, scores.values()))


def test_the_correlation_of_nearly_constant_numbers_is_finite() -> None:
    logits = np.array([[1], [1 + 1.2e-7], [1]], np.float32)
    assert all(map(math.isfinite, compute_metrics("spearman", logits, np.array([0.0, 1.0, 2.0])).values()))


@pytest.mark.parametrize(
    ("metric", "classes"), [("accuracy", 4), ("f1", 2), ("f1_macro", 2), ("f1_macro", 3), ("matthews_correlation", 2)]
)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_no_constant_answer_scores_more_than_the_baseline(metric: str, classes: int, data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=2, max_size=40)))
    baseline = majority_baseline(metric, labels, classes)
    for number in range(classes):
        answers = one_hot([number] * len(labels), classes)
        assert compute_metrics(metric, answers, labels)[metric] <= baseline + 1e-9


@pytest.mark.parametrize("metric", ["f1_micro", "f1_macro", "subset_accuracy"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_no_constant_set_of_labels_scores_more_than_the_baseline(metric: str, data: st.DataObject) -> None:
    row = st.tuples(*[st.integers(0, 1)] * 3)
    labels = np.array(data.draw(st.lists(row, min_size=2, max_size=20)))
    baseline = majority_baseline(metric, labels, 3)
    for signs in np.ndindex(2, 2, 2):
        answers = np.tile(np.array(signs) - 0.5, (len(labels), 1))
        assert compute_metrics(metric, answers, labels)[metric] <= baseline + 1e-9


def test_f1_is_measured_against_the_answer_that_is_always_positive() -> None:
    labels = np.array([0] * 63 + [1] * 37)
    assert majority_baseline("f1", labels, 2) == pytest.approx(2 * 0.37 / 1.37)


def test_majority_baseline() -> None:
    labels = np.array([1, 1, 1, 0])
    assert majority_baseline("accuracy", labels, 2) == 0.75
    assert majority_baseline("matthews_correlation", labels, 2) == 0.0
    assert majority_baseline("pearson", np.array([0.5, 1.0]), 1) == 0.0
