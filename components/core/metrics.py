"""Metrics of text classification and regression from logits; names are the same in every report.

scikit-learn and SciPy are imported where they are used: a training's first step would wait a second for them.
"""

import numpy as np

METRIC_NAMES = ("accuracy", "f1", "f1_micro", "f1_macro", "matthews_correlation", "pearson", "spearman")


def compute_metrics(metric: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Computes the primary metric and its usual companions.

    Args:
        metric: Name of the primary metric; one of `METRIC_NAMES`.
        logits: (rows, labels) for classification, (rows, 1) for regression.
        labels: (rows,) class indices or targets, or (rows, labels) of 0 and 1 for multi-label data.

    Returns:
        Metric name to value, the primary one first. Correlations with a constant are 0.
    """
    if metric in ("pearson", "spearman"):
        found = _correlations(logits.reshape(len(labels)), labels)
    elif labels.ndim == 2:
        found = _multi_label(logits > 0, labels)
    else:
        found = _classification(logits.argmax(axis=-1), labels, classes=logits.shape[-1], metric=metric)
    return {metric: found.pop(metric), **found}


def majority_baseline(metric: str, labels: np.ndarray, num_labels: int) -> float:
    """The primary metric of the best answer that is the same for all rows.

    That is the most frequent class, the mean for regression, and for multi-label data the most frequent labels, as many
    of them as score best.
    """
    if metric in ("pearson", "spearman"):
        return 0.0
    if labels.ndim == 2:
        ranks = (-labels.sum(axis=0)).argsort().argsort()
        answers = [np.broadcast_to(np.where(ranks < count, 1.0, -1.0), labels.shape) for count in range(num_labels + 1)]
        return max(compute_metrics(metric, answer, labels)[metric] for answer in answers)
    logits = np.zeros((len(labels), num_labels))
    logits[:, np.bincount(labels.astype(int), minlength=num_labels).argmax()] = 1.0
    return compute_metrics(metric, logits, labels)[metric]


def f1_by_label(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """F1 of each label of multi-label data: logits and labels are (rows, labels); a label that no row has has 0."""
    from sklearn.metrics import f1_score

    return f1_score(labels, logits > 0, average=None, zero_division=0.0).tolist()


def decisions(logits: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """What logits, (rows, labels), decide: each row's class (rows,), or yes or no for each label (rows, labels)."""
    return logits > 0 if multi_label else logits.argmax(axis=-1)


def _multi_label(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "f1_micro": float(f1_score(labels, predicted, average="micro", zero_division=0.0)),
        "f1_macro": float(f1_score(labels, predicted, average="macro", zero_division=0.0)),
        "subset_accuracy": float(accuracy_score(labels, predicted)),
    }


def _classification(predicted: np.ndarray, labels: np.ndarray, classes: int, metric: str) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

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
    from scipy.stats import pearsonr, spearmanr

    return {
        "pearson": float(pearsonr(predicted, labels).statistic),
        "spearman": float(spearmanr(predicted, labels).statistic),
    }
