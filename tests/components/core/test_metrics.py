"""Metrics on cases that can be counted by hand."""

import numpy as np
import pytest

from compaware.components.core.metrics import compute_metrics, majority_baseline


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


def test_majority_baseline() -> None:
    labels = np.array([1, 1, 1, 0])
    assert majority_baseline("accuracy", labels, 2) == 0.75
    assert majority_baseline("matthews_correlation", labels, 2) == 0.0
    assert majority_baseline("pearson", np.array([0.5, 1.0]), 1) == 0.0
