"""Metrics of text classification and regression from logits; names are the same in every report.

scikit-learn and SciPy are imported where they are used: a training's first step would wait a second for them.
"""

import math

import numpy as np

_RANDOM_ORDERS = 50
_MANY_ROWS = 2000
_LABELS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "f1_micro": "micro F1",
    "f1_macro": "macro F1",
    "matthews_correlation": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}
METRIC_NAMES = tuple(_LABELS)


def metric_label(metric: str) -> str:
    """Returns a metric's name as reports show it, such as `macro F1`."""
    return _LABELS.get(metric, metric)


def compute_metrics(metric: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Computes the primary metric and its usual companions.

    Args:
        metric: Name of the primary metric; one of `METRIC_NAMES`.
        logits: (rows, labels) for classification, (rows, 1) for regression.
        labels: (rows,) class indices or targets, or (rows, labels) of 0 and 1 for multi-label data.

    Returns:
        Metric name to value, the primary one first. Correlations with a constant are 0. Where a logit is NaN or
        infinite all are NaN: the model that gave it is broken, whatever the other rows say.
    """
    if not np.isfinite(logits).all():
        found = compute_metrics(metric, np.zeros_like(logits), labels)
        return dict.fromkeys(found, math.nan)
    if metric in ("pearson", "spearman"):
        found = _regression(logits.reshape(len(labels)), labels)
    elif labels.ndim == 2:
        found = _multi_label(logits > 0, labels)
    else:
        found = _classification(logits.argmax(axis=-1), labels, classes=logits.shape[-1], metric=metric)
    return {metric: found.pop(metric), **found}


def majority_baseline(metric: str, labels: np.ndarray, num_labels: int) -> float:
    """The primary metric of the best answers that do not depend on the row.

    For most metrics these are the same for all rows: the most frequent class, or for F1 the positive one where that
    scores more; for multi-label data the most frequent labels, as many of them as score best, or the most frequent set.
    Macro F1 of k classes is 1/k at best: that of random answers, each class as often as it occurs.
    """
    if metric in ("pearson", "spearman", "matthews_correlation"):
        return 0.0
    if labels.ndim == 2:
        ranks = (-labels.sum(axis=0)).argsort().argsort()
        answers = [np.where(ranks < count, 1.0, -1.0) for count in range(num_labels + 1)]
        sets, counts = np.unique(labels, axis=0, return_counts=True)
        answers.append(np.where(sets[counts.argmax()] > 0, 1.0, -1.0))
    else:
        counts = np.bincount(labels.astype(int), minlength=num_labels)
        if metric == "f1_macro":
            return 1 / np.count_nonzero(counts)
        classes = [int(counts.argmax())] + ([1] if metric == "f1" else [])
        answers = [np.eye(num_labels)[place] for place in classes]
    return max(compute_metrics(metric, np.tile(answer, (len(labels), 1)), labels)[metric] for answer in answers)


def chance_score(metric: str, logits: np.ndarray, labels: np.ndarray) -> float:
    """The primary metric that these answers hardly exceed where they are dealt out to the rows at random.

    In a split of few rows, or with few of a class, answers that know nothing may score far above their mean. This is
    two standard deviations above the mean of some random orders. In a split of `_MANY_ROWS` or more, chance is too
    small to matter: minus infinity.
    """
    if len(labels) >= _MANY_ROWS or not np.isfinite(logits).all():
        return -math.inf
    generator = np.random.default_rng(0)
    scores = [compute_metrics(metric, generator.permutation(logits), labels)[metric] for _ in range(_RANDOM_ORDERS)]
    return float(np.mean(scores) + 2 * np.std(scores))


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


def _regression(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    # Correlations do not see another scale.
    rmse = float(np.sqrt(np.mean((predicted.astype(np.float64) - labels) ** 2)))
    if np.ptp(predicted) == 0 or np.ptp(labels) == 0:
        return {"pearson": 0.0, "spearman": 0.0, "rmse": rmse}
    from scipy.stats import pearsonr, spearmanr

    found = {"pearson": pearsonr(predicted, labels).statistic, "spearman": spearmanr(predicted, labels).statistic}
    # Numbers that differ in their last digits alone may have no correlation that can be computed.
    return {name: float(value) if math.isfinite(value) else 0.0 for name, value in found.items()} | {"rmse": rmse}
