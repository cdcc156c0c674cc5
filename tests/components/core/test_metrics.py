"""Metrics on cases that can be counted by hand."""

import numpy as np
import pytest

from compaware.components.core.metrics import compute_metrics, f1_by_label, majority_baseline


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


def test_majority_baseline() -> None:
    labels = np.array([1, 1, 1, 0])
    assert majority_baseline("accuracy", labels, 2) == 0.75
    assert majority_baseline("matthews_correlation", labels, 2) == 0.0
    assert majority_baseline("pearson", np.array([0.5, 1.0]), 1) == 0.0
