"""Metrics of text classification and regression from logits; names are the same in every report."""

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

METRIC_NAMES = ("accuracy", "f1", "f1_macro", "matthews_correlation", "pearson", "spearman")


def compute_metrics(metric: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Computes the primary metric and its usual companions.

    Args:
        metric: Name of the primary metric; one of `METRIC_NAMES`.
        logits: (rows, labels) for classification, (rows, 1) for regression.
        labels: (rows,) class indices, or targets.

    Returns:
        Metric name to value, the primary one first. Correlations with a constant are 0.
    """
    if metric in ("pearson", "spearman"):
        found = _correlations(logits.reshape(len(labels)), labels)
    else:
        found = _classification(logits.argmax(axis=-1), labels, classes=logits.shape[-1], metric=metric)
    return {metric: found.pop(metric), **found}


def majority_baseline(metric: str, labels: np.ndarray, num_labels: int) -> float:
    """The primary metric of always answering the most frequent class (or the mean, for regression)."""
    if metric in ("pearson", "spearman"):
        return 0.0
    logits = np.zeros((len(labels), num_labels))
    logits[:, np.bincount(labels.astype(int), minlength=num_labels).argmax()] = 1.0
    return compute_metrics(metric, logits, labels)[metric]


def _classification(predicted: np.ndarray, labels: np.ndarray, classes: int, metric: str) -> dict[str, float]:
    found = {"accuracy": float(accuracy_score(labels, predicted))}
    if metric == "f1":
        found["f1"] = float(f1_score(labels, predicted, zero_division=0.0))
    if metric == "f1_macro" or classes > 2:
        found["f1_macro"] = float(f1_score(labels, predicted, average="macro", zero_division=0.0))
    if metric == "matthews_correlation":
        found["matthews_correlation"] = float(matthews_corrcoef(labels, predicted))
    return found


def _correlations(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if np.ptp(predicted) == 0 or np.ptp(labels) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(pearsonr(predicted, labels).statistic),
        "spearman": float(spearmanr(predicted, labels).statistic),
    }
